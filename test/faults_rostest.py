#!/usr/bin/env python3
"""What a person beside the robot meets: checks, a first confirmation, faults that stop the arm, and on again.

benchmarks/bench_faults.py breaks each thing at each phase, in the robot's own time.
"""

import tempfile
import time
import unittest
from pathlib import Path

import rospy
import rostest
from fake_nodes import wait_for
from fault_cell import PHASES, FaultCell

# each kind of fault, each phase, and all that is peculiar
CASES = [("estop", phase) for phase in PHASES]
CASES += [("disable", "lift"), ("frozen_joints", "approach"), ("frozen_joints", "descend")]
CASES += [
    ("frozen_camera", "look"),
    ("frozen_camera", "close"),
    ("gripper_error", "close"),
    ("gripper_error", "put back"),
]
CASES += [("killed_server", "approach"), ("killed_server", "descend")]


class FaultsTest(unittest.TestCase):
    def test_1_confirmation_faults_and_on_again(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        cell = FaultCell(Path(folder.name) / "data", speed=4.0)
        self.addCleanup(cell.close)
        time.sleep(1.0)
        self.assertEqual(cell.robot.commands, [], "nothing moves before a person has confirmed")
        self.assertFalse(cell.robot.state.enabled)
        self.assertIn("ok      software version       1.2.0.57", cell.collector.output)
        self.assertIn("later   enabled", cell.collector.output)
        self.assertIn("allow the first motion; `rosservice call /collector/resume`", cell.status.all[-1].message)
        cell.confirm()
        for kind, phase in CASES:
            result = cell.run(kind, phase)
            print(result.line, flush=True)
            self.assertTrue(result.good, f"{result.line}\n{result.detail}")
        done = len(cell.recorded)
        wait_for(lambda: "SUCCESS" in [outcome for _, outcome, _ in cell.recorded[done:]], "trials go on")


if __name__ == "__main__":
    rospy.init_node("faults_test")
    rostest.rosrun("grasp_learning", "faults", FaultsTest)
