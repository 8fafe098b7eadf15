"""HoG features of patches (Dalal and Triggs), by OpenCV; what kNN and SVM see (paper, section IV.D)."""

import math
from typing import Optional

import cv2
import numpy as np
from pydantic import Field, model_validator
from tqdm import tqdm

from grasp_learning.baselines.memo import Memo
from grasp_learning.config import Settings
from grasp_learning.evaluation.patch_set import PatchSet
from grasp_learning.patches import NETWORK_SIDE

MEMO_BYTES = 1.2e9

_memo: Memo[np.ndarray] = Memo(lambda features: features.nbytes, MEMO_BYTES)


class HogSettings(Settings):
    """What a descriptor is made of.

    Attributes:
        view: part of the patch's side that is looked at, about its centre; up to 0.707 a patch can be turned and no
            corner comes into sight that would have to be made up. 0.7 is the open gripper's footprint.
        side: to which that part is resized (px).
        cell: side of a cell (px); blocks are 2 x 2 cells, one cell apart.
        orientations: bins of a cell's histogram.
        signed: whether opposite gradients differ.
    """

    view: float = Field(0.7, gt=0, le=1)
    side: int = Field(128, ge=16, le=512)
    cell: int = Field(16, ge=4)
    orientations: int = Field(9, ge=2, le=36)
    signed: bool = False

    @model_validator(mode="after")
    def _cells_fill_the_side(self):
        if self.side % self.cell or self.side < 2 * self.cell:
            raise ValueError(f"side {self.side} is no multiple, at least two times, of cell {self.cell}")
        return self

    @property
    def length(self) -> int:
        """Of a descriptor."""
        return (self.side // self.cell - 1) ** 2 * 4 * self.orientations


def descriptor(settings: HogSettings) -> "cv2.HOGDescriptor":
    """OpenCV's descriptor of these settings."""
    block = 2 * settings.cell
    # by position, for the Python binding has no names for most; those behind `orientations` but the last are defaults
    defaults = (1, -1, cv2.HOGDescriptor_L2Hys, 0.2, True, 64)
    return cv2.HOGDescriptor(
        (settings.side,) * 2,
        (block,) * 2,
        (settings.cell,) * 2,
        (settings.cell,) * 2,
        settings.orientations,
        *defaults,
        settings.signed,
    )


def view_of(picture: np.ndarray, settings: HogSettings, turn: float = 0.0) -> np.ndarray:
    """The part of a patch that is described, resized, in one step with its turn.

    Args:
        picture: (s, s, 3) uint8.
        turn: of the content from the x axis (right) towards the y axis (down) (rad): a grasp at theta becomes one at
            theta + turn. Corners that come into sight have the colours of the border.

    Returns:
        (side, side, 3) uint8.
    """
    scale = settings.side / (settings.view * picture.shape[0])
    cos, sin = scale * math.cos(turn), scale * math.sin(turn)
    old, new = (picture.shape[0] - 1) / 2, (settings.side - 1) / 2
    matrix = np.array([[cos, -sin, new - (cos - sin) * old], [sin, cos, new - (sin + cos) * old]])
    return cv2.warpAffine(
        picture, matrix, (settings.side,) * 2, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def hog_features(
    samples: PatchSet, settings: HogSettings, turns: Optional[np.ndarray] = None, progress: bool = False
) -> np.ndarray:
    """Descriptors of all patches of a set: (n, length) float32, not to be written to.

    Args:
        turns: (n,) by which each patch is turned before (rad); see :func:`view_of`.

    Raises:
        DatasetError: a patch cannot be read.
    """
    turns = np.zeros(len(samples)) if turns is None else np.asarray(turns, float)
    key = samples.identity, settings.model_dump_json(), turns.tobytes()
    return _memo.get(key, lambda: _compute(samples, settings, turns, progress))


def _compute(samples: PatchSet, settings: HogSettings, turns: np.ndarray, progress: bool) -> np.ndarray:
    hog = descriptor(settings)
    result = np.empty((len(samples), settings.length), np.float32)
    with tqdm(total=len(samples), desc="HoG", unit="patch", disable=None if progress else True) as bar:
        for rows, pictures in samples.batches(side=NETWORK_SIDE):
            for row, picture in zip(range(rows.start, rows.stop), pictures):
                result[row] = hog.compute(view_of(picture, settings, float(turns[row]))).ravel()
            bar.update(len(pictures))
    result.flags.writeable = False
    return result
