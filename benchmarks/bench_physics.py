#!/usr/bin/env python3
"""Speed of the simulated workcell without pictures and without ROS: ten objects, both arms grasping all the time.

Processor time on one core, so that other programs on the machine do not blur the figure.
"""

import sys
import time

import numpy as np
from figures import figure

from grasp_learning.geometry import top_down_pose
from grasp_learning.motion.kinematics import Kinematics, RobotModel
from grasp_learning.robot_description import NEUTRAL, SIDES, arm_joints, load_urdf
from grasp_learning.sim.baxter import ControlMode, SimulatedBaxter
from grasp_learning.sim.objects import catalogue
from grasp_learning.sim.world import World

SCENES = 3
OBJECTS = 10
CONTROL_TICK = 0.01
TICKS_PER_LEG = 150


def build(seed: int) -> SimulatedBaxter:
    """A robot, ready to grasp, before a table full of objects."""
    rng = np.random.default_rng(seed)
    objects = catalogue("train", 0)
    world = World(seed, [objects[index] for index in rng.permutation(len(objects))[:OBJECTS]])
    world.scatter(rng)
    robot = SimulatedBaxter(world)
    robot.enable()
    for gripper in robot.grippers.values():
        gripper.command("calibrate", {}, "/bench", 1)
    for _ in range(300):
        robot.update(CONTROL_TICK)
    return robot


def way(kinematics: Kinematics, side: str, rng: np.random.Generator) -> list:
    """Joints of one grasp at a random place: neutral, above, down, above, neutral."""
    sign = 1.0 if side == "left" else -1.0
    while True:
        x, y, theta = rng.uniform(0.55, 0.75), sign * rng.uniform(0.15, 0.35), rng.uniform(0.0, np.pi)
        above = kinematics.ik(top_down_pose(x, y, 0.15, theta), np.array(NEUTRAL), rng)
        down = kinematics.follow(above[0], top_down_pose(x, y, -0.06, theta)) if above else None
        if down is not None:
            return [np.array(NEUTRAL), above[0], down, above[0], np.array(NEUTRAL)]


def grasp(robot: SimulatedBaxter, ways: dict, number: int) -> list:
    """Both arms grasp once; processor time of each control tick (s)."""
    ticks = []
    for leg in range(4):
        for side in SIDES:
            command = "grip" if leg == 2 else "release"
            robot.grippers[side].command(command, {}, f"/bench_{command}", 4 * number + leg + 2)
        for tick in range(TICKS_PER_LEG):
            share = (tick + 1) / TICKS_PER_LEG
            start = time.process_time()
            for side in SIDES:
                q = (1 - share) * ways[side][leg] + share * ways[side][leg + 1]
                robot.command_joints(side, ControlMode.RAW_POSITION, arm_joints(side), q)
            robot.update(CONTROL_TICK)
            ticks.append(time.process_time() - start)
    return ticks


def main() -> int:
    """Measure scenes with both arms at work, and what a scatter takes."""
    kinematics = {side: Kinematics(RobotModel(load_urdf()), side) for side in SIDES}
    ticks, scatters = [], []
    for seed in range(SCENES):
        rng = np.random.default_rng([seed, 1])
        robot = build(seed)
        for number in range(2):
            ticks += grasp(robot, {side: way(kinematics[side], side, rng) for side in SIDES}, number)
        start = time.process_time()
        robot.world.scatter(rng)
        scatters.append(time.process_time() - start)
    steps = CONTROL_TICK / robot.world.settings.time_step
    results = [
        figure("physics_times_real_time", CONTROL_TICK / np.mean(ticks), 10.0, "x", at_most=False),
        figure("physics_steps_per_second", steps / np.mean(ticks), 5000.0, "1/s", at_most=False),
        figure("control_tick_median", 1e3 * np.median(ticks), 0.8, "ms"),
        figure("control_tick_p95", 1e3 * np.percentile(ticks, 95), 2.0, "ms"),
        figure("scatter_ten_objects", np.median(scatters), 2.0, "s"),
    ]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
