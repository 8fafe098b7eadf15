"""Pictures of the simulated world as the Kinect and the wrist cameras would take them.

Rendering is done in software on most machines, so it is cut to what the pictures need: no anti-aliasing by the
renderer (the lens blur does it), one pass for the Kinect's colour and depth, nothing between frames.
"""

import threading
from typing import Any, Optional, Tuple

import cv2
import mujoco
import numpy as np
from pydantic import Field

from grasp_learning.config import Settings
from grasp_learning.geometry import Camera
from grasp_learning.robot_description import SIDES
from grasp_learning.sim.appearance import Appearance
from grasp_learning.sim.camera_models import KINECT, KINECT_NAME, WRIST, CameraModel, wrist_name
from grasp_learning.sim.gl import RenderingError, create_context

MAX_GEOMS = 2000
_TILE_MARGIN = 128

# (u, v, width, height) of a part of a picture (px)
Crop = Tuple[int, int, int, int]


class CameraSettings(Settings):
    """What the simulated cameras add to the truth.

    Attributes:
        seed: of the noise.
        colour_noise: standard deviation (grey levels of 255).
        depth_noise: standard deviation (m) of the Kinect's depth.
        blur: standard deviation of the lens blur (px); 0 for none.
        depth_min, depth_max: the Kinect's range (m); it measures nothing outside.
    """

    seed: int = Field(default=0, ge=0)
    colour_noise: float = Field(default=2.0, ge=0.0, le=20.0)
    depth_noise: float = Field(default=0.0015, ge=0.0, le=0.02)
    blur: float = Field(default=0.6, ge=0.0, le=3.0)
    depth_min: float = Field(default=0.5, gt=0.0)
    depth_max: float = Field(default=4.5, gt=0.0, lt=60.0)


