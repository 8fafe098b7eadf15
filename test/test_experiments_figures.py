"""Figures and verdicts of the experiments follow from what their steps left on the disk."""

import shutil

import numpy as np
import pytest
from dataset_samples import make_trial, write_shards
from report_samples import save_evaluation_of, save_tables

from grasp_learning.clearing import TableRecord, TablesFile
from grasp_learning.dataset.export_dataset import main as export_dataset
from grasp_learning.experiments.catalogue import EXPERIMENTS
from grasp_learning.experiments.errors import StepFailed
from grasp_learning.experiments.findings import Findings, Tries, judge_rates, rate_interval
from grasp_learning.experiments.folder import ExperimentsFolder
from grasp_learning.experiments.main import Experiments
from grasp_learning.experiments.plan import BASELINES, ROBOT_TESTS, STRONGER, Options, Plan
from grasp_learning.experiments.profile import load_profile
from grasp_learning.experiments.results import Figure
from grasp_learning.sim.holdable import HoldableObjects, save_holdable
from grasp_learning.summary import wilson_interval

BY_ID = {experiment.id: experiment for experiment in EXPERIMENTS}
# each part of right answers of the methods of an evaluation
BASELINE_SKILLS = dict(zip([*BASELINES, *STRONGER], (0.52, 0.55, 0.6, 0.68, 0.74, 0.76, 0.77)))


