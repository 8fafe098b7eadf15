"""Small collections for the tests of datasets: shards with little pictures, whose geometry is that of real ones."""

import cv2
import numpy as np

from grasp_learning.geometry import Camera, angle_to_bin
from grasp_learning.simulation.shard_collection import ShardCollection
from grasp_learning.simulation.shards import Scene, encode_shard, trial_row
from grasp_learning.storage import CollectionInfo, fault_record, trial_record
from grasp_learning.trial import Grasp, Outcome, PickReading, Trial

WIDTH, HEIGHT, SIDE, FOCAL = 192, 144, 56, 120.0  # px
PER_SCENE = 5


def camera(focal=FOCAL):
    return Camera(WIDTH, HEIGHT, np.array([[focal, 0, WIDTH / 2], [0, focal, HEIGHT / 2], [0, 0, 1.0]]))


def wrist_picture(rng):
    """BGR picture (HEIGHT, WIDTH, 3) with something in it."""
    picture = cv2.resize(rng.integers(0, 255, (6, 8, 3), np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(picture)


def make_trial(rng, success, near=(), stage=0, side=SIDE, known=True, u=None, v=None):
    """A labelled trial with its approach picture."""
    theta_image = float(rng.uniform(0, np.pi))
    half = side / 2 + 1
    u = float(rng.uniform(half, WIDTH - half)) if u is None else u
    v = float(rng.uniform(half, HEIGHT - half)) if v is None else v
    grasp = Grasp("left", 1.0, u, v, 0.6, 0.2, -0.09, 0.5, theta_image, angle_to_bin(theta_image), side)
    held = near[0] if success and near else ""
    reading = PickReading(30.0 * success, 50.0, success, False, known, success and known, held, tuple(near))
    outcome = Outcome.SUCCESS if success else Outcome.FAILURE
    mode = "staged" if stage else "random"
    trial = Trial("left", mode, stage, 1.0, 9.0, outcome, "", None, grasp, reading)
    trial.images["approach_image"] = wrist_picture(rng)
    return trial


def write_shards(folder, trials, objects="train", stage=0, seed=0, focal=FOCAL, damage=None, faults=()):
    """A collection like those of `simulate`.

    Args:
        trials: from :func:`make_trial`.
        damage: called with each row before it is written.
    """
    mode = "staged" if stage else "random"
    info = CollectionInfo(
        **{"robot": "sim", "arms": ["left", "right"], "seed": seed, "mode": mode, "stage": stage},
        **{"source": "inprocess", "objects": objects, "kind": "gripper", "pictures": "approach"},
        **{"trials_per_scene": PER_SCENE, "objects_per_scene": 4},
    )
    with ShardCollection(folder, info) as collection:
        for block in range(-(-len(trials) // PER_SCENE)):
            rows = []
            for number in range(block * PER_SCENE, min((block + 1) * PER_SCENE, len(trials))):
                trial = trials[number]
                record = {"number": number + 1, **trial_record(trial)}
                rows.append(trial_row(record, trial, camera(focal), np.eye(4), "approach"))
                if damage:
                    damage(rows[-1])
            lines = [{**fault_record(fault), "block": block} for fault in (faults if block == 0 else ())]
            collection.add_block(block, encode_shard(rows, Scene(block, [], lines), "approach"))
    return folder


def random_collection(folder, count=40, seed=0, names=("mug_01", "can_03"), **more):
    """A collection of trials near known objects; every third one is a success."""
    rng = np.random.default_rng(seed)
    trials = [make_trial(rng, i % 3 == 0, (names[i % len(names)],), more.get("stage", 0)) for i in range(count)]
    return write_shards(folder, trials, seed=seed, **more)
