"""A camera's pose from pictures of a marker that a robot moved: least squares on all corners of all pictures.

Two cases have the same equations. The Kinect stands still and the gripper carries the marker; or the hand carries the
camera and the marker lies on the table. Either way there is a frame to which the camera is mounted (base, or hand) and
a frame that carries the marker (gripper, or base), kinematics tell T_mount_carrier of each picture, and two constant
poses are unknown: T_mount_camera, and T_carrier_marker, which nobody can measure by hand to a millimetre. Both are
solved together, in

    T_camera_marker = inverse(T_mount_camera) @ T_mount_carrier @ T_carrier_marker,

so that what is minimised is what is measured: distances in the picture. (A pose of the marker from each picture alone
is several times worse along the line of sight.)
"""

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import cv2
import numpy as np
from pydantic import Field
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from grasp_learning.calibrating.errors import DegeneratePoses, TooFewViews, WrongMarkerSize
from grasp_learning.calibrating.marker import MarkerSettings, marker_pose
from grasp_learning.config import Settings
from grasp_learning.geometry import Camera, invert, transform

_FAR = 1e4  # px, of a corner behind the camera
_SUBSET = 4  # views of a first guess
_GUESSES = 40
_DIFFERENCE = 1e-5  # rad or m
_SIZE_EXPLAINS = 0.7  # another size must leave less than this share of the residual, or it explains nothing
_ROUNDS = 10  # of rejecting and solving again


class SolveSettings(Settings):
    """What makes a result.

    Attributes:
        least_views: views that must agree.
        reject_factor: a view with an error above so many times the median one is left out ...
        reject_least: ... unless its error is below this (px, rms of its four corners).
        least_agreeing: share of the views that must agree.
        most_rms: residual at the marker (m) above which the views do not agree.
        least_turn: rotations of the poses about two axes must differ by at least so much (rad, rms).
        most_position_std, most_rotation_std: of the camera's pose (m, rad), above which the poses are too much alike.
        most_size_error: relative error of the marker's size above which it is taken for a wrong one.
    """

    least_views: int = Field(12, ge=4)
    reject_factor: float = Field(3.0, gt=1)
    reject_least: float = Field(1.5, gt=0)
    least_agreeing: float = Field(0.6, gt=0, le=1)
    most_rms: float = Field(0.015, gt=0)
    least_turn: float = Field(0.1, gt=0)
    most_position_std: float = Field(0.004, gt=0)
    most_rotation_std: float = Field(0.006, gt=0)
    most_size_error: float = Field(0.02, gt=0)


@dataclass(frozen=True)
class View:
    """The marker in one picture (or the mean of several of a robot that stands still).

    Attributes:
        T_mount_carrier: (4, 4) by the robot's kinematics.
        corners: (4, 2) pixels.
    """

    T_mount_carrier: np.ndarray
    corners: np.ndarray


@dataclass(frozen=True)
class Solution:
    """A camera's pose.

    Attributes:
        T_mount_camera: (4, 4).
        T_carrier_marker: (4, 4).
        used: (n,) bool, which views agree.
        errors: (n,) error of each view (px, rms of its corners), those left out included.
        rms: of the used views (px).
        rms_m: the same at the marker (m).
        position_std, rotation_std: standard deviation of T_mount_camera (m, rad) that the residuals leave.
        size_ratio: the marker's size by the pictures over that of the settings.
    """

    T_mount_camera: np.ndarray
    T_carrier_marker: np.ndarray
    used: np.ndarray
    errors: np.ndarray
    rms: float
    rms_m: float
    position_std: float
    rotation_std: float
    size_ratio: float


def solve(
    camera: Camera, marker: MarkerSettings, views: Sequence[View], settings: Optional[SolveSettings] = None
) -> Solution:
    """The camera's pose from views of a marker.

    Raises:
        TooFewViews: fewer than wanted, or fewer that agree.
        DegeneratePoses: the poses do not determine the result.
        WrongMarkerSize: the marker is not as large as the settings say.
    """
    settings = settings or SolveSettings()
    if len(views) < settings.least_views:
        raise TooFewViews(
            f"the marker was seen in {len(views)} poses, {settings.least_views} are needed: check its light, that "
            "nothing hides it, and the rough pose of the camera to start with"
        )
    _check_spread(views, settings)
    problem = _Problem(camera, marker, views)
    start = problem.refined(problem.first_guess(), np.ones(len(views), bool), loss="soft_l1")
    found, used = _without_outliers(problem, start, settings)
    size_ratio, share = problem.size_ratio(found, used)
    if abs(size_ratio - 1.0) > settings.most_size_error and share < _SIZE_EXPLAINS:
        raise WrongMarkerSize(
            f"the pictures fit a marker of {1e3 * size_ratio * marker.size:.1f} mm, the settings say "
            f"{1e3 * marker.size:.1f} mm: measure its black square"
        )
    solution = _described(problem, found, used, size_ratio)
    _check_agreement(solution, settings)
    _check_precision(solution, settings)
    return solution


