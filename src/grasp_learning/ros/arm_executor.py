"""The node that moves one arm: actions ~approach and ~pick."""

import sys
import time
from typing import Any, Callable, Literal, Optional, Tuple

import actionlib
import numpy as np
import rospy
from pydantic import Field, field_validator
from std_srvs.srv import Trigger, TriggerResponse

from grasp_learning.bins import load_bins
from grasp_learning.calibration import Table, load_calibration
from grasp_learning.config import ConfigError, Settings, parse_settings
from grasp_learning.execution.arm import Arm, ArmSettings
from grasp_learning.execution.faults import RobotFault, StepError
from grasp_learning.execution.guard import SafetySettings, make_guard
from grasp_learning.execution.hand import Hand, HandSettings, bounded
from grasp_learning.execution.motions import Motions
from grasp_learning.execution.pick_sequence import PickSequence, SequenceSettings
from grasp_learning.execution.placing import Placer, PlaceSettings
from grasp_learning.motion.move_group import MoveGroup, MoveItUnavailable
from grasp_learning.motion.robot_model import RobotModel
from grasp_learning.motion.settings import MotionSettings
from grasp_learning.msg import (
    ApproachAction,
    ApproachFeedback,
    ApproachResult,
    PickAction,
    PickFeedback,
    PickResult,
)
from grasp_learning.robot_description import load_urdf
from grasp_learning.ros import conversions
from grasp_learning.ros.calls import CallFailed, call_service, sdk_task
from grasp_learning.ros.camera_client import CameraTimeouts, FreshImage
from grasp_learning.ros.clock import RosClock
from grasp_learning.ros.feeds import GripperFeed, JointFeed, endpoint_feed, robot_state_feed
from grasp_learning.ros.goals import GoalRunner
from grasp_learning.ros.moveit_client import MoveItClient
from grasp_learning.ros.sdk import found
from grasp_learning.seeding import arm_seed
from grasp_learning.srv import QueryHeld, QueryHeldRequest, QueryNear, QueryNearRequest
from grasp_learning.trial import Outcome

# The SDK's relative names; in a namespace of its own the node would look for the robot there.
SDK_NAMES = (
    "robot/joint_states",
    "robot/state",
    "robot/set_super_enable",
    "robot/set_super_reset",
    "robot/set_super_stop",
)
SDK_GRIPPER_NAMES = ("state", "properties", "command", "rsdk/set_properties", "rsdk/set_state")

ENABLE_ATTEMPTS = 3
ENABLE_SETTLE = 0.3  # s
MOST_APART = 0.01  # m; the robot's own calibration moves its gripper by millimetres
COMPARE_TIME = 2.0  # s, wall clock; joints and endpoint of an arm that moves are of different moments


class ArmExecutorSettings(Settings):
    """Parameters of the node; config/arm_executor.yaml says what each key means."""

    arm: Literal["left", "right"]
    planner: str = "ompl"
    seed: int = Field(0, ge=0)
    calibration: str
    bins: str = ""
    held_service: str = ""
    near_service: str = ""
    held_timeout: float = Field(3.0, gt=0)
    near_radius: float = Field(0.15, gt=0)
    image_topic: str = "/cameras/{arm}_hand_camera/image"
    info_topic: str = "/cameras/{arm}_hand_camera/camera_info"
    enable: Literal["always", "start", "never"] = "start"
    startup_timeout: float = Field(60.0, gt=0)
    start_delay: float = Field(0.0, ge=0)
    streaming: ArmSettings = ArmSettings()
    gripper: HandSettings = HandSettings()
    sequence: SequenceSettings = SequenceSettings()
    placing: PlaceSettings = PlaceSettings()
    motion: MotionSettings = MotionSettings()
    safety: SafetySettings = SafetySettings()
    camera: CameraTimeouts = CameraTimeouts(ros=10.0)

    @field_validator("image_topic", "info_topic")
    @classmethod
    def _is_template(cls, value: str) -> str:
        try:
            value.format(arm="left")
        except (KeyError, IndexError, ValueError):
            raise ValueError("expected a topic's name in which only {arm} stands for something") from None
        return value


