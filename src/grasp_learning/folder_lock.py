"""Locks of folders: one process writes into a folder at a time, and whoever comes second is told which one does."""

import fcntl
import os
from pathlib import Path


class FolderBusy(Exception):
    """Another process has the lock.

    Attributes:
        holder: its process id as text; "unknown" where it did not say.
    """

    def __init__(self, holder: str):
        super().__init__(f"process {holder} has the lock")
        self.holder = holder


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
