#!/usr/bin/env python3
"""Time and memory that baselines need for 40,000 patches; the peers are scikit-learn's other solvers of linear SVMs.

The patches are cut from rendered wrist pictures, turned, mirrored and lit at random, and stored as a dataset is. Their
labels, 8 % successes, follow from the direction of what the heuristic sees, and some of them from chance: so SVMs have
something to learn and something that they cannot. What is timed is all that `evaluate` does for a method: patches are
read and decoded, HoG features computed, parameters chosen, 3,000 patches of the test set answered for. It runs in a
process of its own, whose largest memory counts; one that takes half as long again as it may is ended.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import List

import cv2
import numpy as np
from figures import figure
from sklearn.svm import SVC, LinearSVC

from grasp_learning.baselines.hog import HogSettings, hog_features
from grasp_learning.baselines.segmentation import object_mask
from grasp_learning.baselines.shapes import shape_of
from grasp_learning.baselines.svm import ITERATIONS, REGULARISATIONS
from grasp_learning.dataset.schema import STORED_SIDE, PatchGeometry
from grasp_learning.dataset.writer import write_part
from grasp_learning.evaluation.method import create_method
from grasp_learning.evaluation.patch_set import load_patch_set, network_part
from grasp_learning.geometry import angle_difference, angle_to_bin

TRAIN, VALIDATION, TEST = 40000, 2000, 3000
PART = 1000  # patches of a file, as `export_dataset` writes
PICTURES = 24
SOURCE = 535  # px of a wrist picture that a stored patch shows
RATE, WRONG = 0.08, 0.2  # of successes; of labels that say nothing
LIMIT_GB, LIMIT_MINUTES = 4.0, 20.0
PATIENCE = 1.5 * LIMIT_MINUTES * 60  # s
METHODS = (("knn", "svm"), ("knn-turned", "svm-turned"))
PEER_BINS = 2
NOISE = np.random.default_rng(3).normal(0, 2.0, (8, STORED_SIDE, STORED_SIDE, 1)).astype(np.float32)


def make_dataset(folder: Path, counts) -> None:
    from wrist_pictures import wrist_pictures  # OpenGL, which the measured process does not need

    pictures = list(wrist_pictures(PICTURES, "train"))
    folder.mkdir()
    jobs = [(split, start) for split, count in counts.items() for start in range(0, count, PART)]

    def make(numbered) -> None:
        number, (split, start) = numbered
        rng = np.random.default_rng([7, number])
        rows = [make_row(pictures, rng, split, start + k) for k in range(min(PART, counts[split] - start))]
        write_part(folder / f"part-bench-{number:05d}.parquet", rows, PatchGeometry(span=0.467, patch_size=378))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(make, enumerate(jobs)))


def make_row(pictures, rng, split: str, number: int) -> dict:
    patch = augmented(pictures[rng.integers(len(pictures))], rng)
    angle = float(rng.uniform(0, np.pi))
    return {
        "trial_id": f"bench/{split}-{number:06d}",
        "patch": cv2.imencode(".jpg", patch, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes(),
        "angle": angle,
        "bin": int(angle_to_bin(angle)),
        "label": int(label_of(patch, angle, rng)),
        "split": split,
        "scene": f"bench/{split}-{number // 25}",
    }


def augmented(picture, rng):
    """A stored patch from a random place of a picture, turned, scaled, mirrored and lit at random."""
    u, v = rng.uniform([280, 280], [1000, 520])
    matrix = cv2.getRotationMatrix2D((u, v), rng.uniform(0, 360), STORED_SIDE / SOURCE * rng.uniform(0.9, 1.1))
    matrix[:, 2] += STORED_SIDE / 2 - np.array([u, v])
    patch = cv2.warpAffine(picture, matrix, (STORED_SIDE,) * 2, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    patch = patch[:, ::-1] if rng.random() < 0.5 else patch
    noise = NOISE[rng.integers(len(NOISE))]
    return np.clip(patch * np.float32(rng.uniform(0.85, 1.1)) + noise, 0, 255).astype(np.uint8)


def label_of(patch, angle: float, rng) -> bool:
    if rng.random() < WRONG:
        return rng.random() < RATE
    mask = object_mask(network_part(patch, True))
    # 8 % of all are within about a tenth of all differences
    return bool(mask.any()) and angle_difference(shape_of(mask)[0], angle) < np.radians(9)


def measure(folder: str, specs) -> None:
    """In a process of its own: fit methods and let them answer; a line of JSON says what it took."""
    train, validation, test = (load_patch_set(folder, split) for split in ("train", "validation", "test_novel"))
    begin, cpu = time.perf_counter(), time.process_time()
    accuracies = {}
    for spec in specs:
        method = create_method(spec)
        method.fit(train, validation, 0)
        if method.optimistic:
            method.choose(test)
        predicted = method.scores(test) >= method.threshold
        accuracies[spec] = float(np.mean([(predicted == label)[test.labels == label].mean() for label in (0, 1)]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    seconds = {"wall": time.perf_counter() - begin, "cpu": time.process_time() - cpu}
    print(json.dumps({**seconds, "gigabytes": peak, "accuracies": accuracies}))


def measured(folder: Path, specs) -> dict:
    """What :func:`measure` says; infinitely long, and of unknown memory, where it was not finished in time."""
    command = [sys.executable, __file__, "--measure", str(folder), "--specs", *specs]
    try:
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        print(f"{' and '.join(specs)}: not finished after {PATIENCE / 60:.0f} minutes, ended", flush=True)
        return {"wall": np.inf, "gigabytes": np.nan}
    return json.loads(done.stdout.splitlines()[-1])


def compare_solvers(folder: Path) -> List[bool]:
    """Seconds of a processor for the SVMs of some bins: ours, and scikit-learn's two other solvers."""
    train = load_patch_set(folder, "train")
    train = train.subset(np.flatnonzero(train.bins < PEER_BINS))
    features = hog_features(train, HogSettings())
    solvers = {
        "ours": partial(LinearSVC, dual=False, max_iter=ITERATIONS),
        "dual": partial(LinearSVC, dual=True, max_iter=ITERATIONS),
        "svc": partial(SVC, kernel="linear"),
    }
    seconds = {}
    for name, solver in solvers.items():
        begin = time.process_time()
        for index in range(PEER_BINS):
            rows = np.flatnonzero(train.bins == index)
            for value in REGULARISATIONS:
                solver(C=value, class_weight="balanced").fit(features[rows], train.labels[rows])
        seconds[name] = time.process_time() - begin
    print({name: round(value, 2) for name, value in seconds.items()}, f"s: {len(train)} patches", flush=True)
    return [
        figure("svm_ratio_to_linear_kernel_svc", seconds["svc"] / seconds["ours"], 1.0, "-", at_most=False),
        figure("svm_ratio_to_dual_solver", seconds["dual"] / seconds["ours"], 0.5, "-", at_most=False),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=TRAIN, help="patches to learn from; fewer are a trial run")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--specs", nargs="*", default=(), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure, arguments.specs)
        return 0
    print(f"{len(os.sched_getaffinity(0))} cores, {arguments.train} patches to learn from", flush=True)
    met = []
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "data"
        begin = time.perf_counter()
        make_dataset(folder, {"train": arguments.train, "validation": VALIDATION, "test_novel": TEST})
        print(f"data made in {time.perf_counter() - begin:.0f} s", flush=True)
        for specs in METHODS:
            found = measured(folder, specs)
            print(f"{specs}: {found}", flush=True)
            name = "turned" if specs[0].endswith("turned") else "paper"
            met.append(figure(f"baselines_{name}_time", found["wall"] / 60, LIMIT_MINUTES, "min"))
            met.append(figure(f"baselines_{name}_memory", found["gigabytes"], LIMIT_GB, "GB"))
        met += compare_solvers(folder)
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
