"""An arm, the Kinect and a wrist camera over ROS, for a calibration: slow planned motions, pictures at rest."""

import time
from typing import Callable, Literal, Optional, Sequence

import numpy as np
import rospy
from pydantic import Field

from grasp_learning.calibrating.measuring import Cell, Picture
from grasp_learning.calibration import Table
from grasp_learning.config import Settings
from grasp_learning.execution.arm import Arm, ArmSettings, Contact
from grasp_learning.execution.faults import PlanningFailed, RobotFault, SensorFault
from grasp_learning.execution.guard import Guard, SafetySettings, make_guard
from grasp_learning.execution.hand import bounded
from grasp_learning.execution.motions import planned
from grasp_learning.geometry import top_down_pose
from grasp_learning.motion.collision import CollisionScene
from grasp_learning.motion.move_group import MoveItUnavailable
from grasp_learning.motion.planner import Planner, PlanRequest, StraightRequest, create_planner
from grasp_learning.motion.robot_model import RobotModel, Shape
from grasp_learning.motion.settings import MotionSettings
from grasp_learning.robot_description import arm_joints
from grasp_learning.ros.calls import sdk_task
from grasp_learning.ros.camera_client import (
    JOINT_STATES,
    CameraTimeouts,
    Frame,
    FreshImage,
    KinectTopics,
    grab_with_joints,
)
from grasp_learning.ros.clock import RosClock
from grasp_learning.ros.feeds import JointFeed, endpoint_feed, robot_state_feed
from grasp_learning.ros.moveit_client import MoveItClient
from grasp_learning.ros.sdk import found

LINE_ERROR = 0.002  # m; of a straight line
_YAWS = np.pi * np.arange(8) / 8  # of a gripper that points down
_TRIES = 5  # EST is random: another search may find what the last one did not


class CellSettings(Settings):
    """How the arm moves and is watched.

    Attributes:
        planner: ompl or moveit.
        cross_middle: the arm may reach over to the other side; else ``motion.wall_margin`` holds.
        settle: an arm that arrived rests for so long before a picture (s).
        sdk_timeout: for enabling the robot (s, wall clock).
        startup_timeout: for finding it (s, wall clock).
        motion: of planning.
        safety: bounds of what is commanded, as the executors have them; ``speed_ratio`` is what makes the arm slow.
        streaming: of trajectories.
        camera: deadlines of pictures.
        kinect: where its pictures come from.
    """

    planner: Literal["ompl", "moveit"] = "ompl"
    cross_middle: bool = True
    settle: float = Field(0.5, ge=0)
    sdk_timeout: float = Field(20.0, gt=0)
    startup_timeout: float = Field(60.0, gt=0)
    motion: MotionSettings = MotionSettings()
    safety: SafetySettings = SafetySettings(workspace_x=(0.0, 1.2), workspace_y=(-0.6, 1.1), workspace_z=(-0.3, 1.0))
    streaming: ArmSettings = ArmSettings()
    camera: CameraTimeouts = CameraTimeouts(ros=10.0)
    kinect: KinectTopics = KinectTopics()


