#!/usr/bin/env python3
"""The simulated robot through baxter_interface, stand-in or Rethink's own: what holds here, clients rely on."""

import collections
import errno
import json
import os
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

import numpy as np
import rospy
import rostest
from baxter_core_msgs.msg import (
    AssemblyState,
    CollisionAvoidanceState,
    CollisionDetectionState,
    DigitalIOState,
    EndEffectorCommand,
    EndEffectorState,
    JointCommand,
)
from baxter_core_msgs.srv import SolvePositionIK, SolvePositionIKRequest
from baxter_interface import CHECK_VERSION, CameraController, Gripper, Head, Limb, RobotEnable
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Empty
from std_srvs.srv import Trigger

from grasp_learning.srv import PutBackObjects, QueryHeld, QueryNear

NODE = Path(__file__).resolve().parent.parent / "nodes" / "baxter_sim"
DEADLINE = 30.0  # s, wall clock, of everything that is waited for
NEUTRAL = {"s0": 0.0, "s1": -0.55, "e0": 0.0, "e1": 0.75, "w0": 0.0, "w1": 1.26, "w2": 0.0}
TOLERANCE = 0.0088  # rad, a little more than the SDK's


def wait_until(condition, what):
    """Wait for a condition, in wall time; fails the test with what was waited for."""
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {DEADLINE:g} s: {what}")
        time.sleep(0.002)


def messages(topic, kind, count=1):
    """The next messages of a topic."""
    received = collections.deque(maxlen=count)
    subscriber = rospy.Subscriber(topic, kind, received.append, queue_size=count + 10)
    try:
        wait_until(lambda: len(received) == count, f"{count} messages on {topic}")
        return list(received)
    finally:
        subscriber.unregister()


def trigger(name):
    """Call a service of the simulator."""
    rospy.wait_for_service(f"/baxter_sim/{name}", DEADLINE)
    answer = rospy.ServiceProxy(f"/baxter_sim/{name}", Trigger)()
    assert answer.success, answer.message


class SimulatorTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        wait_until(lambda: rospy.get_time() > 0, "/clock")
        messages("/robot/sim/started", Empty)
        cls.enable = RobotEnable(CHECK_VERSION)
        cls.enable.enable()
        cls.limbs = {side: Limb(side) for side in ("left", "right")}
        cls.limb = cls.limbs["left"]

    def setUp(self):
        self.enable.enable()

    def sleep(self, seconds):
        """Sleep in the robot's time."""
        end = rospy.get_time() + seconds
        wait_until(lambda: rospy.get_time() >= end, f"{seconds} s of simulated time")


class EnableTest(SimulatorTest):
    def test_version_is_the_sdks(self):
        self.assertTrue(rospy.get_param("/rethink/software_version").startswith("1.2.0"))
        self.assertTrue(self.enable.version_check())

    def test_other_version_ends_the_program(self):
        version = rospy.get_param("/rethink/software_version")
        try:
            for wrong in ("1.1.0.2", "new"):
                rospy.set_param("/rethink/software_version", wrong)
                with self.assertRaises(SystemExit) as caught:
                    RobotEnable(versioned=True)
                self.assertEqual(caught.exception.code, 1)
        finally:
            rospy.set_param("/rethink/software_version", version)

    def test_disable_and_enable(self):
        self.enable.disable()
        self.assertFalse(self.enable.state().enabled)
        self.enable.enable()
        self.assertTrue(self.enable.state().enabled)

    def test_stop_needs_a_reset(self):
        self.enable.stop()
        state = self.enable.state()
        self.assertTrue(state.stopped and not state.enabled)
        self.enable.reset()
        state = self.enable.state()
        self.assertFalse(state.stopped or state.enabled or state.error)

    def test_estop_holds_until_it_is_released(self):
        trigger("press_estop")
        wait_until(lambda: self.enable.state().stopped, "the robot is stopped")
        self.assertEqual(self.enable.state().estop_button, AssemblyState.ESTOP_BUTTON_PRESSED)
        with self.assertRaises(OSError) as caught:
            self.enable.reset()
        self.assertEqual(caught.exception.errno, errno.EREMOTEIO)
        trigger("release_estop")
        wait_until(lambda: self.enable.state().estop_button != AssemblyState.ESTOP_BUTTON_PRESSED, "release")
        self.assertTrue(self.enable.state().stopped)
        self.enable.enable()
        self.assertTrue(self.enable.state().enabled)

    def test_disabled_robot_ignores_commands(self):
        self.enable.disable()
        before = self.limb.joint_angle("left_w2")
        for _ in range(20):
            self.limb.set_joint_positions({"left_w2": before + 0.3})
            self.sleep(0.02)
        self.assertAlmostEqual(self.limb.joint_angle("left_w2"), before, delta=0.01)

    def test_estop_stops_a_motion(self):
        self.limb.set_joint_velocities({"left_w2": 0.5})
        self.limb.set_command_timeout(5.0)
        self.limb.set_joint_velocities({"left_w2": 0.5})
        wait_until(lambda: self.limb.joint_velocity("left_w2") > 0.3, "the wrist turns")
        trigger("press_estop")
        self.sleep(0.5)
        self.assertLess(abs(self.limb.joint_velocity("left_w2")), 0.02)
        trigger("release_estop")
        self.limb.set_command_timeout(0.2)


