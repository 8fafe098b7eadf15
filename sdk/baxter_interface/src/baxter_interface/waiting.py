"""Waits with a deadline in ROS time, which under simulated time runs only as long as someone publishes /clock."""

import errno
import math
import time
from typing import Callable, Optional

import rospy

CLOCK_PATIENCE = 5.0  # s of wall time for which ROS time may stand still before a wait gives up


def wait_for(
    test: Callable[[], bool],
    timeout: float = 1.0,
    raise_on_error: bool = True,
    rate: float = 100.0,
    timeout_msg: str = "timeout expired",
    body: Optional[Callable[[], None]] = None,
) -> bool:
    """Wait until a condition holds.

    Args:
        timeout: s of ROS time; negative or infinite waits for ever (but not for a clock that stands still).
        rate: how often the condition is looked at, Hz.
        body: called after each look that found the condition false.

    Returns:
        Whether the condition holds; False only without raise_on_error.

    Raises:
        OSError: ETIMEDOUT when the time is over or the clock stands still, ESHUTDOWN when the node ends.
    """
    if test():
        return True
    # The first /clock message sets time from 0 to the simulation's; a deadline counted from 0 would be over at once.
    alive = _sleep_while(lambda: rospy.get_time() <= 0.0)
    forever = timeout < 0 or math.isinf(timeout)
    deadline = rospy.get_time() + timeout
    while not test():
        if rospy.is_shutdown():
            return _give_up(raise_on_error, errno.ESHUTDOWN, "ROS was shut down")
        if not alive:
            return _give_up(raise_on_error, errno.ETIMEDOUT, f"{timeout_msg} (ROS time stands still)")
        if not forever and rospy.get_time() >= deadline:
            return _give_up(raise_on_error, errno.ETIMEDOUT, timeout_msg)
        if body is not None:
            body()
        start = rospy.get_time()
        # Time that jumps back (a simulation that starts over) ends the pause too.
        alive = _sleep_while(lambda: 0.0 <= rospy.get_time() - start < 1.0 / rate)  # noqa: B023
    return True


def _sleep_while(waiting: Callable[[], bool]) -> bool:
    """Sleep in small steps; False if the condition still holds after CLOCK_PATIENCE of wall time."""
    patience = time.monotonic() + CLOCK_PATIENCE
    while waiting() and not rospy.is_shutdown():
        if time.monotonic() >= patience:
            return False
        time.sleep(0.001)
    return True


def _give_up(raise_on_error: bool, code: int, message: str) -> bool:
    if raise_on_error:
        raise OSError(code, message)
    return False
