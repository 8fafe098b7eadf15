"""The command and the function that collect trials on the simulator without ROS, with several workers.

What comes out depends on the seed and the settings only, byte for byte: not on the number of workers, not on their
speed, and not on how often the run was killed and started again.
"""

import argparse
import math
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from pydantic import Field, model_validator
from tqdm import tqdm

import grasp_learning
from grasp_learning.calibration import load_calibration
from grasp_learning.config import ConfigError, Settings, parse_settings
from grasp_learning.contact_sheet import contact_sheet
from grasp_learning.robot_description import find_package_file
from grasp_learning.simulation.block_setup import RANDOM, Job, ShippedSetup, SimulatorSetup
from grasp_learning.simulation.blocks import BlockPlan, object_pool
from grasp_learning.simulation.shard_collection import ShardCollection
from grasp_learning.simulation.workers import WorkerError, Workers
from grasp_learning.storage import INPROCESS_KIND, CollectionError, CollectionInfo, check_usable, file_sha256
from grasp_learning.summary import Summary, summarize, wilson_interval
from grasp_learning.trial import ARMS

CALIBRATION = "config/calibration/sim.yaml"
INTERRUPTED = 130  # exit code of a program that Ctrl-C ended
PAPER_RATE = 71  # trials an hour of the paper's robot


class SimulateError(RuntimeError):
    """A simulation could not go on; the message says why, and what is on disk stays."""


class SimulateSettings(Settings):
    """What to simulate.

    Attributes:
        out: folder of the collection; made, or resumed.
        trials: labelled trials that the folder is to hold at the end.
        workers: processes; None for one a core, of this machine or of the cluster.
        ray: address of a Ray cluster whose machines simulate, HOST:PORT or auto; empty for this machine alone.
        seed: of everything.
        mode: random, staged (importance sampling) or best.
        model: checkpoint of a guided simulation.
        stage: of the curriculum; 0 in random mode, else 1, if it is not told.
        rerank: in mode best, neighbourhoods decide among the best grasps (paper, section IV.F).
        objects: split of the catalogue, or all.
        kind: gripper (alone, fast) or arm (planned, as the robot would move).
        pictures: approach, or all pictures of a trial.
        trials_per_scene, objects_per_scene: of each scene.
        minimum_free_gb: room that has to be left on the disk (GB).
        block_deadline: for the trials of one scene (s of wall clock), after which its worker is ended.
        retries: how often a scene whose worker died is simulated again.
    """

    out: str = Field(min_length=1)
    trials: int = Field(ge=1)
    workers: Optional[int] = Field(None, ge=1)
    ray: str = Field("", pattern=r"^$|^auto$|^[^\s/]+:[0-9]{1,5}$")
    seed: int = Field(0, ge=0)
    mode: str = Field(RANDOM, pattern="^(random|staged|best)$")
    model: str = ""
    stage: Optional[int] = Field(None, ge=0)
    rerank: bool = True
    objects: str = Field("train", pattern="^(train|test|all)$")
    kind: str = Field("gripper", pattern="^(gripper|arm)$")
    pictures: str = Field("approach", pattern="^(approach|all)$")
    trials_per_scene: int = Field(25, ge=1)
    objects_per_scene: int = Field(10, ge=1)
    minimum_free_gb: float = Field(0.5, ge=0)
    block_deadline: float = Field(1800.0, gt=0)
    retries: int = Field(2, ge=0)

    @model_validator(mode="after")
    def _fits_together(self) -> "SimulateSettings":
        if (self.mode == RANDOM) == bool(self.model):
            wanted = "no model, which only staged and best use" if self.model else "a model, which --model names"
            raise ValueError(f"mode {self.mode} wants {wanted}")
        pool = len(object_pool(self.objects))
        if self.objects_per_scene > pool:
            raise ValueError(
                f"objects_per_scene is {self.objects_per_scene}, there are {pool} objects ({self.objects})"
            )
        return self

    @property
    def plan(self) -> BlockPlan:
        """What all blocks share."""
        stage = int(self.mode != RANDOM) if self.stage is None else self.stage
        return BlockPlan(
            self.seed,
            self.mode,
            stage,
            self.objects,
            self.objects_per_scene,
            self.trials_per_scene,
            self.pictures,
        )


