#!/usr/bin/env python3
"""The recorder with a robot that publishes at 100 Hz: full rate, exact interval, and no loss when it is killed.

The node is started here and not by the launch file, since the tests kill it and want its exit code.
"""

import hashlib
import json
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

import numpy as np
import rosbag
import rospy
import rostest
from bag_samples import (
    camera_info,
    compressed,
    endpoint_state,
    gripper_state,
    joint_state,
    picture,
    trial_message,
)
from baxter_core_msgs.msg import EndEffectorState, EndpointState
from sensor_msgs.msg import JointState

from grasp_learning.bags import read_picture
from grasp_learning.msg import GraspPrior
from grasp_learning.srv import RecordTrial, RecordTrialRequest
from grasp_learning.storage import faults_of, load_info, missing_of, trials_of

NODE = Path(__file__).resolve().parent.parent / "nodes" / "trial_recorder"
DEADLINE = 30.0  # s, wall clock, of everything that is waited for
JOINTS = "/robot/joint_states"
ENDPOINT = "/robot/limb/{}/endpoint_state"
GRIPPER = "/robot/end_effector/{}_gripper/state"


def wait_for(condition, what):
    """Wait until a condition holds."""
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {DEADLINE} s")
        time.sleep(0.01)


class FakeRobot:
    """Publishes both arms' topics at 100 Hz; remembers the time just before each joint state was sent."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.sent = []
        self._topics = [(rospy.Publisher(JOINTS, JointState, queue_size=100), joint_state)]  # then left, then right
        for arm in ("left", "right"):
            state = rospy.Publisher(ENDPOINT.format(arm), EndpointState, queue_size=100)
            gripper = rospy.Publisher(GRIPPER.format(arm), EndEffectorState, queue_size=100)
            self._topics += [(state, endpoint_state), (gripper, gripper_state)]
        self._rng = rng
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        rate = rospy.Rate(100)
        while not rospy.is_shutdown():
            now = rospy.get_time()
            for publisher, make in self._topics:
                publisher.publish(make(now, self._rng))
            self.sent.append(now)
            rate.sleep()

    def wait_for_listener(self, arms):
        """Wait until a recorder listens to all it should, and a little was said since."""
        topics = self._topics if arms == "both" else self._topics[:3]
        wait_for(lambda: all(publisher.get_num_connections() for publisher, _ in topics), "connections")
        said = len(self.sent)
        wait_for(lambda: len(self.sent) > said + 20, "messages")


class TrialRecorderTest(unittest.TestCase):
    """Each test has a folder of its own and starts its own recorder."""

    @classmethod
    def setUpClass(cls):
        cls.robot = FakeRobot()
        cls.pictures = picture(1280, 800, np.random.default_rng(1))

    def setUp(self):
        self._temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self._temporary.name) / "data"
        self.recorder = None

    def tearDown(self):
        self.stop()
        self._temporary.cleanup()

    def start(self, wait=True, **parameters):
        values = {"data": str(self.folder), "robot": "sim", "arms": "both", "minimum_free_gb": 0.0, **parameters}
        if rospy.has_param("/trial_recorder"):
            rospy.delete_param("/trial_recorder")
        rospy.set_param("/trial_recorder", values)
        self.recorder = subprocess.Popen(
            [sys.executable, str(NODE), "__name:=trial_recorder"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        if wait:
            rospy.wait_for_service("/trial_recorder/record", DEADLINE)
            self.robot.wait_for_listener(values["arms"])
            self.record = rospy.ServiceProxy("/trial_recorder/record", RecordTrial)

    def stop(self, how=signal.SIGINT):
        if self.recorder is not None:
            self.recorder.send_signal(how)
            errors = self.recorder.communicate(timeout=DEADLINE)[1]
            self.recorder = None
            return errors
        return ""

    def request(self, arm="left", outcome="SUCCESS", seconds=1.5):
        """A trial that ended just now."""
        end = rospy.get_time()
        request = RecordTrialRequest(trial=trial_message(end - seconds, end, arm, outcome))
        request.trial.start, request.trial.end = rospy.Time.from_sec(end - seconds), rospy.Time.from_sec(end)
        for name in ("kinect_image", "approach_image", "before_lift_image", "after_lift_image"):
            setattr(request, name, compressed(self.pictures, end - seconds / 2))
        request.kinect_info = camera_info(1920, 1080, end - seconds / 2)
        request.wrist_info = camera_info(1280, 800, end - seconds / 2)
        return request

    def record_after(self, seconds=1.5, **changes):
        """Let a trial's time pass, then record it."""
        said = self.robot.sent[-1]
        wait_for(lambda: self.robot.sent[-1] > said + seconds + 0.2, "the trial's time")
        request = self.request(seconds=seconds, **changes)
        return request, self.record(request)

    def test_a_trial_is_recorded_at_full_rate_within_its_interval(self):
        self.start()
        request, answer = self.record_after(seconds=2.5)
        self.assertTrue(answer.success, answer.message)
        self.assertEqual((answer.number, answer.path), (1, str(self.folder / "bags/000001_left.bag")))
        start, end = request.trial.start.to_sec(), request.trial.end.to_sec()
        with rosbag.Bag(answer.path) as bag:
            messages = [(topic, message, stamp.to_sec()) for topic, message, stamp in bag.read_messages()]
        self.assertTrue(all(start <= stamp <= end for _, _, stamp in messages))
        topics = {topic for topic, _, _ in messages}
        self.assertIn(ENDPOINT.format("left"), topics)
        self.assertNotIn(ENDPOINT.format("right"), topics)
        self.assertNotIn(GRIPPER.format("right"), topics)
        # what was sent well within the interval was received within it, even on a busy machine
        sent = {round(time, 6) for time in self.robot.sent if start + 0.001 < time < end - 1.0}
        for topic in (JOINTS, ENDPOINT.format("left")):
            recorded = {round(m.header.stamp.to_sec(), 6) for name, m, _ in messages if name == topic}
            self.assertLessEqual(sent, recorded)
        trial = next(message for topic, message, _ in messages if topic == "trial")
        self.assertEqual((trial.number, trial.arm, trial.outcome, trial.grasp.bin), (1, "left", "SUCCESS", 6))
        for name in ("approach", "before_lift", "after_lift"):
            image = read_picture(answer.path, f"/cameras/left_hand_camera/{name}/compressed")
            self.assertEqual(image.shape, (800, 1280, 3))
        self.assertIn("/kinect2/hd/image_color/compressed", topics)
        self.assertLess({"/kinect2/hd/camera_info", "/cameras/left_hand_camera/camera_info"}, topics)
        (line,) = trials_of(self.folder)
        self.assertEqual((line["number"], line["truth_object"], line["score"]), (1, "mug_03", None))

    def test_attempts_without_a_label_are_counted_only(self):
        self.start()
        answer = self.record(self.request(outcome="UNREACHABLE"))
        self.assertTrue(answer.success, answer.message)
        self.assertEqual((answer.number, answer.path), (0, ""))
        self.assertEqual([fault["outcome"] for fault in faults_of(self.folder)], ["UNREACHABLE"])
        self.assertEqual(list(trials_of(self.folder)), [])

    def test_a_trial_that_is_sent_twice_is_written_once(self):
        self.start()
        labelled, attempt = self.request(), self.request(arm="right", outcome="UNREACHABLE")
        answers = []
        senders = [
            threading.Thread(target=lambda r=r: answers.append((r, self.record(r)))) for r in [labelled, attempt] * 3
        ]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(DEADLINE)
        self.assertEqual(sorted(answer.number for _, answer in answers), [0, 0, 0, 1, 1, 1])
        self.assertTrue(all(answer.success for _, answer in answers))
        self.assertEqual([line["number"] for line in trials_of(self.folder)], [1])
        self.assertEqual(len(list(faults_of(self.folder))), 1)
        self.assertEqual(self.record(self.request()).number, 2)

    def test_what_does_not_belong_here_is_refused_with_the_reason(self):
        self.start(arms="left")
        wrong = [
            (self.request(arm="right"), "arm is 'right', this collection's is 'left'"),
            (self.request(outcome="GREAT"), "GREAT"),
            (self.request(seconds=-1.0), "before it starts"),
        ]
        staged, blind = self.request(), self.request()
        staged.trial.mode, blind.approach_image.data = "staged", b""
        wrong += [(staged, "mode is 'staged'"), (blind, "approach picture")]
        for request, told in wrong:
            answer = self.record(request)
            self.assertFalse(answer.success)
            self.assertIn(told, answer.message)
        self.assertEqual(self.record(self.request()).number, 1)

    def test_a_guided_trial_is_recorded_with_its_model_and_its_prior(self):
        model = Path(self._temporary.name) / "stage0.safetensors"
        model.write_bytes(b"weights")
        self.start(mode="staged", stage=1, model=str(model))
        info = load_info(self.folder)
        self.assertEqual((info.mode, info.stage, info.model), ("staged", 1, "stage0.safetensors"))
        self.assertEqual(info.model_sha256, hashlib.sha256(b"weights").hexdigest())
        request = self.guided_request(info.model_sha256)
        answer = self.record(request)
        self.assertTrue(answer.success, answer.message)
        with rosbag.Bag(answer.path) as bag:
            ((topic, prior, stamp),) = bag.read_messages("prior")
        self.assertEqual((list(prior.u), list(prior.v), prior.bin), ([1.0, 2.0], [3.0, 4.0], 4))
        self.assertEqual(stamp, request.prior.header.stamp)
        (line,) = trials_of(self.folder)
        self.assertEqual((line["model"], line["model_sha256"]), ("stage0.safetensors", info.model_sha256))

    def guided_request(self, sha256):
        request = self.request()
        request.trial.mode, request.trial.stage = "staged", 1
        request.trial.model, request.trial.model_sha256 = "stage0.safetensors", sha256
        prior = GraspPrior(u=[1.0, 2.0], v=[3.0, 4.0], probabilities=[0.5] * 36, place=1, bin=4, model_sha256=sha256)
        prior.header.stamp = request.approach_image.header.stamp
        request.prior = prior
        return request

    def test_a_label_of_another_model_or_with_a_broken_prior_is_refused(self):
        model = Path(self._temporary.name) / "stage0.safetensors"
        model.write_bytes(b"weights")
        self.start(mode="staged", stage=1, model=str(model))
        other, none, broken = (self.guided_request(load_info(self.folder).model_sha256) for _ in range(3))
        other.prior.model_sha256 = "f" * 64
        none.prior = GraspPrior()
        broken.prior.probabilities = [0.5] * 35
        for request, told in ((other, "the model ffffffffffff"), (none, "with no model"), (broken, "35 probabilities")):
            answer = self.record(request)
            self.assertFalse(answer.success)
            self.assertIn(told, answer.message)
        self.assertEqual(list(trials_of(self.folder)), [])

    def test_a_robot_that_was_silent_is_told(self):
        self.start()
        answer = self.record(self.request(seconds=60.0))
        self.assertTrue(answer.success)
        self.assertRegex(answer.message, JOINTS + r" was silent for \d+\.\d\d s, 0\.00 s into the trial")

    def test_a_disk_that_fills_up_loses_only_the_trial_at_hand(self):
        self.start()
        resource.prlimit(self.recorder.pid, resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
        small, large, another = self.request(), self.request(), self.request()
        large.kinect_image.data = np.random.default_rng(0).bytes(2_500_000)
        numbers = []
        for request in (small, large, another):
            answer = self.record(request)
            numbers.append(answer.number)
            if request is large:
                self.assertFalse(answer.success)
                self.assertIn("free some space", answer.message)
        self.assertEqual(numbers, [1, 0, 3])
        self.assertEqual([line["number"] for line in trials_of(self.folder)], [1, 3])
        self.assertEqual(
            sorted(path.name for path in (self.folder / "bags").iterdir() if path.is_file()),
            ["000001_left.bag", "000003_left.bag"],
        )

    def test_kill_9_while_writing_loses_at_most_the_trial_in_flight(self):
        rng = np.random.default_rng(5)
        acknowledged = []
        for _ in range(3):
            self.start()
            request = self.request()
            kill = threading.Timer(rng.uniform(0.1, 0.6), self.recorder.kill)
            kill.start()
            try:
                while True:
                    request.trial.start += rospy.Duration.from_sec(1e-3)  # another trial
                    acknowledged.append(self.record(request).number)
            except rospy.ServiceException:
                kill.join()
            self.recorder.communicate(timeout=DEADLINE)
            lines = [line["number"] for line in trials_of(self.folder)]
            self.assertLessEqual(set(acknowledged), set(lines))
            self.assertLessEqual(len(lines), len(acknowledged) + 3)
        self.start()
        answer = self.record(self.request())
        self.assertGreater(answer.number, max(acknowledged))
        self.assertEqual(missing_of(self.folder), [])
        lines = list(trials_of(self.folder))
        self.assertEqual(len({line["number"] for line in lines}), len(lines))
        for line in lines:
            with rosbag.Bag(str(self.folder / line["bag"])) as bag:
                (number,) = [message.number for _, message, _ in bag.read_messages("trial")]
            self.assertEqual(number, line["number"])

    def assert_start_fails(self, told, **parameters):
        self.start(wait=False, **parameters)
        errors = self.recorder.communicate(timeout=DEADLINE)[1]
        code, self.recorder = self.recorder.returncode, None
        self.assertEqual(code, 1, errors)
        self.assertIn(told, errors)
        self.assertNotIn("Traceback", errors)

    def test_a_start_that_cannot_work_ends_with_a_clear_line(self):
        self.folder.mkdir()
        (self.folder / "thesis.tex").write_text("x")
        self.assert_start_fails(f"{self.folder}: holds files but no collection.yaml")
        self.assert_start_fails("key 'arms' is 'three'", arms="three")
        self.assert_start_fails("cannot be read", data=str(self.folder / "new"), calibration="/nowhere/sim.yaml")
        self.assert_start_fails(
            "m.safetensors: the model cannot be read", data=str(self.folder / "new"), model="/m.safetensors"
        )
        self.assert_start_fails("GB wanted", data=str(self.folder / "new"), minimum_free_gb=1e9)
        self.assertFalse((self.folder / "new" / "collection.yaml").exists())

    def test_a_stopped_recorder_leaves_the_folder_free_and_ends_cleanly(self):
        self.start(seed=3, planner="ompl")
        self.record(self.request())
        self.recorder.send_signal(signal.SIGINT)
        self.recorder.communicate(timeout=DEADLINE)
        self.assertEqual(self.recorder.returncode, 0)
        self.start()
        self.assertEqual(self.record(self.request()).number, 2)
        lines = (self.folder / "trials.jsonl").read_text().splitlines()
        self.assertEqual([json.loads(line)["run"] for line in lines], [1, 2])


if __name__ == "__main__":
    rospy.init_node("trial_recorder_rostest")
    rostest.rosrun("grasp_learning", "trial_recorder_test", TrialRecorderTest)
