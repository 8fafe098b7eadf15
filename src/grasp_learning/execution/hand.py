"""A gripper behind baxter_interface.Gripper: open, close, calibrate and read, each within a deadline."""

from typing import Callable, List, Tuple

from pydantic import Field

from grasp_learning.config import Settings
from grasp_learning.execution.faults import RobotFault, SensorFault
from grasp_learning.execution.task import Task
from grasp_learning.labelling import GripperSample, LabelRule, untrustworthy


class HandSettings(Settings):
    """How the gripper is driven and read; config/arm_executor.yaml says what each key means."""

    velocity: float = Field(50.0, gt=0, le=100)
    moving_force: float = Field(40.0, gt=0, le=100)
    holding_force: float = Field(30.0, gt=0, le=100)
    begin_timeout: float = Field(1.0, gt=0)
    move_timeout: float = Field(3.0, gt=0)
    steady_time: float = Field(0.15, gt=0)
    steady_band: float = Field(1.0, gt=0, le=100)
    open_position: float = Field(80.0, gt=0, le=100)
    confirms: bool = True
    configure_timeout: float = Field(2.0, gt=0)
    calibrate_timeout: float = Field(8.0, gt=0)
    sdk_timeout: float = Field(20.0, gt=0)
    state_timeout: float = Field(1.0, gt=0)
    read_time: float = Field(0.2, gt=0)


