"""What an evaluation found, as it stands in evaluation.json."""

import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pydantic
from pydantic import Field

from grasp_learning.config import ConfigError, Settings, parse_settings
from grasp_learning.durable import write_atomically

EVALUATION_FILE = "evaluation.json"
FORMAT = 1


class EvaluationError(Exception):
    """An evaluation cannot be made, read or written; the message says why and what to do."""


class Interval(Settings):
    """A figure with its 95 % interval; None where it does not exist."""

    value: Optional[float] = None
    low: Optional[float] = None
    high: Optional[float] = None


class Group(Settings):
    """Predictions on some of the patches, which need not be balanced.

    Attributes:
        name: of the object, or the angle bin's number.
        samples, successes: patches, and those whose grasp held.
        accuracy: part that is predicted right, with Wilson's interval.
        recall_success, recall_failure: parts of the successes and of the failures that are predicted right.
        mean_score: of the method.
    """

    name: str
    samples: int = Field(ge=0)
    successes: int = Field(ge=0)
    accuracy: Interval
    recall_success: Optional[float] = None
    recall_failure: Optional[float] = None
    mean_score: Optional[float] = None


class ReliabilityBin(Settings):
    """Patches whose score is in one tenth of [0, 1].

    Attributes:
        low, high: limits of the score.
        samples: how many there are.
        mean_score: their mean probability of success as predicted; None without samples.
        rate: part of them that held, with Wilson's interval.
    """

    low: float
    high: float
    samples: int
    mean_score: Optional[float] = None
    rate: Interval


class Calibration(Settings):
    """How well probabilities are what they say, on a balanced set: half of all grasps hold.

    Attributes:
        error: expected calibration error, the mean distance of rate and score over the bins, weighed by samples.
        brier: mean squared error of the probabilities.
        log_loss: mean cross-entropy (nats).
        bins: the reliability diagram.
    """

    error: float
    brier: float
    log_loss: float
    bins: List[ReliabilityBin]


class CurvePoint(Settings):
    """A point of the precision/recall curve: success is predicted for scores of `threshold` and above."""

    threshold: float
    precision: float
    recall: float


class MethodResult(Settings):
    """How one method did on one test set.

    Attributes:
        method: its name in tables.
        spec: what created it.
        split: of the test set.
        samples, successes: of the balanced test set.
        clusters, resampled_by: what the bootstrap drew, "scene" or "trial", and how many there were.
        accuracy: part of the balanced test set that is predicted right; 0.5 is chance.
        recall_success, recall_failure: of the classes.
        precision: part of the predicted successes that held.
        auc: area under the ROC curve.
        average_precision: area under the precision/recall curve.
        calibration: where scores are probabilities.
        curve: precision against recall, at most some hundred points.
        bins, objects: breakdown by angle bin (all 18) and by nearest object ("nothing near"; "unknown").
        threshold: of the prediction, see Method.
        optimistic: parameters were chosen on the test set.
        parameters: of the method.
        train_samples, train_successes: patches that it was fitted to; 0 if it was not.
        fit_seconds, score_seconds: wall clock, of when it was computed.
        paper: accuracy in the paper's Table II, on novel objects, where it has this method.
    """

    method: str
    spec: str
    split: str
    samples: int
    successes: int
    clusters: int
    resampled_by: str
    accuracy: Interval
    recall_success: Optional[float] = None
    recall_failure: Optional[float] = None
    precision: Optional[float] = None
    auc: Interval
    average_precision: Interval
    calibration: Optional[Calibration] = None
    curve: List[CurvePoint] = Field(default_factory=list)
    bins: List[Group] = Field(default_factory=list)
    objects: List[Group] = Field(default_factory=list)
    threshold: float
    optimistic: bool = False
    probabilistic: bool = False
    parameters: Dict[str, pydantic.JsonValue] = Field(default_factory=dict)
    train_samples: int = 0
    train_successes: int = 0
    fit_seconds: float = 0.0
    score_seconds: float = 0.0
    paper: Optional[float] = None


