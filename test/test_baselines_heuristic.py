"""The three heuristics on bars that hold across."""

import numpy as np
import pytest
from baseline_samples import accuracy, bar_sets, patch_set
from training_samples import bar

from grasp_learning.baselines.errors import NotFittedError, TooFewSuccessesError
from grasp_learning.baselines.heuristic import (
    NO_GRASP,
    PATCH_WIDTH,
    BestHeuristic,
    EigenvectorHeuristic,
    LimitHeuristic,
)
from grasp_learning.baselines.shapes import WINDOWS, Shapes
from grasp_learning.config import ConfigError
from grasp_learning.dataset.schema import STORED_SIDE
from grasp_learning.evaluation.method import MethodError, create_method
from grasp_learning.robot_description import GAP_CLOSED

MM = 227 / 183  # px


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    return bar_sets(tmp_path_factory.mktemp("bars") / "data")


@pytest.fixture(scope="module")
def sizes(tmp_path_factory):
    """Squares of 20 mm, 60 mm, and nothing at all; angles of 0 and 30 degrees."""
    pictures = []
    for side in (20, 60, 0):
        picture = np.full((STORED_SIDE, STORED_SIDE, 3), 150, np.uint8)
        half, middle = round(side * MM / 2), STORED_SIDE // 2
        picture[middle - half : middle + half, middle - half : middle + half] = (40, 90, 200)
        pictures += [picture, picture]
    return patch_set(tmp_path_factory.mktemp("sizes") / "data", pictures, [0, np.pi / 6] * 3, [0, 1] * 3)


def test_grasps_across_a_bar_are_predicted_to_hold(sets):
    heuristic = create_method("heuristic-eigenvector")
    heuristic.fit(*sets[:2], seed=0)
    assert accuracy(heuristic, sets[2]) >= 0.95
    # bars hold up to 30 degrees beside the perpendicular
    assert heuristic.parameters()["error_threshold_deg"] == pytest.approx(30, abs=3)
    assert heuristic.parameters()["chosen_on"] == "train and validation"


def test_scores_are_the_nearness_to_the_direction_across(tmp_path):
    angles = np.radians([90, 45, 0, 135])
    samples = patch_set(tmp_path / "data", [bar(0.0)] * 4, angles, [1, 1, 0, 0])
    heuristic = EigenvectorHeuristic()
    heuristic.fit(samples, samples, seed=0)
    assert heuristic.scores(samples) == pytest.approx([1, 0.5, 0, 0.5], abs=0.02)


def test_without_an_object_there_is_no_grasp(sizes):
    heuristic = EigenvectorHeuristic()
    heuristic.fit(sizes, sizes, seed=0)
    assert heuristic.scores(sizes)[4:].tolist() == [NO_GRASP] * 2
    assert (heuristic.scores(sizes)[:4] >= 0).all()


def test_what_is_smaller_than_the_closed_gripper_is_not_grasped(sizes):
    heuristic = create_method("heuristic-limit")
    heuristic.fit(sizes, sizes, seed=0)
    scores = heuristic.scores(sizes)
    assert scores[:2].tolist() == [NO_GRASP] * 2
    assert (scores[2:4] >= 0).all()
    assert heuristic.parameters()["eigenvalue_limit_m"] == GAP_CLOSED


def test_the_limit_is_of_the_length_not_of_the_width(tmp_path):
    # a thin bar of 20 x 140 mm: its largest eigenvalue is above the limit, as the paper has it
    thin = bar(0.0, length=round(120 * MM), width=round(20 * MM))
    samples = patch_set(tmp_path / "data", [thin, thin], [np.pi / 2, 0.0], [1, 0])
    heuristic = LimitHeuristic()
    heuristic.fit(samples, samples, seed=0)
    assert heuristic.scores(samples)[0] == pytest.approx(1, abs=0.02)


def test_the_best_one_is_no_worse_than_the_others_on_its_test_set(sets, sizes):
    for test in (sets[2], sizes):
        best = create_method("heuristic-best")
        assert best.optimistic
        best.fit(*sets[:2], seed=0)
        best.choose(test)
        for other in (EigenvectorHeuristic(), LimitHeuristic()):
            other.fit(*sets[:2], seed=0)
            assert accuracy(best, test) >= accuracy(other, test)
        assert best.parameters()["chosen_on"] == test.name
        assert best.parameters()["balanced_accuracy_there"] == pytest.approx(accuracy(best, test))


