"""Collision checks of one arm: with the robot's body, itself, the other arm, the table, boxes and a virtual wall.

Every check yields a clearance, not just yes or no. A point of the arm cannot travel further than its distance from
the joint axes times their motion, so a clearance certifies a whole stretch of an edge around a sample: edges are
proven free between their samples, and few samples are needed where there is room.
"""

from collections import deque
from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple

import mujoco
import numpy as np

from grasp_learning.calibration import Table
from grasp_learning.motion.kinematics import add_arm_bodies, quaternion
from grasp_learning.motion.robot_model import RobotModel
from grasp_learning.motion.shapes import Capsule, arm_capsules, body_shapes

TABLE_THICKNESS = 0.04  # m
HORIZON = 0.15  # m; distances beyond it are not computed
MIN_CLEARANCE = 1e-3  # m; nothing is called free below it, so that an edge needs finitely many samples
PADDING = 5e-3  # m; kept along an edge, unless one of its ends is already nearer than that
MAX_SAMPLES = 5000  # of one edge; more would mean an edge of thousands of radians
WALL = "virtual wall"
TABLE = "table"

# Links by index along the chain: 0 upper shoulder, 1 lower shoulder with upper arm, 2 elbow, 3 forearm ... 6 hand.
_HIDING_GROUP = 1  # of geoms that can hide what the hand carries
ELBOW = 2  # the first link that the virtual wall holds back
SELF_GAP = 4  # links nearer than this along the chain overlap by design or are kept apart by the joint limits


@dataclass(frozen=True)
class Box:
    """An axis-aligned obstacle in the base frame: centre and full size (m)."""

    name: str
    center: Tuple[float, float, float]
    size: Tuple[float, float, float]


def table_box(table: Table) -> Box:
    """The table top as a box."""
    center = ((table.x_min + table.x_max) / 2, (table.y_min + table.y_max) / 2, table.z - TABLE_THICKNESS / 2)
    return Box(TABLE, center, (table.x_max - table.x_min, table.y_max - table.y_min, TABLE_THICKNESS))


