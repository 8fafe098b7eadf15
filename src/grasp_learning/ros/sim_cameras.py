"""The simulated cameras on ROS: pictures rendered beside the physics, at their topics' rate, while somebody listens."""

import abc
import concurrent.futures
import errno
import threading
import time
from typing import Callable, Dict, List, Sequence

import cv2
import numpy as np
import rospy
from baxter_core_msgs.msg import CameraSettings
from baxter_core_msgs.srv import CloseCamera, ListCameras, OpenCamera
from sensor_msgs.msg import CameraInfo, Image

from grasp_learning.geometry import Camera
from grasp_learning.ros import conversions
from grasp_learning.ros.sim_publisher import to_stamp
from grasp_learning.sim.camera_models import KINECT, WRIST
from grasp_learning.sim.gl import RenderingError

# What Baxter's cameras can do: picture sizes (px), and pictures a second
MODES = ((1280, 800), (960, 600), (640, 400), (480, 300), (384, 240), (320, 200))
MAX_FPS = 30.0
IDLE_WAIT = 0.01  # s of wall time between two looks for listeners
# s of wall time. A client that wants one picture makes its two or three subscriptions one after the other, and leaves
# when it has the picture: less patience with either would draw pictures that nobody sees.
ARRIVAL_PATIENCE = 0.03
DEPARTURE_PATIENCE = 0.2


class _Arrivals(rospy.SubscribeListener):
    """Tells a stream of each new listener, who should not have to wait for the stream's next turn."""

    def __init__(self, arrived: Callable[[], None]):
        self._arrived = arrived

    def peer_subscribe(self, topic_name, topic_publish, peer_publish) -> None:
        self._arrived()


class Stream(abc.ABC):
    """Pictures of one camera, which share a stamp, and its camera_info.

    Args:
        rate: pictures a second of simulated time, at most.
        share: of the wall time that rendering these pictures may take, 0..1; keeps the physics fast beside a listener
            that stays.
    """

    def __init__(self, namespace: str, frame: str, rate: float, share: float):
        self.rate = rate
        self._namespace, self._frame, self._share = namespace, frame, share
        self._stamp = -np.inf  # of the last picture
        self._rest_until = 0.0  # wall time
        self._awaited = False  # somebody who came has not had a picture yet
        self._publishers: List[rospy.Publisher] = []
        self._info = self._advertise("camera_info", CameraInfo)

    def _advertise(self, topic: str, message: type) -> rospy.Publisher:
        listener = _Arrivals(self._listener_arrived)
        name = f"{self._namespace}/{topic}"
        publisher = rospy.Publisher(name, message, subscriber_listener=listener, queue_size=1)
        self._publishers.append(publisher)
        return publisher

    def _listener_arrived(self) -> None:
        self._awaited, self._stamp, self._rest_until = True, -np.inf, time.monotonic() + ARRIVAL_PATIENCE

    def due(self, now: float) -> bool:
        """Whether a picture is wanted at a simulated time (s)."""
        if now < self._stamp + 1.0 / self.rate or time.monotonic() < self._rest_until:
            return False
        for publisher in self._publishers:
            publisher.impl.check()  # else rospy finds out that a listener left when it sends to it twice
        return any(publisher.get_num_connections() for publisher in self._publishers)

    def take(self, renderer, data) -> None:
        """Render a picture of a state of the world and publish it with the state's time."""
        awaited, self._awaited = self._awaited, False
        self._stamp = data.time
        start = time.monotonic()
        self._publish(renderer, data, to_stamp(data.time).to_sec())
        if self._awaited:  # somebody came meanwhile
            return
        end = time.monotonic()
        self._rest_until = end + max((end - start) * (1.0 / self._share - 1.0), DEPARTURE_PATIENCE if awaited else 0.0)

    @abc.abstractmethod
    def _watched(self) -> bool:
        """Whether somebody listens to the pictures."""

    @abc.abstractmethod
    def _publish(self, renderer, data, seconds: float) -> None:
        """Render what is listened to and publish it with a time (s)."""

    def _image(self, pixels: np.ndarray, encoding: str, seconds: float) -> Image:
        return conversions.image_to_msg(pixels, encoding, seconds, self._frame)

    def _publish_info(self, camera: Camera, seconds: float) -> None:
        self._info.publish(conversions.camera_to_info(camera, seconds, self._frame))


class KinectStream(Stream):
    """The Kinect's full picture, as iai_kinect2's bridge publishes it.

    Publishers, below the namespace: image_color and image_color_rect (bgr8; equal, for the simulated lens does not
    distort), image_depth_rect (16UC1, mm, 0 where nothing was seen), camera_info.
    """

    def __init__(self, namespace: str, rate: float, share: float):
        super().__init__(namespace, "kinect2_rgb_optical_frame", rate, share)
        self._color = [self._advertise(topic, Image) for topic in ("image_color", "image_color_rect")]
        self._depth = self._advertise("image_depth_rect", Image)

    def _watched(self) -> bool:
        return any(publisher.get_num_connections() for publisher in [*self._color, self._depth])

    def _publish(self, renderer, data, seconds: float) -> None:
        if self._watched():
            color, depth = renderer.kinect(data)
            image = self._image(color, "bgr8", seconds)
            for publisher in self._color:
                publisher.publish(image)
            self._depth.publish(self._image(depth, "16UC1", seconds))
        self._publish_info(KINECT.camera, seconds)


