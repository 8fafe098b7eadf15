"""Wrist pictures of simulated scenes, as a predictor gets them: the arm 25 cm above one of ten objects."""

import os
from typing import Iterator

# both cores for the drawing: nothing else runs meanwhile; must be set before OpenGL is loaded
os.environ.setdefault("LP_NUM_THREADS", "2")

import mujoco
import numpy as np

from grasp_learning.geometry import top_down_pose
from grasp_learning.motion.kinematics import Kinematics
from grasp_learning.motion.robot_model import RobotModel
from grasp_learning.robot_description import arm_joints, load_urdf
from grasp_learning.sim.cameras import CameraRenderer
from grasp_learning.sim.objects import catalogue
from grasp_learning.sim.world import World

OBJECTS = 10
APPROACH = 0.25  # m above the table
FIRST_SEED = 5000  # of the scenes; far from those that models are trained on


def wrist_pictures(count: int, kind: str = "test") -> Iterator[np.ndarray]:
    """A picture (800, 1280, 3) uint8 BGR of each of so many scenes.

    Args:
        kind: of the objects, "train" or "test".
    """
    kinematics = Kinematics(RobotModel(load_urdf()), "left")
    objects = catalogue(kind, 0)
    found, seed = 0, FIRST_SEED
    while found < count:
        rng = np.random.default_rng(seed)
        world = World(seed, [objects[index] for index in rng.permutation(len(objects))[:OBJECTS]])
        world.scatter(rng)
        picture = _over_an_object(world, kinematics, rng)
        seed += 1
        if picture is not None:
            found += 1
            yield picture


def _over_an_object(world: World, kinematics: Kinematics, rng: np.random.Generator):
    """The left wrist camera's picture over a random object that the arm can reach; None without one."""
    poses = list(world.object_poses().values())
    for index in rng.permutation(len(poses)):
        x, y = poses[index][:2, 3]
        solutions = kinematics.ik(top_down_pose(x, y, world.table.z + APPROACH, 0.3))
        if y > 0 and len(solutions):
            for name, position in zip(arm_joints("left"), solutions[0]):
                world.data.joint(name).qpos = position
            mujoco.mj_forward(world.model, world.data)
            renderer = CameraRenderer(world.model, appearance=world.appearance)
            picture = renderer.wrist(world.data, "left")
            renderer.close()
            return picture
    return None
