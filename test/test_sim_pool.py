"""Which objects lie on a simulated table: drawn with the seed, as many as asked for, only those that can be held."""

import pytest

from grasp_learning.config import ConfigError
from grasp_learning.sim.holdable import HoldableObjects, save_holdable
from grasp_learning.sim.objects import catalogue
from grasp_learning.sim.pool import SceneChoice, choose_objects


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 30),
        ({"pool": 0}, 10),
        ({"objects": 20, "pool": 12}, 20),
        ({"split": "test"}, len(catalogue("test"))),
        ({"objects": 0, "pool": 0}, 0),
    ],
)
def test_the_pool_begins_with_the_objects_that_lie_on_the_table_first(settings, expected):
    settings = SceneChoice(seed=3, **settings)
    names = [obj.name for obj in choose_objects(settings)]
    assert len(set(names)) == len(names) == expected
    alone = choose_objects(settings.model_copy(update={"pool": 0}))
    assert names[: settings.objects] == [obj.name for obj in alone]


def test_only_objects_that_can_be_held_where_a_file_tells_them(tmp_path):
    path = tmp_path / "holdable.yaml"
    save_holdable(
        path, HoldableObjects(split="test", grasps=30, seed=0, held={"pan_00": 0, "house_00": 9, "star_00": 1})
    )
    settings = SceneChoice(split="test", holdable=str(path), objects=1)
    assert {each.name for each in choose_objects(settings)} == {"house_00", "star_00"}
    with pytest.raises(ConfigError, match=r"key 'objects' is 3: '.*holdable.yaml' has only 2"):
        choose_objects(settings.model_copy(update={"objects": 3}))
