"""Straight motions: straight to a millimetre, within limits, typed where the arm cannot follow."""

import numpy as np
import pytest
from motion_samples import ROBOT, TABLE

from grasp_learning.geometry import top_down_pose
from grasp_learning.motion.collision import Box
from grasp_learning.motion.kinematics import NEUTRAL
from grasp_learning.motion.planner import StraightRequest, create_planner
from grasp_learning.motion.settings import MotionSettings
from grasp_learning.trial import Outcome

SETTINGS = MotionSettings()


@pytest.fixture(scope="module")
def planners():
    return {side: create_planner("ompl", ROBOT, side, SETTINGS, TABLE) for side in ("left", "right")}


def above(planner, x, y, theta, z=0.15):
    """Joints with the gripper pointing down at a point, clear of everything."""
    scene, rng = planner.scene_with(None), np.random.default_rng(0)
    return next(q for q in planner.kinematics.ik(top_down_pose(x, y, z, theta), NEUTRAL, rng) if scene.is_valid(q))


@pytest.mark.parametrize("side, sign", [("left", 1), ("right", -1)])
def test_descents_are_straight_upright_and_within_limits(planners, side, sign):
    planner, rng = planners[side], np.random.default_rng(1)
    velocity, acceleration = SETTINGS.joint_limits(ROBOT, side)
    for _ in range(8):
        x, y, theta = rng.uniform(0.55, 0.75), sign * rng.uniform(0.15, 0.4), rng.uniform(0, np.pi)
        start = above(planner, x, y, theta)
        T_start = planner.kinematics.fk(start)
        T_goal = T_start.copy()
        T_goal[2, 3] -= 0.235
        result = planner.plan_straight(StraightRequest(start, T_goal, NEUTRAL, tip_speed=0.2))
        assert result.ok, result.message
        trajectory = result.trajectory
        poses = np.array(
            [planner.kinematics.fk(trajectory.sample(t)[0]) for t in np.arange(0, trajectory.duration, 0.007)]
        )
        assert np.linalg.norm(poses[:, :2, 3] - T_start[:2, 3], axis=1).max() < 1e-3
        assert np.abs(poses[:, :3, :3] - T_start[:3, :3]).max() < 2e-3
        assert np.all(np.diff(poses[:, 2, 3]) < 1e-6)  # never back up
        np.testing.assert_allclose(planner.kinematics.fk(trajectory.positions[-1]), T_goal, atol=1e-4)
        speed = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1) / 0.007
        assert speed.max() < 0.2 * 1.01
        assert np.all(np.abs(trajectory.velocities) <= velocity * (1 + 1e-9))
        assert np.all(np.abs(trajectory.accelerations) <= acceleration * (1 + 1e-9))
        np.testing.assert_array_equal(trajectory.velocities[[0, -1]], 0.0)


def test_a_goal_beyond_reach_is_unreachable_and_says_how_far_the_arm_comes(planners):
    planner = planners["left"]
    start = above(planner, 0.75, 0.3, 0.0)
    T_goal = planner.kinematics.fk(start)
    T_goal[0, 3] += 0.4
    result = planner.plan_straight(StraightRequest(start, T_goal))
    assert result.outcome is Outcome.UNREACHABLE and result.trajectory is None
    assert "ends after" in result.message and "of 0.400 m" in result.message


def test_an_obstacle_on_the_way_is_named(planners):
    block = Box("block", (0.65, 0.3, 0.0), (0.1, 0.1, 0.04))
    planner = create_planner("ompl", ROBOT, "left", SETTINGS, TABLE, [block])
    start = above(planner, 0.65, 0.3, 0.0)
    T_goal = planner.kinematics.fk(start)
    T_goal[2, 3] -= 0.2
    result = planner.plan_straight(StraightRequest(start, T_goal))
    assert result.outcome is Outcome.UNREACHABLE
    assert "block" in result.message


def test_the_table_stops_a_descent_that_would_go_through_it(planners):
    planner = planners["left"]
    start = above(planner, 0.65, 0.3, 0.0)
    T_goal = planner.kinematics.fk(start)
    T_goal[2, 3] = -0.13
    assert "table" in planner.plan_straight(StraightRequest(start, T_goal)).message
    T_goal[2, 3] = -0.095  # the fingertips are 1.5 mm above it
    assert planner.plan_straight(StraightRequest(start, T_goal)).ok


def test_a_goal_where_the_gripper_is_already_takes_no_time(planners):
    planner = planners["left"]
    start = above(planner, 0.65, 0.3, 0.0)
    result = planner.plan_straight(StraightRequest(start, planner.kinematics.fk(start)))
    assert result.ok and result.trajectory.duration == 0.0


def test_the_same_line_is_the_same_motion(planners):
    planner = planners["right"]
    start = above(planner, 0.6, -0.25, 1.0)
    T_goal = planner.kinematics.fk(start)
    T_goal[2, 3] += 0.1
    first, second = (planner.plan_straight(StraightRequest(start, T_goal)).trajectory for _ in range(2))
    np.testing.assert_array_equal(first.positions, second.positions)
