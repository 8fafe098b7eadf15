"""Files with the patches of one rendered table each (Parquet): a table that is there need not be rendered again."""

import io
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from grasp_learning.pretext.errors import PretextError

FORMAT = b"1"
_FORMAT_KEY, _SCENE_KEY = b"grasp_learning.pretext", b"grasp_learning.scene"
SCHEMA = pa.schema(
    [
        ("patch", pa.binary()),  # JPEG, as a dataset's (STORED_SIDE x STORED_SIDE)
        ("kind", pa.string()),
        ("object", pa.string()),  # "" for none
        ("view", pa.int32()),  # number of the picture
        ("u", pa.int32()),  # middle of the patch in the picture (px)
        ("v", pa.int32()),
        ("patch_size", pa.int32()),  # side of the network's part in the picture (px)
    ]
)


class Patches(NamedTuple):
    """Patches of some tables, all lists as long.

    Attributes:
        pictures: JPEGs.
        kinds: what they show.
        scenes: numbers of their tables.
    """

    pictures: List[bytes]
    kinds: List[str]
    scenes: List[int]


def scene_path(folder: Path, scene: int) -> Path:
    """File of a table."""
    return folder / f"{scene:06d}.parquet"


def encode_scene(rows: Sequence[Mapping[str, Any]], scene: int) -> bytes:
    """A table's file; equal rows give equal bytes."""
    table = pa.Table.from_pylist(list(rows), schema=SCHEMA)
    table = table.replace_schema_metadata({_FORMAT_KEY: FORMAT, _SCENE_KEY: str(scene).encode()})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", use_dictionary=["kind", "object"])
    return buffer.getvalue()


def read_scenes(folder: Path, scenes: Iterable[int], known: Sequence[str]) -> Patches:
    """The patches of tables, in order.

    Args:
        known: kinds that there may be.

    Raises:
        PretextError: a file is missing, damaged, or something else.
    """
    result = Patches([], [], [])
    for scene in scenes:
        columns = _read_scene(scene_path(folder, scene), scene)
        unknown = sorted(set(columns["kind"]) - set(known))
        if unknown:
            raise PretextError(
                f"{scene_path(folder, scene)}: shows a '{unknown[0]}', which no object of this version is; delete the "
                f"folder {folder} to render it again"
            )
        result.pictures.extend(columns["patch"])
        result.kinds.extend(columns["kind"])
        result.scenes.extend([scene] * len(columns["kind"]))
    return result


def _read_scene(path: Path, scene: int) -> Dict[str, List]:
    remedy = "delete it, and the same command renders it again"
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise PretextError(f"{path}: cannot be read ({reason}); {remedy}") from None
    metadata = table.schema.metadata or {}
    if metadata.get(_FORMAT_KEY) != FORMAT or metadata.get(_SCENE_KEY) != str(scene).encode():
        raise PretextError(f"{path}: does not hold the patches of scene {scene}; {remedy}")
    return table.select(["patch", "kind"]).to_pydict()
