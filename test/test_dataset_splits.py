"""No object and no scene on both sides of a split, test sets balanced, and a trial stays where it is."""

from collections import Counter

import pytest

from grasp_learning.dataset.splits import (
    SHOWS_NOVEL,
    NovelObjects,
    SplitSettings,
    only_novel,
    plan_splits,
    scene_of,
)

TEST_OBJECTS = frozenset({"wrench_00", "duck_00"})


def line(number, near=("mug_01",), success=False, **more):
    record = {"number": number, "outcome": "SUCCESS" if success else "FAILURE", "truth_known": True}
    return {**record, "truth_near": list(near), "block": (number - 1) // 5, **more}


def plan(lines, test_only=False, source="d0", **settings):
    settings = SplitSettings(**settings)
    return plan_splits(lines, source, settings, NovelObjects(settings, TEST_OBJECTS), test_only)


def test_a_trial_goes_by_its_nearest_object_and_none_else_shows_a_novel_one():
    near = {1: ["duck_00", "mug_01"], 2: ["mug_01", "duck_00"], 3: ["mug_01"], 4: []}
    lines = [line(number, names, success=number == 1) for number, names in near.items()]
    lines.append(line(5, ["wrench_00"]))
    result = plan(lines, validation=0, test_size=0)
    assert result.splits == {1: "test_novel", 3: "train", 4: "train", 5: "test_novel"}
    assert result.left_out == {2: SHOWS_NOVEL}


def test_scenes_are_never_torn_and_have_their_share():
    lines = [line(number, success=number % 2 == 0) for number in range(1, 2001)]
    result = plan(lines, validation=0.1, test_size=0.05)
    scenes = {}
    for item in lines:
        split = result.splits[item["number"]]
        scenes.setdefault(item["block"], set()).add("test_seen" if split == "unused" else split)
    assert all(len(found) == 1 for found in scenes.values())
    shares = Counter(next(iter(found)) for found in scenes.values())
    assert shares["validation"] == pytest.approx(40, abs=2) and shares["test_seen"] == pytest.approx(20, abs=2)


def test_a_handful_of_scenes_has_its_share_too():
    for seed in range(10):
        lines = [line(number) for number in range(1, 101)]
        assert "validation" in plan(lines, seed=seed, validation=0.1, test_size=0).splits.values()


def test_test_sets_are_balanced_and_the_rest_is_unused():
    lines = [line(number, ["duck_00"], success=number % 4 == 0) for number in range(1, 101)]
    result = plan(lines)
    counts = Counter((split, number % 4 == 0) for number, split in result.splits.items())
    assert counts == {("test_novel", True): 25, ("test_novel", False): 25, ("unused", False): 50}
    other = plan(lines, seed=1)
    assert other.splits != result.splits
    assert Counter(other.splits.values()) == Counter(result.splits.values())


def test_a_trial_stays_in_its_split_when_the_collection_grows():
    lines = [line(number, success=number % 3 == 0) for number in range(1, 601)]
    few, many = plan(lines[:300]).splits, plan(lines).splits
    for number, split in few.items():
        assert (many[number] == split) or {many[number], split} == {"test_seen", "unused"}
    assert {number for number, split in few.items() if split == "train"} == {
        number for number, split in many.items() if split == "train" and number <= 300
    }


def test_unknown_objects_are_split_by_time():
    lines = [line(number, (), number % 2 == 0, truth_known=False) for number in range(1, 101)]
    result = plan(lines, test_size=0.2, validation=0)
    assert {number for number, split in result.splits.items() if split == "test_seen"} == set(range(81, 101))


def test_time_stretches_take_the_place_of_scenes_over_ros():
    settings = SplitSettings(scene_trials=10)
    numbers = [{"number": number} for number in (1, 10, 11, 25)]
    assert [scene_of(item, settings) for item in numbers] == [0, 0, 1, 2]


def test_collections_of_test_objects_are_novel_as_a_whole():
    settings = SplitSettings()
    lines = [line(1, ["duck_00"], True), line(2, []), line(3, ["wrench_00"])]
    assert only_novel(lines, NovelObjects(settings, TEST_OBJECTS))
    assert not only_novel([*lines, line(4)], NovelObjects(settings, TEST_OBJECTS))
    assert not only_novel([line(1, [])], NovelObjects(settings, TEST_OBJECTS))
    splits = plan(lines, test_only=True).splits
    assert set(splits.values()) <= {"test_novel", "unused"} and len(splits) == 3


def test_a_fraction_of_the_training_objects_is_held_out_by_name():
    names = [f"thing_{index:03d}" for index in range(1000)]
    chosen = {
        seed: {
            name for name in names if name in NovelObjects(SplitSettings(novel_fraction=0.1, seed=seed), frozenset())
        }
        for seed in (0, 1)
    }
    assert 70 < len(chosen[0]) < 130 and chosen[0] != chosen[1]
    named = NovelObjects(SplitSettings(novel_objects=("mug_01",)), TEST_OBJECTS)
    assert "mug_01" in named and "duck_00" in named and "mug_02" not in named
