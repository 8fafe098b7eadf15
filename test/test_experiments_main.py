"""The command: what it refuses, what it leaves out, what it tells; with steps that take no time."""

import os
import signal
import subprocess
import sys
import time

import pytest
import yaml
from experiments_samples import result_of, steps_of

from grasp_learning.experiments import main as main_module
from grasp_learning.experiments.errors import ExperimentError
from grasp_learning.experiments.experiment import Experiment
from grasp_learning.experiments.main import main
from grasp_learning.experiments.places import Places
from grasp_learning.experiments.results import Claim, ExperimentResult, Figure, load_results, load_run, save
from grasp_learning.experiments.text import format_result
from grasp_learning.folder_lock import take_lock
from grasp_learning.robot_description import find_package_file


class Small(Experiment):
    """Reads the result of one step."""

    title, question = "A small one", "Is it so?"

    def __init__(self, name, step, needs_ros=False):
        self.id, self._step, self.needs_ros = name, step, needs_ros

    def steps(self, plan):
        return [self._step]

    def figures(self, findings):
        source, command = findings.origin(self._step)
        letters = len(findings.plan.steps[self._step].result.read_text())
        return [Figure(name="letters", value=letters, unit="letters", source=source, command=command)]


class SmallPlan:
    """Stands in for Plan."""

    failing = ()

    def __init__(self, out, profile, options):
        self.profile, self.options = profile, options
        self.places = Places(out)
        settings = {name: {"seed": options.seed} for name in "abcde"}
        self.steps = steps_of(out, self.failing, settings)


@pytest.fixture
def small(monkeypatch):
    """The command with three experiments of small steps."""
    monkeypatch.setattr(main_module, "Plan", SmallPlan)
    experiments = (Small("table1", "b"), Small("table2", "d"), Small("clear_table", "e", needs_ros=True))
    monkeypatch.setattr(main_module, "EXPERIMENTS", experiments)
    monkeypatch.setattr(os, "fsync", lambda file: None)
    monkeypatch.setattr(SmallPlan, "failing", ())
    return monkeypatch


def run(out, *more):
    return main(["--profile", "smoke", "--out", str(out), "--workers", "1", *more])


