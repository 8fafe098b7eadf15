"""A training from datasets to a checkpoint, its interruptions, and what it refuses."""

import csv
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from training_samples import KILL, bar_dataset, bar_rows, encoded

from grasp_learning.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from grasp_learning.dataset.reader import DatasetError, open_dataset
from grasp_learning.dataset.schema import STORED_SIDE, PatchGeometry
from grasp_learning.dataset.writer import write_dataset
from grasp_learning.network import GraspNetwork, NetworkSettings
from grasp_learning.training import folder as folder_module
from grasp_learning.training.errors import DivergedError, TrainingError, TrainingInterrupted, TrainingInUseError
from grasp_learning.training.evaluation import evaluate, score_of
from grasp_learning.training.loading import load_samples
from grasp_learning.training.run import train
from grasp_learning.training.selection import select_rows
from grasp_learning.training.settings import TrainSettings
from grasp_learning.training.train import main

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = {"fc6": 32, "fc7": 16}
DEADLINE = 100.0  # s


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return bar_dataset(tmp_path_factory.mktemp("data") / "bars", train=12, validation=4, test_novel=4)


def options(dataset, out, **values):
    base = {
        "data": [str(dataset)],
        "out": str(out),
        "weights": "none",
        "network": SMALL,
        "epochs": 3,
        "batch_size": 4,
        "device": "cpu",
        "precision": "fp32",
        "progress": False,
    }
    return {**base, **values}


def settings_for(dataset, out, **values):
    return TrainSettings(**options(dataset, out, **values))


@pytest.fixture(scope="module")
def finished(dataset, tmp_path_factory):
    """A training of three epochs that nothing interrupted: its settings and its result."""
    settings = settings_for(dataset, tmp_path_factory.mktemp("whole") / "out")
    return settings, train(settings)


@pytest.fixture
def config(dataset, tmp_path):
    """A file of options for the command line."""

    def write(out, **values):
        path = tmp_path / "train.yaml"
        path.write_text(yaml.safe_dump(options(dataset, out, **values)))
        return str(path)

    return write


def weights_of(path):
    return load_checkpoint(path).network.state_dict()


def assert_equal_weights(one, other):
    one, other = weights_of(one), weights_of(other)
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def command(config_path):
    arguments = [sys.executable, "-m", "grasp_learning.training.train", "--config", config_path]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def wait_for(path, process):
    end = time.monotonic() + DEADLINE
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.02)


# --- the result -----------------------------------------------------------------------------------------------------


def test_the_result_says_what_it_is(finished, dataset):
    settings, result = finished
    found = load_checkpoint(result.checkpoint)
    assert found.sha256 == result.sha256
    assert (found.info.stage, found.info.samples, found.info.seed, found.info.variant) == (0, 12, 0, "paper")
    assert found.info.patch.side == 378 and found.info.training["patch_span"] == 0.467
    assert found.info.training["dataset_identity"] == open_dataset(dataset).identity
    assert found.info.metrics == result.metrics
    assert set(result.metrics) >= {f"{split}/balanced_accuracy" for split in ("validation", "test_novel")}
    assert json.loads((result.checkpoint.parent / "metrics.json").read_text()) == result.metrics
    assert result.metrics["test_novel/samples"] == 4
    assert "test_seen/balanced_accuracy" not in result.metrics, "there is no such split"


def test_the_figures_of_the_result_are_those_of_its_network(finished, dataset):
    _, result = finished
    samples = load_samples([dataset], open_dataset(dataset), "test_novel", 1.0)
    score = evaluate(load_checkpoint(result.checkpoint).network, samples)
    assert score.metrics("test_novel") == {k: v for k, v in result.metrics.items() if k.startswith("test_novel")}


def test_losses_and_figures_of_each_epoch_are_logged(finished):
    _, result = finished
    logs = result.checkpoint.parent / "logs" / "run_1"
    rows = list(csv.DictReader((logs / "metrics.csv").open()))
    epochs = [row for row in rows if row["train/loss_epoch"]]
    assert [row["epoch"] for row in epochs] == ["0", "1", "2"]
    assert all(np.isfinite(float(row["train/loss_epoch"])) for row in epochs)
    assert len([row for row in rows if row["validation/balanced_accuracy"]]) == 3
    assert list(logs.glob("events.out.tfevents.*")), "TensorBoard's"


