"""The calibration of the simulated workcell is right, and a wrong file is named with its key."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from grasp_learning.calibration import load_calibration
from grasp_learning.config import ConfigError
from grasp_learning.geometry import Camera

SIMULATED = Path(__file__).parent.parent / "config" / "calibration" / "sim.yaml"


def test_simulated_kinect_sees_the_whole_table_from_the_head():
    calibration = load_calibration(SIMULATED)
    T, table = calibration.T_base_kinect.matrix, calibration.table
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-5)
    assert T[2, 2] < -0.5, "the Kinect looks down"
    assert T[2, 1] < 0, "image y points down: the picture is upright"
    assert T[1, 0] < 0, "image x points to the robot's right"
    kinect = Camera(1920, 1080, np.array([[1060.0, 0, 959.5], [0, 1060.0, 539.5], [0, 0, 1]]))
    corners = [(x, y, table.z) for x in (table.x_min, table.x_max) for y in (table.y_min, table.y_max)]
    pixels = kinect.base_to_pixels(corners, T)
    assert (pixels >= 0).all() and (pixels < [1920, 1080]).all()


@pytest.mark.parametrize(
    "path, value, words",
    [
        (("table", "z"), None, "key 'table.z' is missing"),
        (("table", "z"), "high", "key 'table.z' is 'high'.*number"),
        (("table", "z"), 7.0, "key 'table.z' is 7.0.*less than or equal to 1"),
        (("T_base_kinect", "translation"), [1.0, 2.0], "key 'T_base_kinect.translation'.*3 items"),
        (("T_base_kinect", "rotation_xyzw"), None, "key 'T_base_kinect.rotation_xyzw' is missing"),
        (("table", "height"), 1.0, "key 'table.height' is unknown"),
        (
            ("T_base_kinect", "rotation_xyzw"),
            [0.0, 0.0, 0.0, 0.0],
            "key 'T_base_kinect.rotation_xyzw'.*unit quaternion",
        ),
        (
            ("T_base_kinect", "rotation_xyzw"),
            [1.0, 1.0, 0.0, 0.0],
            "key 'T_base_kinect.rotation_xyzw'.*length is 1.414",
        ),
        (
            ("T_base_kinect", "rotation_xyzw"),
            [float("nan"), 0, 0, 1.0],
            "'T_base_kinect.rotation_xyzw.0' is nan.*finite",
        ),
        (("T_base_kinect", "translation"), [0.1, float("inf"), 0.5], "'T_base_kinect.translation.1' is inf.*finite"),
        (("table", "z"), float("nan"), "key 'table.z' is nan.*finite"),
        (("table", "y_max"), float("inf"), "key 'table.y_max' is inf.*finite"),
        (("table", "x_max"), 0.2, "key 'table.x_max' is 0.2.*more than x_min, which is 0.45"),
        (("table", "y_max"), -0.6, "key 'table.y_max' is -0.6.*more than y_min, which is -0.6"),
    ],
)
def test_wrong_files_are_named(tmp_path, path, value, words):
    values = yaml.safe_load(SIMULATED.read_text())
    if value is None:
        del values[path[0]][path[1]]
    else:
        values[path[0]][path[1]] = value
    file = tmp_path / "robot.yaml"
    file.write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError, match="robot.yaml.*" + words):
        load_calibration(file)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="nowhere.yaml: cannot be read"):
        load_calibration(tmp_path / "nowhere.yaml")
