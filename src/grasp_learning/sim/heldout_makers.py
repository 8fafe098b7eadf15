"""The 15 held-out test objects: categories that the training catalogue does not have.

Same conventions as :mod:`grasp_learning.sim.object_makers`.
"""

from typing import Callable, Dict

import numpy as np

from grasp_learning.sim.object_makers import DARK, QUARTER, STEEL, WOOD, Look, Parts
from grasp_learning.sim.shapes import box, capsule, cylinder, ellipsoid, ring, sphere


def make_teapot(rng, look: Look) -> Parts:
    """A round pot with spout, handle and lid."""
    size = rng.uniform(0.085, 0.10)
    z = 0.42 * size
    parts = [
        ellipsoid((size, size, 0.8 * size), (0, 0, z), rgba=look.main, textured=True),
        cylinder(0.3 * size, 0.008, (0, 0, 0.03 * size), rgba=look.accent),
        cylinder(0.25 * size, 0.01, (0, 0, 0.83 * size), rgba=look.accent),
        sphere(0.09 * size, (0, 0, 0.93 * size), rgba=look.accent),
        capsule(0.09 * size, 0.45 * size, (0.58 * size, 0, 0.55 * size), (0, 0.8, 0), rgba=look.main),
        capsule(0.05 * size, 0.4 * size, (-0.76 * size, 0, z), rgba=look.accent),
    ]
    for height in (0.27, 0.57):
        pos = (-0.6 * size, 0, height * size)
        parts.append(capsule(0.05 * size, 0.4 * size, pos, (0, QUARTER, 0), rgba=look.accent))
    return parts


def make_dumbbell(rng, look: Look) -> Parts:
    """A bar with two hexagon-like weights."""
    radius, length = rng.uniform(0.024, 0.03), rng.uniform(0.11, 0.15)
    parts = [cylinder(0.5 * radius, length, (0, 0, radius), (0, QUARTER, 0), rgba=STEEL)]
    for x in (-0.4, 0.4):
        for roll in (0.0, np.pi / 3, 2 * np.pi / 3):
            size = (0.25 * length, 2 * radius, 2 * radius * np.tan(np.pi / 6))
            parts.append(box(size, (x * length, 0, radius), (roll + QUARTER, 0, 0), rgba=look.main, textured=True))
    return parts


def make_pan(rng, look: Look) -> Parts:
    """A small frying pan."""
    radius, height = rng.uniform(0.05, 0.06), 0.028
    parts = ring(radius, height, 0.005, 10, rgba=DARK)
    parts.append(cylinder(radius - 0.003, 0.006, (0, 0, 0.003), rgba=look.main, textured=True))
    handle = box((0.11, 0.022, 0.014), (radius + 0.052, 0, height - 0.008), rgba=look.accent)
    return parts + [handle]


def make_padlock(rng, look: Look) -> Parts:
    """A block with a shackle, lying."""
    width, thick = rng.uniform(0.055, 0.07), rng.uniform(0.024, 0.032)
    z = thick / 2
    parts = [box((width, 0.9 * width, thick), (0, 0, z), rgba=look.main, textured=True)]
    for x in (-0.3, 0.3):
        parts.append(capsule(0.006, 0.6 * width, (x * width, 0.65 * width, z), (QUARTER, 0, 0), rgba=STEEL))
    bar = capsule(0.006, 0.6 * width + 0.012, (0, 0.92 * width, z), (0, QUARTER, 0), rgba=STEEL)
    return parts + [bar, cylinder(0.007, 0.004, (0, -0.2 * width, thick), rgba=DARK)]


def make_robot_figure(rng, look: Look) -> Parts:
    """A toy robot that stands."""
    width = rng.uniform(0.044, 0.055)
    foot, leg, trunk = 0.014, 0.035, 1.1 * width
    hip = foot + leg
    parts = [
        box((width, 0.7 * width, trunk), (0, 0, hip + trunk / 2), rgba=look.main, textured=True),
        box((0.6 * width, 0.6 * width, 0.5 * width), (0, 0, hip + trunk + 0.3 * width), rgba=look.accent),
        cylinder(0.003, 0.02, (0, 0, hip + trunk + 0.6 * width), rgba=STEEL),
    ]
    for side in (-1, 1):
        parts.append(box((0.3 * width, 0.3 * width, leg), (0, side * 0.24 * width, foot + leg / 2), rgba=STEEL))
        parts.append(box((0.8 * width, 0.42 * width, foot), (0.1 * width, side * 0.26 * width, foot / 2), rgba=DARK))
        shoulder = (0, side * 0.5 * width, hip + 0.55 * trunk)
        parts.append(capsule(0.14 * width, 0.8 * trunk, shoulder, rgba=look.accent))
    return parts


