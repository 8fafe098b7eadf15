"""The node that runs a collection: one thread an arm runs trials, one loop watches over them.

Publishes:
    ~status (grasp_learning/CollectionStatus, latched): after every attempt and every change of state.
Services:
    ~pause, ~resume, ~stop (std_srvs/Trigger): no new trial starts; trials start again; end after those in flight.
Parameters:
    ~robot (str): 'sim'. ~arms (str): 'both', 'left' or 'right'. ~mode (str): 'random'. ~stage (int, 0).
    ~trials (int): labelled trials to record in this run, 0 for no end. ~data (str): the collection's folder.
    ~planner (str): 'ompl'. ~calibration (str): calibration file. ~simulator (str): name of the simulator's node, empty on a real robot.
    All keys of config/collector.yaml.
"""

import sys
import threading
import time
from pathlib import Path
from typing import Dict, List, Tuple

import rospy
from pydantic import Field, field_validator
from std_srvs.srv import Trigger, TriggerResponse

from grasp_learning.calibration import load_calibration
from grasp_learning.collection import Progress, Snapshot, describe_trial
from grasp_learning.config import ConfigError, Settings, parse_settings
from grasp_learning.msg import CollectionStatus
from grasp_learning.report import contact_sheet
from grasp_learning.ros.calls import CallFailed, Deadline
from grasp_learning.ros.workcell import Deadlines, RosWorkcell
from grasp_learning.storage import CollectionError, check_usable, count_trials, make_folder
from grasp_learning.trial import ARMS, Outcome, Trial, run_trial

ROBOTS = ("sim",)
MODES = ("random",)
PLANNERS = ("ompl",)
NOTHING_THERE = (Outcome.NO_OBJECTS, Outcome.UNREACHABLE)


def _one_of(choices: Tuple[str, ...]):
    def check(value: str) -> str:
        if value not in choices:
            raise ValueError(f"expected one of: {', '.join(choices)}")
        return value

    return check


class CollectorSettings(Settings):
    """Parameters of the node; see config/collector.yaml."""

    data: str = Field(min_length=1)
    robot: str = "sim"
    arms: str = "both"
    mode: str = "random"
    planner: str = "ompl"
    calibration: str
    simulator: str = ""
    stage: int = Field(0, ge=0)
    trials: int = Field(0, ge=0)
    start_timeout: float = Field(90.0, gt=0)
    max_consecutive_faults: int = Field(10, ge=1)
    fault_pause: float = Field(2.0, ge=0)
    rearrange_after: int = Field(3, ge=1)
    stop_timeout: float = Field(8.0, gt=0)
    deadlines: Deadlines = Deadlines()

    _robot = field_validator("robot")(_one_of(ROBOTS))
    _arms = field_validator("arms")(_one_of(("both",) + ARMS))
    _mode = field_validator("mode")(_one_of(MODES))
    _planner = field_validator("planner")(_one_of(PLANNERS))

    @property
    def arm_names(self) -> Tuple[str, ...]:
        """The arms that collect."""
        return ARMS if self.arms == "both" else (self.arms,)


