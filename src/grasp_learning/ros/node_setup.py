"""What several nodes read when they start: their parameters, the robot's description, the workcell."""

from typing import Dict

import rospy

from grasp_learning.calibration import Calibration, load_calibration
from grasp_learning.config import ConfigError
from grasp_learning.motion.robot_model import RobotModel
from grasp_learning.robot_description import find_package_file, load_urdf

SIM_CALIBRATION = "config/calibration/sim.yaml"


def private_parameters() -> Dict:
    """The node's own parameters."""
    return rospy.get_param("~", {})


def robot_model() -> RobotModel:
    """The robot that is there, or the package's own description of it.

    Raises:
        ConfigError: robot_description is no URDF that can be used.
    """
    urdf = rospy.get_param("robot_description", "")
    try:
        return RobotModel(urdf or load_urdf())
    except ValueError as error:
        raise ConfigError(f"parameter robot_description: {error}") from None


def workcell_calibration(path: str) -> Calibration:
    """Contents of a calibration file; that of the simulation where the path is empty.

    Raises:
        ConfigError: it is missing or malformed.
    """
    return load_calibration(path or find_package_file(SIM_CALIBRATION))
