"""The nodes around the collector, played by the test: they answer what the test says, at once.

The recorder is not among them: the tests start the real one.
"""

import itertools
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Tuple

import actionlib
import numpy as np
import rospy
from bag_samples import camera_info, compressed, picture
from std_srvs.srv import Trigger, TriggerResponse

from grasp_learning.msg import (
    ApproachAction,
    ApproachResult,
    CollectionStatus,
    Grasp,
    GraspPrior,
    PickAction,
    PickResult,
    Region,
)
from grasp_learning.srv import (
    PutBackObjects,
    PutBackObjectsResponse,
    SampleGrasp,
    SampleGraspResponse,
    SampleRegion,
    SampleRegionResponse,
)

NODES = Path(__file__).resolve().parent.parent / "nodes"
CALIBRATION = NODES.parent / "config" / "calibration" / "sim.yaml"
DEADLINE = 30.0  # s, wall clock, of everything that is waited for
ARMS = ("left", "right")


def wait_for(condition: Callable[[], object], what: str, timeout: float = DEADLINE):
    """Wait until a condition holds; what it returned then."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {timeout:g} s")
        time.sleep(0.01)
    return condition()


class FakeNodes:
    """Samplers, executors and simulator with answers that a test may change at any time.

    Attributes:
        region, approach, grasp, pick: outcome that each step answers, by arm; a function is called with the arm.
        faults: why each arm waits for a person, until it is started.
        prior: of the grasps; without places, as of random ones.
        background: what comes of learning the empty table, one after the other.
        scatter: whether objects can be laid out.
        layouts: how often they were.
        exchanges: how often others were laid out.
        moving: arms with a pick under way now.
        pick_time: how long a pick takes (s).
        picks: how many were begun.
        starts: arms whose executor was told to start, in order.
        startable: whether they can.
        at_start: called with the arm while it is started.
    """

    def __init__(self) -> None:
        self._picture = compressed(picture(320, 200, np.random.default_rng(0)), 1.0)
        self._actions: List[actionlib.SimpleActionServer] = []
        self._lock = threading.Lock()
        self.moved_under_layout = False
        self.reset()
        rospy.Service("/roi_sampler/sample", SampleRegion, self._on_region)
        rospy.Service("/grasp_sampler/sample", SampleGrasp, self._on_grasp)
        rospy.Service("/roi_sampler/reset_background", Trigger, lambda _: TriggerResponse(*next(self.background)))
        rospy.Service("/fake_sim/clear_table", Trigger, lambda _: TriggerResponse(True, "done"))
        rospy.Service("/fake_sim/scatter", Trigger, self._on_scatter)
        rospy.Service("/fake_sim/exchange_objects", Trigger, self._on_exchange)
        rospy.Service("/fake_sim/put_back_objects", PutBackObjects, lambda _: PutBackObjectsResponse(["ball"]))
        for arm in ARMS:
            self._serve(arm, "approach", ApproachAction, self._on_approach)
            self._serve(arm, "pick", PickAction, self._on_pick)
            rospy.Service(f"/{arm}/arm_executor/start", Trigger, lambda _, arm=arm: self._on_start(arm))

    def reset(self) -> None:
        """Back to a world in which every trial fails to hold anything, and nothing else goes wrong."""
        self.region: Dict[str, object] = dict.fromkeys(ARMS, "SUCCESS")
        self.approach: Dict[str, object] = dict.fromkeys(ARMS, "SUCCESS")
        self.grasp: Dict[str, object] = dict.fromkeys(ARMS, "SUCCESS")
        self.pick: Dict[str, object] = dict.fromkeys(ARMS, "FAILURE")
        self.faults: Dict[str, str] = dict.fromkeys(ARMS, "")
        self.prior = GraspPrior()
        self.background: Iterator[Tuple[bool, str]] = itertools.repeat((True, "done"))
        self.scatter = True
        self.layouts = self.picks = self.exchanges = 0
        self.moving: set = set()
        self.starts: List[str] = []
        self.startable = True
        self.at_start: Callable[[str], object] = lambda arm: None
        self.pick_time = 0.05
        self.moved_under_layout = False

    def _serve(self, arm: str, name: str, action, execute: Callable) -> None:
        server = actionlib.SimpleActionServer(
            f"/{arm}/arm_executor/{name}", action, lambda goal: execute(arm, server), auto_start=False
        )
        server.start()
        self._actions.append(server)

    def _said(self, answers: Dict[str, object], arm: str) -> str:
        answer = answers[arm]
        return str(answer(arm) if callable(answer) else answer)

    def _on_region(self, request) -> SampleRegionResponse:
        region = Region(arm=request.arm, height=0.05)
        info = camera_info(320, 200, 1.0)
        outcome = self._said(self.region, request.arm)
        return SampleRegionResponse(outcome, f"region: {outcome}", region, self._picture, info)

    def _on_grasp(self, request) -> SampleGraspResponse:
        arm = request.region.arm
        grasp = Grasp(arm=arm, u=160.0, v=100.0, x=0.7, y=0.2, patch_size=60, sampler="random", score=float("nan"))
        outcome = self._said(self.grasp, arm)
        info = camera_info(320, 200, 1.0)
        return SampleGraspResponse(outcome, f"grasp: {outcome}", grasp, self._picture, info, self.prior)

    def _on_approach(self, arm: str, server) -> None:
        outcome = self._said(self.approach, arm)
        server.set_succeeded(ApproachResult(outcome, f"approach: {outcome}", self.faults[arm], 0.0))

    def _on_pick(self, arm: str, server) -> None:
        with self._lock:
            self.picks += 1
            self.moving.add(arm)
        outcome = self._said(self.pick, arm)
        end = time.monotonic() + self.pick_time
        while time.monotonic() < end and not server.is_preempt_requested() and not rospy.is_shutdown():
            time.sleep(0.01)
        with self._lock:
            self.moving.discard(arm)
        result = PickResult(outcome=outcome, message=f"pick: {outcome}", fault=self.faults[arm], force=3.0)
        if server.is_preempt_requested():
            result.outcome, result.message = "ABORTED", "cancelled"
            server.set_preempted(result)
            return
        server.set_succeeded(result)

    def _on_start(self, arm: str) -> TriggerResponse:
        self.starts.append(arm)
        self.at_start(arm)
        if self.startable:
            self.faults[arm] = ""
        return TriggerResponse(self.startable, "" if self.startable else "the emergency stop is pressed")

    def _on_scatter(self, _) -> TriggerResponse:
        if not self.scatter:
            return TriggerResponse(False, "the objects found no place")
        self.layouts += 1
        self.moved_under_layout = self.moved_under_layout or bool(self.moving)
        return TriggerResponse(True, "laid out")

    def _on_exchange(self, _) -> TriggerResponse:
        if not self.scatter:
            return TriggerResponse(False, "the objects found no place")
        self.exchanges += 1
        self.moved_under_layout = self.moved_under_layout or bool(self.moving)
        return TriggerResponse(True, "ball, mug")


class Node:
    """A node of this package as a process of its own.

    Args:
        name: the node's.
        parameters: its private ones.
    """

    def __init__(self, name: str, parameters: dict):
        if rospy.has_param(f"/{name}"):
            rospy.delete_param(f"/{name}")
        rospy.set_param(f"/{name}", parameters)
        self.name = name
        self._output: List[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-u", str(NODES / name), f"__name:={name}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._output.append(line)

    @property
    def output(self) -> str:
        """What it printed so far."""
        return "".join(self._output)

    def wait(self, timeout: float = DEADLINE) -> int:
        """Wait for its end; the exit code."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} runs on after {timeout:g} s; it printed:\n{self.output}") from None
        self._reader.join(DEADLINE)
        return code

    def close(self) -> None:
        """End it if it still runs.

        In good order, so that it leaves the master: of a killed node the master keeps the address, and when another
        node of that name comes it ends whichever process has that port by then.
        """
        self.process.terminate()
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)


class StatusListener:
    """Remembers what the collector publishes on ~status.

    Args:
        node: the collector's name.
    """

    def __init__(self, node: str = "/collector") -> None:
        self.all: List[CollectionStatus] = []
        self._subscriber = rospy.Subscriber(f"{node}/status", CollectionStatus, self.all.append, tcp_nodelay=True)

    @property
    def states(self) -> List[str]:
        """States in the order in which they came about, without repetitions."""
        states = [status.state for status in list(self.all)]
        return [state for place, state in enumerate(states) if place == 0 or state != states[place - 1]]

    def is_now(self, state: str) -> bool:
        """Whether this is the newest state."""
        return bool(self.all) and self.all[-1].state == state

    def close(self) -> None:
        """Stop listening."""
        self._subscriber.unregister()
