"""One arm of the robot: what its joints and endpoint report, and commands to its joints."""

import collections
from typing import Callable, Dict, List, Optional

import rospy
from baxter_core_msgs.msg import EndpointState, JointCommand
from baxter_dataflow import wait_for
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64

from baxter_interface import settings

_JOINTS = ("s0", "s1", "e0", "e1", "w0", "w1", "w2")
_NEUTRAL = (0.0, -0.55, 0.0, 0.75, 0.0, 1.26, 0.0)
# First-order low-pass of move_to_joint_positions: about 0.2 Hz at the 100 Hz at which it sends.
_FILTER_NEW, _FILTER_OLD = 0.012488, 0.98751


class Limb:
    """Interface to the arm ``left`` or ``right``.

    Raises:
        OSError: ETIMEDOUT, when no joint state or endpoint state arrives within a second.
    """

    Point = collections.namedtuple("Point", ["x", "y", "z"])
    Quaternion = collections.namedtuple("Quaternion", ["x", "y", "z", "w"])

    def __init__(self, limb: str):
        self.name = limb
        self._joint_names = [f"{limb}_{joint}" for joint in _JOINTS]
        self._joint_angle: Dict[str, float] = {}
        self._joint_velocity: Dict[str, float] = {}
        self._joint_effort: Dict[str, float] = {}
        self._endpoint: Optional[EndpointState] = None

        ns = f"/robot/limb/{limb}/"
        self._pub_speed_ratio = rospy.Publisher(ns + "set_speed_ratio", Float64, latch=True, queue_size=10)
        self._pub_joint_cmd = rospy.Publisher(ns + "joint_command", JointCommand, tcp_nodelay=True, queue_size=1)
        self._pub_joint_cmd_timeout = rospy.Publisher(ns + "joint_command_timeout", Float64, latch=True, queue_size=10)
        options = {"queue_size": 1, "tcp_nodelay": True}
        self._endpoint_sub = rospy.Subscriber(ns + "endpoint_state", EndpointState, self._on_endpoint, **options)
        self._joints_sub = rospy.Subscriber("robot/joint_states", JointState, self._on_joint_states, **options)
        label = limb.capitalize()
        wait_for(lambda: bool(self._joint_angle), timeout_msg=f"{label} limb: nothing arrived on robot/joint_states")
        wait_for(lambda: self._endpoint is not None, timeout_msg=f"{label} limb: nothing arrived on {ns}endpoint_state")

    def _on_joint_states(self, msg: JointState) -> None:
        for index, name in enumerate(msg.name):
            if name in self._joint_names:
                self._joint_angle[name] = msg.position[index]
                self._joint_velocity[name] = msg.velocity[index]
                self._joint_effort[name] = msg.effort[index]

    def _on_endpoint(self, msg: EndpointState) -> None:
        self._endpoint = msg

    def joint_names(self) -> List[str]:
        """Names of the seven joints, from the shoulder to the wrist."""
        return self._joint_names

    def joint_angle(self, joint: str) -> float:
        """Angle of one joint (rad)."""
        return self._joint_angle[joint]

    def joint_angles(self) -> Dict[str, float]:
        """Angles of all joints by name (rad)."""
        return dict(self._joint_angle)

    def joint_velocity(self, joint: str) -> float:
        """Velocity of one joint (rad/s)."""
        return self._joint_velocity[joint]

    def joint_velocities(self) -> Dict[str, float]:
        """Velocities of all joints by name (rad/s)."""
        return dict(self._joint_velocity)

    def joint_effort(self, joint: str) -> float:
        """Torque of one joint (N m)."""
        return self._joint_effort[joint]

    def joint_efforts(self) -> Dict[str, float]:
        """Torques of all joints by name (N m)."""
        return dict(self._joint_effort)

    def endpoint_pose(self) -> Dict[str, tuple]:
        """``position`` (Point, m) and ``orientation`` (Quaternion) of the gripper in the base frame."""
        pose = self._endpoint.pose
        return {"position": self._point(pose.position), "orientation": self._quaternion(pose.orientation)}

    def endpoint_velocity(self) -> Dict[str, tuple]:
        """``linear`` (Point, m/s) and ``angular`` (Point, rad/s) velocity of the gripper."""
        twist = self._endpoint.twist
        return {"linear": self._point(twist.linear), "angular": self._point(twist.angular)}

    def endpoint_effort(self) -> Dict[str, tuple]:
        """``force`` (Point, N) and ``torque`` (Point, N m) at the gripper."""
        wrench = self._endpoint.wrench
        return {"force": self._point(wrench.force), "torque": self._point(wrench.torque)}

    def _point(self, vector) -> tuple:
        return self.Point(vector.x, vector.y, vector.z)

    def _quaternion(self, rotation) -> tuple:
        return self.Quaternion(rotation.x, rotation.y, rotation.z, rotation.w)

    def set_command_timeout(self, timeout: float) -> None:
        """Set after how long without a command the arm leaves velocity or torque mode (s)."""
        self._pub_joint_cmd_timeout.publish(Float64(timeout))

    def exit_control_mode(self, timeout: float = 0.2) -> None:
        """Leave velocity or torque mode: hold the present joint angles in position mode."""
        self.set_command_timeout(timeout)
        self.set_joint_positions(self.joint_angles())

    def set_joint_position_speed(self, speed: float) -> None:
        """Set the share of the full joint speed that position mode uses, 0 to 1 (the robot starts with 0.3)."""
        self._pub_speed_ratio.publish(Float64(speed))

    def set_joint_positions(self, positions: Dict[str, float], raw: bool = False) -> None:
        """Command joint angles (rad), once.

        Args:
            raw: past the robot's collision avoidance and its smoothing.
        """
        self._command(JointCommand.RAW_POSITION_MODE if raw else JointCommand.POSITION_MODE, positions)

    def set_joint_velocities(self, velocities: Dict[str, float]) -> None:
        """Command joint velocities (rad/s); must be repeated before the command timeout is over."""
        self._command(JointCommand.VELOCITY_MODE, velocities)

    def set_joint_torques(self, torques: Dict[str, float]) -> None:
        """Command joint torques (N m), on top of gravity compensation; must be repeated like velocities."""
        self._command(JointCommand.TORQUE_MODE, torques)

    def _command(self, mode: int, values: Dict[str, float]) -> None:
        self._pub_joint_cmd.publish(JointCommand(mode=mode, command=list(values.values()), names=list(values)))

    def move_to_neutral(self, timeout: float = 15.0) -> None:
        """Move to the middle of the arm's range; blocks like :meth:`move_to_joint_positions`."""
        self.move_to_joint_positions(dict(zip(self._joint_names, _NEUTRAL)), timeout)

    def move_to_joint_positions(
        self,
        positions: Dict[str, float],
        timeout: float = 15.0,
        threshold: float = settings.JOINT_ANGLE_TOLERANCE,
        test: Optional[Callable[[], bool]] = None,
    ) -> None:
        """Move to joint angles (rad) and wait for it, along a low-pass filtered command.

        Not arriving is no error and nothing is returned, so the caller has to look at the joints afterwards.

        Args:
            timeout: s.
            threshold: largest error of a joint at which the move is over (rad).
            test: ends the move when it returns True (or 1).
        """
        command = self.joint_angles()

        def send() -> None:
            for joint, angle in positions.items():
                command[joint] = _FILTER_NEW * angle + _FILTER_OLD * command[joint]
            self.set_joint_positions(command)

        def arrived() -> bool:
            if callable(test) and test() == True:  # noqa: E712 - numpy's True counts, a mere truthy value does not
                return True
            known = self._joint_angle
            return all(abs(angle - known[joint]) < threshold for joint, angle in positions.items() if joint in known)

        send()
        wait_for(arrived, timeout=timeout, raise_on_error=False, body=send)
