"""Opening a real robot's wrist cameras, on a stand-in for the SDK's camera class."""

import time

import pytest

pytest.importorskip("rospy")

from grasp_learning.config import ConfigError, parse_settings
from grasp_learning.execution.faults import RobotFault
from grasp_learning.ros.wrist_cameras import WristCamerasSettings, open_wrist_cameras


class Cameras:
    """The robot's cameras, of which two can be open at a time; makes the SDK's class for one of them."""

    def __init__(self, *opened):
        self.modes = {name: (320, 200) for name in opened}
        self.hang = False

    def __call__(self, name):
        if name == "head_camera" and name not in self.modes:
            raise AttributeError(f"Cannot locate a service for camera name '{name}'")
        return Controller(self, name)


class Controller:
    """One camera, as baxter_interface shows it."""

    def __init__(self, cameras, name):
        self._cameras, self._name = cameras, name

    @property
    def resolution(self):
        return self._cameras.modes[self._name]

    @resolution.setter
    def resolution(self, mode):
        if self._cameras.hang:
            time.sleep(0.5)
        if self._name not in self._cameras.modes and len(self._cameras.modes) == 2:
            raise OSError(22, f"Failed to open camera {self._name}")
        self._cameras.modes[self._name] = mode

    def close(self):
        del self._cameras.modes[self._name]


@pytest.mark.parametrize(
    "opened", [(), ("head_camera", "right_hand_camera"), ("left_hand_camera", "right_hand_camera")]
)
def test_both_wrist_cameras_are_open_in_the_mode_whatever_was_open_before(opened):
    cameras = Cameras(*opened)
    open_wrist_cameras(WristCamerasSettings(), cameras)
    assert cameras.modes == {"left_hand_camera": (1280, 800), "right_hand_camera": (1280, 800)}


def test_a_camera_that_does_not_open_is_named():
    cameras = Cameras("a_camera", "another_one")
    with pytest.raises(RobotFault, match="opening left_hand_camera failed: .*Failed to open camera left_hand_camera"):
        open_wrist_cameras(WristCamerasSettings(), cameras)


def test_a_robot_that_does_not_answer_is_a_fault_in_time():
    cameras = Cameras()
    cameras.hang = True
    with pytest.raises(RobotFault, match="opening left_hand_camera did not end within"):
        open_wrist_cameras(WristCamerasSettings(timeout=0.1), cameras)


def test_a_mode_that_the_robot_has_not_is_named():
    with pytest.raises(ConfigError, match="1280x800, 960x600"):
        parse_settings(WristCamerasSettings, {"mode": [1920, 1080]}, "wrist_cameras")
