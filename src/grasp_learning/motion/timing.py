"""Time-optimal timing of paths under joint limits, by toppra.

A planner's path has corners, at which a motion would have to stop. They are rounded by quintic curves that stay in
the corner's triangle and join the straight parts with continuous curvature; a collision check chooses how far.
Outside the rounded corners the motion stays exactly on the path that was checked.
"""

import functools
import logging
from typing import Callable, List, Optional, Sequence, Tuple

import numpy as np
import toppra
from toppra.interpolator import AbstractGeometricPath

from grasp_learning.motion.trajectory import Trajectory

logging.getLogger("toppra").setLevel(logging.ERROR)

GRID_POINTS = 50  # of the straight parts together; rounded corners get their own
CORNER_POINTS = 16
HALVINGS = 6  # of a corner's radius before it is given up as sharp
CHORDS = 24  # by which a rounded corner is checked
DUPLICATE = 1e-6  # rad; waypoints nearer than this are one


class TimingError(RuntimeError):
    """A path cannot be followed within the limits."""


def quintic(corner: np.ndarray, before: np.ndarray, after: np.ndarray, u: np.ndarray, order: int = 0) -> np.ndarray:
    """Points (n, d) on the curve that rounds a corner, or derivatives by u in [0, 1].

    A Bezier curve with control points before, middle, corner, corner, middle, after: its ends follow the legs
    without curvature.
    """
    control = np.stack([before, (before + corner) / 2, corner, corner, (corner + after) / 2, after])
    for degree in range(order):
        control = (5 - degree) * np.diff(control, axis=0)
    u = np.asarray(u)[:, None, None]
    points = np.broadcast_to(control, (len(u), *control.shape))
    while points.shape[1] > 1:  # de Casteljau
        points = (1 - u) * points[:, :-1] + u * points[:, 1:]
    return points[:, 0]


class RoundedPath(AbstractGeometricPath):
    """A polyline with rounded corners, by a parameter that is arc length on the straight parts.

    Attributes:
        breaks: (m,) parameters where straight and round parts meet.
    """

    # a corner with legs of length r takes 2.5 r of the parameter: then the speed is 1 at both of its ends
    CORNER_LENGTH = 2.5

    def __init__(self, waypoints: np.ndarray, radii: Sequence[float]):
        self._waypoints = np.asarray(waypoints, float)
        legs = np.diff(self._waypoints, axis=0)
        lengths = np.linalg.norm(legs, axis=1)
        self._directions = legs / lengths[:, None]
        self._radii = np.concatenate([[0.0], radii, [0.0]])
        straight = np.maximum(lengths - self._radii[:-1] - self._radii[1:], 0.0)
        parts = np.empty(2 * len(legs) - 1)
        parts[0::2], parts[1::2] = straight, self.CORNER_LENGTH * self._radii[1:-1]
        self.breaks = np.concatenate([[0.0], np.cumsum(parts)])

    @property
    def dof(self) -> int:
        """Number of joints."""
        return self._waypoints.shape[1]

    @property
    def path_interval(self) -> np.ndarray:
        """First and last parameter."""
        return np.array([0.0, self.breaks[-1]])

    @property
    def waypoints(self):
        """Not kept: the path does not pass through its corners."""
        return None

    def __call__(self, path_positions, order: int = 0) -> np.ndarray:
        """Positions or derivatives at a parameter (d,) or at several (n, d)."""
        s = np.atleast_1d(np.asarray(path_positions, float))
        part = np.clip(np.searchsorted(self.breaks, s, side="right") - 1, 0, len(self.breaks) - 2)
        result = np.zeros((len(s), self.dof))
        for index in np.unique(part):
            chosen = part == index
            result[chosen] = self._part(int(index), s[chosen] - self.breaks[index], order)
        return result[0] if np.ndim(path_positions) == 0 else result

    def _part(self, index: int, s: np.ndarray, order: int) -> np.ndarray:
        if index % 2 == 0:
            leg = index // 2
            if order > 1:
                return np.zeros((len(s), self.dof))
            direction = np.broadcast_to(self._directions[leg], (len(s), self.dof))
            if order == 1:
                return direction
            return self._waypoints[leg] + (s + self._radii[leg])[:, None] * direction
        corner, length = index // 2 + 1, self.breaks[index + 1] - self.breaks[index]
        return quintic(*self.corner(corner), s / length, order) / length**order

    def corner(self, index: int) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A rounded corner's point, and where the curve begins and ends, (d,) each."""
        point, radius = self._waypoints[index], self._radii[index]
        before = point - radius * self._directions[index - 1]
        return point, before, point + radius * self._directions[index]

    def grid(self) -> np.ndarray:
        """Parameters at which the timing is computed: every break, and points between them."""
        points = [self.breaks]
        spacing = self.breaks[-1] / GRID_POINTS
        for index, length in enumerate(np.diff(self.breaks)):
            count = CORNER_POINTS if index % 2 else int(np.ceil(length / spacing))
            points.append(self.breaks[index] + length * np.arange(1, count) / max(count, 1))
        grid = np.sort(np.concatenate(points))
        return grid[np.concatenate([[True], np.diff(grid) > 1e-9])]


