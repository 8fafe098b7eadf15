#!/usr/bin/env python3
"""A collection whose grasps a model chooses: what is recorded of it, and what is refused before anything moves."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import rosbag
import rospy
import rostest
from bag_samples import picture
from fake_nodes import CALIBRATION, NODES, FakeNodes, Node
from model_samples import save_model
from perception_rostest import TABLE_Z, FakeRobot

from grasp_learning.config import ConfigError
from grasp_learning.geometry import top_down_pose
from grasp_learning.motion.kinematics import Kinematics, RobotModel
from grasp_learning.msg import GraspPrior, Region
from grasp_learning.robot_description import load_urdf
from grasp_learning.ros import conversions
from grasp_learning.ros.calls import call_service
from grasp_learning.ros.collector import CollectorSettings, check_folder, check_model
from grasp_learning.srv import SampleGrasp, SampleGraspRequest
from grasp_learning.storage import Collection, CollectionInfo, faults_of, load_info, trials_of
from grasp_learning.storage_errors import CollectionError

PATIENCE = 180.0  # s, wall clock: PyTorch and a model are loaded on a busy machine
PREDICTOR = {"places": {"count": 40}, "dense": {"rescored": 4}}
QUICK = {"sample": 2.0, "approach": 3.0, "pick": 3.0, "motion_wall": 5.0, "record": 5.0, "simulator": 5.0}


class StagedCollectTest(unittest.TestCase):
    """Each test has a folder of its own and starts its own nodes."""

    @classmethod
    def setUpClass(cls):
        cls.world, cls.robot = FakeNodes(), FakeRobot()
        cls._temporary = tempfile.TemporaryDirectory()
        cls.models = Path(cls._temporary.name)
        cls.model, cls.other = cls.models / "stage0.safetensors", cls.models / "other.safetensors"
        cls.sum, cls.other_sum = save_model(cls.model), save_model(cls.other, seed=1)

    @classmethod
    def tearDownClass(cls):
        cls._temporary.cleanup()

    def setUp(self):
        self.world.reset()
        self.world.prior = self.prior(self.sum)
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name) / "data"

    def prior(self, sha256):
        probabilities = np.linspace(0, 1, 54).tolist()
        prior = GraspPrior(model="stage0.safetensors", model_sha256=sha256, patch_size=60, place=2, bin=17)
        prior.u, prior.v, prior.probabilities = [100.0, 150.0, 160.0], [90.0, 95.0, 100.0], probabilities
        return prior

    def collect(self, recorder=True, **parameters):
        kind = {"mode": "staged", "stage": 1, "model": str(self.model), "data": str(self.folder), "arms": "left"}
        if recorder:
            node = Node("trial_recorder", {**kind, "robot": "sim", "objects": "test", "minimum_free_gb": 0.0})
            self.addCleanup(node.close)
        values = {
            "simulator": "/fake_sim",
            "attended": False,
            "calibration": str(CALIBRATION),
            "trials": 2,
            "fault_pause": 0.05,
            "start_timeout": PATIENCE,
            "deadlines": QUICK,
            **kind,
            **parameters,
        }
        collector = Node("collector", values)
        self.addCleanup(collector.close)
        code = collector.wait(PATIENCE)
        if recorder:
            node.close()  # the next one of the test writes into the same folder
        return collector, code

    def test_every_trial_records_the_model_the_stage_and_the_prior(self):
        answers = iter(["PLANNING_FAILED"])
        self.world.approach["left"] = lambda arm: next(answers, "SUCCESS")
        collector, code = self.collect()
        self.assertEqual(code, 0, collector.output)
        info = load_info(self.folder)
        self.assertEqual(
            (info.mode, info.stage, info.model, info.model_sha256), ("staged", 1, self.model.name, self.sum)
        )
        self.assertEqual(info.objects, "test")
        trials = list(trials_of(self.folder))
        self.assertEqual(len(trials), 2)
        for line in trials:
            self.assertEqual((line["mode"], line["stage"], line["model_sha256"]), ("staged", 1, self.sum))
            with rosbag.Bag(str(self.folder / line["bag"])) as bag:
                ((_, prior, _),) = bag.read_messages("prior")
                ((_, trial, _),) = bag.read_messages("trial")
            self.assertEqual((prior.place, prior.bin, len(prior.probabilities)), (2, 17, 54))
            self.assertEqual((trial.model, trial.model_sha256), (self.model.name, self.sum))
        self.assertEqual([fault["stage"] for fault in faults_of(self.folder)], [1])

    def test_a_grasp_of_another_model_is_no_trial_of_this_collection(self):
        self.world.prior = self.prior(self.other_sum)
        collector, code = self.collect(max_consecutive_faults=2)
        self.assertEqual(code, 1, collector.output)
        self.assertIn("was the file replaced?", collector.output)
        self.assertEqual(list(trials_of(self.folder)), [])

    def test_a_model_that_cannot_be_used_is_told_before_anything_moves(self):
        broken = self.models / "broken.safetensors"
        broken.write_bytes(self.model.read_bytes()[:100_000])
        collector, code = self.collect(recorder=False, model=str(broken))
        self.assertEqual(code, 1)
        self.assertIn("broken.safetensors: ", collector.output)
        self.assertNotIn("Traceback", collector.output)
        self.assertEqual((self.world.layouts, self.world.picks), (0, 0))
        self.assert_refused("/nowhere.safetensors: ", model="/nowhere.safetensors")

    def test_a_folder_of_another_model_or_stage_is_refused(self):
        info = CollectionInfo(
            robot="sim", arms=["left"], mode="staged", stage=1, seed=0, model="m", model_sha256=self.sum
        )
        with Collection(self.folder, info):
            pass
        self.assertEqual(self.check(), 0)
        self.assert_refused("another kind of collection, model_sha256 is", model=str(self.other))
        self.assert_refused("another kind of collection, stage is 1 there and 2 now", stage=2)
        self.assert_refused("another kind of collection, mode is 'staged' there and 'best' now", mode="best")

    def check(self, **parameters):
        """What the collector checks at its start, without a process that imports PyTorch for each case."""
        kind = {"mode": "staged", "stage": 1, "model": str(self.model), "data": str(self.folder), **parameters}
        settings = CollectorSettings(calibration=str(CALIBRATION), **kind)
        return check_folder(settings, check_model(settings))

    def assert_refused(self, told, **parameters):
        with self.assertRaises((ConfigError, CollectionError)) as caught:
            self.check(**parameters)
        self.assertIn(told, str(caught.exception))

    # The sampler

    def start_sampler(self, *arguments):
        rospy.set_param("/guided_sampler", {"predictor": PREDICTOR})
        command = [sys.executable, str(NODES / "grasp_sampler"), "__name:=guided_sampler", *arguments]
        sampler = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

        def close():
            sampler.kill()
            sampler.wait(10)
            sampler.stdout.close()

        self.addCleanup(close)
        return sampler

    def test_the_sampler_answers_with_the_prior_it_chose_from(self):
        self.robot.wrist = picture(1280, 800, np.random.default_rng(1))
        kinematics = Kinematics(RobotModel(load_urdf()), "left")
        self.robot.joints["left"] = kinematics.ik(top_down_pose(0.7, 0.25, TABLE_Z + 0.25, 0.4))[0]
        region = Region(arm="left")
        region.outline = [conversions.Point32(x, y, TABLE_Z) for x, y in ((0.67, 0.22), (0.73, 0.22), (0.7, 0.28))]
        for mode, name in (("staged", "importance"), ("best", "best")):
            sampler = self.start_sampler(f"_mode:={mode}", f"_model:={self.model}")
            rospy.wait_for_service("/guided_sampler/sample", PATIENCE)
            answer = call_service("/guided_sampler/sample", SampleGrasp, SampleGraspRequest(region=region), PATIENCE)
            self.assertEqual(answer.outcome, "SUCCESS", answer.message)
            grasp, prior = answer.grasp, conversions.prior_from_msg(answer.prior)
            self.assertEqual((prior.model, prior.model_sha256, prior.patch_size), (self.model.name, self.sum, 378))
            self.assertEqual(grasp.sampler, name)
            self.assertEqual(answer.prior.header.stamp, answer.image.header.stamp)
            self.assertEqual(prior.bin, grasp.bin)
            np.testing.assert_allclose(prior.places[prior.place], (grasp.u, grasp.v), atol=0.01)
            self.assertAlmostEqual(float(prior.probabilities[prior.place, prior.bin]), grasp.score, places=4)
            drawn = SampleGraspRequest(region=region, draw=True)
            answer = call_service("/guided_sampler/sample", SampleGrasp, drawn, PATIENCE)
            self.assertEqual((answer.outcome, answer.grasp.sampler), ("SUCCESS", "importance"), answer.message)
            sampler.terminate()
            sampler.wait(PATIENCE)

    def test_the_sampler_refuses_a_broken_model_with_one_line(self):
        broken = self.models / "text.safetensors"
        broken.write_text("no weights")
        sampler = self.start_sampler("_mode:=best", f"_model:={broken}")
        printed = sampler.communicate(timeout=PATIENCE)[0]
        self.assertEqual(sampler.returncode, 1, printed)
        self.assertIn("text.safetensors: ", printed)
        self.assertEqual(len(printed.strip().splitlines()), 1, printed)


if __name__ == "__main__":
    rospy.init_node("staged_collect_rostest")
    rostest.rosrun("grasp_learning", "staged_collect", StagedCollectTest)
