"""The collector that clears tables: tries until the Kinect sees no object, one table after the other."""

from pathlib import Path
from typing import Dict, List, Optional

import rospy

from grasp_learning.bins import IN_BIN, ON_TABLE
from grasp_learning.clearing import (
    CLEARED,
    OUT_OF_REACH,
    TRY_LIMIT,
    UNSEEN,
    TableRecord,
    TableRun,
    TablesFile,
    summarize_tables,
)
from grasp_learning.collection import NO_OBJECT
from grasp_learning.ros.calls import CallFailed
from grasp_learning.ros.collector import EXCHANGE, Collector, CollectorSettings
from grasp_learning.storage import utc_now
from grasp_learning.storage_errors import CollectionError
from grasp_learning.trial import Outcome, Region, Trial


class TableClearer(Collector):
    """Clears tables with one or both arms until as many as are wanted are in tables.jsonl.

    An arm that finds nothing waits for the other one. When no arm finds anything, or none gets anywhere, and no arm
    moves, the Kinect looks once more: the table is empty, or those arms go on that see something to grasp, or what lies
    out of reach is brought back into it. Objects that fall off the table are put back before each attempt, as in any
    collection, and before each look: else pushing them off would count as clearing.

    The best grasp of a thing that it cannot hold and does not move stays the best one. So in mode "best", after
    ``vary_after`` tries in a row that held nothing at a place, every second one there is drawn as in mode "staged".

    Args:
        recorded_before, model_sha256: see Collector.
    """

    # what cannot be grasped is no fault of the robot: the table is given up, not the run
    no_object = (*NO_OBJECT, Outcome.PLANNING_FAILED)

    def __init__(self, settings: CollectorSettings, recorded_before: int = 0, model_sha256: str = ""):
        # guarded by the collector's lock, too
        self._table: Optional[TableRun] = None  # None: the next one is to be laid out
        self._empty_handed: Dict[str, bool] = dict.fromkeys(settings.arm_names, False)  # arms that found nothing
        self._looking = False  # no trial starts
        self._blind = 0  # looks in a row without an answer
        self._file: Optional[TablesFile] = None
        super().__init__(settings, recorded_before, model_sha256)
        self._workcell.draws = self._fails_at

    # --- tables -------------------------------------------------------------------------------------------------------

    def _start_up(self) -> None:
        super()._start_up()
        self._file = TablesFile(self._settings.data)
        for note in self._file.notes:
            rospy.logwarn("%s", note)
        self._begin_table()

    def _begin_table(self) -> None:
        """Count from now on what happens on the table that was laid out.

        Raises:
            CallFailed: the simulator does not tell what lies on it.
        """
        assert self._file is not None
        places = self._workcell.whereabouts()
        if places is None:
            raise CallFailed("the simulator does not tell which objects lie on the table")
        names = sorted(name for name, place in places.items() if place == ON_TABLE)
        number = len(self._file.records) + 1
        with self._lock:
            self._table = TableRun(number, names, rospy.get_time())
            self._empty_handed = dict.fromkeys(self._empty_handed, False)
            self._looking = False
        self._say(f"table {number} of {self._settings.tables}: {', '.join(names)}")

    def _end_table(self, table: TableRun, outcome: str) -> None:
        """Write the table down; the run ends with the last one."""
        assert self._file is not None
        settings = self._settings
        record = table.record(
            outcome,
            rospy.get_time(),
            self._workcell.whereabouts(),
            arms=list(settings.arm_names),
            model=Path(settings.model).name,
            model_sha256=self._model_sha256,
            split=settings.objects,
            seed=settings.seed,
            finished=utc_now(),
        )
        try:
            self._file.append(record)
        except CollectionError as error:
            self._fail(f"the table could not be written down: {error}")
            return
        self._say(describe_table(record, settings.tables))
        with self._lock:
            self._table = None
            if record.table >= settings.tables:
                self._flags.stopping = True

    def _lay_out_table(self) -> None:
        try:
            self._workcell.trigger(f"{self._settings.simulator}/{EXCHANGE}")
            self._begin_table()
        except CallFailed as error:
            self._failed_layouts += 1
            rospy.logerr("objects could not be laid out: %s", error)
            if self._failed_layouts >= self._settings.max_consecutive_faults:
                self._fail(f"objects could not be laid out {self._failed_layouts} times in a row: {error}")
            self._pause(self._settings.fault_pause)
        else:
            self._failed_layouts = 0

    # --- what the collector asks --------------------------------------------------------------------------------------

    def _may_start(self, arm: str) -> bool:
        if self._table is None or self._looking or self._empty_handed[arm]:
            return False
        return self._table.tries + sum(self._busy.values()) < self._settings.tries_per_table

    def _settled(self, arm: str, trial: Optional[Trial], number: int) -> None:
        if trial is None or self._table is None:
            return
        self._table.add(trial, number)
        if trial.region is None and trial.outcome in NO_OBJECT:
            # until the next look: what the other arm's tries move rarely comes over to this half
            self._empty_handed[arm] = True

    def _ask_for_objects(self, arm: str) -> None:
        """Nobody is asked: when no arm finds anything, the Kinect looks once more."""

    def _tend_objects(self) -> None:
        with self._lock:
            table = self._table
            full = table is not None and table.tries >= self._settings.tries_per_table
            if table is not None and (full or all(self._empty_handed.values()) or self._gets_nowhere(table)):
                self._looking = True
            if any(self._busy.values()) or (table is not None and not self._looking):
                return
        if table is None:
            self._lay_out_table()
        else:
            self._look(table, full)

    def _fails_at(self, region: Region) -> bool:
        """Whether the grasp in a region is to be drawn; asked by the arms' threads."""
        limit = self._settings.conditions.vary_after
        x, y = (float(value) for value in region.center[:2])
        with self._lock:
            failures = self._table.failures_at(x, y) if self._table is not None else 0
        # every second one: what a drawn grasp has pushed a little may be held by the best one now
        return bool(limit and failures >= limit and (failures - limit) % 2 == 0)

    def _gets_nowhere(self, table: TableRun) -> bool:
        return table.fruitless >= self._settings.fruitless_attempts

    def _look(self, table: TableRun, full: bool) -> None:
        """Look at the table while no arm moves, and decide how it goes on.

        Args:
            full: no further try is allowed.
        """
        table.put_back += len(self._workcell.put_back_objects())
        seen = {arm: self._workcell.sample_region(arm) for arm in self._settings.arm_names}
        unclear = [step for step in seen.values() if step.outcome not in (Outcome.SUCCESS, *NO_OBJECT)]
        if unclear:
            self._blind += 1
            if self._blind >= self._settings.max_consecutive_faults:
                self._fail(f"the table could not be seen {self._blind} times in a row: {unclear[0].message}")
            self._pause(self._settings.fault_pause)
            return
        self._blind = 0
        empty = all(step.outcome is Outcome.NO_OBJECTS for step in seen.values())
        found = {arm: step.outcome is Outcome.SUCCESS for arm, step in seen.items()}
        if empty and not self._left():
            self._end_table(table, CLEARED)
        elif full:
            self._end_table(table, TRY_LIMIT)
        elif any(found.values()) and not self._gets_nowhere(table):
            with self._lock:
                self._empty_handed = {arm: not there for arm, there in found.items()}
                self._looking = False
        elif table.rounds < self._settings.max_brought:
            self._bring(table)
        else:
            self._end_table(table, UNSEEN if empty else OUT_OF_REACH)

    def _left(self) -> List[str]:
        """Objects that are in no bin, where a simulator knows: they may lie where the Kinect does not see them."""
        return [name for name, place in (self._workcell.whereabouts() or {}).items() if place != IN_BIN]

    def _bring(self, table: TableRun) -> None:
        names = self._workcell.bring_within_reach()
        self._say(f"no arm got anything; brought within reach: {', '.join(names) or 'nothing'}")
        with self._lock:
            table.add_brought(len(names))
            self._empty_handed = dict.fromkeys(self._empty_handed, False)
            self._looking = False

    # --- ending -------------------------------------------------------------------------------------------------------

    def _finish(self) -> int:
        if self._file is not None:
            self._file.close()
            summary = summarize_tables(self._settings.data)
            if summary.tables:
                self._say(
                    f"{summary.cleared} of {summary.tables} tables cleared, {summary.removed} of {summary.objects} "
                    f"objects in bins, {summary.tries} tries, {summary.held} held ({100 * summary.grasp_rate:.0f} %)"
                )
        return super()._finish()

    def _say(self, message: str) -> None:
        with self._lock:
            print(message, flush=True)
        self._publish(message)


def describe_table(record: TableRecord, tables: int) -> str:
    """The line printed when a table is over."""
    text = (
        f"table {record.table} of {tables}: {record.outcome} after {record.tries} tries in {record.seconds:.0f} s; "
        f"{record.removed} of {record.objects} objects in bins"
    )
    told = {"lost on the way": record.lost, "put back": record.put_back, "brought within reach": record.brought}
    text += "".join(f", {count} {what}" for what, count in told.items() if count)
    if record.truth_known and record.truth_on_table:
        text += f"; still on the table: {', '.join(record.truth_on_table)}"
    return text
