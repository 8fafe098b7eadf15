"""The command `rosrun grasp_learning curriculum`."""

import argparse
import contextlib
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import AbstractSet, Any, Dict, Iterator, List, Optional, Sequence, Tuple

from tqdm import tqdm

from grasp_learning.config import ConfigError, parse_settings
from grasp_learning.curriculum.errors import CurriculumError
from grasp_learning.curriculum.folder import PICTURE_FILE, STATE_FILE, CurriculumFolder, load_state, settings_of
from grasp_learning.curriculum.machine import Curriculum
from grasp_learning.curriculum.settings import KINDS, WORKCELLS, CurriculumSettings
from grasp_learning.curriculum.tools import CommandLineTools
from grasp_learning.training import train

INTERRUPTED = 130
TRAIN_OWN = {"out", "stage", "init", "gamma", "seed"}  # what a curriculum tells `train` itself
DESCRIPTION = """
Collect, aggregate and train for several stages (section III.D of the paper). Stage 0 collects random trials and trains
a network; each later stage collects with the network before it by importance sampling and finetunes it on all trials.
Prints the grasp rate of every stage. Run it again with the same --out to go on after any interruption; what is not
given then is as it was. Arguments after -- go to `train` at every stage.
"""


def parse_arguments(arguments: Optional[Sequence[str]] = None) -> Tuple[argparse.Namespace, List[str]]:
    """Command line of `rosrun grasp_learning curriculum`, and what stands behind its ``--``."""
    known = CurriculumSettings()
    parser = argparse.ArgumentParser(
        prog="curriculum", description=DESCRIPTION, usage="curriculum --out DIR [options] [-- options of train]"
    )

    def add(name: str, text: str, default: Any = None, **more: Any) -> None:
        parser.add_argument(name, help=text + (f" (default: {default})" if default is not None else ""), **more)

    add("--out", "folder of the curriculum; one that is there is resumed", required=True, metavar="DIR")
    add("--stages", "how many stages, the random one included", known.stages, type=int, metavar="K")
    add("--trials", "random trials of stage 0", known.trials[0], type=int, metavar="N")
    add(
        "--stage-trials",
        "trials of stage 1, 2, ...; the last number serves all later ones (default: a quarter of --trials)",
        nargs="+",
        type=int,
        metavar="N",
    )
    add(
        "--novel-trials",
        "random trials on held-out objects, once; they test every network and train none; 0: none "
        "(default: a fifth of --trials)",
        type=int,
        metavar="N",
    )
    add(
        "--test-trials",
        "trials on held-out objects with each network's best grasps, never trained with; 0: none",
        known.test_trials,
        type=int,
        metavar="N",
    )
    add("--seed", "of every random choice", known.seed, type=int, metavar="S")
    add("--workcell", "the simulator without ROS, or the nodes of a collection", known.workcell, choices=WORKCELLS)
    add("--kind", "without ROS: the gripper alone, or the whole arm", known.kind, choices=KINDS)
    add("--workers", "without ROS: processes that simulate", "one a core", type=int, metavar="W")
    add(
        "--epochs",
        "of stage 0, 1, ...; the last number serves all later ones (default: those of `train`)",
        nargs="+",
        type=int,
        metavar="E",
    )
    add("--gamma", "weight of the trials of stages 1, 2, ... against 1 of random ones", known.gamma, type=float)
    add("--stall-hours", "give a step up when nothing changes for so long (h)", known.stall_hours, type=float)
    given = list(sys.argv[1:] if arguments is None else arguments)
    own, rest = (given[: given.index("--")], given[given.index("--") + 1 :]) if "--" in given else (given, [])
    return parser.parse_args(own), rest


