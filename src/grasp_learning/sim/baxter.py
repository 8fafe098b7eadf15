"""Baxter's own control: joint servos and their modes, enable and e-stop, the head, and the readings it publishes.

:meth:`SimulatedBaxter.update` is one control tick: commands to set-points, physics, grippers, readings. All
positions are in the base frame, which is the world's; a wrench is what the surroundings do to the hand.
"""

import enum
from dataclasses import dataclass, replace
from typing import Dict, List, Optional, Sequence

import mujoco
import numpy as np
from pydantic import Field

from grasp_learning.config import Settings
from grasp_learning.geometry import transform
from grasp_learning.robot_description import HEAD_JOINT, SIDES, arm_joints, finger_joints, joint_limits
from grasp_learning.sim.gripper import GripperState, SimulatedGripper
from grasp_learning.sim.robot_model import DAMPING, STIFFNESS
from grasp_learning.sim.ticks import advance, clipped, read_wrench, stuck_object, subtree
from grasp_learning.sim.world import World

__all__ = ["AssemblyState", "BaxterSettings", "ControlMode", "GripperState", "SimulatedBaxter", "SimulatedGripper"]

ESTOP_UNPRESSED, ESTOP_PRESSED, ESTOP_RELEASED = 0, 1, 3
SOURCE_NONE, SOURCE_USER, SOURCE_BRAIN = 0, 1, 4

_LINEAR_FIRST = np.array([3, 4, 5, 0, 1, 2])
_SERVO_LEAD = np.tile(DAMPING / STIFFNESS, len(SIDES))
_ARM = {side: slice(7 * index, 7 * index + 7) for index, side in enumerate(SIDES)}


class ControlMode(enum.IntEnum):
    """JointCommand's modes."""

    POSITION = 1
    VELOCITY = 2
    TORQUE = 3
    RAW_POSITION = 4


class BaxterSettings(Settings):
    """How the simulated robot's controller behaves.

    Attributes:
        speed_ratio: share of a joint's largest speed used in position mode, until a client sets it.
        command_timeout: without a command for so long (s) an arm stops following, until a client sets it.
        acceleration: of the set-points in position and velocity mode, shoulder to wrist (rad/s2).
        max_windup: how far a velocity-mode set-point may run ahead of a blocked joint (rad).
        head_speed: of the head's pan at speed ratio 1 (rad/s).
    """

    speed_ratio: float = Field(0.3, ge=0.0, le=1.0)
    command_timeout: float = Field(0.2, gt=0.0)
    acceleration: Sequence[float] = Field((8.0, 8.0, 8.0, 8.0, 16.0, 16.0, 16.0), min_length=7, max_length=7)
    max_windup: float = Field(0.15, gt=0.0)
    head_speed: float = Field(1.5, gt=0.0)


@dataclass(frozen=True)
class AssemblyState:
    """The fields of the AssemblyState message."""

    ready: bool = False
    enabled: bool = False
    stopped: bool = False
    error: bool = False
    estop_button: int = ESTOP_UNPRESSED
    estop_source: int = SOURCE_NONE


