"""The SDK's CameraController, stand-in or Rethink's own."""

import errno

import pytest

baxter_interface = pytest.importorskip("baxter_interface", reason="needs the built workspace")
sdk_ros = pytest.importorskip("sdk_ros")

import rospy  # noqa: E402
from baxter_core_msgs.srv import CloseCameraResponse, ListCamerasResponse, OpenCameraResponse  # noqa: E402

EXPOSURE, GAIN, RED, GREEN, BLUE, WINDOW_X, WINDOW_Y, FLIP, MIRROR, HALF = range(100, 110)


class Cameras:
    """A robot's camera services.

    Attributes:
        opened: every request to open one.
        error: what the services answer.
    """

    def __init__(self, ros):
        self.opened, self.closed, self.error = [], [], 0
        names = ["left_hand_camera", "head_camera"]
        ros.offered.update(
            {
                "/cameras/list": lambda _request: ListCamerasResponse(names),
                "/cameras/open": self.open,
                "/cameras/close": self.close,
            }
        )

    def open(self, request):
        self.opened.append(request)
        return OpenCameraResponse(self.error)

    def close(self, request):
        self.closed.append(request.name)
        return CloseCameraResponse(self.error)

    def last(self):
        """Size and rate, and controls as pairs, of the last request to open."""
        settings = self.opened[-1].settings
        return (settings.width, settings.height, settings.fps), [(item.id, item.value) for item in settings.controls]


@pytest.fixture
def ros(monkeypatch):
    return sdk_ros.Ros(monkeypatch)


@pytest.fixture
def cameras(ros):
    return Cameras(ros)


@pytest.fixture
def camera(cameras):
    return baxter_interface.CameraController("left_hand_camera")


def test_robot_without_camera_services(ros):
    with pytest.raises(rospy.ROSException):
        baxter_interface.CameraController("left_hand_camera")


def test_camera_that_is_not_there(cameras):
    with pytest.raises(AttributeError):
        baxter_interface.CameraController("right_hand_camera")
    assert cameras.opened == []


def test_open_and_close(cameras, camera):
    assert (camera.resolution, camera.fps) == ((320, 200), 20)
    camera.open()
    assert cameras.opened[0].name == "left_hand_camera"
    assert cameras.last() == ((320, 200, 20.0), [])
    camera.close()
    assert cameras.closed == ["left_hand_camera"]


def test_head_camera_is_turned_upright(cameras):
    baxter_interface.CameraController("head_camera").open()
    assert cameras.last()[1] == [(FLIP, 1), (MIRROR, 1)]


def test_refusals(cameras, camera):
    cameras.error = errno.EINVAL
    camera.close()  # closed already
    with pytest.raises(OSError) as caught:
        camera.open()
    assert caught.value.errno == errno.EINVAL
    cameras.error = errno.EBUSY
    for call in (camera.close, lambda: setattr(camera, "gain", 5)):
        with pytest.raises(OSError) as caught:
            call()
        assert caught.value.errno == errno.EBUSY
    assert camera.gain == 5


def test_resolution(cameras, camera):
    camera.resolution = [1280, 800]
    assert camera.resolution == (1280, 800)
    assert cameras.last() == ((1280, 800, 20.0), [])
    with pytest.raises(ValueError, match="1000"):
        camera.resolution = (1000, 1000)
    with pytest.raises(AttributeError):
        camera.resolution = (1280, 800, 3)
    assert (camera.resolution, len(cameras.opened)) == ((1280, 800), 1)


def test_settings_open_the_camera_again_in_the_order_in_which_they_were_first_set(cameras, camera):
    camera.gain = 5
    camera.exposure = 30
    camera.gain = 7.9
    camera.fps = 10
    assert cameras.last() == ((320, 200, 10.0), [(GAIN, 7), (EXPOSURE, 30)])
    assert len(cameras.opened) == 4


@pytest.mark.parametrize(
    ("name", "control", "largest"),
    [
        ("exposure", EXPOSURE, 100),
        ("gain", GAIN, 79),
        ("white_balance_red", RED, 4095),
        ("white_balance_green", GREEN, 4095),
        ("white_balance_blue", BLUE, 4095),
    ],
)
def test_controls_have_a_range_or_are_automatic(cameras, camera, name, control, largest):
    assert getattr(camera, name) == camera.CONTROL_AUTO
    for value in (0, largest, camera.CONTROL_AUTO):
        setattr(camera, name, value)
        assert getattr(camera, name) == value
        assert cameras.last()[1] == [(control, value)]
    for value in (-2, largest + 1):
        with pytest.raises(ValueError, match="."):
            setattr(camera, name, value)
    assert getattr(camera, name) == camera.CONTROL_AUTO


@pytest.mark.parametrize(("name", "control"), [("flip", FLIP), ("mirror", MIRROR), ("half_resolution", HALF)])
def test_switches(cameras, camera, name, control):
    assert not getattr(camera, name)
    setattr(camera, name, True)
    assert getattr(camera, name) == 1
    assert cameras.last()[1] == [(control, 1)]
    setattr(camera, name, False)
    assert cameras.last()[1] == [(control, 0)]


def test_window(cameras, camera):
    camera.resolution = (640, 400)
    assert camera.window == (640, 400)
    camera.half_resolution = True
    assert camera.window == (320, 200)
    camera.window = (320, 200)
    assert (camera.window, cameras.last()[1]) == ((320, 200), [(HALF, 1), (WINDOW_X, 320), (WINDOW_Y, 200)])
    for window in ((321, 0), (0, 201), (-1, 0)):
        with pytest.raises(ValueError, match="."):
            camera.window = window
    assert camera.window == (320, 200)
