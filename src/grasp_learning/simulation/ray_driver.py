"""The process that talks to a Ray cluster: it hands jobs out to workers on all machines, and sends the results on.

It is started by :mod:`grasp_learning.simulation.ray_workers`, and ends when the other end of its connection is closed;
Ray then ends the workers. Each worker is an actor, so that what is slow to make is made once.
"""

import logging
import os
import pickle
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Callable, Deque, Dict, List, Tuple

import ray
import ray.exceptions

from grasp_learning.simulation.ray_messages import CONNECTED, NOTE, Order, difference, versions
from grasp_learning.simulation.worker import DONE, FAILED, guarded
from grasp_learning.simulation.workers import ONE_THREAD, POLL, WorkerError

LOOK = 2.0  # s between looks at how many processor cores the cluster has
FETCH = 300.0  # s that a result, of some 10 MB, may take from another machine
FOREVER = float("inf")


class RayWorker:
    """A worker, somewhere in the cluster; what its methods give is (DONE, value) or (FAILED, reason)."""

    def place(self) -> Tuple[str, str]:
        """Where it runs, once it does: address of the machine and process id."""
        return DONE, f"{ray.util.get_node_ip_address()}, process {os.getpid()}"

    def begin(self, setup: bytes, wanted: Dict[str, str]) -> Tuple[str, Any]:
        """Make what the jobs need.

        Args:
            setup: pickled; returns the function of a job.
            wanted: versions of the machine whose simulation this is.
        """
        logging.getLogger(__package__.partition(".")[0]).setLevel(logging.ERROR)
        differs = difference(wanted, versions())
        if differs:
            return FAILED, f"has {differs}; install the same versions on all machines, trials depend on them"
        self._do, problem = guarded(lambda: pickle.loads(setup)())
        return (FAILED, problem) if problem else (DONE, None)

    def do(self, job: Any) -> Tuple[str, Any]:
        """Do a job. Where nobody waits for its result any more, Ray ends this process."""
        result, problem = guarded(lambda: self._do(job, lambda: None))
        return (FAILED, problem) if problem else (DONE, result)


@dataclass
class _Worker:
    """A worker as its driver sees it.

    Attributes:
        handle: Ray's.
        place: where it runs; empty until it does.
        idle: whether it could take a job.
        job: which it is busy with.
        give_up: time (monotonic, s) by which it must answer.
    """

    handle: Any
    place: str = ""
    idle: bool = False
    job: Any = None
    give_up: float = field(default=FOREVER)


