"""MoveIt's EST and Cartesian paths behind the same interface as OMPL's.

Goals come from this package's own inverse kinematics, so that the nearest posture from which the descent is possible is
chosen whichever planner is used; MoveIt finds the ways. Each way is checked again on this package's model of the robot,
which knows the virtual wall exactly and proves a motion free between its samples. It is timed here, too: by default
MoveIt times plans at a tenth of the joints' limits, and Cartesian paths without a limit for the gripper's speed.
"""

from typing import List, Optional, Sequence, Tuple

import numpy as np
from scipy.spatial.transform import Rotation

from grasp_learning.calibration import Table
from grasp_learning.motion.collision import WALL, Box, CollisionScene, table_box
from grasp_learning.motion.move_group import MoveGroup, MoveItPath, MoveItUnavailable
from grasp_learning.motion.planner import PlanRequest, PlanResult, PlanTimes, Stopwatch, StraightRequest
from grasp_learning.motion.robot_model import RobotModel
from grasp_learning.motion.scene_planner import ScenePlanner
from grasp_learning.motion.settings import MotionSettings
from grasp_learning.motion.straight import JUMP, TURN_LENGTH, timed_line, touching_at
from grasp_learning.motion.timing import without_duplicates
from grasp_learning.trial import Outcome

END_TOLERANCE = 0.01  # rad; MoveIt keeps a goal to 1e-4 rad unless its own settings are looser
# A robot's own description is calibrated and differs from the nominal one by some millimetres; another gripper or
# fingers of another length differ by centimetres.
LINE_TOLERANCE = 0.01  # m
TILT_TOLERANCE = 0.05  # rad
SAME_DIRECTION = 1e-3  # rad; a path goes straight on where it turns by less
LEAST_STEP = 1e-4  # m between points of a line that is timed
WHOLE = 0.999  # fraction from which a line counts as complete
# Of the time that is left, for one search: most find a way in much less; one that takes longer had better begin anew.
SHARE = 0.25
LEAST_TIME = 0.3  # s; a search of less is hardly worth it
# The wall in MoveIt's scene is thinner than the margin that is kept here, so that an arm that may stand here may there.
WALL_THINNER = 5e-3  # m on either side
WALL_SIZE = 3.0  # m, beyond what arms reach


def wall_box(margin: float) -> Box:
    """The plane between the arms as a box; MoveIt checks only the arm that is planned for, so one serves both."""
    thickness = 2 * max(margin - WALL_THINNER, 1e-3)
    return Box(WALL, (0.5, 0.0, 0.5), (WALL_SIZE, thickness, WALL_SIZE))