@dataclass(frozen=True)
class _Poses:
    """The two unknowns."""

    T_mount_camera: np.ndarray
    T_carrier_marker: np.ndarray

    def moved(self, step: np.ndarray) -> "_Poses":
        """A step (12,): rotation vector (rad) and translation (m) of either pose."""
        return _Poses(_moved(self.T_mount_camera, step[:6]), _moved(self.T_carrier_marker, step[6:12]))


def _moved(T: np.ndarray, step: np.ndarray) -> np.ndarray:
    return transform(Rotation.from_rotvec(step[:3]).as_matrix() @ T[:3, :3], T[:3, 3] + step[3:6])


class _Problem:
    """Residuals of all views, and their least squares."""

    def __init__(self, camera: Camera, marker: MarkerSettings, views: Sequence[View]):
        self.camera, self.marker = camera, marker
        self.chain = np.stack([view.T_mount_carrier for view in views])
        self.corners = np.stack([view.corners for view in views])

    def residuals(self, poses: _Poses, size: float = 1.0) -> np.ndarray:
        """(n, 4, 2) seen minus computed pixels; the marker's size is multiplied by `size`."""
        T = invert(poses.T_mount_camera) @ self.chain @ poses.T_carrier_marker
        points = np.einsum("nij,kj->nki", T[:, :3, :3], size * self.marker.corners) + T[:, None, :3, 3]
        pixels = self.camera.project(points.reshape(-1, 3)).reshape(-1, 4, 2)
        return np.nan_to_num(self.corners - pixels, nan=_FAR)

    def errors(self, poses: _Poses) -> np.ndarray:
        """(n,) rms distance (px) of each view's corners."""
        return np.sqrt((self.residuals(poses) ** 2).sum(axis=2).mean(axis=1))

    def first_guess(self) -> _Poses:
        """In closed form from few views at a time; the guess with the least median error, so no outlier matters."""
        seen = [marker_pose(self.camera, self.marker, corners)[0] for corners in self.corners]
        rng = np.random.default_rng(0)
        guesses: List[_Poses] = []
        for _ in range(_GUESSES):
            chosen = rng.choice(len(seen), min(_SUBSET, len(seen)), replace=False)
            guesses += _closed_form(self.chain[chosen], np.stack([seen[index] for index in chosen]))
        if not guesses:
            raise DegeneratePoses(_ALIKE)
        return min(guesses, key=lambda guess: float(np.median(self.errors(guess))))

    def refined(self, poses: _Poses, used: np.ndarray, loss: str = "linear") -> _Poses:
        """Least squares over the used views."""
        return poses.moved(self._least_squares(poses, used, 12, loss).x)

    def size_ratio(self, poses: _Poses, used: np.ndarray) -> Tuple[float, float]:
        """The marker's size that explains the used views best, over that of the settings; share of residual left."""
        result = self._least_squares(poses, used, 13)
        before = float(np.sqrt((self.residuals(poses)[used] ** 2).sum()))
        return 1.0 + float(result.x[12]), float(np.linalg.norm(result.fun)) / max(before, 1e-12)

    def covariance(self, poses: _Poses, used: np.ndarray) -> np.ndarray:
        """(12, 12) of a step from the least-squares solution; infinite where the views leave it open."""
        result = self._least_squares(poses, used, 12)
        variance = 2 * result.cost / max(result.fun.size - 12, 1)
        information = result.jac.T @ result.jac
        if np.linalg.cond(information) > 1e14:
            return np.full((12, 12), np.inf)
        return variance * np.linalg.inv(information)

    def _least_squares(self, poses: _Poses, used: np.ndarray, unknowns: int, loss: str = "linear"):
        def fun(step: np.ndarray) -> np.ndarray:
            size = 1.0 + step[12] if unknowns > 12 else 1.0
            return self.residuals(poses.moved(step), size)[used].ravel()

        return least_squares(fun, np.zeros(unknowns), x_scale="jac", loss=loss, f_scale=1.0, max_nfev=200)


def _closed_form(chain: np.ndarray, seen: np.ndarray) -> List[_Poses]:
    """Both poses from (k, 4, 4) T_mount_carrier and T_camera_marker; empty where these are too much alike."""
    try:
        R_marker, t_marker, R_camera, t_camera = cv2.calibrateRobotWorldHandEye(
            chain[:, :3, :3],
            chain[:, :3, 3],
            seen[:, :3, :3],
            seen[:, :3, 3],
            method=cv2.CALIB_ROBOT_WORLD_HAND_EYE_SHAH,
        )
    except cv2.error:
        return []
    poses = _Poses(transform(R_camera, t_camera.ravel()), transform(R_marker, t_marker.ravel()))
    return [poses] if np.isfinite(poses.T_mount_camera).all() and np.isfinite(poses.T_carrier_marker).all() else []


