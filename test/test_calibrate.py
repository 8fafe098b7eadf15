"""Settings of the calibration's nodes, and what calibrate.launch hands to them."""

import contextlib
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from grasp_learning.calibration import CameraMeasured, Measurements, TableMeasured, load_calibration, save_calibration
from grasp_learning.config import ConfigError, load_settings, parse_settings
from grasp_learning.execution.faults import PlanningFailed
from grasp_learning.motion.planner import PlanResult
from grasp_learning.ros.calibrate import CalibrateSettings, known_calibration, planning_table, with_kinect
from grasp_learning.ros.calibration_cell import CellSettings, RosCell
from grasp_learning.ros.check_calibration import CheckSettings
from grasp_learning.trial import Outcome

CONFIG = Path(__file__).resolve().parent.parent / "config"
FILES = {"start": "start.yaml", "output": "out.yaml"}


def test_the_files_hold_the_defaults():
    values = yaml.safe_load((CONFIG / "calibrate.yaml").read_text())
    assert parse_settings(CalibrateSettings, {**values, **FILES}, "calibrate.yaml") == CalibrateSettings(**FILES)
    assert load_settings(CellSettings, CONFIG / "calibration_cell.yaml") == CellSettings()


@pytest.mark.parametrize(
    "values, words",
    [
        ({"steps": "kinect, table"}, "steps.*kinect, table, wrist, with commas"),
        ({"steps": "kinect,kinect"}, "steps"),
        ({"steps": ""}, "steps"),
        ({"arm": "both"}, "arm.*left"),
        ({"steps": "kinect,table", "table_by": "touch"}, "plate is in the way.*steps:=table alone"),
        ({"kinect": {"poses": {"count": 11}}}, "kinect.poses.count.*12"),
        ({"marker": {"size": 100}}, "marker.size"),
        ({"touch": {"points": [[0.6, 0.1]]}}, "touch.points.*3"),
    ],
)
def test_wrong_settings_are_named(values, words):
    with pytest.raises(ConfigError, match=words):
        parse_settings(CalibrateSettings, {**FILES, **values}, "calibrate")


@pytest.mark.parametrize("pixel", ["960", "a,b", "1,2,3"])
def test_a_pixel_has_two_numbers(pixel):
    with pytest.raises(ConfigError, match="pixel.*'u,v'"):
        parse_settings(CheckSettings, {"calibration": "a.yaml", "pixel": pixel}, "check_calibration")


def test_what_earlier_runs_measured_is_kept_and_the_edges_are_those_of_the_start(tmp_path):
    start = load_calibration(CONFIG / "calibration" / "start.yaml")
    output = tmp_path / "baxter.yaml"
    assert known_calibration(start, output) == start
    flat = TableMeasured(date="2027-03-01T12:00:00+00:00", method="touch", points=3, rms=0.0, tilt=0.0)
    table = start.table.model_copy(update={"z": -0.2, "x_max": 2.0})
    save_calibration(start.model_copy(update={"table": table, "measured": Measurements(table=flat)}), output)
    known = known_calibration(start, output)
    assert known.table.z == -0.2 and known.table.x_max == start.table.x_max and known.measured.table == flat


def camera_measured():
    values = {"date": "2027-03-01T12:00:00+00:00", "arm": "left", "poses": 20, "used": 20}
    return CameraMeasured(**values, **dict.fromkeys(("rms_px", "rms", "position_std", "rotation_std"), 0.0))


def test_a_table_of_which_nobody_knows_the_height_is_kept_off_by_what_a_person_may_be_wrong():
    start = load_calibration(CONFIG / "calibration" / "start.yaml")
    assert planning_table(start).z == pytest.approx(start.table.z + 0.04)
    flat = TableMeasured(date="2027-03-01T12:00:00+00:00", method="touch", points=3, rms=0.0, tilt=0.0)
    assert planning_table(start.model_copy(update={"measured": Measurements(table=flat)})) == start.table


@pytest.mark.parametrize("method, known", [("depth", False), ("touch", True)])
def test_a_table_that_was_measured_by_the_kinects_depth_goes_with_the_kinects_old_pose(method, known):
    start = load_calibration(CONFIG / "calibration" / "start.yaml")
    flat = TableMeasured(date="2027-03-01T12:00:00+00:00", method=method, points=3, rms=0.0, tilt=0.0)
    before = start.model_copy(update={"measured": Measurements(kinect=camera_measured(), table=flat)})
    assert before.age() is not None
    after = with_kinect(before, start.T_base_kinect.matrix, camera_measured())
    assert (after.measured.table is not None, after.age() is not None) == (known, known)
    assert after.measured.kinect is not None


