"""Work handed to the thread that owns the simulation, so that the physics needs no locks."""

import collections
import concurrent.futures
from typing import Any, Callable, Deque


class Inbox:
    """Calls that other threads post, and the owner runs between two steps in the order in which they came.

    Args:
        patience: wall time (s) for which :meth:`ask` waits.
    """

    def __init__(self, patience: float):
        self._calls: Deque = collections.deque()  # its append and popleft are atomic
        self._patience = patience

    def post(self, call: Callable, *args: Any) -> None:
        """Have the owner run ``call(*args)``, which must not raise; returns at once."""
        self._calls.append((call, args))

    def ask(self, call: Callable, *args: Any) -> Any:
        """Have the owner run ``call(*args)``; returns its result, or raises what it raised.

        Raises:
            TimeoutError: the owner did not come round to it, because it ended or stands still.
        """
        future: concurrent.futures.Future = concurrent.futures.Future()
        self.post(_answer, future, call, args)
        try:
            return future.result(self._patience)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise TimeoutError(f"the simulation did not answer within {self._patience:g} s") from None

    def run(self) -> None:
        """Run what was posted; for the owner only."""
        while self._calls:
            call, args = self._calls.popleft()
            call(*args)


def _answer(future: concurrent.futures.Future, call: Callable, args: tuple) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call(*args))
    except Exception as error:  # noqa: BLE001 - it is raised again in the thread that asked
        future.set_exception(error)