class CollisionScene:
    """Where one arm may be. Joints are (7,) arrays s0..w2 (rad).

    Not safe for use by several threads at once: make one for each.

    Args:
        robot: the description.
        side: the arm that moves.
        table: the table top; None for none.
        other_arm_q: (7,) joints of the other arm, an obstacle; None leaves it out.
        wall_y: distance (m) that everything from the elbow on keeps from the plane y = 0; None for no wall.
        boxes: further obstacles.
    """

    def __init__(
        self,
        robot: RobotModel,
        side: str,
        table: Optional[Table] = None,
        other_arm_q: Optional[Sequence[float]] = None,
        wall_y: Optional[float] = None,
        boxes: Sequence[Box] = (),
    ):
        self.side = side
        self._chain = [joint.child for joint in robot.arm_joints(side)]
        self.lower = np.array([joint.lower for joint in robot.arm_joints(side)])
        self.upper = np.array([joint.upper for joint in robot.arm_joints(side)])
        capsules = arm_capsules(robot, side)
        self._bounds = _motion_bounds(robot, side, capsules)
        obstacles = [*boxes] if table is None else [table_box(table), *boxes]
        self._compile(robot, capsules, obstacles, other_arm_q is not None, wall_y)
        self._data = mujoco.MjData(self._model)
        self._wall_y = wall_y or 0.0
        self._slack_wall = self._slack_table = 0.0
        if other_arm_q is not None:
            self.set_other_arm(other_arm_q)

    def _compile(self, robot, capsules, obstacles, with_other: bool, wall_y) -> None:
        builder = _Builder(robot)
        moving = builder.arm(self.side, capsules)
        static = builder.body() + builder.boxes(obstacles)
        if with_other:
            other = "right" if self.side == "left" else "left"
            static += builder.arm(other, arm_capsules(robot, other))
        for name, link in moving:
            index = self._chain.index(link)
            builder.pairs(name, [other for other, _ in static if not _is_neighbour(index, other)])
            builder.pairs(name, [other for other, lower in moving if self._chain.index(lower) <= index - SELF_GAP])
        if wall_y is not None:
            wall = builder.wall(self.side, wall_y)
            builder.pairs(wall, [name for name, link in moving if self._chain.index(link) >= ELBOW])
        self._model = builder.spec.compile()
        self._names = [self._model.geom(i).name for i in range(self._model.ngeom)]
        # the link along the chain whose motion bounds a geom's; geoms that do not move count as link -1
        self._link_of = np.full(self._model.ngeom, -1)
        for name, link in moving:
            self._link_of[self._model.geom(name).id] = self._chain.index(link)
        self._is_tool = np.array([any(part in name for part in ("gripper", "hand")) for name in self._names])
        self._is_tool &= self._link_of >= 0
        self._is_table = np.array([name == TABLE for name in self._names])
        self._is_wall = np.array([name == WALL for name in self._names])
        opposite = "right_" if self.side == "left" else "left_"
        others = np.array([name.startswith(opposite) for name in self._names])
        self._model.geom_group[((self._link_of >= 0) & ~self._is_tool) | others] = _HIDING_GROUP

    def set_other_arm(self, q: Sequence[float]) -> None:
        """Move the other arm, which must have been part of the scene when it was made."""
        if self._model.nq < 14:
            raise ValueError("this scene was made without the other arm")
        self._data.qpos[7:] = q

    def forgive(self, q: Optional[Sequence[float]], tool_table_slack: float = 0.0) -> None:
        """Relax margins as far as an arm that stands at q violates them, so that it can move away from there.

        The wall's margin may shrink to nothing, never below; the shapes around the gripper, which are larger than
        it, may sink into the table's top by ``tool_table_slack`` (m). None takes the full margins again.
        """
        self._slack_wall = self._slack_table = 0.0
        if q is None:
            return
        distances, pairs = self._distances(q)
        reserve = 2 * MIN_CLEARANCE
        for is_kind, most, name in (
            (self._is_wall[pairs].any(axis=1), self._wall_y, "_slack_wall"),
            (self._tool_on_table(pairs), tool_table_slack, "_slack_table"),
        ):
            nearest = distances[is_kind].min(initial=np.inf)
            if nearest < reserve:
                setattr(self, name, min(reserve - nearest, most))

    def _tool_on_table(self, pairs: np.ndarray) -> np.ndarray:
        return self._is_tool[pairs].any(axis=1) & self._is_table[pairs].any(axis=1)

    def _distances(self, q: Sequence[float], tool_table_slack: float = 0.0):
        """Distances (n,) within the horizon (m), slack included, and the pairs (n, 2) of geoms they are between."""
        self._data.qpos[:7] = q
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_collision(self._model, self._data)
        contacts = self._data.contact
        distances, pairs = contacts.dist, contacts.geom
        slack_table = max(self._slack_table, tool_table_slack)
        if slack_table:
            distances = distances + slack_table * self._tool_on_table(pairs)
        if self._slack_wall:
            distances = distances + self._slack_wall * self._is_wall[pairs].any(axis=1)
        return distances, pairs

    def within_limits(self, q: Sequence[float]) -> bool:
        """Whether every joint is within its limits (to a rounding error)."""
        q = np.asarray(q, float)
        return bool(np.all(q >= self.lower - 1e-9) and np.all(q <= self.upper + 1e-9))

    def clearance(self, q: Sequence[float], tool_table_slack: float = 0.0) -> float:
        """Distance (m) to the nearest obstacle, at most HORIZON; negative is a penetration.

        Args:
            tool_table_slack: how far (m) the shapes around hand and gripper may sink into the table's top.
        """
        distances, _ = self._distances(q, tool_table_slack)
        return min(float(distances.min()), HORIZON) if len(distances) else HORIZON

    def is_valid(self, q: Sequence[float]) -> bool:
        """Whether the arm is within its limits and clear of everything."""
        return self.within_limits(q) and self.clearance(q) > 0.0

    def collisions(self, q: Sequence[float]) -> List[str]:
        """What touches what, such as "left_wrist - table", deepest first; limits that are exceeded come last."""
        deepest: Dict[str, float] = {}
        for distance, (first, second) in zip(*self._distances(q)):
            if distance < MIN_CLEARANCE:
                names = sorted((self._names[first], self._names[second]), key=lambda n: not n.startswith(self.side))
                pair = " - ".join(_link_name(name) for name in names)
                deepest[pair] = min(distance, deepest.get(pair, np.inf))
        outside = np.flatnonzero((np.asarray(q) < self.lower - 1e-9) | (np.asarray(q) > self.upper + 1e-9))
        return sorted(deepest, key=deepest.get) + [f"{self._chain[i]} beyond its joint limit" for i in outside]

    def hides(self, q: Sequence[float], eye: np.ndarray, point: np.ndarray) -> bool:
        """Whether the arm, from shoulder to wrist, or the other arm is between an eye (3,) and a point (3,).

        Both in the base frame (m).
        """
        self._data.qpos[:7] = q
        mujoco.mj_kinematics(self._model, self._data)
        groups = np.zeros(mujoco.mjNGROUP, np.uint8)
        groups[_HIDING_GROUP] = 1
        way, hit = np.asarray(point, float) - eye, np.full(1, -1, np.int32)
        share = mujoco.mj_ray(self._model, self._data, np.asarray(eye, float), way, groups, 1, -1, hit)
        return 0.0 <= share < 1.0

    def _sample(self, q: np.ndarray, bounds: np.ndarray, furthest: float) -> Tuple[float, float]:
        """Clearance (m) at q, and the fraction of the edge that it certifies to either side."""
        distances, pairs = self._distances(q)
        if not len(distances):
            return HORIZON, HORIZON / furthest
        links = self._link_of[pairs].max(axis=1)
        certified = (distances / bounds[links]).min()
        return float(distances.min()), min(float(certified), HORIZON / furthest)

    def edge_is_valid(self, q1: Sequence[float], q2: Sequence[float]) -> bool:
        """Whether the straight motion from q1 to q2 in joint space is free, ends included.

        True is a proof, not a sampling: no point of the edge is in collision with the scene's shapes, however finely
        it is looked at. Edges that come nearer than PADDING are refused, unless they begin or end that near.
        """
        if not (self.within_limits(q1) and self.within_limits(q2)):
            return False
        step = np.asarray(q2, float) - np.asarray(q1, float)
        bounds = self._bounds @ np.abs(step) + 1e-12
        furthest = float(bounds.max())
        clearance_2, radius_2 = self._sample(q2, bounds, furthest)
        if clearance_2 < MIN_CLEARANCE:
            return False
        clearance_1, radius_1 = self._sample(q1, bounds, furthest)
        if clearance_1 < MIN_CLEARANCE:
            return False
        least = min(PADDING, clearance_1, clearance_2)
        return self._certify(q1, step, bounds, (radius_1, radius_2), least)

    def _certify(self, q1, step, bounds, radii, least: float) -> bool:
        """Bisect an edge breadth first (a collision shows early) until its samples' certificates cover it."""
        furthest = float(bounds.max())
        intervals = deque([(0.0, 1.0, *radii)])
        for _ in range(MAX_SAMPLES):
            while intervals:
                low, high, radius_low, radius_high = intervals.popleft()
                if radius_low + radius_high < high - low:
                    break
            else:
                return True
            # the middle of what is left to certify
            middle = (low + radius_low + high - radius_high) / 2
            clearance, radius = self._sample(q1 + middle * step, bounds, furthest)
            if clearance < least:
                return False
            intervals.append((low, middle, radius_low, radius))
            intervals.append((middle, high, radius, radius_high))
        return False

    def path_is_valid(self, points: np.ndarray) -> bool:
        """Whether the motion through densely sampled points (n, 7), straight between neighbours, is free.

        True is a proof, as with edge_is_valid; each clearance vouches for the points that follow it closely, so
        that most of them need no check of their own.
        """
        points = np.asarray(points, float)
        travel = np.zeros((len(points), 7))  # m, that any point of each link has moved at most
        np.cumsum(np.abs(np.diff(points, axis=0)) @ self._bounds.T, axis=0, out=travel[1:])
        index, last = 0, len(points) - 1
        while True:
            room = self._room(points[index])
            if room.min() <= 0.0:
                return False
            if index == last:
                return True
            within = (travel[index + 1 :] < travel[index] + room).all(axis=1)
            covered = last if within.all() else index + int(within.argmin())
            if covered == index:
                covered += 1
                if not self.edge_is_valid(points[index], points[covered]):
                    return False
            index = covered

    def _room(self, q: np.ndarray) -> np.ndarray:
        """(7,) how far (m) each link may move at least before it touches anything."""
        room = np.full(7, HORIZON)
        distances, pairs = self._distances(q)
        if len(distances):
            np.minimum.at(room, self._link_of[pairs].max(axis=1), distances)
        return room


