"""The calibration of the simulated workcell is right, and a wrong file is named with its key."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
import yaml

from grasp_learning.calibration import CameraMeasured, Measurements, TableMeasured, load_calibration, pose_of
from grasp_learning.calibration import save_calibration as save
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


NOON = datetime(2027, 3, 1, 12, 0, tzinfo=timezone.utc)
KINECT = CameraMeasured(
    date=NOON.isoformat(), arm="left", poses=20, used=18, rms_px=0.4, rms=0.0003, position_std=1e-4, rotation_std=1e-4
)
FLAT = TableMeasured(date=(NOON + timedelta(hours=1)).isoformat(), method="depth", points=5000, rms=0.001, tilt=0.002)


def measured(**parts):
    return load_calibration(SIMULATED).model_copy(update={"measured": Measurements(**parts)})


def test_a_calibration_survives_its_file(tmp_path):
    calibration = measured(kinect=KINECT, table=FLAT)
    file = tmp_path / "made" / "baxter.yaml"
    save(calibration, file)
    assert load_calibration(file) == calibration
    assert [path.name for path in file.parent.iterdir()] == ["baxter.yaml"]
    T = calibration.T_base_kinect.matrix
    np.testing.assert_allclose(pose_of(T).matrix, T, atol=2e-6)


def test_age_is_that_of_the_older_part():
    calibration = measured(kinect=KINECT, table=FLAT)
    assert calibration.age(NOON + timedelta(days=2)) == pytest.approx(2 * 86400)
    assert calibration.residuals() == {"kinect": 0.0003, "table": 0.001}
    assert calibration.age() != calibration.age(NOON), "the default is the present"
    assert calibration.age(NOON - timedelta(days=1)) < 0, "a wrong clock shows"


def test_what_was_not_measured_has_no_age():
    assert load_calibration(SIMULATED).age() is None and load_calibration(SIMULATED).residuals() == {}
    assert measured(kinect=KINECT).age() is None
    # what collections keep of the simulation's file is what they always kept
    assert set(load_calibration(SIMULATED).contents()) == {"T_base_kinect", "table"}


@pytest.mark.parametrize("written", ["2027-03-01T12:00:00+00:00", "'2027-03-01 12:00:00'", "2027-03-01T13:00:00+01:00"])
def test_dates_are_read_in_every_way_yaml_writes_them(tmp_path, written):
    file = tmp_path / "baxter.yaml"
    save(measured(table=FLAT), file)
    file.write_text(file.read_text().replace("'" + FLAT.date + "'", written))
    assert load_calibration(file).measured.table.when == NOON


def test_a_date_that_is_none_is_named(tmp_path):
    file = tmp_path / "baxter.yaml"
    save(measured(table=FLAT), file)
    file.write_text(file.read_text().replace(FLAT.date, "yesterday"))
    with pytest.raises(ConfigError, match="key 'measured.table.date' is 'yesterday'.*date and time"):
        load_calibration(file)
