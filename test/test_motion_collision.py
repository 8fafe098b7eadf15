"""Collision scenes: distances against a second computation, certified edges, walls, shapes that enclose."""

from xml.etree import ElementTree

import numpy as np
import pytest
from motion_samples import ROBOT, TABLE, arms_distance, box_distance, capsule_points

from grasp_learning.calibration import load_calibration
from grasp_learning.geometry import Camera, top_down_pose
from grasp_learning.motion.collision import HORIZON, Box, CollisionScene
from grasp_learning.motion.kinematics import NEUTRAL, Kinematics
from grasp_learning.motion.robot_model import JOINT_SUFFIXES, RobotModel, Shape
from grasp_learning.motion.shapes import enclose
from grasp_learning.robot_description import find_package_file, load_urdf
from grasp_learning.silhouette import Silhouette

BOX = Box("crate", (0.7, 0.3, 0.2), (0.3, 0.1, 0.3))


def random_joints(scene, rng):
    return rng.uniform(scene.lower, scene.upper)


def test_a_mesh_at_the_torso_as_in_rethinks_description_is_refused_and_hides_no_arm_from_the_camera():
    tree = ElementTree.fromstring(load_urdf())
    (torso,) = (link for link in tree.findall("link") if link.get("name") == "torso")
    geometry = ElementTree.SubElement(ElementTree.SubElement(torso, "collision"), "geometry")
    ElementTree.SubElement(geometry, "mesh", filename="package://baxter_description/meshes/torso/base_link.DAE")
    robot = RobotModel(ElementTree.tostring(tree, encoding="unicode"))
    with pytest.raises(ValueError, match="link 'torso' has a collision mesh"):
        CollisionScene(robot, "left")
    camera = Camera(480, 270, np.array([[265.0, 0, 239.5], [0, 265.0, 134.5], [0, 0, 1]]))
    joints = {f"{side}_{name}": q for side in ("left", "right") for name, q in zip(JOINT_SUFFIXES, NEUTRAL)}
    T_base_kinect = load_calibration(find_package_file("config/calibration/sim.yaml")).T_base_kinect.matrix
    own, theirs = (Silhouette(each).mask(joints, camera, T_base_kinect) for each in (ROBOT, robot))
    assert own.any() and (own == theirs).all()


@pytest.mark.parametrize(
    "shape",
    [
        Shape("cylinder", (0.06, 0.272), np.eye(4)),
        Shape("cylinder", (0.06, 0.10), np.eye(4)),
        Shape("cylinder", (0.04, 0.0464), np.eye(4)),
        Shape("box", (0.042, 0.0065, 0.037), np.eye(4)),
        Shape("box", (0.05, 0.08, 0.03), np.eye(4)),
        Shape("sphere", (0.22,), np.eye(4)),
    ],
)
def test_capsules_contain_the_shapes_they_stand_for(shape):
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(2000, 3))
    if shape.kind == "box":
        surface = np.sign(directions) * np.asarray(shape.size) / 2
    elif shape.kind == "cylinder":
        radial = directions[:, :2] / np.linalg.norm(directions[:, :2], axis=1, keepdims=True)
        surface = np.column_stack([shape.size[0] * radial, np.sign(directions[:, 2]) * shape.size[1] / 2])
    else:
        surface = shape.size[0] * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    T, radius, half = enclose(shape)
    local = (surface - T[:3, 3]) @ T[:3, :3]
    local[:, 2] -= np.clip(local[:, 2], -half, half)
    assert np.linalg.norm(local, axis=1).max() <= radius + 1e-9


