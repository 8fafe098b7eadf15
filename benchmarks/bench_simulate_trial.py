#!/usr/bin/env python3
"""What a trial without ROS costs: processor time of one process, with a new scene of ten objects every 25 trials.

The named peer is the same protocol with the whole arm, in the same scenes.
"""

import argparse
import os
import sys
import time

os.environ.setdefault("LP_NUM_THREADS", "1")  # before OpenGL is loaded: one process, one core

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from figures import figure  # noqa: E402

from grasp_learning.sampling import RandomSampler, SamplerSettings  # noqa: E402
from grasp_learning.sim.objects import catalogue  # noqa: E402
from grasp_learning.simulation.workcell import InProcessWorkcell, create_workcell  # noqa: E402
from grasp_learning.trial import ARMS, run_trial  # noqa: E402

OBJECTS = 10
JPEG_QUALITY = 95
PHASES = {"sample_region": "region", "sample_grasp": "picture", "approach": "physics", "pick": "physics"}


class Stopwatch:
    """Processor time (s) by phase."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(("scene", *PHASES.values(), "encode"), 0.0)

    def measured(self, phase: str, call):
        """A call whose time counts towards a phase."""

        def timed(*arguments):
            begin = time.process_time()
            try:
                return call(*arguments)
            finally:
                self.seconds[phase] += time.process_time() - begin

        return timed


def make(kind: str, seed: int) -> InProcessWorkcell:
    """A workcell with other objects for each seed."""
    known = catalogue("train")
    chosen = np.random.default_rng(seed).choice(len(known), OBJECTS, replace=False)
    return create_workcell(kind, seed, [known[index] for index in chosen], RandomSampler(SamplerSettings()))


def run(kind: str, scenes: int, trials: int) -> tuple:
    """Phases (ms of processor time a trial), their sum, and the share of successes."""
    watch, held, labels = Stopwatch(), 0, 0
    for seed in range(scenes):
        workcell = watch.measured("scene", make)(kind, seed)
        for step, phase in PHASES.items():
            setattr(workcell, step, watch.measured(phase, getattr(workcell, step)))
        encode = watch.measured("encode", lambda trial: [encoded(picture) for picture in trial.images.values()])
        for number in range(trials):
            trial = run_trial(workcell, ARMS[number % 2])
            encode(trial)
            labels += trial.outcome.is_label
            held += trial.outcome.value == "SUCCESS"
        workcell.close()
    phases = {name: 1e3 * seconds / (scenes * trials) for name, seconds in watch.seconds.items()}
    return phases, sum(phases.values()), held / max(labels, 1), labels / (scenes * trials)


def encoded(picture: np.ndarray) -> bytes:
    """JPEG of a picture."""
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def main() -> int:
    """Print the figures; 1 if one is short of its target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=4, help="tables with ten objects (default 4)")
    parser.add_argument("--trials", type=int, default=25, help="in each scene (default 25)")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    make("gripper", 99).close()  # the driver compiles its shaders once
    phases, total, held, labelled = run("gripper", arguments.scenes, arguments.trials)
    for name, milliseconds in phases.items():
        print(f"  {name:<10} {milliseconds:6.1f} ms a trial")
    print(f"  {100 * labelled:.0f} % of the trials gave a label, {100 * held:.1f} % of the labels are successes")
    results = [
        figure("trial_processor_time", total, 400.0, "ms"),
        figure("trials_an_hour_on_two_cores", 2 * 3600e3 / total, 18000, "1/h", at_most=False),
        figure("scene_processor_time", phases["scene"] * arguments.trials, 1500.0, "ms"),
    ]
    _, peer, _, _ = run("arm", 1, arguments.trials)
    results.append(figure("times_faster_than_whole_arm", peer / total, 1.5, "x", at_most=False))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
