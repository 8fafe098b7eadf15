"""Which trials train, which validate and which test, decided from the lines of trials.jsonl alone.

Where the objects near a grasp are known (simulation), test_novel holds trials whose nearest object is novel, and a
trial of another split never shows a novel object. Of the others, trials of one scene (one layout of the table, or one
stretch of time) are never on both sides of a split, also where collections were simulated with the same seed and so
have the same scenes. Everything depends on the seed, the collection's name or seed, and the trial alone:
a trial stays in its split when the collection grows or others are added, so that no network is tested on what it
was trained on; only where objects are unknown does the end of a growing collection move.

A test set has as many successes as failures in each collection (the surplus is drawn by the seed and becomes
"unused"), so a rate of 0.5 is chance.
"""

import zlib
from typing import Any, Dict, FrozenSet, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np
from pydantic import Field

from grasp_learning.config import Settings
from grasp_learning.dataset.schema import TEST_NOVEL, TEST_SEEN, TEST_SPLITS, TRAIN, UNUSED, VALIDATION

SHOWS_NOVEL = "shows a held-out object"
_GOLDEN = (5**0.5 - 1) / 2


class SplitSettings(Settings):
    """How a dataset is split; all collections of a dataset share it.

    Attributes:
        seed: of all choices.
        validation: fraction of the scenes.
        test_size: fraction of the scenes, or, where objects are unknown, of each collection's end.
        novel_fraction: of the training objects that are held out, too, beside the catalogue's test objects.
        novel_objects: names of objects that are held out, too.
        scene_trials: so many trials in a row are one scene in a collection over ROS.
    """

    seed: int = Field(0, ge=0)
    validation: float = Field(0.05, ge=0, lt=1)
    test_size: float = Field(0.05, ge=0, lt=1)
    novel_fraction: float = Field(0.0, ge=0, lt=1)
    novel_objects: Tuple[str, ...] = ()
    scene_trials: int = Field(25, ge=1)


class Plan(NamedTuple):
    """What becomes of a collection's trials, by their numbers.

    Attributes:
        splits: number -> split.
        left_out: number -> reason.
    """

    splits: Dict[int, str]
    left_out: Dict[int, str]


class NovelObjects:
    """Which objects are held out.

    Args:
        catalogue: names of the catalogue's test objects.
    """

    def __init__(self, settings: SplitSettings, catalogue: FrozenSet[str]):
        self._settings = settings
        self._names = catalogue | frozenset(settings.novel_objects)
        self._known: Dict[str, bool] = {}

    def __contains__(self, name: str) -> bool:
        if name not in self._known:
            # by the name alone, so that an object stays what it is whichever collections there are
            drawn = _draw(self._settings.seed, "object", name) < self._settings.novel_fraction
            self._known[name] = name in self._names or drawn
        return self._known[name]


def scene_of(line: Mapping[str, Any], settings: SplitSettings) -> int:
    """Number of a trial's scene in its collection: the simulator's, or the stretch of trials that it is in."""
    return line["block"] if "block" in line else (line["number"] - 1) // settings.scene_trials


def objects_of(line: Mapping[str, Any]):
    """Names of the objects near a grasp, nearest first; None where they are not known."""
    near = line.get("truth_near")
    return list(near) if near is not None and line.get("truth_known") else None


def plan_splits(
    lines: Sequence[Mapping[str, Any]],
    source: str,
    settings: SplitSettings,
    novel: NovelObjects,
    test_only: bool,
    scenes: str = "",
) -> Plan:
    """Decide what becomes of each trial of a collection.

    Args:
        lines: its labelled trials with pictures, in the order in which they were finished.
        source: the collection's name.
        test_only: every object of the collection is novel, also where none is near the grasp.
        scenes: name of its series of scenes, the same for collections that have the same scenes; `source` by default.
    """
    splits: Dict[int, str] = {}
    left_out: Dict[int, str] = {}
    known = any(objects_of(line) for line in lines)
    fractions = settings if known else settings.model_copy(update={"test_size": 0.0})
    for place, line in enumerate(lines):
        near = objects_of(line) or []
        if test_only or (near and near[0] in novel):
            splits[line["number"]] = TEST_NOVEL
        elif any(name in novel for name in near):
            left_out[line["number"]] = SHOWS_NOVEL
        elif not known and place >= round(len(lines) * (1 - settings.test_size)):
            splits[line["number"]] = TEST_SEEN
        else:
            splits[line["number"]] = _of_scene(scenes or source, scene_of(line, settings), fractions)
    _balance(lines, splits, source, settings.seed)
    return Plan(splits, left_out)


def only_novel(lines: Sequence[Mapping[str, Any]], novel: NovelObjects) -> bool:
    """Whether all objects that were ever near a grasp are novel."""
    names = {name for line in lines for name in objects_of(line) or []}
    return bool(names) and all(name in novel for name in names)


def _of_scene(scenes: str, scene: int, settings: SplitSettings) -> str:
    # multiples of the golden ratio spread evenly: a dozen scenes in a row have their share of each split
    value = (_draw(settings.seed, "scenes", scenes) + scene * _GOLDEN) % 1.0
    if value < settings.test_size:
        return TEST_SEEN
    return VALIDATION if value < settings.test_size + settings.validation else TRAIN


def _balance(lines: Sequence[Mapping[str, Any]], splits: Dict[int, str], source: str, seed: int) -> None:
    """Make the surplus of each test set's larger class unused."""
    for split in TEST_SPLITS:
        numbers: Dict[bool, List[int]] = {True: [], False: []}
        for line in lines:
            if splits.get(line["number"]) == split:
                numbers[line["outcome"] == "SUCCESS"].append(line["number"])
        keep = min(len(numbers[True]), len(numbers[False]))
        for group in numbers.values():
            # by a number of the trial's own: a set that grows keeps what it had
            for number in sorted(group, key=lambda value: _draw(seed, split, f"{source}/{value}"))[keep:]:
                splits[number] = UNUSED


def _draw(seed: int, purpose: str, name: str) -> float:
    """A number in [0, 1) that depends on a seed and a name alone."""
    entropy = [seed, zlib.crc32(purpose.encode()), zlib.crc32(name.encode())]
    return float(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] / 2.0**64)
