"""A curriculum goes through its stages, survives kills at any point, and says what keeps it from going on."""

import errno
import functools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from training_samples import TINY_OPTIONS, bar_dataset

from grasp_learning.curriculum import folder as folder_module
from grasp_learning.curriculum import main as main_module
from grasp_learning.curriculum import tools
from grasp_learning.curriculum.child import ChildStalled, run_child, telling_words
from grasp_learning.curriculum.errors import CurriculumError, StepFailed
from grasp_learning.curriculum.folder import CurriculumFolder, load_state
from grasp_learning.curriculum.jobs import CollectJob, ModelFacts, ToolFailed, Tools, TrainJob
from grasp_learning.curriculum.machine import Curriculum
from grasp_learning.curriculum.results import StageResult, table
from grasp_learning.curriculum.settings import CurriculumSettings
from grasp_learning.durable import write_atomically
from grasp_learning.simulation import simulate
from grasp_learning.simulation.simulate import SimulateSettings
from grasp_learning.storage import Collection, CollectionInfo, file_sha256, trial_record, trials_of
from grasp_learning.training import train
from grasp_learning.trial import Outcome, Trial

FORK = multiprocessing.get_context("fork")
SMALL = CurriculumSettings(stages=2, trials=[2, 1], novel_trials=1, test_trials=1, seed=5)
SETTINGS = CurriculumSettings(stages=3, trials=[3, 2], novel_trials=2, test_trials=2, seed=5)


class FakeTools(Tools):
    """Small stand-ins that write real collections, a dataset of lines and networks of a few bytes, step by step.

    Args:
        at: called with a name at each place where a tool may be killed.
        broken: names of places at which it raises ToolFailed instead.
    """

    def __init__(self, at=lambda name: None):
        self.at = at
        self.done = []

    def collect(self, job):
        self.done.append(("collect", job.stage, job.mode, job.objects))
        sha256 = file_sha256(job.model) if job.model else ""
        info = CollectionInfo(
            robot="sim", arms=["left"], mode=job.mode, stage=job.stage, seed=job.seed, model_sha256=sha256
        )
        self.at("collect: before the folder")
        with Collection(job.folder, info) as collection:
            while collection.recorded < job.trials:
                self.at("collect: before a trial")
                held = np.random.default_rng([job.seed, collection.recorded]).random() < 0.3 + 0.3 * job.stage
                outcome = Outcome.SUCCESS if held else Outcome.FAILURE
                trial = Trial("left", job.mode, job.stage, 0.0, 1.0, outcome)
                collection.add_trial(trial_record(trial), lambda number: b"bag %d" % number)
        self.at("collect: at the end")

    def export(self, job):
        self.done.append(("export", len(job.collections)))
        job.dataset.mkdir(exist_ok=True)
        for collection in job.collections:
            self.at("export: before a part")
            lines = [f"{trial['stage']} {trial['outcome']}" for trial in trials_of(collection)]
            part = job.dataset / f"{collection.name}.txt"
            write_atomically(part, job.dataset / ".part", "\n".join(lines).encode())
        self.at("export: at the end")

    def train(self, job):
        self.done.append(("train", job.stage, job.epochs, job.gamma))
        job.folder.mkdir(exist_ok=True)
        self.at("train: before it ends")
        content = {
            "stage": job.stage,
            "parent": file_sha256(job.parent) if job.parent else "",
            "data": [path.read_text() for path in sorted(job.dataset.glob("stage*.txt"))],
            "seed": job.seed,
        }
        write_atomically(job.model, job.model.with_name(".part"), json.dumps(content).encode())
        self.at("train: at the end")

    def patches_of(self, dataset, collection):
        part = dataset / f"{collection}.txt"
        return len(part.read_text().splitlines()) if part.exists() else 0

    def model_facts(self, model):
        if not model.exists():
            return None
        try:
            content = json.loads(model.read_text())
        except ValueError:
            raise ToolFailed(f"{model}: is truncated") from None
        patches = sum(len(text.splitlines()) for text in content["data"])
        return ModelFacts(file_sha256(model), content["stage"], content["parent"], patches, 0.7, 0.6)


