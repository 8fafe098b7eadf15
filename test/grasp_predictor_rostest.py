#!/usr/bin/env python3
"""The predictor over ROS: it always answers, whatever comes in, and a model is swapped under way."""

import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

import numpy as np
import rospy
import rostest
from bag_samples import picture
from fake_nodes import Node, wait_for
from model_samples import save_model
from perception_rostest import TABLE_Z, WRIST, WRIST_TOPICS, FakeRobot
from sensor_msgs.msg import Image, RegionOfInterest

from grasp_learning.geometry import angle_difference, base_angle_to_image, top_down_pose
from grasp_learning.motion.kinematics import Kinematics, RobotModel
from grasp_learning.robot_description import load_urdf
from grasp_learning.ros import conversions
from grasp_learning.ros.calls import call_service
from grasp_learning.srv import LoadModel, LoadModelRequest, PredictGrasp, PredictGraspRequest

ANSWER_TIMEOUT = 60.0  # s; the node's own deadlines are shorter, but the machine may be busy
PARAMETERS = {
    "timeouts": {"ros": 1.5, "wall": 4.0},
    "predictor": {"places": {"count": 40}, "dense": {"refinement": 1, "rescored": 12}, "count": 5},
}
SMALL = picture(320, 200, np.random.default_rng(0))


def predict(image=None, **request):
    message = PredictGraspRequest(**request)
    if image is not None:
        message.image = image if isinstance(image, Image) else conversions.image_to_msg(image, "bgr8", 2.5, "optical")
    return call_service("/grasp_predictor/predict", PredictGrasp, message, ANSWER_TIMEOUT)


def load(path):
    return call_service("/grasp_predictor/load_model", LoadModel, LoadModelRequest(str(path)), ANSWER_TIMEOUT)


def changed(**fields):
    """The small picture as a message, some of whose fields lie."""
    message = conversions.image_to_msg(SMALL, "bgr8", 2.5, "optical")
    for name, value in fields.items():
        setattr(message, name, value)
    return message


