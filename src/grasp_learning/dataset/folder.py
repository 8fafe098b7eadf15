"""A dataset's folder: dataset.yaml, the lock that keeps two exports apart, and what may not be mixed."""

import contextlib
import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Mapping

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from pydantic import Field

from grasp_learning.config import ConfigError, Settings, load_settings
from grasp_learning.dataset.reader import DATASET_FILE, PART_PATTERN, DatasetError
from grasp_learning.dataset.schema import FORMAT, JPEG_QUALITY, STORED_SIDE, PatchGeometry
from grasp_learning.dataset.splits import SplitSettings
from grasp_learning.durable import write_atomically
from grasp_learning.folder_lock import take_folder
from grasp_learning.patches import NETWORK_SIDE
from grasp_learning.storage import COLLECTION_FILE
from grasp_learning.storage_errors import explained

REPORT_FILE = "report.json"


class SourceInfo(Settings):
    """What was taken of one collection, complete when its trials.jsonl had the size that stands here.

    Attributes:
        name: of its folder; ``source`` of its rows.
        started, seed, robot, mode, stage, model_sha256: of its collection.yaml; the first two tell it from others.
        trials_bytes, trials_sha256: of its trials.jsonl.
        trials: finished ones.
        parts: names of the Parquet files.
        counts: split -> [failures, successes].
        left_out: reason -> trials and attempts that are in no part.
        damaged: trial -> what is wrong with its picture.
    """

    name: str
    started: str
    seed: int
    robot: str
    mode: str
    stage: int
    model_sha256: str
    trials_bytes: int
    trials_sha256: str
    trials: int
    parts: List[str]
    counts: Dict[str, List[int]]
    left_out: Dict[str, int]
    damaged: Dict[str, str]

    @property
    def rows(self) -> int:
        """Patches of all splits."""
        return sum(map(sum, self.counts.values()))


class DatasetInfo(Settings):
    """Contents of dataset.yaml.

    Attributes:
        geometry: of all patches; unknown until the first is read.
        splits: how trials were split.
        sources: collections that were exported completely.
        stored_side, network_side, jpeg_quality: of the patches.
        format: version of this layout.
    """

    geometry: PatchGeometry = PatchGeometry()
    splits: SplitSettings
    sources: List[SourceInfo] = Field(default_factory=list)
    stored_side: int = STORED_SIDE
    network_side: int = NETWORK_SIDE
    jpeg_quality: int = JPEG_QUALITY
    format: int = FORMAT

    def source(self, name: str):
        """A collection's entry; None where it is not complete."""
        return next((source for source in self.sources if source.name == name), None)


