"""What the tests of the calibration share: a camera, poses and pictures of a truth that is made up independently."""

import functools

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from grasp_learning.calibrating.marker import DEFAULT_MOUNT, MarkerSettings
from grasp_learning.calibrating.measuring import kinect_setup, with_plate
from grasp_learning.calibrating.poses import PoseSettings, choose_poses
from grasp_learning.calibrating.solving import View
from grasp_learning.calibration import load_calibration
from grasp_learning.geometry import Camera, transform
from grasp_learning.motion.collision import CollisionScene
from grasp_learning.motion.kinematics import NEUTRAL, Kinematics
from grasp_learning.motion.robot_model import RobotModel
from grasp_learning.robot_description import find_package_file, load_urdf

# a Kinect's published intrinsics, distortion included
KINECT = Camera(
    1920,
    1080,
    np.array([[1059.95, 0.0, 954.88], [0.0, 1053.93, 523.74], [0.0, 0.0, 1.0]]),
    np.array([0.05627, -0.07420, 0.001425, -0.001695, 0.02411]),
)
CALIBRATION = load_calibration(find_package_file("config/calibration/sim.yaml"))
START = load_calibration(find_package_file("config/calibration/start.yaml"))
MARKER = MarkerSettings()
CORNER_NOISE = 0.3  # px; in rendered pictures it is 0.13 px


def moved(T, rng, position, angle):
    """A pose that is off by normal deviates of a position (m) and an angle (rad) about each axis."""
    return T @ transform(Rotation.from_rotvec(rng.normal(0, angle, 3)).as_matrix(), rng.normal(0, position, 3))


@functools.lru_cache(maxsize=4)
def arm(side):
    """Kinematics of an arm with the marker's plate in its gripper, and what it must not touch."""
    robot = with_plate(RobotModel(load_urdf()), side, DEFAULT_MOUNT.matrix, MARKER)
    return Kinematics(robot, side), CollisionScene(robot, side, CALIBRATION.table, NEUTRAL)


@functools.lru_cache(maxsize=4)
def chosen_poses(side, count=20):
    """Poses for a Kinect whose pose is known roughly."""
    kinematics, scene = arm(side)
    setup = kinect_setup(KINECT, MARKER, START.T_base_kinect.matrix)
    settings = PoseSettings(count=count, candidates=80)
    return choose_poses(setup, kinematics, scene, START.table.z, settings, 0, np.random.default_rng(0))


def pictured(T_camera_marker, marker=MARKER, camera=KINECT):
    """(4, 2) pixels of a marker's corners, by OpenCV alone."""
    half = marker.size / 2
    corners = np.array([(-half, half, 0), (half, half, 0), (half, -half, 0), (-half, -half, 0)], float)
    rotation, _ = cv2.Rodrigues(T_camera_marker[:3, :3])
    return cv2.projectPoints(corners, rotation, T_camera_marker[:3, 3], camera.K, camera.D)[0].reshape(4, 2)


class Truth:
    """A Kinect and a marker's mount that are not where they are meant to be, and pictures of the marker.

    Args:
        seed: of where they are, and of the noise.
        joint_noise: of the joint readings (rad).
    """

    def __init__(self, seed, side="left", count=20, corner_noise=CORNER_NOISE, joint_noise=0.0):
        rng = np.random.default_rng(seed)
        self.kinematics, _ = arm(side)
        self.T_base_kinect = moved(CALIBRATION.T_base_kinect.matrix, rng, 0.01, 0.01)
        self.T_gripper_marker = moved(DEFAULT_MOUNT.matrix, rng, 0.004, 0.03)
        self.views = []
        for pose in chosen_poses(side, count):
            real = self.kinematics.fk(pose.q + rng.normal(0, joint_noise, 7))
            corners = pictured(np.linalg.inv(self.T_base_kinect) @ real @ self.T_gripper_marker)
            self.views.append(View(pose.T_mount_carrier, corners + rng.normal(0, corner_noise, (4, 2))))
