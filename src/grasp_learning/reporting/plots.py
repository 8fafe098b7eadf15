"""Figures of the report: dots with their 95 % intervals, the paper's numbers beside them, on white.

matplotlib draws without a display. Colours are told apart by people who do not see red and green, and each series has
a marker of its own, so that a print in grey says the same.
"""

import io
import textwrap
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image  # matplotlib's own requirement

from grasp_learning.reporting.words import SHARE

# Okabe and Ito's
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b0578d", "#7a6a00", "#56b4e9", "#333333", "#e69f00")
MARKERS = ("o", "s", "^", "v", "P", "X", "*", "p")
PAPER_COLOUR, INK, GRID = "#555555", "#222222", "#dddddd"
WIDTH, DPI = 6.4, 150  # inches, dots per inch: letters stay readable where a phone shows it small
LABEL_WIDTH = 30  # letters of a label in a line
PALETTE = 96  # colours
FEW = 30  # points; more of them are drawn without markers


@dataclass(frozen=True)
class Point:
    """A number to draw.

    Attributes:
        label: beside it, or empty on a curve.
        value: None where only the paper has one.
        low, high: 95 % interval.
        paper: the paper's number.
        x: place on a curve.
    """

    label: str = ""
    value: Optional[float] = None
    low: Optional[float] = None
    high: Optional[float] = None
    paper: Optional[float] = None
    x: float = 0.0


@dataclass(frozen=True)
class Curve:
    """Points that belong together."""

    name: str
    points: List[Point] = field(default_factory=list)


