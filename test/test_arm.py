"""Streaming to an arm: never a jump, never a command to an arm that must not move, a soft stop at contact."""

from types import SimpleNamespace

import numpy as np
import pytest
from executor_fakes import FakeClock, FakeRobot
from motion_samples import ROBOT, TABLE

from grasp_learning.execution.arm import Arm, ArmSettings, Contact
from grasp_learning.execution.faults import Cancelled, RobotFault, SensorFault
from grasp_learning.execution.guard import SafetySettings, make_guard
from grasp_learning.robot_description import NEUTRAL

SPEED = 0.5  # rad/s of every joint


def straight(seconds: float = 2.0, knots: int = 21):
    times = np.linspace(0.0, seconds, knots)
    positions = np.array(NEUTRAL) + SPEED * times[:, None]
    return SimpleNamespace(times=times, positions=positions, velocities=np.full((knots, 7), SPEED))


@pytest.fixture
def robot():
    return FakeRobot(FakeClock())


def make_arm(robot, **settings) -> Arm:
    return Arm("left", robot.limb("left"), robot, lambda: robot.state, robot.clock, ArmSettings(**settings))


def at_time(robot, seconds, action) -> None:
    end = robot.clock.time + seconds
    robot.clock.hooks.append(lambda: robot.clock.time >= end and action())


def test_reaches_the_end_at_the_trajectorys_pace(robot):
    start = robot.clock.time
    assert make_arm(robot).follow(straight())
    assert np.allclose(robot.positions("left"), straight().positions[-1])
    assert robot.clock.time - start == pytest.approx(2.0, abs=0.05)


def test_a_late_loop_slows_down_and_never_jumps(robot):
    stalls = iter([0.5, 1.0, 0.3])

    def stall():
        if len(robot.commands) in (20, 60, 90) and robot.commands[-1][0] > stall.last:
            stall.last = robot.commands[-1][0]
            robot.clock.time += next(stalls)

    stall.last = 0.0
    robot.clock.hooks.append(stall)
    arm = make_arm(robot, joint_state_timeout=10.0)
    assert arm.follow(straight())
    steps = np.abs(np.diff([q for _, q in robot.commands], axis=0)).max(axis=1)
    assert steps.max() <= SPEED * 0.03 + 1e-9
    assert robot.commands[-1][0] - robot.commands[0][0] > 2.0 + 1.5


@pytest.mark.parametrize(
    "break_it, expected",
    [
        (lambda robot: robot.press_estop(), "emergency stop"),
        (lambda robot: setattr(robot.state, "enabled", False), "disabled"),
        (lambda robot: setattr(robot.state, "error", True), "stopped"),
    ],
)
def test_no_command_after_the_robot_stops(robot, break_it, expected):
    at_time(robot, 1.0, lambda: break_it(robot))
    broken_at = robot.clock.time + 1.0
    with pytest.raises(RobotFault, match=expected):
        make_arm(robot).follow(straight())
    assert all(time < broken_at for time, _ in robot.commands)
    assert len(robot.commands) > 50


def test_frozen_joint_states_stop_the_commands(robot):
    at_time(robot, 1.0, lambda: setattr(robot, "frozen_at", robot.frozen_at or robot.clock.time))
    with pytest.raises(RobotFault, match="joint states"):
        make_arm(robot).follow(straight())
    assert robot.commands[-1][0] <= robot.frozen_at + 0.2 + 0.011


def test_an_arm_that_does_not_follow_is_a_fault(robot):
    at_time(robot, 0.5, lambda: setattr(robot, "blocked", True))
    with pytest.raises(RobotFault, match="off its path"):
        make_arm(robot, tracking_tolerance=0.2, tracking_window=0.3).follow(straight())
    blocked_at = robot.positions("left")
    assert np.abs(robot.commands[-1][1] - blocked_at).max() < 0.2 + SPEED * (0.3 + 0.03) + 1e-9


def test_joint_states_that_come_late_are_no_fault(robot):
    limb = robot.limb("left")
    history = []
    real = robot.positions

    def late(side):
        history.append(real(side).copy())
        return history[max(len(history) - 25, 0)] if len(history) < 190 else real(side)

    robot.positions = late
    arm = Arm("left", limb, robot, lambda: robot.state, robot.clock, ArmSettings(tracking_tolerance=0.02))
    arm.follow(straight())
    assert len(robot.commands) > 190


def test_an_arm_far_behind_at_the_end_is_still_told_to_go_to_the_goal(robot):
    limb = robot.limb("left")
    history = []
    real = robot.positions

    def late(side):
        history.append(real(side).copy())
        return history[max(len(history) - 40, 0)]

    robot.positions = late
    settings = ArmSettings(tracking_tolerance=1.0, hold_tolerance=0.05)
    assert Arm("left", limb, robot, lambda: robot.state, robot.clock, settings).follow(straight())
    assert np.allclose(robot.commands[-1][1], straight().positions[-1])


