"""The robot's own cameras: open them in one of their modes, close them, change their settings."""

import errno
from typing import Tuple

import rospy
from baxter_core_msgs.msg import CameraControl, CameraSettings
from baxter_core_msgs.srv import CloseCamera, ListCameras, OpenCamera


def _control(control: int, maximum: int, doc: str) -> property:
    """A setting of the camera that is automatic (-1) or 0..maximum; setting it opens the camera again."""

    def get(self) -> int:
        return self._control_value(control, self.CONTROL_AUTO)

    def put(self, value: int) -> None:
        value = int(value)
        if value != self.CONTROL_AUTO and not 0 <= value <= maximum:
            raise ValueError(f"{value} is outside 0 to {maximum} (or {self.CONTROL_AUTO} for automatic)")
        self._set_control(control, value)
        self.open()

    return property(get, put, doc=f"{doc}, 0 to {maximum}, or CONTROL_AUTO.")


def _switch(control: int, doc: str) -> property:
    """A setting of the camera that is on (1) or off (0); setting it opens the camera again."""

    def get(self) -> int:
        return self._control_value(control, False)

    def put(self, value: bool) -> None:
        self._set_control(control, int(value != 0))
        self.open()

    return property(get, put, doc=doc)


class CameraController:
    """Interface to ``left_hand_camera``, ``right_hand_camera`` or ``head_camera``.

    Raises:
        rospy.ROSException: no camera service within ten seconds.
        AttributeError: the robot has no such camera, or cannot open one more.
    """

    MODES = [(1280, 800), (960, 600), (640, 400), (480, 300), (384, 240), (320, 200)]
    CONTROL_AUTO = -1

    def __init__(self, name: str):
        self._id = name
        rospy.wait_for_service("/cameras/list", timeout=10)
        if name not in rospy.ServiceProxy("/cameras/list", ListCameras)().cameras:
            raise AttributeError(f"There is no camera '{name}' to open; close another one first")
        self._open_service = rospy.ServiceProxy("/cameras/open", OpenCamera)
        self._close_service = rospy.ServiceProxy("/cameras/close", CloseCamera)
        self._settings = CameraSettings(width=320, height=200, fps=20)

    def _control_value(self, control: int, default: int) -> int:
        return next((item.value for item in self._settings.controls if item.id == control), default)

    def _set_control(self, control: int, value: int) -> None:
        known = next((item for item in self._settings.controls if item.id == control), None)
        if known is None:
            self._settings.controls.append(CameraControl(control, value))
        else:
            known.value = value

    @property
    def resolution(self) -> Tuple[int, int]:
        """Width and height (px), one of MODES; setting it opens the camera again."""
        return self._settings.width, self._settings.height

    @resolution.setter
    def resolution(self, resolution: Tuple[int, int]) -> None:
        resolution = tuple(resolution)
        if len(resolution) != 2:
            raise AttributeError(f"A resolution is width and height, not {resolution}")
        if resolution not in self.MODES:
            raise ValueError(f"The camera has no mode {resolution}; it has {self.MODES}")
        self._settings.width, self._settings.height = resolution
        self.open()

    @property
    def fps(self) -> float:
        """Pictures a second; setting it opens the camera again."""
        return self._settings.fps

    @fps.setter
    def fps(self, fps: float) -> None:
        self._settings.fps = fps
        self.open()

    exposure = _control(CameraControl.CAMERA_CONTROL_EXPOSURE, 100, "Exposure")
    gain = _control(CameraControl.CAMERA_CONTROL_GAIN, 79, "Gain")
    white_balance_red = _control(CameraControl.CAMERA_CONTROL_WHITE_BALANCE_R, 4095, "White balance, red")
    white_balance_green = _control(CameraControl.CAMERA_CONTROL_WHITE_BALANCE_G, 4095, "White balance, green")
    white_balance_blue = _control(CameraControl.CAMERA_CONTROL_WHITE_BALANCE_B, 4095, "White balance, blue")
    flip = _switch(CameraControl.CAMERA_CONTROL_FLIP, "Whether the picture is upside down.")
    mirror = _switch(CameraControl.CAMERA_CONTROL_MIRROR, "Whether the picture is mirrored.")
    half_resolution = _switch(CameraControl.CAMERA_CONTROL_RESOLUTION_HALF, "Whether pixels are binned by two.")

    @property
    def window(self) -> Tuple[float, float]:
        """Where the picture begins on the sensor (px); the picture's size until it was set.

        Setting it opens the camera again.
        """
        scale = 0.5 if self.half_resolution else 1
        x = self._control_value(CameraControl.CAMERA_CONTROL_WINDOW_X, self.CONTROL_AUTO)
        if x == self.CONTROL_AUTO:
            return self._settings.width * scale, self._settings.height * scale
        return x, self._control_value(CameraControl.CAMERA_CONTROL_WINDOW_Y, self.CONTROL_AUTO)

    @window.setter
    def window(self, window: Tuple[int, int]) -> None:
        scale = 0.5 if self.half_resolution else 1
        limits = (self.MODES[0][0] - self._settings.width) * scale, (self.MODES[0][1] - self._settings.height) * scale
        for axis, value, limit in zip("XY", window, limits):
            if not 0 <= value <= limit:
                raise ValueError(f"The window's {axis} is outside 0 to {limit:g}")
        x, y = window
        self._set_control(CameraControl.CAMERA_CONTROL_WINDOW_X, x)
        self._set_control(CameraControl.CAMERA_CONTROL_WINDOW_Y, y)
        self.open()

    def open(self) -> None:
        """Start the camera with the settings.

        Raises:
            OSError: the robot refused.
        """
        if self._id == "head_camera":  # mounted the other way round
            self._set_control(CameraControl.CAMERA_CONTROL_FLIP, 1)
            self._set_control(CameraControl.CAMERA_CONTROL_MIRROR, 1)
        answer = self._open_service(self._id, self._settings)
        if answer.err != 0:
            raise OSError(answer.err, f"Failed to open camera {self._id}")

    def close(self) -> None:
        """Stop the camera; one that is closed already is no error.

        Raises:
            OSError: the robot refused.
        """
        answer = self._close_service(self._id)
        if answer.err not in (0, errno.EINVAL):
            raise OSError(answer.err, f"Failed to close camera {self._id}")
