"""Stand-in for Rethink's ``baxter_interface``: the part that grasp_learning uses, same names and behaviour."""

from baxter_interface.camera import CameraController
from baxter_interface.gripper import Gripper
from baxter_interface.head import Head
from baxter_interface.limb import Limb
from baxter_interface.robot_enable import RobotEnable
from baxter_interface.settings import (
    CHECK_VERSION,
    HEAD_PAN_ANGLE_TOLERANCE,
    JOINT_ANGLE_TOLERANCE,
    SDK_VERSION,
    VERSIONS_SDK2GRIPPER,
    VERSIONS_SDK2ROBOT,
)

__all__ = [
    "CHECK_VERSION",
    "HEAD_PAN_ANGLE_TOLERANCE",
    "JOINT_ANGLE_TOLERANCE",
    "SDK_VERSION",
    "VERSIONS_SDK2GRIPPER",
    "VERSIONS_SDK2ROBOT",
    "CameraController",
    "Gripper",
    "Head",
    "Limb",
    "RobotEnable",
]
