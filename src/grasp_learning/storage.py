"""A collection on disk: a folder that can be copied, resumed after any crash, and read without this package.

Files (docs/data_format.md says more)::

    collection.yaml            what was collected, how, with which model and calibration
    trials.jsonl               one line a finished trial, appended and synced only after its bag is complete
    faults.jsonl               one line an attempt that ended without a label; counted, never training data
    bags/000001_left.bag       one bag a trial
    bags/incomplete/           what a crash left behind: kept, never counted
    shards/000000.parquet      of a simulation without ROS, in the bags' place: one file a scene, one row a trial

A trial is finished when its line is on disk. Its bag (or shard) was written under another name, synced and renamed
before that, so a line never speaks of a file that is not there, whenever the process is killed.
"""

import abc
import contextlib
import datetime
import errno
import fcntl
import hashlib
import math
import os
import re
import threading
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

import yaml
from pydantic import Field

from grasp_learning.config import ConfigError, Settings, load_settings
from grasp_learning.durable import move_aside, sync_folder, write_atomically
from grasp_learning.folder_lock import LOCK_FILE, take_folder
from grasp_learning.journal import Journal, read_journal, repair_journal
from grasp_learning.storage_errors import (
    CollectionError,
    CollectionInUseError,
    DiskFullError,
    MalformedCollectionError,
    NotACollectionError,
    WrongCollectionError,
    explained,
    readable,
)
from grasp_learning.trial import ARMS, Trial

COLLECTION_FILE = "collection.yaml"
TRIALS_FILE = "trials.jsonl"
FAULTS_FILE = "faults.jsonl"
SHARDS_FOLDER = "shards"
BAGS_FOLDER = "bags"
INCOMPLETE_FOLDER = "incomplete"
PART_FILE = ".collection.yaml.part"
BAG_NAME = re.compile(r"\.?(\d{6,})_(?:left|right)\.bag")

# where a trial's pictures lie: the keys of its line
BAG_KEYS: Dict[str, type] = {"bag": str, "bag_bytes": int}
SHARD_KEYS: Dict[str, type] = {"shard": str, "row": int}
SOURCES = {
    "ros": "a collection over ROS, which holds one bag a trial; `simulate` cannot add to it",
    "inprocess": "a collection made by `simulate`, which holds shards in the place of bags; "
    "a collection over ROS cannot add to it",
}

# parts of a line of trials.jsonl and faults.jsonl
GRASP_FIELDS = ("u", "v", "x", "y", "z", "theta", "theta_image", "bin", "patch_size", "sampler", "score")
READING_FIELDS = ("force", "position", "gripping", "contact", "truth_known", "truth_held", "truth_object", "truth_near")
FAULT_FIELDS = ("arm", "mode", "stage", "start", "end", "outcome", "detail", "put_back")


class RunInfo(Settings):
    """What one run into a collection was started with; later runs may differ in all of it.

    Attributes:
        started: ISO 8601, UTC, wall clock.
        arms: the arms that collect.
        seed: of the run's random choices.
        planner: name of the motion planner.
        calibration: contents of the calibration file.
        package_version: of grasp_learning.
    """

    started: str = ""
    arms: List[str] = Field(min_length=1)
    seed: int = Field(ge=0)
    planner: str = ""
    calibration: Dict[str, Any] = Field(default_factory=dict)
    package_version: str = ""


