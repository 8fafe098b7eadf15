"""The steps of a calibration on a cell, be it over ROS or simulated in-process: poses, pictures, solution."""

import abc
from dataclasses import dataclass
from typing import Callable, List, Optional, Sequence

import numpy as np
from pydantic import Field
from scipy.spatial.transform import Rotation

from grasp_learning.calibrating.errors import TooFewViews
from grasp_learning.calibrating.marker import DEFAULT_MOUNT, MarkerDetector, MarkerSettings
from grasp_learning.calibrating.poses import ArmPose, PoseSettings, Setup, choose_poses, shortest_way
from grasp_learning.calibrating.solving import Solution, SolveSettings, View, solve
from grasp_learning.config import Settings
from grasp_learning.execution.faults import PlanningFailed, Unreachable
from grasp_learning.geometry import Camera, invert, transform
from grasp_learning.motion.collision import CollisionScene
from grasp_learning.motion.kinematics import Kinematics
from grasp_learning.motion.robot_model import RobotModel, Shape

PLATE_THICKNESS = 0.006  # m, of the plate in the planner's eyes


class MeasureSettings(Settings):
    """How a camera is measured.

    Attributes:
        poses: which poses are visited.
        solving: what makes a result.
        spare: poses that are visited beside ``poses.count`` where the marker was not seen.
        pictures: of each pose; their corners are averaged.
        steady: largest distance between a corner in two pictures of a pose (px); else the arm was moving.
    """

    poses: PoseSettings = PoseSettings()
    solving: SolveSettings = SolveSettings()
    spare: int = Field(10, ge=0)
    pictures: int = Field(3, ge=1, le=50)
    steady: float = Field(2.0, gt=0)


# The wrist camera is nearer to its marker, and its pose is known better beforehand. The fingers fill the upper two
# fifths of its picture.
WRIST_POSES = PoseSettings(
    count=18, distance=(0.25, 0.45), tilt=0.6, window=(0.03, 0.44, 0.97, 0.97), least_height=0.10
)
WRIST_SETTINGS = MeasureSettings(poses=WRIST_POSES, spare=12)


@dataclass(frozen=True)
class Picture:
    """What a camera saw and where the arm was.

    Attributes:
        image: (rows, columns, 3) uint8 BGR.
        camera: intrinsics.
        q: (7,) joints of the arm at that time (rad).
    """

    image: np.ndarray
    camera: Camera
    q: np.ndarray


class Cell(abc.ABC):
    """An arm, the Kinect and the arm's wrist camera.

    Attributes:
        kinematics: of the arm.
    """

    kinematics: Kinematics

    @abc.abstractmethod
    def scene(self) -> CollisionScene:
        """What the arm must not touch now."""

    @abc.abstractmethod
    def q(self) -> np.ndarray:
        """(7,) joints of the arm (rad)."""

    @abc.abstractmethod
    def go(self, q: np.ndarray) -> None:
        """Bring the arm to joints (7,) and wait until it is at rest.

        Raises:
            Unreachable, PlanningFailed: there is no way; the arm did not move.
            StepError: anything else; nothing more should be tried.
        """

    @abc.abstractmethod
    def look(self, camera: str) -> Picture:
        """A fresh picture of the camera "kinect" or "wrist".

        Raises:
            StepError: none came.
        """


def with_plate(robot: RobotModel, side: str, T_gripper_marker: np.ndarray, marker: MarkerSettings) -> RobotModel:
    """The robot with the marker's plate as a part of a gripper, for planning; the given model is changed."""
    robot.shapes[f"{side}_gripper"].append(plate(T_gripper_marker, marker))
    return robot


def plate(T_gripper_marker: np.ndarray, marker: MarkerSettings) -> Shape:
    """A marker's plate in the gripper's frame."""
    return Shape("box", (marker.plate_size, marker.plate_size, PLATE_THICKNESS), T_gripper_marker)


