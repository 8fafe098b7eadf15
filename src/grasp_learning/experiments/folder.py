"""The folder of the experiments: who may write into it, and what of each step is there.

A step's record, step.json, is written before its command begins, with the settings and the results that it is made
from, and again when it has ended. A step has been done where its record says so and its result is as it was then.
"""

import os
from pathlib import Path
from typing import Any, ContextManager, Dict, Mapping, Optional

from pydantic import Field

from grasp_learning.config import ConfigError, Settings, parse_settings
from grasp_learning.durable import sync_folder, write_atomically
from grasp_learning.experiments.errors import ExperimentError
from grasp_learning.experiments.places import STEP_FILE, STEPS_FOLDER, Places
from grasp_learning.experiments.results import RUN_FILE
from grasp_learning.experiments.step import Step
from grasp_learning.folder_lock import FolderBusy, wait_for_lock
from grasp_learning.storage import file_sha256, utc_now
from grasp_learning.storage_errors import explained_as, read_json

LOCK_FILE = ".lock"
LOCK_PATIENCE = 60.0  # s; the last tool of killed experiments needs a moment to end
FORMAT = 1


class Done(Settings):
    """How a step ended.

    Attributes:
        finished: ISO 8601, UTC.
        seconds: of the run that came to the end (wall clock).
        sha256, size, changed: of its result's file; `changed` is its time (ns).
    """

    finished: str
    seconds: float
    sha256: str
    size: int
    changed: int


class StepRecord(Settings):
    """What step.json says.

    Attributes:
        settings: with which it was begun.
        needs: step -> checksum of the result that it is made from.
        command: as a person in the folder of the experiments types it.
        begun: ISO 8601, UTC.
        done: None while it has not ended.
    """

    format: int = FORMAT
    settings: Dict[str, Any]
    needs: Dict[str, str] = Field(default_factory=dict)
    command: str
    begun: str
    done: Optional[Done] = None


