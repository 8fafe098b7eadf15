import numpy as np
import pytest
import scipy.stats
from sklearn import metrics as sklearn_metrics

from grasp_learning.evaluation import bootstrap as bootstrap_module
from grasp_learning.evaluation.bootstrap import Bootstrap, clusters_of, interval
from grasp_learning.evaluation.metrics import (
    Ranking,
    accuracy_draws,
    accuracy_interval,
    balanced_rows,
    by_bin,
    by_object,
    calibration,
    compare,
    object_names,
    precision_recall,
    ranking_figures,
)


def some_scores(count=300, seed=0, ties=False):
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % 2).astype(np.int8)
    scores = np.clip(0.5 + 0.2 * (labels - 0.5) + rng.normal(0, 0.2, count), 0, 1)
    return labels, np.round(scores, 1) if ties else scores


# --- balance ---


def test_balanced_rows_are_as_many_of_both_classes():
    labels = np.array([0] * 30 + [1] * 7)
    names = [f"trial {i}" for i in range(37)]
    rows = balanced_rows(labels, names, 0)
    assert labels[rows].sum() == 7 and len(rows) == 14
    assert (np.diff(rows) > 0).all()
    assert (rows == balanced_rows(labels, names, 0)).all()
    assert (rows != balanced_rows(labels, names, 1)).any()


def test_a_set_that_grows_keeps_most_of_what_it_had():
    labels = np.array([0] * 60 + [1] * 20)
    names = [f"trial {i}" for i in range(80)]
    before = {names[row] for row in balanced_rows(labels, names, 0)}
    grown = np.concatenate([labels, [0, 0, 0, 1]])
    after = {([*names, "a", "b", "c", "d"])[row] for row in balanced_rows(grown, [*names, "a", "b", "c", "d"], 0)}
    assert len(before - after) <= 3


# --- bootstrap ---


def test_interval_agrees_with_scipy_where_rows_are_drawn_alone():
    labels, scores = some_scores()
    right = (scores >= 0.5) == (labels == 1)
    ours = accuracy_interval(labels, right, Bootstrap(np.arange(300), 0, 4000))

    def statistic(rows):
        return np.mean([right[rows][labels[rows] == label].mean() for label in (0, 1)])

    theirs = scipy.stats.bootstrap(
        (np.arange(300),), statistic, vectorized=False, n_resamples=2000, method="percentile", random_state=1
    ).confidence_interval
    assert ours.value == pytest.approx(right.mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.008)


def test_trials_of_one_scene_are_drawn_together():
    # every scene is all right or all wrong: 200 patches say as much as 20 scenes
    scene_right = np.random.default_rng(0).random(20) < 0.7
    right, scenes = np.repeat(scene_right, 10), np.repeat(np.arange(20), 10)
    labels = np.tile([0, 1], 100)
    together = accuracy_interval(labels, right, Bootstrap(scenes, 0))
    alone = accuracy_interval(labels, right, Bootstrap(np.arange(200), 0))
    assert together.high - together.low > 2 * (alone.high - alone.low)
    expected = 2 * 1.96 * np.std(scene_right) / np.sqrt(20)
    assert together.high - together.low == pytest.approx(expected, rel=0.15)


def test_intervals_hold_the_truth_as_often_as_they_say():
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        chance = np.repeat(rng.beta(6, 4, 40), 8)  # of being right, of each scene; 0.6 on average
        found = accuracy_interval(
            np.tile([0, 1], 160), rng.random(320) < chance, Bootstrap(np.repeat(np.arange(40), 8), seed, 400)
        )
        held += found.low <= 0.6 <= found.high
    assert 0.89 <= held / 200 <= 0.99


def test_same_seed_same_interval_however_memory_is_shared_out(monkeypatch):
    labels, scores = some_scores()
    right = (scores >= 0.5) == (labels == 1)
    first = accuracy_draws(labels, right, Bootstrap(np.arange(300), 5, 500))[1]
    monkeypatch.setattr(bootstrap_module, "CELLS_AT_ONCE", 7 * 300)
    assert (accuracy_draws(labels, right, Bootstrap(np.arange(300), 5, 500))[1] == first).all()
    assert (accuracy_draws(labels, right, Bootstrap(np.arange(300), 6, 500))[1] != first).any()


def test_scenes_where_they_are_known_else_trials():
    names = np.array(["a", "a", "b", None], object)
    clusters, kind = clusters_of(names, np.array(["t0", "t1", "t2", "t3"], object))
    assert kind == "scene" and len(set(clusters)) == 3
    clusters, kind = clusters_of(np.array([None] * 4, object), np.array(["t"] * 4, object))
    assert kind == "trial" and len(set(clusters)) == 4