@pytest.fixture(autouse=True)
def without_sync(monkeypatch):
    # a killed process loses nothing that was written; only a power cut would, which no test can make
    monkeypatch.setattr(os, "fsync", lambda file: None)


def run(path, settings=SETTINGS, tools=None, say=lambda text: None):
    tools = tools or FakeTools()
    with CurriculumFolder(path, patience=10) as folder:
        results = Curriculum(folder, settings, tools, say).run()
    return results, tools


def state_of(path):
    """What matters of a folder: trials, dataset, networks and results, without times."""
    state = {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.glob("stage*/model.safetensors"))}
    state.update({file.name: file.read_bytes() for file in sorted(path.glob("dataset/*.txt"))})
    for collection in sorted(path.glob("collections/*")):
        state[collection.name] = [(t["number"], t["stage"], t["outcome"], t["mode"]) for t in trials_of(collection)]
    results = load_state(path)["stages"]
    for result in results:
        result.pop("seconds")
    return {**state, "results": results}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    path = tmp_path_factory.mktemp("undisturbed") / "out"
    run(path)
    return path


def test_each_stage_collects_with_the_network_before_it_and_trains_on_all(tmp_path):
    results, tools = run(tmp_path / "out")
    assert [step for step in tools.done if step[0] == "collect"] == [
        ("collect", 0, "random", "train"),
        ("collect", 0, "random", "test"),
        ("collect", 0, "best", "test"),
        ("collect", 1, "staged", "train"),
        ("collect", 1, "best", "test"),
        ("collect", 2, "staged", "train"),
        ("collect", 2, "best", "test"),
    ]
    assert [(r.stage, r.trials, r.test_trials, r.dataset) for r in results] == [
        (0, 3, 2, 3),
        (1, 2, 2, 5),
        (2, 2, 2, 7),
    ]
    assert [step[1] for step in tools.done if step[0] == "export"] == [2, 3, 4]
    models = [json.loads((tmp_path / f"out/stage{stage}/model.safetensors").read_text()) for stage in range(3)]
    assert models[1]["parent"] == results[0].model_sha256 and models[2]["parent"] == results[1].model_sha256
    assert len({model["seed"] for model in models}) == 3


def test_a_finished_curriculum_does_nothing_again_and_tells_its_results(undisturbed):
    before = state_of(undisturbed)
    said = []
    results, tools = run(undisturbed, say=said.append)
    assert tools.done == [] and state_of(undisturbed) == before
    assert "after stage 2" in said[-1] and len(results) == 3


class KilledAt:
    """Kills this process at the n-th place where it may be killed."""

    def __init__(self, n):
        self.left = n

    def __call__(self, _name):
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1