def _link_name(geom: str) -> str:
    return geom.split("#")[0]


def _is_neighbour(index: int, other: str) -> bool:
    """Whether a moving link turns in place beside a part of the body: the shoulder on its mount."""
    return index == 0 and _link_name(other) in ("torso", "pedestal", "collision_head_link_1", "collision_head_link_2")


def _motion_bounds(robot: RobotModel, side: str, capsules: Sequence[Capsule]) -> np.ndarray:
    """(7, 7) bounds: element (k, j) is how far (m) any point of link k moves per radian of joint j.

    It is the largest distance of the link's points from the joint's axis over all postures: the perpendicular part
    of the first offset, then the lengths of the rest.
    """
    joints = robot.arm_joints(side)
    carriers = [joint.child for joint in joints]
    offsets = [robot.carrier(joint.parent)[1] @ joint.T_parent_joint for joint in joints]
    offsets = [T[:3, 3] for T in offsets]  # of joint k's origin in link k - 1's frame
    bounds = np.zeros((7, 7))
    for capsule in capsules:
        k = carriers.index(capsule.carrier)
        far = np.linalg.norm(capsule.ends, axis=1).max() + capsule.radius
        radial = np.linalg.norm(np.cross(capsule.ends, joints[k].axis), axis=1).max() + capsule.radius
        bounds[k, k] = max(bounds[k, k], radial)
        for j in range(k):
            first = np.linalg.norm(np.cross(offsets[j + 1], joints[j].axis))
            rest = sum(np.linalg.norm(offset) for offset in offsets[j + 2 : k + 1])
            bounds[k, j] = max(bounds[k, j], first + rest + far)
    return bounds


