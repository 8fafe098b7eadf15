"""Files that are whole or not there: what is synced stays, whenever the process is killed."""

import contextlib
import os
from pathlib import Path
from typing import Iterator


@contextlib.contextmanager
def whole_file(path: Path, part: Path) -> Iterator[int]:
    """A file to be written in the block, open under another name; synced and given its name at the block's end.

    After an error neither name exists (an older file keeps its name): on a full disk leftovers make things worse.
    """
    try:
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            yield file
            os.fsync(file)
        finally:
            os.close(file)
        os.rename(part, path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    sync_folder(path.parent)


def write_atomically(path: Path, part: Path, content: bytes) -> None:
    """Write a file under another name, sync it, give it its name, sync the folder; see :func:`whole_file`."""
    with whole_file(path, part) as file:
        write_all(file, content)


def write_all(file: int, content: bytes) -> None:
    """Write all bytes to an open file; one call may write a part of them only."""
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]


def sync_folder(folder: Path) -> None:
    """Sync a folder, without which a renamed file may have its old name after a power cut."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def move_aside(path: Path, aside: Path) -> Path:
    """Move a file into the folder `aside` without overwriting anything there; returns where it lies now."""
    kept = free_name(aside / path.name)
    os.rename(path, kept)
    sync_folder(aside)
    sync_folder(path.parent)
    return kept


def free_name(path: Path) -> Path:
    """The path itself, or with .1, .2, ... behind it if there is such a file already."""
    candidate, count = path, 0
    while candidate.exists():
        count += 1
        candidate = path.with_name(f"{path.name}.{count}")
    return candidate
