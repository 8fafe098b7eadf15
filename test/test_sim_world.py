"""The simulated workcell: objects that lie, fall off, are put back and are held; physics that says when it broke."""

import numpy as np
import pytest
from physics_scene import SPOT, Cell, block, place, solve

from grasp_learning.config import ConfigError
from grasp_learning.robot_description import NEUTRAL
from grasp_learning.sim import ticks
from grasp_learning.sim.contacts import ArmContacts
from grasp_learning.sim.marker_plates import calibration_plates
from grasp_learning.sim.objects import catalogue
from grasp_learning.sim.world import Circle, SceneError, SimulationDiverged, World, WorldSettings


def ten_objects(seed):
    objects = catalogue("train")
    return [objects[i] for i in np.random.default_rng(seed).choice(len(objects), 10, replace=False)]


@pytest.fixture(scope="module")
def scattered():
    world = World(3, ten_objects(3))
    world.scatter(np.random.default_rng(3))
    return world


def positions(world):
    return np.array([T[:3, 3] for T in world.object_poses().values()])


def test_the_table_is_empty_at_first():
    world = World(0, ten_objects(0))
    xyz = positions(world)
    assert (xyz[:, 0] < -1.0).all()
    assert world.objects_off_table() == []


def test_scattered_objects_rest_on_both_halves(scattered):
    xyz = positions(scattered)
    assert scattered.objects_off_table() == []
    assert 4 <= (xyz[:, 1] > 0).sum() <= 6
    assert ((xyz[:, 0] > 0.45) & (xyz[:, 0] < 0.87)).all()
    assert ((np.abs(xyz[:, 1]) > 0.05) & (np.abs(xyz[:, 1]) < 0.47)).all()
    assert (xyz[:, 2] > scattered.table.z).all()
    before = positions(scattered)
    scattered.step(500)
    np.testing.assert_allclose(positions(scattered), before, atol=1e-3)


def test_objects_that_were_not_chosen_stay_out_of_the_way():
    world = World(2, ten_objects(2))
    rng = np.random.default_rng(2)
    world.scatter(rng, [0, 1, 2, 3])
    world.scatter(rng, [7, 2, 9])
    chosen = {world.object_names[index] for index in (7, 2, 9)}
    away = [index for index in range(10) if index not in (7, 2, 9)]
    assert set(world.names_in_use) == chosen
    assert {name for name, _ in world.objects_near(0.66, 0.0, 100.0)} == chosen
    assert (positions(world)[away, 0] < -1.0).all()
    assert world.objects_off_table() == []

    world.place(world.object_names[7], (1.5, 0.0, 0.0))
    assert world.put_back(rng) == [world.object_names[7]]
    world.restore([world.object_names[0]])  # one that went wrong where it was parked
    assert world.objects_off_table() == []
    world.reset()
    assert world.put_back(rng) == []
    world.scatter(rng)
    assert {name for name, _ in world.objects_near(0.66, 0.0, 0.7)} == chosen


def test_parked_objects_change_nothing_for_those_on_the_table():
    few, many = World(4, ten_objects(4)[:3]), World(4, ten_objects(4))
    for world in (few, many):
        world.scatter(np.random.default_rng(4), [0, 1, 2])
    np.testing.assert_allclose(positions(many)[:3], positions(few), atol=0.005)


def test_two_scatters_differ():
    world = World(1, ten_objects(1))
    rng = np.random.default_rng(1)
    world.scatter(rng)
    first = positions(world)
    world.scatter(rng)
    assert np.abs(positions(world) - first).max() > 0.05


def test_the_same_seed_gives_the_same_data_bit_for_bit():
    states = []
    for _ in range(2):
        cell = Cell(*ten_objects(5), seed=5)
        cell.world.scatter(np.random.default_rng(5))
        cell.close("left")
        states.append((cell.world.data.qpos.copy(), cell.robot.joint_efforts))
    np.testing.assert_array_equal(states[0][0], states[1][0])
    np.testing.assert_array_equal(states[0][1], states[1][1])


def test_markers_of_a_calibration_change_no_physics():
    plain, marked = (
        World(4, ten_objects(4)[:3], markers=plates) for plates in ((), calibration_plates("left", -0.1, 0))
    )
    assert marked.model.ngeom == plain.model.ngeom + 2
    for world in (plain, marked):
        world.scatter(np.random.default_rng(4))
    np.testing.assert_array_equal(plain.data.qpos, marked.data.qpos)


def test_objects_that_do_not_stay_are_an_error():
    world = World(0, [block()], WorldSettings(workspace_x=(1.2, 1.3), scatter_attempts=2))
    with pytest.raises(SceneError, match="after 2 attempts.*block"):
        world.scatter(np.random.default_rng(0))


