"""The URDF against Rethink's published numbers, through the physics engine that uses it."""

import mujoco
import numpy as np
import pytest

from grasp_learning import robot_description
from grasp_learning.robot_description import GAP_CLOSED, GAP_OPEN, NEUTRAL, SIDES, arm_joints, finger_joints
from grasp_learning.sim import robot_model

ARM_MASSES = {
    "upper_shoulder": 5.70044,
    "lower_shoulder": 3.22698,
    "upper_elbow": 4.31272,
    "lower_elbow": 2.07206,
    "upper_forearm": 2.24665,
    "lower_forearm": 1.60979,
    "wrist": 0.35093,
    "hand": 0.19125,
}
# lower, upper (rad), velocity (rad/s), effort (N m)
ARM_LIMITS = {
    "s0": (-1.70167993878, 1.70167993878, 1.5, 50.0),
    "s1": (-2.147, 1.047, 1.5, 50.0),
    "e0": (-3.05417993878, 3.05417993878, 1.5, 50.0),
    "e1": (-0.05, 2.618, 1.5, 50.0),
    "w0": (-3.059, 3.059, 4.0, 15.0),
    "w1": (-1.57079632679, 2.094, 4.0, 15.0),
    "w2": (-3.059, 3.059, 4.0, 15.0),
}


@pytest.fixture(scope="module")
def model():
    return robot_model.baxter_spec().compile()


def posture(model, q, travel=0.0):
    """MjData with both arms at q and the fingers at a travel (m)."""
    data = mujoco.MjData(model)
    for side in SIDES:
        for name, angle in zip(arm_joints(side), q):
            data.joint(name).qpos = angle
        for name, sign in zip(finger_joints(side), (1.0, -1.0)):
            data.joint(name).qpos = sign * travel
    mujoco.mj_kinematics(model, data)
    return data


def mirrored(point):
    return point * [1.0, -1.0, 1.0]


@pytest.mark.parametrize(
    "q, link, position, z_axis",
    [
        ([0.0] * 7, "hand", [0.7975, 0.9925, 0.3210], [0.7071, 0.7071, 0.0]),
        (NEUTRAL, "hand", [0.6339, 0.8289, 0.2194], [0.078, 0.078, -0.994]),
        (NEUTRAL, "gripper", [0.6463, 0.8413, 0.0626], [0.078, 0.078, -0.994]),
    ],
)
def test_forward_kinematics_is_rethinks(model, q, link, position, z_axis):
    data = posture(model, q)
    left, right = data.body(f"left_{link}"), data.body(f"right_{link}")
    np.testing.assert_allclose(left.xpos, position, atol=1e-4)
    np.testing.assert_allclose(left.xmat[2::3], z_axis, atol=1e-3)
    np.testing.assert_allclose(right.xpos, mirrored(left.xpos), atol=1e-9)
    np.testing.assert_allclose(right.xmat[2::3], mirrored(left.xmat[2::3]), atol=1e-9)


def test_arms_stay_mirror_images_when_they_move(model):
    mirror = np.array([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    q = np.array([0.3, -0.4, 0.5, 0.9, -0.6, 0.7, 0.8])
    data = mujoco.MjData(model)
    for side, angles in (("left", q), ("right", mirror * q)):
        for name, angle in zip(arm_joints(side), angles):
            data.joint(name).qpos = angle
    mujoco.mj_kinematics(model, data)
    np.testing.assert_allclose(data.body("right_hand").xpos, mirrored(data.body("left_hand").xpos), atol=1e-9)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("travel, gap", [(0.001, GAP_CLOSED), (0.020, GAP_OPEN)])
def test_gap_between_the_pads(model, side, travel, gap):
    data = posture(model, NEUTRAL, travel)
    axis = data.body(f"{side}_gripper").xmat.reshape(3, 3)[:, 1]
    pads = [model.geom(robot_model.pad_name(side, finger)) for finger in ("l", "r")]
    centres = [data.geom_xpos[pad.id] @ axis for pad in pads]
    measured = centres[0] - centres[1] - pads[0].size[1] - pads[1].size[1]
    assert measured == pytest.approx(gap, abs=1e-6)


@pytest.mark.parametrize("side", SIDES)
def test_endpoint_lies_between_the_fingertips(model, side):
    data = posture(model, NEUTRAL, 0.01)
    prefix = f"{side[0]}_gripper"
    tips = [data.body(f"{prefix}_{finger}_finger_tip").xpos for finger in ("l", "r")]
    np.testing.assert_allclose(np.mean(tips, axis=0), data.body(f"{side}_gripper").xpos, atol=1e-6)


@pytest.mark.parametrize("side", SIDES)
def test_joint_limits_are_rethinks(model, side):
    limits = robot_description.joint_limits()
    for suffix, (lower, upper, velocity, effort) in ARM_LIMITS.items():
        limit = limits[f"{side}_{suffix}"]
        assert (limit.lower, limit.upper, limit.velocity, limit.effort) == (lower, upper, velocity, effort)
        np.testing.assert_allclose(model.joint(f"{side}_{suffix}").range, (lower, upper))
        np.testing.assert_allclose(model.actuator(f"{side}_{suffix}").forcerange, (-effort, effort))


@pytest.mark.parametrize("side", SIDES)
def test_masses_are_rethinks(model, side):
    for link, mass in ARM_MASSES.items():
        assert model.body(f"{side}_{link}").mass[0] == pytest.approx(mass), link
    # links without a published mass must not get one from their shapes
    assert model.body(f"{side}_upper_elbow_visual").mass[0] == 0.0


def test_two_arms_weigh_what_their_links_weigh(model):
    gripper = 0.3 + 2 * (0.02 + 0.01)
    expected = 2 * (sum(ARM_MASSES.values()) + gripper) + 35.336455 + 60.86 + 0.547767 + 0.440171
    assert model.body_mass.sum() == pytest.approx(expected, abs=1e-3)


def test_wrist_camera_looks_along_the_gripper(model):
    data = posture(model, NEUTRAL)
    camera, gripper = data.body("left_hand_camera"), data.body("left_gripper")
    np.testing.assert_allclose(camera.xmat[2::3], gripper.xmat[2::3], atol=1e-9)


def test_an_unknown_arm_is_named():
    with pytest.raises(ValueError, match="unknown arm 'middle'; expected one of left, right"):
        arm_joints("middle")


def test_a_missing_description_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.xacro"):
        robot_description.load_urdf(tmp_path / "nothing.xacro")


def test_a_description_of_ones_own(tmp_path):
    path = tmp_path / "mine.urdf"
    path.write_text(
        '<robot name="r"><link name="a"/><link name="b"/><joint name="j" type="revolute"><parent link="a"/>'
        '<child link="b"/><limit lower="-1" upper="2" velocity="3" effort="4"/></joint></robot>'
    )
    limits = robot_description.joint_limits(robot_description.load_urdf(path))
    assert limits == {"j": robot_description.JointLimits(-1.0, 2.0, 3.0, 4.0)}
