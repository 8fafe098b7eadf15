"""One of Baxter's arms: streams trajectories to it, watches it while it moves, holds it still while others work.

Everything runs in the caller's thread. Each loop looks at the robot first: an arm that is disabled, e-stopped,
silent or off its path gets no further command.
"""

import contextlib
from collections import deque
from typing import Any, Callable, Deque, Dict, Iterator, List, Optional, Tuple

import numpy as np
from pydantic import Field, model_validator
from scipy.interpolate import CubicHermiteSpline

from grasp_learning.config import Settings
from grasp_learning.execution.faults import Cancelled, PlanningFailed, RobotFault, StepError
from grasp_learning.execution.guard import Guard
from grasp_learning.robot_description import arm_joints

GRID = 0.01  # s of trajectory time between precomputed samples
MOST_CONTACT_FORCE = 40.0  # N; no configuration lets a descent press harder before it counts as contact


class ArmSettings(Settings):
    """How an arm is streamed and watched; config/arm_executor.yaml says what each key means."""

    period: float = Field(0.01, gt=0, le=0.1)
    max_step: float = Field(0.03, gt=0, le=0.1)
    command_timeout: float = Field(0.5, gt=0, le=1)
    tracking_tolerance: float = Field(0.2, gt=0)
    tracking_window: float = Field(0.3, gt=0)
    goal_tolerance: float = Field(0.02, gt=0)
    hold_tolerance: float = Field(0.05, gt=0)
    settle_timeout: float = Field(3.0, gt=0)
    joint_state_timeout: float = Field(0.2, gt=0)
    state_timeout: float = Field(0.5, gt=0)
    clock_timeout: float = Field(5.0, gt=0)
    cancel_stop_time: float = Field(0.2, gt=0)
    contact_stop_time: float = Field(0.05, gt=0)
    contact_force: float = Field(18.0, gt=0, le=MOST_CONTACT_FORCE)
    contact_samples: int = Field(2, ge=1)
    contact_backoff: float = Field(0.004, ge=0)
    contact_settle_time: float = Field(0.5, gt=0)

    @model_validator(mode="after")
    def _consistent(self):
        if self.max_step < self.period:
            raise ValueError("max_step must be at least the period, or no motion reaches its speed")
        if self.command_timeout <= self.period:
            raise ValueError("command_timeout must be longer than the period, or the robot drops every command")
        return self


class Contact:
    """Whether the vertical force at the endpoint departs from its value before the motion.

    Args:
        force: reads the force (N); None where none came since the last reading, which must not count twice.
        threshold: departure that counts as contact (N).
        samples: so many readings in a row make a contact; one alone may be noise.
        height: height (m) of the endpoint at joints (7,), to back off by.
    """

    def __init__(self, force: Callable[[], Optional[float]], threshold: float, samples: int, height: Callable):
        self.read, self.height = force, height
        self._threshold, self._samples = threshold, samples
        self._baseline = 0.0
        self._over = 0

    def set_baseline(self, readings) -> None:
        """Take the mean of readings (N) at rest for the force without contact."""
        self._baseline = float(np.mean(readings))

    def __call__(self) -> bool:
        """Take a reading, if there is a new one; whether there is contact."""
        force = self.read()
        if force is not None:
            self._over = self._over + 1 if abs(force - self._baseline) > self._threshold else 0
        return self._over >= self._samples


