"""Conventions pinned by values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grasp_learning import geometry
from grasp_learning.geometry import Camera

DEG = np.pi / 180
# optical frame of a camera over the table that looks straight down, image x along base -y, image y along base -x:
# what Baxter's wrist camera sees when the gripper closes along base x
DOWN = geometry.transform(np.array([[0, -1.0, 0], [-1.0, 0, 0], [0, 0, -1.0]]), [0.7, 0.2, 0.4])


@pytest.mark.parametrize("angle, wrapped", [(0, 0), (190, 10), (-10, 170), (180, 0), (360, 0), (-180, 0), (179, 179)])
def test_wrap_angle(angle, wrapped):
    assert geometry.wrap_angle(angle * DEG) == pytest.approx(wrapped * DEG, abs=1e-9)


def test_wrap_angle_never_reaches_pi():
    assert geometry.wrap_angle(-1e-20) == 0.0


@pytest.mark.parametrize("a, b, difference", [(0, 170, 10), (5, 175, 10), (0, 90, 90), (10, 190, 0), (20, 50, 30)])
def test_angle_difference(a, b, difference):
    assert geometry.angle_difference(a * DEG, b * DEG) == pytest.approx(difference * DEG, abs=1e-9)


@pytest.mark.parametrize(
    "angle, index",
    [(0, 0), (4.9, 0), (5.1, 1), (10, 1), (14.9, 1), (90, 9), (170, 17), (174.9, 17), (175.1, 0), (179.9, 0)],
)
def test_bins_are_centred_on_ten_degrees_and_bin_0_wraps(angle, index):
    assert geometry.angle_to_bin(angle * DEG) == index
    assert geometry.angle_to_bin((angle + 180) * DEG) == index
    assert geometry.angle_difference(geometry.bin_to_angle(index), angle * DEG) <= 5 * DEG + 1e-9


def test_bins_of_arrays():
    np.testing.assert_array_equal(geometry.angle_to_bin(np.array([0.0, 31.0, 178.0]) * DEG), [0, 3, 0])
    np.testing.assert_allclose(geometry.bin_to_angle([0, 9, 17]), np.array([0.0, 90.0, 170.0]) * DEG)


@pytest.mark.parametrize("index", [-1, 18])
def test_bin_out_of_range(index):
    with pytest.raises(ValueError, match="0..17"):
        geometry.bin_to_angle(index)


@given(st.floats(-100, 100))
def test_every_angle_is_within_half_a_bin_of_its_bin(angle):
    index = geometry.angle_to_bin(angle)
    assert geometry.angle_difference(geometry.bin_to_angle(index), angle) <= 5 * DEG + 1e-9


@pytest.mark.parametrize("released, angle", [(-90, 90), (-80, 100), (0, 0), (80, 80), (-10, 170)])
def test_released_angles(released, angle):
    assert geometry.released_to_angle(released * DEG) == pytest.approx(angle * DEG)
    assert geometry.angle_to_released(angle * DEG) == pytest.approx(released * DEG)


@pytest.mark.parametrize("released_bin, own_bin", [(0, 9), (9, 0), (10, 1), (17, 8), (8, 17)])
def test_released_bins(released_bin, own_bin):
    assert geometry.released_bin_to_bin(released_bin) == own_bin
    released_angle = released_bin * np.pi / 18 - np.pi / 2
    assert geometry.angle_to_bin(geometry.released_to_angle(released_angle)) == own_bin


@pytest.mark.parametrize("theta_image, theta", [(0, 90), (90, 0), (45, 45), (30, 60), (120, 150)])
def test_image_angle_to_base_by_hand(theta_image, theta):
    # image x is base -y and image y is base -x: (cos, sin) in the image is (-sin, -cos) in the base frame
    assert geometry.image_angle_to_base(theta_image * DEG, DOWN) == pytest.approx(theta * DEG, abs=1e-9)
    assert geometry.base_angle_to_image(theta * DEG, DOWN) == pytest.approx(theta_image * DEG, abs=1e-9)


def test_top_down_pose_closes_along_theta_and_points_down():
    T = geometry.top_down_pose(0.6, -0.2, 0.1, 30 * DEG)
    np.testing.assert_allclose(T[:3, 1], [np.sqrt(3) / 2, 0.5, 0], atol=1e-12)
    np.testing.assert_allclose(T[:3, 2], [0, 0, -1])
    np.testing.assert_allclose(T[:3, 3], [0.6, -0.2, 0.1])
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1.0)


def test_invert_and_transform_points():
    T = geometry.top_down_pose(0.6, -0.2, 0.1, 0.4)
    np.testing.assert_allclose(geometry.invert(T) @ T, np.eye(4), atol=1e-12)
    # theta 0: gripper y is base x, z is base -z, and x = y cross z is base y
    T = geometry.top_down_pose(1.0, 2.0, 3.0, 0.0)
    np.testing.assert_allclose(geometry.transform_points(T, [[0.1, 0.2, 0.3]]), [[1.2, 2.1, 2.7]])


def make_camera(D=None):
    K = np.array([[800.0, 0, 640.0], [0, 820.0, 400.0], [0, 0, 1]])
    return Camera(1280, 800, K, np.zeros(5) if D is None else np.array(D))


def test_projection_by_hand():
    pixels = make_camera().project([[0.1, -0.2, 2.0], [0, 0, 1.0], [0, 0, -1.0]])
    np.testing.assert_allclose(pixels[:2], [[680.0, 318.0], [640.0, 400.0]])
    assert np.isnan(pixels[2]).all()
    assert make_camera().focal_length == 810.0


def test_distortion_by_hand():
    # k1 = 0.1, r^2 = 0.25: the point moves out by the factor 1.025
    pixels = make_camera([0.1, 0, 0, 0, 0]).project([[0.3, 0.4, 1.0]])
    np.testing.assert_allclose(pixels, [[640 + 800 * 0.3 * 1.025, 400 + 820 * 0.4 * 1.025]])


def test_ray_meets_the_plane_by_hand():
    # 0.5 m above the plane, 80 px to the right: 0.05 m along image x, which is base -y
    point = make_camera().pixels_to_plane([[720.0, 400.0]], DOWN, -0.1)[0]
    np.testing.assert_allclose(point, [0.7, 0.15, -0.1], atol=1e-9)


def test_ray_away_from_the_plane_is_nan():
    assert np.isnan(make_camera().pixels_to_plane([[640.0, 400.0]], DOWN, 0.5)).all()


@given(st.floats(50, 1230), st.floats(50, 750))
def test_pixel_to_plane_and_back(u, v):
    camera = make_camera([0.05, -0.07, 0.001, -0.002, 0.02])
    point = camera.pixels_to_plane([[u, v]], DOWN, -0.1)
    np.testing.assert_allclose(camera.base_to_pixels(point, DOWN), [[u, v]], atol=0.02)
