"""Regions of the table with objects in them, from the Kinect's picture: where an arm may look for things to grasp."""

from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple

import cv2
import numpy as np
from pydantic import Field, model_validator

from grasp_learning.background import (
    Background,
    BackgroundError,
    BackgroundSettings,
    load_background,
    save_background,
)
from grasp_learning.calibration import Calibration
from grasp_learning.config import Settings
from grasp_learning.geometry import Camera
from grasp_learning.trial import ARMS, Outcome, Region, Step

MAX_HEIGHT = 0.5  # m above the table; nothing that is grasped is taller, so a depth that says so is wrong


class ArmArea(Settings):
    """Where on the table an arm may grasp, base frame (m)."""

    x_min: float
    x_max: float
    y_min: float
    y_max: float

    @model_validator(mode="after")
    def _not_empty(self) -> "ArmArea":
        if self.x_min >= self.x_max or self.y_min >= self.y_max:
            raise ValueError("expected x_min < x_max and y_min < y_max")
        return self

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Which of the points (n, 2 or 3) lie in the area."""
        x, y = points[:, 0], points[:, 1]
        return (x >= self.x_min) & (x <= self.x_max) & (y >= self.y_min) & (y <= self.y_max)

    @property
    def corners(self) -> np.ndarray:
        """(4, 2) corners."""
        return _rectangle(self.x_min, self.x_max, self.y_min, self.y_max)


class ArmAreas(Settings):
    """The areas of both arms; they keep clear of the plane y = 0, where the arms' workspaces meet.

    The defaults are what a gripper that points down reaches at every angle, from the table to 25 cm above it.
    """

    left: ArmArea = ArmArea(x_min=0.48, x_max=0.82, y_min=0.10, y_max=0.52)
    right: ArmArea = ArmArea(x_min=0.48, x_max=0.82, y_min=-0.52, y_max=-0.10)

    def of(self, arm: str) -> ArmArea:
        """The area of the ``left`` or ``right`` arm."""
        return {"left": self.left, "right": self.right}[arm]


class RegionSettings(Settings):
    """How regions are found.

    Attributes:
        scale: the Kinect's picture is compared at this size; 0.5 is about 2 mm a pixel on the table.
        edge_margin: strip along the table's edges that is not looked at (m).
        min_area: least area of a region on the table (m^2).
        opening, closing: diameters of the morphological filters (px of the compared picture).
        shadow_height: what MOG2 takes for a shadow is an object where depth sees it so high above the table (m).
        part_size: objects that touch in the picture are cut into parts of about this size (m).
        arm_margin: by how much the arms' silhouettes are widened (px of the Kinect's picture).
        background: see BackgroundSettings.
        areas: where each arm may grasp.
    """

    scale: float = Field(0.5, gt=0, le=1)
    edge_margin: float = Field(0.015, ge=0)
    min_area: float = Field(2e-4, gt=0)
    opening: int = Field(3, ge=1)
    closing: int = Field(5, ge=1)
    shadow_height: float = Field(0.01, gt=0)
    part_size: float = Field(0.06, gt=0)
    arm_margin: int = Field(12, ge=0)
    background: BackgroundSettings = BackgroundSettings()
    areas: ArmAreas = ArmAreas()


@dataclass(frozen=True)
class View:
    """What of the Kinect's picture shows the table.

    Attributes:
        crop: (u, v, width, height) of the table's bounding box (px).
        outside: bool mask over the compared (cropped, scaled) picture: not table.
        pixels_per_metre: of the compared picture, on the table, at the mean.
    """

    crop: Tuple[int, int, int, int]
    outside: np.ndarray
    pixels_per_metre: float


class RegionFinder:
    """Finds regions with objects in the Kinect's pictures.

    Not safe for use by several threads at once.

    Args:
        camera: the Kinect's colour camera; depth is registered to it.
    """

    def __init__(self, settings: RegionSettings, calibration: Calibration, camera: Camera):
        self._settings, self._camera = settings, camera
        self._table = calibration.table
        self._T_base_kinect = calibration.T_base_kinect.matrix
        self._view = self._look_at_table()
        self._background: Optional[Background] = None

    def _look_at_table(self) -> View:
        camera, scale = self._camera, self._settings.scale
        pixels = self.project(self._table_corners())
        frame = np.array([[0, 0], [camera.width, 0], [camera.width, camera.height], [0, camera.height]], np.float32)
        visible, polygon = (0.0, None) if np.isnan(pixels).any() else cv2.intersectConvexConvex(pixels, frame)
        if visible < 100:
            raise BackgroundError(
                "the Kinect does not see the table: check T_base_kinect and table in the calibration file"
            )
        u, v, width, height = cv2.boundingRect(np.floor(polygon).astype(np.int32))
        width, height = min(width, camera.width - u), min(height, camera.height - v)
        table = np.zeros((round(height * scale), round(width * scale)), np.uint8)
        cv2.fillConvexPoly(table, np.rint((polygon.reshape(-1, 2) - [u, v]) * scale).astype(np.int32), 1)
        area = cv2.contourArea(self._table_corners().astype(np.float32))
        return View((u, v, width, height), table == 0, scale * float(np.sqrt(visible / area)))

    def _table_corners(self) -> np.ndarray:
        table, margin = self._table, self._settings.edge_margin
        return _rectangle(table.x_min + margin, table.x_max - margin, table.y_min + margin, table.y_max - margin)

    def project(self, points: np.ndarray, height: float = 0.0) -> np.ndarray:
        """Pixels (n, 2) float32 in the Kinect's picture of points (n, 2) at a height above the table (m)."""
        points = np.column_stack([points, np.full(len(points), self._table.z + height)])
        return self._camera.base_to_pixels(points, self._T_base_kinect).astype(np.float32)

    @property
    def table_outline(self) -> np.ndarray:
        """(4, 2) float32 pixels of the part of the table that is looked at."""
        return self.project(self._table_corners())

    @property
    def has_background(self) -> bool:
        """Whether an empty table was learnt or loaded."""
        return self._background is not None

    def learn(self, images: Sequence[np.ndarray]) -> None:
        """Learn the empty table from BGR pictures; what was learnt before is forgotten."""
        self._background = Background([self._compared(image) for image in images], self._settings.background)

    def save(self, path, session: str = "") -> None:
        """Write the learnt background to a file, so that a restarted node does not need an empty table.

        Args:
            session: name of the session; the file is of use in the same one only.

        Raises:
            BackgroundError: nothing was learnt.
        """
        save_background(self._learnt(), path, self._labels(), session)

    def load(self, path, session: str = "") -> bool:
        """Read a background; False where there is no such file.

        Raises:
            BackgroundError: the file is broken, or was learnt in another session or with another camera or table.
        """
        self._background = load_background(path, self._settings.background, self._labels(), session)
        return self.has_background

    def _labels(self) -> Dict[str, np.ndarray]:
        table = self._table
        return {
            "camera": np.array([self._camera.width, self._camera.height, *self._camera.K.reshape(-1)]),
            "camera pose": self._T_base_kinect,
            "table": np.array([table.z, table.x_min, table.x_max, table.y_min, table.y_max]),
            "picture size": np.array(self._view.outside.shape),
        }

    def _learnt(self) -> Background:
        if self._background is None:
            raise BackgroundError("the empty table was never learnt: clear the table and call ~reset_background")
        return self._background

    def _compared(self, image: np.ndarray) -> np.ndarray:
        """The part of a Kinect picture that is compared with the background, scaled."""
        if image.shape[:2] != (self._camera.height, self._camera.width):
            raise BackgroundError(f"picture of {image.shape[:2]}, expected {(self._camera.height, self._camera.width)}")
        u, v, width, height = self._view.crop
        rows, columns = self._view.outside.shape
        return cv2.resize(image[v : v + height, u : u + width], (columns, rows), interpolation=cv2.INTER_AREA)

    def covered(self, arm_mask: Optional[np.ndarray]) -> float:
        """Share of the table in the picture that arms cover (0 to 1)."""
        inside = ~self._view.outside
        return float((self._arms(arm_mask) & inside).sum() / inside.sum())

    def _arms(self, arm_mask: Optional[np.ndarray]) -> np.ndarray:
        if arm_mask is None:
            return np.zeros(self._view.outside.shape, bool)
        return self._compared(arm_mask) > 0

    def risen_area(self, depth: np.ndarray, height: float = 0.015) -> float:
        """Area of the table (m^2) over which depth sees something higher than height (m)."""
        rows, columns = np.nonzero(~self._view.outside)
        points = self._base_points(rows, columns, depth, np.nan)
        risen = (points[:, 2] - self._table.z > height) & (points[:, 2] - self._table.z < MAX_HEIGHT)
        mask = np.zeros(self._view.outside.shape, np.uint8)
        mask[rows[risen], columns[risen]] = 1
        mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        return float(
            mask.sum() / (~self._view.outside).sum() * cv2.contourArea(self._table_corners().astype(np.float32))
        )

    def find(
        self,
        image: np.ndarray,
        depth: Optional[np.ndarray] = None,
        arm_mask: Optional[np.ndarray] = None,
        stamp: float = 0.0,
    ) -> List[Region]:
        """Regions with objects.

        A group of objects that touch in the picture is cut where the arms' areas end: each arm gets the part in
        its own area. What no arm can reach has an empty arm name.

        Args:
            image: BGR (rows, columns, 3) uint8 of the Kinect.
            depth: (rows, columns) in metres, NaN where nothing was seen; without it objects are taken to be flat.
            arm_mask: uint8 (rows, columns), nonzero where an arm covers the picture.

        Raises:
            BackgroundError: no background was learnt, or the picture's size is wrong.
        """
        ignore = self._view.outside | self._arms(arm_mask)
        objects, shadows = self._learnt().foreground(self._compared(image), ignore)
        if depth is not None:
            objects |= self._raised(shadows, depth)
        parts = split_touching(self._cleaned(objects) & ~ignore, self._settings.part_size * self._view.pixels_per_metre)
        regions: List[Region] = []
        for label in range(1, parts.max() + 1):
            rows, columns = np.nonzero(_without_rim(parts == label))
            regions += self._regions_of(rows, columns, depth, stamp)
        return regions

    def _raised(self, mask: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """The pixels of a mask that depth sees above the table."""
        rows, columns = np.nonzero(mask)
        heights = self._base_points(rows, columns, depth, self._table.z)[:, 2] - self._table.z
        keep = (heights > self._settings.shadow_height) & (heights < MAX_HEIGHT)
        raised = np.zeros_like(mask)
        raised[rows[keep], columns[keep]] = True
        return raised

    def _cleaned(self, mask: np.ndarray) -> np.ndarray:
        mask = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, _disc(self._settings.opening))
        return cv2.morphologyEx(mask, cv2.MORPH_CLOSE, _disc(self._settings.closing)) > 0

    def _regions_of(self, rows: np.ndarray, columns: np.ndarray, depth, stamp: float) -> List[Region]:
        points = self._base_points(rows, columns, depth, self._table.z)
        points[:, 2] -= self._table.z
        believable = (points[:, 2] > -0.03) & (points[:, 2] < MAX_HEIGHT)
        points, rows, columns = points[believable], rows[believable], columns[believable]
        found = []
        for arm in ARMS:
            inside = self._settings.areas.of(arm).contains(points)
            found.append(self._region(arm, points[inside], rows[inside], columns[inside], stamp))
        found = [region for region in found if region is not None]
        if found:
            return found
        unreachable = self._region("", points, rows, columns, stamp)
        return [] if unreachable is None else [unreachable]

    def _region(self, arm: str, points: np.ndarray, rows: np.ndarray, columns: np.ndarray, stamp) -> Optional[Region]:
        if len(points) < 3:
            return None
        hull = cv2.convexHull(points[:, :2].astype(np.float32)).reshape(-1, 2)
        moments = cv2.moments(hull)
        if moments["m00"] < self._settings.min_area:
            return None
        center = [moments["m10"] / moments["m00"], moments["m01"] / moments["m00"], self._table.z]
        height = float(np.clip(np.percentile(points[:, 2], 98), 0.0, MAX_HEIGHT))
        return Region(arm, stamp, np.array(center), height, hull.astype(float), self._box(rows, columns))

    def _box(self, rows: np.ndarray, columns: np.ndarray) -> Tuple[int, int, int, int]:
        u, v = self._to_kinect(rows, columns)
        half = 0.5 / self._settings.scale
        left, top = max(int(u.min() - half), 0), max(int(v.min() - half), 0)
        right = min(int(np.ceil(u.max() + half)), self._camera.width)
        bottom = min(int(np.ceil(v.max() + half)), self._camera.height)
        return left, top, right - left, bottom - top

    def _to_kinect(self, rows: np.ndarray, columns: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Kinect pixels (u, v) of the centres of pixels of the compared picture."""
        u, v, width, height = self._view.crop
        scaled_rows, scaled_columns = self._view.outside.shape
        return (
            u + (columns + 0.5) * width / scaled_columns - 0.5,
            v + (rows + 0.5) * height / scaled_rows - 0.5,
        )

    def _base_points(self, rows: np.ndarray, columns: np.ndarray, depth, plane: float) -> np.ndarray:
        """(n, 3) base-frame points of compared pixels: by depth where it is valid, else on a horizontal plane."""
        u, v = self._to_kinect(rows, columns)
        pixels = np.column_stack([u, v])
        points = self._camera.pixels_to_plane(pixels, self._T_base_kinect, plane)
        if depth is None:
            return points
        distance = depth[np.rint(v).astype(int), np.rint(u).astype(int)]
        seen = np.isfinite(distance)
        rays = self._camera.rays(pixels[seen]) if seen.any() else np.empty((0, 3))
        T = self._T_base_kinect
        points[seen] = rays * distance[seen, None] @ T[:3, :3].T + T[:3, 3]
        return points


def sample_region(regions: Sequence[Region], arm: str, rng: np.random.Generator) -> "Step[Region]":
    """One of the regions that an arm can reach, each with the same chance; NO_OBJECTS or UNREACHABLE without any."""
    if not regions:
        return Step(Outcome.NO_OBJECTS, "there is nothing on the table")
    reachable = [region for region in regions if region.arm == arm]
    if not reachable:
        return Step(Outcome.UNREACHABLE, f"none of {len(regions)} regions with objects is in the {arm} arm's area")
    return Step(Outcome.SUCCESS, "", reachable[rng.integers(len(reachable))])


def split_touching(mask: np.ndarray, size: float) -> np.ndarray:
    """Cut a mask into compact parts, so that a heap of objects does not become one region with much bare table in it.

    Every point that is deepest inside its component within half of `size` is the seed of a part; pixels go to seeds
    by power distance, that is, components that consist of touching discs are cut where the discs touch.

    Args:
        mask: bool (rows, columns).
        size: about how large a part becomes (px).

    Returns:
        int (rows, columns): 0 outside, else the part's number from 1.
    """
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    count, components, boxes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    highest = cv2.dilate(np.ascontiguousarray(depth), _disc(2 * int(size / 2) + 1))
    peaks = mask & (depth >= highest)
    parts, number = np.zeros(mask.shape, int), 1
    for component in range(1, count):
        u, v, width, height = boxes[component, :4]
        window = (slice(v, v + height), slice(u, u + width))
        inside = components[window] == component
        _, _, _, seeds = cv2.connectedComponentsWithStats((inside & peaks[window]).astype(np.uint8), connectivity=8)
        seeds = _spread(seeds[1:, ::-1], size)
        parts[window][inside] = number + _power_cells(np.argwhere(inside), seeds, depth[window])
        number += max(len(seeds), 1)
    return parts


def _spread(seeds: np.ndarray, distance: float) -> np.ndarray:
    """The seeds (n, 2) without those that are nearer to an earlier one: a long object's middle line has many."""
    kept: List[np.ndarray] = []
    for seed in seeds:
        if all(np.linalg.norm(seed - other) >= distance for other in kept):
            kept.append(seed)
    return np.array(kept).reshape(-1, 2)


def _power_cells(pixels: np.ndarray, seeds: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Index (n,) of the seed (row, column) whose disc, of the depth there as radius, is nearest to each pixel."""
    if len(seeds) < 2:
        return np.zeros(len(pixels), int)
    nearest = np.rint(seeds).astype(int)
    radii = depth[nearest[:, 0], nearest[:, 1]]
    squared = ((pixels[:, None, :] - seeds[None, :, :]) ** 2).sum(axis=2)
    return np.argmin(squared - radii**2, axis=1)


def _without_rim(mask: np.ndarray) -> np.ndarray:
    """A component less its outermost pixels, which show the table behind it as often as the object.

    Behind a tall object they lie centimetres further than its edge. Thin components stay as they are.
    """
    padded = np.pad(mask.astype(np.uint8), 1)
    eroded = cv2.erode(padded, _disc(3))[1:-1, 1:-1] > 0
    return eroded if 2 * eroded.sum() >= mask.sum() else mask


def _rectangle(x_min: float, x_max: float, y_min: float, y_max: float) -> np.ndarray:
    return np.array([[x_min, y_min], [x_max, y_min], [x_max, y_max], [x_min, y_max]])


def _disc(diameter: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter))
