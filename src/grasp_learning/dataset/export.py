"""From collections to a dataset: a folder of Parquet files that grows by whole files only.

A collection's labelled trials are cut into parts of PART_ROWS in the order in which they were finished. A part's
metadata tells what it was made of, so that an export that was killed, or is run again with more collections or with
one that grew, makes only the parts that are missing or would be different now. dataset.yaml lists a collection when
all its parts are there.
"""

import hashlib
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence

from pydantic import Field
from tqdm import tqdm

from grasp_learning.config import ConfigError, Settings, parse_settings
from grasp_learning.dataset.folder import DatasetFolder, SourceInfo, part_metadata, source_name
from grasp_learning.dataset.reader import DatasetError
from grasp_learning.dataset.released import import_released, is_released
from grasp_learning.dataset.schema import DAMAGED_KEY, PLAN_KEY, PatchGeometry
from grasp_learning.dataset.splits import (
    NovelObjects,
    Plan,
    SplitSettings,
    only_novel,
    plan_splits,
    scene_of,
)
from grasp_learning.dataset.workers import Cut, Cutters
from grasp_learning.dataset.writer import write_part
from grasp_learning.geometry import NUM_BINS, angle_to_bin
from grasp_learning.sim.objects import catalogue
from grasp_learning.storage import TRIALS_FILE, CollectionInfo, faults_of, load_info, missing_of, trials_of
from grasp_learning.storage_errors import readable

PART_ROWS = 1000
NO_FILE = "bag or shard missing or incomplete"
DAMAGED = "picture missing, damaged, or without the whole patch"


class Source(NamedTuple):
    """A collection as it is when its export begins.

    Attributes:
        folder: where it lies.
        name: of the folder, fit for a file's name.
        info: its collection.yaml.
        lines: its labelled trials whose files are there.
        left_out: reason -> trials and attempts that are no training data.
        trials_bytes, trials_sha256: of its trials.jsonl.
    """

    folder: Path
    name: str
    info: CollectionInfo
    lines: List[Mapping[str, Any]]
    left_out: Counter
    trials_bytes: int
    trials_sha256: str


def open_source(folder) -> Source:
    """Read a collection's list of trials.

    Raises:
        CollectionError: it is no collection, or its files are damaged.
        DatasetError: a trial's grasp is outside the conventions, or the folder's name cannot be used.
    """
    folder = Path(folder).expanduser().absolute()
    info = load_info(folder)
    content = b""
    if (folder / TRIALS_FILE).exists():
        with readable(folder / TRIALS_FILE):
            content = (folder / TRIALS_FILE).read_bytes()
    lines = list(trials_of(folder))
    left_out = Counter(str(fault["outcome"]) for fault in faults_of(folder))
    missing = len(missing_of(folder))
    if missing:
        left_out[NO_FILE] = missing
    labelled = [line for line in lines if line["outcome"] in ("SUCCESS", "FAILURE")]
    left_out.update(line["outcome"] for line in lines if line["outcome"] not in ("SUCCESS", "FAILURE"))
    for line in labelled:
        _check_grasp(folder, line)
    return Source(
        folder, source_name(folder), info, labelled, left_out, len(content), hashlib.sha256(content).hexdigest()
    )


class _GraspLine(Settings):
    """What the export reads of a labelled trial's line."""

    u: float
    v: float
    theta_image: float = Field(ge=0, lt=math.pi)
    bin: int = Field(ge=0, lt=NUM_BINS)
    patch_size: int = Field(ge=1)
    stage: int = Field(ge=0)
    mode: str


def _check_grasp(folder: Path, line: Mapping[str, Any]) -> None:
    where = f"{folder / TRIALS_FILE}, trial {line['number']}"
    try:
        grasp = parse_settings(_GraspLine, {key: line.get(key) for key in _GraspLine.model_fields}, where)
    except ConfigError as error:
        raise DatasetError(f"{str(error).splitlines()[0]}; repair the line") from None
    expected = angle_to_bin(grasp.theta_image)
    if grasp.bin != expected:
        raise DatasetError(
            f"{where}: key 'bin' is {grasp.bin}, expected {expected}, the bin of theta_image {grasp.theta_image:.4f}; "
            "repair the line"
        )


