#!/usr/bin/env python3
"""Whether the gripper alone labels grasps as the whole arm does: the same scenes, the same grasps, one by one."""

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test"))
os.environ.setdefault("LP_NUM_THREADS", "1")  # before OpenGL is loaded

from agreement import describe, pairs, summary  # noqa: E402
from figures import figure  # noqa: E402
from tqdm import tqdm  # noqa: E402


def main() -> int:
    """Print the figures, and each grasp on which the two disagree; 1 if one is short of its target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=28, help="tables with ten objects (default 28)")
    parser.add_argument("--grasps", type=int, default=14, help="in each scene (default 14)")
    parser.add_argument("--seed", type=int, default=0, help="of the first scene (default 0)")
    arguments = parser.parse_args()
    found = []
    with tqdm(total=arguments.scenes * arguments.grasps, unit="grasp", disable=None) as progress:
        for scene in range(arguments.scenes):
            for pair in pairs(arguments.seed + scene, arguments.grasps):
                found.append(pair)
                progress.update()
                if pair.is_labelled and not pair.agrees:
                    print(f"scene {arguments.seed + scene}: {describe(pair)}", flush=True)
    share, count, held = summary(found)
    print(f"{len(found) - count} grasps were out of the arm's reach or ended without a label")
    results = [
        figure("agreement", 100.0 * share, 95.0, "%", at_most=False),
        figure("agreement_grasps", count, 300, "grasps", at_most=False),
        figure("agreement_successes", held, 60, "grasps", at_most=False),
    ]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