class _Builder:
    """Makes the MuJoCo model of a scene: geoms, and an explicit list of the pairs that count."""

    def __init__(self, robot: RobotModel):
        self.robot = robot
        self.spec = mujoco.MjSpec()
        self._count = 0

    def _geom(self, body, link: str, kind, size, T: np.ndarray) -> str:
        name = link if link in (TABLE, WALL) else f"{link}#{self._count}"
        self._count += 1
        size = [*size, *[0.0] * (3 - len(size))]
        geom = body.add_geom(name=name, type=kind, size=size, pos=T[:3, 3], quat=quaternion(T[:3, :3]))
        geom.contype = geom.conaffinity = 0
        return name

    def arm(self, side: str, capsules: Sequence[Capsule]) -> List[Tuple[str, str]]:
        """Add an arm; names of its geoms, each with the link that carries it."""
        bodies = add_arm_bodies(self.spec, self.robot, side)
        for body in bodies.values():
            # the default, but MuJoCo 3.2 takes it only where there are no shapes; nothing here moves by forces
            body.ipos, body.iquat = body.pos, body.quat
        result = []
        for capsule in capsules:
            sphere = capsule.half_length == 0.0
            kind = mujoco.mjtGeom.mjGEOM_SPHERE if sphere else mujoco.mjtGeom.mjGEOM_CAPSULE
            size = [capsule.radius] if sphere else [capsule.radius, capsule.half_length]
            name = self._geom(bodies[capsule.carrier], capsule.link, kind, size, capsule.T_carrier)
            result.append((name, capsule.carrier))
        return result

    def body(self) -> List[Tuple[str, str]]:
        """Add torso, pedestal and head."""
        kinds = {
            "box": mujoco.mjtGeom.mjGEOM_BOX,
            "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
            "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
        }
        result = []
        for link, T, shape in body_shapes(self.robot):
            size = list(shape.size)
            if shape.kind == "box":
                size = [value / 2 for value in size]
            elif shape.kind == "cylinder":
                size = [size[0], size[1] / 2]
            name = self._geom(self.spec.worldbody, link, kinds[shape.kind], size, T @ shape.T_link_shape)
            result.append((name, link))
        return result

    def boxes(self, boxes: Sequence[Box]) -> List[Tuple[str, str]]:
        """Add obstacles."""
        result = []
        for box in boxes:
            T = np.eye(4)
            T[:3, 3] = box.center
            half = [value / 2 for value in box.size]
            result.append((self._geom(self.spec.worldbody, box.name, mujoco.mjtGeom.mjGEOM_BOX, half, T), box.name))
        return result

    def wall(self, side: str, margin: float) -> str:
        """Add the plane that keeps an arm on its own side of y = 0."""
        sign = 1.0 if side == "left" else -1.0
        T = np.eye(4)
        T[:3, :3] = np.array([[1, 0, 0], [0, 0, sign], [0, -sign, 0]])  # its normal (z) points to the arm's side
        T[1, 3] = sign * margin
        return self._geom(self.spec.worldbody, WALL, mujoco.mjtGeom.mjGEOM_PLANE, [0, 0, 1.0], T)

    def pairs(self, first: str, others: Sequence[str]) -> None:
        """Check one geom against others."""
        for second in others:
            pair = self.spec.add_pair()  # its keywords are newer than MuJoCo 3.2.3, the last one for Python 3.8
            pair.geomname1, pair.geomname2, pair.margin, pair.condim = first, second, HORIZON, 1
