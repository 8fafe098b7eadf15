"""Workers on the machines of a Ray cluster; a machine or a worker that dies costs its own jobs only.

Ray itself runs in a process of its own, :mod:`grasp_learning.simulation.ray_driver`: where a cluster is lost, Ray ends
the process that talks to it, and that must not be the one that writes the trials.
"""

import contextlib
import importlib.util
import os
import pickle
import socket
import subprocess
import tempfile
import time
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import IO, Any, Callable, Iterable, Iterator, List, Optional, Tuple

from grasp_learning.simulation.ray_messages import CONNECTED, NOTE, Order, versions
from grasp_learning.simulation.worker import FAILED
from grasp_learning.simulation.workers import POLL, WorkerError, start_python

REMEDY = "look at `ray status` on the machine that it names, or start Ray there (docs/scale.md)"
GRACE = 10.0  # s that the driver's process has to tell Ray of its end
MODULE = "grasp_learning.simulation.ray_driver"
# Ray's own processes ask it, too; nothing of a simulation is reported to anybody
ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0"}


def check_ray() -> None:
    """Check that Ray is installed.

    Raises:
        WorkerError: it is not; the message says what to do.
    """
    if importlib.util.find_spec("ray") is None:
        raise WorkerError(
            "Ray is not installed; install it with `pip install -r requirements-ray.txt -c constraints.txt` in the "
            "package's folder, the same version on each machine"
        )


class RayWorkers:
    """As :class:`grasp_learning.simulation.workers.Workers`, on a Ray cluster.

    Args:
        address: "HOST:PORT" of the cluster's head, or "auto" for the cluster that this machine belongs to.
        count: of workers, one processor core each; None for as many as the cluster has, also when machines join it.
        setup, deadline, start_deadline, retries, note: as of Workers.
        connect_deadline: until the cluster has answered (s).
    """

    def __init__(
        self,
        address: str,
        count: Optional[int],
        setup: Callable[[], Any],
        deadline: float,
        start_deadline: float = 120.0,
        retries: int = 2,
        note: Callable[[str], None] = lambda text: None,
        connect_deadline: float = 60.0,
    ):
        self._address, self._note, self._connect_deadline = address, note, connect_deadline
        self._order = Order(address, count, pickle.dumps(setup), deadline, start_deadline, retries, versions())
        self._popen: Optional[subprocess.Popen] = None

    def pids(self) -> List[int]:
        """Of the processes that there are now on this machine for this object: the one that talks to the cluster."""
        return [] if self._popen is None else [self._popen.pid]

    def results(self, jobs: Iterable[Any], stopped: Callable[[], bool] = lambda: False) -> Iterator[Tuple[Any, Any]]:
        """Do all jobs; ends early once `stopped` says so. No worker is left when this ends, however it does.

        Yields:
            A job and its result, in the order in which they are finished.

        Raises:
            WorkerError: the cluster does not answer, is lost, or has other versions; a job failed, or its worker died
                or hung too often.
        """
        jobs = list(jobs)
        if not jobs:
            return
        check_ray()
        self._check_listens()
        with tempfile.TemporaryFile() as errors, self._driver(errors) as connection:
            try:
                connection.send(self._order)
                connection.send(jobs)
            except OSError:
                raise self._lost(errors) from None
            yield from self._received(connection, len(jobs), stopped, errors)

    def _check_listens(self) -> None:
        """Raise where nothing listens, without waiting for Ray, which tries for long."""
        if self._address == "auto":
            return
        host, _, port = self._address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), min(10.0, self._connect_deadline)).close()
        except (OSError, UnicodeError) as error:  # the latter of a name that cannot be one
            reason = getattr(error, "strerror", None) or str(error)
            raise WorkerError(f"--ray {self._address}: does not answer ({reason}); {REMEDY}") from None

    @contextlib.contextmanager
    def _driver(self, errors: IO[bytes]) -> Iterator[Connection]:
        """The process that talks to the cluster; it is gone afterwards, and with it all workers."""
        ours, theirs = Pipe()
        # Ray adds the working directory to the workers' paths
        self._popen = start_python(
            MODULE, theirs, env=ENVIRONMENT, start_new_session=True, cwd="/", stdout=errors, stderr=errors
        )
        try:
            yield ours
        finally:
            ours.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(GRACE)
            self._popen.kill()
            self._popen.wait()
            self._popen = None

    def _received(
        self, connection: Connection, left: int, stopped: Callable[[], bool], errors: IO[bytes]
    ) -> Iterator[Tuple[Any, Any]]:
        give_up = time.monotonic() + self._connect_deadline
        while left and not stopped():
            if time.monotonic() > give_up:
                raise WorkerError(
                    f"--ray {self._address}: did not answer within {self._connect_deadline:.0f} s; {REMEDY}"
                )
            if not connection.poll(POLL):
                continue
            try:
                kind, job, value = connection.recv()
            except (EOFError, OSError):
                raise self._lost(errors) from None
            if kind == CONNECTED:
                give_up = float("inf")
            elif kind == NOTE:
                self._note(value)
            elif kind == FAILED:
                raise WorkerError(str(value))
            else:
                left -= 1
                yield job, value

    def _lost(self, errors: IO[bytes]) -> WorkerError:
        """The error of a driver's process that has ended."""
        return WorkerError(f"--ray {self._address}: the cluster was lost{_last_line(errors)}; {REMEDY}")


def _last_line(errors: IO[bytes]) -> str:
    """What a process wrote last, in brackets."""
    errors.seek(max(0, os.fstat(errors.fileno()).st_size - 4000))
    lines = [line.strip() for line in errors.read().decode(errors="replace").splitlines() if line.strip()]
    return f" ({lines[-1][:300]})" if lines else ""
