"""What moves in a world: the robot as a part that a :class:`~grasp_learning.sim.world.World` is built with."""

import abc
from typing import Tuple

import mujoco

from grasp_learning.robot_description import NEUTRAL, SIDES, arm_joints, finger_joints, joint_limits
from grasp_learning.sim import robot_model


class RobotPart(abc.ABC):
    """A robot's bodies, joints and actuators, and its posture when time begins.

    Its model has the bodies ``base`` (the world frame), ``<side>_gripper``, ``<side>_hand_camera`` and the actuator
    ``<side>_gripper`` for each of its sides.

    Attributes:
        sides: the hands that it has.
    """

    sides: Tuple[str, ...] = SIDES

    @abc.abstractmethod
    def spec(self) -> mujoco.MjSpec:
        """A fresh specification, to which the table and the objects are added."""

    @abc.abstractmethod
    def reset(self, data: mujoco.MjData) -> None:
        """Set joints and controls to what they are at time 0, the grippers open."""


class WholeBaxter(RobotPart):
    """Both arms, the torso and the head."""

    def spec(self) -> mujoco.MjSpec:
        """See RobotPart."""
        return robot_model.baxter_spec()

    def reset(self, data: mujoco.MjData) -> None:
        """Arms at neutral, grippers open."""
        for side in self.sides:
            for name, angle in zip(arm_joints(side), NEUTRAL):
                data.joint(name).qpos = angle
                data.actuator(name).ctrl = angle
            open_fingers(data, side)


def open_fingers(data: mujoco.MjData, side: str) -> None:
    """Put a hand's fingers and their drive to where they are furthest apart."""
    travel = joint_limits()[finger_joints(side)[0]].upper
    for name, sign in zip(finger_joints(side), (1.0, -1.0)):
        data.joint(name).qpos = sign * travel
    data.actuator(f"{side}_gripper").ctrl = 2 * travel
