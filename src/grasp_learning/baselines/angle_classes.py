"""Which training patches stand for an angle: those of its bin, or of bins beside it where these are too few."""

from typing import Dict, List, NamedTuple

import numpy as np

from grasp_learning.baselines.errors import TooFewSuccessesError
from grasp_learning.geometry import NUM_BINS

LEAST = 5  # successes, and failures, that an angle class is learnt from
WHOLE = NUM_BINS // 2  # reach with which a class has all angles


class AngleClass(NamedTuple):
    """Training patches of an angle.

    Attributes:
        rows: (m,) indices of the training set.
        reach: bins on either side that were taken in beside the angle's own.
    """

    rows: np.ndarray
    reach: int


def angle_classes(bins: np.ndarray, labels: np.ndarray, least: int = LEAST, widen: bool = True) -> List[AngleClass]:
    """The class of each of the NUM_BINS bins.

    Args:
        bins: (n,) of the training patches.
        labels: (n,) of 0 and 1.
        least: successes, and failures, that a class needs.
        widen: take in neighbouring bins, on both sides alike, until there are `least` of both, or all bins at last;
            False makes too few an error.

    Raises:
        TooFewSuccessesError: there is no success or no failure at all, or too few in a bin that must not be widened.
    """
    require_some(labels)
    distance = np.abs(bins[None, :] - np.arange(NUM_BINS)[:, None])
    distance = np.minimum(distance, NUM_BINS - distance)  # (NUM_BINS, n), of a circle
    return [_class_of(index, distance[index], labels, least, widen) for index in range(NUM_BINS)]


def require_some(labels: np.ndarray) -> None:
    """Check that there is something to learn from.

    Raises:
        TooFewSuccessesError: there is no success or no failure.
    """
    for label, name in ((1, "successes"), (0, "failures")):
        if not np.any(labels == label):
            raise TooFewSuccessesError(
                f"the training set has no {name} among {len(labels)} patches; collect and export more trials"
            )


def _class_of(index: int, distance: np.ndarray, labels: np.ndarray, least: int, widen: bool) -> AngleClass:
    for reach in range(WHOLE + 1):
        rows = np.flatnonzero(distance <= reach)
        successes = int(np.sum(labels[rows] == 1))
        if min(successes, len(rows) - successes) >= least or reach == WHOLE:
            return AngleClass(rows, reach)
        if not widen:
            raise TooFewSuccessesError(
                f"angle bin {index} has {successes} successes and {len(rows) - successes} failures to learn from, "
                f"expected at least {least} of both; collect more trials, or leave option 'widen' on to take in the "
                "bins beside it"
            )
    raise AssertionError("the last reach has all rows")


def widened(classes: List[AngleClass]) -> Dict[str, int]:
    """Bins (as text, for JSON) that were widened, and by how many bins on either side."""
    return {str(index): found.reach for index, found in enumerate(classes) if found.reach}
