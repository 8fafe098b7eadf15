"""An evaluation's figures as pictures (PNG): accuracy, precision/recall, calibration, angles and objects."""

import io
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from grasp_learning.dataset.schema import TEST_SPLITS
from grasp_learning.durable import write_atomically
from grasp_learning.evaluation.results import Evaluation, Interval, MethodResult
from grasp_learning.geometry import BIN_WIDTH

DPI = 120
CHANCE: Dict[str, Any] = {"color": "0.6", "linewidth": 1, "linestyle": "--"}
PAPER_MARK: Dict[str, Any] = {"marker": "x", "color": "black", "linestyle": "none", "markersize": 7}
OBJECTS_SHOWN = 25  # those with the most patches


def draw_evaluation(folder: Path, evaluation: Evaluation) -> List[Path]:
    """Draw all pictures, `<kind>_<split>.png`; returns their paths.

    Raises:
        OSError: one cannot be written.
    """
    drawn = []
    for test in evaluation.tests:
        results = [result for result in evaluation.results if result.split == test.split]
        for kind, (draw, size) in PICTURES.items():
            figure = Figure(figsize=size, tight_layout=True)
            FigureCanvasAgg(figure)
            axes = figure.add_subplot()
            axes.set_title(f"{test.split}: {test.samples} patches, {test.successes} held")
            if draw(axes, results):
                drawn.append(_save(figure, folder / f"{kind}_{test.split}.png"))
    return drawn


def remove_others(folder: Path, drawn: Sequence[Path]) -> None:
    """Remove pictures of an earlier evaluation into the folder, which would speak of other figures.

    Raises:
        OSError: one cannot be removed.
    """
    for kind in PICTURES:
        for split in TEST_SPLITS:
            path = folder / f"{kind}_{split}.png"
            if path not in drawn and path.exists():
                path.unlink()


def _save(figure: Figure, path: Path) -> Path:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    write_atomically(path, path.with_name(f".{path.name}.part"), buffer.getvalue())
    return path


def draw_accuracy(axes: Axes, results: Sequence[MethodResult]) -> bool:
    """Accuracy of each method with its interval, and the paper's where it has the method; whether there is any."""
    values, errors = _with_errors([result.accuracy for result in results])
    for place, (result, value) in enumerate(zip(results, values)):
        colour = "tab:green" if result.spec.startswith("network:") else "tab:blue"
        axes.errorbar(value, place, xerr=errors[:, place : place + 1], fmt="o", capsize=4, color=colour)
        axes.annotate(f"{100 * value:.1f} %", (value, place - 0.15), ha="center", fontsize="small", color=colour)
    known = [(result.paper, place + 0.2) for place, result in enumerate(results) if result.paper is not None]
    if known:
        axes.plot(*zip(*known), label="paper, real robot", **PAPER_MARK)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small")
    axes.axvline(0.5, **CHANCE)
    axes.set_yticks(range(len(results)))
    axes.set_yticklabels([_name(result) for result in results])
    axes.set_ylim(len(results) - 0.5, -0.5)
    axes.set_xlim(min([0.4, *values]) - 0.05, 1.0)
    axes.set_xlabel("part predicted right (95 % interval); dashed: chance")
    return bool(results)


def draw_precision_recall(axes: Axes, results: Sequence[MethodResult]) -> bool:
    """Precision against recall of each method, a dot where its threshold is; whether there is a curve."""
    for result in results:
        figure = result.average_precision.value
        name = _name(result) + ("" if figure is None else f", AP {figure:.2f}")
        (line,) = axes.plot(
            [point.recall for point in result.curve], [point.precision for point in result.curve], label=name
        )
        if result.precision is not None and result.recall_success is not None:
            axes.plot(result.recall_success, result.precision, "o", color=line.get_color())
    axes.axhline(0.5, **CHANCE)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall of successes", ylabel="precision")
    axes.legend(fontsize="small", loc="lower left")
    return any(result.curve for result in results)


def draw_calibration(axes: Axes, results: Sequence[MethodResult]) -> bool:
    """Reliability diagram of the methods whose scores are probabilities; whether there are any."""
    axes.plot([0, 1], [0, 1], **CHANCE)
    known = [result for result in results if result.calibration is not None]
    for result in known:
        filled = [each for each in result.calibration.bins if each.samples]
        rates, errors = _with_errors([each.rate for each in filled])
        name = f"{_name(result)}, ECE {result.calibration.error:.3f}"
        axes.errorbar([each.mean_score for each in filled], rates, yerr=errors, marker="o", capsize=3, label=name)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="predicted probability", ylabel="part that held (95 % interval)")
    if known:
        axes.legend(fontsize="small", loc="lower right")
    return bool(known)


def draw_angles(axes: Axes, results: Sequence[MethodResult]) -> bool:
    """Part predicted right by angle bin; whether there is any."""
    for result in results:
        filled = [group for group in result.bins if group.samples]
        angles = [_degrees(group.name) for group in filled]
        axes.plot(angles, [group.accuracy.value for group in filled], "o-", label=_name(result))
    for group in results[0].bins if results else ():
        axes.annotate(str(group.samples), (_degrees(group.name), 0.02), ha="center", fontsize=7, color="0.4")
    axes.axhline(0.5, **CHANCE)
    axes.set_xticks([20 * step for step in range(9)])
    axes.set(ylim=(0, 1.02), xlabel="closing angle (degrees); numbers: patches", ylabel="part predicted right")
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return bool(results)


def draw_objects(axes: Axes, results: Sequence[MethodResult]) -> bool:
    """Part predicted right by nearest object, of those with the most patches; whether objects are known."""
    groups = sorted(results[0].objects, key=lambda group: -group.samples)[:OBJECTS_SHOWN] if results else []
    names = [group.name for group in groups]
    for result in results:
        values = {group.name: group.accuracy.value for group in result.objects}
        axes.plot([values[name] for name in names], range(len(names)), "o", alpha=0.7, label=_name(result))
    axes.set_yticks(range(len(names)))
    axes.set_yticklabels([f"{group.name} ({group.successes} of {group.samples} held)" for group in groups], fontsize=7)
    axes.invert_yaxis()
    axes.axvline(0.5, **CHANCE)
    axes.set(xlim=(-0.02, 1.02), xlabel="part predicted right")
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return len(names) > 1


PICTURES: Dict[str, Tuple[Callable[[Axes, Sequence[MethodResult]], bool], Tuple[float, float]]] = {
    "accuracy": (draw_accuracy, (9, 4)),
    "precision_recall": (draw_precision_recall, (6, 5)),
    "calibration": (draw_calibration, (5.5, 5)),
    "angles": (draw_angles, (9.5, 4.5)),
    "objects": (draw_objects, (9.5, 7)),
}


def _name(result: MethodResult) -> str:
    return result.method + (" *" if result.optimistic else "")


def _degrees(bin_name: str) -> float:
    return float(np.degrees(int(bin_name) * BIN_WIDTH))


def _with_errors(intervals: Sequence[Interval]) -> Tuple[List[float], np.ndarray]:
    """Values, and how far their intervals reach below and above them (2, n)."""
    values = [0.0 if each.value is None else each.value for each in intervals]
    limits = [
        (value, value) if e.low is None or e.high is None else (e.low, e.high) for value, e in zip(values, intervals)
    ]
    low, high = np.array(limits).reshape(-1, 2).T
    return values, np.maximum(0.0, np.stack([np.array(values) - low, high - np.array(values)]))
