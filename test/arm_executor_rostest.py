#!/usr/bin/env python3
"""The arm_executor node through its actions, on an ideal robot that can be broken."""

import threading
import time
import unittest

import numpy as np
import rospy
import rostest
from fake_baxter import FakeBaxter

from grasp_learning.msg import ApproachAction, ApproachGoal, PickAction, PickGoal
from grasp_learning.robot_description import NEUTRAL
from grasp_learning.ros.calls import ActionCaller

WALL = 60.0  # s; backstop of each goal


class ArmExecutorTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.robot = FakeBaxter()
        cls.approach = ActionCaller("/left/arm_executor/approach", ApproachAction, start_timeout=60.0)
        cls.pick = ActionCaller("/left/arm_executor/pick", PickAction, start_timeout=60.0)

    def setUp(self):
        self.robot.publishing, self.robot.joints_frozen, self.robot.pictures = True, False, True
        self.robot.grippers["left"].object_width = None
        self.robot.grippers["left"].can_calibrate = True
        time.sleep(0.3)

    def region(self, x=0.65, y=0.3, arm="left"):
        goal = ApproachGoal()
        goal.region.arm = arm
        goal.region.center.x, goal.region.center.y, goal.region.center.z = x, y, -0.1
        return goal

    def grasp(self, x=0.66, y=0.28):
        goal = PickGoal()
        goal.grasp.arm, goal.grasp.x, goal.grasp.y, goal.grasp.z, goal.grasp.theta = "left", x, y, -0.08, 0.8
        return goal

    def run_approach(self, **where):
        return self.approach.call(self.region(**where), 40.0, WALL)

    def run_pick(self, **where):
        return self.pick.call(self.grasp(**where), 60.0, WALL)

    def after(self, seconds, action):
        """Run an action after some ROS time; a timer of rospy would die with the clock."""
        end = self.robot.time + seconds

        def wait():
            while self.robot.time < end:
                time.sleep(0.005)
            action()

        threading.Thread(target=wait, daemon=True).start()

    def assert_commands_stopped(self):
        time.sleep(0.1)
        count = len(self.robot.commands)
        time.sleep(0.5)
        self.assertEqual(len(self.robot.commands), count)

    def assert_at_neutral(self):
        self.assertLess(np.abs(np.array(self.robot.positions["left"]) - NEUTRAL).max(), 0.02)

    def test_1_a_whole_trial(self):
        self.robot.grippers["left"].object_width = 60.0
        result = self.run_approach()
        self.assertEqual(result.outcome, "SUCCESS", result.message)
        self.assertGreater(result.planning_time, 0.0)
        result = self.run_pick()
        self.assertEqual(result.outcome, "SUCCESS", result.message)
        self.assertTrue(result.gripping and result.truth_known and result.truth_held)
        self.assertEqual(result.truth_object, "block")
        self.assertEqual(list(result.truth_near), ["block", "ball"])
        self.assertEqual(self.robot.near_asked, [(0.66, 0.28, 0.15)])
        self.assertAlmostEqual(result.force, 35.0, places=3)
        for image in (result.before_lift_image, result.after_lift_image):
            self.assertEqual(image.format, "jpeg")
            self.assertGreater(len(image.data), 100)
        self.assertLess(result.before_lift_image.header.stamp, result.after_lift_image.header.stamp)
        self.assert_at_neutral()
        self.assert_commands_stopped()

    def test_2_nothing_held_is_a_failure(self):
        self.assertEqual(self.run_approach().outcome, "SUCCESS")
        result = self.run_pick()
        self.assertEqual(result.outcome, "FAILURE", result.message)
        self.assertTrue(result.truth_known)
        self.assertFalse(result.truth_held)

    def test_3_estop_stops_the_commands_and_is_not_undone_while_pressed(self):
        self.after(0.4, self.robot.press_estop)
        result = self.run_approach()
        self.assertEqual(result.outcome, "ROBOT_FAULT")
        self.assertIn("emergency stop", result.message)
        self.assert_commands_stopped()
        self.assertEqual(self.run_approach().outcome, "ROBOT_FAULT")
        self.robot.release_estop()
        time.sleep(0.3)
        result = self.run_approach()
        self.assertEqual(result.outcome, "SUCCESS", result.message)

    def test_4_out_of_reach(self):
        result = self.run_approach(x=1.3)
        self.assertEqual(result.outcome, "UNREACHABLE", result.message)
        self.assertEqual(self.run_approach(y=-0.3).outcome, "UNREACHABLE")
        self.assertEqual(self.run_approach(arm="right").outcome, "ROBOT_FAULT")

    def test_4_planner_out_of_time(self):
        hasty = ActionCaller("/right/arm_executor/approach", ApproachAction, start_timeout=60.0)
        begin = time.monotonic()
        result = hasty.call(self.region(y=-0.3, arm="right"), 40.0, WALL)
        self.assertEqual(result.outcome, "PLANNING_FAILED", result.message)
        self.assertIn("time", result.message)
        self.assertLess(time.monotonic() - begin, 20.0)

    def test_5_gripper_that_cannot_be_calibrated(self):
        gripper = self.robot.grippers["left"]
        gripper.can_calibrate, gripper.message.calibrated = False, 0
        rospy.sleep(0.3)
        result = self.run_approach()
        self.assertEqual(result.outcome, "SENSOR_FAULT")
        self.assertIn("calibrated", result.message)
        gripper.can_calibrate = True
        self.assertEqual(self.run_approach().outcome, "SUCCESS")

    def test_6_camera_without_pictures(self):
        self.assertEqual(self.run_approach().outcome, "SUCCESS")
        self.robot.pictures = False
        result = self.run_pick()
        self.assertEqual(result.outcome, "SENSOR_FAULT")
        self.assertIn("/cameras/left_hand_camera/image", result.message)
        self.assert_at_neutral()

    def test_7_frozen_joint_states(self):
        def freeze():
            self.robot.joints_frozen = True

        self.after(0.4, freeze)
        result = self.run_approach()
        self.assertEqual(result.outcome, "ROBOT_FAULT")
        self.assertIn("joint states", result.message)
        self.assert_commands_stopped()

    def test_8_cancel(self):
        self.assertEqual(self.run_approach().outcome, "SUCCESS")
        self.after(1.5, self.pick.cancel)
        result = self.run_pick()
        self.assertEqual(result.outcome, "ABORTED", result.message)
        self.assert_commands_stopped()

    def test_9_dead_clock_ends_in_seconds_and_the_node_survives(self):
        def die():
            self.robot.publishing = False

        self.assertEqual(self.run_approach().outcome, "SUCCESS")
        self.after(1.5, die)
        begin = time.monotonic()
        result = self.run_pick()
        self.assertEqual(result.outcome, "ROBOT_FAULT")
        self.assertLess(time.monotonic() - begin, 20.0)
        # a simulator that is started again begins with its time at nought and everything off
        self.robot.time, self.robot.publishing = 1.0, True
        self.robot.state.enabled = False
        self.robot.grippers["left"].message.calibrated = 0
        time.sleep(2.0)
        anew = ActionCaller("/left/arm_executor/approach", ApproachAction, start_timeout=20.0)
        result = anew.call(self.region(), 40.0, WALL)
        self.assertEqual(result.outcome, "SUCCESS", result.message)


if __name__ == "__main__":
    rospy.init_node("arm_executor_test")
    rostest.rosrun("grasp_learning", "arm_executor", ArmExecutorTest)