def test_a_finished_training_is_not_done_again(finished):
    settings, result = finished
    again = train(settings)
    assert again.finished_before and (again.sha256, again.metrics) == (result.sha256, result.metrics)


def test_score_counts_the_classes_apart():
    score = score_of(torch.tensor([90.0, 10.0, 5.0, 5.0, 55.0, 110.0]))
    assert score.balanced_accuracy == pytest.approx((0.9 + 0.5) / 2)
    assert score.accuracy == pytest.approx(95 / 110)
    assert (score.recall(0), score.recall(1), score.loss) == (0.9, 0.5, 0.5)
    assert score_of(torch.zeros(6)).metrics("x") == {"x/samples": 0.0}


# --- interruptions --------------------------------------------------------------------------------------------------


def test_a_killed_training_goes_on_to_the_very_same_weights(finished, config, dataset, tmp_path):
    """Killed in the middle of the second epoch."""
    out = tmp_path / "out"
    program = KILL + "from grasp_learning.training import train\ntrain.main(['--config', sys.argv[1]])"
    process = subprocess.run([sys.executable, "-c", program, config(out)], capture_output=True, timeout=DEADLINE)
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert torch.load(out / "state.ckpt", weights_only=True)["global_step"] == 3 and not (out / "metrics.json").exists()
    result = train(settings_for(dataset, out))
    assert not result.finished_before
    assert_equal_weights(result.checkpoint, finished[1].checkpoint)
    assert_equal_weights(out / "best.safetensors", finished[1].checkpoint.parent / "best.safetensors")
    assert sorted(path.name for path in (out / "logs").iterdir()) == ["run_1", "run_2"]


def test_a_training_whose_patches_are_in_its_own_folder_goes_on_to_the_very_same_weights(
    finished, config, dataset, tmp_path, monkeypatch
):
    """Killed with the patches in a file; they are not copied again, and the file goes with the end."""
    out = tmp_path / "out"
    where = {"patch_cache": str(out), "memory_gb": 0.0}
    program = KILL + "from grasp_learning.training import patch_cache, train\npatch_cache.PATIENCE = 0.0\n"
    program += "train.main(['--config', sys.argv[1]])"
    arguments = [sys.executable, "-c", program, config(out, **where)]
    process = subprocess.run(arguments, capture_output=True, timeout=DEADLINE)
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert (out / "patches.bin").exists()
    monkeypatch.setattr("grasp_learning.training.patch_cache._make", None)
    result = train(settings_for(dataset, out, **where))
    assert_equal_weights(result.checkpoint, finished[1].checkpoint)
    assert {path.name for path in out.iterdir()} == {path.name for path in finished[1].checkpoint.parent.iterdir()}


def test_a_training_that_was_killed_after_its_last_step_only_evaluates(finished, dataset, tmp_path):
    out, before = tmp_path / "out", finished[1].checkpoint.parent
    shutil.copytree(before, out)
    for name in ("model.safetensors", "metrics.json"):
        (out / name).unlink()
    result = train(settings_for(dataset, out))
    assert_equal_weights(result.checkpoint, finished[1].checkpoint)
    assert result.metrics == finished[1].metrics


