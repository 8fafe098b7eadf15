"""Objects that lie alone are tried: a thing of the right width is held, one that is too wide is not."""

import os

os.environ.setdefault("LP_NUM_THREADS", "1")  # before OpenGL is loaded

import pytest  # noqa: E402

from grasp_learning.sim.holdable import load_holdable  # noqa: E402
from grasp_learning.sim.objects import catalogue  # noqa: E402
from grasp_learning.simulation import hold_trials  # noqa: E402

OBJECTS = {each.name: each for each in catalogue("test")}


def test_a_toy_robot_can_be_held_and_a_pan_cannot():
    assert hold_trials.count_holds(OBJECTS["robot_figure_00"], 20, seed=0) >= 3
    assert hold_trials.count_holds(OBJECTS["pan_00"], 20, seed=0) == 0


def test_a_seed_decides_everything():
    first, again = (hold_trials.count_holds(OBJECTS["torch_00"], 12, seed=4) for _ in range(2))
    assert first == again > 0


def test_the_command_tells_each_object_and_writes_the_file(tmp_path, monkeypatch, capsys):
    few = [OBJECTS["robot_figure_00"], OBJECTS["pan_00"]]
    monkeypatch.setattr(hold_trials, "catalogue", lambda split: few)
    path = tmp_path / "holdable.yaml"
    assert hold_trials.main(["--out", str(path), "--grasps", "12", "--workers", "2"]) == 0
    found = load_holdable(path)
    assert found.names == ["robot_figure_00"] and found.others == ["pan_00"]
    said = capsys.readouterr().out
    assert "1 of 2 can be held; not: pan_00" in said and "0 of 12 grasps held it" in said
    # the workers' numbers are those of this process
    assert found.held["robot_figure_00"] == hold_trials.count_holds(few[0], 12, seed=0)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--grasps", "0"], "key 'grasps' is 0"),
        (["--seed", "-1"], "key 'seed' is -1"),
        (["--out", "/nowhere/at/all.yaml"], "/nowhere/at is no folder"),
    ],
)
def test_wrong_values_are_told_before_anything_is_tried(tmp_path, capsys, arguments, expected):
    assert hold_trials.main(["--out", str(tmp_path / "out.yaml"), *arguments]) == 2
    assert expected in capsys.readouterr().err
