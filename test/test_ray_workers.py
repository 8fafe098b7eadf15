"""A Ray cluster of two nodes does the jobs as local workers do; what dies costs its own jobs only."""

import importlib.util
import os
import signal
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from ray_cluster import RayCluster, wait_until
from simulation_fakes import FakeSetup
from test_simulate import digest, settings
from test_simulation_workers import Squares, alive, run

from grasp_learning.checkpoint import CheckpointInfo, save_checkpoint
from grasp_learning.network import GraspNetwork, NetworkSettings
from grasp_learning.simulation import ray_messages
from grasp_learning.simulation import ray_workers as module
from grasp_learning.simulation.block_setup import Job, ShippedSetup, SimulatorSetup
from grasp_learning.simulation.ray_workers import RayWorkers
from grasp_learning.simulation.simulate import main, simulate
from grasp_learning.simulation.workers import WorkerError, Workers

pytestmark = pytest.mark.timeout(300)  # of a machine that is busy
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")


class Tracked(Squares):
    """Writes down which process does what."""

    def square(self, number, between):
        Path(self.folder, f"pid.{os.getpid()}").touch()
        return super().square(number, between)


@pytest.fixture(scope="module")
def cluster():
    with RayCluster() as started, pytest.MonkeyPatch.context() as patch:
        for name, value in started.environment.items():
            patch.setenv(name, value)
        yield started


def pids(folder):
    return [int(path.name.split(".")[1]) for path in folder.glob("pid.*")]


# --- without a cluster ----------------------------------------------------------------------------------------------


def test_ray_is_asked_for_only_where_it_is_wanted(tmp_path, monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "ray" else find(name, *more))
    options = ["--trials", "4", "--out", str(tmp_path / "data")]
    assert main([*options, "--ray", "127.0.0.1:1"]) == 1
    errors = capsys.readouterr().err
    assert "pip install -r requirements-ray.txt" in errors and errors.count("\n") == 1
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("address", ["here", "host:", ":6379", "host:port", "a b:1", "ray://host:10001"])
def test_an_address_that_is_none_is_wrong_usage(tmp_path, capsys, address):
    assert main(["--trials", "4", "--out", str(tmp_path / "data"), "--ray", address]) == 2
    assert "key 'ray'" in capsys.readouterr().err