class CollectionInfo(RunInfo):
    """Contents of collection.yaml: the first run's values, what makes the collection, and the later runs.

    Attributes:
        robot: "sim", "baxter" or "gazebo".
        mode: "random", "staged" or "best".
        stage: stage of the curriculum, 0 for random collection.
        model, model_sha256: file name and checksum of the model of a staged collection, else empty.
        resumed: one entry for each later run.
        format: version of this layout.
        source: "ros" (one bag a trial) or "inprocess" (one shard a scene, written by `simulate`).
        objects: in simulation: the split of the catalogue from which objects were drawn; empty where nobody told.
        kind: "gripper" or "arm", what was simulated of the robot.
        trials_per_scene, objects_per_scene: how it was cut into scenes.
        pictures: "approach", or "all" where the other pictures of a trial were kept, too.
        settings_sha256: of the settings of the simulated workcell.
    """

    robot: str = Field(min_length=1)
    mode: str = Field(min_length=1)
    stage: int = Field(ge=0)
    model: str = ""
    model_sha256: str = ""
    resumed: List[RunInfo] = Field(default_factory=list)
    format: int = Field(default=1, ge=1, le=1)
    source: str = Field("ros", pattern="^(ros|inprocess)$")
    objects: str = ""
    kind: str = ""
    trials_per_scene: int = Field(0, ge=0)
    objects_per_scene: int = Field(0, ge=0)
    pictures: str = ""
    settings_sha256: str = ""


# what makes two collections the same kind; the model is compared by its contents, since files move
KIND = ("source", "robot", "mode", "stage", "model_sha256", "objects")
# of simulations without ROS, whose trials follow from these
INPROCESS_KIND = (
    *KIND,
    *("seed", "kind", "trials_per_scene", "objects_per_scene", "pictures", "settings_sha256"),
)


def utc_now() -> str:
    """Wall clock as ISO 8601 in UTC, to the second."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def file_sha256(path) -> str:
    """SHA-256 of a file as 64 hexadecimal digits.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def trial_record(trial: Trial) -> Dict[str, Any]:
    """A trial as one flat line of trials.jsonl, all but what the collection adds (number, bag, bag_bytes, run).

    Parts the trial never reached are null; place_outcome and place_message are there only where something was to be put
    into a bin. Units and frames are those of Trial.msg.
    """
    record: Dict[str, Any] = {
        "arm": trial.arm,
        "mode": trial.mode,
        "stage": trial.stage,
        "start": trial.start,
        "end": trial.end,
        "outcome": str(trial.outcome),
        "detail": trial.detail,
    }
    region = trial.region
    record["region_center"] = None if region is None else [float(value) for value in region.center]
    record["region_height"] = None if region is None else region.height
    grasp = {} if trial.grasp is None else asdict(trial.grasp)
    for name in GRASP_FIELDS:
        record[name] = grasp.get(name)
    reading = {} if trial.reading is None else asdict(trial.reading)
    for name in READING_FIELDS:
        record[name] = reading.get(name)
    record.update(put_back=list(trial.put_back), model=trial.model, model_sha256=trial.model_sha256)
    if trial.placing is not None:
        record.update(place_outcome=str(trial.placing.outcome), place_message=trial.placing.message)
    return record


def fault_record(trial: Trial) -> Dict[str, Any]:
    """An attempt without a label as one line of faults.jsonl."""
    record = trial_record(trial)
    return {key: record[key] for key in FAULT_FIELDS}


