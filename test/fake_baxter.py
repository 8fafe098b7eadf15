"""Baxter's ROS interface on an ideal robot, for fault tests: joints are where they were commanded, at once.

Faults are attributes, set by the test that owns the robot.
"""

import json
import threading
import time

import numpy as np
import rospy
from baxter_core_msgs.msg import (
    AssemblyState,
    EndEffectorCommand,
    EndEffectorProperties,
    EndEffectorState,
    EndpointState,
    JointCommand,
)
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Bool, Empty

from grasp_learning.motion.kinematics import Kinematics
from grasp_learning.motion.robot_model import RobotModel
from grasp_learning.robot_description import NEUTRAL, arm_joints, load_urdf
from grasp_learning.srv import QueryHeld, QueryHeldResponse, QueryNear, QueryNearResponse

SIDES = ("left", "right")
PERIOD = 0.01


class FakeGripperState:
    """An electric gripper with an object of a width (percent of travel) between its fingers, or None."""

    def __init__(self):
        self.message = EndEffectorState(id=7, enabled=1, calibrated=0, ready=1, position=0.0)
        self.target, self.object_width = 100.0, None
        self.can_calibrate = True
        self.failed = False

    def command(self, command: EndEffectorCommand) -> None:
        self.message.command_sender, self.message.command_sequence = command.sender, command.sequence
        if command.command == EndEffectorCommand.CMD_CALIBRATE and self.can_calibrate:
            self.message.calibrated = 1
        elif command.command == EndEffectorCommand.CMD_RESET:
            self.message.error = int(self.failed)
        elif command.command == EndEffectorCommand.CMD_GO:
            self.target = json.loads(command.args)["position"]

    def step(self) -> None:
        low = 0.0 if self.object_width is None else self.object_width
        goal = max(self.target, low)
        self.message.position += float(np.clip(goal - self.message.position, -4.0, 4.0))
        self.message.gripping = int(self.target < low and self.message.position <= low)
        self.message.force = 35.0 if self.message.gripping else 0.0


