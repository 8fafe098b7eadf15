"""The command `rosrun grasp_learning experiments`."""

import argparse
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

from tqdm import tqdm

import grasp_learning
from grasp_learning.config import ConfigError
from grasp_learning.curriculum.main import INTERRUPTED, check_train_options, interruptible, say
from grasp_learning.curriculum.main import TRAIN_OWN as CURRICULUM_OWN
from grasp_learning.dataset.reader import DatasetError
from grasp_learning.evaluation.results import EvaluationError
from grasp_learning.experiments import results, system
from grasp_learning.experiments.catalogue import EXPERIMENTS
from grasp_learning.experiments.errors import ExperimentError, StepFailed
from grasp_learning.experiments.experiment import Experiment
from grasp_learning.experiments.findings import Findings
from grasp_learning.experiments.folder import ExperimentsFolder
from grasp_learning.experiments.plan import Options, Plan
from grasp_learning.experiments.profile import PROFILES, Profile, load_profile, profile_name
from grasp_learning.experiments.results import RunInfo
from grasp_learning.experiments.runner import Runner, describe
from grasp_learning.experiments.text import format_result
from grasp_learning.storage import file_sha256, utc_now
from grasp_learning.storage_errors import CollectionError

DESCRIPTION = """
Do the experiments of the paper's section IV in simulation, each with its figures beside the paper's. What one of them
has made serves the others, and what is in DIR already is not made again: the same command goes on after any
interruption. In the end DIR/report.html tells all of it; `rosrun grasp_learning report DIR` writes it at any time.
"""
LAUNCHER = "roslaunch"
THEN = ", then "
# what `train` is told by other keys of a profile
TRAIN_OWN = CURRICULUM_OWN | {"data", "epochs", "weights", "limit", "only_stage", "config"}


