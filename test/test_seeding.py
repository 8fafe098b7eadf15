"""Seeds: repeatable from a fresh folder, different after a resume."""

import json

import pytest

from grasp_learning.seeding import Draws, arm_seed, run_seed
from grasp_learning.storage import CollectionError


def test_a_fresh_folder_gives_the_seed_itself(tmp_path):
    assert run_seed(7, str(tmp_path)) == 7
    assert run_seed(7, "") == 7


def test_a_resumed_folder_gives_other_seeds_that_repeat(tmp_path):
    seeds = [run_seed(7, "")]
    for number in (1, 2):
        bag = tmp_path / "bags" / f"{number:06d}_left.bag"
        bag.parent.mkdir(exist_ok=True)
        bag.write_bytes(b"x")
        line = {"number": number, "arm": "left", "outcome": "FAILURE", "bag": f"bags/{bag.name}", "bag_bytes": 1}
        with (tmp_path / "trials.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        seeds.append(run_seed(7, str(tmp_path)))
        assert run_seed(7, str(tmp_path)) == seeds[-1]
    assert len(set(seeds)) == 3


def test_arms_have_seeds_of_their_own():
    seeds = [arm_seed(seed, arm) for seed in (0, 1) for arm in ("left", "right")]
    assert len(set(seeds)) == 4 and seeds[0] == arm_seed(0, "left")


def numbers(draws, arm, count=3):
    return [draws.generator(arm).uniform() for _ in range(count)]


def add_line(folder, name, **line):
    with (folder / name).open("a") as file:
        file.write(json.dumps(line) + "\n")


def test_draws_of_a_fresh_folder_repeat_whatever_the_other_arm_does(tmp_path):
    first, second = Draws(3, 0, str(tmp_path)), Draws(3, 0, str(tmp_path))
    alone = numbers(first, "left")
    numbers(second, "right", 5)
    assert numbers(second, "left") == alone
    assert len({*alone, *numbers(first, "right")}) == 6, "every choice is another"
    assert alone == numbers(Draws(3, 0, ""), "left")


def test_draws_differ_by_seed_and_node():
    every = [numbers(Draws(seed, stream, ""), "left", 1)[0] for seed in (0, 1) for stream in (0, 1)]
    assert len(set(every)) == 4


@pytest.mark.parametrize("name", ["trials.jsonl", "faults.jsonl"])
def test_a_restarted_node_does_not_repeat_its_draws(tmp_path, name):
    first = numbers(Draws(3, 0, str(tmp_path)), "left")
    restarted = Draws(3, 0, str(tmp_path))
    # recorded after the restart, but before the node's first choice: the attempt was in flight
    line = {"number": 1, "arm": "left", "outcome": "FAILURE", "bag": "bags/000001_left.bag", "bag_bytes": 1}
    add_line(tmp_path, name, **line)
    assert not set(numbers(restarted, "left")) & set(first)


def test_draws_of_a_folder_that_cannot_be_read_are_refused(tmp_path):
    (tmp_path / "faults.jsonl").write_text("{\n")
    with pytest.raises(CollectionError, match="line 1"):
        Draws(0, 0, str(tmp_path))
