#!/usr/bin/env python3
"""Calls to servers that sleep, die, fail or stand still end within their deadline, with a typed outcome."""

import os
import signal
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

import numpy as np
import rospy
import rostest
from std_srvs.srv import Trigger, TriggerRequest

from grasp_learning.msg import ApproachAction, ApproachGoal
from grasp_learning.ros.calls import ActionCaller, CallFailed, Deadline, NoAnswer, call_service, node_pid
from grasp_learning.ros.workcell import Deadlines, RosWorkcell
from grasp_learning.trial import Outcome, Region

PATIENCE = 1.5  # s: deadline of the calls
SLACK = 6.0  # s that a busy machine may need besides; a server that sleeps does so for 60 s
APPROACH = "/left/arm_executor/approach"
REGION = Region("left", 1.0, np.array([0.7, 0.2, -0.1]), 0.05, np.zeros((3, 2)), (0, 0, 10, 10))


class CallsTest(unittest.TestCase):
    """Each test starts its own server."""

    def setUp(self):
        self._begun = None

    def serve(self, how):
        server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("hostile_server.py")), f"hostile_{how}", how],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

        def close():
            server.kill()
            server.wait(10)
            server.stdout.close()

        self.addCleanup(close)
        self.assertEqual(server.stdout.readline().strip(), "up")
        self._begun = time.monotonic()
        return server

    def workcell(self):
        quick = Deadlines(sample=PATIENCE, approach=PATIENCE, pick=PATIENCE, motion_wall=PATIENCE, record=PATIENCE)
        workcell = RosWorkcell(("left",), "", quick)
        workcell.wait_for_arms(10.0)
        return workcell

    def assert_in_time(self):
        self.assertLess(time.monotonic() - self._begun, PATIENCE + SLACK)

    def trigger(self):
        return call_service("/hostile/trigger", Trigger, TriggerRequest(), PATIENCE)

    # Services

    def test_a_service_that_works_answers(self):
        server = self.serve("serve")
        self.assertEqual(self.trigger().message, "served")
        self.assertEqual(node_pid("/hostile_serve"), server.pid)
        self.assertEqual(self.workcell().sample_region("left").outcome, Outcome.NO_OBJECTS)

    def test_a_service_that_sleeps(self):
        self.serve("sleep")
        with self.assertRaisesRegex(NoAnswer, "/hostile/trigger did not answer within 1.5 s"):
            self.trigger()
        self.assert_in_time()

    def test_a_service_that_dies(self):
        self.serve("die")
        with self.assertRaisesRegex(CallFailed, "/hostile/trigger failed") as caught:
            self.trigger()
        self.assertNotIsInstance(caught.exception, NoAnswer)
        self.assert_in_time()

    def test_a_service_that_raises(self):
        self.serve("raise")
        with self.assertRaisesRegex(CallFailed, "no such spline"):
            self.trigger()

    def test_a_service_that_stands_still(self):
        server = self.serve("serve")
        self.trigger()
        os.kill(server.pid, signal.SIGSTOP)
        begun = time.monotonic()
        with self.assertRaisesRegex(NoAnswer, "/hostile/trigger did not answer"):
            self.trigger()
        self.assertIsNone(node_pid("/hostile_serve", timeout=0.5))
        self.assertLess(time.monotonic() - begun, PATIENCE + SLACK)

    def test_a_service_that_is_not_there(self):
        with self.assertRaisesRegex(CallFailed, "/nobody/trigger"):
            call_service("/nobody/trigger", Trigger, TriggerRequest(), PATIENCE)
        self.assertIsNone(node_pid("/nobody"))

    # Actions

    def call(self, caller=None):
        caller = caller or ActionCaller(APPROACH, ApproachAction)
        return caller.call(ApproachGoal(), PATIENCE, PATIENCE)

    def test_an_action_that_works_has_a_result(self):
        self.serve("serve")
        self.assertEqual(self.call().message, "served")

    def test_an_action_that_takes_too_long_is_cancelled(self):
        self.serve("sleep")
        with self.assertRaisesRegex(CallFailed, f"{APPROACH} gave no result within its deadline of 1.5 s"):
            self.call()
        self.assert_in_time()

    def test_an_action_server_that_dies(self):
        self.serve("die")
        with self.assertRaisesRegex(CallFailed, f"{APPROACH}: its server died"):
            self.call()
        self.assert_in_time()

    def test_an_action_server_that_stands_still(self):
        server = self.serve("serve")
        caller = ActionCaller(APPROACH, ApproachAction)
        self.call(caller)
        os.kill(server.pid, signal.SIGSTOP)
        begun = time.monotonic()
        with self.assertRaisesRegex(CallFailed, "gave no result within its deadline"):
            self.call(caller)
        self.assertLess(time.monotonic() - begun, PATIENCE + SLACK)

    def test_an_action_without_server(self):
        with self.assertRaisesRegex(CallFailed, "/nobody has no server after 0.5 s"):
            ActionCaller("/nobody", ApproachAction, start_timeout=0.5).call(ApproachGoal(), PATIENCE, PATIENCE)

    # What the trial protocol gets

    def test_every_failure_of_a_sampler_is_a_sensor_fault(self):
        for how in ("sleep", "die", "raise"):
            with self.subTest(how):
                self.serve(how)
                step = self.workcell().sample_region("left")
                self.assertEqual(step.outcome, Outcome.SENSOR_FAULT)
                self.assertIn("roi_sampler/sample", step.message)
                self.doCleanups()

    def test_every_failure_of_an_executor_is_a_robot_fault(self):
        for how, told in (("sleep", "deadline"), ("die", "died"), ("raise", "no such spline")):
            with self.subTest(how):
                self.serve(how)
                step = self.workcell().approach(REGION)
                self.assertEqual(step.outcome, Outcome.ROBOT_FAULT)
                self.assertIn(told, step.message)
                self.doCleanups()

    def test_arms_that_do_not_come_up_share_one_deadline(self):
        workcell = RosWorkcell(("left", "right"), "", Deadlines())
        begun = time.monotonic()
        with self.assertRaisesRegex(CallFailed, "arm_executor/approach has no server"):
            workcell.wait_for_arms(1.0)
        # of each arm's two servers the second has next to no time left
        ended = []
        for caller in workcell._approach.values():
            caller.wait_for_server = lambda timeout: time.sleep(0.6)
        for caller in workcell._pick.values():
            caller.wait_for_server = ended.append
        workcell.wait_for_arms(1.0)
        self.assertEqual(ended, [0.1, 0.1])
        self.assertLess(time.monotonic() - begun, 4.0 + SLACK)

    # Deadlines

    def test_a_deadline_ends_by_the_wall_clock_when_ros_time_stands_still(self):
        begun = time.monotonic()
        self.assertFalse(Deadline(1e6, 0.3).wait(lambda: False))
        self.assertLess(time.monotonic() - begun, SLACK)
        with self.assertRaises(ValueError):
            Deadline(None)

    def test_a_wait_ends_when_the_condition_holds(self):
        happened = threading.Event()
        threading.Timer(0.1, happened.set).start()
        self.assertTrue(Deadline(10.0).wait(happened.is_set))


if __name__ == "__main__":
    rospy.init_node("calls_rostest")
    rostest.rosrun("grasp_learning", "calls", CallsTest)
