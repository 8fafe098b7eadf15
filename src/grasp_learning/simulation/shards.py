"""Shards: Parquet files that hold the trials of one scene, one row a trial, in the place of bags.

A shard is complete in itself: it has what trials.jsonl says of its trials, their pictures, the wrist camera and what a
model thought; its metadata hold the attempts that ended without a label. Equal trials give equal bytes.
"""

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from grasp_learning.geometry import Camera
from grasp_learning.storage_errors import PictureError
from grasp_learning.trial import Prior, Trial

JPEG_QUALITY = 95
PICTURES = {
    "approach": ("approach_image",),
    "all": ("approach_image", "kinect_image", "before_lift_image", "after_lift_image"),
}
FORMAT = "1"
_META_FORMAT, _META_SCENE = b"grasp_learning.shard", b"grasp_learning.scene"

_STRINGS = pa.list_(pa.string())
_FLOATS, _FLOATS32 = pa.list_(pa.float64()), pa.list_(pa.float32())
# what trials.jsonl says, too
RECORD_FIELDS = (
    ("number", pa.int64()),
    ("arm", pa.string()),
    ("mode", pa.string()),
    ("stage", pa.int64()),
    ("start", pa.float64()),
    ("end", pa.float64()),
    ("outcome", pa.string()),
    ("detail", pa.string()),
    ("region_center", _FLOATS),
    ("region_height", pa.float64()),
    ("u", pa.float64()),
    ("v", pa.float64()),
    ("x", pa.float64()),
    ("y", pa.float64()),
    ("z", pa.float64()),
    ("theta", pa.float64()),
    ("theta_image", pa.float64()),
    ("bin", pa.int64()),
    ("patch_size", pa.int64()),
    ("sampler", pa.string()),
    ("score", pa.float64()),
    ("force", pa.float64()),
    ("position", pa.float64()),
    ("gripping", pa.bool_()),
    ("contact", pa.bool_()),
    ("truth_known", pa.bool_()),
    ("truth_held", pa.bool_()),
    ("truth_object", pa.string()),
    ("truth_near", _STRINGS),
    ("put_back", _STRINGS),
    ("model", pa.string()),
    ("model_sha256", pa.string()),
)
CAMERA_FIELDS = (
    ("camera_width", pa.int32()),
    ("camera_height", pa.int32()),
    ("camera_K", _FLOATS),
    ("camera_D", _FLOATS),
    ("T_base_camera", _FLOATS),
)
PRIOR_FIELDS = (
    ("prior_places", _FLOATS32),
    ("prior_probabilities", _FLOATS32),
    ("prior_place", pa.int32()),
    ("prior_bin", pa.int32()),
)
RECORD_COLUMNS = [name for name, _ in RECORD_FIELDS]


class ShardError(PictureError):
    """A shard cannot be read, or lacks what is wanted of it; the message names the file."""


@dataclass(frozen=True)
class Scene:
    """What a shard says of its trials as a whole.

    Attributes:
        block: its number, from 0.
        objects: names of the objects of each scattering, one list a scattering.
        faults: attempts without a label, as lines of faults.jsonl, in the order in which they were made.
    """

    block: int
    objects: List[List[str]] = field(default_factory=list)
    faults: List[Dict[str, Any]] = field(default_factory=list)


def schema(pictures: str) -> pa.Schema:
    """Columns of a shard.

    Args:
        pictures: "approach" or "all".
    """
    images = [(name, pa.binary()) for name in PICTURES[pictures]]
    return pa.schema([*RECORD_FIELDS, *images, *CAMERA_FIELDS, *PRIOR_FIELDS])


