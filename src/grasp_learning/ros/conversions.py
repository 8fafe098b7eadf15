"""Messages to and from the library's types: regions, grasps, trials, priors, pictures, cameras, times.

Pictures are BGR uint8 arrays (rows, columns, 3) inside the library, depth is float32 metres with NaN where the sensor
saw nothing.
"""

import copy
from typing import Optional

import cv2
import numpy as np
import rospy
from cv_bridge import CvBridge, CvBridgeError
from geometry_msgs.msg import Point, Point32, Pose, Quaternion
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, RegionOfInterest

from grasp_learning import trial as trial_module
from grasp_learning.geometry import NUM_BINS, Camera, bin_to_angle, wrap_angle
from grasp_learning.msg import Grasp, GraspPrior, PickResult, RankedGrasp, Region, Trial
from grasp_learning.trial import Outcome, PickReading, PlaceOutcome, Placing, Prior

BASE_FRAME = "base"
DEFAULT_JPEG_QUALITY = 90
COLOR_ENCODINGS = ("bgr8", "rgb8", "bgra8", "rgba8", "mono8", "8UC1", "8UC3", "8UC4")
DEPTH_ENCODINGS = ("16UC1", "mono16", "32FC1")
# What drivers mean by encodings that name no colours
_UNNAMED_COLORS = {"8UC1": "mono8", "8UC3": "bgr8", "8UC4": "bgra8"}
_TO_BGR = {
    "bgr8": None,
    "rgb8": cv2.COLOR_RGB2BGR,
    "bgra8": cv2.COLOR_BGRA2BGR,
    "rgba8": cv2.COLOR_RGBA2BGR,
    "mono8": cv2.COLOR_GRAY2BGR,
}

_bridge = CvBridge()


class ConversionError(ValueError):
    """A message does not hold what its header says, or holds something else than is needed."""


class EncodingError(ConversionError):
    """A picture has an encoding that cannot be used here."""


class SizeError(ConversionError):
    """A picture has another size than its data or its camera_info says."""


def to_time(seconds: float) -> rospy.Time:
    """ROS time of seconds, to the nearest nanosecond: one that is cut off makes a picture older than the clock."""
    return rospy.Time(0, round(float(seconds) * 1e9))


def region_to_msg(region: trial_module.Region) -> Region:
    """Region.msg of a region."""
    message = Region(arm=region.arm, height=float(region.height))
    message.header.stamp, message.header.frame_id = to_time(region.stamp), BASE_FRAME
    message.center = Point(*(float(value) for value in region.center))
    plane = float(region.center[2])
    message.outline = [Point32(float(x), float(y), plane) for x, y in np.asarray(region.outline).reshape(-1, 2)]
    u, v, width, height = (int(value) for value in region.box)
    message.box = RegionOfInterest(x_offset=u, y_offset=v, width=width, height=height)
    return message


def region_from_msg(message: Region) -> trial_module.Region:
    """Region of a Region.msg."""
    box = message.box
    return trial_module.Region(
        arm=message.arm,
        stamp=message.header.stamp.to_sec(),
        center=np.array([message.center.x, message.center.y, message.center.z]),
        height=message.height,
        outline=np.array([(point.x, point.y) for point in message.outline]).reshape(-1, 2),
        box=(box.x_offset, box.y_offset, box.width, box.height),
    )


_GRASP_FIELDS = ("arm", "u", "v", "x", "y", "z", "theta", "theta_image", "bin", "patch_size", "sampler", "score")


def grasp_to_msg(grasp: trial_module.Grasp) -> Grasp:
    """Grasp.msg of a grasp."""
    message = Grasp(**{name: getattr(grasp, name) for name in _GRASP_FIELDS})
    message.header.stamp, message.header.frame_id = to_time(grasp.stamp), BASE_FRAME
    return message


def grasp_from_msg(message: Grasp) -> trial_module.Grasp:
    """Grasp of a Grasp.msg."""
    values = {name: getattr(message, name) for name in _GRASP_FIELDS}
    return trial_module.Grasp(stamp=message.header.stamp.to_sec(), **values)


