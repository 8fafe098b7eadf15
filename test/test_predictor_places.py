"""Places are uniform, hold whole patches that show something, and every unusable picture or region is a typed error."""

import cv2
import numpy as np
import pytest
from scipy.stats import chisquare

from grasp_learning.patches import crop_patch, patch_fits
from grasp_learning.predictor.errors import BadImageError, NothingToLookAtError, PredictionError, RegionError
from grasp_learning.predictor.places import Contrast, PlaceSettings, sample_places

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (400, 640, 3), dtype=np.uint8)
SIDE = 121


def rng(seed=0):
    return np.random.default_rng(seed)


def sample(image=NOISE, side=SIDE, seed=0, **more):
    return sample_places(image, side, rng(seed), **more)


def test_800_places_uniform_over_the_picture_with_whole_patches():
    places = sample(seed=3)
    assert places.shape == (800, 2)
    assert all(patch_fits(u, v, SIDE, 640, 400) for u, v in places)
    low = (SIDE - 1) / 2
    bounds = [[low - 0.5, low + 640 - SIDE + 0.5], [low - 0.5, low + 400 - SIDE + 0.5]]
    counts, _, _ = np.histogram2d(*sample(seed=3, count=4000).T, bins=5, range=bounds)
    assert counts.sum() == 4000 and chisquare(counts.reshape(-1)).pvalue > 0.01


def test_places_stay_in_a_polygon():
    triangle = np.array([[100, 100], [500, 120], [300, 330]])
    places = sample(region=triangle, count=500)
    edges = np.roll(triangle, -1, axis=0) - triangle
    offsets = places[:, None] - triangle
    crossed = edges[:, 0] * offsets[..., 1] - edges[:, 1] * offsets[..., 0]
    assert (crossed >= -0.5 * np.linalg.norm(edges, axis=1)).all()
    assert len(places) == 500 and places[:, 1].max() > 270


def test_a_region_that_reaches_out_of_the_picture_is_cut():
    places = sample(region=[[500, 200], [900, 200], [900, 600], [500, 600]])
    assert places[:, 0].min() >= 499.5 and all(patch_fits(u, v, SIDE, 640, 400) for u, v in places)


def test_blank_patches_are_left_out():
    image = np.full((400, 640, 3), 180, np.uint8)
    image[150:200, 400:460] = 20
    places = sample(image)
    assert all(crop_patch(image, u, v, SIDE)[..., 0].std() >= 6 for u, v in places)
    assert places[:, 0].min() > 330


def test_contrast_is_the_standard_deviation_of_the_patch():
    places = sample(count=20)
    grey = cv2.cvtColor(NOISE, cv2.COLOR_BGR2GRAY)[..., None]
    expected = [crop_patch(grey, u, v, SIDE).std() for u, v in places]
    np.testing.assert_allclose(Contrast(NOISE).std(places, SIDE), expected, rtol=1e-6)


def test_fewer_places_where_nearly_everything_is_blank():
    image = np.full((120, 120, 3), 180, np.uint8)
    image[:10, :10] = 0
    places = sample(image, side=32, settings=PlaceSettings(blank_std=1.0, draws=4), count=200)
    assert 1 <= len(places) < 50 and (places < 26).all()


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_picture_of_one_colour_shows_nothing_to_look_at(value):
    with pytest.raises(NothingToLookAtError, match="nothing to look at.*standard deviation of 0.0.*blank_std"):
        sample(np.full((400, 640, 3), value, np.uint8), settings=PlaceSettings(blank_std=0))


def test_an_empty_table_with_noise_shows_nothing_to_look_at():
    table = np.clip(rng().normal(200, 2, (400, 640, 3)) + np.linspace(-4, 4, 640)[:, None], 0, 255).astype(np.uint8)
    with pytest.raises(NothingToLookAtError):
        sample(table)


def test_a_picture_of_exactly_one_patch_has_its_centre_as_only_patch():
    places = sample(NOISE[:SIDE, :SIDE], count=50)
    assert all(patch_fits(u, v, SIDE, SIDE, SIDE) for u, v in places) and len(places) == 50


@pytest.mark.parametrize(
    "image, message",
    [
        (np.empty((0, 0, 3), np.uint8), "empty"),
        (np.zeros((400, 640), np.uint8), r"shape \(400, 640\)"),
        (np.zeros((400, 640, 4), np.uint8), r"shape \(400, 640, 4\)"),
        (np.zeros((400, 640, 3), np.float32), "float32"),
        (np.zeros((400, 640, 3), np.uint16), "uint16"),
        (None, "NoneType"),
        (NOISE[:100], "smaller than a patch of 121 px"),
        (NOISE[:, :100], "smaller than a patch of 121 px"),
    ],
)
def test_a_picture_that_cannot_be_looked_at_is_an_error(image, message):
    with pytest.raises(BadImageError, match=message):
        sample(image)


@pytest.mark.parametrize(
    "region, message",
    [
        ([[700, 0], [900, 0], [900, 300]], "no patch of 121 px"),
        ([[0, 0], [30, 0], [30, 30], [0, 30]], "no patch of 121 px"),
        ([[200, 200], [300, 200]], "three or more corners"),
        ([[200, 200], [300, 200], [400, 200]], "area of 0"),
        ([[200, 200], [300, 200], [float("nan"), 300]], "finite"),
        ([200, 200, 300, 300], "three or more corners"),
        ([[100, 100], [500, 100], [300, 150], [300, 300]], "not convex"),
    ],
)
def test_a_region_that_is_none_or_outside_is_an_error(region, message):
    with pytest.raises(RegionError, match=message):
        sample(region=region)


def test_a_patch_below_16_px_and_a_negative_count_are_errors():
    with pytest.raises(PredictionError, match="patch of 15 px.*at least 16"):
        sample(side=15)
    with pytest.raises(PredictionError, match="-1 places"):
        sample(count=-1)


def test_same_seed_same_places():
    np.testing.assert_array_equal(sample(seed=5), sample(seed=5))
    assert not np.array_equal(sample(seed=5), sample(seed=6))
