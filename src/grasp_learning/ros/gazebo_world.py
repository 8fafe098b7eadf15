"""Node that gives a Baxter in Gazebo a table, a Kinect and objects, and baxter_sim's services about them."""

import contextlib
import math
import sys
import threading
from pathlib import Path
from typing import Callable, Dict, List

import numpy as np
import rospkg
import rospy
from pydantic import Field
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger, TriggerResponse

from grasp_learning.bins import load_bins
from grasp_learning.config import ConfigError, parse_settings
from grasp_learning.gazebo.mirror import Mirror
from grasp_learning.gazebo.sphere_mesh import write_sphere
from grasp_learning.gazebo.workcell import GazeboWorkcell
from grasp_learning.robot_description import find_package_file
from grasp_learning.ros.calls import Deadline
from grasp_learning.ros.gazebo_client import ROBOT, GazeboClient, GazeboError
from grasp_learning.seeding import run_seed
from grasp_learning.sim.pool import SceneChoice, choose_objects
from grasp_learning.sim.turns import Turns
from grasp_learning.sim.world import SceneError, SimulationDiverged, WorldSettings
from grasp_learning.srv import (
    PutBackObjects,
    PutBackObjectsResponse,
    QueryHeld,
    QueryHeldResponse,
    QueryNear,
    QueryNearResponse,
    QueryObjects,
    QueryObjectsResponse,
)
from grasp_learning.storage import CollectionError
from grasp_learning.trial import ARMS

REST_POLL = 0.1  # s, wall clock, between two looks at objects that were laid out
FAILURES = (GazeboError, SceneError, SimulationDiverged, TimeoutError)


class GazeboWorldSettings(SceneChoice):
    """Parameters of the node; config/gazebo_world.yaml says what they mean."""

    base_height: float = Field(0.93, ge=0.0, le=3.0)
    kinect_rate: float = Field(5.0, gt=0, le=30)
    start_timeout: float = Field(180.0, gt=0)
    call_timeout: float = Field(10.0, gt=0)
    rest_timeout: float = Field(4.0, gt=0)
    patience: float = Field(60.0, gt=0)


class JointReader:
    """Newest positions of the robot's joints, which come in messages of several publishers."""

    def __init__(self):
        self._positions: Dict[str, float] = {}
        self._subscriber = rospy.Subscriber("robot/joint_states", JointState, self._on_message, queue_size=5)

    def _on_message(self, message: JointState) -> None:
        # a new dictionary: who reads it holds no lock
        self._positions = {**self._positions, **dict(zip(message.name, message.position))}

    @property
    def has_publisher(self) -> bool:
        """Whether anybody is there who tells positions, or will when time goes on."""
        return self._subscriber.get_num_connections() > 0

    def __call__(self) -> Dict[str, float]:
        """Position of each joint that was heard of (rad, m)."""
        return self._positions


