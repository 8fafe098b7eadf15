"""Objects are found where they are, and nothing else is: not light, not noise, not an arm, not the table."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from grasp_learning.background import Background, BackgroundError, BackgroundSettings
from grasp_learning.calibration import load_calibration
from grasp_learning.geometry import Camera, top_down_pose
from grasp_learning.motion.kinematics import Kinematics
from grasp_learning.motion.robot_model import NEUTRAL, RobotModel
from grasp_learning.regions import RegionFinder, RegionSettings, sample_region
from grasp_learning.robot_description import arm_joints, load_urdf
from grasp_learning.silhouette import Silhouette
from grasp_learning.trial import Outcome

CALIBRATION = load_calibration(Path(__file__).parent.parent / "config" / "calibration" / "sim.yaml")
T_BASE_KINECT = CALIBRATION.T_base_kinect.matrix
TABLE_Z = CALIBRATION.table.z
# a quarter of the Kinect's resolution keeps the tests quick; settings are scaled with it
CAMERA = Camera(960, 540, np.array([[530.0, 0, 479.5], [0, 530.0, 269.5], [0, 0, 1]]))
SETTINGS = RegionSettings(scale=1.0, arm_margin=6)
ROBOT = RobotModel(load_urdf())
# the hand 25 cm above the middle of the left half of the table
OVER_TABLE = Kinematics(ROBOT, "left").ik(top_down_pose(0.7, 0.25, TABLE_Z + 0.25, 0.3))[0]


class Scene:
    """A picture of a table with boxes, painted with the camera's own projection, and the depth that goes with it."""

    def __init__(self, seed=0):
        self._rng = np.random.default_rng(seed)
        rows, columns = np.mgrid[0:540, 0:960]
        texture = cv2.GaussianBlur(self._rng.normal(0, 12, (540, 960, 3)), (0, 0), 5)
        self._table = np.array([190.0, 195, 200]) + texture + ((columns - 480) / 40)[..., None]
        v, u = rows.ravel(), columns.ravel()
        plane = CAMERA.pixels_to_plane(np.column_stack([u, v]), T_BASE_KINECT, TABLE_Z)
        along = (plane - T_BASE_KINECT[:3, 3]) @ T_BASE_KINECT[:3, 2]
        self._depth = np.nan_to_num(along, nan=0.0).reshape(540, 960)
        self._rays = CAMERA.rays(np.column_stack([u, v])) @ T_BASE_KINECT[:3, :3].T  # one unit of depth long

    def picture(self, boxes=(), gain=1.0, slope=0.0, arm=None, shadow=()):
        """BGR uint8 and depth (m); boxes are (x, y, half side, height, colour)."""
        image, depth = self._table.copy(), self._depth.copy()
        for x, y, half in shadow:
            image[self._hull(x, y, half, 0.0) > 0] *= 0.75
        for x, y, half, height, color in boxes:
            covered = self._hull(x, y, half, height) > 0
            image[covered] = color
            depth[covered] = np.minimum(depth[covered], self._box_depth(x, y, half, height)[covered])
        if arm is not None:
            image[arm > 0] = (60, 60, 160)
            depth[arm > 0] = 0.7
        light = gain * (1 + slope * (np.arange(960) - 480) / 480)
        image = image * light[None, :, None] + self._rng.normal(0, 2.0, image.shape)
        return np.clip(image, 0, 255).astype(np.uint8), depth.astype(np.float32)

    def _box_depth(self, x, y, half, height):
        """Depth (m) at which each pixel's ray enters a box, infinite where it does not."""
        low = np.array([x - half, y - half, TABLE_Z]) - T_BASE_KINECT[:3, 3]
        high = np.array([x + half, y + half, TABLE_Z + height]) - T_BASE_KINECT[:3, 3]
        with np.errstate(divide="ignore"):
            first, second = low / self._rays, high / self._rays
        enter, leave = np.minimum(first, second).max(axis=1), np.maximum(first, second).min(axis=1)
        return np.where(enter <= leave, enter, np.inf).reshape(540, 960)

    def _hull(self, x, y, half, height):
        corners = [(x + dx, y + dy, TABLE_Z + z) for dx in (-half, half) for dy in (-half, half) for z in {0.0, height}]
        hull = cv2.convexHull(CAMERA.base_to_pixels(corners, T_BASE_KINECT).astype(np.float32))
        return cv2.fillConvexPoly(np.zeros((540, 960), np.uint8), np.rint(hull).astype(np.int32), 1)


@pytest.fixture
def scene():
    return Scene()


def learnt(scene, settings=SETTINGS):
    finder = RegionFinder(settings, CALIBRATION, CAMERA)
    finder.learn([scene.picture()[0] for _ in range(6)])
    return finder


