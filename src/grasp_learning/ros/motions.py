"""Where an arm can go and how: plans and straight lines, with the reasons why not as typed faults."""

import time
from typing import Sequence

import numpy as np

from grasp_learning.calibration import Table
from grasp_learning.motion.planner import PlanRequest, create_planner
from grasp_learning.motion.robot_model import RobotModel
from grasp_learning.motion.settings import MotionSettings
from grasp_learning.motion.straight import plan_straight, straight_joints
from grasp_learning.robot_description import load_urdf
from grasp_learning.ros.faults import PlanningFailed, Unreachable
from grasp_learning.trial import Outcome

_FAULTS = {Outcome.UNREACHABLE: Unreachable, Outcome.PLANNING_FAILED: PlanningFailed}


class Motions:
    """Plans for one arm. Joints are (7,) arrays s0..w2 (rad), poses T_base_gripper (4, 4).

    Every method that plans takes the other arm's measured joints, an obstacle, and raises Unreachable or
    PlanningFailed. For one thread at a time.

    Attributes:
        planning_time: wall-clock time (s) spent since it was last set to 0.
    """

    def __init__(self, side: str, planner: str, settings: MotionSettings, table: Table, seed: int):
        robot = RobotModel(load_urdf())
        self._planner = create_planner(planner, robot, side, settings, table, seed=seed)
        self._table = table
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

    def to_pregrasp(self, q: np.ndarray, poses: Sequence[np.ndarray], drop: float, other: np.ndarray):
        """A planned trajectory to one of several equivalent poses from which the gripper can go straight down.

        Args:
            poses: the posture nearest to q is preferred, whichever pose it belongs to.
            drop: how far down it must be able to go (m).
        """

        def can_descend(goal: np.ndarray) -> bool:
            reason = straight_joints(self._planner, goal, self._shifted(goal, (0.0, 0.0, -drop)), other)[2]
            return not reason

        return self._plan(PlanRequest(q, goal_poses=poses, other_arm=other, goal_check=can_descend))

    def shift(self, q: np.ndarray, offset: Sequence[float], other: np.ndarray, speed: float):
        """A straight motion of the gripper by an offset (3,) in the base frame (m), its orientation kept.

        Args:
            speed: of the fingertips, at most (m/s).
        """
        begin = time.monotonic()
        result = plan_straight(self._planner, q, self._shifted(q, offset), other, speed)
        return self._checked(result, begin)

    def rise(self, q: np.ndarray, height: float, least: float, other: np.ndarray, speed: float):
        """A straight motion up by a height (m), or as far as the arm can go if that is at least `least` (m)."""
        begin = time.monotonic()
        _, travel, reason = straight_joints(self._planner, q, self._shifted(q, (0.0, 0.0, height)), other)
        self.planning_time += time.monotonic() - begin
        reached = float(travel[-1]) if len(travel) else 0.0
        if reason and reached < least:
            raise Unreachable(f"the lift would end too low: {reason}")
        return self.shift(q, (0.0, 0.0, reached if reason else height), other, speed)

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

    def _plan(self, request: PlanRequest):
        begin = time.monotonic()
        return self._checked(self._planner.plan(request), begin)

    def _checked(self, result, begin: float):
        self.planning_time += time.monotonic() - begin
        if not result.ok:
            raise _FAULTS.get(result.outcome, PlanningFailed)(result.message)
        return result.trajectory
