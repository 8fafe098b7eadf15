"""Timing: limits kept, rest at both ends, the motion stays on the path, sampling."""

import numpy as np
import pytest

from grasp_learning.motion.timing import RoundedPath, round_corners, standstill, time_path, without_duplicates
from grasp_learning.motion.trajectory import Trajectory

VELOCITY = np.array([1.2, 1.2, 1.2, 1.2, 3.2, 3.2, 3.2])
ACCELERATION = np.array([4.0, 4.0, 5.0, 5.0, 8.0, 8.0, 8.0])


def timed(waypoints, blend=0.4):
    path = round_corners(np.asarray(waypoints, float), blend)
    return path, time_path(path, VELOCITY, ACCELERATION, 0.01, path.grid())


def random_waypoints(rng, count):
    return rng.uniform(-1.0, 1.0, (count, 7))


@pytest.mark.parametrize("seed, count", [(0, 2), (1, 3), (2, 5), (3, 8)])
def test_limits_are_kept_and_the_motion_rests_at_both_ends(seed, count):
    waypoints = random_waypoints(np.random.default_rng(seed), count)
    _, trajectory = timed(waypoints)
    assert np.all(np.diff(trajectory.times) > 0) and np.diff(trajectory.times).max() < 0.02
    assert np.all(np.abs(trajectory.velocities) <= VELOCITY * (1 + 1e-9))
    assert np.all(np.abs(trajectory.accelerations) <= ACCELERATION * (1 + 1e-9))
    np.testing.assert_allclose(trajectory.positions[[0, -1]], waypoints[[0, -1]], atol=1e-6)
    np.testing.assert_array_equal(trajectory.velocities[[0, -1]], 0.0)
    # the positions agree with what the velocities say
    dt = np.diff(trajectory.times)[:, None]
    mean = (trajectory.velocities[:-1] + trajectory.velocities[1:]) / 2
    np.testing.assert_allclose(np.diff(trajectory.positions, axis=0), mean * dt, atol=3e-4)
    # as do the velocities between the samples with the accelerations' limits
    steps = np.abs(np.diff(trajectory.velocities, axis=0)) / dt
    assert np.all(steps <= ACCELERATION * 1.05)


def test_a_motion_of_one_joint_takes_the_time_that_physics_asks_for():
    goal = np.zeros(7)
    goal[0] = 1.0
    _, trajectory = timed([np.zeros(7), goal])
    # speed up to 1.2 at 4, cruise, slow down
    assert trajectory.duration == pytest.approx(1.0 / 1.2 + 1.2 / 4.0, rel=0.02)


def distance_to_polyline(points, waypoints):
    best = np.full(len(points), np.inf)
    for a, b in zip(waypoints[:-1], waypoints[1:]):
        u = np.clip((points - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
        best = np.minimum(best, np.linalg.norm(points - a - u[:, None] * (b - a), axis=1))
    return best


def test_the_motion_leaves_the_straight_parts_only_at_rounded_corners():
    waypoints = random_waypoints(np.random.default_rng(4), 4)
    path, trajectory = timed(waypoints, blend=0.1)
    distances = distance_to_polyline(trajectory.positions, waypoints)
    to_corner = np.linalg.norm(trajectory.positions[:, None] - waypoints[None, 1:-1], axis=2).min(axis=1)
    assert distances[to_corner > 0.1].max() < 1e-6
    assert 0.001 < distances.max() < 0.05


def test_a_corner_without_room_is_rounded_less():
    waypoints = np.zeros((3, 7))
    waypoints[1, 0], waypoints[2, :2] = 1.0, (1.0, 1.0)

    def keeps_near(points):
        return distance_to_polyline(points, waypoints).max() < 0.02

    path = round_corners(waypoints, 0.4, keeps_near)
    points = path(np.linspace(0, path.breaks[-1], 500))
    assert 0.001 < distance_to_polyline(points, waypoints).max() < 0.02


def test_a_rounded_path_is_smooth_to_the_second_derivative():
    waypoints = random_waypoints(np.random.default_rng(5), 4)
    path = RoundedPath(waypoints, [0.2, 0.3])
    s, h = np.linspace(*path.path_interval, 4001), path.breaks[-1] / 4000
    for order, bound in ((0, 1.1 * h), (1, 30 * h), (2, 2000 * h)):
        assert np.abs(np.diff(path(s, order), axis=0)).max() < bound
    np.testing.assert_allclose(np.diff(path(s), axis=0) / h, path(s[:-1] + h / 2, 1), atol=1e-3)


def test_sampling_interpolates_and_holds_still_outside():
    times = np.array([0.0, 0.5, 1.0])
    positions = np.outer(times**2, np.ones(7))
    velocities = np.outer(2 * times, np.ones(7))
    trajectory = Trajectory(times, positions, velocities, np.full((3, 7), 2.0))
    q, qd = trajectory.sample(0.3)
    np.testing.assert_allclose(q, 0.09, atol=1e-12)
    np.testing.assert_allclose(qd, 0.6, atol=1e-12)
    for t, expected in ((-1.0, 0.0), (0.0, 0.0), (1.0, 1.0), (9.0, 1.0)):
        q, qd = trajectory.sample(t)
        np.testing.assert_allclose(q, expected)
        np.testing.assert_array_equal(qd, 0.0)


def test_an_arm_that_is_there_stands_still():
    trajectory = standstill(np.arange(7.0))
    assert trajectory.duration == 0.0
    np.testing.assert_array_equal(trajectory.sample(0.5)[0], np.arange(7.0))


def test_repeated_waypoints_are_dropped():
    np.testing.assert_array_equal(without_duplicates([[0.0] * 7, [0.0] * 7, [1.0] * 7]), [[0.0] * 7, [1.0] * 7])
