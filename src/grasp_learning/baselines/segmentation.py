"""Which pixels of a wrist patch show the object at its centre, by what the table looks like.

The table is white and dull, in the paper as here, and a patch shows enough of it to learn its colour: a pixel is table
if it has that colour, or that colour darkened by the one factor by which the lamp's shadow darkens it. All else is an
object (or the robot's fingers); what hangs together around the patch's centre is the object that would be grasped.
"""

from typing import Optional, Tuple

import cv2
import numpy as np
from pydantic import Field

from grasp_learning.config import Settings

_GAINS = 100  # bins of brightness relative to the table, for each unit


class SegmentationSettings(Settings):
    """What counts as table, and what as the object at the centre.

    Attributes:
        side: at which the patch is looked at (px).
        least_brightness: mean of a lit table's channels, at least (0 to 255).
        greyest: largest difference of its channels, relative to the largest of them.
        lit: tolerance of a lit table's brightness, relative.
        shadow: tolerance of a shadow's brightness, relative to the lit table's.
        darkest, lightest: between which brightnesses, relative to the lit table's, a shadow lies.
        tint: tolerance of colour: the part of a pixel that is not table's colour, relative to the part that is.
        least_shadow: part of the patch that has to be in shadow, or else nothing is.
        smoothing: diameter of the smallest thing that is kept (px).
        hole: largest hole in an object that is filled, as part of the patch's area.
        reach: how far from the patch's centre the object may end, as part of the patch's side.
    """

    side: int = Field(114, ge=16)
    least_brightness: float = Field(110.0, ge=0, le=255)
    greyest: float = Field(0.22, gt=0, le=1)
    lit: float = Field(0.09, gt=0, lt=1)
    shadow: float = Field(0.05, gt=0, lt=1)
    darkest: float = Field(0.42, gt=0, lt=1)
    lightest: float = Field(0.82, gt=0, lt=1)
    tint: float = Field(0.06, gt=0, lt=1)
    least_shadow: float = Field(0.02, ge=0, le=1)
    smoothing: int = Field(3, ge=1)
    hole: float = Field(0.02, ge=0, le=1)
    reach: float = Field(0.06, ge=0, le=0.5)


def object_mask(picture: np.ndarray, settings: Optional[SegmentationSettings] = None) -> np.ndarray:
    """Where the object at a patch's centre is.

    Args:
        picture: (s, s, 3) uint8 BGR, a square patch.

    Returns:
        (side, side) bool; all False where there is only table within reach of the centre.
    """
    settings = settings or SegmentationSettings()
    mask = foreground_mask(picture, settings)
    count, components = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    if count < 2:
        return np.zeros_like(mask)
    distance = distance_from_centre(settings.side)
    distance = np.where(mask, distance, np.inf)
    nearest = np.unravel_index(np.argmin(distance), mask.shape)
    if distance[nearest] > settings.reach * settings.side:
        return np.zeros_like(mask)
    return _without_holes(components == components[nearest], settings.hole * mask.size)


def foreground_mask(picture: np.ndarray, settings: Optional[SegmentationSettings] = None) -> np.ndarray:
    """Where a patch shows no table: (side, side) bool. All of it where no table is seen at all.

    Args:
        picture: (s, s, 3) uint8 BGR, a square patch.
    """
    settings = settings or SegmentationSettings()
    small = cv2.resize(picture, (settings.side, settings.side), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (3, 3), 0).astype(np.float32)
    table = _table_colour(small, settings)
    if table is None:
        return np.ones(small.shape[:2], bool)
    objects = (~_is_table(small, table, settings)).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (settings.smoothing, settings.smoothing))
    objects = cv2.morphologyEx(objects, cv2.MORPH_OPEN, disc)
    return cv2.morphologyEx(objects, cv2.MORPH_CLOSE, disc) > 0


def _table_colour(pixels: np.ndarray, settings: SegmentationSettings) -> Optional[np.ndarray]:
    """(3,) commonest colour among bright greyish pixels (s, s, 3); None where there are next to none."""
    brightness, largest = pixels.mean(axis=2), pixels.max(axis=2)
    greyish = largest - pixels.min(axis=2) < settings.greyest * largest
    candidates = greyish & (brightness > settings.least_brightness)
    if np.count_nonzero(candidates) < 0.01 * candidates.size:
        return None
    commonest = _peak(brightness[candidates], 9)
    near = candidates & (np.abs(brightness - commonest) < 6)
    return np.median(pixels[near], axis=0)


def _is_table(pixels: np.ndarray, table: np.ndarray, settings: SegmentationSettings) -> np.ndarray:
    """Which pixels (s, s, 3) are the table's colour, lit or in shadow: (s, s) bool."""
    gain, tint = _against(pixels, table)
    lit = (np.abs(gain - 1.0) < settings.lit) & (tint < settings.tint)
    dark = (gain > settings.darkest) & (gain < settings.lightest) & (tint < settings.tint)
    if np.count_nonzero(dark) < settings.least_shadow * dark.size:
        return lit
    # one lamp makes one shade of shadow; grey things of other shades stay objects
    shade = _peak(gain[dark] * _GAINS, 5) / _GAINS
    return lit | (dark & (np.abs(gain - shade) < settings.shadow))


def _against(pixels: np.ndarray, table: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Brightness (s, s) of pixels relative to the table, and the part of their colour that is not the table's."""
    gain = pixels @ table / (table @ table)
    rest = np.linalg.norm(pixels - gain[..., None] * table, axis=2)
    return gain, rest / np.maximum(gain * np.linalg.norm(table), 1.0)


def _peak(values: np.ndarray, width: int) -> float:
    """Where values (n,), not negative, are densest: the middle of the fullest `width` units."""
    counts = np.bincount(values.astype(int), minlength=width).astype(float)
    return float(np.argmax(np.convolve(counts, np.ones(width), "same"))) + 0.5


def distance_from_centre(side: int) -> np.ndarray:
    """(side, side) distance of each pixel from the middle of a square picture (px)."""
    axis = np.arange(side) - (side - 1) / 2
    return np.hypot(axis[:, None], axis[None, :])


def _without_holes(mask: np.ndarray, largest: float) -> np.ndarray:
    """The mask with holes of up to `largest` px filled; a handle's opening is larger than a speck of paint."""
    count, components, boxes, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=8)
    rim = np.unique(np.concatenate([components[0], components[-1], components[:, 0], components[:, -1]]))
    small = [part for part in range(1, count) if boxes[part, cv2.CC_STAT_AREA] <= largest and part not in rim]
    return mask | np.isin(components, small) if small else mask
