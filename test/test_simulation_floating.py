"""The carried gripper: it gives way, stops and moves as the arm's hand does, and jumps without losing things."""

import os

os.environ.setdefault("LP_NUM_THREADS", "1")  # before OpenGL is loaded

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from physics_scene import block  # noqa: E402

from grasp_learning.execution.arm import Contact  # noqa: E402
from grasp_learning.geometry import top_down_pose, transform  # noqa: E402
from grasp_learning.robot_description import NEUTRAL  # noqa: E402
from grasp_learning.sim.baxter import SimulatedBaxter  # noqa: E402
from grasp_learning.sim.world import World  # noqa: E402
from grasp_learning.simulation.carrier import HandCarrier  # noqa: E402
from grasp_learning.simulation.floating import FloatingRig, Jump, neutral_yaw, straight  # noqa: E402
from grasp_learning.simulation.rig import RigSettings  # noqa: E402
from grasp_learning.trial import Grasp, Outcome  # noqa: E402

SPOT = (0.65, 0.25)


def make(*objects):
    rig = FloatingRig(World(0, objects, robot=HandCarrier()), RigSettings(), lambda arm: None)
    rig.gripper("left").calibrate()
    rig.gripper("left").open()
    rig.sleep(1.0)
    return rig


def stand(rig, name, yaw=0.0):
    """Stand an object on the spot, its width along y."""
    world = rig.world
    z = world.table.z + world.objects[world.object_names.index(name)].extents[2] / 2
    world.place(name, (*SPOT, z), (np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)))
    rig.sleep(0.2)


def grasp_at(rig, dx=0.0, dy=0.0, arm="left"):
    x, y = SPOT[0] + dx, SPOT[1] + dy
    return Grasp(arm, 0.0, 0.0, 0.0, x, y, rig.world.table.z + 0.012, np.pi / 2, np.pi / 2, 9, 1)


def arm_and_motions(rig):
    arm = rig._parts("left")[0]
    return arm, rig._make_motions("left")


def test_the_hand_is_that_of_the_whole_robot():
    """Camera, pads and masses relative to the point between the fingertips."""
    carried, whole = World(0, [], robot=HandCarrier()), World(0, [])

    def seen_from_gripper(world, body):
        gripper, other = world.data.body("left_gripper"), world.data.body(body)
        T = transform(gripper.xmat.reshape(3, 3), gripper.xpos)
        return np.linalg.inv(T) @ transform(other.xmat.reshape(3, 3), other.xpos)

    for name in ("left_hand_camera", "left_wrist", "l_gripper_l_finger_tip", "l_gripper_r_finger_tip"):
        np.testing.assert_allclose(seen_from_gripper(carried, name), seen_from_gripper(whole, name), atol=1e-9)
        assert carried.model.body(name).mass == whole.model.body(name).mass
    for pad in ("left_l_pad", "left_r_pad"):
        np.testing.assert_array_equal(carried.model.geom(pad).friction, whole.model.geom(pad).friction)
        np.testing.assert_array_equal(carried.model.geom(pad).size, whole.model.geom(pad).size)
    drive = "left_gripper"
    np.testing.assert_array_equal(carried.model.actuator(drive).gainprm, whole.model.actuator(drive).gainprm)


@pytest.mark.parametrize("side", ["left", "right"])
def test_an_approach_begins_with_the_arms_own_turn(side):
    robot = SimulatedBaxter(World(0, []))
    y_axis = robot.endpoint_pose(side)[:3, 1]
    assert neutral_yaw(side) == pytest.approx(np.arctan2(y_axis[1], y_axis[0]), abs=1e-3)
    assert len(NEUTRAL) == 7


def test_joints_are_the_pose_of_the_fingertips():
    rig = make()
    rig.robot.jump(np.array([0.7, -0.2, 0.3, 1.0]))
    rig.sleep(0.2)
    np.testing.assert_allclose(rig.robot.positions(), [0.7, -0.2, 0.3, 1.0], atol=1e-4)
    np.testing.assert_allclose(rig.robot._pose(), top_down_pose(0.7, -0.2, 0.3, 1.0), atol=1e-3)


