"""The node that calibrates a workcell: the Kinect's pose, the table's height, the wrist camera's mount."""

import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Callable, List, Literal, Tuple

import numpy as np
import rospy
from pydantic import Field, field_validator, model_validator

from grasp_learning.calibrating.errors import CalibrationError, NoTable
from grasp_learning.calibrating.marker import DEFAULT_MOUNT, MarkerSettings
from grasp_learning.calibrating.measuring import (
    WRIST_SETTINGS,
    MeasureSettings,
    T_hand_camera,
    kinect_setup,
    locate_marker,
    measure_camera,
    plate,
    wrist_setup,
)
from grasp_learning.calibrating.solving import Solution, pose_error
from grasp_learning.calibrating.table import Plane, TableSettings, plane_from_depth, plane_from_points
from grasp_learning.calibration import (
    Calibration,
    CameraMeasured,
    Measurements,
    Pose,
    Table,
    TableMeasured,
    WristMeasured,
    load_calibration,
    pose_of,
    save_calibration,
)
from grasp_learning.config import ConfigError, Settings, parse_settings
from grasp_learning.execution.faults import PlanningFailed, StepError, Unreachable
from grasp_learning.robot_description import NEUTRAL
from grasp_learning.ros.calibration_cell import CellSettings, RosCell
from grasp_learning.ros.node_setup import private_parameters, robot_model
from grasp_learning.ros.permission import Permission
from grasp_learning.seeding import arm_seed

STEPS = ("kinect", "table", "wrist")
ROUGH = 0.04  # m; a person writes the table's height down to about 3 cm


class TouchSettings(Settings):
    """How the table is touched.

    Attributes:
        points: (x, |y|) on the arm's side (base frame, m), three or more that are not on a line.
        height: over the rough table from which the hand goes down (m).
        depth: how far under the rough table it looks for it (m).
        speed: on the way down (m/s).
        beyond: how far the fingertips reach beyond the point between them that the robot calls its endpoint (m).
    """

    points: List[Tuple[float, float]] = Field([(0.60, 0.15), (0.78, 0.15), (0.70, 0.45)], min_length=3)
    height: float = Field(0.08, gt=0)
    depth: float = Field(0.05, gt=0)
    speed: float = Field(0.03, gt=0, le=0.2)
    beyond: float = Field(0.0035, ge=0)


class CalibrateSettings(Settings):
    """Parameters of the node; config/calibrate.yaml says what each key means."""

    arm: Literal["left", "right"] = "left"
    start: str
    output: str
    steps: str = "kinect,table"
    table_by: Literal["depth", "touch"] = "depth"
    seed: int = Field(0, ge=0)
    confirm: bool = True
    confirm_timeout: float = Field(600.0, gt=0)
    marker: MarkerSettings = MarkerSettings()
    mount: Pose = DEFAULT_MOUNT
    table_marker: MarkerSettings = MarkerSettings(id=1)
    kinect: MeasureSettings = MeasureSettings()
    wrist: MeasureSettings = WRIST_SETTINGS
    table: TableSettings = TableSettings()
    touch: TouchSettings = TouchSettings()
    cell: CellSettings = CellSettings()

    @field_validator("steps")
    @classmethod
    def _are_steps(cls, value: str) -> str:
        names = value.split(",")
        if not set(names) <= set(STEPS) or len(set(names)) != len(names):
            raise ValueError(f"expected some of {', '.join(STEPS)}, with commas between them and no blanks")
        return value

    @model_validator(mode="after")
    def _plate_is_off(self):
        if self.touches_table and "kinect" in self.steps:
            raise ValueError("the marker's plate is in the way of fingers that touch the table: run steps:=table alone")
        return self

    @property
    def touches_table(self) -> bool:
        """Whether the table is measured by touching it."""
        return "table" in self.steps and self.table_by == "touch"


