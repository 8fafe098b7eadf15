"""The evaluated methods in detail: figures of Table II's evaluation, calibration, precision, objects and angles."""

from typing import List, Optional, Sequence

from grasp_learning.evaluation.results import Evaluation, Group, Interval, MethodResult
from grasp_learning.reporting.headline import NETWORK, TABLE2, method_name, points, title_of, told
from grasp_learning.reporting.parts import Cell, Picture, Section, Table
from grasp_learning.reporting.plots import Line, Point, dots, lines
from grasp_learning.reporting.sources import Sources
from grasp_learning.reporting.words import duration, share

ID, TITLE = "methods", "Methods in detail"
CAPTION_CALIBRATION = (
    "Calibration on {where}, with Wilson's 95 % intervals: where a line is below the diagonal, fewer grasps hold than "
    "predicted. Test sets are balanced, so that half of all grasps hold."
)


def methods_section(sources: Sources) -> Section:
    """The section of details."""
    section = Section(ID, TITLE)
    found = sources.evaluation(TABLE2)
    if found is None:
        section.lacking = "There is no evaluation of Table II's methods in this folder (yet)."
        return section
    splits = list(dict.fromkeys(result.split for result in found.results))
    section.paragraphs = [_introduction(found)]
    command = sources.relative(" ".join(found.command))
    section.origins = [("all numbers of this section", f"{_folder(sources, found)}/evaluation.json", command)]
    for split in splits:
        results = [result for result in found.results if result.split == split]
        section.tables.append(_table(split, results))
        section.pictures += [picture for picture in _pictures(split, results) if picture is not None]
    section.tables += [table for table in (_differences(found), *_breakdown(found, splits)) if table is not None]
    section.notes = list(found.notes) + [note for test in found.tests for note in test.notes]
    if any(result.optimistic for result in found.results):
        section.notes.append("* chose its parameters on the test set, as in the paper: an upper limit.")
    return section


def _folder(sources: Sources, found: Evaluation) -> str:
    return next(name for name, evaluation in sources.evaluations.items() if evaluation is found)


def _introduction(found: Evaluation) -> str:
    tests = "; ".join(
        f"{title_of(test.split)}: {test.samples:,} patches, {test.successes:,} of them held "
        f"({test.surplus:,} more of the larger class left out)"
        for test in found.tests
    )
    return (
        f"Balanced test sets, {tests}. Intervals are 95 %, by {found.rounds:,} bootstrap draws of whole scenes (of "
        f"trials where scenes are not known), seed {found.seed}. AUC is the area under the ROC curve, AP the average "
        "precision, ECE the expected calibration error."
    )


def _table(split: str, results: Sequence[MethodResult]) -> Table:
    header = ["method", "accuracy (95 %)", "the paper", "precision", "recall", "AUC", "AP", "ECE", "learnt from", "fit"]
    return Table(f"Methods on {title_of(split)}", header, [_row(result) for result in results])


def _row(result: MethodResult) -> List[Cell]:
    calibration = result.calibration
    values = [
        told(result.accuracy) if result.accuracy.value is not None else "–",
        "–" if result.paper is None else f"{share(result.paper)} %",
        _decimal(result.precision),
        _decimal(result.recall_success),
        _decimal(result.auc.value),
        _decimal(result.average_precision.value),
        _decimal(calibration.error if calibration else None),
        f"{result.train_samples:,}" if result.train_samples else "–",
        duration(result.fit_seconds) if result.train_samples else "–",
    ]
    parameters = ", ".join(f"{key} {value}" for key, value in result.parameters.items())
    head = Cell(method_name(result.method) + (" *" if result.optimistic else ""), parameters, head=True)
    return [head, *(Cell(value, number=True) for value in values)]


def _decimal(value: Optional[float]) -> str:
    return "–" if value is None else f"{value:.3f}"


def _pictures(split: str, results: Sequence[MethodResult]) -> List[Optional[Picture]]:
    return [_calibration(split, results), _precision(split, results), _objects(split, results)]