class FakeBaxter:
    """Publishes /clock and all that the executor needs, in a thread, faster than real time.

    Attributes:
        publishing: False is a robot (and a clock) that died.
        joints_frozen: the joint states' stamps stand still.
        pictures: False is a wrist camera that sends nothing.
        commands: (time, side, wall-clock time) of every joint command.
        near_asked: (x, y, radius) of every question for the objects near a point.
    """

    def __init__(self, speed: float = 3.0):
        self.time, self._speed = 10.0, speed
        self.publishing, self.joints_frozen, self.pictures = True, False, True
        self.state = AssemblyState(enabled=False)
        self.positions = {side: list(NEUTRAL) for side in SIDES}
        model = RobotModel(load_urdf())
        self._kinematics = {side: Kinematics(model, side) for side in SIDES}
        self.grippers = {side: FakeGripperState() for side in SIDES}
        self.commands, self.near_asked = [], []
        self._clock = rospy.Publisher("/clock", Clock, queue_size=1, tcp_nodelay=True)
        self._joints = rospy.Publisher("/robot/joint_states", JointState, queue_size=1, tcp_nodelay=True)
        self._state = rospy.Publisher("/robot/state", AssemblyState, queue_size=1)
        self._arms = {side: self._arm(side) for side in SIDES}
        self._kinect = {
            "image": rospy.Publisher("/kinect2/hd/image_color", Image, queue_size=1),
            "info": rospy.Publisher("/kinect2/hd/camera_info", CameraInfo, queue_size=1),
            "depth": rospy.Publisher("/kinect2/hd/image_depth_rect", Image, queue_size=1),
        }
        rospy.Subscriber("/robot/set_super_enable", Bool, self._enable)
        rospy.Subscriber("/robot/set_super_reset", Empty, self._reset)
        rospy.Service("/fake/held", QueryHeld, self._held)
        rospy.Service("/fake/near", QueryNear, self._near)
        threading.Thread(target=self._run, daemon=True).start()

    def _arm(self, side: str) -> dict:
        limb, hand, camera = (
            f"/robot/limb/{side}",
            f"/robot/end_effector/{side}_gripper",
            f"/cameras/{side}_hand_camera",
        )
        rospy.Subscriber(f"{limb}/joint_command", JointCommand, self._command, side, tcp_nodelay=True)
        rospy.Subscriber(f"{hand}/command", EndEffectorCommand, self.grippers[side].command)
        return {
            "endpoint": rospy.Publisher(f"{limb}/endpoint_state", EndpointState, queue_size=1),
            "gripper": rospy.Publisher(f"{hand}/state", EndEffectorState, queue_size=1),
            "properties": rospy.Publisher(f"{hand}/properties", EndEffectorProperties, queue_size=1),
            "image": rospy.Publisher(f"{camera}/image", Image, queue_size=1),
            "info": rospy.Publisher(f"{camera}/camera_info", CameraInfo, queue_size=1),
        }

    # faults: each returns when it was told (wall clock)

    def press_estop(self) -> float:
        self.state.enabled, self.state.stopped, self.state.estop_button = False, True, 1
        return self._tell_state()

    def release_estop(self) -> None:
        self.state.estop_button = AssemblyState.ESTOP_BUTTON_RELEASED

    def disable(self) -> float:
        self.state.enabled = False
        return self._tell_state()

    def freeze_joints(self, frozen: bool) -> float:
        self.joints_frozen = frozen
        return time.monotonic()

    def freeze_camera(self, frozen: bool) -> float:
        self.pictures = not frozen
        return time.monotonic()

    def fail_gripper(self, side: str = "left") -> float:
        """An error that no reset clears, until it is mended."""
        self.grippers[side].failed, self.grippers[side].message.error = True, 1
        return time.monotonic()

    def mend_gripper(self, side: str = "left") -> None:
        self.grippers[side].failed, self.grippers[side].message.error = False, 0

    def _reset(self, _message) -> None:
        self.state = AssemblyState()

    def _enable(self, message: Bool) -> None:
        if not self.state.stopped:
            self.state.enabled = message.data

    def _command(self, message: JointCommand, side: str) -> None:
        self.commands.append((self.time, side, time.monotonic()))
        if self.state.enabled:
            values = dict(zip(message.names, message.command))
            self.positions[side] = [values[name] for name in arm_joints(side)]

    def _held(self, request) -> QueryHeldResponse:
        held = bool(self.grippers[request.arm].message.gripping)
        return QueryHeldResponse(held=held, object="block" if held else "")

    def _near(self, request) -> QueryNearResponse:
        self.near_asked.append((request.x, request.y, request.radius))
        return QueryNearResponse(["block", "ball"], [0.01, 0.1])

    def _run(self) -> None:
        tick = 0
        while not rospy.is_shutdown():
            time.sleep(PERIOD / self._speed)
            if self.publishing:
                tick += 1
                try:
                    self._publish(tick)
                except rospy.ROSException:
                    return  # the test is over

    def _publish(self, tick: int) -> None:
        self.time += PERIOD
        now = rospy.Time.from_sec(self.time)
        self._clock.publish(now)
        if not self.joints_frozen:
            self._joints.publish(self._joint_state(now))
        for side, arm in self._arms.items():
            self.grippers[side].step()
            arm["endpoint"].publish(self._endpoint(side, now))
            if tick % 5 == 0:
                arm["gripper"].publish(self.grippers[side].message)
                arm["properties"].publish(EndEffectorProperties(id=7, ui_type=2))
            if tick % 10 == 0 and self.pictures:
                self._picture(arm, now)
        if tick % 10 == 0:
            self._picture(self._kinect, now)
        if tick % 2 == 0:
            self._tell_state()

    def _tell_state(self) -> float:
        """Publish the robot's state; just before that (wall clock)."""
        told = time.monotonic()
        self._state.publish(self.state)
        return told

    def _endpoint(self, side: str, now) -> EndpointState:
        message = EndpointState()
        message.header.stamp, message.pose.orientation.w = now, 1.0
        position = message.pose.position
        position.x, position.y, position.z = self._kinematics[side].fk(self.positions[side])[:3, 3].tolist()
        return message

    def _joint_state(self, now) -> JointState:
        message = JointState()
        message.header.stamp = now
        for side in SIDES:
            message.name += arm_joints(side)
            message.position += self.positions[side]
        message.velocity = message.effort = [0.0] * 14
        return message

    def _picture(self, arm: dict, now) -> None:
        if arm["image"].get_num_connections():
            image = Image(width=32, height=20, encoding="bgr8", step=96, data=bytes(20 * 96))
            image.header.stamp = now
            arm["image"].publish(image)
            info = CameraInfo(width=32, height=20, K=[20, 0, 16, 0, 20, 10, 0, 0, 1])
            info.header.stamp = now
            arm["info"].publish(info)
            if "depth" in arm:
                depth = Image(width=32, height=20, encoding="16UC1", step=64, data=bytes(20 * 64))
                depth.header.stamp = now
                arm["depth"].publish(depth)
