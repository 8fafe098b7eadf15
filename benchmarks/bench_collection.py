"""A whole collection in the full ROS graph: how fast, how often it grasps, how true the label is, how much memory.

Runs `roslaunch grasp_learning collect_random.launch` with both arms (200 trials by default) and reads what it left.
The paper's robot made about 71 trials an hour and grasped in 8.05 % of its random trials.
"""

import argparse
import json
import os
import re
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Dict, List, Tuple

import psutil
from figures import figure

from grasp_learning.storage import trials_of
from grasp_learning.summary import summarize

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test"))
from harness import Launch  # noqa: E402 - the harness of the system tests starts and ends a launch

SAMPLE_PERIOD = 2.0  # s between two looks at the memory


class Memory(threading.Thread):
    """Watches the memory of a process and all its descendants."""

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self._root = psutil.Process(pid)
        self.samples: List[float] = []  # GB of all processes together
        self.peak: Dict[str, float] = {}  # MB of each
        self.done = threading.Event()

    def run(self) -> None:
        """Sample until told to stop."""
        while not self.done.wait(SAMPLE_PERIOD):
            try:
                self.samples.append(sum(map(self._look_at, self._tree())) / 1e9)
            except psutil.NoSuchProcess:
                return

    def _tree(self) -> List[psutil.Process]:
        return [self._root, *self._root.children(recursive=True)]

    def _look_at(self, process: psutil.Process) -> int:
        try:
            # proportional share: pages that processes share count once
            size = process.memory_full_info().pss
            name = Path(process.cmdline()[1]).name if len(process.cmdline()) > 1 else process.name()
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            return 0
        self.peak[name] = max(self.peak.get(name, 0.0), size / 1e6)
        return size

    def growth(self) -> float:
        """MB by which the last quarter's mean exceeds that of the second quarter, when all buffers are full."""
        quarter = max(1, len(self.samples) // 4)
        second, last = self.samples[quarter : 2 * quarter], self.samples[-quarter:]
        return 1000 * (sum(last) / len(last) - sum(second) / max(1, len(second)))


def collect(trials: int, seed: int, data: Path, folder: Path) -> Tuple[Memory, Dict[str, int]]:
    """Run the collection to its end; its memory, and the simulator's count of the arms' contacts by kind."""
    launch = Launch(
        ["collect_random.launch", f"trials:={trials}", f"seed:={seed}", f"data:={data}", "speed:=max"], folder
    )
    memory = Memory(launch.process.pid)
    memory.start()
    try:
        launch.wait(120 + 30 * trials)
    finally:
        memory.done.set()
        launch.close()
    # roslaunch's exit code is 0 however the collection ended
    if "FINISHED: " not in launch.output:
        sys.exit(f"the collection did not finish:\n{launch.output[-3000:]}")
    memory.join()
    counted = re.findall(r"arm contacts: (\{.*?\})", launch.output)
    if not counted:
        sys.exit(f"the simulator did not tell of the arms' contacts:\n{launch.output[-3000:]}")
    return memory, json.loads(counted[-1])


def print_figures(data: Path, memory: Memory) -> None:
    """Print what the collection reached."""
    trials = sorted(trials_of(data), key=lambda trial: trial["end"])
    first, last = trials[0], trials[-1]
    robot_seconds = last["end"] - min(trial["start"] for trial in trials)
    wall = os.stat(data / last["bag"]).st_mtime - os.stat(data / first["bag"]).st_mtime
    summary = summarize(data)
    rate = summary.successes / summary.trials
    # a truth that is not known agrees with nothing
    agreement = summary.truth_agrees / summary.trials
    figure("collection_trials", len(trials), 200, "trials", at_most=False)
    figure("collection_trials_per_hour", 3600 * len(trials) / robot_seconds, 300, "1/h (robot)", at_most=False)
    figure("collection_times_real_time", (last["end"] - first["end"]) / wall, 3, "x", at_most=False)
    figure("collection_grasp_rate_lower", 100 * rate, 4, "%", at_most=False)
    figure("collection_grasp_rate_upper", 100 * rate, 20, "%")
    figure("collection_label_agrees_with_truth", 100 * agreement, 97, "%", at_most=False)
    held = [trial for trial in trials if trial["truth_held"]]
    print(f"   held objects labelled SUCCESS: {sum(trial['outcome'] == 'SUCCESS' for trial in held)} of {len(held)}")
    figure("collection_unlabelled_attempts", 100 * sum(summary.faults.values()) / summary.trials, 10, "% of trials")
    figure("collection_largest_bag", max(summary.bag_bytes) / 1e6, 3, "MB")
    figure("collection_peak_memory", max(memory.samples), 3, "GB")
    figure("collection_memory_growth", memory.growth(), 50, "MB")
    for name, peak in sorted(memory.peak.items(), key=lambda item: -item[1])[:8]:
        print(f"   {name}: {peak:.0f} MB")


def main() -> None:
    """Collect and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, help="keep the collection here; default: a temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        data = arguments.data or Path(folder) / "data"
        memory, contacts = collect(arguments.trials, arguments.seed, data.absolute(), Path(folder))
        print(f"   {arguments.trials} trials in {time.monotonic() - start:.0f} s of wall time")
        print_figures(data, memory)
        figure("collection_arm_contacts", contacts["arms"], 0, "contacts")
        print(f"   contacts of an arm's links with torso, table or floor: {contacts['surroundings']}")


if __name__ == "__main__":
    main()
