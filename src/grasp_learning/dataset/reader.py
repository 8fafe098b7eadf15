"""Reading datasets: whole splits into memory, or batch by batch where they do not fit.

Every problem is a :class:`DatasetError` with one line that names the file and the remedy.
"""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from grasp_learning.config import ConfigError, Settings, load_settings
from grasp_learning.dataset.schema import (
    FORMAT,
    FORMAT_KEY,
    GEOMETRY_KEY,
    REQUIRED,
    SCHEMA,
    SPLITS,
    STORED_SIDE,
    UNUSED,
    PatchGeometry,
)
from grasp_learning.geometry import NUM_BINS, angle_to_bin

DATASET_FILE = "dataset.yaml"
PART_PATTERN = "part-*.parquet"
READ_BUFFER = 1 << 20  # bytes
ROWS_AT_ONCE = 65536  # of small columns, as Python's objects

PathLike = Union[str, Path]


class DatasetError(Exception):
    """A dataset cannot be made or used; the message names the file, the reason and the remedy."""


@dataclass(frozen=True)
class Dataset:
    """What a dataset holds, without its patches.

    Attributes:
        paths: the Parquet files, in order.
        info: contents of the first one's dataset.yaml; empty for a lone Parquet file.
        geometry: of the patches of all of them.
        identity: 64 hexadecimal digits that change with the rows, their labels and their splits.
        rows: of all splits, the unused ones too.
        counts: (split, label) -> rows.
        stages: (split, stage) -> rows.
        sources: source -> rows; "" where it is not known.
    """

    paths: Tuple[Path, ...]
    info: Mapping[str, Any]
    geometry: PatchGeometry
    identity: str
    rows: int
    counts: Mapping[Tuple[str, int], int] = field(default_factory=dict)
    stages: Mapping[Tuple[str, int], int] = field(default_factory=dict)
    sources: Mapping[str, int] = field(default_factory=dict)

    def count(self, split: str, label: Optional[int] = None) -> int:
        """Rows of a split, of one label or of both."""
        return sum(n for (name, value), n in self.counts.items() if name == split and label in (None, value))


class AnyMapping(Settings):
    """Keys of dataset.yaml that a reader needs; the exporter writes more."""

    model_config = {**Settings.model_config, "extra": "allow"}
    format: int