def make_star(rng, look: Look) -> Parts:
    """A thick star of five arms, lying."""
    reach, thick = rng.uniform(0.05, 0.065), rng.uniform(0.025, 0.035)
    parts = [cylinder(0.5 * reach, thick, (0, 0, thick / 2), rgba=look.accent)]
    for angle in 2 * np.pi * np.arange(5) / 5:
        pos = (0.65 * reach * np.cos(angle), 0.65 * reach * np.sin(angle), thick / 2)
        size = (0.7 * reach, 0.36 * reach, 0.9 * thick)
        parts.append(box(size, pos, (0, 0, angle), rgba=look.main, textured=True))
    return parts


def make_chess_pawn(rng, look: Look) -> Parts:
    """A large chess pawn, standing."""
    radius = rng.uniform(0.024, 0.03)
    return [
        cylinder(radius, 0.014, (0, 0, 0.007), rgba=look.main),
        cylinder(0.8 * radius, 0.012, (0, 0, 0.02), rgba=look.accent),
        capsule(0.5 * radius, 0.075, (0, 0, 0.055), rgba=look.main, textured=True),
        cylinder(0.75 * radius, 0.008, (0, 0, 0.085), rgba=look.accent),
        sphere(0.7 * radius, (0, 0, 0.105), rgba=look.main, textured=True),
    ]


def make_torch(rng, look: Look) -> Parts:
    """A flashlight with a wide head, lying."""
    radius, length = rng.uniform(0.017, 0.021), rng.uniform(0.11, 0.14)
    z = 1.45 * radius
    parts = [
        cylinder(radius, length, (0, 0, z), (0, QUARTER, 0), rgba=look.main, textured=True),
        cylinder(1.45 * radius, 0.035, (length / 2, 0, z), (0, QUARTER, 0), rgba=DARK),
        cylinder(1.3 * radius, 0.004, (length / 2 + 0.018, 0, z), (0, QUARTER, 0), rgba=(0.95, 0.93, 0.6, 1.0)),
        cylinder(1.45 * radius, 0.012, (-0.48 * length, 0, z), (0, QUARTER, 0), rgba=look.accent),
    ]
    return parts + [box((0.02, 0.01, 0.004), (0.1 * length, 0, z + radius), rgba=look.accent)]


def make_bone(rng, look: Look) -> Parts:
    """A rubber dog bone."""
    knob, length = rng.uniform(0.02, 0.024), rng.uniform(0.10, 0.13)
    shaft = capsule(0.7 * knob, length, (0, 0, knob), (0, QUARTER, 0), rgba=look.main, textured=True)
    ends = [(x * length, y * knob, knob) for x in (-0.5, 0.5) for y in (-0.75, 0.75)]
    return [shaft] + [sphere(knob, end, rgba=look.accent) for end in ends]


def make_mushroom(rng, look: Look) -> Parts:
    """A mushroom with a spotted cap, standing on its stem."""
    cap, stem = rng.uniform(0.08, 0.095), rng.uniform(0.04, 0.05)
    parts = [
        cylinder(0.24 * cap, stem, (0, 0, stem / 2), rgba=look.accent),
        cylinder(0.32 * cap, 0.012, (0, 0, 0.006), rgba=look.accent),
        ellipsoid((cap, cap, 0.55 * cap), (0, 0, stem + 0.12 * cap), rgba=look.main, textured=True),
    ]
    for angle in 2 * np.pi * np.arange(4) / 4:
        spot = (0.28 * cap * np.cos(angle), 0.28 * cap * np.sin(angle), stem + 0.31 * cap)
        parts.append(sphere(0.07 * cap, spot, rgba=look.accent))
    return parts


def make_watering_can(rng, look: Look) -> Parts:
    """A toy watering can with spout and a handle over its top."""
    radius, height = rng.uniform(0.038, 0.044), rng.uniform(0.07, 0.08)
    reach = radius + 0.03
    return [
        cylinder(radius, height, (0, 0, height / 2), rgba=look.main, textured=True),
        capsule(0.008, 0.085, (reach, 0, 0.62 * height), (0, 0.75, 0), rgba=look.main),
        cylinder(0.018, 0.006, (reach + 0.03, 0, 0.62 * height + 0.03), (0, 0.75, 0), rgba=look.accent),
        capsule(0.006, 1.6 * radius, (0, 0, height + 0.03), (0, QUARTER, 0), rgba=look.accent),
        capsule(0.006, 0.05, (-0.7 * radius, 0, height + 0.012), rgba=look.accent),
        capsule(0.006, 0.05, (0.7 * radius, 0, height + 0.012), rgba=look.accent),
    ]


