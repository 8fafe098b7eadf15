"""Putting what is held into a bin, on an ideal robot with the real planner: the way, and how each fault ends it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pick_cell import TABLE, Cell, grasp, region

from grasp_learning.bins import load_bins
from grasp_learning.execution.faults import Cancelled, Unreachable
from grasp_learning.execution.motions import Motions
from grasp_learning.execution.placing import PlaceSettings
from grasp_learning.motion.settings import MotionSettings
from grasp_learning.trial import Outcome, PlaceOutcome

BINS = load_bins(Path(__file__).parent.parent / "config" / "bins" / "sim.yaml")
LEFT = BINS.left
FAR = LEFT.model_copy(update={"x": 1.3})
PHASES = ["prepare", "approach", "pre-grasp", "descend", "close", "lift", "read", "carry", "place", "clear"]


@pytest.fixture(scope="module")
def motions():
    return Motions("left", "ompl", MotionSettings(), TABLE, seed=0, bins=BINS)


def make_cell(motions, bin_=LEFT, placing=None):
    cell = Cell(motions, bin_, placing)
    cell.gripper.object_width = 60.0
    cell.sequence.approach(region())
    return cell


@pytest.fixture
def cell(motions):
    return make_cell(motions)


def opened_at(cell):
    """Where the fingers were when they let go of what they held."""
    seen = []

    def watch():
        if not seen and cell.gripper.value > 62.0 and cell.phases[-1] in ("place", "release", "carry"):
            seen.append(cell.tip())

    cell.clock.hooks.append(watch)
    return seen


def test_a_held_object_is_let_go_of_over_the_bin(cell):
    released, first = opened_at(cell), len(cell.robot.commands)
    report = cell.sequence.pick(grasp(), place=True)
    assert report.outcome is Outcome.SUCCESS and report.reading.truth_object == "mug"
    assert report.placing.outcome is PlaceOutcome.PLACED, report.placing.message
    assert cell.phases == PHASES
    np.testing.assert_allclose(released[0], [LEFT.x, LEFT.y, LEFT.rim + LEFT.release], atol=0.01)
    assert cell.at_neutral() and cell.gripper.value > 80.0
    # nothing of the arm comes near a bin on the whole way
    scene = cell.motions._planner.scene_with(cell.robot.positions("right"))
    assert not [q for _, q in cell.robot.commands[first::20] if any("bin" in hit for hit in scene.collisions(q))]


def test_what_is_held_stays_level_and_clear_of_the_table_on_its_way(cell):
    seen = []

    def watch():
        if cell.phases[-1] == "carry":
            q = cell.robot.positions("left")
            seen.append((cell.motions.tilt(q), cell.motions.height_to_clear(q, 0.12)))

    cell.clock.hooks.append(watch)
    cell.sequence.pick(grasp(), place=True)
    tilt, missing = np.max(seen, axis=0)
    assert tilt < 0.05 and missing < 1e-3


def test_without_an_object_nothing_is_carried(cell):
    cell.gripper.object_width = None
    report = cell.sequence.pick(grasp(), place=True)
    assert report.outcome is Outcome.FAILURE and report.placing is None
    assert "carry" not in cell.phases and cell.at_neutral()


def test_an_object_that_is_lost_on_the_way_leaves_the_label_as_it_is(cell):
    cell.soon_after("carry", lambda: setattr(cell.gripper, "object_width", None))
    report = cell.sequence.pick(grasp(), place=True)
    assert report.outcome is Outcome.SUCCESS
    assert report.placing.outcome is PlaceOutcome.LOST and "lost on the way" in report.placing.message
    assert cell.at_neutral()


def test_an_emergency_stop_while_carrying_ends_the_commands_and_keeps_the_label(cell):
    cell.soon_after("carry", cell.robot.press_estop)
    report = cell.sequence.pick(grasp(), place=True)
    assert report.outcome is Outcome.SUCCESS
    assert report.placing.outcome is PlaceOutcome.ROBOT_FAULT and "emergency stop" in report.placing.message
    assert cell.robot.commands[-1][0] <= cell.clock.time
    stopped_at = cell.tip()
    assert 0.1 < stopped_at[1] < LEFT.y and cell.gripper.value < 62.0  # on the way, the object still in the hand
    # released and enabled again, the next trial begins with the hand open
    cell.robot.state.enabled, cell.robot.state.stopped, cell.robot.state.estop_button = True, False, 0
    cell.clock.hooks[:] = [cell.gripper._move]
    cell.gripper.object_width = None
    cell.sequence.approach(region(0.6, 0.2))
    np.testing.assert_allclose(cell.tip()[:2], [0.6, 0.2], atol=0.01)


def test_a_cancelled_goal_stops_while_it_carries(cell):
    cell.soon_after("carry", lambda: setattr(cell, "cancel", True))
    with pytest.raises(Cancelled):
        cell.sequence.pick(grasp(), place=True)
    assert not cell.at_neutral()


@pytest.mark.parametrize("broken", ["silent", "stuck"])
def test_a_gripper_that_fails_over_the_bin_is_a_sensor_fault(cell, broken):
    values = {"silent": ("age", 5.0), "stuck": ("stuck", True)}
    cell.at_phase["place"] = lambda: setattr(cell.gripper, *values[broken])
    report = cell.sequence.pick(grasp(), place=True)
    assert report.outcome is Outcome.SUCCESS
    assert report.placing.outcome is PlaceOutcome.SENSOR_FAULT
    assert cell.at_neutral()  # the arm can still get out of the way


def test_an_object_that_sticks_in_the_open_hand_is_told(cell):
    opened = []

    def wedge():
        if cell.phases[-1] == "place" and cell.gripper.value > 99.0 and not opened:
            opened.append(True)
            cell.gripper.object_width, cell.gripper.target = 99.5, 0.0  # it presses on the open fingers

    cell.clock.hooks.append(wedge)
    report = cell.sequence.pick(grasp(), place=True)
    assert opened and report.outcome is Outcome.SUCCESS
    assert report.placing.outcome is PlaceOutcome.STUCK and "although they are open" in report.placing.message
    assert cell.at_neutral()


def test_what_presses_on_the_open_fingers_more_lightly_than_a_grip_sticks_too(cell, monkeypatch):
    sample = cell.gripper.sample

    def wedged():
        found = sample()  # as of a ball that is as wide as the open hand
        return replace(found, force=7.5) if cell.phases[-1] == "place" and found.position > 99.0 else found

    monkeypatch.setattr(cell.gripper, "sample", wedged)
    assert cell.sequence.pick(grasp(), place=True).placing.outcome is PlaceOutcome.STUCK


def test_a_bin_out_of_reach_is_told_and_the_object_put_back(motions):
    cell = make_cell(motions, FAR)
    released = opened_at(cell)
    report = cell.sequence.pick(grasp(), place=True)
    assert report.outcome is Outcome.SUCCESS
    assert report.placing.outcome is PlaceOutcome.UNREACHABLE
    assert released[0][2] < -0.05 and abs(released[0][1]) < 0.5  # low over the table
    assert cell.at_neutral()


def test_where_no_straight_line_leads_a_planned_way_does(cell, monkeypatch):
    shift, refused = cell.motions.shift, []

    def only_vertical(q, offset, other, speed):
        if np.hypot(*offset[:2]) > 0.1:
            refused.append(offset)
            raise Unreachable("no line")
        return shift(q, offset, other, speed)

    monkeypatch.setattr(cell.motions, "shift", only_vertical)
    released = opened_at(cell)
    report = cell.sequence.pick(grasp(), place=True)
    assert refused and report.placing.outcome is PlaceOutcome.PLACED, report.placing.message
    np.testing.assert_allclose(released[0], [LEFT.x, LEFT.y, LEFT.rim + LEFT.release], atol=0.01)


def test_a_way_that_would_tilt_the_hand_is_not_taken(motions, monkeypatch):
    cell = make_cell(motions, placing=PlaceSettings(carry_clearance=0.5))  # higher than any way is
    released = opened_at(cell)
    report = cell.sequence.pick(grasp(), place=True)
    assert report.placing.outcome is PlaceOutcome.PLANNING_FAILED
    assert "each of 5 ways to the bin tilts the hand or dips" in report.placing.message
    assert released[0][2] < -0.05 and cell.at_neutral()


def test_ways_are_planned_for_so_long_only(motions, monkeypatch):
    cell = make_cell(motions, placing=PlaceSettings(carry_clearance=0.5, planning_timeout=30.0))
    plan, made = motions.to_first_pose, []

    def slow(*args):
        made.append(cell.clock.time)
        cell.clock.time += 20.0
        return plan(*args)

    monkeypatch.setattr(motions, "to_first_pose", slow)
    report = cell.sequence.pick(grasp(), place=True)
    assert len(made) == 2 and "each of 2 ways" in report.placing.message
    assert (report.outcome, report.placing.outcome) == (Outcome.SUCCESS, PlaceOutcome.PLANNING_FAILED)


def test_an_object_cannot_be_placed_without_a_bin(motions):
    cell = make_cell(motions, None)
    with pytest.raises(ValueError, match="no bin"):
        cell.sequence.pick(grasp(), place=True)
