#!/usr/bin/env python3
"""Whether the label by the fingers' position is that by the gripper's force: the same readings, labelled by both."""

import argparse
import os
import sys
from pathlib import Path
from typing import Iterator, List

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test"))
os.environ.setdefault("LP_NUM_THREADS", "1")  # before OpenGL is loaded

from agreement import choose, grasp_in, regions_of  # noqa: E402
from figures import figure  # noqa: E402
from tqdm import tqdm  # noqa: E402

from grasp_learning.execution.pick_sequence import SequenceSettings  # noqa: E402
from grasp_learning.labelling import GripperSample, LabelMethod, label_grasp  # noqa: E402
from grasp_learning.sampling import RandomSampler, SamplerSettings  # noqa: E402
from grasp_learning.sim.objects import catalogue  # noqa: E402
from grasp_learning.simulation.workcell import InProcessWorkcell, create_workcell  # noqa: E402
from grasp_learning.trial import ARMS, Outcome, PickReading, run_trial  # noqa: E402

OBJECTS = 10
TRIALS_PER_TABLE = 10


def readings(kind: str, seed: int, aimed: bool) -> Iterator[PickReading]:
    """Readings after the lift, table by table.

    Args:
        aimed: grasps as a person would try, which hold three times in ten and more; else those of a random collection.
    """
    while True:
        objects = catalogue("train")
        chosen = np.random.default_rng([seed, 11]).choice(len(objects), OBJECTS, replace=False)
        sampler = RandomSampler(SamplerSettings())
        workcell = create_workcell(kind, seed, [objects[index] for index in chosen], sampler)
        try:
            yield from (aimed_readings if aimed else random_readings)(workcell, seed)
        finally:
            workcell.close()
        seed += 1


def random_readings(workcell: InProcessWorkcell, seed: int) -> Iterator[PickReading]:
    """Of trials as a random collection runs them, the arms in turn."""
    for number in range(TRIALS_PER_TABLE):
        trial = run_trial(workcell, ARMS[number % len(ARMS)])
        if trial.outcome.is_label:
            yield trial.reading


def aimed_readings(workcell: InProcessWorkcell, seed: int) -> Iterator[PickReading]:
    """Of grasps across regions that the gripper may hold, each on the table as it was laid out."""
    regions, layout = regions_of(workcell), workcell.scene.world.layout()
    rng = np.random.default_rng([seed, 12])
    for _ in range(TRIALS_PER_TABLE if regions else 0):
        workcell.scene.world.lay_out(layout)
        step = workcell.pick(grasp_in(choose(regions, rng), workcell.scene.world.table.z, rng))
        if step.outcome.is_label:
            yield step.value


def held(reading: PickReading, method: LabelMethod) -> bool:
    """What a method says of a reading, with the package's thresholds."""
    rule = SequenceSettings(label_method=method).label_rule
    sample = GripperSample(reading.force, reading.position, reading.gripping, calibrated=True)
    return label_grasp([sample], rule).outcome is Outcome.SUCCESS


def compare(name: str, found: List[PickReading]) -> List[bool]:
    """Print how far the methods agree; all trials, and of those that held by force the share that does by position."""
    by_force = np.array([held(reading, "force") for reading in found])
    by_position = np.array([held(reading, "position") for reading in found])
    truth = np.array([reading.truth_held for reading in found])
    positions = np.array([reading.position for reading in found])
    for reading in (found[index] for index in np.flatnonzero(by_force != by_position)):
        print(f"{name}: force {reading.force:.1f} %, position {reading.position:.2f} %, truth: {reading.truth_object}")
    print(
        f"{name}: fingers {describe(positions[by_force])} open where something is held by force, "
        f"{describe(positions[~by_force])} where not"
    )
    return [
        figure(f"labels_{name}_agreement", 100.0 * np.mean(by_force == by_position), 95.0, "%", at_most=False),
        figure(f"labels_{name}_of_held", 100.0 * np.mean(by_position[by_force]), 95.0, "%", at_most=False),
        figure(f"labels_{name}_right_by_position", 100.0 * np.mean(by_position == truth), 95.0, "%", at_most=False),
        figure(f"labels_{name}_held_by_force", int(by_force.sum()), 1, "trials", at_most=False),
    ]


def describe(positions: np.ndarray) -> str:
    """Smallest, median and largest of some positions (percent)."""
    if len(positions) == 0:
        return "(none)"
    return f"{positions.min():.2f} to {positions.max():.2f} % (median {np.median(positions):.2f})"


def main() -> int:
    """Print the figures, and each reading that the two methods label differently; 1 if one is short of its target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200, help="labelled, of either kind (default 200)")
    parser.add_argument("--kind", choices=["gripper", "arm"], default="gripper", help="of the workcell")
    parser.add_argument("--seed", type=int, default=0, help="of the first table (default 0)")
    arguments = parser.parse_args()
    results = []
    for name, aimed in (("random", False), ("aimed", True)):
        source = readings(arguments.kind, arguments.seed, aimed)
        found = [next(source) for _ in tqdm(range(arguments.trials), unit="trial", desc=name, disable=None)]
        results += compare(name, found)
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
