"""Clearing tables (paper, section IV.F): what is known of each table, on disk and while it is being cleared.

``tables.jsonl`` lies beside the trials of a collection and has one line a table, appended and synced when the table's
last try is on disk. A table that was interrupted has no line; its tries stay in the collection.
"""

import contextlib
import itertools
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
from pydantic import Field

from grasp_learning.bins import ELSEWHERE, IN_BIN, ON_TABLE
from grasp_learning.config import ConfigError, Settings, parse_settings
from grasp_learning.journal import Journal, read_journal, repair_journal
from grasp_learning.storage_errors import MalformedCollectionError, explained
from grasp_learning.summary import wilson_interval
from grasp_learning.trial import Outcome, PlaceOutcome, Trial

TABLES_FILE = "tables.jsonl"
DRAWN = "importance"  # the sampler that draws, as trials name it

# How a table ended
CLEARED = "CLEARED"  # the Kinect sees no object any more, and all are in bins where a simulator knows
TRY_LIMIT = "TRY_LIMIT"  # so many tries were made as are allowed
OUT_OF_REACH = "OUT_OF_REACH"  # what is left cannot be grasped by any arm, however often it was moved
UNSEEN = "UNSEEN"  # the Kinect sees no object any more, but a simulator knows of some that are in no bin

SAME_PLACE = 0.05  # m; regions whose centres are nearer show the same thing
BOOTSTRAP = 2000  # resamples of the tables for the interval of their mean


class TableRecord(Settings):
    """A line of tables.jsonl: how one table was cleared.

    Attributes:
        table: its number in the folder, from 1.
        objects: how many lay on it.
        names: which, where a simulator knows.
        arms: that cleared it.
        tries: grasps that were executed and labelled, held or not; the paper's "interactions".
        held: tries in which the gripper held an object.
        drawn: tries whose grasp was drawn by what the model thinks instead of being the best one.
        removed: objects that are in the bins in the end, however they came there, where a simulator knows; else as many
            as were placed.
        placed: tries in which an object was let go of over a bin, as the robot believes.
        lost: held objects that were lost on the way to the bin.
        kept: held objects that did not come into the bin otherwise: no way led there, or they stuck in the open hand.
        faults: attempts without a label, by outcome.
        put_back: objects that had left the table on another way than by a bin and were put back onto it.
        brought: objects that were brought back within reach because no arm found anything that it could grasp.
        cleared: whether the outcome is CLEARED.
        outcome: CLEARED, TRY_LIMIT, OUT_OF_REACH or UNSEEN.
        seconds: from the first look to the last (s, robot's time).
        trials: numbers of its trials in the collection.
        truth_known: a simulator told where the objects are in the end.
        truth_in_bins, truth_on_table, truth_elsewhere: names.
        model, model_sha256: of the checkpoint.
        split: of the simulated objects.
        seed: of the run.
        finished: ISO 8601, UTC, wall clock.
    """

    table: int = Field(ge=1)
    objects: int = Field(ge=0)
    names: List[str] = Field(default_factory=list)
    arms: List[str] = Field(default_factory=list)
    tries: int = Field(ge=0)
    held: int = Field(0, ge=0)
    drawn: int = Field(0, ge=0)
    removed: int = Field(ge=0)
    placed: int = Field(0, ge=0)
    lost: int = Field(0, ge=0)
    kept: int = Field(0, ge=0)
    faults: Dict[str, int] = Field(default_factory=dict)
    put_back: int = Field(0, ge=0)
    brought: int = Field(0, ge=0)
    cleared: bool
    outcome: str
    seconds: float = Field(ge=0)
    trials: List[int] = Field(default_factory=list)
    truth_known: bool = False
    truth_in_bins: List[str] = Field(default_factory=list)
    truth_on_table: List[str] = Field(default_factory=list)
    truth_elsewhere: List[str] = Field(default_factory=list)
    model: str = ""
    model_sha256: str = ""
    split: str = ""
    seed: int = 0
    finished: str = ""


