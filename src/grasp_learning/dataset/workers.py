"""From lines of trials.jsonl to rows with patches, by several processes."""

import contextlib
import os
import threading
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, Deque, Dict, Iterator, List, Mapping, NamedTuple, Sequence

import cv2

from grasp_learning.dataset.pictures import TrialPicture, cut_patch, encode_patch, trials_with_pictures
from grasp_learning.dataset.reader import DatasetError
from grasp_learning.dataset.splits import objects_of

CHUNK = 25  # trials that a worker is given at a time; a simulated scene's share one file
AHEAD = 3  # chunks for each worker that wait to be taken


class Cut(NamedTuple):
    """A trial's row, or why there is none.

    Attributes:
        number: of the trial.
        row: all columns but split and scene, which the planner knows; empty where the picture cannot be used.
        span: see PatchGeometry.
        problem: why there is no row.
    """

    number: int
    row: Dict[str, Any]
    span: float
    problem: str = ""


def cut_lines(folder: Path, source: str, lines: Sequence[Mapping[str, Any]]) -> List[Cut]:
    """Rows of some trials of a collection."""
    return [_cut(source, taken) for taken in trials_with_pictures(folder, lines)]


def _cut(source: str, taken: TrialPicture) -> Cut:
    line = taken.record
    if taken.picture is None:
        return Cut(line["number"], {}, 0.0, taken.problem)
    try:
        patch = cut_patch(taken.picture, line["u"], line["v"], line["patch_size"])
    except ValueError as error:
        return Cut(line["number"], {}, 0.0, str(error))
    objects = objects_of(line)
    row = {
        "trial_id": f"{source}/{line['number']:06d}",
        "patch": encode_patch(patch),
        "angle": line["theta_image"],
        "label": int(line["outcome"] == "SUCCESS"),
        "source": source,
        "model_sha256": line.get("model_sha256") or "",
        "sampler": line.get("sampler") or "random",
        "objects": objects,
        "object": objects[0] if objects else None,
        "truth_held": line.get("truth_held") if line.get("truth_known") else None,
        "margin": True,
    }
    row.update({key: line[key] for key in ("bin", "stage", "arm", "mode", "u", "v", "patch_size")})
    row["score"] = line.get("score")
    return Cut(line["number"], row, line["patch_size"] / taken.focal_length)


class Cutters(contextlib.AbstractContextManager):
    """Processes that cut patches; with one worker, this process itself. Use as a context manager."""

    def __init__(self, workers: int):
        self._workers = workers
        self._pool = None
        if workers > 1:
            # a forked child would inherit whatever threads of libraries held locks
            self._pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start_worker)

    def __exit__(self, *_) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True)

    def cut(self, folder: Path, source: str, lines: Sequence[Mapping[str, Any]]) -> Iterator[Cut]:
        """Rows of trials, in their order.

        Raises:
            CollectionError: the collection cannot be read.
            DatasetError: a worker died.
        """
        chunks = [lines[start : start + CHUNK] for start in range(0, len(lines), CHUNK)]
        if self._pool is None:
            for chunk in chunks:
                yield from cut_lines(folder, source, chunk)
            return
        waiting: Deque[Future] = deque()
        try:
            for chunk in chunks:
                waiting.append(self._pool.submit(cut_lines, folder, source, chunk))
                if len(waiting) >= AHEAD * self._workers:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        except BrokenProcessPool:
            raise DatasetError(
                "a worker process died, perhaps for want of memory; export again with fewer --workers, it goes on "
                "where it stopped"
            ) from None
        finally:
            for future in waiting:
                future.cancel()


def _start_worker() -> None:
    cv2.setNumThreads(1)  # the workers share the processors already
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed tells its workers nothing: they would wait for ever."""
    parent_process().join()
    os._exit(1)
