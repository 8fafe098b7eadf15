"""Every launch file with every robot, planner and choice of arms: it loads, its nodes exist, their settings hold."""

import os
from pathlib import Path

import pytest
import yaml

pytest.importorskip("baxter_core_msgs", reason="needs the built workspace")
pytest.importorskip("roslaunch")

import roslaunch

from grasp_learning.config import parse_settings
from grasp_learning.ros.arm_executor import ArmExecutorSettings
from grasp_learning.ros.baxter_sim import BaxterSimSettings
from grasp_learning.ros.collector import PLANNERS, CollectorSettings
from grasp_learning.ros.gazebo_world import GazeboWorldSettings
from grasp_learning.ros.grasp_sampler import GraspSamplerSettings
from grasp_learning.ros.roi_sampler import RoiSamplerSettings
from grasp_learning.ros.trial_recorder import TrialRecorderSettings
from grasp_learning.ros.wrist_cameras import WristCamerasSettings
from grasp_learning.trial import ARMS

PACKAGE = Path(__file__).resolve().parent.parent
ROBOTS = sorted(path.stem for path in (PACKAGE / "launch" / "robot").glob("*.launch"))
COLLECTIONS = {
    "collect_random.launch": (),
    "staged_collect.launch": ("model:=m.safetensors",),
    "test_grasps.launch": ("model:=m.safetensors",),
    "clear_table.launch": ("model:=m.safetensors",),
}
SETTINGS = {
    "arm_executor": ArmExecutorSettings,
    "baxter_sim": BaxterSimSettings,
    "gazebo_world": GazeboWorldSettings,
    "collector": CollectorSettings,
    "grasp_sampler": GraspSamplerSettings,
    "roi_sampler": RoiSamplerSettings,
    "trial_recorder": TrialRecorderSettings,
    "wrist_cameras": WristCamerasSettings,
}
# packages that a lab has and a test does not, with what of their launch files is used
ELSEWHERE = {
    "kinect2_bridge": {"kinect2_bridge.launch": ("base_name", "publish_tf")},
    "baxter_moveit_config": {
        "move_group.launch": ("allow_trajectory_execution", "fake_execution"),
        "planning_context.launch": (
            *("load_robot_description", "left_electric_gripper", "right_electric_gripper"),
            *("left_tip_name", "right_tip_name"),
        ),
    },
    "baxter_gazebo": {"baxter_world.launch": ("gui", "headless", "load_robot_description", "paused")},
    "baxter_description": {},
}


@pytest.fixture(autouse=True)
def packages_elsewhere(tmp_path, monkeypatch):
    for package, files in ELSEWHERE.items():
        folder = tmp_path / package / "launch"
        folder.mkdir(parents=True)
        text = f"<package><name>{package}</name><version>0.0.0</version></package>"
        (folder.parent / "package.xml").write_text(text)
        for name, arguments in files.items():
            declared = "".join(f'<arg name="{argument}"/>' for argument in arguments)
            node = f'<node name="{package}_{name[:-7]}" pkg="{package}" type="node"/>'
            (folder / name).write_text(f"<launch>{declared}{node}</launch>")
    # launch files read the robot's description through it
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "rosrun").write_text("#!/bin/sh\n[ $1 = grasp_learning ] && exec cat\necho '<robot/>'\n")
    (tmp_path / "bin" / "rosrun").chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]]))
    path = [str(tmp_path), os.environ.get("ROS_PACKAGE_PATH", "")]
    monkeypatch.setenv("ROS_PACKAGE_PATH", os.pathsep.join(path))
    monkeypatch.setattr("roslaunch.substitution_args._rospack", None)  # it remembers which packages there are


def load(file, *arguments):
    config = roslaunch.config.ROSLaunchConfig()
    loader = roslaunch.xmlloader.XmlLoader(resolve_anon=True)
    loader.load(str(PACKAGE / "launch" / file), config, argv=list(arguments), verbose=False)
    assert config.config_errors == []
    return config


def nodes_of(config):
    nodes = {f"{node.namespace}{node.name}": node for node in config.nodes}
    assert len(nodes) == len(config.nodes), "two nodes have one name"
    return nodes


def settings_of(config, name):
    """The node's checked settings, as the node itself makes them of its parameters."""
    values = {}
    for key, parameter in config.params.items():
        if key.startswith(f"{name}/"):
            *folders, last = key[len(name) + 1 :].split("/")
            place = values
            for folder in folders:
                place = place.setdefault(folder, {})
            place[last] = parameter.value
    return parse_settings(SETTINGS[name.rsplit("/", 1)[1]], values, name)


def robots_planner(robot):
    return yaml.safe_load((PACKAGE / "config" / "robots" / f"{robot}.yaml").read_text())["collector"]["planner"]


