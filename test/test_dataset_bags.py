"""Patches come out of real bags, whatever else is in them; a damaged bag costs its own trial only."""

import numpy as np
import pytest
from bag_samples import camera_info, compressed, picture, robot_entries

from grasp_learning.bags import APPROACH_TOPIC
from grasp_learning.dataset.export import DAMAGED, NO_FILE, export_collections
from grasp_learning.dataset.pictures import CAMERA_TOPIC, cut_patch, trials_with_pictures
from grasp_learning.dataset.reader import decode_patch, open_dataset, read_dataset
from grasp_learning.dataset.splits import SplitSettings
from grasp_learning.geometry import angle_to_bin
from grasp_learning.ros.trial_bag import bag_bytes, entry_of
from grasp_learning.storage import Collection, CollectionInfo, fault_record, trial_record, trials_of
from grasp_learning.trial import Grasp, Outcome, PickReading, Trial

IMAGE = picture(1280, 800, np.random.default_rng(1))
KNOWN_NOTHING = SplitSettings(test_size=0, validation=0)


def entries(arm):
    rng = np.random.default_rng(0)
    found = robot_entries(1.0, 2.0, arm, rng)
    found.append(entry_of(APPROACH_TOPIC.format(arm=arm), 1500000000, compressed(IMAGE, 1.5)))
    found.append(entry_of(CAMERA_TOPIC.format(arm=arm), 1500000000, camera_info(1280, 800, 1.5)))
    return found


def make_trial(index):
    arm, theta_image = ("left", "right")[index % 2], index * 0.37 % np.pi
    grasp = Grasp(arm, 1.0, 640.0 + index, 400.0, 0.6, 0.2, -0.06, 0.5, theta_image, angle_to_bin(theta_image), 378)
    outcome = Outcome.SUCCESS if index % 3 == 0 else Outcome.FAILURE
    return Trial(arm, "random", 0, 1.0, 9.0, outcome, "", None, grasp, PickReading(30.0, 50.0, True))


@pytest.fixture
def folder(tmp_path):
    info = CollectionInfo(robot="baxter", arms=["left", "right"], seed=0, mode="random", stage=0)
    with Collection(tmp_path / "d0", info) as collection:
        for index in range(6):
            trial = make_trial(index)
            collection.add_trial(trial_record(trial), lambda _, arm=trial.arm: bag_bytes(entries(arm)))
        collection.add_fault(fault_record(Trial("left", "random", 0, 1.0, 2.0, Outcome.PLANNING_FAILED)))
    return tmp_path / "d0"


def overwrite(path, change):
    """Change a bag's bytes and keep its size, as a bad disk does."""
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(bytes(content))


def test_bags_and_shards_come_through_one_iterator(folder):
    taken = list(trials_with_pictures(folder))
    assert [item.record["number"] for item in taken] == [1, 2, 3, 4, 5, 6]
    assert all(item.picture.shape == (800, 1280, 3) and item.focal_length == 810.0 for item in taken)


def test_rows_of_a_robots_collection(folder, tmp_path):
    (source,) = export_collections([folder], tmp_path / "out", KNOWN_NOTHING)
    assert source.left_out == {"PLANNING_FAILED": 1} and source.counts == {"train": [4, 2]}
    rows = read_dataset(tmp_path / "out").to_pylist()
    assert open_dataset(tmp_path / "out").geometry.span == pytest.approx(378 / 810)
    for line, row in zip(trials_of(folder), rows):
        assert (row["trial_id"], row["arm"], row["bin"]) == (f"d0/{line['number']:06d}", line["arm"], line["bin"])
        assert row["objects"] is None and row["object"] is None and row["truth_held"] is None
        expected = cut_patch(IMAGE, line["u"], line["v"], 378)
        assert np.abs(decode_patch(row["patch"]).astype(int) - expected).mean() < 4


def test_damaged_and_missing_bags_are_counted(folder, tmp_path):
    bags = sorted((folder / "bags").glob("*.bag"))
    bags[0].unlink()
    bags[1].write_bytes(bags[1].read_bytes()[:1000])
    overwrite(bags[2], lambda content: content.__setitem__(slice(0, 40), bytes(40)))
    overwrite(bags[3], lambda content: content.__setitem__(slice(5000, 9000), b"\xa5" * 4000))
    overwrite(bags[4], lambda content: content.__setitem__(slice(len(content) - 900, len(content)), bytes(900)))
    (source,) = export_collections([folder], tmp_path / "out", KNOWN_NOTHING)
    assert source.rows == 1 and source.left_out == {"PLANNING_FAILED": 1, NO_FILE: 2, DAMAGED: 3}
    assert [row["trial_id"] for row in read_dataset(tmp_path / "out").to_pylist()] == ["d0/000006"]


@pytest.mark.parametrize("seed", range(30))
def test_no_damage_ends_in_a_traceback(folder, seed):
    """Whatever bytes are wrong, a trial has its picture or a reason why not."""
    rng = np.random.default_rng(seed)
    path = folder / "bags" / "000001_left.bag"

    def damage(content):
        start, count = int(rng.integers(len(content))), int(rng.integers(1, 400))
        end = min(start + count, len(content))
        content[start:end] = rng.integers(0, 256, end - start, np.uint8).tobytes()

    overwrite(path, damage)
    line = next(iter(trials_of(folder)))
    (taken,) = trials_with_pictures(folder, [line])
    assert (taken.picture is None) == bool(taken.problem) and "\n" not in taken.problem


def test_a_bag_without_its_picture_is_told(folder):
    line = next(iter(trials_of(folder)))
    for wanted in (APPROACH_TOPIC, CAMERA_TOPIC):
        topic = wanted.format(arm="left")
        (folder / line["bag"]).write_bytes(bag_bytes([e for e in entries("left") if e.channel.topic != topic]))
        (taken,) = trials_with_pictures(folder, [line])
        assert taken.picture is None and f"holds no message on {topic}" in taken.problem
