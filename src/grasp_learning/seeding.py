"""Seeds of a run: the same folder and seed never give the same random choices twice."""

import threading
from collections import Counter
from typing import Dict

import numpy as np

from grasp_learning.storage import count_attempts, count_trials
from grasp_learning.trial import ARMS


def run_seed(seed: int, data: str) -> int:
    """Seed of a run into a collection's folder.

    A fresh folder gives the seed itself, so that a run can be repeated. A resumed one mixes in how many trials it
    holds, or else it would start with the objects, regions and angles of the first run again.

    Args:
        data: the folder; empty where nothing is recorded.

    Raises:
        CollectionError: the folder's list of trials is damaged.
    """
    finished = count_trials(data) if data else 0
    return seed if finished == 0 else int(np.random.SeedSequence([seed, finished]).generate_state(1)[0])


def arm_seed(seed: int, arm: str) -> int:
    """Seed of what belongs to one arm: with the run's own, both arms' planners would choose alike."""
    return int(np.random.SeedSequence([seed, ARMS.index(arm)]).generate_state(1)[0])


class Draws:
    """One generator for each random choice of a node, which depends on no clock and on nothing the other arm does.

    It is that of the seed, the node's stream, the arm, how many attempts of the arm were on disk before the node's
    first choice for it, and how many choices the node has made for it since. So a fresh folder and a seed give each
    arm the same sequence in every run, and a node that restarts goes on with another one.

    May be used by several threads at once.

    Args:
        stream: a number of the node's own, so that two nodes with one seed do not choose alike.
        data: folder of the collection; empty where nothing is recorded.

    Raises:
        CollectionError: the folder cannot be read.
    """

    def __init__(self, seed: int, stream: int, data: str):
        self._key, self._data = (seed, stream), data
        self._before: Dict[str, int] = {}
        self._made: Counter = Counter()
        self._lock = threading.Lock()
        # a folder that cannot be read is told at once
        for arm in ARMS:
            self._on_disk(arm)

    def _on_disk(self, arm: str) -> int:
        return count_attempts(self._data, arm) if self._data else 0

    def generator(self, arm: str) -> np.random.Generator:
        """The generator of the next choice for an arm.

        Raises:
            CollectionError: the folder could be read before, but not now.
        """
        with self._lock:
            if arm not in self._before:
                # only now: an attempt in flight when an earlier node was killed is on disk by now
                self._before[arm] = self._on_disk(arm)
            number = self._made[arm]
            self._made[arm] += 1
        return np.random.default_rng([*self._key, ARMS.index(arm), self._before[arm], number])
