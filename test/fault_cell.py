"""Faults of every kind at every phase of a trial: the real collector and executor on an ideal robot that can be broken.

The test's process plays the robot (:class:`FakeBaxter`), both samplers and the recorder; arm_executor (started by
fault_cell.launch, and again when it is killed) and collector are processes of their own. A person attends the robot,
played by :meth:`FaultCell.run`, which breaks something, mends it and calls ~resume.
"""

import os
import signal
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np
import rospy
from bag_samples import camera_info, compressed, picture
from fake_baxter import FakeBaxter
from fake_nodes import CALIBRATION, Node, StatusListener, wait_for
from std_srvs.srv import Trigger, TriggerResponse

from grasp_learning.execution.faults import SensorFault
from grasp_learning.msg import ApproachActionFeedback, Grasp, PickActionFeedback, Region
from grasp_learning.ros.calls import node_pid
from grasp_learning.ros.camera_client import CameraTimeouts, FreshImage
from grasp_learning.srv import (
    PutBackObjects,
    PutBackObjectsResponse,
    RecordTrial,
    RecordTrialResponse,
    SampleGrasp,
    SampleGraspResponse,
    SampleRegion,
    SampleRegionResponse,
)

EXECUTOR = "/left/arm_executor"
PHASES = ("approach", "look", "descend", "close", "lift", "read", "put back")
PUT_BACK = PHASES[-1]
ANNOUNCED = {"release": PUT_BACK}  # phases that the executor calls otherwise
LABELS = ("SUCCESS", "FAILURE")
CAMERA = 2.0  # s, robot's time: deadline of a picture; fault_cell.launch says the same
MOTION = 5.0  # s, robot's time: longest way from one phase to the next
STOP = 0.05  # s within which commands stop after the message that tells of the fault
GRACE = 1.0  # s that the outcome may come after the deadline

Moment = Tuple[float, float]  # s, by the wall clock and by the robot's


@dataclass(frozen=True)
class Kind:
    """A fault.

    Attributes:
        outcome: typed outcome of the trial that it ends.
        begin: breaks something; when the robot told of it (s, wall clock). end: mends it.
        deadline: within which it must be noticed (s). 0 is by the wall clock; else it is over when it is so by both
            clocks, of which this machine may delay one.
        deadline_at: phases with another deadline (s).
        delay: after the begin of the phase (s, robot's time).
        label_at: phases at which the label stands; of a sensor's fault the next trial tells.
    """

    outcome: str
    begin: Callable[[], float]
    end: Callable[[], Any]
    deadline: float
    deadline_at: Dict[str, float] = field(default_factory=dict)
    delay: float = 0.1
    label_at: Tuple[str, ...] = (PUT_BACK,)

    @property
    def stops(self) -> bool:
        """Whether the arm gets no command any more; after a fault of a sensor it clears the table."""
        return self.outcome == "ROBOT_FAULT"

    def expected(self, phase: str) -> List[str]:
        """Outcomes of the trials from the fault on that tell of it."""
        if phase not in self.label_at:
            return [self.outcome]
        return ["label"] if self.stops else ["label", self.outcome]


@dataclass
class Result:
    """What came of one fault.

    Attributes:
        outcomes: of the trials, up to the one that the fault ended.
        seconds: from the fault to the outcome, by the clocks of the kind's deadline. limit: what that may be.
        stop: from the fault to the last command (s), likewise; None where the arm may move.
        stop_limit: what that may be.
        detail: what the last of these trials says, for a person.
        resumed: from ~resume to its answer (s, wall clock); None where nobody had to resume.
    """

    kind: str
    phase: str
    expected: List[str]
    outcomes: List[str]
    seconds: float
    limit: float
    stop: Optional[float]
    stop_limit: float
    detail: str
    resumed: Optional[float] = None

    @property
    def good(self) -> bool:
        """Right outcome, in time, and commands stopped in time."""
        in_time = self.seconds <= self.limit and (self.stop is None or self.stop <= self.stop_limit)
        return self.outcomes == self.expected and in_time

    @property
    def line(self) -> str:
        """For a terminal."""
        stop = "-" if self.stop is None else f"{1000 * self.stop:.0f}"
        resumed = "-" if self.resumed is None else f"{self.resumed:.1f}"
        return (
            f"{'ok' if self.good else 'BAD':<4}{self.kind:<20}{self.phase:<10}{' '.join(self.outcomes):<22}"
            f"outcome {self.seconds:6.3f} s (<= {self.limit:.2f})  stop {stop:>4} ms  resume {resumed:>4} s"
        )


