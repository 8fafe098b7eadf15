#!/usr/bin/env python3
"""What a person beside the robot meets: checks, a first confirmation, faults that stop the arm, and on again.

benchmarks/bench_faults.py breaks each thing at each phase, in the robot's own time.
"""

import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import rospy
import rostest
from baxter_core_msgs.msg import AssemblyState
from fake_nodes import NODES, wait_for
from fault_cell import FaultCell
from std_srvs.srv import Trigger

# every kind and every phase; all 42 pairs would take minutes
CASES = [("estop", "approach"), ("estop", "look"), ("estop", "close"), ("estop", "put back"), ("disable", "read")]
CASES += [
    ("frozen_joints", "lift"),
    ("frozen_camera", "look"),
    ("gripper_error", "close"),
    ("killed_server", "descend"),
]


class FaultsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.cell = FaultCell(Path(cls.folder.name) / "data", speed=4.0)
        cls.cell.robot.grippers["left"].object_width = 60.0

    @classmethod
    def tearDownClass(cls):
        cls.cell.close()
        cls.folder.cleanup()

    def preflight(self, *arguments):
        """Exit code and output of the command."""
        command = [sys.executable, str(NODES / "preflight"), "--robot", "sim", "--arms", "left", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_1_a_robot_that_is_not_fit_is_refused(self):
        self.cell.robot.press_estop()
        collector = self.cell.start()
        self.assertEqual(collector.wait(60.0), 1)
        self.assertIn("FAILED  emergency stop         pressed; turn the button", collector.output)
        self.assertIn("ok      software version       1.2.0.57", collector.output)
        self.assertIn("FAILED: 0 trials recorded", collector.output)
        code, output = self.preflight("--data", self.folder.name)
        self.assertEqual(code, 1, output)
        self.assertIn("FAILED  emergency stop", output)
        self.assertIn("3 of 9 checks failed", output)
        self.assertEqual(self.preflight("--arms", "three")[0], 2)
        self.cell.robot.state = AssemblyState()

    def test_2_nothing_moves_unless_a_person_says_so(self):
        collector = self.cell.start()
        wait_for(lambda: self.cell.status.is_now("PAUSED"), "the checks hold", 60.0)
        # its terminal and its topic come by different ways
        wait_for(lambda: "later   enabled" in collector.output, "the checks are printed")
        told = self.cell.status.all[-1].message
        self.assertIn("allow the first motion; `rosservice call /collector/resume`", told)
        time.sleep(1.0)
        rospy.ServiceProxy("/collector/stop", Trigger)()
        self.assertEqual(collector.wait(30.0), 0, collector.output)
        self.assertEqual((self.cell.robot.commands, self.cell.recorded), ([], []))
        self.assertFalse(self.cell.robot.state.enabled)

    def test_3_a_fault_stops_the_arm_until_a_person_has_seen_to_it(self):
        self.cell.start()
        self.cell.confirm()
        code, output = self.preflight("--data", self.folder.name)
        self.assertEqual((code, "all 9 checks hold" in output), (0, True), output)
        for kind, phase in CASES:
            result = self.cell.run(kind, phase)
            print(result.line, flush=True)
            self.assertTrue(result.good, f"{result.line}\n{result.detail}")
        done, recorded = len(self.cell.recorded), self.cell.recorded
        wait_for(lambda: "SUCCESS" in [outcome for _, outcome, _ in recorded[done:]], "trials go on")


if __name__ == "__main__":
    rospy.init_node("faults_test")
    rostest.rosrun("grasp_learning", "faults", FaultsTest)
