"""An experiment as a section: its question, its figures beside the paper's, its plot, and where each number is from."""

from typing import Dict, List, Optional, Sequence

from grasp_learning.experiments.results import ExperimentResult, Figure
from grasp_learning.reporting.headline import of_claim
from grasp_learning.reporting.parts import Cell, Picture, Section, Table
from grasp_learning.reporting.plots import Curve, Point, curves, dots
from grasp_learning.reporting.sources import Sources
from grasp_learning.reporting.words import SHARE, interval, listed, measured, number, plain

TITLES = {
    "table1": "Table I: data",
    "table2": "Table II: the network and the baselines",
    "fig8": "Fig. 8: accuracy over the number of trials",
    "pretraining": "Effect of pretraining",
    "stages": "Effect of staged learning",
    "aggregation": "Effect of data aggregation",
    "gamma": "Effect of Gamma",
    "reranking": "Effect of re-ranking",
    "grasp_rate": "Grasp rates of the robot",
    "clear_table": "Clearing a table",
}
# accuracies on balanced sets, where guessing is right in half of the cases
WITH_CHANCE = ("table2", "fig8", "pretraining", "stages", "aggregation", "gamma")
AXES = {SHARE: "share"}
ACCURACY, RATE = "accuracy", "grasp rate"


def experiment_section(sources: Sources, name: str) -> Section:
    """The section of an experiment; of one that is missing, why."""
    result = sources.results.get(name)
    if result is None:
        return Section(name, TITLES[name], lacking=_why_missing(sources, name))
    section = Section(name, result.title or TITLES[name], [result.question])
    section.statement = None if result.order is None else of_claim(result.order, name)
    section.pictures = draw_experiment(result)
    section.tables = [figures_table(sources, result)]
    section.notes = list(result.notes)
    section.origins = origins(sources, result.figures)
    if not any(figure.value is not None for figure in result.figures):
        section.lacking = "Nothing of this could be measured in this run; the notes say why."
    return section


def _why_missing(sources: Sources, name: str) -> str:
    if any(f"results/{name}.json" in problem for problem in sources.problems):
        return "Its results are damaged, see above: delete the file and run the experiments again."
    if sources.run is None:
        return "There are no results of this experiment."
    if name not in sources.run.experiments:
        return f"This run was not asked for it: `experiments --only {name}` adds it."
    state = "failed or was interrupted" if sources.ended else "has not come to it, or was interrupted before"
    return f"It was asked for, but the run {state}; running the same command again goes on."


def figures_table(sources: Sources, result: ExperimentResult) -> Table:
    """All figures of an experiment beside the paper's."""
    with_paper = any(figure.paper is not None for figure in result.figures)
    rows = []
    for figure in result.figures:
        origin = origin_of(sources, figure)
        row = [
            Cell(figure.name, head=True),
            Cell(number(figure.value, figure.unit), origin, number=True),
            Cell(interval(figure) or "–", number=True),
            Cell(f"{figure.count:,}" if figure.count else "–", number=True),
        ]
        if with_paper:
            row.append(Cell("–" if figure.paper is None else number(figure.paper, figure.unit), number=True))
        rows.append(row)
    header = ["", "here", "95 % interval", "of"] + (["the paper"] if with_paper else [])
    return Table(result.title, header, rows)


def origin_of(sources: Sources, figure: Figure) -> str:
    """File and command of a number in a line."""
    command = sources.relative(figure.command)
    return "; ".join(word for word in (figure.source, command) if word)


def origins(sources: Sources, figures: Sequence[Figure]) -> List:
    """Rows (what, file, command): numbers of one origin together."""
    groups: Dict = {}
    for figure in figures:
        if figure.source or figure.command:
            groups.setdefault((figure.source, sources.relative(figure.command)), []).append(figure.name)
    return [("; ".join(names), source, command) for (source, command), names in groups.items()]


def draw_experiment(result: ExperimentResult) -> List[Picture]:
    """Its plots: curves where figures lie on some, else one of dots for each unit that is worth drawing."""
    shown = [figure for figure in result.figures if figure.value is not None or figure.paper is not None]
    if not any(figure.value is not None for figure in shown):
        return []
    on_curves = [figure for figure in shown if figure.x is not None and figure.series]
    rest = [figure for figure in shown if figure not in on_curves]
    pictures = [_curves(result, on_curves)] if on_curves else []
    for unit in dict.fromkeys(figure.unit for figure in rest):
        picture = _dots(result, [figure for figure in rest if figure.unit == unit], unit)
        pictures += [picture] if picture else []
    return pictures


def _curves(result: ExperimentResult, figures: Sequence[Figure]) -> Picture:
    series = [
        Curve(name, [_point(figure) for figure in figures if figure.series == name])
        for name in dict.fromkeys(figure.series for figure in figures)
    ]
    across = "trials to learn from" if result.id == "fig8" else "step"
    png = curves(series, _axis(result, SHARE), across, figures[0].unit, _chance(result, figures[0].unit))
    drawn = [figure for figure in figures if figure.value is not None]
    said = [f"{figure.series}, {plain(figure.x or 0.0)}: {measured(figure)}" for figure in drawn]
    paper = "; dashed, the paper's" if any(figure.paper is not None for figure in figures) else ""
    caption = f"{TITLES[result.id]}: dots with 95 % intervals{paper}."
    return Picture(result.id, png, f"Curves of {listed(c.name for c in series)}. {'; '.join(said)}.", caption)


def _dots(result: ExperimentResult, figures: Sequence[Figure], unit: str) -> Optional[Picture]:
    with_interval = any(figure.low is not None for figure in figures)
    if not with_interval or not any(figure.value is not None for figure in figures):
        return None  # counts are read in the table
    png = dots([_point(figure) for figure in figures], _axis(result, unit), unit, _chance(result, unit))
    said = [f"{figure.name}: {measured(figure)}{_paper(figure)}" for figure in figures]
    name = result.id if unit == SHARE else f"{result.id}_{unit.replace(' ', '_')}"
    paper = "; diamonds are the paper's numbers" if any(figure.paper is not None for figure in figures) else ""
    return Picture(name, png, f"{'; '.join(said)}.", f"{TITLES[result.id]}: dots with 95 % intervals{paper}.")


def _point(figure: Figure) -> Point:
    return Point(figure.name, figure.value, figure.low, figure.high, figure.paper, figure.x or 0.0)


def _paper(figure: Figure) -> str:
    return "" if figure.paper is None else f", the paper {number(figure.paper, figure.unit)}"


def _axis(result: ExperimentResult, unit: str) -> str:
    if unit != SHARE:
        return unit
    return "accuracy on balanced test sets" if result.id in WITH_CHANCE else "grasps that held"


def _chance(result: ExperimentResult, unit: str) -> Optional[float]:
    return 0.5 if unit == SHARE and result.id in WITH_CHANCE else None
