"""Node of the simulated Baxter: physics, Baxter's ROS interface, cameras, and services about the objects."""

import contextlib
import json
import math
import sys
import time
from typing import Any, Callable, List, Optional, Sequence, Union

import mujoco
import numpy as np
import pydantic
import rospy
from pydantic import Field
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Empty
from std_srvs.srv import Trigger, TriggerResponse
from typing_extensions import Literal

from grasp_learning.bins import load_bins
from grasp_learning.config import ConfigError, parse_settings
from grasp_learning.motion.robot_model import RobotModel
from grasp_learning.robot_description import load_urdf
from grasp_learning.ros.node_setup import workcell_calibration
from grasp_learning.ros.sim_cameras import MAX_FPS, CameraServices, KinectStream, RenderThread, WristStream
from grasp_learning.ros.sim_kinematics import KinematicsService
from grasp_learning.ros.sim_publisher import direct_publisher, to_stamp
from grasp_learning.ros.sim_robot import TICK_RATE, GripperTopics, RobotTopics
from grasp_learning.ros.sim_thread import Inbox
from grasp_learning.seeding import run_seed
from grasp_learning.sim.baxter import SimulatedBaxter
from grasp_learning.sim.cameras import CameraRenderer, CameraSettings
from grasp_learning.sim.contacts import ArmContacts
from grasp_learning.sim.gl import RenderingError
from grasp_learning.sim.marker_plates import MarkerPlate, calibration_plates
from grasp_learning.sim.pool import SceneChoice, choose_objects
from grasp_learning.sim.turns import Turns
from grasp_learning.sim.world import SceneError, SimulationDiverged, World, WorldSettings
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

TICK = 1.0 / TICK_RATE  # s of simulated time
SERVICE_PATIENCE = 60.0  # s of wall time for a service's answer; scattering takes long at speed 1
CONTACTS_LINE = "arm contacts:"  # begins the line that is printed at the end
SOFTWARE_VERSION = "1.2.0.57"  # what baxter_interface asks for
SWITCH_INTERVAL = 0.0005  # s; Python's 5 ms between threads would hold back every command
RENDERER_PATIENCE = 60.0  # s of wall time for the first picture
RECOVERIES = 5  # in one tick; a robot that still cannot go on is lost
LAG_WARNING = 0.5  # s of wall time that a promised speed may be behind before a warning


class BaxterSimSettings(SceneChoice):
    """Parameters of the node; config/baxter_sim.yaml says what they mean."""

    speed: Any = "max"
    clock: Literal["simulated", "wall"] = "simulated"
    kinect_rate: float = Field(5.0, gt=0, le=MAX_FPS)
    wrist_rate: float = Field(5.0, gt=0, le=MAX_FPS)
    render_share: float = Field(0.5, gt=0, le=1)
    marker: Literal["", "left", "right"] = ""

    @pydantic.field_validator("speed")
    @classmethod
    def _check_speed(cls, speed: Any) -> Union[str, float]:
        number = isinstance(speed, (int, float)) and not isinstance(speed, bool)
        if speed != "max" and not (number and 0 < speed < math.inf):
            raise ValueError("expected 'max' or a factor of real time above 0")
        return speed

    @pydantic.model_validator(mode="after")
    def _wall_clock_at_its_own_speed(self):
        if self.clock == "wall" and self.speed != 1:
            raise ValueError(f"speed is {self.speed}: a simulation by the wall clock runs at speed 1")
        return self


class Pacer:
    """Holds a loop of ticks to a speed.

    Args:
        speed: factor of real time, or None for as fast as possible.
    """

    def __init__(self, speed: Optional[float]):
        self._period = None if speed is None else TICK / speed
        self._next: Optional[float] = None

    def wait(self) -> None:
        """Wait for the next tick; the other threads run meanwhile."""
        if self._period is None:
            time.sleep(0)
            return
        now = time.monotonic()
        self._next = (now if self._next is None else self._next) + self._period
        ahead = self._next - now
        if ahead > 0:
            time.sleep(ahead)
        elif ahead < -LAG_WARNING and not rospy.is_shutdown():
            speed = TICK / self._period
            rospy.logwarn_throttle(10.0, "This machine is too slow to simulate at %g times real time", speed)
            self._next = now


