"""ROS without a master, for contract tests of the SDK: topics, services, parameters and time in one process.

Only the functions of rospy that the SDK calls are replaced, so stand-in and Rethink's own run on it alike.
"""

import collections
import io
from typing import Any, Callable, Dict, List, Optional, Tuple

import genpy
import rospy

LEVELS = ("debug", "info", "warn", "err", "fatal")


class Ros:
    """What replaces rospy. Time advances in pauses only, by as much as they ask for.

    Attributes:
        now: ROS time, s.
        stands_still: pauses do not advance it (a simulator that hangs).
        ended: the node is shutting down.
        sent: messages published by the code under test, by topic, as they come out at the other end of a connection.
        latched: topics that were advertised as latched.
        reactions: by topic, what a robot does about a message, at once.
        on_pause: what a robot does in each pause.
        offered: by service, the function that answers it.
        parameters: by name.
        logs: (level, text).
    """

    def __init__(self, monkeypatch):
        self.now, self.stands_still, self.ended = 100.0, False, False
        self.sent: Dict[str, List[Any]] = collections.defaultdict(list)
        self.latched: List[str] = []
        self.reactions: Dict[str, Callable[[Any], None]] = {}
        self.on_pause: Optional[Callable[[], None]] = None
        self.offered: Dict[str, Callable[[Any], Any]] = {}
        self.parameters: Dict[str, Any] = {}
        self.logs: List[Tuple[str, str]] = []
        self._subscribers: Dict[str, List[Callable]] = collections.defaultdict(list)
        self._states: Dict[str, Any] = {}
        replaced = {
            "Publisher": lambda *args, **options: _Publisher(self, *args, **options),
            "Subscriber": self._subscribe,
            "ServiceProxy": lambda name, kind: _Proxy(self, name, kind),
            "wait_for_service": self._wait_for_service,
            "Rate": lambda hz: _Rate(self, 1.0 / hz),
            "sleep": self.pause,
            "get_time": lambda: self.now,
            "is_shutdown": lambda: self.ended,
            "get_name": lambda: "/tester",
            "get_param": lambda name, default=None: self.parameters.get(_absolute(name), default),
        }
        replaced.update({f"log{level}": self._logger(level) for level in LEVELS})
        for name, function in replaced.items():
            monkeypatch.setattr(rospy, name, function)

    def state(self, topic: str, message) -> None:
        """Send a message to those who listen, and to each who begins to, as a robot does that sends all the time."""
        topic = _absolute(topic)
        self._states[topic] = message
        for callback in self._subscribers[topic]:
            callback(_over_the_wire(message))

    def silence(self, topic: str) -> None:
        """Send it to no further listener."""
        self._states.pop(topic)

    def warnings(self) -> List[str]:
        """Texts logged as warnings."""
        return [text for level, text in self.logs if level == "warn"]

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        if not self.stands_still:
            self.now += seconds
        if self.on_pause is not None:
            self.on_pause()

    def _subscribe(self, topic: str, kind, callback: Callable, **_options) -> None:
        topic = _absolute(topic)
        self._subscribers[topic].append(callback)
        if topic in self._states:
            callback(_over_the_wire(self._states[topic]))

    def publish(self, topic: str, message) -> None:
        """Take a message of the code under test."""
        message = _over_the_wire(message)
        self.sent[topic].append(message)
        if topic in self.reactions:
            self.reactions[topic](message)

    def _wait_for_service(self, name: str, timeout: Optional[float] = None) -> None:
        if _absolute(name) not in self.offered:
            raise rospy.ROSException(f"timeout of {timeout} s exceeded while waiting for service {name}")

    def _logger(self, level: str) -> Callable:
        def log(text: str, *args) -> None:
            self.logs.append((level, text % args if args else text))

        return log


class _Publisher:
    def __init__(self, ros: Ros, topic: str, kind, latch: bool = False, **_options):
        self._ros, self._topic, self._kind = ros, _absolute(topic), kind
        if latch:
            ros.latched.append(self._topic)

    def publish(self, *args, **kwargs) -> None:
        self._ros.publish(self._topic, rospy.msg.args_kwds_to_message(self._kind, args, kwargs))


class _Proxy:
    def __init__(self, ros: Ros, name: str, kind):
        self._ros, self._name, self._kind = ros, _absolute(name), kind

    def __call__(self, *args, **kwargs):
        request = rospy.msg.args_kwds_to_message(self._kind._request_class, args, kwargs)
        return self._ros.offered[self._name](_over_the_wire(request))


class _Rate:
    def __init__(self, ros: Ros, period: float):
        self._ros, self._period, self._last = ros, period, ros.now

    def sleep(self) -> None:
        """As rospy's: time that jumped back is an exception."""
        if self._ros.now < self._last:
            raise rospy.exceptions.ROSTimeMovedBackwardsException(self._last - self._ros.now)
        self._ros.pause(self._period)
        if self._ros.ended:
            raise rospy.exceptions.ROSInterruptException("ROS shutdown request")
        self._last = self._ros.now


def _absolute(name: str) -> str:
    return name if name.startswith("/") else "/" + name


def _over_the_wire(message: genpy.Message) -> genpy.Message:
    buffer = io.BytesIO()
    message.serialize(buffer)
    return type(message)().deserialize(buffer.getvalue())
