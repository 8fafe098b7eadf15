"""How old the robot's messages are, whatever its clock says."""

from types import SimpleNamespace

import pytest

pytest.importorskip("rospy")

import rospy
from baxter_core_msgs.msg import AssemblyState
from executor_fakes import FakeClock, FakeRobot
from sensor_msgs.msg import JointState

from grasp_learning.execution.arm import Arm, ArmSettings
from grasp_learning.execution.faults import RobotFault
from grasp_learning.robot_description import NEUTRAL, arm_joints
from grasp_learning.ros import preflight
from grasp_learning.ros.feeds import JointFeed, robot_state_feed

PERIOD = 0.01


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def send(monkeypatch):
    """Hands a message to all who listen."""
    callbacks = []
    monkeypatch.setattr(rospy, "Subscriber", lambda _name, _class, callback, **_: callbacks.append(callback))
    return lambda message: [callback(message) for callback in callbacks]


def joint_state(stamp):
    names = arm_joints("left") + arm_joints("right")
    message = JointState(name=names, position=[*NEUTRAL, *NEUTRAL])
    message.header.stamp = rospy.Time.from_sec(stamp)
    return message


@pytest.mark.parametrize("ahead", [-10.0, -1.0, 0.0, 1.0, 10.0])
def test_joint_states_that_stop_stop_the_arm_whatever_the_robots_clock_says(clock, send, ahead):
    joints, robot = JointFeed(clock), FakeRobot(clock)
    frozen_at = clock.time + 0.5
    clock.hooks.append(lambda: clock.time < frozen_at and send(joint_state(clock.time + ahead)))
    send(joint_state(clock.time + ahead))
    arm = Arm("left", robot.limb("left"), joints, lambda: robot.state, clock, ArmSettings())
    with pytest.raises(RobotFault, match="joint states stopped 0.2. s ago"):
        arm.rest(20.0)
    assert frozen_at < robot.commands[-1][0] <= frozen_at + 0.2 + 2 * PERIOD
    assert joints.delay() == pytest.approx(joints.age() - ahead)


def test_a_stamp_that_stands_still_is_silence(clock, send):
    joints, stamp = JointFeed(clock), clock.time
    for _ in range(10):
        clock.sleep(PERIOD)
        send(joint_state(stamp))
    assert joints.age() == pytest.approx(9 * PERIOD) and joints.silence() == pytest.approx(9 * PERIOD)


def test_preflight_looks_at_the_robots_clock_unless_there_is_one_clock_only(clock, send, monkeypatch):
    joints = JointFeed(clock)
    assert preflight._delay(joints) is None
    send(joint_state(clock.time + 2.0))
    for wallclock, delay in ((True, -2.0), (False, 0.0)):
        monkeypatch.setattr(rospy, "rostime", SimpleNamespace(is_wallclock=lambda value=wallclock: value))
        assert preflight._delay(joints) == pytest.approx(delay)


@pytest.mark.parametrize("state", [AssemblyState(enabled=False), AssemblyState(enabled=True, stopped=True)])
def test_that_the_motors_were_off_is_told_once(clock, send, state):
    feed = robot_state_feed(clock)
    send(AssemblyState(enabled=True))
    assert not feed.was_off()
    for message in (state, AssemblyState(enabled=True)):
        send(message)
    assert feed.was_off() and not feed.was_off()
