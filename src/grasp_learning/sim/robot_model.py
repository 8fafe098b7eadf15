"""Baxter as a MuJoCo model: the URDF plus what a physics engine needs beyond it.

Geoms fall into groups: visual shapes in group 1 are drawn, collision shapes in group 3 are not. Contacts are
selected by bits: the arms touch the world, each other and (from the elbow on) the torso, but not themselves, so that
neighbouring links never fight.
"""

import mujoco
import numpy as np

from grasp_learning import robot_description
from grasp_learning.robot_description import ARM_JOINT_SUFFIXES, HEAD_JOINT, SIDES, arm_joints, finger_joints

VISUAL_GROUP = 1
COLLISION_GROUP = 3

# Contact bits; two geoms touch when one's type is in the other's affinity
WORLD_BIT, LEFT_BIT, RIGHT_BIT, TORSO_BIT = 1, 2, 4, 8
_ARM_BITS = {"left": LEFT_BIT, "right": RIGHT_BIT}

# Per joint, in the order s0..w2: stiffness (N m / rad), damping (N m s / rad), reflected rotor inertia (kg m2).
# The stiffness bounds the rest error: 1 kg in the stretched hand is 12 N m at the shoulder and 3 N m at the wrist.
STIFFNESS = np.array([6000.0, 6000.0, 5000.0, 5000.0, 1500.0, 1500.0, 1000.0])
DAMPING = np.array([400.0, 400.0, 250.0, 250.0, 40.0, 40.0, 20.0])
ROTOR_INERTIA = np.array([0.5, 0.5, 0.3, 0.3, 0.05, 0.05, 0.02])

# The gripper's drive moves both fingers; its length is the sum of their travels (m)
GRIPPER_STIFFNESS = 20000.0  # N / m
GRIPPER_DAMPING = 400.0  # N s / m
GRIPPER_MAX_FORCE = 35.0  # N on each pad; 100 percent
FINGER_ROTOR_MASS = 0.1  # kg

_COMPILER = '<mujoco><compiler fusestatic="false" discardvisual="false" strippath="false"/></mujoco>'


def baxter_spec() -> mujoco.MjSpec:
    """A MuJoCo specification of the robot, its base frame being the world frame.

    Every link keeps its body, so that frames are found by the names in the URDF. Actuators: one for each arm joint,
    named as the joint (set-point in rad), ``head_pan``, and ``<side>_gripper`` (sum of both fingers' travels, m).
    """
    spec = spec_of_urdf(robot_description.load_urdf())
    for side in SIDES:
        _prepare_arm(spec, side)
        prepare_gripper(spec, side)
    add_servo(spec, HEAD_JOINT, 100.0, 10.0, 20.0)
    spec.joint(HEAD_JOINT).armature = 0.05
    return spec


def spec_of_urdf(urdf: str) -> mujoco.MjSpec:
    """The bodies and joints of the description or a part of it, gravity compensated; every link keeps its body."""
    end = urdf.index(">", urdf.index("<robot")) + 1
    spec = mujoco.MjSpec.from_string(urdf[:end] + _COMPILER + urdf[end:])
    _prepare_geoms(spec)
    for body in spec.bodies[1:]:
        body.gravcomp = 1.0
    return spec


def pad_name(side: str, finger: str) -> str:
    """Name of the geom that is a finger's pad; finger is "l" or "r"."""
    return f"{side}_{finger}_pad"


def side_of_body(name: str) -> str:
    """The arm a body belongs to, or "" for the torso and the head."""
    for side in SIDES:
        if name.startswith((f"{side}_", f"{side[0]}_gripper_")):
            return side
    return ""


def _prepare_geoms(spec: mujoco.MjSpec) -> None:
    for geom in spec.geoms:
        # The URDF's inertias are the whole mass; shapes must not add theirs on links that state none
        geom.mass = 0.0
        if geom.contype == 0 and geom.conaffinity == 0:
            geom.group = VISUAL_GROUP
            continue
        geom.group = COLLISION_GROUP
        body = geom.parent.name
        side = side_of_body(body)
        geom.contype = _ARM_BITS.get(side, TORSO_BIT)
        geom.conaffinity = WORLD_BIT
        if side:
            geom.conaffinity |= _ARM_BITS["right" if side == "left" else "left"]
            if not body.endswith(("_shoulder", "_upper_elbow", "_upper_elbow_visual")):
                geom.conaffinity |= TORSO_BIT


def _prepare_arm(spec: mujoco.MjSpec, side: str) -> None:
    limits = robot_description.joint_limits()
    for index, _ in enumerate(ARM_JOINT_SUFFIXES):
        name = arm_joints(side)[index]
        spec.joint(name).armature = ROTOR_INERTIA[index]
        add_servo(spec, name, STIFFNESS[index], DAMPING[index], limits[name].effort)


def add_servo(spec: mujoco.MjSpec, joint: str, stiffness: float, damping: float, max_torque: float) -> None:
    """Add a position servo, named as its joint; in N and m, or N m and rad."""
    actuator = spec.add_actuator(name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    _make_servo(actuator, stiffness, damping, max_torque)


def _make_servo(actuator, stiffness: float, damping: float, max_force: float) -> None:
    actuator.gaintype = mujoco.mjtGain.mjGAIN_FIXED
    actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    actuator.gainprm[0] = stiffness
    actuator.biasprm[1] = -stiffness
    actuator.biasprm[2] = -damping
    actuator.forcelimited = True
    actuator.forcerange = [-max_force, max_force]


def prepare_gripper(spec: mujoco.MjSpec, side: str) -> None:
    """Give a hand its drive, the friction of its pads and its rack and pinion."""
    drive = spec.add_tendon(name=f"{side}_gripper")
    for joint, sign in zip(finger_joints(side), (1.0, -1.0)):
        drive.wrap_joint(joint, sign)
        spec.joint(joint).armature = FINGER_ROTOR_MASS
    actuator = spec.add_actuator(name=f"{side}_gripper", target=drive.name, trntype=mujoco.mjtTrn.mjTRN_TENDON)
    _make_servo(actuator, GRIPPER_STIFFNESS, GRIPPER_DAMPING, GRIPPER_MAX_FORCE)
    for finger in ("l", "r"):
        tip = spec.body(f"{side[0]}_gripper_{finger}_finger_tip")
        pad = next(geom for geom in tip.geoms if geom.group == COLLISION_GROUP)
        pad.name = pad_name(side, finger)
        pad.condim = 4
        pad.friction = [1.0, 0.005, 0.0001]
    for equality in spec.equalities:
        # Rack and pinion: the fingers stay mirror images under one-sided loads
        equality.solref = [0.004, 1.0]
        equality.solimp = [0.99, 0.999, 0.0005, 0.5, 2.0]