@dataclass
class TableRun:
    """A table that is being cleared. Not safe for use by several threads at once.

    Attributes:
        number: of the table, from 1.
        names: of the objects on it.
        start: robot's time (s).
        trials: numbers of the labelled trials so far.
        places: (x, y) of the region's centre (m) of each of them, and whether it held something.
        fruitless: attempts in a row without a label because nothing could be reached.
        rounds: how often in a row, without a labelled trial, objects were brought within reach.
    """

    number: int
    names: List[str]
    start: float
    trials: List[int] = field(default_factory=list)
    places: List[Tuple[float, float, bool]] = field(default_factory=list)
    held: int = 0
    drawn: int = 0
    placings: Counter = field(default_factory=Counter)
    faults: Counter = field(default_factory=Counter)
    put_back: int = 0
    brought: int = 0
    fruitless: int = 0
    rounds: int = 0

    @property
    def tries(self) -> int:
        """Labelled trials so far."""
        return len(self.trials)

    def add(self, trial: Trial, number: int) -> None:
        """Count an attempt.

        Args:
            number: of the labelled trial on disk; 0 for an attempt without a label.
        """
        self.put_back += len(trial.put_back)
        if not number:
            self.faults[str(trial.outcome)] += 1
            self.fruitless += int(trial.outcome in (Outcome.UNREACHABLE, Outcome.PLANNING_FAILED))
            return
        self.fruitless = self.rounds = 0
        self.trials.append(number)
        held = trial.outcome is Outcome.SUCCESS
        self.held += int(held)
        self.drawn += int(trial.grasp is not None and trial.grasp.sampler == DRAWN)
        if trial.region is not None:
            x, y = (float(value) for value in trial.region.center[:2])
            self.places.append((x, y, held))
        if trial.placing is not None:
            self.placings[trial.placing.outcome] += 1

    def failures_at(self, x: float, y: float) -> int:
        """How many tries in a row held nothing at a place (m, base frame)."""
        there = [held for a, b, held in reversed(self.places) if math.hypot(a - x, b - y) <= SAME_PLACE]
        return len(list(itertools.takewhile(lambda held: not held, there)))

    def add_brought(self, count: int) -> None:
        """Count a round in which objects were brought back within reach."""
        self.brought += count
        self.rounds += 1
        self.fruitless = 0

    def record(self, outcome: str, end: float, truth: Optional[Dict[str, str]], **conditions) -> TableRecord:
        """Its line of tables.jsonl.

        Args:
            end: robot's time (s).
            truth: place of each object, where a simulator knows.
            conditions: the fields of the record that tell how it was cleared.
        """
        lost, placed = self.placings[PlaceOutcome.LOST], self.placings[PlaceOutcome.PLACED]

        def at(place: str) -> List[str]:
            return sorted(name for name, there in (truth or {}).items() if there == place)

        return TableRecord(
            table=self.number,
            objects=len(self.names),
            names=self.names,
            tries=self.tries,
            held=self.held,
            drawn=self.drawn,
            removed=len(at(IN_BIN)) if truth is not None else placed,
            placed=placed,
            lost=lost,
            kept=sum(self.placings.values()) - placed - lost,
            faults=dict(sorted(self.faults.items())),
            put_back=self.put_back,
            brought=self.brought,
            cleared=outcome == CLEARED,
            outcome=outcome,
            seconds=max(0.0, end - self.start),
            trials=sorted(self.trials),
            truth_known=truth is not None,
            truth_in_bins=at(IN_BIN),
            truth_on_table=at(ON_TABLE),
            truth_elsewhere=at(ELSEWHERE),
            **conditions,
        )


