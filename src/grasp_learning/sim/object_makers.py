"""One function a category of object: random dimensions and colours in, convex parts out.

Every maker takes a seeded generator and a :class:`Look` and returns parts that stand or lie on z = 0 as a person would
put the object down. Sizes are metres. The held-out test objects come from categories of their own.
"""

from dataclasses import dataclass
from typing import Callable, Dict, List, Tuple

import numpy as np

from grasp_learning.sim.shapes import GeomSpec, box, capsule, cylinder, ellipsoid, ring, sphere, turn

Rgba = Tuple[float, float, float, float]
Parts = List[GeomSpec]
DARK: Rgba = (0.08, 0.08, 0.09, 1.0)
STEEL: Rgba = (0.58, 0.60, 0.62, 1.0)
WOOD: Rgba = (0.62, 0.43, 0.24, 1.0)
QUARTER = np.pi / 2


@dataclass(frozen=True)
class Look:
    """Two colours that go on an object."""

    main: Rgba
    accent: Rgba


def make_box(rng, look: Look) -> Parts:
    """A carton; some are too wide, some too flat."""
    sides = rng.uniform([0.025, 0.035, 0.025], [0.105, 0.15, 0.12])
    return [box(sides, (0, 0, sides[2] / 2), rgba=look.main, textured=True)]


def make_can(rng, look: Look) -> Parts:
    """A tin with two rims."""
    radius, height = rng.uniform(0.018, 0.05), rng.uniform(0.04, 0.14)
    rims = [cylinder(radius * 1.03, 0.004, (0, 0, z), rgba=STEEL) for z in (0.001, height - 0.001)]
    return [cylinder(radius, height, (0, 0, height / 2), rgba=look.main, textured=True)] + rims


def make_bottle(rng, look: Look) -> Parts:
    """Body, shoulder, neck and cap, standing or lying."""
    radius, height = rng.uniform(0.02, 0.045), rng.uniform(0.10, 0.19)
    neck = radius * rng.uniform(0.3, 0.5)
    body = 0.6 * height
    parts = [
        cylinder(radius, body, (0, 0, body / 2), rgba=look.main),
        cylinder(radius * 1.01, body * 0.45, (0, 0, body * 0.5), rgba=look.accent, textured=True),
        ellipsoid((2 * radius, 2 * radius, 0.3 * height), (0, 0, body), rgba=look.main),
        cylinder(neck, 0.35 * height, (0, 0, body + 0.175 * height), rgba=look.main),
        cylinder(neck * 1.15, 0.12 * height, (0, 0, 0.96 * height), rgba=look.accent),
    ]
    return turn(parts, (QUARTER, 0, 0)) if rng.random() < 0.5 else parts


def make_mug(rng, look: Look) -> Parts:
    """A hollow cup with a handle."""
    radius, height, wall = rng.uniform(0.022, 0.048), rng.uniform(0.07, 0.11), rng.uniform(0.004, 0.006)
    parts = ring(radius, height, wall, 10, rgba=look.main, textured=True)
    parts.append(cylinder(radius - wall / 2, 0.006, (0, 0, 0.003), rgba=look.main))
    reach, grip = rng.uniform(0.022, 0.034), 0.006
    for z in (0.25 * height, 0.75 * height):
        parts.append(capsule(grip, reach + 0.01, (radius + reach / 2 - 0.003, 0, z), (0, QUARTER, 0), rgba=look.accent))
    parts.append(capsule(grip, 0.5 * height + 2 * grip, (radius + reach, 0, 0.5 * height), rgba=look.accent))
    return parts


def make_bowl(rng, look: Look) -> Parts:
    """A wide hollow bowl with a foot."""
    radius, height, flare = rng.uniform(0.035, 0.07), rng.uniform(0.03, 0.055), rng.uniform(0.3, 0.7)
    parts = ring(radius, height, 0.005, 12, z=0.006, flare=flare, rgba=look.main, textured=True)
    inner = radius - np.sin(flare) * height / 2
    return parts + [cylinder(inner, 0.008, (0, 0, 0.004), rgba=look.accent)]


def make_hammer(rng, look: Look) -> Parts:
    """A handle with a steel head, lying."""
    length, width = rng.uniform(0.15, 0.22), rng.uniform(0.018, 0.03)
    head, thick = rng.uniform(0.06, 0.10), rng.uniform(0.022, 0.045)
    z = thick / 2
    return [
        box((length, width, 0.8 * width), (0, 0, z), rgba=WOOD),
        capsule(width * 0.62, 0.45 * length, (-0.28 * length, 0, z), (0, QUARTER, 0), rgba=look.main, textured=True),
        box((thick, 0.7 * head, thick), (length / 2, 0, z), rgba=STEEL),
        cylinder(thick / 2, 0.3 * head, (length / 2, 0.45 * head, z), (QUARTER, 0, 0), rgba=look.accent),
    ]


