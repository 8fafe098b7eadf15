"""Waits that end: deadlines, service calls and action goals that cannot hang.

rospy's own service call waits for ever for a server that does not answer, and under a simulated clock every wait
in ROS time hangs when the clock dies. Here each wait has a budget of ROS time and a budget of wall-clock time.
"""

import threading
import time
import xmlrpc.client
from typing import Any, Callable, Optional

import actionlib
import rosgraph
import rospy

from grasp_learning.execution.task import Task

POLL = 0.02  # s, wall clock


class CallFailed(Exception):
    """A service or an action did not answer; the message names it and says why."""


class NoAnswer(CallFailed):
    """The server did not answer in time; it may still carry the request out."""


def sdk_task(call: Callable[[], Any], name: str = "task") -> Task:
    """A task for a blocking call of the SDK, whose waits also raise what rospy raises; to callers all is an OSError.

    That happens when ROS time jumps back (a simulator that was restarted) or the node ends in the middle of a wait.
    """

    def checked() -> Any:
        try:
            return call()
        except rospy.ROSException as error:
            raise OSError(f"the wait was broken off: {error}") from error
        except SystemExit as error:  # its version checks
            raise OSError(f"the SDK wanted to end the program (exit code {error.code}); its log says why") from error

    return Task(checked, name)


class Deadline:
    """Ends after `ros` seconds of ROS time or `wall` seconds of wall-clock time, whichever comes first.

    Args:
        ros: budget in ROS time (s); None for no limit but the wall clock's.
        wall: backstop in wall-clock time (s); by default three times the ROS budget, at least 10 s.
    """

    def __init__(self, ros: Optional[float], wall: Optional[float] = None):
        if ros is None and wall is None:
            raise ValueError("a deadline needs a budget of ROS time, of wall-clock time, or both")
        self._ros_end = None if ros is None else rospy.get_time() + ros
        self._wall_end = time.monotonic() + (max(10.0, 3.0 * ros) if wall is None else wall)

    def expired(self) -> bool:
        """Whether a budget is spent."""
        if time.monotonic() >= self._wall_end:
            return True
        return self._ros_end is not None and rospy.get_time() >= self._ros_end

    def wait(self, condition: Callable[[], Any], poll: float = POLL) -> bool:
        """Wait until condition() is true; False when the deadline came first or the node shuts down."""
        while not condition():
            if self.expired() or rospy.is_shutdown():
                return False
            time.sleep(poll)
        return True


def call_service(name: str, service_class, request, timeout: float):
    """Call a service; the wait for the server and for its answer together take at most `timeout` s (wall clock).

    Raises:
        NoAnswer: it did not answer in time.
        CallFailed: no such service, it died or it raised.
    """

    def call():
        rospy.wait_for_service(name, timeout=timeout)
        return rospy.ServiceProxy(name, service_class)(request)

    # a thread of its own, since a server that never answers would hold this one for ever
    task = Task(call, name=f"call {name}")
    end = time.monotonic() + timeout
    while not task.wait(0.1):
        if rospy.is_shutdown():
            raise CallFailed(f"service {name}: this node is shutting down")
        if time.monotonic() >= end:
            raise NoAnswer(f"service {name} did not answer within {timeout:g} s; is its node running?")
    try:
        return task.result()
    except Exception as error:  # noqa: BLE001 - rospy's clients let errors of sockets, HTTP and XML-RPC through
        raise CallFailed(f"service {name} failed: {error}") from error


def node_pid(name: str, timeout: float = 5.0) -> Optional[int]:
    """Process id of a node; None if there is none of that name or it does not answer within timeout s (wall clock)."""

    def ask() -> int:
        uri = rosgraph.Master(rospy.get_name()).lookupNode(rospy.resolve_name(name))
        server: Any = xmlrpc.client.ServerProxy(uri)
        return server.getPid(rospy.get_name())[2]

    task = Task(ask, name=f"pid of {name}")
    if not task.wait(timeout):
        return None
    try:
        return task.result()
    except (rosgraph.MasterException, OSError):
        return None


class ActionCaller:
    """Sends goals to one action server and waits for the result within a deadline.

    actionlib's SimpleActionClient waits in ROS time and cannot tell that its server died, so this is built on the
    client beneath it.

    Attributes:
        last_status: what the server said of the last goal that ended, for a person.
    """

    def __init__(self, name: str, action_class, start_timeout: float = 5.0):
        self.name = name
        self._start_timeout = start_timeout
        self._client = actionlib.ActionClient(name, action_class)
        self.last_status = ""

    def call(self, goal, ros_timeout: float, wall_timeout: float, cancel: Callable[[], bool] = lambda: False):
        """Send a goal; its result.

        Args:
            ros_timeout: in ROS time (s). wall_timeout: in wall-clock time (s).
            cancel: asked again and again; the goal is cancelled when it becomes true, and its result awaited.

        The result of a goal that the server aborted may be empty, where its code failed: see :attr:`last_status`.

        Raises:
            CallFailed: no server, the server died, the goal was rejected, or no result came in time (the goal is
                then cancelled).
        """
        self.wait_for_server(self._start_timeout)
        finished = threading.Event()

        def on_transition(handle) -> None:
            if handle.get_comm_state() == actionlib.CommState.DONE:
                finished.set()

        handle = self._client.send_goal(goal, transition_cb=on_transition)
        deadline = Deadline(ros_timeout, wall_timeout)
        cancelled = False
        while not finished.wait(POLL):
            if cancel() and not cancelled:
                handle.cancel()
                cancelled = True
            if rospy.is_shutdown():
                handle.cancel()
                raise CallFailed(f"action {self.name}: this node is shutting down")
            if self._client.status_sub.get_num_connections() == 0:
                raise CallFailed(f"action {self.name}: its server died")
            if deadline.expired():
                handle.cancel()
                raise CallFailed(f"action {self.name} gave no result within its deadline of {ros_timeout:g} s")
        result, self.last_status = handle.get_result(), handle.get_goal_status_text()
        if result is None:
            raise CallFailed(f"action {self.name}: {self.last_status or 'the goal was lost'}")
        return result

    def wait_for_server(self, timeout: float) -> None:
        """Wait until the server accepts goals.

        Raises:
            CallFailed: it does not within timeout s (wall clock).
        """
        if not Deadline(None, timeout).wait(self._ready, poll=0.02):
            raise CallFailed(f"action {self.name} has no server after {timeout:g} s; is its node running?")

    def cancel(self) -> None:
        """Ask the server to end its goals."""
        self._client.cancel_all_goals()

    def _ready(self) -> bool:
        # a negative timeout makes actionlib look once; zero would wait for ever. It is added to the time, which
        # must not become negative in the first second of a simulation
        return rospy.get_time() > 1.0 and self._client.wait_for_server(rospy.Duration(-1))