def test_the_best_limit_is_found(tmp_path):
    """Bars of 30 mm fail and bars of 50 mm hold, whatever the angle."""
    rng = np.random.default_rng(0)
    widths = [round(mm * MM) for mm in (30, 50) for _ in range(8)]
    # the ends of a bar are round: all of these are 140 px long
    pictures = [bar(rng.uniform(0, np.pi), length=140 - width, width=width) for width in widths]
    samples = patch_set(tmp_path / "data", pictures, rng.uniform(0, np.pi, 16), [0] * 8 + [1] * 8)
    best = BestHeuristic()
    best.fit(samples, samples, seed=0)
    best.choose(samples)
    assert accuracy(best, samples) == 1
    assert best.parameters()["eigenvalue"] == "smallest"
    assert 0.030 <= best.parameters()["eigenvalue_limit_m"] <= 0.052


def test_the_limit_of_the_other_heuristic_is_among_those_of_the_best_one(sizes, monkeypatch):
    """What is narrower than the gripper's gap by half a millimetre fails, what is wider by as much holds."""
    windows = len(WINDOWS)
    widths = np.tile([GAP_CLOSED - 5e-4, GAP_CLOSED + 5e-4], 3)[:, None, None] / PATCH_WIDTH * np.ones((6, windows, 2))
    shapes = Shapes(np.ones((6, windows), bool), np.zeros((6, windows)), widths)
    monkeypatch.setattr(EigenvectorHeuristic, "_shapes", lambda *_: shapes)
    for heuristic in (LimitHeuristic(), BestHeuristic()):
        heuristic.fit(sizes, sizes, seed=0)
        heuristic.choose(sizes)
        assert accuracy(heuristic, sizes) == 1


def test_nothing_to_choose_by_is_told_and_costs_nothing(sets):
    failures = sets[0].subset(sets[0].labels == 0)
    heuristic = EigenvectorHeuristic()
    heuristic.fit(failures, sets[1].subset([]), seed=0)
    assert heuristic.parameters()["chosen_on"].startswith("nothing")
    assert heuristic.parameters()["error_threshold_deg"] == 45
    assert accuracy(heuristic, sets[2]) >= 0.8


def test_validation_may_be_empty(sets):
    heuristic = EigenvectorHeuristic()
    heuristic.fit(sets[0], sets[1].subset([]), seed=0)
    assert accuracy(heuristic, sets[2]) >= 0.95


def test_a_test_set_of_one_class_is_refused(sets):
    best = create_method("heuristic-best")
    with pytest.raises(TooFewSuccessesError, match="heuristic-best.*0 successes among"):
        best.choose(sets[2].subset(sets[2].labels == 0))


def test_scores_before_fitting_are_refused(sets):
    with pytest.raises(NotFittedError, match="before it was fitted"):
        EigenvectorHeuristic().scores(sets[2])


@pytest.mark.parametrize("spec", ["heuristic-eigenvector", "heuristic-limit"])
def test_a_state_gives_the_same_answers(sets, spec):
    fitted, other = create_method(spec), create_method(spec)
    fitted.fit(*sets[:2], seed=0)
    other.restore({name: np.array(values) for name, values in fitted.state().items()})
    assert other.threshold == fitted.threshold
    assert other.parameters() == fitted.parameters()
    assert (other.scores(sets[2]) == fitted.scores(sets[2])).all()


@pytest.mark.parametrize("change", [{"rule": np.zeros(3)}, {"rule": np.array([9, 1, 0, 1.0])}, {"rule": None}])
def test_another_state_is_refused(sets, change):
    fitted = create_method("heuristic-limit")
    fitted.fit(*sets[:2], seed=0)
    with pytest.raises(MethodError, match="heuristic-limit: .*state.*fit it anew"):
        create_method("heuristic-limit").restore({**fitted.state(), **change})


@pytest.mark.parametrize(
    "options, message",
    [
        ({"windows": []}, "windows"),
        ({"windows": [0.0]}, "windows"),
        ({"patch_width": 0.0}, "patch_width"),
        ({"minimum_width": -1.0}, "minimum_width"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(MethodError, match=message):
        LimitHeuristic(**options)


def test_a_wrong_setting_of_the_segmentation_is_named():
    with pytest.raises(ConfigError, match="heuristic: segmentation: key 'colour' is unknown"):
        EigenvectorHeuristic(segmentation={"colour": 1})
    with pytest.raises(MethodError, match="key 'colour' is unknown"):
        create_method("heuristic-limit", {"segmentation": {"colour": 1}})
