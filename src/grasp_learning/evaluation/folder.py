"""An evaluation's folder: what was computed stays and is used again by whoever needs the same.

Files::

    evaluation.json, scores.csv, *.png   the result
    cache/fitted-<key>.npz               what a method learnt
    cache/scores-<key>.npz               its scores of a test set

A key is a digest of everything that the content depends on; what nobody asks for any more may be deleted.
"""

import hashlib
import inspect
import json
import os
import zipfile
from pathlib import Path
from typing import Any, ContextManager, Dict, Mapping, Optional

import numpy as np

import grasp_learning
from grasp_learning.durable import whole_file
from grasp_learning.evaluation.method import Method
from grasp_learning.evaluation.results import EvaluationError
from grasp_learning.folder_lock import FolderBusy, take_lock
from grasp_learning.storage_errors import explained_as

CACHE, LOCK_FILE = "cache", ".lock"
META = "__meta__"


class EvaluationFolder:
    """The folder of an evaluation, held by this process alone; use as a context manager.

    Args:
        path: it is made if it is not there.

    Raises:
        EvaluationError: somebody else works in it, or it cannot be written.
    """

    def __init__(self, path):
        self.path = Path(path).expanduser().absolute()
        with self.explained():
            (self.path / CACHE).mkdir(parents=True, exist_ok=True)
            try:
                self._lock = take_lock(self.path / LOCK_FILE)
            except FolderBusy as error:
                raise EvaluationError(
                    f"{self.path}: process {error.holder} evaluates into it; wait for it, or choose another folder"
                ) from None

    def __enter__(self) -> "EvaluationFolder":
        return self

    def __exit__(self, *_) -> None:
        os.close(self._lock)

    def explained(self) -> ContextManager[None]:
        """Turn the system's errors into EvaluationErrors that say what to do."""
        return explained_as(self.path, EvaluationError)

    def load(self, kind: str, key: str) -> Optional[Dict[str, np.ndarray]]:
        """Arrays that were saved; None where there are none, or where the file is damaged: they are made anew."""
        try:
            with np.load(self._file(kind, key), allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return None

    def save(self, kind: str, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Write arrays, which are there as a whole or not at all.

        Raises:
            EvaluationError: they cannot be written.
        """
        path = self._file(kind, key)
        with self.explained(), whole_file(path, path.with_suffix(".part")) as number:
            # not through memory, where nearest neighbours alone fill some hundred MB
            with os.fdopen(number, "wb", closefd=False) as file:
                np.savez(file, **arrays)

    def _file(self, kind: str, key: str) -> Path:
        return self.path / CACHE / f"{kind}-{key}.npz"


def key_of(**facts: Any) -> str:
    """A digest of what something depends on."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def code_of(method: Method) -> str:
    """A digest of the code of a method's class; of one of this package's baselines, of all baselines' code."""
    digest = hashlib.sha256()
    baselines = Path(grasp_learning.__file__).parent / "baselines"
    for kind in type(method).__mro__:
        if kind in (Method, object) or not issubclass(kind, Method):
            continue
        source = Path(inspect.getfile(kind))
        files = sorted(baselines.glob("*.py")) if source.parent == baselines else [source]
        for file in files:
            digest.update(file.read_bytes())
    return digest.hexdigest()


def with_meta(meta: Mapping[str, Any], **arrays: np.ndarray) -> Dict[str, np.ndarray]:
    """Arrays with facts in JSON beside them."""
    return {META: np.array(json.dumps(meta)), **arrays}


def meta_of(arrays: Mapping[str, np.ndarray]) -> Dict[str, Any]:
    """The facts beside arrays."""
    return json.loads(str(arrays[META]))