class CollectionWriter(abc.ABC):
    """A collection that is being written to, by this process alone.

    Every method may be called from any thread; one lock keeps the writers apart. Use as a context manager, or
    call :meth:`close`.

    Attributes:
        folder: where it lies.
        info: contents of collection.yaml.
        run: 1 for the run that made the folder, 2 for the first that resumed it, ...
        recorded: finished trials on disk, those of earlier runs included.
        outcomes: counts by outcome, attempts without a label included.
        notes: what resuming found and did, one sentence each, for a person.
    """

    def __init__(self, folder, info: CollectionInfo, minimum_free_bytes: int = 0):
        """Create the folder, or resume the collection that lies in it.

        Args:
            info: what is to be collected; ``started`` and ``resumed`` are filled in here.
            minimum_free_bytes: no trial is begun with less room than this on the disk.

        Raises:
            CollectionError: see its subclasses; nothing was changed, a fresh folder and its lock apart.
        """
        self.folder = Path(folder).expanduser().absolute()
        self.notes: List[str] = []
        self._minimum_free = minimum_free_bytes
        self._mutex = threading.Lock()
        self._closed = False
        self._closing = contextlib.ExitStack()
        try:
            with explained(self.folder):
                _check_contents(self.folder)
                self.folder.mkdir(parents=True, exist_ok=True)
                self._closing.callback(os.close, take_folder(self.folder, "writing into it", CollectionInUseError))
                self.check_free_space()
                self._open(info)
        except BaseException:
            self._closing.close()
            raise

    @abc.abstractmethod
    def _open(self, info: CollectionInfo) -> None:
        """Make or resume the collection; the folder is locked."""

    def _new_info(self, info: CollectionInfo, kind: Sequence[str]) -> Tuple[bool, CollectionInfo]:
        """Whether the collection is new, and what its collection.yaml is to say from now on.

        Raises:
            CollectionError: the folder holds another kind of collection, or its collection.yaml is malformed.
        """
        info = info.model_copy(update={"started": utc_now(), "resumed": []})
        if not (self.folder / COLLECTION_FILE).exists():
            return True, info
        return False, _resumed_info(self.folder, info, kind)

    def _begin(self, info: CollectionInfo) -> None:
        """Write collection.yaml, and open the journals."""
        write_info(self.folder, info)
        self.info, self.run = info, len(info.resumed) + 1
        self._trials = Journal(self.folder / TRIALS_FILE, self._closing)
        self._faults = Journal(self.folder / FAULTS_FILE, self._closing)

    def check_free_space(self) -> None:
        """Raise unless a trial has room on the disk.

        Raises:
            DiskFullError: less than the minimum is free.
        """
        _check_free_space(self.folder, self.folder, self._minimum_free)

    def close(self) -> None:
        """Finish what is being written, and let others write. May be called twice."""
        with self._mutex:
            self._closed = True
            self._closing.close()

    @contextlib.contextmanager
    def _writing(self):
        with self._mutex, explained(self.folder):
            if self._closed:
                raise CollectionError(
                    f"{self.folder}: is closed, so nothing more is recorded; start again to resume it"
                )
            yield

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()


class Collection(CollectionWriter):
    """A collection with one bag a trial; see :class:`CollectionWriter`.

    Attributes:
        missing: lines of trials whose bag is gone or damaged; they are not counted.
    """

    def _open(self, info: CollectionInfo) -> None:
        bags = self.folder / BAGS_FOLDER
        new, info = self._new_info(info, KIND)
        (bags / INCOMPLETE_FOLDER).mkdir(parents=True, exist_ok=True)
        if not new:
            for name in (TRIALS_FILE, FAULTS_FILE):
                self.notes += repair_journal(self.folder / name, bags / INCOMPLETE_FOLDER)
        lines = [line for _, line in read_trial_lines(self.folder)]
        faults = list(faults_of(self.folder))
        self.notes += _set_aside_unfinished(self.folder, {line["bag"] for line in lines})
        is_there = _file_check(self.folder)
        self.missing = [line for line in lines if not is_there(line)]
        gone = {line["number"] for line in self.missing}
        present = [line for line in lines if line["number"] not in gone]
        self.notes += [
            f"{line['bag']} is missing or has another size than when it was written" for line in self.missing
        ]
        self._next = 1 + max([line["number"] for line in lines] + _numbers_in_names(bags), default=0)
        self.outcomes = Counter(line["outcome"] for line in present + faults)
        self.recorded = len(present)
        self._begin(info)
        sync_folder(bags)
        sync_folder(self.folder)

    def add_trial(self, record: Mapping[str, Any], make_bag: Callable[[int], bytes]) -> Tuple[int, Path]:
        """Write one labelled trial; when this returns, it is on disk and will be reported from now on.

        Args:
            record: from :func:`trial_record`.
            make_bag: contents of the bag for the trial's number.

        Returns:
            The trial's number and its bag.

        Raises:
            CollectionError: it could not be written; the collection is as before, the number stays unused.
            ValueError: the record is not that of a labelled trial.
        """
        if record["arm"] not in ARMS or record["outcome"] not in ("SUCCESS", "FAILURE"):
            raise ValueError(f"not a labelled trial: arm {record['arm']!r}, outcome {record['outcome']!r}")
        with self._writing():
            self.check_free_space()
            number, self._next = self._next, self._next + 1
            name = f"{number:06d}_{record['arm']}.bag"
            content = make_bag(number)
            path = self.folder / BAGS_FOLDER / name
            added = {"bag": f"{BAGS_FOLDER}/{name}", "bag_bytes": len(content), "run": self.run, "written": utc_now()}
            try:
                write_atomically(path, path.with_name(f".{name}.part"), content)
                self._trials.append({"number": number, **record, **added})
            except OSError:
                # where even moving it fails, the next start sets it aside
                with contextlib.suppress(OSError):
                    move_aside(path, path.parent / INCOMPLETE_FOLDER)
                raise
            self.recorded += 1
            self.outcomes[record["outcome"]] += 1
            return number, path

    def add_fault(self, record: Mapping[str, Any]) -> None:
        """Count an attempt that ended without a label; on disk when this returns.

        Args:
            record: from :func:`fault_record`.

        Raises:
            CollectionError: it could not be written.
        """
        with self._writing():
            self._faults.append({**record, "run": self.run, "written": utc_now()})
            self.outcomes[record["outcome"]] += 1


