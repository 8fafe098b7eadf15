"""Convex polygons of pixels in which grasp points are drawn."""

from typing import Optional

import cv2
import numpy as np

from grasp_learning.geometry import Camera


def patch_centers(width: int, height: int, side: int) -> Optional[np.ndarray]:
    """The rectangle (4, 2) of pixels that can be the centre of a patch of a side in a picture (px).

    None where no patch fits, or only at a single row or column.
    """
    low, right, bottom = (side - 1) / 2, width - (side + 1) / 2, height - (side + 1) / 2
    if right <= low or bottom <= low:
        return None
    return np.array([[low, low], [right, low], [right, bottom], [low, bottom]])


def intersection(a: np.ndarray, b: np.ndarray) -> Optional[np.ndarray]:
    """What two convex polygons (n, 2) have in common, as a polygon; None where it is less than a pixel."""
    area, polygon = cv2.intersectConvexConvex(a.astype(np.float32), b.astype(np.float32))
    return polygon.reshape(-1, 2).astype(float) if area >= 1.0 else None


def usable_polygon(
    outline: np.ndarray, camera: Camera, T_base_camera: np.ndarray, plane: float, side: int
) -> Optional[np.ndarray]:
    """Convex polygon (n, 2) of pixels that show a region and can be the centre of a patch; None without any.

    Args:
        outline: (n, 2) of the region, base frame (m).
        plane: height in the base frame at which it is looked at (m).
        side: of the patches (px).
    """
    points = np.column_stack([outline, np.full(len(outline), plane)])
    pixels = camera.base_to_pixels(points, T_base_camera).astype(np.float32)
    centers = patch_centers(camera.width, camera.height, side)
    if len(pixels) < 3 or np.isnan(pixels).any() or centers is None:
        return None
    return intersection(cv2.convexHull(pixels), centers)


def uniform_in_polygon(polygon: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A point (2,) uniform in a convex polygon (n, 2): a triangle by its area, then a point in it."""
    a, b, c, areas = _triangles(polygon)
    index = rng.choice(len(areas), p=areas / areas.sum())
    s, t = rng.uniform(size=2)
    if s + t > 1:
        s, t = 1 - s, 1 - t
    return a + s * (b[index] - a) + t * (c[index] - a)


def many_in_polygon(polygon: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Points (count, 2) uniform in a convex polygon (n, 2)."""
    a, b, c, areas = _triangles(polygon)
    index = rng.choice(len(areas), size=count, p=areas / areas.sum())
    st = rng.uniform(size=(count, 2))
    st = np.where(st.sum(axis=1, keepdims=True) > 1, 1 - st, st)
    return a + st[:, :1] * (b[index] - a) + st[:, 1:] * (c[index] - a)


def _triangles(polygon: np.ndarray):
    """Corners a (2,), b (n - 2, 2), c (n - 2, 2) of the triangles of a convex polygon, and their areas."""
    a, b, c = polygon[0], polygon[1:-1], polygon[2:]
    return a, b, c, np.abs(np.cross(b - a, c - a))