@needs_ray
def test_an_address_where_nothing_listens_is_told_at_once(tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    assert main(["--trials", "4", "--out", str(tmp_path / "data"), "--ray", f"127.0.0.1:{port}"]) == 1
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert f"--ray 127.0.0.1:{port}: does not answer (Connection refused); look at `ray status`" in errors


@needs_ray
@pytest.mark.parametrize("address", ["127.0.0.1:99999", "a..b:6379"])
def test_an_address_that_cannot_be_one_is_told(tmp_path, capsys, address):
    assert main(["--trials", "4", "--out", str(tmp_path / "data"), "--ray", address]) == 1
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1 and f"--ray {address}: does not answer (" in errors


@needs_ray
def test_a_driver_that_dies_before_it_has_its_order_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MODULE", "grasp_learning.no_such_module")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        model = "x" * 2**23  # more than a connection holds, so that sending it waits for whoever reads it
        with pytest.raises(WorkerError, match=f"--ray {address}: the cluster was lost .ModuleNotFoundError"):
            run(RayWorkers(address, 1, Squares(str(tmp_path), model), 60.0))


@pytest.mark.parametrize("changed", ray_messages.FILES)
def test_a_machine_with_another_robot_or_calibration_is_another_one(tmp_path, monkeypatch, changed):
    there, find = tmp_path / "there", ray_messages.find_package_file
    there.write_bytes(find(changed).read_bytes() + b"\n")
    monkeypatch.setattr(ray_messages, "find_package_file", lambda name: there if name == changed else find(name))
    ray_messages.versions.cache_clear()
    try:
        assert ray_messages.difference(real, ray_messages.versions()).startswith("grasp_learning's code ")
    finally:
        ray_messages.versions.cache_clear()


@needs_ray
def test_something_that_is_no_ray_cluster_is_given_up(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        workers = RayWorkers(address, 2, Squares(str(tmp_path)), 60.0, connect_deadline=4.0)
        begin = time.monotonic()
        with pytest.raises(
            WorkerError, match=f"--ray {address}: (did not answer within 4 s|this machine cannot|the cluster was lost)"
        ):
            run(workers)
        assert time.monotonic() - begin < 4.0 + 2 * module.GRACE
    assert workers.pids() == []


# --- with two nodes -------------------------------------------------------------------------------------------------


@needs_ray
@pytest.mark.parametrize("count, auto", [(1, True), (None, False)])
def test_all_jobs_are_done_once_on_one_thread_each(tmp_path, cluster, count, auto):
    results = dict(
        RayWorkers("auto" if auto else cluster.address, count, Tracked(str(tmp_path)), 60.0).results(range(6))
    )
    assert results == {number: (number**2, "1") for number in range(6)}
    done = sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("pid"))
    assert done == [f"{number}.0" for number in range(6)]
    assert len(pids(tmp_path)) <= (count or 2)
    wait_until(lambda: alive(pids(tmp_path)) == [])


@needs_ray
@pytest.mark.parametrize(
    "trouble, told", [("die", "died"), ("exit", "died"), ("hang", "did not finish within 3 s and was ended")]
)
def test_a_worker_that_is_lost_costs_its_own_job_only(tmp_path, cluster, trouble, told):
    notes = []
    workers = RayWorkers(cluster.address, 2, Squares(str(tmp_path), trouble), 3.0, note=notes.append)
    assert run(workers) == {number: number**2 for number in range(6)}
    begun = sorted(path.name for path in tmp_path.iterdir())
    assert begun == sorted([f"{number}.0" for number in range(6)] + ["3.1"])
    assert len(notes) == 1 and f"{told}; it is done again" in notes[0] and "of 3 (127.0.0.1, process" in notes[0]


@needs_ray
def test_a_job_whose_worker_dies_again_and_again_is_given_up(tmp_path, cluster):
    with pytest.raises(WorkerError, match="of 3 .* died, 2 times now; try fewer workers"):
        run(RayWorkers(cluster.address, 2, Squares(str(tmp_path), "die", times=99), 60.0, retries=1))
    assert sorted(path.name for path in tmp_path.glob("3.*")) == ["3.0", "3.1"]


@needs_ray
@pytest.mark.parametrize("trouble, told", [("fail", "KeyError: 'three'"), ("no start", "RuntimeError: no model here")])
def test_what_a_job_or_a_start_raises_is_told(tmp_path, cluster, trouble, told):
    with pytest.raises(WorkerError, match=told):
        run(RayWorkers(cluster.address, 2, Squares(str(tmp_path), trouble), 60.0))


@needs_ray
def test_stopping_ends_the_workers_in_the_middle_of_their_jobs(tmp_path, cluster):
    stop, results = threading.Event(), {}
    workers = RayWorkers(cluster.address, 2, Tracked(str(tmp_path), "hang"), 600.0)
    for number, result in workers.results([0, 3, 1, 2], stop.is_set):
        results[number] = result
        if len(results) == 3:
            stop.set()
    assert sorted(results) == [0, 1, 2] and workers.pids() == []
    assert len(pids(tmp_path)) == 2
    wait_until(lambda: alive(pids(tmp_path)) == [])


@needs_ray
def test_workers_end_when_nobody_waits_for_them(tmp_path, cluster):
    child = os.fork()
    if child == 0:  # dies without telling anybody
        try:
            for _ in RayWorkers(cluster.address, 2, Tracked(str(tmp_path), "hang"), 600.0).results([0, 3]):
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)  # it must not go on with the other tests
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL and pids(tmp_path)
    wait_until(lambda: alive(pids(tmp_path)) == [])


@needs_ray
def test_other_versions_are_refused(tmp_path, cluster, monkeypatch):
    monkeypatch.setattr(module, "versions", lambda: {**real, "mujoco": "1.2.3"})
    with pytest.raises(WorkerError, match=r"127.0.0.1: has mujoco [\d.]+ instead of 1.2.3; install the same versions"):
        run(RayWorkers(cluster.address, 1, Squares(str(tmp_path)), 60.0))


real = module.versions()


