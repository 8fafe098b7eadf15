"""The node that runs a collection: one thread an arm runs trials, one loop watches over them.

Publishes:
    ~status (grasp_learning/CollectionStatus, latched): after every attempt and every change of state.
    /diagnostics (diagnostic_msgs/DiagnosticArray): the start-up checks.
Services:
    ~pause, ~resume, ~stop (std_srvs/Trigger): no new trial starts; trials start again; end after those in flight.
        Where a person attends, ~resume also confirms that the robot may move: at the start, and after a fault of it.
Parameters:
    ~robot (str): name of its file in config/robots. ~arms (str): 'both', 'left' or 'right'. ~mode (str): 'random',
    'staged' or 'best'. ~stage (int, 0): of the curriculum. ~model (str): checkpoint that chooses the grasps; '' in
    random mode. ~trials (int): labelled trials to record in this run, 0 for no end. ~data (str): the collection's
    folder. ~planner (str): 'ompl' or 'moveit'. ~calibration (str): calibration file.
    ~simulator (str): name of the simulator's node, which lays the objects out; empty where a person does, who is asked
    in ~status and on the terminal, and answers by ~resume. ~objects (str): split of a simulator's objects.
    ~place_held (bool, false): put what is held into the arm's bin. ~tables (int, 0): clear so many tables, those of
    earlier runs included, in the place of ~trials. ~isolate (bool, false): each try finds another object on the table.
    ~in_all (bool, false): ~trials counts those that the folder holds already. ~rerank (bool, false): what the grasp
    sampler was told of re-ranking. ~attended (bool, true): a person stands by; ~confirm (bool, true): the first
    motion waits for them. ~preflight: the keys of config/preflight.yaml. ~seed (int, 0): written down only.
    All keys of config/collector.yaml. trial_recorder/minimum_free_gb (GB, 0): the recorder's, checked here too.
"""

import sys
import threading
import time
from pathlib import Path
from typing import Dict, List, Optional, Set, Tuple

import rospy
from diagnostic_msgs.msg import DiagnosticArray
from pydantic import Field, field_validator, model_validator
from std_srvs.srv import Trigger, TriggerResponse

from grasp_learning.calibration import load_calibration
from grasp_learning.clearing import read_tables
from grasp_learning.collection import NO_OBJECT, Flags, Progress, Snapshot, Streak, describe_trial
from grasp_learning.conditions import Conditions, check_conditions, write_conditions
from grasp_learning.config import ConfigError, Settings, parse_settings
from grasp_learning.contact_sheet import contact_sheet
from grasp_learning.msg import CollectionStatus
from grasp_learning.preflight import PreflightSettings, refusals
from grasp_learning.ros.calls import CallFailed, Deadline, node_pid
from grasp_learning.ros.preflight import Preflight, kinect_topics, to_diagnostics
from grasp_learning.ros.workcell import Deadlines, RosWorkcell
from grasp_learning.storage import check_usable, count_trials, find_trial, make_folder, newest_number, writer_of
from grasp_learning.storage_errors import CollectionError, CollectionInUseError
from grasp_learning.trial import ARMS, Outcome, Trial, run_trial

MODES = ("random", "staged", "best")
PLANNERS = ("ompl", "moveit")
# services of the simulator that lay objects out; a person is asked for the same
SCATTER, EXCHANGE = "scatter", "exchange_objects"
REMINDER = 60.0  # s of wall clock after which a person is asked again
LINGER = 0.3  # s of wall clock for the last messages to reach their listeners
ENDING = "the collection is ending"


def _one_of(choices: Tuple[str, ...]):
    def check(value: str) -> str:
        if value not in choices:
            raise ValueError(f"expected one of: {', '.join(choices)}")
        return value

    return check


