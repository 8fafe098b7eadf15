"""Work beside the arm's motion: pictures and questions that must not delay a loop."""

import threading
from typing import Any, Callable


class Task:
    """A call in a daemon thread.

    Args:
        call: what to run; it must have a deadline of its own.
    """

    def __init__(self, call: Callable[[], Any], name: str = "task"):
        self._call = call
        self._value: Any = None
        self._error: Any = None
        self._done = threading.Event()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        try:
            self._value = self._call()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - raised again in result(); the SDK may call sys.exit
            self._error = error
        finally:
            self._done.set()

    def done(self) -> bool:
        """Whether the call has ended."""
        return self._done.is_set()

    def wait(self, timeout: float) -> bool:
        """Block until the call has ended, at most timeout s (wall clock); whether it has."""
        return self._done.wait(timeout)

    def result(self) -> Any:
        """What the call returned; only after it is done.

        Raises:
            Whatever the call raised.
        """
        if self._error is not None:
            raise self._error
        return self._value


class InlineTask(Task):
    """The same call in the caller's thread, over and done with at once: for a robot whose time only waits advance."""

    def __init__(self, call: Callable[[], Any], name: str = "task"):
        self._call = call
        self._value: Any = None
        self._error: Any = None
        self._done = threading.Event()
        self._run()
