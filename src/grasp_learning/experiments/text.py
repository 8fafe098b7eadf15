"""An experiment's figures for a terminal."""

from typing import Optional

from grasp_learning.experiments.results import ExperimentResult, Figure

SHARE = "share"
VERDICTS = {True: "holds", False: "does not hold", None: "cannot be told from this run"}


def format_result(result: ExperimentResult) -> str:
    """Title, figures beside the paper's, notes and the claim."""
    # what only repeats the paper's curve is for plots
    rows = [figure for figure in result.figures if figure.value is not None or not figure.series.startswith("paper")]
    width = max((len(figure.name) for figure in rows), default=0)
    lines = ["", f"{result.id}: {result.title}"]
    lines += [f"  {figure.name:<{width}}  {_value(figure):<28}{_paper(figure)}".rstrip() for figure in rows]
    lines += [f"  note: {note}" for note in result.notes]
    if result.order is not None:
        lines.append(f"  {result.order.text[:-1]}: {VERDICTS[result.order.holds]}")
        lines += [f"    {reason}" for reason in result.order.reasons]
    return "\n".join(lines)


def _value(figure: Figure) -> str:
    text = _number(figure.value, figure.unit)
    if figure.low is not None and figure.high is not None:
        text += f" ({_bare(figure.low, figure.unit)} to {_bare(figure.high, figure.unit)})"
    return text


def _paper(figure: Figure) -> str:
    return "" if figure.paper is None else f"  paper: {_number(figure.paper, figure.unit)}"


def _number(value: Optional[float], unit: str) -> str:
    if value is None:
        return "-"
    return f"{_bare(value, unit)} {'%' if unit == SHARE else unit}"


def _bare(value: float, unit: str) -> str:
    if unit == SHARE:
        return f"{100 * value:.1f}"
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"
