"""The catalogue of things on the table: at least 150 training objects and 15 held-out ones.

Objects are made, not stored: the same seed gives the same objects. Some are too wide or too thin for the gripper, as
in the paper, because a robot that tries at random has to learn that too.
"""

import zlib
from dataclasses import dataclass, replace
from typing import List, Optional, Sequence, Tuple

import mujoco
import numpy as np

from grasp_learning.robot_description import GAP_CLOSED, GAP_OPEN
from grasp_learning.sim.heldout_makers import TEST_MAKERS
from grasp_learning.sim.object_makers import ROUND, TRAIN_MAKERS, Look
from grasp_learning.sim.shapes import UPRIGHT, GeomSpec, bounds, horizontal_widths

MASS_RANGE = (0.02, 0.5)
DENSITY_RANGE = (150.0, 600.0)
FRICTION_RANGE = (0.4, 0.9)
TORSIONAL_FRICTION = 0.005
# m; stops a ball that was pushed within a few centimetres, as a table's cloth or paint does
ROLLING_FRICTION = 0.002

SPLITS = ("train", "test")
TRAIN_PATTERNS = ("checker", "stripes", "gradient")
TEST_PATTERNS = ("dots", "diamonds")
TEXTURE_PX = 48

_TYPES = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
}


@dataclass(frozen=True)
class TextureSpec:
    """A pattern of two colours on the textured parts.

    Attributes:
        pattern: checker, stripes, gradient, dots or diamonds.
        rgb: two colours, each 0..1.
        repeats: how often the pattern repeats over a face.
    """

    pattern: str
    rgb: Tuple[Tuple[float, ...], Tuple[float, ...]]
    repeats: int

    def image(self) -> np.ndarray:
        """The pattern as (TEXTURE_PX, TEXTURE_PX, 3) uint8."""
        v, u = np.mgrid[0:TEXTURE_PX, 0:TEXTURE_PX] / TEXTURE_PX * self.repeats
        fu, fv = u % 1 - 0.5, v % 1 - 0.5
        share = {
            "checker": lambda: (np.floor(2 * u) + np.floor(2 * v)) % 2,
            "stripes": lambda: (np.abs(fv) < 0.25) * 1.0,
            "gradient": lambda: v / self.repeats,
            "dots": lambda: (np.hypot(fu, fv) < 0.28) * 1.0,
            "diamonds": lambda: (np.abs(fu) + np.abs(fv) < 0.32) * 1.0,
        }[self.pattern]()[..., None]
        blend = np.array(self.rgb[0]) * (1 - share) + np.array(self.rgb[1]) * share
        return (255 * blend).astype(np.uint8)


@dataclass(frozen=True)
class ObjectSpec:
    """One object.

    Attributes:
        name: unique in both catalogues, e.g. ``mug_03``.
        category: what it is.
        split: train or test.
        geoms: convex parts; their origin is the middle of the bounding box, z up as the object rests.
        mass: kg.
        friction: sliding friction.
        rolls: has a shape that rolls, so gets rolling friction.
        texture: pattern of the textured parts; None for plain colour.
    """

    name: str
    category: str
    split: str
    geoms: Tuple[GeomSpec, ...]
    mass: float
    friction: float
    rolls: bool
    texture: Optional[TextureSpec] = None

    @property
    def extents(self) -> np.ndarray:
        """(3,) full sizes of the bounding box (m)."""
        lower, upper = bounds(self.geoms)
        return upper - lower

    @property
    def radius(self) -> float:
        """Radius (m) of a sphere around the origin that holds the object."""
        return float(np.linalg.norm(self.extents) / 2)

    @property
    def narrow_width(self) -> float:
        """Smallest horizontal width (m) of the object as it rests."""
        return float(horizontal_widths(self.geoms).min())

    @property
    def graspable_widths(self) -> Tuple[float, ...]:
        """Widths (m) of the whole and of its parts, as the object rests, at which the fingers could hold it."""
        widths = [self.narrow_width] + [float(horizontal_widths([part]).min()) for part in self.geoms]
        return tuple(sorted(w for w in widths if GAP_CLOSED < w < GAP_OPEN))

    @property
    def too_wide(self) -> bool:
        """Nothing fits between the fingers and the whole is wider than the open gripper."""
        return not self.graspable_widths and self.narrow_width >= GAP_OPEN

    @property
    def too_thin(self) -> bool:
        """The closed fingers still have play around it."""
        return not self.graspable_widths and self.narrow_width <= GAP_CLOSED


def catalogue(split: str = "train", seed: int = 0) -> List[ObjectSpec]:
    """All objects of a split; the same seed gives the same objects.

    Raises:
        ValueError: unknown split.
    """
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}; expected one of {', '.join(SPLITS)}")
    makers = TRAIN_MAKERS if split == "train" else {name: (maker, 1) for name, maker in TEST_MAKERS.items()}
    objects = []
    for category, (maker, count) in makers.items():
        for index in range(count):
            # one stream an object: adding a category changes no other object
            key = [seed, zlib.crc32(category.encode()), index]
            objects.append(_make(f"{category}_{index:02d}", category, split, maker, np.random.default_rng(key)))
    return objects


