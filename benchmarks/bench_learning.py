#!/usr/bin/env python3
"""What is learnt from 10,000 random simulated trials without pretrained weights, and what one guided stage brings.

Runs `curriculum` for two stages: random trials, a network, trials that it guides, a second network. It takes about an
hour and a half on two cores; a folder that is named is resumed, so an interrupted run goes on.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import List

from figures import figure

from grasp_learning.summary import wilson_interval

ROOT = Path(__file__).resolve().parent.parent
TRIALS, GUIDED, NOVEL, TEST = 10_000, 1_000, 1_000, 200
PATIENCE = 4 * 3600.0  # s


def parse_arguments() -> argparse.Namespace:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", type=Path, help="folder of the curriculum, kept and resumed (default: a temporary one)"
    )
    parser.add_argument("--trials", type=int, default=TRIALS, help=f"random trials (default: {TRIALS})")
    parser.add_argument("--guided", type=int, default=GUIDED, help=f"guided trials (default: {GUIDED})")
    parser.add_argument(
        "--novel", type=int, default=NOVEL, help=f"random trials on held-out objects (default: {NOVEL})"
    )
    parser.add_argument("--test", type=int, default=TEST, help=f"best grasps on held-out objects (default: {TEST})")
    parser.add_argument("--epochs", nargs="+", default=[], help="of the two trainings (default: 20 and 5)")
    return parser.parse_args()


def run_curriculum(out: Path, arguments: argparse.Namespace) -> List[dict]:
    """Results of the stages, as they stand in curriculum.json."""
    command = [ROOT / "nodes/curriculum", "--out", out, "--stages", 2, "--trials", arguments.trials]
    command += ["--stage-trials", arguments.guided, "--novel-trials", arguments.novel, "--test-trials", arguments.test]
    command += ["--epochs", *arguments.epochs] if arguments.epochs else []
    command += ["--", "--weights", "none"]
    subprocess.run([sys.executable, *map(str, command)], check=True, timeout=PATIENCE)
    return json.loads((out / "curriculum.json").read_text())["stages"]


def rate(name: str, positives: int, trials: int) -> float:
    """Print a grasp rate with its interval; in percent."""
    low, high = (100 * bound for bound in wilson_interval(positives, trials))
    percent = 100 * positives / trials
    print(f"{name}: {positives} of {trials}, {percent:.1f} % (95 %: {low:.1f} to {high:.1f} %)")
    return percent


def main() -> int:
    """Run or resume the curriculum and print its figures."""
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as temporary:
        first, second = run_curriculum(arguments.out or Path(temporary) / "run", arguments)
    random = rate("random grasps", first["positives"], first["trials"])
    guided = rate("guided grasps", second["positives"], second["trials"])
    results = [
        figure("novel_balanced_accuracy", first["accuracy_novel"], 0.62, "-", at_most=False),
        figure("seen_balanced_accuracy", first["accuracy_seen"], 0.62, "-", at_most=False),
        figure("guided_over_random_grasp_rate", guided / random, 2.0, "x", at_most=False),
    ]
    if second["test_trials"]:
        novel = rate("random grasps, held-out objects", first["novel_positives"], first["novel_trials"])
        best = rate("best grasps, held-out objects", second["test_positives"], second["test_trials"])
        results.append(figure("best_over_random_on_novel_objects", best / novel, 2.0, "x", at_most=False))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
