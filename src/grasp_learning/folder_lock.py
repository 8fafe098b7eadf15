"""Locks of folders: one process writes into a folder at a time, and whoever comes second is told which one does."""

import fcntl
import os
import time
from pathlib import Path
from typing import Type

LOCK_FILE = ".lock"  # of a folder
POLL = 0.2  # s


class FolderBusy(Exception):
    """Another process has the lock.

    Attributes:
        holder: its process id as text; "unknown" where it did not say.
    """

    def __init__(self, holder: str):
        super().__init__(f"process {holder} has the lock")
        self.holder = holder

    @property
    def alive(self) -> bool:
        """Whether that process runs; where it does not, a child that inherited the lock still does."""
        return self.holder.isdigit() and Path("/proc", self.holder).exists()


def take_lock(path: Path) -> int:
    """Take a lock file for this process, without waiting; it is made if it is not there.

    The lock lives as long as the file is open in this process or in a child that inherited it; a process that is
    killed leaves the file, but no lock.

    Returns:
        The open file; closing it gives the lock back.

    Raises:
        FolderBusy: another process has it.
        OSError: the file cannot be made or written to.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError:
        holder = os.pread(file, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(file)
        raise FolderBusy(holder) from None
    except OSError:
        os.close(file)
        raise
    return file


def wait_for_lock(path: Path, patience: float) -> int:
    """Take a lock as :func:`take_lock` does; what a killed process left running may need a moment to end.

    Args:
        patience: how long to wait for that (s); a process that lives is not waited for.

    Returns:
        The open file.

    Raises:
        FolderBusy, OSError: as take_lock.
    """
    end = time.monotonic() + patience
    while True:
        try:
            return take_lock(path)
        except FolderBusy as busy:
            if busy.alive or time.monotonic() > end:
                raise
            time.sleep(POLL)


def take_folder(folder: Path, doing: str, error: Type[Exception]) -> int:
    """Take a folder for this process; the lock lives as long as the returned file is open.

    Args:
        doing: what a process that has the folder does, such as "writing into it".
        error: what is raised if another one has it.

    Raises:
        error: naming the folder, that process and the remedy.
        OSError: see :func:`take_lock`.
    """
    try:
        return take_lock(folder / LOCK_FILE)
    except FolderBusy as busy:
        raise error(
            f"{folder}: process {busy.holder} is {doing}; wait until it ends, or choose another folder"
        ) from None