class TickingWorld(World):
    """A world whose long operations (objects that fall and settle) advance through the robot's ticks, too.

    Attributes:
        on_tick: advances the world by one tick; None (the default) steps the physics alone.
    """

    on_tick: Optional[Callable[[], None]] = None

    def step(self, n: int = 1) -> None:
        """Advance by n physical time steps; in whole ticks once there is an ``on_tick``."""
        if self.on_tick is None:
            super().step(n)
            return
        for _ in range(max(1, round(n * self.settings.time_step * TICK_RATE))):
            self.on_tick()


class BaxterSim:
    """The simulated robot.

    It offers Baxter's own interface (:class:`RobotTopics`, :class:`GripperTopics`, :class:`CameraServices`,
    :class:`KinematicsService`) and a Kinect (:class:`KinectStream`), and:

    Publishers: /clock (Clock, 100 Hz of simulated time, unless it runs by the wall clock), robot/sim/started (Empty,
    latched).

    Services:
        ~scatter (std_srvs/Trigger): drops the same objects onto the table anew; answers when they are at rest.
        ~exchange_objects (std_srvs/Trigger): drops other objects of the pool onto the table; the message names them.
        ~clear_table (std_srvs/Trigger): takes all objects off the table, until ~scatter.
        ~put_back_objects (PutBackObjects): puts objects that left the table on another way than by a bin back onto it.
        ~bring_within_reach (PutBackObjects): likewise, and brings those that lie out of the arms' reach back into it.
        ~held (QueryHeld): what a gripper really holds.
        ~near (QueryNear): which objects lie near a point of the table.
        ~objects (QueryObjects): where the objects are that are in use: on the table, in a bin, elsewhere.
        ~press_estop, ~release_estop (std_srvs/Trigger): the red button.
        ~contacts (std_srvs/Trigger): how often the arms touched each other ("arms"), what stands around them with a
            link that is no gripper ("surroundings"), or a bin ("bins", where there are bins); the message is a JSON
            object. It is also printed at the end.
        ~reset (std_srvs/Trigger): the robot as after the start, objects scattered anew; time goes on.

    Parameters: see config/baxter_sim.yaml. It sets rethink/software_version and robot_description.
    """

    def __init__(self, settings: BaxterSimSettings):
        self._rng = np.random.default_rng([settings.seed, 1])
        self._inbox = Inbox(SERVICE_PATIENCE)
        objects = choose_objects(settings)
        self._turns = Turns(len(objects), settings.objects, np.random.default_rng([settings.seed, 2]))
        workcell = WorldSettings(calibration=settings.calibration or None)
        bins = load_bins(settings.bins) if settings.bins else None
        markers: Sequence[MarkerPlate] = ()
        if settings.marker:
            table = workcell_calibration(settings.calibration).table
            markers = calibration_plates(settings.marker, table.z, settings.seed)
        self._world = TickingWorld(settings.seed, objects, workcell, bins=bins, side=settings.side, markers=markers)
        self._by_wall_clock = settings.clock == "wall"
        self._set_time()
        self._robot = SimulatedBaxter(self._world)
        self._contacts = ArmContacts(self._world, rospy.logwarn)
        self._pacer = Pacer(None if settings.speed == "max" else settings.speed)
        self._cleared = False  # the objects are meant to be away
        self._rearranging = False
        self._running = False  # the simulation's thread serves the inbox
        self._world.scatter(self._rng, self._turns.next())

        rospy.set_param("rethink/software_version", SOFTWARE_VERSION)
        urdf = load_urdf()
        rospy.set_param("robot_description", urdf)
        self._clock = None if self._by_wall_clock else direct_publisher("/clock", Clock)
        self._topics = RobotTopics(self._robot, self._inbox)
        self._grippers = [GripperTopics(side, self._robot.grippers[side], self._inbox) for side in ARMS]
        self._renderer = self._start_cameras(settings)
        model = RobotModel(urdf)
        self._kinematics = [KinematicsService(model, side, self._arm_reader(side)) for side in ARMS]
        self._services = self._advertise()
        self._world.on_tick = self._tick
        self._started = rospy.Publisher("robot/sim/started", Empty, latch=True, queue_size=1)

    def _start_cameras(self, settings: BaxterSimSettings) -> RenderThread:
        share = settings.render_share
        wrists = {
            f"{side}_hand_camera": WristStream(f"cameras/{side}_hand_camera", side, settings.wrist_rate, share)
            for side in ARMS
        }
        kinect = KinectStream("kinect2/hd", settings.kinect_rate, share)
        self._camera_services = CameraServices(wrists)
        world, copy = self._world, mujoco.MjData(self._world.model)

        def make_renderer() -> CameraRenderer:
            return CameraRenderer(world.model, CameraSettings(seed=settings.seed), world.appearance)

        def snapshot() -> mujoco.MjData:
            if self._running:
                self._inbox.ask(_copy_positions, world.data, copy)
            else:
                _copy_positions(world.data, copy)
            mujoco.mj_kinematics(world.model, copy)
            mujoco.mj_camlight(world.model, copy)
            return copy

        thread = RenderThread([kinect, *wrists.values()], make_renderer, snapshot, lambda: world.time)
        thread.start(RENDERER_PATIENCE)
        return thread

    def _arm_reader(self, side: str) -> Callable[[], np.ndarray]:
        return lambda: self._inbox.ask(self._robot.arm_positions, side)

    def _advertise(self) -> List[rospy.Service]:
        return [
            rospy.Service("~scatter", Trigger, self._trigger(self._scatter)),
            rospy.Service("~exchange_objects", Trigger, self._trigger(self._exchange)),
            rospy.Service("~clear_table", Trigger, self._trigger(self._clear_table)),
            rospy.Service("~reset", Trigger, self._trigger(self._reset)),
            rospy.Service("~press_estop", Trigger, self._trigger(self._topics.switch, self._robot.press_estop)),
            rospy.Service("~release_estop", Trigger, self._trigger(self._topics.switch, self._robot.release_estop)),
            rospy.Service("~put_back_objects", PutBackObjects, lambda _: self._on_put_back(self._put_back)),
            rospy.Service("~bring_within_reach", PutBackObjects, lambda _: self._on_put_back(self._bring)),
            rospy.Service("~held", QueryHeld, self._on_held),
            rospy.Service("~near", QueryNear, self._on_near),
            rospy.Service("~objects", QueryObjects, self._on_objects),
            rospy.Service("~contacts", Trigger, lambda _: TriggerResponse(True, json.dumps(self._contacts.counts))),
        ]

    def _trigger(self, call: Callable, *args) -> Callable:
        def handle(_) -> TriggerResponse:
            try:
                said = self._inbox.ask(call, *args)
            except (SceneError, SimulationDiverged, TimeoutError) as error:
                return TriggerResponse(False, str(error))
            return TriggerResponse(True, said or "")

        return handle

    def run(self) -> None:
        """Simulate until the node is shut down.

        Raises:
            SimulationDiverged: the robot itself is lost.
        """
        self._running = True
        self._started.publish()
        count, pool = len(self._world.names_in_use), len(self._world.object_names)
        rospy.loginfo("The simulated Baxter is ready, with %d of %d objects on the table", count, pool)
        try:
            while not rospy.is_shutdown():
                self._tick()
        finally:
            # not through ROS's log, which is closed by now
            print(f"{CONTACTS_LINE} {json.dumps(self._contacts.counts)}", flush=True)
            self._renderer.stop(patience=1.0)

    def _tick(self) -> None:
        """Advance by one tick: commands, physics, readings."""
        self._inbox.run()
        self._update()
        self._set_time()
        self._contacts.update()
        stamp = to_stamp(self._world.time)
        if self._clock is not None:
            self._clock.publish(stamp)
        self._topics.publish(stamp)
        for gripper in self._grippers:
            gripper.publish(stamp)
        self._pacer.wait()

    def _set_time(self) -> None:
        """A robot without /clock stamps by the wall clock, however far the physics are."""
        if self._by_wall_clock:
            self._world.data.time = time.time()

    def _update(self) -> None:
        """One tick of the robot; objects that went wrong in it are taken off the table, and no arm jumps."""
        for attempt in range(RECOVERIES):
            try:
                self._robot.update(TICK)
                return
            except SimulationDiverged as error:
                if attempt == RECOVERIES - 1:
                    raise
                rospy.logwarn("The simulation diverged: %s. Objects that did lie beside the table now", error)
                self._world.restore(error.objects)

    # --- what the services do, in the thread of the simulation -----------------------------------------------------

    @contextlib.contextmanager
    def _alone(self):
        """One rearrangement at a time: scattering goes through ticks, which serve other calls meanwhile."""
        if self._rearranging:
            raise SceneError("the objects are being rearranged already")
        self._rearranging = True
        try:
            yield
        finally:
            self._rearranging = False

    def _scatter(self) -> None:
        with self._alone():
            self._world.scatter(self._rng)
            self._cleared = False

    def _exchange(self) -> str:
        with self._alone():
            self._world.scatter(self._rng, self._turns.next())
            self._cleared = False
            return ", ".join(self._world.names_in_use)

    def _clear_table(self) -> None:
        with self._alone():
            self._world.clear_table()
            self._cleared = True

    def _put_back(self) -> List[str]:
        with self._alone():
            return [] if self._cleared else self._world.put_back(self._rng, also=self._robot.stuck_objects())

    def _bring(self) -> List[str]:
        with self._alone():
            if self._cleared:
                return []
            return self._world.put_back(self._rng, also=[*self._robot.stuck_objects(), *self._world.out_of_reach()])

    def _reset(self) -> None:
        with self._alone():
            now = self._world.time
            self._world.reset()
            self._world.data.time = now  # a /clock that jumps back breaks its listeners
            self._robot.restart()
            self._world.scatter(self._rng)
            self._cleared = False

    # --- services with an answer ------------------------------------------------------------------------------------

    def _on_put_back(self, call: Callable[[], List[str]]) -> PutBackObjectsResponse:
        try:
            return PutBackObjectsResponse(self._inbox.ask(call))
        except (SceneError, SimulationDiverged, TimeoutError) as error:
            raise rospy.ServiceException(str(error)) from None

    def _on_held(self, request) -> QueryHeldResponse:
        if request.arm not in ARMS:
            raise rospy.ServiceException(f"unknown arm '{request.arm}'; expected one of {', '.join(ARMS)}")
        try:
            name = self._inbox.ask(self._world.held, request.arm)
        except TimeoutError as error:
            raise rospy.ServiceException(str(error)) from None
        return QueryHeldResponse(name is not None, name or "")

    def _on_near(self, request) -> QueryNearResponse:
        point = (request.x, request.y, request.radius)
        if not all(map(math.isfinite, point)) or request.radius < 0:
            raise rospy.ServiceException(
                f"x, y, radius are {point}; expected finite metres, and a radius of at least 0"
            )
        try:
            near = self._inbox.ask(self._world.objects_near, *point)
        except TimeoutError as error:
            raise rospy.ServiceException(str(error)) from None
        return QueryNearResponse([name for name, _ in near], [distance for _, distance in near])

    def _on_objects(self, _) -> QueryObjectsResponse:
        try:
            places = self._inbox.ask(self._world.whereabouts)
        except TimeoutError as error:
            raise rospy.ServiceException(str(error)) from None
        return QueryObjectsResponse(list(places), list(places.values()))


def _copy_positions(source: mujoco.MjData, target: mujoco.MjData) -> None:
    target.qpos[:] = source.qpos
    target.time = source.time


def main() -> None:
    """Run the node."""
    rospy.init_node("baxter_sim", disable_rostime=True)  # it makes the time
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        settings = parse_settings(BaxterSimSettings, rospy.get_param("~", {}), rospy.get_name())
        seed = run_seed(settings.seed, settings.data)
        BaxterSim(settings.model_copy(update={"seed": seed})).run()
    except (ConfigError, CollectionError, RenderingError, SceneError, SimulationDiverged) as error:
        rospy.logfatal("%s", error)
        sys.exit(1)