class Hand:
    """One gripper.

    Args:
        gripper: baxter_interface.Gripper of the side, or one that behaves like it.
        feed: a GripperFeed.
        wait: ``wait(condition, timeout) -> bool``: what the arm does while the fingers move.
        clock: a RosClock.
        task: how the gripper's blocking calls are run: beside the caller, so that they can be given up.
    """

    def __init__(
        self, gripper, feed, wait: Callable, clock, settings: HandSettings, task: Callable[[Callable, str], Task] = Task
    ):
        self.settings = settings
        self._task = task
        self._gripper, self._feed, self._wait, self._clock = gripper, feed, wait, clock
        self._configured = False
        self._before: Tuple[Tuple[str, int], float] = (("", 0), 0.0)  # what the state said before the last command

    def prepare(self) -> None:
        """Calibrate the gripper if it is not, and set its parameters.

        Raises:
            SensorFault: no state, an error that stays, a calibration that failed, or parameters not confirmed.
        """
        self._fresh(error_allowed=True)
        if self._gripper.error():
            self._bounded(lambda: self._gripper.reset(block=True), "resetting the gripper")
            if self._gripper.error():
                raise SensorFault("the gripper is in an error state that a reset does not clear")
        if not self._gripper.calibrated():
            timeout = self.settings.calibrate_timeout
            self._bounded(lambda: self._gripper.calibrate(block=True, timeout=timeout), "calibrating the gripper")
            if not self._gripper.calibrated():
                raise SensorFault(f"the gripper could not be calibrated within {timeout:g} s; is anything in its way?")
            self._configured = False  # a calibration sets the defaults again
        if not self._configured:
            self._configure()
            self._configured = True

    def _configure(self) -> None:
        """Set the parameters and have them confirmed: with other forces, labels would mean something else."""
        keys, timeout = ("velocity", "moving_force", "holding_force"), self.settings.configure_timeout
        self._gripper.set_parameters({key: getattr(self.settings, key) for key in keys})
        if not self.settings.confirms:
            return  # to wait for an echo that never comes would only take time
        begin = self._clock.now()
        # set_parameters sends one message; a blocking command is sent again until the state echoes it
        self._bounded(
            lambda: self._gripper.command("configure", block=True, timeout=timeout, args=self._gripper.parameters()),
            "setting the gripper's parameters",
        )
        # the SDK does not say whether it saw the echo, but only without it the whole time passes; a gripper that has
        # never echoed anything (as in some simulators) is taken at its word
        if self._clock.now() - begin >= timeout and self._feed.echo()[0]:
            raise SensorFault(f"the gripper did not confirm its parameters within {timeout:g} s")

    def start_open(self) -> None:
        """Begin to open; does not wait.

        Raises:
            SensorFault: the gripper is not calibrated.
        """
        self._command(self._gripper.open)

    def start_close(self) -> None:
        """Begin to close; does not wait.

        Raises:
            SensorFault: as start_open.
        """
        self._command(self._gripper.close)

    def wait_open(self) -> None:
        """Hold the arm still until the fingers are open and rest.

        Raises:
            SensorFault: they do not open in time.
        """
        opened = self.settings.open_position
        if not self._wait(lambda: self._fresh().position >= opened, self.settings.move_timeout):
            position = self._fresh().position
            raise SensorFault(f"the gripper did not open: position {position:.0f} %, expected {opened:g} % or more")

    def wait_closed(self) -> bool:
        """Hold the arm still until the fingers rest, on an object or closed.

        Returns:
            False where they still crept at the deadline, as when they press on something that gives way: they are
            as closed as they get, and the reading after the lift decides.

        Raises:
            SensorFault: they never began to move, or their state is old or nonsense.
        """
        self._wait_begun()
        first = self._fresh()
        steady = [first.position, self._clock.now() - first.age]

        def at_rest() -> bool:
            sample = self._fresh()
            # by the states' own times: none for a while is no rest
            stamp = self._clock.now() - sample.age
            if abs(sample.position - steady[0]) > self.settings.steady_band or self._feed.moving():
                steady[:] = [sample.position, stamp]
            # some simulators never say "moving": a steady position decides
            return stamp - steady[1] >= self.settings.steady_time

        rests = self._wait(at_rest, self.settings.move_timeout)
        problem = untrustworthy(self._fresh(), self.settings.state_timeout)
        if problem:
            raise SensorFault(problem)
        return rests

    def _wait_begun(self) -> None:
        """Hold the arm still until the fingers move, or have taken the command and still rest: they are there.

        Raises:
            SensorFault: neither, in time.
        """
        echo, position = self._before
        timeout = self.settings.begin_timeout

        def begun() -> bool:
            sample = self._fresh()
            grips = bool(sample.gripping) and self._feed.echo() != echo
            return grips or abs(sample.position - position) > self.settings.steady_band or self._feed.moving()

        # messages may be under way for a while under a fast simulated clock: only both clocks together end the wait
        end = self._clock.wall() + timeout
        while not self._wait(begun, timeout):
            if self._feed.echo() != echo:
                return
            if self._clock.wall() >= end:
                raise SensorFault(f"the gripper did not begin to close within {timeout:g} s; is its driver running?")

    def read(self) -> List[GripperSample]:
        """Samples of the gripper's state over the reading time, the arm held still."""
        samples: List[GripperSample] = []

        def take() -> bool:
            sample = self._feed.sample()
            if sample is not None:
                samples.append(sample)
            return False

        self._wait(take, self.settings.read_time)
        return samples

    def holds_something(self, rule: LabelRule) -> bool:
        """Whether something may be between the closed fingers; in doubt, by force, yes."""
        sample = self._fresh()
        if rule.method == "position":
            return rule.holds(sample.force, sample.position, bool(sample.gripping))
        return self.is_pressed(rule.force_threshold)

    def is_pressed(self, force: float) -> bool:
        """Whether the gripper says that it grips, or that it presses with a force (percent) or more."""
        sample = self._fresh()
        return bool(sample.gripping) or sample.force >= force

    def _command(self, command: Callable) -> None:
        self._before = (self._feed.echo(), self._fresh().position)
        if not command():
            raise SensorFault("the gripper refused to move: it is not calibrated")

    def _bounded(self, call: Callable, what: str):
        return bounded(call, self.settings.sdk_timeout, what, self._task)

    def _fresh(self, error_allowed: bool = False) -> GripperSample:
        sample = self._feed.sample()
        if sample is None:
            raise SensorFault("the gripper sends no state; is it attached?")
        if sample.age > self.settings.state_timeout:
            raise SensorFault(f"the gripper's state is {sample.age:.2f} s old; has its driver died?")
        if sample.error and not error_allowed:
            raise SensorFault("the gripper reports an error")
        return sample


def bounded(call: Callable, timeout: float, what: str, make_task: Callable[[Callable, str], Task] = Task):
    """Run a blocking call of the SDK in a thread of its own; its result.

    Raises:
        RobotFault: it raised, or did not return within timeout s (wall clock), as happens when /clock dies.
    """
    task = make_task(call, what)
    if not task.wait(timeout):
        raise RobotFault(f"{what} did not end within {timeout:g} s")
    try:
        return task.result()
    except OSError as error:  # what the SDK raises
        raise RobotFault(f"{what} failed: {error}") from None