def encode_picture(picture: np.ndarray) -> bytes:
    """JPEG of a BGR picture (height, width, 3) uint8.

    Raises:
        ValueError: it is no such picture.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
        raise ValueError(f"a picture is {picture.dtype} {picture.shape}: expected uint8 (height, width, 3)")
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise ValueError(f"a picture of {picture.shape[1]} x {picture.shape[0]} px cannot be encoded as JPEG")
    return data.tobytes()


def trial_row(
    record: Mapping[str, Any], trial: Trial, camera: Camera, T_base_camera: np.ndarray, pictures: str
) -> Dict[str, Any]:
    """One row of a shard.

    Args:
        record: the trial's line, with its number.
        trial: its images are BGR arrays.
        camera: the wrist camera that took the approach picture.
        T_base_camera: (4, 4) pose in the base frame in which it took it.
        pictures: "approach" or "all".

    Raises:
        ValueError: there is no approach picture, or a picture is none.
    """
    row = {name: _finite(record.get(name)) for name in RECORD_COLUMNS}
    if "approach_image" not in trial.images:
        raise ValueError(f"trial {record['number']} has no approach picture")
    for name in PICTURES[pictures]:
        row[name] = encode_picture(trial.images[name]) if name in trial.images else None
    row.update(camera_width=int(camera.width), camera_height=int(camera.height))
    row.update(camera_K=_flat(camera.K), camera_D=_flat(camera.D), T_base_camera=_flat(T_base_camera))
    row.update(_prior_columns(trial.prior))
    return row


def _prior_columns(prior: Optional[Prior]) -> Dict[str, Any]:
    if prior is None:
        return {name: None for name, _ in PRIOR_FIELDS}
    places, probabilities = (np.asarray(part, np.float32) for part in (prior.places, prior.probabilities))
    return {
        "prior_places": places.ravel(),
        "prior_probabilities": probabilities.ravel(),
        "prior_place": int(prior.place),
        "prior_bin": int(prior.bin),
    }


def _flat(values) -> List[float]:
    return [float(value) for value in np.asarray(values, float).ravel()]


def _finite(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not np.isfinite(value) else value


def encode_shard(rows: Sequence[Mapping[str, Any]], scene: Scene, pictures: str) -> bytes:
    """A shard as a file's contents; the same rows give the same bytes.

    Raises:
        ValueError: a row does not fit the schema.
    """
    columns = schema(pictures)
    about = {_META_FORMAT: FORMAT.encode(), _META_SCENE: json.dumps(vars(scene), ensure_ascii=False).encode()}
    try:
        table = pa.Table.from_pylist([dict(row) for row in rows], schema=columns.with_metadata(about))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ValueError(f"a trial does not fit the columns of a shard: {error}") from error
    # JPEG cannot be made smaller, so trying costs time only
    compression = {leaf: "none" if leaf in PICTURES["all"] else "zstd" for leaf in _leaves(columns)}
    file = io.BytesIO()
    pq.write_table(table, file, compression=compression, use_dictionary=False, row_group_size=max(1, len(rows)))
    return file.getvalue()


def _leaves(columns: pa.Schema) -> Iterator[str]:
    for column in columns:
        yield f"{column.name}.list.element" if pa.types.is_list(column.type) else column.name


def count_rows(path) -> int:
    """How many trials a shard holds, by its end, without reading the pictures.

    Raises:
        ShardError: it is no shard, or is cut off.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        return _open(path, file).metadata.num_rows


def _open(path, file) -> pq.ParquetFile:
    try:
        shard = pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise ShardError(f"{path}: cannot be read as a shard ({_one_line(error)})") from error
    if (shard.schema_arrow.metadata or {}).get(_META_FORMAT, b"").decode() != FORMAT:
        raise ShardError(f"{path}: is no shard of trials, format {FORMAT}, that this package could read")
    return shard


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def read_shard(path, columns: Optional[Sequence[str]] = None) -> pa.Table:
    """Columns of a shard, all by default.

    Raises:
        ShardError: it cannot be read, is no shard, or has no such column.
    """
    try:
        with open(path, "rb") as file:
            shard = _open(path, file)
            names = shard.schema_arrow.names
            lacking = [name for name in columns or () if name not in names]
            if lacking:
                raise ShardError(f"{path}: has no column {', '.join(lacking)}; it has {', '.join(names)}")
            return shard.read(columns=None if columns is None else list(columns))
    except (pa.ArrowException, OSError) as error:
        raise ShardError(f"{path}: cannot be read ({_one_line(error)})") from error