class Arm:
    """The robot side of an executor.

    Args:
        limb: baxter_interface.Limb of the side, or one that behaves like it.
        joints: a JointFeed.
        state: returns the robot's newest AssemblyState.
        clock: a RosClock.
        guard: bounds of what is commanded; None where nothing can be hurt.
        watched: further topics that must not fall silent, as feeds (``age()`` and ``silence()``, s) by what they tell.
        endpoint: feed of the EndpointState messages from which a contact takes the force; watched, too. None where the
            limb's force is a new one whenever it is asked for, as in a simulation that takes turns with the caller.
        was_off: whether the motors were off since it was last asked, also while nobody looked.

    Attributes:
        cancelled: whether the goal in progress was cancelled.
        fault: what stopped an arm that a person attends, until :meth:`clear`; it gets no command meanwhile.
    """

    def __init__(
        self,
        side: str,
        limb,
        joints,
        state: Callable,
        clock,
        settings: ArmSettings,
        guard: Optional[Guard] = None,
        watched: Optional[Dict[str, Any]] = None,
        endpoint: Optional[Any] = None,
        was_off: Callable[[], bool] = lambda: False,
    ):
        self.side = side
        self.settings = settings
        self.clock = clock
        self.cancelled: Callable[[], bool] = lambda: False
        self.fault = ""
        self._guard, self._watched = guard, dict(watched or {})
        if endpoint is not None:
            self._watched["the force at the hand"] = endpoint
        self._endpoint, self._felt, self._was_off = endpoint, None, was_off
        self._speed_ratio = 1.0 if guard is None else guard.settings.speed_ratio
        self._limb, self._joints, self._state = limb, joints, state
        self._names = arm_joints(side)
        self._held: Optional[np.ndarray] = None
        self._next = clock.now()
        self._recent: Deque[Tuple[float, float, np.ndarray]] = deque(maxlen=1000)
        limb.set_command_timeout(settings.command_timeout)

    def q(self) -> np.ndarray:
        """(7,) measured joints (rad).

        Raises:
            RobotFault: there are none, or they are old.
        """
        self._check_joints()
        return self._joints.positions(self.side)

    def other_q(self) -> np.ndarray:
        """(7,) measured joints (rad) of the other arm."""
        self._check_joints()
        return self._joints.positions("right" if self.side == "left" else "left")

    def check(self) -> None:
        """Raise RobotFault unless the robot is enabled, not stopped, and reports its joints and all that is watched."""
        self._look()
        if self._was_off():
            self._held = None  # it sagged, or was led away

    def clear(self) -> None:
        """A person has seen to the fault: the arm may move again, from where it is now."""
        self.fault, self._held = "", None

    @contextlib.contextmanager
    def cleared(self) -> Iterator[None]:
        """As :meth:`clear`, if what is done within succeeds; else the arm waits for the person as before."""
        fault = self.fault
        self.clear()
        try:
            yield
        except Exception as error:
            if isinstance(error, RobotFault) or not isinstance(error, StepError):
                self.stopped_by(str(error) or type(error).__name__)
            self.fault = self.fault or fault
            raise

    def stopped_by(self, message: str) -> RobotFault:
        """The fault to raise when the arm must not be commanded any more; an attended arm stays so."""
        if self._guard is not None and self._guard.settings.attended:
            self.fault = self.fault or message
        # until it moves again it may sag, or be led away: it must not be told to jump back
        self._held = None
        return RobotFault(message)

    def follow(self, trajectory, contact: Optional[Contact] = None) -> bool:
        """Stream a timed trajectory and wait until the arm has arrived.

        Args:
            trajectory: starts at the present command or the measured joints.
            contact: stops the motion softly and backs off when it becomes true.

        Returns:
            True at the end of the trajectory; False when contact stopped it before.

        Raises:
            RobotFault: disabled, stopped, silent, off its path, or not arrived in time; commands have stopped.
            Cancelled: the arm was brought to rest on its path.
            PlanningFailed: the path leaves the bounds; the arm has not moved.
        """
        stream = _Stream(self, trajectory, self._speed_ratio)
        self._begin(stream)
        if contact is not None:
            contact.set_baseline(self._rest_readings(contact))
        while not stream.finished:
            stream.tick()
            if self.cancelled():
                stream.slow_down(self.settings.cancel_stop_time)
                raise Cancelled("cancelled during a motion; the arm stopped on its path")
            if contact is not None and contact():
                stream.slow_down(self.settings.contact_stop_time)
                stream.back_off(contact.height, self.settings.contact_backoff)
                return False
        return self._arrive(stream, contact)

    def wait(self, condition: Callable[[], bool], timeout: float, command: Optional[np.ndarray] = None) -> bool:
        """Hold the arm still until a condition is true; False when the timeout (s, ROS time) came first.

        Args:
            command: (7,) joints to hold (rad); without it what :meth:`commanded` says.

        Raises:
            RobotFault, Cancelled: as :meth:`follow`.
        """
        end = self.clock.now() + timeout
        if command is None:
            command = self.commanded()
            if self._guard is not None:
                self._guard.begin(command)
        while not condition():
            if self.clock.now() >= end:
                return False
            self.pace()
            self.send(command)
            if self.cancelled():
                raise Cancelled("cancelled while the arm stood still")
        return True

    def rest(self, seconds: float) -> None:
        """Hold the arm still for some ROS time."""
        self.wait(lambda: False, seconds)

    def commanded(self) -> np.ndarray:
        """(7,) joints (rad) that the arm was told to hold; where it is, if it is not there (someone moved it).

        Raises:
            RobotFault: as :meth:`q`.
        """
        measured = self.q()
        if self._held is None or np.max(np.abs(self._held - measured)) > self.settings.hold_tolerance:
            return measured
        return self._held

    def vertical_force(self) -> float:
        """Force (N) along z at the endpoint, as the robot estimates it."""
        return self._limb.endpoint_effort()["force"].z

    def new_vertical_force(self) -> Optional[float]:
        """As :meth:`vertical_force`; None where no message came since this was last asked."""
        if self._endpoint is None:
            return self.vertical_force()
        # the feed's own message, not the limb's: force and message must belong together
        message, felt = self._endpoint.message, self._felt
        self._felt = message
        return None if message is felt else message.wrench.force.z

    def pace(self) -> None:
        """Sleep until the next period begins, then look at the robot.

        Raises:
            RobotFault: it must not be commanded.
        """
        now = self.clock.now()
        period = self.settings.period
        # the small tolerance keeps a clock that ticks once a period from costing two
        try:
            self.clock.sleep(min(max(self._next - now - 1e-4, 0.0), period))
        except RobotFault as error:
            raise self.stopped_by(str(error)) from None
        now = self.clock.now()
        self._next = self._next + period if 0.0 <= now - self._next < period else now + period
        self._look()
        if self._was_off():
            self._check_state()
            raise self.stopped_by("the robot was off for a moment")  # what is under way begins where the arm was before

    def send(self, command: np.ndarray) -> None:
        """Command joints (7,), and hold them from now on.

        Raises:
            RobotFault: they are out of bounds, or too far from the command before.
        """
        refused = "" if self._guard is None else self._guard.refuse(command)
        if refused:
            raise self.stopped_by(refused)
        self._limb.set_joint_positions(dict(zip(self._names, command.tolist())), raw=True)
        self._held = command
        self._recent.append((self.clock.now(), self.clock.wall(), command))

    def path_error(self) -> float:
        """Distance (rad, of the joint that is furthest) of the arm from where it was told to be of late.

        The arm lags behind its commands, and its joint states come late, more so under a fast simulated clock.
        """
        while len(self._recent) > 1 and self._is_past(*self._recent[0][:2]):
            self._recent.popleft()
        commands = np.array([command for _, _, command in self._recent])
        return float(np.abs(commands - self._joints.positions(self.side)).max(axis=1).min())

    def _is_past(self, sent: float, sent_wall: float) -> bool:
        """Whether a command is older than the window by both clocks (or of a time that was set back)."""
        age, window = self.clock.now() - sent, self.settings.tracking_window
        return age < 0.0 or (age > window and self.clock.wall() - sent_wall > window)

    def tracking_error(self, command: np.ndarray) -> float:
        """Largest distance (rad) of a joint from its command."""
        return float(np.max(np.abs(self._joints.positions(self.side) - command)))

    def _begin(self, stream: "_Stream") -> None:
        """Look at a whole path before the arm moves: better not begun than stopped half-way."""
        if self._guard is None:
            return
        self._guard.begin(self.commanded())
        refused = self._guard.refuse_path(stream.samples)
        if refused:
            raise PlanningFailed(f"the path is refused: {refused}")

    def _rest_readings(self, contact: Contact, count: int = 5) -> List[float]:
        readings: List[float] = []
        command = self.commanded()
        while len(readings) < count:  # pace() raises where none come
            self.pace()
            self.send(command)
            force = contact.read()
            if force is not None:
                readings.append(force)
        return readings

    def _arrive(self, stream: "_Stream", contact: Optional[Contact]) -> bool:
        limit = self.settings.goal_tolerance
        timeout = self.settings.settle_timeout if contact is None else self.settings.contact_settle_time
        end = self.clock.wall() + timeout

        def arrived() -> bool:
            return self.tracking_error(stream.command) < limit

        # Only both clocks together end the wait: commands may be under way for a while under a fast simulated clock.
        # The goal is held, not what commanded() says: an arm that lags far behind would be told to stay where it is.
        while not self.wait(arrived, timeout, stream.command):
            if self.clock.wall() >= end:
                break
        else:
            return True
        if contact is not None:
            # something below the threshold of contact holds the arm back
            stream.back_off(contact.height, self.settings.contact_backoff)
            return False
        errors = stream.command - self._joints.positions(self.side)
        worst = int(np.argmax(np.abs(errors)))
        force = self._limb.endpoint_effort()["force"]
        raise self.stopped_by(
            f"{self._names[worst]} stopped {errors[worst]:+.3f} rad from its goal at {stream.command[worst]:+.3f} rad "
            f"(tolerance {limit:g} rad); force at the hand ({force.x:.0f}, {force.y:.0f}, {force.z:.0f}) N; "
            f"all joints are off by {', '.join(f'{error:+.3f}' for error in errors)} rad"
        )

    def _look(self) -> None:
        if self.fault:
            raise RobotFault(f"the {self.side} arm waits for a person since this fault: {self.fault}")
        self._check_state()
        self._check_joints()
        for what, feed in self._watched.items():
            self._check_silence(what, feed, self.settings.state_timeout)

    def _check_state(self) -> None:
        state = self._state()
        if state is None:
            raise self.stopped_by("the robot's state is unknown: nothing on robot/state")
        if state.estop_button == state.ESTOP_BUTTON_PRESSED:
            raise self.stopped_by("the emergency stop is pressed")
        if state.stopped or state.error:
            raise self.stopped_by("the robot is stopped; reset and enable it")
        if not state.enabled:
            raise self.stopped_by("the robot is disabled")

    def _check_joints(self) -> None:
        if self._joints.positions(self.side) is None:
            raise self.stopped_by("no joint states on robot/joint_states")
        self._check_silence("joint states", self._joints, self.settings.joint_state_timeout)

    def _check_silence(self, what: str, feed, limit: float) -> None:
        silence = feed.silence()
        # a busy machine delivers late under a fast simulated clock; only both clocks together mean silence
        if silence > self.settings.clock_timeout or (silence > limit and feed.age() > limit):
            raise self.stopped_by(f"{what} stopped {silence:.2f} s ago")


