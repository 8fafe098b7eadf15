"""Patches of datasets in one file from which any of them is read at once, for more of them than fit into memory.

Parquet keeps patches in groups of some hundreds that are only read whole, but a training takes its samples in an order
of its own. So the compressed patches are copied once, one behind the other, beside the training. Reading them needs no
memory of this process: what is read often, the system keeps in memory that it can spare, once for all processes.

Files, in a folder of their own::

    patches.bin     the compressed patches of all splits, in the datasets' order
    index.npz       where each one begins, and the small columns; written last, so that it speaks of a whole file
"""

import contextlib
import hashlib
import json
import os
import shutil
import time
import weakref
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tqdm import tqdm

from grasp_learning.dataset.reader import Dataset, DatasetError, decode_patch, iterate_dataset
from grasp_learning.dataset.schema import SPLITS, STORED_SIDE
from grasp_learning.durable import sync_folder
from grasp_learning.folder_lock import FolderBusy, take_lock
from grasp_learning.training.errors import TrainingError
from grasp_learning.training.samples import Patches

PATCH_FILE, INDEX_FILE = "patches.bin", "index.npz"
# not that of folder_lock: a training that is told to put the file into its own --out has that one
LOCK_FILE = ".patches.lock"
SMALL = ("angle", "label", "stage", "margin")
PATIENCE = 6 * 3600.0  # s, for another process that copies the same patches
BATCH = 128  # rows
BUFFER = 1 << 22  # bytes


class CachedRows(NamedTuple):
    """Rows of a split in a cache, n of them.

    Attributes:
        patches: theirs.
        columns: "angle", "label", "stage" and "margin", each (n,).
    """

    patches: "FilePatches"
    columns: Mapping[str, np.ndarray]


class FilePatches(Patches):
    """Patches of a cache's file, read and decoded by threads when they are taken.

    Args:
        path: of the file.
        starts, sizes: (n,) int64, where in the file each of them lies (bytes).
    """

    ready = False

    def __init__(self, path: Path, starts: np.ndarray, sizes: np.ndarray):
        self._path, self._starts, self._sizes = path, starts, sizes
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._file)
        self._pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="decode")

    def __len__(self) -> int:
        return len(self._starts)

    def take(self, indices: torch.Tensor) -> torch.Tensor:
        """See :class:`Patches`.

        Raises:
            DatasetError: the file is damaged, or a patch cannot be decoded.
        """
        result = np.empty((len(indices), STORED_SIDE, STORED_SIDE, 3), np.uint8)
        for place, picture in enumerate(self._pool.map(self._read, indices.tolist())):
            result[place] = picture
        return torch.from_numpy(result).permute(0, 3, 1, 2)

    def _read(self, index: int) -> np.ndarray:
        size = int(self._sizes[index])
        data = os.pread(self._file, size, int(self._starts[index]))
        if len(data) != size:
            raise DatasetError(f"{self._path}: is damaged; delete its folder {self._path.parent}, it is made again")
        return decode_patch(data)


def stored_bytes(paths: Sequence[Path]) -> int:
    """Bytes of all compressed patches of some Parquet files, the unused ones too; from their footers alone."""
    total = 0
    for path in paths:
        metadata = pq.read_metadata(path)
        place = metadata.schema.names.index("patch")
        groups = (metadata.row_group(group).column(place) for group in range(metadata.num_row_groups))
        total += sum(column.total_uncompressed_size for column in groups)
    return total


def open_cache(
    folder: Path,
    paths: Sequence[str],
    dataset: Dataset,
    split: str,
    chosen: Optional[np.ndarray] = None,
    progress: bool = False,
) -> CachedRows:
    """Rows of a split whose patches are in a cache, which is made, or made anew for other datasets, if need be.

    Several processes may ask for it at once: one makes it, the others wait.

    Args:
        folder: of the cache.
        dataset: what `open_dataset(paths)` says.
        chosen: (n,) bool, which of the split's n rows are wanted; None for all.

    Raises:
        DatasetError: a dataset is damaged or changes.
        TrainingError: the disk is full or cannot be written, or another process takes too long.
    """
    key = _key_of(dataset)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = _wait_for_lock(folder)
        try:
            index = _read_index(folder, key)
            if index is None:
                index = _make(folder, paths, dataset, key, progress)
            rows = np.flatnonzero(index["split"] == SPLITS.index(split))
            rows = rows if chosen is None else rows[chosen]
            # opened before somebody else may replace or remove the file
            patches = FilePatches(folder / PATCH_FILE, index["start"][rows], index["size"][rows])
        finally:
            os.close(lock)
        return CachedRows(patches, {name: index[name][rows] for name in SMALL})
    except OSError as error:
        raise TrainingError(
            f"{folder}: the patches, which do not fit into memory, cannot be copied there ({error.strerror}); free "
            "some space, or name a folder on another disk with --patch-cache"
        ) from None