class Calibrator:
    """Measures what its settings name, in the order kinect, table, wrist, and writes the calibration file.

    Moves one arm slowly, on planned ways. See :class:`~grasp_learning.ros.calibration_cell.RosCell` for its topics.

    Services: ~start (std_srvs/Trigger): a person says that the arm may move; asked for once where ``confirm`` is set.

    Parameters: config/calibrate.yaml lists them with their units and defaults.
    """

    def __init__(self, settings: CalibrateSettings):
        self._settings = settings
        self._output = Path(settings.output)
        self._calibration = known_calibration(load_calibration(settings.start), self._output)
        holds_plate = not settings.touches_table and "kinect" in settings.steps
        carried = [plate(settings.mount.matrix, settings.marker)] if holds_plate else []
        self._rng = np.random.default_rng([settings.seed, 3])
        self._permission = Permission()
        table, seed = planning_table(self._calibration), arm_seed(settings.seed, settings.arm)
        deepest = table.z - self._calibration.table.z + settings.touch.depth if settings.touches_table else 0.0
        self._cell = RosCell(settings.arm, robot_model(), table, settings.cell, seed, deepest, carried)

    def run(self) -> Calibration:
        """Measure and write the file after each step.

        Raises:
            CalibrationError: a step has no result; what earlier steps measured is in the file.
            StepError: the robot or a camera failed, or nobody confirmed.
            OSError: the file cannot be written.
        """
        if self._settings.confirm:
            self._permission.ask(self._settings.arm, self._settings.confirm_timeout)
        self._cell.enable()
        steps = {"kinect": self._kinect, "table": self._table, "wrist": self._wrist}
        for name in STEPS:
            if name in self._settings.steps.split(","):
                self._calibration = steps[name](self._calibration)
                save_calibration(self._calibration, self._output)
        rospy.loginfo("wrote %s", self._output)
        try:
            self._step_aside()  # the other arm may be the one that checks
        except (Unreachable, PlanningFailed) as error:
            rospy.logwarn("the arm stays where it is: %s", error)
        return self._calibration

    # --- steps ------------------------------------------------------------------------------------------------------

    def _kinect(self, known: Calibration) -> Calibration:
        settings = self._settings
        camera = self._cell.look("kinect").camera
        setup = kinect_setup(camera, settings.marker, known.T_base_kinect.matrix, settings.mount.matrix)
        solution = measure_camera(self._cell, "kinect", setup, known.table.z, settings.kinect, self._rng, rospy.loginfo)
        _say_std("the Kinect's pose", solution)
        moved, turned = pose_error(setup.T_carrier_marker, solution.T_carrier_marker)
        rospy.loginfo("the marker is %.1f mm and %.1f degrees from its nominal mount", 1e3 * moved, np.degrees(turned))
        return with_kinect(known, solution.T_mount_camera, CameraMeasured(**self._camera_measured(solution)))

    def _table(self, known: Calibration) -> Calibration:
        settings = self._settings
        if settings.table_by == "touch":
            plane = plane_from_points(self._touched(known), known.table, settings.table)
        else:
            if known.measured is None or known.measured.kinect is None:
                raise NoTable(
                    "the table's depth tells its height only once the Kinect was measured: steps:=kinect,table"
                )
            self._step_aside()
            frame = self._cell.kinect_depth()
            pose = known.T_base_kinect.matrix
            plane = plane_from_depth(frame.depth, frame.camera, pose, known.table, settings.table)
        rospy.loginfo(
            "the table is at z = %.4f m (%s, %d points, residual %.1f mm, tilted by %.2f degrees)",
            *(plane.z, settings.table_by, plane.points, 1e3 * plane.rms, np.degrees(plane.tilt)),
        )
        table = known.table.model_copy(update={"z": round(plane.z, 5)})
        return _with(known.model_copy(update={"table": table}), table=_table_measured(settings.table_by, plane))

    def _touched(self, known: Calibration) -> np.ndarray:
        """(n, 3) points of the table's face (base frame, m)."""
        touch, sign = self._settings.touch, 1.0 if self._settings.arm == "left" else -1.0
        points = []
        for x, y in touch.points:
            descent = touch.height + touch.depth
            self._cell.hover(x, sign * y, known.table.z + touch.height, descent)
            point = self._cell.touch_down(descent, touch.speed)
            if point is None:
                raise NoTable(
                    f"nothing was felt at x {x:g}, y {sign * y:g} down to z {known.table.z - touch.depth:.3f} m: check "
                    "the table's rough height"
                )
            points.append(point - [0.0, 0.0, touch.beyond])
            rospy.loginfo("touched the table at x %.3f, y %.3f: z = %.4f m", *points[-1])
        return np.array(points)

    def _wrist(self, known: Calibration) -> Calibration:
        settings, cell = self._settings, self._cell
        self._step_aside()
        T_base_marker = locate_marker(cell, known.T_base_kinect.matrix, known.table.z, settings.table_marker)
        setup = wrist_setup(cell.look("wrist").camera, settings.table_marker, cell.kinematics, T_base_marker)
        solution = measure_camera(cell, "wrist", setup, known.table.z, settings.wrist, self._rng, rospy.loginfo)
        _say_std(f"the {settings.arm} wrist camera's mount", solution)
        moved, turned = pose_error(T_hand_camera(cell.kinematics), solution.T_mount_camera)
        rospy.loginfo(
            "the wrist camera is %.1f mm and %.2f degrees from the robot's description", 1e3 * moved, np.degrees(turned)
        )
        values = self._camera_measured(solution)
        measured = WristMeasured(**values, position_off=_rounded(moved), rotation_off=_rounded(turned))
        return _with(known, **{f"{settings.arm}_wrist": measured})

    def _step_aside(self) -> None:
        """Bring the arm to neutral, where it hides nothing of the table."""
        self._cell.go(np.array(NEUTRAL))

    def _camera_measured(self, solution: Solution) -> dict:
        return {
            "date": _now(),
            "arm": self._settings.arm,
            "poses": len(solution.used),
            "used": int(solution.used.sum()),
            "rms_px": _rounded(solution.rms),
            "rms": _rounded(solution.rms_m),
            "position_std": _rounded(solution.position_std),
            "rotation_std": _rounded(solution.rotation_std),
        }


