"""The layout in which the paper's authors released their patches, read and written.

::

    {Train,Validation,Test}/{positive,negative}/dataInfo.txt     a description, then a line a patch: file,angle[,...]
    {Train,Validation,Test}/{positive,negative}/Images/<file>

Their angle is in radians in image axes, and bin t of their network is t * pi / 18 - pi / 2; grasp_learning.geometry
converts. Their pictures are the network's patch alone: they become rows with ``margin`` false, which stand for the
network's whole input and cannot be turned without making up corners.
"""

import hashlib
import json
import math
import shutil
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence, Tuple

import cv2
import numpy as np
from tqdm import tqdm

from grasp_learning.dataset.folder import DatasetFolder, SourceInfo, part_metadata, source_name
from grasp_learning.dataset.pictures import encode_patch
from grasp_learning.dataset.reader import DatasetError, decode_patch, iterate_dataset
from grasp_learning.dataset.schema import (
    DAMAGED_KEY,
    JPEG_QUALITY,
    PLAN_KEY,
    STORED_SIDE,
    TEST_NOVEL,
    TEST_SEEN,
    TRAIN,
    VALIDATION,
    PatchGeometry,
)
from grasp_learning.dataset.writer import write_part
from grasp_learning.durable import sync_folder
from grasp_learning.geometry import angle_to_bin, angle_to_released, released_to_angle
from grasp_learning.patches import NETWORK_SIDE, resize_patch
from grasp_learning.storage_errors import explained

INFO_FILE = "dataInfo.txt"
IMAGES_FOLDER = "Images"
DESCRIPTION = "image file name, grasp angle in image axes (rad, -pi/2 .. pi/2)"
LABELS = {"positive": 1, "negative": 0}
# their folder -> our split; their objects are not known, so what they tested on counts as seen
FOLDERS = {"Train": TRAIN, "Validation": VALIDATION, "Val": VALIDATION, "Test": TEST_SEEN}
_WRITTEN = {TRAIN: "Train", VALIDATION: "Validation", TEST_SEEN: "Test", TEST_NOVEL: "Test"}
_DAMAGED = "picture damaged"
_STARTED = "released"  # in the place of a collection's time


class ReleasedPatch(NamedTuple):
    """A line of a dataInfo.txt.

    Attributes:
        path: of the picture.
        name: of the patch, unique in the release: Train/positive/<file>.
        split, label: ours.
        angle: image axes, rad, in [0, pi).
    """

    path: Path
    name: str
    split: str
    label: int
    angle: float


def is_released(folder) -> bool:
    """Whether a folder looks like the released layout."""
    return any((Path(folder) / split / label).is_dir() for split in FOLDERS for label in LABELS)


def list_released(folder) -> List[ReleasedPatch]:
    """All patches that the dataInfo.txt files name.

    Raises:
        DatasetError: a file is missing or malformed; the message names it.
    """
    folder = Path(folder)
    groups = [(split, label) for split in FOLDERS for label in LABELS if (folder / split / label).is_dir()]
    if not groups:
        raise DatasetError(f"{folder}: has no Train/positive or the like; name the folder of a release")
    patches = [patch for split, label in groups for patch in _read_info(folder / split / label, split, label)]
    missing = [patch.path for patch in patches if not patch.path.is_file()]
    if missing:
        raise DatasetError(
            f"{missing[0]}: is missing, though {INFO_FILE} names it ({len(missing)} such pictures); "
            "unpack the release again, or remove its line"
        )
    return patches


def _read_info(folder: Path, split: str, label: str) -> Iterator[ReleasedPatch]:
    path = folder / INFO_FILE
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); unpack the release again") from None
    for place, text in enumerate(lines[1:], 2):
        if not text.strip():
            continue
        file, *rest = (part.strip() for part in text.split(","))
        angle = _angle_of(rest[0] if rest else "", f"{path}, line {place}")
        if not file or Path(file).name != file:
            raise DatasetError(f"{path}, line {place}: '{file}' is no file name; repair the line")
        name = f"{split}/{label}/{file}"
        yield ReleasedPatch(folder / IMAGES_FOLDER / file, name, FOLDERS[split], LABELS[label], angle)


def _angle_of(text: str, where: str) -> float:
    try:
        angle = float(text)
    except ValueError:
        raise DatasetError(f"{where}: angle is '{text}', expected a number (rad); repair the line") from None
    # wider than -pi/2 .. pi/2, since a gripper is symmetric; degrees would soon be outside
    if not abs(angle) <= math.pi:
        raise DatasetError(f"{where}: angle is {text}, expected rad in [-pi/2, pi/2]; repair the line")
    return float(released_to_angle(angle))