class DatasetFolder:
    """A dataset that is being written to, by this process alone; use as a context manager.

    Attributes:
        path: where it lies.
        info: contents of dataset.yaml.
    """

    def __init__(self, path, splits: SplitSettings):
        """Make the folder, or open the one that is there.

        Raises:
            DatasetError: there is something else, it was made with other splits, or another process writes into it.
            CollectionError: it cannot be written to.
        """
        self.path = Path(path).expanduser().absolute()
        self._closing = contextlib.ExitStack()
        _check_contents(self.path)
        with explained(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            self._closing.callback(os.close, take_folder(self.path, "exporting into it", DatasetError))
            try:
                self._open(splits)
            except BaseException:
                self._closing.close()
                raise

    def _open(self, splits: SplitSettings) -> None:
        file = self.path / DATASET_FILE
        if not file.exists():
            self.write(DatasetInfo(splits=splits))
            return
        self.info = load_info(file)
        for key, ours in splits.model_dump().items():
            theirs = getattr(self.info.splits, key)
            if theirs != ours:
                raise DatasetError(
                    f"{self.path}: was made with {key} {theirs!r}, now it is {ours!r}; use {theirs!r}, "
                    "or choose another folder"
                )

    def write(self, info: DatasetInfo) -> None:
        """Replace dataset.yaml and report.json.

        Raises:
            CollectionError: they cannot be written.
        """
        texts = {
            REPORT_FILE: json.dumps(report_of(info), indent=2, ensure_ascii=False) + "\n",
            DATASET_FILE: yaml.safe_dump(json.loads(info.model_dump_json()), sort_keys=False, allow_unicode=True),
        }
        with explained(self.path):
            for name, text in texts.items():
                write_atomically(self.path / name, self.path / f".{name}.part", text.encode())
        self.info = info

    def check_identity(self, folder, name: str, started: str, seed: int) -> None:
        """Check that no other source has a name.

        Raises:
            DatasetError: there is one.
        """
        known = self.info.source(name)
        if known and (known.started, known.seed) != (started, seed):
            raise DatasetError(
                f"{folder}: the dataset holds another collection named '{name}' already (started {known.started}); "
                "rename one of the folders"
            )

    def add(self, entry: SourceInfo) -> None:
        """List a source, in the place of its earlier entry; parts that it does not have any more are removed.

        Raises:
            CollectionError: the folder cannot be written to.
        """
        pattern = re.compile(re.escape(f"part-{entry.name}-") + r"\d{5}\.parquet")
        with explained(self.path):
            for path in list(self.path.iterdir()):
                if pattern.fullmatch(path.name) and path.name not in entry.parts:
                    path.unlink()
        others = [source for source in self.info.sources if source.name != entry.name]
        self.write(self.info.model_copy(update={"sources": [*others, entry]}))

    def __enter__(self) -> "DatasetFolder":
        return self

    def __exit__(self, *_) -> None:
        self._closing.close()


def source_name(folder: Path) -> str:
    """Name of a source: its folder's, fit for a file's name.

    Raises:
        DatasetError: it has none.
    """
    name = re.sub(r"[^A-Za-z0-9._-]", "_", folder.name)
    if not name:
        raise DatasetError(f"{folder}: has no name; name a collection's own folder")
    return name


def part_metadata(path: Path) -> Mapping[bytes, bytes]:
    """A part's metadata; empty where it is not there or not whole, so that it is made again."""
    try:
        return pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError):
        return {}


def load_info(path: Path) -> DatasetInfo:
    """Contents of a dataset.yaml.

    Raises:
        DatasetError: it is malformed, or of another format.
    """
    try:
        info = load_settings(DatasetInfo, path)
    except ConfigError as error:
        raise DatasetError(f"{str(error).splitlines()[0]}; repair it, or choose another folder") from None
    if (info.format, info.stored_side, info.network_side) != (FORMAT, STORED_SIDE, NETWORK_SIDE):
        raise DatasetError(
            f"{path}: format {info.format} with patches of {info.stored_side} px, this version writes format {FORMAT} "
            f"with {STORED_SIDE} px; choose another folder"
        )
    return info


def report_of(info: DatasetInfo) -> Dict[str, Any]:
    """Contents of report.json: what was taken and what was left out, in all and of each collection."""
    counts: Dict[str, Counter] = {}
    left_out: Counter = Counter()
    for source in info.sources:
        left_out.update(source.left_out)
        for split, (failures, successes) in source.counts.items():
            counts.setdefault(split, Counter()).update(success=successes, failure=failures)
    return {
        "patches": sum(source.rows for source in info.sources),
        "counts": {split: dict(counter) for split, counter in counts.items()},
        "left_out": dict(left_out),
        "sources": {source.name: source.model_dump() for source in info.sources},
    }


def _check_contents(path: Path) -> None:
    with explained(path):
        if not path.exists():
            return
        if not path.is_dir():
            raise DatasetError(f"{path}: is a file; name a folder for the dataset")
        names = {entry.name for entry in path.iterdir() if not entry.name.startswith(".")}
    if COLLECTION_FILE in names:
        raise DatasetError(f"{path}: is a collection; name the dataset's folder last")
    others = names - {REPORT_FILE} - {entry.name for entry in path.glob(PART_PATTERN)}
    if DATASET_FILE not in names and (others or names - {REPORT_FILE}):
        raise DatasetError(f"{path}: holds files but no {DATASET_FILE}; choose a new or empty folder")
