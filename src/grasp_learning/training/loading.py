"""Samples from datasets on disk: patches decoded in memory, else compressed in memory, else in a file of their own.

The three give the same samples in the same order, so that a training's result does not depend on the memory.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Sequence

import numpy as np
import pyarrow as pa
import torch
from tqdm import tqdm

from grasp_learning.dataset.reader import Dataset, DatasetError, decode_patch, iterate_dataset, require_both_classes
from grasp_learning.dataset.schema import INNER_RATIO, STORED_SIDE, TRAIN
from grasp_learning.training.patch_cache import cache_is_there, open_cache, small_column, stored_bytes
from grasp_learning.training.samples import DecodedPatches, Patches, Samples, make_samples

COLUMNS = ("patch", "angle", "label", "stage", "margin")
PATCH_BYTES = STORED_SIDE * STORED_SIDE * 3
READ_AT_ONCE = 512


class CompressedPatches(Patches):
    """Patches as they are stored, decoded by threads when they are taken: for more of them than fit into memory.

    OpenCV decodes outside Python's lock, so that threads do what worker processes would, without copies.
    """

    ready = False

    def __init__(self, pictures: Sequence[bytes], pool: ThreadPoolExecutor):
        self._pictures, self._pool = pictures, pool

    @property
    def memory(self) -> int:
        """See :class:`Patches`."""
        return sum(map(len, self._pictures))

    def __len__(self) -> int:
        return len(self._pictures)

    def take(self, indices: torch.Tensor) -> torch.Tensor:
        """See :class:`Patches`.

        Raises:
            DatasetError: one cannot be decoded.
        """
        wanted = [self._pictures[index] for index in indices.tolist()]
        result = np.empty((len(wanted), STORED_SIDE, STORED_SIDE, 3), np.uint8)
        _decode_into(result, wanted, self._pool)
        return torch.from_numpy(result).permute(0, 3, 1, 2)


def _decode_into(result: np.ndarray, pictures: Sequence[bytes], pool: ThreadPoolExecutor) -> None:
    for place, picture in enumerate(pool.map(decode_patch, pictures)):
        result[place] = picture


def load_samples(
    paths: Sequence[str],
    dataset: Dataset,
    split: str,
    memory_gb: float,
    progress: bool = False,
    rows: Optional[np.ndarray] = None,
    cache: Optional[Path] = None,
) -> Optional[Samples]:
    """Read a split of some datasets.

    Args:
        dataset: what `open_dataset(paths)` says.
        memory_gb: patches that need more memory than this when they are decoded stay compressed.
        progress: show a bar on stderr.
        rows: (n,) bool, which of the split's n rows are wanted; None for all.
        cache: folder for patches that need more memory than that even compressed, see patch_cache; None keeps them in
            memory.

    Returns:
        None if the split has no row.

    Raises:
        DatasetError: a file is missing or damaged, or a value is outside its convention.
        TrainingError: the cache cannot be made.
    """
    count = dataset.count(split) if rows is None else int(rows.sum())
    if not count:
        return None
    if cache is not None and _wants_cache(dataset, count, memory_gb, cache):
        patches, columns = open_cache(cache, paths, dataset, split, rows, progress)
        return _samples(patches, columns)
    return _read(paths, split, count, count * PATCH_BYTES > memory_gb * 1e9, progress, rows)


def _wants_cache(dataset: Dataset, count: int, memory_gb: float, cache: Path) -> bool:
    """Whether patches go into a file: they do not fit, or one is there, which is read faster than the datasets."""
    if cache_is_there(cache, dataset):
        return True
    room, share = memory_gb * 1e9, count / dataset.rows
    return count * PATCH_BYTES > room and stored_bytes(dataset.paths) * share > room


def _read(
    paths: Sequence[str], split: str, count: int, compress: bool, progress: bool, rows: Optional[np.ndarray]
) -> Samples:
    """Read patches into memory."""
    pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="decode")
    decoded = np.empty((0 if compress else count, STORED_SIDE, STORED_SIDE, 3), np.uint8)
    compressed: List[bytes] = []
    columns: Dict[str, List[np.ndarray]] = {name: [] for name in COLUMNS if name != "patch"}
    done = 0
    with tqdm(total=count, desc=f"reading {split}", unit="patch", disable=None if progress else True) as bar:
        for batch in _wanted(iterate_dataset(paths, split, COLUMNS, batch_size=READ_AT_ONCE), rows):
            pictures = batch.column("patch").to_pylist()
            if compress:
                compressed += pictures
            else:
                _decode_into(decoded[done : done + len(pictures)], pictures, pool)
            for name, parts in columns.items():
                parts.append(small_column(batch, name))
            done += len(pictures)
            bar.update(len(pictures))
    if done != count:
        raise DatasetError(f"{', '.join(map(str, paths))}: changed while it was read; start again when it is complete")
    if not compress:
        pool.shutdown()
    patches: Patches = CompressedPatches(compressed, pool) if compress else DecodedPatches(torch.from_numpy(decoded))
    return _samples(patches, {name: np.concatenate(parts) for name, parts in columns.items()})


def _samples(patches: Patches, columns: Mapping[str, np.ndarray]) -> Samples:
    angles, labels, stages, margin = (columns[name] for name in COLUMNS[1:])
    return make_samples(patches, angles, labels, stages, np.where(margin, INNER_RATIO, 1.0))


def _wanted(batches: Iterator[pa.RecordBatch], rows: Optional[np.ndarray]) -> Iterator[pa.RecordBatch]:
    """The batches with the wanted rows alone; all where none are named."""
    done = 0
    for batch in batches:
        first, done = done, done + batch.num_rows
        yield batch if rows is None else batch.filter(pa.array(rows[first:done]))


def check_trainable(dataset: Dataset, paths: Sequence[str]) -> None:
    """Check that there is something to learn from: samples of both classes.

    Raises:
        DatasetError: there is no sample, or only one class.
    """
    labels = [label for label in (0, 1) if dataset.count(TRAIN, label)]
    require_both_classes(labels, f"{', '.join(map(str, paths))}: split '{TRAIN}'")
