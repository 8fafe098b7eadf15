"""The last minutes of a topic, as raw bytes, so that a trial can be written after it has ended."""

import threading
from collections import deque
from typing import Deque, List, NamedTuple

SECOND = 10**9


class RawMessage(NamedTuple):
    """A serialised message and its time (ns)."""

    stamp: int
    data: bytes


class MessageBuffer:
    """Keeps what was received lately, bounded in time and in bytes; every method may be called from any thread.

    Args:
        seconds: how far back it reaches.
        max_bytes: the oldest messages go when their data exceed this.
    """

    def __init__(self, seconds: float, max_bytes: int):
        self._span = int(seconds * SECOND)
        self._max_bytes = max_bytes
        self._messages: Deque[RawMessage] = deque()
        self._bytes = 0
        self._lock = threading.Lock()

    def add(self, stamp: int, data: bytes) -> None:
        """Take a message; the whole of what a subscriber's callback does."""
        with self._lock:
            messages = self._messages
            if messages and stamp < messages[-1].stamp - SECOND:
                # a simulator was restarted: what was before has the stamps of another world
                messages.clear()
                self._bytes = 0
            messages.append(RawMessage(stamp, data))
            self._bytes += len(data)
            while messages[0].stamp < stamp - self._span or (self._bytes > self._max_bytes and len(messages) > 1):
                self._bytes -= len(messages.popleft().data)

    @property
    def newest(self) -> int:
        """Time of the last message (ns); 0 before the first."""
        with self._lock:
            return self._messages[-1].stamp if self._messages else 0

    def between(self, start: int, end: int) -> List[RawMessage]:
        """Messages from `start` to `end` (ns), both included."""
        with self._lock:
            messages = list(self._messages)
        return [message for message in messages if start <= message.stamp <= end]