class ExperimentsFolder:
    """The folder, held by this process alone; use as a context manager.

    Args:
        out: it is made if it is not there.
        patience: how long to wait for what killed experiments left running (s).

    Attributes:
        path: where it lies, absolute.
        lock: the open file that keeps others out; children inherit it.
        places: where everything lies in it.

    Raises:
        ExperimentError: somebody else works in it, it holds something else, or it cannot be written.
    """

    def __init__(self, out, patience: float = LOCK_PATIENCE):
        self.path = Path(out).expanduser().absolute()
        self.places = Places(self.path)
        with self.explained():
            check_contents(self.path)
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                self.lock = wait_for_lock(self.path / LOCK_FILE, patience)
            except FolderBusy as busy:
                who = f"process {busy.holder}" if busy.alive else "a tool of experiments that were killed"
                raise ExperimentError(
                    f"{self.path}: {who} works in it; wait until it ends, or choose another folder"
                ) from None

    def __enter__(self) -> "ExperimentsFolder":
        return self

    def __exit__(self, *_) -> None:
        os.close(self.lock)

    def explained(self) -> ContextManager[None]:
        """Turn the system's errors into ExperimentErrors that say what to do."""
        return explained_as(self.path, ExperimentError)

    def record(self, step: Step) -> Optional[StepRecord]:
        """The record of a step; None where it has not begun.

        Raises:
            ExperimentError: it is damaged.
        """
        return load_record(self.places, step.name)

    def check_settings(self, step: Step) -> None:
        """Raise if a step was begun with other settings.

        Raises:
            ExperimentError: naming the first such key, with both values.
        """
        record = self.record(step)
        if record is None:
            return
        for key in sorted({*record.settings, *step.settings}):
            before, now = record.settings.get(key), step.settings.get(key)
            if before != now:
                raise ExperimentError(
                    f"{self.path}: step {step.name} was begun with {key} {before!r}, not {now!r}; keep that, choose "
                    f"another folder, or delete {self.places.step(step.name)} to make it anew"
                )

    def checksum(self, step: Step) -> Optional[str]:
        """Checksum of the result of a step that has been done; None where it has not, or its result is gone.

        A step that is to be made from more than it was, such as an evaluation of one network more, has not been done.

        Raises:
            ExperimentError: the record is damaged, or the result is not as it was written.
        """
        record = self.record(step)
        if record is None or record.done is None or not record.needs.keys() >= set(step.needs):
            return None
        with self.explained():
            try:
                found = step.result.stat()
            except FileNotFoundError:
                return None
            if (found.st_size, found.st_mtime_ns) == (record.done.size, record.done.changed):
                return record.done.sha256
            # copied, or changed
            checksum = file_sha256(step.result)
        if checksum != record.done.sha256:
            raise ExperimentError(
                f"{step.result}: was changed since step {step.name} wrote it; put the old one back, or delete "
                f"{self.places.step(step.name)} to make it again"
            )
        return checksum

    def check_needs(self, step: Step, steps: Mapping[str, Step]) -> None:
        """Raise if a step is made from other results than those that are there now.

        Raises:
            ExperimentError: naming both steps.
        """
        record = self.record(step)
        for name, before in (record.needs if record is not None else {}).items():
            now = self.checksum(steps[name]) if name in steps else None
            # results may have been removed to make room
            if now is not None and now != before:
                raise ExperimentError(
                    f"{self.places.step(step.name)}: was made from another result of step {name} than the one that is "
                    "there now; delete that folder to make it again"
                )

    def begin(self, step: Step, needs: Dict[str, str]) -> None:
        """Record that a step begins, and write the files that its command reads."""
        folder = self.places.step(step.name)
        with self.explained():
            folder.mkdir(parents=True, exist_ok=True)
            sync_folder(folder.parent)
            for name, content in step.files.items():
                write_atomically(folder / name, folder / f".{name}.part", content.encode())
        old = self.record(step)
        begun = old.begun if old is not None else utc_now()
        words = step.words(self.path)
        self._write(step, StepRecord(settings=step.settings, needs=needs, command=words, begun=begun))

    def end(self, step: Step, seconds: float) -> None:
        """Record that a step has ended."""
        record = self.record(step)
        with self.explained():
            found = step.result.stat()
            done = Done(
                finished=utc_now(),
                seconds=round(seconds, 1),
                sha256=file_sha256(step.result),
                size=found.st_size,
                changed=found.st_mtime_ns,
            )
        self._write(step, record.model_copy(update={"done": done}))

    def _write(self, step: Step, record: StepRecord) -> None:
        path = self.places.step(step.name) / STEP_FILE
        with self.explained():
            write_atomically(path, path.with_name(f".{STEP_FILE}.part"), record.model_dump_json(indent=2).encode())


def load_record(places: Places, name: str) -> Optional[StepRecord]:
    """The record of a step; None where it has not begun.

    Raises:
        ExperimentError: it cannot be read or is damaged.
    """
    path = places.step(name) / STEP_FILE
    remedy = f"delete {path.parent} to make it again"
    try:
        values = read_json(path, ExperimentError, remedy)
    except FileNotFoundError:
        return None
    try:
        return parse_settings(StepRecord, values, str(path))
    except ConfigError as error:
        raise ExperimentError(f"{str(error).splitlines()[0]}; {remedy}") from None


def check_contents(path: Path) -> None:
    """Raise if there is something else than experiments, an empty folder or nothing.

    Raises:
        ExperimentError: naming the folder.
        OSError: it cannot be read.
    """
    if not path.exists():
        return
    if not path.is_dir():
        raise ExperimentError(f"{path}: is a file; name a folder")
    names = {entry.name for entry in path.iterdir() if not entry.name.startswith(".")}
    if names and not names & {RUN_FILE, STEPS_FOLDER}:
        raise ExperimentError(
            f"{path}: holds files but no {RUN_FILE}, so it holds no experiments; choose a new or empty folder"
        )