class ArmExecutor:
    """Moves one arm through the steps of a trial.

    Actions:
        ~approach (grasp_learning/Approach): over a region; ~pick (grasp_learning/Pick): grasp, lift, read, put back,
        clear the table; with ``place`` a held object goes into the arm's bin, and ``place_outcome`` tells what became
        of it. The result's ``outcome`` is typed; the goal is succeeded where it is SUCCESS or FAILURE, preempted where
        it is ABORTED by a cancel, else aborted. One goal runs at a time: one of the other action is ABORTED meanwhile,
        one of the same action preempts it, as actionlib has it, and runs when the arm stands still.

    Services:
        ~start (std_srvs/Trigger): a person allows motion. Resets and enables the robot if that is allowed, calibrates
        the gripper, brings the arm to neutral, then accepts goals; after a fault of the robot, again. Where that fails
        the arm waits as before. With ``safety/attended`` false the node does so by itself when it starts, and no fault
        makes it wait.

    Publishers and subscribers: those of baxter_interface's Limb, Gripper and RobotEnable. The wrist camera's image and
    camera_info are subscribed only while a picture is taken.

    Services called, where a simulator offers them: ``held_service`` (grasp_learning/QueryHeld), ``near_service``
    (grasp_learning/QueryNear); with the planner "moveit" those of move_group, see MoveItClient.

    Parameters: config/arm_executor.yaml lists them with their units and defaults.
    """

    def __init__(self, settings: ArmExecutorSettings):
        self._settings = settings
        self._approach: Any = None  # the action servers, once the arm may move
        self._pick: Any = None
        self._clock = RosClock(settings.streaming.clock_timeout)
        self._table = table = load_calibration(settings.calibration).table
        seed = arm_seed(settings.seed, settings.arm)
        self._bins = load_bins(settings.bins) if settings.bins else None
        self._motions = self._make_motions(table, seed)
        self._connect()
        self._goals = GoalRunner(self._arm, self._motions)
        self._sequence = PickSequence(
            self._arm,
            self._hand,
            self._motions,
            self._take_picture,
            self._query_held,
            self._goals.announce,
            settings.sequence,
            self._query_near,
            placer=self._make_placer(),
        )

    def _make_motions(self, table: Table, seed: int) -> Motions:
        """Plans by the planner that was chosen.

        Raises:
            ConfigError: it is not installed, or unknown.
            RobotFault: it is MoveIt, and move_group is not there or cannot be used.
        """
        settings = self._settings
        move_group: Optional[MoveGroup] = None
        try:
            if settings.planner == "moveit":
                rospy.loginfo("waiting for move_group")
                move_group = MoveItClient(settings.arm, settings.motion.moveit, settings.startup_timeout)
            return Motions(settings.arm, settings.planner, settings.motion, table, seed, self._bins, move_group)
        except MoveItUnavailable as error:
            raise RobotFault(str(error)) from None

    def _make_placer(self) -> Optional[Placer]:
        settings = self._settings
        if self._bins is None:
            return None
        own = self._bins.of(settings.arm)
        return Placer(self._arm, self._hand, self._motions, own, settings.placing, settings.sequence.label_rule)

    def _connect(self) -> None:
        """Find the robot.

        Raises:
            RobotFault: it does not answer within the startup timeout, or has its gripper elsewhere than this package.
        """
        # imported here: the SDK reads the robot's parameters on import, and only this node needs it
        import baxter_interface

        settings, side = self._settings, self._settings.arm
        end = time.monotonic() + settings.startup_timeout
        state, endpoint = robot_state_feed(self._clock), endpoint_feed(self._clock, side)
        self._enabler = found(baxter_interface.RobotEnable, "the robot's state", end, settings.startup_timeout)
        limb = found(lambda: baxter_interface.Limb(side), f"the {side} arm", end, settings.startup_timeout)
        gripper = found(lambda: baxter_interface.Gripper(side), f"the {side} gripper", end, settings.startup_timeout)
        joints, feed = JointFeed(self._clock), GripperFeed(self._clock, side)
        guard = make_guard(RobotModel(load_urdf()), side, settings.safety, self._table, settings.streaming.max_step)
        self._arm = Arm(
            side,
            limb,
            joints,
            lambda: state.message,
            self._clock,
            settings.streaming,
            guard,
            {"the robot's state": state},
            endpoint,
            state.was_off,
        )
        self._hand = Hand(gripper, feed, self._arm.wait, self._clock, settings.gripper, sdk_task)
        while joints.positions(side) is None or feed.sample() is None:
            if time.monotonic() > end or rospy.is_shutdown():
                raise RobotFault(f"no joint states of both arms, or no state of the {side} gripper")
            time.sleep(0.02)
        compare_descriptions(
            side, lambda: limb.endpoint_pose()["position"], lambda: self._motions.position(joints.positions(side))
        )

    def start(self) -> None:
        """Enable the robot if allowed, calibrate the gripper, go to neutral, then accept goals.

        Raises:
            StepError: one of these failed; a fault for which the arm waited stands.
        """
        if self._settings.enable != "never":
            self._enable()
        with self._arm.cleared():
            self._arm.check()
            if self._approach is None:
                self._clock.sleep(self._settings.start_delay)
            self._hand.prepare()
            self._hand.start_open()
            self._sequence.to_neutral()
            self._hand.wait_open()
        if self._approach is None:
            self._offer_actions()
        rospy.loginfo("the %s arm is ready", self._settings.arm)

    def offer_start(self) -> None:
        """Let a person start the arm, at first and after a fault."""
        rospy.Service("~start", Trigger, self._on_start)
        if self._settings.safety.attended:
            rospy.loginfo("the %s arm stands still until ~start is called", self._settings.arm)

    def _on_start(self, _request) -> TriggerResponse:
        if not self._goals.busy.acquire(blocking=False):
            return TriggerResponse(False, "the arm is busy with a goal")
        try:
            self.start()
        except StepError as error:
            rospy.logwarn("the %s arm could not be started: %s", self._settings.arm, error)
            return TriggerResponse(False, str(error))
        finally:
            self._goals.busy.release()
        return TriggerResponse(True, f"the {self._settings.arm} arm is ready")

    def spin(self) -> None:
        """Serve until the node is shut down; begin anew when a simulator that was restarted sets the time back."""
        newest = rospy.get_time()
        while not rospy.is_shutdown():
            time.sleep(0.2)
            now = rospy.get_time()
            if now < newest - 1.0 and self._approach is not None:
                rospy.logwarn("ROS time jumped back by %.1f s; offering the actions anew", newest - now)
                with self._goals.busy:
                    self._withdraw_actions()
                    self._offer_actions()
            newest = now

    def _offer_actions(self) -> None:
        def offer(name: str, action_class, callback: Callable):
            server = actionlib.SimpleActionServer(rospy.resolve_name(name), action_class, callback, auto_start=False)
            server.start()
            return server

        self._approach = offer("~approach", ApproachAction, self._on_approach)
        self._pick = offer("~pick", PickAction, self._on_pick)

    def _withdraw_actions(self) -> None:
        # an action server orders goals by their stamps, and so would refuse all goals of an earlier time
        for server in (self._approach, self._pick):
            server.action_server.stop()
            with server.terminate_mutex:
                server.need_to_terminate = True

    def _enable(self) -> None:
        """Enable the robot, which resets a stopped one, and look whether it stays so.

        The other arm's executor may be resetting it meanwhile.

        Raises:
            RobotFault: it cannot be enabled.
        """
        for attempt in range(ENABLE_ATTEMPTS):
            state = self._enabler.state()
            if state.enabled or state.estop_button == state.ESTOP_BUTTON_PRESSED:
                return
            try:
                bounded(self._enabler.enable, self._settings.gripper.sdk_timeout, "enabling the robot", sdk_task)
            except RobotFault:
                if attempt == ENABLE_ATTEMPTS - 1:
                    raise
            self._clock.sleep(ENABLE_SETTLE)

    # --- actions -----------------------------------------------------------------------------------------------------

    def _on_approach(self, goal) -> None:
        def run(result: ApproachResult) -> Outcome:
            if self._settings.enable == "always" and not self._arm.fault:
                self._enable()
            region = conversions.region_from_msg(goal.region)
            self._check_arm(region.arm)
            self._sequence.approach(region)
            return Outcome.SUCCESS

        self._goals.run(self._approach, ApproachResult(), ApproachFeedback, run)

    def _on_pick(self, goal) -> None:
        def run(result: PickResult) -> Outcome:
            grasp = conversions.grasp_from_msg(goal.grasp)
            self._check_arm(grasp.arm)
            if goal.place and self._bins is None:
                raise RobotFault("there is no bin to put the object into: the parameter 'bins' names no file")
            report = self._sequence.pick(grasp, goal.place)
            answer = conversions.reading_to_result(report.reading, report.outcome, report.message)
            for name in answer.__slots__:
                setattr(result, name, getattr(answer, name))
            if report.placing is not None:
                result.place_outcome, result.place_message = str(report.placing.outcome), report.placing.message
            result.before_lift_image = report.images["before_lift"]
            result.after_lift_image = report.images["after_lift"]
            return report.outcome

        self._goals.run(self._pick, PickResult(), PickFeedback, run)

    def _check_arm(self, arm: str) -> None:
        if arm != self._settings.arm:
            raise RobotFault(f"this executor moves the {self._settings.arm} arm, not '{arm}'")

    # --- what the sequence asks for ----------------------------------------------------------------------------------

    def _take_picture(self):
        """A fresh picture of the wrist camera as sensor_msgs/CompressedImage."""
        names = (self._settings.image_topic, self._settings.info_topic)
        image_topic, info_topic = (name.format(arm=self._settings.arm) for name in names)
        frame = FreshImage(image_topic, info_topic, timeouts=self._settings.camera).grab()
        return conversions.image_to_compressed(frame.image, frame.stamp, frame.frame_id)

    def _query_held(self) -> Tuple[bool, bool, str]:
        if not self._settings.held_service:
            return False, False, ""
        request = QueryHeldRequest(arm=self._settings.arm)
        try:
            answer = call_service(self._settings.held_service, QueryHeld, request, self._settings.held_timeout)
        except CallFailed as error:
            rospy.logwarn("the truth is not known: %s", error)
            return False, False, ""
        return True, answer.held, answer.object

    def _query_near(self, x: float, y: float) -> Tuple[str, ...]:
        if not self._settings.near_service:
            return ()
        request = QueryNearRequest(x=x, y=y, radius=self._settings.near_radius)
        try:
            answer = call_service(self._settings.near_service, QueryNear, request, self._settings.held_timeout)
        except CallFailed as error:
            rospy.logwarn("which objects are near is not known: %s", error)
            return ()
        return tuple(answer.names)


