"""The table's height: from the Kinect's depth, or from points that the fingertips touched."""

from dataclasses import dataclass
from typing import Optional

import numpy as np
from pydantic import Field
from scipy.optimize import least_squares

from grasp_learning.calibrating.errors import NoTable
from grasp_learning.calibration import Table
from grasp_learning.config import Settings
from grasp_learning.geometry import Camera, transform_points

_GRID = 80  # points along each side of the table


class TableSettings(Settings):
    """How a plane is taken for the table.

    Attributes:
        margin: strip along the table's edges that is left out (m).
        search: the table is looked for so far above and below its rough height (m).
        scale: of the deviations that are the sensor's (m); larger ones count less.
        least_share: of the table's area that must lie in the plane; the rest may be hidden or covered.
        most_tilt: angle between the plane and the horizontal (rad), above which something is wrong.
    """

    margin: float = Field(0.05, ge=0)
    search: float = Field(0.15, gt=0)
    scale: float = Field(0.004, gt=0)
    least_share: float = Field(0.4, gt=0, le=1)
    most_tilt: float = Field(0.035, gt=0)


@dataclass(frozen=True)
class Plane:
    """The table's upper face.

    Attributes:
        z: height at the middle of the table (base frame, m).
        tilt: angle to the horizontal (rad).
        rms: distance of the points from the plane (m).
        points: so many lie in it.
    """

    z: float
    tilt: float
    rms: float
    points: int


def plane_from_depth(
    depth: np.ndarray, camera: Camera, T_base_kinect: np.ndarray, table: Table, settings: Optional[TableSettings] = None
) -> Plane:
    """The table in a depth picture; what lies on it does not matter while most of it is free.

    Args:
        depth: (rows, columns) along the optical axis (m), NaN where nothing was seen, registered to the camera.
        table: its edges, and its height to some centimetres.

    Raises:
        NoTable: too little of it is seen, or the plane is tilted.
    """
    settings = settings or TableSettings()
    x = np.linspace(table.x_min + settings.margin, table.x_max - settings.margin, _GRID)
    y = np.linspace(table.y_min + settings.margin, table.y_max - settings.margin, _GRID)
    grid = np.stack([*np.meshgrid(x, y), np.full((_GRID, _GRID), table.z)], axis=2).reshape(-1, 3)
    pixels = np.round(camera.base_to_pixels(grid, T_base_kinect))
    rows, columns = depth.shape
    with np.errstate(invalid="ignore"):
        pixels = pixels[((pixels >= 0) & (pixels < [columns, rows])).all(axis=1)]
    values = depth[pixels[:, 1].astype(int), pixels[:, 0].astype(int)]
    points = transform_points(T_base_kinect, camera.rays(pixels) * values[:, None])
    points = points[np.isfinite(values)]
    points = points[np.abs(points[:, 2] - table.z) < settings.search]
    return _robust_plane(points, len(grid), table, settings)


def plane_from_points(points: np.ndarray, table: Table, settings: Optional[TableSettings] = None) -> Plane:
    """The plane through touched points (n, 3), n >= 3 (base frame, m).

    Raises:
        NoTable: they are too few or on a line, or the plane is tilted.
    """
    settings = settings or TableSettings()
    points = np.asarray(points, float).reshape(-1, 3)
    spread = np.linalg.svd(points[:, :2] - points[:, :2].mean(axis=0), compute_uv=False)[-1] if len(points) > 1 else 0.0
    if len(points) < 3 or spread < 0.03:
        raise NoTable(f"{len(points)} points give no plane: touch three or more that are not on a line")
    return _level(points, table, settings)


def _robust_plane(points: np.ndarray, wanted: int, table: Table, settings: TableSettings) -> Plane:
    if len(points) < settings.least_share * wanted:
        raise NoTable(
            f"the depth picture shows {100 * len(points) / wanted:.0f} % of the table, "
            f"{100 * settings.least_share:.0f} % are needed: move the arms aside, and check the table's edges and "
            "rough height"
        )
    A = _columns(points, table)
    start = np.array([0.0, 0.0, np.median(points[:, 2])])
    found = least_squares(lambda p: A @ p - points[:, 2], start, loss="cauchy", f_scale=settings.scale)
    off = np.abs(A @ found.x - points[:, 2])
    # three standard deviations, by the median, of what may be the sensor's noise
    inside = off < min(max(3 * 1.4826 * float(np.median(off)), settings.scale), 3 * settings.scale)
    if inside.sum() < settings.least_share * wanted:
        raise NoTable(
            f"only {100 * inside.sum() / wanted:.0f} % of the table lie in one plane, "
            f"{100 * settings.least_share:.0f} % are needed: clear the table"
        )
    return _level(points[inside], table, settings)


def _columns(points: np.ndarray, table: Table) -> np.ndarray:
    """(n, 3) coefficients of slope in x, slope in y and height at the table's middle."""
    middle = [(table.x_min + table.x_max) / 2, (table.y_min + table.y_max) / 2]
    return np.column_stack([points[:, :2] - middle, np.ones(len(points))])


def _level(points: np.ndarray, table: Table, settings: TableSettings) -> Plane:
    A = _columns(points, table)
    parameters = np.linalg.lstsq(A, points[:, 2], rcond=None)[0]
    tilt = float(np.arctan(np.hypot(*parameters[:2])))
    if tilt > settings.most_tilt:
        raise NoTable(
            f"the plane is tilted by {np.degrees(tilt):.1f} degrees, at most {np.degrees(settings.most_tilt):.1f} are "
            "taken for a table: level it, and check the pose of the Kinect or what was touched"
        )
    rms = float(np.sqrt(np.mean((A @ parameters - points[:, 2]) ** 2)))
    return Plane(float(parameters[2]), tilt, rms, len(points))
