"""The gripper alone, carried by stiff slides: it moves as the arm's hand does near the table, and jumps in between."""

import functools
from typing import List, Mapping, Optional, Sequence, Tuple

import mujoco
import numpy as np

from grasp_learning.execution.arm import Arm
from grasp_learning.geometry import Camera, transform
from grasp_learning.motion.kinematics import Kinematics
from grasp_learning.motion.robot_model import RobotModel
from grasp_learning.motion.trajectory import Trajectory
from grasp_learning.robot_description import NEUTRAL, load_urdf
from grasp_learning.sim.gripper import SimulatedGripper
from grasp_learning.sim.ticks import advance, clipped, read_wrench, stuck_object, subtree
from grasp_learning.sim.world import World
from grasp_learning.simulation.adapters import TICK, Joints, LimbAdapter, SimulatedClock
from grasp_learning.simulation.carrier import CHAIN, DRIVEN, JOINTS, MAX_SPEED, PARKED, SIDE
from grasp_learning.simulation.rig import ENABLED, Rig

_SERVO_LEAD = np.array([axis.damping / axis.stiffness for axis in DRIVEN])
FINGERS_PATIENCE = 3.0  # s: fingers open before the hand jumps, so that what they held stays where it was


class FloatingGripper:
    """Servos of the carrier and the hand's firmware, on a world with a :class:`HandCarrier`.

    Joints are (4,): the point between the fingertips (m) and the direction in which they close (rad), base frame.
    """

    def __init__(self, world: World):
        model = world.model
        self.world = world
        self.gripper = SimulatedGripper(world, SIDE)
        self._qpos = np.array([model.joint(axis.name).qposadr[0] for axis in CHAIN])
        self._dofs = np.array([model.joint(axis.name).dofadr[0] for axis in CHAIN])
        self._driven = np.array([CHAIN.index(axis) for axis in DRIVEN])
        self._yaw = model.joint(JOINTS[3]).qposadr[0]
        self._actuators = np.array([model.actuator(name).id for name in JOINTS])
        self._endpoint = model.body(f"{SIDE}_gripper").id
        self._bodies = subtree(model, model.body(f"{SIDE}_wrist").id)
        self._wrench = np.zeros(6)
        self._command = self._set_point = self.positions()
        self._lead_velocity = np.zeros(4)
        self.gripper.set_enabled(True)
        self._refresh()

    def positions(self) -> np.ndarray:
        """(4,) measured: where the fingertips really are, however the carrier tilts."""
        return np.append(self.world.data.xpos[self._endpoint], self.world.data.qpos[self._yaw])

    def command(self, q: np.ndarray) -> None:
        """Servo to joints from the next tick on."""
        self._command = np.asarray(q, float)

    def wrench(self) -> np.ndarray:
        """(6,) force (N) and torque (N m) that contacts exert on the hand, base frame."""
        return self._wrench

    def update(self, dt: float = TICK) -> None:
        """One control tick, as SimulatedBaxter's with raw positions.

        Raises:
            SimulationDiverged: see World.restore.
        """
        before = self._set_point
        velocity = clipped((self._command - before) / dt, -MAX_SPEED, MAX_SPEED)
        self._set_point = before + velocity * dt
        self._lead_velocity = self._lead_velocity + 0.5 * (velocity - self._lead_velocity)
        control = before + self._lead_velocity * _SERVO_LEAD
        steps = max(1, int(round(dt / self.world.settings.time_step)))
        advance(self.world, self._actuators, control, self._set_point - before, steps)
        self._refresh()
        self.gripper.update(dt)

    def jump(self, q: np.ndarray) -> None:
        """Be elsewhere, at rest; an object that is stuck between the fingers comes along."""
        world, data = self.world, self.world.data
        held = world.held(SIDE)
        before = self._pose()
        upright = np.zeros(len(CHAIN))
        upright[self._driven] = q
        data.qpos[self._qpos], data.qvel[self._dofs], data.qacc_warmstart[self._dofs] = upright, 0.0, 0.0
        data.ctrl[self._actuators] = q
        self._command = self._set_point = np.array(q, float)
        self._lead_velocity = np.zeros(4)
        mujoco.mj_forward(world.model, data)
        if held is not None:
            T = self._pose() @ np.linalg.inv(before) @ world.object_poses()[held]
            quat = np.empty(4)
            mujoco.mju_mat2Quat(quat, np.ascontiguousarray(T[:3, :3]).ravel())
            world.place(held, T[:3, 3], quat)
        world.check()
        self._refresh()

    def stuck_objects(self) -> List[str]:
        """See SimulatedBaxter."""
        name = stuck_object(self.world, self.gripper, at_rest=True)
        return [name] if name else []

    def _pose(self) -> np.ndarray:
        data = self.world.data
        return transform(data.xmat[self._endpoint].reshape(3, 3), data.xpos[self._endpoint])

    def _refresh(self) -> None:
        model, data = self.world.model, self.world.data
        mujoco.mj_rnePostConstraint(model, data)
        read_wrench(self.world, self._bodies, self._endpoint, self._wrench)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_camlight(model, data)


class Jump:
    """A motion that takes no time.

    Attributes:
        goal: (4,) joints.
    """

    def __init__(self, goal: np.ndarray):
        self.goal = goal


class CarriedArm(Arm):
    """The execution's side of the carrier: follows straight lines as an arm does, and jumps."""

    def __init__(self, side: str, robot: FloatingGripper, clock: SimulatedClock, settings):
        def command(positions: Mapping[str, float]) -> None:
            robot.command(np.array(list(positions.values())))

        limb, joints = LimbAdapter(command, robot.wrench), Joints(lambda _: robot.positions())
        super().__init__(side, limb, joints, lambda: ENABLED, clock, settings)
        self._robot = robot

    def follow(self, trajectory, contact=None) -> bool:
        """See Arm; a jump waits for the fingers first."""
        if not isinstance(trajectory, Jump):
            return super().follow(trajectory, contact)
        gripper = self._robot.gripper
        self.wait(lambda: not gripper.moving, FINGERS_PATIENCE)
        self._robot.jump(trajectory.goal)
        self.send(trajectory.goal)
        return True


