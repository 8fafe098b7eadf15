"""The paper's Fig. 10: grasps that held and grasps that did not, as pictures that nobody chose by hand."""

from pathlib import Path
from typing import Any, List, Mapping, Optional

import numpy as np

from grasp_learning.contact_sheet import GREEN, RED, trial_patch
from grasp_learning.experiments.places import Places
from grasp_learning.pictures import PictureSource
from grasp_learning.reporting.mosaic import mosaic, spread
from grasp_learning.reporting.parts import Section, photograph
from grasp_learning.reporting.sources import Sources
from grasp_learning.storage import count_trials, trials_of
from grasp_learning.storage_errors import CollectionError, PictureError

MOST = 12  # of each kind
ID, TITLE = "examples", "Fig. 10: successes and failures"
QUESTION = (
    "Best grasps of the last network in {name} ({count:,} trials, {held:,} held something): the patch of the wrist "
    "picture that each trial grasped in, with its grasp; the fingers close along the green sides. They are evenly "
    "spread over all trials, not chosen by hand."
)


def examples_section(sources: Sources) -> Section:
    """The section of Fig. 10."""
    section = Section(ID, TITLE)
    try:
        collection = find(sources.folder)
        if collection is None:
            section.lacking = "There are no trials with a network's best grasps in this folder (yet)."
            return section
        _fill(section, sources, collection)
    except (CollectionError, PictureError) as error:
        section.lacking = sources.relative(str(error))
        sources.problems.append(section.lacking)
    return section


def find(folder: Path) -> Optional[Path]:
    """The collection to draw: held-out objects first, over ROS first.

    Raises:
        CollectionError: a collection is damaged.
    """
    places = Places(folder)
    robots = [places.robot(name) for name in ("novel_reranked", "novel_plain")]
    alone = [places.collection(name) for name in ("best_reranked", "best_plain")]
    candidates = [*robots, *alone, places.tables, *(places.robot(name) for name in ("seen_reranked", "seen_plain"))]
    return next((path for path in candidates if path.is_dir() and count_trials(path)), None)


def _fill(section: Section, sources: Sources, collection: Path) -> None:
    lines = list(trials_of(collection))
    held = [line for line in lines if line["outcome"] == "SUCCESS"]
    failed = [line for line in lines if line["outcome"] != "SUCCESS"]
    source = PictureSource(collection)
    groups = [
        ("held something", _patches(source, held), GREEN),
        ("held nothing", _patches(source, failed), RED),
    ]
    groups = [group for group in groups if group[1]]
    if not groups:
        raise PictureError(f"{collection}: no picture of its trials can be read; run the experiments again")
    name = sources.name(collection)
    section.paragraphs = [QUESTION.format(name=name, count=len(lines), held=len(held))]
    counts = " and ".join(f"{len(patches)} that {heading}" for heading, patches, _ in groups)
    section.pictures = [photograph(ID, mosaic(groups), f"Patches of grasps: {counts}.", f"{TITLE}.")]
    section.origins = [("all patches", f"{name}/trials.jsonl", "")]


def _patches(source: PictureSource, lines: List[Mapping[str, Any]]) -> List[np.ndarray]:
    """Patches of some of the trials, those that cannot be read left out."""
    found = []
    for place in spread(len(lines), MOST):
        try:
            found.append(trial_patch(source, lines[place]))
        except PictureError:
            continue  # the export tells which pictures are damaged
    return found
