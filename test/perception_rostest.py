#!/usr/bin/env python3
"""The samplers over ROS: every fault of a camera ends in a typed answer that names it and a remedy."""

import contextlib
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

import cv2
import numpy as np
import rospy
import rostest
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_srvs.srv import Trigger, TriggerRequest

from grasp_learning.calibration import load_calibration
from grasp_learning.geometry import Camera, top_down_pose
from grasp_learning.motion.kinematics import NEUTRAL, Kinematics, RobotModel
from grasp_learning.msg import Region
from grasp_learning.robot_description import arm_joints, load_urdf
from grasp_learning.ros import conversions
from grasp_learning.ros.calls import CallFailed, call_service
from grasp_learning.srv import SampleGrasp, SampleGraspRequest, SampleRegion, SampleRegionRequest

CALIBRATION = load_calibration(Path(__file__).resolve().parent.parent / "config" / "calibration" / "sim.yaml")
T_BASE_KINECT = CALIBRATION.T_base_kinect.matrix
TABLE_Z = CALIBRATION.table.z
KINECT = Camera(480, 270, np.array([[265.0, 0, 239.5], [0, 265.0, 134.5], [0, 0, 1]]))
WRIST = Camera(1280, 800, np.array([[810.0, 0, 639.5], [0, 810.0, 399.5], [0, 0, 1]]))
KINECT_TOPICS = ("/kinect2/hd/image_color", "/kinect2/hd/camera_info", "/kinect2/hd/image_depth_rect")
WRIST_TOPICS = ("/cameras/left_hand_camera/image", "/cameras/left_hand_camera/camera_info")
ANSWER_TIMEOUT = 20.0  # s; the nodes' own deadlines are 1.5 and 4 s
BOX = (0.70, 0.25, 0.04)  # x, y, half side; 3 cm high


class FakeRobot:
    """Publishes a Kinect, a wrist camera and joint states, with the faults that a test asks for."""

    def __init__(self):
        self.behave()
        self._publishers = {topic: rospy.Publisher(topic, Image, queue_size=1) for topic in KINECT_TOPICS[::2]}
        self._publishers[WRIST_TOPICS[0]] = rospy.Publisher(WRIST_TOPICS[0], Image, queue_size=1)
        for topic in (KINECT_TOPICS[1], WRIST_TOPICS[1]):
            self._publishers[topic] = rospy.Publisher(topic, CameraInfo, queue_size=1)
        self._joint_states = rospy.Publisher("/robot/joint_states", JointState, queue_size=1)
        self._timers = [
            rospy.Timer(rospy.Duration(0.1), self._publish),
            rospy.Timer(rospy.Duration(0.02), self._publish_joints),
        ]

    def behave(self):
        """No faults, arms at neutral, an empty table."""
        self.silent = set()  # topics on which nothing is sent
        self.stamp_offset = 0.0
        self.encoding = "bgr8"
        self.crop = 0  # columns missing from the colour pictures
        self.box = None
        self.wrist = np.full((800, 1280, 3), 120, np.uint8)
        self.joints = {side: NEUTRAL for side in ("left", "right")}

    def _publish_joints(self, _event):
        names = arm_joints("left") + arm_joints("right")
        message = JointState(name=names, position=[*self.joints["left"], *self.joints["right"]])
        message.header.stamp = rospy.Time.from_sec(rospy.get_time())
        if "/robot/joint_states" not in self.silent:
            self._joint_states.publish(message)

    def _publish(self, _event):
        stamp = rospy.get_time() + self.stamp_offset
        color, depth = kinect_picture(self.box)
        self._send(KINECT_TOPICS[0], self._encoded(color, stamp))
        self._send(KINECT_TOPICS[1], conversions.camera_to_info(KINECT, stamp, "kinect"))
        self._send(KINECT_TOPICS[2], conversions.image_to_msg(depth, "16UC1", stamp, "kinect"))
        self._send(WRIST_TOPICS[0], self._encoded(self.wrist, stamp))
        self._send(WRIST_TOPICS[1], conversions.camera_to_info(WRIST, stamp, "wrist"))

    def _encoded(self, image, stamp):
        image = image[:, : image.shape[1] - self.crop]
        if self.encoding == "16UC1":
            return conversions.image_to_msg(image[..., 0].astype(np.uint16), "16UC1", stamp)
        if self.encoding == "bgra8":
            image = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2BGRA)
        return conversions.image_to_msg(image, self.encoding, stamp)

    def _send(self, topic, message):
        if topic not in self.silent and not rospy.is_shutdown():
            self._publishers[topic].publish(message)


