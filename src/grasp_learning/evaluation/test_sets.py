"""The sets that an evaluation learns from and tests on, balanced and checked."""

from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from grasp_learning.dataset.reader import DatasetError, require_both_classes
from grasp_learning.dataset.schema import TEST_NOVEL, TEST_SEEN, TEST_SPLITS, TRAIN, VALIDATION
from grasp_learning.evaluation.bootstrap import Bootstrap, clusters_of
from grasp_learning.evaluation.checks import check_test_set
from grasp_learning.evaluation.metrics import balanced_rows
from grasp_learning.evaluation.patch_set import PatchSet, load_patch_set
from grasp_learning.evaluation.results import TestSet

ORDER = (TEST_NOVEL, TEST_SEEN)  # of the tables; the paper's is of novel objects


class LearningSets(NamedTuple):
    """What methods learn from.

    Attributes:
        train, validation: of the stages that were asked for; may be empty.
        known: rows of both, of all stages: what tests must not share.
    """

    train: PatchSet
    validation: PatchSet
    known: PatchSet


class BalancedTest(NamedTuple):
    """A balanced test set.

    Attributes:
        rows: its patches.
        info: what is told of it.
        bootstrap: draws of its scenes, or of its trials.
        resampled_by: "scene" or "trial".
    """

    rows: PatchSet
    info: TestSet
    bootstrap: Bootstrap
    resampled_by: str


def learning_sets(paths: Sequence[str], stages: Optional[Sequence[int]], progress: bool = False) -> LearningSets:
    """The splits train and validation of datasets.

    Args:
        stages: of the curriculum, to which train and validation are limited; None for all.

    Raises:
        DatasetError: see load_patch_set.
    """
    known = load_patch_set(paths, [TRAIN, VALIDATION], progress, allow_empty=True)
    wanted = np.ones(len(known), bool) if stages is None else np.isin(known.stages, list(stages))
    train, validation = (known.subset(wanted & (known.splits == split), split) for split in (TRAIN, VALIDATION))
    return LearningSets(train, validation, known)


def test_sets(
    paths: Sequence[str], splits: Optional[Sequence[str]], known: PatchSet, seed: int, rounds: int
) -> List[BalancedTest]:
    """The test sets of datasets, each with as many successes as failures.

    Args:
        splits: of TEST_SPLITS; None for those that there are.
        known: what methods learn from.
        seed: of the balancing and the bootstrap.
        rounds: draws of the bootstrap.

    Raises:
        DatasetError: one is missing, or has one class only, or shares data with training (SharedDataError).
    """
    found = []
    for split in splits or ORDER:
        if split not in TEST_SPLITS:
            raise DatasetError(f"split '{split}' is no test set; choose from {', '.join(TEST_SPLITS)}")
        rows = load_patch_set(paths, split, allow_empty=splits is None)
        if len(rows):
            found.append(_balanced(rows, split, known, seed, rounds))
    if not found:
        named = ", ".join(map(str, paths))
        raise DatasetError(
            f"{named}: no row of {' or '.join(TEST_SPLITS)}; collect trials on held-out objects (simulate --objects "
            "test) and export them into this dataset, too"
        )
    return found


test_sets.__test__ = False  # type: ignore[attr-defined]  # no test of pytest's


def _balanced(rows: PatchSet, split: str, known: PatchSet, seed: int, rounds: int) -> BalancedTest:
    require_both_classes(rows.labels, f"split '{split}'")
    notes = check_test_set(known, rows, novel=split == TEST_NOVEL)
    kept = rows.subset(balanced_rows(rows.labels, rows.trial_ids, seed))
    clusters, resampled_by = clusters_of(kept.scenes, kept.trial_ids)
    info = TestSet(
        split=split,
        samples=len(kept),
        successes=int(kept.labels.sum()),
        surplus=len(rows) - len(kept),
        identity=kept.identity,
        objects=len({name for name in kept.objects if name is not None}),
        notes=notes,
    )
    return BalancedTest(kept, info, Bootstrap(clusters, seed, rounds), resampled_by)


def right(test: BalancedTest, scores: np.ndarray, threshold: float) -> np.ndarray:
    """(n,) bool: which rows are predicted right."""
    return (scores >= threshold) == (test.rows.labels == 1)


def patches_of(sets: LearningSets) -> Tuple[int, int]:
    """Patches to learn from, and those of them that held."""
    return len(sets.train), int(sets.train.labels.sum())