class WristStream(Stream):
    """A camera in a wrist, in one of Baxter's modes.

    Publishers, below the namespace: image (bgr8), camera_info.

    Attributes:
        opened: a closed camera sends nothing.
        size: (width, height) of its pictures (px).
    """

    def __init__(self, namespace: str, side: str, rate: float, share: float):
        super().__init__(namespace, f"{side}_hand_camera", rate, share)
        self._side = side
        self._pictures = self._advertise("image", Image)
        self.opened, self.size = True, MODES[0]

    def due(self, now: float) -> bool:
        """Whether a picture is wanted at a simulated time (s)."""
        return self.opened and super().due(now)

    def _watched(self) -> bool:
        return self._pictures.get_num_connections() > 0

    def _publish(self, renderer, data, seconds: float) -> None:
        width, height = self.size
        if self._watched():
            picture = renderer.wrist(data, self._side)
            if (width, height) != MODES[0]:
                picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
            self._pictures.publish(self._image(picture, "bgr8", seconds))
        self._publish_info(scaled(WRIST.camera, width, height), seconds)


def scaled(camera: Camera, width: int, height: int) -> Camera:
    """The camera whose pictures are another one's, resized."""
    scale = np.array([width / camera.width, height / camera.height])
    K = camera.K.copy()
    K[:2, 2] += 0.5  # from the centre of the first pixel to its corner, which stays where it is
    K[:2] *= scale[:, None]
    K[:2, 2] -= 0.5
    return Camera(width, height, K, camera.D)


class CameraServices:
    """Baxter's camera services for the wrist cameras.

    Services: cameras/list, cameras/open, cameras/close (err 0, or EINVAL for an unknown camera or mode). Controls such
    as exposure are accepted and change nothing; fps 0 means the fastest.

    Args:
        streams: by the camera's name.
    """

    def __init__(self, streams: Dict[str, WristStream]):
        self._streams = streams
        self._services = [
            rospy.Service("cameras/list", ListCameras, lambda _: [sorted(streams)]),
            rospy.Service("cameras/open", OpenCamera, lambda request: self.open(request.name, request.settings)),
            rospy.Service("cameras/close", CloseCamera, lambda request: self.close(request.name)),
        ]

    def open(self, name: str, settings: CameraSettings) -> int:
        """Open a camera, or change the mode of an open one; 0 or an errno."""
        stream, size = self._streams.get(name), (settings.width, settings.height)
        if stream is None or size not in MODES or settings.fps < 0.0:
            return errno.EINVAL
        stream.size = size
        stream.rate = min(settings.fps, MAX_FPS) or MAX_FPS
        stream.opened = True
        return 0

    def close(self, name: str) -> int:
        """Close a camera; 0 or an errno."""
        stream = self._streams.get(name)
        if stream is None or not stream.opened:
            return errno.EINVAL
        stream.opened = False
        return 0


class RenderThread:
    """Renders what is due, in a thread of its own and on its own copy of the state.

    Args:
        streams: in the order in which they are looked at; they take turns.
        make_renderer: called in the thread, because an OpenGL context belongs to one.
        snapshot: returns a copy of the present state as MjData with positions of all bodies and cameras computed.
        now: simulated time (s).
    """

    def __init__(self, streams: Sequence[Stream], make_renderer: Callable, snapshot: Callable, now: Callable):
        self._streams: List[Stream] = list(streams)
        self._make_renderer, self._snapshot, self._now = make_renderer, snapshot, now
        self._stopping = threading.Event()
        self._first: concurrent.futures.Future = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, name="render", daemon=True)

    def start(self, patience: float) -> None:
        """Start rendering, and wait until the first picture could be made.

        Args:
            patience: s of wall time.

        Raises:
            RenderingError: there is no OpenGL, or nothing happened.
        """
        self._thread.start()
        try:
            self._first.result(patience)
        except concurrent.futures.TimeoutError:
            raise RenderingError(f"the first picture was not drawn within {patience:g} s") from None

    def stop(self, patience: float) -> None:
        """Stop after the picture that is being made, or after a while (s) at the latest."""
        self._stopping.set()
        self._thread.join(patience)

    def _run(self) -> None:
        try:
            renderer = self._make_renderer()
            renderer.kinect(self._snapshot())  # makes the OpenGL context, for which a client should not have to wait
        except Exception as error:  # noqa: BLE001 - it is raised again in the thread that waits for it
            self._first.set_exception(_as_rendering_error(error))
            return
        self._first.set_result(None)
        while not self._stopping.is_set():
            stream = next((stream for stream in self._streams if stream.due(self._now())), None)
            if stream is None:
                self._stopping.wait(IDLE_WAIT)
                continue
            self._streams.remove(stream)
            self._streams.append(stream)
            try:
                stream.take(renderer, self._snapshot())
            except Exception as error:  # noqa: BLE001 - the cameras go on, and the log tells
                rospy.logerr_throttle(10.0, "No picture: %s", _as_rendering_error(error))
        renderer.close()


def _as_rendering_error(error: Exception) -> RenderingError:
    return error if isinstance(error, RenderingError) else RenderingError(f"{type(error).__name__}: {error}")