@dataclass(frozen=True)
class SimulateReport:
    """How a simulation ended.

    Attributes:
        folder: of the collection.
        summary: figures of what it holds now, earlier runs included.
        simulated: trials of this run.
        seconds: of this run, wall clock.
        interrupted: whether it was stopped before all trials were there.
        notes: what resuming found, and workers that died, one sentence each.
    """

    folder: Path
    summary: Summary
    simulated: int
    seconds: float
    interrupted: bool
    notes: Tuple[str, ...] = ()

    @property
    def trials(self) -> int:
        """Labelled trials on disk."""
        return self.summary.trials

    @property
    def successes(self) -> int:
        """Those in which something was held."""
        return self.summary.successes

    @property
    def rate(self) -> float:
        """Grasp rate; NaN without trials."""
        return self.successes / self.trials if self.trials else math.nan

    @property
    def interval(self) -> Tuple[float, float]:
        """95 % interval of the grasp rate, by Wilson's score."""
        return wilson_interval(self.successes, self.trials)

    @property
    def faults(self) -> Dict[str, int]:
        """Attempts without a label, by outcome."""
        return dict(self.summary.faults)

    @property
    def trials_per_hour(self) -> float:
        """Trials of this run per hour of wall clock."""
        return 3600 * self.simulated / self.seconds if self.seconds > 0 else 0.0


def collection_info(settings: SimulateSettings, settings_sha256: str) -> CollectionInfo:
    """What collection.yaml is to say.

    Args:
        settings_sha256: of the settings of the workcell and the sampler.

    Raises:
        ConfigError: the model or the calibration cannot be read.
    """
    try:
        sha256 = file_sha256(settings.model) if settings.model else ""
    except OSError as error:
        raise ConfigError(f"{settings.model}: the model cannot be read ({error.strerror}); name a checkpoint") from None
    path = find_package_file(CALIBRATION)
    plan = settings.plan
    return CollectionInfo(
        robot="sim",
        arms=list(ARMS),
        mode=plan.mode,
        stage=plan.stage,
        seed=plan.seed,
        planner="ompl" if settings.kind == "arm" else "",
        model=Path(settings.model).name,
        model_sha256=sha256,
        calibration={"file": Path(path).name, **load_calibration(path).contents()},
        package_version=grasp_learning.__version__,
        source="inprocess",
        objects=plan.objects,
        kind=settings.kind,
        trials_per_scene=plan.trials_per_scene,
        objects_per_scene=plan.objects_per_scene,
        pictures=plan.pictures,
        settings_sha256=settings_sha256,
    )


def simulate(
    settings: SimulateSettings,
    progress: bool = False,
    stopped: Callable[[], bool] = lambda: False,
    setup: Any = None,
) -> SimulateReport:
    """Simulate until the folder holds so many trials; what it holds already is not simulated again.

    Args:
        progress: show a bar on stderr, where that is a terminal.
        stopped: asked several times a second; once it is true the simulation ends, what is finished stays on disk.
        setup: makes what a worker needs, as SimulatorSetup does, which is the default.

    Raises:
        ConfigError: the model cannot be read.
        CheckpointError: the model is no checkpoint that can be used.
        CollectionError: the folder cannot be used.
        SimulateError: the simulator failed.
    """
    began = time.monotonic()
    setup = setup or SimulatorSetup(settings.plan, settings.kind, settings.model, settings.rerank)
    info, room = collection_info(settings, setup.settings_sha256), int(settings.minimum_free_gb * 1e9)
    # before anything slow, and before a folder is made
    check_usable(settings.out, {key: getattr(info, key) for key in INPROCESS_KIND}, room)
    _check_model(settings.model)
    _check_ray(settings.ray)
    with ShardCollection(settings.out, info, room) as collection:
        notes = list(collection.notes)
        bar = tqdm(
            desc="simulating",
            total=settings.trials,
            initial=min(collection.recorded, settings.trials),
            unit="trial",
            disable=None if progress else True,
            dynamic_ncols=True,
        )
        with bar:
            run = _Run(settings, collection, bar, notes)
            run.blocks(setup, stopped)
        interrupted = collection.recorded < settings.trials
    seconds = time.monotonic() - began
    return SimulateReport(
        collection.folder, summarize(collection.folder), run.simulated, seconds, interrupted, tuple(notes)
    )


