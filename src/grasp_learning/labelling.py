"""The label of a grasp: what the gripper says after the lift (paper, section III.A).

A grasp succeeded if the gripper's force reading reaches a threshold while its own ``gripping`` flag is set. Where a
gripper measures no force, as in Rethink's Gazebo simulation, the fingers' position decides: a held object stops them
short of their closed position. A reading that is missing, stale, uncalibrated or impossible gives no label at all: it
must not become training data.
"""

import math
from dataclasses import dataclass
from typing import Literal, Optional, Sequence

from grasp_learning.trial import Outcome

LabelMethod = Literal["force", "position"]


@dataclass(frozen=True)
class GripperSample:
    """One state message of the gripper.

    Attributes:
        force: percent of the gripper's maximum.
        position: percent of its travel, 0 closed.
        gripping, calibrated: its own flags; None where the gripper says "unknown".
        age: time since the sample was received (s).
        error: the gripper says that it failed.
    """

    force: float
    position: float
    gripping: Optional[bool]
    calibrated: Optional[bool]
    age: float = 0.0
    error: bool = False


@dataclass(frozen=True)
class Label:
    """A labelled reading.

    Attributes:
        outcome: SUCCESS, FAILURE, or SENSOR_FAULT where the reading cannot be trusted.
        force, position: means over the samples (percent); NaN without samples.
        gripping: what most samples say.
        message: why, for a person.
    """

    outcome: Outcome
    force: float
    position: float
    gripping: bool
    message: str


@dataclass(frozen=True)
class LabelRule:
    """How readings become labels.

    Attributes:
        method: what decides: the gripper's force and its own flag, or its position alone.
        force_threshold: percent of the gripper's maximum from which on something is held.
        position_threshold: percent of the fingers' travel; something is held where closed fingers stay further open.
        max_age: a sample older than this (s) is stale.
    """

    method: LabelMethod
    force_threshold: float
    position_threshold: float
    max_age: float

    def holds(self, force: float, position: float, gripping: bool) -> bool:
        """Whether closed fingers hold something, by their force, position (percent) and flag."""
        if self.method == "position":
            return position > self.position_threshold
        return gripping and force >= self.force_threshold

    def describe(self, force: float, position: float, gripping: bool) -> str:
        """The reading beside the threshold that decides, for a person."""
        if self.method == "position":
            return f"fingers {position:.1f} % open, threshold {self.position_threshold:g} %"
        says = "gripping" if gripping else "not gripping"
        return f"force {force:.0f} %, {says}, threshold {self.force_threshold:g} %"


def label_grasp(samples: Sequence[GripperSample], rule: LabelRule) -> Label:
    """Label a grasp from the gripper's samples at the top of the lift."""
    if not samples:
        return Label(Outcome.SENSOR_FAULT, math.nan, math.nan, False, "the gripper sent no state after the lift")
    force = sum(sample.force for sample in samples) / len(samples)
    position = sum(sample.position for sample in samples) / len(samples)
    gripping = 2 * sum(bool(sample.gripping) for sample in samples) > len(samples)
    problem = next(filter(None, (untrustworthy(sample, rule.max_age) for sample in samples)), "")
    if problem:
        return Label(Outcome.SENSOR_FAULT, force, position, gripping, problem)
    reading = (force, position, gripping)
    return Label(Outcome.SUCCESS if rule.holds(*reading) else Outcome.FAILURE, *reading, rule.describe(*reading))


def untrustworthy(sample: GripperSample, max_age: float) -> str:
    """Why a sample cannot be trusted; empty where it can.

    Args:
        max_age: a sample older than this (s) is stale.
    """
    if sample.age > max_age:
        return f"the gripper's state is {sample.age:.2f} s old (at most {max_age:g} s)"
    if sample.error:
        return "the gripper reports an error"
    if not sample.calibrated:
        return "the gripper is not calibrated, so its force means nothing"
    if sample.gripping is None:
        return "the gripper does not know whether it grips"
    if not 0.0 <= sample.force <= 100.0:
        return f"the gripper's force reads {sample.force:g} %, outside 0 to 100 %"
    if not math.isfinite(sample.position):
        return f"the gripper's position reads {sample.position:g}"
    return ""