def round_corners(
    waypoints: np.ndarray, radius: float, path_is_valid: Optional[Callable[[np.ndarray], bool]] = None
) -> RoundedPath:
    """Round the corners of a path as far as a collision check allows.

    Args:
        waypoints: (n, d), n >= 2, distinct neighbours.
        radius: length (rad) of the legs that a corner may take, at most half of each.
        path_is_valid: whether the motion through points (m, d) is free.
    """
    lengths = np.linalg.norm(np.diff(waypoints, axis=0), axis=1)
    radii: List[float] = []
    for index in range(1, len(waypoints) - 1):
        r = min(radius, lengths[index - 1] / 2, lengths[index] / 2)
        for _ in range(HALVINGS):
            if path_is_valid is None or path_is_valid(_corner_points(waypoints[index - 1 : index + 2], r)):
                break
            r /= 2
        radii.append(r)
    return RoundedPath(waypoints, radii)


def _corner_points(three: np.ndarray, radius: float) -> np.ndarray:
    """Points (CHORDS + 1, d) along the curve that rounds the middle one of three waypoints."""
    before, after = (three[1] + radius * (p - three[1]) / np.linalg.norm(p - three[1]) for p in (three[0], three[2]))
    return quintic(three[1], before, after, np.linspace(0, 1, CHORDS + 1))


@functools.lru_cache(maxsize=16)
def _constraints(velocity: Tuple[float, ...], acceleration: Tuple[float, ...]):
    """Toppra's constraints; they are kept because making them costs a millisecond, mostly for their printed form."""
    limits = [np.array([[-value, value] for value in values]) for values in (velocity, acceleration)]
    return [
        toppra.constraint.JointVelocityConstraint(limits[0]),
        toppra.constraint.JointAccelerationConstraint(limits[1]),
    ]


def time_path(
    path: AbstractGeometricPath, velocity: np.ndarray, acceleration: np.ndarray, period: float, grid: np.ndarray
) -> Trajectory:
    """The fastest motion along a path, from rest to rest.

    Args:
        path: of d joints.
        velocity, acceleration: (d,) limits of each joint.
        period: between samples (s).
        grid: parameters at which the limits are kept; between them the excess is removed by slowing down.

    Raises:
        TimingError: toppra finds no motion.
    """
    solver = toppra.algorithm.TOPPRA(
        _constraints(tuple(velocity), tuple(acceleration)), path, gridpoints=grid, solver_wrapper="seidel"
    )
    _, rates, _ = solver.compute_parameterization(0.0, 0.0)
    if rates is None or not np.all(np.isfinite(rates)):
        raise TimingError("the path cannot be followed within the joints' limits")
    times, s, ds, dds = _sample_rates(grid, rates, period)
    first, second = path(s, 1), path(s, 2)
    positions, velocities = path(s), first * ds[:, None]
    accelerations = second * ds[:, None] ** 2 + first * dds[:, None]
    velocities[[0, -1]] = 0.0
    # slower by k means velocities / k and accelerations / k^2
    k = max(1.0, (np.abs(velocities) / velocity).max(), np.sqrt((np.abs(accelerations) / acceleration).max()))
    return Trajectory(k * times, positions, velocities / k, accelerations / k**2)


def _sample_rates(grid: np.ndarray, rates: np.ndarray, period: float):
    """Sample a motion whose parameter has given rates at grid points and constant acceleration between them.

    Returns:
        Times about ``period`` apart, the parameter, its rate and its acceleration, (n,) each.
    """
    durations = 2 * np.diff(grid) / (rates[:-1] + rates[1:])
    if not np.all(np.isfinite(durations)):
        raise TimingError("the motion comes to a stop on its way")
    knots = np.concatenate([[0.0], np.cumsum(durations)])
    times = np.linspace(0.0, knots[-1], max(2, int(np.ceil(knots[-1] / period)) + 1))
    part = np.clip(np.searchsorted(knots, times, side="right") - 1, 0, len(durations) - 1)
    since, dds = times - knots[part], (np.diff(rates) / durations)[part]
    ds = np.maximum(rates[part] + dds * since, 0.0)
    s = np.clip(grid[part] + since * (rates[part] + dds * since / 2), grid[0], grid[-1])
    return times, s, ds, dds


def without_duplicates(waypoints: np.ndarray) -> np.ndarray:
    """Waypoints (n, d) without those that repeat the one before them."""
    waypoints = np.asarray(waypoints, float)
    keep = np.concatenate([[True], np.linalg.norm(np.diff(waypoints, axis=0), axis=1) > DUPLICATE])
    return waypoints[keep]


def standstill(q: np.ndarray) -> Trajectory:
    """The motion of an arm that is there already: one sample."""
    q = np.asarray(q, float)[None]
    return Trajectory(np.zeros(1), q, np.zeros_like(q), np.zeros_like(q))
