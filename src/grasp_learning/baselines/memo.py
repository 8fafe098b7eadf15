"""Results that several baselines need of the same patches, kept within a limit of memory."""

from collections import OrderedDict
from typing import Callable, Generic, Hashable, TypeVar

Value = TypeVar("Value")


class Memo(Generic[Value]):
    """The results that were asked for last.

    Args:
        size_of: bytes of a result.
        limit: bytes of all of them; a result that is larger is not kept.
    """

    def __init__(self, size_of: Callable[[Value], int], limit: float):
        self._size_of, self._limit = size_of, limit
        self._kept: OrderedDict[Hashable, Value] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The result of a key, made if it is not there."""
        if key not in self._kept:
            value = make()
            if self._size_of(value) > self._limit:
                return value
            self._kept[key] = value
            while sum(map(self._size_of, self._kept.values())) > self._limit:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]
