#!/usr/bin/env python3
"""EST planning over the table, beside MoveIt's figures for the same two cases (39 ms and unsafe paths).

Left arm from neutral to 50 top-down poses of the gripper: x 0.5..0.8 m, y 0..0.4 m, z 0.15 m, any yaw. Case "table":
a table top. Case "wall": also a wall of 0.5 x 0.03 x 0.40 m between start and region. The virtual wall between the
arms is off, since the poses reach y = 0. Every path is rechecked at 0.01 rad by MuJoCo on the description's own
cylinders and boxes, which shares nothing with the planner's capsules.

With --planner moveit the same poses are planned by the move_group that runs; docs/moveit.md has the commands.
"""

import argparse
import sys
import time

import mujoco
import numpy as np
from figures import figure

from grasp_learning.calibration import Table
from grasp_learning.geometry import top_down_pose
from grasp_learning.motion.collision import Box, table_box
from grasp_learning.motion.kinematics import JOINT_SUFFIXES, NEUTRAL, RobotModel
from grasp_learning.motion.planner import PLANNERS, PlanRequest, create_planner
from grasp_learning.motion.settings import MotionSettings
from grasp_learning.robot_description import load_urdf

POSES = 50
TABLE = Table(z=-0.1, x_min=0.45, x_max=1.05, y_min=-0.4, y_max=0.8)
WALL = Box("wall", (0.75, 0.58, 0.10), (0.5, 0.03, 0.40))  # stands on the table
RECHECK = 0.01  # rad


class IndependentCheck:
    """Collisions of the left arm in the description's own shapes, by MuJoCo's own reader of URDFs."""

    def __init__(self, urdf: str, boxes):
        spec = mujoco.MjSpec.from_string(urdf)
        for box in boxes:
            half = [size / 2 for size in box.size]
            spec.worldbody.add_geom(name=box.name, type=mujoco.mjtGeom.mjGEOM_BOX, size=half, pos=box.center)
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        joints = [self.model.joint(f"left_{suffix}") for suffix in JOINT_SUFFIXES]
        self.address = [joint.qposadr[0] for joint in joints]
        self.order = {int(joint.bodyid[0]): index for index, joint in enumerate(joints)}
        for name in ("l_gripper_l_finger_joint", "l_gripper_r_finger_joint"):  # open
            joint = self.model.joint(name)
            self.order[int(joint.bodyid[0])] = len(joints) - 1
            self.data.qpos[joint.qposadr[0]] = max(joint.range, key=abs)

    def collides(self, q: np.ndarray) -> bool:
        """Whether a link touches the world, or one that is not its neighbour (three joints on) on the arm."""
        self.data.qpos[self.address] = q
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_collision(self.model, self.data)
        for first, second in self.data.contact.geom:
            bodies = [int(self.model.geom_bodyid[geom]) for geom in (first, second)]
            links = [self.order.get(body) for body in bodies]
            if None in links and max((link for link in links if link is not None), default=-1) >= 1:
                return True
            if None not in links and abs(links[0] - links[1]) > 3:
                return True
        return False

    def is_safe(self, trajectory) -> bool:
        """Recheck a trajectory with no joint moving more than RECHECK between samples."""
        positions = trajectory.positions
        for a, b in zip(positions[:-1], positions[1:]):
            count = max(1, int(np.ceil(np.abs(b - a).max() / RECHECK)))
            if any(self.collides(a + (b - a) * k / count) for k in range(count)):
                return False
        return not self.collides(positions[-1])


def run_case(name: str, boxes, median_ms: float, p95_ms=None, move_group=None, seconds_each=None) -> bool:
    """Plan to every pose and print the figures of a case; whether all of them are reached."""
    urdf = load_urdf()
    settings = MotionSettings(wall_margin=None)
    if seconds_each is not None:
        settings = settings.model_copy(update={"planning_time": seconds_each})
    which = "ompl" if move_group is None else "moveit"
    planner = create_planner(which, RobotModel(urdf), "left", settings, TABLE, boxes, move_group=move_group)
    check = IndependentCheck(urdf, [table_box(TABLE), *boxes])
    rng = np.random.default_rng(0)
    seconds, solved, safe, lengths = [], 0, 0, []
    for _ in range(POSES):
        pose = top_down_pose(rng.uniform(0.5, 0.8), rng.uniform(0, 0.4), 0.15, rng.uniform(-np.pi / 2, np.pi / 2))
        begin = time.perf_counter()
        result = planner.plan(PlanRequest(NEUTRAL, [pose]))
        seconds.append(time.perf_counter() - begin)
        if result.ok:
            solved += 1
            safe += check.is_safe(result.trajectory)
            lengths.append(np.linalg.norm(np.diff(result.path, axis=0), axis=1).sum())
    prefix = f"planning_{name}" if move_group is None else f"moveit_{name}"
    oks = [
        figure(f"{prefix}_solved", solved, POSES, "of 50", at_most=False),
        figure(f"{prefix}_safe", safe, POSES, "of 50", at_most=False),
        figure(f"{prefix}_median", float(np.median(seconds)) * 1e3, median_ms, "ms"),
    ]
    if p95_ms is not None:
        oks.append(figure(f"{prefix}_p95", float(np.percentile(seconds, 95)) * 1e3, p95_ms, "ms"))
    if lengths:  # MoveIt's EST: 3.67 rad on the table
        oks.append(figure(f"{prefix}_path_length", float(np.median(lengths)), 3.67 if name == "table" else 8.0, "rad"))
    return all(oks)


def connect_moveit():
    """The way to the move_group that runs."""
    import rospy

    from grasp_learning.ros.moveit_client import MoveItClient

    rospy.init_node("bench_planning", anonymous=True)
    return MoveItClient("left", MotionSettings().moveit, wait=60.0)


def main() -> int:
    """Run both cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--planner", choices=PLANNERS, default="ompl", help="default: %(default)s")
    parser.add_argument("--planning-time", type=float, help="allowed for each plan (s); default: as config/motion.yaml")
    options = parser.parse_args()
    seconds = options.planning_time
    if options.planner == "ompl":
        results = [
            run_case("table", [], median_ms=30, p95_ms=80, seconds_each=seconds),
            run_case("wall", [WALL], median_ms=200, seconds_each=seconds),
        ]
    else:
        group, limit = connect_moveit(), MotionSettings().planning_time * 1e3
        cases = (("table", []), ("wall", [WALL]))
        results = [run_case(name, boxes, limit, limit, group, seconds) for name, boxes in cases]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
