"""Intrinsics of the simulated cameras and their names in the model.

OpenCV's pixel convention: the centre of the upper left pixel is (0, 0), so that the optical axis of a picture of
width w meets it at (w - 1) / 2, between the two middle pixels.
"""

import math
from dataclasses import dataclass

import numpy as np

from grasp_learning.geometry import Camera

KINECT_NAME = "kinect"


@dataclass(frozen=True)
class CameraModel:
    """A camera with square pixels whose axis goes through the middle of the picture.

    Attributes:
        width, height: px.
        focal_length: px.
    """

    width: int
    height: int
    focal_length: float

    @property
    def fovy(self) -> float:
        """Vertical field of view (degrees), as MuJoCo wants it."""
        return math.degrees(2 * math.atan(self.height / (2 * self.focal_length)))

    @property
    def camera(self) -> Camera:
        """The same as a calibrated camera without distortion."""
        f = self.focal_length
        K = np.array([[f, 0.0, (self.width - 1) / 2], [0.0, f, (self.height - 1) / 2], [0.0, 0.0, 1.0]])
        return Camera(self.width, self.height, K)


KINECT = CameraModel(1920, 1080, 1060.0)
WRIST = CameraModel(1280, 800, 810.0)


def wrist_name(side: str) -> str:
    """Name in the model of an arm's wrist camera."""
    return f"{side}_hand_camera"
