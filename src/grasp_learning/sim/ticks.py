"""What every simulated robot does in a control tick: physics under controls that change, and readings of contact."""

from typing import Optional

import mujoco
import numpy as np

from grasp_learning.sim.gripper import SimulatedGripper
from grasp_learning.sim.world import SimulationDiverged, World

FINER = 8  # shorter steps for a tick that diverged
OPEN_POSITION = 97.0  # %: from here on a gripper is open
STUCK_HEIGHT = 0.15  # m over the table: an object that was let go above it has not just begun to fall


def advance(world: World, actuators: np.ndarray, control: np.ndarray, change: np.ndarray, n: int) -> None:
    """Take n physical steps while the controls of some actuators change by ``change`` in total.

    Raises:
        SimulationDiverged: the state is no longer usable, not even with shorter steps.
    """
    try:
        _advance(world, actuators, control, change, n)
    except SimulationDiverged:
        # An object that is crushed between hand and table needs shorter steps than everything else
        world.restore()
        world.model.opt.timestep /= FINER
        try:
            _advance(world, actuators, control, change, n * FINER)
        finally:
            world.model.opt.timestep *= FINER


def _advance(world: World, actuators: np.ndarray, control: np.ndarray, change: np.ndarray, n: int) -> None:
    for step in range(n):
        world.data.ctrl[actuators] = control + change * ((step + 1) / n)
        mujoco.mj_step(world.model, world.data)
    world.check()


def read_wrench(world: World, bodies: slice, endpoint: int, wrench: np.ndarray) -> None:
    """What contacts exert on bodies of the robot, about a body's frame; after mj_rnePostConstraint.

    Args:
        wrench: (6,) is filled with the force (N), then the torque (N m), base frame.
    """
    data = world.data
    # torque about the robot's centre of mass, then force
    total = data.cfrc_ext[bodies].sum(axis=0)
    center = data.subtree_com[world.model.body_rootid[endpoint]]
    mujoco.mju_cross(wrench[3:], center - data.xpos[endpoint], total[3:])
    wrench[3:] += total[:3]
    wrench[:3] = total[3:]


def stuck_object(world: World, gripper: SimulatedGripper, at_rest: bool = False) -> Optional[str]:
    """The object that hangs high above the table in a gripper that is open: squeezed in, it does not fall out.

    Args:
        at_rest: no trial is under way, so that the hand holds nothing on purpose, whatever its flag says: one that is
            wide open while it holds has obeyed the command to open before it had a tick to see it.
    """
    is_open = gripper.position > OPEN_POSITION and not gripper.moving and (at_rest or not gripper.gripping)
    height = world.data.body(f"{gripper.side}_gripper").xpos[2] - world.table.z
    return world.held(gripper.side) if is_open and height > STUCK_HEIGHT else None


def clipped(values: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """What np.clip does, at a third of its cost for few numbers."""
    return np.minimum(np.maximum(values, lower), upper)


def subtree(model: mujoco.MjModel, root: int) -> slice:
    """Ids of a body and everything that hangs on it: MuJoCo numbers bodies depth first."""
    end = root + 1
    while end < model.nbody and model.body_parentid[end] >= root:
        end += 1
    return slice(root, end)