class LimbTest(SimulatorTest):
    def setUp(self):
        super().setUp()
        self.limb.set_joint_position_speed(1.0)
        self.limb.set_command_timeout(0.2)

    def neutral(self, side="left"):
        return {f"{side}_{joint}": angle for joint, angle in NEUTRAL.items()}

    def assert_at(self, limb, angles, tolerance=TOLERANCE):
        measured = limb.joint_angles()
        errors = {joint: measured[joint] - angle for joint, angle in angles.items()}
        self.assertLess(max(map(abs, errors.values())), tolerance, errors)

    def stream(self, angles, seconds, raw=False):
        """Send a position command again and again; the largest speed of left_s0 meanwhile."""
        end, fastest = rospy.get_time() + seconds, 0.0
        while rospy.get_time() < end:
            self.limb.set_joint_positions(angles, raw=raw)
            fastest = max(fastest, abs(self.limb.joint_velocity("left_s0")))
            time.sleep(0.001)
        return fastest

    def test_joint_states_are_complete_and_100_hz(self):
        received = messages("/robot/joint_states", JointState, 20)
        for message in received:
            self.assertEqual(
                {len(message.name)}, {len(x) for x in (message.position, message.velocity, message.effort)}
            )
        names = {f"{side}_{joint}" for side in ("left", "right") for joint in NEUTRAL}
        fingers = {f"{s}_gripper_{f}_finger_joint" for s in "lr" for f in "lr"}
        self.assertLessEqual(names | fingers | {"head_pan"}, set(received[0].name))
        spacing = np.diff([message.header.stamp.to_sec() for message in received])
        # Limb's own subscription has a queue of one and may drop some on a busy machine; the stamps tell the rate.
        np.testing.assert_allclose(spacing.min(), 0.01, atol=1e-6)
        np.testing.assert_allclose(spacing, 0.01 * np.round(spacing / 0.01), atol=1e-6)

    def test_both_arms_reach_neutral(self):
        for side, limb in self.limbs.items():
            limb.set_joint_position_speed(1.0)
            limb.move_to_joint_positions({f"{side}_s0": 0.2, f"{side}_w1": 1.0})
            limb.move_to_neutral()
            self.assert_at(limb, self.neutral(side))
        position = self.limb.endpoint_pose()["position"]
        np.testing.assert_allclose(position, (0.6463, 0.8413, 0.0626), atol=0.02)
        mirrored = self.limbs["right"].endpoint_pose()["position"]
        np.testing.assert_allclose(mirrored, (0.6463, -0.8413, 0.0626), atol=0.02)

    def test_speed_ratio_limits_position_mode(self):
        self.limb.move_to_neutral()
        self.sleep(0.5)
        self.limb.set_joint_position_speed(0.2)
        slow = self.stream({"left_s0": 0.5}, 2.5)
        self.limb.set_joint_position_speed(1.0)
        fast = self.stream({"left_s0": -0.5}, 2.5)
        self.assertLess(slow, 0.2 * 1.5 * 1.3)
        self.assertGreater(fast, 2 * slow)
        self.assert_at(self.limb, {"left_s0": -0.5})

    def test_raw_mode_is_not_slowed_down(self):
        self.limb.move_to_neutral()
        self.limb.set_joint_position_speed(0.1)
        fastest = self.stream({"left_s0": 0.4}, 2.0, raw=True)
        self.assertGreater(fastest, 0.5)
        self.assert_at(self.limb, {"left_s0": 0.4})

    def test_velocity_mode_moves_until_its_command_times_out(self):
        self.limb.move_to_neutral()
        self.limb.set_command_timeout(0.3)
        end = rospy.get_time() + 1.0
        while rospy.get_time() < end:
            self.limb.set_joint_velocities({"left_w0": 0.4})
            time.sleep(0.001)
        self.assertAlmostEqual(self.limb.joint_velocity("left_w0"), 0.4, delta=0.05)
        self.sleep(1.0)
        stopped = self.limb.joint_angle("left_w0")
        self.assertLess(abs(self.limb.joint_velocity("left_w0")), 0.01)
        self.sleep(0.5)
        self.assertAlmostEqual(self.limb.joint_angle("left_w0"), stopped, delta=0.002)
        self.assertLess(stopped, 0.4 * (1.0 + 0.3) + 0.15)

    def test_torque_mode_turns_the_wrist_and_exits(self):
        self.limb.move_to_neutral()
        names = self.limb.joint_names()
        end = rospy.get_time() + 0.3
        while rospy.get_time() < end:
            self.limb.set_joint_torques({name: 0.4 if name == "left_w2" else 0.0 for name in names})
            time.sleep(0.001)
        self.assertGreater(self.limb.joint_angle("left_w2"), 0.02)
        self.limb.exit_control_mode()
        self.sleep(0.5)
        self.limb.move_to_neutral()
        self.assert_at(self.limb, self.neutral())

    def test_nonsense_is_ignored(self):
        self.limb.move_to_neutral()
        publisher = rospy.Publisher("/robot/limb/left/joint_command", JointCommand, queue_size=10)
        wait_until(lambda: publisher.get_num_connections() > 0, "the simulator listens")
        for message in (
            JointCommand(mode=1, names=["left_s0"], command=[float("nan")]),
            JointCommand(mode=1, names=["right_s0"], command=[0.5]),
            JointCommand(mode=1, names=["left_s0", "left_s1"], command=[0.5]),
            JointCommand(mode=9, names=["left_s0"], command=[0.5]),
        ):
            publisher.publish(message)
        self.sleep(0.5)
        self.assert_at(self.limb, self.neutral())

    def test_inverse_kinematics_service(self):
        service = rospy.ServiceProxy("/ExternalTools/left/PositionKinematicsNode/IKService", SolvePositionIK)
        reachable, too_far = PoseStamped(), PoseStamped()
        for stamped, x in ((reachable, 0.65), (too_far, 3.0)):
            stamped.header.frame_id = "base"
            stamped.pose.position.x, stamped.pose.position.y, stamped.pose.position.z = x, 0.3, 0.1
            stamped.pose.orientation.y = 1.0  # straight down
        answer = service(SolvePositionIKRequest(pose_stamp=[reachable, too_far]))
        self.assertEqual(list(answer.isValid), [True, False])
        self.assertEqual(answer.result_type[1], 0)
        self.limb.move_to_joint_positions(dict(zip(answer.joints[0].name, answer.joints[0].position)))
        np.testing.assert_allclose(self.limb.endpoint_pose()["position"], (0.65, 0.3, 0.1), atol=0.015)
        self.limb.move_to_neutral()

    def test_states_that_other_tools_wait_for(self):
        for button in ("lower_cuff", "lower_button", "upper_button"):
            self.assertEqual(messages(f"/robot/digital_io/left_{button}/state", DigitalIOState)[0].state, 0)
        messages("/robot/limb/right/collision_avoidance_state", CollisionAvoidanceState)
        messages("/robot/limb/right/collision_detection_state", CollisionDetectionState)

    def test_head(self):
        head = Head()
        head.set_pan(0.4)
        self.assertAlmostEqual(head.pan(), 0.4, delta=0.14)
        head.command_nod()
        head.set_pan(0.0)