def arm_mask(left=NEUTRAL, right=NEUTRAL, margin=0):
    joints = dict(zip(arm_joints("left"), left))
    joints.update(zip(arm_joints("right"), right))
    joints["head_pan"] = 0.0
    return Silhouette(ROBOT).mask(joints, CAMERA, T_BASE_KINECT, margin)


RED_BOX = (0.70, 0.25, 0.03, 0.05, (40, 40, 180))
BLUE_BOX = (0.60, -0.30, 0.03, 0.03, (150, 60, 30))


def test_boxes_are_found_where_they_are(scene):
    finder = learnt(scene)
    image, depth = scene.picture([RED_BOX, BLUE_BOX])
    regions = {region.arm: region for region in finder.find(image, depth, stamp=4.5)}
    assert sorted(regions) == ["left", "right"]
    for arm, (x, y, half, height, _) in (("left", RED_BOX), ("right", BLUE_BOX)):
        region = regions[arm]
        assert region.stamp == 4.5
        np.testing.assert_allclose(region.center, [x, y, TABLE_Z], atol=0.02)
        assert region.height == pytest.approx(height, abs=0.015)
        assert cv2.pointPolygonTest(region.outline.astype(np.float32), (x, y), False) > 0
        assert cv2.contourArea(region.outline.astype(np.float32)) == pytest.approx(4 * half**2, rel=0.7)
        u, v, width, height = region.box
        pixel = CAMERA.base_to_pixels([(x, y, TABLE_Z)], T_BASE_KINECT)[0]
        assert u <= pixel[0] <= u + width and v <= pixel[1] <= v + height


def test_without_depth_flat_objects_are_found_too(scene):
    image, _ = scene.picture([(0.7, 0.25, 0.03, 0.0, (40, 40, 180))])
    (region,) = learnt(scene).find(image, None)
    np.testing.assert_allclose(region.center[:2], [0.7, 0.25], atol=0.01)
    assert region.height == pytest.approx(0.0)


