"""The dense path: convolutions once over the whole picture, then the fully connected layers place by place.

The picture is resized once, so that a patch in it is as large as the network's input. The 13 x 13 features of a patch
are then a window of the picture's map of features, at the place nearest to it: features are 16 px apart, or a
fraction of that where maps of shifted pictures are made, too. It is no exact evaluation, because the
convolutions of a patch by itself see zeros beyond its border, where those of the whole picture see the picture.
"""

import math
from typing import Tuple

import cv2
import numpy as np
import torch

from grasp_learning.network import CHANNELS, MAP_STRIDE, POOLED_SIDE
from grasp_learning.predictor.engine import Engine
from grasp_learning.predictor.errors import PredictionError
from grasp_learning.predictor.places import boxes

_CHUNK = 256  # windows at a time; bounds the memory
_MOST_PIXELS = 16e6  # of the scaled picture, each of which takes some 60 bytes on its way to the features


def dense_probabilities(
    engine: Engine, image: np.ndarray, places: np.ndarray, side: int, refinement: int = 1
) -> np.ndarray:
    """Probabilities (n, 18) of success at places (n, 2) of a picture, each that of the nearest window of features.

    Args:
        image: BGR (rows, columns, 3) uint8.
        places: all patches are fully inside the picture.
        side: of the patches (px).
        refinement: windows are 16 / refinement px of the network's input apart.

    Raises:
        PredictionError: the patches are so small, or the picture is so large, that it would not fit into memory.
    """
    first = boxes(places, side)
    low, high = first.min(axis=0), first.max(axis=0) + side
    # half a step further, where there is more of the picture, for the windows that begin behind the last place
    high = np.minimum(high + math.ceil(MAP_STRIDE / 2 * side / engine.input_side), [image.shape[1], image.shape[0]])
    picture, scale = _resized(image[low[1] : high[1], low[0] : high[0]], side, engine.input_side)
    steps = np.rint((first - low) * scale * refinement / MAP_STRIDE).astype(int)
    cells, index = np.unique(steps, axis=0, return_inverse=True)
    picture = _with_room(picture, cells.max(axis=0) * MAP_STRIDE // refinement + engine.input_side)
    windows = _pooled_windows(engine, picture, cells, refinement)
    parts = [engine.classify(windows[start : start + _CHUNK]) for start in range(0, len(windows), _CHUNK)]
    return np.concatenate(parts)[index.reshape(-1)]


def _resized(image: np.ndarray, side: int, input_side: int) -> Tuple[np.ndarray, np.ndarray]:
    """A picture scaled so that a patch has the network's size, and the scale (2,) it got in each direction.

    Raises:
        PredictionError: it would be too large.
    """
    height, width = image.shape[:2]
    scaled = [max(input_side, round(length * input_side / side)) for length in (width, height)]
    if scaled[0] * scaled[1] > _MOST_PIXELS:
        raise PredictionError(
            f"with patches of {side} px the picture has to be scaled to {scaled[0]} x {scaled[1]} px, at most "
            f"{_MOST_PIXELS / 1e6:.0f} million pixels are possible; take the path 'exact', larger patches, or a region"
        )
    interpolation = cv2.INTER_AREA if input_side < side else cv2.INTER_CUBIC
    return cv2.resize(image, tuple(scaled), interpolation=interpolation), np.array(scaled) / [width, height]


def _with_room(picture: np.ndarray, size: np.ndarray) -> np.ndarray:
    """A picture that is at least as large as a size (width, height): its edge is repeated, half a step at most."""
    right, bottom = np.maximum(size - [picture.shape[1], picture.shape[0]], 0).tolist()
    return cv2.copyMakeBorder(picture, 0, bottom, 0, right, cv2.BORDER_REPLICATE) if right or bottom else picture


def _pooled_windows(engine: Engine, picture: np.ndarray, cells: np.ndarray, refinement: int) -> torch.Tensor:
    """Pooled features (n, 256, 6, 6) of the windows that begin at cells (n, 2), in steps of 16 / refinement px."""
    pooled = torch.empty(len(cells), POOLED_SIDE, POOLED_SIDE, CHANNELS, dtype=engine.dtype)
    window = 2 * torch.arange(POOLED_SIDE)  # a window's pool has a stride of 2
    shifts = cells % refinement
    for shift in np.unique(shifts, axis=0):
        x, y = shift * MAP_STRIDE // refinement
        features = engine.pooled_everywhere(torch.from_numpy(picture[None, y:, x:]))[0].permute(1, 2, 0)
        chosen = torch.from_numpy(np.flatnonzero((shifts == shift).all(axis=1)))
        columns, rows = torch.from_numpy(cells // refinement)[chosen].T
        rows, columns = rows[:, None, None] + window[:, None], columns[:, None, None] + window
        pooled[chosen] = features[rows, columns]
    return pooled.permute(0, 3, 1, 2)