def _calibration(split: str, results: Sequence[MethodResult]) -> Optional[Picture]:
    series, said = [], []
    for result in results:
        if result.calibration is None:
            continue
        bins = [each for each in result.calibration.bins if each.samples and each.rate.value is not None]
        ends = [(each.rate.low, each.rate.high) for each in bins]
        series.append(
            Line(
                method_name(result.method), [each.mean_score for each in bins], [each.rate.value for each in bins], ends
            )
        )
        said.append(f"{method_name(result.method)}: expected calibration error {result.calibration.error:.3f}")
    if not series:
        return None
    png = lines(series, "grasps that held", "predicted probability", diagonal=True)
    caption = CAPTION_CALIBRATION.format(where=title_of(split))
    return Picture(f"calibration_{split}", png, f"Reliability diagram. {'; '.join(said)}.", caption)


def _precision(split: str, results: Sequence[MethodResult]) -> Optional[Picture]:
    series, said = [], []
    for result in results:
        if not result.curve:
            continue
        points_ = sorted(result.curve, key=lambda point: point.recall)
        series.append(
            Line(method_name(result.method), [each.recall for each in points_], [each.precision for each in points_])
        )
        said.append(f"{method_name(result.method)}: average precision {_decimal(result.average_precision.value)}")
    if not series:
        return None
    png = lines(series, "precision", "recall", level=0.5)
    caption = f"Precision over recall on {title_of(split)}."
    return Picture(f"precision_{split}", png, f"Precision over recall. {'; '.join(said)}.", caption)


def _objects(split: str, results: Sequence[MethodResult]) -> Optional[Picture]:
    """Accuracy of the last network by object, where these are few enough to be drawn."""
    best = _best_network(results)
    if best is None or not 1 < len(best.objects) <= 40:
        return None
    groups = sorted(best.objects, key=lambda group: group.accuracy.value or 0.0, reverse=True)
    marks = [_mark(group) for group in groups]
    name = method_name(best.method)
    caption = f"{name} on {title_of(split)} by nearest object (patches in brackets), with Wilson's 95 % intervals."
    said = "; ".join(f"{group.name} {told(group.accuracy)}" for group in groups if group.accuracy.value is not None)
    png = dots(marks, "predicted right", chance=0.5)
    return Picture(f"objects_{split}", png, f"Accuracy by object. {said}.", caption)


def _mark(group: Group) -> Point:
    figure: Interval = group.accuracy
    return Point(f"{group.name} ({group.samples})", figure.value, figure.low, figure.high)


def _best_network(results: Sequence[MethodResult]) -> Optional[MethodResult]:
    networks = [each for each in results if each.spec.startswith(NETWORK) and each.accuracy.value is not None]
    return max(networks, key=lambda each: each.accuracy.value or 0.0) if networks else None


def _differences(found: Evaluation) -> Optional[Table]:
    """Neighbours in the order of their accuracy, compared on the same patches."""
    rows = []
    for split in dict.fromkeys(each.split for each in found.comparisons):
        known = [each for each in found.results if each.split == split and each.accuracy.value is not None]
        names = [each.method for each in sorted(known, key=lambda each: each.accuracy.value or 0.0)]
        for first, second in zip(names, names[1:]):
            try:
                comparison = found.compare(first, second, split)
            except KeyError:
                continue
            rows.append(
                [
                    Cell(f"{method_name(second)} over {method_name(first)}", head=True),
                    Cell(title_of(split)),
                    Cell(points(found, comparison)),
                ]
            )
    return Table("Each method over the next worse one, on the same patches", ["", "on", "lead"], rows) if rows else None


def _breakdown(found: Evaluation, splits: Sequence[str]) -> List[Table]:
    """The best network by angle, and by object."""
    tables = []
    for split in splits:
        best = _best_network([each for each in found.results if each.split == split])
        if best is None:
            continue
        where = title_of(split)
        bins = [group.model_copy(update={"name": f"{10 * int(group.name)}°"}) for group in best.bins if group.samples]
        tables.append(_groups(f"{method_name(best.method)} on {where} by angle", "angle", bins))
        tables.append(_groups(f"{method_name(best.method)} on {where} by nearest object", "object", best.objects))
    return [table for table in tables if table.rows]


def _groups(caption: str, first: str, groups: Sequence[Group]) -> Table:
    rows = []
    for group in groups:
        texts = [
            str(group.samples),
            str(group.successes),
            told(group.accuracy) if group.accuracy.value is not None else "–",
        ]
        texts += [_decimal(group.recall_success), _decimal(group.recall_failure)]
        rows.append([Cell(group.name, head=True), *(Cell(text, number=True) for text in texts)])
    header = [first, "patches", "held", "predicted right (95 %)", "successes found", "failures found"]
    return Table(caption, header, rows)
