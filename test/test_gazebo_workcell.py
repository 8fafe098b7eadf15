"""The workcell in Gazebo, with a Gazebo in which everything stays where it is put."""

import contextlib
from xml.etree import ElementTree

import numpy as np
import pytest

from grasp_learning.bins import ELSEWHERE, IN_BIN, ON_TABLE, load_bins
from grasp_learning.gazebo.mirror import Mirror
from grasp_learning.gazebo.urdf import adapted
from grasp_learning.gazebo.urdf import main as urdf_command
from grasp_learning.gazebo.workcell import PREFIX, GazeboWorkcell
from grasp_learning.geometry import transform
from grasp_learning.robot_description import (
    NEUTRAL,
    SIDES,
    arm_joints,
    find_package_file,
    finger_joints,
    joint_limits,
    load_urdf,
)
from grasp_learning.sim.objects import catalogue
from grasp_learning.sim.turns import Turns
from grasp_learning.sim.world import WorldSettings

POOL, COUNT = 6, 4
OPEN_TRAVEL = 0.0208


class FakeGazebo:
    """Models by name; nothing moves by itself."""

    def __init__(self):
        self.models = {"baxter": np.eye(4), PREFIX + "of_an_earlier_run": np.eye(4)}
        self.documents, self.deleted, self.speed, self.stands_still = {}, [], 0.0, False

    @contextlib.contextmanager
    def paused(self):
        self.stands_still = True
        yield
        self.stands_still = False

    def names(self, timeout):
        return list(self.models)

    def spawn(self, name, sdf, T):
        assert self.stands_still and name not in self.models
        self.models[name], self.documents[name] = T, ElementTree.fromstring(sdf)

    def delete(self, name):
        assert self.stands_still
        del self.models[name]
        self.deleted.append(name)

    def move(self, name, T):
        assert name in self.models
        self.models[name] = T

    def state(self, name):
        return self.models[name], self.speed, 0.0

    def objects(self):
        return {name[len(PREFIX) :]: T for name, T in self.models.items() if name[len(PREFIX) :] in NAMES}


NAMES = [obj.name for obj in catalogue("train")]


class Cell:
    """The workcell under test before a Gazebo with the robot at neutral."""

    def __init__(self):
        self.gazebo, self.waits = FakeGazebo(), []
        self.joints = {name: q for side in ("left", "right") for name, q in zip(arm_joints(side), NEUTRAL)}
        self.joints["head_pan"] = 0.1  # whatever else Gazebo publishes
        self.close_hand("left", OPEN_TRAVEL)
        self.close_hand("right", OPEN_TRAVEL)
        objects = [obj for obj in catalogue("train") if obj.category == "box"][:POOL]
        settings = WorldSettings(calibration=str(find_package_file("config/calibration/gazebo.yaml")))
        bins = load_bins(find_package_file("config/bins/gazebo.yaml"))
        self.mirror = Mirror(0, objects, settings, bins=bins)
        self.workcell = GazeboWorkcell(
            self.gazebo,
            self.mirror,
            Turns(POOL, COUNT, np.random.default_rng(0)),
            lambda: self.joints,
            "file:///unit_sphere.stl",
            self.wait,
            np.random.default_rng(1),
        )

    def wait(self, condition):
        self.waits.append(condition())
        return self.waits[-1]

    def close_hand(self, side, travel):
        left, right = finger_joints(side)
        self.joints[left], self.joints[right] = travel, -travel

    def tip(self, side):
        return self.mirror.data.body(f"{side}_gripper").xpos.copy()

    def put(self, name, pos):
        self.gazebo.models[PREFIX + name] = transform(np.eye(3), pos)

    def on_table(self, name):
        x, y, z = self.gazebo.models[PREFIX + name][:3, 3]
        table = self.mirror.table
        return table.x_min < x < table.x_max and table.y_min < y < table.y_max and table.z < z < table.z + 0.2


@pytest.fixture
def cell():
    made = Cell()
    made.workcell.build(kinect_rate=5.0, timeout=1.0)
    return made


def test_building_replaces_what_an_earlier_run_left_and_touches_nothing_else(cell):
    assert cell.gazebo.deleted == [PREFIX + "of_an_earlier_run"]
    made = set(cell.gazebo.documents)
    assert {PREFIX + name for name in ("table", "bins", "kinect")} < made
    assert "baxter" in cell.gazebo.models and "baxter" not in made
    assert len(cell.gazebo.objects()) == COUNT and all(map(cell.on_table, cell.gazebo.objects()))
    for name, document in cell.gazebo.documents.items():
        assert document.find("model").get("name") == name
    assert cell.waits == [True]


def test_scattering_moves_the_same_objects(cell):
    before = cell.gazebo.objects()
    cell.workcell.scatter()
    after = cell.gazebo.objects()
    assert set(after) == set(before) and all(map(cell.on_table, after))
    assert all(np.linalg.norm(after[name][:3, 3] - before[name][:3, 3]) > 0.001 for name in after)


def test_objects_take_turns(cell):
    first = set(cell.gazebo.objects())
    names = cell.workcell.exchange()
    lying = {name for name in cell.gazebo.objects() if cell.on_table(name)}
    assert lying == set(names) and len(names) == COUNT and set(names) != first
    assert first | set(names) == {obj.name for obj in cell.mirror.objects}
    for name in set(cell.gazebo.objects()) - lying:
        assert cell.gazebo.models[PREFIX + name][0, 3] < -1.0  # behind the robot


