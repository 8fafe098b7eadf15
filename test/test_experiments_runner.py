"""Steps are run once, in order, in children; what was killed goes on, what was changed is told."""

import multiprocessing
import os
import shutil
import signal
import sys
import time

import pytest
from experiments_samples import WRITER, bring, result_of, steps_of

from grasp_learning.experiments import folder as folder_module
from grasp_learning.experiments.errors import ExperimentError, StepFailed
from grasp_learning.experiments.folder import ExperimentsFolder, load_record
from grasp_learning.experiments.places import Places
from grasp_learning.experiments.runner import Runner
from grasp_learning.experiments.step import Step, closure, typed
from grasp_learning.folder_lock import take_lock

FORK = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def without_sync(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda file: None)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def calls(out):
    """Names of the commands that were started, in order."""
    path = out / "calls.txt"
    return path.read_text().split() if path.exists() else []


def test_a_step_is_run_after_those_that_it_needs_and_only_once(out):
    assert bring(out, ["d"]) == ["a", "b", "c", "d"]
    assert result_of(out, "d").read_text() == "d(c(a(),b(a())))"
    assert bring(out, ["d"]) == []
    assert bring(out, ["e", "c"]) == ["e"]
    assert calls(out) == ["a", "b", "c", "d", "e"]


def test_the_record_of_a_step_tells_command_settings_time_and_what_it_was_made_from(out):
    bring(out, ["b"])
    a, b = (load_record(Places(out), name) for name in "ab")
    assert b.settings == {"trials": 3} and b.needs == {"a": a.done.sha256}
    assert b.done.seconds > 0 and b.done.finished >= b.begun
    assert str(out) not in b.command and "steps/a/made/result.txt" in b.command
    log = (out / "steps/b/log.txt").read_text()
    assert log.startswith("# ") and "result.txt" in log


def test_steps_that_only_finished_steps_need_may_be_deleted_to_make_room(out):
    bring(out, ["c"])
    shutil.rmtree(out / "steps/a")
    assert bring(out, ["d"]) == ["d"]


def test_a_missing_stage_is_made_again_where_something_needs_it(out):
    bring(out, ["b"])
    shutil.rmtree(out / "steps/a")
    assert bring(out, ["c"]) == ["a", "c"]
    assert result_of(out, "c").read_text() == "c(a(),b(a()))"


def test_a_stage_that_came_out_otherwise_the_second_time_is_refused_with_what_was_made_from_it(out):
    bring(out, ["d"])
    shutil.rmtree(out / "steps/b")
    shutil.rmtree(out / "steps/a")
    steps = steps_of(out)
    other = [argument if argument != "a" else "another" for argument in steps["a"].command]
    steps["a"] = Step(**{**vars(steps["a"]), "command": other})
    with pytest.raises(ExperimentError) as found:
        bring(out, ["a", "d"], steps)
        bring(out, ["d"], steps)
    assert str(found.value) == (
        f"{out}/steps/c: was made from another result of step a than the one that is there now; delete that folder "
        "to make it again"
    )
    for name in "cd":
        shutil.rmtree(out / f"steps/{name}")
    bring(out, ["d"], steps)
    assert result_of(out, "d").read_text() == "d(c(another(),b(another())))"


def test_settings_that_changed_are_refused_with_the_key_before_anything_runs(out):
    bring(out, ["b"])
    changed = steps_of(out, settings={"b": {"trials": 4}})
    with pytest.raises(ExperimentError) as found:
        bring(out, ["e", "d"], changed)
    assert str(found.value) == (
        f"{out}: step b was begun with trials 3, not 4; keep that, choose another folder, or delete {out}/steps/b to "
        "make it anew"
    )
    assert calls(out) == ["a", "b"]
    shutil.rmtree(out / "steps/b")
    assert bring(out, ["b"], changed) == ["b"]


def test_a_step_that_is_to_be_made_from_more_than_it_was_is_made_again(out):
    # as an evaluation is when --weights is given later
    bring(out, ["b"])
    steps = {name: steps_of(out)[name] for name in "aeb"}
    more = [*steps["b"].command, str(result_of(out, "e"))]
    steps["b"] = Step(**{**vars(steps["b"]), "command": more, "needs": ("a", "e")})
    assert bring(out, ["b"], steps) == ["e", "b"]
    assert result_of(out, "b").read_text() == "b(a(),e())"
    assert bring(out, ["b"], steps) == []
    # what was made from more serves those who need less
    assert bring(out, ["b"]) == []


def test_a_step_that_failed_is_named_with_its_reason_and_its_log_and_can_be_run_again(out):
    with pytest.raises(StepFailed) as failed:
        bring(out, ["d"], steps_of(out, failing=["b"]))
    assert str(failed.value) == f"step b: tool: no luck today (log: {out}/steps/b/log.txt)"
    assert bring(out, ["d"]) == ["b", "c", "d"]


def test_a_step_that_failed_is_not_tried_again_for_another_experiment_of_the_same_run(out):
    with ExperimentsFolder(out) as folder:
        runner = Runner(folder, steps_of(out, failing=["a"]), 30.0, lambda text: None)
        for names in (["b"], ["d"]):
            with pytest.raises(StepFailed, match="step a: tool: no luck today"):
                runner.bring(names)
        runner.bring(["e"])
    assert (out / "steps/a/log.txt").read_text().count("no luck") == 2  # the command's line, and its words
    assert result_of(out, "e").is_file()