def check_usable(folder, kind: Mapping[str, Any], minimum_free_bytes: int = 0) -> None:
    """Raise what :class:`Collection` would raise for a folder, without touching it or waiting for its lock.

    For whoever wants to know before a robot moves, while another process is to do the writing; :func:`writer_of`
    tells which process does so already.

    Args:
        kind: those of :data:`KIND` that are known; the source is "ros" if it is not told.

    Raises:
        CollectionError: see its subclasses.
    """
    folder = Path(folder).expanduser().absolute()
    with explained(folder):
        _check_contents(folder)
        # of a folder that is yet to be made, the nearest one there is
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        if not os.access(nearest, os.W_OK | os.X_OK, effective_ids=True):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(nearest))
        _check_free_space(folder, nearest, minimum_free_bytes)
    if (folder / COLLECTION_FILE).exists():
        _check_kind(folder, load_info(folder), {"source": "ros", **kind})
        for lines in (read_trial_lines(folder), faults_of(folder)):
            for _ in lines:  # reading raises at a damaged one
                pass


def writer_of(folder) -> Optional[int]:
    """Process id of the one that writes into a folder; None where nobody does.

    Raises:
        CollectionError: its lock cannot be read.
    """
    folder = Path(folder).expanduser().absolute()
    with explained(folder):
        try:
            file = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            name = os.read(file, 32).decode(errors="replace").strip()
            # a dead process holds no lock; asking for it then could come in the way of one that starts just now
            if not name.isdigit() or not Path("/proc", name).exists():
                return None
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(name)
        finally:
            os.close(file)
    return None


def make_folder(folder) -> None:
    """Make a folder for a collection, its parents too, if it is not there yet.

    Raises:
        CollectionError: it cannot be made; the message says why.
    """
    folder = Path(folder).expanduser().absolute()
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)


def load_info(folder) -> CollectionInfo:
    """Contents of a collection's collection.yaml.

    Raises:
        CollectionError: there is none, or it is malformed.
    """
    folder = Path(folder)
    with readable(folder):
        there, found = folder.exists(), (folder / COLLECTION_FILE).is_file()
    if not there:
        raise NotACollectionError(f"{folder}: there is no such folder; name the folder of a collection")
    if not found:
        raise NotACollectionError(f"{folder}: no {COLLECTION_FILE} here; name the folder of a collection")
    try:
        return load_settings(CollectionInfo, folder / COLLECTION_FILE)
    except ConfigError as error:
        raise MalformedCollectionError(
            f"{error}\n{folder}: repair {COLLECTION_FILE}, or choose another folder"
        ) from None