def prior_to_msg(prior: Optional[Prior], stamp: float) -> GraspPrior:
    """GraspPrior.msg of a prior; without places where there is none.

    Args:
        stamp: of the picture (s).
    """
    if prior is None:
        return GraspPrior()
    places = np.asarray(prior.places, np.float32).reshape(-1, 2)
    message = GraspPrior(
        model=prior.model,
        model_sha256=prior.model_sha256,
        patch_size=int(prior.patch_size),
        u=places[:, 0].tolist(),
        v=places[:, 1].tolist(),
        probabilities=np.asarray(prior.probabilities, np.float32).reshape(-1).tolist(),
        place=int(prior.place),
        bin=int(prior.bin),
    )
    message.header.stamp = to_time(stamp)
    return message


def prior_from_msg(message: GraspPrior) -> Optional[Prior]:
    """Prior of a GraspPrior.msg; None where it has no places.

    Raises:
        ConversionError: the parts do not belong together.
    """
    count = len(message.u)
    if count == 0:
        return None
    if len(message.v) != count or len(message.probabilities) != count * NUM_BINS:
        raise ConversionError(
            f"a prior with {count} columns, {len(message.v)} rows and {len(message.probabilities)} probabilities, "
            f"expected {count} rows and {count * NUM_BINS} probabilities"
        )
    if message.place >= count or message.bin >= NUM_BINS:
        raise ConversionError(
            f"a prior of {count} places and {NUM_BINS} bins has no place {message.place}, bin {message.bin}"
        )
    return Prior(
        model=message.model,
        model_sha256=message.model_sha256,
        patch_size=message.patch_size,
        places=np.column_stack([message.u, message.v]).astype(np.float32),
        probabilities=np.array(message.probabilities, np.float32).reshape(count, NUM_BINS),
        place=message.place,
        bin=message.bin,
    )


def ranked_to_msg(
    place, patch_size: int, stamp: float, frame_id: str, T_base_gripper: Optional[np.ndarray] = None
) -> RankedGrasp:
    """RankedGrasp.msg of a predictor's RankedPlace.

    Args:
        patch_size: side of the patches (px).
        stamp, frame_id: of the picture.
        T_base_gripper: (4, 4) pose when the fingers close; None where it is not known.
    """
    message = RankedGrasp(
        u=place.u,
        v=place.v,
        theta_image=float(bin_to_angle(place.bin)),
        bin=place.bin,
        score=place.score,
        probabilities=np.asarray(place.probabilities, float).tolist(),
        patch_size=patch_size,
        pose_known=T_base_gripper is not None,
    )
    message.header.stamp, message.header.frame_id = to_time(stamp), frame_id
    if T_base_gripper is not None:
        message.pose.header.stamp, message.pose.header.frame_id = message.header.stamp, BASE_FRAME
        message.pose.pose = pose_to_msg(T_base_gripper)
        closing = T_base_gripper[:2, 1]
        message.theta = float(wrap_angle(np.arctan2(closing[1], closing[0])))
    return message


def pose_to_msg(T: np.ndarray) -> Pose:
    """A (4, 4) transform as a message."""
    # only here: most nodes convert no pose, and need not wait for MuJoCo
    from grasp_learning.motion.kinematics import quaternion

    w, x, y, z = (float(value) for value in quaternion(T[:3, :3]))
    return Pose(Point(*(float(value) for value in T[:3, 3])), Quaternion(x, y, z, w))


_READING_FIELDS = ("force", "position", "gripping", "contact", "truth_known", "truth_held", "truth_object")


def _fill_reading(message, reading: PickReading) -> None:
    for name in _READING_FIELDS:
        setattr(message, name, getattr(reading, name))
    message.truth_near = list(reading.truth_near)


def reading_to_result(reading: PickReading, outcome: Outcome, message: str = "") -> PickResult:
    """Pick.action's result with a gripper reading; the pictures are left to the caller."""
    result = PickResult(outcome=str(outcome), message=message)
    _fill_reading(result, reading)
    return result


def reading_from_result(message) -> PickReading:
    """Gripper reading of a PickResult or a Trial.msg."""
    values = {name: getattr(message, name) for name in _READING_FIELDS}
    return PickReading(truth_near=tuple(message.truth_near), **values)


