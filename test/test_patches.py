"""The patch has the paper's size at the default pose and never leaves the picture."""

import numpy as np
import pytest

from grasp_learning.geometry import Camera
from grasp_learning.patches import PatchSettings, crop_patch, patch_fits, patch_side, resize_patch

WRIST = Camera(1280, 800, np.array([[810.0, 0, 639.5], [0, 810.0, 399.5], [0, 0, 1]]))
# fingertips 25 cm above the table; the camera is 0.1577 - 0.015355 m above them
DEFAULT_HEIGHT = 0.25 + 0.1577 - 0.015355


def test_default_pose_gives_the_papers_380_px():
    assert patch_side(PatchSettings(), WRIST, DEFAULT_HEIGHT) == 378
    assert patch_side(PatchSettings(), WRIST, 0.39) == 380


def test_side_follows_height_footprint_and_focal_length():
    assert patch_side(PatchSettings(), WRIST, 0.78) == 190
    assert patch_side(PatchSettings(footprint=0.061), WRIST, 0.39) == 190
    half = Camera(640, 400, np.array([[405.0, 0, 319.5], [0, 405.0, 199.5], [0, 0, 1]]))
    assert patch_side(PatchSettings(), half, 0.39) == 190


def test_a_setting_forces_the_size():
    assert patch_side(PatchSettings(forced_size=300), WRIST, 0.39) == 300


@pytest.mark.parametrize("height", [0.0, -0.2, float("nan")])
def test_camera_below_the_table_is_an_error(height):
    with pytest.raises(ValueError, match="above the table"):
        patch_side(PatchSettings(), WRIST, height)


@pytest.mark.parametrize("side", [4, 5])
def test_patch_is_centred(side):
    image = np.zeros((20, 30, 3), np.uint8)
    center = 12.0 if side % 2 else 11.5  # an even patch's centre lies between two pixels
    first = int(np.ceil(center - side / 2))
    image[6 : 6 + side, first : first + side] = 200
    patch = crop_patch(image, center, 6 + (side - 1) / 2, side)
    assert patch.shape == (side, side, 3) and (patch == 200).all()


def test_patch_is_a_copy():
    image = np.zeros((20, 30, 3), np.uint8)
    crop_patch(image, 10, 10, 5)[:] = 9
    assert not image.any()


@pytest.mark.parametrize(
    "u, v, fits", [(2, 2, True), (1.4, 2, False), (27, 17, True), (27.6, 17, False), (10, 17.6, False)]
)
def test_patch_at_the_border(u, v, fits):
    image = np.zeros((20, 30, 3), np.uint8)
    assert patch_fits(u, v, 5, 30, 20) == fits
    if fits:
        assert crop_patch(image, u, v, 5).shape == (5, 5, 3)
    else:
        with pytest.raises(ValueError, match="not fully inside.*30 x 20"):
            crop_patch(image, u, v, 5)


@pytest.mark.parametrize("side", [380, 100])
def test_network_size(side):
    patch = np.full((side, side, 3), 77, np.uint8)
    patch[: side // 2] = 10
    small = resize_patch(patch)
    assert small.shape == (227, 227, 3)
    assert (small[:100] == 10).all() and (small[127:] == 77).all()
