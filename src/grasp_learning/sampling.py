"""Grasp samplers: where and at which angle to grasp, chosen in the wrist picture.

A sampler is a subclass of GraspSampler; it is chosen by name. Those that a model guides are in
grasp_learning.guided_sampling, which is imported only when one is asked for: it needs a predictor, and so PyTorch,
without which the random collection starts at once.
"""

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Dict, Optional, Sequence

import cv2
import numpy as np
from pydantic import Field

from grasp_learning.config import ConfigError, Settings
from grasp_learning.geometry import Camera, angle_to_bin, image_angle_to_base
from grasp_learning.patches import PatchSettings, patch_fits, patch_side
from grasp_learning.polygons import uniform_in_polygon, usable_polygon
from grasp_learning.trial import Grasp, Outcome, Region, Step

if TYPE_CHECKING:
    from grasp_learning.predictor.predictor import Predictor

_TRIES = 100  # a draw fails only where lens distortion bends an outline's edge


class SamplerSettings(Settings):
    """What all samplers share.

    Attributes:
        clearance: height of the fingertips above the table when they close (m).
        patch: see PatchSettings.
        explore_angles: whether a model-guided grasp's angle is uniform in the bin that was chosen; or else its centre.
    """

    clearance: float = Field(0.012, ge=0)
    patch: PatchSettings = PatchSettings()
    explore_angles: bool = False


@dataclass(frozen=True)
class View:
    """A region as the wrist camera sees it.

    A pixel is taken back to the base frame by meeting its ray with the horizontal plane at half the region's height:
    what the pixel shows lies between the table and the region's top, so that the error, at most half the height times
    the tangent of the angle from straight down, is as small as it can be without depth.

    Attributes:
        region, camera, T_base_camera, table_z: see :meth:`GraspSampler.sample`.
        side: of the patches (px).
        plane: height of the plane in the base frame (m).
        polygon: (n, 2) convex, pixels that show the region and can be the centre of a patch.
    """

    region: Region
    camera: Camera
    T_base_camera: np.ndarray
    table_z: float
    side: int
    plane: float
    polygon: np.ndarray

    def points(self, pixels: np.ndarray) -> np.ndarray:
        """Points (n, 3) of the base frame that pixels (n, 2) show (m)."""
        return self.camera.pixels_to_plane(pixels, self.T_base_camera, self.plane)

    def in_region(self, points: np.ndarray) -> np.ndarray:
        """Which points (n, 3) lie in the region (n,): lens distortion bends an outline's edges."""
        outline = self.region.outline.astype(np.float32)
        return np.array([cv2.pointPolygonTest(outline, (float(x), float(y)), True) >= -1e-3 for x, y, _ in points])


class GraspSampler(abc.ABC):
    """Chooses a grasp in a region as the wrist camera sees it."""

    def __init__(self, settings: SamplerSettings):
        self._settings = settings

    @property
    def drawing(self) -> "GraspSampler":
        """Whom to ask for a grasp that is drawn, not always the same one: this sampler, if it draws anyway."""
        return self

    def sample(
        self,
        image: np.ndarray,
        region: Region,
        camera: Camera,
        T_base_camera: np.ndarray,
        table_z: float,
        rng: np.random.Generator,
    ) -> "Step[Grasp]":
        """A grasp with its stamp left at the region's.

        Args:
            image: BGR wrist picture (rows, columns, 3).
            region: its outline lies in the arm's area; every grasp point lies in the outline.
            T_base_camera: (4, 4) pose of the wrist camera when the picture was taken.
            table_z: height of the table's upper face in the base frame (m).

        Returns:
            SUCCESS with the grasp, or UNREACHABLE where no point of the region can be used. Samplers that look at the
            picture also say SENSOR_FAULT, when it is none.
        """
        fault = self._fault_of(image, camera)
        if fault:
            return Step(Outcome.SENSOR_FAULT, fault)
        side = patch_side(self._settings.patch, camera, T_base_camera[2, 3] - table_z)
        plane = table_z + region.height / 2
        polygon = usable_polygon(region.outline, camera, T_base_camera, plane, side)
        if polygon is None:
            message = f"no point of the region can be the centre of a patch of {side} px in the wrist picture"
            return Step(Outcome.UNREACHABLE, message)
        return self._sample(image, View(region, camera, T_base_camera, table_z, side, plane, polygon), rng)

    def _fault_of(self, image: np.ndarray, camera: Camera) -> str:
        """Why a picture cannot be used; empty where it can be, or is not looked at."""
        return ""

    @abc.abstractmethod
    def _sample(self, image: np.ndarray, view: View, rng: np.random.Generator) -> "Step[Grasp]":
        """What :meth:`sample` says of a region of which some pixels can be used."""

    def _grasp(
        self,
        view: View,
        pixel: Sequence[float],
        point: Sequence[float],
        theta_image: float,
        sampler: str = "random",
        score: float = float("nan"),
    ) -> Grasp:
        """A grasp at a pixel (u, v) that shows a point (x, y, ...) of the base frame."""
        return Grasp(
            arm=view.region.arm,
            stamp=view.region.stamp,
            u=float(pixel[0]),
            v=float(pixel[1]),
            x=float(point[0]),
            y=float(point[1]),
            z=view.table_z + self._settings.clearance,
            theta=image_angle_to_base(theta_image, view.T_base_camera),
            theta_image=theta_image,
            bin=angle_to_bin(theta_image),
            patch_size=view.side,
            sampler=sampler,
            score=score,
        )


class RandomSampler(GraspSampler):
    """The paper's random sampler: a point uniform in the region as the picture shows it, theta uniform in [0, pi).

    The picture itself is not looked at.
    """

    def _sample(self, image, view, rng):
        for _ in range(_TRIES):
            pixel = uniform_in_polygon(view.polygon, rng)
            points = view.points(pixel[None])
            if view.in_region(points)[0] and patch_fits(*pixel, view.side, view.camera.width, view.camera.height):
                theta_image = float(rng.uniform(0.0, np.pi))
                return Step(Outcome.SUCCESS, "", self._grasp(view, pixel, points[0], theta_image))
        return Step(Outcome.UNREACHABLE, f"no point of the region was usable in {_TRIES} draws")


SAMPLERS: Dict[str, Callable[[SamplerSettings], GraspSampler]] = {"random": RandomSampler}
GUIDED = ("staged", "best")  # modes that need a model


def create_sampler(mode: str, settings: SamplerSettings, predictor: "Optional[Predictor]" = None) -> GraspSampler:
    """The sampler of a mode: "random", "staged" (importance sampling) or "best".

    Args:
        predictor: of the model that guides; not looked at in random mode.

    Raises:
        ConfigError: there is no such mode (the message lists the choices), the mode needs a model and there is none,
            or the model was trained on patches of another geometry.
    """
    if mode in GUIDED:
        from grasp_learning.guided_sampling import guided_sampler

        return guided_sampler(mode, settings, predictor)
    if mode not in SAMPLERS:
        choices = ", ".join(sorted([*SAMPLERS, *GUIDED]))
        raise ConfigError(f"grasp sampler '{mode}' is unknown; choose from {choices}")
    return SAMPLERS[mode](settings)