def placing_from_msg(message) -> Optional[Placing]:
    """What became of an object that was to go into a bin, of a PickResult or a Trial.msg; None where there was none.

    An outcome that nobody knows is a fault of whoever said it.
    """
    if not message.place_outcome:
        return None
    try:
        return Placing(PlaceOutcome(message.place_outcome), message.place_message)
    except ValueError:
        return Placing(PlaceOutcome.ROBOT_FAULT, f"the unknown place_outcome {message.place_outcome!r} was answered")


_TRIAL_FIELDS = ("arm", "mode", "stage", "detail", "model", "model_sha256")


def trial_to_msg(trial: trial_module.Trial, number: int = 0) -> Trial:
    """Trial.msg of a trial.

    What the trial did not come to (region, grasp, reading) is left empty: a region or grasp without an arm, a force
    that is NaN.
    """
    message = Trial(number=number, outcome=str(trial.outcome), put_back=list(trial.put_back))
    for name in _TRIAL_FIELDS:
        setattr(message, name, getattr(trial, name))
    message.start, message.end = to_time(trial.start), to_time(trial.end)
    message.header.stamp, message.header.frame_id = message.end, BASE_FRAME
    if trial.region is not None:
        message.region = region_to_msg(trial.region)
    if trial.grasp is not None:
        message.grasp = grasp_to_msg(trial.grasp)
    reading = trial.reading or PickReading(force=float("nan"), position=float("nan"), gripping=False)
    _fill_reading(message, reading)
    if trial.placing is not None:
        message.place_outcome, message.place_message = str(trial.placing.outcome), trial.placing.message
    return message


def trial_from_msg(message: Trial) -> trial_module.Trial:
    """Trial of a Trial.msg; its pictures and its prior travel apart.

    Raises:
        ConversionError: the outcome is none of Trial.msg's constants.
    """
    try:
        outcome = Outcome(message.outcome)
    except ValueError:
        choices = ", ".join(choice.value for choice in Outcome)
        raise ConversionError(f"trial outcome '{message.outcome}' is none of {choices}") from None
    return trial_module.Trial(
        start=message.start.to_sec(),
        end=message.end.to_sec(),
        outcome=outcome,
        region=region_from_msg(message.region) if message.region.arm else None,
        grasp=grasp_from_msg(message.grasp) if message.grasp.arm else None,
        reading=None if np.isnan(message.force) else reading_from_result(message),
        put_back=list(message.put_back),
        placing=placing_from_msg(message),
        **{name: getattr(message, name) for name in _TRIAL_FIELDS},
    )


def image_from_msg(message: Image) -> np.ndarray:
    """BGR picture (rows, columns, 3) uint8 of an Image; Baxter's wrist cameras send bgra8 or bgr8.

    Raises:
        EncodingError: the encoding is not a colour or grey picture of 8 bits.
        SizeError: the data are fewer than width, height and step say.
    """
    if message.encoding not in COLOR_ENCODINGS:
        raise EncodingError(f"encoding '{message.encoding}', expected one of {', '.join(COLOR_ENCODINGS)}")
    array = _array(message)
    encoding = _UNNAMED_COLORS.get(message.encoding, message.encoding)
    conversion = _TO_BGR[encoding]
    return array if conversion is None else cv2.cvtColor(array, conversion)


def depth_from_msg(message: Image) -> np.ndarray:
    """Depth (rows, columns) float32 in metres, NaN where there is none, of an Image of millimetres or metres.

    Raises:
        EncodingError: the encoding is not a depth encoding.
        SizeError: the data are fewer than width, height and step say.
    """
    if message.encoding not in DEPTH_ENCODINGS:
        raise EncodingError(f"encoding '{message.encoding}', expected one of {', '.join(DEPTH_ENCODINGS)}")
    array = _array(message)
    scale = 1.0 if message.encoding == "32FC1" else 0.001
    depth = array.astype(np.float32) * np.float32(scale)
    depth[~(depth > 0)] = np.nan  # 0 is the Kinect's "nothing seen"
    return depth