class CarrierMotions:
    """What execution.motions.Motions is for an arm: jumps over the table, straight lines down to it and up."""

    def __init__(self, acceleration: float, table):
        self._acceleration, self._table = acceleration, table

    def to_joints(self, q: np.ndarray, goal: np.ndarray, other: np.ndarray) -> Jump:
        """A jump to joints."""
        return Jump(np.asarray(goal, float))

    def to_first_pose(self, q: np.ndarray, poses: Sequence[np.ndarray], other: np.ndarray) -> Jump:
        """A jump to the first pose."""
        return Jump(_joints(poses[0], q[3]))

    def to_pregrasp(self, q, poses: Sequence[np.ndarray], drop: float, other, speed: float) -> Tuple[Jump, Trajectory]:
        """A jump to the pose that needs the least turning, and the straight way down from there."""
        goals = [_joints(pose, q[3]) for pose in poses]
        goal = min(goals, key=lambda candidate: abs(candidate[3] - q[3]))
        return Jump(goal), self.shift(goal, (0.0, 0.0, -drop), other, speed)

    def shift(self, q: np.ndarray, offset: Sequence[float], other: np.ndarray, speed: float) -> Trajectory:
        """A straight motion by an offset (3,) (m)."""
        return straight(q, np.append(offset, 0.0), speed, self._acceleration)

    def rise(self, q: np.ndarray, height: float, least: float, other: np.ndarray, speed: float) -> Trajectory:
        """A straight motion up by a height (m)."""
        return self.shift(q, (0.0, 0.0, height), other, speed)

    def escape(self, q: np.ndarray, other: np.ndarray) -> None:
        """Nothing: what the hand touches it lets go of on its way up."""

    def position(self, q: np.ndarray) -> np.ndarray:
        """(3,) point between the fingertips (m)."""
        return np.array(q[:3])

    def height(self, q: np.ndarray) -> float:
        """Height of the fingertips (m)."""
        return float(q[2])

    def yaw(self, q: np.ndarray) -> float:
        """Closing direction (rad)."""
        return float(q[3])

    def height_to_clear(self, q: np.ndarray, clearance: float) -> float:
        """How far (m) the fingertips must rise to be `clearance` (m) above the table; 0 beside the table."""
        table = self._table
        over = table.x_min <= q[0] <= table.x_max and table.y_min <= q[1] <= table.y_max
        return max(table.z + clearance - float(q[2]), 0.0) if over else 0.0


class FloatingRig(Rig):
    """One hand for both arms' halves of the table."""

    def __init__(self, world: World, settings, take_picture):
        super().__init__(world, settings, take_picture)
        self.robot = FloatingGripper(world)

    def hand_of(self, arm: str) -> str:
        """See Rig: there is but one."""
        return SIDE

    def update(self) -> None:
        """See Rig."""
        self.robot.update(TICK)

    def stuck_objects(self) -> List[str]:
        """See Rig."""
        return self.robot.stuck_objects()

    def arms_mask(self, camera: Camera) -> Optional[np.ndarray]:
        """None: the hand is parked out of the Kinect's view."""
        return None

    def _simulated_gripper(self, side: str) -> SimulatedGripper:
        return self.robot.gripper

    def _make_arm(self, arm: str, clock: SimulatedClock) -> Arm:
        return CarriedArm(arm, self.robot, clock, self.settings.streaming)

    def _make_motions(self, arm: str) -> CarrierMotions:
        return CarrierMotions(self.settings.motion.tip_acceleration, self.world.table)

    def _neutral(self, arm: str) -> np.ndarray:
        return np.array([*PARKED[:3], neutral_yaw(arm)])


@functools.lru_cache(maxsize=2)
def neutral_yaw(arm: str) -> float:
    """Closing direction (rad) of an arm's hand at neutral, which an approach begins with."""
    y_axis = Kinematics(RobotModel(load_urdf()), arm).fk(NEUTRAL)[:3, 1]
    return float(np.arctan2(y_axis[1], y_axis[0]))


def straight(q: np.ndarray, offset: np.ndarray, speed: float, acceleration: float) -> Trajectory:
    """A straight line by an offset (4,) of the joints, at most so fast (m/s, m/s^2), from rest to rest."""
    distance = max(float(np.linalg.norm(offset[:3])), 1e-9)
    top = min(speed, np.sqrt(distance * acceleration))
    ramp = top / acceleration
    duration = distance / top + ramp
    times = np.linspace(0.0, duration, max(int(np.ceil(duration / TICK)), 1) + 1)
    rising, falling = np.minimum(times, ramp), np.maximum(times - (duration - ramp), 0.0)
    velocity = acceleration * (rising - falling)
    travel = acceleration * (rising**2 / 2 + ramp * (times - rising) - falling**2 / 2)
    way = offset / distance
    zeros = np.zeros((len(times), 4))
    return Trajectory(times, q + travel[:, None] * way, velocity[:, None] * way, zeros)


def _joints(T_base_gripper: np.ndarray, near: float) -> np.ndarray:
    """(4,) joints of a pose that points down; of all equal turns the one nearest to an angle (rad)."""
    yaw = np.arctan2(T_base_gripper[1, 1], T_base_gripper[0, 1])
    yaw += 2.0 * np.pi * np.round((near - yaw) / (2.0 * np.pi))
    return np.append(T_base_gripper[:3, 3], yaw)
