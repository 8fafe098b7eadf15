"""Scenes for tests of the simulated robot: single objects of known size, and an arm that picks from above."""

import functools

import numpy as np

from grasp_learning.geometry import top_down_pose
from grasp_learning.motion.kinematics import Kinematics, RobotModel
from grasp_learning.robot_description import NEUTRAL, arm_joints, load_urdf
from grasp_learning.sim.baxter import ControlMode, SimulatedBaxter
from grasp_learning.sim.objects import ObjectSpec
from grasp_learning.sim.shapes import box
from grasp_learning.sim.world import World

# On the table, within the left arm's reach; the right arm's is its mirror image
SPOT = (0.65, 0.25)
THETA = np.pi / 2
LIFT = 0.2


def block(name="block", width=0.05, length=0.06, height=0.08, mass=0.1, friction=0.8):
    """A box; its width is along y as it is placed, which is the closing direction at theta = pi / 2."""
    part = box((length, width, height), (0, 0, 0), mass=mass)
    return ObjectSpec(name, "box", "train", (part,), mass, friction, rolls=False)


def place(world, name, x, y, yaw=0.0):
    """Stand an object on the table and let it come to rest."""
    index = world.object_names.index(name)
    z = world.table.z + world.objects[index].extents[2] / 2 + 0.001
    world.place(name, (x, y, z), (np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)))
    world.step(150)


class Cell:
    """A world with an enabled robot whose grippers are calibrated."""

    def __init__(self, *objects, seed=0):
        self.world = World(seed, objects)
        self.robot = SimulatedBaxter(self.world)
        self.robot.enable()
        self._sequence = 0
        for side in ("left", "right"):
            self.grip(side, "calibrate")
        self.run(2.5)

    def grip(self, side, command, **args):
        self._sequence += 1
        self.robot.grippers[side].command(command, args, sender=f"/test_{command}", sequence=self._sequence)

    def run(self, seconds, each_tick=None):
        for _ in range(int(round(seconds / 0.01))):
            if each_tick:
                each_tick()
            self.robot.update(0.01)

    def close(self, side, position=0.0, seconds=1.5):
        self.grip(side, "go", position=position)
        self.run(seconds)
        return self.robot.grippers[side].state

    def move_arm(self, side, q, seconds=4.0, speed=0.6):
        self.robot.set_speed_ratio(side, speed)
        names = arm_joints(side)
        self.run(seconds, lambda: self.robot.command_joints(side, ControlMode.POSITION, names, q))

    def pick(self, side, x, y):
        """From above: descend, close, lift; the gripper's state after closing and after the lift."""
        self.reach_down(side, x, y)
        closed = self.close(side)
        self.lift(side, x, y)
        return closed, self.robot.grippers[side].state

    def reach_down(self, side, x, y):
        """Bring the open fingers around what stands at a place of the table."""
        self.move_arm(side, solve(side, x, y, self.grasp_z + LIFT))
        self.move_vertically(side, x, y, self.grasp_z + LIFT, self.grasp_z)

    def lift(self, side, x, y):
        self.move_vertically(side, x, y, self.grasp_z, self.grasp_z + LIFT)

    @property
    def grasp_z(self):
        return self.world.table.z + 0.04

    def move_vertically(self, side, x, y, z_from, z_to, speed=0.15):
        """A straight line of the gripper, streamed as an executor does."""
        ticks = int(np.ceil(abs(z_to - z_from) / speed / 0.01))
        q = self.robot.arm_positions(side)
        names = arm_joints(side)
        for k in range(ticks + 50):
            share = min(1.0, (k + 1) / ticks)
            # slow at both ends
            z = z_from + (z_to - z_from) * (3 - 2 * share) * share**2
            q = _kinematics(side).follow(q, top_down_pose(x, y, z, THETA))
            self.robot.command_joints(side, ControlMode.RAW_POSITION, names, q)
            self.robot.update(0.01)


def solve(side, x, y, z):
    """Joints (7,) of a gripper that points straight down."""
    pose = top_down_pose(x, y, z, THETA)
    solutions = _kinematics(side).ik(pose, np.array(NEUTRAL), np.random.default_rng(0))
    assert len(solutions), f"test pose ({x}, {y}, {z}) is out of reach"
    return np.asarray(solutions[0])


@functools.lru_cache(maxsize=None)
def _kinematics(side):
    return Kinematics(RobotModel(load_urdf()), side)
