"""Capsules and spheres that enclose the robot description's primitives.

Distances between capsules are exact and take well below a microsecond each, which is what makes planning fast;
that they enclose the real shapes keeps the answer on the safe side.
"""

from dataclasses import dataclass
from typing import Iterator, Tuple

import numpy as np

from grasp_learning.geometry import transform
from grasp_learning.motion.robot_model import JOINT_SUFFIXES, RobotModel, Shape

CAMERA_RADIUS = 0.025  # m; the description gives the wrist camera no shape of its own
# An enclosing capsule of radius f r sticks out (f - 1) r sideways and (f - sqrt(f^2 - 1)) r endways: least in sum at
ROUNDING = 2 / np.sqrt(3)
LONG_TUBE = 2.5  # cylinders longer than this many radii lead into joints and keep their radius


@dataclass(frozen=True)
class Capsule:
    """A capsule (a sphere where half_length is 0) along z of its own frame.

    Attributes:
        link: link of the description that it stands for.
        carrier: moving link (child of an arm joint) or root in whose frame it is given.
        T_carrier: (4, 4) pose in the carrier.
        radius, half_length: (m).
    """

    link: str
    carrier: str
    T_carrier: np.ndarray
    radius: float
    half_length: float

    @property
    def ends(self) -> np.ndarray:
        """(2, 3) centres of the two caps in the carrier's frame (m)."""
        offset = self.half_length * self.T_carrier[:3, 2]
        return np.stack([self.T_carrier[:3, 3] - offset, self.T_carrier[:3, 3] + offset])


def _rounded(radius: float, half: float, factor: float) -> Tuple[float, float]:
    """Radius and half length of a capsule around a cylinder of a radius and half length."""
    cap = radius * np.sqrt(factor**2 - 1)  # how far the cap's wall still contains the cylinder's rim
    if half < cap:
        return float(np.hypot(radius, half)), 0.0
    return factor * radius, half - cap


def _axis_along(index: int) -> np.ndarray:
    """A rotation whose z axis is coordinate axis ``index``."""
    return np.roll(np.eye(3), 2 - index, axis=1)


def enclose(shape: Shape) -> Tuple[np.ndarray, float, float]:
    """A capsule around a primitive: pose in the link (4, 4), radius and half length (m)."""
    if shape.kind == "sphere":
        return shape.T_link_shape, shape.size[0], 0.0
    if shape.kind == "cylinder":
        radius, length = shape.size
        factor = 1.0 if length > LONG_TUBE * radius else ROUNDING
        return (shape.T_link_shape, *_rounded(radius, length / 2, factor))
    half = np.asarray(shape.size) / 2
    longest = int(np.argmax(half))
    pose = shape.T_link_shape @ transform(_axis_along(longest), np.zeros(3))
    return (pose, *_rounded(float(np.linalg.norm(np.delete(half, longest))), half[longest], ROUNDING))


def _swept(shape: Shape, axis: np.ndarray, lower: float, upper: float) -> Shape:
    """A finger's box at every opening of the gripper (the axis is one of the box's own)."""
    size = np.asarray(shape.size) + np.abs(axis) * (upper - lower)
    T = shape.T_link_shape.copy()
    T[:3, 3] += axis * (lower + upper) / 2
    return Shape(shape.kind, tuple(size), T)


def _link_shapes(robot: RobotModel, link: str) -> Iterator[Tuple[str, np.ndarray, Shape]]:
    """Shapes of a link with the arm link that carries them; fingers are swept through their travel.

    Raises:
        ValueError: it has a mesh, which would be left out silently.
    """
    if link in robot.meshes:
        raise ValueError(
            f"link '{link}' has a collision mesh; collisions are checked with box, cylinder and sphere only"
        )
    carrier, T = robot.carrier(link)
    joint = robot.parent_joint.get(carrier)
    if joint is not None and joint.kind == "prismatic":
        hand, T_hand_parent = robot.carrier(joint.parent)
        for shape in robot.shapes[link]:
            in_finger = Shape(shape.kind, shape.size, T @ shape.T_link_shape)
            yield hand, T_hand_parent @ joint.T_parent_joint, _swept(in_finger, joint.axis, joint.lower, joint.upper)
        return
    for shape in robot.shapes[link]:
        yield carrier, T, shape


def arm_capsules(robot: RobotModel, side: str) -> Tuple[Capsule, ...]:
    """Capsules of one arm from the shoulder to the fingertips, the gripper at every opening at once."""
    carriers = [f"{side}_{suffix}" for suffix in JOINT_SUFFIXES]
    carriers = [robot.joints[name].child for name in carriers]
    result = []
    for link in robot.shapes:
        for carrier, T, shape in _link_shapes(robot, link):
            if carrier in carriers:
                pose, radius, half_length = enclose(shape)
                result.append(Capsule(link, carrier, T @ pose, radius, half_length))
    camera = f"{side}_hand_camera"
    carrier, T = robot.carrier(camera)
    result.append(Capsule(camera, carrier, T, CAMERA_RADIUS, 0.0))
    return tuple(sorted(result, key=lambda capsule: carriers.index(capsule.carrier)))


def body_shapes(robot: RobotModel) -> Iterator[Tuple[str, np.ndarray, Shape]]:
    """Shapes fixed to the base (torso, pedestal, head balls): link, pose of the link in base (4, 4), shape.

    What the head's pan joint moves lies inside the two head balls at every angle.
    """
    root = robot.carrier("torso")[0]
    for link in robot.shapes:
        for carrier, T, shape in _link_shapes(robot, link):
            if carrier == root:
                yield link, T, shape
