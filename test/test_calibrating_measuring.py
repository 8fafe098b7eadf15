"""Whole calibrations on rendered pictures, without ROS: Kinect, table and wrist camera against the truth."""

import numpy as np
import pytest
from calibration_samples import CALIBRATION, KINECT, MARKER, START, arm, chosen_poses, moved
from motion_samples import arms_distance, box_distance

from grasp_learning.calibrating.errors import CalibrationError, TooFewViews
from grasp_learning.calibrating.marker import DEFAULT_MOUNT
from grasp_learning.calibrating.measuring import (
    WRIST_POSES,
    MeasureSettings,
    T_hand_camera,
    kinect_setup,
    locate_marker,
    measure_camera,
    wrist_setup,
)
from grasp_learning.calibrating.poses import PoseSettings, choose_poses, most_telling, shortest_way
from grasp_learning.calibrating.solving import View, design_jacobian, pose_error
from grasp_learning.calibrating.table import plane_from_depth
from grasp_learning.execution.faults import PlanningFailed
from grasp_learning.geometry import transform_points
from grasp_learning.motion.collision import table_box
from grasp_learning.motion.kinematics import NEUTRAL
from grasp_learning.simulation.calibration_cell import RenderedCell

FEW = PoseSettings(count=13, candidates=40)


@pytest.fixture(scope="module")
def cell():
    cell = RenderedCell("left", 2, START.table)
    yield cell
    cell.close()


@pytest.fixture(scope="module")
def kinect(cell):
    """What a calibration of the Kinect says, and what it finds."""
    said, refused, go = [], [], cell.go

    def refuse_one(q):
        if len(said) == 3:
            refused.append(q)
            raise PlanningFailed("no path")
        go(q)

    cell.go = refuse_one
    setup = kinect_setup(cell.look("kinect").camera, MARKER, START.T_base_kinect.matrix)
    settings = MeasureSettings(poses=FEW, spare=5, pictures=2)
    solution = measure_camera(cell, "kinect", setup, START.table.z, settings, np.random.default_rng(0), said.append)
    cell.go = go
    assert len(refused) == 1
    return solution, said


def test_the_kinect_is_found_from_a_rough_start(kinect, cell):
    solution, said = kinect
    position, angle = pose_error(solution.T_mount_camera, CALIBRATION.T_base_kinect.matrix)
    assert position < 0.001 and np.degrees(angle) < 0.05
    assert pose_error(solution.T_carrier_marker, cell.T_gripper_marker)[0] < 0.001
    assert pose_error(cell.T_gripper_marker, DEFAULT_MOUNT.matrix)[0] > 0.001, "the mount had to be found, too"
    assert solution.rms < 0.5 and sum("seen" in line for line in said) >= 12
    assert "pose 4 of 13 left out: no path" in said[3]
    assert "poses agree, residual" in said[-1]


def test_the_table_is_found_in_rendered_depth(kinect, cell):
    cell.go(NEUTRAL)
    pose = kinect[0].T_mount_camera
    plane = plane_from_depth(cell.depth(), cell.look("kinect").camera, pose, START.table)
    assert plane.z == pytest.approx(CALIBRATION.table.z, abs=0.0015) and plane.tilt < np.radians(0.2)


def test_the_wrist_cameras_mount_is_that_of_the_description(kinect, cell):
    cell.go(NEUTRAL)
    marker = MARKER.model_copy(update={"id": 1})
    T_base_marker = locate_marker(cell, kinect[0].T_mount_camera, CALIBRATION.table.z, marker)
    setup = wrist_setup(cell.look("wrist").camera, marker, cell.kinematics, T_base_marker)
    poses = WRIST_POSES.model_copy(update={"count": 13, "candidates": 40})
    settings, said = MeasureSettings(poses=poses, spare=8, pictures=1), []
    solution = measure_camera(cell, "wrist", setup, START.table.z, settings, np.random.default_rng(0), said.append)
    assert sum("seen" in line for line in said[:13]) >= 12, "the fingers and the plate hide no marker"
    position, angle = pose_error(solution.T_mount_camera, T_hand_camera(cell.kinematics))
    assert solution.used.all() and position < 0.002 and np.degrees(angle) < 0.2