def make_wrench(rng, look: Look) -> Parts:
    """An open spanner, too thin to be held by its handle."""
    length, thick = rng.uniform(0.13, 0.16), rng.uniform(0.012, 0.016)
    z = thick / 2
    parts = [
        box((length, 0.024, thick), (0, 0, z), rgba=look.main, textured=True),
        cylinder(0.018, thick, (-length / 2, 0, z), rgba=look.main),
        cylinder(0.018, thick, (length / 2, 0, z), rgba=look.main),
    ]
    for side in (-1, 1):
        jaw = (length / 2 + 0.02, side * 0.014, z)
        parts.append(box((0.034, 0.012, 0.95 * thick), jaw, (0, 0, side * 0.2), rgba=STEEL))
    return parts


def make_hairdryer(rng, look: Look) -> Parts:
    """Barrel, nozzle and handle, lying on its side."""
    radius, length = rng.uniform(0.028, 0.034), rng.uniform(0.10, 0.12)
    grip = 0.017
    return [
        cylinder(radius, length, (0, 0, radius), (0, QUARTER, 0), rgba=look.main, textured=True),
        ellipsoid((1.2 * radius, 2 * radius, 2 * radius), (-length / 2, 0, radius), rgba=look.accent),
        cylinder(0.7 * radius, 0.03, (length / 2 + 0.015, 0, radius), (0, QUARTER, 0), rgba=DARK),
        capsule(grip, 0.10, (-0.2 * length, radius + 0.03, radius), (QUARTER, 0, 0.15), rgba=look.main),
        box((0.012, 0.02, 0.006), (-0.18 * length, radius + 0.02, radius + grip), rgba=DARK),
    ]


def make_plane(rng, look: Look) -> Parts:
    """A toy aeroplane."""
    length, radius = rng.uniform(0.13, 0.16), rng.uniform(0.02, 0.025)
    z, wing = radius + 0.006, rng.uniform(0.13, 0.16)
    wheels = [(0.25 * length, -0.02), (0.25 * length, 0.02), (-0.3 * length, 0.0)]
    parts = [
        capsule(radius, length, (0, 0, z), (0, QUARTER, 0), rgba=look.main, textured=True),
        box((0.045, wing, 0.008), (0.08 * length, 0, z), rgba=look.accent),
        box((0.025, 0.4 * wing, 0.006), (-0.42 * length, 0, z + 0.3 * radius), rgba=look.accent),
        box((0.03, 0.006, 0.04), (-0.42 * length, 0, z + radius), rgba=look.accent),
        ellipsoid((0.04, 1.4 * radius, 0.026), (0.15 * length, 0, z + 0.8 * radius), rgba=DARK),
        box((0.004, 0.055, 0.008), (length / 2 + 0.003, 0, z), (0.5, 0, 0), rgba=WOOD),
    ]
    return parts + [sphere(0.008, (x, y, 0.008), rgba=DARK) for x, y in wheels]


def make_house(rng, look: Look) -> Parts:
    """A doll's house with a pitched roof and a chimney."""
    width, depth, height = rng.uniform([0.06, 0.05, 0.045], [0.085, 0.07, 0.06])
    slope = 0.7
    slab = width / 2 / np.cos(slope) * 1.15
    parts = [box((width, depth, height), (0, 0, height / 2), rgba=look.main, textured=True)]
    for side in (-1, 1):
        pos = (side * width / 4, 0, height + np.tan(slope) * width / 4)
        parts.append(box((slab, 1.1 * depth, 0.008), pos, (0, side * slope, 0), rgba=look.accent))
    chimney = box((0.014, 0.014, 0.035), (0.25 * width, 0.2 * depth, height + 0.035), rgba=look.accent)
    gable = box((0.35 * width, 0.9 * depth, 0.3 * width), (0, 0, height + 0.12 * width), rgba=look.main)
    return parts + [chimney, gable, box((0.002, 0.016, 0.03), (width / 2, 0, 0.015), rgba=WOOD)]


TEST_MAKERS: Dict[str, Callable] = {
    "teapot": make_teapot,
    "dumbbell": make_dumbbell,
    "pan": make_pan,
    "padlock": make_padlock,
    "robot_figure": make_robot_figure,
    "star": make_star,
    "chess_pawn": make_chess_pawn,
    "torch": make_torch,
    "bone": make_bone,
    "mushroom": make_mushroom,
    "watering_can": make_watering_can,
    "wrench": make_wrench,
    "hairdryer": make_hairdryer,
    "plane": make_plane,
    "house": make_house,
}
"""Category -> maker; one object each."""