class CameraRenderer:
    """Renders a model's cameras ``kinect`` and, for each hand that it has, ``<side>_hand_camera``.

    An object belongs to the thread that takes the first picture, because OpenGL contexts do; only that thread may use
    and :meth:`close` it. It reads the MjData that it is given, which must not be stepped meanwhile: give it a copy.
    The same state and settings give the same picture, whatever was rendered before.

    Args:
        model: must have the Kinect.
        settings: noise and range.
        appearance: whose light drifts with the data's time; None leaves the light as it is. The drift is written into
            the model's lights, which no physics reads.

    Raises:
        RenderingError: the model lacks the Kinect.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        settings: Optional[CameraSettings] = None,
        appearance: Optional[Appearance] = None,
    ):
        self.model = model
        self.settings = settings or CameraSettings()
        self.appearance = appearance
        self._ids = {KINECT_NAME: _camera_id(model, KINECT_NAME)}
        cameras = {model.camera(index).name: index for index in range(model.ncam)}
        self._ids.update({name: cameras[name] for name in map(wrist_name, SIDES) if name in cameras})
        self._noise = CameraNoise(self.settings)
        self._thread: Optional[int] = None
        self._gl: Any = None  # an OpenGL context, of whichever class there is
        self._context: Optional[mujoco.MjrContext] = None
        self._scene: Optional[mujoco.MjvScene] = None

    def camera(self, name: str) -> Camera:
        """Intrinsics of a camera as the model has it.

        Raises:
            RenderingError: there is no such camera.
        """
        model = KINECT if name == KINECT_NAME else WRIST
        fovy = self.model.cam_fovy[self._camera(name)]
        focal_length = model.height / 2 / np.tan(np.radians(fovy) / 2)
        return CameraModel(model.width, model.height, float(focal_length)).camera

    def kinect(self, data: mujoco.MjData, crop: Optional[Crop] = None) -> Tuple[np.ndarray, np.ndarray]:
        """The Kinect's picture and the depth registered to it.

        Args:
            crop: the part of the picture that is wanted; None is all of it. What is left out costs nothing.

        Returns:
            (1080, 1920, 3) uint8 BGR and (1080, 1920) uint16 in mm along the optical axis, 0 where out of range; or
            as large as the crop.

        Raises:
            RenderingError: no OpenGL, or another thread's renderer.
        """
        rgb, raw = self._render(data, KINECT_NAME, KINECT, depth=True, crop=crop)
        rng = self._frame_generator(data, KINECT_NAME)
        return self._noise.colour(rgb, rng), self._noise.depth(self._millimetres(raw), rng)

    def wrist(self, data: mujoco.MjData, side: str) -> np.ndarray:
        """A wrist camera's picture: (800, 1280, 3) uint8 BGR.

        Raises:
            RenderingError: no OpenGL, another thread's renderer, or no such side.
        """
        name = wrist_name(side)
        rgb, _ = self._render(data, name, WRIST, depth=False)
        return self._noise.colour(rgb, self._frame_generator(data, name))

    def wrist_geoms(self, data: mujoco.MjData, side: str) -> np.ndarray:
        """What each pixel of :meth:`wrist` shows: (800, 1280) int32 of the model's geom ids, -1 for nothing.

        Raises:
            RenderingError: no OpenGL, another thread's renderer, or no such side.
        """
        codes, _ = self._render(data, wrist_name(side), WRIST, depth=False, segments=True)
        numbers = codes[::-1].astype(np.int32) @ np.array([1, 1 << 8, 1 << 16], np.int32)
        geoms = np.full(self._scene.ngeom + 1, -1, np.int32)
        for geom in self._scene.geoms[: self._scene.ngeom]:
            if geom.objtype == mujoco.mjtObj.mjOBJ_GEOM and geom.segid >= 0:  # -1 is what is not drawn
                geoms[geom.segid + 1] = geom.objid
        return geoms[numbers]

    def close(self) -> None:
        """Free the OpenGL context; to be called by the thread that rendered. More than once does no harm."""
        if self._gl is None:
            return
        self._check_thread()
        self._gl.make_current()
        self._context.free()
        self._gl.free()
        self._gl = self._context = self._scene = None

    def _camera(self, name: str) -> int:
        if name not in self._ids:
            raise RenderingError(f"unknown camera '{name}'; expected one of {', '.join(self._ids)}")
        return self._ids[name]

    def _frame_generator(self, data: mujoco.MjData, name: str) -> np.random.Generator:
        """Noise depends on the instant and the camera alone, so that a picture can be made again."""
        return np.random.default_rng([self.settings.seed, self._ids[name], round(data.time * 1e6)])

    def _check_thread(self) -> None:
        if threading.get_ident() != self._thread:
            raise RenderingError("this CameraRenderer belongs to another thread; make one in each thread that renders")

    def _open(self) -> None:
        context = create_context(KINECT.width, KINECT.height)
        try:
            self._context = self._drawing_context()
        except (mujoco.FatalError, RenderingError) as error:
            context.free()
            raise RenderingError(f"pictures cannot be drawn: {error}") from error
        self._scene = mujoco.MjvScene(self.model, MAX_GEOMS)
        self._scene.flags[:] = 0
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = self._context.shadowSize > 0
        self._scene.flags[mujoco.mjtRndFlag.mjRND_CULL_FACE] = 1
        self._gl, self._thread = context, threading.get_ident()

    def _drawing_context(self) -> mujoco.MjrContext:
        drawing = mujoco.MjrContext(self.model, mujoco.mjtFontScale.mjFONTSCALE_50)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, drawing)
        if drawing.offWidth < KINECT.width or drawing.offHeight < KINECT.height:
            size = f"{drawing.offWidth}x{drawing.offHeight}"
            raise RenderingError(f"the model's offscreen buffer of {size} px is smaller than the Kinect's picture")
        # 0 is far: keeps the precision of a small floating point number where distances are large
        drawing.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        return drawing

    def _render(
        self,
        data: mujoco.MjData,
        name: str,
        size: CameraModel,
        depth: bool,
        crop: Optional[Crop] = None,
        segments: bool = False,
    ):
        """RGB and raw depth buffer (or None), rows from the bottom up, as OpenGL has them.

        Args:
            segments: in place of colours, draw each geom's number in the scene plus one, the lowest byte in red.
        """
        camera = mujoco.MjvCamera()
        camera.type, camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, self._camera(name)
        if self._gl is None:
            self._open()
        self._check_thread()
        # another renderer of this thread may have drawn in between
        self._gl.make_current()
        if self.appearance is not None:
            self.appearance.update(self.model, data.time)
        for flag in (mujoco.mjtRndFlag.mjRND_SEGMENT, mujoco.mjtRndFlag.mjRND_IDCOLOR):
            self._scene.flags[flag] = segments
        drawn = int(mujoco.mjtCatBit.mjCAT_STATIC | mujoco.mjtCatBit.mjCAT_DYNAMIC)
        mujoco.mjv_updateScene(self.model, data, mujoco.MjvOption(), None, camera, drawn, self._scene)
        width, height = (size.width, size.height) if crop is None else crop[2:]
        if crop is not None:
            for eye in self._scene.camera:
                _look_at_crop(eye, size, crop)
        viewport = mujoco.MjrRect(0, 0, width, height)
        mujoco.mjr_render(viewport, self._scene, self._context)
        rgb = np.empty((height, width, 3), np.uint8)
        raw = np.empty((height, width), np.float32) if depth else None
        mujoco.mjr_readPixels(rgb, raw, viewport, self._context)
        return rgb, raw

    def _millimetres(self, raw: np.ndarray) -> np.ndarray:
        """Depth in mm from the depth buffer, in place; both (h, w) float32."""
        extent = self.model.stat.extent
        near, far = self.model.vis.map.znear * extent, self.model.vis.map.zfar * extent
        np.multiply(raw, np.float32(far - near), out=raw)
        np.add(raw, np.float32(near), out=raw)
        return cv2.divide(1000.0 * near * far, raw, dst=raw)


class CameraNoise:
    """Lens blur and sensor noise.

    A picture's 8 bits are about the root of the light, and shot noise grows with that same root, so noise of one size
    at all grey levels stands for both shot and read noise. Noise is drawn once and cut out at random places: drawing
    six million numbers for every picture would cost more than rendering it.
    """

    def __init__(self, settings: CameraSettings):
        self.settings = settings
        rng = np.random.default_rng([settings.seed, 7])
        shape = (KINECT.height + _TILE_MARGIN, KINECT.width + _TILE_MARGIN)
        noise = np.rint(settings.colour_noise * rng.standard_normal((*shape, 3), dtype=np.float32))
        # two unsigned tiles, because saturating 8-bit addition is several times faster than mixed types
        self._brighter = np.clip(noise, 0, 255).astype(np.uint8)
        self._darker = np.clip(-noise, 0, 255).astype(np.uint8)
        self._depth = 1000 * settings.depth_noise * rng.standard_normal(shape, dtype=np.float32)

    def colour(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """BGR picture, upright, of an RGB one whose rows go from the bottom up; both (h, w, 3) uint8."""
        picture = cv2.flip(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), 0)
        if self.settings.blur > 0:
            picture = cv2.GaussianBlur(picture, (3, 3), self.settings.blur)
        if self.settings.colour_noise > 0:
            place = _place(self._depth.shape, picture.shape, rng)
            cv2.add(picture, self._brighter[place], dst=picture)
            cv2.subtract(picture, self._darker[place], dst=picture)
        return picture

    def depth(self, millimetres: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Upright depth in whole mm (h, w) uint16, 0 out of range, of exact depth (h, w) with rows bottom up."""
        depth = cv2.flip(millimetres, 0)
        if self.settings.depth_noise > 0:
            cv2.add(depth, self._depth[_place(self._depth.shape, depth.shape, rng)], dst=depth)
        cv2.threshold(depth, 1000 * self.settings.depth_min, 0, cv2.THRESH_TOZERO, dst=depth)
        cv2.threshold(depth, 1000 * self.settings.depth_max, 0, cv2.THRESH_TOZERO_INV, dst=depth)
        depth += np.float32(0.5)
        return depth.astype(np.uint16)


def _look_at_crop(eye: mujoco.MjvGLCamera, size: CameraModel, crop: Crop) -> None:
    """Narrow a camera's frustum to a part of its picture."""
    u, v, width, height = crop
    scale = eye.frustum_near / size.focal_length
    eye.frustum_center = (u + width / 2 - size.width / 2) * scale
    eye.frustum_width = width / 2 * scale
    eye.frustum_top = (size.height / 2 - v) * scale
    eye.frustum_bottom = (size.height / 2 - v - height) * scale


def _place(tile: Tuple[int, ...], picture: Tuple[int, ...], rng: np.random.Generator) -> Tuple[slice, slice]:
    """A random place in a tile that has a picture's size; both are shapes."""
    row = int(rng.integers(tile[0] - picture[0] + 1))
    column = int(rng.integers(tile[1] - picture[1] + 1))
    return slice(row, row + picture[0]), slice(column, column + picture[1])


def _camera_id(model: mujoco.MjModel, name: str) -> int:
    index = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, name)
    if index < 0:
        raise RenderingError(f"the model has no camera called '{name}'")
    return index
