"""The node that checks a calibration: the gripper hovers over what is seen at a pixel."""

import contextlib
import queue
from typing import Literal, Optional

import numpy as np
import rospy
from geometry_msgs.msg import Point
from pydantic import Field, field_validator
from std_msgs.msg import Float64

from grasp_learning.calibrating.errors import CalibrationError
from grasp_learning.calibration import load_calibration
from grasp_learning.config import Settings, parse_settings
from grasp_learning.execution.faults import PlanningFailed, Unreachable
from grasp_learning.ros.calibrate import run_node
from grasp_learning.ros.calibration_cell import CellSettings, RosCell
from grasp_learning.ros.node_setup import private_parameters, robot_model
from grasp_learning.ros.permission import Permission
from grasp_learning.seeding import arm_seed


class CheckSettings(Settings):
    """Parameters of the node.

    Attributes:
        calibration: file to check.
        truth: calibration file that is true, of a simulation; empty where there is none.
        arm: that hovers; its gripper must be free.
        pixel: "u,v" in the Kinect's picture; empty waits for clicks.
        height: of the fingertips over the table (m).
        seed: of the planner.
        confirm: nothing moves before a person says so; within confirm_timeout (s, wall clock).
        cell: how the arm moves.
    """

    calibration: str
    truth: str = ""
    arm: Literal["left", "right"] = "left"
    pixel: str = ""
    height: float = Field(0.05, gt=0.01, le=0.5)
    seed: int = Field(0, ge=0)
    confirm: bool = True
    confirm_timeout: float = Field(600.0, gt=0)
    cell: CellSettings = CellSettings()

    @field_validator("pixel")
    @classmethod
    def _is_pixel(cls, value: str) -> str:
        if value:
            try:
                _u, _v = (float(part) for part in value.split(","))
            except ValueError:
                raise ValueError("expected 'u,v', such as '960,540'") from None
        return value


class CalibrationChecker:
    """Hovers over what the Kinect shows at a pixel, and measures how far off that is where the truth is known.

    Services: ~start (std_srvs/Trigger): a person says that the arm may move; asked for once where ``confirm`` is set.

    Subscribers: the Kinect's colour topic with _mouse_left (geometry_msgs/Point), a click in rqt_image_view or
    image_view; further ones: see :class:`~grasp_learning.ros.calibration_cell.RosCell`.

    Publishers: ~error (std_msgs/Float64, latched): horizontal distance (m) between the fingertips and what is seen at
    the pixel, where ``truth`` is given.

    Parameters: see :class:`CheckSettings`.
    """

    def __init__(self, settings: CheckSettings):
        self._settings = settings
        self._calibration = load_calibration(settings.calibration)
        self._truth = load_calibration(settings.truth) if settings.truth else None
        seed, table = arm_seed(settings.seed, settings.arm), self._calibration.table
        self._permission = Permission()
        self._cell = RosCell(settings.arm, robot_model(), table, settings.cell, seed)
        self._clicks: queue.Queue[np.ndarray] = queue.Queue(maxsize=1)
        self._error = rospy.Publisher("~error", Float64, latch=True, queue_size=1)
        self._subscriber = rospy.Subscriber(f"{settings.cell.kinect.color_topic}_mouse_left", Point, self._on_click)

    def _on_click(self, point: Point) -> None:
        with contextlib.suppress(queue.Full):  # one that waits is gone to first
            self._clicks.put_nowait(np.array([point.x, point.y]))

    def _forget_clicks(self) -> None:
        with contextlib.suppress(queue.Empty):
            self._clicks.get_nowait()

    def run(self) -> None:
        """Check the pixel of the settings, or each one that is clicked until the node is shut down.

        Raises:
            CalibrationError, StepError: of the settings' pixel; those of a click are told.
            Cancelled: nobody confirmed.
        """
        if self._settings.confirm:
            self._permission.ask(self._settings.arm, self._settings.confirm_timeout)
        self._cell.enable()
        if self._settings.pixel:
            self.check(np.array([float(part) for part in self._settings.pixel.split(",")]))
            return
        rospy.loginfo("click on the table in the Kinect's picture; clicks while the arm moves do not count")
        self._forget_clicks()
        while not rospy.is_shutdown():
            try:
                pixel = self._clicks.get(timeout=0.2)
            except queue.Empty:
                continue
            reason = self._try(pixel)
            self._forget_clicks()  # before anything is said to whoever clicks
            if reason:
                rospy.logwarn("%s", reason)

    def _try(self, pixel: np.ndarray) -> str:
        """Check a pixel; why it cannot be checked."""
        try:
            self.check(pixel)
            return ""
        except (CalibrationError, Unreachable, PlanningFailed) as error:
            return str(error)

    def check(self, pixel: np.ndarray) -> Optional[float]:
        """Hover over a pixel (2,); the horizontal error (m), None where the truth is not known.

        Raises:
            CalibrationError: the pixel does not show the table.
            StepError: the arm cannot go there, or the robot or the Kinect failed.
        """
        camera, known = self._cell.look("kinect").camera, self._calibration
        table = known.table
        x, y, _ = camera.pixels_to_plane(pixel[None], known.T_base_kinect.matrix, table.z)[0]
        if not (table.x_min <= x <= table.x_max and table.y_min <= y <= table.y_max):  # NaN is outside
            raise CalibrationError(f"the pixel {pixel[0]:.0f},{pixel[1]:.0f} does not show the table")
        self._cell.hover(x, y, table.z + self._settings.height)
        where = f"pixel {pixel[0]:.0f},{pixel[1]:.0f} is x {x:.4f}, y {y:.4f} on the table"
        if self._truth is None:
            rospy.loginfo("%s; measure how far the point between the fingertips is from what the pixel shows", where)
            return None
        truth = self._truth
        seen = camera.pixels_to_plane(pixel[None], truth.T_base_kinect.matrix, truth.table.z)[0]
        error = float(np.linalg.norm((self._cell.endpoint() - seen)[:2]))
        rospy.loginfo("%s; the fingertips are %.1f mm off", where, 1e3 * error)
        self._error.publish(error)
        return error


def main() -> None:
    """Run the node until the pixel is checked, or for clicks until it is shut down."""
    rospy.init_node("check_calibration")

    def run() -> None:
        CalibrationChecker(parse_settings(CheckSettings, private_parameters(), rospy.get_name())).run()

    run_node("check_calibration", run)
