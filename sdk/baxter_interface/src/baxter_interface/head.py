"""The robot's head: pan and nod."""

from typing import Optional

import rospy
from baxter_core_msgs.msg import HeadPanCommand, HeadState
from baxter_dataflow import wait_for
from std_msgs.msg import Bool

from baxter_interface import settings


class Head:
    """Interface to the head.

    Raises:
        OSError: ETIMEDOUT, when no head state arrives within five seconds.
    """

    def __init__(self):
        self._state: Optional[HeadState] = None
        self._pub_pan = rospy.Publisher("/robot/head/command_head_pan", HeadPanCommand, queue_size=10)
        self._pub_nod = rospy.Publisher("/robot/head/command_head_nod", Bool, queue_size=10)
        topic = "/robot/head/head_state"
        self._sub_state = rospy.Subscriber(topic, HeadState, self._on_state)
        wait_for(lambda: self._state is not None, timeout=5.0, timeout_msg=f"Head: nothing arrived on {topic}")

    def _on_state(self, msg: HeadState) -> None:
        self._state = msg

    def pan(self) -> float:
        """Pan angle (rad)."""
        return self._state.pan

    def nodding(self) -> bool:
        """Whether the head is nodding."""
        return self._state.isNodding

    def panning(self) -> bool:
        """Whether the head is turning."""
        return self._state.isTurning

    def set_pan(self, angle: float, speed: float = 1.0, timeout: float = 10.0, scale_speed: bool = False) -> None:
        """Turn the head.

        Args:
            angle: rad.
            speed: share of the full speed, 0 to 1 (0 to 100 with scale_speed).
            timeout: s to wait for the angle; 0 sends the command once and returns.

        Raises:
            OSError: ETIMEDOUT, when the angle is not reached.
        """
        ratio = speed / 100.0 if scale_speed else speed
        if not HeadPanCommand.MIN_SPEED_RATIO <= ratio <= HeadPanCommand.MAX_SPEED_RATIO:
            rospy.logerr("Head: the speed %s is outside 0 to 1", ratio)
        command = HeadPanCommand(angle, ratio, HeadPanCommand.REQUEST_PAN_ENABLE)
        self._pub_pan.publish(command)
        if timeout != 0:
            wait_for(
                lambda: abs(self.pan() - angle) <= settings.HEAD_PAN_ANGLE_TOLERANCE,
                timeout=timeout,
                timeout_msg=f"Head: did not reach the pan angle {angle:f}",
                body=lambda: self._pub_pan.publish(command),
            )

    def command_nod(self, timeout: float = 5.0) -> None:
        """Nod once.

        Args:
            timeout: s to wait for the nod to begin and again for its end; 0 returns at once.

        Raises:
            OSError: ETIMEDOUT, when the nod does not begin or end.
        """
        self._pub_nod.publish(True)
        if timeout != 0:
            start = {"timeout_msg": "Head: the nod did not begin", "body": lambda: self._pub_nod.publish(True)}
            wait_for(self.nodding, timeout=timeout, **start)
            end = {"timeout_msg": "Head: the nod did not end", "body": lambda: self._pub_nod.publish(False)}
            wait_for(lambda: not self.nodding(), timeout=timeout, **end)