class CollectorSettings(Settings):
    """Parameters of the node; see config/collector.yaml."""

    data: str = Field(min_length=1)
    robot: str = Field("sim", min_length=1)
    arms: str = "both"
    mode: str = "random"
    model: str = ""
    planner: str = "ompl"
    calibration: str
    simulator: str = ""
    objects: str = ""
    stage: int = Field(0, ge=0)
    trials: int = Field(0, ge=0)
    in_all: bool = False
    place_held: bool = False
    tables: int = Field(0, ge=0)
    isolate: bool = False
    rerank: bool = False
    attended: bool = True
    confirm: bool = True
    seed: int = Field(0, ge=0)
    start_timeout: float = Field(90.0, gt=0)
    max_consecutive_faults: int = Field(10, ge=1)
    fault_pause: float = Field(2.0, ge=0)
    rearrange_after: int = Field(3, ge=1)
    max_layouts: int = Field(5, ge=1)
    exchange_after: int = Field(25, ge=0)
    tries_per_table: int = Field(100, ge=1)
    vary_after: int = Field(2, ge=0)
    fruitless_attempts: int = Field(6, ge=1)
    max_brought: int = Field(3, ge=0)
    stop_timeout: float = Field(8.0, gt=0)
    deadlines: Deadlines = Deadlines()
    preflight: PreflightSettings = PreflightSettings()

    _arms = field_validator("arms")(_one_of(("both",) + ARMS))
    _mode = field_validator("mode")(_one_of(MODES))
    _planner = field_validator("planner")(_one_of(PLANNERS))

    @model_validator(mode="after")
    def _consistent(self):
        if self.mode == "random" and (self.model or self.stage):
            raise ValueError("a random collection has no model and is stage 0")
        if self.mode != "random" and not self.model:
            raise ValueError(f"mode '{self.mode}' needs a model: name a checkpoint file")
        if self.mode == "staged" and self.stage == 0:
            raise ValueError("mode 'staged' needs a stage from 1 on: stage 0 is the random collection")
        if self.tables and not self.simulator:
            raise ValueError("tables need a simulator, which lays the objects out and knows where they are")
        if self.tables and (self.isolate or not self.place_held):
            raise ValueError("tables are cleared with place_held and without isolate")
        if self.rerank and self.mode != "best":
            raise ValueError(f"rerank is of the best grasps: it means nothing in mode '{self.mode}'")
        if self.in_all and not self.trials:
            raise ValueError("in_all needs a number of trials")
        return self

    @property
    def arm_names(self) -> Tuple[str, ...]:
        """The arms that collect."""
        return ARMS if self.arms == "both" else (self.arms,)

    @property
    def conditions(self) -> Conditions:
        """What must not change within a folder."""
        return Conditions(
            clearing=self.tables > 0,
            place_held=self.place_held,
            isolate=self.isolate,
            rerank=self.rerank,
            vary_after=self.vary_after if self.tables and self.mode == "best" else 0,
        )


class Ended(Exception):
    """The collection was ended before it began."""