def test_all_experiments_are_done_and_told_with_source_and_command(small, tmp_path, capsys):
    small.setattr(main_module.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert run(tmp_path / "out") == 0
    found = load_results(tmp_path / "out")
    assert [result.id for result in found] == ["table1", "table2", "clear_table"]
    figure = found[1].figures[0]
    assert (figure.value, figure.source) == (16, "steps/d/made/result.txt")
    assert figure.command.endswith("steps/c/made/result.txt")
    assert found[1].seconds >= found[0].seconds > 0
    info = load_run(tmp_path / "out")
    assert (info.profile, info.seed, set(info.steps)) == ("smoke", 0, set("abcde"))
    assert info.finished >= info.started and "cores" in info.machine and info.settings["random_trials"] == 150
    assert info.command.startswith("rosrun grasp_learning experiments --profile smoke")
    said = capsys.readouterr().out
    assert "table2: A small one" in said and "letters  16 letters" in said
    assert f"rosrun grasp_learning report {tmp_path / 'out'}" in said
    assert "16 letters" in (tmp_path / "out/report.html").read_text()


def test_a_repeat_does_nothing_and_changes_nothing(small, tmp_path):
    run(tmp_path / "out", "--only", "table1", "table2")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert run(tmp_path / "out", "--only", "table1", "table2") == 0
    before.pop(tmp_path / "out/.lock")
    assert all(path.read_bytes() == content for path, content in before.items())
    assert (tmp_path / "out/calls.txt").read_text().split() == list("abcd")


def test_one_experiment_alone_with_what_it_needs_and_others_later(small, tmp_path):
    assert run(tmp_path / "out", "--only", "table1") == 0
    assert (tmp_path / "out/calls.txt").read_text().split() == ["a", "b"]
    assert [result.id for result in load_results(tmp_path / "out")] == ["table1"]
    run(tmp_path / "out", "--only", "table2")
    assert load_run(tmp_path / "out").experiments == ["table1", "table2"]


def test_the_commits_of_all_runs_that_made_something_are_told(small, tmp_path):
    for commit, name in (("c0de", "table1"), ("beef", "table1"), ("beef", "table2"), ("f00d", "table2")):
        small.setattr(main_module.system, "commit", lambda commit=commit: commit)
        assert run(tmp_path / "out", "--only", name) == 0
    # the second and the last run made nothing
    assert load_run(tmp_path / "out").commit == "c0de, then beef"


def test_an_experiment_that_fails_does_not_keep_the_others_from_being_done(small, tmp_path, capsys):
    small.setattr(SmallPlan, "failing", ("b",))
    small.setattr(main_module.shutil, "which", lambda name: name)
    assert run(tmp_path / "out") == 1
    assert [result.id for result in load_results(tmp_path / "out")] == ["clear_table"]
    lines = capsys.readouterr().err.strip().splitlines()
    assert [line.split(": ")[:4] for line in lines] == [
        ["experiments", name, "step b", "tool"] for name in ("table1", "table2")
    ]
    assert load_run(tmp_path / "out").finished == ""
    small.setattr(SmallPlan, "failing", ())
    assert run(tmp_path / "out") == 0
    assert load_run(tmp_path / "out").finished != ""


def test_without_ros_the_robot_tests_are_left_out_with_a_line_unless_they_are_named(small, tmp_path, capsys):
    small.setattr(main_module.shutil, "which", lambda name: None)
    assert run(tmp_path / "out") == 0
    assert "left out: clear_table need roslaunch, which is not found" in capsys.readouterr().out
    assert [result.id for result in load_results(tmp_path / "out")] == ["table1", "table2"]
    assert run(tmp_path / "other", "--only", "clear_table") == 1
    assert "experiments: clear_table need roslaunch, which is not found: source" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_another_seed_or_profile_in_the_same_folder_is_refused_with_the_key(small, tmp_path, capsys):
    out = tmp_path / "out"
    run(out, "--only", "table1")
    assert run(out, "--only", "table1", "--seed", "4") == 1
    assert f"experiments: {out}: step a was begun with seed 0, not 4; keep that" in capsys.readouterr().err
    assert main(["--profile", "laptop", "--out", str(out)]) == 1
    assert "was begun with profile 'smoke', not 'laptop'; keep that" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more, words",
    [
        (["--profile", "huge"], "profile 'huge' is unknown: expected one of smoke, laptop, paper"),
        (["--weights", "missing.pth"], "missing.pth: no such file; name one that `train --weights` takes"),
        (["--workers", "0"], "--workers is 0: expected 1 or more"),
        (["--seed", "-1"], "--seed is -1: expected 0 or more"),
        (["--only", "table9"], "invalid choice: 'table9'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2_before_a_folder_is_made(tmp_path, capsys, more, words):
    try:
        status = run(tmp_path / "out", *more)
    except SystemExit as ended:
        status = ended.code
    assert status == 2 and words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options, words",
    [
        (
            ["--epochs", "3"],
            "experiments: --epochs in 'train_options' is given to `train` by the profile itself; leave",
        ),
        (["--only-stage"], "experiments: --only-stage in 'train_options' is given to `train` by the profile itself"),
        (["--gamma", "1"], "experiments: --gamma in 'train_options' is given to `train` by the profile itself"),
        (["--batch-size", "0"], "experiments: command line: key 'batch_size' is 0"),
        (["--bach-size", "8"], "unrecognized arguments: --bach-size 8"),
    ],
)
def test_options_of_train_are_checked_before_hours_of_trials(tmp_path, capsys, options, words):
    values = yaml.safe_load(find_package_file("config/experiments/smoke.yaml").read_text())
    profile = tmp_path / "mine.yaml"
    profile.write_text(yaml.safe_dump({**values, "train_options": options}))
    try:
        status = main(["--profile", str(profile), "--out", str(tmp_path / "out")])
    except SystemExit as ended:
        status = ended.code
    assert status == 2 and words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_ctrl_c_ends_it_with_the_command_that_goes_on(tmp_path):
    # the real plan: its first step simulates
    command = [sys.executable, "-m", "grasp_learning.experiments", "--profile", "smoke", "--only", "table1"]
    command += ["--out", str(tmp_path / "out"), "--workers", "1"]
    handled = "import signal, sys, runpy; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command[1:3] = ["-c", handled + "runpy.run_module('grasp_learning.experiments', run_name='__main__')"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        log = tmp_path / "out/steps/collect_random/log.txt"
        end = time.monotonic() + 90
        while not log.exists() and time.monotonic() < end:
            time.sleep(0.1)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=90)
    finally:
        child.kill()
    assert child.returncode == 130
    assert "experiments: interrupted at step collect_random; go on with: rosrun grasp_learning experiments" in said
    assert "Traceback" not in said
    # a tool that is left running would still have the lock
    os.close(take_lock(tmp_path / "out/.lock"))


def test_results_can_be_saved_and_read_and_damage_is_told(tmp_path):
    result = ExperimentResult(
        id="gamma", title="t", question="q", figures=[Figure(name="x", value=0.5, low=0.4, high=0.6)]
    )
    path = save(tmp_path, result)
    assert load_results(tmp_path) == [result]
    path.write_text(path.read_text()[:40])
    with pytest.raises(ExperimentError, match="gamma.json: is not JSON .*; delete it and run the experiments again"):
        load_results(tmp_path)
    path.write_text('{"format": 99}')
    with pytest.raises(ExperimentError, match="gamma.json: is of format 99, this version reads format 1"):
        load_results(tmp_path)
    path.write_text('{"format": 1, "id": "gamma", "title": "t"}')
    with pytest.raises(ExperimentError, match="gamma.json: key 'question' is missing; delete it"):
        load_results(tmp_path)


def test_a_result_is_told_with_intervals_the_papers_numbers_and_the_verdict():
    figures = [
        Figure(name="with", value=0.7012, low=0.65, high=0.75, count=300, paper=0.769),
        Figure(name="tries", value=26.4, unit="tries"),
        Figure(name="lost", value=None),
        Figure(name="paper's", paper=0.5, series="paper: novel objects", x=0),
    ]
    claim = Claim(text="It is better.", holds=None, reasons=["a < b: cannot be told."])
    text = format_result(
        ExperimentResult(id="gamma", title="Gamma", question="q", figures=figures, notes=["Look out."], order=claim)
    )
    assert [line.strip() for line in text.strip().splitlines()] == [
        "gamma: Gamma",
        "with   70.1 % (65.0 to 75.0)         paper: 76.9 %",
        "tries  26.4 tries",
        "lost   -",
        "note: Look out.",
        "It is better: cannot be told from this run",
        "a < b: cannot be told.",
    ]


def test_the_result_of_a_step_is_where_its_figures_say(small, tmp_path):
    run(tmp_path / "out", "--only", "table1")
    (figure,) = load_results(tmp_path / "out")[0].figures
    assert tmp_path / "out" / figure.source == result_of(tmp_path / "out", "b")
