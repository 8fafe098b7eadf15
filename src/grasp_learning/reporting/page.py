"""The page as HTML, from the template beside this module."""

import base64
from pathlib import Path
from typing import List, Sequence

import jinja2

from grasp_learning.reporting.headline import Statement
from grasp_learning.reporting.parts import Picture, Section
from grasp_learning.reporting.sources import Sources
from grasp_learning.reporting.words import listed

TEMPLATES = Path(__file__).resolve().parent / "templates"
PAGE = "report.html.j2"
PAPER = (
    "Pinto and Gupta, Supersizing Self-supervision: Learning to Grasp from 50K Tries and 700 Robot Hours (ICRA 2016)"
)
LONG = 16  # rows; a longer table is folded


def render(sources: Sources, statements: Sequence[Statement], sections: Sequence[Section]) -> str:
    """The whole page.

    Args:
        statements: of the headline.
        sections: in their order.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["uri"] = data_uri
    return environment.get_template(PAGE).render(
        title=f"Experiments: {sources.folder.name}",
        paper=PAPER,
        run=sources.run,
        state=state_of(sources),
        statements=statements,
        sections=sections,
        problems=sources.problems,
        long=LONG,
    )


def data_uri(picture: Picture) -> str:
    """The picture as the page holds it."""
    content = base64.b64encode(picture.embedded or picture.png).decode()
    return f"data:{picture.mime};base64,{content}"


def state_of(sources: Sources) -> List[str]:
    """Sentences on what is not there; none where all experiments are and the run has ended."""
    told = []
    if sources.run is None:
        told.append("It is not known how this was run: experiments.json is missing or damaged.")
    elif not sources.run.finished:
        told.append("The run has not ended, or was interrupted: this is what there is so far.")
    if sources.missing:
        told.append(f"Without results: {listed(sources.missing)}.")
    return told
