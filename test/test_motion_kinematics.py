"""Kinematics of the arms: Rethink's published check values, round trips through IK, limits."""

import numpy as np
import pytest

from grasp_learning.geometry import top_down_pose
from grasp_learning.motion.kinematics import NEUTRAL, Kinematics, RobotModel
from grasp_learning.robot_description import load_urdf


@pytest.fixture(scope="module")
def robot():
    return RobotModel(load_urdf())


@pytest.fixture(params=["left", "right"])
def kinematics(robot, request):
    return Kinematics(robot, request.param)


def rotation_error(T_a, T_b):
    """Angle (rad) between the rotations of two poses."""
    cosine = (np.trace(T_a[:3, :3].T @ T_b[:3, :3]) - 1) / 2
    return np.arccos(np.clip(cosine, -1, 1))


@pytest.mark.parametrize(
    "q, link, position, z_axis",
    [
        (np.zeros(7), "hand", (0.7975, 0.9925, 0.3210), (0.7071, 0.7071, 0.0)),
        (NEUTRAL, "hand", (0.6339, 0.8289, 0.2194), (0.078, 0.078, -0.994)),
        (NEUTRAL, "gripper", (0.6463, 0.8413, 0.0626), (0.078, 0.078, -0.994)),
    ],
)
def test_forward_kinematics_gives_the_published_values(kinematics, q, link, position, z_axis):
    mirror = np.array([1, 1 if kinematics.side == "left" else -1, 1])
    T = kinematics.fk(q, link)
    np.testing.assert_allclose(T[:3, 3], mirror * position, atol=1e-4)
    np.testing.assert_allclose(T[:3, 2], mirror * z_axis, atol=1e-3)


def test_the_camera_looks_along_the_approach_from_behind_the_fingertips(kinematics):
    T_gripper, T_camera = kinematics.fk(NEUTRAL), kinematics.T_base_camera(NEUTRAL)
    np.testing.assert_allclose(T_camera[:3, 2], T_gripper[:3, 2], atol=1e-9)
    camera_in_gripper = T_gripper[:3, :3].T @ (T_camera[:3, 3] - T_gripper[:3, 3])
    np.testing.assert_allclose(camera_in_gripper, [0.03825, 0.012, 0.015355 - 0.1577], atol=1e-6)


def test_the_jacobian_predicts_small_motions(kinematics):
    rng = np.random.default_rng(1)
    q = rng.uniform(kinematics.lower, kinematics.upper)
    dq = 1e-6 * rng.normal(size=7)
    J = kinematics.jacobian(q)
    before, after = kinematics.fk(q), kinematics.fk(q + dq)
    np.testing.assert_allclose(J[:3] @ dq, after[:3, 3] - before[:3, 3], atol=1e-10)
    spin = after[:3, :3] @ before[:3, :3].T
    rotation_vector = 0.5 * np.array([spin[2, 1] - spin[1, 2], spin[0, 2] - spin[2, 0], spin[1, 0] - spin[0, 1]])
    np.testing.assert_allclose(J[3:] @ dq, rotation_vector, atol=1e-10)


def test_top_down_poses_over_the_table_are_reached(kinematics):
    rng = np.random.default_rng(2)
    sign = 1 if kinematics.side == "left" else -1
    for _ in range(30):
        y = sign * rng.uniform(0.1, 0.5)
        T = top_down_pose(rng.uniform(0.5, 0.8), y, 0.15, rng.uniform(0, np.pi))
        solutions = kinematics.ik(T, NEUTRAL, rng)
        assert solutions
        distances = [np.linalg.norm(q - NEUTRAL) for q in solutions]
        assert distances == sorted(distances)
        for q in solutions:
            assert np.all(q >= kinematics.lower) and np.all(q <= kinematics.upper)
            reached = kinematics.fk(q)
            assert np.linalg.norm(reached[:3, 3] - T[:3, 3]) < 5e-4
            assert rotation_error(reached, T) < np.radians(0.2)


def test_almost_every_posture_is_found_back_from_its_pose(kinematics):
    rng = np.random.default_rng(3)
    poses = [kinematics.fk(rng.uniform(kinematics.lower, kinematics.upper)) for _ in range(60)]
    assert sum(bool(kinematics.ik(T, NEUTRAL, rng)) for T in poses) >= 58


def test_poses_out_of_reach_have_no_solution(kinematics):
    assert kinematics.ik(top_down_pose(2.5, 0.0, 0.0, 0.0)) == []  # far outside
    assert kinematics.ik(top_down_pose(0.95, 0.0, -0.8, 0.0)) == []  # inside the sphere of reach, yet impossible


def test_the_same_seed_gives_the_same_solutions(kinematics):
    T = kinematics.fk(NEUTRAL)
    first = kinematics.ik(T, np.zeros(7), np.random.default_rng(5))
    second = kinematics.ik(T, np.zeros(7), np.random.default_rng(5))
    np.testing.assert_array_equal(first, second)


def test_errors_name_what_is_wrong(robot):
    kinematics = Kinematics(robot, "left")
    with pytest.raises(ValueError, match="7 joint positions"):
        kinematics.fk([0.0, 1.0])
    with pytest.raises(ValueError, match="gripper, hand"):
        kinematics.fk(NEUTRAL, "elbow")
    with pytest.raises(ValueError, match="middle_s0"):
        Kinematics(robot, "middle")
    with pytest.raises(ValueError, match="not valid XML"):
        RobotModel("<robot")
