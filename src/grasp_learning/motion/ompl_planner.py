"""OMPL's EST (expansive space trees) on this package's robot model."""

import threading
from typing import Optional, Sequence

import numpy as np

from grasp_learning.calibration import Table
from grasp_learning.motion.collision import Box
from grasp_learning.motion.ompl_library import base as ob
from grasp_learning.motion.ompl_library import geometric as og
from grasp_learning.motion.ompl_library import util as ou
from grasp_learning.motion.planner import PlanRequest, PlanResult, PlanTimes, Stopwatch, StraightRequest
from grasp_learning.motion.robot_model import RobotModel
from grasp_learning.motion.scene_planner import ScenePlanner
from grasp_learning.motion.settings import MotionSettings
from grasp_learning.motion.straight import plan_straight
from grasp_learning.motion.timing import without_duplicates
from grasp_learning.trial import Outcome

_seed_lock = threading.Lock()
_seeded = False


def _seed_ompl(seed: int) -> None:
    """Seed OMPL, whose generators all descend from one seed of the process: the first planner's counts."""
    global _seeded
    with _seed_lock:
        if not _seeded:
            ou.setLogLevel(ou.LogLevel.LOG_ERROR)
            ou.RNG.setSeed(seed % (2**31 - 1) + 1)  # 0 would mean "from the clock"
            _seeded = True


def _array(state) -> np.ndarray:
    return np.array([state[0], state[1], state[2], state[3], state[4], state[5], state[6]])


class _MotionValidator(ob.MotionValidator):
    """Hands OMPL's questions about edges to the scene."""

    def __init__(self, information, planner: "OmplPlanner"):
        super().__init__(information)
        self._planner = planner

    def checkMotion(self, first, second) -> bool:  # OMPL's name
        return self._planner.scene.edge_is_valid(_array(first), _array(second))


class OmplPlanner(ScenePlanner):
    """OMPL's geometric EST with certified edges; see Planner for the contract.

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
        _seed_ompl(seed)
        super().__init__(robot, side, settings, table, boxes, seed)
        self._information = self._space_information()

    def _space_information(self):
        space = ob.RealVectorStateSpace(7)
        bounds = ob.RealVectorBounds(7)
        for index in range(7):
            bounds.setLow(index, self.kinematics.lower[index])
            bounds.setHigh(index, self.kinematics.upper[index])
        space.setBounds(bounds)
        information = ob.SpaceInformation(space)
        # states on their own are checked by the edges that lead to them
        self._state_checker = ob.StateValidityCheckerFn(lambda state: True)
        information.setStateValidityChecker(self._state_checker)
        self._motion_validator = _MotionValidator(information, self)
        information.setMotionValidator(self._motion_validator)
        information.setup()
        return information

    def _state(self, q: np.ndarray):
        state = ob.State(self._information.getStateSpace())  # freed with the object, unlike allocState's
        for index, value in enumerate(q):
            state[index] = float(value)
        return state

    def plan_straight(self, request: StraightRequest) -> PlanResult:
        """See Planner.plan_straight."""
        return plan_straight(self, request)

    def _path_to(self, request: PlanRequest, start, goals, watch: Stopwatch, times: PlanTimes) -> PlanResult:
        path = self._search(start, goals, watch.left())
        times.plan = watch.lap()
        if path is None:
            return PlanResult(Outcome.PLANNING_FAILED, f"EST found no path in {times.plan:.2f} s", times=times)
        waypoints = self._simplify(path)
        times.simplify = watch.lap()
        return self._timed(waypoints, watch, times)

    def _search(self, start, goals, seconds: float):
        """EST's path, or None where there is none within the time."""
        if seconds <= 0:
            return None
        definition = ob.ProblemDefinition(self._information)
        definition.addStartState(self._state(start))
        goal = ob.GoalStates(self._information)
        for q in goals:
            goal.addState(self._state(q))
        definition.setGoal(goal)
        est = og.EST(self._information)
        est.setRange(self.settings.est_range)
        est.setGoalBias(self.settings.est_goal_bias)
        est.setProblemDefinition(definition)
        est.setup()
        est.solve(seconds)
        return definition.getSolutionPath() if definition.hasExactSolution() else None

    def _simplify(self, path) -> np.ndarray:
        """Shorten a path; (n, 7) corners."""
        attempts = self.settings.simplify_attempts
        if path.getStateCount() > 2 and attempts:
            simplifier = og.PathSimplifier(self._information)
            simplifier.reduceVertices(path)
            if path.getStateCount() > 2:
                simplifier.partialShortcutPath(path, attempts, attempts)
                simplifier.reduceVertices(path)
        return without_duplicates([_array(state) for state in path.getStates()])
