"""The SDK's wait with a deadline in ROS time."""

import errno
import math
from typing import Callable, Optional

import rospy


def wait_for(
    test: Callable[[], bool],
    timeout: float = 1.0,
    raise_on_error: bool = True,
    rate: float = 100.0,
    timeout_msg: str = "timeout expired",
    body: Optional[Callable[[], None]] = None,
) -> bool:
    """Wait until a condition holds.

    Like the SDK's it trusts the clock: a node that has not heard /clock yet counts its deadline from time 0, so that
    the first message may end the wait, and where ROS time stands still the wait never ends. Callers that cannot afford
    that run it beside themselves.

    Args:
        timeout: s of ROS time; negative or infinite waits for ever.
        rate: how often the condition is looked at, Hz.
        body: called after each look that found the condition false.

    Returns:
        Whether the condition holds; False only without raise_on_error.

    Raises:
        OSError: ETIMEDOUT when the time is over, ESHUTDOWN when the node has ended.
        rospy.ROSInterruptException: the node ended between two looks, or ROS time jumped back.
    """
    deadline = rospy.get_time() + timeout
    pause = rospy.Rate(rate)
    forever = timeout < 0 or math.isinf(timeout)
    while not test():
        if rospy.is_shutdown():
            return _give_up(raise_on_error, errno.ESHUTDOWN, "ROS was shut down")
        if not forever and rospy.get_time() >= deadline:
            return _give_up(raise_on_error, errno.ETIMEDOUT, timeout_msg)
        if callable(body):
            body()
        pause.sleep()
    return True


def _give_up(raise_on_error: bool, code: int, message: str) -> bool:
    if raise_on_error:
        raise OSError(code, message)
    return False