@pytest.mark.parametrize("side", ["left", "right"])
def test_distances_to_a_box_agree_with_a_second_computation(side):
    mirrored = Box("crate", (0.7, 0.3 if side == "left" else -0.3, 0.2), BOX.size)
    scene, empty = CollisionScene(ROBOT, side, boxes=[mirrored]), CollisionScene(ROBOT, side)
    rng, compared = np.random.default_rng(1), 0
    for _ in range(150):
        q = random_joints(scene, rng)
        expected = min(box_distance(side, q, mirrored), empty.clearance(q), HORIZON)
        if expected > 0:
            assert scene.clearance(q) == pytest.approx(expected, abs=2e-3)
            compared += 1
        else:
            assert scene.clearance(q) <= 0
    assert compared > 50


def test_distance_to_the_other_arm_agrees_with_a_second_computation():
    rng, near = np.random.default_rng(2), 0
    scene, alone = CollisionScene(ROBOT, "left", other_arm_q=NEUTRAL), CollisionScene(ROBOT, "left")
    for _ in range(120):
        q, other = random_joints(scene, rng), random_joints(scene, rng)
        scene.set_other_arm(other)
        between = arms_distance(q, other)
        expected = min(between, alone.clearance(q), HORIZON)
        if between > 0.005:
            assert scene.clearance(q) == pytest.approx(expected, abs=3e-3) or expected < 0
            near += between < HORIZON
        elif between < -0.005:
            assert not scene.is_valid(q)
            near += 1
    assert near > 8


def test_neutral_is_free_and_the_table_is_not():
    scene = CollisionScene(ROBOT, "left", TABLE, NEUTRAL, 0.02)
    assert scene.is_valid(NEUTRAL) and scene.collisions(NEUTRAL) == []
    q = Kinematics(ROBOT, "left").ik(top_down_pose(0.65, 0.25, -0.2, 0.3), NEUTRAL)[0]
    assert not scene.is_valid(q)
    assert any("finger" in pair and "table" in pair for pair in scene.collisions(q))


def test_joints_beyond_their_limits_are_not_valid():
    scene = CollisionScene(ROBOT, "left")
    q = NEUTRAL.copy()
    q[3] = -0.1
    assert not scene.is_valid(q)
    assert not scene.edge_is_valid(NEUTRAL, q)
    assert scene.collisions(q) == ["left_lower_elbow beyond its joint limit"]


def test_a_thin_plate_between_two_free_states_is_found():
    plate = Box("plate", (0.75, 0.45, 0.3), (0.6, 0.002, 1.2))
    scene = CollisionScene(ROBOT, "left", boxes=[plate])
    kinematics = Kinematics(ROBOT, "left")
    near_side = kinematics.ik(top_down_pose(0.6, 0.75, 0.15, 0.0), NEUTRAL)[0]
    far_side = kinematics.ik(top_down_pose(0.6, 0.2, 0.15, 0.0), near_side)[0]
    assert scene.is_valid(near_side) and scene.is_valid(far_side)
    assert not scene.edge_is_valid(near_side, far_side)
    assert CollisionScene(ROBOT, "left").edge_is_valid(near_side, far_side)


def test_edges_called_free_stay_free_when_rechecked_finely():
    scene = CollisionScene(ROBOT, "left", TABLE, NEUTRAL, 0.02, [BOX])
    rng, free = np.random.default_rng(3), 0
    states = [q for q in (random_joints(scene, rng) for _ in range(250)) if scene.is_valid(q)]
    for a, b in zip(states[:-1], states[1:]):
        if not scene.edge_is_valid(a, b):
            continue
        free += 1
        steps = int(np.ceil(np.abs(b - a).max() / 0.01))
        assert all(scene.is_valid(a + (b - a) * k / steps) for k in range(steps + 1))
    assert free > 5


def test_paths_called_free_stay_free_and_blocked_ones_are_found():
    scene = CollisionScene(ROBOT, "left", TABLE, boxes=[BOX])
    rng, answers = np.random.default_rng(4), []
    states = [q for q in (random_joints(scene, rng) for _ in range(150)) if scene.is_valid(q)]
    for a, b in zip(states[:-1], states[1:]):
        points = a + np.linspace(0, 1, 200)[:, None] * (b - a)
        answers.append(scene.path_is_valid(points))
        clearance = min(scene.clearance(q) for q in points)
        assert answers[-1] == (clearance > 0) or 0 < clearance < 0.006  # within the padding it may refuse
    assert True in answers and False in answers


