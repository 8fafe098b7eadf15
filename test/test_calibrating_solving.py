"""A camera's pose from pictures of a marker, against a truth that is made up independently."""

import numpy as np
import pytest
from calibration_samples import CALIBRATION, KINECT, MARKER, Truth, moved, pictured
from scipy.spatial.transform import Rotation

from grasp_learning.calibrating.errors import DegeneratePoses, TooFewViews, WrongMarkerSize
from grasp_learning.calibrating.marker import MarkerSettings
from grasp_learning.calibrating.solving import SolveSettings, View, pose_error, solve
from grasp_learning.geometry import Camera, transform


def test_the_kinect_is_found_within_3_mm_and_03_degrees_for_20_seeds():
    errors = []
    for seed in range(20):
        truth = Truth(seed, ("left", "right")[seed % 2], joint_noise=5e-4)
        errors.append(pose_error(solve(KINECT, MARKER, truth.views).T_mount_camera, truth.T_base_kinect))
    position, angle = np.max(errors, axis=0)
    assert position < 0.0025 and np.degrees(angle) < 0.2


def test_without_noise_everything_is_exact():
    truth = Truth(0, corner_noise=0.0)
    solution = solve(KINECT, MARKER, truth.views)
    assert pose_error(solution.T_mount_camera, truth.T_base_kinect)[0] < 1e-6
    assert pose_error(solution.T_carrier_marker, truth.T_gripper_marker)[0] < 1e-6
    assert solution.used.all() and solution.rms < 1e-3 and abs(solution.size_ratio - 1) < 1e-5


def test_residuals_and_deviations_tell_how_good_it_is():
    errors, claimed = [], []
    for seed in range(12):
        truth = Truth(seed)
        solution = solve(KINECT, MARKER, truth.views)
        assert 0.7 * 0.3 * np.sqrt(2) < solution.rms < 1.2 * 0.3 * np.sqrt(2)
        assert 0.0001 < solution.rms_m < 0.0006
        errors.append(pose_error(solution.T_mount_camera, truth.T_base_kinect)[0])
        claimed.append(solution.position_std)
    assert 0.5 < np.sqrt(np.mean(np.square(errors))) / np.mean(claimed) < 2.0


def test_outliers_are_left_out():
    truth = Truth(3)
    rng = np.random.default_rng(3)
    wrong = {2: 40.0, 7: 300.0, 11: 8.0, 15: 25.0}
    for index, size in wrong.items():
        view = truth.views[index]
        truth.views[index] = View(view.T_mount_carrier, view.corners + rng.normal(0, size, (4, 2)))
    truth.views[5] = View(truth.views[9].T_mount_carrier, truth.views[5].corners)  # the arm had moved on
    solution = solve(KINECT, MARKER, truth.views)
    assert sorted(np.flatnonzero(~solution.used)) == [2, 5, 7, 11, 15]
    assert pose_error(solution.T_mount_camera, truth.T_base_kinect)[0] < 0.001


def test_a_camera_on_the_hand_is_found_by_the_same_equations():
    rng = np.random.default_rng(4)
    T_hand_camera = moved(np.eye(4), rng, 0.03, 0.5)
    T_base_marker = transform(np.eye(3), [0.7, 0.2, -0.1])
    views = []
    for _ in range(16):
        facing = Rotation.from_euler("zx", [rng.uniform(0, 2 * np.pi), np.pi]).as_matrix()
        T_base_camera = T_base_marker @ moved(transform(facing, [0.0, 0.0, 0.35]), rng, 0.03, 0.25)
        T_base_hand = T_base_camera @ np.linalg.inv(T_hand_camera)
        corners = pictured(np.linalg.inv(T_base_camera) @ T_base_marker) + rng.normal(0, 0.3, (4, 2))
        views.append(View(np.linalg.inv(T_base_hand), corners))
    solution = solve(KINECT, MARKER, views)
    position, angle = pose_error(solution.T_mount_camera, T_hand_camera)
    assert position < 0.001 and np.degrees(angle) < 0.1
    assert pose_error(solution.T_carrier_marker, T_base_marker)[0] < 0.001


