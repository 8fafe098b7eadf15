#!/usr/bin/env python3
"""Intervals, reading and memory of the evaluation, beside SciPy, scikit-learn a draw at a time, and Parquet read whole.

The test set is as large as the paper's before it is balanced, 3,000 patches, in 120 scenes. Intervals of the peers are
timed on a part of the draws and reckoned up. Patches are read in the order of the rows, as methods do; the peer takes
the column out of the file and decodes one patch after the other. Memory is that of a process which opens a training
split of 200,000 rows and looks at some of its patches.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import scipy.stats
from figures import figure
from sklearn import metrics as sklearn_metrics

from grasp_learning.dataset.schema import STORED_SIDE, PatchGeometry
from grasp_learning.dataset.writer import write_part
from grasp_learning.evaluation.bootstrap import ROUNDS, Bootstrap
from grasp_learning.evaluation.metrics import accuracy_interval, ranking_figures
from grasp_learning.evaluation.patch_set import BATCH, load_patch_set, network_part
from grasp_learning.geometry import angle_to_bin
from grasp_learning.patches import NETWORK_SIDE

TEST, SCENES = 3000, 120
PEER_DRAWS = 20
READ, PART, KINDS = 4000, 1000, 16
ROWS = 200_000


def make_rows(rng, count, first, patches):
    angles = rng.uniform(0, np.pi, count)
    return [
        {
            "trial_id": f"bench/{first + place:07d}",
            "patch": patches[place % len(patches)],
            "angle": float(angle),
            "bin": int(angle_to_bin(angle)),
            "label": place % 2,
            "split": "train",
            "object": f"thing_{place % 150}",
            "objects": [f"thing_{place % 150}", f"thing_{place % 77}"],
            "scene": f"bench/{(first + place) // 25}",
        }
        for place, angle in enumerate(angles)
    ]


def make_dataset(folder, count, patches):
    rng = np.random.default_rng(0)
    folder.mkdir()
    for number, first in enumerate(range(0, count, PART)):
        rows = make_rows(rng, PART, first, patches)
        write_part(folder / f"part-bench-{number:05d}.parquet", rows, PatchGeometry(span=0.467, patch_size=378))


def wall(call):
    before = time.perf_counter()
    call()
    return time.perf_counter() - before


def bench_intervals() -> bool:
    rng = np.random.default_rng(0)
    labels = np.arange(TEST) % 2
    scores = 0.5 + 0.1 * (labels - 0.5) + rng.normal(0, 0.1, TEST)
    right, scenes = (scores >= 0.5) == (labels == 1), np.arange(TEST) * SCENES // TEST
    bootstrap = Bootstrap(scenes, 0)
    good = figure("evaluation_ranking_intervals", wall(lambda: ranking_figures(labels, scores, bootstrap)), 10, "s")
    ours = wall(lambda: accuracy_interval(labels, right, bootstrap))
    by_scene = [np.flatnonzero(scenes == scene) for scene in range(SCENES)]

    def accuracy(drawn):
        rows = np.concatenate([by_scene[scene] for scene in drawn])
        return np.mean([right[rows][labels[rows] == label].mean() for label in (0, 1)])

    options = {"vectorized": False, "n_resamples": ROUNDS // 10, "method": "percentile", "random_state": 0}
    peer = 10 * wall(lambda: scipy.stats.bootstrap((np.arange(SCENES),), accuracy, **options))
    good &= figure("evaluation_accuracy_over_scipy", peer / ours, 1.0, "times", at_most=False)
    one = wall(lambda: ranking_figures(labels, scores, Bootstrap(scenes, 0, PEER_DRAWS)))
    weights = [np.bincount(rng.integers(0, SCENES, SCENES), minlength=SCENES)[scenes] for _ in range(PEER_DRAWS)]

    def draw_by_draw():
        for row in weights:
            sklearn_metrics.roc_auc_score(labels, scores, sample_weight=row)
            sklearn_metrics.average_precision_score(labels, scores, sample_weight=row)

    return figure("evaluation_ranking_over_sklearn", wall(draw_by_draw) / one, 1.0, "times", at_most=False) and good


def bench_reading(folder) -> bool:
    rng = np.random.default_rng(1)
    coarse = [rng.integers(0, 255, (12, 12, 3), np.uint8) for _ in range(KINDS)]
    pictures = [cv2.resize(each, (STORED_SIDE, STORED_SIDE), interpolation=cv2.INTER_CUBIC) for each in coarse]
    make_dataset(
        folder, READ, [cv2.imencode(".jpg", each, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes() for each in pictures]
    )
    found = load_patch_set(folder, "train")
    ours = wall(lambda: sum(len(pictures) for _, pictures in found.batches()))

    def whole():
        for path in sorted(folder.glob("part-*.parquet")):
            stored = pq.read_table(path, columns=["patch"])["patch"].to_pylist()
            for start in range(0, len(stored), BATCH):
                some = stored[start : start + BATCH]
                shown = np.empty((len(some), NETWORK_SIDE, NETWORK_SIDE, 3), np.uint8)
                for place, data in enumerate(some):
                    shown[place] = network_part(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), True)

    peer = wall(whole)
    print(f"# reading and decoding: {READ / ours:.0f} patches/s, one after the other {READ / peer:.0f}")
    return figure("evaluation_reading_over_serial", peer / ours, 1.0, "times", at_most=False)


def bench_memory(folder) -> bool:
    # bytes that nobody decodes, as many as a small patch has
    make_dataset(folder, ROWS, [bytes(2000)])
    before = time.perf_counter()
    command = [sys.executable, __file__, "--open", str(folder)]
    megabytes = float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    seconds = time.perf_counter() - before
    good = figure("evaluation_open_200000_rows", seconds, 60, "s")
    return figure("evaluation_memory_of_200000_rows", megabytes, 1000, "MB") and good


def open_rows(folder) -> None:
    """Print the most memory that this process used (MB) for a split of many rows."""
    found = load_patch_set(folder, "train")
    assert len(found) == ROWS and found.identity
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)


def main() -> int:
    """Print the figures; 1 if one is short of its target."""
    if sys.argv[1:2] == ["--open"]:
        open_rows(sys.argv[2])
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        good = bench_intervals()
        good &= bench_reading(Path(temporary) / "read")
        good &= bench_memory(Path(temporary) / "many")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