class _Stream:
    """A position on a trajectory that is sent to an arm, one period at a time.

    Args:
        speed_ratio: of the trajectory's own pace.

    Attributes:
        samples: (n, 7) the path, GRID s of trajectory time apart (rad).
        command: (7,) what was sent last (rad).
    """

    def __init__(self, arm: Arm, trajectory, speed_ratio: float):
        self._arm, self._speed_ratio = arm, speed_ratio
        times = np.asarray(trajectory.times, float)
        count = max(int(np.ceil((times[-1] - times[0]) / GRID)), 1) + 1
        if len(times) > 1:
            spline = CubicHermiteSpline(times, trajectory.positions, trajectory.velocities)
            grid = np.minimum(times[0] + GRID * np.arange(count), times[-1])
            self.samples = spline(grid)  # (count, 7)
        else:
            self.samples = np.repeat(np.asarray(trajectory.positions, float), 2, axis=0)
        self._end = float(len(self.samples) - 1)  # in samples
        self._at = 0.0
        self._last: Optional[float] = None
        self.command = self.samples[0]

    @property
    def finished(self) -> bool:
        return self._at >= self._end

    def tick(self, rate: float = 1.0) -> None:
        """Advance by the ROS time that has passed, at most max_step, times the rate; send the command.

        Raises:
            RobotFault: the arm does not follow.
        """
        arm = self._arm
        arm.pace()
        now = arm.clock.now()
        elapsed = arm.settings.period if self._last is None else min(max(now - self._last, 0.0), arm.settings.max_step)
        self._last = now
        self._at = min(max(self._at + rate * self._speed_ratio * elapsed / GRID, 0.0), self._end)
        index = min(int(self._at), len(self.samples) - 2)
        fraction = self._at - index
        self.command = (1.0 - fraction) * self.samples[index] + fraction * self.samples[index + 1]
        arm.send(self.command)
        error = arm.path_error()
        if error > arm.settings.tracking_tolerance:
            limit = arm.settings.tracking_tolerance
            raise arm.stopped_by(f"the {arm.side} arm is {error:.2f} rad off its path (tolerance {limit:g} rad)")

    def slow_down(self, seconds: float) -> None:
        """Come to rest on the path, the speed falling linearly within some ROS time."""
        start = self._arm.clock.now()
        while not self.finished:
            rate = 1.0 - (self._arm.clock.now() - start) / seconds
            if rate <= 0.0:
                return
            self.tick(rate)

    def back_off(self, height: Callable, distance: float) -> None:
        """Go back on the path until the command is `distance` (m) above where the arm is."""
        target = height(self._arm.q()) + distance
        goal = int(self._at)
        while goal > 0 and height(self.samples[goal]) < target:
            goal -= 1
        while self._at > goal:
            self.tick(rate=-1.0)