class FaultCell:
    """The cell; after :meth:`start` and :meth:`confirm`, :meth:`run` breaks one thing at one phase.

    Args:
        folder: of the collection.
        speed: of the robot's clock against the wall clock.
        robot: what is broken; None for an ideal one.
    """

    def __init__(self, folder: Path, speed: float, robot=None):
        self.speed = speed
        self.robot = FakeBaxter(speed) if robot is None else robot
        self.recorded: List[Tuple[Moment, str, str]] = []  # (when, outcome, detail)
        self.begun: List[Tuple[Moment, str]] = []  # (when, phase)
        self._at: Dict[str, Callable[[], None]] = {}
        self._lock = threading.Lock()
        self._pid = 0
        self._picture = compressed(picture(320, 200, np.random.default_rng(0)), 1.0)
        rospy.Subscriber(f"{EXECUTOR}/approach/feedback", ApproachActionFeedback, self._on_feedback, tcp_nodelay=True)
        rospy.Subscriber(f"{EXECUTOR}/pick/feedback", PickActionFeedback, self._on_feedback, tcp_nodelay=True)
        rospy.Service("/roi_sampler/sample", SampleRegion, self._on_region)
        rospy.Service("/grasp_sampler/sample", SampleGrasp, self._on_grasp)
        rospy.Service("/trial_recorder/record", RecordTrial, self._on_record)
        # the table is none of the faults' business
        for name in ("roi_sampler/reset_background", "fault_sim/clear_table", "fault_sim/scatter"):
            rospy.Service(f"/{name}", Trigger, lambda _: TriggerResponse(True, "done"))
        rospy.Service("/fault_sim/put_back_objects", PutBackObjects, lambda _: PutBackObjectsResponse())
        self.status = StatusListener()
        self.kinds = self._kinds()
        self._folder = folder
        self.collector: Optional[Node] = None

    def start(self) -> Node:
        """Start the collector."""
        self.close()
        self.collector = Node("collector", self._parameters())
        return self.collector

    def _parameters(self) -> dict:
        return {
            "data": str(self._folder),
            "calibration": str(CALIBRATION),
            "arms": "left",
            "trials": 0,
            "simulator": "/fault_sim",
            "exchange_after": 0,
            "attended": True,
            "confirm": True,
            "fault_pause": 0.05,
            "max_consecutive_faults": 1000,
            "start_timeout": 60.0,
        }

    def confirm(self) -> None:
        """The person allows the first motion; returns when trials run."""
        wait_for(lambda: self.status.is_now("PAUSED"), "the checks hold", 60.0)
        self.resume()
        wait_for(lambda: any(status.state == "RUNNING" for status in self.status.all), "the collection runs", 60.0)

    def close(self) -> None:
        """End the collector."""
        if self.collector is not None:
            self.collector.close()

    # --- the nodes around -----------------------------------------------------------------------------------------

    def _on_feedback(self, message) -> None:
        phase = message.feedback.phase
        self._begins(ANNOUNCED.get(phase, phase))

    def _begins(self, phase: str) -> None:
        with self._lock:
            self.begun.append((_now(), phase))
            action = self._at.pop(phase, None)
        if action is not None:
            action()

    def _on_region(self, request) -> SampleRegionResponse:
        region = Region(arm=request.arm, height=0.05)
        region.center.x, region.center.y, region.center.z = 0.65, 0.3, -0.1
        return SampleRegionResponse("SUCCESS", "", region, self._picture, camera_info(320, 200, 1.0))

    def _on_grasp(self, request) -> SampleGraspResponse:
        self._begins("look")
        arm = request.region.arm
        answer = SampleGraspResponse(outcome="SUCCESS", image=self._picture, camera_info=camera_info(320, 200, 1.0))
        answer.grasp = Grasp(arm=arm, x=0.66, y=0.28, z=-0.08, theta=0.8, patch_size=60, sampler="random")
        topics = (f"/cameras/{arm}_hand_camera/{name}" for name in ("image", "camera_info"))
        try:
            FreshImage(*topics, timeouts=CameraTimeouts(ros=CAMERA)).grab()
        except SensorFault as error:
            answer.outcome, answer.message = "SENSOR_FAULT", str(error)
        return answer

    def _on_record(self, request) -> RecordTrialResponse:
        trial = request.trial
        with self._lock:
            self.recorded.append((_now(), trial.outcome, trial.detail))
            count = len(self.recorded)
        return RecordTrialResponse(True, "", count if trial.outcome in LABELS else 0, "")

    # --- faults ---------------------------------------------------------------------------------------------------

    def _kinds(self) -> Dict[str, Kind]:
        robot = self.robot
        frozen = partial(robot.freeze_joints, True), partial(robot.freeze_joints, False)
        blind = partial(robot.freeze_camera, True), partial(robot.freeze_camera, False)
        return {
            "estop": Kind("ROBOT_FAULT", robot.press_estop, robot.release_estop, 0.0),
            "disable": Kind("ROBOT_FAULT", robot.disable, lambda: None, 0.0),
            # as streaming/joint_state_timeout says, by both clocks
            "frozen_joints": Kind("ROBOT_FAULT", *frozen, 0.2),
            # noticed when the next picture is wanted
            "frozen_camera": Kind("SENSOR_FAULT", *blind, MOTION + CAMERA, delay=0.0),
            # noticed when the gripper is to do or to say something; the SDK tries to reset it for 2 s
            "gripper_error": Kind("SENSOR_FAULT", robot.fail_gripper, robot.mend_gripper, MOTION + 2.0),
            # nobody waits for it while the camera looks; then a server is looked for as long as ActionCaller does
            "killed_server": Kind("ROBOT_FAULT", self._kill, lambda: None, 0.0, {"look": 5.0}, label_at=()),
        }

    def _kill(self) -> float:
        begin = time.monotonic()
        os.kill(self._pid, signal.SIGKILL)
        return begin

    # --- one case -------------------------------------------------------------------------------------------------

    def resume(self) -> float:
        """What a person calls; how long the answer took (s)."""
        rospy.wait_for_service("/collector/resume", 10.0)
        begin = time.monotonic()
        answer = rospy.ServiceProxy("/collector/resume", Trigger)()
        if not answer.success:
            raise AssertionError(f"~resume: {answer.message}")
        return time.monotonic() - begin

    def run(self, name: str, phase: str) -> Result:
        """Break something a little after a phase begins, see how the trial ends, mend it, and go on."""
        kind = self.kinds[name]
        self._pid = node_pid(EXECUTOR)
        struck: List[Tuple[Moment, int]] = []  # (when, trials recorded before)

        def strike() -> None:
            before, now = len(self.recorded), rospy.get_time()
            struck.append(((kind.begin(), now), before))

        with self._lock:
            self._at[phase] = strike if kind.delay == 0.0 else self._later(kind.delay, strike)
        wait_for(lambda: struck, f"phase {phase} begins", 60.0)
        fault, before = struck[0]
        count = len(kind.expected(phase))
        wait_for(lambda: len(self.recorded) >= before + count, f"{name} at {phase} ends the trial", 60.0)
        if kind.stops:
            wait_for(lambda: self.status.is_now("PAUSED"), "the collection waits for the person", 10.0)
        time.sleep(2 * STOP)  # in which a late command would come
        # the arm that stopped gets no further trial
        ended = self.recorded[before:] if kind.stops else self.recorded[before : before + count]
        result = self._judge(name, phase, fault, ended)
        kind.end()
        time.sleep(2 * STOP)  # in which the robot tells of it
        if kind.stops:
            result.resumed = self.resume()
        return result

    def _later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        def wait() -> None:
            time.sleep(seconds / self.speed)
            action()

        return lambda: threading.Thread(target=wait, daemon=True).start()

    def _judge(self, name: str, phase: str, fault: Moment, ended: List[Tuple[Moment, str, str]]) -> Result:
        kind = self.kinds[name]

        def since_fault(moment: Moment) -> float:
            wall, robots = moment[0] - fault[0], moment[1] - fault[1]
            return min(wall, robots) if kind.deadline else wall

        # when the arm begins to clear the table, the trial is decided
        retreats = [moment for moment, begun in list(self.begun) if begun == "retreat" and moment > fault]
        late = [(wall, at) for at, side, wall in list(self.robot.commands) if side == "left" and wall > fault[0]]
        return Result(
            kind=name,
            phase=phase,
            expected=kind.expected(phase),
            outcomes=["label" if outcome in LABELS else outcome for _, outcome, _ in ended],
            seconds=since_fault(min([ended[0][0], *retreats])),
            limit=kind.deadline_at.get(phase, kind.deadline) + GRACE,
            stop=since_fault(late[-1] if late else fault) if kind.stops else None,
            stop_limit=kind.deadline + STOP,
            detail=ended[-1][2],
        )


def _now() -> Moment:
    return time.monotonic(), rospy.get_time()
