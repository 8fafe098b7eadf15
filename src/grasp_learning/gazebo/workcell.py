"""The table, the Kinect and the objects in a running Gazebo: spawned, scattered, put back, and asked for.

Gazebo is known only through a small client, so that all of it can be run without one.
"""

import logging
from typing import Callable, ContextManager, Dict, List, Mapping, Optional, Protocol, Sequence, Set, Tuple

import numpy as np

from grasp_learning.gazebo.mirror import Mirror
from grasp_learning.gazebo.sdf import bins_model, kinect_model, object_model, table_model, to_text
from grasp_learning.sim.turns import Turns

log = logging.getLogger(__name__)

PREFIX = "grasp_learning_"  # of all models of this package in Gazebo
DROP = 0.002  # m: so far above MuJoCo's place an object is put, so that it overlaps nothing in Gazebo either
REST_SPEED, REST_SPIN = 0.02, 0.3  # m/s, rad/s: slower objects count as lying still


class Models(Protocol):
    """What is asked of Gazebo; grasp_learning.ros.gazebo_client.GazeboClient says what each method does and raises."""

    def names(self, timeout: float) -> List[str]:
        """All models, after at most timeout s."""

    def paused(self) -> ContextManager:
        """Time stands still within; only then are models made or deleted."""

    def spawn(self, name: str, sdf: str, T_base_model: np.ndarray) -> None:
        """Make a model."""

    def delete(self, name: str) -> None:
        """Take a model out of the world."""

    def move(self, name: str, T_base_model: np.ndarray) -> None:
        """Put a model somewhere, at rest."""

    def state(self, name: str) -> Tuple[np.ndarray, float, float]:
        """Where a model is, T_base_model (4, 4), its speed (m/s) and its spin (rad/s)."""


class GazeboWorkcell:
    """What the simulated Baxter's world does for itself, for a robot in Gazebo.

    Every method that asks Gazebo lets its client's error through.

    Args:
        models: of Gazebo.
        mirror: with the objects of the pool.
        turns: which of them lie on the table.
        joints: tells where the robot's joints are (rad, m), by name.
        sphere_uri: of the mesh that stands for ellipsoids.
        wait: ``wait(condition) -> bool``: until the objects lie still; has its own deadline.
        rng: of their places.
    """

    def __init__(
        self,
        models: Models,
        mirror: Mirror,
        turns: Turns,
        joints: Callable[[], Mapping[str, float]],
        sphere_uri: str,
        wait: Callable[[Callable[[], bool]], bool],
        rng: np.random.Generator,
    ):
        self._models, self._mirror, self._turns = models, mirror, turns
        self._joints, self._sphere_uri, self._wait, self._rng = joints, sphere_uri, wait, rng
        self._spawned: Set[str] = set()
        self._cleared = False  # the objects are meant to be away

    def build(self, kinect_rate: float, timeout: float) -> None:
        """Make the workcell in Gazebo, in place of what an earlier run left there, and lay the first objects out.

        Args:
            kinect_rate: of the Kinect's pictures (Hz).
            timeout: until Gazebo answers (s).
        """
        calibration = self._mirror.calibration
        fixed = [table_model(calibration.table), kinect_model(calibration.T_base_kinect.matrix, kinect_rate)]
        if self._mirror.bins is not None:
            fixed.append(bins_model(self._mirror.bins))
        old = [name for name in self._models.names(timeout) if name.startswith(PREFIX)]
        with self._models.paused():
            for name in old:
                self._models.delete(name)
            for model in fixed:
                name = PREFIX + model.get("name", "")
                model.set("name", name)
                self._models.spawn(name, to_text(model), np.eye(4))
        self.exchange()

    # --- laying out --------------------------------------------------------------------------------------------------

    def scatter(self, chosen: Optional[Sequence[int]] = None) -> None:
        """Lay the objects out anew.

        Args:
            chosen: indices of those that lie on the table from now on; None is those that do now.

        Raises:
            SceneError, SimulationDiverged: no places were found for them.
        """
        self._mirror.adopt(self._joints(), {})
        self._mirror.scatter(self._rng, chosen)
        self._place(self._mirror.object_names)
        self._cleared = False
        if not self._wait(self._at_rest):
            log.warning("some objects still move after they were laid out")

    def exchange(self) -> List[str]:
        """Lay other objects of the pool out; their names.

        Raises:
            SceneError, SimulationDiverged: as of :meth:`scatter`.
        """
        self.scatter(self._turns.next())
        return self._mirror.names_in_use

    def clear_table(self) -> None:
        """Take all objects off the table, until they are scattered."""
        self._mirror.clear_table()
        self._place(self._mirror.object_names)
        self._cleared = True

    def put_back(self, reach: bool = False) -> List[str]:
        """Put objects that left the table, or that are stuck in an open hand, back onto it; their names.

        Args:
            reach: bring those that lie out of the arms' reach back into it, too.
        """
        if self._cleared:
            return []
        self._look()
        also = self._mirror.stuck_objects() + (self._mirror.out_of_reach() if reach else [])
        names = self._mirror.put_back(self._rng, also=also)
        self._place(names)
        return names

    # --- questions ---------------------------------------------------------------------------------------------------

    def held(self, side: str) -> Optional[str]:
        """Name of what a hand holds, if anything."""
        self._look()
        return self._mirror.held(side)

    def near(self, x: float, y: float, radius: float) -> List[Tuple[str, float]]:
        """Names and horizontal distances (m) of the objects near a point of the table, the nearest first."""
        self._look()
        return self._mirror.objects_near(x, y, radius)

    def whereabouts(self) -> Dict[str, str]:
        """Where each object in use is: see grasp_learning.bins."""
        self._look()
        return self._mirror.whereabouts()

    # --- parts -------------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Find out where robot and objects are."""
        poses = {name: self._models.state(PREFIX + name)[0] for name in self._mirror.on_show}
        self._mirror.adopt(self._joints(), poses)

    def _place(self, names: Sequence[str]) -> None:
        """Put objects where the mirror has them; those that were never on the table are not made before they are."""
        poses, on_show = self._mirror.object_poses(), self._mirror.on_show
        for name in names:
            poses[name][2, 3] += DROP
            if name in self._spawned:
                self._models.move(PREFIX + name, poses[name])
        new = [name for name in names if name in on_show and name not in self._spawned]
        if not new:
            return
        with self._models.paused():
            for name in new:
                obj = self._mirror.objects[self._mirror.object_names.index(name)]
                document = to_text(object_model(obj, self._sphere_uri, PREFIX + name))
                self._models.spawn(PREFIX + name, document, poses[name])
                self._spawned.add(name)

    def _at_rest(self) -> bool:
        states = [self._models.state(PREFIX + name) for name in self._mirror.on_show]
        return all(speed < REST_SPEED and spin < REST_SPIN for _, speed, spin in states)