def part_paths(paths: Union[PathLike, Sequence[PathLike]]) -> List[Path]:
    """The Parquet files of one or several datasets (folders or single files), in order.

    Raises:
        DatasetError: one is missing or holds no Parquet file.
    """
    if isinstance(paths, (str, Path)):
        paths = [paths]
    found: List[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            _check_parts(path)
            parts = sorted(path.glob(PART_PATTERN))
            if not parts:
                raise DatasetError(f"{path}: holds no {PART_PATTERN}; name a folder that export_dataset made")
            found += parts
        elif path.is_file():
            found.append(path)
        else:
            raise DatasetError(f"{path}: is not there; name a dataset's folder or one of its Parquet files")
    if not found:
        raise DatasetError("no dataset was named; name at least one folder that export_dataset made")
    return found


def read_dataset(
    paths: Union[PathLike, Sequence[PathLike]],
    split: Optional[str] = None,
    columns: Optional[Sequence[str]] = None,
) -> pa.Table:
    """Rows of datasets in memory.

    Args:
        paths: folders of datasets, or single Parquet files.
        split: one of SPLITS, or "unused"; None for all of SPLITS, the unused left out.
        columns: all by default.

    Raises:
        DatasetError: a file is missing, damaged or no dataset, rows are malformed, or there is no row at all.
    """
    batches = list(iterate_dataset(paths, split, columns))
    if not sum(batch.num_rows for batch in batches):
        wanted = f"split '{split}'" if split else "a split"
        names = ", ".join(str(path) for path in ([paths] if isinstance(paths, (str, Path)) else paths))
        raise DatasetError(f"{names}: no row of {wanted}; export more trials, or choose another split")
    return pa.Table.from_batches(batches)


def iterate_dataset(
    paths: Union[PathLike, Sequence[PathLike]],
    split: Optional[str] = None,
    columns: Optional[Sequence[str]] = None,
    batch_size: int = 1024,
) -> Iterator[pa.RecordBatch]:
    """Rows of datasets, batch by batch, in the order of the files; see :func:`read_dataset`.

    Raises:
        DatasetError: as :func:`read_dataset`, but an empty dataset yields nothing.
    """
    if split is not None and split not in (*SPLITS, UNUSED):
        raise DatasetError(f"split '{split}' is unknown; choose from {', '.join((*SPLITS, UNUSED))}")
    names = list(SCHEMA.names if columns is None else columns)
    unknown = [name for name in names if name not in SCHEMA.names]
    if unknown:
        raise DatasetError(f"column '{unknown[0]}' is unknown; choose from {', '.join(SCHEMA.names)}")
    for path in part_paths(paths):
        yield from _batches_of(path, split, names, batch_size)


def open_dataset(paths: Union[PathLike, Sequence[PathLike]]) -> Dataset:
    """What datasets hold, from their small columns; the patches are not read.

    Raises:
        DatasetError: see :func:`read_dataset`, or their patches are of different geometries, or they share trials; an
            empty dataset is no error here.
    """
    parts = part_paths(paths)
    counts: Counter = Counter()
    stages: Counter = Counter()
    sources: Counter = Counter()
    rows, geometry, digest = 0, PatchGeometry(), hashlib.sha256()
    keys: List[np.ndarray] = []
    for path in parts:
        geometry = _common_geometry(geometry, path)
        table = _read_table(path, ["trial_id", "split", "label", "stage", "source", "angle"])
        rows += table.num_rows
        keys.append(_trial_keys(table))
        for text in _as_json(table.select(["trial_id", "split", "label"])):
            digest.update(text.encode())
        for some in _slices(table):
            splits = some["split"].to_pylist()
            counts.update(zip(splits, some["label"].to_pylist()))
            stages.update(zip(splits, some["stage"].to_pylist()))
            sources.update(source or "" for source in some["source"].to_pylist())
    _check_new(parts, keys)
    info = _info_of(parts[0].parent)
    return Dataset(tuple(parts), info, geometry, digest.hexdigest(), rows, dict(counts), dict(stages), dict(sources))


def _slices(table: pa.Table) -> Iterator[pa.Table]:
    """A table in pieces: as Python's objects, a million rows of it would fill a gigabyte."""
    for first in range(0, table.num_rows, ROWS_AT_ONCE):
        yield table.slice(first, ROWS_AT_ONCE)


def _as_json(table: pa.Table) -> Iterator[str]:
    """The text of json.dumps(table.to_pydict()), piece by piece."""
    before = "{"
    for name in table.column_names:
        yield f"{before}{json.dumps(name)}: ["
        for place, some in enumerate(_slices(table.select([name]))):
            yield (", " if place else "") + json.dumps(some[name].to_pylist())[1:-1]
        before = "], "
    yield "]}"


def _trial_keys(table: pa.Table) -> np.ndarray:
    """(n,) int64, equal for equal trials; those of different trials hardly ever are."""
    # collections of one name differ in their angles
    parts = [
        np.fromiter(map(hash, zip(some["trial_id"].to_pylist(), some["angle"].to_pylist())), np.int64, some.num_rows)
        for some in _slices(table)
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _check_new(parts: Sequence[Path], keys: Sequence[np.ndarray]) -> None:
    """Raise if a trial is in two files: datasets that share trials may have split them otherwise.

    Args:
        keys: of each file's trials.
    """
    together, file_of = np.concatenate(keys), np.repeat(np.arange(len(keys)), [len(each) for each in keys])
    order = np.argsort(together, kind="stable")  # of equal ones, those of earlier files come first
    same = (together[order[1:]] == together[order[:-1]]) & (file_of[order[1:]] != file_of[order[:-1]])
    places = np.flatnonzero(same)
    for place in places[np.argsort(order[places + 1])].tolist():
        earlier, later = (parts[file_of[order[index]]] for index in (place, place + 1))
        trial = _shared_trial(earlier, later, int(together[order[place]]))
        if trial:
            raise DatasetError(
                f"{later}: trial {trial} is in {earlier}, too; name each dataset once, or export all collections "
                "into one dataset"
            )


def _shared_trial(earlier: Path, later: Path, key: int) -> str:
    """The trial of a key that is in both files; empty if two trials only happen to have one key."""
    found = []
    for path in (earlier, later):
        table = _read_table(path, ["trial_id", "angle"])
        rows = table.take(pa.array(np.flatnonzero(_trial_keys(table) == key)))
        found.append(set(zip(rows["trial_id"].to_pylist(), rows["angle"].to_pylist())))
    return next((trial for trial, _ in found[0] & found[1]), "")


def decode_patch(data: bytes) -> np.ndarray:
    """A stored patch as (STORED_SIDE, STORED_SIDE, 3) uint8, BGR.

    Raises:
        DatasetError: it is no picture of that size.
    """
    array = np.frombuffer(data, np.uint8)
    picture = cv2.imdecode(array, cv2.IMREAD_COLOR) if len(array) else None
    if picture is None:
        raise DatasetError("a patch cannot be decoded; its Parquet file is damaged: delete it and export again")
    if picture.shape != (STORED_SIDE, STORED_SIDE, 3):
        raise DatasetError(
            f"a patch has {picture.shape[1]} x {picture.shape[0]} px instead of {STORED_SIDE} x {STORED_SIDE}; "
            "delete its Parquet file and export again"
        )
    return picture


def require_both_classes(labels, name: str) -> None:
    """Check that there are successes and failures.

    Args:
        labels: (n,) of 0 and 1; an array, a list or a column.
        name: of what they are, for the error.

    Raises:
        DatasetError: one is missing; the message says which.
    """
    values = set(labels.to_pylist() if isinstance(labels, (pa.Array, pa.ChunkedArray)) else np.asarray(labels).tolist())
    if not values:
        raise DatasetError(f"{name}: is empty; collect and export more trials")
    if len(values) == 1:
        have = "successes" if values == {1} else "failures"
        lack = "failures" if values == {1} else "successes"
        raise DatasetError(f"{name}: has {have} only; collect until there are {lack}, too")


def check_part(path: Path) -> pa.Schema:
    """Check that a file is a part of a dataset of this format.

    Returns:
        Its schema with its metadata.

    Raises:
        DatasetError: it is damaged, something else, or of another format.
    """
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{path}: no whole Parquet file ({_one_line(error)}); delete it and export again") from None
    found = (schema.metadata or {}).get(FORMAT_KEY)
    if found is not None and found != str(FORMAT).encode():
        raise DatasetError(f"{path}: format {found.decode()}, this version reads format {FORMAT}; export again")
    for name in REQUIRED:
        if name not in schema.names:
            raise DatasetError(f"{path}: no dataset of grasps, column '{name}' is missing; name one of export_dataset")
    for column in schema:
        if column.name in SCHEMA.names and column.type != SCHEMA.field(column.name).type:
            raise DatasetError(
                f"{path}: column '{column.name}' is {column.type} instead of {SCHEMA.field(column.name).type}; "
                "export again"
            )
    return schema


def geometry_of(schema: pa.Schema) -> PatchGeometry:
    """The patch geometry that a part's metadata names; an unknown one where it names none."""
    text = (schema.metadata or {}).get(GEOMETRY_KEY)
    return PatchGeometry() if text is None else PatchGeometry.model_validate_json(text)


def _common_geometry(geometry: PatchGeometry, path: Path) -> PatchGeometry:
    found = geometry_of(check_part(path))
    if not geometry.agrees(found):
        raise DatasetError(
            f"{path}: its patches span {found.span:.4f} m at a distance of 1 m, those before it {geometry.span:.4f} m; "
            "datasets of different patch geometries cannot be mixed, choose ones of the same footprint and scale"
        )
    return geometry if geometry.span else found


def check_rows(batch: pa.RecordBatch, name: str) -> None:
    """Check what is present of angles, bins, labels and splits.

    Raises:
        DatasetError: a value is outside its convention; the message names the first row.
    """
    columns = set(batch.schema.names)
    angles = np.asarray(batch["angle"]) if "angle" in columns else None
    bins = np.asarray(batch["bin"]) if "bin" in columns else None
    labels = np.asarray(batch["label"]) if "label" in columns else None
    if angles is not None:
        with np.errstate(invalid="ignore"):
            _refuse(name, "angle", angles, ~((angles >= 0) & (angles < np.pi)), "expected rad in [0, pi)")
    if bins is not None:
        _refuse(name, "bin", bins, (bins < 0) | (bins >= NUM_BINS), f"expected 0..{NUM_BINS - 1}")
    if bins is not None and angles is not None:
        _refuse(name, "bin", bins, bins != angle_to_bin(angles), "expected the bin of the row's angle")
    if labels is not None:
        _refuse(name, "label", labels, (labels != 0) & (labels != 1), "expected 0 or 1")


def _refuse(name: str, column: str, values: np.ndarray, wrong: np.ndarray, expected: str) -> None:
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        raise DatasetError(f"{name}, row {place}: {column} is {values[place]}, {expected}; export again")


def _batches_of(path: Path, split: Optional[str], names: List[str], batch_size: int) -> Iterator[pa.RecordBatch]:
    present = check_part(path).names
    wanted = [name for name in names if name in present]
    checked = [name for name in ("angle", "bin", "label", "split") if name not in wanted]
    splits = pa.array(list(SPLITS) if split is None else [split])
    try:
        # page by page: patches of a whole row group, which may be all of the file, need not be in memory at once
        with pq.ParquetFile(path, buffer_size=READ_BUFFER, pre_buffer=False) as file:
            for batch in file.iter_batches(batch_size, columns=wanted + checked, use_threads=False):
                wanted_rows = pc.is_in(batch.column("split"), splits)
                batch = batch if pc.all(wanted_rows).as_py() else batch.filter(wanted_rows)
                check_rows(batch, str(path))
                if batch.num_rows:
                    yield _conformed(batch, names)
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{path}: cannot be read ({_one_line(error)}); delete it and export again") from None


def _conformed(batch: pa.RecordBatch, names: List[str]) -> pa.RecordBatch:
    """The batch with exactly these columns; optional ones that an older file lacks are null."""
    fields = [SCHEMA.field(name).with_nullable(True) for name in names]
    arrays = [
        batch.column(field.name) if field.name in batch.schema.names else pa.nulls(batch.num_rows, field.type)
        for field in fields
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _read_table(path: Path, columns: List[str]) -> pa.Table:
    """Columns of a part; an optional one that it lacks is null."""
    try:
        present = pq.read_schema(path).names
        table = pq.read_table(path, columns=[name for name in columns if name in present])
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{path}: cannot be read ({_one_line(error)}); delete it and export again") from None
    for name in (name for name in columns if name not in present):
        table = table.append_column(name, pa.nulls(table.num_rows, SCHEMA.field(name).type))
    return table


def _info_of(folder: Path) -> Dict[str, Any]:
    path = folder / DATASET_FILE
    if not path.is_file():
        return {}
    try:
        info = load_settings(AnyMapping, path)
    except ConfigError as error:
        raise DatasetError(f"{_one_line(error)}; repair it or export again") from None
    if info.format != FORMAT:
        raise DatasetError(f"{path}: format {info.format}, this version reads format {FORMAT}; export again")
    return info.model_dump()


def _check_parts(folder: Path) -> None:
    """Raise if dataset.yaml speaks of a part that is not there."""
    for source in _info_of(folder).get("sources", []):
        for name in source.get("parts", []):
            if not (folder / name).is_file():
                raise DatasetError(
                    f"{folder / name}: is missing, though {DATASET_FILE} lists it; export {source.get('name')} again"
                )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