class GraspPredictorTest(unittest.TestCase):
    """One node for all tests; it starts without a model."""

    @classmethod
    def setUpClass(cls):
        cls.robot = FakeRobot()
        cls._temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls._temporary.name)
        cls.node = Node("grasp_predictor", PARAMETERS)
        rospy.wait_for_service("/grasp_predictor/predict", ANSWER_TIMEOUT)
        cls.unready = [predict(SMALL), load(cls.folder / "missing.safetensors")]
        cls.models = [cls.folder / f"stage{stage}.safetensors" for stage in (0, 1)]
        cls.sums = [save_model(path, seed=stage, stage=stage) for stage, path in enumerate(cls.models)]
        cls.loaded = load(cls.models[0])

    @classmethod
    def tearDownClass(cls):
        cls.node.close()
        cls._temporary.cleanup()

    def setUp(self):
        self.robot.behave()
        self.robot.wrist = picture(1280, 800, np.random.default_rng(1))
        self.assertIsNone(self.node.process.poll(), self.node.output)

    def hover(self):
        """Bring the left hand 25 cm above the table; T_base_camera."""
        kinematics = Kinematics(RobotModel(load_urdf()), "left")
        self.robot.joints["left"] = kinematics.ik(top_down_pose(0.7, 0.25, TABLE_Z + 0.25, 0.4))[0]
        return kinematics.T_base_camera(self.robot.joints["left"])

    def test_before_there_is_a_model_the_answer_says_so(self):
        answer, failed = self.unready
        self.assertEqual(answer.outcome, "ABORTED")
        self.assertIn("no model is loaded", answer.message)
        self.assertFalse(failed.success)
        self.assertIn("missing.safetensors", failed.message)
        self.assertEqual(failed.model_sha256, "")
        self.assertTrue(self.loaded.success, self.loaded.message)
        self.assertEqual(self.loaded.model_sha256, self.sums[0])

    def test_a_picture_gets_ranked_grasps_without_poses(self):
        answer = predict(SMALL)
        self.assertEqual(answer.outcome, "SUCCESS", answer.message)
        self.assertEqual((answer.model, answer.model_sha256), ("stage0.safetensors", self.sums[0]))
        self.assertEqual((answer.stage, len(answer.grasps)), (0, 5))
        self.assertGreater(answer.latency, 0.0)
        scores = [grasp.score for grasp in answer.grasps]
        self.assertEqual(scores, sorted(scores, reverse=True))
        for grasp in answer.grasps:
            self.assertEqual((grasp.header.stamp.to_sec(), grasp.header.frame_id), (2.5, "optical"))
            self.assertEqual(grasp.patch_size, 94)  # 0.295 of the width
            self.assertEqual(int(np.argmax(grasp.probabilities)), grasp.bin)
            self.assertAlmostEqual(max(grasp.probabilities), grasp.score, places=5)
            self.assertAlmostEqual(grasp.theta_image, grasp.bin * np.pi / 18)
            self.assertFalse(grasp.pose_known)

    def test_the_camera_gives_grasps_with_poses(self):
        T_base_camera = self.hover()
        self.robot.encoding = "bgra8"  # as Baxter's own wrist cameras
        answer = predict(count=3)
        self.assertEqual((answer.outcome, len(answer.grasps)), ("SUCCESS", 3), answer.message)
        for grasp in answer.grasps:
            self.assertTrue(grasp.pose_known)
            self.assertEqual((grasp.pose.header.frame_id, grasp.patch_size), ("base", 378))
            position, q = grasp.pose.pose.position, grasp.pose.pose.orientation
            self.assertAlmostEqual(position.z, TABLE_Z + 0.012)
            middle = (position.x, position.y, TABLE_Z + 0.025)  # half-way up an object of 5 cm
            pixel = WRIST.base_to_pixels([middle], T_base_camera)[0]
            self.assertLess(np.abs(pixel - (grasp.u, grasp.v)).max(), 0.01)
            self.assertLess(angle_difference(base_angle_to_image(grasp.theta, T_base_camera), grasp.theta_image), 0.01)
            # the fingers close along the gripper's y axis
            y_axis = (2 * (q.x * q.y - q.w * q.z), 1 - 2 * (q.x**2 + q.z**2))
            self.assertLess(angle_difference(np.arctan2(y_axis[1], y_axis[0]), grasp.theta), 1e-6)

    def test_rosservice_call_as_in_the_manual(self):
        self.hover()
        command = ["rosservice", "call", "/grasp_predictor/predict", "{}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_TIMEOUT, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('outcome: "SUCCESS"', done.stdout)

    def test_points_lie_in_the_region(self):
        answer = predict(SMALL, region=RegionOfInterest(x_offset=100, y_offset=60, width=80, height=50), patches=20)
        self.assertEqual(answer.outcome, "SUCCESS", answer.message)
        for grasp in answer.grasps:
            self.assertTrue(100 <= grasp.u <= 179 and 60 <= grasp.v <= 109, (grasp.u, grasp.v))

    def test_pictures_that_are_none_are_sensor_faults(self):
        for image, told in (
            (changed(width=0, height=0), "0 x 0 picture"),
            (changed(width=0), "0 x 200 picture"),
            (changed(data=b""), "holds 0 bytes"),
            (changed(data=b"x" * 100), "holds 100 bytes"),
            (changed(height=2**32 - 1), "expected"),
            (changed(width=2**31), "rows of 960 bytes"),
            (changed(step=3), "rows of 3 bytes"),
            (changed(encoding="16UC1"), "encoding '16UC1', expected one of bgr8"),
            (changed(encoding="holiday"), "encoding 'holiday'"),
            (changed(encoding="bgra8"), "rows of 960 bytes, expected 1280"),
            (SMALL[:60], "smaller than a patch"),
            (np.full((10, 10, 3), 7, np.uint8), "too small"),
        ):
            answer = predict(image)
            self.assertEqual(answer.outcome, "SENSOR_FAULT", (told, answer.message))
            self.assertIn(told, answer.message)
            self.assertEqual(list(answer.grasps), [])

    def test_where_there_is_nothing_to_look_at(self):
        blank = np.full((200, 320, 3), 128, np.uint8)
        self.assertEqual(predict(blank).outcome, "NO_OBJECTS")
        for region in (
            (1000, 1000, 50, 50),
            (0, 0, 5, 5),
            (2**32 - 1, 2**32 - 1, 2**32 - 1, 2**32 - 1),
            (10, 10, 0, 20),
        ):
            answer = predict(SMALL, region=RegionOfInterest(*region, False))
            self.assertEqual(answer.outcome, "NO_OBJECTS", (region, answer.message))
            self.assertIn("region", answer.message)

    def test_a_question_that_would_fill_the_memory_is_refused(self):
        for request in ({"patches": 2**32 - 1}, {"count": 2**32 - 1}):
            answer = predict(SMALL, **request)
            self.assertEqual(answer.outcome, "SENSOR_FAULT", answer.message)
            self.assertIn("expected at most", answer.message)
        strip = np.random.default_rng(0).integers(0, 255, (60_000, 100, 3), dtype=np.uint8)
        answer = predict(strip)
        self.assertEqual(answer.outcome, "SENSOR_FAULT", answer.message)
        self.assertIn("times a patch", answer.message)

    def test_camera_faults_are_named(self):
        self.robot.silent = {WRIST_TOPICS[0]}
        answer = predict()
        self.assertEqual(answer.outcome, "SENSOR_FAULT")
        self.assertIn("no picture came on /cameras/left_hand_camera/image", answer.message)
        self.robot.silent = {"/robot/joint_states"}
        answer = predict()
        self.assertEqual(answer.outcome, "SENSOR_FAULT")
        self.assertIn("joint states", answer.message)

    def test_a_broken_file_leaves_the_old_model_serving(self):
        served = predict(SMALL).model_sha256
        pickled, short = self.folder / "pickled.pt", self.folder / "short.safetensors"
        pickled.write_bytes(b"\x80\x02weights")
        short.write_bytes(self.models[0].read_bytes()[:1_000_000])
        for path, told in (
            (pickled, "pickled"),
            (short, "truncated"),
            (self.folder, "is no file"),
            ("stage0.safetensors", "no absolute path"),
            ("", "no absolute path"),
        ):
            answer = load(path)
            self.assertFalse(answer.success)
            self.assertIn(told, answer.message)
            self.assertEqual(answer.model_sha256, served)
        self.assertEqual(predict(SMALL).model_sha256, served)

    def test_while_a_model_is_loaded_the_old_one_answers(self):
        answers, done = [], threading.Event()

        def ask():
            while not done.is_set():
                answers.append(predict(SMALL, patches=10))

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        wait_for(lambda: answers, "a first answer", ANSWER_TIMEOUT)
        before = len(answers)
        answer = load(self.models[1])
        self.assertTrue(answer.success, answer.message)
        after = len(answers)
        done.set()
        asking.join(ANSWER_TIMEOUT)
        self.assertEqual({answer.outcome for answer in answers}, {"SUCCESS"})
        self.assertGreater(after, before)
        sums = [answer.model_sha256 for answer in answers]
        self.assertEqual(sums, sorted(sums, key=self.sums.index))  # first the old one, then the new one
        last = predict(SMALL)
        self.assertEqual((last.model_sha256, last.stage, last.model), (self.sums[1], 1, "stage1.safetensors"))
        self.assertTrue(load(self.models[0]).success)

    def test_the_overlay_waits_for_who_looks_later(self):
        self.assertEqual(predict(SMALL).outcome, "SUCCESS")
        seen = rospy.wait_for_message("/grasp_predictor/overlay", Image, ANSWER_TIMEOUT)
        drawn = conversions.image_from_msg(seen)
        self.assertEqual(drawn.shape, SMALL.shape)
        self.assertGreater((drawn == (0, 255, 0)).all(axis=2).sum(), 5)

    def test_a_start_that_cannot_work_ends_with_a_clear_line(self):
        for name, parameters, told in (
            ("model", {"model": str(self.folder / "missing.safetensors")}, "missing.safetensors: cannot be read"),
            ("key", {"camera": "head"}, "key 'camera' is 'head'"),
        ):
            code = "from grasp_learning.ros.grasp_predictor import main; main()"
            arguments = [f"_{key}:={value}" for key, value in parameters.items()]
            command = ["python3", "-c", code, f"__name:=broken_{name}", *arguments]
            done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_TIMEOUT, check=False)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn(told, done.stderr)
            self.assertNotIn("Traceback", done.stderr)


if __name__ == "__main__":
    rospy.init_node("grasp_predictor_rostest")
    rostest.rosrun("grasp_learning", "grasp_predictor", GraspPredictorTest)
