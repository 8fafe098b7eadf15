"""The simulated workcell: a robot, a table, and objects that fall, roll, are held and get lost.

The world frame is the robot's ``base`` frame. Nothing here knows of servos or of ROS; ``sim/baxter.py`` drives the
robot, ``sim/cameras.py`` looks at the world.
"""

import logging
from typing import Dict, List, Literal, NamedTuple, Optional, Sequence, Tuple

import mujoco
import numpy as np
from pydantic import Field

from grasp_learning.bins import ELSEWHERE, IN_BIN, ON_TABLE, Bins
from grasp_learning.calibration import Calibration, load_calibration
from grasp_learning.config import Settings
from grasp_learning.geometry import transform
from grasp_learning.robot_description import find_package_file, finger_joints
from grasp_learning.sim.appearance import Appearance, AppearanceSettings
from grasp_learning.sim.camera_models import KINECT, KINECT_NAME, WRIST, CameraModel, wrist_name
from grasp_learning.sim.marker_plates import MarkerPlate, add_plate
from grasp_learning.sim.objects import ObjectSpec, add_to_spec
from grasp_learning.sim.robots import RobotPart, WholeBaxter

log = logging.getLogger(__name__)

TABLE_THICKNESS = 0.04
FLOOR_Z = -0.93
BIN_COLOR = [0.25, 0.32, 0.42, 1.0]
TABLE_COLOR = [0.85, 0.85, 0.83, 1.0]
TABLE_FRICTION = 0.6

# What a geom belongs to, where it is not object number 0, 1, ...
_FIXED, _ROBOT = -1, -2
_FINGERS = {"left": -3, "right": -4}

_FATAL_WARNINGS = [
    mujoco.mjtWarning.mjWARN_BADQPOS,
    mujoco.mjtWarning.mjWARN_BADQVEL,
    mujoco.mjtWarning.mjWARN_BADQACC,
    mujoco.mjtWarning.mjWARN_BADCTRL,
]


# Object velocities at which a state counts as lost: six times what tame() leaves
_ABSURD = 6.0


class SimulationDiverged(RuntimeError):
    """The physics produced NaN or absurd velocities. Call :meth:`World.restore` or :meth:`World.reset`.

    Attributes:
        objects: names of the objects that went wrong; empty where only the robot did.
    """

    def __init__(self, message: str, objects: Sequence[str] = ()):
        super().__init__(message)
        self.objects = tuple(objects)


class SceneError(RuntimeError):
    """The objects could not be laid out on the table."""


class Circle(NamedTuple):
    """A place on the table to keep free: centre and radius (m)."""

    x: float
    y: float
    radius: float


class WorldSettings(Settings):
    """Physics and layout of the simulated workcell.

    Attributes:
        time_step: of the physics (s).
        calibration: file with the table and the Kinect's pose; None is config/calibration/sim.yaml.
        workspace_x: where objects are dropped (m), within the reach of the arms.
        workspace_y: distance from the plane y = 0 at which they are dropped (m), on either side.
        workspace_margin: how far outside of it they may come to rest when scattered (m).
        drop_height: free fall of a dropped object (m).
        settle_time: most time an object may take to come to rest (s).
        scatter_attempts: how often objects that fell off or roll on are dropped again.
        max_velocity: of any joint of the robot (m/s, rad/s); above it the simulation has diverged.
        max_object_speed, max_object_spin: of an object (m/s, rad/s). What is squeezed between a hand and the table
            jumps away; free of these bounds it jumps so fast that the next steps cannot follow.
        appearance: of the table and the light.
    """

    time_step: float = Field(0.002, gt=0.0, le=0.005)
    calibration: Optional[str] = None
    workspace_x: Tuple[float, float] = (0.52, 0.80)
    workspace_y: Tuple[float, float] = (0.10, 0.42)
    workspace_margin: float = Field(0.04, ge=0.0)
    drop_height: float = Field(0.02, ge=0.0, le=0.5)
    settle_time: float = Field(4.0, gt=0.0)
    scatter_attempts: int = Field(12, ge=1)
    max_velocity: float = Field(100.0, gt=0.0)
    max_object_speed: float = Field(5.0, gt=0.0)
    max_object_spin: float = Field(60.0, gt=0.0)
    appearance: AppearanceSettings = AppearanceSettings()


