"""What is done in each control tick, where it can be seen without a simulation."""

from types import SimpleNamespace

import pytest

from grasp_learning.sim.ticks import OPEN_POSITION, stuck_object


def world(held, height):
    body = SimpleNamespace(xpos=[0.6, 0.2, height])
    return SimpleNamespace(
        data=SimpleNamespace(body=lambda name: body), table=SimpleNamespace(z=0.0), held=lambda side: held
    )


def gripper(position, gripping=False, moving=False):
    return SimpleNamespace(position=position, gripping=gripping, moving=moving, side="left")


@pytest.mark.parametrize(
    "hand, height, at_rest, found",
    [
        (gripper(100.0), 0.5, False, "bottle"),
        (gripper(100.0), 0.05, False, None),  # it lies on the table, between the fingers
        (gripper(OPEN_POSITION - 1.0), 0.5, True, None),
        (gripper(100.0, moving=True), 0.5, True, None),
        (gripper(100.0, gripping=True), 0.5, False, None),  # a wide object in the middle of a trial
        (gripper(100.0, gripping=True), 0.5, True, "bottle"),
    ],
)
def test_an_object_is_stuck_in_an_open_hand_that_should_hold_nothing(hand, height, at_rest, found):
    assert stuck_object(world("bottle", height), hand, at_rest) == found
    assert stuck_object(world(None, height), hand, at_rest) is None