def test_all_right_on_few_scenes_is_not_certain():
    found = accuracy_interval(np.array([0, 1] * 5), np.ones(10, bool), Bootstrap(np.arange(10) // 2, 0))
    assert found.value == found.high == 1.0
    assert found.low < 0.6  # Wilson's for 5 of 5


def test_a_method_that_always_says_no_is_at_chance():
    labels = np.array([0, 1] * 20)
    found = accuracy_interval(labels, labels == 0, Bootstrap(np.arange(40), 0))
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def test_no_interval_of_what_is_not_there():
    assert interval(float("nan"), np.zeros(3), 3).value is None


# --- differences ---


def test_a_paired_difference_is_surer_than_two_intervals():
    labels = np.tile([0, 1], 200)
    hard = np.random.default_rng(0).random(400) < 0.4
    first, second = ~hard, ~hard | (np.arange(400) % 10 == 0)  # right where the first is, and a little more
    bootstrap = Bootstrap(np.arange(400), 0)
    found = compare("test_novel", ("a", "b"), labels, (first, second), bootstrap)
    alone = accuracy_interval(labels, first, bootstrap), accuracy_interval(labels, second, bootstrap)
    assert alone[0].high > alone[1].low  # they overlap
    assert found.difference.value == pytest.approx(second.mean() - first.mean())
    assert found.difference.low > 0 and found.verdict == "better" and found.second_better > 0.99
    swapped = compare("test_novel", ("b", "a"), labels, (second, first), bootstrap)
    assert swapped.verdict == "worse" and swapped.difference.high == pytest.approx(-found.difference.low)


def test_equal_methods_are_undecided():
    labels = np.tile([0, 1], 50)
    right = np.arange(100) % 3 > 0
    found = compare("test_novel", ("a", "b"), labels, (right, right), Bootstrap(np.arange(100), 0))
    assert found.verdict == "undecided" and found.second_better == 0.5


# --- ranking ---


@pytest.mark.parametrize("ties", [False, True])
def test_ranking_agrees_with_scikit_learn(ties):
    labels, scores = some_scores(ties=ties)
    weights = np.random.default_rng(1).integers(0, 4, (3, 300))
    weights[0] = 1
    for row, (auc, precision) in zip(weights, Ranking(labels, scores).figures(weights)):
        assert auc == pytest.approx(sklearn_metrics.roc_auc_score(labels, scores, sample_weight=row))
        assert precision == pytest.approx(sklearn_metrics.average_precision_score(labels, scores, sample_weight=row))


def test_ranking_intervals_hold_the_figures():
    labels, scores = some_scores()
    auc, precision = ranking_figures(labels, scores, Bootstrap(np.arange(300), 0, 500))
    assert auc.low < auc.value < auc.high and auc.high - auc.low < 0.2
    assert precision.low < precision.value < precision.high
    worst = ranking_figures(labels, -scores, Bootstrap(np.arange(300), 0, 500))[0]
    assert worst.value == pytest.approx(1 - auc.value)


def test_one_class_has_no_ranking():
    auc, precision = ranking_figures(np.ones(5), np.arange(5.0), Bootstrap(np.arange(5), 0))
    assert auc.value is None and precision.value is None


def test_precision_recall_is_thinned_and_ends_at_full_recall():
    labels, scores = some_scores(3000)
    points = precision_recall(labels, scores)
    assert len(points) <= 200
    assert points[0].recall == 1.0 and points[0].precision == 0.5
    for point in points[::20]:
        predicted = scores >= point.threshold
        assert point.precision == pytest.approx(labels[predicted].mean())
        assert point.recall == pytest.approx(predicted[labels == 1].mean())


# --- calibration ---


def test_probabilities_that_are_what_they_say():
    rng = np.random.default_rng(0)
    scores = rng.random(20000)
    labels = (rng.random(20000) < scores).astype(int)
    found = calibration(labels, scores)
    assert found.error < 0.015
    assert found.brier == pytest.approx(1 / 6, abs=0.01)
    assert found.log_loss == pytest.approx(sklearn_metrics.log_loss(labels, scores))
    assert [each.samples for each in found.bins] == pytest.approx([2000] * 10, abs=200)
    assert all(each.rate.low <= each.rate.value <= each.rate.high for each in found.bins)


def test_probabilities_that_are_too_sure_of_themselves():
    labels = np.array([1, 1, 1, 0] * 25)
    found = calibration(labels, np.ones(100))
    assert found.error == pytest.approx(0.25)
    assert np.isfinite(found.log_loss)
    assert [each.samples for each in found.bins] == [0] * 9 + [100]
    assert found.bins[0].mean_score is None and found.bins[0].rate.value is None


# --- breakdowns ---


def test_breakdown_by_angle_and_object():
    labels, scores, right = np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.2, 0.1]), np.array([1, 0, 0, 1], bool)
    bins = by_bin(np.array([0, 0, 17, 17]), labels, scores, right)
    assert len(bins) == 18 and [group.samples for group in bins[:2]] == [2, 0]
    assert bins[0].recall_success == 1.0 and bins[0].recall_failure == 0.0
    assert bins[0].mean_score == pytest.approx(0.85)
    assert bins[5].accuracy.value is None
    names = object_names(["mug", "can", None, None], [("mug",), None, (), None])
    groups = by_object(names, labels, scores, right)
    assert [group.name for group in groups] == ["can", "mug", "nothing near", "unknown"]
    assert groups[1].accuracy.value == 1.0 and groups[1].accuracy.low < 1.0
