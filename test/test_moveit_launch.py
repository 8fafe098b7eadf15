"""launch/moveit.launch on a stand-in for baxter_moveit_config, whose launch files it must correct."""

import os
from pathlib import Path

import numpy as np
import pytest
from motion_samples import ROBOT

pytest.importorskip("rospy")
pytest.importorskip("roslaunch")

import roslaunch

from grasp_learning.motion.settings import MotionSettings

PACKAGE = Path(__file__).parents[1]
PLANNING_CONTEXT = """<launch>
  <arg name="load_robot_description"/>
  <arg name="left_electric_gripper"/> <arg name="right_electric_gripper"/>
  <arg name="left_tip_name"/> <arg name="right_tip_name"/>
  <param name="tips" value="$(arg left_tip_name) $(arg right_tip_name) $(arg load_robot_description)"/>
</launch>"""
MOVE_GROUP = """<launch>
  <arg name="allow_trajectory_execution" default="true"/>
  <arg name="fake_execution" default="false"/>
  <rosparam ns="move_group">
    left_arm: {planner_configs: [ESTkConfigDefault], longest_valid_segment_fraction: 0.05}
    right_arm: {planner_configs: [ESTkConfigDefault], longest_valid_segment_fraction: 0.05}
  </rosparam>
  <node name="move_group" pkg="moveit_ros_move_group" type="move_group">
    <param name="allow_trajectory_execution" value="$(arg allow_trajectory_execution)"/>
    <param name="fake_execution" value="$(arg fake_execution)"/>
  </node>
</launch>"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Loads the file with arguments; parameters and nodes by name."""
    package = tmp_path / "baxter_moveit_config"
    (package / "launch").mkdir(parents=True)
    (package / "package.xml").write_text("<package><name>baxter_moveit_config</name><version>0.0.0</version></package>")
    (package / "launch" / "planning_context.launch").write_text(PLANNING_CONTEXT)
    (package / "launch" / "move_group.launch").write_text(MOVE_GROUP)
    path = [str(tmp_path), str(PACKAGE), os.environ.get("ROS_PACKAGE_PATH", "")]
    monkeypatch.setenv("ROS_PACKAGE_PATH", os.pathsep.join(path))
    monkeypatch.delenv("CMAKE_PREFIX_PATH", raising=False)  # where MoveIt is installed, catkin would find the real one
    monkeypatch.setattr("roslaunch.substitution_args._rospack", None)  # it remembers which packages there are

    def load(*arguments):
        config = roslaunch.config.ROSLaunchConfig()
        loader = roslaunch.xmlloader.XmlLoader(resolve_anon=False)
        loader.load(str(PACKAGE / "launch" / "moveit.launch"), config, argv=list(arguments), verbose=False)
        return {name: param.value for name, param in config.params.items()}, {node.name: node for node in config.nodes}

    return load


def test_edges_are_checked_as_finely_as_the_planner_demands(load):
    params, _ = load()
    for side in ("left", "right"):
        extent = sum(joint.upper - joint.lower for joint in ROBOT.arm_joints(side))
        step = extent * params[f"/move_group/{side}_arm/longest_valid_segment_fraction"]
        assert 0.0 < step <= MotionSettings().moveit.max_edge_step
        assert params[f"/move_group/{side}_arm/planner_configs"] == ["ESTkConfigDefault"]
    assert np.isclose(load("segment_fraction:=0.0001")[0]["/move_group/left_arm/longest_valid_segment_fraction"], 1e-4)


def test_move_group_reads_the_robots_joints_and_moves_nothing(load):
    params, nodes = load()
    assert ("joint_states", "/robot/joint_states") in [tuple(pair) for pair in nodes["move_group"].remap_args]
    assert params["/move_group/fake_execution"] is True
    assert load("execute:=true")[0]["/move_group/fake_execution"] is False
    # without its part for execution the real one crashes as soon as one arm's request displaces the other's
    assert params["/move_group/allow_trajectory_execution"] is True
    assert params["/tips"] == "left_gripper right_gripper false"


def test_the_robots_description_is_loaded_only_where_nobody_else_does(load):
    assert "/robot_description" not in load()[0]
    assert 'link name="left_gripper"' in load("load_robot_description:=true")[0]["/robot_description"]


def test_the_transform_of_the_floating_joint_keeps_coming(load):
    _, nodes = load()
    node = nodes["world_to_base"]
    assert (node.package, node.type) == ("tf", "static_transform_publisher")  # tf2_ros's publishes once
    assert node.args.split()[-3:] == ["world", "base", "50"]
    assert "world_to_base" not in load("world:=false")[1]
