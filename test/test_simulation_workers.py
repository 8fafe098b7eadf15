"""Workers that die, hang or fail cost no more than their own job, and nothing waits for ever."""

import os
import re
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from grasp_learning.simulation.workers import WorkerError, Workers


@dataclass(frozen=True)
class Squares:
    """Squares numbers; `folder` holds a marker for each number that was begun."""

    folder: str
    trouble: str = ""
    times: int = 1

    def __call__(self):
        if self.trouble == "no start":
            raise RuntimeError("no model\nhere")
        return self.square

    def square(self, number, between):
        between()
        begun = [path for path in Path(self.folder).iterdir() if path.name.startswith(f"{number}.")]
        Path(self.folder, f"{number}.{len(begun)}").touch()
        if self.trouble == "slow":
            time.sleep(0.3)
        if number == 3 and len(begun) < self.times:
            if self.trouble == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.trouble == "hang":
                time.sleep(1000)
            if self.trouble == "exit":
                os._exit(7)
            if self.trouble == "fail":
                raise KeyError("three")
        return number**2, os.environ["OMP_NUM_THREADS"]


def run(workers, numbers=range(6), stopped=lambda: False):
    return {number: result[0] for number, result in workers.results(list(numbers), stopped)}


def alive(pids):
    return [pid for pid in pids if Path("/proc", str(pid)).exists()]


@pytest.mark.parametrize("count", [1, 3])
def test_all_jobs_are_done_once_on_one_thread_each(tmp_path, count):
    workers = Workers(count, Squares(str(tmp_path)), 60.0)
    results = dict(workers.results(range(6)))
    assert results == {number: (number**2, "1") for number in range(6)}
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{number}.0" for number in range(6)]
    assert workers.pids() == []


@pytest.mark.parametrize(
    "trouble, told",
    [("die", "of 3 was killed .SIGKILL."), ("exit", "exit code 7"), ("hang", "did not finish within 2")],
)
def test_a_worker_that_is_lost_costs_its_own_job_only(tmp_path, trouble, told):
    notes = []
    workers = Workers(2, Squares(str(tmp_path), trouble), 2.0, note=notes.append)
    assert run(workers) == {number: number**2 for number in range(6)}
    begun = sorted(path.name for path in tmp_path.iterdir())
    assert begun == sorted([f"{number}.0" for number in range(6)] + ["3.1"])
    assert len(notes) == 1
    assert re.search(told, notes[0])


def test_a_job_whose_worker_dies_again_and_again_is_given_up(tmp_path):
    workers = Workers(2, Squares(str(tmp_path), "die", times=99), 60.0, retries=1)
    with pytest.raises(WorkerError, match="of 3 was killed .SIGKILL., 2 times now; try fewer workers"):
        run(workers)
    assert sorted(path.name for path in tmp_path.glob("3.*")) == ["3.0", "3.1"]
    assert workers.pids() == []


@pytest.mark.parametrize("trouble, told", [("fail", "KeyError: 'three'"), ("no start", "RuntimeError: no model here")])
def test_what_a_job_or_a_start_raises_is_told_at_once(tmp_path, trouble, told, capfd):
    with pytest.raises(WorkerError, match=told):
        run(Workers(2, Squares(str(tmp_path), trouble), 60.0))
    assert len(list(tmp_path.glob("3.*"))) <= 1
    assert "Traceback" in capfd.readouterr().err


def test_stopping_ends_the_workers_in_the_middle_of_their_jobs(tmp_path):
    stop, workers = threading.Event(), Workers(2, Squares(str(tmp_path), "hang"), 600.0)
    results, pids = {}, []
    for number, result in workers.results([0, 3, 1, 2], stop.is_set):
        results[number], pids = result, pids + workers.pids()
        if len(results) == 3:
            stop.set()
    assert sorted(results) == [0, 1, 2]
    assert pids and alive(pids) == []


def test_workers_end_when_nobody_waits_for_them(tmp_path):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # dies without telling its workers
        workers = Workers(2, Squares(str(tmp_path), "hang"), 600.0)
        for _ in workers.results([0, 1]):
            os.write(writer, ",".join(map(str, workers.pids())).encode())
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    pids = [int(pid) for pid in os.read(reader, 100).decode().split(",")]
    give_up = time.monotonic() + 20.0
    while alive(pids) and time.monotonic() < give_up:
        time.sleep(0.05)
    assert len(pids) == 2 and alive(pids) == []
