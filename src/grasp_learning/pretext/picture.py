"""A picture of a pretext task's patches: a row for each kind, so that a person sees what is learned."""

from pathlib import Path
from typing import Sequence

import cv2
import numpy as np

from grasp_learning.dataset.reader import decode_patch
from grasp_learning.pretext.scene_files import Patches
from grasp_learning.training.folder import write_whole

TILE = 96  # px
COLUMNS = 12
CAPTION = 110  # px


def save_examples(path: Path, patches: Patches, kinds: Sequence[str]) -> None:
    """Write some patches of each kind, as the network's part of them, as a PNG.

    Raises:
        DatasetError: a patch cannot be decoded.
        TrainingError: the file cannot be written.
    """
    sheet = np.full((len(kinds) * TILE, CAPTION + COLUMNS * TILE, 3), 255, np.uint8)
    for row, kind in enumerate(kinds):
        top = row * TILE
        cv2.putText(sheet, kind, (6, top + TILE // 2 + 5), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
        pictures = [data for data, shown in zip(patches.pictures, patches.kinds) if shown == kind]
        # from tables all over, since neighbours show the same object
        step = max(1, len(pictures) // COLUMNS)
        for column, data in enumerate(pictures[::step][:COLUMNS]):
            left = CAPTION + column * TILE
            sheet[top : top + TILE, left : left + TILE] = _tile(decode_patch(data))
    write_whole(path, cv2.imencode(".png", sheet)[1].tobytes())


def _tile(patch: np.ndarray) -> np.ndarray:
    """The middle of a stored patch, which the network sees, with a thin border."""
    margin = round(len(patch) * (1 - 2**-0.5) / 2)
    tile = cv2.resize(patch[margin:-margin, margin:-margin], (TILE, TILE), interpolation=cv2.INTER_AREA)
    tile[0], tile[:, 0] = 255, 255
    return tile