def measure_camera(
    cell: Cell,
    name: str,
    setup: Setup,
    table_z: float,
    settings: MeasureSettings,
    rng: np.random.Generator,
    say: Callable[[str], None],
) -> Solution:
    """Show the marker to a camera, or the camera the marker, in many poses; the camera's pose.

    Args:
        name: of the camera, "kinect" or "wrist".
        setup: what is known roughly.
        say: tells a person how it goes.

    Raises:
        CalibrationError: no result; the message says why.
        StepError: the robot or a camera failed.
    """
    poses = choose_poses(setup, cell.kinematics, cell.scene(), table_z, settings.poses, settings.spare, rng)
    count = settings.poses.count
    views: List[View] = []
    for batch in (poses[:count], poses[count:]):
        views += _visit(cell, name, setup, shortest_way(batch, cell.q()), count - len(views), settings, say)
    solution = solve(setup.camera, setup.marker, views, settings.solving)
    say(
        f"{name}: {int(solution.used.sum())} of {len(views)} poses agree, residual {solution.rms:.2f} px "
        f"({1e3 * solution.rms_m:.2f} mm at the marker)"
    )
    return solution


def _visit(
    cell: Cell, name: str, setup: Setup, poses: Sequence[ArmPose], wanted: int, settings: MeasureSettings, say: Callable
) -> List[View]:
    """Views of poses, until there are as many as wanted; poses that fail are told and left out."""
    detector = MarkerDetector(setup.marker)
    views: List[View] = []
    for number, pose in enumerate(poses, start=1):
        if len(views) >= wanted:
            break
        try:
            cell.go(pose.q)
        except (Unreachable, PlanningFailed) as error:
            say(f"{name}: pose {number} of {len(poses)} left out: {error}")
            continue
        view, reason = _see(cell, name, setup, detector, settings)
        say(f"{name}: pose {number} of {len(poses)}: {'seen' if view else reason}")
        if view is not None:
            views.append(view)
    return views


def _see(cell: Cell, name: str, setup: Setup, detector: MarkerDetector, settings: MeasureSettings):
    """The mean of several pictures of an arm at rest, or None and why there is none."""
    corners, joints = [], []
    for _ in range(settings.pictures):
        picture = cell.look(name)
        sighting = detector.find(picture.image)
        if sighting.corners is None:
            return None, sighting.reason
        corners.append(sighting.corners)
        joints.append(picture.q)
    moved = float(np.linalg.norm(np.ptp(corners, axis=0), axis=1).max())
    if moved > settings.steady:
        return None, f"the marker moved by {moved:.1f} px between pictures"
    return View(setup.T_mount_carrier(cell.kinematics, np.mean(joints, axis=0)), np.mean(corners, axis=0)), ""


def locate_marker(cell: Cell, T_base_kinect: np.ndarray, table_z: float, marker: MarkerSettings) -> np.ndarray:
    """T_base_marker (4, 4) of a marker that lies on the table (height m), as the Kinect sees it.

    Raises:
        TooFewViews: the Kinect does not see it.
        StepError: the Kinect sends no picture.
    """
    picture = cell.look("kinect")
    sighting = MarkerDetector(marker).find(picture.image)
    if sighting.corners is None:
        raise TooFewViews(f"the Kinect does not see the marker on the table: {sighting.reason}")
    corners = picture.camera.pixels_to_plane(sighting.corners, T_base_kinect, table_z)
    if not np.isfinite(corners).all():
        raise TooFewViews("the Kinect sees the marker, but not on the table: calibrate the Kinect first")
    along = corners[1] + corners[2] - corners[0] - corners[3]
    turn = float(np.arctan2(along[1], along[0]))
    return transform(Rotation.from_euler("z", turn).as_matrix(), corners.mean(axis=0))


def kinect_setup(
    camera: Camera, marker: MarkerSettings, T_base_kinect: np.ndarray, T_gripper_marker: Optional[np.ndarray] = None
) -> Setup:
    """The gripper shows a marker to the Kinect."""
    mount = DEFAULT_MOUNT.matrix if T_gripper_marker is None else T_gripper_marker
    return Setup(camera, marker, T_base_kinect, mount, on_hand=False)


def wrist_setup(camera: Camera, marker: MarkerSettings, kinematics: Kinematics, T_base_marker: np.ndarray) -> Setup:
    """The wrist camera looks at a marker on the table."""
    return Setup(camera, marker, T_hand_camera(kinematics), T_base_marker, on_hand=True)


def T_hand_camera(kinematics: Kinematics) -> np.ndarray:
    """(4, 4) mount of the wrist camera as the robot's description has it."""
    q = np.zeros(7)
    return invert(kinematics.fk(q, "hand")) @ kinematics.fk(q, "hand_camera")