class Exporter:
    """Exports collections into one dataset.

    Args:
        out: the dataset's folder, held by this process.
        cutters: who reads the pictures.
        quiet: show no progress.
    """

    def __init__(self, out: DatasetFolder, cutters: Cutters, quiet: bool = False, part_rows: int = PART_ROWS):
        self._out = out
        self._cutters = cutters
        self._quiet = quiet
        self._part_rows = part_rows
        self._settings: SplitSettings = out.info.splits
        test_objects = frozenset(item.name for item in catalogue("test"))
        self._novel = NovelObjects(self._settings, test_objects)

    def export(self, source: Source) -> SourceInfo:
        """Export a collection, or what is new in it.

        Raises:
            CollectionError, DatasetError: see open_source and DatasetFolder; what was complete stays.
        """
        self._out.check_identity(source.folder, source.name, source.info.started, source.info.seed)
        damaged = self._known_damaged(source)
        while True:
            plan = self._plan(source, damaged)
            found = self._export_parts(source, plan, damaged)
            if found.keys() <= damaged.keys():
                break
            # without them the test sets have to be balanced anew; most parts stay as they are
            damaged.update(found)
        return self._finish(source, plan, damaged)

    def _plan(self, source: Source, damaged: Mapping[int, str]) -> Plan:
        lines = [line for line in source.lines if line["number"] not in damaged]
        test_only = source.info.objects == "test" or only_novel(source.lines, self._novel)
        # a simulation's scenes follow from its seed
        scenes = f"simulated {source.info.seed}" if source.info.source == "inprocess" else source.name
        return plan_splits(lines, source.name, self._settings, self._novel, test_only, scenes)

    def _part_path(self, source: Source, place: int) -> Path:
        return self._out.path / f"part-{source.name}-{place:05d}.parquet"

    def _part_places(self, source: Source) -> range:
        return range(math.ceil(len(source.lines) / self._part_rows))

    def _known_damaged(self, source: Source) -> Dict[int, str]:
        """Trials whose pictures earlier exports could not read, number -> reason."""
        known: Dict[int, str] = {}
        for place in self._part_places(source):
            found = part_metadata(self._part_path(source, place)).get(DAMAGED_KEY, b"{}")
            known.update({int(number): reason for number, reason in json.loads(found).items()})
        numbers = {line["number"] for line in source.lines}
        return {number: reason for number, reason in known.items() if number in numbers}

    def _export_parts(self, source: Source, plan: Plan, damaged: Mapping[int, str]) -> Dict[int, str]:
        found: Dict[int, str] = {}
        bar = tqdm(total=len(source.lines), desc=source.name, unit="trial", disable=True if self._quiet else None)
        with bar:
            for place in self._part_places(source):
                lines = source.lines[place * self._part_rows : (place + 1) * self._part_rows]
                path = self._part_path(source, place)
                wanted = [line for line in lines if line["number"] in plan.splits]
                if part_metadata(path).get(PLAN_KEY) != _digest(wanted, plan).encode():
                    known = {line["number"]: damaged[line["number"]] for line in lines if line["number"] in damaged}
                    found.update(self._make_part(source, path, wanted, plan, known, bar))
                bar.update(place * self._part_rows + len(lines) - bar.n)
        return found

    def _make_part(self, source, path: Path, wanted, plan: Plan, known: Mapping[int, str], bar) -> Dict[int, str]:
        by_number = {line["number"]: line for line in wanted}
        rows, taken, found = [], [], {}
        for cut in self._cutters.cut(source.folder, source.name, wanted):
            bar.update()
            line = by_number[cut.number]
            if cut.problem:
                found[cut.number] = cut.problem
                continue
            self._check_geometry(source, cut)
            scene = f"{source.name}/{scene_of(line, self._settings)}"
            rows.append({**cut.row, "split": plan.splits[cut.number], "scene": scene})
            taken.append(line)
        metadata = {
            "plan": _digest(taken, plan),
            "damaged": json.dumps({**known, **found}),
        }
        write_part(path, rows, self._out.info.geometry, metadata)
        return found

    def _check_geometry(self, source: Source, cut: Cut) -> None:
        geometry = PatchGeometry(span=cut.span, patch_size=cut.row["patch_size"])
        ours = self._out.info.geometry
        if not ours.span:
            self._out.write(self._out.info.model_copy(update={"geometry": geometry}))
        elif not ours.agrees(geometry):
            raise DatasetError(
                f"{source.folder}, trial {cut.number}: its patch of {geometry.patch_size} px spans "
                f"{geometry.span:.4f} m at a distance of 1 m, those of the dataset {ours.span:.4f} m; patches of "
                "different geometries are not mixed: export the collection into a folder of its own"
            )

    def _finish(self, source: Source, plan: Plan, damaged: Mapping[int, str]) -> SourceInfo:
        paths = [self._part_path(source, place) for place in self._part_places(source)]
        left_out = Counter(source.left_out)
        left_out.update(plan.left_out.values())
        if damaged:
            left_out[DAMAGED] += len(damaged)
        entry = SourceInfo(
            name=source.name,
            **{key: getattr(source.info, key) for key in ("started", "seed", "robot", "mode", "stage", "model_sha256")},
            trials_bytes=source.trials_bytes,
            trials_sha256=source.trials_sha256,
            trials=len(source.lines),
            parts=[path.name for path in paths],
            counts=_counts(source.lines, plan),
            left_out=dict(left_out),
            damaged={f"{source.name}/{number:06d}": reason for number, reason in sorted(damaged.items())},
        )
        self._out.add(entry)
        return entry


