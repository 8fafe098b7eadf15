"""What the steps left on the disk, as figures that know their source and their command."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, List, Optional, Tuple

from grasp_learning.clearing import ClearingSummary, summarize_tables
from grasp_learning.curriculum.machine import count
from grasp_learning.dataset.reader import open_dataset
from grasp_learning.dataset.schema import TRAIN
from grasp_learning.evaluation.results import Evaluation, load_evaluation
from grasp_learning.experiments.errors import ExperimentError
from grasp_learning.experiments.folder import load_record
from grasp_learning.experiments.plan import Plan
from grasp_learning.experiments.results import Figure
from grasp_learning.experiments.step import closure
from grasp_learning.summary import wilson_interval

WORDS = {True: "holds", False: "does not hold", None: "cannot be told"}
FEWEST_CLUSTERS = 10  # a bootstrap over fewer tables gives intervals that are far too narrow


@dataclass(frozen=True)
class Judged:
    """Whether something is more than something else, as claimed.

    Attributes:
        holds: True or False where the 95 % interval of the difference excludes zero, else None.
        reason: a sentence with the numbers.
    """

    holds: Optional[bool]
    reason: str


class Findings:
    """Reads the results of steps.

    Args:
        plan: whose steps have been done.
    """

    def __init__(self, plan: Plan):
        self.plan, self._places = plan, plan.places

    def origin(self, step: str, file: Optional[Path] = None) -> Tuple[str, str]:
        """Source and command of the figures of a step.

        Args:
            file: that they are read from; by default the step's result.

        Raises:
            ExperimentError: the step has not begun.
        """
        record = load_record(self._places, step)
        if record is None:
            raise ExperimentError(f"{self._places.step(step)}: has not begun; run the experiments again")
        return str((file or self.plan.steps[step].result).relative_to(self._places.out)), record.command

    def seconds(self, names: List[str]) -> float:
        """How long steps and all that they need ran (s)."""
        records = [load_record(self._places, step.name) for step in closure(self.plan.steps, names)]
        return sum(record.done.seconds for record in records if record is not None and record.done is not None)

    def counts(self, step: str) -> Tuple[int, int]:
        """Labelled trials of a step's collection, and those that held something.

        Raises:
            CollectionError: it is damaged.
        """
        return count(self.plan.steps[step].result.parent)

    def rate(self, name: str, step: str, **more: Any) -> Figure:
        """Grasp rate of a collection, with Wilson's interval.

        Args:
            more: further attributes of the figure.
        """
        trials, positives = self.counts(step)
        source, command = self.origin(step)
        if not trials:
            return Figure(name=name, source=source, command=command, **more)
        low, high = wilson_interval(positives, trials)
        return Figure(
            name=name,
            value=positives / trials,
            low=low,
            high=high,
            count=trials,
            source=source,
            command=command,
            **more,
        )

    def number(self, name: str, value: float, step: str, **more: Any) -> Figure:
        """A number without an interval, such as a count."""
        source, command = self.origin(step)
        return Figure(name=name, value=value, source=source, command=command, **more)

    def evaluation(self, name: str) -> Evaluation:
        """An experiment's evaluation.

        Raises:
            EvaluationError: it is damaged.
        """
        return load_evaluation(self._places.evaluation(name))

    def accuracy(self, name: str, evaluation: str, method: str, split: str, **more: Any) -> Figure:
        """Accuracy of a method on a balanced test set.

        Args:
            evaluation: of which experiment.
            method: its name there.
        """
        source, command = self.origin(f"evaluate_{evaluation}")
        result = self.evaluation(evaluation).result(method, split)
        found = result.accuracy
        return Figure(
            name=name,
            value=found.value,
            low=found.low,
            high=found.high,
            count=result.samples,
            source=source,
            command=command,
            **more,
        )

    def difference(self, name: str, evaluation: str, first: str, second: str, split: str, **more: Any) -> Figure:
        """Accuracy of the second method less that of the first on the same patches."""
        source, command = self.origin(f"evaluate_{evaluation}")
        found = self.evaluation(evaluation)
        gain = found.compare(first, second, split).difference
        samples = found.result(first, split).samples
        return Figure(
            name=name,
            value=gain.value,
            low=gain.low,
            high=gain.high,
            count=samples,
            source=source,
            command=command,
            **more,
        )

    def trained_patches(self, dataset: str) -> int:
        """Patches of a dataset that networks are trained with."""
        return open_dataset(self._places.dataset(dataset)).count(TRAIN)

    def tables(self) -> ClearingSummary:
        """Figures of the cleared tables.

        Raises:
            CollectionError: they are damaged.
        """
        return summarize_tables(self._places.tables)


def judge_pair(found: Evaluation, split: str, first: Tuple[str, str], second: Tuple[str, str]) -> Judged:
    """Whether the second of two methods is better than the first on a test set, as claimed.

    Args:
        first, second: each a method and what it is called.

    Raises:
        KeyError: one of them was not evaluated on this test set.
    """
    comparison = found.compare(first[0], second[0], split)
    gain, claim = comparison.difference, f"{first[1]} < {second[1]}"
    if gain.value is None or gain.low is None or gain.high is None:
        return Judged(None, f"{claim}: cannot be told, there is no test set.")
    holds = {"better": True, "worse": False}.get(comparison.verdict)
    result = found.result(first[0], split)
    few = result.clusters < FEWEST_CLUSTERS
    if few:
        holds = None
    numbers = _points(gain.value, gain.low, gain.high)
    numbers += f", of {result.clusters} {result.resampled_by}s only" if few else ""
    return Judged(holds, f"{claim}: {WORDS[holds]}, {numbers}.")


def judged_together(parts: List[Judged]) -> Optional[bool]:
    """True where all parts hold, False where one does not, None where that cannot be told."""
    if any(part.holds is False for part in parts):
        return False
    return True if parts and all(part.holds for part in parts) else None


def share(value: float) -> str:
    """A part of 1 for a person."""
    return f"{100 * value:.1f} %"


def judge_rates(lower: Figure, higher: Figure) -> Judged:
    """Whether the second of two grasp rates is higher, by Newcombe's interval of their difference."""
    if lower.value is None or higher.value is None:
        return Judged(None, f"{lower.name} < {higher.name}: cannot be told, there are no trials.")
    gain = higher.value - lower.value
    down = math.hypot(higher.value - higher.low, lower.high - lower.value)
    up = math.hypot(higher.high - higher.value, lower.value - lower.low)
    holds = True if gain - down > 0 else (False if gain + up < 0 else None)
    numbers = _points(gain, gain - down, gain + up)
    return Judged(holds, f"{lower.name} < {higher.name}: {WORDS[holds]}, {numbers}.")


def _points(value: float, low: float, high: float) -> str:
    """A difference of two shares with its interval."""
    # without the sign of a zero
    texts = [f"{round(100 * each, 1) + 0.0:+.1f}" for each in (value, low, high)]
    return f"{texts[0]} points (95 %: {texts[1]} to {texts[2]})"
