"""Regions in the simulated Kinect's pictures: objects are found where they truly are, and nothing else is."""

import cv2
import numpy as np
import pytest

from grasp_learning.geometry import top_down_pose
from grasp_learning.motion.kinematics import Kinematics
from grasp_learning.motion.robot_model import RobotModel
from grasp_learning.regions import RegionFinder, RegionSettings
from grasp_learning.robot_description import arm_joints, load_urdf
from grasp_learning.silhouette import Silhouette
from grasp_learning.sim.cameras import CameraRenderer
from grasp_learning.sim.objects import catalogue
from grasp_learning.sim.world import World

ROBOT = RobotModel(load_urdf())
SETTINGS = RegionSettings()


class Setup:
    """A world with ten objects that lie beside the table at first, and a finder that learnt the empty table."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        objects = catalogue("train", 0)
        self.world = World(seed, [objects[i] for i in self.rng.choice(len(objects), 10, replace=False)])
        self.renderer = CameraRenderer(self.world.model, appearance=self.world.appearance)
        self.finder = self.make_finder()
        pictures = []
        for _ in range(6):
            self.world.step(50)
            pictures.append(self.look()[0])
        self.finder.learn(pictures)

    def make_finder(self):
        return RegionFinder(SETTINGS, self.world.calibration, self.renderer.camera("kinect"))

    def look(self):
        """Picture, depth (m) and arms' mask."""
        image, millimetres = self.renderer.kinect(self.world.data)
        depth = np.where(millimetres > 0, millimetres * np.float32(0.001), np.float32(np.nan))
        model, data = self.world.model, self.world.data
        joints = {
            model.joint(i).name: float(data.joint(i).qpos[0]) for i in range(model.njnt) if model.jnt_type[i] != 0
        }
        pose = self.world.calibration.T_base_kinect.matrix
        return image, depth, Silhouette(ROBOT).mask(joints, self.renderer.camera("kinect"), pose, SETTINGS.arm_margin)

    def put_left_arm_over_the_table(self):
        q = Kinematics(ROBOT, "left").ik(top_down_pose(0.65, 0.25, self.world.table.z + 0.2, 0.3))[0]
        for name, position in zip(arm_joints("left"), q):
            self.world.data.joint(name).qpos = position
            self.world.data.actuator(name).ctrl = position
        self.world.step(1)


@pytest.fixture(scope="module", params=[20, 21])
def setup(request):
    made = Setup(request.param)
    yield made
    made.renderer.close()


def test_an_empty_table_stays_empty_while_the_light_drifts(setup):
    setup.world.reset()
    for minutes in (1, 20, 60):
        setup.world.data.time = 60.0 * minutes
        assert setup.finder.find(*setup.look()) == [], f"after {minutes} min"


def test_an_arm_over_the_empty_table_is_no_object(setup):
    setup.world.reset()
    setup.put_left_arm_over_the_table()
    image, depth, arms = setup.look()
    assert setup.finder.covered(arms) > 0.03
    assert setup.finder.find(image, depth, None), "without its mask the arm is seen"
    # the arm's own shadow is no object either
    assert setup.finder.find(image, depth, arms) == []


def test_objects_are_found_at_their_true_places_and_nothing_else(setup, tmp_path):
    setup.world.reset()
    setup.world.scatter(setup.rng)
    setup.finder.save(tmp_path / "background.npz")
    restarted = setup.make_finder()
    assert restarted.load(tmp_path / "background.npz")
    for finder in (setup.finder, restarted):
        regions = finder.find(*setup.look())
        places = [pose[:2, 3] for pose in setup.world.object_poses().values()]
        near = [max(_inside(region, place) for region in regions) > -0.02 for place in places]
        assert np.mean(near) >= 0.9
        for region in regions:
            assert max(_inside(region, place) for place in places) > -0.12, "every region is part of an object"
            assert np.ptp(region.outline, axis=0).max() < 0.25, "a heap is cut into parts"
        assert {region.arm for region in regions} >= {"left", "right"}


def _inside(region, place):
    """Distance (m) from a region's outline, positive inside."""
    return cv2.pointPolygonTest(region.outline.astype(np.float32), (float(place[0]), float(place[1])), True)