def parse_arguments(arguments: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Command line of `rosrun grasp_learning experiments`."""
    parser = argparse.ArgumentParser(prog="experiments", description=DESCRIPTION)
    ids = [experiment.id for experiment in EXPERIMENTS]
    parser.add_argument(
        "--profile",
        required=True,
        metavar="NAME",
        help=f"how much of everything: {', '.join(PROFILES)}, or a YAML file of your own",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the experiments; made, or resumed")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=ids,
        metavar="ID",
        help=f"these experiments, with all that they need: {', '.join(ids)} (default: all)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        metavar="W",
        help="processes that simulate and render, best one a core; no result depends on it (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of every random choice (default: 0)")
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="ImageNet's convolutions, as `train --weights` takes them, to be compared with the other starts "
        "(default: that row is left out)",
    )
    parsed = parser.parse_args(arguments)
    for option, least in (("workers", 1), ("seed", 0)):
        if getattr(parsed, option) < least:
            parser.error(f"--{option} is {getattr(parsed, option)}: expected {least} or more")
    return parsed


def options_of(parsed: argparse.Namespace, profile: Profile) -> Options:
    """What the command line adds to a profile.

    Raises:
        ConfigError: a file is wanted that is not there, or `train` does not take the profile's options.
        SystemExit: `train` knows no such option; it has said so.
    """
    check_train_options(profile.train_options, TRAIN_OWN, "in 'train_options'", "profile")
    weights = Path(parsed.weights).expanduser().absolute() if parsed.weights else None
    if weights is not None and not weights.is_file():
        raise ConfigError(f"--weights {weights}: no such file; name one that `train --weights` takes, or leave it away")
    if weights is None and profile.start == "imagenet":
        raise ConfigError("the profile's key 'start' is 'imagenet': name the file with --weights")
    try:
        checksum = file_sha256(weights) if weights is not None else ""
    except OSError as error:
        raise ConfigError(f"--weights {weights}: cannot be read ({error.strerror})") from None
    return Options(parsed.seed, parsed.workers, weights, checksum)


def chosen(only: Optional[Sequence[str]], say: Callable[[str], None]) -> List[Experiment]:
    """The experiments that are asked for and can be run here.

    Raises:
        ExperimentError: one that is named needs ROS, and there is none.
    """
    wanted = [experiment for experiment in EXPERIMENTS if only is None or experiment.id in only]
    without = [experiment.id for experiment in wanted if experiment.needs_ros]
    if not without or shutil.which(LAUNCHER):
        return wanted
    remedy = f"need {LAUNCHER}, which is not found: source the workspace's environment"
    if only is not None:
        raise ExperimentError(f"{', '.join(without)} {remedy}, or leave them away")
    say(f"left out: {', '.join(without)} {remedy}")
    return [experiment for experiment in wanted if not experiment.needs_ros]


class Experiments:
    """Experiments under way in a folder.

    Args:
        folder: held by this process.
        name: of the profile.
        command: as it was typed.
        say: takes lines for the person who watches.

    Raises:
        ExperimentError: the folder was begun with another profile.
    """

    def __init__(
        self,
        folder: ExperimentsFolder,
        name: str,
        profile: Profile,
        options: Options,
        command: str,
        say: Callable[[str], None] = print,
    ):
        self._folder, self._say = folder, say
        self._plan = Plan(folder.path, profile, options)
        self._targets: Dict[str, List[str]] = {each.id: each.steps(self._plan) for each in EXPERIMENTS}
        self._runner = Runner(folder, self._plan.steps, 60 * profile.stall_minutes, say, self._step_ended)
        old = results.load_run(folder.path)
        if old is not None and old.profile != name:
            raise ExperimentError(
                f"{folder.path}: was begun with profile {old.profile!r}, not {name!r}; keep that, or choose another "
                "folder"
            )
        self._old = old
        self._info = RunInfo(
            profile=name,
            settings=profile.model_dump(),
            seed=options.seed,
            package_version=_one_after_the_other(old, "package_version", grasp_learning.__version__),
            commit=_one_after_the_other(old, "commit", system.commit()),
            machine=_one_after_the_other(old, "machine", system.machine()),
            command=command,
            started=old.started if old is not None else utc_now(),
            finished=old.finished if old is not None else "",
            steps=old.steps if old is not None else {},
            experiments=old.experiments if old is not None else [],
        )
        self._bar = tqdm(disable=True)

    @property
    def place(self) -> str:
        """Where it is, for a person."""
        return self._runner.place

    def run(self, wanted: Sequence[Experiment]) -> List[str]:
        """Do experiments; one whose step fails does not keep the others from being done.

        Returns:
            What went wrong, a line for each experiment that could not be done.

        Raises:
            ExperimentError: the folder cannot be used.
        """
        names = [name for experiment in wanted for name in self._targets[experiment.id]]
        self._runner.check(names)
        pending = self._runner.pending(names)
        if pending or self._old is None:
            ids = {*self._info.experiments, *(experiment.id for experiment in wanted)}
            ordered = [experiment.id for experiment in EXPERIMENTS if experiment.id in ids]
            self._update(experiments=ordered, finished="")
        problems = []
        with tqdm(total=len(pending), desc="experiments", unit="step", disable=None) as self._bar:
            for experiment in wanted:
                try:
                    self._one(experiment)
                except StepFailed as error:
                    problems.append(f"{experiment.id}: {describe(error)}")
        if not problems and not self._info.finished:
            self._update(finished=utc_now())
        return problems

    def _one(self, experiment: Experiment) -> None:
        steps = self._targets[experiment.id]
        self._runner.bring(steps)
        try:
            result = experiment.result(Findings(self._plan), steps)
        except (CollectionError, ConfigError, DatasetError, EvaluationError) as error:
            raise StepFailed(f"its figures cannot be told: {describe(error)}") from error
        except KeyError as error:
            # the evaluation has no such method or test set: it is of another version of this package
            folders = ", ".join(str(self._folder.places.step(name)) for name in steps if name.startswith("evaluate_"))
            raise StepFailed(
                f"its figures cannot be told: {error.args[0]}; delete {folders} to make it again"
            ) from error
        with self._folder.explained():
            results.save(self._folder.path, result)
        self._say(format_result(result))

    def _step_ended(self, name: str, seconds: float) -> None:
        self._bar.update()
        self._update(steps={**self._info.steps, name: round(seconds, 1)})

    def _update(self, **values) -> None:
        self._info = self._info.model_copy(update=values)
        with self._folder.explained():
            results.save_run(self._folder.path, self._info)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command: exit code 0 when all is done, 1 after an error, 2 for wrong usage, 130 after Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parsed = parse_arguments(words)
    command = f"rosrun grasp_learning experiments {shlex.join(words)}"
    experiments = None
    try:
        profile = load_profile(parsed.profile)
        options = options_of(parsed, profile)
        wanted = chosen(parsed.only, say)
        with interruptible(), ExperimentsFolder(parsed.out) as folder:
            experiments = Experiments(folder, profile_name(parsed.profile), profile, options, command, say)
            problems = experiments.run(wanted) + _write_page(folder.path)
    except (ConfigError, ExperimentError) as error:
        print(f"experiments: {' '.join(str(error).split())}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    except KeyboardInterrupt:
        place = experiments.place if experiments is not None else "the start"
        print(f"\nexperiments: interrupted at {place}; go on with: {command}", file=sys.stderr)
        return INTERRUPTED
    for problem in problems:
        print(f"experiments: {problem}", file=sys.stderr)
    out = shlex.quote(str(folder.path))
    print(f"results      {folder.path / results.RESULTS_FOLDER}\nthe page again: rosrun grasp_learning report {out}")
    return 1 if problems else 0


def _one_after_the_other(old: Optional[RunInfo], key: str, now: str) -> str:
    """What a fact of a folder's runs was, and is now, without repetitions."""
    before = getattr(old, key).split(THEN) if old is not None else []
    return THEN.join(filter(None, dict.fromkeys([*before, now])))


def _write_page(folder: Path) -> List[str]:
    """Write the report of what there is so far.

    Returns:
        What keeps it from being complete, one line each.
    """
    # only here: what draws takes a second to import
    from grasp_learning.reporting.build import write_report
    from grasp_learning.reporting.errors import ReportError

    try:
        report = write_report(folder)
    except ReportError as error:
        return [f"report: {error}"]
    print(f"page         {report.page}")
    return [f"report: {problem}" for problem in report.problems]
