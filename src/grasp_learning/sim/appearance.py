"""What the simulated table looks like: light, paint and stains.

Everything is drawn from a seed. The light also drifts slowly with simulation time, as daylight and lamps do, because
a background that never changes would make background subtraction look better than it is.
"""

from typing import Optional, Tuple

import cv2
import mujoco
import numpy as np
from pydantic import Field

from grasp_learning.config import Settings
from grasp_learning.sim.camera_models import KINECT

MAX_SHADOW_PX = 4096
_BLOTCH_MARGIN = 72  # px: more than the blur of a blotch reaches


class AppearanceSettings(Settings):
    """How the scene looks.

    Attributes:
        shadows: the lamp casts shadows.
        shadow_px: side of the shadow map (px).
        drift: largest relative change of the light over a run.
    """

    shadows: bool = True
    shadow_px: int = Field(default=768, ge=128, le=MAX_SHADOW_PX)
    drift: float = Field(default=0.08, ge=0.0, le=0.5)


class Appearance:
    """Light and surfaces of one seed.

    Args:
        seed: decides everything random here.
        settings: amounts.
    """

    LAMP, FILL = "lamp", "fill"

    def __init__(self, seed: int, settings: Optional[AppearanceSettings] = None):
        self.seed = seed
        self.settings = settings or AppearanceSettings()
        rng = np.random.default_rng([seed, 1])
        self.kelvin = float(rng.uniform(3000, 6500))
        self.lamp_position = rng.uniform([0.2, -0.9, 1.6], [1.4, 0.9, 2.0])
        self.lamp = rng.uniform(0.36, 0.46) * light_colour(self.kelvin)
        self.fill_direction = rng.uniform([-0.6, -0.6, -1.0], [0.2, 0.6, -0.8])
        self.fill = rng.uniform(0.15, 0.21) * light_colour(float(rng.uniform(5000, 8000)))
        self.ambient = rng.uniform(0.36, 0.42) * light_colour(0.5 * (self.kelvin + 6500))
        self._periods = rng.uniform([300, 700, 1800], [600, 1400, 3600])
        self._phases = rng.uniform(0, 2 * np.pi, (3, 3))
        self._surface_seed = int(rng.integers(2**31))

    def apply(self, spec: mujoco.MjSpec) -> None:
        """Add lights and surfaces to a scene that is about to be compiled.

        Geoms called "table" and "floor", where there are such, get their surfaces.
        """
        self._set_quality(spec)
        self._add_lights(spec)
        rng = np.random.default_rng(self._surface_seed)
        table, floor = spec.geom("table"), spec.geom("floor")
        if table is not None:
            table.material = _add_surface(spec, "table_surface", table_texture(rng))
            table.rgba = [1, 1, 1, 1]
        if floor is not None:
            # no texture: it fills half of the Kinect's picture and would cost a third of its time
            floor.rgba = [*(rng.uniform(0.34, 0.5) * (1 + rng.uniform(-0.04, 0.04, 3))), 1]

    def _set_quality(self, spec: mujoco.MjSpec) -> None:
        spec.visual.global_.offwidth, spec.visual.global_.offheight = KINECT.width, KINECT.height
        spec.visual.quality.offsamples = 0
        # round things as polygons that deviate by about a pixel
        spec.visual.quality.numslices, spec.visual.quality.numstacks = 20, 10
        spec.visual.quality.shadowsize = self.settings.shadow_px if self.settings.shadows else 0
        # the part of the lamp's cone that the shadow map covers: the table, not the room
        spec.visual.map.shadowscale = 0.45
        # clip planes are in units of the model's extent, which is set so that they are metres
        spec.stat.extent = 1.0
        spec.stat.center = [0.7, 0.0, 0.0]
        spec.visual.map.znear, spec.visual.map.zfar = 0.02, 8.0
        # the head light would move with each camera
        spec.visual.headlight.diffuse = [0, 0, 0]
        spec.visual.headlight.specular = [0, 0, 0]
        spec.visual.headlight.ambient = list(self.ambient)

    def _add_lights(self, spec: mujoco.MjSpec) -> None:
        aim = np.array([0.75, 0.0, -0.1]) - self.lamp_position
        spec.worldbody.add_light(
            name=self.LAMP,
            type=mujoco.mjtLightType.mjLIGHT_SPOT,
            pos=list(self.lamp_position),
            dir=list(aim / np.linalg.norm(aim)),
            diffuse=list(self.lamp),
            specular=[0.25, 0.25, 0.25],
            ambient=[0, 0, 0],
            castshadow=self.settings.shadows,
            cutoff=60,
            exponent=1,
        )
        spec.worldbody.add_light(
            name=self.FILL,
            type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
            pos=[0, 0, 2],
            dir=list(self.fill_direction / np.linalg.norm(self.fill_direction)),
            diffuse=list(self.fill),
            specular=[0, 0, 0],
            ambient=[0, 0, 0],
            castshadow=False,
        )

    def light_factor(self, time: float) -> np.ndarray:
        """(3,) factor of the light's red, green and blue at a simulation time (s).

        Three slow waves of minutes to tens of minutes; the colours drift a little apart.
        """
        waves = np.sin(2 * np.pi * time / self._periods + self._phases[0])
        tint = np.sin(2 * np.pi * time / self._periods[1] + self._phases[1])
        return 1.0 + self.settings.drift * (0.85 * waves @ np.array([0.25, 0.35, 0.4]) + 0.15 * tint)

    def update(self, model: mujoco.MjModel, time: float) -> None:
        """Set a model's light to that of a simulation time (s)."""
        factor = self.light_factor(time)
        model.light(self.LAMP).diffuse[:] = self.lamp * factor
        model.light(self.FILL).diffuse[:] = self.fill * factor
        model.vis.headlight.ambient[:] = self.ambient * factor


