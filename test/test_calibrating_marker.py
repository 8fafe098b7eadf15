"""Markers are drawn and printed in their size, found to a fraction of a pixel, and told apart."""

import cv2
import numpy as np
import pytest
from calibration_samples import KINECT, MARKER, pictured
from scipy.spatial.transform import Rotation

from grasp_learning.calibrating.marker import MarkerDetector, MarkerSettings, draw_marker, marker_pose
from grasp_learning.calibrating.print_marker import DPI, main
from grasp_learning.calibrating.solving import pose_error
from grasp_learning.config import ConfigError, parse_settings
from grasp_learning.geometry import transform


def photo(marker, corners, shape=(540, 960), noise=2.0, fine=4):
    """A grey picture in which the black square's corners are at (4, 2) pixels, drawn `fine` times finer first."""
    module = 32
    inner, outer = module, module * (marker.modules + 1)
    source = np.array([(inner, inner), (outer, inner), (outer, outer), (inner, outer)], np.float32) - 0.5
    # pixel centres are whole numbers in either picture
    target = (corners + 0.5) * fine - 0.5
    warp = cv2.getPerspectiveTransform(source, target.astype(np.float32))
    size = (shape[1] * fine, shape[0] * fine)
    plate = cv2.warpPerspective(
        draw_marker(marker, module), warp, size, borderMode=cv2.BORDER_CONSTANT, borderValue=120
    )
    image = cv2.resize(plate, shape[::-1], interpolation=cv2.INTER_AREA)
    image = cv2.GaussianBlur(image, (3, 3), 0.7)
    return np.clip(image + np.random.default_rng(0).normal(0, noise, shape), 0, 255).astype(np.uint8)


SQUARE = np.array([(300.3, 200.7), (402.6, 214.2), (391.8, 318.1), (288.9, 301.4)])


def test_corners_are_found_to_a_fraction_of_a_pixel_in_their_order():
    found = MarkerDetector(MARKER).find(photo(MARKER, SQUARE))
    assert np.abs(found.corners - SQUARE).max() < 0.2
    colour = cv2.cvtColor(photo(MARKER, SQUARE), cv2.COLOR_GRAY2BGR)
    np.testing.assert_array_equal(MarkerDetector(MARKER).find(colour).corners, found.corners)


def test_a_marker_that_is_not_there_is_told_with_what_is():
    empty = MarkerDetector(MARKER).find(np.full((400, 600), 120, np.uint8))
    assert empty.corners is None and empty.reason == "no marker 4X4_50 with id 0 in the picture"
    other = MarkerDetector(MARKER).find(photo(MarkerSettings(id=7), SQUARE))
    assert other.corners is None and "it shows id 7" in other.reason
    hidden = photo(MARKER, SQUARE)
    hidden[180:340, 330:360] = 60
    assert MarkerDetector(MARKER).find(hidden).corners is None


def test_two_of_the_same_marker_are_refused():
    twice = np.minimum(photo(MARKER, SQUARE), photo(MARKER, SQUARE + [300, 0]))
    found = MarkerDetector(MARKER).find(twice)
    assert found.corners is None and "2 markers with id 0" in found.reason


def test_the_pose_of_a_marker_is_that_of_its_picture():
    turn = Rotation.from_euler("xyz", [0.4, -0.3, 1.0]).as_matrix()
    T = transform(np.diag([1.0, -1.0, -1.0]) @ turn, [0.1, -0.05, 0.7])
    found, error = marker_pose(KINECT, MARKER, pictured(T))
    position, angle = pose_error(found, T)
    assert position < 1e-3 and angle < 1e-2 and error < 0.05


@pytest.mark.parametrize(
    "values, words",
    [
        ({"dictionary": "4X4"}, "dictionary.*4X4_50"),
        ({"id": 50}, "id.*less than 50"),
        ({"size": 0.001}, "size"),
        ({"colour": "red"}, "colour.*unknown"),
    ],
)
def test_wrong_settings_are_named(values, words):
    with pytest.raises(ConfigError, match=words):
        parse_settings(MarkerSettings, values, "calibrate")


@pytest.mark.parametrize("size", [0.05, 0.10])
def test_a_printed_marker_has_its_size(tmp_path, size):
    assert main([str(tmp_path / "marker.png"), "--size", str(size), "--id", "3"]) == 0
    page = cv2.imread(str(tmp_path / "marker.png"))
    np.testing.assert_allclose(page.shape[:2], np.array([0.297, 0.210]) / 0.0254 * DPI, atol=1.0)
    corners = MarkerDetector(MarkerSettings(id=3)).find(page).corners
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1) / DPI * 0.0254
    np.testing.assert_allclose(sides, size, atol=0.0002)


def test_a_page_is_written_as_pdf_too(tmp_path):
    assert main([str(tmp_path / "marker.pdf"), "--paper", "letter"]) == 0
    assert (tmp_path / "marker.pdf").read_bytes().startswith(b"%PDF")


def test_what_cannot_be_printed_is_told(tmp_path, capsys):
    assert main([str(tmp_path / "a.png"), "--size", "0.3"]) == 1
    assert "needs a plate of 400 mm, a4 is too narrow" in capsys.readouterr().err
    assert main([str(tmp_path / "a.png"), "--id", "99"]) == 1
    assert main([str(tmp_path / "nowhere" / "a.png")]) == 1
    with pytest.raises(SystemExit) as caught:
        main([str(tmp_path / "a.jpg")])
    assert caught.value.code == 2
    assert not list(tmp_path.iterdir())
