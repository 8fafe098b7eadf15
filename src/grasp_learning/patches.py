"""Patches: the square of the wrist picture around a grasp point that the network sees."""

import cv2
import numpy as np
from pydantic import Field

from grasp_learning.config import Settings
from grasp_learning.geometry import Camera

NETWORK_SIDE = 227  # px, AlexNet's input


class PatchSettings(Settings):
    """How large a patch is.

    Attributes:
        footprint: outer width of the open gripper (m).
        scale: patch side in footprints; 1.5 in the paper.
        forced_size: patch side (px) instead of the computed one; 0 computes it.
    """

    footprint: float = Field(0.122, gt=0)
    scale: float = Field(1.5, gt=0)
    forced_size: int = Field(0, ge=0)


def patch_side(settings: PatchSettings, camera: Camera, height: float) -> int:
    """Side of a patch (px): the scaled footprint as it projects from a camera at a height above the table (m).

    The table, and not an object's top, is the plane: so all patches of a pose have one scale, as in the paper.
    At the default pose (fingertips 25 cm, camera 39 cm above the table) this is 378 px; the paper has 380.

    Raises:
        ValueError: the camera is not above the table.
    """
    if settings.forced_size:
        return settings.forced_size
    if not height > 0:
        raise ValueError(f"the camera is {height:.3f} m above the table: expected a positive height")
    return round(settings.scale * settings.footprint * camera.focal_length / height)


def patch_box(u: float, v: float, side: int):
    """First column, first row of the patch of a side (px) centred at (u, v); the last ones are side - 1 further."""
    return int(round(u - (side - 1) / 2)), int(round(v - (side - 1) / 2))


def patch_fits(u: float, v: float, side: int, width: int, height: int) -> bool:
    """Whether a patch lies fully inside a picture of width x height (px)."""
    left, top = patch_box(u, v, side)
    return left >= 0 and top >= 0 and left + side <= width and top + side <= height


def crop_patch(image: np.ndarray, u: float, v: float, side: int) -> np.ndarray:
    """Copy of the (side, side, channels) patch of a picture around (u, v).

    Raises:
        ValueError: it is not fully inside the picture.
    """
    if side < 1 or not patch_fits(u, v, side, image.shape[1], image.shape[0]):
        raise ValueError(
            f"a patch of {side} px at ({u:.1f}, {v:.1f}) is not fully inside the picture of "
            f"{image.shape[1]} x {image.shape[0]} px"
        )
    left, top = patch_box(u, v, side)
    return image[top : top + side, left : left + side].copy()


def resize_patch(patch: np.ndarray, side: int = NETWORK_SIDE) -> np.ndarray:
    """The patch at the network's size: averaged when it shrinks, cubic when it grows."""
    interpolation = cv2.INTER_AREA if side < patch.shape[0] else cv2.INTER_CUBIC
    return cv2.resize(patch, (side, side), interpolation=interpolation)