class World:
    """The physics of the workcell.

    Args:
        seed: of the light and the table's surface.
        objects: what can lie on the table; it starts empty, with the objects parked on the floor behind the robot.
            There may be more of them than :meth:`scatter` lays out: parked ones sleep and cost next to nothing.
        settings: see :class:`WorldSettings`.
        robot: what moves in it; None is the whole Baxter.
        bins: beside the table; None is a workcell without.
        side: half of the table on which objects are laid out.
        markers: printed markers for a calibration; none where nothing is calibrated.

    Raises:
        ConfigError: the calibration file is missing or malformed.
    """

    def __init__(
        self,
        seed: int,
        objects: Sequence[ObjectSpec],
        settings: Optional[WorldSettings] = None,
        robot: Optional[RobotPart] = None,
        bins: Optional[Bins] = None,
        side: Literal["both", "left", "right"] = "both",
        markers: Sequence[MarkerPlate] = (),
    ):
        self.seed = seed
        self.settings = settings or WorldSettings()
        self.robot = robot or WholeBaxter()
        self.objects = list(objects)
        self.object_names = _unique_names(self.objects)
        self._in_use = list(range(len(self.objects)))  # what scatter lays out
        path = self.settings.calibration or find_package_file("config/calibration/sim.yaml")
        self.calibration = load_calibration(path)
        self.table = self.calibration.table
        self.bins = bins
        self._markers = tuple(markers)
        # of y, on the halves of the table that are in use
        self._signs = {"both": (1.0, -1.0), "left": (1.0,), "right": (-1.0,)}[side]
        self.appearance = Appearance(seed, self.settings.appearance)
        # Without a handler MuJoCo writes its warnings to a file in the working directory
        mujoco.set_mju_user_warning(lambda message: log.warning("MuJoCo: %s", message))
        self.model = self._build()
        self.data = mujoco.MjData(self.model)
        self._index()
        self.reset()

    # --- construction -------------------------------------------------------------------------------------------

    def _build(self) -> mujoco.MjModel:
        spec = self.robot.spec()
        spec.option.timestep = self.settings.time_step
        spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
        spec.option.impratio = 10.0
        # A diverged state must be seen, not silently replaced by the initial one
        spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
        # Objects at rest cost nothing until something touches them: three times faster
        spec.option.enableflags |= mujoco.mjtEnableBit.mjENBL_SLEEP
        _add_workcell(spec, self.calibration, self.robot.sides)
        if self.bins is not None:
            _add_bins(spec, self.bins)
        for name, obj in zip(self.object_names, self.objects):
            _add_object(spec, name, obj)
        for plate in self._markers:
            add_plate(spec, plate)
        self.appearance.apply(spec)
        return spec.compile()

    def _index(self) -> None:
        model = self.model
        bodies = [model.body(name).id for name in self.object_names]
        self._object_bodies = np.array(bodies, int)
        joints = model.body_jntadr[self._object_bodies]
        self._qpos = model.jnt_qposadr[joints][:, None] + np.arange(7)
        self._qvel = model.jnt_dofadr[joints][:, None] + np.arange(6)
        owner = np.full(model.nbody, _ROBOT)
        owner[model.body_weldid == 0] = _FIXED
        owner[self._object_bodies] = np.arange(len(bodies))
        for side in self.robot.sides:
            fingers = [model.joint(name).bodyid[0] for name in finger_joints(side)]
            owner[np.isin(model.body_weldid, fingers)] = _FINGERS[side]
        self._geom_owner = owner[model.geom_bodyid]

    # --- time ---------------------------------------------------------------------------------------------------

    @property
    def time(self) -> float:
        """Simulated time (s)."""
        return self.data.time

    def step(self, n: int = 1) -> None:
        """Advance by n physical time steps.

        Raises:
            SimulationDiverged: the state is no longer usable.
        """
        mujoco.mj_step(self.model, self.data, nstep=n)
        self.check()

    def check(self) -> None:
        """Look at the state after steps: remember it when it is good, slow down objects that are too fast.

        Raises:
            SimulationDiverged: MuJoCo warned of it, or a velocity is absurd.
        """
        velocity = self.data.qvel
        # one comparison at most ticks; NaN fails it, too
        if not velocity.dot(velocity) <= self.settings.max_object_speed**2 or self.data.warning.number.any():
            self._check_each()
        self._remember()

    def _check_each(self) -> None:
        fatal = [str(kind) for kind in _FATAL_WARNINGS if self.data.warning.number[kind]]
        linear, angular = self._object_velocities()
        limits = self.settings
        fine = (linear <= _ABSURD * limits.max_object_speed) & (angular <= _ABSURD * limits.max_object_spin)
        robot = np.abs(np.delete(self.data.qvel, self._qvel)).max()
        if fatal or not fine.all() or not robot <= limits.max_velocity:
            names = [self.object_names[index] for index in np.flatnonzero(~fine)]
            what = ", ".join(names) or "the robot"
            why = ", ".join(fatal) or "NaN or absurd velocity"
            raise SimulationDiverged(f"{what} at {self.time:.3f} s: {why}", names)
        self._tame(linear, angular)

    def _object_velocities(self) -> Tuple[np.ndarray, np.ndarray]:
        """Speed (m/s) and spin (rad/s) of each object."""
        velocity = self.data.qvel[self._qvel]
        return np.linalg.norm(velocity[:, :3], axis=1), np.linalg.norm(velocity[:, 3:], axis=1)

    def _tame(self, linear: np.ndarray, angular: np.ndarray) -> None:
        """Slow down objects that are faster than the limits."""
        for dofs, size, limit in (
            (self._qvel[:, :3], linear, self.settings.max_object_speed),
            (self._qvel[:, 3:], angular, self.settings.max_object_spin),
        ):
            fast = size > limit
            self.data.qvel[dofs[fast]] *= (limit / size[fast])[:, None]

    def restore(self, lost: Sequence[str] = ()) -> None:
        """Back to the last good state, after :class:`SimulationDiverged`: no arm jumps.

        Args:
            lost: names of objects that are put onto the floor, away from everything: they left the table.
        """
        time, qpos, qvel = self._good
        control = self.data.ctrl.copy()
        mujoco.mj_resetData(self.model, self.data)
        self.data.time = time
        self.data.qpos[:], self.data.qvel[:], self.data.ctrl[:] = qpos, qvel, control
        for name in lost:
            index = self.object_names.index(name)
            self._place(index, self._parking(index), (1.0, 0.0, 0.0, 0.0))
        mujoco.mj_forward(self.model, self.data)
        self._remember()

    def _remember(self) -> None:
        self._good = (self.data.time, self.data.qpos.copy(), self.data.qvel.copy())

    def reset(self) -> None:
        """Time 0, the robot at its first posture with grippers open, the table empty."""
        mujoco.mj_resetData(self.model, self.data)
        self.robot.reset(self.data)
        self.clear_table()

    # --- objects ------------------------------------------------------------------------------------------------

    def clear_table(self) -> None:
        """Park all objects on the floor behind the robot, out of every camera's view."""
        for index in range(len(self.objects)):
            self._place(index, self._parking(index), (1.0, 0.0, 0.0, 0.0))
        self._parked = set(range(len(self.objects)))
        mujoco.mj_forward(self.model, self.data)
        self._remember()

    @property
    def names_in_use(self) -> List[str]:
        """Names of the objects that are meant to lie on the table."""
        return [self.object_names[index] for index in self._in_use]

    def scatter(self, rng: np.random.Generator, chosen: Optional[Sequence[int]] = None) -> None:
        """Drop objects onto the table, about half of them on each side in use, and wait until they are at rest.

        Time goes on meanwhile, and the robot holds its set-points.

        Args:
            chosen: indices of the objects, from now on; the others stay parked. None is those of the last time, all
                of them at first.

        Raises:
            SceneError: objects still fell off or rolled on after all attempts.
            SimulationDiverged: see :meth:`step`.
        """
        if chosen is not None:
            self._in_use = [int(index) for index in chosen]
        self.clear_table()
        pending = [self._in_use[place] for place in rng.permutation(len(self._in_use))]
        signs = {index: self._signs[rank % len(self._signs)] for rank, index in enumerate(pending)}
        for _ in range(self.settings.scatter_attempts):
            for index in pending:
                self._drop(index, signs[index], rng)
                self.step(self._steps(0.12))
            moving = self._settle()
            pending = [index for index in signs if index in moving or self._misplaced(index, signs[index])]
            if not pending:
                return
        names = ", ".join(self.object_names[index] for index in pending)
        raise SceneError(f"after {self.settings.scatter_attempts} attempts these do not rest on the table: {names}")

    def objects_off_table(self) -> List[str]:
        """Names of the objects that left the table: they lie neither on it, in a bin nor in a hand, nor were parked."""
        places = self._places()
        off = [name for name, place in places.items() if place == ELSEWHERE]
        held = {self.held(side) for side in self.robot.sides} if off else set()
        return [name for name in off if name not in held]

    def whereabouts(self) -> Dict[str, str]:
        """Place of each object in use: ON_TABLE, IN_BIN or ELSEWHERE; what a hand holds over a bin is not in it."""
        places = self._places()
        for name in filter(None, map(self.held, self.robot.sides)):
            if places.get(name) == IN_BIN:
                places[name] = ELSEWHERE
        return {name: places[name] for name in self.names_in_use if name in places}

    def out_of_reach(self) -> List[str]:
        """Names of the objects on the table whose centres are outside of the workspace."""
        positions = self.data.qpos[self._qpos[:, :3]]
        on_table = [name for name, place in self._places().items() if place == ON_TABLE]
        return [name for name in on_table if not self._in_workspace(positions[self.object_names.index(name)])]

    def put_back(
        self, rng: np.random.Generator, avoid: Optional[Sequence[Circle]] = None, also: Sequence[str] = ()
    ) -> List[str]:
        """Put the objects that left the table back onto a free place of it, away from the grippers.

        An object for which there is no free place now stays where it is, for the next call.

        Args:
            avoid: places to keep free; None is 0.2 m around each gripper.
            also: objects that are put back wherever they are.

        Returns:
            Names of the objects that were put back.
        """
        if avoid is None:
            hands = [self.data.body(f"{side}_gripper").xpos for side in self.robot.sides]
            avoid = [Circle(float(hand[0]), float(hand[1]), 0.2) for hand in hands]
        wanted = dict.fromkeys([*self.objects_off_table(), *also])
        names = [name for name in wanted if self._put_back_one(name, avoid, rng)]
        if names:
            mujoco.mj_forward(self.model, self.data)
        return names

    def held(self, side: str) -> Optional[str]:
        """The object that this hand really holds: it touches the fingers and is clear of the table.

        Clear means that neither the object nor a chain of objects that it touches rests on something fixed.
        """
        contacts = self._geom_owner[self.data.contact.geom[self.data.contact.dist < 0.001]]
        for index in _partners(contacts, _FINGERS[side]):
            if index >= 0 and not _is_supported(contacts, index):
                return self.object_names[index]
        return None

    def place(self, name: str, pos: Sequence[float], quat: Sequence[float] = (1.0, 0.0, 0.0, 0.0)) -> None:
        """Put an object somewhere, at rest.

        Args:
            pos: of the middle of its bounding box, base frame (m).
            quat: orientation (w, x, y, z).
        """
        index = self.object_names.index(name)
        self._parked.discard(index)
        self._place(index, pos, quat)
        mujoco.mj_forward(self.model, self.data)

    def object_poses(self) -> Dict[str, np.ndarray]:
        """T_base_object (4, 4) of every object."""
        poses = {}
        for name, address in zip(self.object_names, self._qpos):
            rotation = np.empty(9)
            mujoco.mju_quat2Mat(rotation, self.data.qpos[address[3:]])
            poses[name] = transform(rotation.reshape(3, 3), self.data.qpos[address[:3]])
        return poses

    def objects_near(self, x: float, y: float, radius: float) -> List[Tuple[str, float]]:
        """Names and horizontal distances (m) of the objects whose centres are near a point, the nearest first.

        Parked ones are not among them, however large the radius.
        """
        distances = np.hypot(self.data.qpos[self._qpos[:, 0]] - x, self.data.qpos[self._qpos[:, 1]] - y)
        near = [int(index) for index in np.argsort(distances) if distances[index] <= radius]
        return [(self.object_names[index], float(distances[index])) for index in near if index not in self._parked]

    def fastest_object(self) -> float:
        """Speed (m/s) of the fastest object."""
        return float(self._object_velocities()[0].max(initial=0.0))

    def layout(self) -> np.ndarray:
        """(n, 7) position (m) and quaternion (w, x, y, z) of each object, for :meth:`lay_out`."""
        return self.data.qpos[self._qpos]

    def lay_out(self, layout: np.ndarray) -> None:
        """Put all objects where another time or another world with the same objects had them, at rest."""
        for index, pose in enumerate(layout):
            self._parked.discard(index)
            self._place(index, pose[:3], pose[3:])
        mujoco.mj_forward(self.model, self.data)
        self._remember()

    # --- helpers ------------------------------------------------------------------------------------------------

    def _steps(self, seconds: float) -> int:
        return max(1, int(round(seconds / self.settings.time_step)))

    def _parking(self, index: int) -> Tuple[float, float, float]:
        """Where an object stands when it is out of the way."""
        return -1.2 - 0.4 * (index // 6), -1.0 + 0.4 * (index % 6), FLOOR_Z + self.objects[index].extents[2] / 2

    def _place(self, index: int, pos: Sequence[float], quat: Sequence[float]) -> None:
        self.data.qpos[self._qpos[index]] = np.concatenate([pos, quat])
        self.data.qvel[self._qvel[index]] = 0.0
        self.data.qacc_warmstart[self._qvel[index]] = 0.0

    def _drop(self, index: int, sign: float, rng: np.random.Generator) -> None:
        """Place an object at rest above a random point of a half, just above whatever is there."""
        x = rng.uniform(*self.settings.workspace_x)
        y = sign * rng.uniform(*self.settings.workspace_y)
        upright = rng.random() < 0.5
        quat = _random_quaternion(rng, upright)
        self._parked.discard(index)
        reach = self.objects[index].extents[2] / 2 if upright else self.objects[index].radius
        # below the loop's end there is always room: no pile is that high
        for height in np.arange(self.settings.drop_height, 0.6, 0.03):
            self._place(index, (x, y, self.table.z + reach + height), quat)
            if self._is_free(index):
                return

    def _is_free(self, index: int) -> bool:
        """Whether an object, as placed, overlaps nothing."""
        # the whole forward pass: it also wakes the sleeping, whose contacts would be missed
        mujoco.mj_forward(self.model, self.data)
        return not np.any(self._geom_owner[self.data.contact.geom] == index)

    def _settle(self) -> List[int]:
        """Step until all objects but parked ones are at rest; indices of those that still move when time is up."""
        parked = list(self._parked)
        moving = np.ones(len(self.objects), bool)
        quiet = 0
        for _ in range(self._steps(self.settings.settle_time) // self._steps(0.05)):
            self.step(self._steps(0.05))
            velocity = np.abs(self.data.qvel[self._qvel])
            moving = (velocity[:, :3].max(axis=1) > 0.01) | (velocity[:, 3:].max(axis=1) > 0.15)
            moving[parked] = False
            quiet = 0 if moving.any() else quiet + 1
            if quiet == 3:
                break
        return [int(index) for index in np.flatnonzero(moving)]

    def _places(self) -> Dict[str, str]:
        """Place of each object that is not parked; an object in a hand over the table is on it."""
        positions = self.data.qpos[self._qpos[:, :3]]
        free = [index for index in range(len(self.objects)) if index not in self._parked]
        return {self.object_names[index]: self._place_of(positions[index]) for index in free}

    def _place_of(self, pos: np.ndarray) -> str:
        if not self._is_off(pos):
            return ON_TABLE
        in_bin = self.bins is not None and any(one.contains(pos) for one in self.bins.by_arm.values())
        return IN_BIN if in_bin else ELSEWHERE

    def _in_workspace(self, pos: np.ndarray) -> bool:
        (x_min, x_max), (y_min, y_max) = self.settings.workspace_x, self.settings.workspace_y
        return bool(x_min <= pos[0] <= x_max and any(y_min <= sign * pos[1] <= y_max for sign in self._signs))

    def _misplaced(self, index: int, sign: float) -> bool:
        x, y, _ = pos = self.data.qpos[self._qpos[index, :3]]
        margin = self.settings.workspace_margin
        inside_x = self.settings.workspace_x[0] - margin <= x <= self.settings.workspace_x[1] + margin
        inside_y = self.settings.workspace_y[0] - margin <= sign * y <= self.settings.workspace_y[1] + margin
        return self._is_off(pos) or not (inside_x and inside_y)

    def _is_off(self, pos: np.ndarray) -> bool:
        table = self.table
        over = table.x_min <= pos[0] <= table.x_max and table.y_min <= pos[1] <= table.y_max
        return not over or pos[2] < table.z

    def _put_back_one(self, name: str, avoid: Sequence[Circle], rng: np.random.Generator) -> bool:
        index = self.object_names.index(name)
        before = self.data.qpos[self._qpos[index]].copy()
        radius = float(np.linalg.norm(self.objects[index].extents[:2]) / 2)
        for _ in range(100):
            x = rng.uniform(*self.settings.workspace_x)
            y = rng.choice(sorted(self._signs)) * rng.uniform(*self.settings.workspace_y)
            if any(np.hypot(x - c.x, y - c.y) < c.radius + radius for c in avoid):
                continue
            z = self.table.z + self.objects[index].extents[2] / 2 + 0.005
            self._place(index, (x, y, z), _random_quaternion(rng, upright=True))
            if self._is_free(index):
                return True
        self._place(index, before[:3], before[3:])
        log.warning("no free place on the table for %s", name)
        return False


def _unique_names(objects: Sequence[ObjectSpec]) -> List[str]:
    """The objects' names; a second mug_00 becomes mug_00_2."""
    counts: Dict[str, int] = {}
    names = []
    for obj in objects:
        counts[obj.name] = counts.get(obj.name, 0) + 1
        names.append(obj.name if counts[obj.name] == 1 else f"{obj.name}_{counts[obj.name]}")
    return names


def _add_workcell(spec: mujoco.MjSpec, calibration: Calibration, sides: Sequence[str]) -> None:
    table = calibration.table
    centre = [(table.x_min + table.x_max) / 2, (table.y_min + table.y_max) / 2, table.z - TABLE_THICKNESS / 2]
    half = [(table.x_max - table.x_min) / 2, (table.y_max - table.y_min) / 2, TABLE_THICKNESS / 2]
    box = {"type": mujoco.mjtGeom.mjGEOM_BOX, "rgba": TABLE_COLOR}
    spec.worldbody.add_geom(name="table", pos=centre, size=half, friction=[TABLE_FRICTION, 0.005, 0.0001], **box)
    spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, pos=[0, 0, FLOOR_Z], size=[4, 4, 0.1])
    _add_camera(spec.body("base"), KINECT_NAME, KINECT, calibration.T_base_kinect.matrix)
    for side in sides:
        _add_camera(spec.body(f"{side}_hand_camera"), wrist_name(side), WRIST, np.eye(4))


def _add_bins(spec: mujoco.MjSpec, bins: Bins) -> None:
    for arm, one in bins.by_arm.items():
        for number, (center, half) in enumerate(one.walls):
            spec.worldbody.add_geom(
                name=f"{arm}_bin_{number}", type=mujoco.mjtGeom.mjGEOM_BOX, pos=center, size=half, rgba=BIN_COLOR
            )


def _add_camera(body, name: str, camera: CameraModel, T_body_optical: np.ndarray) -> None:
    # MuJoCo's cameras look along -z with y up, optical frames along z with y down
    T = T_body_optical @ np.diag([1.0, -1.0, -1.0, 1.0])
    quat = np.empty(4)
    mujoco.mju_mat2Quat(quat, T[:3, :3].ravel())
    body.add_camera(name=name, pos=T[:3, 3], quat=quat, fovy=camera.fovy)


def _add_object(spec: mujoco.MjSpec, name: str, obj: ObjectSpec) -> None:
    body = add_to_spec(spec, obj, name)
    for geom in body.geoms:
        # Stiff enough that pads sink in by a quarter of a millimetre; at twice the time step, the stiffest that is
        # stable, a thin plate that was squeezed against the table shoots away
        geom.solref = [0.008, 1.0]
        geom.solimp = [0.95, 0.99, 0.001, 0.5, 2.0]
    # Stands for air and table cloth (N s/m, N m s): what was pushed comes to rest
    for joint in body.joints:
        joint.damping = [0.0002, 0.0, 0.0]


def _random_quaternion(rng: np.random.Generator, upright: bool) -> np.ndarray:
    """(w, x, y, z): a random yaw, or any orientation."""
    if upright:
        half = rng.uniform(0.0, np.pi)
        return np.array([np.cos(half), 0.0, 0.0, np.sin(half)])
    quat = rng.standard_normal(4)
    return quat / np.linalg.norm(quat)


def _partners(contacts: np.ndarray, owner: int) -> List[int]:
    """What touches an owner; contacts is (n, 2) of owners."""
    first = contacts[contacts[:, 0] == owner, 1]
    second = contacts[contacts[:, 1] == owner, 0]
    return sorted({int(other) for other in np.concatenate([first, second])})


def _is_supported(contacts: np.ndarray, index: int) -> bool:
    """Whether an object, or a chain of objects that it touches, rests on something fixed."""
    seen, todo = {index}, [index]
    while todo:
        for other in _partners(contacts, todo.pop()):
            if other == _FIXED:
                return True
            if other >= 0 and other not in seen:
                seen.add(other)
                todo.append(other)
    return False
