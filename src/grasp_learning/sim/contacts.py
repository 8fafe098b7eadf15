"""The truth about what the arms touched by mistake: each other, or the torso and the furniture."""

from typing import Callable, Dict, List, Optional

import mujoco
import numpy as np

from grasp_learning.robot_description import SIDES
from grasp_learning.sim.robot_model import side_of_body
from grasp_learning.sim.world import World

ARMS = "arms"  # the arms touched each other
SURROUNDINGS = "surroundings"  # a link other than a gripper touched torso, table or floor
BINS = "bins"  # any part of an arm, the gripper too, touched a bin

# What a geom is, as bits, so that a pair's bits tell what met; objects are 0, they are there to be touched
_SIDE_BITS = dict(zip(SIDES, (1, 2)))
_BOTH_SIDES, _LINK, _FIXED, _BIN = 3, 4, 8, 16


class ArmContacts:
    """Counts contacts of the arms that no grasp needs; each counts once, from its begin to its end.

    Args:
        report: called with a sentence for each new contact.

    Attributes:
        counts: of contacts so far, by kind: ``ARMS``, ``SURROUNDINGS`` and, where there are bins, ``BINS``.
    """

    def __init__(self, world: World, report: Optional[Callable[[str], None]] = None):
        self._world, self._report = world, report
        self._bits = _geom_bits(world.model)
        kinds = (ARMS, SURROUNDINGS) if world.bins is None else (ARMS, SURROUNDINGS, BINS)
        self.counts: Dict[str, int] = dict.fromkeys(kinds, 0)
        self._touching = dict.fromkeys(kinds, False)

    def update(self) -> None:
        """Look at the contacts of the last physical step."""
        bits = self._bits[self._world.data.contact.geom]
        both = bits[:, 0] | bits[:, 1]
        self._note(ARMS, both & _BOTH_SIDES == _BOTH_SIDES)
        # a link of an arm and something fixed; a gripper has no link bit
        self._note(SURROUNDINGS, both & (_LINK | _FIXED) == _LINK | _FIXED)
        if BINS in self.counts:
            self._note(BINS, (both & _BIN > 0) & (both & _BOTH_SIDES > 0))

    def _note(self, kind: str, found: np.ndarray) -> None:
        touching = bool(found.any())
        if touching and not self._touching[kind]:
            self.counts[kind] += 1
            if self._report is not None:
                pair = self._world.data.contact.geom[int(np.argmax(found))]
                names = " and ".join(self._names(pair))
                self._report(f"{names} touch at {self._world.time:.2f} s")
        self._touching[kind] = touching

    def _names(self, geoms: np.ndarray) -> List[str]:
        model = self._world.model
        return [model.geom(geom).name or model.body(model.geom_bodyid[geom]).name for geom in geoms]


def _geom_bits(model: mujoco.MjModel) -> np.ndarray:
    """Of each geom; an object's have none."""
    robot = model.body_rootid[model.body("torso").id]
    bits = np.zeros(model.ngeom, np.uint8)
    for geom, body in enumerate(model.geom_bodyid):
        name = model.body(body).name
        side = side_of_body(name)
        if side:
            bits[geom] = _SIDE_BITS[side] | (0 if "gripper" in name else _LINK)
        elif model.body_rootid[body] in (0, robot):
            bits[geom] = _BIN if "_bin_" in model.geom(geom).name else _FIXED
    return bits