@dataclass(frozen=True)
class Line:
    """A line: x and y of its points, and the ends of their 95 % intervals, if they have some."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    ends: Sequence[Tuple[float, float]] = ()


def dots(points: Sequence[Point], axis: str, unit: str = SHARE, chance: Optional[float] = None) -> bytes:
    """One row a number, the paper's as an empty diamond.

    Args:
        axis: what the numbers are.
        chance: where a line says what guessing gives; without one the axis begins at 0.

    Returns:
        The PNG's bytes.
    """
    labels = [textwrap.fill(point.label, LABEL_WIDTH) for point in points]
    lines = sum(max(1.25, label.count("\n") + 1) for label in labels)
    canvas, axes = _canvas(1.3 + 0.29 * lines)
    places = np.arange(len(points))[::-1]
    if chance is not None:
        axes.axvline(chance, color=PAPER_COLOUR, linewidth=1, linestyle=":", label="chance")
    for place, point in zip(places, points):
        if point.value is not None:
            _interval(axes, point, COLOURS[0], lambda a, b, y=place: ([a, b], [y, y]))
    name = "here, with 95 % interval" if any(point.low is not None for point in points) else "here"
    _scatter(axes, [(p.value, y) for p, y in zip(points, places)], COLOURS[0], "o", name)
    _scatter(axes, [(p.paper, y) for p, y in zip(points, places)], PAPER_COLOUR, "D", "the paper", filled=False)
    axes.set_yticks(places, labels)
    axes.set_ylim(-0.7, len(points) - 0.3)
    if chance is None:
        axes.set_xlim(left=0)  # half as much is to look like half as much
    axes.set_xlabel(axis)
    axes.grid(axis="x", color=GRID)
    _scale(axes.xaxis, unit)
    _legend(canvas, axes)
    return _png(canvas)


def curves(
    series: Sequence[Curve],
    axis: str,
    across: str,
    chance: Optional[float] = None,
    growing: bool = False,
) -> bytes:
    """Curves of shares over a number; the paper's points are empty and dashed.

    Args:
        axis: what the numbers are.
        across: what they are drawn over.
        growing: twice as much is one step to the right; otherwise the values are evenly apart.

    Returns:
        The PNG's bytes.
    """
    steps = sorted({point.x for curve in series for point in curve.points})
    places = _places(steps, growing)
    span = max(1.0, places[-1] - places[0])
    canvas, axes = _canvas(4.4)
    if chance is not None:
        axes.axhline(chance, color=PAPER_COLOUR, linewidth=1, linestyle=":", label="chance")
    for index, curve in enumerate(series):
        # intervals at one place would hide each other
        shift = 0.012 * span * (index - (len(series) - 1) / 2)
        _curve(axes, curve, dict(zip(steps, places)), index, shift)
    marked = _readable(places)
    texts = [f"{step:,.0f}" if step == int(step) else f"{step:g}" for step in steps]
    axes.set_xticks([places[index] for index in marked], [texts[index] for index in marked])
    axes.set_xlim(places[0] - 0.06 * span, places[-1] + 0.06 * span)
    axes.set_xlabel(across)
    axes.set_ylabel(axis)
    axes.grid(axis="y", color=GRID)
    if chance is None:
        axes.set_ylim(bottom=0)
    _scale(axes.yaxis, SHARE)
    _legend(canvas, axes)
    return _png(canvas)


def _places(steps: Sequence[float], growing: bool) -> List[float]:
    """Where steps lie on the axis, from 0; nothing at all lies as far from the first as half of that would."""
    if not growing:
        return [float(index) for index in range(len(steps))]
    smallest = min((step for step in steps if step > 0), default=1.0)
    return [float(np.log2(step / smallest)) + 1 if step > 0 else 0.0 for step in steps]


def _readable(places: Sequence[float]) -> List[int]:
    """Which places get a label, so that labels do not overlap; the first and the last one always do."""
    gap = (places[-1] - places[0]) / 9
    kept = [len(places) - 1]
    for index in range(len(places) - 2, 0, -1):
        if places[kept[-1]] - places[index] >= gap and places[index] - places[0] >= gap:
            kept.append(index)
    return sorted({0, *kept})


def _curve(axes, curve: Curve, places: Dict[float, float], index: int, shift: float) -> None:
    colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
    ordered = sorted(curve.points, key=lambda point: point.x)
    own = [point for point in ordered if point.value is not None]
    for point in own:
        _interval(axes, point, colour, lambda a, b, x=places[point.x] + shift: ([x, x], [a, b]))
    line = {"color": colour, "marker": marker}
    if own:
        own_places = [places[point.x] + shift for point in own]
        axes.plot(own_places, [point.value for point in own], linewidth=1.5, label=f"{curve.name}, here", **line)
    paper = [point for point in ordered if point.paper is not None]
    if paper:
        line.update({"markerfacecolor": "white", "linestyle": "--"})
        paper_places = [places[point.x] for point in paper]
        axes.plot(paper_places, [point.paper for point in paper], linewidth=1, label=f"{curve.name}, the paper", **line)


def lines(
    series: Sequence[Line], axis: str, across: str, diagonal: bool = False, level: Optional[float] = None
) -> bytes:
    """Plain lines in the unit square, for calibration and for precision over recall.

    Args:
        axis: what y is.
        across: what x is.
        diagonal: draw where x equals y.
        level: draw a horizontal line there.

    Returns:
        The PNG's bytes.
    """
    canvas, axes = _canvas(4.8)
    if diagonal:
        axes.plot([0, 1], [0, 1], color=PAPER_COLOUR, linewidth=1, linestyle=":", label="as it should be")
    if level is not None:
        axes.axhline(level, color=PAPER_COLOUR, linewidth=1, linestyle=":", label="chance")
    for index, line in enumerate(series):
        colour = COLOURS[index % len(COLOURS)]
        marker = MARKERS[index % len(MARKERS)] if len(line.x) <= FEW else None
        for x, (low, high) in zip(line.x, line.ends):
            axes.plot([x, x], [low, high], color=colour, linewidth=1, alpha=0.75)
        axes.plot(line.x, line.y, color=colour, marker=marker, markersize=5, linewidth=1.5, label=line.name)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel(across)
    axes.set_ylabel(axis)
    axes.grid(color=GRID)
    for each in (axes.xaxis, axes.yaxis):
        _scale(each, SHARE)
    _legend(canvas, axes)
    return _png(canvas)


def _canvas(height: float):
    canvas = Canvas(figsize=(WIDTH, height), dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(canvas)
    axes = canvas.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=10)
    return canvas, axes


def _interval(axes, point: Point, colour: str, ends) -> None:
    if point.low is not None and point.high is not None:
        axes.plot(*ends(point.low, point.high), color=colour, linewidth=2, alpha=0.75, solid_capstyle="butt")


def _scatter(axes, pairs, colour: str, marker: str, name: str, filled: bool = True) -> None:
    known = [(x, y) for x, y in pairs if x is not None]
    if known:
        face = colour if filled else "white"
        axes.scatter(*zip(*known), s=44, color=face, edgecolors=colour, marker=marker, label=name, zorder=3)


def _scale(axis, unit: str) -> None:
    axis.set_major_locator(MaxNLocator(nbins=6, min_n_ticks=3, steps=[1, 2, 5, 10]))
    if unit == SHARE:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g} %"))


def _legend(canvas, axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        canvas.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9.5)


def _png(canvas) -> bytes:
    canvas.canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.canvas.buffer_rgba())).convert("RGB")
    content = io.BytesIO()
    # few colours: a third of the size, and nobody sees a difference
    picture.quantize(PALETTE, dither=Image.Dither.NONE).save(content, format="PNG", optimize=True)
    return content.getvalue()