def test_pictures_of_another_camera_are_an_error():
    truth, other = Truth(5), Camera(1920, 1080, np.array([[1400.0, 0, 959.5], [0, 900.0, 539.5], [0, 0, 1.0]]))
    with pytest.raises(TooFewViews, match="agree.*camera_info that of this camera"):
        solve(other, MARKER, truth.views)


def test_too_few_poses_are_an_error():
    with pytest.raises(TooFewViews, match="seen in 11 poses, 12 are needed"):
        solve(KINECT, MARKER, Truth(0).views[:11])


def test_a_marker_that_comes_loose_is_an_error():
    truth, rng = Truth(5), np.random.default_rng(5)
    for index in range(0, 20, 2):
        corners = pictured(
            moved(np.linalg.inv(truth.T_base_kinect), rng, 0.05, 0.2) @ truth.views[index].T_mount_carrier
        )
        truth.views[index] = View(truth.views[index].T_mount_carrier, corners)
    with pytest.raises(TooFewViews, match=r"agree.*is the marker fixed"):
        solve(KINECT, MARKER, truth.views)


@pytest.mark.parametrize("size", [0.09, 0.104, 0.12])
def test_a_marker_of_another_size_is_an_error_that_tells_its_size(size):
    truth = Truth(6)
    with pytest.raises(WrongMarkerSize, match="the settings say") as caught:
        solve(KINECT, MarkerSettings(size=size), truth.views)
    fitted = float(str(caught.value).split("marker of ")[1].split(" mm")[0])
    assert fitted == pytest.approx(100.0, abs=0.5)


def _views(rotations, positions, seed=0):
    """Views of a gripper that is turned and moved so from a place in front of the Kinect."""
    rng = np.random.default_rng(seed)
    T_base_kinect = CALIBRATION.T_base_kinect.matrix
    T_base_first = T_base_kinect @ transform(np.diag([1.0, -1.0, -1.0]), [0.0, 0.0, 0.8])
    T_gripper_marker = moved(np.eye(4), rng, 0.01, 0.1)
    views = []
    for rotation, position in zip(rotations, positions):
        T = T_base_first @ transform(Rotation.from_rotvec(rotation).as_matrix(), position)
        seen = pictured(np.linalg.inv(T_base_kinect) @ T @ T_gripper_marker)
        views.append(View(T, seen + rng.normal(0, 0.3, (4, 2))))
    return views


RNG = np.random.default_rng(1)
ANYWHERE = RNG.uniform(-0.2, 0.2, (20, 3))


@pytest.mark.parametrize(
    "rotations, positions",
    [
        (np.zeros((20, 3)), ANYWHERE),  # moved, never turned
        (np.outer(np.linspace(-0.6, 0.6, 20), [0.0, 0.0, 1.0]), ANYWHERE),  # turned about one axis
        (RNG.normal(0, 0.02, (20, 3)), ANYWHERE),  # hardly turned
        (np.zeros((20, 3)), np.zeros((20, 3))),  # one pose
    ],
)
def test_poses_that_are_alike_are_an_error(rotations, positions):
    with pytest.raises(DegeneratePoses, match="too much alike.*turn the marker about two axes"):
        solve(KINECT, MARKER, _views(rotations, positions))


def test_poses_that_leave_much_open_are_an_error_even_where_they_differ():
    turns = np.random.default_rng(2).normal(0, 0.12, (12, 3))
    views = _views(turns, np.zeros((12, 3)))
    assert solve(KINECT, MARKER, views, SolveSettings(most_position_std=1.0, most_rotation_std=1.0)).used.sum() >= 12
    with pytest.raises(DegeneratePoses, match=r"leave the camera's pose open by \d+.\d mm"):
        solve(KINECT, MARKER, views)
