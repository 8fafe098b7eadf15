"""The simulated cameras: where things appear, how far they are, noise and light."""

import subprocess
import sys
import threading

import mujoco
import numpy as np
import pytest

from grasp_learning.geometry import top_down_pose
from grasp_learning.motion.kinematics import Kinematics
from grasp_learning.motion.robot_model import RobotModel
from grasp_learning.robot_description import arm_joints, load_urdf
from grasp_learning.sim import gl
from grasp_learning.sim.camera_models import KINECT, WRIST
from grasp_learning.sim.cameras import CameraRenderer, CameraSettings, RenderingError
from grasp_learning.sim.objects import ObjectSpec
from grasp_learning.sim.shapes import box, sphere
from grasp_learning.sim.world import World

EXACT = CameraSettings(colour_noise=0.0, depth_noise=0.0, blur=0.0)
RED, BLUE = (1.0, 0.0, 0.0, 1.0), (0.0, 0.0, 1.0, 1.0)


def marker(name, part):
    return ObjectSpec(name, "marker", "test", (part,), 0.05, 0.5, False)


BALL = marker("ball", sphere(0.006, (0, 0, 0), rgba=RED, mass=0.05))
BRICK = marker("brick", box((0.06, 0.06, 0.05), (0, 0, 0), rgba=BLUE, mass=0.05))


@pytest.fixture(scope="module")
def world():
    return World(0, [BALL, BRICK])


@pytest.fixture(scope="module")
def renderer(world):
    renderer = CameraRenderer(world.model, EXACT)
    yield renderer
    renderer.close()


def put(world, name, pos):
    world.data.joint(f"{name}_joint").qpos = [*pos, 1, 0, 0, 0]
    mujoco.mj_forward(world.model, world.data)


def centroid(picture, channel):
    """Pixel (u, v) of the middle of what is strongly coloured in one channel of a BGR picture."""
    others = [c for c in range(3) if c != channel]
    strength = picture[..., channel].astype(int) - picture[..., others].max(axis=2)
    rows, columns = np.nonzero(strength > 60)
    assert len(rows) > 20, "the marker is not in the picture"
    return np.array([columns.mean(), rows.mean()])


@pytest.mark.parametrize("point", [(0.5, -0.5, -0.09), (0.5, 0.5, -0.09), (0.95, 0.5, 0.1), (0.7, 0.0, 0.2)])
def test_kinect_shows_a_known_point_at_its_pixel_and_back(world, renderer, point):
    world.reset()
    put(world, "ball", point)
    picture, _ = renderer.kinect(world.data)
    # red things of the robot are elsewhere: look around the expected place alone
    camera, T_base_kinect = renderer.camera("kinect"), world.calibration.T_base_kinect.matrix
    u, v = camera.base_to_pixels(np.array([point]), T_base_kinect)[0]
    row, column = int(v) - 30, int(u) - 30
    seen = centroid(picture[row : row + 60, column : column + 60], 2) + (column, row)
    assert np.abs(seen - (u, v)).max() < 0.7
    back = camera.pixels_to_plane(seen[None], T_base_kinect, point[2])[0]
    assert np.linalg.norm(back - point) < 0.0015


def test_kinect_formats(world, renderer):
    world.reset()
    picture, depth = renderer.kinect(world.data)
    assert picture.shape == (1080, 1920, 3) and picture.dtype == np.uint8
    assert depth.shape == (1080, 1920) and depth.dtype == np.uint16
    camera = renderer.camera("kinect")
    assert np.allclose(camera.K, KINECT.camera.K) and (camera.width, camera.height) == (1920, 1080)


def test_depth_of_the_table_and_of_a_box_in_millimetres(world, renderer):
    world.reset()
    put(world, "brick", (0.70, 0.20, -0.10 + 0.025))
    _, depth = renderer.kinect(world.data)
    T_kinect_base = np.linalg.inv(world.calibration.T_base_kinect.matrix)
    for point in [(0.70, 0.20, -0.05), (0.50, -0.50, -0.10), (1.00, 0.50, -0.10), (0.60, 0.05, -0.10)]:
        in_camera = T_kinect_base[:3, :3] @ point + T_kinect_base[:3, 3]
        u, v = np.rint(renderer.camera("kinect").project(in_camera)[0]).astype(int)
        assert depth[v, u] == pytest.approx(1000 * in_camera[2], abs=1.5)


