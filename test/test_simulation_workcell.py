"""Trials without ROS: whole, repeatable to the bit, and with the pictures that the whole robot's camera takes."""

import os

os.environ.setdefault("LP_NUM_THREADS", "1")  # before OpenGL is loaded

from dataclasses import replace  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from agreement import both_kinds, regions_of  # noqa: E402
from physics_scene import block  # noqa: E402

from grasp_learning.config import ConfigError  # noqa: E402
from grasp_learning.geometry import base_angle_to_image  # noqa: E402
from grasp_learning.sampling import GraspSampler, RandomSampler, SamplerSettings  # noqa: E402
from grasp_learning.sim.objects import catalogue  # noqa: E402
from grasp_learning.sim.world import SceneError, SimulationDiverged  # noqa: E402
from grasp_learning.simulation.scene import SimScene  # noqa: E402
from grasp_learning.simulation.workcell import WorkcellSettings, create_workcell  # noqa: E402
from grasp_learning.trial import Outcome, Prior, Region, Step, run_trial  # noqa: E402


def make(kind="gripper", seed=5, objects=None, sampler=None, **settings):
    objects = catalogue("train")[::17] if objects is None else objects
    sampler = sampler or RandomSampler(SamplerSettings())
    return create_workcell(kind, seed, objects, sampler, WorkcellSettings(**settings))


@pytest.fixture
def workcell():
    cell = make()
    yield cell
    cell.close()


@pytest.fixture(scope="module")
def kinds():
    arm, gripper = both_kinds(2)
    yield arm, gripper
    arm.close()
    gripper.close()


def trials(count=3, **arguments):
    cell = make(**arguments)
    found = []
    for number in range(count):
        found.append((run_trial(cell, ("left", "right")[number % 2]), cell.T_base_camera))
    cell.close()
    return found


def assert_same(one, other):
    for (a, T_a), (b, T_b) in zip(one, other):
        assert replace(a, region=None, grasp=None, images={}) == replace(b, region=None, grasp=None, images={})
        assert a.grasp == b.grasp or (
            np.isnan(a.grasp.score) and replace(a.grasp, score=0) == replace(b.grasp, score=0)
        )
        np.testing.assert_array_equal(a.region.outline, b.region.outline)
        np.testing.assert_array_equal(T_a, T_b)
        np.testing.assert_array_equal(a.images["approach_image"], b.images["approach_image"])


def test_a_trial_is_whole(workcell):
    trial = run_trial(workcell, "left")
    assert trial.outcome.is_label, trial.detail
    assert trial.end > trial.start > 0.0
    assert trial.region.arm == trial.grasp.arm == "left"
    assert trial.grasp.stamp >= trial.region.stamp
    picture = trial.images["approach_image"]
    assert picture.shape == (800, 1280, 3) and picture.dtype == np.uint8
    assert list(trial.images) == ["approach_image"]
    assert trial.reading.truth_known
    # near to where an object was found there is an object
    assert trial.reading.truth_near
    assert set(trial.reading.truth_near) <= set(workcell.scene.world.object_names)


def test_the_kept_camera_is_that_of_the_picture(workcell):
    trial = run_trial(workcell, "right")
    grasp, camera, T = trial.grasp, workcell.wrist_camera, workcell.T_base_camera
    height = workcell.scene.world.table.z + trial.region.height / 2
    np.testing.assert_allclose(camera.base_to_pixels([[grasp.x, grasp.y, height]], T)[0], [grasp.u, grasp.v], atol=0.01)
    assert base_angle_to_image(grasp.theta, T) == pytest.approx(grasp.theta_image, abs=1e-3)
    # 25 cm above the region, the camera 14 cm above the fingertips
    assert T[2, 3] - workcell.scene.world.table.z == pytest.approx(0.39, abs=0.01)


def test_the_same_seeds_give_the_same_trials_whatever_ran_before():
    first = trials()
    trials(count=1, seed=8)
    assert_same(first, trials())


def test_another_seed_gives_other_trials():
    one, other = trials(count=1)[0][0], trials(count=1, seed=6)[0][0]
    assert one.grasp.x != other.grasp.x
    assert (one.images["approach_image"] != other.images["approach_image"]).mean() > 0.5


def test_more_pictures_change_nothing_else():
    some, more = trials(count=2), trials(count=2, pictures="all")
    assert_same(some, more)
    images = more[0][0].images
    assert set(images) == {"kinect_image", "approach_image", "before_lift_image", "after_lift_image"}
    assert images["kinect_image"].shape == (1080, 1920, 3)
    assert images["after_lift_image"].shape == (800, 1280, 3)
    # a region's box is in the whole picture: what it shows stands out from the table around it
    u, v, width, height = more[0][0].region.box
    assert 0 <= u < u + width <= 1920 and 0 <= v < v + height <= 1080
    inside = images["kinect_image"][v : v + height, u : u + width].reshape(-1, 3)
    assert inside.std(axis=0).max() > 5.0


