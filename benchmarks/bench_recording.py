#!/usr/bin/env python3
"""Size of the bag of a realistic trial of 25 s, and what writing it costs.

The robot's messages carry noise in all digits, as servos' readings do; the pictures are as hard to compress as a
camera's (a Kinect picture and three wrist pictures, JPEG quality 95).
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test"))

from bag_samples import camera_info, compressed, picture, robot_entries, trial_message  # noqa: E402
from figures import figure  # noqa: E402

from grasp_learning.ros.conversions import trial_from_msg  # noqa: E402
from grasp_learning.ros.trial_bag import bag_bytes, entry_of  # noqa: E402
from grasp_learning.storage import Collection, CollectionInfo, trial_record  # noqa: E402

START, END = 100.0, 125.0  # s
REPEATS = 5


def trial_entries(rng):
    """All entries of a trial but the Trial message."""
    entries = robot_entries(START, END, "left", rng)
    pictures = [("/kinect2/hd/image_color/compressed", 1920, 1080)]
    pictures += [
        (f"/cameras/left_hand_camera/{name}/compressed", 1280, 800) for name in ("approach", "before", "after")
    ]
    for place, (topic, width, height) in enumerate(pictures):
        stamp = START + 5 * place
        entries.append(entry_of(topic, int(stamp * 1e9), compressed(picture(width, height, rng), stamp)))
    for topic, width, height in (("/kinect2/hd/camera_info", 1920, 1080), ("/cameras/left/camera_info", 1280, 800)):
        entries.append(entry_of(topic, int(START * 1e9), camera_info(width, height, START)))
    return entries


def main() -> int:
    """Print the figures; 1 if one is short of its target."""
    entries = trial_entries(np.random.default_rng(0))
    message = trial_message(START, END)
    record = trial_record(trial_from_msg(message))

    def make_bag(number):
        message.number = number
        return bag_bytes([*entries, entry_of("trial", int(END * 1e9), message)])

    info = CollectionInfo(robot="sim", arms=["left"], seed=0, mode="random", stage=0)
    with tempfile.TemporaryDirectory() as folder, Collection(folder, info) as collection:
        wall, cpu = [], []
        for _ in range(REPEATS):
            before, cpu_before = time.perf_counter(), time.process_time()
            _, path = collection.add_trial(record, make_bag)
            wall.append(time.perf_counter() - before)
            cpu.append(time.process_time() - cpu_before)
        size = path.stat().st_size / 1e6
    pictures = sum(len(entry.data) for entry in entries if entry.channel.topic.endswith("compressed")) / 1e6
    print(f"# {len(entries)} messages, pictures {pictures:.2f} MB of {size:.2f} MB")
    good = figure("recording_bag_size", size, 3.0, "MB")
    good &= figure("recording_write_cpu", float(np.median(cpu)), 0.5, "s")
    good &= figure("recording_write_wall", float(np.median(wall)), 1.0, "s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
