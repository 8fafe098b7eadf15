"""The node that opens a real robot's wrist cameras, and ends.

Baxter has two cameras open at a time, in the mode in which somebody opened them last; so the one in the head is closed
first. In simulation the wrist cameras are always open.

Services called: those of baxter_interface's CameraController (/cameras/list, /cameras/open, /cameras/close).
Parameters: all keys of config/wrist_cameras.yaml.

Wrong parameters, and a camera that does not open in time, end the node with one line on stderr and exit code 1.
"""

import sys
import time
from functools import partial
from typing import Callable, Tuple

import rospy
from pydantic import Field, field_validator

from grasp_learning.config import ConfigError, Settings, parse_settings
from grasp_learning.execution.faults import RobotFault
from grasp_learning.execution.hand import bounded
from grasp_learning.ros.node_setup import private_parameters
from grasp_learning.trial import ARMS

IN_THE_WAY = "head_camera"
MODES = ((1280, 800), (960, 600), (640, 400), (480, 300), (384, 240), (320, 200))


class WristCamerasSettings(Settings):
    """Parameters of the node; see config/wrist_cameras.yaml."""

    mode: Tuple[int, int] = MODES[0]
    timeout: float = Field(30.0, gt=0)

    @field_validator("mode")
    @classmethod
    def _known_mode(cls, value: Tuple[int, int]) -> Tuple[int, int]:
        if value not in MODES:
            raise ValueError(f"expected one of the robot's modes: {', '.join(f'{w}x{h}' for w, h in MODES)}")
        return value


def open_wrist_cameras(settings: WristCamerasSettings, make_controller: Callable) -> None:
    """Close the head's camera and open both wrist cameras in their mode.

    Args:
        make_controller: baxter_interface.CameraController, or what stands for it: called with a camera's name.

    Raises:
        RobotFault: a camera could not be opened in time; the message names it.
    """
    end = time.monotonic() + settings.timeout

    def within(call: Callable, what: str) -> None:
        try:
            bounded(call, max(end - time.monotonic(), 0.1), what)
        except (AttributeError, rospy.ROSException, rospy.ServiceException) as error:  # what the SDK raises here
            raise RobotFault(f"{what} failed: {error}") from None

    def close() -> None:
        try:
            controller = make_controller(IN_THE_WAY)
        except AttributeError:
            return  # not listed, so not open
        controller.close()

    def open_in_mode(name: str) -> None:
        make_controller(name).resolution = settings.mode  # which opens it

    within(close, f"closing {IN_THE_WAY}")
    for arm in ARMS:
        within(partial(open_in_mode, f"{arm}_hand_camera"), f"opening {arm}_hand_camera")


def main() -> None:
    """Run the node."""
    rospy.init_node("wrist_cameras")
    # the SDK reads the robot's parameters on import, and only nodes of the robot need it
    import baxter_interface

    try:
        settings = parse_settings(WristCamerasSettings, private_parameters(), rospy.get_name())
        open_wrist_cameras(settings, baxter_interface.CameraController)
    except (ConfigError, RobotFault) as error:
        rospy.logfatal("%s", error)
        sys.exit(1)
    rospy.loginfo("both wrist cameras are open at %d x %d", *settings.mode)
