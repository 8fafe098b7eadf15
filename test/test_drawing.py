"""The rectangle of a grasp lies where the grasp is, long side along the closing direction."""

import numpy as np
import pytest

from grasp_learning import drawing


def where(image, color):
    """Mean and extent (du, dv) of the pixels of a colour."""
    rows, columns = np.nonzero((image == color).all(axis=2))
    return columns.mean(), rows.mean(), np.ptp(columns), np.ptp(rows)


@pytest.mark.parametrize("theta, wide, high", [(0.0, 200, 100), (np.pi / 2, 100, 200)])
def test_rectangle_is_two_thirds_of_the_patch_along_the_closing_direction(theta, wide, high):
    image = np.zeros((400, 500, 3), np.uint8)
    drawing.draw_grasp(image, 250, 190, theta, 300, thickness=3)
    u, v, du, dv = where(image, drawing.RED)  # the fingers stand at the ends
    assert (u, v) == (pytest.approx(250, abs=1), pytest.approx(190, abs=1))
    assert (du, dv) == (pytest.approx(wide, abs=6), pytest.approx(high, abs=6))
    _, _, du, dv = where(image, drawing.GREEN)
    assert (du, dv) == (pytest.approx(wide, abs=6), pytest.approx(high, abs=6))


def test_positive_angles_turn_clockwise_on_screen():
    corners = drawing.grasp_corners(100, 100, np.pi / 4, 300)
    direction = corners[1] - corners[0]
    assert direction[0] > 0 and direction[1] > 0  # right and down


def test_a_label_colours_the_whole_rectangle():
    image = np.zeros((400, 500, 3), np.uint8)
    drawing.draw_grasp(image, 250, 190, 0.3, 300, color=(255, 0, 255))
    assert not (image == drawing.RED).all(axis=2).any() and not (image == drawing.GREEN).all(axis=2).any()
    assert (image == (255, 0, 255)).all(axis=2).sum() > 500


def test_outline_text_and_tint():
    image = np.zeros((100, 100, 3), np.uint8)
    drawing.draw_outline(image, [[10, 10], [90, 10], [90, 90]], (0, 0, 255))
    assert (image == (0, 0, 255)).all(axis=2).sum() > 200
    before = image.copy()
    drawing.draw_outline(image, [[np.nan, 1], [2, 3]], (255, 255, 255))
    np.testing.assert_array_equal(image, before)
    drawing.draw_text(image, "left", 10, 60, (255, 255, 255))
    assert (image != before).any()
    mask = np.zeros((100, 100), np.uint8)
    mask[95:] = 255
    drawing.tint(image, mask, (200, 100, 0), 0.5)
    assert (image[99, 50] == (100, 50, 0)).all()
