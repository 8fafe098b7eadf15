"""A fresh picture of a wrist camera, and where the camera was."""

import threading
from typing import Tuple

import numpy as np
import rospy

from grasp_learning.execution.faults import SensorFault
from grasp_learning.motion.kinematics import Kinematics
from grasp_learning.motion.robot_model import RobotModel
from grasp_learning.ros.camera_client import JOINT_STATES, CameraTimeouts, Frame, FreshImage, grab_with_joints


class WristCamera:
    """The camera in an arm's wrist; any number of threads may look through it at once.

    Subscribers, each only while a picture is taken: cameras/<arm>_hand_camera/image and .../camera_info, and
    robot/joint_states.
    """

    def __init__(self, arm: str, robot: RobotModel, timeouts: CameraTimeouts):
        camera = f"cameras/{arm}_hand_camera"
        self._timeouts = timeouts
        self._pictures = FreshImage(f"{camera}/image", f"{camera}/camera_info", timeouts=timeouts)
        self._kinematics = Kinematics(robot, arm)
        self._lock = threading.Lock()  # kinematics are not for several threads at once

    def look(self) -> Tuple[Frame, np.ndarray]:
        """A fresh picture and T_base_camera (4, 4) at its time.

        Raises:
            SensorFault: no picture or no joint states within the deadline; the message names the topic and a remedy.
        """
        frame, joints = grab_with_joints(self._pictures, self._timeouts)
        names = self._kinematics.joint_names
        missing = [name for name in names if name not in joints]
        if missing:
            raise SensorFault(
                f"{rospy.resolve_name(JOINT_STATES)} has no {', '.join(missing)}: is this robot a Baxter?"
            )
        with self._lock:
            return frame, self._kinematics.T_base_camera([joints[name] for name in names])
