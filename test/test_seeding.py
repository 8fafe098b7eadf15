"""Seeds: repeatable from a fresh folder, different after a resume."""

import json

from grasp_learning.seeding import run_seed


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
