"""A curriculum on disk: where each stage's things lie, who may write, and the settings it was begun with.

Files::

    curriculum.json            settings and, for people and plots, the results of the stages so far
    curriculum.png             grasp rate of each stage
    dataset/                   the patches of all stages
    collections/stage0/        the stage's trials; datasets know a collection by the name of its folder
    collections/novel/         random trials on held-out objects, which test every network
    collections/test0/         trials on held-out objects with the stage's network, where they were asked for
    stage0/collect.log         output of a step; likewise novel.log, export.log, train.log, test.log
    stage0/training/           the trainer's checkpoints and curves
    stage0/model.safetensors   the stage's network; where it is, the stage has been learnt
"""

import contextlib
import datetime
import json
import os
from pathlib import Path
from typing import Any, ContextManager, Dict, List, Mapping, Optional

from grasp_learning.config import ConfigError, parse_settings
from grasp_learning.curriculum.errors import CurriculumError
from grasp_learning.curriculum.settings import CurriculumSettings, changes
from grasp_learning.durable import sync_folder, write_atomically
from grasp_learning.folder_lock import FolderBusy, wait_for_lock
from grasp_learning.storage_errors import explained_as, read_json

STATE_FILE = "curriculum.json"
PICTURE_FILE = "curriculum.png"
LOCK_FILE = ".lock"
PART_FILE = ".curriculum.json.part"
MODEL_FILE = "model.safetensors"
FORMAT = 1
LOCK_PATIENCE = 60.0  # s; a killed curriculum's last tool needs a moment to end


class CurriculumFolder:
    """The folder of a curriculum, held by this process alone; use as a context manager.

    Args:
        folder: it is made if it is not there.
        patience: how long to wait for what a killed curriculum left running (s).

    Attributes:
        path: where it lies, absolute.
        lock: the open file that keeps others out; children inherit it, so that a killed curriculum's last tool ends
            before the next one begins.

    Raises:
        CurriculumError: somebody else works in it, it holds something else, or it cannot be written.
    """

    def __init__(self, folder, patience: float = LOCK_PATIENCE):
        self.path = Path(folder).expanduser().absolute()
        self._closing = contextlib.ExitStack()
        try:
            with self.explained():
                _check_contents(self.path)
                self.path.mkdir(parents=True, exist_ok=True)
                self.lock = _take_lock(self.path, patience)
                self._closing.callback(os.close, self.lock)
        except BaseException:
            self._closing.close()
            raise

    def __enter__(self) -> "CurriculumFolder":
        return self

    def __exit__(self, *_) -> None:
        self._closing.close()

    def explained(self) -> ContextManager[None]:
        """Turn the system's errors into CurriculumErrors that say what to do."""
        return explained_as(self.path, CurriculumError)

    # Places

    def stage(self, stage: int) -> Path:
        """Folder of a stage."""
        return self.path / f"stage{stage}"

    def collection(self, stage: int) -> Path:
        """Collection of a stage's trials."""
        return self.path / "collections" / f"stage{stage}"

    @property
    def novel(self) -> Path:
        """Collection of random trials on held-out objects."""
        return self.path / "collections" / "novel"

    def test(self, stage: int) -> Path:
        """Collection of a stage's trials on held-out objects."""
        return self.path / "collections" / f"test{stage}"

    def training(self, stage: int) -> Path:
        """Folder of a stage's training."""
        return self.stage(stage) / "training"

    def model(self, stage: int) -> Path:
        """Network of a stage."""
        return self.stage(stage) / MODEL_FILE

    def log(self, stage: int, step: str) -> Path:
        """Log of a step."""
        return self.stage(stage) / f"{step}.log"

    @property
    def dataset(self) -> Path:
        """Dataset of all stages."""
        return self.path / "dataset"

    @property
    def begun(self) -> int:
        """How many stages have begun."""
        stage = 0
        while self.stage(stage).exists():
            stage += 1
        return stage

    # State

    def load(self) -> Optional[Dict[str, Any]]:
        """Contents of curriculum.json; None in a new folder.

        Raises:
            CurriculumError: it is damaged.
        """
        return load_state(self.path)

    def save(self, settings: CurriculumSettings, results: List[Mapping[str, Any]]) -> None:
        """Write curriculum.json."""
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        state = {"format": FORMAT, "written": now, "settings": settings.model_dump(), "stages": results}
        with self.explained():
            content = json.dumps(state, indent=2, allow_nan=False).encode() + b"\n"
            write_atomically(self.path / STATE_FILE, self.path / PART_FILE, content)

    def begin(self, stage: int) -> None:
        """Make the folder of a stage; from now on its settings stay."""
        with self.explained():
            self.stage(stage).mkdir(exist_ok=True)
            sync_folder(self.path)

    def check(self, settings: CurriculumSettings) -> None:
        """Raise if something was asked for that stages which have begun were not made with.

        Raises:
            CurriculumError: naming the first such key, with both values.
        """
        state = self.load()
        if state is None:
            return
        old = settings_of(state, self.path)
        for key, before, now in changes(old, settings, self.begun):
            raise CurriculumError(
                f"{self.path}: was begun with {key} {before!r}, not {now!r}; keep that, or start another folder"
            )


def load_state(folder) -> Optional[Dict[str, Any]]:
    """Contents of a folder's curriculum.json; None where there is none.

    Raises:
        CurriculumError: it cannot be read or is damaged.
    """
    path = Path(folder) / STATE_FILE
    try:
        state = read_json(path, CurriculumError, "repair it, or start another folder")
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not isinstance(state, dict) or state.get("format") != FORMAT or not isinstance(state.get("stages"), list):
        raise CurriculumError(
            f"{path}: expected an object with format {FORMAT}, settings and stages; repair it, or start another folder"
        )
    settings_of(state, Path(folder))
    return state


def settings_of(state: Mapping[str, Any], folder: Path) -> CurriculumSettings:
    """The settings in curriculum.json.

    Raises:
        CurriculumError: a key is missing or malformed.
    """
    try:
        return parse_settings(CurriculumSettings, state.get("settings"), str(folder / STATE_FILE))
    except ConfigError as error:
        raise CurriculumError(f"{error}; repair it, or start another folder") from None


def _check_contents(path: Path) -> None:
    """Raise if there is something else than a curriculum, an empty folder or nothing."""
    if not path.exists():
        return
    if not path.is_dir():
        raise CurriculumError(f"{path}: is a file; name a folder")
    names = {entry.name for entry in path.iterdir()} - {LOCK_FILE, PART_FILE}
    if names and STATE_FILE not in names:
        raise CurriculumError(
            f"{path}: holds files but no {STATE_FILE}, so it is no curriculum; choose a new or empty folder"
        )


def _take_lock(path: Path, patience: float) -> int:
    try:
        return wait_for_lock(path / LOCK_FILE, patience)
    except FolderBusy as busy:
        who = f"process {busy.holder}" if busy.alive else "a tool of a curriculum that was killed"
        raise CurriculumError(f"{path}: {who} works in it; wait until it ends, or choose another folder") from None