@pytest.mark.parametrize("arm", ["left", "right"])
def test_both_kinds_take_the_same_picture(kinds, arm):
    pictures, poses = [], []
    region = next(region for region in regions_of(kinds[0]) if region.arm == arm)
    for cell in kinds:
        assert cell.approach(region).outcome is Outcome.SUCCESS
        side = cell.rig.hand_of(arm)
        pictures.append(cell.scene.wrist_picture(side).astype(float))
        poses.append(cell.scene.wrist_pose(side))
        cell.rig.sequence(arm).to_neutral()
    np.testing.assert_allclose(poses[0], poses[1], atol=0.01)
    difference = np.abs(pictures[0] - pictures[1]).max(axis=2)
    # forearm, upper arm and their shadows are missing; fingers, table and objects are the same
    assert (difference > 25).mean() < 0.15
    assert (difference[:270, 400:530] > 25).mean() < 0.1, "the fingers look different"


def test_an_empty_table_has_no_regions():
    cell = make(objects=[])
    trial = run_trial(cell, "left")
    cell.close()
    assert trial.outcome is Outcome.NO_OBJECTS
    assert trial.grasp is None and trial.images == {}


def test_objects_that_left_the_table_are_put_back(workcell):
    name = workcell.scene.world.object_names[0]
    workcell.scene.world.place(name, (1.5, 0.0, -0.8))
    assert run_trial(workcell, "left").put_back == [name]
    assert workcell.scene.world.objects_off_table() == []


def test_an_object_stuck_in_the_open_gripper_is_taken_out():
    # wider than the open fingers are apart: squeezed in, it stays
    cell = make(objects=[block("wedge", width=0.0752, height=0.06, mass=0.02, friction=0.9), block("other")])
    world, robot = cell.scene.world, cell.rig.robot
    robot.jump(np.array([0.6, 0.3, 0.2, 0.0]))
    world.place("wedge", (0.6, 0.3, 0.2), (np.cos(np.pi / 4), 0, 0, np.sin(np.pi / 4)))
    cell.rig.sleep(0.3)
    assert world.held("left") == "wedge"
    robot.jump(np.array([0.7, -0.3, 0.2, 0.0]))
    cell.rig.sleep(0.3)
    assert world.held("left") == "wedge", "a stuck object comes along"
    assert cell.put_back_objects() == ["wedge"]
    assert world.object_poses()["wedge"][2, 3] < 0.0
    cell.close()


def test_physics_that_are_lost_end_the_trial_not_the_program(workcell, monkeypatch):
    def diverge():
        raise SimulationDiverged("NaN")

    monkeypatch.setattr(workcell.rig.robot, "update", lambda dt: diverge())
    trial = run_trial(workcell, "left")
    assert trial.outcome is Outcome.ROBOT_FAULT
    assert "NaN" in trial.detail


def test_an_object_that_goes_wrong_is_laid_aside_and_the_trial_goes_on(workcell, monkeypatch):
    name, robot, wrong = workcell.scene.world.object_names[0], workcell.rig.robot, []

    def update(dt):
        if not wrong:
            wrong.append(name)
            raise SimulationDiverged("too fast", wrong)
        type(robot).update(robot, dt)

    monkeypatch.setattr(robot, "update", update)
    assert run_trial(workcell, "left").outcome.is_label
    assert run_trial(workcell, "right").put_back == [name]


def test_a_guided_samplers_prior_is_kept():
    prior = Prior("model", "0" * 64, 378, np.zeros((1, 2)), np.full((1, 18), 0.5), 0, 0)

    class Guided(GraspSampler):
        def _sample(self, *arguments):
            step = RandomSampler(self._settings)._sample(*arguments)
            return replace(step, prior=prior)

    cell = make(sampler=Guided(SamplerSettings()))
    trial = run_trial(cell, "left", mode="staged", stage=1)
    cell.close()
    assert trial.prior is prior and trial.model == "model"
    assert trial.outcome.is_label


def test_a_sampler_that_finds_nothing_ends_the_trial_with_the_picture_kept():
    class Blind(GraspSampler):
        def _sample(self, *arguments):
            return Step(Outcome.UNREACHABLE, "nothing to see")

    cell = make(sampler=Blind(SamplerSettings()))
    trial = run_trial(cell, "left")
    cell.close()
    assert trial.outcome is Outcome.UNREACHABLE and trial.detail == "nothing to see"
    assert trial.images["approach_image"].shape == (800, 1280, 3)


def test_an_arm_that_cannot_get_there_says_so(kinds):
    region = Region("left", 0.0, np.array([1.6, 0.9, -0.1]), 0.1, np.zeros((3, 2)), (0, 0, 1, 1))
    assert kinds[0].approach(region).outcome is Outcome.UNREACHABLE


def test_a_table_that_cannot_be_laid_is_freed_again(monkeypatch):
    closed = []
    monkeypatch.setattr(SimScene, "close", lambda scene, close=SimScene.close: (closed.append(scene), close(scene)))

    def scatter(scene):
        raise SceneError("these do not rest on the table")

    monkeypatch.setattr(SimScene, "scatter", scatter)
    with pytest.raises(SceneError):
        make(objects=[])
    assert len(closed) == 1


def test_unknown_kind_is_an_error():
    with pytest.raises(ConfigError, match="'crane' is unknown; choose from gripper, arm"):
        make(kind="crane")
