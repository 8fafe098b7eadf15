"""Two processes that train together, as two machines do: gloo over loopback."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch
import yaml
from training_samples import bar_dataset

from grasp_learning.checkpoint import load_checkpoint
from grasp_learning.training.run import train
from grasp_learning.training.settings import TrainSettings

pytestmark = pytest.mark.timeout(300)  # of a machine that is busy
OPTIONS = {
    **{"weights": "none", "epochs": 2, "batch_size": 4, "device": "cpu", "precision": "fp32", "progress": False},
    # what is silent differs from process to process
    "network": {"fc6": 32, "fc7": 16, "dropout": 0.0},
}
PATIENCE = 140.0  # s

# the given rank stops in the given way after its first step
STOPPED = """
import os, signal, sys, time
from grasp_learning.training import callbacks, train
def stop(self, trainer, *_):
    if trainer.global_rank == int(sys.argv[1]):
        print("stops", flush=True)
        os.kill(os.getpid(), signal.SIGKILL) if sys.argv[2] == "die" else time.sleep(1000)
if sys.argv[2] != "run":
    callbacks.StopAtNan.on_train_batch_end = stop
sys.exit(train.main(sys.argv[3:]))
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return bar_dataset(tmp_path_factory.mktemp("data") / "bars", train=12, validation=5, test_novel=4)


class Machines:
    """Starts the same command on two 'machines'."""

    def __init__(self, folder, dataset):
        self._config = folder / "train.yaml"
        self._config.write_text(yaml.safe_dump({**OPTIONS, "data": [str(dataset)], "num_nodes": 2, "strategy": "ddp"}))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.communicate()

    def start(self, rank, out, how="run", who=1, *more):
        environment = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(self._port), "NODE_RANK": str(rank)}
        environment.update(GLOO_SOCKET_IFNAME="lo", OMP_NUM_THREADS="1")
        process = subprocess.Popen(
            [sys.executable, "-c", STOPPED, str(who), how, "--config", self._config, "--out", out, *more],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process


def weights_of(path):
    return load_checkpoint(path).network.state_dict()


def test_two_machines_come_to_the_result_of_one(dataset, tmp_path):
    with Machines(tmp_path, dataset) as machines:
        first, second = (machines.start(rank, tmp_path / "both") for rank in (0, 1))
        output, errors = first.communicate(timeout=PATIENCE)
        assert first.returncode == 0, errors
        assert "test_novel" in output
        assert second.communicate(timeout=PATIENCE)[0] == "" and second.returncode == 0, "one of them writes"
    alone = train(TrainSettings(data=[str(dataset)], out=str(tmp_path / "alone"), **OPTIONS))
    one, both = weights_of(alone.checkpoint), weights_of(tmp_path / "both" / "model.safetensors")
    assert all(torch.allclose(one[name], both[name], atol=1e-4) for name in one)
    metrics = load_checkpoint(tmp_path / "both" / "model.safetensors").info.metrics
    assert metrics["validation/samples"] == 5 and metrics == pytest.approx(alone.metrics, abs=1e-3)


@pytest.mark.parametrize("who", [0, 1])
def test_a_machine_that_dies_ends_the_other_one(dataset, tmp_path, who):
    with Machines(tmp_path, dataset) as machines:
        both = [machines.start(rank, tmp_path / "out", "die", who) for rank in (0, 1)]
        assert both[who].wait(PATIENCE) == -signal.SIGKILL
        begin = time.monotonic()
        _, errors = both[1 - who].communicate(timeout=PATIENCE)
        assert time.monotonic() - begin < 60
    assert both[1 - who].returncode == 1
    last = errors.strip().splitlines()[-1]
    assert last.startswith(f"train: process {1 - who} of 2: another one ended, or was not there in time"), errors
    assert "start the same command on all machines again" in last and "Traceback" not in errors


def test_a_machine_that_hangs_is_given_up(dataset, tmp_path):
    with Machines(tmp_path, dataset) as machines:
        both = [machines.start(rank, tmp_path / "out", "hang", 1, "--peer-deadline", "10") for rank in (0, 1)]
        _, errors = both[0].communicate(timeout=PATIENCE)
        assert both[0].returncode == 1 and both[1].poll() is None
    assert errors.strip().splitlines()[-1].startswith("train: process 0 of 2: another one ended, or was not there")


def test_a_machine_that_never_comes_is_given_up(dataset, tmp_path):
    with Machines(tmp_path, dataset) as machines:
        lonely = machines.start(0, tmp_path / "out", "run", 1, "--peer-deadline", "3")
        _, errors = lonely.communicate(timeout=PATIENCE)
    assert lonely.returncode == 1
    assert "process 0 of 2: another one ended, or was not there in time" in errors.strip().splitlines()[-1]


def test_a_state_that_only_one_machine_sees_is_refused(dataset, tmp_path):
    train(TrainSettings(data=[str(dataset)], out=str(tmp_path / "first"), **OPTIONS))
    for name in ("model.safetensors", "metrics.json"):
        (tmp_path / "first" / name).unlink()
    shutil.rmtree(tmp_path / "first" / "logs")
    with Machines(tmp_path, dataset) as machines:
        both = [machines.start(rank, tmp_path / name) for rank, name in enumerate(("first", "second"))]
        errors = [process.communicate(timeout=PATIENCE)[1].strip().splitlines()[-1] for process in both]
    assert [process.returncode for process in both] == [1, 1]
    assert (
        "has no saved state here, unlike on the first machine; --out must be a folder that all machines share"
        in errors[1]
    )
