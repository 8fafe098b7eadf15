"""Baxter's topics for a simulated robot: states out, commands in."""

import functools
import json
from typing import Callable

import rospy
from baxter_core_msgs.msg import (
    AssemblyState,
    CollisionAvoidanceState,
    CollisionDetectionState,
    DigitalIOState,
    EndEffectorCommand,
    EndEffectorProperties,
    EndEffectorState,
    EndpointState,
    HeadPanCommand,
    HeadState,
    JointCommand,
)
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Empty, Float64, UInt16

from grasp_learning.motion.kinematics import quaternion
from grasp_learning.ros.sim_publisher import direct_publisher
from grasp_learning.ros.sim_thread import Inbox
from grasp_learning.sim.baxter import SimulatedBaxter
from grasp_learning.sim.gripper import GRIPPER_ID, SimulatedGripper
from grasp_learning.trial import ARMS

TICK_RATE = 100  # Hz of simulated time at which the robot reports and takes commands
# Every so many ticks:
GRIPPER_TICKS = 2
SLOW_TICKS = 5
CUFF_BUTTONS = ("lower_cuff", "lower_button", "upper_button")  # Rethink's action server and recorder wait for them
NOD_TIME = 1.0  # s; the head's nod, which is only reported


def _subscribe(topic: str, message: type, call: Callable) -> rospy.Subscriber:
    return rospy.Subscriber(topic, message, call, queue_size=10, tcp_nodelay=True)


def _unless_nonsense(topic: str, call: Callable) -> Callable:
    """Ignore commands that a robot would ignore, but say so."""

    @functools.wraps(call)
    def checked(*args) -> None:
        try:
            call(*args)
        except ValueError as error:
            rospy.logwarn_throttle(1.0, "%s: command ignored: %s", topic, error)

    return checked


class RobotTopics:
    """The robot as a whole, its arms and its head.

    Publishers: robot/joint_states (JointState, 100 Hz, robot/joint_state_publish_rate changes it), robot/state
    (AssemblyState), robot/limb/<side>/endpoint_state (EndpointState, 100 Hz), .../collision_avoidance_state,
    .../collision_detection_state, robot/head/head_state, robot/digital_io/<side>_{lower_cuff,lower_button,
    upper_button}/state.

    Subscribers: robot/set_super_enable (Bool), robot/set_super_reset, robot/set_super_stop (Empty),
    robot/joint_state_publish_rate (UInt16, Hz), robot/limb/<side>/joint_command (JointCommand), .../set_speed_ratio,
    .../joint_command_timeout (Float64), robot/head/command_head_pan (HeadPanCommand), .../command_head_nod (Bool).

    Args:
        robot: what the topics report of and command; only touched in the thread that runs the inbox.
    """

    def __init__(self, robot: SimulatedBaxter, inbox: Inbox):
        self._robot, self._inbox = robot, inbox
        self._joint_states = direct_publisher("robot/joint_states", JointState)
        self._joint_message = JointState(name=list(robot.joint_names))
        self._joint_ticks = 1
        self._state = direct_publisher("robot/state", AssemblyState)
        self._head = direct_publisher("robot/head/head_state", HeadState)
        self._arms = [_ArmTopics(side, robot, inbox) for side in ARMS]
        self._tick = 0
        self._nod_until = 0.0
        self._subscribers = self._subscribe_all()

    def _subscribe_all(self) -> list:
        def post(call: Callable) -> Callable:
            return lambda message: self._inbox.post(call, message)

        robot = self._robot
        pan = _unless_nonsense("robot/head/command_head_pan", self._command_pan)
        return [
            _subscribe("robot/set_super_enable", Bool, post(self._enable)),
            _subscribe("robot/set_super_reset", Empty, post(lambda _: self.switch(robot.reset))),
            _subscribe("robot/set_super_stop", Empty, post(lambda _: self.switch(robot.stop))),
            _subscribe("robot/joint_state_publish_rate", UInt16, post(self._set_joint_rate)),
            _subscribe("robot/head/command_head_pan", HeadPanCommand, post(pan)),
            _subscribe("robot/head/command_head_nod", Bool, post(self._command_nod)),
        ]

    def publish(self, stamp: rospy.Time) -> None:
        """Publish what is due in this tick."""
        robot = self._robot
        if self._tick % self._joint_ticks == 0:
            message = self._joint_message
            message.header.stamp = stamp
            message.position = robot.joint_positions.tolist()
            message.velocity = robot.joint_velocities.tolist()
            message.effort = robot.joint_efforts.tolist()
            self._joint_states.publish(message)
        for arm in self._arms:
            arm.publish(stamp)
        if self._tick % SLOW_TICKS == 0:
            self._publish_state()
            self._head.publish(robot.head_pan, robot.head_turning, robot.time < self._nod_until, True)
            for arm in self._arms:
                arm.publish_slow(stamp)
        self._tick += 1

    def switch(self, change: Callable[[], None]) -> None:
        """Enable, stop or reset the robot, and tell at once; for the thread that runs the inbox."""
        change()
        self._publish_state()

    def _enable(self, message: Bool) -> None:
        self.switch(self._robot.enable if message.data else self._robot.disable)

    def _publish_state(self) -> None:
        state = self._robot.assembly_state
        flags = (state.ready, state.enabled, state.stopped, state.error)
        self._state.publish(*flags, state.estop_button, state.estop_source)

    def _set_joint_rate(self, message: UInt16) -> None:
        self._joint_ticks = max(1, round(TICK_RATE / max(1, message.data)))

    def _command_pan(self, message: HeadPanCommand) -> None:
        if message.enable_pan_request != HeadPanCommand.REQUEST_PAN_DISABLE and self._robot.assembly_state.enabled:
            self._robot.command_head_pan(message.target, message.speed_ratio)

    def _command_nod(self, message: Bool) -> None:
        if message.data and self._robot.assembly_state.enabled:
            self._nod_until = self._robot.time + NOD_TIME


