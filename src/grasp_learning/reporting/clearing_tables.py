"""Each table that was cleared, below the experiment's own figures."""

from typing import List

import numpy as np

from grasp_learning.clearing import CLEARED, TABLES_FILE, TableRecord, read_tables
from grasp_learning.reporting.parts import Cell, Picture, Section, Table
from grasp_learning.reporting.plots import Point, dots
from grasp_learning.reporting.sources import Sources
from grasp_learning.reporting.words import duration
from grasp_learning.storage_errors import CollectionError

HEADER = ("table", "objects", "tries", "held", "into a bin", "lost", "put back", "outcome", "robot's time")


def add_tables(section: Section, sources: Sources) -> None:
    """Add a table and a plot of the tries of each folder of cleared tables; a damaged file is a problem."""
    for folder in sources.tables:
        try:
            records = read_tables(folder)
        except CollectionError as error:
            sources.problems.append(sources.relative(str(error)))
            continue
        if not records:
            continue
        name = sources.name(folder)
        origin = f"{name}/{TABLES_FILE}"
        section.tables.append(Table(f"Tables in {name}", HEADER, [_row(record, origin) for record in records]))
        section.pictures.append(_picture(records, name, len(section.pictures)))
        section.origins.append(("each table", origin, ""))
        section.lacking = ""


def _row(record: TableRecord, origin: str) -> List[Cell]:
    counts = (record.objects, record.tries, record.held, record.removed, record.lost, record.put_back)
    numbers = [Cell(str(count), origin, number=True) for count in counts]
    outcome = record.outcome.lower().replace("_", " ")
    return [Cell(str(record.table), head=True), *numbers, Cell(outcome), Cell(duration(record.seconds), number=True)]


def _picture(records: List[TableRecord], name: str, number: int) -> Picture:
    points = []
    for record in records:
        state = "" if record.outcome == CLEARED else f", {record.outcome.lower().replace('_', ' ')}"
        points.append(Point(f"table {record.table} ({record.objects} objects{state})", float(record.tries)))
    emptied = [record.tries for record in records if record.cleared]
    mean = f", {np.mean(emptied):.1f} in the mean" if emptied else ""
    said = "; ".join(f"table {record.table}: {record.tries}" for record in records)
    caption = f"Tries for each table in {name}; {len(emptied)} of {len(records)} were emptied{mean}."
    return Picture(
        f"tries_per_table_{number}", dots(points, "tries", "tries"), f"Tries for each table. {said}.", caption
    )
