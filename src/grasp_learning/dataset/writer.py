"""Writing a dataset's Parquet files, each whole or not there."""

import io
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from grasp_learning.dataset.reader import DatasetError, check_rows
from grasp_learning.dataset.schema import SCHEMA, PatchGeometry, file_metadata
from grasp_learning.durable import write_atomically
from grasp_learning.storage_errors import explained

ROW_GROUP = 256  # rows that a reader has in memory at least

# what a row has where its maker says nothing
_DEFAULTS: Dict[str, Any] = {"stage": 0, "arm": "", "source": "", "mode": "random", "model_sha256": ""}
_DEFAULTS.update(sampler="random", margin=True)


def write_part(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    geometry: PatchGeometry,
    metadata: Optional[Dict[str, str]] = None,
) -> None:
    """Write rows as one Parquet file, which is there as a whole or not at all.

    Args:
        rows: by the schema's columns; what may be null, and what a random trial of no source has, may be left out.
        metadata: more of the file's, beside its format and geometry.

    Raises:
        DatasetError: a row is malformed.
        CollectionError: it cannot be written; the message says why (DiskFullError, NotWritableError).
    """
    try:
        table = pa.Table.from_pylist([{**_DEFAULTS, **row} for row in rows], schema=SCHEMA)
        table.validate(full=True)
    except (pa.ArrowException, TypeError) as error:
        raise DatasetError(f"{path}: a row does not fit the schema ({error}); see docs/data_format.md") from None
    for column in SCHEMA:
        if not column.nullable and table[column.name].null_count:
            raise DatasetError(f"{path}: a row has no '{column.name}'; see docs/data_format.md")
    for batch in table.to_batches():
        check_rows(batch, str(path))
    buffer = io.BytesIO()
    # the patches are compressed already; dictionaries pay for the names only
    names = [field.name for field in SCHEMA if pa.types.is_string(field.type) and field.name != "trial_id"]
    table = table.replace_schema_metadata(file_metadata(geometry, metadata))
    pq.write_table(table, buffer, row_group_size=ROW_GROUP, compression="zstd", use_dictionary=names)
    with explained(path.parent):
        write_atomically(path, path.with_name(f".{path.name}.part"), buffer.getbuffer())


def write_dataset(folder, rows: Sequence[Mapping[str, Any]], geometry: Optional[PatchGeometry] = None) -> Path:
    """Write rows as a dataset of one file, for data that comes from elsewhere than a collection.

    Args:
        rows: see :func:`write_part`.

    Returns:
        The file.

    Raises:
        DatasetError: a row is malformed, or there is none.
        CollectionError: it cannot be written.
    """
    if not rows:
        raise DatasetError(f"{folder}: no rows to write; give at least one")
    path = Path(folder) / "part-rows-00000.parquet"
    with explained(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_part(path, rows, geometry or PatchGeometry())
    return path


def as_rows(columns: Mapping[str, Sequence[Any]]) -> Sequence[Dict[str, Any]]:
    """Columns of equal length as rows, numpy's numbers as Python's."""
    lists = {name: values.tolist() if isinstance(values, np.ndarray) else values for name, values in columns.items()}
    return [dict(zip(lists, values)) for values in zip(*lists.values())]