class TablesFile:
    """tables.jsonl of a collection, for the one process that writes it. Use as a context manager.

    Attributes:
        records: the tables that it holds.

    Raises:
        CollectionError: it cannot be written, or a line of it is damaged.
    """

    def __init__(self, folder):
        path = Path(folder) / TABLES_FILE
        self._folder = Path(folder)
        self._closing = contextlib.ExitStack()
        with explained(self._folder):
            self.notes = repair_journal(path, path.parent)
            self.records = read_tables(folder)
            self._journal = Journal(path, self._closing)

    def append(self, record: TableRecord) -> None:
        """Add a table; it is on disk when this returns.

        Raises:
            CollectionError: it could not be written.
        """
        with explained(self._folder):
            self._journal.append(record.model_dump())
        self.records.append(record)

    def close(self) -> None:
        """Close the file."""
        self._closing.close()

    def __enter__(self) -> "TablesFile":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def read_tables(folder) -> List[TableRecord]:
    """Tables of a collection in the order in which they were cleared; none where there is no tables.jsonl.

    A last line without its newline is a table that was being written when the process died, and is left out.

    Raises:
        CollectionError: the file cannot be read, or a line is not a table; the message names it.
    """
    path = Path(folder) / TABLES_FILE
    records = []
    for place, line in read_journal(path, {"table": int, "tries": int, "outcome": str}):
        try:
            records.append(parse_settings(TableRecord, line, f"{path}, line {place}"))
        except ConfigError as error:
            raise MalformedCollectionError(f"{error}; repair or remove the line") from None
    return records


@dataclass(frozen=True)
class ClearingSummary:
    """Figures of several tables.

    Attributes:
        tables, cleared: how many there are, and how many of them were empty in the end.
        objects, removed, placed, lost: sums over the tables; see TableRecord.
        tries, held, drawn: sums over the tables.
        put_back, brought: objects that were put back onto the table, and brought back within reach.
        seconds: sum (s, robot's time).
        mean_tries: until empty, of the cleared tables; NaN without any.
        mean_tries_interval: 95 %, by a bootstrap over the cleared tables; NaN with fewer than two.
        tries_per_table: of each cleared table.
        grasp_rate: held / tries; NaN without any.
        grasp_rate_interval: 95 %, Wilson's.
        truth_known, truth_cleared: tables of which a simulator knew, and of these those with nothing left on the table.
    """

    tables: int
    cleared: int
    objects: int
    removed: int
    placed: int
    lost: int
    tries: int
    held: int
    drawn: int
    put_back: int
    brought: int
    seconds: float
    mean_tries: float
    mean_tries_interval: Tuple[float, float]
    tries_per_table: List[int]
    grasp_rate: float
    grasp_rate_interval: Tuple[float, float]
    truth_known: int
    truth_cleared: int


def summarize_tables(folder) -> ClearingSummary:
    """Figures of the tables of a collection.

    Raises:
        CollectionError: as :func:`read_tables`.
    """
    records = read_tables(folder)
    tries, held = sum(record.tries for record in records), sum(record.held for record in records)
    until_empty = [record.tries for record in records if record.cleared]
    known = [record for record in records if record.truth_known]
    sums = {
        name: sum(getattr(record, name) for record in records)
        for name in ("objects", "removed", "placed", "lost", "drawn", "put_back", "brought", "seconds")
    }
    return ClearingSummary(
        tables=len(records),
        cleared=len(until_empty),
        tries=tries,
        held=held,
        mean_tries=float(np.mean(until_empty)) if until_empty else float("nan"),
        mean_tries_interval=_mean_interval(until_empty),
        tries_per_table=until_empty,
        grasp_rate=held / tries if tries else float("nan"),
        grasp_rate_interval=wilson_interval(held, tries),
        truth_known=len(known),
        truth_cleared=sum(not record.truth_on_table for record in known),
        **sums,
    )


def _mean_interval(values: Sequence[int], seed: int = 0) -> Tuple[float, float]:
    """95 % interval of a mean by a bootstrap; NaN with fewer than two values."""
    if len(values) < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    means = rng.choice(np.asarray(values, float), (BOOTSTRAP, len(values))).mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)
