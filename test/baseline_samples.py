"""Sets of patches for tests of the baselines: bars that hold across, and patches whose answers are known."""

import numpy as np
from training_samples import GEOMETRY, bar, bar_rows, encoded

from grasp_learning.dataset.schema import STORED_SIDE
from grasp_learning.dataset.writer import write_dataset
from grasp_learning.evaluation.patch_set import load_patch_set
from grasp_learning.geometry import angle_to_bin


def bar_sets(folder, train=120, validation=40, test=40, seed=0, keep=None):
    """PatchSets train, validation and test_novel of bars; half of them are grasped across and hold.

    Args:
        keep: tells of a row whether it stays.
    """
    rng = np.random.default_rng(seed)
    rows = bar_rows(train, rng) + bar_rows(validation, rng, "validation") + bar_rows(test, rng, "test_novel")
    write_dataset(folder, [row for row in rows if keep is None or keep(row)], GEOMETRY)
    splits = ("train", "validation", "test_novel")
    return tuple(load_patch_set(folder, split, allow_empty=True) for split in splits)


def patch_set(folder, pictures, angles, labels, split="train"):
    """A PatchSet of given pictures (STORED_SIDE, STORED_SIDE, 3)."""
    rows = [
        {
            "trial_id": f"{split}/{number:06d}",
            "patch": encoded(picture),
            "angle": float(angle),
            "bin": int(angle_to_bin(angle)),
            "label": int(label),
            "split": split,
        }
        for number, (picture, angle, label) in enumerate(zip(pictures, angles, labels))
    ]
    write_dataset(folder, rows, GEOMETRY)
    return load_patch_set(folder, split)


def repeated(folder, cases, split="train", seed=0, noise=6.0):
    """A PatchSet of bars that are grasped again and again.

    Args:
        cases: (direction of the bar, angle of the grasp, label, how often).
    """
    rng = np.random.default_rng(seed)
    rows = [(bar(along), angle, label) for along, angle, label, count in cases for _ in range(count)]
    pictures = [picture + rng.normal(0, noise, (STORED_SIDE, STORED_SIDE, 1)) for picture, _, _ in rows]
    pictures = [np.clip(picture, 0, 255).astype(np.uint8) for picture in pictures]
    return patch_set(folder, pictures, [angle for _, angle, _ in rows], [label for *_, label in rows], split)


def accuracy(method, samples):
    return float(np.mean((method.scores(samples) >= method.threshold) == (samples.labels == 1)))
