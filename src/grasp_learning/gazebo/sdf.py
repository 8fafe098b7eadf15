"""SDF models for Gazebo 11: the table, the bins, the Kinect and the objects, from what MuJoCo's world is made of.

Coordinates are Gazebo's: metres, poses as x y z roll pitch yaw, a sensor looks along x with y to its left. The models
of the workcell are made in the base frame and of the objects in their own, so a model is spawned at the base's pose or
at the object's.
"""

import math
import warnings
from typing import Iterable, List, Optional, Sequence, Tuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from grasp_learning.bins import Bins
from grasp_learning.calibration import Table
from grasp_learning.geometry import transform
from grasp_learning.sim.camera_models import KINECT
from grasp_learning.sim.objects import ObjectSpec, add_to_spec
from grasp_learning.sim.shapes import GeomSpec
from grasp_learning.sim.world import BIN_COLOR, TABLE_COLOR, TABLE_FRICTION, TABLE_THICKNESS

SDF_VERSION = "1.6"  # Gazebo 11 reads up to 1.7; later versions know capsules and ellipsoids
LINK = "link"

# Stiffness (N/m), damping (N s/m) and depth (m) of contacts: the objects are light
CONTACT = {"kp": 1e6, "kd": 1.0, "max_vel": 0.1, "min_depth": 0.0005}
# Share of its speed that a rolling object loses in a step: ODE has no rolling friction
ROLLING_DECAY = 0.02

KINECT_TOPICS = "/kinect2/hd"
KINECT_FRAME = "kinect2_rgb_optical_frame"
KINECT_RANGE = (0.5, 4.5)  # m
# A sensor's axes (x forward, y left) in the optical frame (z forward, x right)
R_OPTICAL_SENSOR = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])

Shape = Tuple[np.ndarray, Element]
"""A pose (4, 4) in the model's frame, and a geometry."""


def to_text(model: Element) -> str:
    """The SDF document of one model."""
    root = Element("sdf", version=SDF_VERSION)
    root.append(model)
    return '<?xml version="1.0"?>\n' + ElementTree.tostring(root, encoding="unicode")


def object_model(obj: ObjectSpec, sphere_uri: str, name: Optional[str] = None) -> Element:
    """An object with MuJoCo's shapes, mass, inertia and friction; a pattern is left to its first colour.

    Args:
        sphere_uri: of the mesh of :mod:`grasp_learning.gazebo.sphere_mesh`, which stands for ellipsoids.
        name: of the model; the object's own by default.
    """
    model = Element("model", name=name or obj.name)
    link = SubElement(model, "link", name=LINK)
    _add_inertia(link, obj)
    for index, part in enumerate(obj.geoms):
        for number, shape in enumerate(_shapes(part, sphere_uri)):
            _add_shape(link, f"part_{index}_{number}", shape, part.rgba, obj.friction)
    if obj.rolls:
        decay = SubElement(link, "velocity_decay")
        _add_values(decay, {"linear": 0.0, "angular": ROLLING_DECAY})
    return model


def table_model(table: Table) -> Element:
    """The table's slab, fixed, in the base frame."""
    center = [(table.x_min + table.x_max) / 2, (table.y_min + table.y_max) / 2, table.z - TABLE_THICKNESS / 2]
    size = [table.x_max - table.x_min, table.y_max - table.y_min, TABLE_THICKNESS]
    shape = (transform(np.eye(3), center), _box(size))
    return _fixed_model("table", [("slab", shape)], TABLE_COLOR, TABLE_FRICTION)


def bins_model(bins: Bins) -> Element:
    """The bins beside the table, fixed, in the base frame."""
    walls = [
        (f"{arm}_{number}", (transform(np.eye(3), center), _box(2.0 * half)))
        for arm, one in bins.by_arm.items()
        for number, (center, half) in enumerate(one.walls)
    ]
    return _fixed_model("bins", walls, BIN_COLOR, TABLE_FRICTION)


def kinect_model(T_base_kinect: np.ndarray, rate: float) -> Element:
    """A Kinect V2's colour camera with depth, fixed, in the base frame; its topics are named as kinect2_bridge does.

    Args:
        T_base_kinect: (4, 4) pose of its colour optical frame.
        rate: of its pictures (Hz).
    """
    model = Element("model", name="kinect")
    SubElement(model, "static").text = "true"
    link = SubElement(model, "link", name=LINK)
    T_base_sensor = T_base_kinect @ transform(R_OPTICAL_SENSOR, np.zeros(3))
    _add_pose(link, T_base_sensor)
    # behind the lens, so that it does not stand in its own picture; no collision: the planners do not know it either
    case = SubElement(link, "visual", name="case")
    _add_pose(case, transform(np.eye(3), [-0.05, 0.0, 0.0]))
    SubElement(case, "geometry").append(_box([0.06, 0.25, 0.066]))
    _add_colour(case, [0.1, 0.1, 0.1, 1.0])
    sensor = SubElement(link, "sensor", name="kinect", type="depth")
    _add_values(sensor, {"always_on": "true", "update_rate": rate})
    camera = SubElement(sensor, "camera")
    _add_values(camera, {"horizontal_fov": 2 * math.atan(KINECT.width / (2 * KINECT.focal_length))})
    image = SubElement(camera, "image")
    _add_values(image, {"width": KINECT.width, "height": KINECT.height, "format": "B8G8R8"})
    _add_values(SubElement(camera, "clip"), {"near": KINECT_RANGE[0], "far": KINECT_RANGE[1]})
    plugin = SubElement(sensor, "plugin", name="kinect_driver", filename="libgazebo_ros_openni_kinect.so")
    _add_values(plugin, _kinect_driver(rate))
    return model


