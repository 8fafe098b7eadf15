#!/usr/bin/env python3
"""A running collection records trials of both arms, whatever the robot; prints what it recorded.

Parameters: ~data, folder of the collection; ~trials, how many are waited for, at least 2 of each arm.
"""

import json
import shutil
import time
import unittest
from collections import Counter
from pathlib import Path

import rospy
import rostest
from harness import lines_of

PATIENCE = 3500.0  # s, wall clock: pictures without a graphics card take seconds each


class CollectTest(unittest.TestCase):
    def test_trials_of_both_arms_are_recorded(self):
        data, wanted = Path(rospy.get_param("~data")), rospy.get_param("~trials")
        self.addCleanup(shutil.rmtree, data, ignore_errors=True)
        begun = time.monotonic()
        while len(lines_of(data / "trials.jsonl")) < wanted and time.monotonic() < begun + PATIENCE:
            time.sleep(1.0)
        trials, faults = lines_of(data / "trials.jsonl"), lines_of(data / "faults.jsonl")
        counts = Counter(line["outcome"] for line in [*trials, *faults])
        print(json.dumps({"seconds": round(time.monotonic() - begun), "outcomes": counts}), flush=True)
        self.assertGreaterEqual(len(trials), wanted, faults)
        arms = Counter(trial["arm"] for trial in trials)
        self.assertGreaterEqual(min(arms["left"], arms["right"]), 2, arms)
        for trial in trials:
            self.assertIn(trial["outcome"], ("SUCCESS", "FAILURE"))
            self.assertTrue(trial["truth_known"])
            self.assertTrue((data / trial["bag"]).is_file())
        agree = sum(trial["truth_held"] == (trial["outcome"] == "SUCCESS") for trial in trials)
        self.assertGreaterEqual(agree, 0.9 * len(trials), trials)


if __name__ == "__main__":
    rospy.init_node("collect_test")
    rostest.rosrun("grasp_learning", "collect", CollectTest)
