"""Choosing a decision threshold: accuracy where successes and failures weigh the same, as in a balanced test."""

from typing import Tuple

import numpy as np

from grasp_learning.baselines.errors import TooFewSuccessesError
from grasp_learning.evaluation.patch_set import PatchSet

NOTHING = "nothing: there are not both successes and failures to choose by"


def balanced_accuracy(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Mean of the parts of successes and of failures that are predicted right.

    Args:
        predictions: (n,) bool.
        labels: (n,) of 0 and 1, both of which occur.
    """
    success = labels == 1
    return float((predictions[success].mean() + (~predictions[~success]).mean()) / 2)


def both_classes(labels: np.ndarray) -> bool:
    """Whether there are successes and failures, so that something can be chosen by them."""
    return len(labels) > 0 and bool(labels.min() == 0) and bool(labels.max() == 1)


def require_both(test: PatchSet, name: str) -> None:
    """Check that parameters can be chosen on a test set.

    Raises:
        TooFewSuccessesError: it has successes or failures only.
    """
    if not both_classes(test.labels):
        raise TooFewSuccessesError(
            f"{name}: its parameters cannot be chosen on {test.name}, which has {int(np.sum(test.labels == 1))} "
            f"successes among {len(test)} patches; collect more test trials"
        )


def best_threshold(scores: np.ndarray, labels: np.ndarray) -> Tuple[float, float]:
    """Threshold of the highest balanced accuracy, and that accuracy.

    Thresholds lie half way between scores that occur. Of equally good ones the first in the longest run is taken, from
    its middle: a small set says little about a lone one.

    Args:
        scores: (n,) finite.
        labels: (n,) of 0 and 1, both of which occur.
    """
    values, places = np.unique(scores, return_inverse=True)
    successes = np.bincount(places, weights=labels == 1, minlength=len(values))
    failures = np.bincount(places, weights=labels == 0, minlength=len(values))
    # predicting success from values[i] on, for i = 0..len: successes that are found, failures that are told
    found = np.concatenate([[0.0], np.cumsum(successes[::-1])])[::-1] / successes.sum()
    told = np.concatenate([[0.0], np.cumsum(failures)]) / failures.sum()
    accuracies = (found + told) / 2
    edges = np.concatenate([[values[0] - 1.0], (values[:-1] + values[1:]) / 2, [values[-1] + 1.0]])
    # two neighbouring scores may be so near that nothing fits between them
    edges[1:-1] = np.where(edges[1:-1] > values[:-1], edges[1:-1], values[1:])
    return float(edges[middle_of_best(accuracies)]), float(accuracies.max())


def middle_of_best(accuracies: np.ndarray) -> int:
    """Index of the highest of (n,) accuracies; among equal ones the middle of the longest run of them."""
    best = np.flatnonzero(accuracies >= accuracies.max() - 1e-12)
    runs = np.split(best, np.flatnonzero(np.diff(best) > 1) + 1)
    longest = max(runs, key=len)
    return int(longest[len(longest) // 2])
