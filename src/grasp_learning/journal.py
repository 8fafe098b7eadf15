"""Files of JSON objects, one a line, that only grow by whole lines; a crash may leave a torn last line, no more."""

import contextlib
import json
import math
import os
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

import numpy as np

from grasp_learning.durable import free_name, write_all, write_atomically
from grasp_learning.storage_errors import MalformedCollectionError, readable


class Journal:
    """A file of JSON objects that this process appends to.

    Args:
        path: the file; it is made if it is not there.
        closing: closes the file when it is closed itself.
    """

    def __init__(self, path: Path, closing: contextlib.ExitStack):
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        closing.callback(os.close, self._file)
        self._size = os.fstat(self._file).st_size

    def append(self, *lines: Mapping[str, Any]) -> None:
        """Write lines and sync them; after an error the file ends where it did before."""
        if not lines:
            return
        content = b"".join(map(encode_line, lines))
        self._cut_torn_line()
        try:
            write_all(self._file, content)
            os.fsync(self._file)
        except OSError:
            # where even this fails, the next append cuts the torn line off
            with contextlib.suppress(OSError):
                self._cut_torn_line()
            raise
        self._size += len(content)

    def _cut_torn_line(self) -> None:
        if os.fstat(self._file).st_size != self._size:
            os.ftruncate(self._file, self._size)


def encode_line(line: Mapping[str, Any]) -> bytes:
    """An object as a line of JSON, with its newline. JSON knows no NaN: a score that is not known is null."""
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in line.items()}
    return json.dumps(finite, allow_nan=False, ensure_ascii=False, default=_plain).encode() + b"\n"


def read_journal(path: Path, keys: Mapping[str, type]) -> Iterator[Tuple[int, Dict[str, Any]]]:
    """Lines of a file of JSON objects, with their places from 1; a last line without newline is left out.

    Args:
        keys: that every line must have, with the types of their values.

    Raises:
        NotReadableError: the file is there, but cannot be read.
        MalformedCollectionError: a line is no such object; the message names it.
    """
    try:
        with readable(path):
            lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return
    for place, text in enumerate(lines, 1):
        line = _parse_object(text)
        if line is None:
            raise MalformedCollectionError(f"{path}, line {place}: expected a JSON object; repair or remove the line")
        for key, kind in keys.items():
            if not isinstance(line.get(key), kind):
                raise MalformedCollectionError(
                    f"{path}, line {place}: key '{key}' is {line.get(key)!r}, expected {kind.__name__}; repair the line"
                )
        yield place, line


def repair_journal(path: Path, aside: Path) -> List[str]:
    """Make a journal end with a whole line; what was torn off lies in `aside` afterwards."""
    if not path.exists():
        return []
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    tail = content[end:]
    if not tail:
        return []
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    try:
        if _parse_object(tail) is not None:
            # only the newline is missing: no part of an object is itself an object
            write_all(file, b"\n")
            note = f"{path.name}: gave the last line the newline it lacked"
        else:
            kept = free_name(aside / f"{path.name}.torn")
            write_atomically(kept, kept.with_name(f".{kept.name}.part"), tail)
            os.ftruncate(file, end)
            note = f"{path.name}: set a torn last line aside as {kept.relative_to(path.parent)}"
        os.fsync(file)
    finally:
        os.close(file)
    return [note]


def _parse_object(text: bytes) -> Optional[Dict[str, Any]]:
    try:
        value = json.loads(text)
    except ValueError:  # UnicodeDecodeError is one
        return None
    return value if isinstance(value, dict) else None


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} {value!r} has no place in a line of JSON")
