#!/usr/bin/env python3
"""Trials a second that `export_dataset` takes from bags and from shards; the peer is rosbag's own Python reader.

The bags are as large as those of the collector: 25 s of a robot at 100 Hz, a Kinect picture and three wrist pictures
(JPEG quality 95). They come from the page cache, as those of a collection that was just made. The peer reads the same
two messages of each bag, which is all that the export decodes. The export is timed as a whole process, with the
default number of workers; one worker alone is measured beside it, and not judged.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rosbag

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test"))

from bag_samples import camera_info, compressed, picture, robot_entries  # noqa: E402
from figures import figure  # noqa: E402

from grasp_learning.bags import APPROACH_TOPIC, first_messages  # noqa: E402
from grasp_learning.dataset.pictures import CAMERA_TOPIC  # noqa: E402
from grasp_learning.dataset.reader import open_dataset  # noqa: E402
from grasp_learning.geometry import Camera, angle_to_bin  # noqa: E402
from grasp_learning.ros.trial_bag import bag_bytes, entry_of  # noqa: E402
from grasp_learning.simulation.shard_collection import ShardCollection  # noqa: E402
from grasp_learning.simulation.shards import Scene, encode_shard, trial_row  # noqa: E402
from grasp_learning.storage import Collection, CollectionInfo, trial_record, trials_of  # noqa: E402
from grasp_learning.trial import Grasp, Outcome, PickReading, Trial  # noqa: E402

START, END = 100.0, 125.0  # s
TRIALS = 400
KINDS = 8  # different bags; the rest are copies
PER_SCENE = 25
TOPICS = [topic.format(arm="left") for topic in (APPROACH_TOPIC, CAMERA_TOPIC)]
CAMERA = Camera(1280, 800, np.array([[810.0, 0, 640], [0, 810, 400], [0, 0, 1]]))


def make_trial(rng, image=None):
    theta = float(rng.uniform(0, np.pi))
    u, v = rng.uniform(300, 900), rng.uniform(250, 550)
    grasp = Grasp("left", START, u, v, 0.6, 0.2, -0.06, 0.5, theta, angle_to_bin(theta), 378)
    success = bool(rng.random() < 0.2)
    reading = PickReading(30.0 * success, 50.0, success, False, True, success, "", ("mug_03",))
    outcome = Outcome.SUCCESS if success else Outcome.FAILURE
    return Trial("left", "random", 0, START, END, outcome, "", None, grasp, reading, images={"approach_image": image})


def make_bag(rng):
    entries = robot_entries(START, END, "left", rng)
    pictures = [("/kinect2/hd/image_color/compressed", 1920, 1080)]
    names = ("approach", "before_lift", "after_lift")
    pictures += [(f"/cameras/left_hand_camera/{name}/compressed", 1280, 800) for name in names]
    for place, (topic, width, height) in enumerate(pictures):
        stamp = START + 5 * place
        entries.append(entry_of(topic, int(stamp * 1e9), compressed(picture(width, height, rng), stamp)))
    entries.append(entry_of(TOPICS[1], int(START * 1e9), camera_info(1280, 800, START)))
    return bag_bytes(entries)


def collect_bags(folder, rng):
    bags = [make_bag(rng) for _ in range(KINDS)]
    info = CollectionInfo(robot="sim", arms=["left"], seed=0, mode="random", stage=0)
    with Collection(folder, info) as collection:
        for _ in range(TRIALS):
            collection.add_trial(trial_record(make_trial(rng)), lambda number: bags[number % KINDS])
    return folder


def collect_shards(folder, rng):
    info = CollectionInfo(
        **{"robot": "sim", "arms": ["left"], "seed": 0, "mode": "random", "stage": 0, "source": "inprocess"},
        **{"objects": "train", "trials_per_scene": PER_SCENE, "objects_per_scene": 10, "pictures": "approach"},
    )
    images = [picture(1280, 800, rng) for _ in range(KINDS)]
    with ShardCollection(folder, info) as collection:
        for block in range(TRIALS // PER_SCENE):
            rows = []
            for number in range(block * PER_SCENE + 1, (block + 1) * PER_SCENE + 1):
                trial = make_trial(rng, images[number % KINDS])
                rows.append(trial_row({"number": number, **trial_record(trial)}, trial, CAMERA, np.eye(4), "approach"))
            collection.add_block(block, encode_shard(rows, Scene(block), "approach"))
    return folder


def export(folder, out, *options):
    """The command as a user runs it, its start included; it must take every trial."""
    script = "import sys; from grasp_learning.dataset.export_dataset import main; sys.exit(main())"
    command = [sys.executable, "-c", script, str(folder), str(out), *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert open_dataset(out).rows == TRIALS


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def rate(call):
    before = time.perf_counter()
    call()
    return TRIALS / (time.perf_counter() - before)


def read_with_rosbag(paths):
    for path in paths:
        with rosbag.Bag(str(path)) as bag:
            assert {topic for topic, _, _ in bag.read_messages(topics=TOPICS)} == set(TOPICS)


def main() -> int:
    """Print the figures; 1 if one is short of its target."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        bags, shards = collect_bags(folder / "bags", rng), collect_shards(folder / "shards", rng)
        paths = [bags / line["bag"] for line in trials_of(bags)]
        print(f"# {TRIALS} trials, bags of {paths[0].stat().st_size / 1e6:.2f} MB")
        before = cpu_seconds()
        good = figure("export_bags", rate(lambda: export(bags, folder / "out")), 60, "trials/s", at_most=False)
        print(f"# {TRIALS / (cpu_seconds() - before):.0f} trials for a second of processor")
        one = rate(lambda: export(bags, folder / "out1", "--workers", "1"))
        print(f"# bags with one worker: {one:.0f} trials/s")
        got = rate(lambda: export(shards, folder / "out_shards"))
        good &= figure("export_shards", got, 60, "trials/s", at_most=False)
        peer = rate(lambda: read_with_rosbag(paths))
        ours = rate(lambda: [first_messages(path, TOPICS) for path in paths])
        print(f"# reading the two messages alone: rosbag {peer:.0f} trials/s, export {ours:.0f} trials/s")
        good &= figure("export_reading_over_rosbag", ours / peer, 1.0, "times", at_most=False)
        skipped = rate(lambda: export(bags, folder / "out"))
        print(f"# again, with every part there: {skipped:.0f} trials/s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
