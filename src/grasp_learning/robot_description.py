"""The robot's description: the URDF that tf, RViz, the simulator and the planner share, and its names.

Nothing here imports ROS; the URDF is found beside the source tree or in the installed share folder.
"""

import functools
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional

import xacro

PACKAGE = "grasp_learning"
URDF_FILE = "urdf/baxter.urdf.xacro"

SIDES = ("left", "right")
ARM_JOINT_SUFFIXES = ("s0", "s1", "e0", "e1", "w0", "w1", "w2")
HEAD_JOINT = "head_pan"

# Order of ARM_JOINT_SUFFIXES (rad); the SDK's Limb.move_to_neutral
NEUTRAL = (0.0, -0.55, 0.0, 0.75, 0.0, 1.26, 0.0)

# Gap between the pads at the ends of the fingers' travel (m)
GAP_CLOSED = 0.037
GAP_OPEN = 0.075


@dataclass(frozen=True)
class JointLimits:
    """Limits of one joint as the URDF states them: rad and rad/s and N m, or m and m/s and N."""

    lower: float
    upper: float
    velocity: float
    effort: float


def arm_joints(side: str) -> List[str]:
    """Names of an arm's seven joints, from the shoulder to the wrist.

    Raises:
        ValueError: the side is neither "left" nor "right".
    """
    return [f"{_checked(side)}_{suffix}" for suffix in ARM_JOINT_SUFFIXES]


def finger_joints(side: str) -> List[str]:
    """Names of a gripper's two finger joints, the driven one first; the other one mirrors it.

    Raises:
        ValueError: the side is neither "left" nor "right".
    """
    prefix = _checked(side)[0]
    return [f"{prefix}_gripper_l_finger_joint", f"{prefix}_gripper_r_finger_joint"]


def load_urdf(path=None) -> str:
    """The robot's URDF with its macros expanded.

    Args:
        path: a xacro or URDF file; None is the package's own description.

    Raises:
        FileNotFoundError: there is no such file; the message names the places that were searched.
    """
    return _expand(str(find_package_file(URDF_FILE) if path is None else path))


def joint_limits(urdf: Optional[str] = None) -> Dict[str, JointLimits]:
    """Limits of every joint that moves, by name.

    Args:
        urdf: text of a URDF; None is the package's own description.
    """
    root = ElementTree.fromstring(load_urdf() if urdf is None else urdf)
    limits = {}
    for joint in root.findall("joint"):
        limit = joint.find("limit")
        if limit is not None:
            values = [float(limit.get(key)) for key in ("lower", "upper", "velocity", "effort")]
            limits[joint.get("name")] = JointLimits(*values)
    return limits


def find_package_file(relative: str) -> Path:
    """Path of one of the package's own files, in the source tree or in an installed share folder.

    Args:
        relative: path inside the package, such as "config/calibration/sim.yaml".

    Raises:
        FileNotFoundError: neither has it.
    """
    tried = []
    for folder in Path(__file__).resolve().parents:
        for candidate in (folder / relative, folder / "share" / PACKAGE / relative):
            if candidate.is_file():
                return candidate
            tried.append(str(candidate))
    raise FileNotFoundError(f"{relative} was not found; searched: {', '.join(tried)}")


@functools.lru_cache(maxsize=8)
def _expand(path: str) -> str:
    if not Path(path).is_file():
        raise FileNotFoundError(f"robot description {path} does not exist")
    return xacro.process_file(path).toprettyxml(indent="  ")


def _checked(side: str) -> str:
    if side not in SIDES:
        raise ValueError(f"unknown arm '{side}'; expected one of {', '.join(SIDES)}")
    return side
