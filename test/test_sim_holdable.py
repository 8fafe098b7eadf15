"""The file that tells which objects can be held."""

import pytest

from grasp_learning.config import ConfigError
from grasp_learning.sim.holdable import HoldableObjects, holdable_names, load_holdable, save_holdable

FOUND = HoldableObjects(split="test", grasps=60, seed=0, held={"pan_00": 0, "bone_00": 1, "mug_00": 2, "box_00": 60})


def test_what_is_held_by_luck_alone_cannot_be_held():
    assert FOUND.names == ["mug_00", "box_00"] and FOUND.others == ["pan_00", "bone_00"]


def test_the_file_says_what_was_written(tmp_path):
    path = tmp_path / "holdable.yaml"
    save_holdable(path, FOUND)
    assert load_holdable(path) == FOUND
    assert holdable_names(path, "test") == ["mug_00", "box_00"]
    assert [file.name for file in tmp_path.iterdir()] == ["holdable.yaml"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "split: train\ngrasps: 1\nseed: 0\nheld: {}\n",
            "'split' is 'train': the objects on the table are of 'test'",
        ),
        ("split: test\ngrasps: 0\nseed: 0\nheld: {}\n", "key 'grasps'"),
        ("split: test\n", "key 'held' is missing"),
    ],
)
def test_a_file_that_does_not_fit_is_told(tmp_path, content, expected):
    path = tmp_path / "holdable.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=expected):
        holdable_names(path, "test")


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_holdable(tmp_path / "holdable.yaml")