def test_paths_are_those_of_the_folder_in_which_they_were_typed(tmp_path, monkeypatch):
    monkeypatch.setenv("PWD", str(tmp_path))
    values = dumped("start:=rough.yaml", "output:=made/out.yaml")
    assert values["/calibrate/start"] == str(tmp_path / "rough.yaml")
    assert values["/calibrate/output"] == str(tmp_path / "made" / "out.yaml")


@pytest.mark.parametrize("robot, name", [("sim", "sim_measured"), ("gazebo", "gazebo_measured"), ("baxter", "baxter")])
def test_the_file_from_which_a_simulated_world_is_made_is_not_overwritten(robot, name):
    values = dumped(f"robot:={robot}", "bringup:=false")
    assert values["/calibrate/output"].endswith(f"config/calibration/{name}.yaml")
    assert values["/calibrate/confirm"] == (robot == "baxter")


def dumped(*arguments):
    """Parameters that the launch file sets."""
    command = ["roslaunch", "--dump-params", "grasp_learning", "calibrate.launch", *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return yaml.safe_load(answer.stdout)


def nested(values, prefix):
    """Parameters under a node's name as the node reads them."""
    found = {}
    for name, value in values.items():
        if name.startswith(prefix):
            *groups, key = name[len(prefix) :].split("/")
            place = found
            for group in groups:
                place = place.setdefault(group, {})
            place[key] = value
    return found


def test_the_launch_file_gives_the_nodes_what_they_need():
    values = dumped("steps:=kinect", "arm:=right")
    settings = parse_settings(CalibrateSettings, nested(values, "/calibrate/"), "launch")
    assert settings.steps == "kinect" and settings.arm == "right" and not settings.confirm
    assert settings.output.endswith("sim_measured.yaml"), "the simulation's own file is its truth"
    assert values["/baxter_sim/marker"] == "right" and values["/baxter_sim/objects"] == 0

    values = dumped("check:=true", "pixel:=960,540")
    checked = parse_settings(CheckSettings, nested(values, "/check_calibration/"), "launch")
    assert checked.pixel == "960,540" and checked.calibration == settings.output and checked.truth.endswith("sim.yaml")
    assert values["/baxter_sim/marker"] == "" and "/calibrate/steps" not in values


@pytest.mark.parametrize("check", ["true", "false"])
def test_the_planner_is_the_robots_own_or_the_one_that_is_asked_for(check):
    name, model = ("check_calibration", CheckSettings) if check == "true" else ("calibrate", CalibrateSettings)
    for arguments, planner in (
        (["robot:=sim"], "ompl"),
        (["robot:=baxter", "bringup:=false"], "moveit"),
        (["robot:=baxter", "bringup:=false", "planner:=ompl"], "ompl"),
        (["robot:=sim", "planner:=moveit"], "moveit"),
    ):
        values = dumped(f"check:={check}", *arguments)
        assert parse_settings(model, nested(values, f"/{name}/"), "launch").cell.planner == planner


def test_on_a_real_robot_a_person_confirms_and_no_truth_is_known():
    values = dumped("robot:=baxter", "bringup:=false")
    settings = parse_settings(CalibrateSettings, nested(values, "/calibrate/"), "launch")
    assert settings.cell.kinect.color_topic == "/kinect2/hd/image_color_rect" and settings.cell.kinect.rectified
    assert settings.cell.safety.speed_ratio == 0.3
    assert settings.confirm and settings.output.endswith("config/calibration/baxter.yaml")
    assert "/baxter_sim/seed" not in values
    values = dumped("robot:=baxter", "bringup:=false", "check:=true")
    assert parse_settings(CheckSettings, nested(values, "/check_calibration/"), "launch").truth == ""
    assert values["/check_calibration/confirm"]


@pytest.mark.parametrize("refusals, tries", [(2, 3), (9, 5)])
def test_a_way_that_is_refused_is_looked_for_again_but_not_for_ever(refusals, tries):
    # MoveIt's ways swing wide: one that left the workspace by 5 mm ended a calibration
    cell, followed, rested = RosCell.__new__(RosCell), [], []

    def follow(way):
        followed.append(way)
        if len(followed) <= refusals:
            raise PlanningFailed("the path is refused")

    cell._settings = CellSettings()
    cell._planner = SimpleNamespace(plan=lambda _: PlanResult(Outcome.SUCCESS, "", "a way"))
    cell._arm = SimpleNamespace(follow=follow, rest=rested.append)
    with contextlib.nullcontext() if refusals < tries else pytest.raises(PlanningFailed, match="is refused"):
        cell._move(None)
    assert (len(followed), len(rested)) == (tries, int(refusals < tries))