def test_no_depth_out_of_range(world):
    near = CameraRenderer(world.model, CameraSettings(depth_noise=0.0, depth_max=1.15))
    _, depth = near.kinect(world.data)
    near.close()
    assert (depth == 0).mean() > 0.3
    assert depth.max() <= 1150 and depth[depth > 0].min() >= 500


def test_nothing_of_the_robots_head_hides_the_table(world, renderer):
    world.reset()
    _, depth = renderer.kinect(world.data)
    T = world.calibration.T_base_kinect.matrix
    table = world.table
    xs, ys = np.linspace(table.x_min + 0.01, table.x_max - 0.01, 12), np.linspace(-0.58, 0.58, 24)
    points = np.array([(x, y, table.z) for x in xs for y in ys])
    pixels = np.rint(renderer.camera("kinect").base_to_pixels(points, T)).astype(int)
    expected = 1000 * (points - T[:3, 3]) @ T[:3, 2]
    assert np.abs(depth[pixels[:, 1], pixels[:, 0]] - expected).max() < 3


@pytest.mark.parametrize("side", ["left", "right"])
def test_wrist_camera_sees_the_point_that_kinematics_says(world, renderer, side):
    world.reset()
    sign = 1 if side == "left" else -1
    kinematics = Kinematics(RobotModel(load_urdf()), side)
    pose = top_down_pose(0.65, sign * 0.25, 0.15, 0.4)
    q = kinematics.ik(pose, np.array(world.data.qpos[[world.model.joint(n).qposadr[0] for n in arm_joints(side)]]))[0]
    for name, angle in zip(arm_joints(side), q):
        world.data.joint(name).qpos = angle
    point = (0.62, sign * 0.27, -0.094)
    put(world, "ball", point)
    picture = renderer.wrist(world.data, side)
    assert picture.shape == (800, 1280, 3) and picture.dtype == np.uint8
    camera = renderer.camera(f"{side}_hand_camera")
    assert camera.focal_length == pytest.approx(810)
    expected = camera.base_to_pixels(np.array([point]), kinematics.T_base_camera(q))[0]
    assert np.abs(centroid(picture, 2) - expected).max() < 1.0


def test_colours_are_bgr(world, renderer):
    world.reset()
    put(world, "brick", (0.70, 0.20, -0.075))
    picture, _ = renderer.kinect(world.data)
    u, v = np.rint(
        renderer.camera("kinect").base_to_pixels(
            np.array([[0.70, 0.20, -0.05]]), world.calibration.T_base_kinect.matrix
        )[0]
    ).astype(int)
    blue, green, red = picture[v, u].astype(int)
    assert blue > 100 and green < 60 and red < 60


def test_same_seed_and_instant_same_picture_whatever_came_before(world):
    world.reset()
    pictures = []
    for warm_up in (0, 2):
        noisy = CameraRenderer(world.model, CameraSettings(seed=4))
        for _ in range(warm_up):
            noisy.wrist(world.data, "right")
        pictures.append((*noisy.kinect(world.data), noisy.wrist(world.data, "left")))
        noisy.close()
    assert all(np.array_equal(a, b) for a, b in zip(*pictures))


def test_noise_differs_between_instants_and_has_the_size_that_was_asked_for(world, renderer):
    world.reset()
    true_picture, true_depth = renderer.kinect(world.data)
    noisy = CameraRenderer(world.model, CameraSettings(seed=4, colour_noise=3.0, depth_noise=0.002, blur=0.0))
    first, depth = noisy.kinect(world.data)
    world.data.time += 1 / 30
    second, _ = noisy.kinect(world.data)
    world.data.time -= 1 / 30
    noisy.close()
    assert not np.array_equal(first, second)
    region = (slice(400, 700), slice(700, 1200))  # in the middle of the table
    error = first[region].astype(float) - true_picture[region]
    assert error.std() == pytest.approx(3.0, rel=0.1) and abs(error.mean()) < 0.2
    depth_error = depth[region].astype(float) - true_depth[region]
    assert depth_error.std() == pytest.approx(2.0, rel=0.1) and abs(depth_error.mean()) < 0.2


