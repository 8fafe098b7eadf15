"""The command simulate: the same files whatever happens on the way, and one line for what it cannot do."""

import errno
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from simulation_fakes import FakeSetup
from test_storage import fail_at, info, ordinary_user, small_disk  # noqa: F401

from grasp_learning import storage
from grasp_learning.config import ConfigError, parse_settings
from grasp_learning.pictures import PictureSource
from grasp_learning.simulation import simulate as module
from grasp_learning.simulation.block_setup import Job, SimulatorSetup
from grasp_learning.simulation.shard_collection import ShardCollection
from grasp_learning.simulation.simulate import SimulateError, SimulateSettings, main, simulate
from grasp_learning.simulation.workers import WorkerError
from grasp_learning.summary import format_summary, summarize

EACH = 4
FAKE = Path(__file__).with_name("simulation_fakes.py")


def settings(folder, **changes):
    values = {"out": str(folder), "trials": 18, "seed": 3, "trials_per_scene": EACH, "minimum_free_gb": 0.0, **changes}
    return parse_settings(SimulateSettings, values, "test")


class InlineWorkers:
    """Does the jobs in this process: what matters to most tests is what is written, and starting processes is slow."""

    def __init__(self, count, setup, *_, **__):
        self._setup = setup

    def results(self, jobs, stopped=lambda: False):
        for job in jobs:
            if stopped():
                return
            try:
                result = self._setup()(job, lambda: None)
            except (ArithmeticError, ValueError, RuntimeError) as error:
                raise WorkerError(f"{type(error).__name__}: {error}") from error
            yield job, result


@pytest.fixture
def inline(monkeypatch):
    monkeypatch.setattr(module, "Workers", InlineWorkers)


def run(folder, trouble="", marker="", stopped=lambda: False, **changes):
    wanted = settings(folder, **changes)
    return simulate(wanted, stopped=stopped, setup=FakeSetup(wanted.plan, 0.0, trouble, str(marker)))