@needs_ray
def test_a_cluster_without_a_free_core_is_given_up(tmp_path, cluster):
    busy = RayWorkers(cluster.address, 2, Squares(str(tmp_path), "hang"), 600.0)
    going, stop = threading.Event(), threading.Event()

    def keep_busy():
        for _ in busy.results([0, 1, 3, 3], stop.is_set):
            going.set()

    thread = threading.Thread(target=keep_busy)
    thread.start()
    try:
        assert going.wait(60)
        wait_until((tmp_path / "3.0").exists)
        with pytest.raises(WorkerError, match="no core of the cluster at .* was free for 2 s"):
            run(RayWorkers(cluster.address, 2, Squares(str(tmp_path)), 60.0, start_deadline=2.0))
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()


@needs_ray
def test_the_same_seed_gives_the_same_bytes_as_local_workers(tmp_path, cluster):
    for name, where in (("local", {"workers": 2}), ("ray", {"ray": cluster.address})):
        wanted = settings(tmp_path / name, trials=30, **where)
        assert simulate(wanted, setup=FakeSetup(wanted.plan)).trials == 30
    assert digest(tmp_path / "ray") == digest(tmp_path / "local")


@needs_ray
def test_a_killed_worker_changes_no_byte(tmp_path, cluster):
    wanted = settings(tmp_path / "local", workers=1)
    simulate(wanted, setup=FakeSetup(wanted.plan))
    wanted = settings(tmp_path / "ray", ray=cluster.address)
    report = simulate(wanted, setup=FakeSetup(wanted.plan, 0.0, "die", str(tmp_path / "marker")))
    assert len(report.notes) == 1 and "block 1" in report.notes[0] and "done again" in report.notes[0]
    assert digest(tmp_path / "ray") == digest(tmp_path / "local")


@needs_ray
def test_a_model_travels_along(tmp_path, cluster):
    network = GraspNetwork(NetworkSettings(fc6=8, fc7=8))
    path = tmp_path / "here" / "tiny.safetensors"
    path.parent.mkdir()
    save_checkpoint(path, network, CheckpointInfo.of(network))
    options = {"trials": 1, "trials_per_scene": 1, "objects_per_scene": 3, "mode": "best", "model": str(path)}
    setup = SimulatorSetup(settings(tmp_path / "x", **options).plan, "gripper", str(path))
    shipped = ShippedSetup(setup, path.read_bytes())
    ((_, here),) = Workers(1, setup, 100.0).results([Job(0, 1)])
    path.rename(tmp_path / "elsewhere")
    ((_, there),) = RayWorkers(cluster.address, 1, shipped, 100.0).results([Job(0, 1)])
    assert there == here and np.frombuffer(there[:4], np.uint8).tobytes() == b"PAR1"


@needs_ray
def test_a_node_that_dies_costs_its_own_jobs_only_and_one_that_joins_is_used(tmp_path, cluster):
    notes, results, joined = [], {}, []
    workers = RayWorkers(cluster.address, None, Tracked(str(tmp_path), "slow"), 60.0, note=notes.append)
    # long enough for a node to join; it ends once a third process has done a job
    for number, result in workers.results(range(400), lambda: bool(joined) and len(pids(tmp_path)) > joined[0]):
        results[number] = result[0]
        if len(results) == 6:
            wait_until(lambda: len(pids(tmp_path)) == 2)
            cluster.tell("kill")
        if len(results) == 16:
            joined.append(len(pids(tmp_path)))
            cluster.tell("add")
    assert 16 < len(results) < 400 and results == {number: number**2 for number in results}
    assert 1 <= len(notes) <= 2 and "it is done again" in notes[0]


@needs_ray
def test_a_head_that_dies_is_told_and_what_is_finished_stays(tmp_path):
    with RayCluster() as doomed, pytest.MonkeyPatch.context() as patch:
        for name, value in doomed.environment.items():
            patch.setenv(name, value)
        results = {}
        with pytest.raises(WorkerError, match=f"--ray {doomed.address}: "):
            for number, result in RayWorkers(doomed.address, 2, Squares(str(tmp_path), "hang"), 60.0).results(range(6)):
                results[number] = result
                if len(results) == 1:
                    doomed.tell("behead")
        assert len(results) >= 1


@needs_ray
def test_a_machine_without_the_package_is_told(tmp_path):
    with RayCluster(PYTHONPATH="") as bare, pytest.MonkeyPatch.context() as patch:
        for name, value in bare.environment.items():
            patch.setenv(name, value)
        with pytest.raises(WorkerError, match="No module named .*; install this package, the same version"):
            run(RayWorkers(bare.address, 1, Squares(str(tmp_path)), 60.0))
