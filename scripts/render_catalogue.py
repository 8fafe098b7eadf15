#!/usr/bin/env python3
"""Draw the pictures of the documentation: all objects in a grid, and the robot at its table.

Needs the package on the Python path (source the workspace, or set PYTHONPATH to src), but no ROS.
"""

import argparse
import math
import sys
from pathlib import Path

import cv2
import mujoco
import numpy as np

from grasp_learning.sim.appearance import Appearance, AppearanceSettings
from grasp_learning.sim.gl import RenderingError, create_context
from grasp_learning.sim.objects import SPLITS, add_to_spec, catalogue
from grasp_learning.sim.world import World, WorldSettings

OVERSAMPLING = 2  # rendered larger and scaled down, for smooth edges
FIELD_OF_VIEW = 5  # degrees
BACKDROP = (205, 210, 216)
SPACING = 0.235  # m between objects


def render(model: mujoco.MjModel, data: mujoco.MjData, camera: mujoco.MjvCamera, size, legs=()) -> np.ndarray:
    """BGR picture (height, width, 3) of a free camera before a light backdrop.

    Args:
        size: (width, height) in px.
        legs: (centre (m), half sizes (m)) of boxes that are drawn in addition.
    """
    width, height = (OVERSAMPLING * side for side in size)
    model.vis.global_.offwidth, model.vis.global_.offheight = width, height
    context = create_context(width, height)
    drawing = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
    mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, drawing)
    scene = mujoco.MjvScene(model, 5000)
    scene.flags[mujoco.mjtRndFlag.mjRND_SKYBOX] = 0
    scene.flags[mujoco.mjtRndFlag.mjRND_HAZE] = 0
    solid = int(mujoco.mjtCatBit.mjCAT_STATIC | mujoco.mjtCatBit.mjCAT_DYNAMIC)
    mujoco.mjv_updateScene(model, data, mujoco.MjvOption(), None, camera, solid, scene)
    for centre, half in legs:
        geom = scene.geoms[scene.ngeom]
        colour = np.array([0.42, 0.42, 0.44, 1], np.float32)
        mujoco.mjv_initGeom(
            geom, mujoco.mjtGeom.mjGEOM_BOX, np.array(half), np.array(centre), np.eye(3).ravel(), colour
        )
        scene.ngeom += 1
    rgb, depth = np.empty((height, width, 3), np.uint8), np.empty((height, width), np.float32)
    viewport = mujoco.MjrRect(0, 0, width, height)
    mujoco.mjr_render(viewport, scene, drawing)
    mujoco.mjr_readPixels(rgb, depth, viewport, drawing)
    drawing.free()
    context.free()
    rgb[depth >= 1.0] = BACKDROP
    picture = cv2.cvtColor(cv2.flip(rgb, 0), cv2.COLOR_RGB2BGR)
    return cv2.resize(picture, tuple(size), interpolation=cv2.INTER_AREA)


def view(lookat, distance: float, azimuth: float, elevation: float) -> mujoco.MjvCamera:
    """A free camera (m, degrees)."""
    camera = mujoco.MjvCamera()
    camera.lookat[:] = lookat
    camera.distance, camera.azimuth, camera.elevation = distance, azimuth, elevation
    return camera


def draw_catalogue(seed: int, columns: int, width: int) -> np.ndarray:
    """All objects, training first and held-out ones in rows of their own at the bottom."""
    spec = mujoco.MjSpec()
    row = 0
    for split in SPLITS:
        objects = catalogue(split, seed)
        for index, obj in enumerate(objects):
            x, y = SPACING * (index % columns), -SPACING * (row + index // columns)
            half_turn = [math.cos(0.35), 0, 0, math.sin(0.35)]
            add_to_spec(spec, obj, pos=(x, y, obj.extents[2] / 2), quat=half_turn)
        row += math.ceil(len(objects) / columns) + 0.3
    middle = (SPACING * (columns - 1) / 2, -SPACING * (row - 1.3) / 2, 0)
    floor = spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, pos=middle, size=[20, 20, 0.1])
    floor.rgba = [0.95, 0.95, 0.93, 1]
    Appearance(seed, AppearanceSettings(shadows=False)).apply(spec)
    # a long lens, so that all are seen from the same side
    spec.visual.map.zfar, spec.visual.global_.fovy = 100.0, FIELD_OF_VIEW
    spec.visual.headlight.diffuse, spec.visual.headlight.ambient = [0.45] * 3, [0.5] * 3
    for light in spec.lights:
        light.type, light.diffuse = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, [0.08] * 3
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    height = int(width * (row + 0.1) / (columns + 0.2) * 0.9)
    distance = SPACING * (columns + 0.2) * height / width / (2 * math.tan(math.radians(FIELD_OF_VIEW) / 2))
    return render(model, data, view(middle, distance, 90, -62), (width, height))


def draw_scene(seed: int, objects: int, width: int) -> np.ndarray:
    """The robot at the table with clutter, seen by a bystander."""
    rng = np.random.default_rng(seed)
    everything = catalogue("train", seed)
    chosen = [everything[index] for index in rng.permutation(len(everything))[:objects]]
    world = World(seed, chosen, WorldSettings(appearance=AppearanceSettings(shadow_px=4096)))
    world.scatter(rng)
    world.model.vis.headlight.diffuse[:] = 0.28
    table = world.table
    top, floor = table.z - 0.04, float(world.model.geom("floor").pos[2])
    corners = [
        (x, y) for x in (table.x_min + 0.05, table.x_max - 0.05) for y in (table.y_min + 0.05, table.y_max - 0.05)
    ]
    legs = [((x, y, (top + floor) / 2), (0.025, 0.025, (top - floor) / 2)) for x, y in corners]
    size = (width, width * 5 // 8)
    return render(world.model, world.data, view((0.42, 0.0, 0.02), 2.45, 207, -27), size, legs)


def main() -> int:
    """Write the pictures that were asked for; 1 where they cannot be made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the objects and the light (default: %(default)s)")
    parser.add_argument("--columns", type=int, default=16, help="of the catalogue (default: %(default)s)")
    parser.add_argument("--objects", type=int, default=12, help="on the robot's table (default: %(default)s)")
    parser.add_argument("--width", type=int, default=1280, help="of the pictures, px (default: %(default)s)")
    options = parser.parse_args()
    if min(options.columns, options.objects, options.width) < 1 or options.seed < 0:
        parser.error("columns, objects and width must be positive, the seed not negative")
    try:
        pictures = {
            "catalogue.png": draw_catalogue(options.seed, options.columns, options.width),
            "scene.png": draw_scene(options.seed, options.objects, options.width),
        }
    except RenderingError as error:
        print(f"render_catalogue: {error}", file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        path = options.out / name
        if not cv2.imwrite(str(path), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9]):
            print(f"render_catalogue: {path} cannot be written", file=sys.stderr)
            return 1
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