def test_states_take_a_tenth_of_the_time_and_the_best_network_is_saved_with_them(dataset, tmp_path, monkeypatch):
    now, saved = [0.0], []
    write = folder_module.DurableState.save_checkpoint

    def save(self, checkpoint, path, storage_options=None):
        now[0] += 1.0  # a state is written in a second, an epoch takes four
        saved.append((checkpoint["epoch"], checkpoint["global_step"]))
        assert (tmp_path / "out" / "best.safetensors").exists()
        write(self, checkpoint, path)

    def validated(self, trainer, module):
        now[0] += 4.0

    monkeypatch.setattr("grasp_learning.training.callbacks.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(folder_module.DurableState, "save_checkpoint", save)
    monkeypatch.setattr("grasp_learning.training.callbacks.StopAtNan.on_validation_start", validated)
    result = train(settings_for(dataset, tmp_path / "out", epochs=6))
    assert [epoch for epoch, _ in saved] == [0, 3, 5], "the first, the one after 9 s and more, the last"
    best = load_checkpoint(tmp_path / "out" / "best.safetensors").info.metrics
    rows = list(csv.DictReader((result.checkpoint.parent / "logs" / "run_1" / "metrics.csv").open()))
    figures = [row["validation/balanced_accuracy"] for row in rows]
    assert best["validation/balanced_accuracy"] == pytest.approx(max(float(value) for value in figures if value))


def test_ctrl_c_says_how_to_go_on(config, tmp_path):
    out = tmp_path / "out"
    process = command(config(out, epochs=200))
    wait_for(out / "state.ckpt", process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    last = errors.splitlines()[-1]
    assert last.startswith("train: stopped in epoch ") and "start the same command again to go on" in last
    assert "Traceback" not in errors
    assert torch.load(out / "state.ckpt", weights_only=True)["epoch"] >= 0


def test_an_interrupt_within_a_program_leaves_its_handler_as_it_was(dataset, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("grasp_learning.training.callbacks.StopAtNan.on_train_batch_end", interrupt)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(TrainingInterrupted, match="stopped in epoch 1 of 3"):
        train(settings_for(dataset, tmp_path / "out"))
    assert signal.getsignal(signal.SIGINT) is handler


def test_two_trainings_into_one_folder(dataset, tmp_path):
    with folder_module.locked(tmp_path / "out"), pytest.raises(TrainingInUseError, match=f"process {os.getpid()} is"):
        train(settings_for(dataset, tmp_path / "out"))


def test_a_folder_of_something_else_is_left_alone(dataset, tmp_path):
    (tmp_path / "thesis.txt").write_text("chapter 1")
    with pytest.raises(TrainingError, match="holds thesis.txt but no train.yaml"):
        train(settings_for(dataset, tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == ["thesis.txt"]


@pytest.mark.parametrize("key, value", [("seed", 1), ("epochs", 4), ("balance", "none")])
def test_another_training_into_the_folder_is_refused(finished, key, value):
    settings, result = finished
    with pytest.raises(TrainingError, match=f"another training, '{key}'"):
        train(TrainSettings(**{**settings.model_dump(), key: value}))
    assert load_checkpoint(result.checkpoint).sha256 == result.sha256


def test_a_damaged_state_is_named(dataset, tmp_path, finished):
    settings = settings_for(dataset, tmp_path / "out")
    (tmp_path / "out").mkdir()
    state = (finished[1].checkpoint.parent / "state.ckpt").read_bytes()
    kind = (finished[1].checkpoint.parent / "train.yaml").read_bytes()
    (tmp_path / "out" / "train.yaml").write_bytes(kind)
    (tmp_path / "out" / "state.ckpt").write_bytes(state[: len(state) // 2])
    with pytest.raises(TrainingError, match="state.ckpt: is damaged .* delete it"):
        train(settings)


def test_a_full_disk_keeps_the_state_before(tmp_path):
    """The limit of a file's size stands in for a full disk: both end a write in its middle."""
    io = folder_module.DurableState()
    io.save_checkpoint({"weights": torch.zeros(10), "epoch": 1}, tmp_path / "state.ckpt")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(TrainingError, match="state.ckpt: cannot be written .* what was saved before is kept"):
            io.save_checkpoint({"weights": torch.zeros(100_000), "epoch": 2}, tmp_path / "state.ckpt")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert io.load_checkpoint(tmp_path / "state.ckpt")["epoch"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["state.ckpt"]


def test_a_loss_that_is_not_a_number_ends_the_training_at_its_step(dataset, tmp_path):
    with pytest.raises(DivergedError, match="the loss is not a number at step [0-9]+: .* --learning-rate"):
        train(settings_for(dataset, tmp_path / "out", learning_rate=1e30, gradient_clip=0, warm_up=0, epochs=2))
    assert not (tmp_path / "out" / "model.safetensors").exists()


# --- stages ---------------------------------------------------------------------------------------------------------


def test_a_later_stage_is_finetuned_from_the_one_before(finished, dataset, tmp_path):
    more = bar_dataset(tmp_path / "stage1", train=4, seed=1, stage=1)
    parent = finished[1]
    settings = settings_for(
        dataset,
        tmp_path / "out",
        data=[str(dataset), str(more)],
        stage=1,
        init=str(parent.checkpoint),
        network={},
        epochs=1,
        learning_rate=1e-12,
    )
    result = train(settings)
    info = load_checkpoint(result.checkpoint).info
    assert (info.stage, info.parent_sha256, info.samples) == (1, parent.sha256, 16)
    before, after = weights_of(parent.checkpoint), weights_of(result.checkpoint)
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before), "started from the parent"
    rows = list(csv.DictReader((tmp_path / "out" / "logs" / "run_1" / "metrics.csv").open()))
    assert max(int(row["step"]) for row in rows) == (12 + 3 * 4) // 4 - 1, "each new trial counts three times"


def test_the_papers_schedule_is_the_default():
    first = TrainSettings(data=["d"], out="o")
    later = TrainSettings(data=["d"], out="o", stage=1, init="m")
    assert (first.resolved_rate, first.resolved_epochs, first.batch_size, first.momentum) == (0.01, 20, 128, 0.9)
    assert (later.resolved_rate, later.resolved_epochs, later.resolved_schedule) == (0.001, 5, "constant")
    assert (first.gamma, first.augment) == (3.0, "rotation")


# --- what is refused ------------------------------------------------------------------------------------------------


def fails(capsys, arguments, *expected, code=1):
    """The command ends with an exit code and one line on stderr."""
    assert main([str(argument) for argument in arguments]) == code
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1 and errors[0].startswith("train: "), errors
    for text in expected:
        assert text in errors[0], errors[0]


def test_a_dataset_that_is_not_there(capsys, tmp_path):
    fails(capsys, ["--data", tmp_path / "no", "--out", tmp_path / "o", "--weights", "none"], "is not there")


@pytest.mark.parametrize("label, lack", [(0, "successes"), (1, "failures")])
def test_one_class_only(capsys, tmp_path, label, lack):
    rows = [row for row in bar_rows(6, np.random.default_rng(0)) if row["label"] == label]
    write_dataset(tmp_path / "d", rows)
    fails(capsys, ["--data", tmp_path / "d", "--out", tmp_path / "o"], "split 'train'", lack)
    assert not (tmp_path / "o").exists()


def test_no_training_split(capsys, tmp_path):
    write_dataset(tmp_path / "d", bar_rows(4, np.random.default_rng(0), split="test_novel"))
    fails(capsys, ["--data", tmp_path / "d", "--out", tmp_path / "o"], "is empty")


def test_no_validation_split_to_choose_the_best_epoch_by(capsys, tmp_path):
    bar_dataset(tmp_path / "d", train=4)
    fails(
        capsys, ["--data", tmp_path / "d", "--out", tmp_path / "o", "--select", "best"], "'validation'", "--select last"
    )


def test_an_angle_outside_the_convention(tmp_path, monkeypatch):
    rows = bar_rows(4, np.random.default_rng(0))
    rows[2]["angle"] += np.pi
    monkeypatch.setattr("grasp_learning.dataset.writer.check_rows", lambda *_: None)
    write_dataset(tmp_path / "d", rows)
    with pytest.raises(DatasetError, match=r"angle is .*expected rad in \[0, pi\)"):
        train(settings_for(tmp_path / "d", tmp_path / "o"))


def test_a_patch_that_cannot_be_decoded(tmp_path):
    rows = bar_rows(4, np.random.default_rng(0))
    rows[1]["patch"] = b"no picture"
    write_dataset(tmp_path / "d", rows)
    with pytest.raises(DatasetError, match="cannot be decoded"):
        train(settings_for(tmp_path / "d", tmp_path / "o"))


def test_datasets_of_different_geometries(capsys, dataset, tmp_path):
    write_dataset(tmp_path / "d", bar_rows(4, np.random.default_rng(0)), PatchGeometry(span=0.6, patch_size=486))
    fails(capsys, ["--data", dataset, "--data", tmp_path / "d", "--out", tmp_path / "o"], "cannot be mixed")


def test_a_parent_of_another_geometry(finished, tmp_path):
    write_dataset(tmp_path / "d", bar_rows(4, np.random.default_rng(0)), PatchGeometry(span=0.6, patch_size=486))
    with pytest.raises(TrainingError, match="span 0.4670 m .* the datasets' span 0.6000 m"):
        train(settings_for(tmp_path / "d", tmp_path / "o", stage=1, init=str(finished[1].checkpoint)))


def test_a_parent_of_another_variant(dataset, tmp_path):
    network = GraspNetwork(NetworkSettings(variant="released", **SMALL))
    save_checkpoint(tmp_path / "m.safetensors", network, CheckpointInfo.of(network))
    with pytest.raises(TrainingError, match="variant 'released', .* --variant released"):
        train(settings_for(dataset, tmp_path / "o", stage=1, init=str(tmp_path / "m.safetensors")))


def test_a_parent_that_is_not_there(capsys, dataset, tmp_path):
    fails(
        capsys, ["--data", dataset, "--out", tmp_path / "o", "--stage", 1, "--init", "no.safetensors"], "cannot be read"
    )


def test_weights_that_are_not_there(capsys, dataset, tmp_path):
    arguments = ["--data", dataset, "--out", tmp_path / "o", "--weights", tmp_path / "no.pth"]
    fails(capsys, arguments, "no such file; name torchvision's alexnet-owt-7be5be79.pth", "--weights none")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there(capsys, dataset, tmp_path):
    fails(
        capsys, ["--data", dataset, "--out", tmp_path / "o", "--device", "cuda"], "1 asked for, 0 found", "--device cpu"
    )


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--stage", "2"], "key 'init' is '': stage 2 is finetuned"),
        (["--devices", "3"], "3 devices cannot share a batch of 128 evenly"),
        (["--freeze-convolutions", "--weights", "none"], "random convolutions cannot stay"),
        (["--epochs", "0"], "key 'epochs' is 0"),
        (["--learning-rate", "nan"], "key 'learning_rate'"),
        (["--gamma", "0"], "key 'gamma'"),
        (["--limit", "0"], "key 'limit' is 0"),
        (["--only-stage", "--stage", "1", "--init", "m", "--limit", "5"], "only stage 1, without any, is used"),
    ],
)
def test_settings_that_contradict_each_other(capsys, arguments, expected):
    fails(capsys, ["--data", "d", "--out", "o", *arguments], expected, code=2)


def test_a_network_that_cannot_be_made_leaves_no_folder(capsys, config, tmp_path):
    fails(capsys, ["--config", config(tmp_path / "o", network={"fc6": 0})], "network: key 'fc6' is 0", code=2)
    assert not (tmp_path / "o").exists()


def test_options_from_a_file_and_from_the_command_line(capsys, tmp_path):
    path = tmp_path / "options.yaml"
    path.write_text("epochs: 7\nweigths: none\n")
    fails(capsys, ["--config", path, "--data", "d", "--out", "o"], "key 'weigths' is unknown", code=2)
    path.write_text("epochs: 7\ndata: [d]\n")
    fails(capsys, ["--config", path], "key 'out' is missing", code=2)
    fails(capsys, ["--config", tmp_path / "no.yaml"], "no.yaml: cannot be read", code=2)


def test_an_unwritable_folder(capsys, dataset, tmp_path):
    (tmp_path / "file").write_text("")
    fails(capsys, ["--data", dataset, "--out", tmp_path / "file" / "o"], "cannot be written")


# --- parts of a dataset ---------------------------------------------------------------------------------------------


def scene_dataset(folder, scenes=6, trials=4, stage=0, name="bars"):
    """A dataset of tables with some trials each; returns its folder."""
    rows = bar_rows(scenes * trials, np.random.default_rng(stage), stage=stage, name=name)
    write_dataset(folder, [{**row, "scene": f"{name}/{place // trials}"} for place, row in enumerate(rows)])
    return folder


def chosen(dataset, **values):
    """Numbers of the rows that a training uses."""
    return np.flatnonzero(select_rows(settings_for(dataset, "o", **values)).rows).tolist()


def test_limits_are_nested_and_take_tables_whole(tmp_path):
    dataset = scene_dataset(tmp_path / "d")
    sets = {limit: chosen(dataset, limit=limit) for limit in range(2, 26, 2)}
    assert all(len(rows) == min(limit, 24) for limit, rows in sets.items())
    assert all(set(sets[limit]) < set(sets[limit + 2]) for limit in range(2, 24, 2))
    for limit, rows in sets.items():
        tables = np.bincount(np.array(rows) // 4, minlength=6)
        assert sum(tables == 4) == limit // 4 and sum(tables > 0) == -(-limit // 4), "one table at most is cut"
    assert sets[8] != list(range(8)), "not the first ones"
    assert chosen(dataset, limit=8, seed=5) == sets[8], "all trainings see the same trials"
    assert {tuple(chosen(dataset, limit=8, limit_seed=seed)) for seed in range(6)} > {tuple(sets[8])}


def test_limits_stay_nested_when_the_dataset_grows(tmp_path):
    small, large = scene_dataset(tmp_path / "small", 3), scene_dataset(tmp_path / "large", 6)
    assert set(chosen(large, limit=8)) & set(range(12)) <= set(chosen(small, limit=8))


def test_a_limit_leaves_later_stages_alone(tmp_path):
    scene_dataset(tmp_path / "random"), scene_dataset(tmp_path / "guided", 2, stage=1, name="guided")
    data = [str(tmp_path / "random"), str(tmp_path / "guided")]
    rows = chosen(tmp_path, data=data, limit=4, stage=1, init="m")
    assert len(rows) == 4 + 8 and set(range(24, 32)) < set(rows)
    assert chosen(tmp_path, data=data, only_stage=True, stage=1, init="m") == list(range(24, 32))
    assert chosen(tmp_path, data=data, only_stage=True) == list(range(24))


def test_trials_without_a_scene_are_drawn_one_by_one(dataset):
    rows = chosen(dataset, limit=6)
    assert len(rows) == 6 and set(rows) < set(chosen(dataset, limit=8))


def test_only_the_chosen_patches_are_loaded(tmp_path):
    dataset = scene_dataset(tmp_path / "d")
    rows = select_rows(settings_for(dataset, "o", limit=6)).rows
    for memory_gb in (1.0, 0.0):
        part = load_samples([dataset], open_dataset(dataset), "train", memory_gb, rows=rows)
        whole = load_samples([dataset], open_dataset(dataset), "train", memory_gb)
        places = torch.from_numpy(np.flatnonzero(rows))
        assert torch.equal(part.angles, whole.angles[places]) and torch.equal(part.labels, whole.labels[places])
        assert torch.equal(part.patches.take(torch.arange(6)), whole.patches.take(places))


def test_a_limited_training_says_so_and_is_not_another_one(tmp_path):
    dataset = scene_dataset(tmp_path / "d")
    result = train(settings_for(dataset, tmp_path / "o", limit=8, epochs=1))
    info = load_checkpoint(result.checkpoint).info
    assert (info.samples, info.training["limit"], info.training["limit_seed"]) == (8, 8, 0)
    assert "8 of 24 trials, 4 successes" in info.dataset
    rows = list(csv.DictReader((tmp_path / "o" / "logs" / "run_1" / "metrics.csv").open()))
    assert max(int(row["step"]) for row in rows) == 8 // 4 - 1
    assert train(settings_for(dataset, tmp_path / "o", limit=8, epochs=1)).finished_before
    with pytest.raises(TrainingError, match="another training, 'limit' is 8 there and 12 now"):
        train(settings_for(dataset, tmp_path / "o", limit=12, epochs=1))


def test_a_stage_without_aggregation_counts_once(finished, tmp_path):
    scene_dataset(tmp_path / "random"), scene_dataset(tmp_path / "guided", 2, stage=1, name="guided")
    settings = settings_for(
        tmp_path,
        tmp_path / "o",
        data=[str(tmp_path / "random"), str(tmp_path / "guided")],
        stage=1,
        init=str(finished[1].checkpoint),
        network={},
        epochs=1,
        only_stage=True,
    )
    info = load_checkpoint(train(settings).checkpoint).info
    assert (info.samples, info.training["only_stage"], info.training["gamma"]) == (8, True, 1.0)
    rows = list(csv.DictReader((tmp_path / "o" / "logs" / "run_1" / "metrics.csv").open()))
    assert max(int(row["step"]) for row in rows) == 8 // 4 - 1
    with pytest.raises(TrainingError, match="another training, 'only_stage' is True there and False now"):
        train(settings.model_copy(update={"only_stage": False}))


def test_a_folder_of_before_there_were_limits_goes_on(finished, dataset, tmp_path):
    shutil.copytree(finished[1].checkpoint.parent, tmp_path / "o")
    kind = yaml.safe_load((tmp_path / "o" / "train.yaml").read_text())
    for key in ("limit", "limit_seed", "only_stage"):
        del kind[key]
    (tmp_path / "o" / "train.yaml").write_text(yaml.safe_dump(kind))
    assert train(settings_for(dataset, tmp_path / "o")).finished_before
    with pytest.raises(TrainingError, match="another training, 'limit' is None there and 4 now"):
        train(settings_for(dataset, tmp_path / "o", limit=4))


def test_a_stage_that_is_not_there(capsys, dataset, tmp_path):
    arguments = ["--data", dataset, "--out", tmp_path / "o", "--only-stage", "--stage", 2, "--init", "m.safetensors"]
    fails(capsys, arguments, "has no patch of stage 2, there are those of: 0", "without --only-stage")
    assert not (tmp_path / "o").exists()


def test_a_limit_that_leaves_one_class(capsys, tmp_path):
    dataset = scene_dataset(tmp_path / "d")
    fails(capsys, ["--data", dataset, "--out", tmp_path / "o", "--limit", 1], "1 of 24 patches", "only")
    assert not (tmp_path / "o").exists()


# --- variants of the loop -------------------------------------------------------------------------------------------


def test_patches_that_do_not_fit_into_memory_give_the_same_network(finished, dataset, tmp_path):
    result = train(settings_for(dataset, tmp_path / "out", memory_gb=0))
    assert_equal_weights(result.checkpoint, finished[1].checkpoint)


def test_frozen_convolutions_stay_and_the_rest_learns(finished, dataset, tmp_path):
    result = train(
        settings_for(
            dataset,
            tmp_path / "out",
            init=str(finished[1].checkpoint),
            network={},
            freeze_convolutions=True,
            rotations=2,
            epochs=2,
            balance="loss",
            precision="bf16",
        )
    )
    before, after = weights_of(finished[1].checkpoint), weights_of(result.checkpoint)
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert same == {name for name in before if name.startswith("features.")}


def test_features_that_do_not_fit_into_memory(finished, dataset, tmp_path):
    settings = settings_for(
        dataset, tmp_path / "o", init=str(finished[1].checkpoint), network={}, freeze_convolutions=True, memory_gb=1e-4
    )
    with pytest.raises(TrainingError, match="fewer rotations"):
        train(settings)


def test_a_patch_of_another_size_is_refused(tmp_path):
    rows = bar_rows(4, np.random.default_rng(0))
    rows[0]["patch"] = encoded(np.zeros((STORED_SIDE, STORED_SIDE - 1, 3), np.uint8))
    write_dataset(tmp_path / "d", rows)
    with pytest.raises(DatasetError, match="instead of 322 x 322"):
        train(settings_for(tmp_path / "d", tmp_path / "o"))
