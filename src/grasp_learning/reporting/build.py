"""From a folder of experiments to its page and its figures."""

import os
from pathlib import Path
from typing import List, NamedTuple

from grasp_learning.durable import write_atomically
from grasp_learning.experiments.results import EXPERIMENT_IDS
from grasp_learning.reporting import examples, ranked
from grasp_learning.reporting.clearing_tables import add_tables
from grasp_learning.reporting.differences import differences
from grasp_learning.reporting.errors import ReportError
from grasp_learning.reporting.experiment import experiment_section
from grasp_learning.reporting.headline import Statement, headline
from grasp_learning.reporting.methods import methods_section
from grasp_learning.reporting.origin import run_section
from grasp_learning.reporting.page import render
from grasp_learning.reporting.parts import Picture, Section
from grasp_learning.reporting.sources import Sources, gather

PAGE_FILE, FIGURES_FOLDER = "report.html", "figures"
LEFT_OUT = "Left out, as was asked for by --no-picture."
# the comparison of methods is what the paper is about
ORDER = ("table2", *(name for name in EXPERIMENT_IDS if name != "table2"))


class Report(NamedTuple):
    """What was written.

    Attributes:
        page: the HTML file.
        figures: the PNGs.
        statements: the headline.
        missing: ids of experiments without results.
        problems: one sentence for each damaged file.
    """

    page: Path
    figures: List[Path]
    statements: List[Statement]
    missing: List[str]
    problems: List[str]


def write_report(folder, pictures: bool = True) -> Report:
    """Write report.html and figures/*.png into a folder of experiments.

    Args:
        pictures: draw patches too, for which a network is asked; plots are always drawn.

    Raises:
        ReportError: the folder holds no experiments, or the files cannot be written.
    """
    sources = gather(folder)
    sections = make_sections(sources, pictures)
    statements = headline(sources)
    page = render(sources, statements, sections)
    drawn = [picture for section in sections for picture in section.pictures]
    try:
        figures = _write_figures(sources.folder / FIGURES_FOLDER, drawn)
        _write(sources.folder / PAGE_FILE, page.encode())
    except OSError as error:
        name = error.filename2 or error.filename or sources.folder
        raise ReportError(f"{name}: cannot be written ({error.strerror}); make room, or make it writable") from error
    return Report(sources.folder / PAGE_FILE, figures, statements, sources.missing, sources.problems)


def make_sections(sources: Sources, pictures: bool = True) -> List[Section]:
    """All sections of the page, in their order."""
    sections = [experiment_section(sources, name) for name in ORDER]
    add_tables(sections[ORDER.index("clear_table")], sources)
    if pictures:
        sections += [ranked.ranked_section(sources), examples.examples_section(sources)]
    else:
        sections += [Section(each.ID, each.TITLE, lacking=LEFT_OUT) for each in (ranked, examples)]
    sections.append(methods_section(sources))
    real = Section("differences", "How the simulator differs from the real world", points=differences())
    real.paragraphs = [
        "The numbers here come from a simulator, the paper's from a robot. Side by side they show whether the same "
        "effects appear, not whether one robot is better than the other."
    ]
    return [*sections, real, run_section(sources)]


def _write_figures(folder: Path, pictures: List[Picture]) -> List[Path]:
    folder.mkdir(exist_ok=True)
    paths = []
    for picture in pictures:
        paths.append(folder / f"{picture.name}.png")
        _write(paths[-1], picture.png)
    # those of an earlier report that this one has not would be taken for its own
    for path in set(folder.glob("*.png")) - set(paths):
        path.unlink()
    return paths


def _write(path: Path, content: bytes) -> None:
    write_atomically(path, path.with_name(f".{path.name}.{os.getpid()}.part"), content)