def compare_descriptions(side: str, reported: Callable, computed: Callable, patience: float = COMPARE_TIME) -> None:
    """Look whether the robot and this package mean the same place by the same joints.

    Plans and bounds are of this package's description, cameras and people see where the robot has its gripper.

    Args:
        reported: returns the point (3,) between the fingertips by the robot. computed: by this package (base frame, m).
        patience: they must agree once within it (s, wall clock).

    Raises:
        RobotFault: they never do.
    """
    end = time.monotonic() + patience
    while True:
        told, ours = np.array(reported(), float), np.array(computed(), float)
        apart = float(np.linalg.norm(told - ours))
        if apart <= MOST_APART:
            return
        if time.monotonic() > end:
            raise RobotFault(
                f"the {side} gripper is at {told} m by the robot (endpoint_state) and at {ours} m by this package's "
                f"description (urdf/baxter.urdf.xacro), {100 * apart:.1f} cm apart (at most {100 * MOST_APART:g}); "
                "correct the description of the fingers or of the arm in whichever of the two is wrong"
            )
        time.sleep(0.02)


def absolute_sdk_names(side: str) -> list:
    """Remappings ``a:=/a`` of the SDK's relative names, so that they work in any namespace."""
    gripper = [f"robot/end_effector/{side}_gripper/{name}" for name in SDK_GRIPPER_NAMES]
    return [f"{name}:=/{name}" for name in (*SDK_NAMES, *gripper)]


def main() -> None:
    """Run the node until it is shut down; exit code 1 if its settings are wrong or the robot is not there."""
    remappings = [item for side in ("left", "right") for item in absolute_sdk_names(side)]
    # the user's own remappings come last and win
    rospy.init_node("arm_executor", argv=[sys.argv[0], *remappings, *sys.argv[1:]])
    np.set_printoptions(precision=3, suppress=True)
    try:
        settings = parse_settings(ArmExecutorSettings, rospy.get_param("~", {}), rospy.get_name())
        executor = ArmExecutor(settings)
        if not settings.safety.attended:
            executor.start()
        executor.offer_start()
    except (ConfigError, StepError) as error:
        if not rospy.is_shutdown():
            rospy.logfatal("%s", error)
        sys.exit(1)
    executor.spin()