def test_straight_lines_keep_to_speed_and_acceleration():
    start, offset = np.array([0.6, 0.2, 0.3, 0.5]), np.array([0.0, 0.0, -0.2, 0.0])
    line = straight(start, offset, 0.25, 1.0)
    np.testing.assert_allclose(line.positions[0], start)
    np.testing.assert_allclose(line.positions[-1], start + offset, atol=1e-9)
    assert np.abs(line.velocities).max() == pytest.approx(0.25, abs=1e-6)
    np.testing.assert_allclose(line.velocities[[0, -1]], 0.0, atol=1e-9)
    assert line.duration == pytest.approx(0.2 / 0.25 + 0.25)
    np.testing.assert_allclose(np.gradient(line.positions[:, 2], line.times), line.velocities[:, 2], atol=0.01)
    # too short to reach the speed
    short = straight(start, np.array([0.0, 0.0, 0.01, 0.0]), 0.25, 1.0)
    assert short.velocities.max() == pytest.approx(0.1, abs=0.01)
    np.testing.assert_allclose(short.positions[-1, 2], 0.31, atol=1e-9)


def test_a_graspable_block_is_lifted_labelled_and_put_back():
    rig = make(block(width=0.05))
    stand(rig, "block")
    before = rig.world.object_poses()["block"][:3, 3]
    report = rig.sequence("left").pick(grasp_at(rig))
    assert report.outcome is Outcome.SUCCESS
    assert report.reading.truth_held and report.reading.truth_object == "block"
    assert report.reading.truth_near == ("block",)
    assert not report.reading.contact
    assert 20.0 < report.reading.force <= 100.0
    rig.sleep(0.5)
    after = rig.world.object_poses()["block"][:3, 3]
    np.testing.assert_allclose(after, before, atol=0.03)


def test_the_same_hand_serves_the_right_arm():
    rig = make(block(width=0.05))
    rig.world.place("block", (SPOT[0], -SPOT[1], rig.world.table.z + 0.04))
    rig.sleep(0.2)
    report = rig.sequence("right").pick(grasp_at(rig, dy=-2 * SPOT[1], arm="right"))
    assert report.outcome is Outcome.SUCCESS and report.reading.truth_object == "block"


def test_a_miss_is_a_failure():
    rig = make(block(width=0.05))
    stand(rig, "block")
    report = rig.sequence("left").pick(grasp_at(rig, dx=-0.1))
    assert report.outcome is Outcome.FAILURE
    assert not report.reading.truth_held


def test_contact_stops_the_descent_and_backs_off():
    # too wide for the fingers: they come down on its top
    rig = make(block(width=0.085, length=0.1, height=0.06, mass=0.3))
    stand(rig, "block")
    arm, motions = arm_and_motions(rig)
    top = rig.world.table.z + 0.06
    arm.follow(Jump(np.array([*SPOT, top + 0.1, np.pi / 2])))
    way = motions.shift(arm.q(), (0.0, 0.0, -0.15), arm.other_q(), 0.25)
    settings = rig.settings.streaming
    contact = Contact(arm.vertical_force, settings.contact_force, settings.contact_samples, motions.height)
    assert not arm.follow(way, contact)
    rig.sleep(0.3)
    assert arm.q()[2] == pytest.approx(top + settings.contact_backoff, abs=0.006)
    assert abs(arm.vertical_force()) < settings.contact_force


def test_it_gives_way_sideways_as_an_arm_does():
    rig = make()
    rig.robot.jump(np.array([*SPOT, 0.3, 0.0]))
    rig.sleep(0.3)
    hand, force = rig.world.data.body("left_gripper"), np.array([10.0, 0.0, 0.0])
    start = hand.xpos.copy()
    # MuJoCo applies it at the body's centre of mass
    hand.xfrc_applied[:] = [*force, *np.cross(hand.xpos - hand.xipos, force)]
    rig.sleep(1.0)
    # 4500 N/m at the fingertips of the arm, most of it in the wrist
    assert hand.xpos[0] - start[0] == pytest.approx(force[0] / 4500.0, rel=0.1)


def test_a_jump_waits_for_the_fingers_and_leaves_the_object_behind():
    rig = make(block(width=0.05))
    stand(rig, "block")
    arm, motions = arm_and_motions(rig)
    gripper = rig.gripper("left")
    gripper.set_parameters({"velocity": 50.0})
    arm.follow(Jump(np.array([*SPOT, rig.world.table.z + 0.03, np.pi / 2])))
    gripper.close()
    rig.sleep(1.0)
    arm.follow(motions.rise(arm.q(), 0.1, 0.1, arm.other_q(), 0.35))
    assert rig.world.held("left") == "block"
    gripper.open()
    arm.follow(Jump(np.array([0.5, -0.3, 0.3, 0.0])))
    rig.sleep(0.5)
    position = rig.world.object_poses()["block"][:3, 3]
    np.testing.assert_allclose(position[:2], SPOT, atol=0.05)
    assert rig.world.held("left") is None