class _Run:
    """One run of the workers over the blocks that are not there yet."""

    def __init__(self, settings: SimulateSettings, collection: ShardCollection, bar: tqdm, notes: List[str]):
        self._settings, self._collection, self._bar, self._notes = settings, collection, bar, notes
        self.simulated = 0

    def _jobs(self) -> List[Job]:
        each = self._settings.trials_per_scene
        wanted = [min(each, self._settings.trials - first) for first in range(0, self._settings.trials, each)]
        return [Job(block, count) for block, count in enumerate(wanted) if self._collection.rows(block) < count]

    def _note(self, text: str) -> None:
        self._notes.append(text)
        self._bar.write(f"simulate: {text}", file=sys.stderr)

    def blocks(self, setup: Callable[[], Any], stopped: Callable[[], bool]) -> None:
        """Run the blocks that the folder lacks.

        Raises:
            SimulateError: a block failed.
            CollectionError: a block could not be written.
        """
        jobs = self._jobs()
        workers = self._workers(setup, len(jobs))
        started = time.monotonic()
        try:
            for job, content in workers.results(jobs, stopped):
                self._collection.add_block(job.block, content)
                self.simulated += job.count
                self._show(started)
        except WorkerError as error:
            raise SimulateError(
                f"{error}; {self._collection.recorded} trials are in {self._collection.folder}"
            ) from error

    def _workers(self, setup: Callable[[], Any], jobs: int) -> Any:
        settings = self._settings
        options = {"retries": settings.retries, "note": self._note}
        if settings.ray:
            # many simulations need neither sockets nor what else this imports
            from grasp_learning.simulation.ray_workers import RayWorkers

            if isinstance(setup, SimulatorSetup) and setup.model:
                setup = ShippedSetup(setup, Path(setup.model).read_bytes())
            return RayWorkers(settings.ray, settings.workers, setup, settings.block_deadline, **options)
        count = settings.workers or os.cpu_count() or 1
        return Workers(min(count, jobs), setup, settings.block_deadline, **options)

    def _show(self, started: float) -> None:
        outcomes, recorded = self._collection.outcomes, self._collection.recorded
        labelled = outcomes["SUCCESS"] + outcomes["FAILURE"]
        rate = 100 * outcomes["SUCCESS"] / labelled if labelled else 0.0
        hourly = 3600 * self.simulated / (time.monotonic() - started)
        self._bar.set_postfix_str(f"grasp rate {rate:.1f} %, {hourly:.0f} trials/h", refresh=False)
        self._bar.update(min(recorded, self._settings.trials) - self._bar.n)


def _check_model(model: str) -> None:
    """Raise CheckpointError for a model that cannot be used, before anything is made."""
    if model:
        from grasp_learning.checkpoint import load_checkpoint

        load_checkpoint(model)


def _check_ray(address: str) -> None:
    """Raise SimulateError where Ray is wanted and not installed, before anything is made."""
    if address:
        from grasp_learning.simulation.ray_workers import check_ray

        try:
            check_ray()
        except WorkerError as error:
            raise SimulateError(str(error)) from None


def format_report(report: SimulateReport) -> str:
    """The end of a simulation for a person, in one line."""
    low, high = report.interval
    parts = [f"{report.trials} trials in {report.folder}"]
    if report.trials:
        parts.append(f"grasp rate {100 * report.rate:.1f} % (95 %: {100 * low:.1f} to {100 * high:.1f} %)")
    if report.summary.truth_known:
        agrees, known = report.summary.truth_agrees, report.summary.truth_known
        parts.append(f"label agrees with truth in {agrees} of {known} ({100 * agrees / known:.1f} %)")
    faults = ", ".join(f"{count} {name}" for name, count in sorted(report.faults.items())) or "none"
    parts.append(f"without a label: {faults}")
    if report.simulated:
        ratio = report.trials_per_hour / PAPER_RATE
        parts.append(f"{report.simulated} in {report.seconds:.1f} s, {report.trials_per_hour:.0f} trials/h")
        parts[-1] += f" ({ratio:.0f} times the paper's robot)"
    return "; ".join(parts)


