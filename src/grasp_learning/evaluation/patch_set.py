"""Rows of datasets whose patches stay on disk until somebody looks at them.

What a method needs of every row (angle, label, scene ...) is in memory; a patch is read from its Parquet file and
decoded when it is asked for, so that a dataset may be larger than the memory.
"""

import bisect
import copy
import hashlib
import itertools
import os
import sys
from collections import OrderedDict, deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Deque, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from grasp_learning.dataset.reader import DatasetError, check_part, check_rows, decode_patch, open_dataset
from grasp_learning.dataset.schema import SCHEMA, SPLITS, STORED_SIDE, UNUSED, PatchGeometry
from grasp_learning.patches import NETWORK_SIDE, resize_patch

BATCH = 256  # patches; 40 MB of the network's size
DECODED_AT_ONCE, AHEAD = 16, 8  # patches by one thread; such jobs that may wait while a file is read
GROUPS_KEPT = 4  # row groups of patches, each of some 10 MB

PathLike = Union[str, Path]

_COLUMNS = ("trial_id", "angle", "bin", "label", "stage", "split", "source", "object", "objects", "scene")
_MORE = ("margin", "patch_size")
_REPEATED = ("split", "source", "object", "scene")  # few values, each of them in many rows


class StoredPatches:
    """Patches of Parquet files by part and row, read by row groups of which a few are kept; for one thread at a time.

    Args:
        parts: the Parquet files.
    """

    def __init__(self, parts: Sequence[Path]):
        self.parts = tuple(parts)
        self._forget()

    def _forget(self) -> None:
        self._files: OrderedDict[int, Tuple[pq.ParquetFile, List[int]]] = OrderedDict()
        self._groups: OrderedDict[Tuple[int, int], pa.Array] = OrderedDict()
        self._pool: Optional[ThreadPoolExecutor] = None

    def __getstate__(self) -> Dict[str, Any]:
        # another process opens the files anew
        return {"parts": self.parts}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.parts = state["parts"]
        self._forget()

    def decode(self, places: np.ndarray, use: Callable[[int, np.ndarray], None]) -> None:
        """Decode patches, in the order in which they lie on disk.

        Args:
            places: (n, 2) int: part, row in the part.
            use: called by several threads with an index into `places` and its patch (STORED_SIDE, STORED_SIDE, 3)
                uint8 BGR.

        Raises:
            DatasetError: a file is gone or damaged, or a patch cannot be decoded.
        """
        if self._pool is None:
            # OpenCV decodes outside Python's lock
            self._pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="decode")
        order = np.lexsort((places[:, 1], places[:, 0])).tolist()
        jobs: Deque[Future] = deque()
        for start in range(0, len(order), DECODED_AT_ONCE):
            some = order[start : start + DECODED_AT_ONCE]
            encoded = [self._encoded(*places[index].tolist()) for index in some]
            jobs.append(self._pool.submit(self._decode_some, some, places[some, 0], encoded, use))
            if len(jobs) > AHEAD:
                jobs.popleft().result()
        for job in jobs:
            job.result()

    def _decode_some(self, indices, parts, encoded, use) -> None:
        for index, part, data in zip(indices, parts, encoded):
            try:
                use(index, decode_patch(data))
            except DatasetError as error:
                raise DatasetError(f"{self.parts[part]}: {error}") from None

    def _encoded(self, part: int, row: int) -> bytes:
        _, starts = self._file(part)
        group = bisect.bisect_right(starts, row) - 1
        return self._group(part, group)[row - starts[group]].as_py()

    def _file(self, part: int) -> Tuple[pq.ParquetFile, List[int]]:
        """An open part, and the first row of each of its row groups."""
        if part not in self._files:
            path = self.parts[part]
            try:
                file = pq.ParquetFile(path)
            except (pa.ArrowException, OSError) as error:
                raise _unreadable(path, error) from None
            counts = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
            _keep(self._files, part, (file, [0, *itertools.accumulate(counts[:-1])]))
        return self._files[part]

    def _group(self, part: int, group: int) -> pa.Array:
        key = part, group
        if key not in self._groups:
            try:
                patches = self._file(part)[0].read_row_group(group, columns=["patch"])["patch"].combine_chunks()
            except (pa.ArrowException, OSError) as error:
                raise _unreadable(self.parts[part], error) from None
            _keep(self._groups, key, patches)
        self._groups.move_to_end(key)
        return self._groups[key]


