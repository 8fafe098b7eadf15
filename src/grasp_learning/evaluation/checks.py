"""A test set must not share with training what the methods are to be tested on."""

from typing import Iterable, List, Set

import numpy as np

from grasp_learning.dataset.reader import DatasetError
from grasp_learning.evaluation import metrics
from grasp_learning.evaluation.patch_set import PatchSet

NAMED = 5  # in an error


class SharedDataError(DatasetError):
    """A test set shares objects, trials or scenes with training; the message names them and the remedy."""


def check_test_set(train: PatchSet, test: PatchSet, novel: bool) -> List[str]:
    """Check that a test set shares nothing with training.

    Args:
        train: all that methods learn or choose their parameters from.
        novel: its objects must be novel, too; seen ones are shared by definition.

    Returns:
        What could not be checked, in words.

    Raises:
        SharedDataError: they share trials, scenes or, of novel ones, objects.
    """
    check_no_shared_trials(train, test)
    check_no_shared_scenes(train, test)
    if novel:
        check_no_shared_objects(train, test)
    return _unchecked(train, test, novel)


def check_no_shared_objects(train: PatchSet, test: PatchSet) -> None:
    """Check that no object that a grasp of the test was aimed at lies anywhere near a grasp of the training.

    Objects that lie beside the nearest one in a test's patch may be known from training, as on a table with both.

    Raises:
        SharedDataError: with their names.
    """
    learnt: Set[str] = {name for near in train.near if near is not None for name in near}
    # an object may be known where its neighbours are not
    learnt.update(name for name in train.objects if name is not None)
    hit = np.array([name in learnt for name in test.objects], bool)
    if hit.any():
        names = sorted(set(test.objects[hit]))
        raise SharedDataError(
            f"{test.name} shares {_named('object', names)} with {train.name} ({hit.sum()} of {len(test)} patches); "
            f"they are not novel: export the collections into a new dataset with "
            f"--novel-objects {','.join(names[:NAMED])}{',...' if len(names) > NAMED else ''} and train on that, or "
            "collect with other objects (simulate --objects test)"
        )


def check_no_shared_trials(train: PatchSet, test: PatchSet) -> None:
    """Check that no trial is in both.

    Raises:
        SharedDataError: with their names.
    """
    # collections of one name differ in their angles
    learnt = set(zip(train.trial_ids, train.angles.tolist()))
    shared = sorted({trial for trial in zip(test.trial_ids, test.angles.tolist()) if trial in learnt})
    if shared:
        names = [name for name, _ in shared]
        raise SharedDataError(
            f"{test.name} shares {_named('trial', names)} with {train.name}; export the collections into a new "
            "dataset, which has each trial once"
        )


def check_no_shared_scenes(train: PatchSet, test: PatchSet) -> None:
    """Check that no layout of the table is in both; its trials look alike.

    Raises:
        SharedDataError: with their names.
    """
    shared = sorted(_known(train.scenes) & _known(test.scenes))
    if shared:
        raise SharedDataError(
            f"{test.name} shares {_named('scene', shared)} with {train.name}: trials of one table look alike; export "
            "the collections into a new dataset, which keeps each scene in one split, and train on that"
        )


def _known(values: Iterable) -> Set[str]:
    return {value for value in values if value is not None}


def _unchecked(train: PatchSet, test: PatchSet, novel: bool) -> List[str]:
    notes = []
    if novel:
        unknown = sum(metrics.object_names(part.objects, part.near).count(metrics.UNKNOWN) for part in (train, test))
        if unknown:
            total = len(train) + len(test)
            notes.append(
                f"{test.name}: which object is nearest is not known of {unknown} of {total} patches of test and "
                "training; whether these share objects was not checked"
            )
    if not _known(test.scenes):
        notes.append(f"{test.name}: scenes are not known; the bootstrap draws trials, which may be too sure of itself")
    return notes


def _named(kind: str, names: List[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{len(names)} {kind}{'s' if len(names) > 1 else ''} ({', '.join(names[:NAMED])}{more})"
