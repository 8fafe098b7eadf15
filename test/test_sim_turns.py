"""Objects that take turns on the table."""

from collections import Counter

import numpy as np
import pytest

from grasp_learning.sim.turns import Turns


def hands(pool, count, number, seed=0):
    turns = Turns(pool, count, np.random.default_rng(seed))
    return [turns.next() for _ in range(number)]


def test_each_object_has_a_turn_before_any_has_its_next():
    dealt = hands(30, 10, 9)
    for first in (0, 3, 6):
        assert sorted(sum(dealt[first : first + 3], [])) == list(range(30))
    assert dealt[0] == list(range(10))
    assert sorted(dealt[3]) != sorted(dealt[0])


@pytest.mark.parametrize(("pool", "count"), [(30, 10), (20, 10), (23, 7), (15, 10), (10, 10), (3, 1)])
def test_no_object_stays_while_others_wait(pool, count):
    dealt = hands(pool, count, 40)
    for now, then in zip(dealt, dealt[1:]):
        assert len(set(then)) == count
        assert len(set(now) & set(then)) <= max(0, 2 * count - pool)
    times = Counter(sum(dealt, []))
    assert set(times) == set(range(pool))
    assert max(times.values()) - min(times.values()) <= len(dealt) * count / pool


def test_the_same_seed_gives_the_same_order():
    assert hands(20, 7, 12) == hands(20, 7, 12)
    assert hands(20, 7, 12) != hands(20, 7, 12, seed=1)


def test_an_empty_table_stays_empty():
    assert hands(0, 0, 2) == [[], []]
    assert hands(5, 0, 2) == [[], []]
