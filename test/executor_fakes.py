"""A robot without ROS for the executor's tests: it follows commands ideally, in a time that only waits advance."""

from types import SimpleNamespace
from typing import Callable, List, Tuple

import numpy as np

from grasp_learning.labelling import GripperSample
from grasp_learning.robot_description import NEUTRAL, arm_joints


class FakeClock:
    """Time that passes only in sleep(); hooks run after each sleep."""

    def __init__(self, tick: float = 0.01):
        self.time, self.tick = 100.0, tick
        self.hooks: List[Callable[[], None]] = []

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += max(seconds, self.tick)
        for hook in list(self.hooks):
            hook()


class FakeRobot:
    """Both arms' joints and the robot's state; joints jump to each command unless they are blocked."""

    def __init__(self, clock: FakeClock):
        self.clock = clock
        self.positions_of = {side: np.array(NEUTRAL) for side in ("left", "right")}
        self.state = SimpleNamespace(enabled=True, stopped=False, error=False, estop_button=0, ESTOP_BUTTON_PRESSED=1)
        self.frozen_at = None
        self.blocked = False
        self.lag = 0.0
        self.force_z = 0.0
        self.commands: List[Tuple[float, np.ndarray]] = []

    # the Limb
    def limb(self, side: str):
        def set_joint_positions(positions, raw=False):
            assert raw, "the executor streams raw positions"
            q = np.array([positions[name] for name in arm_joints(side)])
            self.commands.append((self.clock.time, q))
            if not self.blocked:
                self.positions_of[side] = q - self.lag

        return SimpleNamespace(
            set_joint_positions=set_joint_positions,
            set_command_timeout=lambda seconds: None,
            endpoint_effort=lambda: {"force": SimpleNamespace(x=0.0, y=0.0, z=self.force_z)},
        )

    # the JointFeed
    def positions(self, side: str) -> np.ndarray:
        return self.positions_of[side]

    def age(self) -> float:
        return 0.0 if self.frozen_at is None else self.clock.time - self.frozen_at

    silence = age

    def press_estop(self) -> None:
        self.state.enabled, self.state.stopped, self.state.estop_button = False, True, 1


class FakeGripper:
    """Gripper, its feed, and an object of a width (percent of travel) between the fingers, or None.

    Attributes:
        delay: time (s) after a command until the fingers begin to move.
        creep: percent of travel by which a pressed object gives way each tick.
        echoes: False is a gripper that never says which command it took.
        feels: False is a gripper whose force and flags stay 0, as in Gazebo.
        lost: so many messages that are still to be lost on their way.
        failed: an error that a reset does not clear.
    """

    def __init__(self, clock: FakeClock):
        self.clock = clock
        self.is_calibrated, self.can_calibrate = True, True
        self.target, self.value = 100.0, 100.0
        self.object_width = None
        self.force_on_object, self.age = 35.0, 0.0
        self.stuck = self.failed = False
        self.delay, self.creep, self.echoes, self.lost = 0.0, 0.0, True, 0
        self.feels = True
        self.sequence, self.echoed, self.begin = 0, ("", 0), 0.0
        self.parameters_taken, self.sent = {}, {}
        self.log: List[str] = []
        clock.hooks.append(self._move)

    def _move(self) -> None:
        if self.stuck or self.clock.time < self.begin:
            return
        low = self.object_width if self.object_width is not None else 0.0
        step = np.clip(max(self.target, low) - self.value, -4.0, 4.0)
        self.value += step
        if self.grips:
            self.object_width -= self.creep
            self.value = self.object_width

    def _receive(self, name: str) -> bool:
        """Whether a message arrives."""
        if self.lost > 0:
            self.lost -= 1
            return False
        if self.echoes:
            self.echoed = (f"node_{name}", self.sequence)
        return True

    @property
    def grips(self) -> bool:
        return self.object_width is not None and self.target < self.object_width >= self.value

    # baxter_interface.Gripper
    def open(self) -> bool:
        return self._go(100.0, "open")

    def close(self) -> bool:
        return self._go(0.0, "close")

    def _go(self, target: float, name: str) -> bool:
        self.log.append(name)
        self.sequence += 1
        if self.is_calibrated and self._receive("go"):
            self.target, self.begin = target, self.clock.time + self.delay
        return self.is_calibrated

    def command(self, cmd, block=False, test=lambda: True, timeout=0.0, args=None) -> bool:
        """A blocking one is sent again and again until it is echoed."""
        self.sequence += 1
        end = self.clock.time + timeout
        while True:
            if self._receive(cmd) and cmd == "configure":
                self.parameters_taken = dict(args)
            if not block or self.echoed[1] == self.sequence or self.clock.time >= end:
                return test()
            self.clock.sleep(0.01)

    def calibrated(self) -> bool:
        return self.is_calibrated

    def calibrate(self, block=True, timeout=5.0) -> bool:
        self.log.append("calibrate")
        self.is_calibrated = self.can_calibrate
        return self.is_calibrated

    def error(self) -> bool:
        return self.failed

    def reset(self, block=True) -> bool:
        return not self.failed

    def set_parameters(self, parameters) -> bool:
        self.sent.update(parameters)
        return self.command("configure", args=self.sent)

    def parameters(self) -> dict:
        return dict(self.sent)

    # GripperFeed
    def sample(self) -> GripperSample:
        felt = self.grips and self.feels
        force = self.force_on_object if felt else 0.0
        return GripperSample(force, self.value, felt, self.is_calibrated, self.age, self.failed)

    def echo(self) -> Tuple[str, int]:
        return self.echoed

    def moving(self) -> bool:
        return False  # as in simulators that never say so
