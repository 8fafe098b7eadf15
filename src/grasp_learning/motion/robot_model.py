"""A URDF as plain data: links, joints, limits and collision primitives. MuJoCo models are built from it elsewhere.

MuJoCo can read a URDF by itself, but it fuses links that hang on fixed joints and so loses frames such as the wrist
camera's; motion planning needs them, and it needs its own (enclosing) shapes.
"""

from dataclasses import dataclass
from typing import Dict, List, Set, Tuple
from xml.etree import ElementTree

import numpy as np
from scipy.spatial.transform import Rotation

from grasp_learning.geometry import transform

JOINT_SUFFIXES = ("s0", "s1", "e0", "e1", "w0", "w1", "w2")
NEUTRAL = np.array([0.0, -0.55, 0.0, 0.75, 0.0, 1.26, 0.0])  # Baxter's own neutral pose, the same for both arms


@dataclass(frozen=True)
class Joint:
    """A URDF joint.

    Attributes:
        kind: "fixed", "revolute", "prismatic" ...
        T_parent_joint: (4, 4) pose of the child's frame in the parent's at joint position 0.
        axis: (3,) unit axis in the child's frame.
        lower, upper: limits (rad or m).
        velocity: speed limit (rad/s or m/s).
        effort: limit (N m or N).
    """

    name: str
    kind: str
    parent: str
    child: str
    T_parent_joint: np.ndarray
    axis: np.ndarray
    lower: float
    upper: float
    velocity: float
    effort: float


@dataclass(frozen=True)
class Shape:
    """A collision primitive in its link's frame.

    Attributes:
        kind: "box" (full sizes), "cylinder" (radius, length along z) or "sphere" (radius).
        size: lengths (m) as above.
        T_link_shape: (4, 4) pose.
    """

    kind: str
    size: Tuple[float, ...]
    T_link_shape: np.ndarray


def _vector(text: str) -> np.ndarray:
    return np.array([float(value) for value in text.split()])


def _origin(element) -> np.ndarray:
    origin = element.find("origin")
    if origin is None:
        return np.eye(4)
    rpy = _vector(origin.get("rpy", "0 0 0"))
    return transform(Rotation.from_euler("xyz", rpy).as_matrix(), _vector(origin.get("xyz", "0 0 0")))


def _joint(element) -> Joint:
    axis, limit = element.find("axis"), element.find("limit")
    limits = {} if limit is None else limit.attrib
    return Joint(
        name=element.get("name"),
        kind=element.get("type"),
        parent=element.find("parent").get("link"),
        child=element.find("child").get("link"),
        T_parent_joint=_origin(element),
        axis=_vector("1 0 0" if axis is None else axis.get("xyz")),
        lower=float(limits.get("lower", "-inf")),
        upper=float(limits.get("upper", "inf")),
        velocity=float(limits.get("velocity", "inf")),
        effort=float(limits.get("effort", "inf")),
    )


def _shape(element) -> Shape:
    geometry = element.find("geometry")[0]
    if geometry.tag == "box":
        size = tuple(_vector(geometry.get("size")))
    elif geometry.tag == "cylinder":
        size = (float(geometry.get("radius")), float(geometry.get("length")))
    elif geometry.tag == "sphere":
        size = (float(geometry.get("radius")),)
    else:
        raise ValueError(f"collision shape <{geometry.tag}> is not supported; use box, cylinder or sphere")
    return Shape(geometry.tag, size, _origin(element))


class RobotModel:
    """Links, joints and collision primitives of a URDF.

    Attributes:
        joints: by name.
        parent_joint: the joint that carries a link, by the link's name.
        shapes: collision primitives, by link.
        meshes: links with a collision mesh, which is left out of `shapes`. Rethink's own description has them at torso
            and pedestal; its arms are primitives.

    Raises:
        ValueError: the text is not a URDF, or a Baxter arm's joint is missing from it.
    """

    def __init__(self, urdf: str):
        try:
            root = ElementTree.fromstring(urdf)
        except ElementTree.ParseError as error:
            raise ValueError(f"the robot description is not valid XML: {error}") from None
        self.joints: Dict[str, Joint] = {}
        self.parent_joint: Dict[str, Joint] = {}
        for element in root.findall("joint"):
            joint = _joint(element)
            self.joints[joint.name] = self.parent_joint[joint.child] = joint
        self.shapes: Dict[str, List[Shape]] = {}
        self.meshes: Set[str] = set()
        for link in root.findall("link"):
            name, elements = link.get("name"), link.findall("collision")
            self.shapes[name] = [_shape(item) for item in elements if item.find("geometry/mesh") is None]
            if len(self.shapes[name]) < len(elements):
                self.meshes.add(name)

    def arm_joints(self, side: str) -> List[Joint]:
        """The seven joints s0..w2 of an arm.

        Raises:
            ValueError: the description has no such arm.
        """
        names = [f"{side}_{suffix}" for suffix in JOINT_SUFFIXES]
        missing = [name for name in names if name not in self.joints]
        if missing:
            raise ValueError(f"the robot description lacks the joints {', '.join(missing)}")
        return [self.joints[name] for name in names]

    def carrier(self, link: str) -> Tuple[str, np.ndarray]:
        """The nearest link above (or equal to) a link that moves, and the pose of the link in it.

        Returns:
            Name of the child link of a movable joint, or of the root link; T_carrier_link (4, 4) with every
            joint between them fixed.

        Raises:
            ValueError: there is no such link.
        """
        if link not in self.shapes:
            raise ValueError(f"the robot description has no link '{link}'")
        T = np.eye(4)
        while link in self.parent_joint and self.parent_joint[link].kind == "fixed":
            T = self.parent_joint[link].T_parent_joint @ T
            link = self.parent_joint[link].parent
        return link, T
