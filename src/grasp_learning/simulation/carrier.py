"""A hand without an arm: Baxter's wrist, gripper and wrist camera on a carrier that moves along x, y, z and turns.

All that turns with the last joint is cut out of the same description as the whole robot's, so that fingers, pads, drive
and camera are the same. The carrier gives way as the arm does: its servos are as stiff, as damped and as heavy, and
two further ones let it tilt, because an arm whose one fingertip meets something leans over rather than stops.
"""

import functools
from dataclasses import dataclass
from typing import Tuple
from xml.etree import ElementTree

import mujoco
import numpy as np

from grasp_learning.geometry import invert, top_down_pose
from grasp_learning.motion.robot_model import RobotModel
from grasp_learning.robot_description import load_urdf
from grasp_learning.sim import robot_model
from grasp_learning.sim.robots import RobotPart, open_fingers

SIDE = "left"  # whose hand it is; both arms' are alike

# Out of the Kinect's view, behind its lamp's light on the table: base frame (m), closing along x
PARKED = (-0.6, 0.0, 0.5, 0.0)


@dataclass(frozen=True)
class Axis:
    """One joint of the carrier, with its servo.

    Attributes:
        name: of the joint and of its actuator.
        kind, axis: as in a URDF.
        origin: of its frame in that of the joint before (m).
        stiffness: N / m or N m / rad.
        damping: N s / m or N m s / rad.
        inertia: of the arm that moves with it (kg or kg m2), without the hand's own.
        max_force: N or N m.
    """

    name: str
    kind: str
    axis: str
    origin: Tuple[float, float, float]
    stiffness: float
    damping: float
    inertia: float
    max_force: float


# J K^-1 J^T of the arm's servos at the fingertips of a hand that points down, the median over both arms' areas, is that
# of slides, a turn, and two tilts about points behind and above the fingertips (m, base frame); likewise the damping
# and the inertia. The tilts' torque is limited by the wrist's motors.
_BEHIND, _ABOVE_Y, _ABOVE_X = 0.126, 0.45, 0.53
CHAIN = (
    Axis("carrier_x", "prismatic", "1 0 0", (0.0, 0.0, 0.0), 46000.0, 2900.0, 8.7, 400.0),
    Axis("carrier_y", "prismatic", "0 1 0", (0.0, 0.0, 0.0), 11800.0, 660.0, 4.3, 200.0),
    Axis("carrier_z", "prismatic", "0 0 1", (0.0, 0.0, 0.0), 23500.0, 1300.0, 6.7, 250.0),
    Axis("carrier_tilt_y", "continuous", "0 1 0", (-_BEHIND, 0.0, _ABOVE_Y), 1010.0, 33.0, 0.05, 15.0),
    Axis("carrier_tilt_x", "continuous", "1 0 0", (_BEHIND, 0.0, _ABOVE_X - _ABOVE_Y), 2100.0, 65.0, 0.11, 15.0),
    Axis("carrier_yaw", "continuous", "0 0 1", (0.0, 0.0, -_ABOVE_X), 615.0, 14.7, 0.017, 15.0),
)
# Those that are commanded; the tilts only give way
JOINTS = ("carrier_x", "carrier_y", "carrier_z", "carrier_yaw")
DRIVEN = tuple(axis for axis in CHAIN if axis.name in JOINTS)
MAX_SPEED = np.array([1.5, 1.5, 1.5, 4.0])  # m / s, rad / s


class HandCarrier(RobotPart):
    """The ``left`` hand on its carrier, which serves both arms' halves of the table."""

    sides = (SIDE,)

    def spec(self) -> mujoco.MjSpec:
        """See RobotPart. ``carrier_x``, ... hold the pose of the point between the fingertips."""
        spec = robot_model.spec_of_urdf(_carrier_urdf(SIDE))
        robot_model.prepare_gripper(spec, SIDE)
        for axis in CHAIN:
            spec.joint(axis.name).armature = axis.inertia
            robot_model.add_servo(spec, axis.name, axis.stiffness, axis.damping, axis.max_force)
        wrist = spec.body(f"{SIDE}_wrist")
        # the carrier's frame is the gripper's, upright: the wrist hangs from it
        T_carrier_wrist = top_down_pose(0.0, 0.0, 0.0, 0.0) @ invert(_wrist_to_gripper(SIDE))
        quat = np.empty(4)
        mujoco.mju_mat2Quat(quat, T_carrier_wrist[:3, :3].ravel())
        wrist.pos, wrist.quat = T_carrier_wrist[:3, 3], quat
        return spec

    def reset(self, data: mujoco.MjData) -> None:
        """Parked, the fingers open."""
        for name, value in zip(JOINTS, PARKED):
            data.joint(name).qpos = value
            data.actuator(name).ctrl = value
        open_fingers(data, SIDE)


def _wrist_to_gripper(side: str) -> np.ndarray:
    """T_wrist_gripper (4, 4)."""
    robot, link, T = RobotModel(load_urdf()), f"{side}_gripper", np.eye(4)
    while link != f"{side}_wrist":
        joint = robot.parent_joint[link]
        T, link = joint.T_parent_joint @ T, joint.parent
    return T


@functools.lru_cache(maxsize=2)
def _carrier_urdf(side: str) -> str:
    """The description's wrist and what hangs on it, below the carrier's chain."""
    description = ElementTree.fromstring(load_urdf())
    joints = {joint.find("child").get("link"): joint for joint in description.findall("joint")}

    def hangs_on_wrist(link: str) -> bool:
        while link != f"{side}_wrist":
            if link not in joints:
                return False
            link = joints[link].find("parent").get("link")
        return True

    robot = ElementTree.Element("robot", name="carrier")
    robot.extend(description.findall("material"))
    robot.extend(link for link in description.findall("link") if hangs_on_wrist(link.get("name")))
    robot.extend(joint for link, joint in joints.items() if hangs_on_wrist(link) and link != f"{side}_wrist")
    parent = "base"
    ElementTree.SubElement(robot, "link", name=parent)
    for axis in CHAIN:
        origin = " ".join(map(str, axis.origin))
        text = _CHAIN_LINK.format(name=axis.name, kind=axis.kind, axis=axis.axis, origin=origin, parent=parent)
        robot.extend(ElementTree.fromstring(text))
        parent = axis.name
    fixed = f'<joint name="{side}_wrist" type="fixed"><parent link="{parent}"/><child link="{side}_wrist"/></joint>'
    robot.append(ElementTree.fromstring(fixed))
    return ElementTree.tostring(robot, encoding="unicode")


# Next to weightless: what moves with the hand enters as the joints' inertia
_CHAIN_LINK = """<robot>
  <link name="{name}">
    <inertial><mass value="0.001"/><inertia ixx="1e-6" iyy="1e-6" izz="1e-6" ixy="0" ixz="0" iyz="0"/></inertial>
  </link>
  <joint name="{name}" type="{kind}">
    <parent link="{parent}"/><child link="{name}"/><origin xyz="{origin}"/><axis xyz="{axis}"/>
    <limit lower="-2" upper="2" velocity="5" effort="300"/>
  </joint>
</robot>"""
