"""Drawings for people: grasps, outlines and words on pictures."""

from typing import Optional, Sequence, Tuple

import cv2
import numpy as np

GREEN = (0, 255, 0)  # BGR
RED = (0, 0, 255)
ARM_COLORS = {"left": (255, 128, 0), "right": (0, 128, 255), "": (128, 128, 128)}  # "": no arm
Color = Tuple[int, int, int]


def grasp_corners(u: float, v: float, theta_image: float, patch_size: float) -> np.ndarray:
    """(4, 2) corners of a grasp's rectangle (px).

    It is as long as the open gripper's footprint (the patch is 1.5 footprints) along the closing direction and half
    as long across. Corners 0-1 and 2-3 are the edges along the closing direction, 1-2 and 3-0 the fingers.
    """
    along = np.array([np.cos(theta_image), np.sin(theta_image)]) * patch_size / 3
    across = np.array([-np.sin(theta_image), np.cos(theta_image)]) * patch_size / 6
    center = np.array([u, v])
    return np.array(
        [center - along - across, center + along - across, center + along + across, center - along + across]
    )


def draw_grasp(
    image: np.ndarray,
    u: float,
    v: float,
    theta_image: float,
    patch_size: float,
    color: Optional[Color] = None,
    thickness: int = 3,
) -> np.ndarray:
    """Draw a grasp's rectangle into a BGR picture: closing direction green, fingers red.

    Args:
        color: one colour for all edges instead, such as a label's; the fingers are then drawn thicker.

    Returns:
        The same picture.
    """
    corners = np.rint(grasp_corners(u, v, theta_image, patch_size)).astype(int)
    for start, end, finger in ((0, 1, False), (2, 3, False), (1, 2, True), (3, 0, True)):
        points = tuple(int(c) for c in corners[start]), tuple(int(c) for c in corners[end])
        edge_color = color or (RED if finger else GREEN)
        width = 2 * thickness if finger and color else thickness
        cv2.line(image, *points, edge_color, width, cv2.LINE_AA)
    cv2.circle(image, (int(round(u)), int(round(v))), max(2, thickness), color or GREEN, -1, cv2.LINE_AA)
    return image


def draw_outline(image: np.ndarray, points: Sequence, color: Color, thickness: int = 2) -> np.ndarray:
    """Draw a closed polygon of pixels (n, 2) into a BGR picture; points that are not finite drop it."""
    points = np.asarray(points, float).reshape(-1, 2)
    if len(points) >= 2 and np.isfinite(points).all():
        cv2.polylines(image, [np.rint(points).astype(np.int32)], True, color, thickness, cv2.LINE_AA)
    return image


def draw_text(image: np.ndarray, text: str, u: float, v: float, color: Color, scale: float = 0.7) -> np.ndarray:
    """Write text with a dark border, readable on any ground, with its baseline's left end at (u, v)."""
    origin = (int(round(u)), int(round(v)))
    cv2.putText(image, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 4, cv2.LINE_AA)
    cv2.putText(image, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, color, 1, cv2.LINE_AA)
    return image


def tint(image: np.ndarray, mask: np.ndarray, color: Color, strength: float = 0.5) -> np.ndarray:
    """Mix a colour into the pixels of a BGR picture where a mask is set."""
    where = mask > 0
    image[where] = (image[where] * (1 - strength) + np.array(color) * strength).astype(np.uint8)
    return image
