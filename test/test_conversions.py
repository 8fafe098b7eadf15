"""Messages survive the way to the library's types and back, and nonsense is named."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rospy")
pytest.importorskip("grasp_learning.msg", reason="the workspace's messages are not built or not sourced")

from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from grasp_learning.geometry import Camera, top_down_pose
from grasp_learning.msg import PickResult
from grasp_learning.ros import conversions
from grasp_learning.trial import Grasp, Outcome, PickReading, PlaceOutcome, Placing, Prior, Region, Trial


def make_region():
    outline = np.array([[0.6, 0.2], [0.7, 0.2], [0.7, 0.3]], np.float32).astype(float)
    return Region("left", 12.5, np.array([0.65, 0.25, -0.1]), 0.08, outline, (700, 400, 80, 60))


def make_grasp():
    return Grasp("left", 13.25, 640.5, 400.25, 0.66, 0.24, -0.088, 1.1, 0.4, 2, 378, "random", 0.5)


def over_the_wire(message):
    """Serialise and parse, as a subscriber would get it."""
    import io

    buffer = io.BytesIO()
    message.serialize(buffer)
    return type(message)().deserialize(buffer.getvalue())


def assert_same_region(a, b):
    assert (a.arm, a.stamp, a.height, a.box) == (b.arm, b.stamp, b.height, b.box)
    np.testing.assert_array_equal(a.center, b.center)
    np.testing.assert_array_equal(a.outline, b.outline)


def test_times_survive_the_way_through_seconds():
    for nanoseconds in (4_035_000_000, 3_270_000_000, 1_001_000, 999_999_999):
        assert conversions.to_time(nanoseconds / 1e9).to_nsec() == nanoseconds


def test_region_round_trip_in_base_frame():
    message = over_the_wire(conversions.region_to_msg(make_region()))
    assert message.header.frame_id == "base"
    assert (message.box.x_offset, message.box.y_offset, message.box.width, message.box.height) == (700, 400, 80, 60)
    assert_same_region(conversions.region_from_msg(message), make_region())


def test_grasp_round_trip():
    message = over_the_wire(conversions.grasp_to_msg(make_grasp()))
    assert conversions.grasp_from_msg(message) == make_grasp()


def test_full_trial_round_trip():
    reading = PickReading(40.0, 60.0, True, True, True, True, "mug_3", ("mug_3", "ball"))
    trial = Trial("right", "staged", 2, 1.5, 20.5, Outcome.SUCCESS, "held", make_region(), make_grasp(), reading)
    trial.put_back, trial.model, trial.model_sha256 = ["ball", "cup"], "m.safetensors", "ab" * 32
    trial.placing = Placing(PlaceOutcome.STUCK, "in the open hand")
    message = over_the_wire(conversions.trial_to_msg(trial, number=7))
    assert message.number == 7 and message.header.stamp.to_sec() == 20.5
    back = conversions.trial_from_msg(message)
    assert_same_region(back.region, trial.region)
    names = ("arm", "mode", "stage", "start", "end", "outcome", "detail", "grasp", "reading", "put_back", "model")
    for name in (*names, "placing"):
        assert getattr(back, name) == getattr(trial, name), name


def test_trial_that_ended_early_has_no_grasp_and_no_force():
    message = over_the_wire(conversions.trial_to_msg(Trial("left", "random", 0, 1.0, 2.0, Outcome.NO_OBJECTS)))
    assert np.isnan(message.force) and message.region.arm == "" and message.outcome == "NO_OBJECTS"
    back = conversions.trial_from_msg(message)
    assert back.region is None and back.grasp is None and back.reading is None and back.placing is None


def test_an_unknown_outcome_of_placing_is_a_fault_that_names_it():
    placing = conversions.placing_from_msg(PickResult(place_outcome="EATEN"))
    assert placing.outcome is PlaceOutcome.ROBOT_FAULT and "EATEN" in placing.message


def test_unknown_outcome_is_named():
    message = conversions.trial_to_msg(Trial("left", "random", 0, 1.0))
    message.outcome = "MAYBE"
    with pytest.raises(conversions.ConversionError, match="MAYBE.*SUCCESS"):
        conversions.trial_from_msg(message)


def test_pick_reading_round_trip():
    reading = PickReading(31.0, 55.0, True, False, True, True, "box_1", ("box_1",))
    result = over_the_wire(conversions.reading_to_result(reading, Outcome.SUCCESS, "held"))
    assert (result.outcome, result.message) == ("SUCCESS", "held")
    assert conversions.reading_from_result(result) == reading


def make_prior(count=3):
    rng = np.random.default_rng(0)
    places, probabilities = rng.uniform(0, 800, (count, 2)), rng.uniform(0, 1, (count, 18))
    return Prior("m.safetensors", "ab" * 32, 378, places.astype(np.float32), probabilities.astype(np.float32), 2, 17)


def test_prior_round_trip():
    message = over_the_wire(conversions.prior_to_msg(make_prior(), 12.5))
    assert message.header.stamp.to_sec() == 12.5
    back = conversions.prior_from_msg(message)
    np.testing.assert_array_equal(back.places, make_prior().places)
    np.testing.assert_array_equal(back.probabilities, make_prior().probabilities)
    assert back.probabilities[back.place, back.bin] == make_prior().probabilities[2, 17]
    assert (back.model, back.model_sha256, back.patch_size) == ("m.safetensors", "ab" * 32, 378)


def test_no_prior_is_a_message_without_places():
    assert conversions.prior_from_msg(over_the_wire(conversions.prior_to_msg(None, 1.0))) is None


@pytest.mark.parametrize(
    "name, value, told",
    [
        ("v", [1.0], "3 columns, 1 rows"),
        ("probabilities", [0.5] * 53, "53 prob"),
        ("place", 3, "no place 3"),
        ("bin", 18, "bin 18"),
    ],
)
def test_a_prior_whose_parts_do_not_belong_together_is_named(name, value, told):
    message = conversions.prior_to_msg(make_prior(), 1.0)
    setattr(message, name, value)
    with pytest.raises(conversions.ConversionError, match=told):
        conversions.prior_from_msg(message)


@pytest.mark.parametrize(
    "encoding, pixel",
    [("bgr8", [10, 20, 30]), ("rgb8", [30, 20, 10]), ("bgra8", [10, 20, 30, 255]), ("rgba8", [30, 20, 10, 255])],
)
def test_color_encodings_become_bgr(encoding, pixel):
    image = np.tile(np.array(pixel, np.uint8), (4, 6, 1))
    message = over_the_wire(conversions.image_to_msg(image, encoding, 3.5, "camera"))
    assert (message.header.stamp.to_sec(), message.header.frame_id, message.encoding) == (3.5, "camera", encoding)
    bgr = conversions.image_from_msg(message)
    assert bgr.shape == (4, 6, 3) and bgr.dtype == np.uint8
    assert (bgr == [10, 20, 30]).all()


def test_grey_becomes_bgr():
    image = np.arange(24, dtype=np.uint8).reshape(4, 6)
    for encoding in ("mono8", "8UC1"):
        bgr = conversions.image_from_msg(conversions.image_to_msg(image, encoding, 0.0, ""))
        np.testing.assert_array_equal(bgr, np.repeat(image[..., None], 3, axis=2))


def test_depth_of_the_kinect_is_millimetres_and_zero_is_nothing():
    image = np.array([[1000, 0], [65535, 1]], np.uint16)
    depth = conversions.depth_from_msg(over_the_wire(conversions.image_to_msg(image, "16UC1", 0.0, "")))
    np.testing.assert_allclose(depth, [[1.0, np.nan], [65.535, 0.001]], rtol=1e-6)


def test_wrong_encoding_is_a_typed_error():
    depth = conversions.image_to_msg(np.zeros((2, 2), np.uint16), "16UC1", 0.0, "")
    with pytest.raises(conversions.EncodingError, match="16UC1.*bgr8"):
        conversions.image_from_msg(depth)
    color = conversions.image_to_msg(np.zeros((2, 2, 3), np.uint8), "bgr8", 0.0, "")
    with pytest.raises(conversions.EncodingError, match="bgr8.*16UC1"):
        conversions.depth_from_msg(color)
    with pytest.raises(conversions.EncodingError, match="bayer"):
        conversions.image_from_msg(Image(width=2, height=2, step=2, encoding="bayer_rggb8", data=b"1234"))
    with pytest.raises(conversions.EncodingError, match="float64"):
        conversions.image_to_msg(np.zeros((2, 2, 3)), "bgr8", 0.0, "")


@pytest.mark.parametrize(
    "change", [{"data": b"123"}, {"width": 0}, {"height": 0}, {"height": 5}, {"width": 5, "step": 6}]
)
def test_wrong_size_is_a_typed_error(change):
    message = conversions.image_to_msg(np.zeros((2, 2, 3), np.uint8), "bgr8", 0.0, "")
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(conversions.SizeError):
        conversions.image_from_msg(message)


@pytest.mark.parametrize("encoding", ["bgr8", "mono8"])
def test_rows_may_be_padded_but_not_shorter_than_their_pixels(encoding):
    image = np.arange(2 * 5 * 3, dtype=np.uint8).reshape(2, 5, 3)[..., : 1 if encoding == "mono8" else 3]
    width = image[0].size
    rows = np.pad(image.reshape(2, width), ((0, 0), (0, 1)), constant_values=255)
    message = Image(height=2, width=5, encoding=encoding, step=width + 1, data=rows.tobytes())
    np.testing.assert_array_equal(conversions.image_from_msg(message), np.broadcast_to(image, (2, 5, 3)))
    message.step = width - 1
    with pytest.raises(conversions.SizeError, match=f"rows of {width - 1} bytes, expected {width}"):
        conversions.image_from_msg(message)


def test_a_ranked_grasp_with_and_without_its_pose():
    place = SimpleNamespace(u=10.5, v=20.5, bin=5, score=0.75, probabilities=np.full(18, 0.25))
    message = over_the_wire(conversions.ranked_to_msg(place, 94, 2.5, "optical", top_down_pose(0.7, 0.2, -0.1, 2.0)))
    assert (message.u, message.v, message.bin, message.patch_size, message.pose_known) == (10.5, 20.5, 5, 94, True)
    assert message.theta_image == pytest.approx(np.radians(50)) and message.theta == pytest.approx(2.0)
    assert message.pose.header.frame_id == "base" and message.pose.pose.position.x == 0.7
    assert not over_the_wire(conversions.ranked_to_msg(place, 94, 2.5, "optical")).pose_known


def test_jpeg_keeps_the_picture_and_quality_sets_its_size():
    rows, columns = np.mgrid[0:120, 0:160]
    image = np.stack([rows, columns, rows + columns // 2], axis=2).astype(np.uint8)
    good = over_the_wire(conversions.image_to_compressed(image, 1.25, "camera", quality=95))
    poor = conversions.image_to_compressed(image, 1.25, "camera", quality=20)
    assert good.format == "jpeg" and good.header.stamp.to_sec() == 1.25
    assert len(poor.data) < len(good.data)
    assert np.abs(conversions.image_from_compressed(good).astype(int) - image).mean() < 2


@pytest.mark.parametrize("data", [b"", b"no picture"])
def test_broken_jpeg_is_a_typed_error(data):
    with pytest.raises(conversions.EncodingError, match="cannot be decoded"):
        conversions.image_from_compressed(CompressedImage(format="jpeg", data=data))


def test_camera_info_round_trip():
    K = np.array([[1060.0, 0, 959.5], [0, 1054.0, 539.5], [0, 0, 1]])
    camera = Camera(1920, 1080, K, np.array([0.05, -0.07, 0.001, -0.001, 0.02]))
    info = over_the_wire(conversions.camera_to_info(camera, 2.5, "kinect2_rgb_optical_frame"))
    assert info.distortion_model == "plumb_bob" and info.P[0] == 1060.0 and info.P[6] == 539.5
    back = conversions.camera_from_info(info)
    assert (back.width, back.height) == (1920, 1080)
    np.testing.assert_array_equal(back.K, camera.K)
    np.testing.assert_array_equal(back.D, camera.D)


def test_a_rectified_picture_has_the_camera_of_p_and_no_distortion():
    K = np.array([[1060.0, 0, 959.5], [0, 1054.0, 539.5], [0, 0, 1]])
    raw = conversions.camera_to_info(Camera(1920, 1080, K, np.array([0.05, -0.07, 0.001, -0.001, 0.02])), 2.5, "kinect")
    raw.P[0], raw.P[2] = 1010.0, 950.0  # as where the picture was scaled to hide its bent edges
    camera = conversions.camera_from_info(over_the_wire(conversions.rectified_info(raw)))
    np.testing.assert_array_equal(camera.K, [[1010.0, 0, 950.0], [0, 1054.0, 539.5], [0, 0, 1]])
    assert not camera.D.any()
    assert raw.D[0] == 0.05  # the message is as it came


def test_uncalibrated_camera_is_a_typed_error():
    with pytest.raises(conversions.ConversionError, match="calibrate"):
        conversions.camera_from_info(CameraInfo(width=10, height=10))
