"""Convex primitives that objects are built from.

Primitives instead of meshes: MuJoCo collides them exactly and fast, and nothing has to be downloaded. Hollow things
are rings of boxes. An object is designed with z up, standing on the plane z = 0 around the z axis.
"""

from dataclasses import dataclass, replace
from typing import List, Sequence, Tuple

import numpy as np
from scipy.spatial.transform import Rotation

Vector = Tuple[float, float, float]
UPRIGHT = (1.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class GeomSpec:
    """One convex part of an object.

    Attributes:
        kind: box, cylinder, capsule, ellipsoid or sphere.
        size: MuJoCo's half sizes (m): box and ellipsoid (x, y, z); cylinder and capsule (radius, half length of the
            straight part, 0); sphere (radius, 0, 0).
        pos: centre in the object's frame (m).
        quat: orientation in the object's frame (w, x, y, z).
        rgba: colour, each 0..1.
        textured: the object's texture covers this part.
        mass: kg; 0 until the object's mass has been shared out.
    """

    kind: str
    size: Vector
    pos: Vector = (0.0, 0.0, 0.0)
    quat: Tuple[float, float, float, float] = UPRIGHT
    rgba: Tuple[float, float, float, float] = (0.5, 0.5, 0.5, 1.0)
    textured: bool = False
    mass: float = 0.0

    @property
    def rotation(self) -> np.ndarray:
        """(3, 3) rotation from the part's frame to the object's frame."""
        w, x, y, z = self.quat
        return Rotation.from_quat([x, y, z, w]).as_matrix()

    @property
    def volume(self) -> float:
        """Volume (m3)."""
        a, b, c = self.size
        if self.kind == "box":
            return 8 * a * b * c
        if self.kind == "cylinder":
            return 2 * np.pi * a**2 * b
        if self.kind == "capsule":
            return 2 * np.pi * a**2 * b + 4 / 3 * np.pi * a**3
        if self.kind == "ellipsoid":
            return 4 / 3 * np.pi * a * b * c
        return 4 / 3 * np.pi * a**3

    def support(self, directions: np.ndarray) -> np.ndarray:
        """How far the part reaches from the object's origin along unit directions (n, 3), in m: (n,)."""
        local = np.asarray(directions) @ self.rotation
        a, b, _ = self.size
        if self.kind == "box":
            reach = np.abs(local) @ np.array(self.size)
        elif self.kind == "ellipsoid":
            reach = np.linalg.norm(local * np.array(self.size), axis=1)
        elif self.kind == "cylinder":
            reach = a * np.linalg.norm(local[:, :2], axis=1) + b * np.abs(local[:, 2])
        elif self.kind == "capsule":
            reach = a + b * np.abs(local[:, 2])
        else:
            reach = np.full(len(local), a)
        return np.asarray(directions) @ np.array(self.pos) + reach


def quaternion(euler_xyz: Sequence[float]) -> Tuple[float, float, float, float]:
    """(w, x, y, z) of rotations (rad) about the fixed axes x, then y, then z."""
    x, y, z, w = Rotation.from_euler("xyz", euler_xyz).as_quat()
    return (float(w), float(x), float(y), float(z))


def box(size: Sequence[float], pos: Sequence[float], euler=(0, 0, 0), **look) -> GeomSpec:
    """A box of full sizes (m)."""
    return GeomSpec("box", tuple(s / 2 for s in size), tuple(pos), quaternion(euler), **look)


def cylinder(radius: float, length: float, pos: Sequence[float], euler=(0, 0, 0), **look) -> GeomSpec:
    """A cylinder along its z axis, of full length (m)."""
    return GeomSpec("cylinder", (radius, length / 2, 0.0), tuple(pos), quaternion(euler), **look)


def capsule(radius: float, length: float, pos: Sequence[float], euler=(0, 0, 0), **look) -> GeomSpec:
    """A capsule along its z axis; the length (m) includes the round ends."""
    half = max(length / 2 - radius, 1e-3)
    return GeomSpec("capsule", (radius, half, 0.0), tuple(pos), quaternion(euler), **look)


def ellipsoid(size: Sequence[float], pos: Sequence[float], euler=(0, 0, 0), **look) -> GeomSpec:
    """An ellipsoid of full diameters (m)."""
    return GeomSpec("ellipsoid", tuple(s / 2 for s in size), tuple(pos), quaternion(euler), **look)


def sphere(radius: float, pos: Sequence[float], **look) -> GeomSpec:
    """A sphere."""
    return GeomSpec("sphere", (radius, 0.0, 0.0), tuple(pos), **look)


def ring(radius: float, height: float, wall: float, count: int, z: float = 0.0, flare: float = 0.0, **look):
    """A hollow ring: ``count`` boxes around the z axis.

    Args:
        radius: outer radius at half height (m).
        height: of the wall along its slope (m).
        wall: thickness (m).
        z: height of the lower edge (m).
        flare: lean of the wall outwards (rad).

    Returns:
        List[GeomSpec].
    """
    middle = radius - wall / 2
    # the widest place, the upper edge, decides how wide a segment must be to leave no gap
    width = 2 * (radius + np.sin(flare) * height / 2) * np.tan(np.pi / count)
    centre_z = z + (np.cos(flare) * height + np.sin(flare) * wall) / 2
    parts = []
    for index, angle in enumerate(2 * np.pi * np.arange(count) / count):
        pos = (middle * np.cos(angle), middle * np.sin(angle), centre_z)
        # neighbours overlap at the corners; faces in one plane would flicker, so every other one is a little lower
        parts.append(box((wall, width, height - 0.001 * (index % 2)), pos, (0, flare, angle), **look))
    return parts


def bounds(geoms: Sequence[GeomSpec]) -> Tuple[np.ndarray, np.ndarray]:
    """Lower and upper corner (3,), (3,) of the parts' bounding box in the object's frame (m)."""
    axes = np.eye(3)
    upper = np.max([g.support(axes) for g in geoms], axis=0)
    lower = -np.max([g.support(-axes) for g in geoms], axis=0)
    return lower, upper


def horizontal_widths(geoms: Sequence[GeomSpec], directions: int = 36) -> np.ndarray:
    """Widths (directions,) of the parts' common hull along horizontal directions over half a turn (m)."""
    angles = np.pi * np.arange(directions) / directions
    axes = np.column_stack([np.cos(angles), np.sin(angles), np.zeros(directions)])
    forward = np.max([g.support(axes) for g in geoms], axis=0)
    backward = np.max([g.support(-axes) for g in geoms], axis=0)
    return forward + backward


def turn(parts: Sequence[GeomSpec], euler: Sequence[float]) -> List[GeomSpec]:
    """The parts turned about the object's origin by rotations (rad) about x, then y, then z."""
    R = Rotation.from_euler("xyz", euler)
    turned = []
    for part in parts:
        w, x, y, z = part.quat
        qx, qy, qz, qw = (R * Rotation.from_quat([x, y, z, w])).as_quat()
        pos = tuple(float(v) for v in R.apply(part.pos))
        turned.append(replace(part, pos=pos, quat=(float(qw), float(qx), float(qy), float(qz))))
    return turned
