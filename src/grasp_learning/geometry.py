"""Angles, frames and cameras: the one place that converts between pixels, bins and the robot's base frame.

Conventions: SI units and radians; ``T_a_b`` is a (4, 4) homogeneous transform that takes points in frame b to
frame a; images are (row, column) arrays and pixel points are (u, v) = (column, row); camera frames are optical
(x right, y down, z forward). A grasp's angle is the direction in which the fingers close; it lives in [0, pi)
because the gripper is symmetric (paper, section III.A).
"""

from dataclasses import dataclass, field
from typing import Sequence

import cv2
import numpy as np

NUM_BINS = 18
BIN_WIDTH = np.pi / NUM_BINS


def wrap_angle(angle):
    """Map an angle (rad, scalar or array) into [0, pi), where a symmetric gripper's angles live."""
    wrapped = np.mod(angle, np.pi)
    # np.mod of a tiny negative number rounds up to pi itself
    return np.where(wrapped >= np.pi, 0.0, wrapped)[()]


def angle_difference(a, b):
    """Smallest difference (rad, in [0, pi / 2]) between two grasp angles."""
    difference = np.abs(wrap_angle(np.asarray(a) - np.asarray(b)))
    return np.minimum(difference, np.pi - difference)


def angle_to_bin(angle):
    """Bin of an angle: bin j is the interval of 10 degrees centred on 10 j degrees, so that bin 0 wraps around."""
    bins = np.floor(wrap_angle(angle) / BIN_WIDTH + 0.5).astype(int) % NUM_BINS
    return int(bins) if np.ndim(bins) == 0 else bins


def bin_to_angle(index):
    """Centre (rad, in [0, pi)) of an angle bin.

    Raises:
        ValueError: the index is outside 0..17.
    """
    index = np.asarray(index)
    if np.any(index < 0) or np.any(index >= NUM_BINS):
        raise ValueError(f"angle bin {index} is outside 0..{NUM_BINS - 1}")
    return (index * BIN_WIDTH)[()]


def released_to_angle(released):
    """Angle of the authors' released data (image axes, -pi/2 .. pi/2) as an image angle in [0, pi)."""
    return wrap_angle(released)


def angle_to_released(angle):
    """Image angle in [0, pi) as the released data's angle in [-pi/2, pi/2), where bin t is t * pi / 18 - pi / 2."""
    return np.mod(np.asarray(angle) + np.pi / 2, np.pi)[()] - np.pi / 2


def released_bin_to_bin(index):
    """Bin of the released network (t * pi / 18 - pi / 2) as this package's bin (10 degrees x j)."""
    return (np.asarray(index) + NUM_BINS // 2) % NUM_BINS


def image_angle_to_base(theta_image: float, T_base_camera: np.ndarray) -> float:
    """Direction in the image plane as a direction about base z, in [0, pi).

    Exact for a camera that looks straight down; the error is of second order in its tilt.
    """
    direction = T_base_camera[:3, :3] @ np.array([np.cos(theta_image), np.sin(theta_image), 0.0])
    return float(wrap_angle(np.arctan2(direction[1], direction[0])))


def base_angle_to_image(theta: float, T_base_camera: np.ndarray) -> float:
    """Inverse of :func:`image_angle_to_base` for a camera that looks straight down."""
    direction = T_base_camera[:3, :3].T @ np.array([np.cos(theta), np.sin(theta), 0.0])
    return float(wrap_angle(np.arctan2(direction[1], direction[0])))


def transform(rotation: np.ndarray, translation: Sequence[float]) -> np.ndarray:
    """(4, 4) transform from a (3, 3) rotation and a translation (m)."""
    T = np.eye(4)
    T[:3, :3] = rotation
    T[:3, 3] = translation
    return T


def invert(T_a_b: np.ndarray) -> np.ndarray:
    """T_b_a of a rigid T_a_b."""
    rotation = T_a_b[:3, :3].T
    return transform(rotation, -rotation @ T_a_b[:3, 3])


def transform_points(T_a_b: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (..., 3) of frame b in frame a."""
    return np.asarray(points) @ T_a_b[:3, :3].T + T_a_b[:3, 3]


def top_down_pose(x: float, y: float, z: float, theta: float) -> np.ndarray:
    """T_base_gripper of a gripper that points straight down and closes its fingers along theta.

    The gripper frame has z along the approach and y along the direction in which the fingers close (the
    description's finger axis), so that y = (cos theta, sin theta, 0) and z = (0, 0, -1).
    """
    c, s = np.cos(theta), np.sin(theta)
    y_axis = np.array([c, s, 0.0])
    z_axis = np.array([0.0, 0.0, -1.0])
    return transform(np.stack([np.cross(y_axis, z_axis), y_axis, z_axis], axis=1), [x, y, z])


@dataclass(frozen=True)
class Camera:
    """A calibrated pinhole camera with OpenCV's plumb_bob distortion.

    Attributes:
        width, height: image size (px).
        K: (3, 3) intrinsic matrix (px).
        D: distortion coefficients, empty for none.
    """

    width: int
    height: int
    K: np.ndarray
    D: np.ndarray = field(default_factory=lambda: np.zeros(5))

    @property
    def focal_length(self) -> float:
        """Mean of fx and fy (px)."""
        return float((self.K[0, 0] + self.K[1, 1]) / 2)

    def project(self, points_camera: np.ndarray) -> np.ndarray:
        """Pixels (n, 2) of points (n, 3) in the camera frame (m); NaN for points that are not in front of it."""
        points = np.asarray(points_camera, float).reshape(-1, 3)
        pixels = np.full((len(points), 2), np.nan)
        front = points[:, 2] > 1e-6
        if front.any():
            projected, _ = cv2.projectPoints(points[front], np.zeros(3), np.zeros(3), self.K, self.D)
            pixels[front] = projected.reshape(-1, 2)
        return pixels

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """Directions (n, 3) in the camera frame, with z = 1, through pixels (n, 2)."""
        pixels = np.asarray(pixels, float).reshape(-1, 1, 2)
        if len(pixels) == 0:
            return np.empty((0, 3))
        normalised = cv2.undistortPoints(pixels, self.K, self.D).reshape(-1, 2)
        return np.column_stack([normalised, np.ones(len(normalised))])

    def pixels_to_plane(self, pixels: np.ndarray, T_base_camera: np.ndarray, z: float) -> np.ndarray:
        """Base-frame points (n, 3) where the rays through pixels (n, 2) meet the horizontal plane at height z (m).

        Rays that do not meet the plane in front of the camera give NaN.
        """
        directions = self.rays(pixels) @ T_base_camera[:3, :3].T
        origin = T_base_camera[:3, 3]
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = (z - origin[2]) / directions[:, 2]
            distance = np.where(np.isfinite(distance) & (distance > 0), distance, np.nan)
        return origin + directions * distance[:, None]

    def base_to_pixels(self, points_base: np.ndarray, T_base_camera: np.ndarray) -> np.ndarray:
        """Pixels (n, 2) of base-frame points (n, 3)."""
        return self.project(transform_points(invert(T_base_camera), np.asarray(points_base, float).reshape(-1, 3)))
