"""A gripper behind baxter_interface.Gripper: open, close, calibrate and read, each within a deadline."""

from typing import Callable, List

from grasp_learning.config import Settings
from grasp_learning.labelling import GripperSample
from grasp_learning.ros.background import Task
from grasp_learning.ros.faults import RobotFault, SensorFault


class HandSettings(Settings):
    """How the gripper is driven and read; config/arm_executor.yaml says what each key means."""

    velocity: float = 50.0
    moving_force: float = 40.0
    holding_force: float = 30.0
    move_timeout: float = 3.0
    steady_time: float = 0.15
    steady_band: float = 1.0
    open_position: float = 80.0
    calibrate_timeout: float = 8.0
    sdk_timeout: float = 20.0
    state_timeout: float = 1.0
    read_time: float = 0.2


class Hand:
    """One gripper.

    Args:
        gripper: baxter_interface.Gripper of the side, or one that behaves like it.
        feed: a GripperFeed.
        wait: ``wait(condition, timeout) -> bool``: what the arm does while the fingers move.
        clock: a RosClock.
    """

    def __init__(self, gripper, feed, wait: Callable, clock, settings: HandSettings):
        self.settings = settings
        self._gripper, self._feed, self._wait, self._clock = gripper, feed, wait, clock
        self._configured = False

    def prepare(self) -> None:
        """Calibrate the gripper if it is not, and set its parameters.

        Raises:
            SensorFault: no state, an error that stays, or a calibration that failed.
        """
        self._fresh()
        if self._gripper.error():
            bounded(lambda: self._gripper.reset(block=True), self.settings.sdk_timeout, "resetting the gripper")
            if self._gripper.error():
                raise SensorFault("the gripper is in an error state that a reset does not clear")
        if not self._gripper.calibrated():
            timeout = self.settings.calibrate_timeout
            bounded(
                lambda: self._gripper.calibrate(block=True, timeout=timeout),
                self.settings.sdk_timeout,
                "calibrating the gripper",
            )
            if not self._gripper.calibrated():
                raise SensorFault(f"the gripper could not be calibrated within {timeout:g} s; is anything in its way?")
            self._configured = False  # a calibration sets the defaults again
        if not self._configured:
            keys = ("velocity", "moving_force", "holding_force")
            self._gripper.set_parameters({key: getattr(self.settings, key) for key in keys})
            self._configured = True

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

    def wait_closed(self) -> None:
        """Hold the arm still until the fingers rest, on an object or closed.

        Raises:
            SensorFault: they still move at the deadline, or their state is old.
        """
        last = [self._fresh().position, self._clock.now()]

        def at_rest() -> bool:
            position, now = self._fresh().position, self._clock.now()
            if abs(position - last[0]) > self.settings.steady_band or self._feed.moving():
                last[:] = [position, now]
            # some simulators never say "moving": a steady position decides
            return now - last[1] >= self.settings.steady_time

        if not self._wait(at_rest, self.settings.move_timeout):
            raise SensorFault(f"the gripper still moved {self.settings.move_timeout:g} s after the command to close")

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

    def holds_something(self, force: float) -> bool:
        """Whether the gripper says that it grips or presses with a force (percent) or more."""
        sample = self._fresh()
        return bool(sample.gripping) or sample.force >= force

    def _command(self, command: Callable) -> None:
        self._fresh()
        if not command():
            raise SensorFault("the gripper refused to move: it is not calibrated")

    def _fresh(self) -> GripperSample:
        sample = self._feed.sample()
        if sample is None:
            raise SensorFault("the gripper sends no state; is it attached?")
        if sample.age > self.settings.state_timeout:
            raise SensorFault(f"the gripper's state is {sample.age:.2f} s old; has its driver died?")
        return sample


def bounded(call: Callable, timeout: float, what: str):
    """Run a blocking call of the SDK in a thread of its own; its result.

    Raises:
        RobotFault: it raised, or did not return within timeout s (wall clock), as happens when /clock dies.
    """
    task = Task(call, what)
    if not task.wait(timeout):
        raise RobotFault(f"{what} did not end within {timeout:g} s")
    try:
        return task.result()
    except OSError as error:  # what the SDK raises
        raise RobotFault(f"{what} failed: {error}") from None
