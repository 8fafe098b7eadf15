"""The process of one worker: it gets jobs through a connection, and answers each with its result.

It is started by :mod:`grasp_learning.simulation.workers`, which sends a function first; that makes the function that
does the jobs, so that what is slow to make (a model, a catalogue) is made once.
"""

import logging
import os
import sys
import traceback
from multiprocessing.connection import Connection
from typing import Any, Callable, Tuple

DONE, FAILED = "done", "failed"

Job = Callable[[Any, Callable[[], None]], Any]


def serve(connection: Connection, parent: int) -> None:
    """Do jobs until the other end is closed.

    Args:
        parent: process id of the one that started this one; where it is gone, nobody waits for a result any more.
    """

    def stop_where_orphaned() -> None:
        if os.getppid() != parent:
            sys.exit(1)

    do, failure = guarded(lambda: connection.recv()())
    while True:
        job = connection.recv()
        if failure:
            connection.send((FAILED, failure))
            continue
        result, problem = guarded(lambda job=job: do(job, stop_where_orphaned))
        connection.send((FAILED, problem) if problem else (DONE, result))


def guarded(function: Callable[[], Any]) -> Tuple[Any, str]:
    """The function's value, or what it raised in one line; it is printed in full where it was a surprise."""
    try:
        return function(), ""
    except (EOFError, BrokenPipeError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, who waits for the result must hear of it
        if not _is_expected(error):
            traceback.print_exc()
        return None, " ".join(f"{type(error).__name__}: {error}".split())


def _is_expected(error: Exception) -> bool:
    """Whether it is one of this package's own errors, whose message says all."""
    return type(error).__module__.partition(".")[0] == __package__.partition(".")[0]


def main() -> None:
    """Run the process; its arguments are the connection's file and the parent's process id."""
    # what goes wrong in a trial stands in its outcome; on the terminal is the progress of all
    logging.getLogger(__package__.partition(".")[0]).setLevel(logging.ERROR)
    with Connection(int(sys.argv[1])) as connection:
        try:
            serve(connection, int(sys.argv[2]))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return