class Comparison(Settings):
    """Two methods on the same patches.

    Attributes:
        split: of the test set.
        first, second: names of the methods.
        difference: accuracy of the second less that of the first, with its interval by a paired bootstrap: both are
            asked about the same drawn scenes.
        second_better: part of the draws in which the second was better, equal ones counting half.
    """

    split: str
    first: str
    second: str
    difference: Interval
    second_better: float

    @property
    def verdict(self) -> str:
        """Of the second: "better", "worse", or "undecided" where the interval holds no difference, too."""
        if self.difference.low is not None and self.difference.low > 0:
            return "better"
        if self.difference.high is not None and self.difference.high < 0:
            return "worse"
        return "undecided"


class TestSet(Settings):
    """What the methods were tested on.

    Attributes:
        split: its name.
        samples, successes: after balancing.
        surplus: patches of the larger class that balancing left out.
        identity: changes with its rows.
        objects: how many are known.
        notes: what could not be checked.
    """

    __test__ = False  # no test of pytest's

    split: str
    samples: int
    successes: int
    surplus: int = 0
    identity: str
    objects: int = 0
    notes: List[str] = Field(default_factory=list)


class Evaluation(Settings):
    """Everything that an evaluation found, and how to make it again.

    Attributes:
        command: words of the command line.
        data: folders of the datasets.
        dataset_identity, train_identity: change with their rows.
        seed, rounds: of the bootstrap and the baselines; draws.
        package_version: of grasp_learning.
        started: ISO 8601, UTC.
        seconds: of this run (wall clock).
        tests: the test sets.
        results: of each method on each test set.
        comparisons: of all pairs of methods, on each test set.
        notes: what a reader should know.
    """

    format: int = FORMAT
    command: List[str] = Field(default_factory=list)
    data: List[str]
    dataset_identity: str
    train_identity: str
    train_stages: Optional[Tuple[int, ...]] = None
    seed: int
    rounds: int
    package_version: str
    started: str
    seconds: float
    tests: List[TestSet]
    results: List[MethodResult]
    comparisons: List[Comparison] = Field(default_factory=list)
    notes: List[str] = Field(default_factory=list)

    def result(self, method: str, split: str) -> MethodResult:
        """That of a method on a test set.

        Raises:
            KeyError: there is none.
        """
        for each in self.results:
            if (each.method, each.split) == (method, split):
                return each
        raise KeyError(f"no result of '{method}' on {split}")

    def compare(self, first: str, second: str, split: str) -> Comparison:
        """The comparison of two methods, in this order.

        Raises:
            KeyError: there is none.
        """
        for each in self.comparisons:
            if (each.split, each.first, each.second) == (split, first, second):
                return each
            if (each.split, each.first, each.second) == (split, second, first):
                return reverse(each)
        raise KeyError(f"no comparison of '{first}' and '{second}' on {split}")


def reverse(comparison: Comparison) -> Comparison:
    """The same comparison with the methods exchanged."""
    old = comparison.difference
    turned = Interval(value=_minus(old.value), low=_minus(old.high), high=_minus(old.low))
    return Comparison(
        split=comparison.split,
        first=comparison.second,
        second=comparison.first,
        difference=turned,
        second_better=1 - comparison.second_better,
    )


def _minus(value: Optional[float]) -> Optional[float]:
    return None if value is None else -value


def save_evaluation(folder: Path, evaluation: Evaluation) -> Path:
    """Write evaluation.json; an older one stays until the new one is complete.

    Raises:
        OSError: it cannot be written.
    """
    path = folder / EVALUATION_FILE
    write_atomically(path, folder / f".{EVALUATION_FILE}.part", evaluation.model_dump_json(indent=1).encode())
    return path


def load_evaluation(path) -> Evaluation:
    """Read evaluation.json, named itself or by its folder.

    Raises:
        EvaluationError: it is not there, damaged, or of another version.
    """
    path = Path(path)
    path = path / EVALUATION_FILE if path.is_dir() else path
    try:
        values: Any = json.loads(path.read_text())
    except OSError as error:
        raise EvaluationError(f"{path}: cannot be read ({error.strerror}); name a folder that evaluate wrote") from None
    except ValueError as error:
        raise EvaluationError(f"{path}: is damaged ({error}); run evaluate again") from None
    if isinstance(values, dict) and values.get("format") != FORMAT:
        raise EvaluationError(f"{path}: format {values.get('format')}, this version reads {FORMAT}; run evaluate again")
    try:
        return parse_settings(Evaluation, values, str(path))
    except ConfigError as error:
        raise EvaluationError(f"{str(error).splitlines()[0]}; run evaluate again") from None
