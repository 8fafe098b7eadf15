"""The command that learns convolutions without grasps."""

import argparse
import os
import sys
from typing import TYPE_CHECKING, List, Optional, Sequence

from grasp_learning.config import ConfigError, parse_settings
from grasp_learning.pretext.errors import PretextError
from grasp_learning.pretext.settings import HELD_BACK, PretextSettings
from grasp_learning.training.errors import TrainingError, TrainingInterrupted

if TYPE_CHECKING:
    from grasp_learning.pretext.run import PretextResult

INTERRUPTED = 130  # exit code
KNOWN = PretextSettings(out="weights.safetensors")  # for its defaults

EPILOG = """\
Tables with objects of the training split are rendered as the wrist camera sees them, and AlexNet's convolutions learn
which kind of object lies in the middle of a patch. FILE then stands where ImageNet's weights would:
`train --weights FILE`. The same command goes on after an interruption.
"""


def parse_arguments(arguments: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Command line of `rosrun grasp_learning train_pretext`."""
    parser = argparse.ArgumentParser(
        prog="train_pretext",
        description="Train convolutions on rendered tables, without grasps and without internet.",
        epilog=EPILOG,
    )

    def add(flag: str, text: str, **options) -> None:
        default = getattr(KNOWN, flag[2:].replace("-", "_"))
        parser.add_argument(flag, default=default, help=f"{text} (default: {default})", **options)

    parser.add_argument("--out", required=True, metavar="FILE", help="the convolutions' weights, .safetensors")
    parser.add_argument(
        "--work",
        default="",
        metavar="DIR",
        help="folder of the patches and of the state to go on from (default: FILE's name with _work; may be deleted "
        "once FILE is there)",
    )
    add("--scenes", f"tables to render, one in {HELD_BACK} of them to judge by", type=int, metavar="N")
    add("--views", "wrist pictures of each table", type=int, metavar="N")
    add("--epochs", "of training", type=int, metavar="E")
    add("--seed", "of every random choice", type=int, metavar="S")
    cores = os.cpu_count() or 1
    parser.add_argument(
        "--workers",
        type=int,
        default=cores,
        metavar="W",
        help="processes that render, best one a core; the patches do not depend on it (default: %(default)s)",
    )
    add("--variant", "network that the convolutions are for", choices=("paper", "released"))
    add("--batch-size", "patches a step", type=int, metavar="N")
    add("--learning-rate", "of SGD", type=float, metavar="RATE")
    add("--device", "to train on", choices=("auto", "cpu", "cuda"))
    add("--precision", "auto is bf16 where the device computes with it", choices=("auto", "fp32", "bf16", "fp16"))
    parser.add_argument(
        "--memory-gb",
        type=float,
        metavar="GB",
        help="for decoded patches; more are decoded on the way (default: half of the free memory)",
    )
    add("--scene-deadline", "for the pictures of one table (s)", type=float, metavar="S")
    parser.add_argument("--no-progress", dest="progress", action="store_false", help="no progress bars")
    return parser.parse_args(arguments)


def report(result: "PretextResult") -> List[str]:
    """What a finished pretext task prints."""
    info = result.info
    lines = ["nothing left to do: this pretext task has finished before"] if result.finished_before else []
    return [
        *lines,
        f"patches      {info.patches} of {len(info.kinds)} kinds from {info.scenes} scenes",
        f"accuracy     {info.accuracy:.3f} (95 %: {info.low:.3f} to {info.high:.3f}) on {info.held_back} patches of "
        f"scenes held back; always the most frequent kind: {info.most_frequent:.3f}",
        f"balanced     {info.balanced_accuracy:.3f}, chance {info.chance:.3f}",
        f"weights      {result.path}  sha256 {result.sha256[:16]}; use them with train --weights {result.path}",
    ]


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command.

    Returns:
        0 when the file is there, 130 after Ctrl-C, 1 after an error, 2 for a wrong command line; errors are one line
        on stderr.
    """
    parsed = parse_arguments(arguments)
    try:
        settings = parse_settings(PretextSettings, vars(parsed), "command line")
    except ConfigError as error:
        return _failed(error, 2)
    try:
        result = _train_explained(settings)
    except TrainingInterrupted as error:
        return _failed(error, INTERRUPTED)
    except KeyboardInterrupt:
        return _failed("stopped; start the same command again to go on", INTERRUPTED)
    except TrainingError as error:
        return _failed(error, 1)
    print("\n".join(report(result)))
    return 0


def _train_explained(settings: PretextSettings) -> "PretextResult":
    """Train; what other modules refuse becomes a PretextError, too."""
    # torch and Lightning take seconds to import, which a wrong option need not wait for
    from grasp_learning.dataset.reader import DatasetError
    from grasp_learning.pretext.run import train_pretext

    try:
        return train_pretext(settings)
    except DatasetError as error:
        raise PretextError(f"{settings.folder}: {error}") from error


def _failed(error: object, code: int) -> int:
    print("\n".join(f"train_pretext: {line}" for line in str(error).splitlines()), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
