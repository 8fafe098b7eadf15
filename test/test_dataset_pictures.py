"""A stored patch holds the network's patch in its middle, and enough around it to be turned."""

import cv2
import numpy as np
import pytest

from grasp_learning.bags import BagError, decode_picture
from grasp_learning.dataset.pictures import cut_patch, encode_patch, source_side
from grasp_learning.dataset.reader import decode_patch
from grasp_learning.dataset.released import network_part
from grasp_learning.dataset.schema import INNER_RATIO, PATCH_MARGIN, STORED_SIDE
from grasp_learning.patches import NETWORK_SIDE, crop_patch, resize_patch


def smooth_picture(rng, width=1280, height=800):
    coarse = rng.integers(0, 255, (height // 40, width // 40, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("side", range(40, 500, 7))
def test_the_square_holds_the_diagonal_and_the_networks_patch_is_its_middle(side):
    large = source_side(side)
    assert large >= side * PATCH_MARGIN and (large - side) % 2 == 0
    # by one pixel of the picture at most, of two that are added at a time
    assert abs(side / large * STORED_SIDE - NETWORK_SIDE) <= 1.5 * NETWORK_SIDE / side


@pytest.mark.parametrize("side", [377, 378, 380])
def test_real_sides_keep_the_scale_within_three_per_mille(side):
    assert side / source_side(side) == pytest.approx(INNER_RATIO, rel=3e-3)


@pytest.mark.parametrize("side, u, v", [(378, 640.2, 400.7), (377, 700.0, 333.3), (300, 500.5, 420.0)])
def test_its_middle_is_what_the_predictor_sees(side, u, v):
    picture = smooth_picture(np.random.default_rng(0))
    stored = cut_patch(picture, u, v, side)
    assert stored.shape == (STORED_SIDE, STORED_SIDE, 3) and stored.dtype == np.uint8
    seen = resize_patch(crop_patch(picture, u, v, side))
    assert np.abs(network_part(stored).astype(int) - seen).mean() < 1.0


def test_turning_needs_no_corner_from_outside():
    """The network's square, turned by any angle about the middle, lies in the stored patch."""
    half = (NETWORK_SIDE - 1) / 2
    corners = np.array([[-half, -half], [half, -half], [half, half], [-half, half]])
    for angle in np.linspace(0, np.pi, 37):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        turned = corners @ turn.T + (STORED_SIDE - 1) / 2
        assert turned.min() >= 0 and turned.max() <= STORED_SIDE - 1


def test_the_pictures_edge_is_repeated_where_the_margin_sticks_out():
    picture = np.full((200, 300, 3), 50, np.uint8)
    picture[0] = 200  # the first row
    stored = cut_patch(picture, 150.0, 49.5, 100)  # the patch begins at row 0, the margin above it
    assert (stored[:40] == 200).all() and (stored[-100:] == 50).all()


def test_a_patch_outside_the_picture_is_refused():
    with pytest.raises(ValueError, match="is not inside the picture of 300 x 200 px"):
        cut_patch(np.zeros((200, 300, 3), np.uint8), 10.0, 100.0, 100)
    with pytest.raises(ValueError):
        cut_patch(np.zeros((200, 300, 3), np.uint8), 150.0, 100.0, 0)


def test_patches_survive_their_encoding():
    patch = cut_patch(smooth_picture(np.random.default_rng(1)), 640.0, 400.0, 378)
    assert np.abs(decode_patch(encode_patch(patch)).astype(int) - patch).mean() < 2.0


def test_a_jpeg_that_was_cut_off_is_no_picture():
    data = encode_patch(smooth_picture(np.random.default_rng(2)))
    assert decode_picture(data, "p").shape == (800, 1280, 3)
    with pytest.raises(BagError, match="p is a JPEG that was cut off"):
        decode_picture(data[: len(data) // 2], "p")
    for nothing in (b"", b"no picture"):
        with pytest.raises(BagError, match="p is no picture"):
            decode_picture(nothing, "p")