def trials_of(folder) -> Iterator[Dict[str, Any]]:
    """Finished trials of a collection, in the order in which they were written; may be read while it grows.

    Trials whose bag is gone are left out: :func:`missing_of` has them. A last line without its newline is a trial
    that is being written, or was when the process died: it is not finished, and is left out too.

    Raises:
        CollectionError: a file cannot be read, or a line is not a trial; the message names it.
    """
    folder = Path(folder)
    is_there = _file_check(folder)
    return (line for _, line in read_trial_lines(folder) if is_there(line))


def count_trials(folder) -> int:
    """How many finished trials a folder holds; 0 where there is no collection yet.

    Raises:
        CollectionError: a file cannot be read, or a line is not a trial; the message names it.
    """
    return sum(1 for _ in trials_of(folder))


def count_attempts(folder, arm: str) -> int:
    """How many attempts of an arm a folder knows of, with a label or without; 0 where there is no collection yet.

    Raises:
        CollectionError: a file cannot be read, or a line is malformed; the message names it.
    """
    folder = Path(folder)
    lines = [*(line for _, line in read_trial_lines(folder)), *faults_of(folder)]
    return sum(line["arm"] == arm for line in lines)


def newest_number(folder) -> int:
    """The highest number of a finished trial, whether its bag is still there or not; 0 where there is none.

    Raises:
        CollectionError: a file cannot be read, or a line is not a trial; the message names it.
    """
    return max((line["number"] for _, line in read_trial_lines(Path(folder))), default=0)


def find_trial(folder, arm: str, start: float, after: int = 0) -> int:
    """Number of the finished trial of an arm that began at a time, 0 where there is none.

    Args:
        start: robot's time (s).
        after: look at trials with higher numbers only: the clocks of several runs may show the same time.

    Raises:
        CollectionError: a file cannot be read, or a line is not a trial; the message names it.
    """
    for line in trials_of(folder):
        if line["number"] > after and line["arm"] == arm and abs(line.get("start", math.inf) - start) < 1e-6:
            return line["number"]
    return 0


def missing_of(folder) -> List[Dict[str, Any]]:
    """Finished trials whose bag is gone, or is not as long as it was when it was written; or whose shard is damaged.

    Raises:
        CollectionError: a file cannot be read, or a line is not a trial; the message names it.
    """
    folder = Path(folder)
    is_there = _file_check(folder)
    return [line for _, line in read_trial_lines(folder) if not is_there(line)]


def faults_of(folder) -> Iterator[Dict[str, Any]]:
    """Attempts of a collection that ended without a label.

    Raises:
        CollectionError: the file cannot be read, or a line is not such an attempt; the message names it.
    """
    path = Path(folder) / FAULTS_FILE
    for _, line in read_journal(path, {"arm": str, "outcome": str}):
        yield line


def file_of(line: Mapping[str, Any]) -> str:
    """The file, relative to the collection, in which a trial's pictures lie: its bag, or its shard."""
    return line["shard"] if "shard" in line else line["bag"]


def read_trial_lines(folder: Path) -> Iterator[Tuple[int, Dict[str, Any]]]:
    """Lines of trials.jsonl with their places from 1, whether their files are there or not.

    Raises:
        CollectionError: the file cannot be read, or a line is not a trial; the message names it.
    """
    seen: Set[int] = set()
    path = folder / TRIALS_FILE
    for place, line in read_journal(path, {"number": int, "arm": str, "outcome": str}):
        for key, kind in (SHARD_KEYS if "shard" in line else BAG_KEYS).items():
            if not isinstance(line.get(key), kind):
                raise MalformedCollectionError(
                    f"{path}, line {place}: key '{key}' is {line.get(key)!r}, expected {kind.__name__}; repair the line"
                )
        if line["number"] in seen:
            raise MalformedCollectionError(f"{path}, line {place}: number {line['number']} is there twice")
        seen.add(line["number"])
        yield place, line


def _file_check(folder: Path) -> Callable[[Mapping[str, Any]], bool]:
    """A function that tells whether the file of a trial's line is whole; it looks at each shard once."""
    rows: Dict[str, int] = {}

    def is_there(line: Mapping[str, Any]) -> bool:
        if "shard" not in line:
            return _bag_is_complete(folder, line)
        if line["shard"] not in rows:
            rows[line["shard"]] = _shard_rows(folder / line["shard"])
        return line["row"] < rows[line["shard"]]

    return is_there


