"""Where an arm can go and how: plans and straight lines, with the reasons why not as typed faults."""

import time
from typing import Callable, Iterator, List, Optional, Sequence

import numpy as np

from grasp_learning.bins import Bins
from grasp_learning.calibration import Table
from grasp_learning.execution.faults import PlanningFailed, RobotFault, Unreachable
from grasp_learning.motion.collision import Box
from grasp_learning.motion.move_group import MoveGroup
from grasp_learning.motion.planner import PlanRequest, PlanResult, StraightRequest, create_planner
from grasp_learning.motion.robot_model import RobotModel
from grasp_learning.motion.settings import MotionSettings
from grasp_learning.motion.trajectory import Trajectory
from grasp_learning.robot_description import NEUTRAL, load_urdf
from grasp_learning.trial import Outcome

END_MARGIN = 0.01  # m
FREE = 2e-3  # m; a plan can begin with this much room
ESCAPE = 3e-3  # m; so much more is wanted at the end of an escape
ESCAPE_SPEED = 0.2  # rad/s
_FAULTS = {
    Outcome.UNREACHABLE: Unreachable,
    Outcome.PLANNING_FAILED: PlanningFailed,
    Outcome.ROBOT_FAULT: RobotFault,
}


class Motions:
    """Plans for one arm. Joints are (7,) arrays s0..w2 (rad), poses T_base_gripper (4, 4).

    Every method that plans takes the other arm's measured joints, an obstacle, and raises Unreachable,
    PlanningFailed, or RobotFault where the planner is another program that does not answer. For one thread at a time.

    Args:
        bins: obstacles beside the table, those of both arms; None for none.
        move_group: the way to MoveIt's node, for the planner "moveit".

    Attributes:
        planning_time: wall-clock time (s) spent since it was last set to 0.
    """

    def __init__(
        self,
        side: str,
        planner: str,
        settings: MotionSettings,
        table: Table,
        seed: int,
        bins: Optional[Bins] = None,
        move_group: Optional[MoveGroup] = None,
    ):
        robot = RobotModel(load_urdf())
        boxes = [] if bins is None else bin_boxes(bins)
        self._planner = create_planner(planner, robot, side, settings, table, boxes, seed, move_group)
        self._table = table
        self._rng = np.random.default_rng(seed)
        self.planning_time = 0.0

    # --- plans --------------------------------------------------------------------------------------------------------

    def to_joints(self, q: np.ndarray, goal: np.ndarray, other: np.ndarray):
        """A planned trajectory to joints."""
        return self._plan(PlanRequest(q, goal_joints=[goal], other_arm=other))

    def to_first_pose(self, q: np.ndarray, poses: Sequence[np.ndarray], other: np.ndarray):
        """A planned trajectory to the first pose, or else to whichever other one is nearest."""
        try:
            return self._plan(PlanRequest(q, goal_poses=poses[:1], other_arm=other))
        except (Unreachable, PlanningFailed):
            if len(poses) == 1:
                raise
        return self._plan(PlanRequest(q, goal_poses=poses[1:], other_arm=other))

    def to_pregrasp(self, q: np.ndarray, poses: Sequence[np.ndarray], drop: float, other: np.ndarray, speed: float):
        """A planned trajectory to one of several equivalent poses, and a straight one from there down.

        Args:
            poses: the posture nearest to q is preferred, whichever pose it belongs to.
            drop: how far down it must be able to go (m).
            speed: of the fingertips on the way down, at most (m/s).
        """
        descents: List[Trajectory] = []

        def can_descend(goal: np.ndarray) -> bool:
            down = self._shifted(goal, (0.0, 0.0, -drop))
            way = self._planner.plan_straight(StraightRequest(goal, down, other, speed))
            if way.outcome is Outcome.ROBOT_FAULT:
                raise RobotFault(way.message)  # which says nothing of this goal
            descents.append(way.trajectory)
            return way.ok

        path = self._plan(PlanRequest(q, goal_poses=poses, other_arm=other, goal_check=can_descend))
        return path, descents[-1]  # the first goal that passes is the goal

    def shift(self, q: np.ndarray, offset: Sequence[float], other: np.ndarray, speed: float):
        """A straight motion of the gripper by an offset (3,) in the base frame (m), its orientation kept.

        Args:
            speed: of the fingertips, at most (m/s).
        """
        return planned(self._straight(q, offset, other, speed))

    def rise(self, q: np.ndarray, height: float, least: float, other: np.ndarray, speed: float):
        """A straight motion up by a height (m), or as far as the arm can go if that is at least `least` (m)."""
        result = self._straight(q, (0.0, 0.0, height), other, speed)
        if result.outcome is not Outcome.UNREACHABLE:
            return planned(result)
        # short of where something touches, so that the next plan has room to begin
        reached = result.reached - END_MARGIN
        if reached < least:
            raise Unreachable(f"the lift would end too low: {result.message}")
        return self.shift(q, (0.0, 0.0, reached), other, speed)

    def escape(self, q: np.ndarray, other: np.ndarray):
        """A slow short motion away from what the arm touches or nearly touches; None where it is free.

        An arm that was stopped by force may rest where no plan can begin.
        """
        scene = self._planner.scene_with(other)
        start = scene.clearance(q)
        if start >= FREE:
            return None
        steps = np.linspace(0.1, 1.0, 10)[:, None]
        for goal in self._ways_out(q):
            line = [scene.clearance(point) for point in q + steps * (goal - q)]
            if line[-1] >= FREE + ESCAPE and np.diff([start, *line]).min() > -1e-3:
                return _ease(q, goal)
        raise PlanningFailed(f"no way out of a collision: {', '.join(scene.collisions(q))}")

    def _ways_out(self, q: np.ndarray) -> Iterator[np.ndarray]:
        """Postures near q: towards neutral first, then around it, ever further away."""
        kinematics, away = self._planner.kinematics, np.array(NEUTRAL) - q
        for size in np.linspace(0.03, 0.4, 120):
            yield q + away * min(size / max(np.abs(away).max(), 1e-6), 1.0)
            yield np.clip(q + self._rng.normal(0.0, size, 7), kinematics.lower, kinematics.upper)

    # --- where things are ---------------------------------------------------------------------------------------------

    def position(self, q: np.ndarray) -> np.ndarray:
        """(3,) point between the fingertips, base frame (m)."""
        return self._planner.kinematics.fk(q)[:3, 3]

    def height(self, q: np.ndarray) -> float:
        """Height of the fingertips, base frame (m)."""
        return float(self.position(q)[2])

    def yaw(self, q: np.ndarray) -> float:
        """Direction (rad) about base z in which the fingers close."""
        y_axis = self._planner.kinematics.fk(q)[:3, 1]
        return float(np.arctan2(y_axis[1], y_axis[0]))

    def tilt(self, q: np.ndarray) -> float:
        """Angle (rad) between where the gripper points and straight down."""
        return float(np.arccos(np.clip(-self._planner.kinematics.fk(q)[2, 2], -1.0, 1.0)))

    def height_to_clear(self, q: np.ndarray, clearance: float) -> float:
        """How far (m) the fingertips must rise to be `clearance` (m) above the table; 0 beside the table."""
        x, y, z = self.position(q)
        table = self._table
        over = table.x_min <= x <= table.x_max and table.y_min <= y <= table.y_max
        return max(table.z + clearance - z, 0.0) if over else 0.0

    # --- parts --------------------------------------------------------------------------------------------------------

    def _shifted(self, q: np.ndarray, offset: Sequence[float]) -> np.ndarray:
        pose = self._planner.kinematics.fk(q)
        pose[:3, 3] += offset
        return pose

    def _straight(self, q: np.ndarray, offset: Sequence[float], other: np.ndarray, speed: float) -> PlanResult:
        request = StraightRequest(q, self._shifted(q, offset), other, speed)
        return self._on_the_clock(lambda: self._planner.plan_straight(request))

    def _plan(self, request: PlanRequest):
        return planned(self._on_the_clock(lambda: self._planner.plan(request)))

    def _on_the_clock(self, work: Callable[[], PlanResult]) -> PlanResult:
        begin = time.monotonic()
        try:
            return work()
        finally:
            self.planning_time += time.monotonic() - begin


