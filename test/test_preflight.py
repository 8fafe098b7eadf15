"""The start-up checks: what each says of good and of bad readings, and which forbid to begin."""

import datetime
from types import SimpleNamespace

import pytest

from grasp_learning.config import load_settings
from grasp_learning.preflight import (
    Check,
    Level,
    PreflightSettings,
    check_calibration,
    check_camera,
    check_disk,
    check_enabled,
    check_estop,
    check_gripper,
    check_joints,
    check_software,
    refusals,
)
from grasp_learning.robot_description import find_package_file

NOW = datetime.datetime(2026, 3, 1, tzinfo=datetime.timezone.utc)
SIM = find_package_file("config/calibration/sim.yaml")


def state(**changes):
    values = {"enabled": True, "stopped": False, "error": False, "estop_button": 0, "ESTOP_BUTTON_PRESSED": 1}
    return SimpleNamespace(**{**values, **changes})


def gripper(**changes):
    return SimpleNamespace(**{"calibrated": 1, "error": 0, **changes})


@pytest.mark.parametrize(
    "check, level, says",
    [
        (check_software("1.2.0.57", ["1.2.0"]), Level.OK, "1.2.0.57"),
        (check_software("1.1.1.0", ["1.2.0"]), Level.ERROR, "1.1.1.0; expected 1.2.0"),
        (check_software("1.20.1", ["1.2.0"]), Level.ERROR, "expected"),
        (check_software("", ["1.2.0"]), Level.ERROR, "ROS_MASTER_URI"),
        (check_software(None, ["1.2.0"]), Level.ERROR, "rethink/software_version"),
        (check_estop(state()), Level.OK, "released"),
        (check_estop(state(estop_button=1)), Level.ERROR, "pressed"),
        (check_estop(state(error=True)), Level.ERROR, "error"),
        (check_estop(None), Level.ERROR, "robot/state"),
        (check_enabled(state(), False), Level.OK, "motors are on"),
        (check_enabled(state(enabled=False), False), Level.ERROR, "grasp_learning baxter enable"),
        (check_enabled(state(enabled=False), True), Level.WARN, "when motion is allowed"),
        (check_enabled(state(stopped=True), False), Level.ERROR, "off"),
        (check_enabled(None, True), Level.ERROR, "robot/state"),
        (check_joints(0.01), Level.OK, "come"),
        (check_joints(-0.05), Level.OK, "come"),
        (
            check_joints(-0.2),
            Level.ERROR,
            "0.2 s in the future; synchronise the robot's and this computer's clock (NTP)",
        ),
        (check_joints(None), Level.ERROR, "none on robot/joint_states"),
        (check_joints(3.0), Level.ERROR, "3.0 s old"),
        (check_gripper("left", gripper(), False), Level.OK, "calibrated"),
        (check_gripper("left", gripper(calibrated=0), False), Level.ERROR, "not calibrated"),
        (check_gripper("left", gripper(calibrated=2), False), Level.ERROR, "not calibrated"),
        (check_gripper("left", gripper(calibrated=0), True), Level.WARN, "fingers move"),
        (check_gripper("right", gripper(error=1), True), Level.ERROR, "reports an error"),
        (check_gripper("right", None, True), Level.ERROR, "attached"),
        (check_camera("Kinect", "", "1920 x 1080"), Level.OK, "1920 x 1080"),
        (check_camera("Kinect", "no picture came"), Level.ERROR, "no picture came"),
    ],
)
def test_what_a_reading_means(check, level, says):
    assert check.level is level and says in check.message


def calibration_of(tmp_path, date):
    path = tmp_path / "baxter.yaml"
    kinect = (
        f"arm: left, poses: 12, used: 12, rms_px: 0.5, rms: 0.001, position_std: 0.0, rotation_std: 0.0, date: {date}"
    )
    table = "method: touch, points: 3, rms: 0.0, tilt: 0.0, date: '2026-02-28T00:00:00+00:00'"
    measured = f"measured:\n  kinect: {{{kinect}}}\n  table: {{{table}}}\n" if date else ""
    path.write_text(SIM.read_text() + measured)
    return path


@pytest.mark.parametrize(
    "date, level, says",
    [
        ("'2026-02-20T10:00:00+00:00'", Level.OK, "8.6 days old"),
        ("'2025-12-01T10:00:00+00:00'", Level.ERROR, "90 days old (at most 30)"),
        ("", Level.ERROR, "never measured"),
        ("yesterday", Level.ERROR, "date"),
    ],
)
def test_a_measured_calibration_ages(tmp_path, date, level, says):
    check = check_calibration(calibration_of(tmp_path, date), NOW, 30.0, True)
    assert check.level is level and says in check.message, check


def test_a_calibration_from_the_future_tells_of_a_wrong_clock(tmp_path):
    path = calibration_of(tmp_path, "'2026-02-20T10:00:00+00:00'")
    check = check_calibration(path, NOW - datetime.timedelta(days=40), 30.0, True)
    assert check.level is Level.ERROR and "in the future; set this computer's clock" in check.message


def test_a_simulations_calibration_does_not_age_but_must_be_there(tmp_path):
    assert check_calibration(SIM, NOW, 30.0, False).level is Level.OK
    lost = check_calibration(tmp_path / "none.yaml", NOW, 30.0, False)
    assert lost.level is Level.ERROR and "cannot be read" in lost.message


def test_room_is_looked_for_where_the_folder_will_be(tmp_path):
    assert check_disk(tmp_path / "not" / "yet", 0.0).level is Level.OK
    full = check_disk(tmp_path / "not" / "yet", 1e9)
    assert full.level is Level.ERROR and "GB wanted" in full.message and str(tmp_path) in full.message


def test_only_errors_forbid_to_begin_and_each_has_a_line():
    checks = [Check("a", Level.OK, "fine"), Check("b", Level.WARN, "soon"), Check("c", Level.ERROR, "broken")]
    assert [check.name for check in refusals(checks)] == ["c"]
    assert [check.line.split() for check in checks] == [
        ["ok", "a", "fine"],
        ["later", "b", "soon"],
        ["FAILED", "c", "broken"],
    ]


def test_the_file_holds_the_defaults():
    assert load_settings(PreflightSettings, find_package_file("config/preflight.yaml")) == PreflightSettings()
