"""The robot's time, with waits that end even if it stands still."""

import time

import rospy

from grasp_learning.execution.faults import Cancelled, RobotFault


class RosClock:
    """ROS time (simulated or not).

    Args:
        backstop: wall-clock time (s) after which a clock that does not advance is taken for dead.
    """

    def __init__(self, backstop: float):
        self._backstop = backstop

    def now(self) -> float:
        """ROS time (s)."""
        return rospy.get_time()

    def wall(self) -> float:
        """Monotonic wall-clock time (s), of arbitrary origin."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep until `seconds` of ROS time have passed.

        Raises:
            RobotFault: ROS time stood still for the backstop, or jumped back (a simulator that was restarted).
            Cancelled: the node is shutting down.
        """
        if rospy.is_shutdown():
            raise Cancelled("the node is shutting down")
        if seconds <= 0.0:
            return
        if rospy.rostime.is_wallclock():
            time.sleep(seconds)
            return
        start = rospy.get_time()
        moved, moved_at = start, time.monotonic()
        tick = rospy.rostime.get_rostime_cond()
        with tick:
            while rospy.get_time() < start + seconds:
                tick.wait(0.1)  # the condition is notified by each /clock message
                now, wall = rospy.get_time(), time.monotonic()
                if rospy.is_shutdown():
                    raise Cancelled("the node is shutting down")
                if now < start:
                    raise RobotFault(f"ROS time jumped back by {start - now:.1f} s")
                if now > moved:
                    moved, moved_at = now, wall
                elif wall - moved_at > self._backstop:
                    raise RobotFault(f"ROS time stood still for {self._backstop:g} s; is the simulator running?")