class _ArmTopics:
    """Topics of one arm; see :class:`RobotTopics`."""

    def __init__(self, side: str, robot: SimulatedBaxter, inbox: Inbox):
        self._side, self._robot = side, robot
        ns = f"robot/limb/{side}/"
        self._endpoint = direct_publisher(ns + "endpoint_state", EndpointState)
        self._message = EndpointState()
        self._message.header.frame_id = "base"
        self._avoidance = direct_publisher(ns + "collision_avoidance_state", CollisionAvoidanceState)
        self._detection = direct_publisher(ns + "collision_detection_state", CollisionDetectionState)
        self._buttons = [
            direct_publisher(f"robot/digital_io/{side}_{button}/state", DigitalIOState) for button in CUFF_BUTTONS
        ]

        def post(topic: str, kind: type, call: Callable) -> rospy.Subscriber:
            checked = _unless_nonsense(ns + topic, call)
            return _subscribe(ns + topic, kind, lambda message: inbox.post(checked, message))

        self._subscribers = [
            post("joint_command", JointCommand, self._command),
            post("set_speed_ratio", Float64, lambda message: robot.set_speed_ratio(side, message.data)),
            post("joint_command_timeout", Float64, lambda message: robot.set_command_timeout(side, message.data)),
        ]

    def _command(self, message: JointCommand) -> None:
        self._robot.command_joints(self._side, message.mode, message.names, message.command)

    def publish(self, stamp: rospy.Time) -> None:
        """Publish the endpoint."""
        if not self._endpoint.get_num_connections():
            return
        message = self._message
        message.header.stamp = stamp
        pose, twist, wrench = message.pose, message.twist, message.wrench
        T_base_gripper = self._robot.endpoint_pose(self._side)
        _fill(pose.position, T_base_gripper[:3, 3])
        _fill(pose.orientation, quaternion(T_base_gripper[:3, :3])[[1, 2, 3, 0]])
        velocity = self._robot.endpoint_twist(self._side)
        _fill(twist.linear, velocity[:3])
        _fill(twist.angular, velocity[3:])
        effort = self._robot.endpoint_wrench(self._side)
        _fill(wrench.force, effort[:3])
        _fill(wrench.torque, effort[3:])
        self._endpoint.publish(message)

    def publish_slow(self, stamp: rospy.Time) -> None:
        """Publish what hardly changes: nobody touches the cuff, and neither arm avoids or meets anything by itself."""
        for button in self._buttons:
            button.publish(DigitalIOState.UNPRESSED, True)
        for publisher, kind in (
            (self._avoidance, CollisionAvoidanceState),
            (self._detection, CollisionDetectionState),
        ):
            if publisher.get_num_connections():
                message = kind()
                message.header.stamp = stamp
                publisher.publish(message)


def _fill(message, values) -> None:
    """Fill a Point, Vector3 or Quaternion from an array."""
    for name, value in zip(message.__slots__, values.tolist()):
        setattr(message, name, value)


class GripperTopics:
    """One electric gripper.

    Publishers, below robot/end_effector/<side>_gripper/: state (EndEffectorState, 50 Hz), properties
    (EndEffectorProperties, latched). Subscriber: command (EndEffectorCommand).
    """

    def __init__(self, side: str, gripper: SimulatedGripper, inbox: Inbox):
        self._gripper, self._inbox = gripper, inbox
        self._ns = f"robot/end_effector/{side}_gripper/"
        self._state = direct_publisher(self._ns + "state", EndEffectorState)
        self._properties = direct_publisher(self._ns + "properties", EndEffectorProperties, latch=True)
        self._properties.publish(_properties(side))
        command = _unless_nonsense(self._ns + "command", self._command)
        self._subscriber = _subscribe(
            self._ns + "command", EndEffectorCommand, lambda message: inbox.post(command, message)
        )
        self._tick = 0

    def _command(self, message: EndEffectorCommand) -> None:
        try:
            args = json.loads(message.args) if message.args else {}
        except ValueError as error:
            raise ValueError(f"args {message.args!r} are not JSON ({error})") from None
        if not isinstance(args, dict):
            raise ValueError(f"args {message.args!r} are not a JSON object")
        self._gripper.command(message.command, args, message.sender, message.sequence)

    def publish(self, stamp: rospy.Time) -> None:
        """Publish what is due in this tick."""
        self._tick += 1
        if self._tick % GRIPPER_TICKS:
            return
        if self._state.get_num_connections():
            self._state.publish(EndEffectorState(timestamp=stamp, **vars(self._gripper.state)))


def _properties(side: str) -> EndEffectorProperties:
    return EndEffectorProperties(
        id=GRIPPER_ID,
        ui_type=EndEffectorProperties.ELECTRIC_GRIPPER,
        manufacturer="grasp_learning",
        product=f"simulated electric gripper ({side})",
        serial_number="0",
        hardware_rev="2",
        firmware_rev="3.0.0",
        firmware_date="2014/7/24 18:30:00",  # baxter_interface refuses dates that it does not know
        has_calibration=True,
        controls_grip=True,
        senses_grip=True,
        reverses_grip=False,
        controls_force=True,
        senses_force=True,
        controls_position=True,
        senses_position=True,
    )
