"""The folder of a training: what is trained there, its lock, and a state that is whole or the one before.

Files::

    train.yaml               what is trained, and on what; a later start must be the same training
    state.ckpt               everything that the next epoch depends on, after the last saved one (Lightning's)
    logs/run_1/              metrics.csv and TensorBoard's events, one folder a start
    .patches/                patches that do not fit into memory, until the training is finished
    best.safetensors         the network that was best on the validation split so far
    model.safetensors        the result; written once, at the end
    metrics.json             the result's figures
"""

import contextlib
import io
import json
import os
import pickle
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping, Optional

import torch
import yaml

from grasp_learning.durable import write_atomically
from grasp_learning.folder_lock import take_folder
from grasp_learning.training.errors import TrainingError, TrainingInUseError
from grasp_learning.training.lightning_library import TorchCheckpointIO
from grasp_learning.training.settings import MOVABLE, TrainSettings

KIND_FILE, STATE_FILE = "train.yaml", "state.ckpt"
PATCHES_FOLDER = ".patches"
MODEL_FILE, BEST_FILE, METRICS_FILE, LOGS_FOLDER = "model.safetensors", "best.safetensors", "metrics.json", "logs"


@contextlib.contextmanager
def saved(path: Path) -> Iterator[None]:
    """Turn the system's errors while a file is written into TrainingErrors that say what to do."""
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"{path}: cannot be written ({error.strerror}), what was saved before is kept; "
            "free some space or make the folder writable, and start the same command again"
        ) from None


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is whole or not there.

    Raises:
        TrainingError: the disk is full or not writable; an older file of the name is still there.
    """
    with saved(path):
        write_atomically(path, path.with_name(f".{path.name}.part"), content)


class DurableState(TorchCheckpointIO):
    """Lightning's states as files that are whole or not there, and that cannot run code when they are read."""

    def save_checkpoint(self, checkpoint: Dict[str, Any], path, storage_options: Optional[Any] = None) -> None:
        """Write a state; on a full disk the old one stays.

        Raises:
            TrainingError: it cannot be written.
        """
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_whole(Path(path), content.getbuffer())

    def load_checkpoint(self, path, map_location=None, weights_only: Optional[bool] = None) -> Dict[str, Any]:
        """Read a state.

        Raises:
            TrainingError: it is damaged.
        """
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
            reason = str(error).splitlines()[0]
            raise TrainingError(
                f"{path}: is damaged ({reason}); delete it to start this training from its beginning"
            ) from None


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Have a folder, which is made if need be, for this process alone.

    Raises:
        TrainingInUseError: another process has it.
        TrainingError: it cannot be made or written to.
    """
    with saved(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = take_folder(folder, "training into it", TrainingInUseError)
    try:
        yield
    finally:
        os.close(file)


def kind_of(settings: TrainSettings, dataset_identity: str, parent_sha256: str) -> Dict[str, Any]:
    """What makes a training the same one: its settings but for where it runs, its data, what it starts from."""
    kind = {key: value for key, value in settings.model_dump().items() if key not in MOVABLE}
    return {**kind, "dataset": dataset_identity, "parent_sha256": parent_sha256}


def claim(folder: Path, kind: Mapping[str, Any]) -> None:
    """Make a folder that of a training, or check that it is.

    Raises:
        TrainingError: another training, or something else, lies there.
    """
    path = folder / KIND_FILE
    if not path.exists():
        # a process that was killed at the very beginning leaves hidden files
        taken = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
        if taken:
            raise TrainingError(f"{folder}: holds {taken[0]} but no {KIND_FILE}; choose a new or empty folder")
        write_whole(path, yaml.safe_dump(dict(kind), sort_keys=False).encode())
        return
    found = _read_kind(path)
    for key in kind:
        before = found.get(key, _default(key))
        if before != kind[key]:
            raise TrainingError(
                f"{folder}: another training, '{key}' is {before!r} there and {kind[key]!r} now; "
                "start with the same settings and data, or choose another --out"
            )


def _default(key: str) -> Any:
    """What a setting is in a folder of before there was such a setting."""
    field = TrainSettings.model_fields.get(key)
    return None if field is None or field.is_required() else field.default


def _read_kind(path: Path) -> Dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise TrainingError(f"{path}: cannot be read ({reason}); choose another --out") from None
    if not isinstance(found, dict):
        raise TrainingError(f"{path}: is no description of a training; choose another --out")
    return found


def write_metrics(folder: Path, metrics: Mapping[str, float]) -> None:
    """Write the figures of a finished training.

    Raises:
        TrainingError: they cannot be written.
    """
    write_whole(folder / METRICS_FILE, (json.dumps(dict(metrics), indent=2) + "\n").encode())


def next_run(folder: Path) -> str:
    """Name of this start's folder of logs."""
    count = len(list((folder / LOGS_FOLDER).glob("run_*")))
    return f"run_{count + 1}"
