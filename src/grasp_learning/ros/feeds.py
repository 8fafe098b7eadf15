"""Newest messages of topics that Baxter's SDK subscribes to as well, with their age.

The SDK's classes keep the newest values but not when they came. rospy shares one connection among a process's
subscribers of a topic, so a feed costs a callback, not a second decoding.
"""

from typing import Dict, Optional, Sequence, Tuple

import numpy as np
import rospy
from baxter_core_msgs.msg import AssemblyState, EndEffectorState, EndpointState
from sensor_msgs.msg import JointState

from grasp_learning.labelling import GripperSample
from grasp_learning.robot_description import arm_joints


class JointFeed:
    """Measured joints of both arms, from one message, and how long ago it came.

    The robot stamps them by its own clock, so how long ago they came is measured by this computer's alone.
    """

    def __init__(self, clock, topic: str = "robot/joint_states"):
        self._clock = clock
        self._joints = {side: arm_joints(side) for side in ("left", "right")}
        self._latest: Optional[JointState] = None
        self._stamp = (0, 0)
        self._came, self._came_wall = clock.now(), clock.wall()
        self._index: Tuple[Sequence[str], Dict[str, list]] = ((), {})
        self._subscriber = rospy.Subscriber(topic, JointState, self._on_message, queue_size=1, tcp_nodelay=True)

    def _on_message(self, message: JointState) -> None:
        if "left_s0" not in message.name or "right_s0" not in message.name:
            return  # some simulators publish the grippers' joints in messages of their own
        stamp = (message.header.stamp.secs, message.header.stamp.nsecs)
        if stamp != self._stamp:
            self._stamp, self._came, self._came_wall = stamp, self._clock.now(), self._clock.wall()
        self._latest = message

    def positions(self, side: str) -> Optional[np.ndarray]:
        """(7,) measured joints (rad), s0 to w2; None before the first message."""
        message = self._latest
        if message is None:
            return None
        names, index = self._index
        if message.name != names:
            index = {arm: [message.name.index(j) for j in joints] for arm, joints in self._joints.items()}
            self._index = (message.name, index)
        position = message.position
        return np.array([position[i] for i in index[side]])

    def age(self) -> float:
        """Seconds of ROS time since the stamp last changed."""
        return self._clock.now() - self._came

    def silence(self) -> float:
        """Seconds of wall-clock time since the stamp last changed."""
        return self._clock.wall() - self._came_wall

    def delay(self) -> float:
        """How far (s) the newest stamp lies behind ROS time; negative where the robot's clock is ahead of ours."""
        return self._clock.now() - (self._stamp[0] + 1e-9 * self._stamp[1])

    def close(self) -> None:
        """Listen no more."""
        self._subscriber.unregister()


class Newest:
    """Newest message of a topic, and how long ago it came.

    A feed that is made before the SDK's class that subscribes to the same topic sets the connection: without Nagle's
    algorithm, which holds a small message back for up to 40 ms.

    Attributes:
        message: None before the first.
    """

    def __init__(self, clock, topic: str, message_class):
        self.message = None
        self._clock = clock
        self._came, self._came_wall = clock.now(), clock.wall()
        self._subscriber = rospy.Subscriber(topic, message_class, self._on_message, queue_size=1, tcp_nodelay=True)

    def _on_message(self, message) -> None:
        self._came, self._came_wall = self._clock.now(), self._clock.wall()
        self.message = message

    def age(self) -> float:
        """Seconds of ROS time since the newest message came."""
        return self._clock.now() - self._came

    def silence(self) -> float:
        """Seconds of wall-clock time since the newest message came."""
        return self._clock.wall() - self._came_wall

    def close(self) -> None:
        """Listen no more."""
        self._subscriber.unregister()


class StateFeed(Newest):
    """The robot's AssemblyState."""

    def __init__(self, clock):
        self._off = False
        super().__init__(clock, "robot/state", AssemblyState)

    def _on_message(self, message) -> None:
        super()._on_message(message)
        self._off = self._off or message.stopped or not message.enabled

    def was_off(self) -> bool:
        """Whether the motors were off since this was last asked; an arm may have sagged or been led away then."""
        off, self._off = self._off, False
        return off


def robot_state_feed(clock) -> StateFeed:
    """The robot's AssemblyState."""
    return StateFeed(clock)


def endpoint_feed(clock, side: str) -> Newest:
    """Pose and force at an arm's endpoint, of which the force stops a descent."""
    return Newest(clock, f"/robot/limb/{side}/endpoint_state", EndpointState)


class GripperFeed:
    """Newest state of a gripper."""

    def __init__(self, clock, side: str):
        self._clock = clock
        self._latest: Optional[Tuple[EndEffectorState, float]] = None
        topic = f"robot/end_effector/{side}_gripper/state"
        self._subscriber = rospy.Subscriber(topic, EndEffectorState, self._on_message, queue_size=1, tcp_nodelay=True)

    def _on_message(self, message: EndEffectorState) -> None:
        self._latest = (message, self._clock.now())

    def sample(self) -> Optional[GripperSample]:
        """The newest state; None before the first."""
        if self._latest is None:
            return None
        message, arrived = self._latest
        return GripperSample(
            force=message.force,
            position=message.position,
            gripping=_tristate(message.gripping),
            calibrated=_tristate(message.calibrated),
            age=self._clock.now() - arrived,
            error=message.error == EndEffectorState.STATE_TRUE,
        )

    def echo(self) -> Tuple[str, int]:
        """Sender and sequence of the last command that the gripper took; ("", 0) where it says nothing of that."""
        if self._latest is None:
            return "", 0
        return self._latest[0].command_sender, self._latest[0].command_sequence

    def moving(self) -> bool:
        """Whether the gripper says that its fingers move."""
        return self._latest is not None and self._latest[0].moving == EndEffectorState.STATE_TRUE


def _tristate(value: int) -> Optional[bool]:
    if value == EndEffectorState.STATE_UNKNOWN:
        return None
    return value == EndEffectorState.STATE_TRUE
