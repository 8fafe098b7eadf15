"""Fresh pictures on demand, with a deadline: a camera is listened to only while a picture is needed.

A simulator renders, and a driver encodes, only for topics that somebody listens to; and a picture that was taken before
it was asked for may show an arm or an object where it no longer is.
"""

import threading
from collections import deque
from dataclasses import dataclass
from typing import Callable, Deque, Dict, List, Optional, Tuple

import numpy as np
import rospy
from pydantic import Field
from sensor_msgs.msg import CameraInfo, Image, JointState

from grasp_learning.config import Settings
from grasp_learning.execution.faults import SensorFault
from grasp_learning.geometry import Camera
from grasp_learning.ros import conversions
from grasp_learning.ros.calls import Deadline

JOINT_STATES = "robot/joint_states"
_TRIES = 3  # a busy computer drops joint states
_BUFFER = 2**25  # bytes; with rospy's default of 64 KiB a queue of one still yields old pictures


class NoImage(SensorFault):
    """Nothing came on a topic within the deadline."""


class StaleImage(SensorFault):
    """Pictures came, but all were taken before they were asked for."""


class WrongEncoding(SensorFault):
    """A picture came in an encoding that cannot be used."""


class WrongSize(SensorFault):
    """A picture's size differs from its camera_info's, or its data are incomplete."""


class NotCalibrated(SensorFault):
    """The camera_info holds no usable calibration."""


class CameraTimeouts(Settings):
    """How long a picture may take.

    Attributes:
        ros: in ROS time (s).
        wall: backstop in wall-clock time (s), for a clock that stands still.
    """

    ros: float = Field(5.0, gt=0)
    wall: float = Field(15.0, gt=0)


class KinectTopics(Settings):
    """Where the Kinect's pictures come from.

    Attributes:
        color_topic, info_topic: of the colour picture and its camera_info.
        depth_topic: of the depth that is registered to it.
        rectified: the colour picture is free of the lens distortion of which camera_info tells.
    """

    color_topic: str = "/kinect2/hd/image_color"
    depth_topic: str = "/kinect2/hd/image_depth_rect"
    info_topic: str = "/kinect2/hd/camera_info"
    rectified: bool = False

    def pictures(self, timeouts: CameraTimeouts, depth: bool) -> "FreshImage":
        """The camera, with or without depth."""
        return FreshImage(
            self.color_topic, self.info_topic, self.depth_topic if depth else None, timeouts, self.rectified
        )


@dataclass(frozen=True)
class Frame:
    """A picture with its calibration.

    Attributes:
        stamp: when it was taken (s, ROS time).
        image: BGR uint8 (rows, columns, 3).
        depth: float32 (rows, columns) in metres, NaN where nothing was seen; None where no depth was asked for.
        camera: calibration.
        info: the camera_info message as it came.
        frame_id: of the picture.
    """

    stamp: float
    image: np.ndarray
    depth: Optional[np.ndarray]
    camera: Camera
    info: CameraInfo
    frame_id: str