def known_calibration(start: Calibration, output: Path) -> Calibration:
    """What earlier runs measured, and for the rest what a person wrote down roughly: the table's edges always."""
    if not output.is_file():
        return start.model_copy(update={"measured": None})
    earlier = load_calibration(output)
    table = start.table.model_copy(update={"z": earlier.table.z})
    return earlier.model_copy(update={"table": table})


def planning_table(known: Calibration) -> Table:
    """The table that the arm keeps off: until it was measured, higher by what a person may have been wrong."""
    if known.measured is not None and known.measured.table is not None:
        return known.table
    return known.table.model_copy(update={"z": known.table.z + ROUGH})


def with_kinect(known: Calibration, T_base_kinect: np.ndarray, measured: CameraMeasured) -> Calibration:
    """A calibration with the Kinect's pose (4, 4); by that, a table measured by depth is no longer known."""
    calibration = _with(known.model_copy(update={"T_base_kinect": pose_of(T_base_kinect)}), kinect=measured)
    table = calibration.measured.table
    return _with(calibration, table=None) if table is not None and table.method == "depth" else calibration


def _now() -> str:
    # of the wall clock, also where ROS time is a simulation's
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _table_measured(method: str, plane: Plane) -> TableMeasured:
    rms, tilt = _rounded(plane.rms), _rounded(plane.tilt)
    return TableMeasured(date=_now(), method=method, points=plane.points, rms=rms, tilt=tilt)


def _rounded(value: float) -> float:
    """A residual for a file that people read."""
    return float(f"{value:.3g}")


def _with(calibration: Calibration, **parts) -> Calibration:
    """A calibration with further measurements."""
    measured = (calibration.measured or Measurements()).model_copy(update=parts)
    return calibration.model_copy(update={"measured": measured})


def _say_std(what: str, solution: Solution) -> None:
    position, rotation = 1e3 * solution.position_std, np.degrees(solution.rotation_std)
    rospy.loginfo("%s is known to %.2f mm and %.3f degrees (standard deviation)", what, position, rotation)


def run_node(name: str, run: Callable[[], None]) -> None:
    """Run a node that ends; exit code 1, after one line that says why, where it failed."""
    try:
        run()
    except (ConfigError, CalibrationError, StepError, OSError) as error:
        if not rospy.is_shutdown():
            rospy.logfatal("%s: %s", name, error)
        sys.exit(1)


def main() -> None:
    """Run the node until the calibration is written."""
    rospy.init_node("calibrate")

    def run() -> None:
        Calibrator(parse_settings(CalibrateSettings, private_parameters(), rospy.get_name())).run()

    run_node("calibrate", run)
