#!/usr/bin/env python3
"""Time of the simulated cameras' pictures with ten objects on the table, everything that is published included.

Wall time is what a listener waits; processor time is what the simulation loses to it on a machine without a GPU.
"""

import os
import sys
import time

# one core for the drawing, so that the other one is left to the physics; must be set before OpenGL is loaded
os.environ.setdefault("LP_NUM_THREADS", "1")

import numpy as np
from figures import figure

from grasp_learning.sim.cameras import CameraRenderer
from grasp_learning.sim.objects import catalogue
from grasp_learning.sim.world import World

PICTURES = 20
OBJECTS = 10


def measure(take) -> tuple:
    """(wall, processor) time of one picture at the median of many (ms)."""
    take()
    wall, processor = [], []
    for _ in range(PICTURES):
        start, start_processor = time.perf_counter(), time.process_time()
        take()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - start_processor)
    return 1e3 * np.median(wall), 1e3 * np.median(processor)


def main() -> int:
    """Measure both cameras."""
    rng = np.random.default_rng(0)
    objects = catalogue("train", 0)
    world = World(0, [objects[index] for index in rng.permutation(len(objects))[:OBJECTS]])
    world.scatter(rng)
    renderer = CameraRenderer(world.model, appearance=world.appearance)
    kinect = measure(lambda: renderer.kinect(world.data))
    wrist = measure(lambda: renderer.wrist(world.data, "left"))
    renderer.close()
    results = [
        figure("kinect_picture_wall", kinect[0], 150, "ms"),
        figure("kinect_picture_processor", kinect[1], 150, "ms"),
        figure("wrist_picture_wall", wrist[0], 50, "ms"),
        figure("wrist_picture_processor", wrist[1], 50, "ms"),
    ]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
