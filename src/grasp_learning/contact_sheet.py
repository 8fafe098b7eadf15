"""One picture of all trials of a collection: each one's patch with its grasp, framed in the colour of its label."""

import math
import sys
from pathlib import Path
from typing import Any, Mapping, Sequence, Tuple

import cv2
import numpy as np
from tqdm import tqdm

from grasp_learning.drawing import draw_grasp
from grasp_learning.pictures import PictureSource
from grasp_learning.storage import CollectionError, trials_of
from grasp_learning.storage_errors import PictureError
from grasp_learning.summary import Summary, summarize, wilson_interval

SHEET_FILE = "contact_sheet.png"
TILE = 180  # px, side of a patch in the sheet
FRAME = 6  # px
CAPTION = 24  # px, below each patch
TITLE = 64  # px, above all
GAP = 6  # px
FEWEST_COLUMNS = 5
GREEN, RED, GREY, INK, PAPER = (60, 160, 40), (50, 50, 215), (150, 150, 150), (30, 30, 30), (255, 255, 255)  # BGR
FONT = cv2.FONT_HERSHEY_SIMPLEX


def contact_sheet(collection_folder, path=None, limit: int = 200) -> Path:
    """Draw each trial's patch with its grasp, framed green for a success and red for a failure.

    A trial whose picture cannot be read gets a grey tile.

    Args:
        path: where the picture goes; contact_sheet.png in the collection's folder by default.
        limit: only so many trials, the latest, are drawn.

    Raises:
        CollectionError: it is no collection, a file of it is damaged, it holds no trials, or the picture cannot be
            written.
    """
    folder = Path(collection_folder)
    path = folder / SHEET_FILE if path is None else Path(path)
    summary = summarize(folder)
    trials = list(trials_of(folder))[-limit:]
    if not trials:
        raise CollectionError(f"{folder}: holds no trials yet, so there is nothing to draw; collect some first")
    progress = tqdm(trials, "drawing", unit="trial", disable=None, leave=False)
    pictures = PictureSource(folder)
    sheet = _arrange([_tile(pictures, trial) for trial in progress], _title(folder, summary, len(trials)))
    done, data = cv2.imencode(".png", sheet)
    if not done:
        raise CollectionError(f"{path}: a picture of {sheet.shape[1]} x {sheet.shape[0]} px cannot be encoded")
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise CollectionError(f"{path}: cannot be written ({error.strerror}); name another file") from error
    return path


def trial_patch(pictures: PictureSource, trial: Mapping[str, Any]) -> np.ndarray:
    """(patch_size, patch_size, 3) BGR patch of a trial with its grasp drawn in; borders repeat the picture's edge.

    Raises:
        PictureError: the picture cannot be read.
    """
    picture = pictures.approach(trial)
    side = int(trial["patch_size"])
    patch = cv2.getRectSubPix(picture, (side, side), (trial["u"], trial["v"]))
    middle = (side - 1) / 2
    return draw_grasp(patch, middle, middle, trial["theta_image"], side, thickness=max(1, round(side / 90)))


def _tile(pictures: PictureSource, trial: Mapping[str, Any]) -> np.ndarray:
    try:
        patch = cv2.resize(trial_patch(pictures, trial), (TILE, TILE), interpolation=cv2.INTER_AREA)
        color = GREEN if trial["outcome"] == "SUCCESS" else RED
    except PictureError as error:
        print(error, file=sys.stderr)
        patch, color = np.full((TILE, TILE, 3), 225, np.uint8), GREY
        cv2.putText(patch, "unreadable", (38, TILE // 2), FONT, 0.55, INK, 1, cv2.LINE_AA)
    tile = cv2.copyMakeBorder(patch, FRAME, FRAME + CAPTION, FRAME, FRAME, cv2.BORDER_CONSTANT, value=color)
    force = "" if trial.get("force") is None else f"  {trial['force']:.0f} %"
    caption = f"{trial['number']}  {trial['arm']}{force}"
    cv2.putText(tile, caption, (FRAME + 2, tile.shape[0] - 10), FONT, 0.52, PAPER, 1, cv2.LINE_AA)
    return tile


def _title(folder: Path, summary: Summary, drawn: int) -> Tuple[str, str]:
    low, high = wilson_interval(summary.successes, summary.trials)
    rate = f"{100 * summary.successes / summary.trials:.1f} % ({100 * low:.1f} to {100 * high:.1f} %)"
    latest = "" if drawn == summary.trials else f", the latest {drawn} drawn"
    figures = f"{summary.trials} trials{latest}, {summary.successes} successes, rate {rate}"
    return folder.absolute().name, figures


def _arrange(tiles: Sequence[np.ndarray], title: Tuple[str, str]) -> np.ndarray:
    """Tiles in rows under two lines of text."""
    height, width = tiles[0].shape[:2]
    columns = max(FEWEST_COLUMNS, math.ceil(math.sqrt(1.6 * len(tiles))))
    rows = math.ceil(len(tiles) / columns)
    size = (TITLE + rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3)
    sheet = np.full(size, 255, np.uint8)
    cv2.putText(sheet, title[0], (GAP + 2, 26), FONT, 0.75, INK, 2, cv2.LINE_AA)
    cv2.putText(sheet, title[1], (GAP + 2, 52), FONT, 0.6, INK, 1, cv2.LINE_AA)
    key = (("success", GREEN), ("failure", RED))
    for place, (word, color) in enumerate(key):
        left = size[1] - 220 + 110 * place
        cv2.rectangle(sheet, (left, 12), (left + 16, 28), color, -1)
        cv2.putText(sheet, word, (left + 22, 26), FONT, 0.55, INK, 1, cv2.LINE_AA)
    for place, tile in enumerate(tiles):
        row, column = divmod(place, columns)
        top, left = TITLE + row * (height + GAP), GAP + column * (width + GAP)
        sheet[top : top + height, left : left + width] = tile
    return sheet
