"""From a matrix of probabilities, one row a place and one column an angle, to grasps in an order."""

from typing import List, NamedTuple, Tuple

import numpy as np

from grasp_learning.predictor.errors import PredictionError


class RankedPlace(NamedTuple):
    """A grasp that a model proposes.

    Attributes:
        u, v: grasp point (px).
        bin: angle bin.
        score: the model's probability of success.
        probabilities: (18,) of all angles there.
        exact: whether the patch was evaluated by itself.
        place: row of the matrix.
        neighbourhood: mean of the best probabilities around the place, which decides the order where it was computed;
            NaN elsewhere.
    """

    u: float
    v: float
    bin: int
    score: float
    probabilities: np.ndarray
    exact: bool
    place: int
    neighbourhood: float = float("nan")


def smooth_angles(probabilities: np.ndarray) -> np.ndarray:
    """Average each angle's log-odds with its two neighbours', [0.25, 0.5, 0.25]; the last bin is the first one's.

    The released code does so with its logits, which are log-odds.
    """
    p = np.clip(probabilities, 1e-7, 1 - 1e-7)
    odds = np.log(p) - np.log1p(-p)
    odds = 0.5 * odds + 0.25 * (np.roll(odds, 1, axis=1) + np.roll(odds, -1, axis=1))
    return (1 / (1 + np.exp(-odds))).astype(probabilities.dtype)


def best_rows(probabilities: np.ndarray, count: int) -> np.ndarray:
    """Up to `count` rows of a matrix by their best entry, the best first; equal ones keep their order."""
    return np.argsort(-probabilities.max(axis=1), kind="stable")[:count]


def rank(
    places: np.ndarray, probabilities: np.ndarray, exact: np.ndarray, count: int, min_distance: float = 0.0
) -> List[RankedPlace]:
    """The best angle of each place that was evaluated exactly, the best place first.

    Args:
        places: (n, 2) pixels.
        probabilities: (n, 18).
        exact: (n,) which rows are exact; the others are left out.
        count: how many at most.
        min_distance: a grasp nearer than this to a better one is left out (px).
    """
    chosen: List[RankedPlace] = []
    rows = np.flatnonzero(exact)
    for row in rows[best_rows(probabilities[rows], len(rows))]:
        u, v = places[row]
        if all((u - other.u) ** 2 + (v - other.v) ** 2 >= min_distance**2 for other in chosen):
            chosen.append(entry(places, probabilities, exact, int(row), int(probabilities[row].argmax())))
            if len(chosen) == count:
                break
    return chosen


def entry(places: np.ndarray, probabilities: np.ndarray, exact: np.ndarray, place: int, angle: int) -> RankedPlace:
    """An entry of the matrix as a grasp."""
    u, v = places[place]
    row = probabilities[place]
    return RankedPlace(float(u), float(v), angle, float(row[angle]), row, bool(exact[place]), place)


def draw_entry(probabilities: np.ndarray, exact: np.ndarray, top: int, rng: np.random.Generator) -> Tuple[int, int]:
    """Importance sampling: an entry (row, bin) of the matrix, drawn in proportion to its probability.

    Args:
        exact: (n,) rows that may be among the best entries.
        top: the draw is among so many of the best entries of exact rows; 0 is among all entries of the matrix.

    Raises:
        PredictionError: every entry is zero.
    """
    matrix = np.where(exact[:, None], probabilities, 0.0) if top else probabilities
    weights = matrix.reshape(-1).astype(float)
    if top:
        weights[np.argsort(-weights, kind="stable")[top:]] = 0.0
    total = weights.sum()
    if not total > 0:
        raise PredictionError("the model gives no grasp any probability of success: nothing can be drawn")
    place, angle = divmod(int(rng.choice(len(weights), p=weights / total)), probabilities.shape[1])
    return place, angle
