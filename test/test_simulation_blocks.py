"""A block gives its trials, the same whoever asks, and ends in an error with a name where it cannot."""

import pytest
from simulation_fakes import FakeWorkcell, alternating

from grasp_learning.sim.world import SceneError
from grasp_learning.simulation import blocks
from grasp_learning.simulation.blocks import BlockError, BlockPlan, object_pool, run_block, scene_of
from grasp_learning.simulation.shards import decode_shard
from grasp_learning.trial import Outcome, Step

PLAN = BlockPlan(5, trials_per_scene=6)


def lines_of(content):
    return decode_shard(content, "x")


def test_trials_are_numbered_by_the_block_and_arms_take_turns():
    _, lines = lines_of(run_block(PLAN, 3, 6, FakeWorkcell, None))
    assert [line["number"] for line in lines] == [19, 20, 21, 22, 23, 24]
    assert {line["outcome"] for line in lines} == {"SUCCESS", "FAILURE"}
    for block in range(6):
        scene, lines = lines_of(run_block(PLAN, block, 6, FakeWorkcell, None))
        assert {fault["block"] for fault in scene.faults} <= {block}
        if scene.faults:  # they take their turns, too
            attempts = sorted([*lines, *scene.faults], key=lambda line: line["start"])
            assert alternating([line["arm"] for line in attempts])
            return
    pytest.fail("no block had a fault, so nothing was tested")


def test_a_block_depends_on_its_seed_and_number_only():
    first = run_block(PLAN, 3, 6, FakeWorkcell, None)
    run_block(PLAN, 2, 6, FakeWorkcell, None)
    assert run_block(PLAN, 3, 6, FakeWorkcell, None) == first
    assert run_block(BlockPlan(6, trials_per_scene=6), 3, 6, FakeWorkcell, None) != first


def test_fewer_trials_are_the_first_of_more():
    scene, lines = lines_of(run_block(PLAN, 3, 6, FakeWorkcell, None))
    for count in range(1, 6):
        part, begun = lines_of(run_block(PLAN, 3, count, FakeWorkcell, None))
        assert begun == lines[:count]
        assert part.faults == scene.faults[: len(part.faults)]


def test_scenes_draw_other_objects_of_their_split():
    drawn = [[spec.name for spec in scene_of(PLAN, block, 0)[1]] for block in range(4)]
    assert all(len(set(names)) == 10 for names in drawn)
    assert len({tuple(names) for names in drawn}) == 4
    assert scene_of(PLAN, 1, 0)[0] != scene_of(PLAN, 1, 1)[0]
    test = {spec.name for spec in scene_of(BlockPlan(5, objects="test"), 0, 0)[1]}
    assert test <= {spec.name for spec in object_pool("test")}
    assert not test & {spec.name for spec in object_pool("train")}
    assert len(object_pool("all")) == len(object_pool("train")) + len(object_pool("test"))


class Troubled(FakeWorkcell):
    """The first scenes are of no use."""

    made = []
    trouble = "barren"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.made.append(self)
        self._useless = len(self.made) < 3
        if self._useless and self.trouble == "no scene":
            raise SceneError("objects roll off")

    def sample_region(self, arm):
        if self._useless and self.trouble == "barren":
            return Step(Outcome.UNREACHABLE, "out of reach")
        return super().sample_region(arm)

    def pick(self, grasp):
        if self._useless and self.trouble == "diverged":
            return Step(Outcome.ROBOT_FAULT, "the simulation diverged: NaN")
        return super().pick(grasp)


@pytest.mark.parametrize(
    "trouble, outcome", [("barren", "UNREACHABLE"), ("no scene", "ABORTED"), ("diverged", "ROBOT_FAULT")]
)
def test_a_useless_scene_is_laid_anew_and_the_attempts_are_kept(trouble, outcome, monkeypatch):
    monkeypatch.setattr(Troubled, "made", [])
    monkeypatch.setattr(Troubled, "trouble", trouble)
    content = run_block(PLAN, 0, 6, Troubled, None)
    scene, lines = lines_of(content)
    assert len(lines) == 6 and len(Troubled.made) == len(scene.objects) == 3
    wrong = [fault["outcome"] for fault in scene.faults].count(outcome)
    assert wrong == {"barren": 2 * blocks.LONGEST_STREAK, "no scene": 2, "diverged": 2}[trouble]
    assert all(workcell.closed for workcell in Troubled.made if trouble != "no scene")
    monkeypatch.setattr(Troubled, "made", [])
    assert run_block(PLAN, 0, 6, Troubled, None) == content


def test_a_block_that_comes_to_nothing_is_an_error_that_says_why():
    with pytest.raises(BlockError, match="block 4 came to 0 of 6 trials in 12 scenes, 96 .*NO_OBJECTS, nothing lies"):
        run_block(PLAN, 4, 6, lambda *arguments: FakeWorkcell(*arguments, barren=True), None)
