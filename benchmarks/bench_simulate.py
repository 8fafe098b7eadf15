#!/usr/bin/env python3
"""Trials an hour that `simulate` collects with two workers, pictures included, and whether a seed gives equal bytes.

Peers in the same run: the ROS simulation's own rate of trials, and the 71 trials an hour of the paper's robot.
"""

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict

from figures import figure

from grasp_learning.simulation.simulate import PAPER_RATE
from grasp_learning.storage import trials_of

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test"))
from harness import Launch  # noqa: E402 - the harness of the system tests starts and ends a launch

WORKERS = 2
TRIALS = 500
REPEATED = 50  # trials that are simulated a second time, with one worker
ROS_TRIALS = 20
PATIENCE = 1500.0  # s


def simulate(folder: Path, trials: int, workers: int) -> float:
    """Trials an hour of wall clock, from the command's start to its end."""
    command = [ROOT / "nodes/simulate", "--trials", trials, "--workers", workers, "--out", folder, "--no-picture"]
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, *map(str, command)], check=True, capture_output=True, text=True, timeout=PATIENCE
    )
    seconds = time.monotonic() - started
    print(re.sub(r" in \S*/", " in ", done.stdout.strip()), flush=True)
    return 3600 * trials / seconds


def digests(folder: Path, trials: int) -> Dict[str, str]:
    """SHA-256 of the shards of the first trials, and of their lines."""
    lines = (folder / "trials.jsonl").read_bytes().splitlines(True)[:trials]
    names = sorted({trial["shard"] for trial in trials_of(folder) if trial["number"] <= trials})
    found = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    return {**found, "trials.jsonl": hashlib.sha256(b"".join(lines)).hexdigest()}


def ros_rate(folder: Path, trials: int) -> float:
    """Trials an hour of wall clock of the collection over ROS, from the first trial on disk to the last."""
    data = folder / "data"
    launch = Launch(["collect_random.launch", f"trials:={trials}", f"data:={data}", "speed:=max"], folder)
    try:
        launch.wait(120 + 30 * trials)
    finally:
        launch.close()
    written = [(data / trial["bag"]).stat().st_mtime for trial in trials_of(data)]
    if len(written) < 2:
        sys.exit(f"the collection over ROS came to {len(written)} trials:\n{launch.output[-3000:]}")
    return 3600 * (len(written) - 1) / (max(written) - min(written))


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--trials", type=int, default=TRIALS, help="without ROS")
    parser.add_argument("--ros-trials", type=int, default=ROS_TRIALS, help="over ROS, at least 2")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        many, again, over_ros = (Path(folder, name) for name in ("many", "again", "ros"))
        repeated = min(REPEATED, options.trials)
        rate = simulate(many, options.trials, WORKERS)
        simulate(again, repeated, 1)
        differing = sum(digest != digests(again, repeated)[name] for name, digest in digests(many, repeated).items())
        over_ros.mkdir()
        peer = ros_rate(over_ros, options.ros_trials)
    met = [
        figure("simulate_trials_per_hour", rate, 18000, "trials/h", at_most=False),
        figure("simulate_over_ros_simulation", rate / peer, 1, "times", at_most=False),
        figure("simulate_over_paper_robot", rate / PAPER_RATE, 18000 / PAPER_RATE, "times", at_most=False),
        figure("simulate_files_that_differ", differing, 0, "files"),
    ]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(_main())