class GazeboWorld:
    """The workcell of a Baxter in Gazebo: the objects lie, and are told of, as those of ``baxter_sim``.

    Subscribers: robot/joint_states (sensor_msgs/JointState): where the arms are, around which objects are put back.

    Services:
        ~scatter (std_srvs/Trigger): lays the same objects out anew; answers when they are at rest.
        ~exchange_objects (std_srvs/Trigger): lays other objects of the pool out; the message names them.
        ~clear_table (std_srvs/Trigger): takes all objects off the table, until ~scatter.
        ~put_back_objects (PutBackObjects): puts objects that left the table on another way than by a bin back onto it.
        ~bring_within_reach (PutBackObjects): likewise, and brings those that lie out of the arms' reach back into it.
        ~held (QueryHeld): what a gripper really holds.
        ~near (QueryNear): which objects lie near a point of the table.
        ~objects (QueryObjects): where the objects are that are in use: on the table, in a bin, elsewhere.
        ~reset (std_srvs/Trigger): the same as ~scatter; the robot is Gazebo's own and stays as it is.

    Services called: /gazebo/{get_world_properties,spawn_sdf_model,delete_model,set_model_state,get_model_state,
        pause_physics,unpause_physics}.

    Parameters: see config/gazebo_world.yaml.
    """

    def __init__(self, settings: GazeboWorldSettings):
        self._settings = settings
        self._lock = threading.Lock()  # the workcell belongs to one caller at a time
        client, joints = GazeboClient(settings.base_height, settings.call_timeout), JointReader()
        self._workcell = self._make_workcell(client, joints)
        self._wait_for_robot(client, joints)
        self._workcell.build(settings.kinect_rate, settings.start_timeout)
        self._services = self._advertise()

    def _make_workcell(self, client: GazeboClient, joints: JointReader) -> GazeboWorkcell:
        """Prepare what is laid out.

        Raises:
            ConfigError: a file or a setting does not fit.
        """
        settings = self._settings
        objects = choose_objects(settings)
        calibration = settings.calibration or str(find_package_file("config/calibration/gazebo.yaml"))
        bins = load_bins(settings.bins) if settings.bins else None
        mirror = Mirror(settings.seed, objects, WorldSettings(calibration=calibration), bins=bins, side=settings.side)
        turns = Turns(len(objects), settings.objects, np.random.default_rng([settings.seed, 2]))
        # Gazebo reads the mesh from this machine's disk
        sphere = write_sphere(Path(rospkg.get_ros_home()) / "grasp_learning")
        rng = np.random.default_rng([settings.seed, 1])
        return GazeboWorkcell(client, mirror, turns, joints, sphere.as_uri(), self._wait_for_rest, rng)

    def _wait_for_robot(self, client: GazeboClient, joints: JointReader) -> None:
        """Let time begin, which stands still until Gazebo has loaded the robot, and wait until the joints are told.

        Raises:
            GazeboError: Gazebo does not answer, or has no robot.
        """
        timeout = self._settings.start_timeout
        until = Deadline(None, timeout)
        # the robot's controllers are the last part of it that is loaded
        loaded = until.wait(lambda: ROBOT in client.names(timeout) and joints.has_publisher, REST_POLL)
        if loaded:
            client.go_on()
        if not loaded or not until.wait(joints, REST_POLL):
            raise GazeboError(f"no model '{ROBOT}' with joint states in Gazebo after {timeout:g} s; is it spawned?")

    def _wait_for_rest(self, at_rest: Callable[[], bool]) -> bool:
        return Deadline(self._settings.rest_timeout).wait(at_rest, REST_POLL)

    def _advertise(self) -> List[rospy.Service]:
        cell = self._workcell
        return [
            rospy.Service("~scatter", Trigger, self._trigger(cell.scatter)),
            rospy.Service("~reset", Trigger, self._trigger(cell.scatter)),
            rospy.Service("~exchange_objects", Trigger, self._trigger(lambda: ", ".join(cell.exchange()))),
            rospy.Service("~clear_table", Trigger, self._trigger(cell.clear_table)),
            rospy.Service("~put_back_objects", PutBackObjects, lambda _: self._on_put_back(reach=False)),
            rospy.Service("~bring_within_reach", PutBackObjects, lambda _: self._on_put_back(reach=True)),
            rospy.Service("~held", QueryHeld, self._on_held),
            rospy.Service("~near", QueryNear, self._on_near),
            rospy.Service("~objects", QueryObjects, self._on_objects),
        ]

    @contextlib.contextmanager
    def _alone(self):
        """One call at a time.

        Raises:
            TimeoutError: another call takes too long.
        """
        patience = self._settings.patience
        if not self._lock.acquire(timeout=patience):
            raise TimeoutError(f"an earlier call still works on the objects after {patience:g} s")
        try:
            yield
        finally:
            self._lock.release()

    def _trigger(self, call: Callable) -> Callable:
        def handle(_) -> TriggerResponse:
            try:
                with self._alone():
                    said = call()
            except FAILURES as error:
                return TriggerResponse(False, str(error))
            return TriggerResponse(True, said or "")

        return handle

    def _answer(self, call: Callable):
        """What a question's answer is; where there is none, the service fails with the reason."""
        try:
            with self._alone():
                return call()
        except FAILURES as error:
            raise rospy.ServiceException(str(error)) from None

    def _on_put_back(self, reach: bool) -> PutBackObjectsResponse:
        return PutBackObjectsResponse(self._answer(lambda: self._workcell.put_back(reach)))

    def _on_held(self, request) -> QueryHeldResponse:
        if request.arm not in ARMS:
            raise rospy.ServiceException(f"unknown arm '{request.arm}'; expected one of {', '.join(ARMS)}")
        name = self._answer(lambda: self._workcell.held(request.arm))
        return QueryHeldResponse(name is not None, name or "")

    def _on_near(self, request) -> QueryNearResponse:
        point = (request.x, request.y, request.radius)
        if not all(map(math.isfinite, point)) or request.radius < 0:
            raise rospy.ServiceException(
                f"x, y, radius are {point}; expected finite metres, and a radius of at least 0"
            )
        near = self._answer(lambda: self._workcell.near(*point))
        return QueryNearResponse([name for name, _ in near], [distance for _, distance in near])

    def _on_objects(self, _) -> QueryObjectsResponse:
        places = self._answer(self._workcell.whereabouts)
        return QueryObjectsResponse(list(places), list(places.values()))


def main() -> None:
    """Run the node until it is shut down; exit code 1 if its settings are wrong or Gazebo is not there."""
    rospy.init_node("gazebo_world")
    try:
        settings = parse_settings(GazeboWorldSettings, rospy.get_param("~", {}), rospy.get_name())
        seed = run_seed(settings.seed, settings.data)
        GazeboWorld(settings.model_copy(update={"seed": seed}))
    except (ConfigError, CollectionError, OSError, *FAILURES) as error:
        if not rospy.is_shutdown():
            rospy.logfatal("%s", error)
        sys.exit(1)
    rospy.loginfo("The table, the Kinect and the objects are in Gazebo")
    rospy.spin()