def cache_is_there(folder: Path, dataset: Dataset) -> bool:
    """Whether a folder holds the cache of these datasets."""
    return _read_index(folder, _key_of(dataset)) is not None


def remove_cache(folder: Path) -> None:
    """Give the room of a cache back; nothing where there is none. What else lies in the folder stays.

    So does a cache that another process makes or opens at this moment: it is that one's to remove.
    """
    if not (folder / LOCK_FILE).is_file():
        return
    try:
        lock = take_lock(folder / LOCK_FILE)
    except (FolderBusy, OSError):
        return
    for name in (INDEX_FILE, PATCH_FILE, f".{INDEX_FILE}.part", LOCK_FILE):
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    os.close(lock)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _key_of(dataset: Dataset) -> str:
    """Changes with the datasets' rows and with their files."""
    files = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in dataset.paths]
    return hashlib.sha256(json.dumps([dataset.identity, files]).encode()).hexdigest()


def _wait_for_lock(folder: Path) -> int:
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            return take_lock(folder / LOCK_FILE)
        except FolderBusy as busy:
            if time.monotonic() > give_up:
                raise TrainingError(
                    f"{folder}: process {busy.holder} has been copying patches for {PATIENCE / 3600:.0f} h; "
                    "end it, or name another folder with --patch-cache"
                ) from None
            time.sleep(0.2)


def _read_index(folder: Path, key: str) -> Any:
    """The index of a cache that is whole and of these datasets, else None."""
    try:
        with np.load(folder / INDEX_FILE) as file:
            index = {name: file[name] for name in file.files}
        whole = index["key"].item() == key and int(index["size"].sum()) == (folder / PATCH_FILE).stat().st_size
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return index if whole else None


def _make(folder: Path, paths: Sequence[str], dataset: Dataset, key: str, progress: bool) -> Dict[str, np.ndarray]:
    for name in (INDEX_FILE, PATCH_FILE):
        (folder / name).unlink(missing_ok=True)
    needed, free = stored_bytes(dataset.paths), shutil.disk_usage(folder).free
    if needed > free:
        raise TrainingError(
            f"{folder}: the patches do not fit into memory and need up to {needed / 1e9:.1f} GB on disk, of which "
            f"{free / 1e9:.1f} GB are free; free some space, or name a folder on another disk with --patch-cache"
        )
    columns: Dict[str, List[np.ndarray]] = {name: [] for name in ("split", "size", *SMALL)}
    count = sum(dataset.count(split) for split in SPLITS)
    with open(folder / PATCH_FILE, "wb", BUFFER) as file, tqdm(
        total=count, desc="copying patches", unit="patch", disable=None if progress else True
    ) as bar:
        for batch in iterate_dataset(paths, None, ("patch", "split", *SMALL), BATCH):
            for name, values in _written(file, batch).items():
                columns[name].append(values)
            bar.update(batch.num_rows)
        file.flush()
        os.fsync(file.fileno())
    index = {name: np.concatenate(parts) if parts else np.empty(0, int) for name, parts in columns.items()}
    if len(index["size"]) != count:
        raise DatasetError(f"{', '.join(map(str, paths))}: changed while it was read; start again when it is complete")
    index["start"] = np.cumsum(index["size"]) - index["size"]
    index["key"] = np.array(key)
    part = folder / f".{INDEX_FILE}.part"
    with open(part, "wb") as file:
        np.savez(file, **index)
        file.flush()
        os.fsync(file.fileno())
    part.rename(folder / INDEX_FILE)
    sync_folder(folder)
    return index


def _written(file, batch: pa.RecordBatch) -> Dict[str, np.ndarray]:
    """Write a batch's patches; returns its other columns, the splits by number, and the patches' sizes."""
    pictures = batch.column("patch")
    for picture in pictures:
        file.write(picture.as_buffer())
    values = {name: small_column(batch, name) for name in SMALL}
    values["size"] = np.array([len(picture.as_buffer()) for picture in pictures], np.int64)
    values["split"] = np.array([SPLITS.index(name) for name in batch.column("split").to_pylist()], np.int8)
    return values


def small_column(batch: pa.RecordBatch, name: str) -> np.ndarray:
    """A column of numbers as an array."""
    column = batch.column(name)
    # a dataset without the column has margins
    return (column.fill_null(True) if name == "margin" else column).to_numpy(zero_copy_only=False)
