"""What carries the gripper in an in-process workcell: the seam between the protocol and the kinds of robot."""

import abc
import logging
from types import SimpleNamespace
from typing import Callable, Dict, List, Optional, Tuple

import numpy as np
from pydantic import Field

from grasp_learning.config import Settings
from grasp_learning.execution.arm import Arm, ArmSettings
from grasp_learning.execution.hand import Hand, HandSettings
from grasp_learning.execution.pick_sequence import PickSequence, SequenceSettings
from grasp_learning.execution.task import InlineTask
from grasp_learning.geometry import Camera
from grasp_learning.motion.settings import MotionSettings
from grasp_learning.sim.world import SimulationDiverged, World
from grasp_learning.simulation.adapters import TICK, GripperAdapter, SimulatedClock

log = logging.getLogger(__name__)

RECOVERIES = 5  # in one tick; a robot that still cannot go on is lost
NEAR = 0.15  # m: objects so near to a grasp are named with its reading

ENABLED = SimpleNamespace(
    enabled=True, stopped=False, error=False, estop_button=0, ESTOP_BUTTON_PRESSED=1
)  # the AssemblyState of a robot that nobody stops


class RigSettings(Settings):
    """How the robot moves, with the keys of config/arm_executor.yaml and config/motion.yaml."""

    planner: str = "ompl"
    near: float = Field(NEAR, gt=0)
    streaming: ArmSettings = ArmSettings()
    gripper: HandSettings = HandSettings()
    sequence: SequenceSettings = SequenceSettings()
    motion: MotionSettings = MotionSettings()


class Rig(abc.ABC):
    """A robot in a world, and the motions of a trial for each arm.

    Args:
        settings: how it moves.
        take_picture: returns a picture of an arm's wrist camera, or None where nobody wants one.

    Attributes:
        sequences: the :class:`PickSequence` of each arm that was used.
    """

    def __init__(self, world: World, settings: RigSettings, take_picture: Callable[[str], Optional[np.ndarray]]):
        self.world, self.settings = world, settings
        self._take_picture = take_picture
        self._clock = SimulatedClock(lambda: world.time, self.tick)
        self._grippers: Dict[str, GripperAdapter] = {}
        self._sequences: Dict[str, Tuple[Arm, Hand, PickSequence]] = {}

    # --- what a kind of robot decides ---------------------------------------------------------------------------

    @abc.abstractmethod
    def hand_of(self, arm: str) -> str:
        """Side of the hand in the world that does an arm's work."""

    @abc.abstractmethod
    def update(self) -> None:
        """Advance the robot by one control period.

        Raises:
            SimulationDiverged: the state is no longer usable.
        """

    @abc.abstractmethod
    def stuck_objects(self) -> List[str]:
        """Objects that hang in an open gripper."""

    @abc.abstractmethod
    def arms_mask(self, camera: Camera) -> Optional[np.ndarray]:
        """Where arms stand in a picture of the Kinect; None where they cannot."""

    @abc.abstractmethod
    def _simulated_gripper(self, side: str):
        """The gripper of a side."""

    @abc.abstractmethod
    def _make_arm(self, arm: str, clock: SimulatedClock) -> Arm:
        """The execution's side of an arm."""

    @abc.abstractmethod
    def _make_motions(self, arm: str):
        """Where the arm can go and how, as execution.motions.Motions."""

    @abc.abstractmethod
    def _neutral(self, arm: str) -> np.ndarray:
        """Joints beside the table."""

    # --- what is the same for all ---------------------------------------------------------------------------------

    def tick(self) -> None:
        """One control period; objects that went wrong in it are taken off the table, and no arm jumps.

        Raises:
            SimulationDiverged: the robot itself is lost.
        """
        for attempt in range(RECOVERIES):
            try:
                self.update()
                return
            except SimulationDiverged as error:
                if attempt == RECOVERIES - 1:
                    raise
                log.warning("the simulation diverged: %s. Objects that did lie beside the table now", error)
                self.world.restore(error.objects)

    def sleep(self, seconds: float) -> None:
        """Let some simulated time pass."""
        self._clock.sleep(seconds)

    def gripper(self, side: str) -> GripperAdapter:
        """The gripper of a hand."""
        if side not in self._grippers:
            self._grippers[side] = GripperAdapter(self._simulated_gripper(side), self.sleep)
        return self._grippers[side]

    def sequence(self, arm: str) -> PickSequence:
        """The motions of a trial with an arm."""
        return self._parts(arm)[2]

    def wait_until_fingers_rest(self, arm: str, timeout: float = 3.0) -> None:
        """Hold still until the fingers do not move: the pictures of all kinds of robot show them alike."""
        gripper = self.gripper(self.hand_of(arm))
        self._parts(arm)[0].wait(lambda: not gripper.moving(), timeout)

    def _parts(self, arm: str) -> Tuple[Arm, Hand, PickSequence]:
        if arm not in self._sequences:
            settings, side, clock = self.settings, self.hand_of(arm), self._clock
            gripper, body = self.gripper(side), self._make_arm(arm, clock)
            hand = Hand(gripper, gripper, body.wait, clock, settings.gripper, task=InlineTask)
            sequence = PickSequence(
                body,
                hand,
                self._make_motions(arm),
                lambda: self._take_picture(arm),
                lambda: self._truth(side),
                lambda phase: None,
                settings.sequence,
                near=self._near,
                task=InlineTask,
                neutral=self._neutral(arm),
            )
            self._sequences[arm] = (body, hand, sequence)
        return self._sequences[arm]

    def _truth(self, side: str) -> Tuple[bool, bool, str]:
        name = self.world.held(side)
        return True, name is not None, name or ""

    def _near(self, x: float, y: float) -> List[str]:
        return [name for name, _ in self.world.objects_near(x, y, self.settings.near)]

    @property
    def period(self) -> float:
        """Of control (s)."""
        return TICK