def test_light_drifts_slowly(world):
    world.reset()
    camera = CameraRenderer(world.model, EXACT, world.appearance)
    means = []
    for minute in range(6):
        world.data.time = 60.0 * minute
        picture, _ = camera.kinect(world.data)
        means.append(picture[400:700, 700:1200].mean())
    camera.close()
    world.appearance.update(world.model, 0.0)
    changes = np.abs(np.diff(means))
    assert changes.max() < 12.0, "the light jumps"
    assert changes.max() > 0.2, "the light never changes"


def test_a_crop_of_the_kinects_picture_is_that_part_of_it(world):
    camera = CameraRenderer(world.model, EXACT)
    picture, depth = camera.kinect(world.data)
    u, v, width, height = crop = (349, 270, 1221, 472)
    part, part_depth = camera.kinect(world.data, crop)
    camera.close()
    assert part.shape == (height, width, 3) and part_depth.shape == (height, width)
    window = (slice(v, v + height), slice(u, u + width))
    # edges may fall to either side of a pixel
    assert (np.abs(part.astype(int) - picture[window]) > 3).mean() < 2e-3
    assert (np.abs(part_depth.astype(int) - depth[window]) > 2).mean() < 2e-3


def test_model_without_cameras_is_refused():
    empty = mujoco.MjModel.from_xml_string("<mujoco><worldbody/></mujoco>")
    with pytest.raises(RenderingError, match="no camera called 'kinect'"):
        CameraRenderer(empty)


def test_model_with_a_small_offscreen_buffer_is_refused():
    cameras = "".join(f'<camera name="{name}"/>' for name in ("kinect", "left_hand_camera", "right_hand_camera"))
    small = mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{cameras}</worldbody></mujoco>")
    camera = CameraRenderer(small)
    with pytest.raises(RenderingError, match="640x480 px is smaller"):
        camera.wrist(mujoco.MjData(small), "left")
    camera.close()


def test_unknown_side_is_refused(world, renderer):
    with pytest.raises(RenderingError, match="middle_hand_camera"):
        renderer.wrist(world.data, "middle")


def test_another_thread_is_refused_but_may_have_its_own(world, renderer):
    renderer.wrist(world.data, "left")
    outcome = {}

    def work():
        try:
            renderer.wrist(world.data, "left")
        except RenderingError as error:
            outcome["error"] = str(error)
        own = CameraRenderer(world.model, EXACT)
        outcome["picture"] = own.wrist(world.data, "left")
        own.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert "another thread" in outcome["error"]
    assert np.array_equal(outcome["picture"], renderer.wrist(world.data, "left"))


def test_without_a_library_the_error_names_the_packages(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(gl, "_LIBRARIES", {"egl": ("libNoEGL.so.1",), "osmesa": ("libNoMesa.so.8",)})
    with pytest.raises(RenderingError, match="install libegl1 or libosmesa6"):
        gl.create_context(64, 64)


def test_falls_back_to_osmesa_where_egl_is_missing():
    code = (
        "from grasp_learning.sim import gl; import os\n"
        "gl._LIBRARIES['egl'] = ('libNoEGL.so.1',)\n"
        "gl.create_context(64, 64).free(); print(os.environ['MUJOCO_GL'])"
    )
    try:
        gl._check_library("osmesa")
    except OSError as error:
        pytest.skip(str(error))
    environment = {key: value for key, value in gl.os.environ.items() if key not in ("MUJOCO_GL", "PYOPENGL_PLATFORM")}
    environment["PYTHONPATH"] = gl.os.pathsep.join(sys.path)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "osmesa"


def test_wrist_intrinsics_are_symmetric():
    camera = WRIST.camera
    # the middle of a picture of even size lies between its two middle pixels
    assert np.allclose(camera.project(np.array([[0.0, 0.0, 1.0]])), [[639.5, 399.5]])