class FreshImage:
    """Takes fresh pictures from one camera.

    Subscribers, each only while a picture is awaited: the image topic (sensor_msgs/Image), its camera_info
    (sensor_msgs/CameraInfo), and optionally a depth topic whose pictures bear the same stamps as the image's.

    Any number of threads may call :meth:`grab` at once.

    Args:
        rectified: the image is free of the lens distortion of which its camera_info tells.
    """

    def __init__(
        self,
        image_topic: str,
        info_topic: str,
        depth_topic: Optional[str] = None,
        timeouts: Optional[CameraTimeouts] = None,
        rectified: bool = False,
    ):
        self._rectified = rectified
        self._image_topic = rospy.resolve_name(image_topic)
        self._info_topic = rospy.resolve_name(info_topic)
        self._depth_topic = rospy.resolve_name(depth_topic) if depth_topic else None
        self._timeouts = timeouts or CameraTimeouts()

    def grab(self, not_before: Optional[float] = None, joints: "Optional[JointWatch]" = None) -> Frame:
        """Wait for a picture that was taken at or after a time.

        Args:
            not_before: earliest stamp (s, ROS time); None for the time of the call.
            joints: the picture must be no older than the joint states that it saw: connections take their time.

        Raises:
            NoImage, StaleImage, WrongEncoding, WrongSize, NotCalibrated: the message names the topic and a remedy.
        """
        not_before = rospy.get_time() if not_before is None else not_before
        inbox = _Inbox(not_before, self._depth_topic is not None, joints)
        deadline = Deadline(self._timeouts.ros, self._timeouts.wall)
        subscribers = self._subscribe(inbox)
        try:
            if not inbox.wait(deadline):
                raise self._why_nothing(inbox, joints)
        finally:
            for subscriber in subscribers:
                subscriber.unregister()
        return self._frame(inbox)

    def _subscribe(self, inbox: "_Inbox") -> List[rospy.Subscriber]:
        def listen(topic: str, message_class, callback: Callable) -> rospy.Subscriber:
            return rospy.Subscriber(topic, message_class, callback, queue_size=2, buff_size=_BUFFER, tcp_nodelay=True)

        subscribers = [
            listen(self._info_topic, CameraInfo, inbox.on_info),
            listen(self._image_topic, Image, inbox.on_image),
        ]
        if self._depth_topic:
            subscribers.append(listen(self._depth_topic, Image, inbox.on_depth))
        return subscribers

    def _why_nothing(self, inbox: "_Inbox", joints: "Optional[JointWatch]") -> SensorFault:
        waited = f"within {self._timeouts.ros:g} s"
        if inbox.image_count == 0:
            return NoImage(
                f"no picture came on {self._image_topic} {waited}: is the camera running, and is the name right?"
            )
        if inbox.image is None and inbox.newest_stamp < inbox.not_before:
            age = inbox.not_before - inbox.newest_stamp
            return StaleImage(
                f"pictures on {self._image_topic} are stale: the newest was taken {age:.2f} s before it was asked for; "
                "synchronise the clocks of the camera's computer and this one, or check use_sim_time"
            )
        if inbox.info is None:
            return NoImage(f"no camera_info came on {self._info_topic} {waited}: is the camera calibrated?")
        if joints is not None and not joints.covers(inbox.newest_stamp):
            return joints.why_nothing()
        return NoImage(
            f"no depth picture with the stamp of the colour picture came on {self._depth_topic} {waited}: "
            "is the depth stream of the same camera on?"
        )

    def _frame(self, inbox: "_Inbox") -> Frame:
        message, info = inbox.image, inbox.info
        if (message.width, message.height) != (info.width, info.height):
            raise WrongSize(
                f"{self._image_topic} sends {message.width} x {message.height}, but {self._info_topic} is for "
                f"{info.width} x {info.height}: set the camera's mode or calibrate it again"
            )
        if self._rectified:
            info = conversions.rectified_info(info)
        image = _converted(self._image_topic, conversions.image_from_msg, message)
        camera = _converted(self._info_topic, conversions.camera_from_info, info)
        depth = None
        if inbox.depth is not None:
            depth = _converted(self._depth_topic, conversions.depth_from_msg, inbox.depth)
            if depth.shape != image.shape[:2]:
                raise WrongSize(
                    f"{self._depth_topic} sends {depth.shape[1]} x {depth.shape[0]}, "
                    f"expected {info.width} x {info.height}: "
                    "use depth that is registered to the colour picture (image_depth_rect)"
                )
        return Frame(message.header.stamp.to_sec(), image, depth, camera, info, message.header.frame_id)


def _converted(topic: str, convert: Callable, message):
    try:
        return convert(message)
    except conversions.EncodingError as error:
        raise WrongEncoding(f"{topic}: {error}; set the camera driver's encoding") from None
    except conversions.SizeError as error:
        raise WrongSize(f"{topic}: {error}; check the camera driver") from None
    except conversions.ConversionError as error:
        raise NotCalibrated(f"{topic}: {error}") from None