def settings_from(parsed: argparse.Namespace, rest: Sequence[str], old: Optional[CurriculumSettings]):
    """Settings of the command line; what is not given is as in the folder, or the default.

    Raises:
        ConfigError: a value is out of range, or an option is none of those that `train` takes from a curriculum.
    """
    values: Dict[str, Any] = old.model_dump() if old is not None else {"workers": os.cpu_count() or 1}
    plain = (
        "stages",
        "novel_trials",
        "test_trials",
        "seed",
        "workcell",
        "kind",
        "workers",
        "epochs",
        "gamma",
        "stall_hours",
    )
    values.update({key: getattr(parsed, key) for key in plain if getattr(parsed, key) is not None})
    if rest:
        check_train_options(rest)
        values["train_options"] = list(rest)
    values["trials"] = _trials(parsed, old)
    values.setdefault("novel_trials", max(1, values["trials"][0] // 5))
    stages = values.get("stages", CurriculumSettings().stages)
    for option, found, most in (
        ("--stage-trials", parsed.stage_trials, stages - 1),
        ("--epochs", parsed.epochs, stages),
    ):
        if found is not None and len(found) > most:
            raise ConfigError(f"{option} has {len(found)} numbers, expected at most {most} with {stages} stages")
    return parse_settings(CurriculumSettings, values, "command line")


def check_train_options(
    options: Sequence[str], own: AbstractSet[str] = TRAIN_OWN, where: str = "behind --", giver: str = "curriculum"
) -> None:
    """Check what is for `train` now, and not when all trials of a stage have been collected.

    Args:
        own: what the giver tells `train` itself.
        where, giver: for the error.

    Raises:
        ConfigError: a value is out of range, or is the giver's to give.
        SystemExit: `train` knows no such option; it has said so.
    """
    given = train.parse_arguments(options)
    taken = sorted(vars(given).keys() & own)
    if taken:
        option = taken[0].replace("_", "-")
        raise ConfigError(f"--{option} {where} is given to `train` by the {giver} itself; leave it away")
    given.data, given.out = ["dataset"], "out"
    train.settings_of(given)


def _trials(parsed: argparse.Namespace, old: Optional[CurriculumSettings]) -> List[int]:
    """Trials of stage 0, 1, ...: each part as given, else as before, else the default."""
    before = old.trials if old is not None else None
    first = parsed.trials if parsed.trials is not None else (before or CurriculumSettings().trials)[0]
    if parsed.stage_trials is not None:
        return [first, *parsed.stage_trials]
    if before is not None:
        # one number served all stages
        return [first, *(before[1:] or before)]
    return [first, max(1, first // 4)]


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and SIGHUP end the program as Ctrl-C does: the child ends first."""

    def interrupt(_signal, _frame) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command: exit code 0 when all stages are done, 1 after an error, 2 for wrong usage, 130 after Ctrl-C."""
    parsed, rest = parse_arguments(arguments)
    out = Path(parsed.out).expanduser().absolute()
    curriculum = None
    again = f"rosrun grasp_learning curriculum --out {shlex.quote(str(out))}"
    try:
        # what is wrong with them is told before a folder is made
        _settings(out, parsed, rest)
        with interruptible(), CurriculumFolder(out) as folder:
            # again, now that nobody else can have changed the folder's
            settings = _settings(out, parsed, rest)
            tools = CommandLineTools(settings, keep_open=[folder.lock], say=say)
            curriculum = Curriculum(folder, settings, tools, say)
            curriculum.run()
    except (ConfigError, CurriculumError) as error:
        print(f"curriculum: {' '.join(str(error).split())}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    except KeyboardInterrupt:
        place = curriculum.place if curriculum is not None else "the start"
        print(f"\ncurriculum: interrupted at {place}; go on with: {again}", file=sys.stderr)
        return INTERRUPTED
    print(f"picture  {out / PICTURE_FILE}\nfigures  {out / STATE_FILE}")
    return 0


def _settings(out: Path, parsed: argparse.Namespace, rest: Sequence[str]) -> CurriculumSettings:
    state = load_state(out)
    return settings_from(parsed, rest, settings_of(state, out) if state else None)


def say(text: str) -> None:
    """Print a line, above the progress bars where there are some."""
    with tqdm.external_write_mode(file=sys.stdout):
        print(text, flush=True)
