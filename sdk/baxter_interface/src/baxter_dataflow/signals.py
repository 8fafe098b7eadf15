"""Signals: callbacks that are called when something changes."""

import inspect
import weakref
from typing import Any, Callable, List


class Signal:
    """A list of callbacks ("slots"); calling the signal calls each once, in the order of connecting.

    It does not keep a slot alive: a lambda that nobody else holds is forgotten at once.
    """

    def __init__(self):
        self._references: List[weakref.ref] = []

    def connect(self, slot: Callable[..., Any]) -> None:
        """Call a function or method from now on; connecting it again changes nothing."""
        if slot not in self._slots():
            reference = weakref.WeakMethod(slot) if inspect.ismethod(slot) else weakref.ref(slot)
            self._references.append(reference)

    def disconnect(self, slot: Callable[..., Any]) -> None:
        """Call it no longer."""
        self._references = [reference for reference in self._references if reference() not in (None, slot)]

    def __call__(self, *args, **kwargs) -> None:
        for slot in self._slots():
            slot(*args, **kwargs)

    def _slots(self) -> List[Callable[..., Any]]:
        return [slot for slot in (reference() for reference in self._references) if slot is not None]
