"""What is taken for the object at a patch's centre, and how it lies."""

import cv2
import numpy as np
import pytest
from training_samples import bar

from grasp_learning.baselines.segmentation import SegmentationSettings, foreground_mask, object_mask
from grasp_learning.baselines.shapes import shape_of
from grasp_learning.config import ConfigError, parse_settings
from grasp_learning.geometry import angle_difference
from grasp_learning.patches import NETWORK_SIDE

MIDDLE = (113, 113)
TABLE = (168, 180, 190)  # BGR


def table(colour=TABLE, noise=3.0):
    rng = np.random.default_rng(0)
    picture = np.full((NETWORK_SIDE, NETWORK_SIDE, 3), colour, float) + rng.normal(0, noise, (NETWORK_SIDE,) * 2 + (1,))
    return np.clip(picture, 0, 255).astype(np.uint8)


def shaded(picture, corner, opposite, factor=0.58):
    part = picture[corner[1] : opposite[1], corner[0] : opposite[0]]
    part[:] = (part * factor).astype(np.uint8)
    return picture


def overlap(mask, drawn):
    truth = cv2.resize(drawn.astype(np.uint8), mask.shape, interpolation=cv2.INTER_AREA) > 0
    return np.sum(mask & truth) / np.sum(mask | truth)


def disc(picture, centre, radius, colour=(40, 160, 60)):
    cv2.circle(picture, centre, radius, colour, -1)
    return cv2.circle(np.zeros(picture.shape[:2], np.uint8), centre, radius, 1, -1)


@pytest.mark.parametrize("light", [TABLE, (160, 175, 200), (200, 190, 180)])
def test_an_object_is_found_on_tables_of_any_tint(light):
    picture = table(light)
    drawn = disc(picture, MIDDLE, 40)
    assert overlap(object_mask(picture), drawn) > 0.9


def test_its_shadow_is_no_part_of_it():
    picture = shaded(table(), (20, 60), (120, 190))
    drawn = disc(picture, MIDDLE, 40)
    assert overlap(object_mask(picture), drawn) > 0.9


def test_shadow_alone_is_nothing():
    assert not object_mask(shaded(table(), (20, 60), (160, 190))).any()


def test_something_grey_of_another_shade_than_the_shadow_is_an_object():
    picture = shaded(table(), (0, 0), (100, 227))
    drawn = disc(picture, (150, 113), 40, tuple(0.75 * value for value in TABLE))
    settings = SegmentationSettings(reach=0.1)
    assert overlap(object_mask(picture, settings), drawn) > 0.85


def test_empty_table_has_no_object():
    assert not object_mask(table()).any()


@pytest.mark.parametrize("distance, found", [(45, True), (70, False)])
def test_an_object_counts_that_ends_near_the_centre(distance, found):
    picture = table()
    disc(picture, (113 + distance, 113), 40)
    assert object_mask(picture).any() == found


def test_only_what_lies_at_the_centre_is_taken_in_clutter():
    picture = table()
    drawn = disc(picture, MIDDLE, 30)
    disc(picture, (190, 40), 30, (200, 30, 30))
    disc(picture, (20, 200), 35, (30, 30, 30))
    assert overlap(object_mask(picture), drawn) > 0.9
    assert foreground_mask(picture).sum() > 2 * object_mask(picture).sum()


def test_specks_of_the_tables_colour_are_filled_and_openings_are_not():
    picture = table()
    disc(picture, MIDDLE, 60)
    disc(picture, (90, 113), 9, TABLE)
    disc(picture, (135, 113), 30, TABLE)
    mask = object_mask(picture)
    assert mask[57, 45]
    assert not mask[57, 68]


def test_without_any_table_all_is_object():
    assert foreground_mask(np.full((NETWORK_SIDE, NETWORK_SIDE, 3), (10, 120, 20), np.uint8)).all()


def test_a_wrong_setting_is_named():
    with pytest.raises(ConfigError, match="segmentation: key 'tint' is 2"):
        parse_settings(SegmentationSettings, {"tint": 2}, "segmentation")


@pytest.mark.parametrize("angle", np.linspace(0, np.pi, 8, endpoint=False))
def test_a_bars_shape_is_its_direction_and_its_sides(angle):
    picture = bar(angle, NETWORK_SIDE, length=110, width=30)
    across, widths = shape_of(object_mask(picture))
    assert angle_difference(across, angle + np.pi / 2) < np.radians(3)
    # the ends of a drawn line are round
    assert widths * NETWORK_SIDE == pytest.approx([30, 138], abs=6)


def test_a_single_pixel_has_a_shape():
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    _, widths = shape_of(mask)
    assert widths == pytest.approx([1 / 9, 1 / 9])