def import_released(folder, out: DatasetFolder, quiet: bool = True, part_rows: int = 1000) -> SourceInfo:
    """Add a release to a dataset; parts that are there already stay.

    Raises:
        DatasetError: see list_released.
        CollectionError: the dataset cannot be written to.
    """
    folder = Path(folder).expanduser().absolute()
    patches = list_released(folder)
    source = source_name(folder)
    digest = hashlib.sha256(json.dumps([(patch.name, patch.angle) for patch in patches]).encode()).hexdigest()
    out.check_identity(folder, source, _STARTED, 0)
    parts: List[str] = []
    damaged: Dict[str, str] = {}
    for start in tqdm(range(0, len(patches), part_rows), desc=source, unit="part", disable=True if quiet else None):
        chosen = patches[start : start + part_rows]
        path = out.path / f"part-{source}-{start // part_rows:05d}.parquet"
        content = [(patch.name, patch.angle, patch.path.stat().st_size) for patch in chosen]
        damaged.update(_make_part(path, source, chosen, content))
        parts.append(path.name)
    taken = [patch for patch in patches if f"{source}/{patch.name}" not in damaged]
    entry = SourceInfo(
        name=source,
        **{"started": _STARTED, "seed": 0, "robot": "baxter", "mode": "random", "stage": 0, "model_sha256": ""},
        **{"trials_bytes": 0, "trials_sha256": digest, "trials": len(patches), "parts": parts},
        counts=_counts(taken),
        left_out={_DAMAGED: len(damaged)} if damaged else {},
        damaged=damaged,
    )
    out.add(entry)
    return entry


def _make_part(path: Path, source: str, patches: Sequence[ReleasedPatch], content: Sequence[Tuple]) -> Dict[str, str]:
    """Write a part unless it is there with the same content; returns what is damaged in it."""
    plan = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    metadata = part_metadata(path)
    if metadata.get(PLAN_KEY) == plan.encode():
        return json.loads(metadata[DAMAGED_KEY])
    rows: List[Dict[str, Any]] = []
    damaged: Dict[str, str] = {}
    for patch in patches:
        picture = cv2.imread(str(patch.path), cv2.IMREAD_COLOR)
        if picture is None:
            damaged[f"{source}/{patch.name}"] = f"{patch.path.name} is no picture that OpenCV can decode"
            continue
        rows.append(_row(source, patch, picture))
    write_part(path, rows, PatchGeometry(), {"plan": plan, "damaged": json.dumps(damaged)})
    return damaged


def _row(source: str, patch: ReleasedPatch, picture: np.ndarray) -> Dict[str, Any]:
    return {
        "trial_id": f"{source}/{patch.name}",
        "patch": encode_patch(resize_patch(picture, STORED_SIDE)),
        "angle": patch.angle,
        "bin": angle_to_bin(patch.angle),
        "label": patch.label,
        "split": patch.split,
        "source": source,
        "margin": False,
    }


def _counts(patches: Sequence[ReleasedPatch]) -> Dict[str, List[int]]:
    counts: Dict[str, List[int]] = {}
    for patch in patches:
        counts.setdefault(patch.split, [0, 0])[patch.label] += 1
    return counts


def write_released(paths, out) -> Counter:
    """Write datasets in the released layout; what balancing left unused is not written.

    The pictures are the network's part of the patches, NETWORK_SIDE px, as JPEG. Both test sets go to Test.

    Args:
        paths: datasets, see read_dataset.
        out: a folder that is not there yet or empty; it is there with everything or not at all.

    Returns:
        "<split>/<label>" of the layout -> patches.

    Raises:
        DatasetError: the datasets cannot be read or hold no row, or there is something at `out`.
        CollectionError: it cannot be written.
    """
    out = Path(out).expanduser().absolute()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError(f"{out}: is there already and not empty; name a new folder for the released layout")
    part = out.with_name(f".{out.name}.part")
    with explained(out):
        shutil.rmtree(part, ignore_errors=True)
        try:
            counts = _write_all(paths, part)
            if not counts:
                raise DatasetError(f"{out}: the dataset has no rows to write; export trials first")
            if out.exists():
                out.rmdir()
            part.rename(out)
            sync_folder(out.parent)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return counts


def _write_all(paths, folder: Path) -> Counter:
    lines: Dict[Tuple[str, str], List[str]] = {}
    names = {label: name for name, label in LABELS.items()}
    for batch in iterate_dataset(paths, columns=["trial_id", "patch", "angle", "label", "split", "margin"]):
        for row in batch.to_pylist():
            group = _WRITTEN[row["split"]], names[row["label"]]
            if group not in lines:
                (folder.joinpath(*group) / IMAGES_FOLDER).mkdir(parents=True)
                lines[group] = [DESCRIPTION]
            file = f"{len(lines[group]):06d}_{_file_stem(row['trial_id'])}.jpg"
            picture = network_part(decode_patch(row["patch"]), row["margin"])
            data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
            (folder.joinpath(*group) / IMAGES_FOLDER / file).write_bytes(data.tobytes())
            lines[group].append(f"{file},{float(angle_to_released(row['angle']))!r}")
    for group, texts in lines.items():
        (folder.joinpath(*group) / INFO_FILE).write_text("\n".join(texts) + "\n")
    return Counter({"/".join(group): len(texts) - 1 for group, texts in lines.items()})


def _file_stem(trial_id: str) -> str:
    return "".join(char if char.isalnum() or char in "-_" else "_" for char in trial_id)


def network_part(patch: np.ndarray, margin: bool = True) -> np.ndarray:
    """What the network sees of a stored patch when it is not turned: (NETWORK_SIDE, NETWORK_SIDE, 3) uint8.

    Args:
        margin: the row's; without one it is all of the patch.
    """
    if not margin:
        return resize_patch(patch, NETWORK_SIDE)
    center = (STORED_SIDE - 1) / 2
    return cv2.getRectSubPix(patch, (NETWORK_SIDE, NETWORK_SIDE), (center, center))
