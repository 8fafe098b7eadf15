"""Bins: their file, their place beside the simulated table, and what falls into them."""

from pathlib import Path

import numpy as np
import pytest
from test_sim_world import block

from grasp_learning.bins import ELSEWHERE, IN_BIN, ON_TABLE, WALL, load_bins
from grasp_learning.calibration import load_calibration
from grasp_learning.config import ConfigError
from grasp_learning.regions import RegionFinder, RegionSettings
from grasp_learning.sim.cameras import CameraRenderer
from grasp_learning.sim.contacts import ArmContacts
from grasp_learning.sim.world import FLOOR_Z, World

CONFIG = Path(__file__).parent.parent / "config"
BINS = load_bins(CONFIG / "bins" / "sim.yaml")


def test_the_simulations_bins_stand_beside_the_table_and_below_its_face():
    table = load_calibration(CONFIG / "calibration" / "sim.yaml").table
    for side, sign in (("left", 1.0), ("right", -1.0)):
        one = BINS.of(side)
        assert sign * one.y - one.width / 2 - WALL > table.y_max
        assert one.rim < table.z and one.rim - one.depth > FLOOR_Z


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("left: {x: 0.6}", "key 'left.y' is missing"),
        ("middle: {}", "key 'middle' is unknown"),
        ("[1, 2]", "expected a mapping"),
        ("left: {x: 0.6, y: .nan}", "left.y"),
    ],
)
def test_a_malformed_file_is_told_with_its_key(tmp_path, text, told):
    file = tmp_path / "bins.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match="bins.yaml") as caught:
        load_bins(file)
    assert told in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_bins(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("key", ["width", "depth", "release"])
def test_a_bin_without_room_is_refused(key):
    with pytest.raises(ValueError, match=key):
        type(BINS.left)(**{**BINS.left.model_dump(), key: 0.0})


# --- in the simulated world -------------------------------------------------------------------------------------------


def world_with(*names, **options):
    return World(0, [block(name) for name in names], bins=BINS, **options)


def test_what_is_dropped_over_a_bin_stays_in_it_and_is_not_put_back():
    world = world_with("kept", "spilt", "lying")
    world.place("kept", (BINS.left.x, BINS.left.y, BINS.left.rim + BINS.left.release))
    world.place("spilt", (0.3, 1.4, FLOOR_Z + 0.1))
    world.place("lying", (0.65, 0.25, world.table.z + 0.03))
    assert world.whereabouts()["kept"] == IN_BIN  # while it falls, too
    world.step(1000)
    assert world.whereabouts() == {"kept": IN_BIN, "spilt": ELSEWHERE, "lying": ON_TABLE}
    height = world.object_poses()["kept"][2, 3]
    assert BINS.left.rim - BINS.left.depth < height < BINS.left.rim
    assert world.objects_off_table() == ["spilt"]
    assert world.put_back(np.random.default_rng(0)) == ["spilt"]
    assert world.whereabouts()["kept"] == IN_BIN


def test_what_a_hand_holds_over_a_bin_is_not_in_it():
    world = world_with("stuck", "falling")
    world.place("stuck", (BINS.left.x, BINS.left.y, 0.05))  # in the hand, which starts there
    world.place("falling", (BINS.right.x, BINS.right.y, BINS.right.rim + 0.1))
    assert world.held("left") == "stuck"
    assert world.whereabouts() == {"stuck": ELSEWHERE, "falling": IN_BIN}
    assert world.objects_off_table() == []  # nobody takes it out of the hand


def test_a_bin_holds_a_dozen_objects():
    names = [f"block{number}" for number in range(12)]
    world, rng = world_with(*names), np.random.default_rng(0)
    for name in names:
        x, y = (BINS.right.x, BINS.right.y) + rng.uniform(-0.03, 0.03, 2)  # as far as a hand holds them off its middle
        quat = rng.standard_normal(4)
        world.place(name, (x, y, BINS.right.rim + BINS.right.release), quat / np.linalg.norm(quat))
        world.step(300)
    assert set(world.whereabouts().values()) == {IN_BIN}


def test_objects_that_were_in_a_bin_are_laid_out_again():
    world = world_with("a", "b")
    world.place("a", (BINS.left.x, BINS.left.y, BINS.left.rim))
    world.scatter(np.random.default_rng(0))
    assert set(world.whereabouts().values()) == {ON_TABLE}
    world.scatter(np.random.default_rng(0), [1])
    assert world.whereabouts() == {"b": ON_TABLE}  # the others are parked, and nowhere


def test_objects_out_of_reach_are_brought_back():
    world = world_with("far", "between", "near")
    for name, place in (("far", (1.0, 0.3)), ("between", (0.65, 0.0)), ("near", (0.65, 0.3))):
        world.place(name, (*place, world.table.z + 0.03))
    assert world.out_of_reach() == ["far", "between"]
    assert sorted(world.put_back(np.random.default_rng(0), also=world.out_of_reach())) == ["between", "far"]
    assert world.out_of_reach() == []


@pytest.mark.parametrize(("side", "sign"), [("left", 1.0), ("right", -1.0)])
def test_objects_for_one_arm_lie_on_its_half(side, sign):
    world = world_with("a", "b", "c", side=side)
    world.scatter(np.random.default_rng(1))
    assert all(sign * pose[1, 3] > 0.0 for pose in world.object_poses().values())
    world.place("a", (0.3, 1.4, FLOOR_Z + 0.1))
    world.place("b", (0.65, -sign * 0.3, world.table.z + 0.03))
    assert world.out_of_reach() == ["b"]  # on the other half
    world.put_back(np.random.default_rng(0), also=world.out_of_reach())
    assert all(sign * pose[1, 3] > 0.0 for pose in world.object_poses().values())


def test_an_arm_that_touches_a_bin_is_counted():
    world = World(0, [], bins=BINS)
    contacts, told = ArmContacts(world), []
    contacts._report = told.append
    contacts.update()
    assert contacts.counts == {"arms": 0, "surroundings": 0, "bins": 0}
    # the whole arm turned towards the bin and down
    for name, value in zip(("left_s0", "left_s1", "left_e1", "left_w1"), (0.0, 0.6, 0.4, 0.6)):
        world.data.joint(name).qpos = value
        world.data.actuator(name).ctrl = value
    world.step(5)
    contacts.update()
    assert contacts.counts["bins"] == 1 and "left_bin" in told[-1]


def test_the_kinect_sees_no_region_in_a_bin_and_one_on_the_table():
    world = world_with("kept", "lying")
    renderer = CameraRenderer(world.model, appearance=world.appearance)
    finder = RegionFinder(RegionSettings(), world.calibration, renderer.camera("kinect"))

    def look():
        image, millimetres = renderer.kinect(world.data)
        return image, np.where(millimetres > 0, millimetres * np.float32(0.001), np.float32(np.nan))

    arms = np.zeros(look()[1].shape, np.uint8)
    finder.learn([look()[0] for _ in range(5)])
    world.place("kept", (BINS.left.x, BINS.left.y - 0.1, BINS.left.rim))
    world.step(500)
    assert finder.find(*look(), arms, 0.0) == []
    world.place("lying", (0.65, 0.25, world.table.z + 0.03))
    world.step(100)
    assert [region.arm for region in finder.find(*look(), arms, 0.0)] == ["left"]
    renderer.close()
