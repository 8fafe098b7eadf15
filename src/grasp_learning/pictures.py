"""The approach picture of a trial, wherever the collection keeps it: in a bag, or in a shard."""

from pathlib import Path
from typing import Any, Mapping, Optional

import numpy as np

from grasp_learning.bags import APPROACH_TOPIC, read_picture


class PictureSource:
    """Reads the pictures of a collection; fastest when asked in the order of its lines.

    Args:
        folder: of the collection.
    """

    def __init__(self, folder):
        self._folder = Path(folder)
        self._shards: Optional[Any] = None

    def approach(self, line: Mapping[str, Any]) -> np.ndarray:
        """Approach picture of a trial's line, (height, width, 3) uint8, BGR.

        Raises:
            PictureError: it cannot be read.
        """
        if "shard" not in line:
            return read_picture(self._folder / line["bag"], APPROACH_TOPIC.format(arm=line["arm"]))
        # only here: whoever has bags need not wait for pyarrow
        from grasp_learning.simulation.shards import ShardReader, picture_of

        if self._shards is None:
            self._shards = ShardReader(self._folder, ["number", "approach_image"])
        return picture_of(self._shards.row(line), "approach_image", self._folder / line["shard"])
