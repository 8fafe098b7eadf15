"""Printed ArUco markers in the simulated workcell: on a gripper, or on the table. They touch nothing."""

from dataclasses import dataclass
from typing import Tuple

import cv2
import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from grasp_learning.calibrating.marker import DEFAULT_MOUNT, MarkerSettings, draw_marker
from grasp_learning.geometry import transform
from grasp_learning.motion.kinematics import quaternion
from grasp_learning.sim.robot_model import VISUAL_GROUP

THICKNESS = 0.003  # m
_MODULE_PX = 64
_MOUNT_SHIFT, _MOUNT_TURN = 0.003, 0.03  # m, rad: standard deviations of a hand-made mount
_TABLE_PLACE = (0.68, 0.18)  # x, |y| of the marker on the table (m)


@dataclass(frozen=True)
class MarkerPlate:
    """A marker on its white plate.

    Attributes:
        body: that carries it, such as "left_gripper" or "base".
        T_body_marker: (4, 4) pose of the print.
        marker: which one.
    """

    body: str
    T_body_marker: np.ndarray
    marker: MarkerSettings


def add_plate(spec: mujoco.MjSpec, plate: MarkerPlate) -> None:
    """Add a plate to a world that is about to be compiled; it has no mass and no contacts."""
    name = f"{plate.body}_marker_{plate.marker.id}"
    image = cv2.cvtColor(draw_marker(plate.marker, _MODULE_PX), cv2.COLOR_GRAY2RGB)
    texture = spec.add_texture(
        name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=image.shape[1], height=image.shape[0], nchannel=3
    )
    texture.data = np.ascontiguousarray(image).tobytes()
    material = spec.add_material(name=name, specular=0.0, shininess=0.0, reflectance=0.0)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    # the print is the upper face of the box
    T = plate.T_body_marker.copy()
    T[:3, 3] -= T[:3, 2] * THICKNESS / 2
    half = plate.marker.plate_size / 2
    spec.body(plate.body).add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[half, half, THICKNESS / 2],
        pos=T[:3, 3],
        quat=quaternion(T[:3, :3]),
        material=name,
        group=VISUAL_GROUP,
        contype=0,
        conaffinity=0,
        mass=0.0,
    )


def calibration_plates(side: str, table_z: float, seed: int) -> Tuple[MarkerPlate, MarkerPlate]:
    """What a person prepares for a calibration: a marker on a gripper, id 0, and one on the table, id 1.

    Neither is where it should be to the millimetre: the seed draws how far off the mount is, and how the marker lies.
    """
    rng = np.random.default_rng([seed, 11])
    turn = Rotation.from_rotvec(rng.normal(0.0, _MOUNT_TURN, 3)).as_matrix()
    off = transform(turn, rng.normal(0.0, _MOUNT_SHIFT, 3))
    sign = 1.0 if side == "left" else -1.0
    lying = Rotation.from_euler("z", rng.uniform(0.0, 2 * np.pi)).as_matrix()
    place = [_TABLE_PLACE[0], sign * _TABLE_PLACE[1], table_z + THICKNESS]
    return (
        MarkerPlate(f"{side}_gripper", DEFAULT_MOUNT.matrix @ off, MarkerSettings(id=0)),
        MarkerPlate("base", transform(lying, place), MarkerSettings(id=1)),
    )
