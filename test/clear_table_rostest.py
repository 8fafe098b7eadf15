#!/usr/bin/env python3
"""A simulated table is cleared into the bins; an e-stop and a lost object while an arm carries.

The grasps are those of a simple rule, across the short side of the region, so that most of them hold.
"""

import json
import tempfile
import threading
import time
import unittest
from pathlib import Path

import cv2
import numpy as np
import rospy
import rostest
from bag_samples import camera_info, compressed, picture
from fake_nodes import CALIBRATION, Node
from std_srvs.srv import Trigger

from grasp_learning.bins import IN_BIN
from grasp_learning.calibration import load_calibration
from grasp_learning.clearing import CLEARED, read_tables
from grasp_learning.msg import ApproachAction, ApproachGoal, Grasp, GraspPrior, PickAction, PickActionFeedback, PickGoal
from grasp_learning.ros import conversions
from grasp_learning.ros.calls import ActionCaller, call_service
from grasp_learning.srv import (
    PutBackObjects,
    PutBackObjectsRequest,
    QueryObjects,
    QueryObjectsRequest,
    SampleGrasp,
    SampleGraspResponse,
    SampleRegion,
    SampleRegionRequest,
)
from grasp_learning.storage import trials_of

TABLE_Z = load_calibration(CALIBRATION).table.z
PATIENCE = 400.0  # s, wall clock: for a table, on a busy machine
LANDING = 10.0  # s, wall clock: for what was let go to fall into the bin
PLACINGS = 4  # of which one at least ends with an object in the bin
ATTEMPTS = 25  # of which one at least holds an object


def across_the_short_side(region, rng) -> Grasp:
    """A grasp near the middle of a region, whose fingers close across its short side; another one in the next try."""
    outline = region.outline[:, :2].astype(np.float32)
    (x, y), (width, height), angle = cv2.minAreaRect(outline)
    theta = (np.radians(angle + (0.0 if width <= height else 90.0)) + rng.normal(0.0, 0.2)) % np.pi
    x, y = (x, y) + rng.normal(0.0, 0.006, 2)
    grasp = Grasp(arm=region.arm, x=x, y=y, z=TABLE_Z + 0.012, theta=theta, u=160.0, v=100.0, patch_size=60)
    grasp.sampler, grasp.score = "random", float("nan")
    return grasp


class ClearTableTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rng = np.random.default_rng(0)
        cls.picture = compressed(picture(320, 200, np.random.default_rng(0)), 1.0)
        rospy.Service("/grasp_sampler/sample", SampleGrasp, cls.choose)
        cls.approach = ActionCaller("/left/arm_executor/approach", ApproachAction, start_timeout=90.0)
        cls.pick = ActionCaller("/left/arm_executor/pick", PickAction, start_timeout=90.0)
        cls.at_carry = lambda: None
        rospy.Subscriber("/left/arm_executor/pick/feedback", PickActionFeedback, cls.hear)

    @classmethod
    def choose(cls, request):
        grasp = across_the_short_side(conversions.region_from_msg(request.region), cls.rng)
        return SampleGraspResponse("SUCCESS", "", grasp, cls.picture, camera_info(320, 200, 1.0), GraspPrior())

    @classmethod
    def hear(cls, message):
        if message.feedback.phase == "carry":
            threading.Thread(target=cls.at_carry, daemon=True).start()

    def trigger(self, service):
        answer = call_service(f"/baxter_sim/{service}", Trigger, Trigger._request_class(), 60.0)
        self.assertTrue(answer.success, answer.message)
        return answer.message

    def whereabouts(self):
        answer = call_service("/baxter_sim/objects", QueryObjects, QueryObjectsRequest(), 20.0)
        return dict(zip(answer.names, answer.places))

    def assert_no_contact(self):
        self.assertEqual(json.loads(self.trigger("contacts")), {"arms": 0, "surroundings": 0, "bins": 0})

    def carry(self, action):
        """Grasp with the left arm until it holds something; the result of that pick, during which action() was done."""
        type(self).at_carry = staticmethod(action)
        self.addCleanup(setattr, type(self), "at_carry", lambda: None)
        for attempt in range(ATTEMPTS):
            if attempt % 5 == 4:
                self.trigger("scatter")
            request = SampleRegionRequest(arm="left")
            region = call_service("/roi_sampler/sample", SampleRegion, request, 30.0)
            if region.outcome != "SUCCESS":
                self.trigger("scatter")
                continue
            if self.approach.call(ApproachGoal(region=region.region), 60.0, 120.0).outcome != "SUCCESS":
                continue
            grasp = across_the_short_side(conversions.region_from_msg(region.region), self.rng)
            result = self.pick.call(PickGoal(grasp=grasp, place=True), 90.0, 180.0)
            if result.place_outcome:
                return result
        raise AssertionError(f"nothing was held in {ATTEMPTS} attempts")

    def test_1_a_table_is_cleared(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        folder = Path(temporary.name) / "data"
        recorder = Node("trial_recorder", {"data": str(folder), "robot": "sim", "minimum_free_gb": 0.0})
        self.addCleanup(recorder.close)
        values = {"tables": 1, "tries_per_table": ATTEMPTS, "place_held": True, "simulator": "/baxter_sim"}
        values["attended"] = False
        collector = Node("collector", {**values, "data": str(folder), "calibration": str(CALIBRATION)})
        self.addCleanup(collector.close)
        self.assertEqual(collector.wait(PATIENCE), 0, collector.output)
        (table,) = read_tables(folder)
        self.assertEqual((table.objects, len(table.names)), (4, 4))
        self.assertGreaterEqual(table.removed, 1, collector.output)
        self.assertEqual(table.removed, len(table.truth_in_bins))
        self.assertLessEqual(table.removed, table.placed + 1, collector.output)  # one that came along with another
        self.assertEqual(table.outcome == CLEARED, not table.truth_on_table, collector.output)
        trials = list(trials_of(folder))
        self.assertEqual((len(trials), table.trials), (table.tries, [trial["number"] for trial in trials]))
        self.assertEqual(sum(trial["outcome"] == "SUCCESS" for trial in trials), table.held)
        self.assert_no_contact()

    def test_2_an_object_that_is_lost_while_it_is_carried(self):
        self.trigger("exchange_objects")
        result = self.carry(lambda: call_service("/baxter_sim/clear_table", Trigger, Trigger._request_class(), 20.0))
        self.assertEqual((result.outcome, result.place_outcome), ("SUCCESS", "LOST"), result.place_message)
        self.assertTrue(result.truth_held)
        self.assert_no_contact()

    def test_3_an_e_stop_while_an_arm_carries(self):
        self.trigger("exchange_objects")

        def press():
            time.sleep(0.05)
            call_service("/baxter_sim/press_estop", Trigger, Trigger._request_class(), 20.0)

        result = self.carry(press)
        self.assertEqual((result.outcome, result.place_outcome), ("SUCCESS", "ROBOT_FAULT"), result.place_message)
        self.assertIn("emergency stop", result.place_message)
        self.trigger("release_estop")
        time.sleep(0.5)
        # the next goal opens the hand and goes on; what falls may land anywhere
        for _ in range(PLACINGS):
            result = self.carry(lambda: None)
            if result.place_outcome != "STUCK":
                break
            # a ball that is as wide as the open hand, say, is taken out of it, as before each trial of a collection
            call_service("/baxter_sim/put_back_objects", PutBackObjects, PutBackObjectsRequest(), 20.0)
        self.assertEqual((result.outcome, result.place_outcome), ("SUCCESS", "PLACED"), result.place_message)
        # the pick has its result when the fingers are open: what they held may still be falling
        deadline = time.monotonic() + LANDING
        while IN_BIN not in self.whereabouts().values() and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertIn(IN_BIN, self.whereabouts().values())
        self.assert_no_contact()


if __name__ == "__main__":
    rospy.init_node("clear_table_rostest")
    rostest.rosrun("grasp_learning", "clear_table", ClearTableTest)
