"""What the steps left on the disk, as figures that know their source and their command."""

import math
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from grasp_learning.clearing import ClearingSummary, TableRecord, read_tables, summarize_tables
from grasp_learning.dataset.reader import open_dataset
from grasp_learning.dataset.schema import TRAIN
from grasp_learning.evaluation.results import Evaluation, load_evaluation
from grasp_learning.experiments.errors import ExperimentError
from grasp_learning.experiments.folder import load_record
from grasp_learning.experiments.plan import Plan
from grasp_learning.experiments.results import Claim, Figure
from grasp_learning.experiments.step import closure
from grasp_learning.sim.holdable import HoldableObjects, load_holdable
from grasp_learning.storage import trials_of
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


@dataclass(frozen=True)
class Tries:
    """Labelled trials, by the table that they were made on.

    Attributes:
        tables: (n, 2) int: trials on each table, and those that held something.
    """

    tables: np.ndarray

    @property
    def trials(self) -> int:
        """On all tables."""
        return int(self.tables[:, 0].sum())

    @property
    def held(self) -> int:
        """Of all trials."""
        return int(self.tables[:, 1].sum())


class Findings:
    """Reads the results of steps.

    Args:
        plan: whose steps have been done.
    """

    def __init__(self, plan: Plan):
        self.plan, self._places = plan, plan.places

    def origin(self, *steps: str) -> Tuple[str, str]:
        """Sources and commands of figures that follow from the results of steps.

        Raises:
            ExperimentError: a step has not begun.
        """
        files, commands = [], []
        for step in steps:
            record = load_record(self._places, step)
            if record is None:
                raise ExperimentError(f"{self._places.step(step)}: has not begun; run the experiments again")
            files.append(str(self.plan.steps[step].result.relative_to(self._places.out)))
            commands.append(record.command)
        return ", ".join(files), "; ".join(commands)

    def seconds(self, names: List[str]) -> float:
        """How long steps and all that they need ran (s)."""
        records = [load_record(self._places, step.name) for step in closure(self.plan.steps, names)]
        return sum(record.done.seconds for record in records if record is not None and record.done is not None)

    def tries(self, *steps: str) -> Tries:
        """Labelled trials of the collections of steps.

        Raises:
            CollectionError: one is damaged.
        """
        tables: Dict[Tuple[str, Any], List[int]] = {}
        for step in steps:
            for number, trial in enumerate(trials_of(self.plan.steps[step].result.parent)):
                # over ROS no table is known: each try is one of its own
                table = tables.setdefault((step, trial.get("block", f"trial {number}")), [0, 0])
                table[0] += 1
                table[1] += trial["outcome"] == "SUCCESS"
        return Tries(np.array(list(tables.values()), int).reshape(-1, 2))

    def rate(self, name: str, *steps: str, **more: Any) -> Figure:
        """Grasp rate of the collections of steps, with its interval.

        Args:
            more: further attributes of the figure.
        """
        found = self.tries(*steps)
        source, command = self.origin(*steps)
        if not found.trials:
            return Figure(name=name, source=source, command=command, **more)
        low, high = rate_interval(found)
        return Figure(
            name=name,
            value=found.held / found.trials,
            low=low,
            high=high,
            count=found.trials,
            source=source,
            command=command,
            **more,
        )

    def number(self, name: str, value: float, *steps: str, **more: Any) -> Figure:
        """A number without an interval, such as a count."""
        source, command = self.origin(*steps)
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

    def trained_patches(self, dataset: str) -> int:
        """Patches of a dataset that networks are trained with."""
        return open_dataset(self._places.dataset(dataset)).count(TRAIN)

    def tables(self) -> ClearingSummary:
        """Figures of the cleared tables.

        Raises:
            CollectionError: they are damaged.
        """
        return summarize_tables(self._places.tables)

    def holdable(self) -> HoldableObjects:
        """Which held-out objects can be held at all.

        Raises:
            ConfigError: the file is damaged.
        """
        return load_holdable(self._places.holdable)

    def table_records(self) -> List[TableRecord]:
        """The cleared tables themselves.

        Raises:
            CollectionError: they are damaged.
        """
        return read_tables(self._places.tables)


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
    if result.clusters < FEWEST_CLUSTERS:
        holds = None
    numbers = _points(gain.value, gain.low, gain.high) + only(result.clusters, result.resampled_by)
    return Judged(holds, f"{claim}: {WORDS[holds]}, {numbers}.")


def judged_together(parts: Sequence[Judged]) -> Optional[bool]:
    """True where all parts hold, False where one does not, None where that cannot be told."""
    if any(part.holds is False for part in parts):
        return False
    return True if parts and all(part.holds for part in parts) else None


def claim_of(text: str, parts: Sequence[Judged]) -> Claim:
    """A claim that holds where all of its parts do."""
    return Claim(text=text, holds=judged_together(parts), reasons=[part.reason for part in parts])


def share(value: float) -> str:
    """A part of 1 for a person."""
    return f"{100 * value:.1f} %"


def rate_interval(tries: Tries) -> Tuple[float, float]:
    """95 % interval of a grasp rate: Wilson's of as many independent trials as the trials of the tables are worth.

    Tries on one table show the same objects and follow from each other, so that tables differ by more than chance (for
    guided trials threefold in variance), and Wilson's interval of all trials would be too narrow.
    """
    if not tries.trials:
        return wilson_interval(0, 0)
    rate, count = tries.held / tries.trials, len(tries.tables)
    if rate in (0.0, 1.0):
        worth = float(count)  # nobody knows how much tables differ: as in evaluation.bootstrap.interval
    elif count in (1, tries.trials):
        worth = float(tries.trials)
    else:
        # the design effect: the rate's variance as it follows from the tables, over that of independent trials
        spread = np.sum((tries.tables[:, 1] - rate * tries.tables[:, 0]) ** 2) * count / (count - 1)
        worth = tries.trials / max(1.0, float(spread) / (tries.trials * rate * (1 - rate)))
    return wilson_interval(rate * worth, worth)


def judge_rates(lower: Figure, higher: Figure, tables: Optional[int] = None) -> Judged:
    """Whether the second of two grasp rates is higher, by Newcombe's interval of their difference.

    Args:
        tables: on which the fewer of them were measured; None where each try had one of its own.
    """
    if lower.value is None or higher.value is None:
        return Judged(None, f"{lower.name} < {higher.name}: cannot be told, there are no trials.")
    gain = higher.value - lower.value
    down = math.hypot(higher.value - higher.low, lower.high - lower.value)
    up = math.hypot(higher.high - higher.value, lower.value - lower.low)
    holds = True if gain - down > 0 else (False if gain + up < 0 else None)
    numbers = _points(gain, gain - down, gain + up)
    if tables is not None and tables < FEWEST_CLUSTERS:
        holds = None
        numbers += only(tables)
    return Judged(holds, f"{lower.name} < {higher.name}: {WORDS[holds]}, {numbers}.")


def only(count: int, kind: str = "table") -> str:
    """That there are too few tables, or other clusters, to decide anything; empty where there are enough."""
    if count >= FEWEST_CLUSTERS:
        return ""
    return f", of {count} {kind}{'' if count == 1 else 's'} only"


def _points(value: float, low: float, high: float) -> str:
    """A difference of two shares with its interval."""
    # without the sign of a zero
    texts = [f"{round(100 * each, 1) + 0.0:+.1f}" for each in (value, low, high)]
    return f"{texts[0]} points (95 %: {texts[1]} to {texts[2]})"
