"""What can end a motion or a step early, as exceptions that carry the typed outcome of the step."""

from grasp_learning.trial import Outcome


class StepError(Exception):
    """A step ended without its result; ``outcome`` is how, the message says why."""

    outcome = Outcome.ROBOT_FAULT


class RobotFault(StepError):
    """The robot is disabled, e-stopped, off its path, silent, or its time stands still."""


class SensorFault(StepError):
    """The gripper or a camera sent nothing, or nonsense."""

    outcome = Outcome.SENSOR_FAULT


class Cancelled(StepError):
    """The client cancelled the goal, or the node is shutting down."""

    outcome = Outcome.ABORTED


class Unreachable(StepError):
    """No configuration of the arm reaches the pose on its side of the table."""

    outcome = Outcome.UNREACHABLE


class PlanningFailed(StepError):
    """The pose can be reached, but no path was found in the planner's time."""

    outcome = Outcome.PLANNING_FAILED
