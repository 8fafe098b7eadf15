"""Where to bring a marker, or a camera that looks at one, so that the pictures tell most.

Candidates are drawn at random where the camera sees the marker, kept where the arm can be without touching anything,
and chosen one after the other by how much each adds to what the earlier ones tell (a D-optimal design). As many
random ones leave 1.7 times the standard deviation (20 of 200, the mean of 20 draws).
"""

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import numpy as np
from pydantic import Field, field_validator
from scipy.spatial.transform import Rotation

from grasp_learning.calibrating.errors import TooFewViews
from grasp_learning.calibrating.marker import MarkerSettings
from grasp_learning.calibrating.solving import View, design_jacobian
from grasp_learning.config import Settings
from grasp_learning.geometry import Camera, invert, transform, transform_points
from grasp_learning.motion.collision import CollisionScene
from grasp_learning.motion.kinematics import Kinematics

_PRIOR_TURN, _PRIOR_SHIFT = 0.1, 0.05  # rad, m: what is known of the two poses beforehand
_FACING = np.diag([1.0, -1.0, -1.0])  # rotation of a marker that faces the camera upright


class PoseSettings(Settings):
    """Which poses.

    Attributes:
        count: poses that are visited.
        candidates: poses among which they are chosen.
        draws: how many are tried at most for these.
        distance: of the marker from the camera (m), least and most.
        tilt: largest angle between the marker's normal and the line of sight (rad).
        window: part of the picture in which all corners must be (least u and v, most u and v, as shares of its width
            and height): away from the edges, since the camera's pose is known roughly, and from what hides the marker.
        least_height: of the gripper over the table (m).
        clearance: of the arm from everything (m).
    """

    count: int = Field(20, ge=12, le=100)
    candidates: int = Field(200, ge=12)
    draws: int = Field(6000, ge=100)
    distance: Tuple[float, float] = (0.45, 1.1)
    tilt: float = Field(0.8, gt=0, lt=1.3)
    window: Tuple[float, float, float, float] = (0.12, 0.10, 0.88, 0.84)
    least_height: float = Field(0.12, ge=0)
    clearance: float = Field(0.02, ge=0)

    @field_validator("window")
    @classmethod
    def _is_part(cls, value: Tuple[float, ...]) -> Tuple[float, ...]:
        if not (0 <= value[0] < value[2] <= 1 and 0 <= value[1] < value[3] <= 1):
            raise ValueError("expected least u, least v, most u, most v as shares, each between 0 and 1")
        return value


@dataclass(frozen=True)
class ArmPose:
    """A posture (7,) (rad) and the T_mount_carrier (4, 4) that belongs to it."""

    q: np.ndarray
    T_mount_carrier: np.ndarray


@dataclass(frozen=True)
class Setup:
    """One of the two cases of :mod:`grasp_learning.calibrating.solving`, with what is known of it roughly.

    Attributes:
        camera: intrinsics.
        marker: the marker.
        T_mount_camera, T_carrier_marker: (4, 4), to some centimetres and degrees.
        on_hand: the hand carries the camera (mount is the hand, carrier the base); else the gripper carries the marker.
    """

    camera: Camera
    marker: MarkerSettings
    T_mount_camera: np.ndarray
    T_carrier_marker: np.ndarray
    on_hand: bool

    def T_base_link(self, T_camera_marker: np.ndarray) -> np.ndarray:
        """Where the hand or the gripper must be for the camera to see the marker so."""
        T_mount_carrier = self.T_mount_camera @ T_camera_marker @ invert(self.T_carrier_marker)
        return invert(T_mount_carrier) if self.on_hand else T_mount_carrier

    def T_mount_carrier(self, kinematics: Kinematics, q: np.ndarray) -> np.ndarray:
        """What the robot's kinematics tell of a posture (7,)."""
        return invert(kinematics.fk(q, "hand")) if self.on_hand else kinematics.fk(q)

    def corners(self, T_mount_carrier: np.ndarray) -> np.ndarray:
        """(4, 2) pixels of the marker's corners; NaN behind the camera."""
        T = invert(self.T_mount_camera) @ T_mount_carrier @ self.T_carrier_marker
        return self.camera.project(transform_points(T, self.marker.corners))


def choose_poses(
    setup: Setup,
    kinematics: Kinematics,
    scene: CollisionScene,
    table_z: float,
    settings: PoseSettings,
    spare: int,
    rng: np.random.Generator,
) -> List[ArmPose]:
    """Postures that can be reached, in which the camera sees the marker, the most telling ones first.

    Args:
        scene: what the arm must not touch.
        spare: so many more than ``settings.count`` are wanted, but none need be there.

    Raises:
        TooFewViews: fewer than ``settings.count`` were found.
    """
    candidates: List[ArmPose] = []
    for _ in range(settings.draws):
        T_base_link = setup.T_base_link(_draw(setup, settings, rng))
        posture = _posture(setup, kinematics, scene, T_base_link, table_z, settings, rng)
        if posture is not None:
            candidates.append(ArmPose(posture, setup.T_mount_carrier(kinematics, posture)))
        if len(candidates) >= settings.candidates:
            break
    if len(candidates) < settings.count:
        raise TooFewViews(
            f"only {len(candidates)} poses were found in which the arm is free and the camera sees the marker, "
            f"{settings.count} are wanted: check the rough pose of the camera, the marker's mount and the table"
        )
    return [candidates[index] for index in most_telling(setup, candidates, settings.count + spare)]


