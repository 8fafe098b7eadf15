"""An evaluation's figures as text: Table II of the paper, differences with their intervals, and scores.csv."""

import csv
import io
from typing import Any, Iterable, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from grasp_learning.dataset.schema import TEST_NOVEL
from grasp_learning.evaluation.patch_set import PatchSet
from grasp_learning.evaluation.results import Comparison, Evaluation, Interval, MethodResult

# accuracy in the paper's Table II
PAPER = {
    "heuristic-eigenvector": 0.534,
    "heuristic-limit": 0.599,
    "heuristic-best": 0.621,
    "knn": 0.694,
    "svm": 0.733,
}
PAPER_NETWORK, PAPER_STAGED = 0.769, 0.795
HEADER = ("method", "accuracy (95 %)", "paper", "precision", "recall", "AUC", "AP", "ECE", "fit", "score")
CSV_HEADER = (
    "split", "method", "trial_id", "angle", "bin", "label", "stage", "source", "object", "scene", "score", "predicted",
)  # fmt: skip


def paper_accuracy(spec: str, parameters: Mapping[str, Any], split: str) -> Optional[float]:
    """What the paper's Table II, which is of novel objects, says of a method; None where it has none like it."""
    if split != TEST_NOVEL:
        return None
    if spec.startswith("network:"):
        return PAPER_STAGED if parameters.get("stage") else PAPER_NETWORK
    return PAPER.get(spec)


def format_evaluation(evaluation: Evaluation) -> str:
    """All test sets in Table II's form, with differences and notes."""
    lines: List[str] = []
    for test in evaluation.tests:
        results = [result for result in evaluation.results if result.split == test.split]
        drawn = f"{results[0].clusters} {results[0].resampled_by}s" if results else "nothing"
        lines.append(f"{test.split}: {test.samples} patches, {test.successes} successes; intervals from {drawn}")
        lines += _aligned([HEADER, *(_row(result) for result in results)])
        neighbours = _neighbours(evaluation, results)
        if neighbours:
            lines.append("differences of accuracy, from the worst to the best (paired, 95 %)")
            lines += _aligned([_difference(comparison) for comparison in neighbours])
        lines.append("")
    if any(result.optimistic for result in evaluation.results):
        lines.append("* chose parameters on the test set, as in the paper: an upper limit")
    lines += [f"note: {note}" for note in evaluation.notes]
    return "\n".join(lines).rstrip()


def _neighbours(evaluation: Evaluation, results: Sequence[MethodResult]) -> List[Comparison]:
    names = [each.method for each in sorted(results, key=lambda each: each.accuracy.value or 0.0)]
    return [evaluation.compare(worse, better, results[0].split) for worse, better in zip(names, names[1:])]


def _row(result: MethodResult) -> Tuple[str, ...]:
    return (
        result.method + (" *" if result.optimistic else ""),
        percent(result.accuracy),
        "-" if result.paper is None else f"{100 * result.paper:.1f} %",
        _figure(result.precision),
        _figure(result.recall_success),
        _figure(result.auc.value),
        _figure(result.average_precision.value),
        _figure(result.calibration.error if result.calibration else None),
        f"{result.fit_seconds:.0f} s" if result.train_samples else "-",
        f"{result.score_seconds:.0f} s",
    )


def _difference(comparison: Comparison) -> Tuple[str, ...]:
    words = {"better": "better", "worse": "worse", "undecided": "not clear"}
    named = f"{comparison.second} - {comparison.first}"
    return named, percent(comparison.difference, sign="+"), words[comparison.verdict]


def percent(figure: Interval, sign: str = "") -> str:
    """A share with its interval."""
    if figure.value is None:
        return "-"
    value = f"{100 * figure.value:{sign}.1f} %"
    if figure.low is None or figure.high is None:
        return value
    return f"{value} ({100 * figure.low:{sign}.1f} to {100 * figure.high:{sign}.1f})"


def _figure(value: Optional[float]) -> str:
    return "-" if value is None else f"{value:.3f}"


def _aligned(rows: Sequence[Tuple[str, ...]]) -> List[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(word.rjust(width) for word, width in zip(row[1:], widths[1:]))]).rstrip()
        for row in rows
    ]


def scores_csv(parts: Iterable[Tuple[str, PatchSet, np.ndarray, float]]) -> bytes:
    """A line for each method and patch.

    Args:
        parts: method's name, test set, its scores (n,), its threshold.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for name, test, scores, threshold in parts:
        columns = (test.splits, [name] * len(test), test.trial_ids, test.angles, test.bins, test.labels, test.stages)
        more = (test.sources, test.objects, test.scenes, scores, (scores >= threshold).astype(int))
        writer.writerows(zip(*columns, *more))
    return text.getvalue().encode()
