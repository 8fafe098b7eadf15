"""The trial protocol and its vocabulary: outcomes, regions, grasps, and the workcell on which a trial runs.

Section III.A of the paper: a region with an object, 25 cm above it, a point and an angle in the wrist image,
a pick, a lift of 20 cm, and a label from the gripper's force. The protocol is :func:`run_trial`; whoever
implements :class:`Workcell` (over ROS, or in-process on the simulator) can run it.
"""

import abc
import enum
from dataclasses import dataclass, field
from typing import Any, Dict, Generic, List, Optional, Tuple, TypeVar

import numpy as np

ARMS = ("left", "right")


class Outcome(str, enum.Enum):
    """How a step or a trial ended. SUCCESS and FAILURE are labels; the others never become training data."""

    SUCCESS = "SUCCESS"  # of a trial: the gripper held an object; of a step: it did what was asked
    FAILURE = "FAILURE"  # the grasp was executed and held nothing
    NO_OBJECTS = "NO_OBJECTS"  # nothing on the table
    UNREACHABLE = "UNREACHABLE"  # something is there, but not for this arm
    PLANNING_FAILED = "PLANNING_FAILED"  # no path within the planner's time
    SENSOR_FAULT = "SENSOR_FAULT"  # a camera or the gripper sent nothing, or nonsense
    ROBOT_FAULT = "ROBOT_FAULT"  # disabled, e-stopped, off its path, or not answering
    ABORTED = "ABORTED"  # the person or the program stopped it

    @property
    def is_label(self) -> bool:
        """Whether a trial with this outcome may become training data."""
        return self in (Outcome.SUCCESS, Outcome.FAILURE)

    def __str__(self) -> str:
        return self.value


class PlaceOutcome(str, enum.Enum):
    """What became of a held object that an arm was to put into its bin. The trial's label does not depend on it."""

    PLACED = "PLACED"  # it was let go of over the bin
    LOST = "LOST"  # the gripper was empty when the arm came to the bin
    STUCK = "STUCK"  # it was opened over the bin, but something still presses on the open fingers
    UNREACHABLE = "UNREACHABLE"  # the arm cannot take up a posture over the bin; the object was put back
    PLANNING_FAILED = "PLANNING_FAILED"  # no path there; the object was put back
    SENSOR_FAULT = "SENSOR_FAULT"  # the gripper sent nothing or did not open
    ROBOT_FAULT = "ROBOT_FAULT"  # disabled, e-stopped, off its path, or not answering, on the way

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Placing:
    """How the attempt to put a held object into a bin ended; the message is for a person."""

    outcome: PlaceOutcome
    message: str = ""


@dataclass(frozen=True)
class Region:
    """An area of the table with an object in it.

    Attributes:
        arm: the arm that can reach it.
        stamp: time of the Kinect image (s).
        center: (3,) point on the table's plane, base frame (m).
        height: of the tallest point above the table (m).
        outline: (n, 2) convex outline on the table's plane, base frame (m).
        box: (u, v, width, height) in the Kinect image (px).
    """

    arm: str
    stamp: float
    center: np.ndarray
    height: float
    outline: np.ndarray
    box: tuple


@dataclass(frozen=True)
class Grasp:
    """A planar grasp; see Grasp.msg, whose fields these are.

    Attributes:
        u, v: grasp point in the wrist image (px).
        x, y, z: point between the fingertips, base frame (m).
        theta, theta_image: closing direction about base z, and in the image, in [0, pi).
        bin: angle bin of theta_image.
        patch_size: side of the square patch around (u, v) (px).
        sampler: "random", "importance" or "best".
        score: the model's probability of success; NaN in random mode.
    """

    arm: str
    stamp: float
    u: float
    v: float
    x: float
    y: float
    z: float
    theta: float
    theta_image: float
    bin: int
    patch_size: int
    sampler: str = "random"
    score: float = float("nan")


@dataclass(frozen=True)
class PickReading:
    """What the gripper said at the top of the lift, and the simulator's truth where there is one.

    Attributes:
        force: percent of the gripper's maximum.
        position: percent of its travel, 0 closed.
        gripping: its own flag.
        contact: the descent was stopped by contact.
        truth_known, truth_held, truth_object, truth_near: see Trial.msg.
    """

    force: float
    position: float
    gripping: bool
    contact: bool = False
    truth_known: bool = False
    truth_held: bool = False
    truth_object: str = ""
    truth_near: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Prior:
    """What a model thought of the places it looked at; see GraspPrior.msg (paper, section III.D).

    Attributes:
        model, model_sha256: file name and checksum of the checkpoint.
        patch_size: side of the patches (px).
        places: (n, 2) pixels (u, v).
        probabilities: (n, 18) of success at each place and angle bin.
        place, bin: the entry that was chosen.
    """

    model: str
    model_sha256: str
    patch_size: int
    places: np.ndarray
    probabilities: np.ndarray
    place: int
    bin: int