def make_screwdriver(rng, look: Look) -> Parts:
    """A round handle and a thin steel shaft, lying."""
    radius, handle = rng.uniform(0.012, 0.025), rng.uniform(0.07, 0.11)
    shaft, thin = rng.uniform(0.05, 0.12), rng.uniform(0.003, 0.006)
    return [
        capsule(radius, handle, (0, 0, radius), (0, QUARTER, 0), rgba=look.main, textured=True),
        cylinder(radius * 1.04, 0.2 * handle, (0.3 * handle, 0, radius), (0, QUARTER, 0), rgba=look.accent),
        cylinder(thin, shaft, ((handle + shaft) / 2 - 0.005, 0, radius), (0, QUARTER, 0), rgba=STEEL),
        box((0.012, 2.4 * thin, thin), (handle / 2 + shaft - 0.005, 0, radius), rgba=STEEL),
    ]


def make_brush(rng, look: Look) -> Parts:
    """A hand brush: a board with bristles and a handle, bristles down."""
    length, width = rng.uniform(0.08, 0.13), rng.uniform(0.03, 0.06)
    bristle, board = rng.uniform(0.02, 0.04), 0.015
    top = bristle + board / 2
    return [
        box((length, width, board), (0, 0, top), rgba=look.main, textured=True),
        box((0.95 * length, 0.85 * width, bristle), (0, 0, bristle / 2), rgba=look.accent),
        capsule(0.5 * width * 0.5, 0.08, (length / 2 + 0.03, 0, top), (0, QUARTER, 0), rgba=look.main),
    ]


def make_roll(rng, look: Look) -> Parts:
    """A roll of tape or paper with its hole, lying flat or on its rim."""
    radius, height = rng.uniform(0.02, 0.055), rng.uniform(0.018, 0.11)
    parts = ring(radius, height, radius * rng.uniform(0.3, 0.6), 12, rgba=look.main, textured=True)
    return turn(parts, (QUARTER, 0, 0)) if rng.random() < 0.4 else parts


def make_animal(rng, look: Look) -> Parts:
    """A four-legged toy with head, snout, ears and tail."""
    length, width = rng.uniform(0.07, 0.12), rng.uniform(0.034, 0.065)
    leg, trunk = rng.uniform(0.02, 0.05), rng.uniform(0.035, 0.06)
    z, head = leg + 0.4 * trunk, 0.55 * width
    parts = [ellipsoid((length, width, trunk), (0, 0, z), rgba=look.main, textured=True)]
    for x in (-0.28, 0.28):
        for y in (-0.28, 0.28):
            parts.append(cylinder(0.14 * width, leg + 0.2 * trunk, (x * length, y * width, z / 2), rgba=look.accent))
    front = (0.5 * length, 0, z + 0.5 * trunk)
    parts.append(sphere(head, front, rgba=look.main))
    parts.append(
        ellipsoid((head, 0.9 * head, 0.8 * head), (front[0] + 0.9 * head, 0, front[2] - 0.1 * head), rgba=DARK)
    )
    for y in (-0.7, 0.7):
        parts.append(sphere(0.35 * head, (front[0], y * head, front[2] + 0.8 * head), rgba=look.accent))
    tail = (-0.55 * length, 0, z + 0.3 * trunk)
    return parts + [capsule(0.005, 0.4 * length, tail, (0, -0.7, 0), rgba=look.accent)]


def make_car(rng, look: Look) -> Parts:
    """A toy car with four wheels."""
    length, width = rng.uniform(0.08, 0.15), rng.uniform(0.034, 0.08)
    height, wheel = rng.uniform(0.02, 0.035), rng.uniform(0.010, 0.016)
    cabin = rng.uniform(-0.2, 0.1) * length
    parts = [
        box((length, width, height), (0, 0, wheel + height / 2), rgba=look.main, textured=True),
        box((0.5 * length, 0.85 * width, 0.9 * height), (cabin, 0, wheel + 1.4 * height), rgba=look.accent),
        box((0.4 * length, 0.87 * width, 0.45 * height), (cabin, 0, wheel + 1.45 * height), rgba=DARK),
    ]
    for x in (-0.3, 0.3):
        for y in (-0.5, 0.5):
            parts.append(cylinder(wheel, 0.012, (x * length, y * width, wheel), (QUARTER, 0, 0), rgba=DARK))
    return parts


def make_ball(rng, look: Look) -> Parts:
    """A ball."""
    radius = rng.uniform(0.016, 0.048)
    return [sphere(radius, (0, 0, radius), rgba=look.main, textured=True)]


