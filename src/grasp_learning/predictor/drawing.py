"""A prediction drawn for a person: grasps on the picture, coloured by what the model thinks of them."""

from typing import Tuple

import cv2
import numpy as np

from grasp_learning import drawing
from grasp_learning.geometry import bin_to_angle
from grasp_learning.patches import patch_box
from grasp_learning.predictor.predictor import Prediction

_WHITE = (255, 255, 255)


def score_color(score: float) -> Tuple[int, int, int]:
    """BGR of a probability: 0 is red, 1/2 is yellow, 1 is green."""
    score = float(np.clip(score, 0, 1))
    return 0, int(round(255 * min(1.0, 2 * score))), int(round(255 * min(1.0, 2 - 2 * score)))


def draw_prediction(image: np.ndarray, prediction: Prediction, count: int = 10) -> np.ndarray:
    """A copy of a picture with the places that were looked at, the best grasps, and the best one's patch.

    Every place is a dot, in the colour of its best angle's probability; the fingers of a grasp are the thick edges of
    its rectangle.

    Args:
        image: BGR (rows, columns, 3) uint8, as it was predicted on.
        count: grasps to draw at most.
    """
    drawn = np.array(image)
    for (u, v), score in zip(prediction.places, prediction.probabilities.max(axis=1)):
        cv2.circle(drawn, (int(round(u)), int(round(v))), 2, score_color(score), -1, cv2.LINE_AA)
    ranked = prediction.ranked[:count]
    for rank, place in reversed(list(enumerate(ranked))):  # the best one last, over the others
        angle, color = float(bin_to_angle(place.bin)), score_color(place.score)
        drawing.draw_grasp(drawn, place.u, place.v, angle, prediction.patch_side, color, 3 if rank == 0 else 1)
    best = ranked[0]
    left, top = patch_box(best.u, best.v, prediction.patch_side)
    right, bottom = left + prediction.patch_side - 1, top + prediction.patch_side - 1
    drawing.draw_outline(drawn, [(left, top), (right, top), (right, bottom), (left, bottom)], _WHITE, 1)
    label = f"{best.score:.2f} at {10 * best.bin} deg, {prediction.model} stage {prediction.stage}"
    return drawing.draw_text(drawn, label, 12, image.shape[0] - 14, _WHITE)
