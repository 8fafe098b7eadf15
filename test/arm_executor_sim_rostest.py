#!/usr/bin/env python3
"""Both arm_executor nodes at once on a simulated robot: whole trials, an e-stop in the middle of both, and on again.

Parameter: ~simulator, name of the node that has the objects; default /baxter_sim.
"""

import threading
import time
import unittest

import rospy
import rosservice
import rostest
from sensor_msgs.msg import CameraInfo, CompressedImage
from std_srvs.srv import Trigger

from grasp_learning.msg import ApproachAction, ApproachGoal, PickAction, PickGoal
from grasp_learning.ros.calls import ActionCaller, call_service
from grasp_learning.ros.conversions import image_from_compressed

SIDES = {"left": 1.0, "right": -1.0}
PATIENCE = 120.0  # s, wall clock, for one action


class ArmExecutorSimTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        def callers(name, action):
            return {side: ActionCaller(f"/{side}/arm_executor/{name}", action, start_timeout=90.0) for side in SIDES}

        cls.approach, cls.pick = callers("approach", ApproachAction), callers("pick", PickAction)
        cls.simulator = rospy.get_param("~simulator", "/baxter_sim")

    def approach_over(self, side, x=0.65):
        goal = ApproachGoal()
        goal.region.arm = side
        center = goal.region.center
        center.x, center.y, center.z = x, SIDES[side] * 0.25, -0.1
        return self.approach[side].call(goal, 60.0, PATIENCE)

    def pick_at(self, side):
        goal = PickGoal()
        grasp = goal.grasp
        grasp.arm, grasp.x, grasp.y, grasp.z, grasp.theta = side, 0.66, SIDES[side] * 0.27, -0.085, 0.5
        return self.pick[side].call(goal, 90.0, PATIENCE)

    def both(self, work):
        """Results of work(side) of both arms at the same time."""
        results = {}
        threads = [
            threading.Thread(target=lambda side=side: results.update({side: work(side)}), daemon=True) for side in SIDES
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * PATIENCE)
        self.assertEqual(set(results), set(SIDES))
        return results

    def test_1_two_trials_at_once(self):
        def trial(side):
            return self.approach_over(side), self.pick_at(side)

        for side, (approach, pick) in self.both(trial).items():
            self.assertEqual(approach.outcome, "SUCCESS", approach.message)
            self.assertIn(pick.outcome, ("SUCCESS", "FAILURE"), pick.message)
            self.assertTrue(pick.truth_known)
            self.assertEqual(pick.truth_held, pick.outcome == "SUCCESS")
            info = rospy.wait_for_message(f"/cameras/{side}_hand_camera/camera_info", CameraInfo, timeout=60.0)
            for image in (pick.before_lift_image, pick.after_lift_image):
                self.assertIsInstance(image, CompressedImage)
                self.assertEqual(image_from_compressed(image).shape, (info.height, info.width, 3))

    def test_2_estop_ends_both_and_they_go_on_after_its_release(self):
        if f"{self.simulator}/press_estop" not in rosservice.get_service_list():
            self.skipTest(f"{self.simulator} has no button for an emergency stop")

        def press():
            time.sleep(0.3)
            call_service(f"{self.simulator}/press_estop", Trigger, Trigger._request_class(), 20.0)

        def until_a_fault(side):
            # to and fro, since nobody knows how long one approach takes beside the clock of this test
            for attempt in range(50):
                result = self.approach_over(side, (0.6, 0.75)[attempt % 2])
                if result.outcome != "SUCCESS":
                    break
            return result

        threading.Thread(target=press, daemon=True).start()
        outcomes = {side: result.outcome for side, result in self.both(until_a_fault).items()}
        self.assertEqual(outcomes, {"left": "ROBOT_FAULT", "right": "ROBOT_FAULT"})
        call_service(f"{self.simulator}/release_estop", Trigger, Trigger._request_class(), 20.0)
        time.sleep(0.5)
        for result in self.both(self.approach_over).values():
            self.assertEqual(result.outcome, "SUCCESS", result.message)


if __name__ == "__main__":
    rospy.init_node("arm_executor_sim_test")
    rostest.rosrun("grasp_learning", "arm_executor_sim", ArmExecutorSimTest)
