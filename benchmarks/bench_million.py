#!/usr/bin/env python3
"""A dataset of a million patches: peak memory, and patches a second, beside keeping all of them in memory.

The dataset is made of a few pictures again and again, 4 kB each, so that it is made within minutes and needs some 8 GB
of disk, its copy for a training included; a simulated trial's patch has 22 kB. Each way of reading runs in a process of
its own: what it says of the whole (`open_dataset`), a training's samples in a file with 0.5 GB allowed, the peer, which
keeps them compressed in memory, and the rows of an evaluation.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from figures import figure

from grasp_learning.dataset.schema import SCHEMA, STORED_SIDE, PatchGeometry, file_metadata
from grasp_learning.dataset.writer import ROW_GROUP
from grasp_learning.geometry import angle_to_bin

ROWS = 1_000_000
PART = 50_000  # rows of a file
ALLOWED_GB = 0.5
BATCH, STEPS = 128, 60
PATIENCE = 3600.0  # s


def make_dataset(folder: Path, rows: int) -> int:
    """Write it; gives the bytes of its patches."""
    rng = np.random.default_rng(0)
    patches = [_picture(rng) for _ in range(16)]
    folder.mkdir()
    total = 0
    for number, first in enumerate(range(0, rows, PART)):
        count = min(PART, rows - first)
        chosen = [patches[index] for index in rng.integers(0, len(patches), count)]
        total += sum(map(len, chosen))
        schema = SCHEMA.with_metadata(file_metadata(PatchGeometry(span=0.467, patch_size=378)))
        table = pa.table(_columns(rng, first, count, chosen), schema=schema)
        path = folder / f"part-rows-{number:05d}.parquet"
        pq.write_table(table, path, row_group_size=ROW_GROUP, compression="none", use_dictionary=["split", "source"])
    return total


def _picture(rng: np.random.Generator) -> bytes:
    colours = rng.integers(60, 200, (3, 3, 3), np.uint8)
    picture = cv2.resize(colours, (STORED_SIDE, STORED_SIDE), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes()


def _columns(rng: np.random.Generator, first: int, count: int, patches) -> Dict[str, Any]:
    angles = rng.uniform(0, np.pi, count)
    numbers = range(first, first + count)
    splits = np.array(["train", "validation", "test_novel"])[np.searchsorted([0.9, 0.95], rng.uniform(size=count))]
    same: Dict[str, Any] = {
        "arm": "left",
        "source": "million",
        "mode": "random",
        "model_sha256": "",
        "sampler": "random",
    }
    columns = {name: [value] * count for name, value in same.items()}
    columns.update(
        trial_id=[f"million/{number:07d}" for number in numbers],
        patch=patches,
        angle=angles,
        bin=angle_to_bin(angles).astype(np.int8),
        label=(rng.uniform(size=count) < 0.1).astype(np.int8),
        stage=np.zeros(count, np.int16),
        split=splits.tolist(),
        object=[f"object_{number % 50}" for number in numbers],
        objects=[[f"object_{number % 50}"] for number in numbers],
        scene=[f"million/{number // 25}" for number in numbers],
        patch_size=np.full(count, 378, np.int32),
        margin=np.ones(count, bool),
    )
    return {name: columns.get(name, [None] * count) for name in SCHEMA.names}


def measure(mode: str, data: str, cache: str) -> Dict[str, float]:
    """In a process of its own: peak memory (MB) beyond the imports, seconds until the first batch, patches a second."""
    import torch

    from grasp_learning.dataset.reader import open_dataset
    from grasp_learning.evaluation.patch_set import load_patch_set
    from grasp_learning.training.loading import load_samples

    before, begin, rate = _peak(), time.perf_counter(), 0.0
    if mode == "evaluation":
        rows = load_patch_set(data, ["test_novel"])
        rows.pictures(slice(0, BATCH))
    else:
        dataset = open_dataset(data)
    if mode in ("file", "memory"):
        where = Path(cache) if mode == "file" else None
        samples = load_samples([data], dataset, "train", ALLOWED_GB, cache=where)
    seconds = time.perf_counter() - begin
    if mode in ("file", "memory"):
        order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(0))
        begin = time.perf_counter()
        for step in range(STEPS):
            samples.patches.take(order[step * BATCH : (step + 1) * BATCH])
        rate = STEPS * BATCH / (time.perf_counter() - begin)
    return {"memory": _peak() - before, "seconds": seconds, "rate": rate}


def _peak() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--measure", nargs=3, metavar=("MODE", "DATA", "CACHE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*options.measure)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        data, cache = Path(folder, "data"), Path(folder, "cache")
        total = make_dataset(data, options.rows)
        print(f"{options.rows} rows, {total / 1e9:.2f} GB of patches", flush=True)
        found = {}
        for mode in ("open", "evaluation", "file", "memory"):
            command = [sys.executable, __file__, "--measure", mode, str(data), str(cache)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=os.environ)
            if done.returncode:
                sys.exit(done.stderr)
            found[mode] = json.loads(done.stdout)
            print(
                "{}: peak {memory:.0f} MB, ready after {seconds:.1f} s, {rate:.0f} patches/s".format(
                    mode, **found[mode]
                )
            )
    met = [
        figure("million_open_memory", found["open"]["memory"], 500, "MB"),
        figure("million_evaluation_memory", found["evaluation"]["memory"], 1500, "MB"),
        figure("million_training_memory", found["file"]["memory"], 1000 * ALLOWED_GB + 500, "MB"),
        figure("million_memory_to_in_memory", found["file"]["memory"] / found["memory"]["memory"], 0.5, "times"),
        figure(
            "million_rate_to_in_memory", found["file"]["rate"] / found["memory"]["rate"], 0.8, "times", at_most=False
        ),
    ]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(_main())