def _make(name: str, category: str, split: str, maker, rng: np.random.Generator) -> ObjectSpec:
    look = Look(_colour(rng), _colour(rng))
    parts = maker(rng, look)
    density = rng.uniform(*DENSITY_RANGE)
    mass = float(np.clip(density * sum(part.volume for part in parts), *MASS_RANGE))
    texture = _texture(split, look, rng)
    friction = float(rng.uniform(*FRICTION_RANGE))
    return ObjectSpec(name, category, split, _finish(parts, mass), mass, friction, category in ROUND, texture)


def _finish(parts: Sequence[GeomSpec], mass: float) -> Tuple[GeomSpec, ...]:
    """Centre the parts on their bounding box and share the mass out by volume."""
    lower, upper = bounds(parts)
    centre = (lower + upper) / 2
    volume = sum(part.volume for part in parts)
    return tuple(
        replace(
            part,
            pos=tuple(float(v) for v in np.array(part.pos) - centre),
            size=tuple(float(v) for v in part.size),
            mass=mass * part.volume / volume,
        )
        for part in parts
    )


def _colour(rng: np.random.Generator) -> Tuple[float, float, float, float]:
    """Mostly strong colours; some pale, grey or nearly black ones, which a white table or a shadow hides."""
    kind = rng.random()
    hue, saturation, value = rng.random(), rng.uniform(0.45, 0.95), rng.uniform(0.45, 1.0)
    if kind < 0.12:
        saturation, value = rng.uniform(0.0, 0.12), rng.uniform(0.70, 0.90)
    elif kind < 0.22:
        saturation, value = rng.uniform(0.0, 0.2), rng.uniform(0.08, 0.5)
    channels = [value * (1 - saturation * np.clip(abs((6 * hue + k) % 6 - 3) - 1, 0, 1)) for k in (3, 1, 5)]
    return (float(channels[0]), float(channels[1]), float(channels[2]), 1.0)


def _texture(split: str, look: Look, rng: np.random.Generator) -> Optional[TextureSpec]:
    """A pattern on half of the training objects and on all test objects, which have patterns of their own."""
    patterns = TRAIN_PATTERNS if split == "train" else TEST_PATTERNS
    pattern, repeats = patterns[rng.integers(len(patterns))], int(rng.integers(1, 6))
    if split == "train" and rng.random() < 0.5:
        return None
    return TextureSpec(pattern, (look.main[:3], look.accent[:3]), repeats)


def add_to_spec(
    spec: mujoco.MjSpec,
    obj: ObjectSpec,
    name: Optional[str] = None,
    pos: Sequence[float] = (0.0, 0.0, 0.0),
    quat: Sequence[float] = UPRIGHT,
):
    """Add an object as a free body.

    Its joint is called ``<name>_joint`` and its geoms ``<name>_geom<i>`` (group 1). The geoms have priority, so that
    the object's friction decides a contact: MuJoCo would else take the larger one, which is always the pad's.

    Args:
        name: the body's name; the object's own by default.
        pos: of the middle of the bounding box (m).
        quat: orientation (w, x, y, z).

    Returns:
        The new body of the spec.
    """
    name = name or obj.name
    body = spec.worldbody.add_body(name=name, pos=list(pos), quat=list(quat))
    body.add_freejoint(name=f"{name}_joint")
    material = _add_material(spec, obj.texture, name) if obj.texture else ""
    for index, part in enumerate(obj.geoms):
        geom = body.add_geom(
            name=f"{name}_geom{index}",
            type=_TYPES[part.kind],
            size=list(part.size),
            pos=list(part.pos),
            quat=list(part.quat),
            mass=part.mass,
            friction=[obj.friction, TORSIONAL_FRICTION, ROLLING_FRICTION],
            condim=6 if obj.rolls else 4,
            priority=1,
            group=1,
        )
        if part.textured and material:
            geom.material = material
            geom.rgba = [1, 1, 1, 1]
        else:
            geom.rgba = list(part.rgba)
    return body


def _add_material(spec: mujoco.MjSpec, texture: TextureSpec, name: str) -> str:
    """Wrap the pattern around the parts as a cube texture, which fits every primitive."""
    faces = np.tile(texture.image(), (6, 1, 1))
    entry = spec.add_texture(
        name=f"{name}_texture",
        type=mujoco.mjtTexture.mjTEXTURE_CUBE,
        width=TEXTURE_PX,
        height=6 * TEXTURE_PX,
        nchannel=3,
    )
    entry.data = faces.tobytes()
    material = spec.add_material(name=f"{name}_material")
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = f"{name}_texture"
    return material.name