def _shard_rows(path: Path) -> int:
    # only here: whoever has no shards need not wait for pyarrow
    from grasp_learning.simulation.shards import ShardError, count_rows

    try:
        with readable(path):
            return count_rows(path)
    except (FileNotFoundError, ShardError):
        return 0


def _bag_is_complete(folder: Path, line: Mapping[str, Any]) -> bool:
    bag = folder / line["bag"]
    try:
        with readable(bag):
            return bag.stat().st_size == line["bag_bytes"]
    except FileNotFoundError:
        return False


def _check_free_space(folder: Path, existing: Path, minimum: int) -> None:
    status = os.statvfs(existing)
    free = status.f_bavail * status.f_frsize
    if free < minimum:
        raise DiskFullError(
            f"{folder}: {free / 1e9:.2f} GB free on its disk, {minimum / 1e9:.2f} GB wanted; "
            "free some space, choose another folder, or lower minimum_free_gb"
        )


def _check_contents(folder: Path) -> None:
    """Raise if there is something else than a collection, an empty folder or nothing."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise NotACollectionError(f"{folder}: is a file; name a folder")
    # a process that was killed at the very beginning leaves a lock and an unfinished collection.yaml
    names = {entry.name for entry in folder.iterdir()} - {LOCK_FILE, PART_FILE}
    if COLLECTION_FILE in names:
        return
    ours = (folder / BAGS_FOLDER, folder / SHARDS_FOLDER)
    if names - {path.name for path in ours} or any(path.is_file() for one in ours for path in one.rglob("*")):
        raise NotACollectionError(
            f"{folder}: holds files but no {COLLECTION_FILE}, so it is no collection; choose a new or empty folder"
        )


def _check_kind(folder: Path, found: CollectionInfo, wanted: Mapping[str, Any]) -> None:
    for key, ours in wanted.items():
        theirs = getattr(found, key)
        if key == "objects" and not (ours and theirs):
            continue  # a collection from before they were told, or one of a real robot's
        if ours != theirs and key == "source":
            raise WrongCollectionError(f"{folder}: {SOURCES[theirs]}; choose another folder")
        if ours != theirs:
            raise WrongCollectionError(
                f"{folder}: another kind of collection, {key} is {theirs!r} there and {ours!r} now; "
                f"start it with {key} {theirs!r}, or choose another folder"
            )


def _resumed_info(folder: Path, wanted: CollectionInfo, kind: Sequence[str]) -> CollectionInfo:
    """The folder's info with this run added, once both are known to be of one kind."""
    found = load_info(folder)
    _check_kind(folder, found, {key: getattr(wanted, key) for key in kind})
    run = RunInfo(**{key: getattr(wanted, key) for key in RunInfo.model_fields})
    return found.model_copy(update={"resumed": [*found.resumed, run]})


def write_info(folder: Path, info: CollectionInfo) -> None:
    """Write collection.yaml, whole or not at all."""
    text = yaml.safe_dump(info.model_dump(), sort_keys=False, allow_unicode=True)
    write_atomically(folder / COLLECTION_FILE, folder / PART_FILE, text.encode())


def _set_aside_unfinished(folder: Path, indexed: Set[str]) -> List[str]:
    """Move what is in the folder of bags but not in the index into bags/incomplete."""
    notes = []
    for path in sorted((folder / BAGS_FOLDER).iterdir()):
        if path.is_file() and str(path.relative_to(folder)) not in indexed:
            kept = move_aside(path, path.parent / INCOMPLETE_FOLDER)
            notes.append(f"set the unfinished {path.name} aside as {kept.relative_to(folder)}")
    return notes


def _numbers_in_names(bags: Path) -> List[int]:
    matches = (BAG_NAME.match(path.name) for path in bags.rglob("*"))
    return [int(match.group(1)) for match in matches if match]