def parse_arguments(arguments: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Command line of `rosrun grasp_learning simulate`."""
    parser = argparse.ArgumentParser(
        prog="simulate",
        description="Collect grasp trials on the simulator without ROS. The same command goes on where the last one "
        "ended, and more --trials add to a folder. The same seed gives the same files, whatever --workers is.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    # what was not given and has no default is not in the result, so that the help shows no default of it
    none: Dict[str, Any] = {"default": argparse.SUPPRESS}
    add("--trials", type=int, required=True, metavar="N", help="labelled trials that the folder shall hold", **none)
    add("--out", required=True, metavar="DIR", help="folder of the collection; made, or resumed", **none)
    help_of_workers = "processes, best one a core (default: one a core of this machine, or of Ray's cluster)"
    add("--workers", type=int, metavar="W", help=help_of_workers, **none)
    help_of_ray = "simulate on the machines of this Ray cluster (auto: of this machine's), see docs/scale.md"
    add("--ray", metavar="HOST:PORT", help=help_of_ray, **none)
    add("--seed", type=int, default=0, metavar="S", help="of every random choice")
    add("--mode", choices=("random", "staged", "best"), default=RANDOM, help="how grasps are chosen")
    add("--model", metavar="FILE", help="checkpoint, for the modes staged and best", **none)
    add("--stage", type=int, metavar="K", help="of the curriculum (default: 0 in random mode, else 1)", **none)
    add(
        "--no-rerank",
        dest="rerank",
        action="store_false",
        help="mode best without re-ranking by neighbourhoods",
        **none,
    )
    add("--objects", choices=("train", "test", "all"), default="train", help="objects of the catalogue to draw from")
    add("--kind", choices=("gripper", "arm"), default="gripper", help="the gripper alone, or the whole planned arm")
    add("--pictures", choices=("approach", "all"), default="approach", help="pictures of a trial that are kept")
    add("--trials-per-scene", type=int, default=25, metavar="N", help="labelled trials with the same objects")
    add("--objects-per-scene", type=int, default=10, metavar="N", help="objects on the table")
    add("--minimum-free-gb", type=float, default=0.5, metavar="GB", help="room that has to be left on the disk")
    add("--block-deadline", type=float, default=1800.0, metavar="S", help="for the trials of one scene (s)")
    add("--no-picture", action="store_true", help="do not draw contact_sheet.png at the end")
    return parser.parse_args(arguments)


def _settings_of(parsed: argparse.Namespace) -> SimulateSettings:
    values = {key: value for key, value in vars(parsed).items() if key != "no_picture"}
    return parse_settings(SimulateSettings, values, "command line")


def main(arguments: Optional[Sequence[str]] = None, setup: Any = None) -> int:
    """Run the command.

    Args:
        setup: see :func:`simulate`.

    Returns:
        0 when all trials are on disk, 130 after Ctrl-C, 1 after an error, 2 for a wrong command line; errors are one
        line on stderr.
    """
    parsed = parse_arguments(arguments)
    try:
        settings = _settings_of(parsed)
    except ConfigError as error:
        return _failed(error, 2)
    asked_to_stop = threading.Event()
    handlers = {number: signal.signal(number, lambda *_: asked_to_stop.set()) for number in _SIGNALS}
    try:
        report = simulate(settings, True, asked_to_stop.is_set, setup)
        print(format_report(report))
        if report.interrupted:
            print("simulate: stopped; the same command goes on", file=sys.stderr)
            return INTERRUPTED
        if not parsed.no_picture:
            print(f"picture: {contact_sheet(report.folder)}")
        return 0
    except (ConfigError, CollectionError, SimulateError, *_model_errors()) as error:
        return _failed(error, 1)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _model_errors() -> Tuple[type, ...]:
    """The errors of models, where a model was loaded; its module need not be loaded to name them else."""
    module = sys.modules.get("grasp_learning.checkpoint")
    return () if module is None else (module.CheckpointError,)


def _failed(error: Exception, code: int) -> int:
    print(f"simulate: {error}", file=sys.stderr)
    return code
