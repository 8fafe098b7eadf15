"""A workcell that invents its trials within a millisecond, and a worker's setup that can be made to misbehave."""

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grasp_learning.geometry import Camera
from grasp_learning.simulation.blocks import BlockPlan, run_block
from grasp_learning.simulation.simulate import main, parse_arguments
from grasp_learning.trial import ARMS, Grasp, Outcome, PickReading, Prior, Region, Step, Workcell


class FakeWorkcell(Workcell):
    """Every fifth attempt finds no object, every third grasp holds; all of it follows from the seeds."""

    def __init__(self, scene_seed, objects, sampler, seed, barren=False):
        self._rng = np.random.default_rng([scene_seed, seed])
        self._objects = [spec.name for spec in objects]
        self._barren, self._time, self.closed = barren, 0.0, False
        self.wrist_camera = Camera(96, 64, np.array([[81.0, 0, 48], [0, 81, 32], [0, 0, 1]]))
        self.T_base_camera = np.eye(4)

    def now(self):
        self._time += 1.7
        return self._time

    def put_back_objects(self):
        return []

    def sample_region(self, arm):
        if self._barren or self._rng.uniform() < 0.2:
            return Step(Outcome.NO_OBJECTS, "nothing lies on the fake table")
        region = Region(arm, self._time, self._rng.uniform(size=3), 0.05, np.zeros((0, 2)), (1, 2, 3, 4))
        return Step(Outcome.SUCCESS, "", region)

    def approach(self, region):
        return Step(Outcome.SUCCESS)

    def sample_grasp(self, region):
        u, v, angle = self._rng.uniform(20, 40, 3)
        self.T_base_camera = np.eye(4) + self._rng.normal(size=(4, 4))
        picture = self._rng.integers(0, 255, (64, 96, 3), dtype=np.uint8)
        grasp = Grasp(region.arm, self._time, u, v, u / 100, 0.1, -0.09, angle % np.pi, angle % np.pi, 3, 38)
        prior = Prior("m", "ab", 38, self._rng.uniform(size=(5, 2)), self._rng.uniform(size=(5, 18)), 2, 3)
        return Step(Outcome.SUCCESS, "", grasp, {"approach_image": picture}, prior)

    def pick(self, grasp):
        held = bool(self._rng.uniform() < 1 / 3)
        name = self._objects[0] if held else ""
        reading = PickReading(np.float32(30.5 * held), 40, held, True, True, held, name, tuple(self._objects[:2]))
        return Step(Outcome.SUCCESS if held else Outcome.FAILURE, "", reading)

    def close(self):
        self.closed = True


@dataclass(frozen=True)
class FakeSetup:
    """See SimulatorSetup.

    Attributes:
        plan: of the simulation.
        pause: of a worker before each attempt (s).
        trouble: what the worker of block 1 does: "die" or "hang" (once, if there is a marker), "fail", "barren".
        marker: a file that is made before the trouble, and prevents it the next time.
        settings_sha256: what collection.yaml is to say.
    """

    plan: BlockPlan
    pause: float = 0.0
    trouble: str = ""
    marker: str = ""
    settings_sha256: str = "fake"

    def __call__(self):
        if self.trouble == "no start":
            raise ValueError("the fake model is broken")
        return self.run

    def run(self, job, between):
        def before_each():
            between()
            time.sleep(self.pause)

        if job.block == 1:
            self._make_trouble()
        return run_block(self.plan, job.block, job.count, self._create, None, before_each)

    def _create(self, *arguments):
        return FakeWorkcell(*arguments, barren=self.trouble == "barren")

    def _make_trouble(self):
        if self.marker:
            if Path(self.marker).exists():
                return
            Path(self.marker).touch()
        if self.trouble == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.trouble == "hang":
            time.sleep(1000)
        elif self.trouble == "fail":
            raise ZeroDivisionError("the fake worker divides by nothing")


def picture_names(folder):
    return sorted(path.name for path in (folder / "shards").iterdir() if path.is_file())


def alternating(arms):
    return all(arm == ARMS[place % 2] for place, arm in enumerate(arms))


if __name__ == "__main__":
    parsed = parse_arguments(sys.argv[2:])
    plan = BlockPlan(parsed.seed, trials_per_scene=parsed.trials_per_scene)
    # the classes as the workers import them, not those of __main__
    import simulation_fakes

    sys.exit(main(sys.argv[2:], simulation_fakes.FakeSetup(plan, float(sys.argv[1]))))