def digest(folder):
    """SHA-256 of all that must not depend on how it came about."""
    paths = [folder / "trials.jsonl", folder / "faults.jsonl", *sorted((folder / "shards").glob("*.parquet"))]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A simulation of 18 trials that nothing came in the way of."""
    folder = tmp_path_factory.mktemp("reference") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "Workers", InlineWorkers)
        assert run(folder, workers=1).trials == 18
    return folder


def test_what_is_reported_is_what_is_on_disk(tmp_path):
    report = run(tmp_path / "deep" / "data", workers=2)
    trials = list(storage.trials_of(report.folder))
    assert [trial["number"] for trial in trials] == list(range(1, 19))
    successes = sum(trial["outcome"] == "SUCCESS" for trial in trials)
    assert (report.trials, report.successes, report.simulated, report.interrupted) == (18, successes, 18, False)
    assert report.faults == {"NO_OBJECTS": len(list(storage.faults_of(report.folder)))}
    assert (report.summary.truth_known, report.summary.truth_agrees) == (18, 18)
    assert [path.name for path in sorted((report.folder / "shards").glob("*.parquet"))] == [
        f"{block:06d}.parquet" for block in range(5)
    ]
    assert [(trial["shard"], trial["row"], trial["block"]) for trial in trials[3:5]] == [
        ("shards/000000.parquet", 3, 0),
        ("shards/000001.parquet", 0, 1),
    ]
    written = yaml.safe_load((report.folder / "collection.yaml").read_text())
    assert {key: written[key] for key in ("source", "seed", "kind", "objects", "trials_per_scene", "robot")} == {
        "source": "inprocess",
        "seed": 3,
        "kind": "gripper",
        "objects": "train",
        "trials_per_scene": EACH,
        "robot": "sim",
    }
    assert summarize(report.folder).hours * 3600 == pytest.approx(18 * 1.7)
    assert "shards " in format_summary(report.folder, report.summary)
    assert PictureSource(report.folder).approach(trials[7]).shape == (64, 96, 3)


@pytest.mark.parametrize("workers", [1, 3])
def test_the_number_of_workers_changes_no_byte(tmp_path, reference, workers):
    assert digest(run(tmp_path, workers=workers).folder) == digest(reference)


def test_another_seed_gives_other_trials(tmp_path, reference, inline):
    other = digest(run(tmp_path, seed=4).folder)
    assert all(other[name] != digest(reference)[name] for name in other)


@pytest.mark.parametrize("trouble", ["die", "hang"])
def test_a_worker_that_is_lost_changes_no_byte(tmp_path, reference, trouble):
    report = run(tmp_path / "data", trouble, tmp_path / "marker", block_deadline=3.0, workers=1)
    assert len(report.notes) == 1 and "block 1" in report.notes[0] and "done again" in report.notes[0]
    assert digest(report.folder) == digest(reference)


@pytest.mark.parametrize("steps", [(2, 5, 18), (4, 18), (17, 18), (18, 7, 18)])
def test_more_trials_are_added_to_what_is_there(tmp_path, reference, steps, inline):
    for step in steps:
        before = storage.count_trials(tmp_path)
        report = run(tmp_path, trials=step)
        assert report.trials == max(before, step)
    assert digest(tmp_path) == digest(reference)


def test_a_finished_simulation_starts_no_worker(reference, capsys, inline):
    before = digest(reference)
    report = run(reference, "no start")
    assert (report.simulated, report.trials) == (0, 18) and digest(reference) == before


def start(folder, trials=40, pause=0.02):
    options = ["--trials", trials, "--out", folder, "--seed", 3, "--trials-per-scene", EACH, "--minimum-free-gb", 0]
    command = [sys.executable, FAKE, pause, *options, "--workers", 2]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_trials(process, folder, count):
    give_up = time.monotonic() + 60
    while storage.count_trials(folder) < count and process.poll() is None and time.monotonic() < give_up:
        time.sleep(0.005)


def test_a_tool_that_is_killed_again_and_again_ends_with_the_same_bytes(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(whole, trials=40)
    rng, before = np.random.default_rng(1), 0
    for _ in range(2):
        process = start(killed)
        wait_for_trials(process, killed, before + 1)
        time.sleep(float(rng.uniform(0, 0.15)))
        process.kill()
        process.communicate()
        # what is told is there: every line has its row
        assert storage.missing_of(killed) == []
        assert storage.count_trials(killed) >= before
        before = storage.count_trials(killed)
    assert 0 < before < 40
    process = start(killed)
    output, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    assert "40 trials in" in output
    assert digest(killed) == digest(whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_and_keeps_what_is_finished(tmp_path, number):
    process = start(tmp_path, 4000)
    wait_for_trials(process, tmp_path, EACH)
    process.send_signal(number)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "simulate: stopped; the same command goes on"
    assert "Traceback" not in errors
    there = storage.count_trials(tmp_path)
    assert there >= EACH and there % EACH == 0 and f"{there} trials in" in output
    assert storage.writer_of(tmp_path) is None


def test_stopping_before_the_first_trial_leaves_an_empty_collection(tmp_path, inline):
    report = run(tmp_path, stopped=lambda: True)
    assert report.interrupted and report.trials == 0
    assert not run(tmp_path).interrupted


def test_a_kill_between_the_files_of_a_block_is_repaired(tmp_path, reference, inline):
    whole = {name: (reference / name).read_bytes() for name in ("trials.jsonl", "faults.jsonl")}
    for end in (len(whole["trials.jsonl"]) * part // 10 for part in range(10)):
        folder = tmp_path / str(end)
        shutil.copytree(reference, folder)
        (folder / "trials.jsonl").write_bytes(whole["trials.jsonl"][:end])  # mostly in the middle of a line
        (folder / "shards/.000004.parquet.part").write_bytes(b"half")
        run(folder, "no start")  # nothing has to be simulated
        assert digest(folder) == digest(reference)
        assert (folder / "shards/incomplete/.000004.parquet.part").read_bytes() == b"half"
    folder = tmp_path / "faults"
    shutil.copytree(reference, folder)
    (folder / "trials.jsonl").write_bytes(b"")
    (folder / "faults.jsonl").write_bytes(whole["faults.jsonl"][:-40])
    report = run(folder, "no start")
    assert digest(folder) == digest(reference)
    assert [note for note in report.notes if "torn last line" in note]


@pytest.mark.parametrize("how", ["gone", "cut"])
def test_a_shard_that_is_gone_or_damaged_is_told_and_made_again(tmp_path, reference, how, inline):
    run(tmp_path)
    path = tmp_path / "shards/000002.parquet"
    path.unlink() if how == "gone" else os.truncate(path, 5000)
    assert [line["block"] for line in storage.missing_of(tmp_path)] == [2] * EACH
    assert storage.count_trials(tmp_path) == 18 - EACH
    assert "shards/000002.parquet" in format_summary(tmp_path, summarize(tmp_path))
    report = run(tmp_path)
    assert any("000002.parquet is missing or damaged" in note for note in report.notes)
    assert digest(tmp_path) == digest(reference)


def test_blocks_that_come_late_are_written_in_their_order(tmp_path, reference):
    wanted = settings(tmp_path)
    setup = FakeSetup(wanted.plan)
    contents = [setup()(Job(block, min(EACH, 18 - EACH * block)), lambda: None) for block in range(5)]
    with ShardCollection(tmp_path, module.collection_info(wanted, "fake")) as collection:
        counts = []
        for block in (3, 1, 0, 4, 2):
            collection.add_block(block, contents[block])
            counts.append(collection.recorded)
        assert counts == [0, 0, 8, 8, 18]
        assert collection.outcomes["SUCCESS"] + collection.outcomes["FAILURE"] == 18
    assert digest(tmp_path) == digest(reference)


@pytest.mark.parametrize("name, call", [(name, call) for name in ("write", "fsync", "rename") for call in range(4)])
def test_a_full_disk_loses_nothing(tmp_path, reference, monkeypatch, name, call, inline):
    run(tmp_path, trials=8)
    with monkeypatch.context() as patch:
        # the first calls write collection.yaml and open the folder; later ones write blocks
        fail_at(patch, name, call + 4, errno.ENOSPC)
        try:
            run(tmp_path, workers=1)
        except storage.DiskFullError as error:
            assert str(tmp_path) in str(error) and "free some space" in str(error)
    assert storage.missing_of(tmp_path) == []
    assert storage.count_trials(tmp_path) >= 8
    run(tmp_path)
    assert digest(tmp_path) == digest(reference)


def test_a_disk_that_is_really_full_is_told_and_goes_on_with_room(small_disk, inline):  # noqa: F811
    ballast = small_disk / "ballast"
    run(small_disk / "data", trials=4)
    ballast.write_bytes(bytes(120_000))
    with pytest.raises(storage.DiskFullError, match="free some space"):
        run(small_disk / "data", trials=40)
    there = storage.count_trials(small_disk / "data")
    assert 4 <= there < 40 and storage.missing_of(small_disk / "data") == []
    ballast.unlink()
    assert run(small_disk / "data", trials=there + 4).trials == there + 4


def test_too_little_room_is_told_before_a_worker_starts(tmp_path, inline):
    with pytest.raises(storage.DiskFullError, match="GB free"):
        run(tmp_path / "new", "no start", minimum_free_gb=1e9)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "change", [{"seed": 4}, {"kind": "arm"}, {"objects": "test"}, {"trials_per_scene": 5}, {"objects_per_scene": 9}]
)
def test_another_kind_of_simulation_is_refused(tmp_path, change, inline):
    run(tmp_path, trials=2)
    before = digest(tmp_path)
    key, value = next(iter(change.items()))
    with pytest.raises(storage.WrongCollectionError, match=f"{key} is .* there and {value!r} now"):
        run(tmp_path, **change)
    assert digest(tmp_path) == before


def test_a_simulator_that_changed_is_refused_in_the_middle_of_a_scene(tmp_path, inline):
    run(tmp_path, trials=2)
    lines = [json.loads(text) for text in (tmp_path / "trials.jsonl").read_text().splitlines()]
    lines[1]["force"] = 99.0
    (tmp_path / "trials.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(storage.WrongCollectionError, match="block 0 gave other trials now"):
        run(tmp_path)
    assert storage.count_trials(tmp_path) == 2


def test_bags_and_shards_do_not_mix(tmp_path, inline):
    shards, bags = tmp_path / "shards", tmp_path / "bags"
    run(shards, trials=2)
    storage.Collection(bags, info()).close()
    told = "made by `simulate`, which holds shards in the place of bags; a collection over ROS cannot add to it"
    with pytest.raises(storage.WrongCollectionError, match=told):
        storage.Collection(shards, info())
    with pytest.raises(storage.WrongCollectionError, match=told):
        storage.check_usable(shards, {"robot": "sim", "mode": "random", "stage": 0})
    with pytest.raises(storage.WrongCollectionError, match="one bag a trial; `simulate` cannot add to it"):
        run(bags)


def test_lines_that_were_removed_or_changed_are_named(tmp_path, inline):
    run(tmp_path, trials=8)
    path = tmp_path / "trials.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2] + lines[3:]))
    with pytest.raises(storage.MalformedCollectionError, match="trials.jsonl, line 3: expected trial 3, found 4"):
        run(tmp_path)
    path.write_text("".join(lines).replace('"row": 2', '"row": "two"'))
    with pytest.raises(storage.MalformedCollectionError, match="line 3: key 'row' is 'two', expected int"):
        storage.count_trials(tmp_path)


def test_two_simulations_into_one_folder_are_kept_apart(tmp_path):
    first = start(tmp_path, 4000)
    try:
        wait_for_trials(first, tmp_path, 1)
        with pytest.raises(storage.CollectionInUseError, match=f"process {first.pid} is writing"):
            run(tmp_path, trials=4000)
    finally:
        first.kill()
        first.communicate()


@pytest.mark.parametrize("trouble, told", [("fail", "ZeroDivisionError"), ("barren", "block 0 came to 0 of 4 trials")])
def test_a_block_that_fails_ends_the_simulation_with_its_reason(tmp_path, inline, trouble, told):
    with pytest.raises(SimulateError, match=f"{told}.* trials are in {tmp_path}"):
        run(tmp_path, trouble, workers=1)
    assert storage.count_trials(tmp_path) == (EACH if trouble == "fail" else 0)


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"trials": 0}, "'trials' is 0"),
        ({"workers": 0}, "'workers' is 0"),
        ({"seed": -1}, "'seed' is -1"),
        ({"trials_per_scene": 0}, "'trials_per_scene' is 0"),
        ({"objects": "test", "objects_per_scene": 900}, "objects_per_scene is 900, there are .* objects .test."),
        ({"mode": "staged"}, "mode staged wants a model"),
        ({"model": "m.safetensors"}, "mode random wants no model"),
    ],
)
def test_settings_that_make_no_sense_are_named(tmp_path, changes, told):
    with pytest.raises(ConfigError, match=told):
        settings(tmp_path, **changes)


@pytest.mark.parametrize(
    "arguments, code, told",
    [
        (["--trials", "0"], 2, "key 'trials' is 0: Input should be greater than or equal to 1"),
        (["--workers", "0"], 2, "key 'workers' is 0"),
        (["--mode", "best"], 2, "mode best wants a model, which --model names"),
        (["--mode", "best", "--model", "nowhere.safetensors"], 1, "nowhere.safetensors: the model cannot be read"),
        (["--mode", "staged", "--model", __file__], 1, "test_simulate.py"),
    ],
)
def test_the_command_tells_what_is_wrong_in_one_line(tmp_path, capsys, arguments, code, told):
    options = ["--trials", "4", "--out", str(tmp_path / "data"), "--minimum-free-gb", "0", *arguments]
    assert main(options) == code
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1 and errors[0].startswith("simulate: ") and told in errors[0]
    assert not (tmp_path / "data").exists()


def test_the_help_shows_defaults_where_there_are_some(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert end.value.code == 0
    assert "best one a core (default: " in told and "(default: 0 in random mode, else 1)" in told
    assert "None" not in told and "(default: )" not in told and "SUPPRESS" not in told


def test_a_folder_that_cannot_be_written_is_told(tmp_path, capsys):
    folder = tmp_path / "data"
    folder.mkdir(mode=0o555)
    for parent in [tmp_path, *tmp_path.parents][:3]:
        parent.chmod(parent.stat().st_mode | 0o055)
    with ordinary_user():
        assert main(["--trials", "4", "--out", str(folder)]) == 1
    assert re.fullmatch("simulate: .*Permission denied.*make it writable.*\n", capsys.readouterr().err)


def test_the_command_prints_its_figures_and_draws_the_trials(tmp_path, capsys, inline):
    options = ["--trials", "6", "--trials-per-scene", str(EACH), "--seed", "3", "--out", str(tmp_path)]
    wanted = settings(tmp_path, trials=6)
    assert main(options, FakeSetup(wanted.plan)) == 0
    output = capsys.readouterr().out
    assert re.search(
        r"6 trials in .*; grasp rate [\d.]+ % \(95 %: .* to .* %\); label agrees with truth in 6 of 6", output
    )
    assert re.search(r"without a label: .*; 6 in [\d.]+ s, \d+ trials/h", output)
    assert cv2.imread(str(tmp_path / "contact_sheet.png")).shape[0] > 200


def test_the_real_simulator_gives_the_same_bytes_in_any_process(tmp_path):
    wanted = settings(tmp_path, trials=2, trials_per_scene=1, objects_per_scene=5)
    assert simulate(wanted).trials == 2
    content = SimulatorSetup(wanted.plan, "gripper")()(Job(1, 1), lambda: None)
    assert (tmp_path / "shards/000001.parquet").read_bytes() == content
    picture = PictureSource(tmp_path).approach(next(storage.trials_of(tmp_path)))
    assert picture.shape == (800, 1280, 3) and picture.std() > 10
