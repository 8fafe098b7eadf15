"""A person's leave for an arm to move."""

import threading

import rospy
from std_srvs.srv import Trigger, TriggerResponse

from grasp_learning.execution.faults import Cancelled
from grasp_learning.ros.calls import Deadline


class Permission:
    """Waits until a person calls ~start (std_srvs/Trigger)."""

    def __init__(self) -> None:
        self._given = threading.Event()
        self._service = rospy.Service("~start", Trigger, self._on_start)

    def _on_start(self, _) -> TriggerResponse:
        self._given.set()
        return TriggerResponse(True, "")

    def ask(self, arm: str, limit: float) -> None:
        """Tell that an arm is going to move, and wait until it may, at most limit s (wall clock).

        Raises:
            Cancelled: nobody said so in time, or the node is shutting down.
        """
        command = f"rosservice call {rospy.resolve_name('~start')}"
        rospy.logwarn("The %s arm is going to move. Stand clear, then: %s", arm, command)
        if not Deadline(None, limit).wait(self._given.is_set):
            raise Cancelled(f"nobody confirmed by '{command}' within {limit:g} s; the arm did not move")