def _without_outliers(problem: _Problem, poses: _Poses, settings: SolveSettings):
    """Solve, leave out what does not agree, solve again, until the same views agree twice."""
    used = np.zeros(len(problem.chain), bool)
    for _ in range(_ROUNDS):
        errors = problem.errors(poses)
        limit = max(settings.reject_factor * float(np.median(errors)), settings.reject_least)
        agree = errors <= limit
        if (agree == used).all():
            break
        used = agree
        poses = problem.refined(poses, used)
    return poses, used


_ALIKE = (
    "the poses are too much alike to tell the camera's pose from the marker's mount: turn the marker about two axes, "
    "by 20 degrees and more, and move it through the picture"
)


def _check_spread(views: Sequence[View], settings: SolveSettings) -> None:
    """Rotations must differ about two axes at least; without, the equations have no single solution."""
    rotations = Rotation.from_matrix(np.stack([view.T_mount_carrier[:3, :3] for view in views]))
    turns = (rotations * rotations.mean().inv()).as_rotvec()
    spread = np.linalg.svd(turns, compute_uv=False) / np.sqrt(len(views))
    if spread[1] < settings.least_turn:
        raise DegeneratePoses(
            f"{_ALIKE} (about the second axis they differ by {np.degrees(spread[1]):.1f} degrees, expected "
            f"{np.degrees(settings.least_turn):.1f})"
        )


def _check_agreement(solution: Solution, settings: SolveSettings) -> None:
    used, count = int(solution.used.sum()), len(solution.used)
    needed = max(settings.least_views, int(np.ceil(settings.least_agreeing * count)))
    remedy = "is the marker fixed, is the camera, and is the camera_info that of this camera?"
    if used < needed:
        raise TooFewViews(
            f"only {used} of {count} views agree with each other (median error {np.median(solution.errors):.1f} px), "
            f"{needed} are needed: {remedy}"
        )
    if solution.rms_m > settings.most_rms:
        raise TooFewViews(
            f"the views do not agree: the marker is off by {1e3 * solution.rms_m:.0f} mm ({solution.rms:.1f} px, rms), "
            f"at most {1e3 * settings.most_rms:.0f} are taken: {remedy}"
        )


def _check_precision(solution: Solution, settings: SolveSettings) -> None:
    if not (solution.position_std < settings.most_position_std and solution.rotation_std < settings.most_rotation_std):
        raise DegeneratePoses(
            f"{_ALIKE} (they leave the camera's pose open by {1e3 * solution.position_std:.1f} mm and "
            f"{np.degrees(solution.rotation_std):.2f} degrees)"
        )


def _described(problem: _Problem, found: _Poses, used: np.ndarray, size_ratio: float) -> Solution:
    errors = problem.errors(found)
    T = invert(found.T_mount_camera) @ problem.chain[used] @ found.T_carrier_marker
    covariance = problem.covariance(found, used)
    return Solution(
        found.T_mount_camera,
        found.T_carrier_marker,
        used,
        errors,
        rms=float(np.sqrt((errors[used] ** 2).mean())),
        rms_m=float(np.sqrt(((errors[used] * T[:, 2, 3] / problem.camera.focal_length) ** 2).mean())),
        position_std=float(np.sqrt(np.trace(covariance[3:6, 3:6]))),
        rotation_std=float(np.sqrt(np.trace(covariance[:3, :3]))),
        size_ratio=size_ratio,
    )


def design_jacobian(
    camera: Camera,
    marker: MarkerSettings,
    T_mount_camera: np.ndarray,
    T_carrier_marker: np.ndarray,
    views: Sequence[View],
) -> np.ndarray:
    """(n, 8, 12) derivatives of each view's pixels by a step of both poses: what a view would tell."""
    problem, poses = _Problem(camera, marker, views), _Poses(T_mount_camera, T_carrier_marker)
    columns = []
    for step in _DIFFERENCE * np.eye(12):
        ahead, behind = problem.residuals(poses.moved(step)), problem.residuals(poses.moved(-step))
        columns.append((behind - ahead).reshape(len(views), 8) / (2 * _DIFFERENCE))
    return np.stack(columns, axis=2)


def pose_error(T_a: np.ndarray, T_b: np.ndarray):
    """Distance (m) and angle (rad) between two poses."""
    angle = Rotation.from_matrix(T_a[:3, :3].T @ T_b[:3, :3]).magnitude()
    return float(np.linalg.norm(T_a[:3, 3] - T_b[:3, 3])), float(angle)
