"""The command that evaluates methods on test sets."""

import argparse
import shlex
import sys
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

import yaml

from grasp_learning.config import ConfigError, parse_settings
from grasp_learning.dataset.schema import TEST_SPLITS

if TYPE_CHECKING:
    from grasp_learning.evaluation.results import Evaluation
    from grasp_learning.evaluation.run import EvaluationSettings

INTERRUPTED, WRONG_USE = 130, 2  # exit codes
NO_METHOD = "none"

DESCRIPTION = """
Tell how often methods are right about which grasps hold: on a balanced test set of novel and of seen objects, with
95 % intervals (bootstrap over scenes), precision and recall, calibration, by angle and by object, and the difference of
each two methods. Baselines are fitted to the split 'train' first. Run it again with the same --out to go on after an
interruption; what is computed already is not computed again.
"""
EPILOG = """
SPEC is {known}. A class of your own appears in every table; docs/evaluate.md shows one.
"""


def evaluate(settings: "EvaluationSettings", out) -> "Evaluation":
    """Evaluate methods; see :func:`grasp_learning.evaluation.run.evaluate`."""
    # scikit-learn, Matplotlib and torch take seconds to import, which a wrong option need not wait for
    from grasp_learning.evaluation import run

    return run.evaluate(settings, out)


def parse_arguments(arguments: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Command line of `rosrun grasp_learning evaluate`."""
    from grasp_learning.evaluation.bootstrap import ROUNDS
    from grasp_learning.evaluation.method import KNOWN

    parser = argparse.ArgumentParser(prog="evaluate", description=DESCRIPTION, epilog=EPILOG.format(known=KNOWN))
    add = parser.add_argument
    more: Dict[str, Any] = {"action": "extend", "nargs": "+"}
    add("--data", required=True, metavar="DATASET", help="folders of datasets", **more)
    add("--out", required=True, metavar="DIR", help="folder of the result; made if it is not there")
    add(
        "--method",
        metavar="[NAME=]SPEC",
        help=f"methods, in the order of the tables (default: all baselines; '{NO_METHOD}': only --model)",
        **more,
    )
    add("--model", default=[], metavar="[NAME=]FILE", help="networks (.safetensors), behind the methods", **more)
    add(
        "--set",
        default=[],
        metavar="METHOD.KEY=VALUE",
        help="options of a method by its NAME or SPEC; VALUE as in YAML, e.g. knn.ks=[1,5]",
        **more,
    )
    add("--split", choices=TEST_SPLITS, help="test sets (default: those that the data has)", **more)
    add(
        "--train-stages",
        type=int,
        nargs="+",
        metavar="K",
        help="stages of the curriculum that baselines are fitted to (default: all)",
    )
    add("--seed", type=int, default=0, metavar="S", help="of every random choice (default: %(default)s)")
    add("--rounds", type=int, default=ROUNDS, metavar="N", help="draws of the bootstrap (default: %(default)s)")
    add("--no-pictures", dest="pictures", action="store_false", help="no pictures, tables only")
    add("--no-progress", dest="progress", action="store_false", help="no progress bars")
    return parser.parse_args(arguments)


def settings_of(parsed: argparse.Namespace, command: Sequence[str]) -> "EvaluationSettings":
    """Settings from a command line.

    Raises:
        ConfigError: a value is wrong, or an option is of a method that is not evaluated.
    """
    from grasp_learning.evaluation.method import REGISTRY
    from grasp_learning.evaluation.run import EvaluationSettings

    wanted = list(REGISTRY) if parsed.method is None else [spec for spec in parsed.method if spec != NO_METHOD]
    methods = [_named(text) for text in wanted]
    methods += [(name, f"network:{path}") for name, path in map(_named, parsed.model)]
    if not methods:
        raise ConfigError("no method is left to evaluate: give --method SPEC or --model FILE")
    options: List[Dict[str, Any]] = [{} for _ in methods]
    for text in parsed.set:
        place, key, value = _option(text, methods)
        options[place][key] = value
    values = {
        "data": parsed.data,
        "methods": [{"spec": s, "name": name, "options": o} for (name, s), o in zip(methods, options)],
        "splits": None if parsed.split is None else list(dict.fromkeys(parsed.split)),
        "train_stages": parsed.train_stages,
        **{key: getattr(parsed, key) for key in ("seed", "rounds", "progress", "pictures")},
        "command": command,
    }
    return parse_settings(EvaluationSettings, values, "command line")


def _named(text: str) -> Tuple[str, str]:
    """Name and rest of "NAME=REST"; what has a path or a module before its sign has no name."""
    name, sign, rest = text.partition("=")
    return (name, rest) if sign and not set(name) & {":", "/"} else ("", text)


def _option(text: str, methods: Sequence[Tuple[str, str]]) -> Tuple[int, str, Any]:
    """Place of the method, key and value of "METHOD.KEY=VALUE"."""
    left, sign, value = text.partition("=")
    method, dot, key = left.rpartition(".")
    places = [place for place, (name, spec) in enumerate(methods) if method in (name, spec)]
    if not (sign and dot and key.isidentifier()):
        raise ConfigError(f"--set is '{text}': expected METHOD.KEY=VALUE, such as knn.ks=[1,5]")
    if not places:
        known = ", ".join(name or spec for name, spec in methods)
        raise ConfigError(f"--set is '{text}': method '{method}' is not evaluated; those that are: {known}")
    try:
        return places[0], key, yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"--set is '{text}': the value is not valid YAML") from None


def _evaluate_explained(settings: "EvaluationSettings", out: str) -> str:
    """Evaluate; what other modules refuse becomes an EvaluationError, a method that is not there a ConfigError."""
    from grasp_learning.dataset.reader import DatasetError
    from grasp_learning.evaluation.method import MethodError, UnknownMethodError
    from grasp_learning.evaluation.results import EvaluationError
    from grasp_learning.evaluation.tables import format_evaluation

    try:
        evaluation = evaluate(settings, out)
    except UnknownMethodError as error:
        raise ConfigError(str(error)) from error
    except (DatasetError, MethodError) as error:
        raise EvaluationError(str(error)) from error
    return f"{format_evaluation(evaluation)}\nresults  {out}/evaluation.json"


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command; a problem ends it with one line on stderr and exit code 1, wrong use with 2, Ctrl-C with 130."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(given)
    except KeyboardInterrupt:
        print(f"evaluate: stopped; to go on: evaluate {shlex.join(given)}", file=sys.stderr)
        return INTERRUPTED


def _run(given: List[str]) -> int:
    parsed = parse_arguments(given)
    from grasp_learning.evaluation.results import EvaluationError

    try:
        print(_evaluate_explained(settings_of(parsed, ["evaluate", *given]), parsed.out))
    except (ConfigError, EvaluationError) as error:
        print(f"evaluate: {' '.join(str(error).split())}", file=sys.stderr)
        return WRONG_USE if isinstance(error, ConfigError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