class SimulatedBaxter:
    """The robot's controller on a :class:`~grasp_learning.sim.world.World`; it starts disabled, as the robot does.

    Attributes:
        grippers: the two :class:`SimulatedGripper`, by side.
        joint_names: order of the joint readings.
    """

    def __init__(self, world: World, settings: Optional[BaxterSettings] = None):
        self.world = world
        self.settings = settings or BaxterSettings()
        self.grippers: Dict[str, SimulatedGripper] = {side: SimulatedGripper(world, side) for side in SIDES}
        self._index(world.model)
        self.restart()

    def _index(self, model: mujoco.MjModel) -> None:
        arms = [name for side in SIDES for name in arm_joints(side)]
        fingers = [name for side in SIDES for name in finger_joints(side)]
        self._arm_names = {side: arm_joints(side) for side in SIDES}
        self.joint_names: List[str] = [HEAD_JOINT] + arms + fingers
        self._qpos = np.array([model.joint(name).qposadr[0] for name in self.joint_names])
        self._dofs = np.array([model.joint(name).dofadr[0] for name in self.joint_names])
        self._arm_qpos = self._qpos[1:15]
        self._actuators = np.array([model.actuator(name).id for name in arms])
        self._head_actuator = model.actuator(HEAD_JOINT).id
        limits = joint_limits()
        self._lower = np.array([limits[name].lower for name in arms])
        self._upper = np.array([limits[name].upper for name in arms])
        self._max_speed = np.array([limits[name].velocity for name in arms])
        self._max_torque = np.array([limits[name].effort for name in arms])
        self._head_limits = limits[HEAD_JOINT]
        self._acceleration = np.tile(np.array(self.settings.acceleration), len(SIDES))
        self._endpoints = {side: model.body(f"{side}_gripper").id for side in SIDES}
        self._wrench = {side: np.zeros(6) for side in SIDES}
        wrists = {side: model.body(f"{side}_wrist").id for side in SIDES}
        self._hand_bodies = {side: subtree(model, wrist) for side, wrist in wrists.items()}

    def restart(self) -> None:
        """The state after power-on, for a world that was reset: disabled, holding, grippers not calibrated."""
        self.assembly_state = AssemblyState()
        self._mode = {side: ControlMode.POSITION for side in SIDES}
        self._speed_ratio = np.full(14, self.settings.speed_ratio)
        self._timeout = {side: self.settings.command_timeout for side in SIDES}
        self._last_command = {side: -np.inf for side in SIDES}
        self._command = np.zeros(14)
        self._set_point = self.world.data.qpos[self._arm_qpos].copy()
        self._velocity = np.zeros(14)
        self._lead_velocity = np.zeros(14)
        for side in SIDES:
            self._hold(side)
            self._use_servo(side, True)
            self.grippers[side].restart()
        self._head_target = self._head_set_point = float(self.world.data.qpos[self._qpos[0]])
        self._head_ratio = 1.0
        self._refresh()

    # --- enable, stop, e-stop -----------------------------------------------------------------------------------

    def enable(self) -> None:
        """Motors on; does nothing while the robot is stopped or has an error."""
        if not (self.assembly_state.stopped or self.assembly_state.error):
            self._set_state(replace(self.assembly_state, enabled=True, ready=True))

    def disable(self) -> None:
        """Motors off: the brakes hold the arms, commands are ignored."""
        self._set_state(replace(self.assembly_state, enabled=False, ready=False))

    def stop(self) -> None:
        """The software stop: as the e-stop, but without the button."""
        state = replace(self.assembly_state, enabled=False, ready=False, stopped=True)
        if state.estop_source == SOURCE_NONE:
            state = replace(state, estop_source=SOURCE_BRAIN)
        self._set_state(state)

    def reset(self) -> None:
        """Clear a stop or an error; does nothing while the e-stop is pressed. The robot is disabled afterwards."""
        if self.assembly_state.estop_button != ESTOP_PRESSED:
            self._set_state(AssemblyState())

    def press_estop(self) -> None:
        """Push the red button."""
        self._set_state(AssemblyState(stopped=True, estop_button=ESTOP_PRESSED, estop_source=SOURCE_USER))

    def release_estop(self) -> None:
        """Turn the red button out again; the robot stays stopped until :meth:`reset`."""
        if self.assembly_state.estop_button == ESTOP_PRESSED:
            self._set_state(replace(self.assembly_state, estop_button=ESTOP_RELEASED))

    def _set_state(self, state: AssemblyState) -> None:
        was_enabled = self.assembly_state.enabled
        self.assembly_state = state
        if was_enabled and not state.enabled:
            for side in SIDES:
                self._set_point[_ARM[side]] = self.world.data.qpos[self._arm_qpos[_ARM[side]]]
                self._hold(side)
        for gripper in self.grippers.values():
            gripper.set_enabled(state.enabled)

    # --- commands -----------------------------------------------------------------------------------------------

    def set_speed_ratio(self, side: str, ratio: float) -> None:
        """Share (0..1, clipped) of the largest joint speeds that position mode uses."""
        self._speed_ratio[_ARM[side]] = float(np.clip(_finite(ratio, "speed ratio"), 0.0, 1.0))

    def set_command_timeout(self, side: str, seconds: float) -> None:
        """Without a command for so long (s) the arm stops following."""
        self._timeout[side] = max(_finite(seconds, "command timeout"), 0.0)

    def command_joints(self, side: str, mode: int, names: Sequence[str], values: Sequence[float]) -> None:
        """Take a JointCommand. Positions are clipped to the joints' limits, torques and speeds to theirs.

        It is ignored while the robot is not enabled. Joints that it does not name keep their set-points.

        Args:
            mode: a :class:`ControlMode`.
            values: rad, rad/s or N m (beside gravity compensation).

        Raises:
            ValueError: unknown mode or joint, lengths that differ, or values that are not finite.
        """
        mode = ControlMode(mode)
        indices, values = self._checked_command(side, names, values)
        if not self.assembly_state.enabled:
            return
        if mode is not self._mode[side]:
            self._change_mode(side, mode)
        self._command[indices] = values
        self._last_command[side] = self.world.time

    def command_head_pan(self, target: float, speed_ratio: float = 1.0) -> None:
        """Turn the head to an angle (rad, clipped to its limits)."""
        target = _finite(target, "head pan")
        self._head_target = float(np.clip(target, self._head_limits.lower, self._head_limits.upper))
        self._head_ratio = float(np.clip(_finite(speed_ratio, "speed ratio"), 0.0, 1.0))

    def _checked_command(self, side: str, names: Sequence[str], values: Sequence[float]):
        known = self._arm_names[side]
        array = np.asarray(values, float)
        if list(names) == known and array.shape == (7,) and np.isfinite(array).all():
            return _ARM[side], array
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ValueError(f"joint command for the {side} arm names {unknown[0]!r}; expected {', '.join(known)}")
        if array.shape != (len(names),) or not np.isfinite(array).all():
            raise ValueError(f"joint command for the {side} arm: expected {len(names)} finite values, got {array}")
        return np.array([_ARM[side].start + known.index(name) for name in names], int), array

    def _change_mode(self, side: str, mode: ControlMode) -> None:
        arm = _ARM[side]
        if self._mode[side] is ControlMode.TORQUE:
            self._set_point[arm] = self.world.data.qpos[self._arm_qpos[arm]]
            self._velocity[arm] = 0.0
        self._use_servo(side, mode is not ControlMode.TORQUE)
        is_position = mode in (ControlMode.POSITION, ControlMode.RAW_POSITION)
        self._command[arm] = self._set_point[arm] if is_position else 0.0
        self._mode[side] = mode

    def _hold(self, side: str) -> None:
        """Stay at the present set-point."""
        arm = _ARM[side]
        if self._mode[side] is ControlMode.TORQUE:
            self._change_mode(side, ControlMode.POSITION)
        self._mode[side] = ControlMode.POSITION
        self._command[arm] = self._set_point[arm]
        self._velocity[arm] = 0.0
        self._lead_velocity[arm] = 0.0

    def _use_servo(self, side: str, servo: bool) -> None:
        """Make the arm's actuators position servos, or plain motors for torque mode."""
        ids = self._actuators[_ARM[side]]
        model = self.world.model
        model.actuator_gainprm[ids, 0] = STIFFNESS if servo else 1.0
        model.actuator_biasprm[ids, 1] = -STIFFNESS if servo else 0.0
        model.actuator_biasprm[ids, 2] = -DAMPING if servo else 0.0

    # --- the control tick ---------------------------------------------------------------------------------------

    def update(self, dt: float = 0.01) -> None:
        """One control tick: set-points, physics for dt (a multiple of the physical time step), readings.

        Raises:
            SimulationDiverged: see :meth:`World.restore`; or reset the world, then :meth:`restart`.
        """
        for side in SIDES:
            if self.world.time - self._last_command[side] > self._timeout[side]:
                self._expire(side)
        before = self._set_point
        self._move_set_points(dt)
        self._move_head(dt)
        self._step(before, max(1, int(round(dt / self.world.settings.time_step))))
        self._refresh()
        for gripper in self.grippers.values():
            gripper.update(dt)

    def _expire(self, side: str) -> None:
        if self._mode[side] is ControlMode.VELOCITY:
            # brakes within its acceleration, then holds
            self._command[_ARM[side]] = 0.0
        else:
            self._hold(side)

    def _move_set_points(self, dt: float) -> None:
        """Advance the set-points by one tick, each joint according to its arm's mode."""
        measured = self.world.data.qpos[self._arm_qpos]
        target = clipped(self._command, self._lower, self._upper)
        step = self._acceleration * dt
        for side in SIDES:
            arm, mode = _ARM[side], self._mode[side]
            error = target[arm] - self._set_point[arm]
            top = self._max_speed[arm]
            if mode is ControlMode.RAW_POSITION:
                self._velocity[arm] = clipped(error / dt, -top, top)
                continue
            if mode is ControlMode.TORQUE:
                self._velocity[arm] = 0.0
                self._set_point[arm] = measured[arm]
                continue
            if mode is ControlMode.VELOCITY:
                wanted = clipped(self._command[arm], -top, top)
            else:
                limit = np.maximum(self._speed_ratio[arm] * top, 1e-3)
                wanted = np.sign(error) * np.minimum(_braking_speed(np.abs(error), step[arm], dt), limit)
            self._velocity[arm] += clipped(wanted - self._velocity[arm], -step[arm], step[arm])
        self._set_point = clipped(self._set_point + self._velocity * dt, self._lower, self._upper)
        self._limit_windup(measured)
        for side in SIDES:
            arm = _ARM[side]
            # Raw positions arrive in bursts; a smoothed speed keeps the torques smooth
            share = 0.5 if self._mode[side] is ControlMode.RAW_POSITION else 1.0
            self._lead_velocity[arm] += share * (self._velocity[arm] - self._lead_velocity[arm])

    def _limit_windup(self, measured: np.ndarray) -> None:
        reach = self.settings.max_windup
        for side in SIDES:
            if self._mode[side] is ControlMode.VELOCITY:
                arm = _ARM[side]
                self._set_point[arm] = clipped(self._set_point[arm], measured[arm] - reach, measured[arm] + reach)

    def _move_head(self, dt: float) -> None:
        step = self._head_ratio * self.settings.head_speed * dt
        self._head_set_point += min(max(self._head_target - self._head_set_point, -step), step)
        self.world.data.ctrl[self._head_actuator] = self._head_set_point

    def _step(self, before: np.ndarray, n: int) -> None:
        """Physics, with the set-points interpolated over the tick."""
        world = self.world
        control = before + self._lead_velocity * _SERVO_LEAD
        change = self._set_point - before
        for side in SIDES:
            if self._mode[side] is ControlMode.TORQUE:
                arm = _ARM[side]
                control[arm] = clipped(self._command[arm], -self._max_torque[arm], self._max_torque[arm])
                change[arm] = 0.0
        advance(world, self._actuators, control, change, n)

    # --- readings -----------------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        """Contact forces of the last step, then the frames that belong to the joint positions."""
        model, data = self.world.model, self.world.data
        mujoco.mj_rnePostConstraint(model, data)
        for side in SIDES:
            read_wrench(self.world, self._hand_bodies[side], self._endpoints[side], self._wrench[side])
        mujoco.mj_kinematics(model, data)
        mujoco.mj_camlight(model, data)

    @property
    def time(self) -> float:
        """Simulated time (s)."""
        return self.world.time

    @property
    def joint_positions(self) -> np.ndarray:
        """(19,) rad, m for fingers; order of ``joint_names``."""
        return self.world.data.qpos[self._qpos]

    @property
    def joint_velocities(self) -> np.ndarray:
        """(19,) rad/s, m/s for fingers."""
        return self.world.data.qvel[self._dofs]

    @property
    def joint_efforts(self) -> np.ndarray:
        """(19,) N m, N for fingers; of the motors, gravity compensation included."""
        return self.world.data.qfrc_actuator[self._dofs] + self.world.data.qfrc_gravcomp[self._dofs]

    def arm_positions(self, side: str) -> np.ndarray:
        """(7,) rad, shoulder to wrist."""
        return self.world.data.qpos[self._arm_qpos[_ARM[side]]]

    def endpoint_pose(self, side: str) -> np.ndarray:
        """T_base_gripper (4, 4)."""
        body = self._endpoints[side]
        return transform(self.world.data.xmat[body].reshape(3, 3), self.world.data.xpos[body])

    def endpoint_twist(self, side: str) -> np.ndarray:
        """(6,) linear (m/s), then angular (rad/s) velocity of the endpoint in the base frame."""
        velocity, kind = np.empty(6), mujoco.mjtObj.mjOBJ_BODY
        mujoco.mj_objectVelocity(self.world.model, self.world.data, kind, self._endpoints[side], velocity, 0)
        return velocity[_LINEAR_FIRST]

    def endpoint_wrench(self, side: str) -> np.ndarray:
        """(6,) force (N), then torque about the endpoint (N m) that contacts exert on the hand, base frame."""
        return self._wrench[side].copy()

    @property
    def head_pan(self) -> float:
        """Angle of the head (rad)."""
        return float(self.world.data.qpos[self._qpos[0]])

    @property
    def head_turning(self) -> bool:
        """Whether the head is on its way."""
        return abs(self._head_target - self.head_pan) > 0.01

    def stuck_objects(self) -> List[str]:
        """Objects that hang high above the table in a gripper that is open: squeezed in, they do not fall out.

        Whoever watches a robot takes such an object out of its hand; every later trial would be a success with it.
        """
        found = [stuck_object(self.world, gripper) for gripper in self.grippers.values()]
        return [name for name in found if name]


def _braking_speed(distance: np.ndarray, step: np.ndarray, dt: float) -> np.ndarray:
    """Largest speeds from which a braking by ``step`` a tick stops within the distances."""
    ticks = np.sqrt(0.25 + 2 * distance / (step * dt)) - 0.5
    # within the last step: exactly there
    return np.where(ticks < 1, distance / dt, step * ticks)


def _finite(value: float, what: str) -> float:
    value = float(value)
    if not np.isfinite(value):
        raise ValueError(f"{what} is {value}; expected a finite number")
    return value
