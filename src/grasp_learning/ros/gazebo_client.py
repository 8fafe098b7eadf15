"""Gazebo's services about models: spawn, delete, move and find them, each call within a deadline.

gazebo_msgs comes with gazebo_ros_pkgs and only where Gazebo is: it is imported when a client is made.
"""

import contextlib
from typing import List, NamedTuple, Tuple

import numpy as np
from geometry_msgs.msg import Pose
from scipy.spatial.transform import Rotation
from std_srvs.srv import Empty

from grasp_learning.geometry import transform
from grasp_learning.ros.calls import CallFailed, call_service

ROBOT = "baxter"  # the robot's model, of which nothing is touched


class GazeboError(RuntimeError):
    """Gazebo is not there, does not answer, or refused; the message says what was asked."""


class ModelState(NamedTuple):
    """Where a model is and how it moves.

    Attributes:
        T_base_model: (4, 4).
        speed: m/s.
        spin: rad/s.
    """

    T_base_model: np.ndarray
    speed: float
    spin: float


class GazeboClient:
    """Models of a running Gazebo, in Baxter's base frame.

    Args:
        base_height: of the base frame above Gazebo's world frame (m); their axes are parallel.
        timeout: of each call (s, wall clock).

    Raises:
        GazeboError: gazebo_msgs is not installed.
    """

    def __init__(self, base_height: float, timeout: float):
        try:
            import gazebo_msgs.msg as messages
            import gazebo_msgs.srv as services
        except ImportError:
            raise GazeboError(
                "gazebo_msgs is not installed; on Ubuntu 20.04 it comes with ros-noetic-gazebo-ros-pkgs"
            ) from None
        self._msg, self._srv = messages, services
        self._offset, self._timeout = np.array([0.0, 0.0, base_height]), timeout

    def names(self, timeout: float) -> List[str]:
        """All models, after at most timeout s (wall clock) until Gazebo answers.

        Raises:
            GazeboError: it does not.
        """
        properties = self._srv.GetWorldProperties
        return list(self._call("get_world_properties", properties, properties._request_class(), timeout).model_names)

    @contextlib.contextmanager
    def paused(self):
        """Time stands still, as it must while models are made or deleted, and goes on afterwards.

        Else the robot's range sensors look around in the world while it changes, which now and then ends Gazebo.

        Raises:
            GazeboError: as of every call.
        """
        self._switch("pause_physics")
        try:
            yield
        finally:
            self.go_on()

    def go_on(self) -> None:
        """Let time go on where it stands still.

        Raises:
            GazeboError: as of every call.
        """
        self._switch("unpause_physics")

    def spawn(self, name: str, sdf: str, T_base_model: np.ndarray) -> None:
        """Make a model of an SDF document.

        Raises:
            GazeboError: as of every call; there is such a model already.
        """
        request = self._srv.SpawnModelRequest(model_name=name, model_xml=sdf, initial_pose=self._to_pose(T_base_model))
        request.robot_namespace, request.reference_frame = "/", "world"
        self._call("spawn_sdf_model", self._srv.SpawnModel, request)

    def delete(self, name: str) -> None:
        """Take a model out of the world.

        Raises:
            GazeboError: as of every call; there is no such model.
        """
        self._call("delete_model", self._srv.DeleteModel, self._srv.DeleteModelRequest(model_name=name))

    def move(self, name: str, T_base_model: np.ndarray) -> None:
        """Put a model somewhere, at rest.

        Raises:
            GazeboError: as of every call; there is no such model.
        """
        state = self._msg.ModelState(model_name=name, pose=self._to_pose(T_base_model), reference_frame="world")
        self._call("set_model_state", self._srv.SetModelState, self._srv.SetModelStateRequest(model_state=state))

    def state(self, name: str) -> ModelState:
        """Where a model is.

        Raises:
            GazeboError: as of every call; there is no such model.
        """
        request = self._srv.GetModelStateRequest(model_name=name, relative_entity_name="world")
        answer = self._call("get_model_state", self._srv.GetModelState, request)
        linear, angular = answer.twist.linear, answer.twist.angular
        speed, spin = (float(np.linalg.norm([v.x, v.y, v.z])) for v in (linear, angular))
        return ModelState(self._from_pose(answer.pose), speed, spin)

    def _switch(self, name: str) -> None:
        self._ask(name, Empty, Empty._request_class(), self._timeout)

    def _ask(self, name: str, service_class, request, timeout: float):
        try:
            return call_service(f"/gazebo/{name}", service_class, request, timeout)
        except CallFailed as error:
            raise GazeboError(str(error)) from None

    def _call(self, name: str, service_class, request, timeout: float = 0.0):
        answer = self._ask(name, service_class, request, timeout or self._timeout)
        if not answer.success:
            asked = getattr(request, "model_name", "")
            raise GazeboError(f"Gazebo refused {name} {asked}: {answer.status_message}")
        return answer

    def _to_pose(self, T_base_model: np.ndarray) -> Pose:
        pose = Pose()
        x, y, z = (T_base_model[:3, 3] + self._offset).tolist()
        pose.position.x, pose.position.y, pose.position.z = x, y, z
        x, y, z, w = Rotation.from_matrix(T_base_model[:3, :3]).as_quat().tolist()
        pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w = x, y, z, w
        return pose

    def _from_pose(self, pose: Pose) -> np.ndarray:
        q, p = pose.orientation, pose.position
        quaternion: Tuple = (q.x, q.y, q.z, q.w)
        return transform(Rotation.from_quat(quaternion).as_matrix(), np.array([p.x, p.y, p.z]) - self._offset)
