"""An experiment as a section: its question, its figures beside the paper's, its plot, and where each number is from."""

from dataclasses import replace
from typing import Dict, List, Optional, Sequence

from grasp_learning.experiments.results import ExperimentResult, Figure
from grasp_learning.reporting.grids import origins, series_of, step_name, tables_of
from grasp_learning.reporting.headline import of_claim
from grasp_learning.reporting.parts import Picture, Section
from grasp_learning.reporting.plots import Curve, Point, curves, dots
from grasp_learning.reporting.sources import Sources
from grasp_learning.reporting.words import SHARE, listed, measured, number, plain

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
# of these the shares are accuracies on balanced sets, where guessing is right in half of the cases
ACCURACIES = ("table2", "fig8", "pretraining", "stages", "aggregation", "gamma")
CHANCE = 0.5
ACCURACY, RATES = "accuracy on balanced test sets", "grasps that held"  # axes
RATE = "grasp rate"


def experiment_section(sources: Sources, name: str) -> Section:
    """The section of an experiment; of one that is missing, why."""
    result = sources.results.get(name)
    if result is None:
        return Section(name, TITLES[name], lacking=_why_missing(sources, name))
    section = Section(name, result.title or TITLES[name], [result.question])
    section.statement = None if result.order is None else of_claim(result.order, name)
    section.pictures = draw_experiment(result)
    section.tables = tables_of(sources, result)
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
        return f"This run was not asked for it; experiments --only {name} adds it."
    state = "failed or was interrupted" if sources.ended else "has not come to it, or was interrupted before"
    return f"It was asked for, but the run {state}; running the same command again goes on."


def draw_experiment(result: ExperimentResult) -> List[Picture]:
    """Its plots: curves where figures lie on some, else one of dots for each unit that is worth drawing."""
    if not any(figure.value is not None for figure in result.figures):
        return []
    shown = [figure for figure in result.figures if figure.value is not None or figure.paper is not None]
    on_curves = [figure for figure in shown if figure.x is not None and figure.series]
    if len({figure.x for figure in on_curves}) < 2:
        on_curves = []  # a single step is no curve
    rest = [figure for figure in shown if figure not in on_curves]
    pictures = []
    # accuracies and grasp rates are of different things, even though both are shares
    for rates in (False, True):
        some = [figure for figure in on_curves if _is_rate(result, figure) == rates]
        if any(figure.value is not None for figure in some):
            pictures.append(_curves(result, some, rates))
    for unit in dict.fromkeys(figure.unit for figure in rest):
        picture = _dots(result, [figure for figure in rest if figure.unit == unit], unit)
        pictures += [picture] if picture else []
    return pictures


def _is_rate(result: ExperimentResult, figure: Figure) -> bool:
    return result.id not in ACCURACIES or RATE in figure.name


def _curves(result: ExperimentResult, figures: Sequence[Figure], rates: bool) -> Picture:
    names = list(dict.fromkeys(map(series_of, figures)))
    series = [Curve(name, _points([each for each in figures if series_of(each) == name])) for name in names]
    chance = None if rates else CHANCE
    png = curves(series, RATES if rates else ACCURACY, step_name(result), chance=chance, growing=result.id == "fig8")
    drawn = [figure for figure in figures if figure.value is not None]
    said = "; ".join(
        f"{series_of(each)}, {step_name(result)} {plain(each.x or 0.0)}: {measured(each)}" for each in drawn
    )
    name = f"{result.id}_rates" if rates and result.id in (*ACCURACIES, "table1") else result.id
    return Picture(name, png, f"Curves of {listed(names)}. {said}.", _caption(result, figures, "empty marks"))


def _points(figures: Sequence[Figure]) -> List[Point]:
    """Points of a curve, one for each place; the paper's may come on their own."""
    points: Dict[float, Point] = {}
    for figure in figures:
        point, known = _point(figure), points.get(figure.x or 0.0)
        if known is not None and known.value is not None:
            point = replace(known, paper=known.paper if known.paper is not None else point.paper)
        points[point.x] = point
    return list(points.values())


def _dots(result: ExperimentResult, figures: Sequence[Figure], unit: str) -> Optional[Picture]:
    if not any(figure.value is not None and figure.low is not None for figure in figures):
        return None  # counts are read in the table
    rates = unit == SHARE and result.id not in ACCURACIES
    axis = unit if unit != SHARE else (RATES if rates else ACCURACY)
    png = dots([_point(figure) for figure in figures], axis, unit, None if rates or unit != SHARE else CHANCE)
    said = [f"{figure.name}: {measured(figure)}{_paper(figure)}" for figure in figures]
    name = result.id if unit == SHARE else f"{result.id}_{unit.replace(' ', '_')}"
    return Picture(name, png, f"{'; '.join(said)}.", _caption(result, figures, "diamonds"))


def _caption(result: ExperimentResult, figures: Sequence[Figure], marks: str) -> str:
    paper = f"; {marks} are the paper's numbers" if any(figure.paper is not None for figure in figures) else ""
    return f"{TITLES[result.id]}: dots with 95 % intervals{paper}."


def _point(figure: Figure) -> Point:
    return Point(figure.name, figure.value, figure.low, figure.high, figure.paper, figure.x or 0.0)


def _paper(figure: Figure) -> str:
    return "" if figure.paper is None else f", the paper {number(figure.paper, figure.unit)}"