def test_depth_with_holes_falls_back_to_the_table(scene):
    image, depth = scene.picture([(0.7, 0.25, 0.03, 0.0, (40, 40, 180))])
    depth[:] = np.nan
    (region,) = learnt(scene).find(image, depth)
    np.testing.assert_allclose(region.center[:2], [0.7, 0.25], atol=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_an_empty_table_stays_empty_while_the_light_drifts(seed):
    scene = Scene(seed)
    finder = learnt(scene)
    for step in range(12):
        gain, slope = 1 - 0.025 * step, 0.01 * step
        image, depth = scene.picture(gain=gain, slope=slope)
        assert finder.find(image, depth) == [], f"after a gain of {gain:.2f}"


def test_objects_are_still_found_after_the_light_drifted(scene):
    finder = learnt(scene)
    for step in range(10):
        image, depth = scene.picture([RED_BOX, BLUE_BOX], gain=1 - 0.03 * step)
        assert sorted(region.arm for region in finder.find(image, depth)) == ["left", "right"]


def test_an_object_that_stays_never_becomes_background(scene):
    finder = learnt(scene)
    pictures = [scene.picture([RED_BOX]) for _ in range(3)]
    for index in range(60):
        regions = finder.find(*pictures[index % 3])
    assert [region.arm for region in regions] == ["left"]


def test_shadows_are_no_objects(scene):
    image, depth = scene.picture(shadow=[(0.7, 0.3, 0.05)])
    assert learnt(scene).find(image, depth) == []


def test_pixels_of_an_arm_never_count(scene):
    finder = learnt(scene)
    arm = arm_mask(left=OVER_TABLE)
    image, depth = scene.picture(arm=arm)
    assert finder.covered(arm) > 0.02, "the arm of this test is over the table"
    assert finder.find(image, depth), "without the mask the arm is taken for an object"
    assert finder.find(image, depth, arm_mask(left=OVER_TABLE, margin=6)) == []


def test_an_object_beside_an_arm_is_found(scene):
    finder = learnt(scene)
    image, depth = scene.picture([BLUE_BOX], arm=arm_mask(left=OVER_TABLE))
    (region,) = finder.find(image, depth, arm_mask(left=OVER_TABLE, margin=6))
    assert region.arm == "right"


def test_neutral_arms_leave_the_table_free(scene):
    assert learnt(scene).covered(arm_mask(margin=6)) < 0.02


def test_what_no_arm_reaches_is_found_but_unreachable(scene):
    rng = np.random.default_rng(0)
    image, depth = scene.picture([(0.7, 0.0, 0.03, 0.03, (40, 40, 180))])
    regions = learnt(scene).find(image, depth)
    assert [region.arm for region in regions] == [""]
    step = sample_region(regions, "left", rng)
    assert step.outcome is Outcome.UNREACHABLE and "left" in step.message


def test_a_long_object_across_the_middle_is_cut_for_each_arm(scene):
    boxes = [(0.7, y, 0.03, 0.0, (40, 40, 180)) for y in np.arange(-0.2, 0.21, 0.05)]
    regions = learnt(scene).find(*scene.picture(boxes))
    assert sorted(region.arm for region in regions) == ["left", "right"]
    for region in regions:
        area = SETTINGS.areas.of(region.arm)
        assert area.contains(region.outline + 0).all() and area.contains(region.center[None]).all()


def test_sampling_gives_each_region_of_the_arm_the_same_chance(scene):
    boxes = [(0.6, 0.2, 0.02, 0.02, (40, 40, 180)), (0.8, 0.4, 0.02, 0.02, (40, 40, 180)), BLUE_BOX]
    regions = learnt(scene).find(*scene.picture(boxes))
    rng = np.random.default_rng(0)
    drawn = [sample_region(regions, "left", rng) for _ in range(200)]
    assert all(step.outcome is Outcome.SUCCESS and step.value.arm == "left" for step in drawn)
    near = sum(step.value.center[0] < 0.7 for step in drawn)
    assert 75 < near < 125


def test_an_empty_table_is_a_typed_answer():
    step = sample_region([], "left", np.random.default_rng(0))
    assert step.outcome is Outcome.NO_OBJECTS and step.value is None


def test_without_a_background_the_error_says_what_to_do(scene):
    finder = RegionFinder(SETTINGS, CALIBRATION, CAMERA)
    assert not finder.has_background
    with pytest.raises(BackgroundError, match="clear the table and call ~reset_background"):
        finder.find(*scene.picture())
    with pytest.raises(BackgroundError, match="at least one picture"):
        finder.learn([])


def test_a_restarted_finder_needs_no_empty_table(scene, tmp_path):
    path = tmp_path / "background.npz"
    learnt(scene).save(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["background.npz"]
    restarted = RegionFinder(SETTINGS, CALIBRATION, CAMERA)
    assert restarted.load(path)
    assert restarted.find(*scene.picture()) == []
    assert [region.arm for region in restarted.find(*scene.picture([RED_BOX]))] == ["left"]


def test_a_background_of_another_session_is_not_used(scene, tmp_path):
    path = tmp_path / "background.npz"
    learnt(scene).save(path, "monday")
    restarted = RegionFinder(SETTINGS, CALIBRATION, CAMERA)
    for other in ("tuesday", ""):
        with pytest.raises(BackgroundError, match="learnt in another session.*reset_background"):
            restarted.load(path, other)
        assert not restarted.has_background
    assert restarted.load(path, "monday")


def test_background_files_that_cannot_be_used(scene, tmp_path):
    finder = RegionFinder(SETTINGS, CALIBRATION, CAMERA)
    assert not finder.load(tmp_path / "none.npz")
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(BackgroundError, match="broken.npz is no background file.*reset_background"):
        finder.load(broken)
    path = tmp_path / "background.npz"
    learnt(scene).save(path)
    other = Camera(960, 540, CAMERA.K + np.diag([5.0, 5.0, 0.0]))
    with pytest.raises(BackgroundError, match="learnt with another camera.*reset_background"):
        RegionFinder(SETTINGS, CALIBRATION, other).load(path)


def test_a_picture_of_another_size_is_named(scene):
    with pytest.raises(BackgroundError, match="expected.*540, 960"):
        learnt(scene).find(np.zeros((100, 100, 3), np.uint8))


def test_a_kinect_that_does_not_see_the_table_is_named():
    pose = CALIBRATION.T_base_kinect.model_copy(update={"rotation_xyzw": [0.0, 0.0, 0.0, 1.0]})  # looks at the ceiling
    with pytest.raises(BackgroundError, match="does not see the table.*calibration file"):
        RegionFinder(SETTINGS, CALIBRATION.model_copy(update={"T_base_kinect": pose}), CAMERA)


def test_depth_tells_whether_the_table_is_empty(scene):
    finder = learnt(scene)
    assert finder.risen_area(scene.picture()[1]) < 1e-4
    assert finder.risen_area(scene.picture([RED_BOX, BLUE_BOX])[1]) > 3e-3


def test_saturated_and_tiny_pictures_do_not_upset_the_light_fit():
    white = np.full((40, 60, 3), 255, np.uint8)
    background = Background([white] * 3, BackgroundSettings())
    assert not np.any(background.foreground(white, np.zeros((40, 60), bool)))