class MoveItPlanner(ScenePlanner):
    """Plans by MoveIt; see Planner for the contract.

    Where no other arm is given, MoveIt takes it where it measures it.

    Args:
        move_group: the way to MoveIt's node; planners for several tables may share it.

    Raises:
        MoveItUnavailable: it does not answer, or checks edges more coarsely than the settings allow.
    """

    def __init__(
        self,
        robot: RobotModel,
        side: str,
        settings: MotionSettings,
        table: Optional[Table],
        boxes: Sequence[Box],
        seed: int,
        move_group: MoveGroup,
    ):
        super().__init__(robot, side, settings, table, boxes, seed)
        self._move_group = move_group
        self._check_edges()
        self._obstacles = [*boxes] if table is None else [table_box(table), *boxes]
        if settings.wall_margin is not None:
            self._obstacles.append(wall_box(settings.wall_margin))
        move_group.show(self._obstacles)

    def _check_edges(self) -> None:
        """Refuse a move_group whose paths would mostly fail the check here: its default looks every 1.5 rad."""
        extent = float(np.sum(self.kinematics.upper - self.kinematics.lower))  # MoveIt adds up the joints' ranges
        fraction, limit = self._move_group.edge_fraction(), self.settings.moveit.max_edge_step
        if fraction * extent > limit:
            raise MoveItUnavailable(
                f"move_group checks the {self.side} arm's edges only every {fraction * extent:.2f} rad "
                f"(longest_valid_segment_fraction is {fraction:g}); start it by launch/moveit.launch, or set that to "
                f"{np.floor(limit / extent * 1e5) / 1e5:g} or less"
            )

    # --- plans --------------------------------------------------------------------------------------------------------

    def _path_to(self, request: PlanRequest, start, goals, watch: Stopwatch, times: PlanTimes) -> PlanResult:
        refused: List[PlanResult] = []
        attempts = self.settings.moveit.attempts
        for count in range(attempts):
            left = watch.left()
            if left <= 0:
                break
            seconds = min(max(left * SHARE, left / (attempts - count), LEAST_TIME), left)
            goal = goals[count % len(goals)]
            try:
                self._move_group.show(self._obstacles)
                answer = self._move_group.plan(start, goal, request.other_arm, seconds)
            except MoveItUnavailable as error:
                return PlanResult(Outcome.ROBOT_FAULT, str(error), times=times)
            finally:
                times.plan += watch.lap()
            result = self._accepted(answer, start, goal, watch, times)
            if result.ok:
                return result
            refused.append(result)
        failed = [result for result in refused if result.outcome is Outcome.PLANNING_FAILED]
        return (failed or refused)[-1]

    def _accepted(self, answer: MoveItPath, start, goal, watch: Stopwatch, times: PlanTimes) -> PlanResult:
        """MoveIt's path as a timed motion, or why it is none."""
        if answer.outcome is not Outcome.SUCCESS:
            return PlanResult(answer.outcome, answer.message, times=times)
        begin, end = np.abs(answer.joints[0] - start).max(), np.abs(answer.joints[-1] - goal).max()
        if max(begin, end) > END_TOLERANCE:
            reason = f"MoveIt's path begins {begin:.3f} rad from the start and ends {end:.3f} rad from the goal"
            return PlanResult(Outcome.PLANNING_FAILED, reason, times=times)
        for q in answer.joints:
            touching = self.scene.collisions(q)
            if touching:
                reason = f"MoveIt's path touches what it must not: {', '.join(touching)}"
                return PlanResult(Outcome.PLANNING_FAILED, reason, times=times)
        return self._timed(corners(np.vstack([start, answer.joints[1:-1], goal])), watch, times)

    # --- straight lines -----------------------------------------------------------------------------------------------

    def plan_straight(self, request: StraightRequest) -> PlanResult:
        """See Planner.plan_straight."""
        start = np.clip(np.asarray(request.start, float), self.kinematics.lower, self.kinematics.upper)
        goal, times, watch = np.asarray(request.T_base_goal, float), PlanTimes(), Stopwatch(self.settings.planning_time)
        scene = self.scene_with(request.other_arm)
        scene.forgive(start, self.settings.tool_table_slack)
        T_start = self.kinematics.fk(start)
        length = _travel(T_start, goal)
        if length < 1e-6:
            return timed_line(self, start[None], np.zeros(1), request.tip_speed, times)
        try:
            self._move_group.show(self._obstacles)
            answer = self._move_group.straight(start, goal, request.other_arm, self.settings.straight_step)
            joints, travel = self._along(start, answer.joints, T_start, goal)
        except MoveItUnavailable as error:
            return PlanResult(Outcome.ROBOT_FAULT, str(error), times=times)
        finally:
            times.plan = watch.lap()
        count, reason = self._free_until(joints, scene)
        if not reason and answer.fraction < WHOLE:
            reason = f"MoveIt's Cartesian path covers {100 * answer.fraction:.0f} % of it"
        if reason:
            reached = float(travel[count - 1])
            message = f"straight motion ends after {reached:.3f} of {length:.3f} m: {reason}"
            return PlanResult(Outcome.UNREACHABLE, message, times=times, reached=reached)
        return timed_line(self, joints, travel, request.tip_speed, times)

    def _along(self, start, found: np.ndarray, T_start, goal) -> Tuple[np.ndarray, np.ndarray]:
        """Joints (n, 7) from the start on, and the travel (n,) at each, which increases.

        Raises:
            MoveItUnavailable: by this package's kinematics the gripper leaves the line.
        """
        joints, travel = [start], [0.0]
        for q in found:
            T = self.kinematics.fk(q)
            self._check_on_line(T, T_start, goal)
            way = _travel(T_start, T)
            if way - travel[-1] >= LEAST_STEP:
                joints.append(q)
                travel.append(way)
        return np.array(joints), np.array(travel)

    def _check_on_line(self, T: np.ndarray, T_start: np.ndarray, goal: np.ndarray) -> None:
        line, point = goal[:3, 3] - T_start[:3, 3], T[:3, 3] - T_start[:3, 3]
        share = np.clip(point @ line / max(line @ line, 1e-12), 0.0, 1.0)
        off = np.linalg.norm(point - share * line)
        turn = _angle(T_start, T) + _angle(T, goal) - _angle(T_start, goal)
        if off > LINE_TOLERANCE or turn > TILT_TOLERANCE:
            raise MoveItUnavailable(
                f"MoveIt's straight line is {1000 * off:.0f} mm and {turn:.2f} rad off the one that was asked for: "
                f"robot_description puts {self.side}_gripper elsewhere than this package's urdf/ does"
            )

    def _free_until(self, joints: np.ndarray, scene: CollisionScene) -> Tuple[int, str]:
        """How many of the points (n, 7) can be passed, and what ends the line early."""
        for index in range(1, len(joints)):
            if np.abs(joints[index] - joints[index - 1]).max() > JUMP:
                return index, "the arm cannot follow further"
            touching = touching_at(scene, joints[index], self.settings.tool_table_slack)
            if touching:
                return index, touching
        return len(joints), ""


def corners(points: np.ndarray) -> np.ndarray:
    """Points (n, d) of a path without those on a straight way between their neighbours; MoveIt fills its paths up."""
    points = without_duplicates(points)
    steps = np.diff(points, axis=0)
    directions = steps / np.linalg.norm(steps, axis=1)[:, None]
    turns = np.linalg.norm(np.diff(directions, axis=0), axis=1) > SAME_DIRECTION
    return points[np.concatenate([[True], turns, [True]])]


def _angle(T_a: np.ndarray, T_b: np.ndarray) -> float:
    return float(Rotation.from_matrix(T_a[:3, :3].T @ T_b[:3, :3]).magnitude())


def _travel(T_start: np.ndarray, T: np.ndarray) -> float:
    """Way (m) from one pose to another; turning counts as on every straight line."""
    return float(np.linalg.norm(T[:3, 3] - T_start[:3, 3])) + TURN_LENGTH * _angle(T_start, T)
