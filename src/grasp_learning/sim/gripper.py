"""Baxter's electric gripper: the commands and the state of EndEffectorCommand and EndEffectorState.

Position is in percent of the fingers' travel, 0 closed and 100 open. Force is in percent of the gripper's maximum and
is measured: it is what the things between the fingers really push back with. A closing move that meets more than
``moving_force`` stops, and the gripper then holds with ``holding_force``. When what it held is gone, the fingers
close on.
"""

import enum
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

import mujoco
import numpy as np
from pydantic import Field

from grasp_learning.config import ConfigError, Settings, parse_settings
from grasp_learning.robot_description import finger_joints, joint_limits
from grasp_learning.sim.robot_model import GRIPPER_DAMPING, GRIPPER_MAX_FORCE, GRIPPER_STIFFNESS

GRIPPER_ID = 65538

# Speed of each finger at velocity 100 (m/s): the whole travel in 0.4 s
MAX_FINGER_SPEED = 0.048
# How long the same (sender, sequence) counts as one command; a restarted client may use it again later
REPEAT_WINDOW = 5.0
REBOOT_TIME = 1.5
CALIBRATION_VELOCITY = 45.0

# Percent: below it nothing is between the fingers
LOST_FORCE = 1.5
# Control ticks over which a force must last to count
DEBOUNCE_TICKS = 3
# Seconds for which a move may push without arriving once its set-point is there
ARRIVAL_TIME = 0.4
ARRIVED = 1.0  # percent of travel


class GripperParameters(Settings):
    """What ``configure`` sets, with the SDK's defaults; all in percent."""

    velocity: float = Field(50.0, ge=0.0, le=100.0)
    moving_force: float = Field(40.0, ge=0.0, le=100.0)
    holding_force: float = Field(30.0, ge=0.0, le=100.0)
    dead_zone: float = Field(5.0, ge=0.0, le=100.0)


@dataclass(frozen=True)
class GripperState:
    """The fields of EndEffectorState but its time stamp; flags are 0 or 1."""

    id: int
    enabled: int
    calibrated: int
    ready: int
    moving: int
    gripping: int
    missed: int
    error: int
    reverse: int
    position: float
    force: float
    state: str
    command: str
    command_sender: str
    command_sequence: int


class _Phase(enum.Enum):
    IDLE = "at its set-point"
    MOVING = "on its way to the target"
    HOLDING = "pressing on what stopped it"
    CALIBRATING = "opening and closing"
    REBOOTING = "not listening"


