"""Which objects of the catalogue the gripper can hold at all: a file that `rosrun grasp_learning holdable` writes.

A table with a thing on it that no grasp can hold is never cleared, however good the grasps are.
"""

from pathlib import Path
from typing import Dict, List

import yaml
from pydantic import Field

from grasp_learning.config import ConfigError, Settings, load_settings
from grasp_learning.durable import write_atomically

# of the grasps of an object that hold it: two in 60 and fewer are luck
LEAST_SHARE = 1 / 30


class HoldableObjects(Settings):
    """Contents of the file.

    Attributes:
        split: of the catalogue.
        grasps: how many were tried on each object alone.
        seed: of these grasps.
        held: name -> how many of them held it.
    """

    split: str
    grasps: int = Field(ge=1)
    seed: int = Field(ge=0)
    held: Dict[str, int]

    @property
    def names(self) -> List[str]:
        """Objects that can be held, see LEAST_SHARE."""
        return [name for name, count in self.held.items() if count >= LEAST_SHARE * self.grasps]

    @property
    def others(self) -> List[str]:
        """Objects that cannot."""
        return [name for name in self.held if name not in self.names]


def load_holdable(path) -> HoldableObjects:
    """Read the file.

    Raises:
        ConfigError: it is missing or malformed.
    """
    return load_settings(HoldableObjects, path)


def holdable_names(path, split: str) -> List[str]:
    """Objects of a split that can be held.

    Raises:
        ConfigError: the file is missing or malformed, or of another split.
    """
    found = load_holdable(path)
    if found.split != split:
        raise ConfigError(f"{path}: key 'split' is {found.split!r}: the objects on the table are of {split!r}")
    return found.names


def save_holdable(path: Path, found: HoldableObjects) -> None:
    """Write the file, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    text = yaml.safe_dump(found.model_dump(), sort_keys=False)
    write_atomically(path, path.with_name(f".{path.name}.part"), text.encode())