class GripperTest(SimulatorTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gripper = Gripper("left", CHECK_VERSION)

    def setUp(self):
        super().setUp()
        if not self.gripper.calibrated():
            self.assertTrue(self.gripper.calibrate())

    def state(self):
        return messages("/robot/end_effector/left_gripper/state", EndEffectorState)[0]

    def test_type_and_position_control(self):
        self.assertEqual(self.gripper.type(), "electric")
        self.assertTrue(self.gripper.has_position() and self.gripper.has_force())

    def test_old_firmware_is_refused(self):
        self.assertTrue(self.gripper.version_check())
        try:
            for date, accepted in (("2013/1/1 00:00:00", False), ("2014/1/1 00:00:00", True)):
                self.gripper.firmware_build_date = lambda date=date: date
                self.assertEqual(self.gripper.version_check(), accepted)
        finally:
            del self.gripper.firmware_build_date

    def test_needs_calibration(self):
        self.gripper.clear_calibration()
        self.assertFalse(self.gripper.calibrated())
        self.assertFalse(self.gripper.open(block=True))
        self.assertTrue(self.gripper.calibrate())
        self.assertTrue(self.gripper.calibrated())

    def test_go_and_its_acknowledgement(self):
        self.assertTrue(self.gripper.command_position(40.0, block=True))
        wait_until(lambda: not self.gripper.moving(), "the move's end")
        self.assertAlmostEqual(self.gripper.position(), 40.0, delta=5.0)
        state = self.state()
        self.assertEqual(state.command, "go")
        self.assertEqual(state.command_sender, f"{rospy.get_name()}_go")
        self.assertGreater(state.command_sequence, 0)

    def test_closing_on_nothing_misses(self):
        self.gripper.open(block=True)
        self.gripper.close(block=True)
        wait_until(lambda: not self.gripper.moving(), "the move's end")
        self.assertTrue(self.gripper.missed())
        self.assertFalse(self.gripper.gripping())
        self.assertLess(self.gripper.position(), 3.0)
        self.assertLess(self.gripper.force(), 5.0)

    def test_grip_and_release(self):
        for command, position in ((EndEffectorCommand.CMD_GRIP, 0.0), (EndEffectorCommand.CMD_RELEASE, 100.0)):
            done = lambda: abs(self.gripper.position() - position) < 5.0  # noqa: B023,E731
            self.assertTrue(self.gripper.command(command, block=True, test=done, timeout=5.0))

    def test_configured_velocity_is_used(self):
        def closing_time(velocity):
            self.gripper.set_velocity(100.0)
            self.gripper.open(block=True)
            wait_until(lambda: not self.gripper.moving(), "the opening's end")
            self.gripper.set_velocity(velocity)
            start = rospy.get_time()
            self.gripper.close(block=True)
            return rospy.get_time() - start

        self.assertGreater(closing_time(20.0), 2.0 * closing_time(100.0))
        self.gripper.set_parameters(defaults=True)

    def test_repeated_command_counts_once(self):
        publisher = rospy.Publisher("/robot/end_effector/left_gripper/command", EndEffectorCommand, queue_size=10)
        wait_until(lambda: publisher.get_num_connections() > 0, "the simulator listens")
        command = EndEffectorCommand(command="calibrate", sender="tester", sequence=7)
        publisher.publish(command)
        wait_until(lambda: not self.gripper.calibrated(), "the calibration's begin")
        end = rospy.get_time() + 4.0
        while rospy.get_time() < end and not self.gripper.calibrated():
            publisher.publish(command)
            time.sleep(0.001)
        self.assertTrue(self.gripper.calibrated())

    def test_bad_arguments_change_nothing(self):
        self.gripper.open(block=True)
        publisher = rospy.Publisher("/robot/end_effector/left_gripper/command", EndEffectorCommand, queue_size=10)
        wait_until(lambda: publisher.get_num_connections() > 0, "the simulator listens")
        for sequence, args in enumerate(("{", "[1]", '{"position": "shut"}'), start=1):
            publisher.publish(EndEffectorCommand(command="go", args=args, sender="nonsense", sequence=sequence))
        self.sleep(0.5)
        self.assertGreater(self.gripper.position(), 90.0)


class CameraTest(SimulatorTest):
    def test_modes_of_a_wrist_camera(self):
        camera = CameraController("left_hand_camera")
        for size in ((640, 400), (1280, 800)):
            camera.resolution = size
            self.sleep(0.2)
            image = messages("/cameras/left_hand_camera/image", Image)[0]
            info = messages("/cameras/left_hand_camera/camera_info", CameraInfo)[0]
            self.assertEqual((image.width, image.height), size)
            self.assertEqual((info.width, info.height), size)
            self.assertEqual(len(image.data), image.step * image.height)
            self.assertEqual((image.encoding, image.header.frame_id), ("bgr8", "left_hand_camera"))
            self.assertAlmostEqual(info.K[0], 810 * size[0] / 1280, delta=1.0)

    def test_closed_camera_is_silent(self):
        camera = CameraController("right_hand_camera")
        camera.resolution = (320, 200)
        camera.close()
        received = []
        subscriber = rospy.Subscriber("/cameras/right_hand_camera/image", Image, received.append)
        self.sleep(2.0)
        self.assertEqual(len(received), 0)
        camera.resolution = (1280, 800)
        wait_until(lambda: received, "a picture of the camera that was opened again")
        subscriber.unregister()

    def test_unknown_camera_and_mode(self):
        with self.assertRaises(AttributeError):
            CameraController("third_hand_camera")
        with self.assertRaises(ValueError):
            CameraController("left_hand_camera").resolution = (1000, 1000)

    def test_kinect(self):
        topics = {"image_color": Image, "image_depth_rect": Image, "camera_info": CameraInfo}
        received = {topic: {} for topic in topics}
        asked = rospy.get_time()

        def keep(topic):
            return lambda message: received[topic].update({message.header.stamp.to_nsec(): message})

        subscribers = [rospy.Subscriber(f"/kinect2/hd/{topic}", topics[topic], keep(topic)) for topic in topics]
        wait_until(lambda: set.intersection(*(set(got) for got in received.values())), "a frame with one stamp")
        for subscriber in subscribers:
            subscriber.unregister()
        stamp = min(set.intersection(*(set(got) for got in received.values())))
        color, depth, info = (received[topic][stamp] for topic in topics)
        self.assertGreaterEqual(stamp * 1e-9, asked)
        self.assertEqual({color.header.frame_id, depth.header.frame_id}, {"kinect2_rgb_optical_frame"})
        self.assertEqual((color.encoding, depth.encoding), ("bgr8", "16UC1"))
        self.assertEqual({(m.width, m.height) for m in (color, depth, info)}, {(1920, 1080)})
        millimetres = np.frombuffer(depth.data, np.uint16).reshape(1080, 1920)
        # where the optical axis meets the table, 1.109 m away; an object may stand there
        self.assertTrue(900 < np.median(millimetres[530:550, 950:970]) < 1120)


class ObjectsTest(SimulatorTest):
    @staticmethod
    def picture():
        """The Kinect's picture, as numbers with a sign."""
        image = messages("/kinect2/hd/image_color", Image)[0]
        return np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, 3).astype(np.int16)

    def test_contacts_of_the_arms_are_counted(self):
        answer = rospy.ServiceProxy("/baxter_sim/contacts", Trigger)()
        self.assertTrue(answer.success)
        self.assertEqual(json.loads(answer.message)["arms"], 0)

    def test_table_is_cleared_and_filled_again(self):
        trigger("clear_table")
        empty = self.picture()
        self.assertEqual(list(rospy.ServiceProxy("/baxter_sim/put_back_objects", PutBackObjects)().names), [])
        trigger("scatter")
        filled = self.picture()
        changed = (np.abs(filled - empty).max(axis=2) > 40).sum()
        self.assertGreater(changed, 1000)

    def test_empty_hand_holds_nothing(self):
        held = rospy.ServiceProxy("/baxter_sim/held", QueryHeld)
        self.assertFalse(held("left").held)
        with self.assertRaises(rospy.ServiceException):
            held("third")

    def test_objects_near_a_point_are_named_the_nearest_first(self):
        near = rospy.ServiceProxy("/baxter_sim/near", QueryNear)
        trigger("scatter")
        everything = near(0.66, 0.0, 0.7)
        self.assertEqual(len(set(everything.names)), 3)
        self.assertEqual(list(everything.distances), sorted(everything.distances))
        some = near(0.66, 0.0, everything.distances[1])
        self.assertEqual(some.names, everything.names[:2])
        trigger("clear_table")
        self.assertEqual(near(0.66, 0.0, 0.7).names, [])
        trigger("scatter")
        for nonsense in ((float("nan"), 0.0, 0.1), (0.6, 0.0, -1.0)):
            with self.assertRaises(rospy.ServiceException):
                near(*nonsense)

    def test_other_objects_take_their_turn_until_they_are_exchanged_again(self):
        near = rospy.ServiceProxy("/baxter_sim/near", QueryNear)
        exchange = rospy.ServiceProxy("/baxter_sim/exchange_objects", Trigger)

        def there():
            return set(near(0.66, 0.0, 10.0).names)

        trigger("scatter")
        seen = [there()]
        for _ in range(2):
            answer = exchange()
            self.assertTrue(answer.success, answer.message)
            seen.append(there())
            self.assertEqual(set(answer.message.split(", ")), seen[-1])
        self.assertEqual(len(set.union(*seen)), 9)
        self.assertEqual(list(rospy.ServiceProxy("/baxter_sim/put_back_objects", PutBackObjects)().names), [])
        trigger("clear_table")
        trigger("scatter")
        self.assertEqual(there(), seen[-1])

    def test_reset_starts_again_but_not_the_clock(self):
        before = rospy.get_time()
        trigger("reset")
        wait_until(lambda: not self.enable.state().enabled, "the robot is as after power-on")
        self.assertGreaterEqual(rospy.get_time(), before)