class _Inbox:
    """What came on a camera's topics; complete once picture, camera_info and depth belong together."""

    def __init__(self, not_before: float, with_depth: bool, joints: "Optional[JointWatch]"):
        self.not_before = not_before
        self.image: Optional[Image] = None
        self.info: Optional[CameraInfo] = None
        self.depth: Optional[Image] = None
        self.image_count, self.newest_stamp = 0, -np.inf
        self._with_depth, self._joints = with_depth, joints
        self._images: Deque[Image] = deque(maxlen=5)
        self._depths: Deque[Image] = deque(maxlen=5)
        self._changed = threading.Condition()

    def wait(self, deadline: Deadline) -> bool:
        with self._changed:
            while not self._complete():
                if deadline.expired() or rospy.is_shutdown():
                    return False
                self._changed.wait(0.05)
        return True

    def on_info(self, message: CameraInfo) -> None:
        with self._changed:
            self.info = message
            self._changed.notify_all()

    def on_image(self, message: Image) -> None:
        with self._changed:
            self.image_count += 1
            self.newest_stamp = max(self.newest_stamp, message.header.stamp.to_sec())
            self._keep(self._images, message)

    def on_depth(self, message: Image) -> None:
        with self._changed:
            self._keep(self._depths, message)

    def _keep(self, messages: deque, message: Image) -> None:
        if message.header.stamp.to_sec() >= self.not_before:
            messages.append(message)
            self._changed.notify_all()

    def _complete(self) -> bool:
        if self.image is None:
            self.image, self.depth = self._match()
        return self.image is not None and self.info is not None

    def _match(self):
        for image in self._images:
            if self._joints is not None and not self._joints.covers(image.header.stamp.to_sec()):
                continue
            if not self._with_depth:
                return image, None
            for depth in self._depths:
                if depth.header.stamp == image.header.stamp:
                    return image, depth
        return None, None


class JointWatch:
    """Joint states around the moment of a picture; a context manager that listens only while it is entered.

    Subscriber: the joint states topic (sensor_msgs/JointState).

    Args:
        max_gap: most time between a picture and the joint state that is taken for it (s).
    """

    def __init__(self, topic: str, timeouts: Optional[CameraTimeouts] = None, max_gap: float = 0.1):
        self._topic = rospy.resolve_name(topic)
        self._timeouts = timeouts or CameraTimeouts()
        self._max_gap = max_gap
        self._states: Deque[JointState] = deque(maxlen=5000)  # 50 s at 100 Hz, more than the deadline of a picture
        self._subscriber: Optional[rospy.Subscriber] = None

    def __enter__(self) -> "JointWatch":
        self._subscriber = rospy.Subscriber(
            self._topic, JointState, self._states.append, queue_size=50, tcp_nodelay=True
        )
        return self

    def __exit__(self, *_) -> None:
        self._subscriber.unregister()

    def covers(self, stamp: float) -> bool:
        """Whether joint states have been coming since a stamp (s), or so soon after it that one is near it for sure."""
        try:
            return self._states[0].header.stamp.to_sec() <= stamp + self._max_gap / 2
        except IndexError:
            return False

    def why_nothing(self) -> SensorFault:
        """The fault of joint states that do not come."""
        return NoImage(f"no joint states came on {self._topic} within {self._timeouts.ros:g} s: is the robot running?")

    def at(self, stamp: float) -> Dict[str, float]:
        """Joint positions (rad or m) by name at the time nearest to a stamp (s).

        Raises:
            NoImage: no joint state came.
            StaleImage: none came near the stamp.
        """
        Deadline(self._timeouts.ros, self._timeouts.wall).wait(lambda: self._newest() >= stamp)
        states = list(self._states)
        if not states:
            raise self.why_nothing()
        positions: Dict[str, float] = {}
        gaps: Dict[str, float] = {}
        # Baxter sends the grippers' joints in messages of their own
        for state in states:
            gap = abs(state.header.stamp.to_sec() - stamp)
            for name, position in zip(state.name, state.position):
                if gap < gaps.get(name, np.inf):
                    positions[name], gaps[name] = position, gap
        nearest = min(gaps.values(), default=np.inf)
        if nearest > self._max_gap:
            raise StaleImage(
                f"joint states on {self._topic} are {nearest:.2f} s away from the picture: "
                "synchronise the computers' clocks"
            )
        return positions

    def _newest(self) -> float:
        try:
            return self._states[-1].header.stamp.to_sec()
        except IndexError:
            return -np.inf


def grab_with_joints(
    camera: FreshImage, timeouts: CameraTimeouts, not_before: Optional[float] = None
) -> Tuple[Frame, Dict[str, float]]:
    """A fresh picture, and the joint positions (rad or m) by name at its time.

    A picture whose joint states got lost on the way is taken again.

    Args:
        not_before: as for :meth:`FreshImage.grab`.

    Raises:
        SensorFault: as of :meth:`FreshImage.grab` and :meth:`JointWatch.at`.
    """
    for attempt in range(_TRIES):
        with JointWatch(JOINT_STATES, timeouts) as watch:
            frame = camera.grab(not_before, watch)
            try:
                return frame, watch.at(frame.stamp)
            except StaleImage:
                if attempt == _TRIES - 1:
                    raise
    raise AssertionError("never reached")
