"""Tables that are painted within a millisecond in place of rendered ones: each kind is a colour.

Workers import this module, so it imports nothing slow.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grasp_learning.dataset.pictures import encode_patch
from grasp_learning.dataset.schema import STORED_SIDE
from grasp_learning.pretext.errors import PretextError
from grasp_learning.pretext.scene_files import encode_scene
from grasp_learning.pretext.settings import PretextSettings

COLOURS = {"box": (220, 40, 40), "mug": (40, 220, 40), "nothing": (40, 40, 220)}


def painted_rows(seed, scene, count=6, kinds=tuple(COLOURS)):
    """Patches of a table: an even colour with noise each."""
    rng = np.random.default_rng([seed, scene])
    rows = []
    for number in range(count):
        kind = kinds[number % len(kinds)]
        noise = rng.normal(0, 8, (STORED_SIDE, STORED_SIDE, 1))
        picture = np.clip(np.array(COLOURS.get(kind, (90, 90, 90))) + noise, 0, 255).astype(np.uint8)
        row = {"patch": encode_patch(picture), "kind": kind, "object": "", "view": 0, "u": 300 + number, "v": 300}
        rows.append({**row, "patch_size": 378})
    return rows


@dataclass(frozen=True)
class Painter:
    """A worker's setup that paints tables.

    Attributes:
        notes: folder with a marker for each table that was painted.
        fails: table that cannot be painted.
        pause: s that one takes.
        rows: patches of each.
    """

    notes: str = ""
    seed: int = 0
    fails: int = -1
    pause: float = 0.0
    rows: int = 6

    def __call__(self):
        return self.paint

    def paint(self, job, between):
        between()
        if self.notes:
            Path(self.notes, f"{job.scene}.{os.getpid()}").touch()
        if job.scene == self.fails:
            raise PretextError(f"scene {job.scene}: no paint")
        time.sleep(self.pause)
        return encode_scene(painted_rows(self.seed, job.scene, self.rows), job.scene)


def options(out, **values):
    base = {"out": str(out), "scenes": 4, "epochs": 2, "batch_size": 6, "device": "cpu", "precision": "fp32"}
    return {**base, "progress": False, **values}


def settings_for(out, **values):
    return PretextSettings(**options(out, **values))
