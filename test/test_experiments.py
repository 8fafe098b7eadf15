"""The smoke profile, run for real: simulated, exported, trained, evaluated, with nothing made up; then over ROS."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from grasp_learning.curriculum.machine import count
from grasp_learning.dataset.reader import open_dataset
from grasp_learning.evaluation.results import load_evaluation
from grasp_learning.experiments.places import Places
from grasp_learning.experiments.profile import load_profile
from grasp_learning.experiments.results import EXPERIMENT_IDS, load_results, load_run
from grasp_learning.storage import file_sha256

pytestmark = pytest.mark.timeout(3600)  # of some minutes, on a machine that is busy with other things

ROBOT = ("grasp_rate", "clear_table")
WITHOUT_ROS = [name for name in EXPERIMENT_IDS if name not in ROBOT]


def experiments(out, *more):
    command = [sys.executable, "-m", "grasp_learning.experiments", "--profile", "smoke", "--out", str(out), *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3000, check=False)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    out = tmp_path_factory.mktemp("smoke") / "out"
    experiments(out, "--only", *WITHOUT_ROS)
    return out


def test_every_experiment_has_figures_that_can_be_traced_to_files_and_commands(smoke):
    results = load_results(smoke)
    assert [result.id for result in results] == WITHOUT_ROS
    for result in results:
        assert result.figures and result.order is not None and result.seconds > 0
        for figure in result.figures:
            if figure.series.startswith("paper"):
                continue
            assert figure.value is not None, f"{result.id}: {figure.name}"
            assert all((smoke / source).is_file() for source in figure.source.split(", "))
            assert figure.command.startswith("rosrun grasp_learning ") and str(smoke) not in figure.command
    info = load_run(smoke)
    assert (
        info.profile == "smoke"
        and info.finished
        and set(info.steps) == {path.name for path in (smoke / "steps").iterdir()}
    )


def test_the_collections_hold_what_the_profile_says_and_table_one_counts_it(smoke):
    profile, places = load_profile("smoke"), Places(smoke)
    wanted = {"random": profile.random_trials, "novel": profile.novel_trials, "seen": profile.seen_trials}
    wanted.update(stage1=profile.stage_trials[0], best_plain=profile.rerank_trials, best_reranked=profile.rerank_trials)
    assert {name: count(places.collection(name))[0] for name in wanted} == wanted
    figures = {figure.name: figure.value for figure in load_results(smoke)[0].figures}
    assert figures["total, random trials"] == profile.random_trials
    assert figures["positive, random trials"] == count(places.collection("random"))[1] > 0


def test_the_test_sets_are_balanced_and_of_tables_and_objects_that_no_training_saw(smoke):
    places = Places(smoke)
    for split, name in (("test_novel", "novel"), ("test_seen", "seen")):
        dataset = open_dataset(places.dataset(name))
        assert dataset.count(split, 0) == dataset.count(split, 1) > 0
        assert dataset.count("train") == dataset.count("validation") == 0
    random = open_dataset(places.dataset("random"))
    assert random.count("test_seen") == random.count("test_novel") == 0


def test_table_two_has_all_methods_on_both_test_sets(smoke):
    evaluation = load_evaluation(Places(smoke).evaluation("table2"))
    methods = [
        "heuristic-eigenvector",
        "heuristic-limit",
        "heuristic-best",
        "knn",
        "svm",
        "knn-turned",
        "svm-turned",
        "stage0",
        "stage1",
    ]
    for split in ("test_novel", "test_seen"):
        assert [result.method for result in evaluation.results if result.split == split] == methods
    assert len((Places(smoke).evaluation("table2") / "scores.csv").read_text().splitlines()) > len(methods)


def test_networks_were_trained_from_what_they_should_be(smoke):
    places = Places(smoke)
    assert (
        len({file_sha256(places.model(name)) for name in ("stage0", "limit50", "pretext", "untrained", "alone1")}) == 5
    )
    record = json.loads((places.step("train_stage1") / "step.json").read_text())
    assert record["needs"]["train_stage0"] == file_sha256(places.model("stage0"))
    assert record["needs"]["export_stage1"] == file_sha256(places.dataset("stage1") / "dataset.yaml")


def test_a_repeat_runs_nothing_and_gives_the_same_results(smoke):
    def state():
        files = [*(smoke / "results").iterdir(), *(smoke / "steps").glob("*/log.txt"), smoke / "experiments.json"]
        return {path: path.read_bytes() for path in files}

    before = state()
    said = experiments(smoke, "--only", *WITHOUT_ROS)
    assert state() == before and "table2: " in said and "log: " not in said


@pytest.mark.skipif(shutil.which("roslaunch") is None, reason="needs roslaunch")
def test_the_robot_tests_and_clearing_a_table_run_over_ros(smoke):
    experiments(smoke, "--only", *ROBOT)
    profile, results = load_profile("smoke"), {result.id: result for result in load_results(smoke)}
    rates = results["grasp_rate"].figures
    assert [figure.count for figure in rates] == [profile.robot_trials] * 4
    cleared = {figure.name: figure for figure in results["clear_table"].figures}
    assert cleared["tables cleared"].count == profile.tables
    assert cleared["objects put into a bin"].count == profile.table_objects
    assert all((smoke / figure.source).is_file() for figure in [*rates, *cleared.values()])
    assert os.path.getsize(smoke / "steps/clear_table/tables/tables.jsonl") > 0
