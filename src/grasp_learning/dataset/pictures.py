"""From a collection's approach pictures to the patches that a dataset stores; bags and shards alike."""

import math
from pathlib import Path
from typing import Any, Iterable, Iterator, Mapping, NamedTuple, Optional

import cv2
import numpy as np

from grasp_learning.bags import APPROACH_TOPIC, decode_picture, first_messages
from grasp_learning.dataset.schema import INNER_RATIO, JPEG_QUALITY, PATCH_MARGIN, STORED_SIDE
from grasp_learning.patches import patch_box, patch_fits, resize_patch
from grasp_learning.simulation.shards import CAMERA_FIELDS, ShardError, ShardReader, camera_of
from grasp_learning.storage import trials_of
from grasp_learning.storage_errors import PictureError

_SHARD_COLUMNS = ("number", "approach_image", *(name for name, _ in CAMERA_FIELDS))
CAMERA_TOPIC = "/cameras/{arm}_hand_camera/camera_info"


class TrialPicture(NamedTuple):
    """A trial with the picture in which its grasp was chosen.

    Attributes:
        record: the trial's line of trials.jsonl.
        picture: (rows, columns, 3) uint8, BGR; None where it cannot be read.
        focal_length: of the wrist camera (px); NaN without a picture.
        problem: why there is no picture.
    """

    record: Mapping[str, Any]
    picture: Optional[np.ndarray]
    focal_length: float
    problem: str = ""


def trials_with_pictures(folder, lines: Optional[Iterable[Mapping[str, Any]]] = None) -> Iterator[TrialPicture]:
    """Finished trials of a collection with their approach pictures, one in memory at a time.

    A picture that is damaged or missing is told in the trial's ``problem``, and costs no other trial.

    Args:
        folder: a collection, of bags or of shards.
        lines: the trials wanted, lines of trials.jsonl; all by default.

    Raises:
        CollectionError: the collection's own files cannot be read.
    """
    folder = Path(folder)
    shards = ShardReader(folder, _SHARD_COLUMNS)
    for line in trials_of(folder) if lines is None else lines:
        yield _from_shard(shards, line) if "shard" in line else _from_bag(folder, line)


def _from_bag(folder: Path, line: Mapping[str, Any]) -> TrialPicture:
    topics = [template.format(arm=line["arm"]) for template in (APPROACH_TOPIC, CAMERA_TOPIC)]
    try:
        image, camera = first_messages(folder / line["bag"], topics)
        picture = decode_picture(image.data, f"{line['bag']}: the picture on {topics[0]}")
    except PictureError as error:
        return TrialPicture(line, None, math.nan, str(error))
    return TrialPicture(line, picture, (camera.K[0] + camera.K[4]) / 2)


def _from_shard(shards: ShardReader, line: Mapping[str, Any]) -> TrialPicture:
    try:
        row = shards.row(line)
        if row["number"] != line["number"]:
            raise ShardError(f"{line['shard']}: row {line['row']} is trial {row['number']}, not {line['number']}")
        data = row["approach_image"] or b""
        picture = decode_picture(data, f"{line['shard']}: the approach_image of trial {line['number']}")
        camera, _ = camera_of(row)
    except PictureError as error:
        return TrialPicture(line, None, math.nan, str(error))
    return TrialPicture(line, picture, camera.focal_length)


def source_side(side: int) -> int:
    """Side of the square of the picture (px) that becomes a stored patch.

    Its middle is the network's patch of `side` px exactly (both are odd or both even), and it holds that patch's
    diagonal. Of the sides that do, it is the one whose ratio to `side` is nearest to STORED_SIDE : NETWORK_SIDE, so
    that the network's part of a stored patch is NETWORK_SIDE px wide within 0.3 %.
    """
    nearest = round((side / INNER_RATIO - side) / 2)
    enough = math.ceil((side * PATCH_MARGIN - side) / 2)
    return side + 2 * max(nearest, enough)


def cut_patch(picture: np.ndarray, u: float, v: float, side: int) -> np.ndarray:
    """The stored patch (STORED_SIDE, STORED_SIDE, 3) around a grasp point.

    The network's patch lies inside the picture. What lies around it may stick out: there the picture's edge is
    repeated, which a rotated patch shows in its corners.

    Args:
        picture: (rows, columns, 3) uint8.
        side: of the network's patch (px of the picture).

    Raises:
        ValueError: the network's patch is not fully inside the picture.
    """
    rows, columns = picture.shape[:2]
    if side < 1 or not patch_fits(u, v, side, columns, rows):
        raise ValueError(
            f"a patch of {side} px at ({u:.1f}, {v:.1f}) is not inside the picture of {columns} x {rows} px"
        )
    large = source_side(side)
    left, top = (corner - (large - side) // 2 for corner in patch_box(u, v, side))
    inside = picture[max(top, 0) : top + large, max(left, 0) : left + large]
    square = cv2.copyMakeBorder(
        inside,
        *(max(-top, 0), max(top + large - rows, 0), max(-left, 0), max(left + large - columns, 0)),
        borderType=cv2.BORDER_REPLICATE,
    )
    return resize_patch(square, STORED_SIDE)


def encode_patch(patch: np.ndarray) -> bytes:
    """A patch as JPEG."""
    return cv2.imencode(".jpg", patch, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
