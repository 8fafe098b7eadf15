"""The planner's interface: what is asked, what comes back, and how a planner is chosen by name."""

import abc
import time
from dataclasses import dataclass, field
from typing import Callable, Optional, Sequence

import numpy as np

from grasp_learning.calibration import Table
from grasp_learning.config import ConfigError
from grasp_learning.motion.collision import Box, CollisionScene
from grasp_learning.motion.kinematics import Kinematics
from grasp_learning.motion.move_group import MoveGroup
from grasp_learning.motion.robot_model import RobotModel
from grasp_learning.motion.settings import MotionSettings
from grasp_learning.motion.trajectory import Trajectory
from grasp_learning.trial import ARMS, Outcome

PLANNERS = ("ompl", "moveit")


@dataclass(frozen=True)
class PlanRequest:
    """Where from, where to. Several goals are equivalent; the nearest that can be reached is taken.

    Attributes:
        start: (7,) joints (rad). Where the start itself violates the margin of the virtual wall, or the shapes around
            the gripper sink into the table's top by no more than the settings allow, the margins shrink for this plan.
        goal_poses: T_base_gripper (4, 4) each.
        goal_joints: (7,) each.
        other_arm: (7,) measured joints of the other arm, an obstacle; None leaves it out.
        goal_check: a further condition on a goal's joints (7,), such as that a straight descent is possible from there.
            Goals are asked nearest first, and the first that passes is the goal.
        time_budget: for the whole answer (s); None takes the settings' planning_time.
    """

    start: np.ndarray
    goal_poses: Sequence[np.ndarray] = ()
    goal_joints: Sequence[np.ndarray] = ()
    other_arm: Optional[np.ndarray] = None
    goal_check: Optional[Callable[[np.ndarray], bool]] = None
    time_budget: Optional[float] = None


@dataclass(frozen=True)
class StraightRequest:
    """A straight line of the gripper: the descent to a grasp, the lift, short sidesteps.

    Attributes:
        start: (7,) joints (rad).
        T_base_goal: (4, 4) pose of the gripper at the end; the orientation is constant where it is the start's.
        other_arm: (7,) measured joints of the other arm, an obstacle; None leaves it out.
        tip_speed: limit (m/s); None takes the settings'.
    """

    start: np.ndarray
    T_base_goal: np.ndarray
    other_arm: Optional[np.ndarray] = None
    tip_speed: Optional[float] = None


@dataclass
class PlanTimes:
    """Where the time went (s)."""

    ik: float = 0.0
    plan: float = 0.0
    simplify: float = 0.0
    timing: float = 0.0

    @property
    def total(self) -> float:
        """Sum of the parts (s)."""
        return self.ik + self.plan + self.simplify + self.timing


@dataclass(frozen=True)
class PlanResult:
    """What came of a request.

    Attributes:
        outcome: SUCCESS; UNREACHABLE (no goal can be taken up by this arm, or not on a straight line);
            PLANNING_FAILED (no path within the time, or the start itself is in collision); ROBOT_FAULT (the planner is
            another program, and that does not answer or knows another robot).
        message: for a person; names the links where something touches.
        trajectory: with SUCCESS, from rest at the start to rest at a goal.
        path: with SUCCESS, (n, 7) corners of the path before they were rounded, or joints along the straight line.
        reached: of a straight line that ends early (UNREACHABLE), how far the gripper can follow it: metres, plus 0.25
            for each radian of turning.
    """

    outcome: Outcome
    message: str = ""
    trajectory: Optional[Trajectory] = None
    path: Optional[np.ndarray] = None
    times: PlanTimes = field(default_factory=PlanTimes)
    reached: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether there is a trajectory."""
        return self.outcome is Outcome.SUCCESS


def wrist_alternatives(T_base_gripper: np.ndarray) -> Sequence[np.ndarray]:
    """A pose and the same grasp with the gripper turned by pi about its approach, which closes alike."""
    turned = np.array(T_base_gripper, float)
    turned[:3, :2] *= -1
    return [np.asarray(T_base_gripper, float), turned]


class Planner(abc.ABC):
    """Plans collision-free timed motions of one arm. One instance belongs to one thread.

    Attributes:
        kinematics: of the arm.
        settings: limits, margins and budgets.
    """

    kinematics: Kinematics
    settings: MotionSettings

    @abc.abstractmethod
    def plan(self, request: PlanRequest) -> PlanResult:
        """A trajectory from rest to rest, or a typed reason why there is none.

        Never raises for what the world does, and answers within the request's time budget (plus the few
        milliseconds of the last step begun).

        Raises:
            ValueError: the request has no goal, or arrays of a wrong shape.
        """

    @abc.abstractmethod
    def plan_straight(self, request: StraightRequest) -> PlanResult:
        """A straight line of the gripper from rest to rest, or UNREACHABLE with what ends it, where, and ``reached``.

        Near the table the shapes around the gripper may sink into its top by the settings' tool_table_slack, since
        they are larger than the gripper. Never raises for what the world does.
        """

    @abc.abstractmethod
    def scene_with(self, other_arm: Optional[np.ndarray]) -> CollisionScene:
        """What the arm must not touch, with the other arm at its joints (7,) or, for None, left out."""


def create_planner(
    name: str,
    robot: RobotModel,
    side: str,
    settings: Optional[MotionSettings] = None,
    table: Optional[Table] = None,
    boxes: Sequence[Box] = (),
    seed: int = 0,
    move_group: Optional[MoveGroup] = None,
) -> Planner:
    """Make a planner by name.

    Args:
        name: "ompl" or "moveit".
        robot: its description.
        side: the arm, "left" or "right".
        settings: defaults where None.
        table: the table top, an obstacle.
        boxes: further obstacles.
        seed: of everything random in it.
        move_group: the way to MoveIt's node, which "moveit" needs.

    Raises:
        ConfigError: the name or the side is unknown, or the planner's library is not installed.
        MoveItUnavailable: MoveIt's node does not answer, or plans in a way that cannot be used.
    """
    if name not in PLANNERS:
        raise ConfigError(f"planner: '{name}' is unknown; choose from {PLANNERS}")
    if side not in ARMS:
        raise ConfigError(f"side: '{side}' is not an arm; choose from {ARMS}")
    settings = settings or MotionSettings()
    if name == "moveit":
        from grasp_learning.motion.moveit_planner import MoveItPlanner

        if move_group is None:
            raise ConfigError("planner: 'moveit' works over ROS only; choose 'ompl' here")
        return MoveItPlanner(robot, side, settings, table, boxes, seed, move_group)
    try:
        from grasp_learning.motion.ompl_planner import OmplPlanner
    except ImportError as error:
        raise ConfigError(f"planner: 'ompl' needs the Python package ompl==1.7.0 ({error})") from None
    return OmplPlanner(robot, side, settings, table, boxes, seed)


class Stopwatch:
    """Splits a time budget: laps for the report, the rest for the next step."""

    def __init__(self, budget: float):
        self._budget = budget
        self._begin = self._lap = time.perf_counter()

    def lap(self) -> float:
        """Seconds since the last lap."""
        now = time.perf_counter()
        self._lap, elapsed = now, now - self._lap
        return elapsed

    def left(self) -> float:
        """Seconds of the budget that are left; negative when it is spent."""
        return self._budget - (time.perf_counter() - self._begin)