class SimulatedGripper:
    """One gripper's firmware. :class:`~grasp_learning.sim.baxter.SimulatedBaxter` calls :meth:`update` each tick."""

    def __init__(self, world, side: str):
        self.side = side
        self.parameters = GripperParameters()
        self._world = world
        self._index(world.model)
        self.restart()

    def _index(self, model: mujoco.MjModel) -> None:
        limits = joint_limits()[finger_joints(self.side)[0]]
        self._lower, self._upper = limits.lower, limits.upper
        self._actuator = model.actuator(f"{self.side}_gripper").id
        self._fingers = [model.joint(name).qposadr[0] for name in finger_joints(self.side)]
        owners = [model.joint(name).bodyid[0] for name in finger_joints(self.side)]
        # of each body, the way in which a force on it opens the gripper
        left, right = (model.body_weldid == owner for owner in owners)
        bodies = np.flatnonzero(left | right)
        self._finger_bodies = slice(bodies[0], bodies[-1] + 1)
        self._finger_signs = left[self._finger_bodies] * 1.0 - right[self._finger_bodies]
        self._limit = float("nan")  # of the drive's force (N), as the model has it
        self._hand = model.body(f"{self.side}_gripper").id

    def restart(self) -> None:
        """The state after power-on: not calibrated, fingers where they are."""
        self.enabled = False
        self.calibrated = False
        self.parameters = GripperParameters()
        self._phase = _Phase.IDLE
        self._gripping = self._missed = False
        self._force = 0.0
        self._travel = self._target = self._measured_travel()
        self._stages: List[float] = []
        self._ticks_over = 0
        self._waited = 0.0
        self._closing = False
        self._last: Tuple[str, str, int] = ("", "", 0)
        self._handled: Dict[str, Tuple[int, float]] = {}

    # --- reading ------------------------------------------------------------------------------------------------

    @property
    def position(self) -> float:
        """Measured opening in percent, 0 closed."""
        return min(max(self._percent(self._measured_travel()), 0.0), 100.0)

    @property
    def force(self) -> float:
        """Measured force on the fingers in percent of the maximum."""
        return min(max(self._force, 0.0), 100.0)

    @property
    def moving(self) -> bool:
        """A move or a calibration is going on."""
        return self._phase in (_Phase.MOVING, _Phase.CALIBRATING)

    @property
    def gripping(self) -> bool:
        """The last move was stopped by more than ``moving_force``, and that is still there."""
        return self._gripping

    @property
    def missed(self) -> bool:
        """The last closing move ended without meeting more than ``moving_force``, or lost what it met."""
        return self._missed

    @property
    def state(self) -> GripperState:
        """Everything the gripper publishes."""
        command, sender, sequence = self._last
        return GripperState(
            id=GRIPPER_ID,
            enabled=int(self.enabled and self._phase is not _Phase.REBOOTING),
            calibrated=int(self.calibrated),
            ready=int(self._phase not in (_Phase.CALIBRATING, _Phase.REBOOTING)),
            moving=int(self.moving),
            gripping=int(self._gripping),
            missed=int(self._missed),
            error=0,
            reverse=0,
            position=self.position,
            force=self.force,
            state="",
            command=command,
            command_sender=sender,
            command_sequence=sequence,
        )

    # --- commands -----------------------------------------------------------------------------------------------

    def command(self, command: str, args: Optional[Mapping[str, Any]] = None, sender: str = "", sequence: int = 0):
        """Take a command; the same (sender, sequence) counts once, however often it is republished.

        Args:
            command: EndEffectorCommand's name, such as "go".
            args: its arguments, such as {"position": 0.0}.

        Raises:
            ValueError: unknown command or bad arguments; nothing changes but the echo of sender and sequence.
        """
        if self._phase is _Phase.REBOOTING or self._is_repeated(sender, sequence):
            return
        self._last = (command, sender, sequence)
        handler = self._handlers().get(command)
        if handler is None:
            raise ValueError(f"unknown gripper command '{command}'; expected one of {', '.join(self._handlers())}")
        handler(dict(args or {}))

    def _handlers(self):
        return {
            "no_op": lambda args: None,
            "set": lambda args: None,  # identity of custom grippers; this one has its own
            "configure": self._configure,
            "reboot": lambda args: self._begin_reboot(),
            "reset": lambda args: None,  # this gripper has no faults to clear
            "calibrate": lambda args: self._begin_calibration(),
            "clear_calibration": lambda args: self._clear_calibration(),
            "prepare_to_grip": lambda args: self._begin_move(100.0),
            "grip": lambda args: self._begin_move(0.0),
            "release": lambda args: self._begin_move(100.0),
            "go": self._go,
            "stop": lambda args: self._halt(),
        }

    def _is_repeated(self, sender: str, sequence: int) -> bool:
        now = self._world.time
        previous = self._handled.get(sender)
        self._handled[sender] = (sequence, now)
        return previous is not None and previous[0] == sequence and 0.0 <= now - previous[1] <= REPEAT_WINDOW

    def _configure(self, args: Dict[str, Any]) -> None:
        try:
            merged = {**self.parameters.model_dump(), **args}
            self.parameters = parse_settings(GripperParameters, merged, f"{self.side} gripper, configure")
        except ConfigError as error:
            raise ValueError(str(error)) from None

    def _go(self, args: Dict[str, Any]) -> None:
        position = args.get("position")
        if isinstance(position, bool) or not isinstance(position, (int, float)) or not np.isfinite(position):
            raise ValueError(f"{self.side} gripper, go: position is {position!r}; expected a number from 0 to 100")
        self._begin_move(min(max(float(position), 0.0), 100.0))

    def _begin_move(self, position: float) -> None:
        if not (self.enabled and self.calibrated):
            return
        self._gripping = self._missed = False
        self._start_towards(self._travel_at(position))
        self._phase = _Phase.MOVING

    def _begin_calibration(self) -> None:
        if not self.enabled:
            return
        self.calibrated = self._gripping = self._missed = False
        self._stages = [self._lower, self._upper]
        self._start_towards(self._upper)
        self._phase = _Phase.CALIBRATING

    def _clear_calibration(self) -> None:
        self.calibrated = False
        self._halt()

    def _begin_reboot(self) -> None:
        handled, last = self._handled, self._last
        enabled = self.enabled
        self.restart()
        self.enabled, self._handled, self._last = enabled, handled, last
        self._phase = _Phase.REBOOTING

    def _halt(self) -> None:
        """Stop a move; what is held stays held."""
        if self._phase is not _Phase.HOLDING:
            self._phase = _Phase.IDLE
            self._travel = self._target = self._measured_travel()

    def set_enabled(self, enabled: bool) -> None:
        """Follow the robot: without power a move stops and what is held stays held by the drive's friction."""
        if self.enabled and not enabled and self.moving:
            self._halt()
        self.enabled = enabled

    # --- control ------------------------------------------------------------------------------------------------

    def update(self, dt: float) -> None:
        """One control tick: measure the force, decide, and give the drive its set-point.

        Needs ``data.cfrc_ext`` of the last physical step (mj_rnePostConstraint).
        """
        self._measure(dt)
        speed = 0.0
        if self._phase is _Phase.MOVING:
            speed = self._advance(dt, self.parameters.velocity)
            self._decide_move(dt)
        elif self._phase is _Phase.CALIBRATING:
            speed = self._advance(dt, CALIBRATION_VELOCITY)
            self._decide_calibration(dt)
        elif self._phase is _Phase.HOLDING:
            self._hold(dt)
        elif self._phase is _Phase.REBOOTING:
            self._waited += dt
            if self._waited > REBOOT_TIME:
                self._phase = _Phase.IDLE
        self._drive(speed)

    def _measure(self, dt: float) -> None:
        data = self._world.data
        axis = data.xmat[self._hand, 1::3]
        apart = float(self._finger_signs @ data.cfrc_ext[self._finger_bodies, 3:] @ axis)
        # Both fingers hang on one drive; it feels the mean of what pushes them apart
        raw = 50.0 * apart / GRIPPER_MAX_FORCE
        self._force += (raw - self._force) * min(1.0, dt / 0.02)
        if abs(self._force) < 0.01:
            self._force = 0.0

    def _start_towards(self, target: float) -> None:
        self._travel = self._measured_travel()
        self._target = target
        # what is wedged between wide open fingers pushes them over their stops; to open them is no closing then
        self._closing = target < min(self._travel, self._upper)
        self._waited = 0.0
        self._ticks_over = 0

    def _advance(self, dt: float, velocity: float) -> float:
        """Move the set-point on; its speed (m/s of each finger)."""
        step = max(velocity, 1.0) / 100.0 * MAX_FINGER_SPEED * dt
        change = min(max(self._target - self._travel, -step), step)
        self._travel += change
        if change == 0.0:
            self._waited += dt
        return change / dt

    def _over(self, threshold: float) -> bool:
        """Whether the force against the motion has exceeded a threshold (percent) for some ticks."""
        against = self._force if self._closing else -self._force
        self._ticks_over = self._ticks_over + 1 if against >= max(threshold, LOST_FORCE) else 0
        return self._ticks_over >= DEBOUNCE_TICKS

    def _arrived(self) -> bool:
        error = abs(self._percent(self._measured_travel()) - self._percent(self._target))
        return self._travel == self._target and (error < ARRIVED or self._waited > ARRIVAL_TIME)

    def _decide_move(self, dt: float) -> None:
        if self._over(self.parameters.moving_force):
            self._ticks_over = 0
            self._gripping = self._closing
            self._phase = _Phase.HOLDING if self._closing else _Phase.IDLE
            self._travel = self._measured_travel()
        elif self._arrived():
            self._phase = _Phase.IDLE
            self._missed = self._closing

    def _decide_calibration(self, dt: float) -> None:
        if not (self._arrived() or self._over(self.parameters.moving_force)):
            return
        if self._stages:
            self._start_towards(self._stages.pop(0))
        else:
            self._phase = _Phase.IDLE
            self._travel = self._target = self._measured_travel()
            self.calibrated = True

    def _hold(self, dt: float) -> None:
        # The set-point runs just ahead of the fingers: constant force, and no slamming when the object goes
        lead = 1.2 * self._force_limit() / (2 * GRIPPER_STIFFNESS)
        self._travel = max(self._measured_travel() - lead, self._lower)
        self._ticks_over = self._ticks_over + 1 if self._force < LOST_FORCE else 0
        if self._ticks_over >= DEBOUNCE_TICKS:
            self._gripping, self._missed = False, True
            self._start_towards(self._target)
            self._phase = _Phase.MOVING

    def _drive(self, speed: float) -> None:
        limit = self._force_limit()
        if limit != self._limit:
            self._limit = limit
            self._world.model.actuator_forcerange[self._actuator] = (-limit, limit)
        # The tendon's length is the sum of both travels; the speed cancels the servo's damping
        lead = speed * GRIPPER_DAMPING / GRIPPER_STIFFNESS
        self._world.data.ctrl[self._actuator] = 2 * (self._travel + lead)

    def _force_limit(self) -> float:
        """Newtons on each finger."""
        if self._phase is _Phase.HOLDING:
            return GRIPPER_MAX_FORCE * self.parameters.holding_force / 100.0
        # a little more than what stops the move, so that it is reached
        return GRIPPER_MAX_FORCE * (1.1 * self.parameters.moving_force + 3.0) / 100.0

    def _measured_travel(self) -> float:
        """Mean travel of the two fingers (m)."""
        qpos = self._world.data.qpos
        left, right = self._fingers
        return float(qpos[left] - qpos[right]) / 2

    def _percent(self, travel: float) -> float:
        return 100.0 * (travel - self._lower) / (self._upper - self._lower)

    def _travel_at(self, percent: float) -> float:
        return self._lower + percent / 100.0 * (self._upper - self._lower)
