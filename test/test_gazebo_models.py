"""The models for Gazebo: valid SDF, and the same workcell and objects as in MuJoCo."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from sdf_grammar import Grammar, find_descriptions

from grasp_learning.bins import load_bins
from grasp_learning.calibration import load_calibration
from grasp_learning.gazebo.models import main, object_models, workcell_models
from grasp_learning.gazebo.sdf import SDF_VERSION, kinect_model, object_model, to_text
from grasp_learning.gazebo.sphere_mesh import sphere_triangles, write_sphere
from grasp_learning.robot_description import find_package_file
from grasp_learning.sim.objects import catalogue

CALIBRATION = find_package_file("config/calibration/gazebo.yaml")
BINS = find_package_file("config/bins/gazebo.yaml")


@pytest.fixture(scope="module")
def models():
    return {model.get("name"): model for model in workcell_models(CALIBRATION, BINS) + object_models()}


@pytest.fixture(scope="module")
def grammar():
    folder = find_descriptions(SDF_VERSION)
    if folder is None:
        pytest.skip("the package sdformat-sdf is not installed: SDF models are not checked against the format")
    return Grammar(folder)


def numbers(element, path):
    return np.array([float(word) for word in element.find(path).text.split()])


def pose_of(element):
    values = numbers(element, "pose")
    return Rotation.from_euler("xyz", values[3:]).as_matrix(), values[:3]


def reach(collision, axis):
    """How far a collision shape reaches along a direction of the model's frame (m)."""
    R, t = pose_of(collision)
    (shape,) = collision.find("geometry")
    local = R.T @ axis
    if shape.tag == "box":
        return t @ axis + np.abs(local) @ numbers(shape, "size") / 2
    if shape.tag == "sphere":
        return t @ axis + numbers(shape, "radius")[0]
    if shape.tag == "mesh":
        return t @ axis + np.linalg.norm(local * numbers(shape, "scale"))
    half = numbers(shape, "length")[0] / 2
    return t @ axis + numbers(shape, "radius")[0] * np.linalg.norm(local[:2]) + half * abs(local[2])


def extents_of(model):
    parts = model.findall("link/collision")
    return np.array([sum(max(reach(part, sign * axis) for part in parts) for sign in (1, -1)) for axis in np.eye(3)])


def test_every_model_is_valid_sdf(models, grammar):
    assert len(models) == 3 + len(catalogue("train")) + len(catalogue("test"))
    wrong = {name: grammar.errors(to_text(model)) for name, model in models.items()}
    assert {name: lines for name, lines in wrong.items() if lines} == {}


@pytest.mark.parametrize(
    "old, new, says",
    [
        ("<radius>", "<radius>wide ", "is no double"),
        ("<mass>", "<weight>1</weight><mass>", "unknown element weight"),
        ("<geometry>", "<geometry></geometry><geometry>", "2 times geometry"),
        ('<link name="link">', "<link>", "no name"),
    ],
)
def test_the_check_finds_what_is_not_valid(grammar, old, new, says):
    ball = next(obj for obj in catalogue("train") if obj.category == "ball")
    text = to_text(object_model(ball, "file:///sphere.stl"))
    assert old in text and any(says in line for line in grammar.errors(text.replace(old, new, 1)))


def test_objects_have_the_shape_and_weight_of_their_twins(models):
    for obj in catalogue("train") + catalogue("test"):
        link = models[obj.name].find("link")
        names = [part.get("name") for part in link.findall("collision")]
        assert len(names) == len(set(names)) == len(link.findall("visual"))
        assert extents_of(models[obj.name]) == pytest.approx(obj.extents, abs=1e-6), obj.name
        assert numbers(link, "inertial/mass")[0] == pytest.approx(obj.mass)
        inertia = np.array([numbers(link, f"inertial/inertia/{key}")[0] for key in ("ixx", "iyy", "izz")])
        assert inertia.min() > 0.0 and 2 * inertia.max() <= inertia.sum() * (1 + 1e-6), obj.name
        # a solid cannot be harder to turn than its mass at the end of its longest side
        assert inertia.max() < obj.mass * obj.radius**2, obj.name
        assert numbers(link, "collision/surface/friction/ode/mu")[0] == pytest.approx(obj.friction)


