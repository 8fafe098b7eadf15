"""A calibration's cell on the simulator without ROS: the arm is put where it should be, the pictures are rendered."""

from typing import Optional

import mujoco
import numpy as np

from grasp_learning.calibrating.marker import DEFAULT_MOUNT, MarkerSettings
from grasp_learning.calibrating.measuring import Cell, Picture, with_plate
from grasp_learning.calibration import Table, load_calibration
from grasp_learning.execution.faults import PlanningFailed
from grasp_learning.motion.collision import CollisionScene
from grasp_learning.motion.kinematics import NEUTRAL, Kinematics
from grasp_learning.motion.robot_model import RobotModel
from grasp_learning.robot_description import arm_joints, find_package_file, load_urdf
from grasp_learning.sim.camera_models import KINECT_NAME, wrist_name
from grasp_learning.sim.cameras import CameraRenderer, CameraSettings
from grasp_learning.sim.marker_plates import calibration_plates
from grasp_learning.sim.world import World, WorldSettings


class RenderedCell(Cell):
    """See Cell; no motion is planned, and joints are read without error. To be closed by the thread that used it.

    Args:
        side: the arm that moves.
        seed: of the world's look, the noise of the pictures, and how far off the markers are.
        table: as the arm's planner believes it to be.
        settings: of the world.

    Attributes:
        T_gripper_marker: (4, 4) where the marker really is.
        world: the simulation.
    """

    def __init__(self, side: str, seed: int, table: Table, settings: Optional[WorldSettings] = None):
        robot = with_plate(RobotModel(load_urdf()), side, DEFAULT_MOUNT.matrix, MarkerSettings())
        self.kinematics = Kinematics(robot, side)
        self._scene = CollisionScene(robot, side, table, NEUTRAL)
        settings = settings or WorldSettings()
        truth = load_calibration(settings.calibration or find_package_file("config/calibration/sim.yaml"))
        plates = calibration_plates(side, truth.table.z, seed)
        self.T_gripper_marker = plates[0].T_body_marker
        self.world = World(seed, [], settings, markers=plates)
        self._renderer = CameraRenderer(self.world.model, CameraSettings(seed=seed), self.world.appearance)
        self._side, self._q = side, np.array(NEUTRAL)

    def scene(self) -> CollisionScene:
        """See Cell."""
        return self._scene

    def q(self) -> np.ndarray:
        """See Cell."""
        return self._q

    def go(self, q: np.ndarray) -> None:
        """See Cell."""
        if not self._scene.is_valid(q):
            raise PlanningFailed(", ".join(self._scene.collisions(q)))
        self._q = np.array(q, float)
        for name, angle in zip(arm_joints(self._side), q):
            self.world.data.joint(name).qpos = angle
        mujoco.mj_forward(self.world.model, self.world.data)

    def look(self, camera: str) -> Picture:
        """See Cell."""
        data = self.world.data
        data.time += 0.2  # the noise of a picture depends on its time
        if camera == "kinect":
            return Picture(self._renderer.kinect(data)[0], self._renderer.camera(KINECT_NAME), self._q)
        name = wrist_name(self._side)
        return Picture(self._renderer.wrist(data, self._side), self._renderer.camera(name), self._q)

    def depth(self) -> np.ndarray:
        """(rows, columns) depth of the Kinect (m), NaN where nothing was seen."""
        self.world.data.time += 0.2
        millimetres = self._renderer.kinect(self.world.data)[1]
        return np.where(millimetres > 0, millimetres / 1000.0, np.nan)

    def close(self) -> None:
        """Free what draws the pictures."""
        self._renderer.close()
