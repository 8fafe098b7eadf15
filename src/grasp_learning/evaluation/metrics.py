"""Figures of predictions on a test set; those of scikit-learn where it has them, weighted ones for the bootstrap here.

(n,) arrays: labels of 0 and 1, scores, rows of the test set. A test set has as many successes as failures, so that 0.5
is chance, as in the paper (section IV.B); `balanced_rows` makes one of it where it has not.
"""

import hashlib
from typing import List, Optional, Sequence, Tuple

import numpy as np
from sklearn import metrics as sklearn_metrics

from grasp_learning.evaluation.bootstrap import Bootstrap, interval, percentiles
from grasp_learning.evaluation.results import (
    Calibration,
    Comparison,
    CurvePoint,
    Group,
    Interval,
    ReliabilityBin,
)
from grasp_learning.geometry import NUM_BINS
from grasp_learning.summary import wilson_interval

RELIABILITY_BINS = 10
CURVE_POINTS = 200
UNKNOWN, NOTHING = "unknown", "nothing near"
SMALLEST = 1e-7  # probability that a logarithm is taken of


def balanced_rows(labels: np.ndarray, trial_ids: Sequence[str], seed: int) -> np.ndarray:
    """Rows, in order, with as many successes as failures; of the larger class some are drawn.

    The draw depends on the seed and each trial alone: a set that grows keeps nearly all that it had.
    """
    groups = [np.flatnonzero(labels == label) for label in (0, 1)]
    keep = min(map(len, groups))
    kept = [sorted(group, key=lambda row: _draw(seed, trial_ids[row]))[:keep] for group in groups]
    return np.sort(np.concatenate(kept).astype(int))


def _draw(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()


def balanced_accuracy(counts: np.ndarray) -> np.ndarray:
    """Mean of the recalls of the classes that occur; (...) of counts (..., 4), NaN without rows.

    Args:
        counts: failures, successes, failures predicted right, successes predicted right.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        recalls = counts[..., 2:] / counts[..., :2]
        return np.nansum(recalls, axis=-1) / np.sum(np.isfinite(recalls), axis=-1)


def outcome_counts(labels: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(n, 4), to be summed for :func:`balanced_accuracy`."""
    failure, success = labels == 0, labels == 1
    return np.stack([failure, success, failure & right, success & right], axis=1).astype(float)


def accuracy_draws(labels: np.ndarray, right: np.ndarray, bootstrap: Bootstrap) -> Tuple[float, np.ndarray]:
    """Accuracy, and that of each draw (rounds,).

    A draw of scenes need not be balanced; the mean of both classes' recalls keeps 0.5 as its chance.
    """
    counts = outcome_counts(labels, right)
    return float(balanced_accuracy(counts.sum(axis=0))), balanced_accuracy(bootstrap.sums(counts))


def accuracy_interval(labels: np.ndarray, right: np.ndarray, bootstrap: Bootstrap) -> Interval:
    """Accuracy on a balanced set with its 95 % interval."""
    value, draws = accuracy_draws(labels, right, bootstrap)
    return interval(value, draws, bootstrap.count)


def compare(
    split: str, names: Tuple[str, str], labels: np.ndarray, rights: Tuple[np.ndarray, np.ndarray], bootstrap: Bootstrap
) -> Comparison:
    """The second method's accuracy less the first's, on the same draws.

    Args:
        rights: (n,) bool each, which rows it predicts right.
    """
    (first, first_draws), (second, second_draws) = (accuracy_draws(labels, right, bootstrap) for right in rights)
    draws = second_draws - first_draws
    low, high = percentiles(draws)
    finite = draws[np.isfinite(draws)]
    better = float(np.mean(finite > 0) + np.mean(finite == 0) / 2) if len(finite) else 0.5
    return Comparison(
        split=split,
        first=names[0],
        second=names[1],
        difference=Interval(value=second - first, low=low, high=high),
        second_better=better,
    )


def ranking_figures(labels: np.ndarray, scores: np.ndarray, bootstrap: Bootstrap) -> Tuple[Interval, Interval]:
    """Area under the ROC curve and average precision, with their intervals; not there for a single class."""
    if len(np.unique(labels)) < 2:
        return Interval(), Interval()
    ranking = Ranking(labels, scores)
    values = ranking.figures(np.ones((1, len(labels))))[0]
    draws = bootstrap.statistics(ranking.figures)
    auc, precision = (interval(float(values[i]), draws[:, i], bootstrap.count, share=False) for i in range(2))
    return auc, precision


class Ranking:
    """Rows ordered by score once, so that figures of many draws of them are sums.

    scikit-learn has these figures for one weight a row; a draw a call would take minutes.
    """

    def __init__(self, labels: np.ndarray, scores: np.ndarray):
        self._order = np.argsort(-scores, kind="stable")
        self._success = labels[self._order] == 1
        # rows of one score cannot be told apart: they count as one step
        ordered = scores[self._order]
        self._starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))

    def figures(self, weights: np.ndarray) -> np.ndarray:
        """Area under the ROC curve and average precision: (r, 2) of weights (r, n); NaN where a class has none."""
        ordered = weights[:, self._order].astype(float)
        success = np.add.reduceat(ordered * self._success, self._starts, axis=1)  # (r, steps)
        failure = np.add.reduceat(ordered * ~self._success, self._starts, axis=1)
        above, false = np.cumsum(success, axis=1), np.cumsum(failure, axis=1)
        total, total_failure = above[:, -1], false[:, -1]
        with np.errstate(divide="ignore", invalid="ignore"):
            area = np.sum(failure * (above - success / 2), axis=1) / (total * total_failure)
            precision = np.where(above + false > 0, above / (above + false), 0.0)
            average = np.sum(success * precision, axis=1) / total
        return np.stack([area, np.where(total_failure > 0, average, np.nan)], axis=1)


