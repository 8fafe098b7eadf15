"""Bins: open boxes beside the table, into which an arm puts what it holds when it clears the table.

They are described by a file, ``config/bins/<robot>.yaml``; where none is given there are no bins.
"""

from typing import Dict, List, Tuple

import numpy as np
from pydantic import Field

from grasp_learning.config import Settings, load_settings
from grasp_learning.trial import ARMS

# Where a simulator says that an object is
ON_TABLE, IN_BIN, ELSEWHERE = "table", "bin", "elsewhere"

WALL = 0.02  # m: thickness of the walls and the floor
STAND = 1.0  # m: from the rim down, so much is kept free of the arms: the bin and what it stands on
ABOVE = 0.35  # m: what is so far above the rim lies on a heap in the bin, or falls into it just now


class Bin(Settings):
    """An open box with its sides along the axes of the base frame.

    Attributes:
        x, y: its middle (m).
        length, width: inner size along x and y (m).
        rim: height of its upper edge (m).
        depth: from the rim down to its floor (m).
        release: height of the fingertips above the rim when they let go (m).
    """

    x: float = Field(ge=-2.0, le=2.0)
    y: float = Field(ge=-2.0, le=2.0)
    length: float = Field(gt=0.05, le=1.0)
    width: float = Field(gt=0.05, le=1.0)
    rim: float = Field(ge=-1.0, le=1.0)
    depth: float = Field(gt=0.02, le=1.0)
    release: float = Field(gt=0.0, le=0.5)

    def contains(self, point: np.ndarray) -> bool:
        """Whether a point (3,) of the base frame lies in it, on a heap in it, or falls into it."""
        inside = abs(point[0] - self.x) <= self.length / 2 + WALL and abs(point[1] - self.y) <= self.width / 2 + WALL
        return bool(inside and self.rim - self.depth - WALL <= point[2] <= self.rim + ABOVE)

    @property
    def walls(self) -> List[Tuple[np.ndarray, np.ndarray]]:
        """Centre (3,) and half size (3,) in the base frame (m) of its four walls and its floor."""
        middle = np.array([self.x, self.y, self.rim - self.depth / 2])
        long, wide, deep, thin = self.length / 2, self.width / 2, self.depth / 2, WALL / 2
        parts = []
        for sign in (1.0, -1.0):
            parts.append((middle + [sign * (long + thin), 0, 0], np.array([thin, wide + WALL, deep])))
            parts.append((middle + [0, sign * (wide + thin), 0], np.array([long, thin, deep])))
        floor = middle - [0, 0, deep + thin]
        return [*parts, (floor, np.array([long + WALL, wide + WALL, thin]))]

    @property
    def outer(self) -> Tuple[np.ndarray, np.ndarray]:
        """Centre (3,) and full size (3,) of the space that it takes up with what it stands on (m)."""
        center = np.array([self.x, self.y, self.rim - STAND / 2])
        return center, np.array([self.length + 2 * WALL, self.width + 2 * WALL, STAND])


class Bins(Settings):
    """Contents of ``config/bins/<robot>.yaml``: the bin of each arm."""

    left: Bin
    right: Bin

    def of(self, arm: str) -> Bin:
        """The bin of the ``left`` or ``right`` arm."""
        return self.by_arm[arm]

    @property
    def by_arm(self) -> Dict[str, Bin]:
        """Both, by arm."""
        return {arm: getattr(self, arm) for arm in ARMS}


def load_bins(path) -> Bins:
    """Read a file of bins.

    Raises:
        ConfigError: it is missing or malformed; the message names the file and the key.
    """
    return load_settings(Bins, path)
