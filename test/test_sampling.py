"""The random sampler is uniform, stays in the region and the picture, and maps pixels and angles to the table."""

import numpy as np
import pytest
from scipy.stats import chisquare, kstest

from grasp_learning.config import ConfigError
from grasp_learning.geometry import Camera, angle_to_bin, base_angle_to_image, transform
from grasp_learning.patches import PatchSettings, patch_fits
from grasp_learning.sampling import SamplerSettings, create_sampler
from grasp_learning.trial import Outcome, Region

TABLE_Z = -0.10
CAMERA = Camera(1280, 800, np.array([[810.0, 0, 639.5], [0, 810.0, 399.5], [0, 0, 1]]))
DISTORTED = Camera(1280, 800, CAMERA.K, np.array([-0.05, 0.02, 0.001, -0.001, 0.0]))
IMAGE = np.zeros((800, 1280, 3), np.uint8)


def looking_down(x=0.7, y=0.25, height=0.39, yaw=0.3, tilt=0.0):
    """T_base_camera of a camera above the table that looks down, turned about base z by yaw and tilted."""
    c, s = np.cos(yaw), np.sin(yaw)
    down = np.array([[c, s, 0], [s, -c, 0], [0, 0, -1.0]])
    tilting = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    return transform(down @ tilting, [x, y, TABLE_Z + height])


def square_region(x=0.7, y=0.25, half=0.04, height=0.0):
    outline = np.array([[x - half, y - half], [x + half, y - half], [x + half, y + half], [x - half, y + half]])
    return Region("left", 3.0, np.array([x, y, TABLE_Z]), height, outline, (0, 0, 1, 1))


def draw(count, region, T=None, camera=CAMERA, settings=None, seed=0):
    sampler = create_sampler("random", settings or SamplerSettings())
    rng = np.random.default_rng(seed)
    T = looking_down() if T is None else T
    steps = [sampler.sample(IMAGE, region, camera, T, TABLE_Z, rng) for _ in range(count)]
    assert all(step.outcome is Outcome.SUCCESS for step in steps), steps[0].message
    return [step.value for step in steps]


def test_points_are_uniform_in_the_region():
    grasps = draw(2000, square_region(), seed=1)
    x = np.array([grasp.x for grasp in grasps]) - 0.66
    y = np.array([grasp.y for grasp in grasps]) - 0.21
    counts, _, _ = np.histogram2d(x, y, bins=4, range=[[0, 0.08], [0, 0.08]])
    assert counts.sum() == len(grasps)
    assert chisquare(counts.reshape(-1)).pvalue > 0.01


def test_angles_are_uniform_over_a_half_turn_and_all_bins_occur():
    grasps = draw(2000, square_region())
    theta = np.array([grasp.theta_image for grasp in grasps])
    assert theta.min() >= 0 and theta.max() < np.pi
    assert kstest(theta / np.pi, "uniform").pvalue > 0.01
    base = np.array([grasp.theta for grasp in grasps])
    assert base.min() >= 0 and base.max() < np.pi and kstest(base / np.pi, "uniform").pvalue > 0.01
    counts = np.bincount([grasp.bin for grasp in grasps], minlength=18)
    assert len(counts) == 18 and chisquare(counts).pvalue > 0.01


@pytest.mark.parametrize("camera", [CAMERA, DISTORTED])
@pytest.mark.parametrize("height", [0.0, 0.12])
@pytest.mark.parametrize("tilt", [0.0, 0.05])
def test_pixel_and_base_point_are_the_same_point(camera, height, tilt):
    T = looking_down(tilt=tilt)
    for grasp in draw(20, square_region(height=height), T, camera):
        point = np.array([[grasp.x, grasp.y, TABLE_Z + height / 2]])
        np.testing.assert_allclose(camera.base_to_pixels(point, T)[0], [grasp.u, grasp.v], atol=0.05)
        assert abs(grasp.x - 0.7) <= 0.0411 and abs(grasp.y - 0.25) <= 0.0411
        assert grasp.z == pytest.approx(TABLE_Z + 0.012)


def test_angle_in_the_picture_and_on_the_table_are_the_same_direction():
    T = looking_down(yaw=0.3)
    for grasp in draw(20, square_region(), T):
        # seen from above the picture's x axis is turned by yaw, and its y axis points the other way round
        assert np.sin(grasp.theta - (0.3 - grasp.theta_image)) == pytest.approx(0, abs=1e-9)
        assert base_angle_to_image(grasp.theta, T) == pytest.approx(grasp.theta_image)
        assert grasp.bin == angle_to_bin(grasp.theta_image)


def test_a_region_at_the_pictures_edge_yields_only_whole_patches():
    region = square_region(x=0.88, half=0.08)
    for grasp in draw(200, region, looking_down(yaw=0.0)):
        assert patch_fits(grasp.u, grasp.v, grasp.patch_size, 1280, 800)


@pytest.mark.parametrize("region", [square_region(x=0.2), square_region(y=1.5), square_region(half=1e-6)])
def test_a_region_that_the_camera_does_not_see_is_unreachable(region):
    sampler = create_sampler("random", SamplerSettings())
    step = sampler.sample(IMAGE, region, CAMERA, looking_down(), TABLE_Z, np.random.default_rng(0))
    assert step.outcome is Outcome.UNREACHABLE and step.value is None
    assert "patch of 380 px" in step.message


def test_a_patch_larger_than_the_picture_is_unreachable():
    settings = SamplerSettings(patch=PatchSettings(forced_size=900))
    step = create_sampler("random", settings).sample(
        IMAGE, square_region(), CAMERA, looking_down(), TABLE_Z, np.random.default_rng(0)
    )
    assert step.outcome is Outcome.UNREACHABLE and "900 px" in step.message


def test_same_seed_same_grasps():
    as_tuple = [(grasp.u, grasp.v, grasp.theta) for grasp in draw(5, square_region(), seed=4)]
    assert as_tuple == [(grasp.u, grasp.v, grasp.theta) for grasp in draw(5, square_region(), seed=4)]
    assert as_tuple != [(grasp.u, grasp.v, grasp.theta) for grasp in draw(5, square_region(), seed=5)]


def test_unknown_mode_lists_the_choices():
    with pytest.raises(ConfigError, match="'bset'.*choose from best, random, staged"):
        create_sampler("bset", SamplerSettings())
