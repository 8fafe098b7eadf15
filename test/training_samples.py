"""Tiny datasets for tests of training: bars that can be grasped across only."""

import cv2
import numpy as np

from grasp_learning.dataset.schema import STORED_SIDE, PatchGeometry
from grasp_learning.dataset.writer import write_dataset
from grasp_learning.geometry import angle_difference, angle_to_bin

# for train's --config: a network that learns nothing, at once
TINY_OPTIONS = """
network: {fc6: 32, fc7: 16}
weights: none
batch_size: 8
precision: fp32
device: cpu
"""
# beginning of a program that is killed in the middle of its training's second epoch
KILL = """
import os, signal, sys
import torch
from grasp_learning.training import callbacks
torch.set_num_threads(1)
def kill(self, trainer, module, outputs, batch, batch_idx):
    if (trainer.current_epoch, batch_idx) == (1, 1):
        os.kill(os.getpid(), signal.SIGKILL)
callbacks.StopAtNan.on_train_batch_end = kill
"""
GEOMETRY = PatchGeometry(span=0.467, patch_size=378)


def bar(angle, side=STORED_SIDE, length=150, width=26, colour=(40, 90, 200), background=(150, 150, 150)):
    """(side, side, 3) picture of a bar that lies along an angle (rad, image axes)."""
    picture = np.full((side, side, 3), background, np.uint8)
    centre, along = np.full(2, (side - 1) / 2), np.array([np.cos(angle), np.sin(angle)])
    ends = [tuple(np.round(centre + sign * along * length / 2).astype(int).tolist()) for sign in (-1, 1)]
    return cv2.line(picture, ends[0], ends[1], colour, width)


def encoded(picture):
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def bar_rows(count, rng, split="train", stage=0, name="bars", noise=8.0, tolerance=np.pi / 6):
    """Rows of trials on bars at random angles; half of them grasp across, and hold."""
    rows = []
    for number in range(count):
        along, label = rng.uniform(0, np.pi), number % 2
        off = rng.uniform(-1, 1) * (tolerance if label else np.pi / 2 - tolerance)
        angle = float((along + (np.pi / 2 if label else 0.0) + off) % np.pi)
        assert (angle_difference(angle, along + np.pi / 2) <= tolerance) == bool(label)
        picture = bar(along).astype(float) + rng.normal(0, noise, (STORED_SIDE, STORED_SIDE, 1))
        rows.append(
            {
                "trial_id": f"{name}/{split}-{number:06d}",
                "patch": encoded(np.clip(picture, 0, 255).astype(np.uint8)),
                "angle": angle,
                "bin": int(angle_to_bin(angle)),
                "label": label,
                "stage": stage,
                "split": split,
                "patch_size": 378,
            }
        )
    return rows


def bar_dataset(folder, train=24, validation=0, test_novel=0, seed=0, stage=0):
    """A dataset of bars; returns its folder."""
    rng = np.random.default_rng(seed)
    rows = bar_rows(train, rng, "train", stage)
    rows += bar_rows(validation, rng, "validation", stage) + bar_rows(test_novel, rng, "test_novel", stage)
    write_dataset(folder, rows, GEOMETRY)
    return folder
