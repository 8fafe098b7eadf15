"""Which patches of the train split a training uses: all of them, or, for ablations, a part of them.

* A limited number of random trials, as the paper trains on 5, 10, 20 and 40 thousand. Tables are put into an order that
  follows from a seed and their names alone, and are taken whole (but for the last one), so that a smaller number is a
  part of each larger one, also when the dataset has grown meanwhile.
* The patches of one stage alone: staged learning without data aggregation.
"""

import hashlib
from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence

import numpy as np

from grasp_learning.dataset.reader import DatasetError, iterate_dataset, require_both_classes
from grasp_learning.dataset.schema import TRAIN
from grasp_learning.training.settings import TrainSettings

COLUMNS = ("trial_id", "scene", "stage", "label")


@dataclass(frozen=True)
class Selection:
    """What a training uses of the train split.

    Attributes:
        rows: (n,) bool for the n rows of the split, in the order of iterate_dataset.
        labels: (n,) int8.
    """

    rows: np.ndarray
    labels: np.ndarray

    @property
    def count(self) -> int:
        """How many rows are used."""
        return int(self.rows.sum())

    @property
    def successes(self) -> int:
        """How many of them are successes."""
        return int(self.labels[self.rows].sum())


def select_rows(settings: TrainSettings) -> Optional[Selection]:
    """The rows that the settings ask for; None for all.

    Raises:
        DatasetError: a dataset is missing or damaged, no row is of the stage that alone is wanted, or what is chosen
            has one class only.
    """
    if settings.limit is None and not settings.only_stage:
        return None
    columns: Dict[str, List] = {name: [] for name in COLUMNS}
    for batch in iterate_dataset(settings.data, TRAIN, COLUMNS):
        for name, values in columns.items():
            values.extend(batch.column(name).to_pylist())
    stages = np.array(columns["stage"], np.int64)
    rows = np.ones(len(stages), bool)
    where = f"{', '.join(settings.data)}: split '{TRAIN}'"
    if settings.only_stage:
        rows = stages == settings.stage
        _require_stage(rows, stages, settings.stage, where)
    if settings.limit is not None:
        # a trial without a scene is one of its own
        scenes = [scene or trial for scene, trial in zip(columns["scene"], columns["trial_id"])]
        rows &= (stages > 0) | _first_random(scenes, stages == 0, settings.limit, settings.limit_seed)
    labels = np.array(columns["label"], np.int8)
    chosen = f"{where}, {int(rows.sum())} of {len(rows)} patches"
    require_both_classes(labels[rows], chosen)
    return Selection(rows, labels)


def _require_stage(rows: np.ndarray, stages: np.ndarray, stage: int, where: str) -> None:
    if not rows.any():
        found = ", ".join(map(str, np.unique(stages))) or "none"
        raise DatasetError(
            f"{where}: has no patch of stage {stage}, there are those of: {found}; name the dataset of the stage, or "
            "train without --only-stage"
        )


def _first_random(scenes: Sequence[str], random: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """(n,) bool: the first `limit` random trials in the order of their tables, each table's in the dataset's order.

    Args:
        scenes: of all n rows.
        random: (n,) bool.
    """
    places = np.flatnonzero(random)
    keys = [_key(scenes[place], seed) for place in places]
    # sorted() keeps the order of equals
    order = sorted(range(len(places)), key=keys.__getitem__)
    result = np.zeros(len(random), bool)
    result[places[order[:limit]]] = True
    return result


def _key(scene: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed} {scene}".encode(), digest_size=16).digest()
