"""Intervals by the bootstrap: draw scenes with replacement, many times, and see how much a figure varies.

Trials of one layout of the table show the same objects, so they are drawn together; drawn one by one they would
pretend to be independent, and intervals would be too narrow. Every figure of a test set is computed of the same draws,
which makes comparisons of two methods paired.
"""

from typing import Callable, Iterator, Optional, Tuple

import numpy as np

from grasp_learning.evaluation.results import Interval
from grasp_learning.summary import wilson_interval

ROUNDS = 2000
LEVEL = 0.95
CELLS_AT_ONCE = 4_000_000  # of a matrix of draws; 32 MB


class Bootstrap:
    """Draws of clusters of rows.

    Args:
        clusters: (n,) of any kind, equal for rows that belong together.
        seed: of the draws.
        rounds: how many draws.

    Attributes:
        count: of the clusters.
    """

    def __init__(self, clusters: np.ndarray, seed: int, rounds: int = ROUNDS):
        names, self._of_row = np.unique(np.asarray(clusters).astype(str), return_inverse=True)
        self._of_row = self._of_row.reshape(-1)
        self.count, self.rounds, self._seed = len(names), rounds, seed

    def draws(self, width: int = 0) -> Iterator[np.ndarray]:
        """How often each cluster was drawn: (r, count), some rounds at a time; each call gives the same ones.

        Args:
            width: columns of what the caller makes of them, so that it fits into memory; `count` by default.
        """
        rng = np.random.default_rng(self._seed)
        chances = np.full(self.count, 1.0 / self.count)
        # the generator's numbers do not depend on how they are shared out
        at_once = max(1, CELLS_AT_ONCE // max(width, self.count))
        for start in range(0, self.rounds, at_once):
            yield rng.multinomial(self.count, chances, size=min(at_once, self.rounds - start))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sums (rounds, k) of values (n, k) over the drawn rows."""
        totals = np.stack([np.bincount(self._of_row, column, self.count) for column in values.T], axis=1)
        return np.concatenate([drawn @ totals for drawn in self.draws()])

    def statistics(self, statistic: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """A figure of each draw.

        Args:
            statistic: (r, n) weights of the rows -> (r, ...).
        """
        parts = [statistic(drawn[:, self._of_row]) for drawn in self.draws(len(self._of_row))]
        return np.concatenate(parts)


def clusters_of(scenes: np.ndarray, trial_ids: np.ndarray) -> Tuple[np.ndarray, str]:
    """What is drawn together: scenes where two or more are known, else each trial by itself; and what it is called."""
    known = np.array([scene is not None for scene in scenes], bool)
    if len({*scenes[known]}) < 2:
        return np.arange(len(scenes)), "trial"
    alone = [f"trial {row} {trial}" for row, trial in enumerate(trial_ids)]
    return np.where(known, scenes, np.array(alone, object)), "scene"


def interval(value: float, draws: np.ndarray, clusters: int, share: bool = True) -> Interval:
    """A figure and the middle 95 % of its draws; those in which it does not exist are left out.

    Args:
        value: of the rows themselves.
        draws: (rounds,).
        clusters: how many were drawn.
        share: it is a share of something: where all or none of it is right, all draws are the same, which says nothing
            of how sure it is; then the interval is Wilson's for that many independent clusters.
    """
    if not np.isfinite(value):
        return Interval()
    if share and value in (0.0, 1.0):
        low, high = wilson_interval(int(value) * clusters, clusters)
        return Interval(value=value, low=low, high=high)
    low, high = percentiles(draws)
    return Interval(value=float(value), low=low, high=high)


def percentiles(draws: np.ndarray) -> Tuple[Optional[float], Optional[float]]:
    """Limits of the middle 95 % of the draws; None without a finite one."""
    finite = draws[np.isfinite(draws)]
    if not len(finite):
        return None, None
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