class PatchSet:
    """Rows of one or several splits; made by :func:`load_patch_set`.

    Attributes:
        name: of the splits, for messages.
        trial_ids: (n,) str (object array, like all text here).
        angles: (n,) float64, closing direction in the patch (rad, in [0, pi)).
        bins: (n,) int, of the angles.
        labels: (n,) int8, 1 where the gripper held something.
        stages: (n,) int, of the curriculum.
        objects: (n,) nearest object; None where it is not known.
        near: (n,) tuple of all objects near the grasp, nearest first; None where they are not known.
        scenes: (n,) layout of the table; None where it is not known.
        splits, sources: (n,) str.
        geometry: of the patches.
        watched: what :meth:`batches` calls its progress bar on stderr; empty for no bar.
    """

    def __init__(
        self,
        patches: StoredPatches,
        places: np.ndarray,
        columns: Mapping[str, np.ndarray],
        name: str,
        geometry: Optional[PatchGeometry] = None,
    ):
        self._patches, self._places, self._columns = patches, places, dict(columns)
        self.name, self.geometry, self.watched = name, geometry or PatchGeometry(), ""
        self.trial_ids: np.ndarray = columns["trial_id"]
        self.angles: np.ndarray = columns["angle"]
        self.bins: np.ndarray = columns["bin"]
        self.labels: np.ndarray = columns["label"]
        self.stages: np.ndarray = columns["stage"]
        self.objects: np.ndarray = columns["object"]
        self.near: np.ndarray = columns["objects"]
        self.scenes: np.ndarray = columns["scene"]
        self.splits: np.ndarray = columns["split"]
        self.sources: np.ndarray = columns["source"]

    def __len__(self) -> int:
        return len(self._places)

    def subset(self, indices, name: str = "") -> "PatchSet":
        """Some of the rows, in the order of the indices (or of a mask); their patches are not read."""
        columns = {key: values[indices] for key, values in self._columns.items()}
        return PatchSet(self._patches, self._places[indices], columns, name or self.name, self.geometry)

    def watch(self, description: str) -> "PatchSet":
        """The same rows, with a progress bar for whoever goes through their batches, where stderr is a terminal."""
        same = copy.copy(self)
        same.watched = description
        return same

    def pictures(self, indices, side: int = NETWORK_SIDE) -> np.ndarray:
        """The network's part of patches, not turned: (m, side, side, 3) uint8 BGR.

        Rows that lie near each other in the dataset are read fastest.

        Args:
            indices: (m,) int, or a slice.

        Raises:
            DatasetError: a file is gone or damaged, or a patch cannot be decoded.
        """
        places, margins = self._places[indices], self._columns["margin"][indices]
        result = np.empty((len(places), side, side, 3), np.uint8)

        def show(index: int, patch: np.ndarray) -> None:
            result[index] = network_part(patch, bool(margins[index]), side)

        self._patches.decode(places, show)
        return result

    def batches(self, size: int = BATCH, side: int = NETWORK_SIDE) -> Iterator[Tuple[slice, np.ndarray]]:
        """All patches in order, some at a time: which rows they are, and :meth:`pictures` of them."""
        with tqdm(total=len(self), desc=self.watched, unit="patch", disable=None if self.watched else True) as bar:
            for start in range(0, len(self), size):
                rows = slice(start, min(start + size, len(self)))
                yield rows, self.pictures(rows, side)
                bar.update(rows.stop - rows.start)

    @property
    def identity(self) -> str:
        """64 hexadecimal digits that change with the rows, their order, labels, angles, stages or patches' size."""
        digest = hashlib.sha256()
        digest.update("\n".join(self.trial_ids).encode())
        for key in ("angle", "label", "stage", "margin", "patch_size"):
            digest.update(np.ascontiguousarray(self._columns[key]).tobytes())
        return digest.hexdigest()


def network_part(patch: np.ndarray, margin: bool, side: int = NETWORK_SIDE) -> np.ndarray:
    """The part (side, side, 3) that the network sees of a stored patch (STORED_SIDE, STORED_SIDE, 3)."""
    if margin:
        first = (STORED_SIDE - NETWORK_SIDE) // 2
        patch = patch[first : first + NETWORK_SIDE, first : first + NETWORK_SIDE]
    return patch if patch.shape[0] == side else resize_patch(patch, side)