@pytest.mark.parametrize("arms", ["both", *ARMS])
@pytest.mark.parametrize("planner", ["", *PLANNERS])
@pytest.mark.parametrize("robot", ROBOTS)
def test_every_combination_loads_with_nodes_that_exist_and_settings_that_hold(robot, planner, arms):
    expected = planner or robots_planner(robot)
    for file, others in COLLECTIONS.items():
        config = load(file, f"robot:={robot}", f"planner:={planner}", f"arms:={arms}", "data:=/d", *others)
        nodes = nodes_of(config)
        sides = ARMS if arms == "both" else (arms,)
        assert {name for name in nodes if name.endswith("arm_executor")} == {f"/{side}/arm_executor" for side in sides}
        assert {"/roi_sampler", "/grasp_sampler", "/trial_recorder", "/collector"} <= set(nodes)
        for node in nodes.values():
            if node.package == "grasp_learning":
                assert os.access(PACKAGE / "nodes" / node.type, os.X_OK), node.type
        if file == "clear_table.launch" and robot == "baxter":
            continue  # refused where no simulator tells what lies on the table: the next test
        found = {name: settings_of(config, name) for name in nodes if name.rsplit("/", 1)[1] in SETTINGS}
        assert found["/collector"].robot == found["/trial_recorder"].robot == robot
        for name in ("/collector", "/trial_recorder", *(f"/{side}/arm_executor" for side in sides)):
            assert found[name].planner == expected


def test_a_robot_is_its_two_files():
    assert ROBOTS == ["baxter", "gazebo", "sim"]
    assert sorted(path.stem for path in (PACKAGE / "config" / "robots").glob("*.yaml")) == ROBOTS


@pytest.mark.parametrize("robot", ROBOTS)
def test_rviz_gets_the_kinects_frames_once(robot):
    nodes = nodes_of(load("collect_random.launch", f"robot:={robot}", "planner:=ompl", "rviz:=true"))
    assert {"/rviz", "/calibration_publisher"} <= set(nodes)


def test_a_real_robot_has_the_wall_clock_a_person_and_a_kinect_whose_picture_is_rectified():
    config = load("collect_random.launch", "robot:=baxter", "planner:=ompl", "split:=train", "data:=/d")
    assert config.params["/use_sim_time"].value is False
    collector, recorder = settings_of(config, "/collector"), settings_of(config, "/trial_recorder")
    assert (collector.simulator, collector.objects, recorder.objects, collector.exchange_after) == ("", "", "", 0)
    roi_sampler = settings_of(config, "/roi_sampler")
    assert (roi_sampler.color_topic, roi_sampler.rectified) == ("/kinect2/hd/image_color_rect", True)
    for side in ARMS:
        executor = settings_of(config, f"/{side}/arm_executor")
        assert (executor.enable, executor.held_service, executor.near_service) == ("start", "", "")
    assert config.params["/collector/calibration"].value.endswith("config/calibration/baxter.yaml")
    simulated = load("collect_random.launch", "split:=test", "data:=/d")
    assert simulated.params["/use_sim_time"].value is True
    assert settings_of(simulated, "/collector").objects == settings_of(simulated, "/trial_recorder").objects == "test"
    assert settings_of(simulated, "/left/arm_executor").held_service == "/baxter_sim/held"


@pytest.mark.parametrize("check", ["false", "true"])
@pytest.mark.parametrize("robot", ROBOTS)
def test_a_calibration_publishes_no_transforms_but_those_that_it_checks(robot, check):
    nodes = nodes_of(load("calibrate.launch", f"robot:={robot}", f"check:={check}"))
    assert ("/calibration_publisher" in nodes) == (check == "true")
    assert ("/check_calibration" in nodes, "/calibrate" in nodes) == (check == "true", check == "false")


def test_tables_of_several_objects_need_a_simulator():
    config = load("clear_table.launch", "robot:=baxter", "planner:=ompl", "model:=m.safetensors", "data:=/d")
    with pytest.raises(ValueError, match="tables need a simulator, which lays the objects out and knows where they"):
        settings_of(config, "/collector")


def test_the_robots_part_can_be_left_out_as_a_whole_or_in_parts():
    alone = nodes_of(load("collect_random.launch", "robot:=baxter", "bringup:=false", "planner:=ompl"))
    assert len(alone) == 6
    whole = set(nodes_of(load("collect_random.launch", "robot:=baxter", "planner:=ompl"))) - set(alone)
    assert whole == {"/calibration_publisher", "/wrist_cameras", "/kinect2_bridge_kinect2_bridge"}
    parts = {"kinect": "kinect2_bridge", "transforms": "calibration_publisher", "wrist_cameras": "wrist_cameras"}
    for argument, part in parts.items():
        left = nodes_of(load("robot/baxter.launch", "planner:=ompl", f"{argument}:=false"))
        assert {name for name in whole - set(left)} == {name for name in whole if part in name}
    servers = ("trajectory_server:=true", "move_group:=false")
    found = nodes_of(load("robot/baxter.launch", "planner:=ompl", *servers))
    assert {"/left_trajectory_server", "/right_trajectory_server"} <= set(found)
    nothing = [f"{name}:=false" for name in (*parts, "trajectory_server", "move_group")]
    config = load("robot/baxter.launch", *nothing)
    assert (config.nodes, config.params["/use_sim_time"].value) == ([], False)


def test_the_simulation_can_go_by_the_wall_clock():
    config = load("robot/sim.launch", "clock:=wall", "speed:=1")
    assert config.params["/use_sim_time"].value is False
    assert settings_of(config, "/baxter_sim").clock == "wall"


def test_nothing_of_an_earlier_run_is_left_on_the_master():
    config = load("collect_random.launch", "robot:=baxter", "planner:=ompl")
    nodes = {name for name, node in nodes_of(config).items() if node.package == "grasp_learning"}
    assert {name.rstrip("/") for name in config.clear_params} >= nodes - {"/calibration_publisher"}


def test_a_robot_without_files_is_named():
    with pytest.raises(Exception, match="launch/robot/pr2.launch"):
        load("collect_random.launch", "robot:=pr2")