@pytest.mark.parametrize("side, sign", [("left", 1), ("right", -1)])
def test_the_wall_holds_back_everything_from_the_elbow_on(side, sign):
    margin = 0.02
    scene, open_scene = CollisionScene(ROBOT, side, wall_y=margin), CollisionScene(ROBOT, side)
    rng, blocked = np.random.default_rng(5), 0
    for _ in range(400):
        q = random_joints(scene, rng)
        if scene.is_valid(q):
            # the first two links, shoulder and upper arm, are not held back
            points, radii = capsule_points(side, q)
            assert (sign * points[-60:, 1] - radii[-60:]).min() > margin - 1e-6
        elif open_scene.is_valid(q):
            blocked += 1
    assert blocked > 20


def test_margins_shrink_for_an_arm_that_stands_inside_them_but_not_beyond_the_wall():
    scene = CollisionScene(ROBOT, "left", wall_y=0.02)
    kinematics, rng = Kinematics(ROBOT, "left"), np.random.default_rng(6)

    def least_y(q):
        points, radii = capsule_points("left", q)
        return (points[:, 1] - radii).min()

    def find(low, high):
        for y in np.linspace(0.12, 0.02, 60):
            for q in kinematics.ik(top_down_pose(0.6, y, 0.1, 0.0), NEUTRAL, rng):
                if low < least_y(q) < high and all("virtual wall" in pair for pair in scene.collisions(q)):
                    return q
        raise AssertionError("no such posture")

    inside, beyond = find(0.006, 0.014), find(-0.02, -0.006)
    assert not scene.is_valid(inside) and not scene.is_valid(beyond)
    scene.forgive(beyond)
    assert not scene.is_valid(beyond)
    scene.forgive(inside)
    assert scene.is_valid(inside)
    scene.forgive(None)
    assert not scene.is_valid(inside)


def test_the_other_arm_must_be_asked_for():
    with pytest.raises(ValueError, match="without the other arm"):
        CollisionScene(ROBOT, "left").set_other_arm(NEUTRAL)


def test_an_arm_hides_what_is_behind_it_and_nothing_else():
    scene = CollisionScene(ROBOT, "left", TABLE)
    points, radii = capsule_points("left", NEUTRAL)
    arm = points[radii > 0.055]  # upper arm, elbow, forearm
    eye = np.array([0.2, 0.0, 0.9])
    for point in arm[:: len(arm) // 10]:
        way = point - eye
        assert scene.hides(NEUTRAL, eye, eye + 1.5 * way), "beyond the arm"
        assert not scene.hides(NEUTRAL, eye, eye + 0.5 * way), "before it"
    assert not scene.hides(NEUTRAL, eye, np.array([0.7, -0.3, -0.1])), "on the other side of the table"
    # what the hand carries is not hidden by the hand
    kinematics = Kinematics(ROBOT, "left")
    held = kinematics.fk(NEUTRAL)[:3, 3]
    assert not scene.hides(NEUTRAL, held + [0.0, 0.0, 0.5] + [0.3, 0.0, 0.0], held)


def test_the_other_arm_hides_too():
    scene = CollisionScene(ROBOT, "left", TABLE, NEUTRAL)
    hand = Kinematics(ROBOT, "right").fk(NEUTRAL)[:3, 3]
    eye = np.array([0.2, 0.0, 0.9])
    wrist = hand + [0.0, 0.0, 0.25]
    assert scene.hides(NEUTRAL, eye, eye + 1.3 * (wrist - eye))
    assert not CollisionScene(ROBOT, "left", TABLE).hides(NEUTRAL, eye, eye + 1.3 * (wrist - eye))
