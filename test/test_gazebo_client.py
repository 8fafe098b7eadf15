"""Gazebo's messages are wanted only where Gazebo is, and named where they are missing."""

import sys
from pathlib import Path

import pytest
import yaml

pytest.importorskip("baxter_core_msgs", reason="needs the built workspace")

from grasp_learning.config import parse_settings
from grasp_learning.ros.gazebo_client import GazeboClient, GazeboError
from grasp_learning.ros.gazebo_world import GazeboWorldSettings

CONFIG = Path(__file__).resolve().parent.parent / "config" / "gazebo_world.yaml"


def test_config_file_states_the_defaults():
    assert parse_settings(GazeboWorldSettings, yaml.safe_load(CONFIG.read_text()), str(CONFIG)) == GazeboWorldSettings()


def test_missing_messages_name_their_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "gazebo_msgs", None)
    with pytest.raises(GazeboError, match="ros-noetic-gazebo-ros-pkgs"):
        GazeboClient(0.93, 10.0)