def make_blocks(rng, look: Look) -> Parts:
    """Wooden bricks glued to an L, T, U or cross."""
    unit, length = rng.uniform(0.02, 0.05), rng.uniform(0.08, 0.14)
    z = unit / 2
    parts = [box((length, unit, unit), (0, 0, z), rgba=look.main, textured=True)]
    arm, end = 0.5 * length, (length - unit) / 2
    # where arms leave the bar: (x, side); an L, a T, a U or a cross
    arms = ([(end, 1)], [(0.0, 1)], [(-end, 1), (end, 1)], [(0.0, 1), (0.0, -1)])[rng.integers(4)]
    return parts + [box((unit, arm, unit), (x, side * (unit + arm) / 2, z), rgba=look.accent) for x, side in arms]


def make_plate(rng, look: Look) -> Parts:
    """A flat disc with a raised rim, too wide for the gripper except the smallest."""
    radius, rim = rng.uniform(0.03, 0.075), rng.uniform(0.01, 0.018)
    wall = ring(radius, rim, 0.005, 12, flare=0.6, rgba=look.accent)
    return [cylinder(radius - 0.004, 0.006, (0, 0, 0.003), rgba=look.main, textured=True)] + wall


def make_spoon(rng, look: Look) -> Parts:
    """A ladle or spoon of wood or plastic, lying."""
    length, bowl = rng.uniform(0.12, 0.19), rng.uniform(0.025, 0.06)
    thick = rng.uniform(0.008, 0.016)
    return [
        capsule(thick / 2, length, (0, 0, thick / 2), (0, QUARTER, 0), rgba=look.main),
        ellipsoid((1.4 * bowl, bowl, 1.3 * thick), (length / 2 + 0.5 * bowl, 0, 0.65 * thick), rgba=look.main),
        box((0.02, 1.6 * thick, thick), (-0.42 * length, 0, thick / 2), rgba=look.accent, textured=True),
    ]


def make_fruit(rng, look: Look) -> Parts:
    """A fruit or vegetable: apple, pear or a bent one."""
    size = rng.uniform(0.032, 0.085)
    kind = rng.integers(3)
    if kind == 0:
        body = ellipsoid((size, size, 0.9 * size), (0, 0, 0.45 * size), rgba=look.main, textured=True)
        return [body, cylinder(0.004, 0.02, (0, 0, 0.92 * size), rgba=WOOD)]
    if kind == 1:
        return [
            sphere(size / 2, (0, 0, size / 2), rgba=look.main, textured=True),
            sphere(0.32 * size, (0.55 * size, 0, 0.36 * size), rgba=look.main),
            cylinder(0.004, 0.02, (0.9 * size, 0, 0.4 * size), (0, QUARTER, 0), rgba=WOOD),
        ]
    radius, parts = 0.26 * size + 0.004, []
    for bend in (-0.45, 0.0, 0.45):
        pos = (1.0 * size * np.sin(bend) * 1.6, size * (1 - np.cos(bend)) * 1.6, radius)
        parts.append(capsule(radius, 1.1 * size, pos, (0, QUARTER, bend), rgba=look.main))
    return parts


def make_remote(rng, look: Look) -> Parts:
    """A remote control or telephone with rows of keys."""
    length, width = rng.uniform(0.11, 0.17), rng.uniform(0.03, 0.06)
    thick = rng.uniform(0.018, 0.028)
    parts = [box((length, width, thick), (0, 0, thick / 2), rgba=look.main)]
    for x in np.linspace(-0.38, 0.2, 4):
        for y in (-0.22, 0.22):
            size = (0.09 * length, 0.28 * width, 0.003)
            parts.append(box(size, (x * length, y * width, thick + 0.001), rgba=look.accent))
    screen = (0.18 * length, 0.7 * width, 0.003)
    return parts + [box(screen, (0.38 * length, 0, thick + 0.001), rgba=DARK, textured=True)]


TRAIN_MAKERS: Dict[str, Tuple[Callable, int]] = {
    "box": (make_box, 18),
    "can": (make_can, 12),
    "bottle": (make_bottle, 14),
    "mug": (make_mug, 12),
    "bowl": (make_bowl, 8),
    "hammer": (make_hammer, 8),
    "screwdriver": (make_screwdriver, 8),
    "brush": (make_brush, 8),
    "roll": (make_roll, 12),
    "animal": (make_animal, 12),
    "car": (make_car, 10),
    "ball": (make_ball, 8),
    "blocks": (make_blocks, 10),
    "plate": (make_plate, 6),
    "spoon": (make_spoon, 6),
    "fruit": (make_fruit, 10),
    "remote": (make_remote, 6),
}
"""Category -> maker and how many the training catalogue holds; 168 objects in all."""

ROUND = ("can", "bottle", "ball", "fruit", "screwdriver", "roll", "dumbbell", "torch", "chess_pawn", "mushroom", "bone")
"""Categories that would roll for ever without rolling friction."""