class Collector:
    """Runs trials until enough are recorded, somebody stops it, or the robot keeps failing."""

    def __init__(self, settings: CollectorSettings):
        self._settings = settings
        self._workcell = RosWorkcell(settings.arm_names, settings.simulator, settings.deadlines)
        self._progress = Progress(settings.trials, 0, 0.0)
        self._state = CollectionStatus.STARTING
        self._failure = ""
        self._stop = threading.Event()
        self._go = threading.Event()  # cleared while paused or while objects are laid out anew
        self._go.set()
        self._paused = False
        self._rearrange = threading.Event()
        self._busy: Dict[str, bool] = {arm: False for arm in settings.arm_names}
        self._lock = threading.Lock()  # guards _state, _failure, _busy and printing; never held across a call
        self._status = rospy.Publisher("~status", CollectionStatus, queue_size=10, latch=True)
        rospy.Service("~pause", Trigger, self._on_pause)
        rospy.Service("~resume", Trigger, self._on_resume)
        rospy.Service("~stop", Trigger, self._on_stop)
        self._publish("waiting for the other nodes")

    def run(self) -> int:
        """Run the collection; the process's exit code."""
        try:
            self._start_up()
        except CallFailed as error:
            if not rospy.is_shutdown():
                self._fail(str(error))
            return self._finish()
        self._set_state(CollectionStatus.RUNNING, "collecting")
        threads = [
            threading.Thread(target=self._run_arm, args=(arm,), name=arm, daemon=True)
            for arm in self._settings.arm_names
        ]
        for thread in threads:
            thread.start()
        self._watch(threads)
        return self._finish()

    # Start

    def _start_up(self) -> None:
        """Wait for the nodes, then, in simulation, learn the empty table and lay the objects out."""
        end = time.monotonic() + self._settings.start_timeout
        services = ["roi_sampler/sample", "grasp_sampler/sample", "trial_recorder/record"]
        for name in services:
            try:
                rospy.wait_for_service(name, timeout=max(0.1, end - time.monotonic()))
            except rospy.ROSException as error:
                raise CallFailed(f"service {name} did not come up: {error}; see the log of its node") from None
        self._workcell.wait_for_arms(max(0.1, end - time.monotonic()))
        simulator = self._settings.simulator
        if simulator:
            self._workcell.trigger(f"{simulator}/clear_table")
            self._workcell.trigger("roi_sampler/reset_background")
            self._workcell.trigger(f"{simulator}/scatter")
        self._progress = Progress(self._settings.trials, count_trials(self._settings.data), rospy.get_time())

    # One arm

    def _run_arm(self, arm: str) -> None:
        """Thread of an arm: trials one after the other while there are trials to run."""
        faults = nothing = 0
        while self._enter(arm):
            trial, recorded = self._one_trial(arm)
            self._leave(arm)
            if recorded:
                faults = nothing = 0
                continue
            if trial.outcome in NOTHING_THERE:
                nothing += 1
            else:
                faults += 1
            if faults >= self._settings.max_consecutive_faults:
                self._fail(
                    f"{arm} arm: {faults} attempts in a row failed, the last with {trial.outcome}: {trial.detail}"
                )
            if nothing >= self._settings.rearrange_after:
                nothing = 0
                self._ask_for_objects(arm)
            self._pause(self._settings.fault_pause)

    def _one_trial(self, arm: str) -> Tuple[Trial, bool]:
        trial = run_trial(self._workcell, arm, self._settings.mode, self._settings.stage)
        number = 0
        try:
            number = self._workcell.record(trial)
        except CallFailed as error:
            # what is not on disk was not collected
            trial.outcome, trial.detail = Outcome.ABORTED, str(error)
        recorded = number > 0
        self._progress.settle(trial.outcome, recorded, rospy.get_time())
        snapshot = self._progress.snapshot()
        with self._lock:
            print(describe_trial(number, trial, snapshot), flush=True)
        self._publish("")
        return trial, recorded

    def _enter(self, arm: str) -> bool:
        """Wait for permission to start a trial; False when the arm's work is over."""
        while not self._over():
            if self._go.wait(0.1):
                with self._lock:
                    # asked again under the lock: objects must not be laid out under a moving arm
                    if self._go.is_set() and self._progress.claim():
                        self._busy[arm] = True
                        return True
            if self._progress.complete:
                return False
            time.sleep(0.05)
        return False

    def _leave(self, arm: str) -> None:
        with self._lock:
            self._busy[arm] = False

    def _pause(self, seconds: float) -> None:
        Deadline(seconds, max(1.0, seconds)).wait(self._over, poll=0.05)

    def _over(self) -> bool:
        return self._stop.is_set() or rospy.is_shutdown()

    # Objects

    def _ask_for_objects(self, arm: str) -> None:
        if self._settings.simulator:
            self._go.clear()
            self._rearrange.set()
        else:
            self._publish(f"{arm} arm finds no object that it can reach; please put objects on its half of the table")
            rospy.logwarn("%s arm finds no object that it can reach; please put objects on its half", arm)

    def _lay_out_objects(self) -> None:
        """Scatter the objects anew as soon as no arm moves."""
        with self._lock:
            if any(self._busy.values()):
                return
        self._rearrange.clear()
        try:
            self._workcell.trigger(f"{self._settings.simulator}/scatter")
            rospy.loginfo("objects were laid out anew: an arm could reach none")
        except CallFailed as error:
            rospy.logwarn("%s", error)
        if not self._paused:
            self._go.set()

    # Watching and ending

    def _watch(self, threads: List[threading.Thread]) -> None:
        while any(thread.is_alive() for thread in threads) and not rospy.is_shutdown():
            if self._rearrange.is_set():
                self._lay_out_objects()
            time.sleep(0.05)
        if rospy.is_shutdown():
            self._stop.set()
            self._workcell.cancel()
        end = time.monotonic() + self._settings.stop_timeout
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _finish(self) -> int:
        """Draw the contact sheet, report, and give the exit code."""
        snapshot = self._progress.snapshot()
        if snapshot.recorded:
            try:
                path = contact_sheet(self._settings.data)
                print(f"picture of the trials: {path}", flush=True)
            except (OSError, ValueError, CollectionError) as error:
                rospy.logerr("contact sheet of %s could not be drawn: %s", self._settings.data, error)
        print(_summary(snapshot, self._settings.data), flush=True)
        if self._failure:
            return 1
        self._set_state(CollectionStatus.FINISHED, "finished")
        return 0

    def _fail(self, message: str) -> None:
        with self._lock:
            first = not self._failure
            self._failure = self._failure or message
        self._stop.set()
        if first:
            rospy.logfatal("collection ends: %s", message)
            self._set_state(CollectionStatus.FAILED, message)

    # Status

    def _on_pause(self, _request) -> TriggerResponse:
        self._paused = True
        self._go.clear()
        self._set_state(CollectionStatus.PAUSED, "paused; trials in flight end first")
        return TriggerResponse(True, "no new trial starts; call ~resume to go on")

    def _on_resume(self, _request) -> TriggerResponse:
        self._paused = False
        if not self._rearrange.is_set():
            self._go.set()
        self._set_state(CollectionStatus.RUNNING, "collecting")
        return TriggerResponse(True, "collecting")

    def _on_stop(self, _request) -> TriggerResponse:
        self._set_state(CollectionStatus.STOPPING, "trials in flight end first")
        self._stop.set()
        return TriggerResponse(True, "the collection ends after the trials in flight")

    def _set_state(self, state: str, message: str) -> None:
        with self._lock:
            self._state = state
        self._publish(message)

    def _publish(self, message: str) -> None:
        snapshot = self._progress.snapshot()
        with self._lock:
            state = self._state
        status = CollectionStatus(
            state=state,
            message=message,
            data=self._settings.data,
            target=snapshot.target,
            recorded=snapshot.recorded,
            recorded_this_run=snapshot.recorded_this_run,
            outcomes=sorted(snapshot.counts),
            counts=[snapshot.counts[name] for name in sorted(snapshot.counts)],
            success_rate=snapshot.success_rate,
            trials_per_hour=snapshot.trials_per_hour,
        )
        status.header.stamp = rospy.get_rostime()
        try:
            self._status.publish(status)
        except rospy.ROSException:
            # at shutdown the topic closes before the last trial has ended; the state is on disk
            rospy.logdebug("status not published: the node is shutting down")


def _summary(snapshot: Snapshot, data: str) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in sorted(snapshot.counts.items())) or "no attempt"
    text = f"{snapshot.recorded_this_run} trials recorded in this run ({counts}), {snapshot.recorded} in {data}"
    if snapshot.recorded_this_run:
        text += f", {snapshot.trials_per_hour:.0f} trials/h of the robot's time"
    return text


def main() -> None:
    """Start the node; the process's exit code is 0 after a complete or stopped collection, else 1."""
    rospy.init_node("collector")
    values = dict(rospy.get_param("~", {}))
    if values.get("data"):
        values["data"] = str(Path(str(values["data"])).expanduser().resolve())
    try:
        settings = parse_settings(CollectorSettings, values, rospy.get_name())
        # the nodes that use these are started again and again when they fail; this node ends the launch
        load_calibration(settings.calibration)
        make_folder(settings.data)
        check_usable(settings.data, {"robot": settings.robot, "mode": settings.mode, "stage": settings.stage})
    except (ConfigError, CollectionError) as error:
        rospy.logfatal("%s", error)
        sys.exit(1)
    sys.exit(Collector(settings).run())
