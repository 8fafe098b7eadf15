"""What a folder of experiments holds for a report; damaged files cost their own section and no other."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional

from grasp_learning.clearing import TABLES_FILE
from grasp_learning.evaluation.results import EVALUATION_FILE, Evaluation, EvaluationError, load_evaluation
from grasp_learning.experiments.errors import ExperimentError
from grasp_learning.experiments.places import Places
from grasp_learning.experiments.results import (
    EXPERIMENT_IDS,
    RESULTS_FOLDER,
    RUN_FILE,
    ExperimentResult,
    RunInfo,
    load_result,
    load_run,
)
from grasp_learning.reporting.errors import ReportError
from grasp_learning.storage import COLLECTION_FILE

INTERPRETER = re.compile(r"(?<!\S)/\S*/(python[\d.]*)(?=\s|$)")
# hold nothing that is looked for here, but many files
PASSED_OVER = frozenset({"shards", "bags", "logs", "figures", "dataset", "cache", "training"})


@dataclass
class Sources:
    """What there is.

    Attributes:
        folder: of the experiments.
        run: how they were run; None where experiments.json is missing or damaged.
        results: of the experiments that have ended, by id.
        problems: one sentence for each damaged file.
        collections, tables: folders of that kind, in the order of their names.
        evaluations: by their folders' paths relative to this one.
    """

    folder: Path
    run: Optional[RunInfo] = None
    results: Dict[str, ExperimentResult] = field(default_factory=dict)
    problems: List[str] = field(default_factory=list)
    collections: List[Path] = field(default_factory=list)
    tables: List[Path] = field(default_factory=list)
    evaluations: Dict[str, Evaluation] = field(default_factory=dict)

    @property
    def missing(self) -> List[str]:
        """Ids of experiments without figures, in the paper's order."""
        return [name for name in EXPERIMENT_IDS if name not in self.results]

    def evaluation(self, name: str) -> Optional[Evaluation]:
        """The evaluation of an experiment; None where there is none."""
        return self.evaluations.get(self.name(Places(self.folder).evaluation(name)))

    @property
    def ended(self) -> bool:
        """Whether the run came to its end with all that it was asked for."""
        return self.run is not None and bool(self.run.finished)

    def name(self, path: Path) -> str:
        """A path as a reader of the page sees it: relative to the folder."""
        return str(Path(path).relative_to(self.folder))

    def relative(self, text: str) -> str:
        """A text without the paths of one machine, since a page is read elsewhere: as typed in this folder."""
        for root in self._roots():
            text = re.sub(rf"{re.escape(root)}(?:/|(?![\w.-]))", lambda found: "" if found[0][-1] == "/" else ".", text)
        return INTERPRETER.sub(r"\1", text)

    def _roots(self) -> List[str]:
        """Where this folder is, and where it was when the experiments were run."""
        roots = [str(self.folder)]
        words = self.run.command.split() if self.run is not None else []
        roots += [word.rstrip("/") for before, word in zip(words, words[1:]) if before == "--out"]
        return [root for root in dict.fromkeys(roots) if root.startswith("/") and root != "/"]


def is_experiments(folder) -> bool:
    """Whether a folder holds experiments, or what is left of them."""
    results = Path(folder) / RESULTS_FOLDER  # others have folders of this name, too
    return (Path(folder) / RUN_FILE).exists() or any((results / f"{name}.json").exists() for name in EXPERIMENT_IDS)


def gather(folder) -> Sources:
    """Find what there is to report.

    Raises:
        ReportError: the folder holds no experiments, or cannot be read.
    """
    folder = Path(os.path.abspath(Path(folder).expanduser()))  # without "..", as commands name it
    if not is_experiments(folder):
        raise ReportError(f"{folder}: no {RUN_FILE} here; name the folder that `experiments --out` wrote to")
    sources = Sources(folder)
    try:
        sources.run = load_run(folder)
    except ExperimentError as error:
        sources.problems.append(sources.relative(str(error)))
    for name in EXPERIMENT_IDS:
        try:
            result = load_result(folder, name)
        except ExperimentError as error:
            sources.problems.append(sources.relative(str(error)))
            continue
        if result is not None:
            sources.results[name] = result
    _find(sources)
    return sources


def _find(sources: Sources) -> None:
    """Look for collections, tables and evaluations."""

    def unreadable(error: OSError) -> None:
        sources.problems.append(f"{sources.relative(str(error.filename))}: cannot be read ({error.strerror})")

    for place, folders, files in os.walk(sources.folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if name not in PASSED_OVER and not name.startswith("."))
        here = Path(place)
        if COLLECTION_FILE in files:
            sources.collections.append(here)
        if TABLES_FILE in files:
            sources.tables.append(here)
        if EVALUATION_FILE in files:
            try:
                sources.evaluations[sources.name(here)] = load_evaluation(here)
            except EvaluationError as error:
                sources.problems.append(sources.relative(str(error)))