def planned(result: PlanResult) -> Trajectory:
    """The motion of a plan.

    Raises:
        Unreachable, PlanningFailed, RobotFault: there is none, by its outcome.
    """
    if not result.ok:
        raise _FAULTS.get(result.outcome, PlanningFailed)(result.message)
    return result.trajectory


def bin_boxes(bins: Bins) -> List[Box]:
    """The space that each bin takes up: no part of an arm may be in it, not even inside the bin."""
    boxes = []
    for arm, one in bins.by_arm.items():
        center, size = one.outer
        boxes.append(Box(f"{arm} bin", tuple(center.tolist()), tuple(size.tolist())))
    return boxes


def _ease(start: np.ndarray, goal: np.ndarray) -> Trajectory:
    """A slow motion on the straight line in joint space, from rest to rest."""
    # the middle of 3 u^2 - 2 u^3 is half as fast again as its mean
    duration = max(1.5 * float(np.abs(goal - start).max()) / ESCAPE_SPEED, 0.1)
    u = np.linspace(0.0, 1.0, max(int(duration / 0.01), 2))[:, None]
    way, rate, bend = 3 * u**2 - 2 * u**3, 6 * (u - u**2) / duration, 6 * (1 - 2 * u) / duration**2
    step = goal - start
    return Trajectory(duration * u[:, 0], start + way * step, rate * step, bend * step)