class Driver:
    """Hands jobs out; see :class:`grasp_learning.simulation.ray_workers.RayWorkers`.

    Args:
        send: takes a kind of message, a job and a value.
        wanted: raises EOFError once nobody waits for results.
    """

    def __init__(self, order: Order, send: Callable[[str, Any, Any], None], wanted: Callable[[], None]):
        self._order, self._send, self._wanted = order, send, wanted
        self._setup = ray.put(order.setup)  # once a machine, however many workers it has
        self._workers: List[_Worker] = []
        self._pending: Dict[Any, _Worker] = {}  # by what they are to answer
        self._queue: Deque[Any] = deque()
        self._lost: Counter = Counter()
        self._look_again = 0.0
        self._alive = time.monotonic()  # when there was a worker last

    def run(self, jobs: List[Any]) -> None:
        """Do all jobs.

        Raises:
            WorkerError: see RayWorkers.results.
            EOFError: nobody waits for results any more.
        """
        self._queue.extend(jobs)
        while self._queue or self._busy():
            self._wanted()
            self._keep_up()
            self._hand_out()
            ready, _ = ray.wait(list(self._pending), num_returns=1, timeout=POLL)
            for answer in ready:
                self._take(answer)
            self._end_late_ones()

    def _busy(self) -> int:
        return sum(worker.job is not None for worker in self._workers)

    def _keep_up(self) -> None:
        """Start workers as long as there are cores and jobs for them."""
        now = time.monotonic()
        if any(worker.place for worker in self._workers):
            self._alive = now
        elif now > self._alive + self._order.start_deadline:
            raise WorkerError(
                f"no core of the cluster at {self._order.address} was free for {self._order.start_deadline:.0f} s; "
                "look at `ray status`, and end what else runs there or add a machine"
            )
        if now < self._look_again:
            return
        self._look_again = now + LOOK
        count = self._order.count or max(1, int(ray.cluster_resources().get("CPU", 0)))
        for _ in range(min(count, len(self._queue) + self._busy()) - len(self._workers)):
            options = {"num_cpus": 1, "max_restarts": 0, "runtime_env": {"env_vars": ONE_THREAD}}
            worker = _Worker(ray.remote(RayWorker).options(**options).remote())
            self._workers.append(worker)
            self._pending[worker.handle.place.remote()] = worker

    def _hand_out(self) -> None:
        for worker in self._workers:
            if worker.idle and self._queue:
                worker.idle, worker.job = False, self._queue.popleft()
                worker.give_up = time.monotonic() + self._order.deadline
                self._pending[worker.handle.do.remote(worker.job)] = worker

    def _take(self, answer: Any) -> None:
        worker = self._pending.pop(answer)
        try:
            kind, value = ray.get(answer, timeout=FETCH)
        except ray.exceptions.RayError as error:
            if "creation task" in str(error) or isinstance(error, ray.exceptions.RayTaskError):
                raise WorkerError(f"a worker of the cluster cannot be started: {_cause(error)}") from None
            self._lose(worker, _why(error))
            return
        if kind == FAILED:
            raise WorkerError(f"{worker.place.split(',')[0]}: {value}" if worker.job is None else str(value))
        if not worker.place:
            worker.place, worker.give_up = str(value), time.monotonic() + self._order.start_deadline
            self._pending[worker.handle.begin.remote(self._setup, self._order.versions)] = worker
            return
        if worker.job is not None:
            self._send(DONE, worker.job, value)
        worker.idle, worker.job, worker.give_up = True, None, FOREVER

    def _end_late_ones(self) -> None:
        now = time.monotonic()
        for answer, worker in [item for item in self._pending.items() if item[1].give_up < now]:
            del self._pending[answer]
            seconds = self._order.start_deadline if worker.job is None else self._order.deadline
            self._lose(worker, f"did not finish within {seconds:.0f} s and was ended")

    def _lose(self, worker: _Worker, reason: str) -> None:
        """Give a worker up, and its job to another one."""
        self._workers.remove(worker)
        ray.kill(worker.handle, no_restart=True)
        self._look_again = 0.0
        key = "its start" if worker.job is None else worker.job
        self._lost[key] += 1
        said = f"the worker of {key} ({worker.place or 'not yet placed'}) {reason}"
        if self._lost[key] > self._order.retries + (len(self._workers) if worker.job is None else 0):
            raise WorkerError(f"{said}, {self._lost[key]} times now; try fewer workers, or look at Ray's log")
        self._send(NOTE, None, f"{said}; it is done again")
        if worker.job is not None:
            self._queue.appendleft(worker.job)


def _why(error: Exception) -> str:
    """Why Ray lost a worker, in few words."""
    text = str(error)
    if "node" in text and ("died" in text or "dead" in text) and "worker process has died" not in text:
        return "was lost with its machine"
    if isinstance(error, ray.exceptions.GetTimeoutError):
        return f"did not hand its result over within {FETCH:.0f} s"
    if isinstance(error, ray.exceptions.ObjectLostError):
        return "was lost with its result"
    return "died"


def _cause(error: Exception) -> str:
    """The innermost line of an error that came from another machine."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    known = [line for line in lines if "Error: " in line]
    return f"{(known or lines)[-1]}; install this package, the same version, on each machine of the cluster"


def connect(address: str) -> None:
    """Become a driver of a cluster.

    Raises:
        WorkerError: it cannot be used from here; the message says why.
    """
    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except (ray.exceptions.RayError, ConnectionError, OSError, RuntimeError, ValueError, AssertionError) as error:
        reason = " ".join(str(error).split())
        raise WorkerError(
            f"--ray {address}: this machine cannot use the cluster ({reason}); Ray has to run here, too "
            "(`ray start --address=HEAD:PORT`), with the same versions of Ray and Python on all machines"
        ) from None


def serve(connection: Connection) -> None:
    """Do what an order says; (kind, job, value) are the answers.

    Raises:
        EOFError: nobody waits for results any more.
    """
    order, jobs = connection.recv(), connection.recv()

    def wanted() -> None:
        if connection.poll():
            connection.recv()

    try:
        connect(order.address)
        connection.send((CONNECTED, None, None))
        Driver(order, lambda *message: connection.send(message), wanted).run(jobs)
    except WorkerError as error:
        connection.send((FAILED, None, str(error)))
    except ray.exceptions.RayError as error:
        connection.send((FAILED, None, f"--ray {order.address}: {' '.join(str(error).split())}"))


def main() -> None:
    """Run the process; its first argument is the connection's file."""
    with Connection(int(sys.argv[1])) as connection:
        try:
            serve(connection)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            # Ray ends the workers of a driver that is gone
            ray.shutdown()
