"""Where the robot is in a picture: its links' shapes at measured joints, projected into a camera."""

from typing import Dict, Iterable, List, Mapping, Tuple

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from grasp_learning.geometry import Camera, transform, transform_points
from grasp_learning.motion.robot_model import Joint, RobotModel, Shape

_CIRCLE = np.linspace(0.0, 2 * np.pi, 16, endpoint=False)


def _outline_points(shape: Shape) -> np.ndarray:
    """(n, 3) points whose convex hull contains a primitive, in its link's frame (m)."""
    if shape.kind == "box":
        corners = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
        points = corners * np.array(shape.size) / 2
    elif shape.kind == "cylinder":
        radius, length = shape.size
        # a polygon around the circle, not in it, so that the hull loses nothing
        ring = np.column_stack([np.cos(_CIRCLE), np.sin(_CIRCLE)]) * radius / np.cos(np.pi / len(_CIRCLE))
        points = np.vstack([np.column_stack([ring, np.full(len(ring), z)]) for z in (-length / 2, length / 2)])
    else:
        (radius,) = shape.size
        heights = np.linspace(-1, 1, 9)
        rings = [(np.sqrt(1 - h * h), h) for h in heights]
        points = np.array([(r * np.cos(a), r * np.sin(a), h) for r, h in rings for a in _CIRCLE]) * radius * 1.03
    return transform_points(shape.T_link_shape, points)


class UnknownPose(ValueError):
    """The position of a joint is not known, so neither is where its links are."""


class Silhouette:
    """Projects the moving links of a robot into pictures.

    Args:
        robot: the robot's description.
        prefixes: links whose names begin so are drawn; the default is both arms with their grippers. Both links and
            their shapes come from the description, so that it is right for any gripper that is described there.
    """

    def __init__(self, robot: RobotModel, prefixes: Iterable[str] = ("left_", "right_", "l_gripper", "r_gripper")):
        self._robot = robot
        prefixes = tuple(prefixes)
        self._points: Dict[str, List[np.ndarray]] = {
            link: [_outline_points(shape) for shape in shapes]
            for link, shapes in robot.shapes.items()
            if shapes and link.startswith(prefixes)
        }

    def mask(
        self,
        joints: Mapping[str, float],
        camera: Camera,
        T_base_camera: np.ndarray,
        margin: int = 0,
    ) -> np.ndarray:
        """Pixels that the links may cover.

        Args:
            joints: measured positions (rad or m) by name; a joint that is missing, such as a finger's, counts as
                both ends of its travel when it has limits.
            margin: by how much the silhouette is widened (px), for errors of calibration and model.

        Returns:
            uint8 mask (rows, columns), 255 where the robot is.

        Raises:
            UnknownPose: a revolute joint is missing.
        """
        mask = np.zeros((camera.height, camera.width), np.uint8)
        poses: Dict[str, List[np.ndarray]] = {}
        T_camera_base = np.linalg.inv(T_base_camera)
        for link, hulls in self._points.items():
            for T_base_link in self._poses(link, joints, poses):
                for points in hulls:
                    self._draw(mask, transform_points(T_camera_base @ T_base_link, points), camera)
        if margin > 0:
            kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
            mask = cv2.dilate(mask, kernel)
        return mask

    def _poses(self, link: str, joints: Mapping[str, float], known: Dict[str, List[np.ndarray]]) -> List[np.ndarray]:
        """Poses that a link may have, in the base frame."""
        if link not in known:
            joint = self._robot.parent_joint.get(link)
            if joint is None:
                known[link] = [np.eye(4)]
            else:
                parents = self._poses(joint.parent, joints, known)
                known[link] = [parent @ T for parent in parents for T in _joint_poses(joint, joints)]
        return known[link]

    @staticmethod
    def _draw(mask: np.ndarray, points_camera: np.ndarray, camera: Camera) -> None:
        front = points_camera[points_camera[:, 2] > 0.05]
        if len(front) < 3:
            return
        # the linear model: plumb_bob's polynomial folds points far outside the picture back into it
        pixels = front @ camera.K.T
        pixels = np.clip(pixels[:, :2] / pixels[:, 2:], -1e4, 1e4)
        hull = cv2.convexHull(pixels.astype(np.float32))
        cv2.fillConvexPoly(mask, np.rint(hull).astype(np.int32), 255)


def _joint_poses(joint: Joint, joints: Mapping[str, float]) -> List[np.ndarray]:
    if joint.kind == "fixed":
        return [joint.T_parent_joint]
    return [joint.T_parent_joint @ _motion(joint, position) for position in _positions(joint, joints)]


def _positions(joint: Joint, joints: Mapping[str, float]) -> Tuple[float, ...]:
    if joint.name in joints:
        return (float(joints[joint.name]),)
    if joint.kind == "prismatic":
        return joint.lower, joint.upper
    raise UnknownPose(f"the position of joint {joint.name} is not known: the robot sends no state of it")


def _motion(joint: Joint, position: float) -> np.ndarray:
    if joint.kind == "prismatic":
        return transform(np.eye(3), joint.axis * position)
    return transform(Rotation.from_rotvec(joint.axis * position).as_matrix(), np.zeros(3))