def export_collections(
    folders: Iterable, out, settings: Optional[SplitSettings] = None, workers: int = 1, quiet: bool = True
) -> List[SourceInfo]:
    """Export collections into a dataset; run again, it goes on where it stopped and adds what is new.

    Args:
        folders: of collections, or of releases in the layout of the paper's authors.
        out: folder of the dataset.
        settings: how to split; the same each time.
        workers: processes that read pictures.

    Returns:
        What was taken of each, those of earlier exports included.

    Raises:
        CollectionError, DatasetError: in one line, with the remedy.
    """
    folders = [Path(folder).expanduser().absolute() for folder in folders]
    names = Counter(source_name(folder) for folder in folders)
    for folder in folders:
        if names[source_name(folder)] > 1:
            raise DatasetError(f"{folder}: two folders are named '{source_name(folder)}'; rename one of them")
    releases = [folder for folder in folders if is_released(folder)]
    sources = [open_source(folder) for folder in folders if folder not in releases]
    with DatasetFolder(out, settings or SplitSettings()) as dataset, Cutters(workers) as cutters:
        exporter = Exporter(dataset, cutters, quiet)
        for source in sources:
            exporter.export(source)
        for folder in releases:
            import_released(folder, dataset, quiet)
        return dataset.info.sources


def _digest(lines: Sequence[Mapping[str, Any]], plan: Plan) -> str:
    """What a part is made of."""
    content = [(line["number"], plan.splits[line["number"]], line["outcome"], line["theta_image"]) for line in lines]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _counts(lines: Sequence[Mapping[str, Any]], plan: Plan) -> Dict[str, List[int]]:
    counts: Dict[str, List[int]] = {}
    for line in lines:
        if line["number"] in plan.splits:
            pair = counts.setdefault(plan.splits[line["number"]], [0, 0])
            pair[line["outcome"] == "SUCCESS"] += 1
    return counts