def precision_recall(labels: np.ndarray, scores: np.ndarray) -> List[CurvePoint]:
    """The curve by falling recall, thinned to some hundred points; empty without a success."""
    if not np.any(labels == 1):
        return []
    precision, recall, thresholds = sklearn_metrics.precision_recall_curve(labels, scores)
    kept = np.unique(np.linspace(0, len(thresholds) - 1, min(CURVE_POINTS, len(thresholds))).round().astype(int))
    return [
        CurvePoint(threshold=float(thresholds[i]), precision=float(precision[i]), recall=float(recall[i])) for i in kept
    ]


def calibration(labels: np.ndarray, scores: np.ndarray) -> Calibration:
    """How well scores are probabilities of success.

    Args:
        scores: in [0, 1].
    """
    places = np.minimum((scores * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    bins, error = [], 0.0
    for place in range(RELIABILITY_BINS):
        inside = places == place
        samples, successes = int(inside.sum()), int(labels[inside].sum())
        mean = float(scores[inside].mean()) if samples else None
        rate = share(successes, samples)
        if samples:
            error += samples / len(labels) * abs(rate.value - mean)
        limits = {"low": place / RELIABILITY_BINS, "high": (place + 1) / RELIABILITY_BINS}
        bins.append(ReliabilityBin(**limits, samples=samples, mean_score=mean, rate=rate))
    inner = np.clip(scores, SMALLEST, 1 - SMALLEST)
    loss = -np.mean(np.where(labels == 1, np.log(inner), np.log1p(-inner)))
    return Calibration(error=error, brier=float(np.mean((scores - labels) ** 2)), log_loss=float(loss), bins=bins)


def share(count: int, total: int) -> Interval:
    """A share with Wilson's interval; without a value where there is nothing to share."""
    low, high = wilson_interval(count, total)
    return Interval(value=count / total if total else None, low=low, high=high)


def group(name: str, labels: np.ndarray, scores: np.ndarray, right: np.ndarray) -> Group:
    """Figures of some rows."""
    return Group(
        name=name,
        samples=len(labels),
        successes=int(labels.sum()),
        accuracy=share(int(right.sum()), len(labels)),
        recall_success=mean_or_none(right[labels == 1]),
        recall_failure=mean_or_none(right[labels == 0]),
        mean_score=mean_or_none(scores),
    )


def mean_or_none(values: np.ndarray) -> Optional[float]:
    """Mean; None of nothing."""
    return float(np.mean(values)) if len(values) else None


def by_bin(bins: np.ndarray, labels: np.ndarray, scores: np.ndarray, right: np.ndarray) -> List[Group]:
    """A group for each of the 18 angle bins, also for those without a row."""
    masks = [bins == number for number in range(NUM_BINS)]
    return [group(str(number), labels[m], scores[m], right[m]) for number, m in enumerate(masks)]


def by_object(names: Sequence[str], labels: np.ndarray, scores: np.ndarray, right: np.ndarray) -> List[Group]:
    """A group for each nearest object, by name, those that are no name last."""
    rows = np.array(names, object)
    ordered = sorted(set(names), key=lambda name: (name in (NOTHING, UNKNOWN), name))
    masks = {name: rows == name for name in ordered}
    return [group(name, labels[m], scores[m], right[m]) for name, m in masks.items()]


def object_names(objects: Sequence[Optional[str]], near: Sequence[Optional[Tuple[str, ...]]]) -> List[str]:
    """The nearest object's name of each row, or what there is in its place."""
    return [
        name if name is not None else (NOTHING if beside is not None and not beside else UNKNOWN)
        for name, beside in zip(objects, near)
    ]
