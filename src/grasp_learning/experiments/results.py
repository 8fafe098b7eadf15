"""What an experiment found: figures, each with its interval, the paper's number, its source and its command.

Files, in the folder of the experiments::

    experiments.json        profile, seed, versions, machine, command, times: RunInfo
    results/<id>.json       an experiment: ExperimentResult
"""

import os
from pathlib import Path
from typing import Any, Dict, List, Optional, Type

from pydantic import Field

from grasp_learning.config import ConfigError, Settings, SettingsType, parse_settings
from grasp_learning.durable import write_atomically
from grasp_learning.experiments.errors import ExperimentError
from grasp_learning.storage_errors import read_json

RUN_FILE = "experiments.json"
RESULTS_FOLDER = "results"
FORMAT = 1
# in the order in which the paper has them
EXPERIMENT_IDS = (
    "table1",
    "table2",
    "fig8",
    "pretraining",
    "stages",
    "aggregation",
    "gamma",
    "reranking",
    "grasp_rate",
    "clear_table",
)


class Figure(Settings):
    """One number.

    Attributes:
        name: what is measured, of whom; it is unique in its experiment.
        value: None where it could not be measured; a note of the experiment says why.
        low, high: 95 % interval; None where it has none.
        unit: "share" is a part of 1, else a plural such as "trials" or "tries".
        count: of how many trials, patches or tables it is.
        paper: the paper's number in the same unit.
        series: the curve that it is a point of; empty outside of curves.
        x: its place on the curve.
        source: file that it is computed from, relative to the folder of the experiments.
        command: that wrote that file.
    """

    name: str
    value: Optional[float] = None
    low: Optional[float] = None
    high: Optional[float] = None
    unit: str = "share"
    count: int = Field(0, ge=0)
    paper: Optional[float] = None
    series: str = ""
    x: Optional[float] = None
    source: str = ""
    command: str = ""


class Claim(Settings):
    """Something that the paper found, and whether it is so here.

    Attributes:
        text: the claim.
        holds: None where this run cannot tell, for example when a part of it was not measured.
        reasons: one sentence for each of its parts: where it holds or not, with the numbers and their intervals.
    """

    text: str
    holds: Optional[bool] = None
    reasons: List[str] = Field(default_factory=list)


class ExperimentResult(Settings):
    """An experiment.

    Attributes:
        id: one of EXPERIMENT_IDS.
        title: in a few words, with the place in the paper.
        question: a paragraph: what is asked, and how it is answered.
        figures: in the order of a table.
        notes: sentences that a reader of the figures has to know.
        order: a claim that was checked; None where there is none.
        seconds: that its steps ran, shared ones included (s, wall clock).
        format: of the file.
    """

    id: str
    title: str
    question: str
    figures: List[Figure] = Field(default_factory=list)
    notes: List[str] = Field(default_factory=list)
    order: Optional[Claim] = None
    seconds: float = Field(0.0, ge=0)
    format: int = FORMAT


class RunInfo(Settings):
    """How the experiments of a folder were run.

    Attributes:
        profile: its name.
        settings: all of its keys.
        seed: of every random choice.
        package_version: of grasp_learning.
        commit: of its source, with "+" behind it where that was changed; empty where it is not known. Where steps were
            run with several, one after the other, all of them in this order; likewise version and machine.
        machine: processor, cores, memory, GPU, in words.
        command: the last one.
        started: first start (ISO 8601, UTC).
        finished: when the last step that was asked for ended; empty before.
        steps: name -> seconds that it ran, those of killed runs left out (wall clock).
        experiments: ids that were asked for so far.
        format: of the file.
    """

    profile: str
    settings: Dict[str, Any]
    seed: int = Field(ge=0)
    package_version: str
    commit: str = ""
    machine: str = ""
    command: str = ""
    started: str = ""
    finished: str = ""
    steps: Dict[str, float] = Field(default_factory=dict)
    experiments: List[str] = Field(default_factory=list)
    format: int = FORMAT


def save(out, result: ExperimentResult) -> Path:
    """Write an experiment's file.

    Args:
        out: folder of the experiments.

    Returns:
        Where it lies.

    Raises:
        OSError: it cannot be written.
    """
    folder = Path(out) / RESULTS_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.id}.json"
    _write(path, result)
    return path


def save_run(out, info: RunInfo) -> None:
    """Write experiments.json.

    Raises:
        OSError: it cannot be written.
    """
    _write(Path(out) / RUN_FILE, info)


def load_results(out) -> List[ExperimentResult]:
    """The experiments of a folder that have ended, in the order of EXPERIMENT_IDS.

    Raises:
        ExperimentError: a file is damaged or of another format.
    """
    found = [load_result(out, name) for name in EXPERIMENT_IDS]
    return [result for result in found if result is not None]


def load_result(out, name: str) -> Optional[ExperimentResult]:
    """One experiment of a folder by its id; None while it has not ended.

    Raises:
        ExperimentError: its file is damaged or of another format.
    """
    return _load(ExperimentResult, Path(out) / RESULTS_FOLDER / f"{name}.json")


def load_run(out) -> Optional[RunInfo]:
    """What experiments.json tells; None where there is none.

    Raises:
        ExperimentError: it is damaged or of another format.
    """
    return _load(RunInfo, Path(out) / RUN_FILE)


def _write(path: Path, content: Settings) -> None:
    # not the same name for two processes: a report may rewrite what a run writes
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    write_atomically(path, part, content.model_dump_json(indent=2).encode() + b"\n")


def _load(cls: Type[SettingsType], path: Path) -> Optional[SettingsType]:
    remedy = "delete it and run the experiments again"
    try:
        values = read_json(path, ExperimentError, remedy)
    except FileNotFoundError:
        return None
    found = values.get("format") if isinstance(values, dict) else None
    if found != FORMAT:
        raise ExperimentError(f"{path}: is of format {found}, this version reads format {FORMAT}; {remedy}")
    try:
        return parse_settings(cls, values, str(path))
    except ConfigError as error:
        raise ExperimentError(f"{str(error).splitlines()[0]}; {remedy}") from None
