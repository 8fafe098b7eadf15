"""A MuJoCo world that knows where Gazebo's robot and objects are: it finds places for objects and answers questions.

Gazebo has no such functions of its own, and what is laid out here by the same rules lies the same in both simulators.
"""

from typing import List, Mapping, Optional

import mujoco
import numpy as np

from grasp_learning.robot_description import arm_joints, finger_joints, joint_limits
from grasp_learning.sim.world import World

HAND_REACH = 0.03  # m: so near to the fingertips is some part of what a hand holds
CLEARANCE = 0.02  # m: how far above the table the lowest point of a held object must be, however it is turned
OPEN = 0.8  # share of the fingers' travel from which on a hand counts as open


class Mirror(World):
    """The workcell as Gazebo has it.

    Its robot stands where it was last seen; its own physics only let objects fall that are laid out anew.
    """

    def adopt(self, joints: Mapping[str, float], poses: Mapping[str, np.ndarray]) -> None:
        """Put robot and objects where Gazebo has them.

        Args:
            joints: positions by name (rad, m); those that the model does not have, such as Gazebo's head, count for
                nothing.
            poses: T_base_object (4, 4) by name, of the objects that are not parked.
        """
        for side in self.robot.sides:
            for name in filter(joints.__contains__, arm_joints(side)):
                self.data.joint(name).qpos = self.data.actuator(name).ctrl = joints[name]
            left, right = finger_joints(side)
            if left in joints and right in joints:
                self.data.joint(left).qpos, self.data.joint(right).qpos = joints[left], joints[right]
                self.data.actuator(f"{side}_gripper").ctrl = joints[left] - joints[right]
        self.data.qvel[:] = 0.0
        for name, T in poses.items():
            index = self.object_names.index(name)
            quat = np.empty(4)
            mujoco.mju_mat2Quat(quat, np.ascontiguousarray(T[:3, :3]).ravel())
            self._parked.discard(index)
            self._place(index, T[:3, 3], quat)
        mujoco.mj_forward(self.model, self.data)
        self._remember()

    @property
    def on_show(self) -> List[str]:
        """Names of the objects that are not parked."""
        return [name for index, name in enumerate(self.object_names) if index not in self._parked]

    def held(self, side: str) -> Optional[str]:
        """The object at this hand's fingertips that is clear of the table; only over the table.

        Other than in MuJoCo's own simulation contacts do not tell: the shapes of the two simulators' fingers differ.
        """
        tip = self.data.body(f"{side}_gripper").xpos
        poses = self.object_poses()
        distances = {name: float(np.linalg.norm(poses[name][:3, 3] - tip)) for name in self.on_show}
        for name in sorted(distances, key=distances.__getitem__):
            radius = self.objects[self.object_names.index(name)].radius
            height = poses[name][2, 3] - radius - self.table.z
            if distances[name] < radius + HAND_REACH and height > CLEARANCE:
                return name
        return None

    def stuck_objects(self) -> List[str]:
        """Names of the objects that hang in a hand that is open: squeezed in, they do not fall out."""
        travel = joint_limits()[finger_joints("left")[0]].upper
        found = []
        for side in self.robot.sides:
            left, right = (float(self.data.joint(name).qpos[0]) for name in finger_joints(side))
            if (left - right) / 2 >= OPEN * travel:
                found.append(self.held(side))
        return [name for name in found if name]
