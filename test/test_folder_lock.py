"""A folder belongs to one process at a time, and to none that was killed."""

import os
import signal
import subprocess
import sys

import pytest

from grasp_learning.folder_lock import FolderBusy, take_folder, take_lock

HOLD = """
import sys, time
from grasp_learning.folder_lock import take_lock
take_lock(sys.argv[1])
print(1, flush=True)
time.sleep(60)
"""


def hold(path) -> subprocess.Popen:
    """A process that has the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"1\n"
    return process


def test_the_second_one_is_told_who_was_first(tmp_path):
    process = hold(tmp_path / ".lock")
    try:
        with pytest.raises(FolderBusy) as caught:
            take_lock(tmp_path / ".lock")
        assert caught.value.holder == str(process.pid)
    finally:
        process.kill()
        process.wait()


def test_a_killed_process_holds_nothing_and_closing_gives_back(tmp_path):
    process = hold(tmp_path / ".lock")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    file = take_lock(tmp_path / ".lock")
    assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"
    os.close(file)
    os.close(take_lock(tmp_path / ".lock"))


def test_a_folder_that_is_not_there_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        take_lock(tmp_path / "missing" / ".lock")


def test_who_has_a_folder_is_told_with_the_remedy(tmp_path):
    process = hold(tmp_path / ".lock")
    try:
        with pytest.raises(LookupError) as caught:
            take_folder(tmp_path, "writing into it", LookupError)
    finally:
        process.kill()
        process.wait()
    told = f"{tmp_path}: process {process.pid} is writing into it; wait until it ends, or choose another folder"
    assert str(caught.value) == told
    os.close(take_folder(tmp_path, "writing into it", LookupError))
