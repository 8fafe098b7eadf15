"""Figures in the form of the paper's tables: one row a method or a step, one column a series, the paper beside it."""

from typing import Dict, List, Sequence, Tuple

from grasp_learning.experiments.results import ExperimentResult, Figure
from grasp_learning.reporting.parts import Cell, Table
from grasp_learning.reporting.sources import Sources
from grasp_learning.reporting.words import SHARE, interval, measured, number, plain

PAPER_SERIES = "paper: "  # before the name of a series whose points are the paper's alone
STEPS = {"fig8": "random trials", "gamma": "Gamma"}
NONE = "–"


def series_of(figure: Figure) -> str:
    """The series that a figure belongs to; the paper's points belong to the one that they are compared with."""
    name = figure.series
    return name[len(PAPER_SERIES) :] if name.startswith(PAPER_SERIES) else name


def step_name(result: ExperimentResult) -> str:
    """What the figures of an experiment's curves are drawn over."""
    return STEPS.get(result.id, "stage")


def tables_of(sources: Sources, result: ExperimentResult) -> List[Table]:
    """All figures of an experiment as tables."""
    plain_ones = [figure for figure in result.figures if not figure.series]
    on_steps = [figure for figure in result.figures if figure.series and figure.x is not None]
    named = [figure for figure in result.figures if figure.series and figure.x is None]
    tables = []
    if named:
        rows = {figure.name: _row_name(figure) for figure in named}
        mixed = len({figure.unit for figure in named}) > 1
        keys = [(figure.series, rows[figure.name]) if mixed else (rows[figure.name], figure.series) for figure in named]
        tables.append(_grid(sources, result.title, "", keys, named))
    if on_steps:
        ordered = sorted(on_steps, key=lambda figure: figure.x or 0.0)
        keys = [(plain(figure.x or 0.0), series_of(figure)) for figure in ordered]
        tables.append(_grid(sources, result.title, step_name(result), keys, ordered))
    if plain_ones:
        tables.append(_list(sources, result.title, plain_ones))
    return tables


def _row_name(figure: Figure) -> str:
    """What is left of a figure's name without its series, "HoG + kNN" of "HoG + kNN, seen objects"."""
    end = f", {figure.series}"
    return figure.name[: -len(end)] if figure.name.endswith(end) else figure.name


def _grid(
    sources: Sources, caption: str, corner: str, keys: Sequence[Tuple[str, str]], figures: Sequence[Figure]
) -> Table:
    """Args: keys: row and column of each figure."""
    rows, columns = list(dict.fromkeys(row for row, _ in keys)), list(dict.fromkeys(column for _, column in keys))
    cells: Dict[Tuple[str, str], Tuple[Cell, str]] = {}
    for key, figure in zip(keys, figures):
        value, paper = cells.get(key, (Cell(NONE, number=True), NONE))
        if figure.value is not None or key not in cells:
            value = _value(sources, figure)
        paper = number(figure.paper, figure.unit) if figure.paper is not None else paper
        cells[key] = value, paper
    with_paper = [column for column in columns if any(cells.get((row, column), ("", NONE))[1] != NONE for row in rows)]
    header = [corner]
    for column in columns:
        header += [column, "the paper"] if column in with_paper else [column]
    body = []
    for row in rows:
        line = [Cell(row, head=True)]
        for column in columns:
            value, paper = cells.get((row, column), (Cell(NONE, number=True), NONE))
            line += [value, Cell(paper, number=True)] if column in with_paper else [value]
        body.append(line)
    return Table(caption, header, body)


def _value(sources: Sources, figure: Figure) -> Cell:
    text = NONE if figure.value is None and figure.paper is not None else measured(figure)
    if figure.count and figure.value is not None and figure.unit == SHARE:
        text += f" of {figure.count:,}"
    return Cell(text, origin_of(sources, figure), number=True)


def _list(sources: Sources, caption: str, figures: Sequence[Figure]) -> Table:
    """One row a figure."""
    with_paper = any(figure.paper is not None for figure in figures)
    rows = []
    for figure in figures:
        row = [
            Cell(figure.name, head=True),
            Cell(number(figure.value, figure.unit), origin_of(sources, figure), number=True),
            Cell(interval(figure) or NONE, number=True),
            Cell(f"{figure.count:,}" if figure.count else NONE, number=True),
        ]
        if with_paper:
            row.append(Cell(NONE if figure.paper is None else number(figure.paper, figure.unit), number=True))
        rows.append(row)
    return Table(caption, ["", "here", "95 % interval", "of", *(["the paper"] if with_paper else [])], rows)


def origin_of(sources: Sources, figure: Figure) -> str:
    """File and command of a number in a line."""
    return "; ".join(word for word in (figure.source, sources.relative(figure.command)) if word)


def origins(sources: Sources, figures: Sequence[Figure]) -> List[Tuple[str, str, str]]:
    """Rows (what, file, command): numbers of one origin together."""
    groups: Dict[Tuple[str, str], List[str]] = {}
    for figure in figures:
        if figure.source or figure.command:
            groups.setdefault((figure.source, sources.relative(figure.command)), []).append(figure.name)
    return [("; ".join(names), source, command) for (source, command), names in groups.items()]
