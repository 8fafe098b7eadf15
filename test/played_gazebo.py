#!/usr/bin/env python3
"""A node that behaves as Gazebo with Rethink's robot does, with MuJoCo behind it.

What is known of the real one: grippers are always calibrated, feel nothing, confirm no command and stamp no state;
wrist pictures are 800x800; there are no camera services; objects are models, known by Gazebo's services only; it
crashes where models are made while its time goes on.
"""

import dataclasses
import os
import sys

import rospy
from baxter_core_msgs.msg import EndEffectorState
from gazebo_msgs import srv
from scipy.spatial.transform import Rotation
from std_srvs.srv import Empty, EmptyResponse

from grasp_learning.gazebo.workcell import PREFIX
from grasp_learning.ros import baxter_sim, sim_cameras, sim_robot
from grasp_learning.sim import cameras, world
from grasp_learning.sim.camera_models import CameraModel
from grasp_learning.sim.gripper import SimulatedGripper
from grasp_learning.sim.pool import SceneChoice

BASE_HEIGHT = 0.93
SILENT = {
    "calibrated": 1,
    "force": 0.0,
    **{name: 0 for name in ("moving", "gripping", "missed", "command_sequence")},
    **{name: "" for name in ("command", "command_sender")},
}

sim_cameras.MODES = ((800, 800),)
for module in (world, cameras, sim_cameras):
    module.WRIST = CameraModel(800, 800, 476.7)
baxter_sim.CameraServices = lambda streams: None
spoken = SimulatedGripper.state.fget
SimulatedGripper.state = property(lambda gripper: dataclasses.replace(spoken(gripper), **SILENT))


class Unstamped(EndEffectorState):
    """A gripper's state as the real one sends it."""

    def __init__(self, timestamp, **fields):
        super().__init__(**fields)


sim_robot.EndEffectorState = Unstamped


class PlayedGazebo(baxter_sim.BaxterSim):
    """The robot and, as models, what somebody spawns."""

    def __init__(self, settings):
        super().__init__(settings)
        self._world.clear_table()
        self.models, self.paused = {"baxter", "ground_plane"}, rospy.get_param("~paused")
        for gripper in self._robot.grippers.values():
            gripper.calibrated = True
        self._gazebo_services = [
            rospy.Service("~get_world_properties", srv.GetWorldProperties, self._properties),
            rospy.Service("~spawn_sdf_model", srv.SpawnModel, self._spawn),
            rospy.Service("~delete_model", srv.DeleteModel, self._delete),
            rospy.Service("~set_model_state", srv.SetModelState, self._move),
            rospy.Service("~get_model_state", srv.GetModelState, self._state),
            rospy.Service("~pause_physics", Empty, lambda request: self._pause(True)),
            rospy.Service("~unpause_physics", Empty, lambda request: self._pause(False)),
        ]

    def _pause(self, paused):
        self.paused = paused
        return EmptyResponse()

    def _change(self):
        """Crash where the real one may: its range sensors look around in a world that changes under them."""
        if not self.paused:
            os._exit(139)

    def _properties(self, request):
        return srv.GetWorldPropertiesResponse(self._world.time, sorted(self.models), True, True, "")

    def _spawn(self, request):
        self._change()
        if request.model_name in self.models:
            return srv.SpawnModelResponse(False, "there is such a model")
        self.models.add(request.model_name)
        self._put(request.model_name, request.initial_pose)
        return srv.SpawnModelResponse(True, "")

    def _delete(self, request):
        self._change()
        self.models.discard(request.model_name)
        return srv.DeleteModelResponse(True, "")

    def _move(self, request):
        self._put(request.model_state.model_name, request.model_state.pose)
        return srv.SetModelStateResponse(True, "")

    def _put(self, model, pose):
        name = model.replace(PREFIX, "")
        if name in self._world.object_names:
            position, q = pose.position, pose.orientation
            where = (position.x, position.y, position.z - BASE_HEIGHT)
            self._inbox.ask(self._world.place, name, where, (q.w, q.x, q.y, q.z))

    def _state(self, request):
        name = request.model_name.replace(PREFIX, "")
        T, speed, spin = self._inbox.ask(self._look_at, name)
        answer = srv.GetModelStateResponse(success=True)
        x, y, z = T[:3, 3].tolist()
        answer.pose.position.x, answer.pose.position.y, answer.pose.position.z = x, y, z + BASE_HEIGHT
        q, (x, y, z, w) = answer.pose.orientation, Rotation.from_matrix(T[:3, :3]).as_quat().tolist()
        q.x, q.y, q.z, q.w = x, y, z, w
        answer.twist.linear.x, answer.twist.angular.z = speed, spin
        return answer

    def _look_at(self, name):
        index = self._world.object_names.index(name)
        speeds, spins = self._world._object_velocities()
        return self._world.object_poses()[name], float(speeds[index]), float(spins[index])


if __name__ == "__main__":
    rospy.init_node("gazebo", disable_rostime=True)
    sys.setswitchinterval(baxter_sim.SWITCH_INTERVAL)
    wanted = SceneChoice(**{key: rospy.get_param(f"/gazebo_world/{key}") for key in ("seed", "objects", "split")})
    PlayedGazebo(baxter_sim.BaxterSimSettings(**wanted.model_dump())).run()