def _draw(setup: Setup, settings: PoseSettings, rng: np.random.Generator) -> np.ndarray:
    """A random T_camera_marker (4, 4): anywhere in the picture, turned anyhow about its normal."""
    pixel = rng.uniform(settings.window[:2], settings.window[2:]) * [setup.camera.width, setup.camera.height]
    ray = setup.camera.rays(pixel[None])[0]
    position = ray * rng.uniform(*settings.distance)
    axis, angle = rng.uniform(0, 2 * np.pi), settings.tilt * np.sqrt(rng.uniform())
    tilt = Rotation.from_rotvec(angle * np.array([np.cos(axis), np.sin(axis), 0.0])).as_matrix()
    turn = Rotation.from_euler("z", rng.uniform(0, 2 * np.pi)).as_matrix()
    return transform(_towards(ray) @ _FACING @ tilt @ turn, position)


def _towards(ray: np.ndarray) -> np.ndarray:
    """(3, 3) the smallest rotation that takes the z axis to a ray."""
    ray = ray / np.linalg.norm(ray)
    axis = np.cross([0.0, 0.0, 1.0], ray)
    length = np.linalg.norm(axis)
    return np.eye(3) if length < 1e-9 else Rotation.from_rotvec(axis / length * np.arccos(ray[2])).as_matrix()


def _posture(setup, kinematics, scene, T_base_link, table_z, settings, rng) -> Optional[np.ndarray]:
    """A free posture (7,) in which the whole marker is in the picture; None where there is none."""
    T_link_gripper = invert(kinematics.fk(np.zeros(7), "hand")) @ kinematics.fk(np.zeros(7))
    T_base_gripper = T_base_link @ T_link_gripper if setup.on_hand else T_base_link
    if T_base_gripper[2, 3] < table_z + settings.least_height:
        return None
    for q in kinematics.ik(T_base_gripper, rng=rng, attempts=2, max_solutions=2):
        free = scene.within_limits(q) and scene.clearance(q) > settings.clearance
        if free and _is_seen(setup, kinematics, scene, q, settings.window):
            return q
    return None


def _is_seen(setup: Setup, kinematics: Kinematics, scene: CollisionScene, q: np.ndarray, window) -> bool:
    """Whether all corners of the marker are inside the picture's window, and the arm hides none of them."""
    T_mount_carrier = setup.T_mount_carrier(kinematics, q)
    share = setup.corners(T_mount_carrier) / [setup.camera.width, setup.camera.height]
    if not ((share > window[:2]).all() and (share < window[2:]).all()):  # NaN is outside
        return False
    T_base_mount = kinematics.fk(q, "hand") if setup.on_hand else np.eye(4)
    T_base_marker = T_base_mount @ T_mount_carrier @ setup.T_carrier_marker
    eye = (T_base_mount @ setup.T_mount_camera)[:3, 3]
    return not any(scene.hides(q, eye, corner) for corner in transform_points(T_base_marker, setup.marker.corners))


def most_telling(setup: Setup, candidates: Sequence[ArmPose], count: int) -> List[int]:
    """Indices of the candidates that together determine the two poses best, chosen greedily."""
    jacobians = design_jacobian(
        setup.camera,
        setup.marker,
        setup.T_mount_camera,
        setup.T_carrier_marker,
        [View(pose.T_mount_carrier, np.zeros((4, 2))) for pose in candidates],
    )
    covariance = np.diag(np.tile([_PRIOR_TURN**2] * 3 + [_PRIOR_SHIFT**2] * 3, 2))
    left, chosen = list(range(len(candidates))), []
    for _ in range(min(count, len(candidates))):
        J = jacobians[left]  # (k, 8, 12)
        gains = np.linalg.slogdet(np.eye(8) + J @ covariance @ J.transpose(0, 2, 1))[1]
        index = left.pop(int(np.argmax(gains)))
        chosen.append(index)
        J = jacobians[index]
        update = covariance @ J.T @ np.linalg.inv(np.eye(8) + J @ covariance @ J.T)
        covariance = covariance - update @ J @ covariance
    return chosen


def shortest_way(poses: Sequence[ArmPose], start: np.ndarray) -> List[ArmPose]:
    """The poses in an order in which each is the nearest of those left, from joints (7,)."""
    left, ordered, q = list(poses), [], np.asarray(start)
    while left:
        nearest = min(range(len(left)), key=lambda index: float(np.abs(left[index].q - q).max()))
        ordered.append(left.pop(nearest))
        q = ordered[-1].q
    return ordered
