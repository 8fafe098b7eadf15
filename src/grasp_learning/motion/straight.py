"""Straight motions of the gripper: the descent to a grasp, the lift, short sidesteps."""

from typing import List, Optional, Tuple

import numpy as np
import toppra
from scipy.spatial.transform import Rotation, Slerp

from grasp_learning.geometry import transform
from grasp_learning.motion.collision import CollisionScene
from grasp_learning.motion.planner import Planner, PlanResult, PlanTimes, Stopwatch, StraightRequest
from grasp_learning.motion.timing import TimingError, standstill, time_path
from grasp_learning.motion.trajectory import Trajectory
from grasp_learning.trial import Outcome

ANGLE_STEP = 0.02  # rad between points of the line
JUMP = 0.15  # rad of one joint between neighbours; more means that the arm would fold over, not follow
GRID_POINTS = 50
TURN_LENGTH = 0.25  # m of travel that a radian of turning counts


def plan_straight(planner: Planner, request: StraightRequest) -> PlanResult:
    """Planner.plan_straight by this package's own inverse kinematics, with the planner's obstacles and limits."""
    settings, times = planner.settings, PlanTimes()
    watch = Stopwatch(settings.planning_time)
    joints, travel, reason = straight_joints(planner, request.start, request.T_base_goal, request.other_arm)
    times.plan = watch.lap()
    if reason:
        return PlanResult(Outcome.UNREACHABLE, reason, times=times, reached=float(travel[-1]))
    return timed_line(planner, joints, travel, request.tip_speed, times)


def timed_line(
    planner: Planner, joints: np.ndarray, travel: np.ndarray, tip_speed: Optional[float], times: PlanTimes
) -> PlanResult:
    """Time joints (n, 7) along a line under the joints' limits and the tip's; ``travel`` (n,) increases (m)."""
    settings = planner.settings
    if len(joints) < 2:
        return PlanResult(Outcome.SUCCESS, "there already", standstill(joints[0]), joints, times)
    watch = Stopwatch(settings.planning_time)
    try:
        trajectory = _time(planner, joints, travel, settings.tip_speed if tip_speed is None else tip_speed)
    except TimingError as error:
        return PlanResult(Outcome.UNREACHABLE, f"straight motion: {error}", times=times)
    times.timing = watch.lap()
    return PlanResult(Outcome.SUCCESS, "", trajectory, joints, times)


def straight_joints(
    planner: Planner, start: np.ndarray, T_base_goal: np.ndarray, other_arm: Optional[np.ndarray] = None
) -> Tuple[np.ndarray, np.ndarray, str]:
    """Joints (n, 7) along a straight line of the gripper, the travel (n,) at each, and why it ends early.

    The travel is in metres, plus TURN_LENGTH for each radian of turning. The reason is empty where the goal is reached.
    """
    kinematics, scene = planner.kinematics, planner.scene_with(other_arm)
    start = np.clip(np.asarray(start, float), kinematics.lower, kinematics.upper)
    scene.forgive(start, planner.settings.tool_table_slack)
    poses, travel = _line(kinematics.fk(start), np.asarray(T_base_goal, float), planner.settings.straight_step)
    joints: List[np.ndarray] = [start]
    for index, pose in enumerate(poses[1:], start=1):
        q = kinematics.follow(joints[-1], pose)
        where = f"straight motion ends after {travel[index - 1]:.3f} of {travel[-1]:.3f} m"
        if q is None or np.abs(q - joints[-1]).max() > JUMP:
            return np.array(joints), travel[:index], f"{where}: the arm cannot follow further"
        touching = touching_at(scene, q, planner.settings.tool_table_slack)
        if touching:
            return np.array(joints), travel[:index], f"{where}: {touching}"
        joints.append(q)
    return np.array(joints), travel, ""


def touching_at(scene: CollisionScene, q: np.ndarray, slack: float) -> str:
    """What touches at q; empty where nothing does."""
    if scene.clearance(q, tool_table_slack=slack) > 0.0:
        return ""
    return ", ".join(scene.collisions(q))


def _line(T_start: np.ndarray, T_goal: np.ndarray, step: float):
    """Poses from one to another at constant velocity and rate of turning, and the travel (n,) at each."""
    distance = np.linalg.norm(T_goal[:3, 3] - T_start[:3, 3])
    rotations = Rotation.from_matrix([T_start[:3, :3], T_goal[:3, :3]])
    angle = (rotations[0].inv() * rotations[1]).magnitude()
    if distance < 1e-6 and angle < 1e-6:
        return [T_start], np.zeros(1)
    steps = max(4, int(np.ceil(distance / step)), int(np.ceil(angle / ANGLE_STEP)))
    fractions = np.linspace(0.0, 1.0, steps + 1)
    turned = Slerp([0.0, 1.0], rotations)(fractions).as_matrix()
    points = T_start[:3, 3] + fractions[:, None] * (T_goal[:3, 3] - T_start[:3, 3])
    return [transform(R, p) for R, p in zip(turned, points)], fractions * (distance + TURN_LENGTH * angle)


def _time(planner: Planner, joints: np.ndarray, travel: np.ndarray, tip_speed: float) -> Trajectory:
    """Time a line under the joints' limits and the tip's, which enters as one more joint."""
    settings, side = planner.settings, planner.kinematics.side
    velocity, acceleration = settings.joint_limits(planner.kinematics.robot, side)
    path = toppra.SplineInterpolator(travel, np.column_stack([joints, travel]))
    grid = np.linspace(0.0, travel[-1], GRID_POINTS + 1)
    timed = time_path(
        path,
        np.append(velocity, tip_speed),
        np.append(acceleration, settings.tip_acceleration),
        settings.sample_period,
        grid,
    )
    return Trajectory(timed.times, timed.positions[:, :7], timed.velocities[:, :7], timed.accelerations[:, :7])
