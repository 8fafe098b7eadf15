"""How the run was made: what somebody needs to make it again, and how long each step took."""

from typing import Any, List, Mapping

from grasp_learning.reporting.parts import Cell, Section, Table
from grasp_learning.reporting.sources import Sources
from grasp_learning.reporting.words import duration, moment

ID, TITLE = "run", "How this was run"


def run_section(sources: Sources) -> Section:
    """The section of seeds, versions, machine, command and durations."""
    section = Section(ID, TITLE)
    run = sources.run
    if run is None:
        section.lacking = "experiments.json is missing or damaged, so nobody knows how this was run."
        return section
    facts = [
        ("profile", run.profile),
        ("seed", str(run.seed)),
        ("package version", run.package_version),
        ("commit", run.commit or "not known"),
        ("machine", run.machine or "not known"),
        ("last command", sources.relative(run.command) or "not known"),
        ("started", moment(run.started) if run.started else "not known"),
        ("finished", moment(run.finished) if run.finished else "not finished"),
        (
            "steps that ran",
            f"{len(run.steps)}, {duration(sum(run.steps.values()))} in all (wall clock, killed runs left out)",
        ),
    ]
    section.tables = [Table("The run", ["", ""], [[Cell(key, head=True), Cell(text)] for key, text in facts])]
    if run.settings:
        section.tables.append(Table(f"Profile {run.profile}", ["key", "value"], _settings(run.settings)))
    if run.steps:
        rows = [[Cell(name, head=True), Cell(duration(seconds), number=True)] for name, seconds in run.steps.items()]
        section.tables.append(Table("How long each step ran", ["step", "wall clock"], rows))
    return section


def _settings(values: Mapping[str, Any]) -> List[List[Cell]]:
    return [[Cell(key, head=True), Cell(_plain(value), number=True)] for key, value in values.items()]


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(each)}" for key, each in value.items()) or "–"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value)) or "–"
    return str(value)