def light_colour(kelvin: float) -> np.ndarray:
    """(3,) red, green and blue of a lamp of a colour temperature (K), the largest being 1.

    A coarse table of black-body colours in sRGB, as a camera with a fixed white balance near daylight sees them, drawn
    half way to white: cameras do correct most of it.
    """
    table = {2500: (1.0, 0.63, 0.28), 4000: (1.0, 0.81, 0.65), 5500: (1.0, 0.93, 0.87), 6600: (1.0, 0.98, 1.0)}
    table.update({8000: (0.89, 0.91, 1.0), 10000: (0.80, 0.86, 1.0)})
    colour = np.array([np.interp(kelvin, list(table), channel) for channel in zip(*table.values())])
    return 0.5 + 0.5 * colour / colour.max()


def _smooth_noise(rng: np.random.Generator, shape: Tuple[int, int], cells: Tuple[int, int]) -> np.ndarray:
    """Noise of about -1..1 on a picture, smooth over the given number of cells."""
    coarse = rng.normal(size=cells).astype(np.float32) * 0.5
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)


def table_texture(rng: np.random.Generator, shape: Tuple[int, int] = (1536, 768)) -> np.ndarray:
    """Dull white paint with mottling, a faint grain, scratches and stains: (rows, columns, 3) uint8, RGB."""
    grey = rng.uniform(198, 214) + 4 * _smooth_noise(rng, shape, (12, 6)) + 2 * _smooth_noise(rng, shape, (96, 48))
    grey += 2.5 * _smooth_noise(rng, shape, (shape[0], 12)) * (0.5 + 0.5 * _smooth_noise(rng, shape, (8, 8)))
    tint = 1 + rng.uniform(-0.02, 0.02, 3)
    image = np.clip(grey[..., None] * tint, 0, 255).astype(np.uint8)
    overlay = image.copy()
    for _ in range(int(rng.integers(10, 18))):
        start = rng.uniform((0, 0), shape[::-1])
        end = start + rng.normal(scale=90, size=2)
        shade = int(rng.uniform(165, 190))
        cv2.line(overlay, tuple(map(int, start)), tuple(map(int, end)), (shade,) * 3, 1, cv2.LINE_AA)
    for _ in range(int(rng.integers(5, 11))):
        _stain(overlay, rng)
    return cv2.addWeighted(image, 0.45, overlay, 0.55, 0)


def _stain(image: np.ndarray, rng: np.random.Generator) -> None:
    """A ring that a cup left, or a blurred blotch."""
    centre = tuple(int(v) for v in rng.uniform((0, 0), image.shape[1::-1]))
    colour = tuple(int(v) for v in rng.uniform((165, 155, 135), (195, 190, 180)))
    if rng.random() < 0.5:
        cv2.circle(image, centre, int(rng.uniform(35, 55)), colour, int(rng.integers(2, 5)), cv2.LINE_AA)
        return
    # drawn and blurred in the part of the picture that it reaches
    axes = tuple(int(v) for v in rng.uniform(12, 60, 2))
    angle, reach = float(rng.uniform(0, 180)), max(axes) + _BLOTCH_MARGIN
    left, top = max(centre[0] - reach, 0), max(centre[1] - reach, 0)
    part = image[top : centre[1] + reach, left : centre[0] + reach]
    mask = np.zeros(part.shape[:2], np.float32)
    cv2.ellipse(mask, (centre[0] - left, centre[1] - top), axes, angle, 0, 360, 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), 8)[..., None]
    part[:] = (part * (1 - 0.6 * mask) + np.array(colour) * 0.6 * mask).astype(np.uint8)


def _add_surface(spec: mujoco.MjSpec, name: str, image: np.ndarray) -> str:
    texture = spec.add_texture(
        name=f"{name}_texture",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        width=image.shape[1],
        height=image.shape[0],
        nchannel=3,
    )
    texture.data = np.ascontiguousarray(image).tobytes()
    material = spec.add_material(name=name, specular=0.1, shininess=0.2, reflectance=0.0)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = texture.name
    return name