Value = TypeVar("Value")


@dataclass(frozen=True)
class Step(Generic[Value]):
    """Result of one step of a trial.

    Attributes:
        outcome: SUCCESS (or FAILURE, for a pick that held nothing) when the step was carried out.
        message: for a person; why it was not carried out.
        value: what the step yields, where it was carried out.
        images: pictures the step took, by name, in the workcell's own form; the recorder takes them as they are.
        prior: of a guided grasp.
        placing: of a pick whose object was to be put into a bin, where one was held.
        fault: why the arm stands still until a person has seen to it, whatever the outcome; empty where it does not.
    """

    outcome: Outcome
    message: str = ""
    value: Optional[Value] = None
    images: Dict[str, Any] = field(default_factory=dict)
    prior: Optional[Prior] = None
    placing: Optional[Placing] = None
    fault: str = ""


@dataclass
class Trial:
    """Everything that is known of one trial; see Trial.msg, whose fields these are, but for the last one.

    Attributes:
        fault: of the robot in this trial, also where the label stands; empty where there was none.
    """

    arm: str
    mode: str
    stage: int
    start: float
    end: float = 0.0
    outcome: Outcome = Outcome.ABORTED
    detail: str = ""
    region: Optional[Region] = None
    grasp: Optional[Grasp] = None
    reading: Optional[PickReading] = None
    put_back: List[str] = field(default_factory=list)
    model: str = ""
    model_sha256: str = ""
    images: Dict[str, Any] = field(default_factory=dict)
    prior: Optional[Prior] = None
    placing: Optional[Placing] = None
    fault: str = ""


class Workcell(abc.ABC):
    """A robot, its table and its cameras, as the trial protocol sees them.

    No method raises for what the world does: each ends within its own deadline in a typed :class:`Step`.
    """

    @abc.abstractmethod
    def now(self) -> float:
        """Time of the robot (s)."""

    @abc.abstractmethod
    def put_back_objects(self) -> List[str]:
        """Put objects that left the table back onto it; their names. Empty where nobody can do that."""

    @abc.abstractmethod
    def sample_region(self, arm: str) -> "Step[Region]":
        """A random region that the arm can reach."""

    @abc.abstractmethod
    def approach(self, region: Region) -> "Step[None]":
        """Bring the arm 25 cm above the region."""

    @abc.abstractmethod
    def sample_grasp(self, region: Region) -> "Step[Grasp]":
        """Choose a grasp in the wrist image."""

    @abc.abstractmethod
    def pick(self, grasp: Grasp) -> "Step[PickReading]":
        """Grasp, lift, read the gripper, put the object back (or into a bin), clear the table."""


def run_trial(workcell: Workcell, arm: str, mode: str = "random", stage: int = 0) -> Trial:
    """Run one trial of the protocol of section III.A with one arm.

    Returns:
        The trial; its outcome is a label only if the grasp was executed and the gripper was read.
    """
    trial = Trial(arm=arm, mode=mode, stage=stage, start=workcell.now())
    trial.put_back = workcell.put_back_objects()
    _run_steps(workcell, trial)
    trial.end = workcell.now()
    return trial


def _run_steps(workcell: Workcell, trial: Trial) -> None:
    def done(step: Step) -> bool:
        trial.outcome, trial.detail = step.outcome, step.message
        # a robot that stops after the reading, or while it clears the table, leaves the outcome as it is
        trial.fault = step.fault
        if step.outcome is Outcome.ROBOT_FAULT:
            trial.fault = step.message or str(step.outcome)
        trial.images.update(step.images)
        return step.outcome is Outcome.SUCCESS

    region = workcell.sample_region(trial.arm)
    trial.region = region.value
    if not done(region):
        return
    if not done(workcell.approach(region.value)):
        return
    grasp = workcell.sample_grasp(region.value)
    trial.grasp, trial.prior = grasp.value, grasp.prior
    if grasp.prior is not None:
        trial.model, trial.model_sha256 = grasp.prior.model, grasp.prior.model_sha256
    if not done(grasp):
        return
    pick = workcell.pick(grasp.value)
    trial.reading, trial.placing = pick.value, pick.placing
    done(pick)
