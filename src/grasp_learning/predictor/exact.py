"""The exact path: every patch is cut out and goes through the whole network, as in training."""

import numpy as np
import torch

from grasp_learning.patches import resize_patch
from grasp_learning.predictor.engine import Engine
from grasp_learning.predictor.places import boxes


def cut_patches(image: np.ndarray, places: np.ndarray, side: int, input_side: int) -> np.ndarray:
    """The patches around places, resized for the network: (n, input_side, input_side, 3) uint8 BGR.

    Args:
        image: BGR (rows, columns, 3) uint8.
        places: (n, 2) pixels; all patches are fully inside the picture.
        side: of the patches in the picture (px).
    """
    patches = np.empty((len(places), input_side, input_side, 3), np.uint8)
    for patch, (left, top) in zip(patches, boxes(places, side)):
        patch[:] = resize_patch(image[top : top + side, left : left + side], input_side)
    return patches


def exact_probabilities(engine: Engine, image: np.ndarray, places: np.ndarray, side: int, batch: int) -> np.ndarray:
    """Probabilities (n, 18) of success at places (n, 2) of a picture, each patch evaluated by itself.

    Args:
        batch: patches at a time.
    """
    parts = [np.empty((0, engine.num_bins), np.float32)]
    for start in range(0, len(places), batch):
        patches = cut_patches(image, places[start : start + batch], side, engine.input_side)
        parts.append(engine.evaluate(torch.from_numpy(patches)))
    return np.concatenate(parts)