def _run_killed(path, settings, n):
    at = KilledAt(n)
    real = folder_module.write_atomically

    def write(target, part, content):
        at("before curriculum.json is written")
        part.write_bytes(content[: len(content) // 2])
        at("curriculum.json is half written")
        real(target, part, content)
        at("after curriculum.json was written")

    folder_module.write_atomically = write
    run(path, settings, FakeTools(at))


def test_killed_anywhere_and_run_again_it_ends_as_if_undisturbed(tmp_path):
    run(tmp_path / "undisturbed", SMALL)
    wanted = state_of(tmp_path / "undisturbed")
    for n in range(1000):
        path = tmp_path / str(n)
        child = FORK.Process(target=_run_killed, args=(path, SMALL, n))
        child.start()
        child.join(30)
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL, f"place {n}"
        run(path, SMALL)
        assert state_of(path) == wanted, f"killed at place {n}"
    assert n > 50  # so many places there are


def test_killed_at_each_start_it_still_comes_to_its_end(undisturbed, tmp_path):
    for _ in range(300):
        child = FORK.Process(target=_run_killed, args=(tmp_path / "out", SETTINGS, 29))
        child.start()
        child.join(30)
        if child.exitcode == 0:
            break
    assert child.exitcode == 0
    assert state_of(tmp_path / "out") == state_of(undisturbed)


@pytest.mark.parametrize("step", ["collect: before a trial", "export: before a part", "train: before it ends"])
def test_a_step_that_fails_is_named_with_its_reason_and_log_and_may_be_repeated(undisturbed, tmp_path, step):
    def at(name):
        if name == step:
            raise ToolFailed("simulate: out of luck")

    name = step.split(":")[0]
    with pytest.raises(StepFailed) as failed:
        run(tmp_path / "out", tools=FakeTools(at))
    log = tmp_path / f"out/stage0/{name}.log"
    assert str(failed.value) == f"stage 0, {name}: simulate: out of luck (log: {log})"
    run(tmp_path / "out")
    assert state_of(tmp_path / "out") == state_of(undisturbed)


def test_a_collection_that_ends_early_is_not_taken_for_finished(tmp_path):
    class Lazy(FakeTools):
        def collect(self, job):
            super().collect(type(job)(**{**vars(job), "trials": job.trials - 1}))

    with pytest.raises(StepFailed, match=r"stage 0, collect: recorded only 2 of 3 trials \(log: "):
        run(tmp_path / "out", tools=Lazy())
    results, _ = run(tmp_path / "out")
    assert [result.trials for result in results] == [3, 2, 2]


def test_an_export_without_the_stages_trials_is_no_success(tmp_path):
    class Forgetful(FakeTools):
        def export(self, job):
            super().export(type(job)(**{**vars(job), "collections": job.collections[:2]}))

    with pytest.raises(StepFailed, match="stage 1, export: no trial of stage 1 came into"):
        run(tmp_path / "out", tools=Forgetful())


def test_a_full_disk_is_told_and_what_was_there_stays(undisturbed, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x")

    def at(name):
        if name == "train: before it ends":
            full()

    with pytest.raises(StepFailed, match=r"stage 0, train: .*No space left.*free some space.*train.log"):
        run(tmp_path / "out", tools=FakeTools(at))
    with monkeypatch.context() as patch:
        patch.setattr(folder_module, "write_atomically", full)
        with pytest.raises(CurriculumError, match="No space left"):
            run(tmp_path / "out")
    run(tmp_path / "out")
    assert state_of(tmp_path / "out") == state_of(undisturbed)


# What may change when it is resumed


@pytest.mark.parametrize(
    "change, told",
    [
        ({"seed": 6}, "seed 5, not 6"),
        ({"novel_trials": 3}, "novel_trials 2, not 3"),
        ({"gamma": 2.0}, "gamma 3.0, not 2.0"),
        ({"workcell": "ros"}, "workcell 'inprocess', not 'ros'"),
        ({"trials": [4, 2]}, "trials of stage 0 3, not 4"),
        ({"trials": [3, 2, 5]}, "trials of stage 2 2, not 5"),
        ({"epochs": [7]}, "epochs of stage 0 0, not 7"),
        ({"train_options": ["--weights", "none"]}, "train_options [], not"),
        ({"stages": 2}, "3 stages have begun"),
    ],
)
def test_what_a_stage_was_made_with_cannot_be_changed_afterwards(undisturbed, change, told):
    before = (undisturbed / "curriculum.json").read_bytes()
    with pytest.raises(CurriculumError) as error:
        run(undisturbed, SETTINGS.model_copy(update=change))
    assert told in str(error.value) and "start another folder" in str(error.value)
    assert (undisturbed / "curriculum.json").read_bytes() == before


def test_more_stages_more_tests_and_other_workers_may_be_asked_for_later(tmp_path):
    run(tmp_path / "out", SETTINGS.model_copy(update={"stages": 1, "test_trials": 0}))
    more = SETTINGS.model_copy(update={"stages": 2, "workers": 4, "trials": [3, 4], "test_trials": 1})
    results, tools = run(tmp_path / "out", more)
    assert [(result.trials, result.test_trials) for result in results] == [(3, 1), (4, 1)]
    assert ("collect", 0, "random", "train") not in tools.done


def test_collections_of_learnt_stages_may_be_removed(tmp_path):
    before, _ = run(tmp_path / "out", SETTINGS.model_copy(update={"stages": 1}))
    for file in sorted((tmp_path / "out/collections/stage0").rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    (tmp_path / "out/collections/stage0").rmdir()
    after, tools = run(tmp_path / "out", SETTINGS.model_copy(update={"stages": 2}))
    assert (after[0].trials, after[0].positives) == (3, before[0].positives)
    assert ("collect", 0, "random", "train") not in tools.done and after[1].trials == 2


def test_a_network_of_another_curriculum_is_refused(undisturbed, tmp_path):
    run(tmp_path / "out", SETTINGS.model_copy(update={"stages": 2}))
    other, _ = run(tmp_path / "other", SETTINGS.model_copy(update={"stages": 1, "seed": 8}))
    ours = tmp_path / "out/stage0/model.safetensors"
    ours.write_bytes((tmp_path / "other/stage0/model.safetensors").read_bytes())
    with pytest.raises(StepFailed, match="stage1/model.safetensors: was not finetuned from .*stage0"):
        run(tmp_path / "out", SETTINGS.model_copy(update={"stages": 2}))
    (tmp_path / "out/stage1/model.safetensors").write_bytes(ours.read_bytes())
    with pytest.raises(StepFailed, match="is the network of stage 0, not 1; remove it"):
        run(tmp_path / "out", SETTINGS.model_copy(update={"stages": 2}))
    ours.write_bytes(b"{")
    with pytest.raises(StepFailed, match="is truncated; remove it to train it again"):
        run(tmp_path / "out", SETTINGS.model_copy(update={"stages": 2}))


def test_seeds_of_stages_differ_and_are_numbers_that_ros_can_hold():
    seeds = [SETTINGS.stream(stage, purpose) for stage in range(50) for purpose in range(4)]
    assert len(set(seeds)) == 200 and min(seeds) >= 0 and max(seeds) < 2**31


# The folder


def test_two_curricula_do_not_work_in_one_folder(tmp_path):
    with CurriculumFolder(tmp_path / "out"):
        with pytest.raises(CurriculumError, match=f"out: process {os.getpid()} works in it"):
            CurriculumFolder(tmp_path / "out", patience=0)


def test_the_next_curriculum_waits_for_the_tool_that_a_killed_one_left(tmp_path):
    def begin(path):
        held = CurriculumFolder(path)
        subprocess.Popen(["sleep", "2"], pass_fds=[held.lock])
        os.kill(os.getpid(), signal.SIGKILL)

    child = FORK.Process(target=begin, args=(tmp_path / "out",))
    child.start()
    child.join(20)
    with pytest.raises(CurriculumError, match="a tool of a curriculum that was killed works in it"):
        CurriculumFolder(tmp_path / "out", patience=0)
    with CurriculumFolder(tmp_path / "out", patience=20):
        pass


@pytest.mark.parametrize(
    "prepare, told",
    [
        (lambda path: path.write_text("x"), "is a file; name a folder"),
        (lambda path: (path.mkdir(), (path / "thesis.tex").touch()), "holds files but no curriculum.json"),
        (lambda path: (path.mkdir(), (path / "curriculum.json").write_text("{")), "curriculum.json: is not JSON"),
        (lambda path: (path.mkdir(), (path / "curriculum.json").write_text("[]")), "expected an object with format 1"),
        (
            lambda path: (
                path.mkdir(),
                (path / "curriculum.json").write_text('{"format": 1, "stages": [], "settings": {"stages": 0}}'),
            ),
            "curriculum.json: key 'stages' is 0",
        ),
    ],
)
def test_a_folder_that_is_none_is_refused_in_one_line(tmp_path, prepare, told):
    prepare(tmp_path / "out")
    with pytest.raises(CurriculumError) as error:
        run(tmp_path / "out")
    assert told in str(error.value) and "\n" not in str(error.value)


# Children


def child_of(code):
    return [sys.executable, "-c", code]


def test_a_child_writes_into_its_log_and_its_reason_is_found_there(tmp_path):
    log = tmp_path / "a.log"
    code = "import sys; print('trial 1'); print('simulate: DIR: disk full', file=sys.stderr); sys.exit(1)"
    ended = run_child(child_of(code), log, 30, lambda: 0)
    assert (ended.status, ended.words) == (1, "simulate: DIR: disk full")
    assert run_child(child_of("pass"), log, 30, lambda: 0).words == ""
    assert log.read_text().count(sys.executable) == 2 and "trial 1" in log.read_text()


@pytest.mark.parametrize(
    "text, words",
    [
        ("\x1b[31m[FATAL] [1.2]: collection ends: no room\x1b[0m\nFAILED: 3 trials\ndone\n", "no room"),
        ("trial 1\nFAILED: 3 trials recorded\n[collector-7] process has finished\n", "3 trials recorded"),
        ("Traceback:\n  File x\nValueError: nonsense\n", "ValueError: nonsense"),
        ("epoch 1 |###\repoch 2 |####\rKilled\n", "Killed"),
        ("", ""),
    ],
)
def test_the_line_that_tells_most_is_found(tmp_path, text, words):
    (tmp_path / "log").write_text(text)
    assert telling_words(tmp_path / "log") == words


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def test_a_child_that_does_nothing_is_ended(tmp_path):
    with pytest.raises(ChildStalled, match="nothing happened for 1 s"):
        run_child(
            child_of("import os, time; print(os.getpid(), flush=True); time.sleep(60)"), tmp_path / "log", 0.7, int
        )
    assert not alive(pid_in(tmp_path / "log"))


def pid_in(log):
    numbers = [line for line in log.read_text().splitlines() if line.isdigit()]
    return int(numbers[0]) if numbers else 0


def _run_a_child(code, log):
    run_child(child_of(code), log, 60, lambda: 0)


def test_ctrl_c_while_a_tool_is_being_started_is_not_lost_and_leaves_nothing_running(tmp_path, monkeypatch):
    started = []

    class Interrupted(subprocess.Popen):
        def __init__(self, *args, **more):
            os.kill(os.getpid(), signal.SIGINT)
            super().__init__(*args, **more)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_child([sys.executable, "-c", SLEEPER], tmp_path / "log", 60, int)
    finally:
        signal.signal(signal.SIGINT, before)
    assert started[0].poll() is not None


SLEEPER = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_child_ends_with_its_parent(tmp_path, number):
    parent = FORK.Process(target=functools.partial(_run_a_child, SLEEPER, tmp_path / "log"))
    parent.start()
    wait_for(lambda: (tmp_path / "log").exists() and pid_in(tmp_path / "log"), "the child has begun")
    child = pid_in(tmp_path / "log")
    os.kill(parent.pid, number)
    parent.join(20)
    wait_for(lambda: not alive(child), "the child has ended")


# Figures


def test_the_table_tells_rate_and_interval_of_each_stage():
    results = [
        StageResult(
            0, 100, 8, 100, 0.61, 0.55, novel_trials=50, novel_positives=4, seconds={"collect": 60.0, "train": 3}
        ),
        StageResult(1, 50, 20, 150, seconds={"collect": 3700.0}),
    ]
    lines = [" ".join(line.split()) for line in table(results).splitlines()]
    assert lines[1] == "0 random 100 8 8.0 % (4.1 to 15.0) 100 0.610 0.550 1 min 03 s"
    assert lines[2] == "1 model 0 50 20 40.0 % (27.6 to 53.8) 150 - - 1 h 01 min"
    assert lines[3] == "random grasps on novel objects: 8.0 % (3.2 to 18.8) of 50 trials"
    assert "novel objects" not in lines[0]


def test_the_picture_has_a_mark_at_each_rate(undisturbed):
    picture = cv2.imread(str(undisturbed / "curriculum.png"))
    collected = (np.abs(picture.astype(int) - (160, 110, 30)) < 12).all(axis=2)
    columns = np.flatnonzero(collected[120:420].any(axis=0))
    assert len({round(float(u) / picture.shape[1] * 6) for u in columns}) >= 3


# The command


@pytest.fixture
def with_fakes(monkeypatch):
    """The command with fake tools; yields the list of those that were made."""
    made = []

    def make(settings, keep_open, say):
        made.append((settings, FakeTools(lambda name: None)))
        return made[-1][1]

    monkeypatch.setattr(main_module, "CommandLineTools", make)
    return made


def test_the_command_goes_on_with_what_it_was_begun_with(with_fakes, tmp_path, capsys):
    out = str(tmp_path / "out")
    begin = ["--out", out, "--trials", "4", "--novel-trials", "2", "--stages", "1", "--seed", "3", "--epochs", "2"]
    assert main_module.main([*begin, "--", "--weights", "none"]) == 0
    assert "after stage 0" in capsys.readouterr().out
    assert main_module.main(["--out", out, "--stages", "3", "--stage-trials", "2", "1"]) == 0
    settings = with_fakes[-1][0]
    assert (settings.seed, settings.trials, settings.epochs, settings.novel_trials) == (3, [4, 2, 1], [2], 2)
    assert settings.train_options == ["--weights", "none"]
    words = capsys.readouterr().out
    assert "after stage 2" in words and str(tmp_path / "out/curriculum.png") in words


def test_one_number_of_trials_is_a_quarter_of_it_in_later_stages(with_fakes, tmp_path):
    assert main_module.main(["--out", str(tmp_path / "out"), "--trials", "8", "--novel-trials", "0"]) == 0
    results = load_state(tmp_path / "out")["stages"]
    assert [result["trials"] for result in results] == [8, 2]
    assert not (tmp_path / "out/collections/novel").exists()


@pytest.mark.parametrize(
    "options, told",
    [
        (["--stages", "0"], "key 'stages' is 0"),
        (["--trials", "0"], "key 'trials'"),
        (["--trials", "-4"], "expected whole numbers above 0"),
        (["--workers", "0"], "key 'workers' is 0"),
        (["--gamma", "nan"], "key 'gamma' is nan"),
        (["--test-trials", "-1"], "key 'test_trials' is -1"),
        (["--stage-trials", "5", "5"], "--stage-trials has 2 numbers, expected at most 1 with 2 stages"),
        (["--epochs", "5", "5", "5"], "--epochs has 3 numbers, expected at most 2"),
        (["--", "--batch-size", "0"], "key 'batch_size' is 0"),
        (["--", "--config", "/nowhere.yaml"], "/nowhere.yaml: cannot be read"),
        (["--", "--seed", "3"], "--seed behind -- is given to `train` by the curriculum itself"),
    ],
)
def test_a_setting_out_of_range_is_one_clear_line_and_makes_no_folder(with_fakes, tmp_path, capsys, options, told):
    assert main_module.main(["--out", str(tmp_path / "out"), *options]) == 2
    words = capsys.readouterr()
    assert words.err.startswith("curriculum: ") and told in words.err and words.err.count("\n") == 1
    assert not with_fakes and not (tmp_path / "out").exists()


def test_what_cannot_be_changed_any_more_is_an_error_and_no_wrong_usage(with_fakes, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main_module.main(["--out", out, "--trials", "4", "--stages", "1"]) == 0
    assert main_module.main(["--out", out, "--seed", "5"]) == 1
    assert "was begun with seed 0, not 5" in capsys.readouterr().err


def test_a_wrong_option_is_a_usage_error(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main_module.main(["--out", str(tmp_path), "--workcell", "gazebo"])
    assert end.value.code == 2 and "inprocess" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        main_module.main(["--out", str(tmp_path / "out"), "--", "--epochz", "3"])
    assert end.value.code == 2 and "train: error: unrecognized arguments: --epochz" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_ctrl_c_says_where_it_was_and_how_to_go_on(with_fakes, tmp_path, capsys, monkeypatch):
    def interrupted(self, job):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FakeTools, "train", interrupted)
        assert main_module.main(["--out", str(tmp_path / "a b"), "--trials", "4"]) == 130
    words = capsys.readouterr().err
    assert "interrupted at stage 0, train" in words
    assert f"rosrun grasp_learning curriculum --out '{tmp_path}/a b'" in words
    assert main_module.main(["--out", str(tmp_path / "a b")]) == 0


# The tools themselves


def collect_job(tmp_path, **changes):
    values = {"folder": tmp_path / "c", "stage": 1, "trials": 7, "seed": 3, "mode": "staged", "objects": "train"}
    return CollectJob(**{**values, "model": tmp_path / "m.safetensors", "log": tmp_path / "log", **changes})


@pytest.mark.parametrize("mode", ["random", "staged", "best"])
def test_simulate_takes_the_curriculums_command_line(tmp_path, mode):
    model = None if mode == "random" else tmp_path / "m.safetensors"
    job = collect_job(tmp_path, mode=mode, model=model, objects="test")
    parsed = simulate.parse_arguments(tools.simulate_command(job, CurriculumSettings(workers=3, kind="arm"))[3:])
    settings = SimulateSettings(**{key: vars(parsed)[key] for key in SimulateSettings.model_fields if key in parsed})
    assert (settings.trials, settings.seed, settings.mode, settings.stage) == (7, 3, mode, 1)
    assert (settings.workers, settings.kind, settings.objects) == (3, "arm", "test")
    assert (settings.out, settings.model) == (str(job.folder), str(model or ""))


def test_train_takes_the_curriculums_command_line(tmp_path):
    job = TrainJob(
        tmp_path / "d",
        tmp_path / "t",
        tmp_path / "m",
        2,
        tmp_path / "p",
        4,
        2.5,
        9,
        ["--weights", "none"],
        tmp_path / "l",
    )
    settings = train.settings_of(train.parse_arguments(tools.train_command(job)[3:]))
    assert (settings.data, settings.out, settings.init) == ([str(job.dataset)], str(job.folder), str(job.parent))
    assert (settings.stage, settings.epochs, settings.gamma, settings.seed) == (2, 4, 2.5, 9)
    assert settings.weights == "none"
    first = tools.train_command(replace(job, stage=0, parent=None, epochs=0, options=[]))[3:]
    settings = train.settings_of(train.parse_arguments(first))
    assert (settings.init, settings.epochs) == ("", None)


@pytest.mark.parametrize("mode", ["random", "staged", "best"])
def test_the_launch_files_take_the_curriculums_arguments(tmp_path, mode):
    model = None if mode == "random" else tmp_path / "m.safetensors"
    job = collect_job(tmp_path, mode=mode, model=model, stage=0 if model is None else 1)
    _, _, *arguments = tools.launch_command(job, 5)
    done = subprocess.run(
        ["roslaunch", "--dump-params", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for line in (f"/collector/mode: {mode}", "/collector/trials: 5", f"/collector/stage: {job.stage}"):
        assert line in lines
    assert f"/collector/data: {job.folder}" in lines and "/trial_recorder/seed: 3" in lines


def test_a_tool_that_fails_tells_its_own_reason(tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c/thesis.tex").touch()
    real = tools.CommandLineTools(CurriculumSettings(workers=1), [], lambda text: None)
    with pytest.raises(ToolFailed, match=r"^simulate: .*c: holds files but no collection.yaml"):
        real.collect(collect_job(tmp_path, mode="random", model=None, stage=0))
    with pytest.raises(ToolFailed, match=r"^train: .*d: is not there"):
        real.train(TrainJob(tmp_path / "d", tmp_path / "t", tmp_path / "m", 0, None, 1, 3.0, 0, [], tmp_path / "l"))
    (tmp_path / "m").write_bytes(b"PK\x03\x04" + bytes(60))
    with pytest.raises(ToolFailed, match="is a pickled PyTorch file"):
        real.model_facts(tmp_path / "m")


@pytest.mark.timeout(300)
def test_a_tiny_curriculum_from_nothing_to_a_guided_stage_survives_ctrl_c(tmp_path):
    """The real tools: simulate, export, train, collect with the network, finetune."""
    (tmp_path / "tiny.yaml").write_text(TINY_OPTIONS)
    # so few trials may all have failed: these patches of both classes come to whatever was collected
    bars = bar_dataset(tmp_path / "bars", train=8)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "grasp_learning.curriculum", "--out", str(out)]
    options = ["--trials", "4", "--stage-trials", "2", "--novel-trials", "0", "--workers", "1"]
    options += ["--seed", "1", "--epochs", "1", "--", "--config", str(tmp_path / "tiny.yaml"), "--data", str(bars)]
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    with (tmp_path / "words").open("w") as words:
        begun = subprocess.Popen([*command, *options], env=environment, stdout=words, stderr=subprocess.STDOUT)
        wait_for((out / "collections/stage0/trials.jsonl").exists, "the collection has begun", 60)
        begun.send_signal(signal.SIGINT)
        assert begun.wait(60) == 130
    assert "interrupted at stage 0, collect; go on with" in (tmp_path / "words").read_text()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    results = load_state(out)["stages"]
    assert [result["trials"] for result in results] == [4, 2]
    assert {trial["sampler"] for trial in trials_of(out / "collections/stage1")} == {"importance"}
    assert {trial["model_sha256"] for trial in trials_of(out / "collections/stage1")} == {results[0]["model_sha256"]}
    assert "after stage 1" in done.stdout
