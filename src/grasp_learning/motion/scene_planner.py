"""What planners share: goals by inverse kinematics, collision checks on this package's robot model, timing."""

import abc
from typing import List, Optional, Sequence

import numpy as np

from grasp_learning.calibration import Table
from grasp_learning.motion.collision import MIN_CLEARANCE, Box, CollisionScene
from grasp_learning.motion.kinematics import Kinematics
from grasp_learning.motion.planner import Planner, PlanRequest, PlanResult, PlanTimes, Stopwatch
from grasp_learning.motion.robot_model import RobotModel
from grasp_learning.motion.settings import MotionSettings
from grasp_learning.motion.timing import TimingError, round_corners, standstill, time_path
from grasp_learning.trial import Outcome

IK_ROUNDS = 4  # of ik_attempts each, while every solution found is in collision


class ScenePlanner(Planner):
    """A planner that chooses goals and checks motions on a CollisionScene; how a path is found is left open.

    Attributes:
        kinematics: of the arm.
        scene: what it must not touch; the other arm stands where the last request said.
    """

    def __init__(
        self,
        robot: RobotModel,
        side: str,
        settings: MotionSettings,
        table: Optional[Table] = None,
        boxes: Sequence[Box] = (),
        seed: int = 0,
    ):
        self.robot, self.side, self.settings = robot, side, settings
        self.kinematics = Kinematics(robot, side)
        self._rng = np.random.default_rng(seed)
        scenes = [
            CollisionScene(robot, side, table, other, settings.wall_margin, boxes) for other in (None, np.zeros(7))
        ]
        self._scene_alone, self._scene_both = scenes
        self.scene = self._scene_alone
        self._velocity, self._acceleration = settings.joint_limits(robot, side)

    def plan(self, request: PlanRequest) -> PlanResult:
        """See Planner.plan."""
        start = np.asarray(request.start, float)
        if start.shape != (7,):
            raise ValueError(f"expected 7 joint positions to start from, got shape {start.shape}")
        if not len(request.goal_poses) and not len(request.goal_joints):
            raise ValueError("the request has no goal")
        watch = Stopwatch(self.settings.planning_time if request.time_budget is None else request.time_budget)
        times = PlanTimes()
        start = np.clip(start, self.kinematics.lower, self.kinematics.upper)  # a servo may rest just outside
        self._set_scene(request, start)
        touching = self.scene.collisions(start)
        if touching:
            return PlanResult(Outcome.PLANNING_FAILED, f"start in collision: {', '.join(touching)}", times=times)
        goals, reason = self._goals(request, start, watch)
        times.ik = watch.lap()
        if watch.left() <= 0:
            return PlanResult(Outcome.PLANNING_FAILED, "no time left after inverse kinematics", times=times)
        if not goals:
            return PlanResult(Outcome.UNREACHABLE, reason, times=times)
        return self._plan_to(request, start, goals, watch, times)

    def _set_scene(self, request: PlanRequest, start: np.ndarray) -> None:
        self.scene_with(request.other_arm).forgive(start, self.settings.tool_table_slack)

    def scene_with(self, other_arm: Optional[np.ndarray]) -> CollisionScene:
        """See Planner.scene_with."""
        self.scene.forgive(None)
        self.scene = self._scene_alone if other_arm is None else self._scene_both
        if other_arm is not None:
            self.scene.set_other_arm(other_arm)
        return self.scene

    def _goals(self, request: PlanRequest, start: np.ndarray, watch: Stopwatch):
        """Goals that can be taken up, nearest first, and why there are none."""
        candidates = [np.asarray(q, float) for q in request.goal_joints]
        goals = self._good(candidates, request, start)
        for _ in range(IK_ROUNDS):
            if goals or not len(request.goal_poses) or watch.left() <= 0:
                break
            found = self._inverse(request, start)
            candidates += found
            if not candidates:  # three times ik_attempts were in vain: out of reach
                return [], "no joint positions reach the goal"
            goals = self._good(found, request, start)
        if not goals and candidates:
            return [], f"no way to reach the goal is free: {self._blame(candidates)}"
        return goals, ""

    def _inverse(self, request: PlanRequest, start: np.ndarray) -> List[np.ndarray]:
        """Joint positions of all goal poses."""
        attempts, most = self.settings.ik_attempts, self.settings.max_goals
        return [q for T in request.goal_poses for q in self.kinematics.ik(T, start, self._rng, attempts, most)]

    def _good(self, candidates: List[np.ndarray], request: PlanRequest, start: np.ndarray) -> List[np.ndarray]:
        """The candidates free of collision, nearest first; of those with a further condition only the nearest.

        The condition may cost many times what the planning does, so that no more candidates are asked than needed.
        """
        free = [q for q in candidates if self.scene.within_limits(q) and self.scene.clearance(q) >= MIN_CLEARANCE]
        free.sort(key=lambda q: np.linalg.norm(q - start))
        if request.goal_check is None:
            return free[: self.settings.max_goals]
        try:
            return next(([q] for q in free if request.goal_check(q)), [])
        finally:
            self._set_scene(request, start)  # the condition may have used the scene for its own ends

    def _blame(self, candidates: List[np.ndarray]) -> str:
        """The contacts of the candidate that has the fewest."""
        contacts = min((self.scene.collisions(q) for q in candidates), key=len)
        return ", ".join(contacts) if contacts else "the motion that is to follow is not possible from there"

    def _plan_to(self, request: PlanRequest, start, goals, watch: Stopwatch, times: PlanTimes) -> PlanResult:
        if min(np.abs(goal - start).max() for goal in goals) < 1e-6:
            return PlanResult(Outcome.SUCCESS, "there already", standstill(start), start[None], times)
        return self._path_to(request, start, goals, watch, times)

    @abc.abstractmethod
    def _path_to(self, request: PlanRequest, start, goals, watch: Stopwatch, times: PlanTimes) -> PlanResult:
        """A timed motion from start (7,) to one of the goals, nearest first, none of which is the start."""

    def _timed(self, waypoints: np.ndarray, watch: Stopwatch, times: PlanTimes) -> PlanResult:
        """Round the corners (n, 7) of a path, time it, and check the very motion that will be executed."""
        try:
            path = round_corners(waypoints, self.settings.blend, self.scene.path_is_valid)
            trajectory = time_path(path, self._velocity, self._acceleration, self.settings.sample_period, path.grid())
        except TimingError as error:
            return PlanResult(Outcome.PLANNING_FAILED, str(error), times=times)
        free = self.scene.path_is_valid(trajectory.positions)
        times.timing += watch.lap()
        if not free:
            return PlanResult(Outcome.PLANNING_FAILED, "the timed path left the checked one", times=times)
        return PlanResult(Outcome.SUCCESS, "", trajectory, waypoints, times)