def _kinect_driver(rate: float) -> dict:
    """Parameters of gazebo_plugins' depth camera: topics below the camera's name."""
    return {
        "alwaysOn": "true",
        "updateRate": rate,
        "cameraName": KINECT_TOPICS,
        "frameName": KINECT_FRAME,
        "imageTopicName": "image_color",
        "cameraInfoTopicName": "camera_info",
        "depthImageTopicName": "image_depth_rect",
        "depthImageCameraInfoTopicName": "depth_camera_info",
        "pointCloudTopicName": "points",
        "pointCloudCutoff": KINECT_RANGE[0],
        "pointCloudCutoffMax": KINECT_RANGE[1],
        "hackBaseline": 0.0,
        **{name: 0.0 for name in ("distortionK1", "distortionK2", "distortionK3", "distortionT1", "distortionT2")},
        **{name: 0.0 for name in ("CxPrime", "Cx", "Cy", "focalLength")},  # 0: computed from the field of view
    }


def _fixed_model(name: str, shapes: Iterable[Tuple[str, Shape]], rgba: Sequence[float], friction: float) -> Element:
    model = Element("model", name=name)
    SubElement(model, "static").text = "true"
    link = SubElement(model, "link", name=LINK)
    for part, shape in shapes:
        _add_shape(link, part, shape, rgba, friction)
    return model


def _add_inertia(link: Element, obj: ObjectSpec) -> None:
    """Mass, centre of mass and principal inertia, as MuJoCo adds up the parts."""
    spec = mujoco.MjSpec()
    add_to_spec(spec, obj, "object")
    body = spec.compile().body("object")
    inertial = SubElement(link, "inertial")
    w, x, y, z = body.iquat
    _add_pose(inertial, transform(Rotation.from_quat([x, y, z, w]).as_matrix(), body.ipos))
    _add_values(inertial, {"mass": body.mass[0]})
    inertia = SubElement(inertial, "inertia")
    ixx, iyy, izz = body.inertia
    _add_values(inertia, {"ixx": ixx, "ixy": 0.0, "ixz": 0.0, "iyy": iyy, "iyz": 0.0, "izz": izz})


def _shapes(part: GeomSpec, sphere_uri: str) -> List[Shape]:
    """A part in the shapes that SDF 1.6 has: a capsule is a cylinder and two spheres, an ellipsoid a scaled mesh."""
    T = transform(part.rotation, part.pos)
    a, b, _ = part.size
    if part.kind == "box":
        return [(T, _box([2.0 * half for half in part.size]))]
    if part.kind == "sphere":
        return [(T, _sphere(a))]
    if part.kind == "cylinder":
        return [(T, _cylinder(a, 2.0 * b))]
    if part.kind == "capsule":
        ends = [(T @ transform(np.eye(3), [0.0, 0.0, end]), _sphere(a)) for end in (b, -b)]
        return [(T, _cylinder(a, 2.0 * b)), *ends]
    mesh = Element("mesh")
    _add_values(mesh, {"uri": sphere_uri, "scale": _numbers(part.size)})
    return [(T, mesh)]


def _box(size: Sequence[float]) -> Element:
    box = Element("box")
    _add_values(box, {"size": _numbers(size)})
    return box


def _sphere(radius: float) -> Element:
    sphere = Element("sphere")
    _add_values(sphere, {"radius": radius})
    return sphere


def _cylinder(radius: float, length: float) -> Element:
    cylinder = Element("cylinder")
    _add_values(cylinder, {"radius": radius, "length": length})
    return cylinder


def _add_shape(link: Element, name: str, shape: Shape, rgba: Sequence[float], friction: float) -> None:
    """One shape that collides and is seen."""
    T, geometry = shape
    collision, visual = SubElement(link, "collision", name=name), SubElement(link, "visual", name=name)
    for entry in (collision, visual):
        _add_pose(entry, T)
        SubElement(entry, "geometry").append(geometry)
    surface = SubElement(collision, "surface")
    _add_values(SubElement(SubElement(surface, "friction"), "ode"), {"mu": friction, "mu2": friction})
    _add_values(SubElement(SubElement(surface, "contact"), "ode"), CONTACT)
    _add_colour(visual, rgba)


def _add_colour(visual: Element, rgba: Sequence[float]) -> None:
    text = _numbers(rgba)
    _add_values(SubElement(visual, "material"), {"ambient": text, "diffuse": text})


def _add_pose(parent: Element, T: np.ndarray) -> None:
    with warnings.catch_warnings():
        # an upended cylinder has no one roll and yaw: any pair will do
        warnings.filterwarnings("ignore", message="Gimbal lock")
        rpy = Rotation.from_matrix(T[:3, :3]).as_euler("xyz")
    SubElement(parent, "pose").text = _numbers([*T[:3, 3], *rpy])


def _add_values(parent: Element, values: dict) -> None:
    for key, value in values.items():
        SubElement(parent, key).text = value if isinstance(value, str) else _numbers([value])


def _numbers(values: Iterable[float]) -> str:
    return " ".join(f"{float(value):.9g}" for value in values)