def test_objects_that_do_not_come_to_rest_are_told_of_and_no_error(cell, caplog):
    cell.gazebo.speed = 0.1
    cell.workcell.scatter()
    assert "still move" in caplog.text


def test_a_cleared_table_stays_clear(cell):
    cell.workcell.clear_table()
    assert not any(map(cell.on_table, cell.gazebo.objects()))
    assert cell.workcell.put_back() == [] and cell.workcell.put_back(reach=True) == []
    cell.workcell.scatter()
    assert all(map(cell.on_table, cell.gazebo.objects()))


def test_what_fell_off_is_put_back_away_from_the_hands(cell):
    name = next(iter(cell.gazebo.objects()))
    cell.put(name, [0.3, 0.9, -0.9])
    assert cell.workcell.whereabouts()[name] == ELSEWHERE
    assert cell.workcell.put_back() == [name]
    assert cell.on_table(name)
    hands = [cell.tip(side) for side in ("left", "right")]
    assert min(np.linalg.norm((cell.gazebo.models[PREFIX + name][:3, 3] - tip)[:2]) for tip in hands) > 0.2
    assert cell.workcell.put_back() == []


def test_what_lies_in_a_bin_stays_there(cell):
    name = next(iter(cell.gazebo.objects()))
    cell.put(name, [0.6, 0.86, -0.45])
    assert cell.workcell.whereabouts()[name] == IN_BIN
    assert cell.workcell.put_back() == []


def test_what_lies_out_of_reach_is_brought_only_where_asked_for(cell):
    name = next(iter(cell.gazebo.objects()))
    cell.put(name, [1.0, 0.0, -0.05])
    assert cell.workcell.whereabouts()[name] == ON_TABLE
    assert cell.workcell.put_back() == []
    assert cell.workcell.put_back(reach=True) == [name]


def over_the_table(cell, side="left"):
    """Joints with which a hand hangs about 0.2 m above the table."""
    cell.joints.update(zip(arm_joints(side), [-0.6 if side == "left" else 0.6, -1.0, 0.0, 1.4, 0.0, 1.2, 0.0]))
    cell.workcell.whereabouts()
    tip = cell.tip(side)
    assert 0.1 < tip[2] - cell.mirror.table.z < 0.4
    return tip


def test_what_hangs_at_the_fingertips_is_held(cell):
    name = next(iter(cell.gazebo.objects()))
    cell.close_hand("left", 0.005)
    tip = over_the_table(cell)
    assert cell.workcell.held("left") is None
    cell.put(name, tip - [0.0, 0.0, 0.01])
    assert cell.workcell.held("left") == name and cell.workcell.held("right") is None
    assert cell.workcell.put_back() == []
    assert cell.workcell.near(tip[0] + 0.03, tip[1], 0.05) == [(name, pytest.approx(0.03, abs=1e-6))]


def test_what_lies_on_the_table_under_a_hand_is_not_held(cell):
    name = next(iter(cell.gazebo.objects()))
    tip = over_the_table(cell)
    height = cell.mirror.objects[cell.mirror.object_names.index(name)].extents[2] / 2
    cell.put(name, [tip[0], tip[1], cell.mirror.table.z + height])
    assert cell.workcell.held("left") is None


def test_what_is_stuck_in_an_open_hand_is_put_back(cell):
    name = next(iter(cell.gazebo.objects()))
    cell.put(name, over_the_table(cell) - [0.0, 0.0, 0.01])
    assert cell.workcell.put_back() == [name]
    assert cell.workcell.held("left") is None


def as_rethink_has_it():
    """This package's description with the fingers of Rethink's: slot 2, and round tips on the right hand."""
    root = ElementTree.fromstring(load_urdf())
    for side in SIDES:
        for joint, y in zip(finger_joints(side), (-0.0015, 0.0015)):
            root.find(f"joint[@name='{joint}']/origin").set("xyz", f"0 {y} 0.02")
            for geometry in root.iterfind(f"link[@name='{joint.replace('_joint', '_tip')}']//geometry"):
                if side == "right":
                    geometry.clear()
                    ElementTree.SubElement(geometry, "cylinder", length="0.037", radius="0.008")
    return ElementTree.tostring(root, encoding="unicode")


def test_the_robots_description_is_strengthened_in_nothing_but_the_shoulders():
    before, after = joint_limits(load_urdf()), joint_limits(adapted(as_rethink_has_it()))
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"left_s1", "right_s1"} and after["left_s1"].effort == after["right_s1"].effort == 100.0
    assert after["left_s1"].upper == before["left_s1"].upper


def test_both_hands_get_the_fingers_that_the_planners_know():
    own, given = (ElementTree.fromstring(text) for text in (load_urdf(), adapted(as_rethink_has_it())))
    for joint in [name for side in SIDES for name in finger_joints(side)]:
        for path in (f"joint[@name='{joint}']/origin", f"link[@name='{joint.replace('_joint', '_tip')}']/collision"):
            assert ElementTree.tostring(given.find(path)) == ElementTree.tostring(own.find(path))
    # Gazebo knows no colours of this package's file
    assert not given.findall("link[@name='r_gripper_l_finger_tip']//material")


@pytest.mark.parametrize("text, says", [("", "no URDF"), ("<robot name='other'/>", "left_s1")])
def test_what_is_no_baxter_is_refused(text, says, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin.read", lambda: text, raising=False)
    assert urdf_command([]) == 1
    assert says in capsys.readouterr().err