def test_an_object_thrown_off_the_table_is_put_back():
    world = World(0, [block("a"), block("b")])
    world.scatter(np.random.default_rng(0))
    velocity = world.data.joint("a_joint").qvel
    velocity[:3] = [1.5, 0.0, 1.5]
    world.step(800)
    assert world.objects_off_table() == ["a"]
    assert world.object_poses()["a"][2, 3] < -0.5
    assert world.put_back(np.random.default_rng(1)) == ["a"]
    world.step(500)
    assert world.objects_off_table() == []
    assert world.object_poses()["a"][2, 3] == pytest.approx(world.table.z + 0.04, abs=0.005)
    assert world.put_back(np.random.default_rng(2)) == []


def test_put_back_keeps_clear_of_grippers_and_other_objects():
    names = [f"block_{i}" for i in range(6)]
    world = World(0, [block(name) for name in names])
    for name in names:
        world.place(name, (0.3, 1.2, 0.0))
    avoid = [Circle(0.65, 0.25, 0.2), Circle(0.65, -0.25, 0.1)]
    assert sorted(world.put_back(np.random.default_rng(0), avoid)) == names
    world.step(300)
    xyz = positions(world)
    for circle in avoid:
        assert (np.hypot(xyz[:, 0] - circle.x, xyz[:, 1] - circle.y) > circle.radius).all()
    # nothing was put into or onto something else
    np.testing.assert_allclose(xyz[:, 2], world.table.z + 0.04, atol=0.003)


def test_without_a_free_place_the_object_waits():
    world = World(0, [block()])
    world.place("block", (0.3, 1.2, 0.0))
    assert world.put_back(np.random.default_rng(0), [Circle(0.65, 0.0, 2.0)]) == []
    assert world.objects_off_table() == ["block"]
    np.testing.assert_allclose(world.object_poses()["block"][:3, 3], (0.3, 1.2, 0.0))


def test_held_is_the_truth():
    cell = Cell(block())
    place(cell.world, "block", *SPOT)
    before = cell.world.object_poses()["block"][2, 3]
    cell.reach_down("left", *SPOT)
    assert cell.world.held("left") is None
    assert cell.close("left").gripping
    # the fingers are around it, but it still stands on the table
    assert cell.world.held("left") is None
    cell.lift("left", *SPOT)
    assert cell.world.held("left") == "block"
    assert cell.world.held("right") is None
    assert cell.world.object_poses()["block"][2, 3] == pytest.approx(before + 0.2, abs=0.005)
    cell.grip("left", "release")
    cell.run(1.5)
    assert cell.world.held("left") is None


def test_an_object_in_the_hand_is_not_off_the_table():
    cell = Cell(block())
    place(cell.world, "block", *SPOT)
    cell.pick("left", *SPOT)
    cell.move_arm("left", NEUTRAL)
    _, y, _ = cell.world.object_poses()["block"][:3, 3]
    assert y > cell.world.table.y_max
    assert cell.world.objects_off_table() == []


@pytest.mark.parametrize("value", [np.nan, 1e6])
def test_divergence_is_typed_and_reset_recovers(value):
    world = World(0, ten_objects(0))
    world.scatter(np.random.default_rng(0))
    world.data.qvel[3] = value
    with pytest.raises(SimulationDiverged):
        world.step(5)
    world.reset()
    world.scatter(np.random.default_rng(0))
    assert np.isfinite(world.data.qpos).all()
    assert world.objects_off_table() == []


def test_a_robot_that_diverges_raises_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cell = Cell(block())
    before = cell.robot.joint_positions
    monkeypatch.setattr(ticks, "_advance", lambda *_: (cell.world.data.qpos.fill(np.nan), cell.world.step()))
    with pytest.raises(SimulationDiverged, match="BADQPOS"):
        cell.robot.update(0.01)
    # MuJoCo's own log file would litter the user's folder
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    cell.world.restore()
    cell.robot.update(0.01)
    np.testing.assert_allclose(cell.robot.joint_positions, before, atol=1e-3)


def test_a_divergence_names_the_object_and_no_arm_jumps():
    cell = Cell(block("a"), block("b"))
    place(cell.world, "a", *SPOT)
    place(cell.world, "b", SPOT[0], -SPOT[1])
    cell.robot.update(0.01)
    arms, time = cell.robot.joint_positions, cell.world.time
    other = cell.world.object_poses()["b"]
    # one that is thrown into the arm, so to speak: the robot's state is lost, too
    cell.world.data.joint("a_joint").qvel[:] = np.nan
    cell.world.data.qpos[cell.world.model.joint("left_s1").qposadr[0]] += 2.0
    with pytest.raises(SimulationDiverged, match="^a at .*: .*absurd velocity") as caught:
        cell.world.check()
    assert caught.value.objects == ("a",)
    cell.world.restore(caught.value.objects)
    np.testing.assert_array_equal(cell.robot.joint_positions, arms)
    assert cell.world.time == time
    np.testing.assert_allclose(cell.world.object_poses()["b"], other)
    assert cell.world.objects_off_table() == ["a"]
    cell.run(0.5)
    np.testing.assert_allclose(cell.robot.joint_positions, arms, atol=1e-3)
    assert cell.world.put_back(np.random.default_rng(0)) == ["a"]


