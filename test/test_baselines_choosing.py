"""Thresholds, angle classes, and what is kept in memory."""

import numpy as np
import pytest

from grasp_learning.baselines.angle_classes import angle_classes, widened
from grasp_learning.baselines.choosing import balanced_accuracy, best_threshold
from grasp_learning.baselines.errors import TooFewSuccessesError
from grasp_learning.baselines.memo import Memo


def test_accuracy_weighs_both_classes_the_same():
    predictions, labels = np.array([True, False, False, False, True]), np.array([1, 0, 0, 0, 0])
    assert balanced_accuracy(predictions, labels) == pytest.approx((1 + 3 / 4) / 2)


@pytest.mark.parametrize("seed", range(6))
def test_no_threshold_is_better_than_the_best(seed):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([[0, 1], rng.integers(0, 2, 40)])
    # few values, so that there are ties
    scores = np.round(rng.normal(labels * 0.7, 1.0), 1 if seed % 2 else 6)
    threshold, found = best_threshold(scores, labels)
    assert balanced_accuracy(scores >= threshold, labels) == pytest.approx(found)
    tried = np.concatenate([scores, scores + 1e-9, [-99]])
    assert found == pytest.approx(max(balanced_accuracy(scores >= each, labels) for each in tried))


def test_a_gap_is_cut_in_its_middle():
    assert best_threshold(np.array([0.0, 0.1, 0.9, 1.0]), np.array([0, 0, 1, 1])) == (0.5, 1.0)


def test_scores_that_are_all_the_same_choose_nothing():
    threshold, found = best_threshold(np.zeros(4), np.array([0, 1, 0, 1]))
    assert found == 0.5
    assert np.isfinite(threshold)


def test_neighbouring_floats_are_told_apart():
    scores = np.array([1.0, np.nextafter(1.0, 2)])
    threshold, found = best_threshold(scores, np.array([0, 1]))
    assert found == 1.0
    assert (scores >= threshold).tolist() == [False, True]


def classes_of(successes, failures, **more):
    bins = np.concatenate([np.repeat(np.arange(18), successes), np.repeat(np.arange(18), failures)])
    labels = np.concatenate([np.ones(sum(successes), int), np.zeros(sum(failures), int)])
    return bins, angle_classes(bins, labels, **more)


def test_a_bin_with_enough_is_its_own_class():
    bins, classes = classes_of([5] * 18, [9] * 18, least=5)
    assert all((bins[found.rows] == index).all() and len(found.rows) == 14 for index, found in enumerate(classes))
    assert widened(classes) == {}


def test_a_bin_with_too_few_takes_in_its_neighbours_around_the_circle():
    bins, classes = classes_of([1] + [5] * 17, [9] * 18, least=5)
    assert sorted(set(bins[classes[0].rows])) == [0, 1, 17]
    assert widened(classes) == {"0": 1}


def test_at_last_a_class_has_all_there_is():
    bins, classes = classes_of([1] + [0] * 17, [9] * 18, least=5)
    assert all(len(found.rows) == len(bins) for found in classes)
    assert widened(classes) == {str(index): 9 for index in range(18)}


def test_too_few_is_an_error_where_it_should_be():
    with pytest.raises(TooFewSuccessesError, match="angle bin 3 has 2 successes and 9 failures.*at least 5.*widen"):
        classes_of([5] * 3 + [2] + [5] * 14, [9] * 18, least=5, widen=False)


@pytest.mark.parametrize("successes, failures, name", [(0, 3, "successes"), (3, 0, "failures")])
def test_one_class_alone_teaches_nothing(successes, failures, name):
    with pytest.raises(TooFewSuccessesError, match=f"no {name} among 54 patches; collect"):
        classes_of([successes] * 18, [failures] * 18)


def test_results_are_kept_until_there_are_too_many():
    made = []

    def maker(key, size):
        return lambda: made.append(key) or "x" * size

    memo = Memo(len, limit=10)
    assert memo.get("a", maker("a", 5)) == "x" * 5
    memo.get("b", maker("b", 5))
    memo.get("a", maker("a", 5))
    memo.get("c", maker("c", 5))  # b was asked for longest ago
    memo.get("a", maker("a", 5))
    memo.get("b", maker("b", 5))
    assert made == ["a", "b", "c", "b"]
    assert len(memo.get("large", maker("large", 11))) == 11
    memo.get("large", maker("large", 11))
    memo.get("b", maker("b", 5))
    assert made == ["a", "b", "c", "b", "large", "large"]
