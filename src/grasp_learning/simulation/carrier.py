"""A hand without an arm: Baxter's wrist, gripper and wrist camera on a carrier that moves along x, y, z and turns.

All that turns with the last joint is cut out of the same description as the whole robot's, so that fingers, pads, drive
and camera are the same. The carrier's servos are as stiff, as damped and as heavy as the arm is at its fingertips, so
that pressing on things feels alike.
"""

import functools
from xml.etree import ElementTree

import mujoco
import numpy as np

from grasp_learning.geometry import invert, top_down_pose
from grasp_learning.motion.robot_model import RobotModel
from grasp_learning.robot_description import load_urdf
from grasp_learning.sim import robot_model
from grasp_learning.sim.robots import RobotPart, open_fingers

SIDE = "left"  # whose hand it is; both arms' are alike

AXES = ("x", "y", "z", "yaw")
JOINTS = tuple(f"carrier_{axis}" for axis in AXES)

# Out of the Kinect's view, behind its lamp's light on the table: base frame (m), closing along x
PARKED = (-0.6, 0.0, 0.5, 0.0)

# Medians over both arms' areas of what the arm's servos amount to at the fingertips of a hand that points down
STIFFNESS = np.array([4500.0, 4600.0, 17000.0, 610.0])  # N / m, about the vertical N m / rad
DAMPING = np.array([170.0, 200.0, 1070.0, 14.7])  # N s / m, N m s / rad
ARM_INERTIA = np.array([0.0, 0.05, 6.7, 0.017])  # kg, kg m2: without the hand's own
MAX_FORCE = np.array([150.0, 150.0, 250.0, 15.0])  # N, N m
MAX_SPEED = np.array([1.5, 1.5, 1.5, 4.0])  # m / s, rad / s


class HandCarrier(RobotPart):
    """The ``left`` hand on its carrier, which serves both arms' halves of the table."""

    sides = (SIDE,)

    def spec(self) -> mujoco.MjSpec:
        """See RobotPart. Joints and actuators ``carrier_x``, ... hold the pose of the point between the fingertips."""
        spec = robot_model.spec_of_urdf(_carrier_urdf(SIDE))
        robot_model.prepare_gripper(spec, SIDE)
        for name, stiffness, damping, inertia, force in zip(JOINTS, STIFFNESS, DAMPING, ARM_INERTIA, MAX_FORCE):
            spec.joint(name).armature = inertia
            robot_model.add_servo(spec, name, stiffness, damping, force)
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
    """The description's wrist and what hangs on it, below a chain of three slides and a turn."""
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
    for name, kind, axis in zip(JOINTS, ("prismatic",) * 3 + ("continuous",), ("1 0 0", "0 1 0", "0 0 1", "0 0 1")):
        robot.extend(ElementTree.fromstring(_CHAIN_LINK.format(name=name, kind=kind, axis=axis, parent=parent)))
        parent = name
    fixed = f'<joint name="{side}_wrist" type="fixed"><parent link="{parent}"/><child link="{side}_wrist"/></joint>'
    robot.append(ElementTree.fromstring(fixed))
    return ElementTree.tostring(robot, encoding="unicode")


# Next to weightless: what moves with the hand enters as the joints' inertia
_CHAIN_LINK = """<robot>
  <link name="{name}">
    <inertial><mass value="0.001"/><inertia ixx="1e-6" iyy="1e-6" izz="1e-6" ixy="0" ixz="0" iyz="0"/></inertial>
  </link>
  <joint name="{name}" type="{kind}">
    <parent link="{parent}"/><child link="{name}"/><axis xyz="{axis}"/>
    <limit lower="-2" upper="2" velocity="5" effort="300"/>
  </joint>
</robot>"""