def test_the_inertia_of_a_ball_is_that_of_the_textbook(models):
    ball = next(obj for obj in catalogue("train") if obj.category == "ball")
    expected = 0.4 * ball.mass * ball.geoms[0].size[0] ** 2
    for key in ("ixx", "iyy", "izz"):
        assert numbers(models[ball.name], f"link/inertial/inertia/{key}")[0] == pytest.approx(expected)


def test_the_table_stands_where_the_calibration_says(models):
    table = load_calibration(CALIBRATION).table
    slab = models["table"].find("link/collision")
    upper = [reach(slab, axis) for axis in np.eye(3)]
    lower = [-reach(slab, -axis) for axis in np.eye(3)]
    assert upper == pytest.approx([table.x_max, table.y_max, table.z])
    assert lower[:2] == pytest.approx([table.x_min, table.y_min])
    assert models["table"].find("static").text == "true"


def test_the_bins_are_open_boxes_below_the_table(models):
    bins = load_bins(BINS)
    walls = models["bins"].findall("link/collision")
    assert len(walls) == 10
    assert max(reach(wall, np.array([0.0, 0.0, 1.0])) for wall in walls) == pytest.approx(bins.left.rim)


def test_the_kinect_looks_as_the_calibration_says():
    T = load_calibration(CALIBRATION).T_base_kinect.matrix
    model = kinect_model(T, rate=5.0)
    R, t = pose_of(model.find("link"))
    assert t == pytest.approx(T[:3, 3])
    # Gazebo's sensors look along x with y to the left, optical frames along z with x to the right
    assert R[:, 0] == pytest.approx(T[:3, 2]) and R[:, 1] == pytest.approx(-T[:3, 0])
    camera = model.find("link/sensor/camera")
    focal = numbers(camera, "image/width")[0] / 2 / np.tan(numbers(camera, "horizontal_fov")[0] / 2)
    assert focal == pytest.approx(1060.0)
    driver = model.find("link/sensor/plugin")
    topics = {driver.find(key).text for key in ("imageTopicName", "depthImageTopicName", "cameraInfoTopicName")}
    assert driver.find("cameraName").text == "/kinect2/hd"
    assert topics == {"image_color", "image_depth_rect", "camera_info"}


def test_the_mesh_is_a_closed_sphere_of_radius_1():
    corners = sphere_triangles()
    assert np.linalg.norm(corners, axis=2) == pytest.approx(1.0)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert np.all(np.sum(normals * corners.mean(axis=1), axis=1) > 0.0)  # all look outwards
    volume = np.sum(corners[:, 0] * np.cross(corners[:, 1], corners[:, 2])) / 6
    assert volume == pytest.approx(4 / 3 * np.pi, rel=0.03)
    edges = {}
    for triangle in np.round(corners, 9) + 0.0:
        for start, end in zip(triangle, np.roll(triangle, -1, axis=0)):
            edges[(tuple(start), tuple(end))] = edges.get((tuple(start), tuple(end)), 0) + 1
    assert all(count == 1 and edges.get(edge[::-1]) == 1 for edge, count in edges.items())


def test_the_mesh_file_is_binary_stl(tmp_path):
    path = write_sphere(tmp_path / "meshes")
    content = path.read_bytes()
    count = int.from_bytes(content[80:84], "little")
    assert count == len(sphere_triangles()) and len(content) == 84 + 50 * count
    first = np.frombuffer(content[84 + 12 : 84 + 48], "<f4").reshape(3, 3)
    assert first == pytest.approx(sphere_triangles()[0], abs=1e-6)


def test_the_command_writes_folders_that_gazebo_finds(tmp_path, capsys):
    out = tmp_path / "models"
    assert main(["--out", str(out)]) == 0
    assert f"GAZEBO_MODEL_PATH={out}" in capsys.readouterr().out
    for folder in out.iterdir():
        config = ElementTree.parse(folder / "model.config").getroot()
        model = ElementTree.parse(folder / config.find("sdf").text).getroot().find("model")
        assert model.get("name") == folder.name == config.find("name").text
        for uri in model.iter("uri"):
            assert (out / uri.text.replace("model://", "")).is_file()
    assert {"table", "bins", "kinect", "mug_00"} <= {folder.name for folder in out.iterdir()}


def test_the_command_names_the_file_that_is_wrong(tmp_path, capsys):
    missing = tmp_path / "none.yaml"
    assert main(["--out", str(tmp_path), "--calibration", str(missing)]) == 1
    assert str(missing) in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["--out", str(tmp_path / "file")]) == 1
    assert not Path(tmp_path / "file" / "table").exists()