def test_a_tool_that_ends_well_without_its_result_has_failed(out):
    steps = steps_of(out)
    steps["a"] = Step(**{**vars(steps["a"]), "command": [sys.executable, "-c", "pass"]})
    with pytest.raises(StepFailed, match=r"step a: .*result.txt was not written \(log: "):
        bring(out, ["a"], steps)


def test_too_few_pieces_are_not_taken_for_all(out):
    with pytest.raises(StepFailed, match="step a: there are only 0 of 5 lines"):
        bring(out, ["a"], steps_of(out, counted={"a": 5}))


def test_a_tool_that_is_not_there_is_named(out):
    steps = steps_of(out)
    steps["a"] = Step(**{**vars(steps["a"]), "command": ["roslaunchh", "x"]})
    with pytest.raises(StepFailed, match="step a: roslaunchh was not found; is its environment set up"):
        bring(out, ["a"], steps)


def test_a_tool_that_hangs_is_ended(out):
    steps = steps_of(out)
    steps["a"] = Step(**{**vars(steps["a"]), "command": [sys.executable, "-c", "import time; time.sleep(60)"]})
    begin = time.monotonic()
    with pytest.raises(StepFailed, match="step a: nothing happened for 1 s"):
        bring(out, ["a"], steps, stall=1.0)
    assert time.monotonic() - begin < 50


def test_a_result_that_was_changed_by_hand_is_told(out):
    bring(out, ["a"])
    result_of(out, "a").write_text("b()")
    with pytest.raises(ExperimentError, match="result.txt: was changed since step a wrote it; put the old one back"):
        bring(out, ["b"])


def test_a_folder_that_was_copied_is_as_good(out, tmp_path):
    bring(out, ["b"])
    moved = tmp_path / "moved"
    shutil.copytree(out, moved)
    for file in moved.rglob("result.txt"):
        os.utime(file, (1, 1))
    assert bring(moved, ["b"]) == []


@pytest.mark.parametrize("content", ["{", "[]", '{"settings": 3}'])
def test_a_damaged_record_is_told_with_its_remedy(out, content):
    bring(out, ["a"])
    (out / "steps/a/step.json").write_text(content)
    with pytest.raises(ExperimentError, match=r"steps/a/step.json.*; delete .*/steps/a to make it again"):
        bring(out, ["b"])


class KilledAt:
    """Kills this process at the n-th write of a record: before, in the middle of and after it."""

    def __init__(self, n):
        self.left = n

    def __call__(self):
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1


def _run_killed(out, n):
    at, real = KilledAt(n), folder_module.write_atomically

    def write(path, part, content):
        at()
        part.write_bytes(content[: len(content) // 2])
        at()
        real(path, part, content)
        at()

    folder_module.write_atomically = write
    bring(out, ["d"])


def test_killed_anywhere_and_run_again_it_ends_as_if_undisturbed(tmp_path):
    for n in range(100):
        out = tmp_path / str(n)
        child = FORK.Process(target=_run_killed, args=(out, n))
        child.start()
        child.join(60)
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
        bring(out, ["d"])
        assert result_of(out, "d").read_text() == "d(c(a(),b(a())))"
    assert n >= 24  # two records of four steps


def test_a_killed_tool_leaves_nothing_that_is_taken_for_its_result(out):
    slow = WRITER.replace("part.write_text(text[: len(text) // 2])", 'part.write_text("hal"); time.sleep(60)')
    steps = steps_of(out)
    command = list(steps["a"].command)
    command[2] = slow
    steps["a"] = Step(**{**vars(steps["a"]), "command": command})
    child = FORK.Process(target=bring, args=(out, ["b"], steps))
    child.start()
    part = result_of(out, "a").with_name("result.txt.part")
    end = time.monotonic() + 60
    while not part.exists() and time.monotonic() < end:
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGKILL)
    child.join(10)
    assert bring(out, ["b"]) == ["a", "b"]
    assert result_of(out, "b").read_text() == "b(a())"


def test_two_cannot_work_in_one_folder(out):
    out.mkdir()
    lock = take_lock(out / ".lock")
    try:
        with pytest.raises(ExperimentError, match=f"process {os.getpid()} works in it; wait until it ends"):
            ExperimentsFolder(out, patience=0.1)
    finally:
        os.close(lock)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ExperimentError, match="holds files but no experiments.json.*choose a new or empty folder"):
        ExperimentsFolder(tmp_path)
    with pytest.raises(ExperimentError, match="thesis.tex: is a file; name a folder"):
        ExperimentsFolder(tmp_path / "thesis.tex")
    (tmp_path / "results").mkdir()
    with pytest.raises(ExperimentError, match="holds files but no experiments.json"):
        ExperimentsFolder(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results", "thesis.tex"]


def test_what_a_step_needs_comes_before_it(out):
    assert [step.name for step in closure(steps_of(out), ["d"])] == ["a", "b", "c", "d"]
    assert [step.name for step in closure(steps_of(out), ["e"])] == ["e"]


def test_commands_are_told_as_a_person_types_them(out):
    python = [sys.executable, "-c", "import this", "--out", f"{out}/steps/a/b c", "x=y"]
    assert typed("train", python, out) == "rosrun grasp_learning train --out 'steps/a/b c' x=y"
    launch = ["roslaunch", "grasp_learning", "x.launch", f"data:={out}/steps/a"]
    assert typed("roslaunch", launch, out) == "roslaunch grasp_learning x.launch data:=steps/a"