class BadParametersTest(unittest.TestCase):
    def test_one_line_and_exit_code_1(self):
        for argument, told in (("_speed:=0", "'speed'"), ("_split:=validation", "'split'")):
            command = [sys.executable, str(NODE), "__name:=broken_sim", argument]
            ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
            self.assertEqual(ended.returncode, 1, ended.stdout)
            self.assertEqual(len(ended.stdout.strip().splitlines()), 1, ended.stdout)
            self.assertIn(told, ended.stdout)
            rospy.delete_param("/broken_sim")


class CommandTest(SimulatorTest):
    """`rosrun grasp_learning baxter`, as a person types it."""

    def baxter(self, *words):
        command = [sys.executable, str(NODE.with_name("baxter")), *words]
        ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        return ended.returncode, ended.stdout.strip()

    def test_the_robot_is_switched_off_and_on_and_reset_after_an_emergency_stop(self):
        fine = "no error, emergency stop released"
        self.assertEqual(self.baxter("state"), (0, f"enabled, not stopped, {fine}"))
        self.assertEqual(self.baxter("disable"), (0, f"disabled, not stopped, {fine}"))
        trigger("press_estop")
        code, said = self.baxter("enable")
        self.assertEqual(code, 1)
        self.assertIn("baxter: enable failed", said)
        self.assertEqual(self.baxter("state"), (0, "disabled, stopped, no error, emergency stop pressed"))
        trigger("release_estop")
        self.assertEqual(self.baxter("reset"), (0, f"disabled, not stopped, {fine}"))
        self.assertEqual(self.baxter("enable"), (0, f"enabled, not stopped, {fine}"))

    def test_the_fingers_are_closed_and_opened(self):
        self.assertRegex(self.baxter("gripper", "right", "calibrate")[1], "^right gripper: calibrated, ")
        self.assertRegex(self.baxter("gripper", "right", "close")[1], r"calibrated, [0-5]\.\d % open, force 0.0 %")
        self.assertRegex(self.baxter("gripper", "right", "open")[1], r"calibrated, (100|9\d)\.\d % open")
        self.assertEqual(self.baxter("gripper", "right", "state")[0], 0)

    def test_wrong_usage(self):
        code, said = self.baxter("gripper", "middle", "open")
        self.assertEqual(code, 2)
        self.assertIn("choose from 'left', 'right'", said)


class HangingListenerTest(SimulatorTest):
    def test_robot_goes_on_when_a_listener_hangs(self):
        code = (
            "import rospy; from sensor_msgs.msg import JointState; rospy.init_node('hanging', anonymous=True);"
            "rospy.Subscriber('/robot/joint_states', JointState, lambda m: None); print('up', flush=True); rospy.spin()"
        )
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        try:
            process.stdout.readline()
            self.sleep(1.0)
            os.kill(process.pid, signal.SIGSTOP)
            self.sleep(20.0)  # longer than the connection's buffers last
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def everything():
    """All tests of this file, against one simulator."""
    suites = (EnableTest, LimbTest, GripperTest, CameraTest, ObjectsTest, BadParametersTest, CommandTest)
    suites += (HangingListenerTest,)
    return unittest.TestSuite(unittest.defaultTestLoader.loadTestsFromTestCase(suite) for suite in suites)


if __name__ == "__main__":
    rospy.init_node("baxter_sim_rostest")
    rostest.rosrun("grasp_learning", "baxter_sim_test", "baxter_sim_rostest.everything")