def test_an_arm_that_does_not_arrive_is_a_fault(robot):
    robot.lag = 0.05
    with pytest.raises(RobotFault, match="from its goal"):
        make_arm(robot).follow(straight())


def test_cancelling_brings_the_arm_to_rest_on_its_path(robot):
    arm = make_arm(robot, cancel_stop_time=0.2)
    cancel_at = robot.clock.time + 1.0
    arm.cancelled = lambda: robot.clock.time >= cancel_at
    with pytest.raises(Cancelled):
        arm.follow(straight())
    speeds = np.diff([q[0] for _, q in robot.commands]) / np.diff([time for time, _ in robot.commands])
    assert abs(speeds[-1]) < 0.1 * SPEED  # not from full speed to nothing
    # half of the way that full speed would have made in the stopping time
    assert robot.positions("left")[0] == pytest.approx(SPEED * (1.0 + 0.1), abs=0.02)


def test_contact_stops_softly_and_backs_off(robot):
    def height(q):
        return -0.1 * q[0]

    def press():
        robot.force_z = -3.0 + 40.0 * max(robot.positions("left")[0] - 0.5, 0.0) * 100.0

    robot.clock.hooks.append(press)
    arm = make_arm(robot, contact_backoff=0.004)
    contact = Contact(arm.vertical_force, 15.0, 2, height)
    robot.force_z = -3.0  # the estimate's offset is no contact
    assert arm.follow(straight(), contact) is False
    deepest = max(q[0] for _, q in robot.commands)
    assert 0.5 < deepest < 0.56
    assert height(robot.positions("left")) - height([deepest]) == pytest.approx(0.004, abs=0.001)


def test_a_descent_held_back_below_the_threshold_counts_as_contact(robot):
    robot.lag = 0.05
    arm = make_arm(robot)
    assert arm.follow(straight(), Contact(arm.vertical_force, 15.0, 2, lambda q: -0.1 * q[0])) is False


class SlowEndpoint:
    """An endpoint's feed with a message only every few loops.

    Attributes:
        forces: of the messages still to come (N); then 0.
    """

    def __init__(self, clock, every):
        self.forces, self.message, self._loops, self._every = [], None, 0, every
        clock.hooks.append(self._tick)
        self.age = self.silence = lambda: 0.0

    def _tick(self):
        if self._loops % self._every == 0:
            z = self.forces.pop(0) if self.forces else 0.0
            self.message = SimpleNamespace(wrench=SimpleNamespace(force=SimpleNamespace(z=z)))
        self._loops += 1


@pytest.mark.parametrize("every", [1, 2, 5])
@pytest.mark.parametrize("noisy, felt", [(1, False), (2, True)])
def test_a_reading_counts_once_however_often_it_is_looked_at(robot, every, noisy, felt):
    endpoint = SlowEndpoint(robot.clock, every)
    limb = robot.limb("left")
    arm = Arm("left", limb, robot, lambda: robot.state, robot.clock, ArmSettings(), endpoint=endpoint)
    endpoint.forces = [0.0] * 8 + [50.0] * noisy  # the first five are the baseline
    contact = Contact(arm.new_vertical_force, 15.0, 2, lambda q: -0.1 * q[0])
    assert arm.follow(straight(), contact) is not felt


def test_the_baseline_is_of_as_many_messages(robot):
    endpoint = SlowEndpoint(robot.clock, 3)
    limb = robot.limb("left")
    arm = Arm("left", limb, robot, lambda: robot.state, robot.clock, ArmSettings(), endpoint=endpoint)
    endpoint.forces = [10.0, -10.0, 10.0, -10.0, 0.0]
    contact = Contact(arm.new_vertical_force, 15.0, 2, lambda q: 0.0)
    contact.set_baseline(arm._rest_readings(contact))
    assert endpoint.forces == [] and contact._baseline == pytest.approx(0.0)


def test_holding_still_streams_one_command(robot):
    arm = make_arm(robot)
    arm.follow(straight())
    end = robot.commands[-1][1]
    arm.rest(0.5)
    held = [q for time, q in robot.commands if time > robot.clock.time - 0.5]
    assert len(held) > 40 and np.allclose(held, end)


def test_a_moved_arm_is_not_pulled_back(robot):
    arm = make_arm(robot)
    arm.follow(straight())
    robot.positions_of["left"] = np.array(NEUTRAL)  # somebody moved it by hand
    arm.rest(0.1)
    assert np.allclose(robot.commands[-1][1], NEUTRAL)


def stopped(robot, arm, action=lambda robot: setattr(robot.state, "enabled", False)):
    """The robot stops while the arm rests, and works again."""
    arm.follow(straight())
    at_time(robot, 0.1, lambda: action(robot))
    with pytest.raises(RobotFault):
        arm.rest(1.0)
    robot.clock.hooks.clear()
    robot.state.enabled, robot.state.stopped, robot.state.estop_button = True, False, 0


