"""One child process at a time: it ends when its parent does, is stopped gently, and has its words kept in a log."""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator, List, Optional, Sequence

from grasp_learning.storage import utc_now

PR_SET_PDEATHSIG = 1
ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# how the package's nodes and tools tell why they failed, the most telling first
TELLING = (re.compile(r"collection ends: (.+)"), re.compile(r"FAILED: (.+)"), re.compile(r"^(\w+: .+)"))
POLL = 0.2  # s
TAIL_BYTES = 20_000  # of a log that are searched for the reason of a failure
GENTLE = ((signal.SIGINT, 45.0), (signal.SIGTERM, 15.0), (signal.SIGKILL, 15.0))  # each with the time to obey (s)

HELD_BACK = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_libc = ctypes.CDLL(None, use_errno=True)


class ChildStalled(Exception):
    """A child did nothing that could be seen for too long, and was ended."""


@dataclass(frozen=True)
class Ended:
    """How a child ended.

    Attributes:
        status: its exit status; negative for the signal that killed it.
        words: the line of its log that tells most of a failure; empty where it said nothing.
    """

    status: int
    words: str


def _die_with_parent() -> None:
    # between fork and exec: one system call and nothing else
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@contextlib.contextmanager
def signals_held_back() -> Iterator[None]:
    """Let Ctrl-C and its like wait for the end of the block: what they raise within a fork, Python would swallow."""
    came: List[int] = []
    handlers = {number: signal.getsignal(number) for number in HELD_BACK}
    # only the main thread may set handlers, and only it runs them; what is ignored stays so
    main = threading.current_thread() is threading.main_thread()
    replaced = {number: handler for number, handler in handlers.items() if main and callable(handler)}
    for number in replaced:
        signal.signal(number, lambda signalled, _frame: came.append(signalled))
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)
    for signalled in came:
        replaced[signal.Signals(signalled)](signalled, None)


def run_child(
    arguments: Sequence[str],
    log: Path,
    stall: float,
    newest: Callable[[], float],
    on_poll: Optional[Callable[[], None]] = None,
    keep_open: Sequence[int] = (),
) -> Ended:
    """Run a command to its end.

    It gets a session of its own, so that Ctrl-C in the terminal reaches this process only, which passes it on. It is
    told to end when this process dies, by kill -9 too.

    Args:
        log: file that its output is appended to, behind a line with the time and the command.
        stall: end it when `newest` has not changed for so long (s).
        newest: a number that changes while it works, such as the time of the newest file it wrote.
        on_poll: called a few times a second.
        keep_open: files that stay open in it, such as a lock.

    Raises:
        ChildStalled: it was ended since it seemed to hang.
        OSError: the log cannot be written, or the command cannot be started.
        KeyboardInterrupt: after the child has ended.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        file.write(f"# {utc_now()}: {' '.join(arguments)}\n".encode())
        file.flush()
        begin = file.tell()
        child = None
        try:
            with signals_held_back():
                child = subprocess.Popen(
                    list(arguments),
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=tuple(keep_open),
                    preexec_fn=_die_with_parent,
                    env=dict(os.environ, PYTHONUNBUFFERED="1"),
                )
            _watch(child, lambda: (newest(), log.stat().st_mtime), stall, on_poll)
        finally:
            # whatever raised, also a second Ctrl-C: nothing is left running
            if child is not None:
                end_child(child)
    return Ended(child.returncode, telling_words(log, begin))


def _watch(child, sign: Callable[[], object], stall: float, on_poll: Optional[Callable[[], None]]) -> None:
    seen, since = sign(), time.monotonic()
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(POLL)
            return
        if on_poll is not None:
            on_poll()
        now = sign()
        if now != seen:
            seen, since = now, time.monotonic()
        if time.monotonic() - since > stall:
            raise ChildStalled(f"nothing happened for {stall:.0f} s")


def end_child(child: subprocess.Popen) -> None:
    """Ask a child and its own children to end, in sterner words each time, until it has; free if it has already."""
    for request, seconds in GENTLE:
        if child.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, request)
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            child.wait(seconds)


def telling_words(log: Path, begin: int = 0) -> str:
    """The line of a log, from a byte on, that tells most of why a command failed."""
    with log.open("rb") as file:
        file.seek(max(begin, log.stat().st_size - TAIL_BYTES))
        text = ESCAPE.sub("", file.read().decode(errors="replace"))
    lines = [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]
    for pattern in TELLING:
        for line in reversed(lines):
            match = pattern.search(line)
            if match:
                return match.group(1)
    return lines[-1] if lines else ""