class Made:
    """A folder of experiments whose steps' results are invented.

    Args:
        name: of the experiment.
    """

    def __init__(self, out, name, profile="smoke"):
        self.experiment = BY_ID[name]
        self.plan = Plan(out, load_profile(profile), Options())
        self.targets = self.experiment.steps(self.plan)

    def collection(self, step, successes, trials, alike=False):
        """alike: all successes lie on the first tables, instead of being spread over all."""
        rng = np.random.default_rng(0)
        folder = self.plan.steps[step].result.parent
        objects = "test" if folder.name in ("novel", "best_plain", "best_reranked") else "train"
        held = [(place + 1) * successes // trials > place * successes // trials for place in range(trials)]
        held = sorted(held, reverse=True) if alike else held
        write_shards(folder, [make_trial(rng, each, ("mug_01",)) for each in held], objects)
        self.done(step)
        return self

    def holdable(self):
        """Two of three objects can be held."""
        path = self.plan.places.holdable
        path.parent.mkdir(parents=True)
        save_holdable(path, HoldableObjects(split="test", grasps=60, seed=0, held={"a": 9, "pan_00": 0, "b": 3}))
        self.done("holdable")
        return self

    def evaluation(self, skills, count=600):
        """skills: method -> part of right answers."""
        specs = {
            name: (name if name in BASELINE_SKILLS else f"network:{name}", skill) for name, skill in skills.items()
        }
        made = self.plan.places.evaluation("table2")
        save_evaluation_of(self.plan.places.out, specs, count)
        (step,) = [name for name in self.targets if name.startswith("evaluate_")]
        wanted = self.plan.steps[step].result.parent
        if wanted != made:
            wanted.parent.mkdir(parents=True)
            shutil.move(str(made), str(wanted))
            made.parent.rmdir()
        self.done(step)
        return self

    def done(self, step):
        with ExperimentsFolder(self.plan.places.out) as folder:
            folder.begin(self.plan.steps[step], {})
            folder.end(self.plan.steps[step], 10.0)

    @property
    def result(self):
        result = self.experiment.result(Findings(self.plan), self.targets)
        # what every experiment owes its reader
        assert len({figure.name for figure in result.figures}) == len(result.figures)
        assert result.question.endswith(".") or result.question.endswith("?")
        for figure in result.figures:
            assert figure.source and (figure.command or figure.series.startswith("paper"))
            for source in figure.source.split(", "):
                assert source.startswith("paper") or (self.plan.places.out / source).is_file()
        return result

    @property
    def values(self):
        return {figure.name: figure for figure in self.result.figures}


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def table_one(out, random, staged, **more):
    made = Made(out, "table1", **more).collection("collect_random", *random).collection("collect_stage1", *staged)
    return made.collection("collect_novel", 3, 20).collection("collect_seen", 2, 20)


def test_table_one_counts_the_trials_and_gives_rates_their_intervals(out):
    made = table_one(out, (4, 40), (9, 20))
    found = made.values
    assert [found[f"{key}, random trials"].value for key in ("positive", "negative", "total")] == [4, 36, 40]
    assert [found[f"{key}, random trials"].paper for key in ("positive", "negative", "total")] == [3245, 37042, 40287]
    rate = found["grasp rate, random trials"]
    assert (rate.low, rate.high) == pytest.approx(wilson_interval(4, 40))
    assert (rate.value, rate.count) == (0.1, 40)
    assert rate.paper == pytest.approx(0.0805, abs=1e-4)
    assert found["grasp rate, multi-staged"].value == 0.45
    assert found["grasp rate, test set"].paper == pytest.approx(0.0720, abs=1e-4)
    assert found["grasp rate, test set, seen objects"].value == 0.1
    assert made.result.seconds == 40.0


def test_what_is_summed_over_stages_names_the_collections_and_commands_of_all(out):
    made = table_one(out, (4, 40), (9, 20), profile="laptop")
    made.collection("collect_stage2", 8, 20).collection("collect_stage3", 7, 20)
    for name in ("positive, multi-staged", "grasp rate, multi-staged"):
        figure = made.values[name]
        assert len(figure.source.split(", ")) == len(figure.command.split("; ")) == 3
        assert "--out steps/collect_stage3/stage3" in figure.command
    rate = made.values["grasp rate, multi-staged"]
    assert (rate.value, rate.count, rate.paper) == (0.4, 60, pytest.approx(0.3841, abs=1e-4))


def test_trials_of_a_table_that_are_alike_are_worth_fewer(out):
    # on 12 of 60 tables every grasp held, on the others none did: that is 60 draws, not 300
    figure = Made(out, "reranking").collection("collect_best_plain", 60, 300, alike=True)
    figure = Findings(figure.plan).rate("x", "collect_best_plain")
    low, high = wilson_interval(12, 60)
    assert (figure.low, figure.high) == (pytest.approx(low, abs=0.005), pytest.approx(high, abs=0.005))
    assert figure.high - figure.low > 2 * np.subtract(*wilson_interval(60, 300)[::-1])


def test_intervals_of_rates_are_never_narrower_than_those_of_independent_trials():
    spread, one = Tries(np.array([[5, 1]] * 40)), Tries(np.array([[4, 2]]))
    assert rate_interval(spread) == pytest.approx(wilson_interval(40, 200))
    assert rate_interval(one) == wilson_interval(2, 4)
    # nothing held on any of 40 tables: Wilson's of the tables
    assert rate_interval(Tries(np.array([[5, 0]] * 40))) == wilson_interval(0, 40)


def test_intervals_of_rates_hold_the_truth_where_tables_differ():
    rng = np.random.default_rng(0)
    found = wilson = 0
    for _ in range(200):
        held = rng.binomial(25, rng.beta(1.2, 1.8, 40))  # tables on which 40 % of all grasps hold, more or fewer
        low, high = rate_interval(Tries(np.stack([np.full(40, 25), held], axis=1)))
        found += low <= 0.4 <= high
        low, high = wilson_interval(held.sum(), 1000)
        wilson += low <= 0.4 <= high
    assert found >= 180 > 150 > wilson


@pytest.mark.parametrize(
    "random, staged, holds", [((8, 200), (60, 80), True), ((40, 200), (30, 100), False), ((4, 40), (9, 20), None)]
)
def test_three_times_the_grasp_rate_is_judged_by_the_intervals(out, random, staged, holds):
    claim = table_one(out, random, staged).result.order
    assert claim.holds is holds
    assert "the paper: from 8.1 % to 38.4 %" in claim.reasons[0]


def test_three_times_the_grasp_rate_on_a_handful_of_tables_decides_nothing(out):
    claim = table_one(out, (8, 200), (40, 45)).result.order
    assert claim.holds is None
    assert "to 88.9 % (76.5 % to 95.2 %), of 9 tables only; the paper" in claim.reasons[0]


def test_table_two_names_all_methods_in_the_papers_order_with_the_papers_numbers(out):
    made = Made(out, "table2").evaluation({**BASELINE_SKILLS, "stage0": 0.8, "stage1": 0.87})
    novel = [figure for figure in made.result.figures if figure.series == "novel objects"]
    assert [figure.paper for figure in novel] == [0.534, 0.599, 0.621, 0.694, 0.733, None, None, 0.769, 0.795]
    assert [round(figure.value, 2) for figure in novel] == [0.52, 0.55, 0.6, 0.68, 0.74, 0.76, 0.77, 0.8, 0.87]
    assert all(figure.low < figure.value < figure.high and figure.count == 600 for figure in novel)
    assert made.result.order.holds is True
    assert len(made.result.order.reasons) == 4 and "upper limits" in made.result.notes[0]
    ranked = [note for note in made.result.notes if note.startswith("Area under the ROC curve")]
    area = Findings(made.plan).evaluation("table2").result("stage0", "test_novel").auc
    assert f"deep network {area.value:.3f} ({area.low:.3f} to {area.high:.3f})" in ranked[0]
    assert "on novel objects" in ranked[0] and "on seen objects" in ranked[1]


def test_a_baseline_that_wins_is_told_first_and_the_order_does_not_hold(out):
    made = Made(out, "table2").evaluation({**BASELINE_SKILLS, "svm": 0.9, "stage0": 0.6, "stage1": 0.65})
    assert made.result.notes[0] == (
        "Better than the network + stages on novel objects: "
        "HoG + kNN; HoG + linear SVMs; HoG + kNN, patches turned; HoG + linear SVMs, patches turned."
    )
    assert made.result.order.holds is False
    broken = [reason for reason in made.result.order.reasons if "does not hold" in reason]
    assert len(broken) == 1 and broken[0].startswith(
        "HoG + linear SVMs < deep network: does not hold, -30.0 points (95 %"
    )


def test_an_order_within_the_intervals_is_not_called_true(out):
    made = Made(out, "table2").evaluation({**BASELINE_SKILLS, "stage0": 0.8, "stage1": 0.81}, count=100)
    assert made.result.order.holds is None
    assert any("cannot be told, +1.0 points" in reason for reason in made.result.order.reasons)


def test_a_handful_of_tables_decides_nothing(out):
    made = Made(out, "table2").evaluation({**BASELINE_SKILLS, "stage0": 0.99, "stage1": 1.0}, count=8)
    assert made.result.order.holds is None
    assert all(reason.endswith(", of 8 trials only.") for reason in made.result.order.reasons)


def test_the_curve_over_the_training_size_begins_with_a_network_that_learnt_nothing(out, tmp_path):
    made = Made(out, "fig8").evaluation({"untrained": 0.5, "limit50": 0.6, "limit100": 0.7, "stage0": 0.8})
    made.collection("collect_random", 10, 40)
    dataset = made.plan.places.dataset("random")  # whose size is the last point's
    assert export_dataset([str(made.plan.places.collection("random")), str(dataset), "--test-size", "0"]) == 0
    made.done("export_random")
    found = [figure for figure in made.result.figures if figure.series == "novel objects"]
    trained = found[-1].x
    assert [figure.x for figure in found[:3]] == [0, 50, 100] and 0 < trained <= 40
    assert [round(figure.value, 2) for figure in found] == [0.5, 0.6, 0.7, 0.8]
    assert [figure.paper for figure in found] == [0.5, None, None, None]
    papers = [(figure.x, figure.paper) for figure in made.result.figures if figure.series == "paper: seen objects"]
    assert papers == [(0, 0.5), (5000, 0.794), (10000, 0.872), (20000, 0.927), (40000, 0.957)]
    assert made.result.order.holds is True


def test_pretraining_tells_that_imagenet_is_missing(out):
    made = Made(out, "pretraining").evaluation({"stage0": 0.6, "pretext": 0.72})
    assert list(made.values)[:2] == ["random convolutions", "pretext on rendered scenes"]
    assert made.values["random convolutions"].paper == 0.646
    assert "--weights" in made.result.notes[0] and made.result.order.holds is True


def test_stages_show_accuracy_and_the_collections_grasp_rate(out):
    made = Made(out, "stages").evaluation({"stage0": 0.8, "stage1": 0.7})
    made.collection("collect_random", 4, 40).collection("collect_stage1", 9, 20)
    found = made.values
    assert found["network of stage 1, novel objects"].paper == 0.793
    assert found["grasp rate of collection, stage 1"].value == 0.45
    assert made.result.order.holds is False


def test_aggregation_compares_the_two_networks_of_each_stage(out):
    made = Made(out, "aggregation").evaluation({"stage0": 0.7, "stage1": 0.8, "alone1": 0.6})
    # with aggregation, the paper's network of stage 1 is the one of its stages
    assert [figure.paper for figure in made.result.figures] == [0.769, 0.793, 0.723]
    assert made.result.order.holds is True
    assert [reason.split(":")[0] for reason in made.result.order.reasons] == [
        "stage 1 without < stage 0",
        "stage 1 without < stage 1 with aggregation",
    ]


def test_a_network_without_aggregation_that_is_better_than_before_is_no_fall(out):
    made = Made(out, "aggregation").evaluation({"stage0": 0.6, "stage1": 0.9, "alone1": 0.75})
    assert made.result.order.holds is False
    assert made.result.order.reasons[0].startswith("stage 1 without < stage 0: does not hold, -15.0 points")


def test_gamma_compares_the_papers_choice_with_the_others(out):
    made = Made(out, "gamma").evaluation({"gamma1": 0.7, "stage1": 0.71}, count=100)
    assert [figure.x for figure in made.result.figures] == [1, 3, 1, 3]
    assert made.result.order.holds is None
    assert made.result.order.text.startswith("Gamma 3, the paper's choice, is better")


@pytest.mark.parametrize(
    "plain, reranked, holds", [((3, 60), (45, 60), True), ((45, 60), (3, 60), False), ((29, 60), (30, 60), None)]
)
def test_reranking_is_judged_by_the_difference_of_the_rates(out, plain, reranked, holds):
    made = Made(out, "reranking").collection("collect_best_plain", *plain)
    made.collection("collect_best_reranked", *reranked)
    assert made.values["with re-ranking"].value == reranked[0] / reranked[1]
    assert made.result.order.holds is holds


def test_re_ranking_on_a_handful_of_tables_decides_nothing(out):
    made = Made(out, "reranking").collection("collect_best_plain", 2, 40)
    claim = made.collection("collect_best_reranked", 38, 40).result.order
    assert claim.holds is None
    assert "re-ranking: cannot be told, +90.0 points" in claim.reasons[0] and ", of 8 tables only." in claim.reasons[0]


def test_the_robot_tests_stand_beside_the_papers_rates(out):
    made = Made(out, "grasp_rate").holdable()
    for successes, (name, _, _) in zip((8, 12, 9, 14), ROBOT_TESTS):
        made.collection(f"robot_{name}", successes, 20)
    found = made.values
    assert found["novel objects, with re-ranking"].value == 0.6
    assert [figure.paper for figure in found.values()] == [None, 0.66, None, 0.73]
    assert len(made.result.order.reasons) == 3
    assert "also the 1 of 3 that nearly no grasp holds (pan_00)" in made.result.notes[0]


def test_cleared_tables_are_counted_and_those_that_were_not_are_told(out):
    made = Made(out, "clear_table", "laptop").holdable()
    save_tables(out)
    made.done("clear_table")
    found = made.values
    tries = found["tries until empty, mean of the cleared tables"]
    assert (tries.value, tries.count, tries.paper) == (27.5, 2, 26)
    assert tries.low < 27.5 < tries.high
    held = found["tries that held something"]  # 12 of 24, 31 and 60: the tables differ more than chance allows
    assert held.low < wilson_interval(36, 115)[0] and held.high > wilson_interval(36, 115)[1]
    assert "mix of novel and seen ones" in made.result.question
    assert found["tables cleared"].value == pytest.approx(2 / 3)
    assert "2 of 3 held-out objects can be held" in made.result.notes[0] and "Left out: pan_00." in made.result.notes[0]
    assert "1 of 3 tables were not cleared" in made.result.notes[1]
    assert made.result.order.holds is False


def test_tables_of_which_none_was_cleared_have_no_mean(out):
    made = Made(out, "clear_table").holdable()
    made.plan.places.tables.mkdir(parents=True)
    with TablesFile(made.plan.places.tables) as tables:
        counts = {"objects": 2, "tries": 4, "removed": 0, "seconds": 9.0}
        tables.append(TableRecord(table=1, cleared=False, outcome="TRY_LIMIT", **counts))
    made.done("clear_table")
    tries = made.values["tries until empty, mean of the cleared tables"]
    # the paper's number is of ten objects
    assert (tries.value, tries.low, tries.count, tries.paper) == (None, None, 0, None)


def test_a_damaged_file_of_what_can_be_held_is_told(out):
    made = Made(out, "clear_table").holdable()
    save_tables(out)
    made.done("clear_table")
    made.plan.places.holdable.write_text("held: 3\n")
    options, profile = made.plan.options, made.plan.profile
    with ExperimentsFolder(out) as folder:
        run = Experiments(folder, "smoke", profile, options, "experiments", lambda text: None)
        run._runner.bring = lambda names: None  # all of them are there
        with pytest.raises(StepFailed, match="its figures cannot be told: .*holdable.yaml: key 'split' is missing"):
            run._one(made.experiment)


def test_rates_are_not_compared_where_there_are_no_trials():
    some = Figure(name="b", value=0.5, low=0.4, high=0.6)
    assert judge_rates(Figure(name="a"), some).holds is None


def test_an_evaluation_of_an_older_version_is_told_with_what_to_delete(out):
    made = Made(out, "gamma").evaluation({"stage1": 0.7, "another": 0.8})
    options, profile = made.plan.options, made.plan.profile
    with ExperimentsFolder(out) as folder:
        run = Experiments(folder, "smoke", profile, options, "experiments", lambda text: None)
        with pytest.raises(StepFailed) as failed:
            run._runner.bring = lambda names: None  # all of them are there
            run._one(made.experiment)
    assert str(failed.value) == (
        f"its figures cannot be told: no result of 'gamma1' on test_novel; delete {out}/steps/evaluate_gamma to make "
        "it again"
    )