class RosCell(Cell):
    """See Cell.

    Publishers and subscribers: those of baxter_interface's Limb and RobotEnable, robot/joint_states. Each only while a
    picture is taken: those of the Kinect, cameras/<arm>_hand_camera/image and camera_info.

    Args:
        side: the arm that moves.
        robot: its description.
        table: an obstacle, but for :meth:`touch_down`.
        seed: of the planner.
        deepest: how far under the table a :meth:`touch_down` may look for it (m); 0 for none.
        carried: boxes in the gripper's frame: what it holds.

    Raises:
        ConfigError: the planner is not installed.
        RobotFault: the robot, or MoveIt's node where it plans, is not found within the startup timeout.
    """

    def __init__(
        self,
        side: str,
        robot: RobotModel,
        table: Table,
        settings: CellSettings,
        seed: int,
        deepest: float = 0.0,
        carried: Sequence[Shape] = (),
    ):
        self.side, self._settings = side, settings
        robot.shapes[f"{side}_gripper"].extend(carried)
        self._make_planner = self._planners(robot, carried, seed)
        self._table, self._planner = table, self._make_planner(table)
        self.kinematics = self._planner.kinematics
        timeouts, wrist = settings.camera, f"cameras/{side}_hand_camera"
        self._cameras = {
            "kinect": settings.kinect.pictures(timeouts, depth=False),
            "wrist": FreshImage(f"{wrist}/image", f"{wrist}/camera_info", timeouts=timeouts),
        }
        self._depth = settings.kinect.pictures(timeouts, depth=True)
        lowest = self._lower(deepest + settings.safety.tip_clearance + LINE_ERROR) if deepest else table
        self._connect(make_guard(robot, side, settings.safety, lowest, settings.streaming.max_step))

    def _planners(self, robot: RobotModel, carried: Sequence[Shape], seed: int) -> Callable[[Table], Planner]:
        """What makes a planner over a table."""
        settings, move_group = self._settings, None
        motion = settings.motion.model_copy(update={"wall_margin": None}) if settings.cross_middle else settings.motion
        if settings.planner == "moveit":
            rospy.loginfo("waiting for move_group")
            wait = settings.startup_timeout
            move_group = _of_moveit(lambda: MoveItClient(self.side, motion.moveit, wait, carried))
        more = ((), seed, move_group)
        return lambda table: _of_moveit(
            lambda: create_planner(settings.planner, robot, self.side, motion, table, *more)
        )

    def _lowered(self, by: float) -> Planner:
        """For straight down only: nothing else may be planned as if the table were lower (m)."""
        return self._make_planner(self._lower(by))

    def _lower(self, by: float) -> Table:
        return self._table.model_copy(update={"z": self._table.z - by})

    def _connect(self, guard: Guard) -> None:
        # imported here: the SDK reads the robot's parameters on import
        import baxter_interface

        settings, end = self._settings, time.monotonic() + self._settings.startup_timeout
        clock = RosClock(settings.streaming.clock_timeout)
        state, endpoint = robot_state_feed(clock), endpoint_feed(clock, self.side)
        self._enabler = found(baxter_interface.RobotEnable, "the robot's state", end, settings.startup_timeout)
        self._limb = found(
            lambda: baxter_interface.Limb(self.side), f"the {self.side} arm", end, settings.startup_timeout
        )
        joints = JointFeed(clock)
        watched = {"the robot's state": state}
        stream = (clock, settings.streaming, guard, watched, endpoint, state.was_off)
        self._arm = Arm(self.side, self._limb, joints, lambda: state.message, *stream)
        self._arm.cancelled = rospy.is_shutdown
        while joints.positions(self.side) is None or state.message is None or endpoint.message is None:
            if time.monotonic() > end or rospy.is_shutdown():
                raise RobotFault("no joint states of both arms, no state of the robot, or none of the hand")
            time.sleep(0.02)

    def enable(self) -> None:
        """Switch the motors on.

        Raises:
            RobotFault: it cannot be enabled; a pressed emergency stop is left to a person.
        """
        state = self._enabler.state()
        if not state.enabled and state.estop_button != state.ESTOP_BUTTON_PRESSED:
            bounded(self._enabler.enable, self._settings.sdk_timeout, "enabling the robot", sdk_task)
        self._arm.check()

    # --- Cell -------------------------------------------------------------------------------------------------------

    def scene(self) -> CollisionScene:
        """See Cell."""
        return self._planner.scene_with(self._arm.other_q())

    def q(self) -> np.ndarray:
        """See Cell."""
        return self._arm.q()

    def go(self, q: np.ndarray) -> None:
        """See Cell."""
        self._move(PlanRequest(self._arm.q(), goal_joints=[q], other_arm=self._arm.other_q()))

    def look(self, camera: str) -> Picture:
        """See Cell."""
        frame, q = self._look(self._cameras[camera])
        return Picture(frame.image, frame.camera, q)

    # --- beyond Cell ------------------------------------------------------------------------------------------------

    def kinect_depth(self) -> Frame:
        """A picture of the Kinect with depth.

        Raises:
            SensorFault: none came.
        """
        return self._depth.grab()

    def hover(self, x: float, y: float, z: float, descent: float = 0.0) -> None:
        """Bring the fingertips to a point (base frame, m), pointing down, whichever way they close.

        Args:
            descent: which a :meth:`touch_down` from there can do (m).

        Raises:
            Unreachable, PlanningFailed: there is no way.
            StepError: the robot failed.
        """
        poses = [top_down_pose(x, y, z, yaw) for yaw in _YAWS]
        other = self._arm.other_q()
        lowered = self._lowered(descent)
        check = (lambda q: lowered.plan_straight(self._down(q, descent)).ok) if descent else None
        self._move(PlanRequest(self._arm.q(), goal_poses=poses, other_arm=other, goal_check=check))

    def _down(self, start: np.ndarray, depth: float, speed: Optional[float] = None) -> StraightRequest:
        goal = self.kinematics.fk(start)
        goal[2, 3] -= depth
        return StraightRequest(start, goal, self._arm.other_q(), speed)

    def touch_down(self, depth: float, speed: float) -> Optional[np.ndarray]:
        """Go straight down by at most a depth (m) at a speed (m/s) until something holds the hand, and back.

        Returns:
            (3,) the point between the fingertips at contact (base frame, m); None without contact.

        Raises:
            Unreachable: the arm cannot go straight down.
            StepError: the robot failed.
        """
        start, planner = self._arm.q(), self._lowered(depth)
        speed /= self._settings.safety.speed_ratio  # by which the arm is slower than the plan
        down = planned(planner.plan_straight(self._down(start, depth, speed)))
        contact = _Touch(self._arm.new_vertical_force, self._settings.streaming, self.kinematics, self._arm.q)
        self._arm.follow(down, contact)
        q = self._arm.q()
        back = planner.plan_straight(StraightRequest(q, self.kinematics.fk(start), self._arm.other_q(), speed))
        self._arm.follow(planned(back))
        return contact.point

    def endpoint(self) -> np.ndarray:
        """(3,) the point between the fingertips as the robot reports it (base frame, m)."""
        return np.array(self._limb.endpoint_pose()["position"])

    # --- parts ------------------------------------------------------------------------------------------------------

    def _move(self, request: PlanRequest) -> None:
        for attempt in range(_TRIES):
            try:
                self._arm.follow(planned(self._planner.plan(request)))
                break
            except PlanningFailed:  # or refused by the guard: the arm has not moved
                if attempt == _TRIES - 1:
                    raise
        self._arm.rest(self._settings.settle)

    def _look(self, camera: FreshImage):
        """A picture, and the arm's joints (7,) at its time."""
        frame, positions = grab_with_joints(camera, self._settings.camera)
        names = arm_joints(self.side)
        missing = [name for name in names if name not in positions]
        if missing:
            raise SensorFault(f"{rospy.resolve_name(JOINT_STATES)} has no {', '.join(missing)}")
        return frame, np.array([positions[name] for name in names])


class _Touch(Contact):
    """A contact that remembers where the fingertips were when it was felt.

    Attributes:
        point: (3,) base frame (m); None before there was contact.
    """

    def __init__(self, force: Callable, streaming: ArmSettings, kinematics, q: Callable):
        super().__init__(force, streaming.contact_force, streaming.contact_samples, lambda joints: self._at(joints)[2])
        self._kinematics, self._q = kinematics, q
        self.point: Optional[np.ndarray] = None

    def _at(self, joints: np.ndarray) -> np.ndarray:
        return self._kinematics.fk(joints)[:3, 3]

    def __call__(self) -> bool:
        felt = super().__call__()
        if felt:
            self.point = self._at(self._q())
        return felt


def _of_moveit(make: Callable):
    """Make what may need MoveIt's node.

    Raises:
        RobotFault: the node is not there, or cannot be used.
    """
    try:
        return make()
    except MoveItUnavailable as error:
        raise RobotFault(str(error)) from None