def load_patch_set(
    paths: Union[PathLike, Sequence[PathLike]],
    splits: Union[str, Sequence[str]],
    progress: bool = False,
    allow_empty: bool = False,
) -> PatchSet:
    """Rows of splits of datasets; the patches are not read.

    Args:
        paths: folders of datasets, or single Parquet files.
        splits: names from schema.SPLITS, or "unused".
        progress: show a bar on stderr where it is a terminal.
        allow_empty: no row is no error.

    Raises:
        DatasetError: a file is missing, damaged or no dataset, rows are malformed, datasets share trials or differ in
            their patches' geometry, a split is unknown, or there is no row.
    """
    wanted = [splits] if isinstance(splits, str) else list(splits)
    for split in wanted:
        if split not in (*SPLITS, UNUSED):
            raise DatasetError(f"split '{split}' is unknown; choose from {', '.join((*SPLITS, UNUSED))}")
    dataset = open_dataset(paths)
    tables, places, numbers = [], [], []
    folders = list(dict.fromkeys(path.parent for path in dataset.paths))
    parts = tqdm(dataset.paths, desc=f"reading {' + '.join(wanted)}", unit="file", disable=None if progress else True)
    for part, path in enumerate(parts):
        table = _small_columns(path)
        rows = np.flatnonzero(np.isin(np.array(table["split"].to_pylist(), object), wanted))
        tables.append(table.take(pa.array(rows)))
        places.append(np.stack([np.full(len(rows), part), rows], axis=1))
        numbers.append(np.full(len(rows), folders.index(path.parent)))
    if not sum(map(len, places)) and not allow_empty:
        named = ", ".join(str(path) for path in ([paths] if isinstance(paths, (str, Path)) else paths))
        raise DatasetError(f"{named}: no row of split {', '.join(wanted)}; export more trials, or choose another split")
    columns, name = _arrays(pa.concat_tables(tables)), " + ".join(wanted)
    _tell_apart(columns["scene"], np.concatenate(numbers))
    return PatchSet(StoredPatches(dataset.paths), np.concatenate(places).astype(int), columns, name, dataset.geometry)


def _small_columns(path: Path) -> pa.Table:
    """All columns of a part but the patches; those that an older one lacks are null."""
    present = check_part(path).names
    names = [*_COLUMNS, *_MORE]
    try:
        table = pq.read_table(path, columns=[name for name in names if name in present])
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None
    for batch in table.to_batches():
        check_rows(batch, str(path))
    arrays = [
        table[name].combine_chunks() if name in present else pa.nulls(table.num_rows, SCHEMA.field(name).type)
        for name in names
    ]
    return pa.table(arrays, schema=pa.schema([SCHEMA.field(name).with_nullable(True) for name in names]))


def _arrays(table: pa.Table) -> Dict[str, np.ndarray]:
    columns = {name: _repeated(table[name]) for name in _REPEATED}
    columns["trial_id"] = _objects(table["trial_id"].to_pylist())
    columns["objects"] = _near(table["objects"])
    for name in ("angle", "bin", "label", "stage"):
        columns[name] = table[name].to_numpy()
    # a dataset without these columns has margins, and does not know how large its patches were in the pictures
    columns["margin"] = table["margin"].combine_chunks().fill_null(True).to_numpy(zero_copy_only=False)
    columns["patch_size"] = table["patch_size"].combine_chunks().fill_null(0).to_numpy(zero_copy_only=False)
    columns["bin"], columns["stage"] = columns["bin"].astype(int), columns["stage"].astype(int)
    return columns


def _tell_apart(scenes: np.ndarray, folders: np.ndarray) -> None:
    """Name scenes of further datasets otherwise: collections of one name may lie in two of them, but no trial does."""
    for row in np.flatnonzero(folders):
        if scenes[row] is not None:
            scenes[row] = sys.intern(f"{scenes[row]} of dataset {folders[row] + 1}")


def _repeated(column: pa.ChunkedArray) -> np.ndarray:
    """(n,) of text in which equal rows are one object: a million rows have some thousand scenes."""
    encoded = column.combine_chunks().dictionary_encode()
    values = _objects([*encoded.dictionary.to_pylist(), None])
    return values[encoded.indices.fill_null(len(values) - 1).to_numpy(zero_copy_only=False)]


def _near(column: pa.ChunkedArray) -> np.ndarray:
    """(n,) of tuples, whose names are one object each."""
    result = np.empty(len(column), object)
    rows = (row for chunk in column.chunks for row in chunk.to_pylist())  # a chunk at a time: text takes much room
    for place, near in enumerate(rows):
        result[place] = None if near is None else tuple(map(sys.intern, near))
    return result


def _objects(values: List[Any]) -> np.ndarray:
    """(n,) of objects, tuples of equal length too."""
    result = np.empty(len(values), object)
    for place, value in enumerate(values):
        result[place] = value
    return result


def _keep(store: OrderedDict, key: Any, value: Any) -> None:
    """Put something into a store of GROUPS_KEPT things; the one that was used longest ago goes."""
    store[key] = value
    while len(store) > GROUPS_KEPT:
        store.popitem(last=False)


def _unreadable(path: Path, error: Exception) -> DatasetError:
    return DatasetError(f"{path}: cannot be read ({' '.join(str(error).split())}); delete it and export again")
