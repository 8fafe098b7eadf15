"""The command that trains a grasp network."""

import argparse
import sys
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence

from grasp_learning.config import ConfigError, Settings, load_settings, parse_settings
from grasp_learning.training.errors import TrainingError, TrainingInterrupted
from grasp_learning.training.settings import TrainSettings

if TYPE_CHECKING:
    from grasp_learning.training.run import TrainResult

INTERRUPTED = 130  # exit code
RECALLS = {"recall_success": "successes found", "recall_failure": "failures found"}

EPILOG = """\
The paper's schedule is the default: stage 0 at 0.01 for 20 epochs, later stages at 0.001 for 5, finetuned from
--init, with trials of stage 1 and later counting --gamma times. The same command goes on after an interruption, from
the last saved epoch. DIR/model.safetensors is the result, DIR/best.safetensors the network that was best on the
validation split.
"""


def train(settings: TrainSettings) -> "TrainResult":
    """Train a network; see :func:`grasp_learning.training.run.train`."""
    # torch and Lightning take seconds to import, which a wrong option need not wait for
    from grasp_learning.training import run

    return run.train(settings)


def parse_arguments(arguments: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Command line of `rosrun grasp_learning train`; only what was given is in the result."""
    parser = argparse.ArgumentParser(
        prog="train",
        description="Train the grasp network on datasets that export_dataset made.",
        epilog=EPILOG,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--config", metavar="FILE", help="YAML file of these options, named as below without dashes")
    parser.add_argument("--data", action="append", metavar="DATASET", help="folder of a dataset; may be given often")
    parser.add_argument("--out", metavar="DIR", help="folder of the result and of the state to go on from")
    _add_curriculum(parser)
    _add_schedule(parser)
    _add_machine(parser)
    return parser.parse_args(arguments)


def _add_curriculum(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is trained")
    add = group.add_argument
    add("--stage", type=int, metavar="K", help="stage of the curriculum (default: 0)")
    add("--init", metavar="CHECKPOINT", help="network of the stage before, to finetune")
    add("--variant", choices=("paper", "released"), help="network (default: paper)")
    add(
        "--weights",
        metavar="imagenet|FILE|none",
        help="of the convolutions without --init: torchvision's download, a local file, random (default: imagenet)",
    )
    add(
        "--freeze-convolutions",
        action="store_true",
        help="train the fully connected layers only, on features computed once: several times faster on a CPU",
    )
    add("--rotations", type=int, metavar="N", help="turns of each patch with frozen convolutions (default: 8)")
    add("--gamma", type=float, metavar="N", help="how often a trial of a stage > 0 counts (default: 3)")
    add(
        "--only-stage",
        action="store_true",
        help="train on the patches of stage K alone, without aggregation; --gamma is 1 then",
    )
    add(
        "--limit",
        type=int,
        metavar="N",
        help="train on N random trials at most, whole tables of them; a smaller N is a part of a larger one "
        "(default: all)",
    )
    add("--limit-seed", type=int, metavar="N", help="of the order in which tables are taken (default: 0)")
    add(
        "--balance",
        choices=("sampler", "loss", "none"),
        help="failures outnumber successes: sampler: half of each batch are successes; loss: each class has half the "
        "loss's weight; a probability is then relative to as many successes as failures; none (default: sampler)",
    )
    add(
        "--augment",
        choices=("rotation", "rotation+flips", "none"),
        help="random changes of the patches, angles changed along (default: rotation)",
    )
    add("--brightness", type=float, metavar="PART", help="largest random change of colours, 0 to 1 (default: 0)")
    add("--select", choices=("last", "best"), help="epoch whose network is the result (default: last)")


def _add_schedule(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("schedule")
    add = group.add_argument
    add("--epochs", type=int, metavar="N", help="(default: 20 for stage 0, then 5)")
    add("--learning-rate", type=float, metavar="RATE", help="(default: 0.01 for stage 0, then 0.001)")
    add("--batch-size", type=int, metavar="N", help="samples a step, all devices together (default: 128)")
    add("--momentum", type=float, metavar="PART", help="of SGD (default: 0.9)")
    add("--weight-decay", type=float, metavar="RATE", help="of SGD (default: 0.0005)")
    add("--warm-up", type=float, metavar="EPOCHS", help="of linearly growing rate (default: 1 for stage 0, then 0)")
    add(
        "--schedule",
        choices=("constant", "cosine"),
        help="of the rate (default: cosine for stage 0, then constant; the paper's is constant)",
    )
    add("--gradient-clip", type=float, metavar="NORM", help="longest gradient, 0 for any (default: 5)")
    add("--seed", type=int, metavar="N", help="of everything random (default: 0)")


def _add_machine(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("machine")
    add = group.add_argument
    add("--device", choices=("auto", "cpu", "cuda"), help="(default: auto)")
    add("--devices", type=int, metavar="N", help="on each machine (default: 1)")
    add("--num-nodes", type=int, metavar="N", help="machines (default: 1)")
    add("--strategy", metavar="NAME", help="Lightning's, for several devices, e.g. ddp (default: auto)")
    add(
        "--precision",
        choices=("auto", "fp32", "bf16", "fp16"),
        help="auto is bf16 where the device computes with it, else fp32 (default: auto)",
    )
    add(
        "--memory-gb",
        type=float,
        metavar="GB",
        help="for patches, decoded or else compressed; more of them go into a file (default: half of the free memory)",
    )
    add("--patch-cache", metavar="DIR", help="for that file, best on a local SSD (default: .patches in --out)")
    add(
        "--peer-deadline",
        type=float,
        metavar="S",
        help="how long one of several processes waits for the others (s, default: 600)",
    )
    add("--no-progress", dest="progress", action="store_false", help="no progress bars")


def settings_of(parsed: argparse.Namespace) -> TrainSettings:
    """Settings from a command line over those of its --config.

    Raises:
        ConfigError: a key is missing, unknown or wrong.
    """
    given: Dict[str, Any] = vars(parsed).copy()
    config = given.pop("config", "")
    if not config:
        return parse_settings(TrainSettings, given, "command line")
    options = load_settings(_Options, config).model_dump()
    return parse_settings(TrainSettings, {**options, **given}, f"{config} and command line")


class _Options(Settings):
    """Any keys; they are checked once they and the command line are one."""

    model_config = {**Settings.model_config, "extra": "allow"}


def report(result: "TrainResult") -> List[str]:
    """What a finished training prints: the figures of each split, and the file."""
    lines = ["nothing left to do: this training has finished before"] if result.finished_before else []
    splits = sorted({name.split("/")[0] for name in result.metrics})
    for split in splits:
        values = {name.split("/")[1]: value for name, value in result.metrics.items() if name.startswith(f"{split}/")}
        lines.append(
            f"{split:<12} balanced accuracy {values['balanced_accuracy']:.3f} of {values['samples']:.0f} samples"
            + "".join(f", {name} {values[key]:.3f}" for key, name in RECALLS.items() if key in values)
        )
    lines.append(f"model        {result.checkpoint}  sha256 {result.sha256[:16]}")
    return lines


def _train_explained(settings: TrainSettings) -> "TrainResult":
    """Train; what other modules refuse becomes a TrainingError, too."""
    from grasp_learning.checkpoint import CheckpointError
    from grasp_learning.dataset.reader import DatasetError
    from grasp_learning.network_errors import NetworkError

    try:
        return train(settings)
    except (CheckpointError, DatasetError, NetworkError) as error:
        raise TrainingError(str(error)) from error


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command; exit code 0, 1 after an error, 2 for wrong usage (one line on stderr), 130 after Ctrl-C."""
    try:
        settings = settings_of(parse_arguments(arguments))
        result = _train_explained(settings)
    except TrainingInterrupted as error:
        print(f"train: {error}", file=sys.stderr)
        return INTERRUPTED
    except KeyboardInterrupt:
        print("train: stopped; start the same command again to go on", file=sys.stderr)
        return INTERRUPTED
    except (ConfigError, TrainingError) as error:
        print("\n".join(f"train: {line}" for line in str(error).splitlines()), file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    if result.sha256:  # a process that only helped has nothing to say
        print("\n".join(report(result)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
