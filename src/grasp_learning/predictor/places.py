"""Where a predictor looks: places uniform over the picture or over a region, without those that show nothing.

Section III.D of the paper samples 800 patches at random. The authors' released code draws again while a patch's grey
levels have a standard deviation below 15, and so never ends on a blank picture; here the number of draws is bounded.
"""

from typing import Optional, Tuple

import cv2
import numpy as np
from pydantic import Field

from grasp_learning.config import Settings
from grasp_learning.polygons import intersection, many_in_polygon
from grasp_learning.predictor.errors import BadImageError, NothingToLookAtError, PredictionError, RegionError

MIN_SIDE = 16  # px; a smaller patch shows nothing that could be grasped


class PlaceSettings(Settings):
    """Which places are looked at.

    Attributes:
        count: how many; 800 in the paper.
        blank_std: a patch whose grey levels (0 to 255) deviate less is blank. The released code has 15. A bare
            simulated table shows 2 to 5, patches with an object on it 24 and more; small pale objects lie between.
        draws: gives up on a place after that many draws for each one asked for.
    """

    count: int = Field(800, ge=1, le=100_000)
    blank_std: float = Field(6.0, ge=0, le=128)
    draws: int = Field(20, ge=1, le=1000)


def check_picture(image: np.ndarray, side: int) -> None:
    """Check that a picture can be looked at in patches of a side (px).

    Raises:
        BadImageError: it is no (rows, columns, 3) uint8 picture with anything in it, or smaller than a patch.
        PredictionError: a patch would be too small.
    """
    if not isinstance(image, np.ndarray):
        raise BadImageError(
            f"the picture is a {type(image).__name__}: expected a BGR array (rows, columns, 3) of uint8"
        )
    if image.size == 0:
        raise BadImageError(f"the picture is empty (shape {image.shape}): expected BGR (rows, columns, 3) of uint8")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise BadImageError(
            f"the picture has shape {image.shape} and type {image.dtype}: expected BGR (rows, columns, 3) of uint8"
        )
    if side < MIN_SIDE:
        raise PredictionError(f"a patch of {side} px is too small: expected at least {MIN_SIDE} px")
    height, width = image.shape[:2]
    if width < side or height < side:
        raise BadImageError(f"the picture of {width} x {height} px is smaller than a patch of {side} px")


def place_polygon(width: int, height: int, side: int, region: Optional[np.ndarray] = None) -> np.ndarray:
    """Convex polygon (n, 2) of the pixels of a picture where a patch may be centred.

    Args:
        region: (m, 2) convex polygon of pixels to stay in; None is the whole picture.

    Raises:
        RegionError: the region is no convex polygon, or no patch centred in it is inside the picture.
    """
    # half a pixel wider than the centres of boxes: so a picture of just one patch has room, and edges are not rarer
    low, margin = (side - 1) / 2, 0.49
    left, top, right, bottom = low - margin, low - margin, low + width - side + margin, low + height - side + margin
    centers = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    if region is None:
        return centers
    polygon = intersection(_hull(region), centers)
    if polygon is None:
        raise RegionError(f"no patch of {side} px centred in the region is inside the picture of {width} x {height} px")
    return polygon


def _hull(region: np.ndarray) -> np.ndarray:
    points = np.asarray(region, dtype=np.float32)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
        raise RegionError(f"the region has shape {points.shape}: expected three or more corners (u, v), all finite")
    hull = cv2.convexHull(points).reshape(-1, 2)
    area = cv2.contourArea(hull)
    if area < 1:
        raise RegionError(f"the region has an area of {area:.2g} px: expected at least 1")
    if cv2.contourArea(points) < 0.99 * area:
        raise RegionError("the region's outline is not convex: give its convex hull")
    return hull


class Contrast:
    """Standard deviations of a picture's square patches, each for the price of eight look-ups.

    Args:
        image: BGR (rows, columns, 3) uint8.
    """

    def __init__(self, image: np.ndarray):
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        # sums of squares of a picture of this size are exact in float64
        self._sums, self._squares = cv2.integral2(grey, sdepth=cv2.CV_64F, sqdepth=cv2.CV_64F)

    def std(self, places: np.ndarray, side: int) -> np.ndarray:
        """Standard deviation (n,) of the grey levels of the patches around places (n, 2), all inside the picture."""
        left, top = boxes(places, side).T
        mean, square = (self._box(table, left, top, side) / side**2 for table in (self._sums, self._squares))
        return np.sqrt(np.maximum(square - mean**2, 0.0))

    @staticmethod
    def _box(table: np.ndarray, left: np.ndarray, top: np.ndarray, side: int) -> np.ndarray:
        right, bottom = left + side, top + side
        return table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left]


def boxes(places: np.ndarray, side: int) -> np.ndarray:
    """First columns and rows (n, 2) of the patches around places (n, 2); as patches.patch_box has them."""
    return np.rint(np.asarray(places, float) - (side - 1) / 2).astype(int)


def inside(places: np.ndarray, side: int, width: int, height: int) -> np.ndarray:
    """Which (n,) of the patches around places (n, 2) are fully inside a picture."""
    first = boxes(places, side)
    return ((first >= 0) & (first + side <= [width, height])).all(axis=1)


def sample_places(
    image: np.ndarray,
    side: int,
    rng: np.random.Generator,
    settings: Optional[PlaceSettings] = None,
    region: Optional[np.ndarray] = None,
    count: int = 0,
) -> np.ndarray:
    """Places (n, 2) in pixels (u, v), uniform over a picture or region, whose patches show something.

    Args:
        image: BGR (rows, columns, 3) uint8.
        side: of the patches (px).
        region: (m, 2) convex polygon of pixels to stay in; None is the whole picture.
        count: how many; 0 takes the settings'. Fewer come back where nearly everything is blank.

    Raises:
        BadImageError, RegionError: see check_picture and place_polygon.
        NothingToLookAtError: every patch that was drawn is blank.
        PredictionError: the count is negative.
    """
    settings = settings or PlaceSettings()
    if count < 0:
        raise PredictionError(f"{count} places were asked for: expected at least 1")
    check_picture(image, side)
    height, width = image.shape[:2]
    polygon = place_polygon(width, height, side, region)
    places, deviation = _draw(Contrast(image), polygon, (width, height), side, count or settings.count, rng, settings)
    if len(places) == 0:
        raise NothingToLookAtError(
            f"nothing to look at: the patch with the most contrast has a standard deviation of {deviation:.1f} grey "
            f"levels, at least {settings.blank_std:g} are needed (blank_std)"
        )
    return places


def _draw(
    contrast: Contrast,
    polygon: np.ndarray,
    size: Tuple[int, int],
    side: int,
    count: int,
    rng: np.random.Generator,
    settings: PlaceSettings,
) -> Tuple[np.ndarray, float]:
    """Up to `count` places (n, 2) that are not blank, and the largest deviation that was seen."""
    kept, found, largest = [np.empty((0, 2))], 0, 0.0
    for _ in range(settings.draws):
        drawn = many_in_polygon(polygon, count, rng)
        drawn = drawn[inside(drawn, side, *size)]  # the polygon's edge was computed in single precision
        deviations = contrast.std(drawn, side)
        largest = max(largest, float(deviations.max(initial=0.0)))
        good = drawn[deviations >= max(settings.blank_std, 1e-6)]
        kept.append(good[: count - found])
        found += len(kept[-1])
        if found == count:
            break
    return np.concatenate(kept), largest