class Collector:
    """Runs trials until enough are recorded, somebody stops it, or the robot keeps failing.

    Args:
        recorded_before: labelled trials that the folder holds already.
        model_sha256: of the model of a guided collection.

    Attributes:
        no_object: outcomes that are no fault of anything: there was no object for the arm.
    """

    no_object: Tuple[Outcome, ...] = NO_OBJECT

    def __init__(self, settings: CollectorSettings, recorded_before: int = 0, model_sha256: str = ""):
        self._settings = settings
        self._model_sha256 = model_sha256
        self._workcell = RosWorkcell(settings.arm_names, settings.simulator, settings.deadlines, settings.place_held)
        self._progress = Progress(settings.trials - (recorded_before if settings.in_all else 0), recorded_before, 0.0)
        self._newest = newest_number(settings.data)
        self._flags = Flags()
        self._rearrange = ""  # SCATTER or EXCHANGE, until which no trial starts
        self._since_exchange = 0  # recorded trials
        self._layouts = self._failed_layouts = 0  # in a row without a recorded trial
        self._starving: Set[str] = set()  # arms that find nothing until a person has laid objects out
        self._busy: Dict[str, bool] = {arm: False for arm in settings.arm_names}
        self._stopped: Set[str] = set()  # arms that a person is to start again
        self._pauses, self._reason = 0, ""  # how often the collection was paused, the arms' faults included; why last
        self._resuming = threading.Lock()
        self._lock = threading.RLock()  # guards all of the above and printing; never held across a call
        self._status = rospy.Publisher("~status", CollectionStatus, queue_size=10, latch=True)
        self._diagnostics = rospy.Publisher("/diagnostics", DiagnosticArray, queue_size=1, latch=True)
        rospy.Service("~pause", Trigger, self._on_pause)
        rospy.Service("~resume", Trigger, self._on_resume)
        rospy.Service("~stop", Trigger, self._on_stop)
        rospy.on_shutdown(self._on_shutdown)
        self._publish("waiting for the other nodes")

    def run(self) -> int:
        """Run the collection; the process's exit code."""
        try:
            self._start_up()
        except Ended:
            return self._finish()
        except (CallFailed, CollectionError) as error:
            if not rospy.is_shutdown():
                self._fail(str(error))
            return self._finish()
        self._set("collecting", started=True)
        threads = [
            threading.Thread(target=self._arm_thread, args=(arm,), name=arm, daemon=True)
            for arm in self._settings.arm_names
        ]
        for thread in threads:
            thread.start()
        self._watch(threads)
        return self._finish()

    # Start

    def _start_up(self) -> None:
        """Wait for the nodes and check the robot, have the empty table learnt and the objects laid out.

        Raises:
            CallFailed: a node did not come up or could not do its part, or a check failed.
            Ended: a person ended the collection before it began.
        """
        end = time.monotonic() + self._settings.start_timeout
        for name in ("roi_sampler/sample", "grasp_sampler/sample", "trial_recorder/record"):
            try:
                rospy.wait_for_service(name, timeout=max(0.1, end - time.monotonic()))
            except rospy.ROSException as error:
                raise CallFailed(f"service {name} did not come up: {error}; see the log of its node") from None
        if self._settings.attended:
            self._check(will_prepare=True)
            if self._settings.confirm:
                self._ask("all checks hold; stand clear of the robot, then allow the first motion")
            self._start_arms()
            self._workcell.wait_for_arms(self._settings.start_timeout)
            self._check(will_prepare=False)
        else:
            self._workcell.wait_for_arms(max(0.1, end - time.monotonic()))
        simulator = self._settings.simulator
        if simulator:
            self._workcell.trigger(f"{simulator}/clear_table")
            self._workcell.trigger("roi_sampler/reset_background", self._settings.deadlines.background)
            self._workcell.trigger(f"{simulator}/{SCATTER}")
        else:
            self._set_table_with_a_person()
        # only now: the recorder has made the folder
        write_conditions(self._settings.data, self._settings.conditions)
        self._progress.start(rospy.get_time())

    def _start_arms(self) -> None:
        """Have the executors enable their arms and bring them to neutral, one after the other.

        Raises:
            CallFailed: one of them could not.
            Ended: ~stop was called meanwhile, or the node is shutting down; the arms after that do not move.
        """
        for arm in self._settings.arm_names:
            if self._over():
                raise Ended
            self._publish(f"the {arm} arm goes to neutral")
            self._workcell.start_arm(arm)
        if self._over():
            raise Ended

    def _check(self, will_prepare: bool) -> None:
        """Print the start-up checks.

        Args:
            will_prepare: the motors are yet to be switched on and the grippers to be calibrated.

        Raises:
            CallFailed: one of them forbids to begin.
        """
        settings = self._settings
        least = float(rospy.get_param("trial_recorder/minimum_free_gb", 0.0))
        where = (not settings.simulator, settings.calibration, settings.data, least)
        sampler = rospy.get_param("roi_sampler", {})
        kinect = (kinect_topics(sampler), bool(sampler.get("use_depth", True)))
        checks = Preflight(settings.preflight, settings.arm_names, *where, *kinect).run(will_prepare)
        self._diagnostics.publish(to_diagnostics(checks))
        failed = refusals(checks)
        with self._lock:
            for check in checks:
                print(check.line, flush=True)
        if failed:
            raise CallFailed("; ".join(f"{check.name}: {check.message}" for check in failed))

    def _set_table_with_a_person(self) -> None:
        """Have a person clear the table, learn it, and have them lay the objects out.

        Raises:
            Ended: as _ask.
        """
        request = "clear the table and step back"
        while True:
            self._ask(request)
            try:
                said = self._workcell.trigger("roi_sampler/reset_background", self._settings.deadlines.background)
            except CallFailed as error:
                request = f"the empty table was not learnt: {error}; clear it and step back"
                continue
            self._ask(f"{said}; now lay the objects out")
            return

    def _ask(self, request: str) -> None:
        """Ask a person for something and wait until they say by ~resume that it is done.

        Raises:
            Ended: ~stop was called instead, or the node is shutting down.
        """
        text = self._hold(request)
        asked = time.monotonic()
        while self._flags.paused and not self._over():
            if time.monotonic() - asked > REMINDER:
                self._remind(text)
                asked = time.monotonic()
            time.sleep(0.05)
        if self._over():
            raise Ended

    def _remind(self, text: str) -> None:
        with self._lock:
            # no pause of its own: whoever resumes just now answers the first request
            if self._flags.paused:
                self._publish(text)
                rospy.logwarn("%s", text)

    def _hold(self, reason: str) -> str:
        """Pause until somebody calls ~resume, and tell why; what was told."""
        text = f"{reason}; `rosservice call {rospy.resolve_name('~resume')}` goes on"
        self._set(text, paused=True)
        rospy.logwarn("%s", text)
        return text

    # One arm

    def _arm_thread(self, arm: str) -> None:
        try:
            self._run_arm(arm)
        finally:
            # an error that nobody expected must not leave the other arm waiting for this one
            error = sys.exc_info()[1]
            if error is not None and not rospy.is_shutdown():
                self._fail(f"the thread of the {arm} arm died: {type(error).__name__}: {error}")

    def _run_arm(self, arm: str) -> None:
        """Thread of an arm: trials one after the other while there are trials to run."""
        streak = Streak(self.no_object)
        while self._enter(arm):
            trial, number = self._one_trial(arm)
            streak.add(trial.outcome, number > 0)
            if self._settings.attended and trial.fault:
                streak.faults = 0  # a person sees to each of them
                continue
            if number:
                continue
            if streak.faults >= self._settings.max_consecutive_faults:
                self._fail(
                    f"{arm} arm: {streak.faults} attempts in a row failed, the last with {trial.outcome}: "
                    f"{trial.detail}"
                )
            if streak.nothing >= self._settings.rearrange_after:
                streak.nothing = 0
                self._ask_for_objects(arm)
            self._pause(self._settings.fault_pause)

    def _stop_arms(self, arm: str, fault: str) -> None:
        """A fault of the robot beside which a person stands: no arm moves until they have seen to it."""
        with self._lock:
            self._stopped.add(arm)
            # the other one, too: somebody is going to reach in
            self._workcell.halted = True
            self._hold(f"the {arm} arm stopped: {fault}")

    def _one_trial(self, arm: str) -> Tuple[Trial, int]:
        """Run and record an attempt; the number of its trial, 0 where it gave no label."""
        outcome, number = Outcome.ABORTED, 0
        trial: Optional[Trial] = None
        try:
            trial = run_trial(self._workcell, arm, self._settings.mode, self._settings.stage)
            if self._settings.attended and trial.fault:
                # whether or not there is a label, and before the time that writing it takes
                self._stop_arms(arm, trial.fault)
            if not trial.model_sha256:  # it ended before a grasp was chosen
                trial.model, trial.model_sha256 = Path(self._settings.model).name, self._model_sha256
            try:
                number = self._record(trial)
            except (CallFailed, CollectionError) as error:
                # what is not on disk was not collected
                trial.outcome, trial.detail = Outcome.ABORTED, str(error)
            outcome = trial.outcome
        finally:
            self._progress.settle(outcome, number > 0, rospy.get_time())
            with self._lock:
                self._busy[arm] = False
                self._settled(arm, trial, number)
        with self._lock:
            print(describe_trial(number, trial, self._progress.snapshot()), flush=True)
            self._publish(self._note())
        return trial, number

    def _settled(self, arm: str, trial: Optional[Trial], number: int) -> None:
        """Decide after an attempt whether the table is to be laid with other objects; called under the lock.

        Args:
            trial: None where an error that nobody expected ended it.
            number: of the trial on disk; 0 without a label.
        """
        if number:
            self._layouts = self._failed_layouts = 0
            self._since_exchange += 1
        due = 0 < self._settings.exchange_after <= self._since_exchange
        # a person is not bothered with an object that nothing was done to
        tried = bool(self._settings.simulator or number or (trial is not None and trial.outcome in self.no_object))
        if due or (self._settings.isolate and tried):
            self._rearrange = EXCHANGE

    def _record(self, trial: Trial) -> int:
        try:
            return self._workcell.record(trial)
        except CallFailed:
            # a recorder that died before its answer may have written the trial
            number = find_trial(self._settings.data, trial.arm, trial.start, self._newest)
            if not number:
                raise
            return number

    def _enter(self, arm: str) -> bool:
        """Wait for permission to start a trial; False when the arm's work is over."""
        while not self._over():
            with self._lock:
                # asked under the lock: objects must not be laid out under a moving arm
                if not self._flags.paused and self._may_start(arm) and self._progress.claim():
                    self._busy[arm] = True
                    return True
            if self._progress.complete:
                return False
            time.sleep(0.05)
        return False

    def _may_start(self, arm: str) -> bool:
        """Whether the objects lie ready for an arm's trial; asked under the lock."""
        return not self._rearrange and arm not in self._starving

    def _pause(self, seconds: float) -> None:
        Deadline(seconds, max(1.0, seconds)).wait(self._over, poll=0.05)

    def _over(self) -> bool:
        return self._flags.stopping or rospy.is_shutdown()

    # Objects

    def _ask_for_objects(self, arm: str) -> None:
        if not self._settings.simulator:
            if not self._settings.isolate:  # where a person is asked for another one after each try anyway
                with self._lock:
                    self._starving.add(arm)
                    self._publish(self._note())
                rospy.logwarn("%s", self._wish())
        elif self._settings.isolate:
            # another one comes anyway
            with self._lock:
                self._layouts += 1
            if self._layouts >= self._settings.max_layouts:
                count = self._settings.max_layouts * self._settings.rearrange_after
                self._fail(f"{arm} arm: it could reach none of {count} objects in a row; look at /roi_sampler/overlay")
        else:
            with self._lock:
                # other objects are laid out anew, too
                self._rearrange = self._rearrange or SCATTER

    def _note(self) -> str:
        """What the status tells after a trial: why the collection waits for a person, else what they may do for it."""
        return self._reason if self._flags.paused and not self._flags.stopping else self._wish()

    def _wish(self) -> str:
        """What a person may do for arms that find nothing, while the other one works; '' where there is nothing."""
        arms = " and ".join(sorted(self._starving))
        return f"{arms} arm: no object that it can reach; pause, put objects on its half, resume" if arms else ""

    def _tend_objects(self) -> None:
        """What is to be done about the objects now; asked again and again, beside the arms' threads."""
        if self._settings.simulator:
            if self._rearrange:
                self._lay_out_objects()
        elif self._rearrange or len(self._starving) == len(self._busy):
            self._ask_for_layout()

    def _ask_for_layout(self) -> None:
        """Ask a person for objects as soon as no arm moves; no trial starts before ~resume."""
        with self._lock:
            if any(self._busy.values()) or self._flags.paused:
                return
            others = self._rearrange == EXCHANGE
            self._rearrange, self._since_exchange = "", 0
            self._starving.clear()
            self._hold(
                "lay other objects out" if others else "no arm finds an object that it can reach: lay objects out"
            )

    def _lay_out_objects(self) -> None:
        """Lay out the objects anew, or others, as soon as no arm moves; the collection fails if that does not help."""
        with self._lock:
            if any(self._busy.values()):
                return
            service = self._rearrange
        if service == SCATTER and self._layouts >= self._settings.max_layouts:
            self._fail(
                f"no trial could be recorded although the objects were laid out anew {self._layouts} times in a row: "
                "no arm finds an object that it can reach; look at the regions on /roi_sampler/overlay"
            )
            return
        try:
            said = self._workcell.trigger(f"{self._settings.simulator}/{service}")
        except CallFailed as error:
            self._failed_layouts += 1
            rospy.logerr("objects could not be laid out anew: %s", error)
            if self._failed_layouts >= self._settings.max_consecutive_faults:
                self._fail(f"objects could not be laid out anew {self._failed_layouts} times in a row: {error}")
            self._pause(self._settings.fault_pause)
            return
        with self._lock:
            self._failed_layouts, self._rearrange = 0, ""
            if service == EXCHANGE:
                self._since_exchange = 0
            else:
                self._layouts += 1
        if service == EXCHANGE:
            rospy.loginfo("other objects were laid out: %s", said)
        else:
            rospy.loginfo("objects were laid out anew: an arm could reach none")

    # Watching and ending

    def _watch(self, threads: List[threading.Thread]) -> None:
        while any(thread.is_alive() for thread in threads) and not rospy.is_shutdown():
            if not (self._over() or self._progress.complete):
                self._tend_objects()
            time.sleep(0.05)
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
        interrupted = rospy.is_shutdown()
        self._set(self._flags.failure or "finished", ended=True)
        word = "INTERRUPTED" if interrupted and not self._flags.failure else self._flags.state.value
        print(f"{word}: {_summary(snapshot, self._settings.data)}", flush=True)
        if not interrupted:
            time.sleep(LINGER)
        return 1 if self._flags.failure else 0

    def _fail(self, message: str) -> None:
        with self._lock:
            if self._flags.failure:
                return
            self._flags.failure, self._flags.stopping = message, True
        rospy.logfatal("collection ends: %s", message)
        self._publish(message)

    # Status

    def _on_pause(self, _request) -> TriggerResponse:
        if self._flags.stopping:
            return TriggerResponse(False, ENDING)
        self._set("paused; trials in flight end first", paused=True)
        return TriggerResponse(True, "no new trial starts; call ~resume to go on")

    def _on_resume(self, _request) -> TriggerResponse:
        if self._flags.stopping:
            return TriggerResponse(False, ENDING)
        with self._lock:
            self._starving.clear()  # who resumes has seen to the table
            # starting an arm takes up to minutes; what happens meanwhile this person has not seen, and it holds
            pauses, arms = self._pauses, sorted(self._stopped)
        with self._resuming:
            for arm in arms:
                error = self._start_again(arm, pauses)
                if error:
                    return TriggerResponse(False, error)
            return self._go_on(pauses)

    def _start_again(self, arm: str, pauses: int) -> str:
        """Start an arm that a person has seen to, unless more happened since; why it could not be started, or ''."""
        with self._lock:
            if self._over() or self._pauses != pauses or arm not in self._stopped:
                return ""
            self._publish(f"the {arm} arm goes to neutral")
        try:
            self._workcell.start_arm(arm)
        except CallFailed as error:
            self._hold(f"the {arm} arm could not be started again: {error}")
            return str(error)
        with self._lock:
            self._stopped.discard(arm)
        return ""

    def _go_on(self, pauses: int) -> TriggerResponse:
        """Let trials start again, unless somebody ended or paused the collection or an arm stopped since."""
        with self._lock:
            if self._over():
                return TriggerResponse(False, ENDING)
            if self._pauses != pauses:
                self._publish(self._reason)
                return TriggerResponse(False, f"not resumed, since meanwhile: {self._reason}")
            self._workcell.halted = False
            self._set("collecting", paused=False)
            return TriggerResponse(True, "collecting")

    def _on_stop(self, _request) -> TriggerResponse:
        self._set("trials in flight end first", stopping=True)
        return TriggerResponse(True, "the collection ends after the trials in flight")

    def _on_shutdown(self) -> None:
        """At Ctrl-C, while topics are still open: the arms end what they do."""
        with self._lock:
            self._flags.stopping = True
            busy = any(self._busy.values())
        if busy:
            self._workcell.cancel()
            time.sleep(LINGER)

    def _set(self, message: str, **flags: bool) -> None:
        with self._lock:
            for name, value in flags.items():
                setattr(self._flags, name, value)
            if flags.get("paused"):
                self._pauses += 1
                self._reason = message
            self._publish(message)

    def _publish(self, message: str) -> None:
        with self._lock:
            # made and handed over under the lock, so that states arrive in the order in which they came about
            self._publish_status(message)

    def _publish_status(self, message: str) -> None:
        snapshot = self._progress.snapshot()
        status = CollectionStatus(
            state=self._flags.state.value,
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


def check_model(settings: CollectorSettings) -> str:
    """Load the model of a guided collection once: the grasp sampler is started again and again when it fails.

    Returns:
        SHA-256 of the file; '' in random mode.

    Raises:
        ConfigError: it cannot be used.
    """
    if settings.mode == "random":
        return ""
    # torch takes seconds to import, and random collection does without
    from grasp_learning.checkpoint import CheckpointError, load_checkpoint

    try:
        return load_checkpoint(settings.model).sha256
    except CheckpointError as error:
        raise ConfigError(str(error)) from None


def check_folder(settings: CollectorSettings, model_sha256: str = "") -> int:
    """Make the folder of the collection and check all that would keep the recorder from using it.

    The recorder is started again and again when it fails; this node ends the launch.

    Returns:
        How many trials it holds already.

    Raises:
        CollectionError: it cannot be used.
    """
    free = float(rospy.get_param("trial_recorder/minimum_free_gb", 0.0))
    make_folder(settings.data)
    kind = {"robot": settings.robot, "mode": settings.mode, "stage": settings.stage, "model_sha256": model_sha256}
    kind["objects"] = settings.objects
    check_usable(settings.data, kind, int(free * 1e9))
    writer = writer_of(settings.data)
    if writer is not None and writer != node_pid("trial_recorder"):
        raise CollectionInUseError(
            f"{settings.data}: process {writer} is writing into it; wait until it ends, or choose another folder"
        )
    recorded = count_trials(settings.data)
    # a table may end without a try
    check_conditions(settings.data, settings.conditions, recorded > 0 or bool(read_tables(settings.data)))
    return recorded


def is_done(settings: CollectorSettings, recorded: int) -> bool:
    """Whether an earlier run has done already what is asked for; says so.

    Raises:
        CollectionError: the list of tables is damaged.
    """
    tables = len(read_tables(settings.data)) if settings.tables else 0
    if settings.tables and tables >= settings.tables:
        print(f"FINISHED: {settings.data} holds {tables} tables already", flush=True)
        return True
    if settings.in_all and recorded >= settings.trials:
        print(f"FINISHED: {settings.data} holds {recorded} trials already", flush=True)
        return True
    return False


def make_collector(settings: CollectorSettings, recorded: int, model_sha256: str) -> Collector:
    """The collector that the settings ask for: of trials, or one that clears tables."""
    if not settings.tables:
        return Collector(settings, recorded, model_sha256)
    from grasp_learning.ros.table_clearer import TableClearer  # it builds on this module

    return TableClearer(settings, recorded, model_sha256)


def main() -> None:
    """Start the node; the process's exit code is 0 after a complete or stopped collection, else 1."""
    rospy.init_node("collector")
    values = dict(rospy.get_param("~", {}))
    for key in ("data", "model"):
        if values.get(key):
            values[key] = str(Path(str(values[key])).expanduser().resolve())
    try:
        settings = parse_settings(CollectorSettings, values, rospy.get_name())
        # the nodes that use it are started again and again when they fail, too
        load_calibration(settings.calibration)
        model_sha256 = check_model(settings)
        recorded = check_folder(settings, model_sha256)
        done = is_done(settings, recorded)
    except (ConfigError, CollectionError) as error:
        rospy.logfatal("%s", error)
        sys.exit(1)
    sys.exit(0 if done else make_collector(settings, recorded, model_sha256).run())