def decode_shard(content: bytes, name: str) -> Tuple[Scene, List[Dict[str, Any]]]:
    """What a shard's contents say for trials.jsonl and faults.jsonl.

    Args:
        name: of the shard as the lines are to have it, relative to the collection.

    Returns:
        The scene, and the lines of its trials.

    Raises:
        ShardError: these are not the contents of a shard.
    """
    shard = _open(name, io.BytesIO(content))
    try:
        about = json.loads(shard.schema_arrow.metadata[_META_SCENE])
        table = shard.read(columns=RECORD_COLUMNS)
    except (KeyError, ValueError, pa.ArrowException, OSError) as error:
        raise ShardError(f"{name}: is damaged ({_one_line(error)})") from error
    scene = Scene(**about)
    place = [{"shard": name, "row": row, "block": scene.block} for row in range(table.num_rows)]
    return scene, [{**record, **added} for record, added in zip(table.to_pylist(), place)]


def picture_of(row: Mapping[str, Any], name: str, path) -> np.ndarray:
    """A picture of a row, (height, width, 3) uint8, BGR.

    Args:
        name: "approach_image", or another one where all pictures were kept.
        path: of the shard, for the error.

    Raises:
        ShardError: there is no such picture, or it cannot be decoded.
    """
    if row.get(name) is None:
        raise ShardError(f"{path}: trial {row.get('number', '')} has no {name}")
    picture = cv2.imdecode(np.frombuffer(row[name], np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ShardError(f"{path}: the {name} of trial {row.get('number', '')} is no picture that OpenCV can decode")
    return picture


def camera_of(row: Mapping[str, Any]) -> Tuple[Camera, np.ndarray]:
    """The wrist camera of a row and its (4, 4) pose in the base frame at the approach picture."""
    K = np.array(row["camera_K"], float).reshape(3, 3)
    camera = Camera(row["camera_width"], row["camera_height"], K, np.array(row["camera_D"], float))
    return camera, np.array(row["T_base_camera"], float).reshape(4, 4)


def prior_of(row: Mapping[str, Any]) -> Optional[Prior]:
    """What the model thought, of a row; None where no model chose the grasp."""
    if row.get("prior_places") is None:
        return None
    return Prior(
        model=row["model"],
        model_sha256=row["model_sha256"],
        patch_size=row["patch_size"],
        places=np.array(row["prior_places"], np.float32).reshape(-1, 2),
        probabilities=np.array(row["prior_probabilities"], np.float32).reshape(-1, 18),
        place=row["prior_place"],
        bin=row["prior_bin"],
    )


class ShardReader:
    """Rows of a collection's shards; the last shard is kept, since lines in their order ask for it again and again.

    Args:
        folder: of the collection.
        columns: to be read; all by default.
    """

    def __init__(self, folder, columns: Optional[Iterable[str]] = None):
        self._folder = Path(folder)
        self._columns = None if columns is None else list(columns)
        self._path: Optional[Path] = None
        self._table: Optional[pa.Table] = None

    def row(self, line: Mapping[str, Any]) -> Dict[str, Any]:
        """The row of a line of trials.jsonl.

        Raises:
            ShardError: the shard cannot be read, or has no such row.
        """
        path = self._folder / line["shard"]
        if path != self._path:
            self._path, self._table = None, None
            self._table, self._path = read_shard(path, self._columns), path
        if line["row"] >= self._table.num_rows:
            raise ShardError(f"{path}: has {self._table.num_rows} rows, trial {line['number']} is in row {line['row']}")
        return self._table.slice(line["row"], 1).to_pylist()[0]
