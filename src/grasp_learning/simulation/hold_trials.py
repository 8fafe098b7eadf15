"""Tries each object alone, by grasps that know where it lies: what they never hold, no network can be asked to hold.

The command `rosrun grasp_learning holdable`.
"""

import argparse
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Dict, Optional, Sequence

import numpy as np
from pydantic import Field
from tqdm import tqdm
from typing_extensions import Literal

from grasp_learning.config import ConfigError, Settings, parse_settings
from grasp_learning.geometry import angle_to_bin
from grasp_learning.sampling import RandomSampler, SamplerSettings
from grasp_learning.sim.gl import RenderingError
from grasp_learning.sim.holdable import HoldableObjects, save_holdable
from grasp_learning.sim.objects import SPLITS, ObjectSpec, catalogue
from grasp_learning.sim.world import SceneError, SimulationDiverged, World
from grasp_learning.simulation.workcell import create_workcell
from grasp_learning.trial import Grasp, Outcome

SPREAD = 0.006  # m: standard deviation of a grasp's distance from what it aims at
CLEARANCE = 0.012  # m: height of a grasp over the table
INTERRUPTED = 130  # exit code


def count_holds(obj: ObjectSpec, grasps: int, seed: int) -> int:
    """How many grasps of an object that lies alone on the table are successes, by the gripper's force.

    Every second grasp aims at the object's middle, the others at one of its parts; all angles are as likely. The object
    lies as it came to rest at first, for each of them.

    Args:
        grasps: how many are made.
        seed: of them, and of where the object lies; each object has random numbers of its own.

    Raises:
        SceneError, SimulationDiverged: the simulation failed.
    """
    rng = np.random.default_rng([seed, *obj.name.encode()])
    cell = create_workcell("gripper", int(rng.integers(2**31)), [obj], RandomSampler(SamplerSettings()))
    try:
        cell.scene.scatter()
        layout = cell.scene.world.layout()
        held = 0
        for number in range(grasps):
            cell.scene.world.lay_out(layout)
            grasp = _aimed(cell.scene.world, obj, number % 2 == 0, rng)
            held += cell.pick(grasp).outcome is Outcome.SUCCESS
        return held
    finally:
        cell.close()


def _aimed(world: World, obj: ObjectSpec, at_middle: bool, rng: np.random.Generator) -> Grasp:
    body = world.data.body(obj.name)
    target = np.array(body.xpos)
    if not at_middle:
        part = obj.geoms[rng.integers(len(obj.geoms))]
        target = target + body.xmat.reshape(3, 3) @ np.array(part.pos)
    x, y = target[:2] + rng.normal(0.0, SPREAD, 2)
    theta = float(rng.uniform(0.0, np.pi))
    arm = "left" if y > 0 else "right"
    z = world.table.z + CLEARANCE
    return Grasp(arm, world.time, 0.0, 0.0, float(x), float(y), z, theta, theta, angle_to_bin(theta), 1)


def find_holdable(split: str, grasps: int, seed: int, workers: int, progress: bool = False) -> HoldableObjects:
    """Try all objects of a split; the result does not depend on the workers.

    Raises:
        SceneError, SimulationDiverged, RenderingError: the simulation failed.
        BrokenProcessPool: a worker died.
    """
    objects = catalogue(split)
    held: Dict[str, int] = {}
    # spawned: a forked child would share the parent's graphics driver and threads
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(objects)), context) as pool:
        futures = {pool.submit(count_holds, obj, grasps, seed): obj.name for obj in objects}
        try:
            done = as_completed(futures)
            for future in tqdm(done, "objects", len(objects), unit="object", disable=None if progress else True):
                held[futures[future]] = future.result()
        except BaseException:
            for future in futures:
                future.cancel()
            raise
    return HoldableObjects(split=split, grasps=grasps, seed=seed, held={obj.name: held[obj.name] for obj in objects})


class HoldTrialSettings(Settings):
    """What the command is told; see its help."""

    out: str = Field(min_length=1)
    split: Literal["train", "test"] = "test"
    grasps: int = Field(120, ge=1)
    seed: int = Field(0, ge=0)
    workers: int = Field(ge=1)


def parse_arguments(arguments: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Command line of `rosrun grasp_learning holdable`."""
    parser = argparse.ArgumentParser(
        prog="holdable",
        description="Find out which simulated objects the gripper can hold: each lies alone on the table and is "
        "grasped at its middle and at its parts, at all angles. FILE is for clear_table.launch holdable:=FILE.",
    )
    defaults = HoldTrialSettings(out="holdable.yaml", workers=os.cpu_count() or 1)

    def add(flag: str, text: str, **options) -> None:
        parser.add_argument(flag, default=getattr(defaults, flag[2:]), help=f"{text} (default: %(default)s)", **options)

    parser.add_argument("--out", required=True, metavar="FILE", help="YAML file to be written")
    add("--split", "of the catalogue", choices=SPLITS)
    add("--grasps", "of each object", type=int, metavar="N")
    add("--seed", "of the grasps", type=int, metavar="S")
    add("--workers", "processes; the result does not depend on it", type=int, metavar="W")
    return parser.parse_args(arguments)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command.

    Returns:
        0 when the file is there, 130 after Ctrl-C, 1 after an error, 2 for a wrong command line; errors are one line
        on stderr.
    """
    try:
        settings = parse_settings(HoldTrialSettings, vars(parse_arguments(arguments)), "command line")
    except ConfigError as error:
        return _failed(str(error), 2)
    path = Path(settings.out)
    if not path.parent.is_dir():
        return _failed(f"--out: {path.parent} is no folder", 2)
    try:
        found = find_holdable(settings.split, settings.grasps, settings.seed, settings.workers, progress=True)
        save_holdable(path, found)
    except KeyboardInterrupt:
        return _failed("stopped; nothing was written", INTERRUPTED)
    except BrokenProcessPool:
        return _failed("a process of the simulation died; try fewer --workers", 1)
    except (RenderingError, SceneError, SimulationDiverged, OSError) as error:
        return _failed(str(error), 1)
    for name, count in found.held.items():
        print(f"{name:20s} {count:4d} of {found.grasps} grasps held it")
    print(f"{len(found.names)} of {len(found.held)} can be held; not: {', '.join(found.others) or 'none'}")
    return 0


def _failed(message: str, code: int) -> int:
    print(f"holdable: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
