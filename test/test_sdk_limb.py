"""The SDK's Limb, stand-in or Rethink's own."""

import errno

import numpy as np
import pytest

baxter_interface = pytest.importorskip("baxter_interface", reason="needs the built workspace")
sdk_ros = pytest.importorskip("sdk_ros")

from baxter_core_msgs.msg import EndpointState, JointCommand  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402

JOINTS = [f"left_{joint}" for joint in ("s0", "s1", "e0", "e1", "w0", "w1", "w2")]
NEUTRAL = [0.0, -0.55, 0.0, 0.75, 0.0, 1.26, 0.0]
COMMAND = "/robot/limb/left/joint_command"


class Arm:
    """A left arm that is at once where it was commanded, unless it is stuck."""

    def __init__(self, ros):
        self.ros, self.stuck = ros, False
        self.angles = dict(zip(JOINTS, [0.1] * 7))
        ros.reactions[COMMAND] = self.command
        self.show()
        endpoint = EndpointState()
        endpoint.pose.position.x, endpoint.pose.orientation.w = 0.6, 1.0
        endpoint.twist.linear.y, endpoint.wrench.force.z, endpoint.wrench.torque.x = 0.2, -3.0, 0.5
        ros.state("/robot/limb/left/endpoint_state", endpoint)

    def show(self):
        message = JointState(name=["head_pan", *self.angles], position=[9.0, *self.angles.values()])
        message.velocity, message.effort = [9.0, *[0.2] * 7], [9.0, *[0.3] * 7]
        self.ros.state("/robot/joint_states", message)

    def command(self, message):
        if not self.stuck:
            self.angles.update(zip(message.names, message.command))
            self.show()


@pytest.fixture
def ros(monkeypatch):
    return sdk_ros.Ros(monkeypatch)


@pytest.fixture
def arm(ros):
    return Arm(ros)


@pytest.fixture
def limb(arm):
    return baxter_interface.Limb("left")


def test_measurements(limb):
    assert limb.name == "left"
    assert limb.joint_names() == JOINTS
    assert limb.joint_angles() == dict.fromkeys(JOINTS, 0.1)
    assert limb.joint_velocities() == dict.fromkeys(JOINTS, 0.2)
    assert limb.joint_efforts() == dict.fromkeys(JOINTS, 0.3)
    one = (limb.joint_angle("left_w1"), limb.joint_velocity("left_w1"), limb.joint_effort("left_w1"))
    assert one == (0.1, 0.2, 0.3)
    pose, speed, wrench = limb.endpoint_pose(), limb.endpoint_velocity(), limb.endpoint_effort()
    assert pose == {"position": (0.6, 0.0, 0.0), "orientation": (0.0, 0.0, 0.0, 1.0)}
    assert (pose["position"].x, pose["orientation"].w) == (0.6, 1.0)
    assert (speed["linear"].y, speed["angular"].z) == (0.2, 0.0)
    assert (wrench["force"].z, wrench["torque"].x) == (-3.0, 0.5)


def test_measurements_are_copies(limb):
    limb.joint_angles()["left_s0"] = 5.0
    limb.endpoint_pose()["position"] = None
    assert limb.joint_angle("left_s0") == 0.1
    assert limb.endpoint_pose()["position"].x == 0.6


@pytest.mark.parametrize("missing", ["/robot/joint_states", "/robot/limb/left/endpoint_state"])
def test_robot_that_sends_nothing_is_an_error_after_a_second(ros, arm, missing):
    ros.silence(missing)
    begin = ros.now
    with pytest.raises(OSError) as caught:
        baxter_interface.Limb("left")
    assert caught.value.errno == errno.ETIMEDOUT
    assert ros.now - begin == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(
    ("call", "mode"),
    [
        (lambda limb, values: limb.set_joint_positions(values), JointCommand.POSITION_MODE),
        (lambda limb, values: limb.set_joint_positions(values, raw=True), JointCommand.RAW_POSITION_MODE),
        (lambda limb, values: limb.set_joint_velocities(values), JointCommand.VELOCITY_MODE),
        (lambda limb, values: limb.set_joint_torques(values), JointCommand.TORQUE_MODE),
    ],
)
def test_command_goes_out_once_as_it_is(ros, limb, call, mode):
    call(limb, {"left_w2": 7.5, "left_s0": np.float64(-0.25)})
    (message,) = ros.sent[COMMAND]
    assert (message.mode, list(message.names), list(message.command)) == (mode, ["left_w2", "left_s0"], [7.5, -0.25])


def test_speed_and_timeout_are_latched_and_not_clipped(ros, limb):
    limb.set_joint_position_speed(1.7)
    limb.set_command_timeout(0.4)
    speed, timeout = "/robot/limb/left/set_speed_ratio", "/robot/limb/left/joint_command_timeout"
    assert (ros.sent[speed][0].data, ros.sent[timeout][0].data) == (1.7, 0.4)
    assert sorted(ros.latched) == sorted([speed, timeout])


def test_leaving_a_control_mode_holds_the_present_angles(ros, limb):
    limb.exit_control_mode()
    assert ros.sent["/robot/limb/left/joint_command_timeout"][0].data == 0.2
    (message,) = ros.sent[COMMAND]
    assert message.mode == JointCommand.POSITION_MODE
    assert dict(zip(message.names, message.command)) == dict.fromkeys(JOINTS, 0.1)


def test_move_sends_a_filtered_command_at_100_hz_until_it_is_there(ros, limb):
    begin = ros.now
    assert limb.move_to_joint_positions({"left_s0": 0.5}) is None
    sent = ros.sent[COMMAND]
    values = [dict(zip(message.names, message.command)) for message in sent]
    assert all(set(value) == set(JOINTS) and message.mode == 1 for value, message in zip(values, sent))
    assert all(value["left_w1"] == 0.1 for value in values)
    expected = 0.1
    for value in values:
        expected = 0.012488 * 0.5 + 0.98751 * expected
        assert value["left_s0"] == pytest.approx(expected, abs=1e-12)
    assert abs(limb.joint_angle("left_s0") - 0.5) < baxter_interface.JOINT_ANGLE_TOLERANCE
    assert ros.now - begin == pytest.approx(0.01 * (len(sent) - 1), abs=0.011)


def test_neutral(limb):
    limb.move_to_neutral()
    np.testing.assert_allclose(list(limb.joint_angles().values()), NEUTRAL, atol=0.0088)


def test_arm_that_is_stuck_is_no_error(ros, arm, limb):
    arm.stuck = True
    begin = ros.now
    assert limb.move_to_joint_positions({"left_s0": 0.5}, timeout=2.0) is None
    assert ros.now - begin == pytest.approx(2.0, abs=0.02)
    assert limb.joint_angle("left_s0") == 0.1


@pytest.mark.parametrize(
    ("answer", "ends"), [(True, True), (np.True_, True), (1, True), ("yes", False), (False, False)]
)
def test_move_ends_early_where_the_callers_test_says_true(ros, arm, limb, answer, ends):
    arm.stuck = True
    limb.move_to_joint_positions({"left_s0": 0.5}, timeout=1.0, test=lambda: answer)
    assert (len(ros.sent[COMMAND]) == 1) is ends


def test_joint_of_another_arm_is_an_error(limb):
    with pytest.raises(KeyError):
        limb.move_to_joint_positions({"right_s0": 0.5})


def test_move_of_no_joint_holds_the_arm(ros, limb):
    limb.move_to_joint_positions({})
    (message,) = ros.sent[COMMAND]
    assert dict(zip(message.names, message.command)) == dict.fromkeys(JOINTS, 0.1)
