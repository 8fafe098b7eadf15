"""A simulated table with objects, its cameras, and the region finder that knows the empty table."""

from typing import List, Optional, Sequence, Tuple

import cv2
import numpy as np
from pydantic import Field

from grasp_learning.config import Settings
from grasp_learning.geometry import Camera
from grasp_learning.regions import RegionFinder, RegionSettings
from grasp_learning.sim.camera_models import KINECT, KINECT_NAME, wrist_name
from grasp_learning.sim.cameras import CameraRenderer, CameraSettings, Crop
from grasp_learning.sim.objects import ObjectSpec
from grasp_learning.sim.robots import RobotPart
from grasp_learning.sim.world import World, WorldSettings
from grasp_learning.trial import Region

LAYOUT, CAMERA_NOISE = 0, 1  # streams of random numbers


class SceneSettings(Settings):
    """What is simulated and how the table is looked at.

    Attributes:
        background_pictures: of the empty table that the region finder learns from.
        background_interval: simulated time (s) between them.
        camera: noise and range; its seed is the scene's.
    """

    world: WorldSettings = WorldSettings()
    camera: CameraSettings = CameraSettings()
    regions: RegionSettings = RegionSettings()
    background_pictures: int = Field(5, ge=1)
    background_interval: float = Field(0.2, gt=0)


class SimScene:
    """Objects on a table under some light, all decided by a seed. It begins empty: see :meth:`learn`, :meth:`scatter`.

    Args:
        seed: of the light, the table's surface, the camera's noise and the objects' places.
        objects: at least none.
        robot: what moves; None is the whole Baxter.

    Attributes:
        world: the physics.
        kinect: intrinsics of the part of the Kinect's picture that shows the table.
    """

    def __init__(
        self,
        seed: int,
        objects: Sequence[ObjectSpec],
        settings: Optional[SceneSettings] = None,
        robot: Optional[RobotPart] = None,
    ):
        self.seed = seed
        self.settings = settings or SceneSettings()
        self.world = World(seed, objects, self.settings.world, robot)
        noise = int(np.random.SeedSequence([seed, CAMERA_NOISE]).generate_state(1)[0])
        camera = self.settings.camera.model_copy(update={"seed": noise})
        self._renderer = CameraRenderer(self.world.model, camera, self.world.appearance)
        self._crop = self._table_crop()
        self.kinect = _cropped(self._renderer.camera(KINECT_NAME), self._crop)
        self._finder = RegionFinder(self.settings.regions, self.world.calibration, self.kinect)

    def _table_crop(self) -> Crop:
        """The part of the Kinect's picture that shows the table: nothing else of it is looked at."""
        finder = RegionFinder(self.settings.regions, self.world.calibration, self._renderer.camera(KINECT_NAME))
        left, top, width, height = cv2.boundingRect(np.floor(finder.table_outline).astype(np.int32))
        right, bottom = min(left + width + 1, KINECT.width), min(top + height + 1, KINECT.height)
        left, top = max(left, 0), max(top, 0)
        return left, top, right - left, bottom - top

    def close(self) -> None:
        """Free what the graphics driver holds."""
        self._renderer.close()

    # --- cameras ------------------------------------------------------------------------------------------------

    def wrist_camera(self, side: str) -> Camera:
        """Intrinsics of a wrist camera."""
        return self._renderer.camera(wrist_name(side))

    def wrist_pose(self, side: str) -> np.ndarray:
        """T_base_camera (4, 4) of a wrist camera's optical frame."""
        body = self.world.data.body(wrist_name(side))
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = body.xmat.reshape(3, 3), body.xpos
        return T

    def wrist_picture(self, side: str) -> np.ndarray:
        """(800, 1280, 3) uint8 BGR."""
        return self._renderer.wrist(self.world.data, side)

    def wrist_geoms(self, side: str) -> np.ndarray:
        """What each pixel of a :meth:`wrist_picture` of this instant shows, see CameraRenderer.wrist_geoms."""
        return self._renderer.wrist_geoms(self.world.data, side)

    def table_picture(self) -> Tuple[np.ndarray, np.ndarray]:
        """The Kinect's view of the table: BGR (h, w, 3) uint8, and depth (h, w) in m, NaN where nothing was seen."""
        picture, millimetres = self._renderer.kinect(self.world.data, self._crop)
        return picture, np.where(millimetres > 0, np.float32(1e-3) * millimetres, np.float32(np.nan))

    def full_kinect_picture(self, table: np.ndarray) -> np.ndarray:
        """The Kinect's whole picture (1080, 1920, 3) around the view of the table that was taken at this instant."""
        picture, _ = self._renderer.kinect(self.world.data)
        u, v, width, height = self._crop
        picture[v : v + height, u : u + width] = table
        return picture

    # --- table --------------------------------------------------------------------------------------------------

    def learn_background(self, sleep) -> None:
        """Learn the empty table; nothing may stand before it.

        Args:
            sleep: lets some simulated time (s) pass.
        """
        pictures = []
        for _ in range(self.settings.background_pictures):
            pictures.append(self.table_picture()[0])
            sleep(self.settings.background_interval)
        self._finder.learn(pictures)

    def scatter(self) -> None:
        """Lay the objects out.

        Raises:
            SceneError, SimulationDiverged: see World.scatter.
        """
        self.world.scatter(np.random.default_rng([self.seed, LAYOUT]))

    def find_regions(self, picture: np.ndarray, depth: np.ndarray, arms: Optional[np.ndarray]) -> List[Region]:
        """Regions with objects in a :meth:`table_picture`; their boxes are in the Kinect's whole picture."""
        u, v = self._crop[:2]
        found = self._finder.find(picture, depth, arms, self.world.time)
        return [_moved(region, u, v) for region in found]


def _moved(region: Region, u: int, v: int) -> Region:
    left, top, width, height = region.box
    return Region(
        region.arm, region.stamp, region.center, region.height, region.outline, (left + u, top + v, width, height)
    )


def _cropped(camera: Camera, crop: Crop) -> Camera:
    K = np.array(camera.K)
    K[:2, 2] -= crop[:2]
    return Camera(crop[2], crop[3], K, camera.D)
