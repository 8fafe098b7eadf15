"""Goals of action servers, one at a time, each of which ends with a typed outcome whatever happens."""

import threading
import traceback
from typing import Callable

import rospy

from grasp_learning.execution.faults import RobotFault, StepError
from grasp_learning.trial import Outcome


class GoalRunner:
    """Runs goals of several SimpleActionServers on one arm.

    Args:
        arm: an Arm; its ``cancelled`` asks the server while a goal runs, and where a person attends it, it takes no
            further goal after a fault of the robot or an unexpected error.
        motions: a Motions; its planning time is reported.

    Attributes:
        busy: held while a goal runs.
    """

    def __init__(self, arm, motions):
        self.busy = threading.Lock()
        self._arm, self._motions = arm, motions
        self._feedback: Callable[[str], None] = lambda phase: None

    def announce(self, phase: str) -> None:
        """Publish the phase of the goal that runs."""
        self._feedback(phase)

    def run(self, server, result, feedback_class, work: Callable) -> None:
        """Run one goal and report its outcome.

        Args:
            result: filled in and sent; has outcome, message, fault and planning_time.
            work: ``work(result) -> Outcome``.
        """
        if not self.busy.acquire(blocking=False):
            result.outcome, result.message = str(Outcome.ABORTED), "the arm is busy with another goal"
            server.set_aborted(result, result.message)
            return
        try:
            self._motions.planning_time = 0.0
            self._arm.cancelled = server.is_preempt_requested
            self._feedback = lambda phase: server.publish_feedback(feedback_class(phase=phase))
            outcome = self._outcome(result, work)
            result.fault = self._arm.fault
            result.planning_time = self._motions.planning_time
        finally:
            self._arm.cancelled = lambda: False
            self.busy.release()
        self._finish(server, result, outcome)

    def _outcome(self, result, work: Callable) -> Outcome:
        try:
            outcome = work(result)
        except StepError as error:
            outcome, result.message = error.outcome, str(error)
            if isinstance(error, RobotFault):
                self._arm.stopped_by(result.message)
        # Here, and only here, everything else: actionlib would answer with an empty result, which no client can tell
        # from any other, and a defect of this node would go on as a puzzle elsewhere.
        except Exception as error:  # noqa: BLE001 - see above
            rospy.logerr("an error that should not happen; please report it:\n%s", traceback.format_exc())
            outcome = Outcome.ROBOT_FAULT
            result.message = f"unexpected {type(error).__name__} in the executor: {error} (its log has more)"
            self._arm.stopped_by(result.message)
        result.outcome = str(outcome)
        return outcome

    def _finish(self, server, result, outcome: Outcome) -> None:
        if outcome.is_label:
            server.set_succeeded(result, result.message)
            return
        rospy.logwarn("%s: %s", result.outcome, result.message)
        if outcome is Outcome.ABORTED and server.is_preempt_requested():
            server.set_preempted(result, result.message)
        else:
            server.set_aborted(result, result.message)
