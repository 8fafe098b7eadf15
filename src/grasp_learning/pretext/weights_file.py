"""The result of a pretext task: a safetensors file of convolutions that says what they were trained on.

The tensors have the names that `train --weights` looks for, so the file stands where one of ImageNet's would.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, List, Literal, Mapping

import safetensors
import safetensors.torch
import torch
from pydantic import Field

from grasp_learning.config import ConfigError, Settings, parse_settings
from grasp_learning.pretext.errors import PretextError
from grasp_learning.pretrained import DESCRIPTION, PREFIXES
from grasp_learning.training.folder import write_whole

FORMAT = "grasp_learning pretext convolutions"
FORMAT_VERSION = "1"
TASK = "kinds of objects in rendered wrist pictures of random tables, without grasps"
# what makes a pretext task the same one
SAME = ("variant", "seed", "scenes", "views", "epochs", "batch_size", "learning_rate")


class PretextInfo(Settings):
    """What a file of convolutions says of itself.

    Attributes:
        task: what was learned.
        variant: of the network, "paper" or "released".
        seed, scenes, views, epochs, batch_size, learning_rate: see PretextSettings.
        kinds: classes, in the order of the classifier, which is not kept.
        patches: that it was trained on.
        held_back: patches of the tables that were held back, on which the figures are measured.
        accuracy, low, high: part of them that was right, with its 95 % interval (Wilson's score).
        balanced_accuracy: mean over the kinds of the part of each that was right.
        chance: balanced accuracy of who guesses.
        most_frequent: accuracy of who always says the most frequent kind.
        data_sha256: of all patches and their kinds.
        created: ISO 8601, UTC.
        package_version: of grasp_learning.
    """

    task: str = TASK
    variant: Literal["paper", "released"]
    seed: int = Field(ge=0)
    scenes: int = Field(ge=1)
    views: int = Field(ge=1)
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    kinds: List[str]
    patches: int
    held_back: int
    accuracy: float
    low: float
    high: float
    balanced_accuracy: float
    chance: float
    most_frequent: float
    data_sha256: str
    created: str
    package_version: str

    def describe(self) -> str:
        """One line for people, which also stands in the checkpoints that start from the file."""
        return (
            f"{self.task}: {self.patches} patches of {self.scenes} tables, {len(self.kinds)} kinds, {self.epochs} "
            f"epochs, seed {self.seed}; right on {self.accuracy:.3f} of {self.held_back} patches of tables that were "
            f"held back (always the most frequent kind: {self.most_frequent:.3f}); grasp_learning "
            f"{self.package_version}"
        )


def save_convolutions(path: Path, weights: Mapping[str, torch.Tensor], info: PretextInfo) -> str:
    """Write convolutions; an older file of the name stays until the new one is whole and on the disk.

    Args:
        weights: by their names in the grasp network's `features`.

    Returns:
        SHA-256 of the file.

    Raises:
        PretextError: weights are not finite.
        TrainingError: the disk is full or not writable.
    """
    prefix = PREFIXES[info.variant]
    tensors: Dict[str, torch.Tensor] = {}
    for name, tensor in weights.items():
        if not torch.isfinite(tensor).all():
            raise PretextError(f"{path}: not saved, '{prefix}{name}' is not finite; try a smaller --learning-rate")
        tensors[prefix + name] = tensor.detach().to("cpu", torch.float32).contiguous()
    metadata = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "info": info.model_dump_json(),
        DESCRIPTION: info.describe(),
    }
    content = safetensors.torch.save(tensors, metadata)
    write_whole(path, content)
    return hashlib.sha256(content).hexdigest()


def read_info(path: Path) -> PretextInfo:
    """What a file of convolutions says of itself.

    Raises:
        PretextError: it is damaged, or no file of a pretext task of this version.
    """
    remedy = "choose another --out"
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            metadata: Dict[str, Any] = file.metadata() or {}
    except (OSError, safetensors.SafetensorError) as error:
        raise PretextError(f"{path}: cannot be read as weights ({error}); delete it, or {remedy}") from None
    if metadata.get("format") != FORMAT or metadata.get("format_version") != FORMAT_VERSION:
        raise PretextError(f"{path}: exists and was not written by this version's train_pretext; {remedy}")
    try:
        return parse_settings(PretextInfo, json.loads(metadata.get("info", "")), str(path))
    except (ValueError, ConfigError) as error:
        reason = " ".join(str(error).replace(f"{path}: ", "").split())
        raise PretextError(f"{path}: its description is damaged ({reason}); delete it, or {remedy}") from None
