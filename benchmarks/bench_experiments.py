#!/usr/bin/env python3
"""How long the experiments of the laptop profile take from nothing, and again when all of it is there.

Runs `experiments --profile laptop`, which takes about two hours on two cores. A folder that is named is kept, and
gone on with; the minutes are those of all its steps together.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from figures import figure

from grasp_learning.experiments.results import load_results, load_run

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 6 * 3600.0  # s
LONGEST = 150.0  # min, of all steps
LONGEST_REPEAT = 60.0  # s
WORDS = {True: "holds", False: "does not hold", None: "cannot be told"}


def parse_arguments() -> argparse.Namespace:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder of the experiments, kept and resumed (default: temporary)")
    parser.add_argument("--profile", default="laptop", help="(default: %(default)s)")
    return parser.parse_args()


def run(out: Path, profile: str) -> float:
    """Run or resume the experiments; seconds that it took."""
    command = [sys.executable, ROOT / "nodes/experiments", "--profile", profile, "--out", out]
    begin = time.monotonic()
    subprocess.run(list(map(str, command)), check=True, timeout=PATIENCE)
    return time.monotonic() - begin


def main() -> int:
    """Run the experiments twice and print the figures."""
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as temporary:
        out = arguments.out or Path(temporary) / "experiments"
        run(out, arguments.profile)
        repeat = run(out, arguments.profile)
        info, results = load_run(out), load_results(out)
    for result in results:
        if result.order is not None:
            print(f"{result.id}: {result.order.text[:-1]}: {WORDS[result.order.holds]}")
    steps = sum(info.steps.values())
    done = figure("experiments", len(results), 10, "-", at_most=False)
    met = figure(f"{arguments.profile}_from_nothing", steps / 60, LONGEST, "min")
    again = figure(f"{arguments.profile}_repeat", repeat, LONGEST_REPEAT, "s")
    return 0 if done and met and again else 1


if __name__ == "__main__":
    sys.exit(main())