@pytest.mark.parametrize("action", [lambda robot: setattr(robot.state, "enabled", False), FakeRobot.press_estop])
@pytest.mark.parametrize("make", [make_arm, lambda robot: attended(robot)])
def test_an_arm_that_sagged_while_it_was_off_is_held_where_it_is(robot, action, make):
    arm = make(robot)
    stopped(robot, arm, action)
    sagged = robot.positions_of["left"] = robot.positions_of["left"] - 0.04
    arm.clear()
    assert np.array_equal(arm.commanded(), sagged)
    count = len(robot.commands)
    arm.rest(0.1)
    assert np.allclose(robot.commands[count][1], sagged)


def test_an_arm_that_sagged_while_nobody_looked_is_held_where_it_is(robot):
    off = [False] * 1000
    arm = Arm("left", robot.limb("left"), robot, lambda: robot.state, robot.clock, ArmSettings(), was_off=off.pop)
    arm.follow(straight())
    robot.positions_of["left"] = robot.positions_of["left"] - 0.04  # between two goals
    off.append(True)
    arm.check()
    assert np.array_equal(arm.commanded(), robot.positions_of["left"])
    way = straight()
    way.positions = way.positions[-1] + way.positions - way.positions[0]
    off.append(True)  # while a way was planned
    count = len(robot.commands)
    with pytest.raises(RobotFault, match="off for a moment"):
        arm.follow(way)
    assert len(robot.commands) == count


def test_time_that_was_set_back_does_not_stall_the_loop(robot):
    arm = make_arm(robot)
    arm.follow(straight(0.5))
    robot.clock.time = 1.0  # a simulator that was started again
    arm.rest(0.5)
    assert robot.clock.time < 1.6


# --- beside a person


def attended(robot, **watched) -> Arm:
    everywhere = {f"workspace_{axis}": (-2.0, 2.0) for axis in "xyz"}
    guard = make_guard(ROBOT, "left", SafetySettings(speed_ratio=1.0, **everywhere), TABLE, 0.03)
    limb = robot.limb("left")
    return Arm("left", limb, robot, lambda: robot.state, robot.clock, ArmSettings(), guard, watched)


def test_an_attended_arm_gets_no_command_after_a_fault_until_a_person_has_seen_to_it(robot):
    arm = attended(robot)
    at_time(robot, 0.1, lambda: setattr(robot.state, "enabled", False))
    with pytest.raises(RobotFault, match="disabled"):
        arm.rest(1.0)
    robot.clock.hooks.clear()
    robot.state.enabled = True  # it is well again, but nobody has looked at it
    count = len(robot.commands)
    with pytest.raises(RobotFault, match="waits for a person since this fault: the robot is disabled"):
        arm.rest(1.0)
    assert len(robot.commands) == count
    arm.clear()
    arm.rest(0.1)
    assert len(robot.commands) > count


def moves(robot, arm) -> bool:
    count = len(robot.commands)
    try:
        arm.rest(0.1)
    except RobotFault as error:
        assert "waits for a person" in str(error)
    return len(robot.commands) > count


@pytest.mark.parametrize(
    "error, because",
    [
        (SensorFault("the gripper could not be calibrated"), "the robot is disabled"),
        (Cancelled("the node is shutting down"), "the robot is disabled"),
        (RobotFault("calibrating the gripper did not end"), "calibrating the gripper did not end"),
        (ZeroDivisionError("division by zero"), "division by zero"),
    ],
)
def test_a_start_that_fails_leaves_the_arm_waiting(robot, error, because):
    arm = attended(robot)
    stopped(robot, arm)
    with pytest.raises(type(error)):
        with arm.cleared():
            arm.rest(0.1)  # within it may move
            raise error
    assert not moves(robot, arm) and because in arm.fault
    with arm.cleared():
        arm.rest(0.1)
    assert moves(robot, arm)


def test_a_start_that_fails_by_a_sensor_stops_no_arm_that_did_not_wait(robot):
    arm = attended(robot)
    with pytest.raises(SensorFault):
        with arm.cleared():
            raise SensorFault("the gripper sends no state")
    assert moves(robot, arm)


@pytest.mark.parametrize("what", ["the robot's state", "the force at the hand"])
def test_what_falls_silent_stops_the_arm(robot, what):
    silent_since = robot.clock.time + 0.2
    feed = SimpleNamespace()
    feed.age = feed.silence = lambda: max(robot.clock.time - silent_since, 0.0)
    arm = attended(robot, **{what: feed})
    with pytest.raises(RobotFault, match=f"{what} stopped 0.5. s ago"):
        arm.rest(2.0)
    assert robot.commands[-1][0] <= silent_since + 0.5 + 0.011