def test_a_tick_that_diverges_is_done_again_in_shorter_steps(monkeypatch):
    cell = Cell(block())
    place(cell.world, "block", *SPOT)
    advance, steps = ticks._advance, []

    def explode_at_long_steps(world, actuators, control, change, n):
        steps.append(cell.world.model.opt.timestep)
        if len(steps) == 1:
            cell.world.data.joint("block_joint").qvel[:3] = 1e4
        advance(world, actuators, control, change, n)

    monkeypatch.setattr(ticks, "_advance", explode_at_long_steps)
    pose, time = cell.world.object_poses()["block"], cell.world.time
    cell.robot.update(0.01)
    assert len(steps) == 2 and steps[1] < steps[0] == cell.world.model.opt.timestep
    assert cell.world.time == pytest.approx(time + 0.01)
    np.testing.assert_allclose(cell.world.object_poses()["block"], pose, atol=1e-4)


def test_objects_that_jump_are_slowed_down():
    world = World(0, [block()])
    world.place("block", (0.65, 0.25, 0.5))
    velocity = world.data.joint("block_joint").qvel
    velocity[:] = [8.0, 0.0, 0.0, 0.0, 0.0, 90.0]
    world.step(1)
    np.testing.assert_allclose(np.linalg.norm(velocity.reshape(2, 3), axis=1), (5.0, 60.0), rtol=1e-3)
    np.testing.assert_array_equal(np.sign(velocity[[0, 5]]), (1.0, 1.0))


def test_contacts_of_arms_are_counted_and_named():
    cell, told = Cell(block()), []
    contacts = ArmContacts(cell.world, told.append)
    contacts.update()
    assert contacts.counts == {"arms": 0, "surroundings": 0}
    place(cell.world, "block", *SPOT)
    cell.reach_down("left", *SPOT)
    cell.close("left")
    contacts.update()
    assert contacts.counts == {"arms": 0, "surroundings": 0}  # an object in a hand is what it is for
    for side, y in (("left", 0.0), ("right", 0.0)):
        cell.move_arm(side, solve(side, 0.65, y, 0.1))
        for _ in range(3):
            contacts.update()  # one contact that lasts counts once
    assert contacts.counts["arms"] == 1
    assert "left" in told[-1] or "l_gripper" in told[-1]
    assert "right" in told[-1] or "r_gripper" in told[-1]


def test_a_link_that_rests_on_the_table_counts_and_fingers_that_do_not():
    cell = Cell(block())
    contacts = ArmContacts(cell.world)
    cell.move_arm("left", solve("left", *SPOT, cell.world.table.z + 0.03))
    cell.move_vertically("left", *SPOT, cell.world.table.z + 0.03, cell.world.table.z - 0.01)
    contacts.update()
    assert "left_l_pad" in [cell.world.model.geom(g).name for g in cell.world.data.contact.geom.ravel()]
    assert contacts.counts["surroundings"] == 0
    cell.move_arm("left", (0.2, 0.9, 0.0, 0.3, 0.0, 0.0, 0.0))  # the forearm onto the table's edge
    contacts.update()
    assert contacts.counts == {"arms": 0, "surroundings": 1}


def test_arms_collide_with_the_table_and_with_each_other():
    cell = Cell(block())
    model = cell.world.model

    def touches(a, b):
        first, second = model.geom(a), model.geom(b)
        types = model.geom_contype[[first.id, second.id]], model.geom_conaffinity[[first.id, second.id]]
        return bool(types[0][0] & types[1][1] or types[0][1] & types[1][0])

    assert touches("left_l_pad", "table")
    assert touches("left_l_pad", "block_geom0")
    assert touches("left_l_pad", "right_r_pad")
    assert not touches("left_l_pad", "left_r_pad")


def test_same_object_twice_gets_two_names():
    assert World(0, [block(), block()]).object_names == ["block", "block_2"]


def test_a_wrong_calibration_is_named(tmp_path):
    with pytest.raises(ConfigError, match="missing.yaml"):
        World(0, [], WorldSettings(calibration=str(tmp_path / "missing.yaml")))
