"""Several processes that do jobs; one that dies or hangs costs its own job only, which is done again.

The pools of the standard library and of joblib give all jobs up when one of their processes dies, since these share
a queue. Here each process has a connection of its own.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any, Callable, Deque, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from grasp_learning.simulation.worker import DONE

POLL = 0.2  # s between looks at the clock and at whether to stop
# with one process a core, more threads take the cores from one another
ONE_THREAD = {
    name: "1"
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "LP_NUM_THREADS")
}
_MODULE = "grasp_learning.simulation.worker"
# -c would put the working directory, with whatever lies there, before the library
_PROGRAM = "import sys; del sys.path[0]; from {} import main; main()"


class WorkerError(RuntimeError):
    """A job failed, or could not be finished; the message says which and why."""


@dataclass
class _Process:
    """A worker's process and what it is busy with."""

    popen: subprocess.Popen
    connection: Connection
    job: Any = None
    give_up: float = field(default=float("inf"))  # time (monotonic, s) by which the job must be done

    def kill(self) -> None:
        """End the process, whatever it does, and wait for its end."""
        self.connection.close()
        self.popen.kill()
        self.popen.wait()


def start_python(module: str, connection: Connection, env: Mapping[str, str], **options: Any) -> subprocess.Popen:
    """Start the `main` of a module in a process of its own; its arguments are a connection's file and our process id.

    Args:
        connection: the process's end, which is closed here.
        env: variables of the environment that it has besides ours.
        options: more of Popen's.

    Raises:
        WorkerError: the system starts no more processes.
    """
    paths = os.pathsep.join(os.path.abspath(path) for path in sys.path)
    try:
        return subprocess.Popen(
            [sys.executable, "-c", _PROGRAM.format(module), str(connection.fileno()), str(os.getpid())],
            env={**os.environ, **env, "PYTHONPATH": paths},
            stdin=subprocess.DEVNULL,
            pass_fds=[connection.fileno()],
            **options,
        )
    except OSError as error:
        raise WorkerError(f"a worker cannot be started ({error.strerror}); try fewer workers") from error
    finally:
        connection.close()


class Workers:
    """Processes that do jobs in the order in which these are given, several at once.

    Args:
        count: of processes.
        setup: called once in each process; returns the function of a job and of a callable, which it has to call now
            and then. Is pickled, as are the jobs and the results.
        deadline: for one job (s of wall clock).
        start_deadline: in addition for the first job of a process, which starts meanwhile (s).
        retries: how often a job whose process died or hung is done again.
        note: is told of each such process.
    """

    def __init__(
        self,
        count: int,
        setup: Callable[[], Any],
        deadline: float,
        start_deadline: float = 120.0,
        retries: int = 2,
        note: Callable[[str], None] = lambda text: None,
    ):
        self._count, self._setup, self._note = count, setup, note
        self._deadline, self._start_deadline, self._retries = deadline, start_deadline, retries
        self._processes: List[_Process] = []
        self._lost: Counter = Counter()

    def pids(self) -> List[int]:
        """Of the processes that there are now."""
        return [process.popen.pid for process in self._processes]

    def results(self, jobs: Iterable[Any], stopped: Callable[[], bool] = lambda: False) -> Iterator[Tuple[Any, Any]]:
        """Do all jobs; ends early once `stopped` says so. The processes are gone when this ends, however it does.

        Yields:
            A job and its result, in the order in which they are finished.

        Raises:
            WorkerError: a job failed, or its process died or hung too often.
        """
        queue = deque(jobs)
        try:
            while not stopped() and (queue or any(process.job is not None for process in self._processes)):
                self._hand_out(queue)
                busy: Dict[Any, _Process] = {p.connection: p for p in self._processes if p.job is not None}
                for connection in wait(list(busy), POLL):
                    answer = self._receive(busy[connection], queue)
                    if answer is not None:
                        yield answer
                self._end_late_ones(queue)
        finally:
            while self._processes:
                self._processes.pop().kill()

    def _hand_out(self, queue: Deque[Any]) -> None:
        while queue:
            idle = next((process for process in self._processes if process.job is None), None)
            extra = 0.0
            if idle is None:
                if len(self._processes) >= self._count:
                    return
                idle, extra = self._start(), self._start_deadline
            idle.job = queue.popleft()
            idle.give_up = time.monotonic() + self._deadline + extra
            # of a process that died meanwhile the next look tells
            with contextlib.suppress(OSError):
                idle.connection.send(idle.job)

    def _start(self) -> _Process:
        ours, theirs = Pipe()
        try:
            # Ctrl-C is for the parent, which then ends its workers
            popen = start_python(_MODULE, theirs, env=ONE_THREAD, start_new_session=True)
        except WorkerError:
            ours.close()
            raise
        process = _Process(popen, ours)
        self._processes.append(process)
        with contextlib.suppress(OSError):
            ours.send(self._setup)
        return process

    def _receive(self, process: _Process, queue: Deque[Any]) -> Optional[Tuple[Any, Any]]:
        try:
            kind, value = process.connection.recv()
        except (EOFError, OSError):
            self._lose(process, queue, "")
            return None
        if kind != DONE:
            raise WorkerError(str(value))
        job, process.job, process.give_up = process.job, None, float("inf")
        return job, value

    def _end_late_ones(self, queue: Deque[Any]) -> None:
        now = time.monotonic()
        for process in [process for process in self._processes if process.give_up < now]:
            self._lose(process, queue, f"did not finish within {self._deadline:.0f} s and was ended")

    def _lose(self, process: _Process, queue: Deque[Any], reason: str) -> None:
        """Give a process up, and its job to another one."""
        self._processes.remove(process)
        if not reason:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.popen.wait(POLL)  # it has closed its end, so it is about to be gone
            reason = _describe_end(process.popen.poll())
        process.kill()
        self._lost[process.job] += 1
        said = f"the worker of {process.job} {reason}"
        if self._lost[process.job] > self._retries:
            raise WorkerError(f"{said}, {self._lost[process.job]} times now; try fewer workers, or look at the log")
        self._note(f"{said}; it is done again")
        queue.appendleft(process.job)


def _describe_end(code: Optional[int]) -> str:
    if code is None:
        return "closed its connection"
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"was killed ({signal.Signals(-code).name})"
    return f"ended with exit code {code}"
