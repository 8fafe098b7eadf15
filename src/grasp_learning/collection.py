"""Bookkeeping of a running collection: who may start a trial, what came out, how fast."""

import enum
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Dict, Sequence

from grasp_learning.trial import Outcome, Trial

NO_OBJECT = (Outcome.NO_OBJECTS, Outcome.UNREACHABLE)


class State(str, enum.Enum):
    """Where a collection stands; the constants of CollectionStatus.msg."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    STOPPING = "STOPPING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"


@dataclass
class Flags:
    """What was asked of a collection and what happened to it; its state follows from these.

    Attributes:
        started: trials may run.
        paused: a person asked for no new trials.
        stopping: no trial starts any more.
        ended: no trial is under way any more, and none will be.
        failure: why the collection failed; empty while it has not.
    """

    started: bool = False
    paused: bool = False
    stopping: bool = False
    ended: bool = False
    failure: str = ""

    @property
    def state(self) -> State:
        """The one state that these add up to."""
        if self.failure:
            return State.FAILED
        if self.ended:
            return State.FINISHED
        if self.stopping:
            return State.STOPPING
        if self.paused:
            return State.PAUSED
        return State.RUNNING if self.started else State.STARTING


class Streak:
    """Attempts in a row of one arm that gave no label, by what stood in their way.

    Args:
        no_object: the outcomes that mean that there was no object for the arm.

    Attributes:
        faults: something failed.
        nothing: there was no object for the arm.
    """

    def __init__(self, no_object: Sequence[Outcome] = NO_OBJECT) -> None:
        self._no_object = tuple(no_object)
        self.faults = self.nothing = 0

    def add(self, outcome: Outcome, recorded: bool) -> None:
        """Count an attempt; one that was recorded ends the streak."""
        if recorded:
            self.faults = self.nothing = 0
        elif outcome in self._no_object:
            self.nothing += 1
        else:
            self.faults += 1


@dataclass
class Snapshot:
    """The state of a collection at one moment.

    Attributes:
        target: trials asked for in this run; 0 until stopped.
        recorded: labelled trials on disk, those of earlier runs included.
        recorded_this_run: those of this run.
        counts: attempts of this run by outcome, labelled or not.
        elapsed: robot's time since the first attempt (s).
    """

    target: int
    recorded: int
    recorded_this_run: int
    counts: Dict[str, int] = field(default_factory=dict)
    elapsed: float = 0.0

    @property
    def success_rate(self) -> float:
        """Successes among the labelled trials of this run; NaN before the first."""
        labelled = self.counts.get("SUCCESS", 0) + self.counts.get("FAILURE", 0)
        return self.counts.get("SUCCESS", 0) / labelled if labelled else float("nan")

    @property
    def trials_per_hour(self) -> float:
        """Labelled trials of this run per hour of the robot's time."""
        return self.recorded_this_run / self.elapsed * 3600.0 if self.elapsed > 0 else 0.0


class Progress:
    """Counts trials for several arms at once; every method may be called from any thread.

    A trial is claimed before it starts and settled after it is on disk, so that `trials` trials are recorded
    and not one more, however many arms work.
    """

    def __init__(self, trials: int, recorded_before: int, start: float):
        """Begin to count.

        Args:
            trials: how many labelled trials this run shall record; 0 for no limit.
            recorded_before: labelled trials that the folder holds already.
            start: robot's time (s).

        Raises:
            ValueError: trials is negative.
        """
        if trials < 0:
            raise ValueError(f"trials is {trials}: expected 0 (until stopped) or a positive number")
        self._target = trials
        self._before = recorded_before
        self._start = self._last = start
        self._in_flight = 0
        self._recorded = 0
        self._counts: Counter = Counter()
        self._lock = threading.Lock()

    def start(self, now: float) -> None:
        """Begin to count the time at robot's time now (s)."""
        with self._lock:
            self._start = self._last = now

    def claim(self) -> bool:
        """Ask for the right to start a trial; False when the trials that are recorded or under way suffice."""
        with self._lock:
            if self._target and self._recorded + self._in_flight >= self._target:
                return False
            self._in_flight += 1
            return True

    def settle(self, outcome: Outcome, recorded: bool, now: float) -> None:
        """Give a claim back.

        Args:
            outcome: how the attempt ended.
            recorded: whether a labelled trial is on disk now.
            now: robot's time (s).
        """
        with self._lock:
            self._in_flight -= 1
            self._recorded += int(recorded)
            self._counts[str(outcome)] += 1
            self._last = now

    @property
    def complete(self) -> bool:
        """Whether all trials that were asked for are on disk."""
        with self._lock:
            return bool(self._target) and self._recorded >= self._target

    def snapshot(self) -> Snapshot:
        """The counts of this moment."""
        with self._lock:
            return Snapshot(
                self._target,
                self._before + self._recorded,
                self._recorded,
                dict(self._counts),
                max(0.0, self._last - self._start),
            )


def describe_trial(number: int, trial: Trial, snapshot: Snapshot) -> str:
    """The line printed after a trial: number, arm, outcome, success rate so far, trials per hour."""
    name = f"trial {number:6d}" if number else "no label    "
    line = f"{name}  {trial.arm:5s}  {trial.outcome!s:15s}"
    if trial.reading is not None:
        line += f"  force {trial.reading.force:5.1f} %"
    labelled = snapshot.counts.get("SUCCESS", 0) + snapshot.counts.get("FAILURE", 0)
    if labelled:
        line += f"  success {snapshot.counts.get('SUCCESS', 0)}/{labelled} ({100 * snapshot.success_rate:.1f} %)"
        line += f"  {snapshot.trials_per_hour:.0f} trials/h"
    if trial.placing is not None:
        told = f": {trial.placing.message}" if trial.placing.message else ""
        line += f"  ({trial.placing.outcome}{told})"
    return line + (f"  ({trial.detail})" if trial.detail and not trial.outcome.is_label else "")