def test_a_marker_that_is_never_seen_is_an_error_that_says_why(cell):
    said, absent = [], MARKER.model_copy(update={"id": 9})
    setup = kinect_setup(cell.look("kinect").camera, absent, START.T_base_kinect.matrix)
    settings = MeasureSettings(poses=PoseSettings(count=12, candidates=12), spare=0, pictures=1)
    with pytest.raises(TooFewViews, match="seen in 0 poses, 12 are needed"):
        measure_camera(cell, "kinect", setup, START.table.z, settings, np.random.default_rng(0), said.append)
    assert any("no marker 4X4_50 with id 9 in the picture; it shows id" in line for line in said)
    with pytest.raises(TooFewViews, match="does not see the marker on the table.*id 9"):
        locate_marker(cell, CALIBRATION.T_base_kinect.matrix, START.table.z, absent)


# --- poses -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["left", "right"])
def test_poses_are_free_seen_and_spread(side):
    kinematics, scene = arm(side)
    poses = chosen_poses(side)
    corners = []
    for pose in poses:
        assert scene.within_limits(pose.q) and scene.clearance(pose.q) > 0.01
        assert box_distance(side, pose.q, table_box(CALIBRATION.table)) > 0.01
        both = (pose.q, NEUTRAL) if side == "left" else (NEUTRAL, pose.q)
        assert arms_distance(*both) > 0.01
        T = kinematics.fk(pose.q) @ DEFAULT_MOUNT.matrix
        np.testing.assert_allclose(pose.T_mount_carrier, kinematics.fk(pose.q))
        points = transform_points(T, MARKER.corners)
        eye = CALIBRATION.T_base_kinect.matrix[:3, 3]
        assert T[:3, 2] @ (eye - T[:3, 3]) > 0, "the print faces the Kinect"
        assert not any(scene.hides(pose.q, eye, point) for point in points)
        corners.append(points.mean(axis=0))
    assert (np.ptp(corners, axis=0) > [0.25, 0.5, 0.2]).all()


def test_chosen_poses_tell_more_than_random_ones():
    kinematics, scene = arm("left")
    setup = kinect_setup(KINECT, MARKER, START.T_base_kinect.matrix)
    settings, rng = PoseSettings(count=40, candidates=40), np.random.default_rng(3)
    drawn = choose_poses(setup, kinematics, scene, START.table.z, settings, 0, rng)
    chosen = [drawn[index] for index in most_telling(setup, drawn, 14)]
    others = [deviation(setup, [drawn[index] for index in rng.permutation(40)[:14]]) for _ in range(10)]
    assert deviation(setup, chosen) < 0.85 * np.mean(others)


def deviation(setup, poses):
    """Standard deviation (m) of the Kinect's position that noise of 1 px would leave."""
    views = [View(pose.T_mount_carrier, np.zeros((4, 2))) for pose in poses]
    J = design_jacobian(setup.camera, setup.marker, setup.T_mount_camera, setup.T_carrier_marker, views)
    J = J.reshape(-1, 12)
    return float(np.sqrt(np.trace(np.linalg.inv(J.T @ J)[3:6, 3:6])))


def test_too_few_poses_within_reach_are_an_error():
    kinematics, scene = arm("left")
    away = moved(START.T_base_kinect.matrix, np.random.default_rng(0), 0.0, 0.0)
    away[:3, 3] += [0.0, 0.0, 2.0]
    setup = kinect_setup(KINECT, MARKER, away)
    settings = PoseSettings(count=12, draws=300)
    with pytest.raises(CalibrationError, match="only 0 poses were found.*rough pose of the camera"):
        choose_poses(setup, kinematics, scene, START.table.z, settings, 0, np.random.default_rng(0))


def test_the_way_through_the_poses_is_short():
    poses = chosen_poses("left")
    ordered = shortest_way(poses, NEUTRAL)
    assert sorted(map(id, ordered)) == sorted(map(id, poses))

    def length(way):
        joints = np.array([NEUTRAL, *(pose.q for pose in way)])
        return np.abs(np.diff(joints, axis=0)).max(axis=1).sum()

    assert length(ordered) < 0.7 * length(poses)