def kinect_picture(box):
    """BGR and depth (uint16 mm) of the table with or without a red box."""
    rows, columns = np.mgrid[0:270, 0:480]
    rays = KINECT.pixels_to_plane(np.column_stack([columns.ravel(), rows.ravel()]), T_BASE_KINECT, TABLE_Z)
    depth = np.nan_to_num(((rays - T_BASE_KINECT[:3, 3]) @ T_BASE_KINECT[:3, 2]).reshape(270, 480), nan=0.0)
    color = 180 + np.random.default_rng(0).normal(0, 2, (270, 480, 3))
    if box is not None:
        x, y, half = box
        corners = [(x + dx, y + dy, TABLE_Z + 0.03) for dx in (-half, half) for dy in (-half, half)]
        pixels = KINECT.base_to_pixels(corners, T_BASE_KINECT).astype(np.float32)
        where = cv2.fillConvexPoly(np.zeros((270, 480), np.uint8), np.int32(cv2.convexHull(pixels)), 1) > 0
        color[where] = (40, 40, 190)
        depth[where] -= 0.03 * -T_BASE_KINECT[2, 2]
    return np.clip(color, 0, 255).astype(np.uint8), (1000 * np.clip(depth, 0, 60)).astype(np.uint16)


class PerceptionTest(unittest.TestCase):
    """Each test sets one fault; the answer names it."""

    @classmethod
    def setUpClass(cls):
        cls.robot = FakeRobot()
        rospy.wait_for_service("/roi_sampler/sample", timeout=60)
        rospy.wait_for_service("/grasp_sampler/sample", timeout=60)

    def setUp(self):
        self.robot.behave()

    def sample_region(self, arm="left"):
        return call_service("/roi_sampler/sample", SampleRegion, SampleRegionRequest(arm=arm), ANSWER_TIMEOUT)

    def reset_background(self):
        return call_service("/roi_sampler/reset_background", Trigger, TriggerRequest(), ANSWER_TIMEOUT)

    def sample_grasp(self, arm="left"):
        region = Region(arm=arm)
        region.center.x, region.center.y, region.center.z = 0.7, 0.25, TABLE_Z
        region.outline = [conversions.Point32(x, y, TABLE_Z) for x, y in ((0.67, 0.22), (0.73, 0.22), (0.7, 0.28))]
        return call_service("/grasp_sampler/sample", SampleGrasp, SampleGraspRequest(region=region), ANSWER_TIMEOUT)

    def assert_fault(self, answer, *words):
        self.assertEqual(answer.outcome, "SENSOR_FAULT", answer.message)
        for word in words:
            self.assertIn(word, answer.message)

    def hover(self):
        """Bring the left hand 25 cm above the box."""
        kinematics = Kinematics(RobotModel(load_urdf()), "left")
        self.robot.joints["left"] = kinematics.ik(top_down_pose(0.7, 0.25, TABLE_Z + 0.25, 0.4))[0]
        return kinematics.T_base_camera(self.robot.joints["left"])

    # Named so that it runs first: the node has learnt nothing yet

    def test_0_without_a_background(self):
        self.assert_fault(self.sample_region(), "clear the table", "reset_background")

    def test_kinect_sends_nothing(self):
        self.robot.silent = set(KINECT_TOPICS)
        self.assert_fault(self.sample_region(), KINECT_TOPICS[0], "is the camera running")

    def test_kinect_sends_no_depth(self):
        self.robot.silent = {KINECT_TOPICS[2]}
        self.assert_fault(self.sample_region(), KINECT_TOPICS[2], "depth stream")

    def test_kinect_sends_no_camera_info(self):
        # the node has it only while it listens, so a silent topic is seen at once
        self.robot.silent = {KINECT_TOPICS[1]}
        self.assert_fault(self.sample_region(), KINECT_TOPICS[1], "calibrated")

    def test_kinect_stamps_are_stale(self):
        self.robot.stamp_offset = -100.0
        self.assert_fault(self.sample_region(), KINECT_TOPICS[0], "stale", "clock")

    def test_kinect_encoding_is_wrong(self):
        self.robot.encoding = "16UC1"
        self.assert_fault(self.sample_region(), KINECT_TOPICS[0], "'16UC1'", "bgr8", "driver")

    def test_kinect_size_is_wrong(self):
        self.robot.crop = 80
        self.assert_fault(self.sample_region(), "400 x 270", "480 x 270", KINECT_TOPICS[1])

    def test_robot_sends_no_joint_states(self):
        self.robot.silent = {"/robot/joint_states"}
        self.assert_fault(self.sample_region(), "/robot/joint_states", "is the robot running")

    def test_wrist_camera_sends_nothing(self):
        self.robot.silent = set(WRIST_TOPICS)
        self.assert_fault(self.sample_grasp(), WRIST_TOPICS[0], "is the camera running")

    def test_wrist_stamps_are_stale(self):
        self.robot.stamp_offset = -5.0
        self.assert_fault(self.sample_grasp(), WRIST_TOPICS[0], "stale")

    def test_wrist_encoding_is_wrong(self):
        self.robot.encoding = "16UC1"
        self.assert_fault(self.sample_grasp(), WRIST_TOPICS[0], "'16UC1'")

    def test_wrist_size_is_wrong(self):
        self.robot.crop = 640
        self.assert_fault(self.sample_grasp(), "640 x 800", "1280 x 800")

    def test_unknown_arm(self):
        with self.assertRaisesRegex(CallFailed, "'middle' is unknown; choose from left, right"):
            self.sample_region("middle")
        with self.assertRaisesRegex(CallFailed, "'middle' is unknown; choose from left, right"):
            self.sample_grasp("middle")

    def test_a_table_that_is_not_empty_is_not_learnt(self):
        self.robot.box = BOX
        answer = self.reset_background()
        self.assertFalse(answer.success)
        self.assertIn("the table is not empty", answer.message)

    def test_an_arm_over_the_table_is_not_learnt(self):
        self.hover()
        answer = self.reset_background()
        self.assertFalse(answer.success)
        self.assertRegex(answer.message, "arms cover .* % of the table")

    def test_regions(self):
        answer = self.reset_background()
        self.assertTrue(answer.success, answer.message)
        self.assertEqual(self.sample_region().outcome, "NO_OBJECTS")
        self.robot.box = BOX
        answer = self.sample_region("left")
        self.assertEqual(answer.outcome, "SUCCESS", answer.message)
        self.assertEqual(answer.region.arm, "left")
        self.assertAlmostEqual(answer.region.center.x, 0.70, delta=0.02)
        self.assertAlmostEqual(answer.region.center.y, 0.25, delta=0.02)
        self.assertAlmostEqual(answer.region.height, 0.03, delta=0.01)
        self.assertEqual(answer.camera_info.K[0], 265.0)
        self.assertEqual(conversions.image_from_compressed(answer.image).shape, (270, 480, 3))
        answer = self.sample_region("right")
        self.assertEqual(answer.outcome, "UNREACHABLE")
        self.assertIn("right", answer.message)

    def test_the_background_is_kept_for_a_restart_but_not_for_the_next_session(self):
        with tempfile.TemporaryDirectory() as folder:
            file = f"{folder}/collection/background.npz"
            with self.another_sampler(file, "monday") as call:
                answer = call("reset_background", Trigger, TriggerRequest())
                self.assertTrue(answer.success, answer.message)
            with self.another_sampler(file, "monday") as call:
                self.assertEqual(call("sample", SampleRegion, SampleRegionRequest(arm="left")).outcome, "NO_OBJECTS")
            with self.another_sampler(file, "tuesday") as call:
                answer = call("sample", SampleRegion, SampleRegionRequest(arm="left"))
                self.assert_fault(answer, "clear the table", "reset_background")

    @contextlib.contextmanager
    def another_sampler(self, file, session):
        """Run a roi_sampler beside the test's own; gives a function that calls its services."""
        code = "from grasp_learning.ros.roi_sampler import main; main()"
        arguments = ["__name:=another", f"_background_file:={file}", f"_session:={session}", "_background_pictures:=3"]
        remaps = [f"~{name}:={topic}" for name, topic in zip(("color", "camera_info", "depth"), KINECT_TOPICS)]
        node = subprocess.Popen([sys.executable, "-c", code, *arguments, *remaps])
        try:
            rospy.wait_for_service("/another/sample", timeout=60)
            yield lambda name, kind, request: call_service(f"/another/{name}", kind, request, ANSWER_TIMEOUT)
        finally:
            node.terminate()
            node.wait(30)

    def test_region_overlay(self):
        self.assertTrue(self.reset_background().success)
        self.robot.box = BOX
        image = self.overlay_of("/roi_sampler/overlay", self.sample_region)
        self.assertEqual(image.shape, (270, 480, 3))
        self.assertGreater((image == (255, 128, 0)).all(axis=2).sum(), 20)  # the left arm's colour

    def test_grasp(self):
        T_base_camera = self.hover()
        self.robot.encoding = "bgra8"  # as Baxter's own wrist cameras
        answer = self.sample_grasp()
        self.assertEqual(answer.outcome, "SUCCESS", answer.message)
        grasp = answer.grasp
        self.assertTrue(0.67 <= grasp.x <= 0.73 and 0.22 <= grasp.y <= 0.28)
        self.assertAlmostEqual(grasp.z, TABLE_Z + 0.012)
        pixel = WRIST.base_to_pixels([(grasp.x, grasp.y, TABLE_Z)], T_base_camera)[0]
        self.assertLess(np.abs(pixel - (grasp.u, grasp.v)).max(), 1.0)
        self.assertEqual(grasp.patch_size, 378)
        self.assertEqual(answer.image.header.stamp, grasp.header.stamp)
        self.assertEqual(conversions.image_from_compressed(answer.image).shape, (800, 1280, 3))

    def test_a_region_out_of_the_wrist_cameras_view_is_unreachable(self):
        answer = self.sample_grasp()  # the arm is at neutral, beside the table
        self.assertEqual(answer.outcome, "UNREACHABLE", answer.message)

    def test_grasp_overlay(self):
        self.hover()
        image = self.overlay_of("/grasp_sampler/overlay", self.sample_grasp)
        self.assertEqual(image.shape, (800, 1280, 3))
        self.assertGreater((image == (0, 0, 255)).all(axis=2).sum(), 50)

    def overlay_of(self, topic, sample):
        came, images = threading.Event(), []

        def keep(message):
            images.append(conversions.image_from_msg(message))
            came.set()

        subscriber = rospy.Subscriber(topic, Image, keep, queue_size=1)
        try:
            for _ in range(5):  # the first samples may be over before the connection stands
                self.assertEqual(sample().outcome, "SUCCESS")
                if came.wait(1.0):
                    return images[-1]
            self.fail(f"nothing came on {topic}")
        finally:
            subscriber.unregister()

    def test_wrong_parameters_end_the_nodes_with_the_key_and_the_choices(self):
        self.assert_refused("roi_sampler", "_jpeg_quality:=0", "key 'jpeg_quality' is 0")
        self.assert_refused("roi_sampler", "_calibration:=/nowhere.yaml", "/nowhere.yaml: cannot be read")
        self.assert_refused("grasp_sampler", "_mode:=bset", "'bset' is unknown; choose from best, random, staged")
        self.assert_refused("grasp_sampler", "_mode:=staged", "key 'model' is empty: mode 'staged' needs a checkpoint")

    def assert_refused(self, node, argument, words):
        code = f"from grasp_learning.ros.{node} import main; main()"
        arguments = [sys.executable, "-c", code, f"__name:={node}_{abs(hash(argument))}", argument]
        done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn(words, done.stdout.decode())


if __name__ == "__main__":
    rospy.init_node("perception_test")
    rostest.rosrun("grasp_learning", "perception", PerceptionTest)
