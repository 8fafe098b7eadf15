#!/usr/bin/env python3
"""Six kinds of faults at each of seven phases of a trial, at the robot's own pace: outcomes, how soon, and on again.

The cell is that of test/faults.test: collector and arm_executor are real, the robot is an ideal one that can be broken,
or baxter_sim with --sim.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import rospy
from figures import figure

TEST = Path(__file__).resolve().parent.parent / "test"
sys.path.insert(0, str(TEST))

from harness import free_port  # noqa: E402


def measure(folder: Path, speed: float, sim: bool, kinds: list) -> list:
    """Break everything, or some kinds only, everywhere; the results."""
    from fault_cell import PHASES, FaultCell
    from tapped_sim import TappedSim

    cell = FaultCell(folder / "data", speed, TappedSim() if sim else None)
    try:
        cell.start()
        cell.confirm()
        results = []
        for kind in kinds or cell.kinds:
            for phase in PHASES:
                results.append(cell.run(kind, phase))
                print(f"   {results[-1].line}", flush=True)
        # what was broken last is mended, too
        done, end = len(cell.recorded), time.monotonic() + 120.0
        while not {"SUCCESS", "FAILURE"} & {outcome for _, outcome, _ in cell.recorded[done:]}:
            if time.monotonic() > end:
                sys.exit("trials do not go on after the last fault")
            time.sleep(0.1)
        return results
    finally:
        cell.close()


def main() -> int:
    """Print the figures; 1 if one is short of its target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speed", type=float, default=1.0, help="of the robot's clock (default %(default)s)")
    parser.add_argument("--sim", action="store_true", help="on the simulator")
    parser.add_argument("--kinds", nargs="+", default=[], help="of faults; all of them by default")
    arguments = parser.parse_args()
    options = [f"sim:={str(arguments.sim).lower()}", f"speed:={arguments.speed}"]
    port = free_port()
    os.environ.update(ROS_MASTER_URI=f"http://127.0.0.1:{port}", ROS_IP="127.0.0.1")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ROS_LOG_DIR"] = folder
        with (Path(folder) / "roslaunch.log").open("wb") as log:
            command = ["roslaunch", "--no-summary", "-p", str(port), str(TEST / "fault_cell.launch"), *options]
            launch = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        try:
            while not rospy.core.rosgraph.is_master_online():
                time.sleep(0.1)
            rospy.set_param("/use_sim_time", True)
            rospy.init_node("bench_faults", disable_signals=True)
            results = measure(Path(folder), arguments.speed, arguments.sim, arguments.kinds)
        finally:
            launch.terminate()
            launch.wait(30.0)
    # frozen joint states are told by no message: their own deadline comes first
    stops = [result.stop for result in results if result.stop is not None and result.kind != "frozen_joints"] or [0.0]
    right = sum(result.outcomes == result.expected for result in results)
    in_time = sum(result.seconds <= result.limit for result in results)
    good = figure("faults_right_outcome", 100.0 * right / len(results), 100, f"% of {len(results)}", at_most=False)
    good &= figure("faults_within_deadline_and_1_s", 100.0 * in_time / len(results), 100, "%", at_most=False)
    good &= figure("faults_commands_stop", 1000.0 * max(stops), 50, "ms, worst")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
