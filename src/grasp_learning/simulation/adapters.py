"""What the arm's execution asks of a robot, answered by a simulated one in the same process.

The names are those of Baxter's SDK and of the feeds of its topics. Time advances only where the execution sleeps, so
everything happens in one thread and in the same order every time.
"""

import math
from types import SimpleNamespace
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

import numpy as np

from grasp_learning.labelling import GripperSample
from grasp_learning.sim.gripper import SimulatedGripper

TICK = 0.01  # s of simulated time: the robot's control period
CALIBRATION_TIME = 8.0  # s, at most


class SimulatedClock:
    """The simulation's time, which only sleeping advances.

    Args:
        time: returns it (s).
        tick: advances the simulation by one control period.
    """

    def __init__(self, time: Callable[[], float], tick: Callable[[], None]):
        self.now = time
        self.wall = time  # a slow machine must not change what happens
        self._tick = tick

    def sleep(self, seconds: float) -> None:
        """Advance by whole control periods."""
        for _ in range(math.ceil(seconds / TICK - 1e-6)):
            self._tick()


class Joints:
    """Measured joints, always fresh.

    Args:
        read: returns the joints of a side.
    """

    def __init__(self, read: Callable[[str], np.ndarray]):
        self.positions = read

    def age(self) -> float:
        """Of the readings (s)."""
        return 0.0

    silence = age


class LimbAdapter:
    """baxter_interface.Limb as far as the execution uses it.

    Args:
        command: takes joint positions by name.
        wrench: returns (6,) force and torque at the endpoint.
    """

    def __init__(self, command: Callable[[Mapping[str, float]], None], wrench: Callable[[], np.ndarray]):
        self._command, self._wrench = command, wrench

    def set_joint_positions(self, positions: Mapping[str, float], raw: bool = False) -> None:
        """Command joints; the execution streams raw positions only."""
        if not raw:
            raise ValueError("only raw positions are taken")
        self._command(positions)

    def set_command_timeout(self, seconds: float) -> None:
        """Nothing: commands and simulation take turns, none can be late."""

    def endpoint_effort(self) -> Dict[str, SimpleNamespace]:
        """Force (N) at the endpoint."""
        x, y, z = self._wrench()[:3].tolist()
        return {"force": SimpleNamespace(x=x, y=y, z=z)}


class GripperAdapter:
    """baxter_interface.Gripper and the feed of its state.

    Args:
        sleep: advances the simulation by some seconds.
    """

    SENDER = "/simulation"

    def __init__(self, gripper: SimulatedGripper, sleep: Callable[[float], None]):
        self._gripper, self._sleep = gripper, sleep
        self._parameters: Dict[str, float] = {}
        self._sequence = 0

    # --- the SDK's ---

    def error(self) -> bool:
        """Whether it has a fault; the simulated one never has."""
        return False

    def calibrated(self) -> bool:
        """Whether it knows where its fingers are."""
        return self._gripper.calibrated

    def calibrate(self, block: bool = True, timeout: float = CALIBRATION_TIME) -> None:
        """Open and close once; waits for the end."""
        self.command("calibrate")
        ticks = int(timeout / TICK)
        while not self._gripper.calibrated and ticks > 0:
            self._sleep(TICK)
            ticks -= 1

    def set_parameters(self, parameters: Mapping[str, float]) -> None:
        """Velocity and forces (percent)."""
        self._parameters.update(parameters)

    def parameters(self) -> Dict[str, float]:
        """What was set."""
        return dict(self._parameters)

    def command(
        self, name: str, block: bool = False, timeout: float = 0.0, args: Optional[Mapping[str, Any]] = None
    ) -> bool:
        """Send a command; it is there at once."""
        self._sequence += 1
        self._gripper.command(name, args, f"{self.SENDER}/{name}", self._sequence)
        return True

    def open(self) -> bool:
        """Begin to open; False where it is not calibrated."""
        return self.calibrated() and self.command("go", args={"position": 100.0})

    def close(self) -> bool:
        """Begin to close; False where it is not calibrated."""
        return self.calibrated() and self.command("go", args={"position": 0.0})

    # --- the feed's ---

    def sample(self) -> GripperSample:
        """Its present state."""
        gripper = self._gripper
        return GripperSample(gripper.force, gripper.position, gripper.gripping, gripper.calibrated)

    def echo(self) -> Tuple[str, int]:
        """Sender and sequence of the last command that it took."""
        state = self._gripper.state
        return state.command_sender, state.command_sequence

    def moving(self) -> bool:
        """Whether its fingers move."""
        return self._gripper.moving
