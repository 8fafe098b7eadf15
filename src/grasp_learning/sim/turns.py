"""Objects that take turns on a table that is too small for all of them."""

from typing import List

import numpy as np


class Turns:
    """Deals hands of objects: each one of the pool has a turn before any has its next.

    The first hand is the pool's first objects. A hand that the round has no more objects for is filled up with those of
    the next round, and none lies on the table twice in a row while there are others.

    Args:
        pool: how many objects there are.
        count: how many lie on the table at a time, at most ``pool``.
        rng: shuffles every round but the first.
    """

    def __init__(self, pool: int, count: int, rng: np.random.Generator):
        self._pool, self._count, self._rng = pool, count, rng
        self._waiting = list(range(pool))
        self._now: List[int] = []

    def next(self) -> List[int]:
        """Indices of the objects that are to lie on the table from now on."""
        hand = self._waiting[: self._count]
        self._waiting = self._waiting[self._count :]
        if len(hand) < self._count:
            others = [int(index) for index in self._rng.permutation(self._pool) if index not in hand]
            # stable: those that lie there now come last
            others.sort(key=lambda index: index in self._now)
            missing = self._count - len(hand)
            hand, self._waiting = hand + others[:missing], others[missing:]
        self._now = hand
        return hand