def _array(message: Image) -> np.ndarray:
    if message.width == 0 or message.height == 0 or len(message.data) < message.step * message.height:
        raise SizeError(
            f"{message.width} x {message.height} picture with rows of {message.step} bytes "
            f"holds {len(message.data)} bytes, expected {message.step * message.height}"
        )
    kind, channels = _bridge.encoding_to_dtype_with_channels(message.encoding)
    dtype = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
    row = message.width * channels * dtype.itemsize
    if message.step < row:
        raise SizeError(f"rows of {message.step} bytes, expected {row} for {message.width} px of {message.encoding}")
    # not imgmsg_to_cv2: Noetic's takes what pads a row for pixels
    rows = np.frombuffer(message.data, np.uint8, message.step * message.height).reshape(message.height, message.step)
    array = np.ascontiguousarray(rows[:, :row]).view(dtype).reshape(message.height, message.width, channels)
    return array[..., 0] if channels == 1 else array


def image_to_msg(image: np.ndarray, encoding: str, stamp: float, frame_id: str = "") -> Image:
    """Image message of an array.

    Raises:
        EncodingError: the array's type or channels do not fit the encoding.
    """
    try:
        message = _bridge.cv2_to_imgmsg(np.ascontiguousarray(image), encoding)
    except (CvBridgeError, TypeError) as error:
        raise EncodingError(f"array {image.shape} {image.dtype} is no '{encoding}' picture: {error}") from None
    message.header.stamp, message.header.frame_id = to_time(stamp), frame_id
    return message


def image_to_compressed(
    image: np.ndarray, stamp: float, frame_id: str, quality: int = DEFAULT_JPEG_QUALITY
) -> CompressedImage:
    """JPEG of a BGR or grey uint8 picture; quality is JPEG's, 1 to 100."""
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    if not done:
        raise EncodingError(f"array {image.shape} {image.dtype} cannot be written as JPEG")
    message = CompressedImage(format="jpeg", data=data.tobytes())
    message.header.stamp, message.header.frame_id = to_time(stamp), frame_id
    return message


def image_from_compressed(message: CompressedImage) -> np.ndarray:
    """BGR picture (rows, columns, 3) uint8 of a compressed one.

    Raises:
        EncodingError: the data are no picture that OpenCV can read.
    """
    data = np.frombuffer(message.data, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise EncodingError(f"compressed picture of {data.size} bytes, format '{message.format}', cannot be decoded")
    return image


def camera_from_info(message: CameraInfo) -> Camera:
    """Camera of a CameraInfo.

    Raises:
        ConversionError: it is not calibrated (no focal length) or not a plumb_bob model.
    """
    K = np.array(message.K, float).reshape(3, 3)
    if K[0, 0] <= 0 or K[1, 1] <= 0:
        raise ConversionError("camera_info has no focal length (K[0] or K[4] is 0): calibrate the camera")
    if message.distortion_model not in ("", "plumb_bob", "rational_polynomial"):
        raise ConversionError(f"camera_info's distortion model '{message.distortion_model}', expected plumb_bob")
    D = np.array(message.D, float) if len(message.D) else np.zeros(5)
    return Camera(message.width, message.height, K, D)


def rectified_info(message: CameraInfo) -> CameraInfo:
    """The CameraInfo of the rectified pictures of a camera: drivers send that of the raw ones beside them, too.

    Its intrinsic matrix is the left part of P; there is no distortion and no rotation any more.
    """
    rectified = copy.copy(message)
    rectified.D = [0.0] * len(message.D)
    rectified.K = [message.P[4 * row + column] for row in range(3) for column in range(3)]
    rectified.R = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    return rectified


def camera_to_info(camera: Camera, stamp: float, frame_id: str) -> CameraInfo:
    """CameraInfo of a camera."""
    message = CameraInfo(width=camera.width, height=camera.height, distortion_model="plumb_bob")
    message.header.stamp, message.header.frame_id = to_time(stamp), frame_id
    message.D = [float(value) for value in camera.D]
    message.K = [float(value) for value in camera.K.reshape(-1)]
    message.R = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.P = [float(value) for value in np.column_stack([camera.K, np.zeros(3)]).reshape(-1)]
    return message
