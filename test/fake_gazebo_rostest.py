#!/usr/bin/env python3
"""The workcell's node over ROS: what it asks of Gazebo, what its services answer, and what a dead Gazebo means."""

import time
import unittest
from xml.etree import ElementTree

import rospy
import rostest
from gazebo_msgs import msg, srv
from geometry_msgs.msg import Pose
from sensor_msgs.msg import JointState
from std_srvs.srv import Empty, EmptyResponse, Trigger

from grasp_learning.robot_description import NEUTRAL, arm_joints
from grasp_learning.ros.calls import CallFailed, call_service
from grasp_learning.srv import PutBackObjects, QueryHeld, QueryNear, QueryObjects

PREFIX = "grasp_learning_"
BASE_HEIGHT = 0.93
TABLE_Z = -0.10
WAIT = 60.0  # s, on a busy machine
# From the definitions of gazebo_msgs for ROS Noetic
MD5 = {
    "ModelState": "9330fd35f2fcd82d457e54bd54e10593",
    "SpawnModelRequest": "6d0eba5753761cd57e6263a056b79930",
    "DeleteModelRequest": "ea31c8eab6fc401383cf528a7c0984ba",
    "SetModelStateRequest": "cb042b0e91880f4661b29ea5b6234350",
    "GetWorldProperties": "36bb0f2eccf4d8be971410c22818ba3f",
    "GetModelState": "4c515e936d3319c9610c559c60bfc3d4",
}


class PlayedGazebo:
    """Gazebo's services about models; what is put somewhere stays there. Its time begins as it is asked to."""

    def __init__(self):
        self.poses, self.documents, self.working, self.asked = {PREFIX + "mug_99": Pose()}, {}, True, 0
        self.paused, self.risks, self.joints = True, [], None
        self.services = [
            rospy.Service(f"/gazebo/{name}", service_class, handler)
            for name, service_class, handler in (
                ("get_world_properties", srv.GetWorldProperties, self._properties),
                ("spawn_sdf_model", srv.SpawnModel, self._spawn),
                ("delete_model", srv.DeleteModel, self._delete),
                ("set_model_state", srv.SetModelState, self._move),
                ("get_model_state", srv.GetModelState, self._state),
                ("pause_physics", Empty, self._pause),
                ("unpause_physics", Empty, self._go_on),
            )
        ]

    def _pause(self, request):
        self.paused = True
        return EmptyResponse()

    def _go_on(self, request):
        self.paused = False
        names = [name for side in ("left", "right") for name in arm_joints(side)]
        self.joints.publish(JointState(name=names, position=[*NEUTRAL, *NEUTRAL]))
        return EmptyResponse()

    def _change(self, name):
        """The real one crashes now and then where it is not paused, by its range sensors."""
        if not self.paused:
            self.risks.append(name)

    def _properties(self, request):
        self.asked += 1
        return srv.GetWorldPropertiesResponse(0.0, list(self.poses), True, True, "")

    def _spawn(self, request):
        self._change(request.model_name)
        if request.model_name in self.poses:
            return srv.SpawnModelResponse(False, "there is such a model")
        self.poses[request.model_name] = request.initial_pose
        self.documents[request.model_name] = ElementTree.fromstring(request.model_xml)
        return srv.SpawnModelResponse(True, "")

    def _delete(self, request):
        self._change(request.model_name)
        return srv.DeleteModelResponse(self.poses.pop(request.model_name, None) is not None, "")

    def _move(self, request):
        state = request.model_state
        known = state.model_name in self.poses and self.working
        if known:
            self.poses[state.model_name] = state.pose
        return srv.SetModelStateResponse(known, "" if known else "physics engine is gone")

    def _state(self, request):
        answer = srv.GetModelStateResponse(success=self.working and request.model_name in self.poses)
        answer.status_message = "" if answer.success else "physics engine is gone"
        answer.pose = self.poses.get(request.model_name, Pose())
        return answer

    def objects(self):
        fixed = {PREFIX + name for name in ("table", "kinect", "bins")}
        return {name[len(PREFIX) :]: self.poses[name] for name in self.documents if name not in fixed}


class GazeboWorldTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gazebo = PlayedGazebo()
        cls.before_the_robot = [cls.look_on()]
        cls.gazebo.poses["baxter"] = Pose()
        cls.before_the_robot.append(cls.look_on())
        cls.gazebo.joints = rospy.Publisher("/robot/joint_states", JointState, latch=True, queue_size=1)
        rospy.wait_for_service("/gazebo_world/objects", timeout=WAIT)

    @classmethod
    def look_on(cls):
        """What the node did before it asked twice more who is there."""
        asked, end = cls.gazebo.asked, time.monotonic() + WAIT
        while cls.gazebo.asked < asked + 2 and not cls.gazebo.documents and time.monotonic() < end:
            time.sleep(0.05)
        return [*cls.gazebo.documents, *([] if cls.gazebo.paused else ["time goes on"])]

    def setUp(self):
        self.gazebo.working = True

    def call(self, name, service_class=Trigger, **fields):
        return call_service(f"/gazebo_world/{name}", service_class, service_class._request_class(**fields), WAIT)

    def test_the_played_gazebo_speaks_as_the_real_one(self):
        found = {name: getattr(msg, name, getattr(srv, name, None))._md5sum for name in MD5}
        self.assertEqual(found, MD5)

    def test_time_begins_when_the_robot_is_loaded_and_stands_still_while_models_are_made(self):
        self.assertEqual(self.before_the_robot, [[], []])
        self.assertTrue(self.call("exchange_objects").success)
        self.assertEqual(self.gazebo.risks, [])
        self.assertFalse(self.gazebo.paused)

    def test_the_workcell_stands_around_the_robot(self):
        self.assertNotIn(PREFIX + "mug_99", self.gazebo.poses)  # of an earlier run
        self.assertIn("baxter", self.gazebo.poses)
        for name in ("table", "kinect"):
            self.assertAlmostEqual(self.gazebo.poses[PREFIX + name].position.z, BASE_HEIGHT)
        self.assertEqual(self.gazebo.documents[PREFIX + "table"].find("model/static").text, "true")
        self.assertEqual(set(self.call("objects", QueryObjects).places), {"table"})
        for pose in self.gazebo.objects().values():
            if pose.position.x > 0.0:
                self.assertLess(BASE_HEIGHT + TABLE_Z, pose.position.z)

    def test_objects_are_scattered_exchanged_and_cleared(self):
        before = {name: pose.position.x for name, pose in self.gazebo.objects().items()}
        self.assertTrue(self.call("scatter").success)
        self.assertTrue(all(pose.position.x != before[name] for name, pose in self.gazebo.objects().items()))
        names = self.call("exchange_objects").message.split(", ")
        self.assertEqual(sorted(self.call("objects", QueryObjects).names), sorted(names))
        self.assertTrue(self.call("clear_table").success)
        self.assertTrue(all(pose.position.x < -1.0 for pose in self.gazebo.objects().values()))
        self.assertTrue(self.call("reset").success)

    def test_what_fell_off_is_found_and_put_back(self):
        name = self.call("objects", QueryObjects).names[0]
        self.gazebo.poses[PREFIX + name].position.z = 0.05
        self.assertIn("elsewhere", self.call("objects", QueryObjects).places)
        self.assertEqual(self.call("put_back_objects", PutBackObjects).names, [name])
        pose = self.gazebo.poses[PREFIX + name].position
        near = self.call("near", QueryNear, x=pose.x, y=pose.y, radius=0.01)
        self.assertEqual(near.names, [name])
        self.assertFalse(self.call("held", QueryHeld, arm="left").held)
        self.assertEqual(self.call("bring_within_reach", PutBackObjects).names, [])

    def test_a_gazebo_that_fails_is_told_of(self):
        self.gazebo.working = False
        answer = self.call("scatter")
        self.assertFalse(answer.success)
        self.assertIn("physics engine is gone", answer.message)
        with self.assertRaisesRegex(CallFailed, "physics engine is gone"):
            self.call("objects", QueryObjects)
        with self.assertRaisesRegex(CallFailed, "unknown arm 'third'"):
            self.call("held", QueryHeld, arm="third")


if __name__ == "__main__":
    rospy.init_node("fake_gazebo")
    rostest.rosrun("grasp_learning", "fake_gazebo", GazeboWorldTest)
