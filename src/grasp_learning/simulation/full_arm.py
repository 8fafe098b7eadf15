"""The whole Baxter in the same process: planned motions of both arms, as over ROS, but in one thread."""

from typing import List, Mapping, Optional

import numpy as np

from grasp_learning.execution.arm import Arm
from grasp_learning.execution.motions import Motions
from grasp_learning.geometry import Camera
from grasp_learning.motion.robot_model import RobotModel
from grasp_learning.robot_description import NEUTRAL, load_urdf
from grasp_learning.seeding import arm_seed
from grasp_learning.silhouette import Silhouette
from grasp_learning.sim.baxter import ControlMode, SimulatedBaxter
from grasp_learning.sim.gripper import SimulatedGripper
from grasp_learning.sim.world import World
from grasp_learning.simulation.adapters import TICK, Joints, LimbAdapter, SimulatedClock
from grasp_learning.simulation.rig import ENABLED, Rig, RigSettings


class FullArmRig(Rig):
    """Both arms, which take turns.

    Args:
        seed: of the planners.
        arm_margin: by how much the arms' silhouettes are widened (px of the Kinect's picture).
    """

    def __init__(self, world: World, settings: RigSettings, take_picture, seed: int, arm_margin: int):
        super().__init__(world, settings, take_picture)
        self._seed, self._arm_margin = seed, arm_margin
        self.robot = SimulatedBaxter(world)
        self.robot.enable()
        self._silhouette = Silhouette(RobotModel(load_urdf()))

    def hand_of(self, arm: str) -> str:
        """See Rig: its own."""
        return arm

    def update(self) -> None:
        """See Rig."""
        self.robot.update(TICK)

    def stuck_objects(self) -> List[str]:
        """See Rig."""
        return self.robot.stuck_objects()

    def arms_mask(self, camera: Camera) -> Optional[np.ndarray]:
        """The arms' silhouettes at their present joints."""
        joints = dict(zip(self.robot.joint_names, self.robot.joint_positions.tolist()))
        pose = self.world.calibration.T_base_kinect.matrix
        return self._silhouette.mask(joints, camera, pose, self._arm_margin)

    def _simulated_gripper(self, side: str) -> SimulatedGripper:
        return self.robot.grippers[side]

    def _make_arm(self, arm: str, clock: SimulatedClock) -> Arm:
        robot = self.robot

        def command(positions: Mapping[str, float]) -> None:
            robot.command_joints(arm, ControlMode.RAW_POSITION, list(positions), list(positions.values()))

        limb = LimbAdapter(command, lambda: robot.endpoint_wrench(arm))
        return Arm(arm, limb, Joints(robot.arm_positions), lambda: ENABLED, clock, self.settings.streaming)

    def _make_motions(self, arm: str) -> Motions:
        settings = self.settings
        return Motions(arm, settings.planner, settings.motion, self.world.table, arm_seed(self._seed, arm))

    def _neutral(self, arm: str) -> np.ndarray:
        return np.array(NEUTRAL)
