"""Rethink's SDK where it is slow, or missing its topics."""

import time
from typing import Any, Callable

import rospy

from grasp_learning.execution.faults import Cancelled, RobotFault
from grasp_learning.execution.hand import bounded
from grasp_learning.ros.calls import sdk_task


def found(make: Callable[[], Any], what: str, end: float, timeout: float) -> Any:
    """Construct one of the SDK's classes, again and again until it finds its topics or the time is over.

    Args:
        what: for messages, such as "the left arm".
        end: of the time (s, time.monotonic). timeout: how long it was from the start (s), for the message.

    Raises:
        RobotFault: it does not find them in time.
        Cancelled: the node is shutting down.
    """
    rospy.loginfo("waiting for %s", what)
    while True:
        try:
            if rospy.get_time() <= 0.0:
                raise RobotFault("no /clock yet")
            return bounded(make, max(end - time.monotonic(), 0.1), what, sdk_task)
        except RobotFault as error:
            if rospy.is_shutdown():
                raise Cancelled("the node is shutting down") from None
            if time.monotonic() > end:
                raise RobotFault(f"{what} was not found within {timeout:g} s ({error}); is the robot on?") from None
            time.sleep(0.1)
