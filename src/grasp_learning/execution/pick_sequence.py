"""What an arm does in a trial: over the region; down, close, up, read; put the object back, or into a bin; away.

The sequence knows its arm, hand, motions, camera and the simulator's truth only through small objects, so that it
can be run without a robot. Every method either does all it says or raises a StepError.
"""

import contextlib
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np
from pydantic import Field, model_validator

from grasp_learning.config import Settings
from grasp_learning.execution.arm import Contact
from grasp_learning.execution.faults import Cancelled, PlanningFailed, RobotFault, SensorFault, StepError, Unreachable
from grasp_learning.execution.placing import Placer
from grasp_learning.execution.task import Task
from grasp_learning.geometry import top_down_pose
from grasp_learning.labelling import Label, LabelMethod, LabelRule, label_grasp
from grasp_learning.motion.planner import wrist_alternatives
from grasp_learning.robot_description import NEUTRAL
from grasp_learning.trial import Grasp, Outcome, PickReading, PlaceOutcome, Placing, Region

PREGRASP_MARGIN = 0.05  # m; the pre-grasp may be so much lower than the approach, for a shorter way down


class SequenceSettings(Settings):
    """Heights, speeds and thresholds of a trial; config/arm_executor.yaml says what each key means."""

    approach_height: float = Field(0.25, gt=0)
    lift_height: float = Field(0.20, gt=0)
    least_lift: float = Field(0.10, gt=0)
    descent_speed: float = Field(0.25, gt=0)
    lift_speed: float = Field(0.35, gt=0)
    lower_speed: float = Field(0.25, gt=0)
    release_clearance: float = Field(0.02, ge=0)
    place_x: Tuple[float, float] = (0.52, 0.90)
    place_y: Tuple[float, float] = (0.15, 0.48)
    settle_time: float = Field(0.3, ge=0)
    label_method: LabelMethod = "force"
    force_threshold: float = Field(10.0, ge=0, le=100)
    position_threshold: float = Field(2.0, gt=0, lt=100)
    reading_max_age: float = Field(1.0, gt=0)
    picture_timeout: float = Field(12.0, gt=0)
    yaws: int = Field(8, ge=1)
    at_rest_tolerance: float = Field(0.05, gt=0)

    @model_validator(mode="after")
    def _consistent(self):
        for name in ("place_x", "place_y"):
            low, high = getattr(self, name)
            if low >= high:
                raise ValueError(f"{name} is [{low:g}, {high:g}]; expected [smaller, larger]")
        if self.least_lift > self.lift_height:
            raise ValueError(f"least_lift ({self.least_lift:g} m) is more than lift_height ({self.lift_height:g} m)")
        return self

    @property
    def label_rule(self) -> LabelRule:
        """How a reading after the lift becomes a label."""
        return LabelRule(self.label_method, self.force_threshold, self.position_threshold, self.reading_max_age)


@dataclass
class PickReport:
    """What a pick yields besides its outcome.

    Attributes:
        reading: None until the gripper was read.
        images: ``before_lift`` and ``after_lift`` in the camera's own form, where taken.
        placing: of an object that was held and was to be put into the bin.
    """

    outcome: Outcome = Outcome.ABORTED
    message: str = ""
    reading: Optional[PickReading] = None
    images: Dict[str, Any] = field(default_factory=dict)
    placing: Optional[Placing] = None


class PickSequence:
    """The protocol's motions for one arm.

    Args:
        arm: an Arm. hand: a Hand. motions: a Motions.
        take_picture: returns a fresh wrist picture, or raises SensorFault; has its own deadline.
        truth: returns (known, held, object) from a simulator; has its own deadline.
        phase: told the name of each phase as it begins.
        near: returns the names of the objects near a point (x, y) of the table from a simulator, the nearest first; has
            its own deadline. None where nobody knows.
        task: how pictures and questions are run: beside the arm's motion, or at once.
        neutral: joints (rad) of the posture beside the table.
        placer: brings what is held into the arm's bin; None where there is no bin.
    """

    def __init__(
        self,
        arm,
        hand,
        motions,
        take_picture: Callable,
        truth: Callable,
        phase: Callable,
        settings: SequenceSettings,
        near: Optional[Callable[[float, float], Sequence[str]]] = None,
        task: Callable[[Callable, str], Task] = Task,
        neutral: Sequence[float] = NEUTRAL,
        placer: Optional[Placer] = None,
    ):
        self.settings = settings
        self._arm, self._hand, self._motions = arm, hand, motions
        self._take_picture, self._truth, self._phase = take_picture, truth, phase
        self._near = near or (lambda x, y: ())
        self._task, self._neutral, self._placer = task, np.array(neutral), placer

    # --- steps of the protocol -----------------------------------------------------------------------------------

    def approach(self, region: Region) -> None:
        """Bring the gripper over a region, pointing down and open.

        Raises:
            StepError: with the arm back at neutral where it could move, or at rest where it was cancelled.
        """
        with self._retreat_on_failure():
            self._approach(region)

    def pick(self, grasp: Grasp, place: bool = False) -> PickReport:
        """Grasp, lift, read, put the object back, clear the table.

        Args:
            place: put a held object into the bin instead.

        Raises:
            StepError: as :meth:`approach`; there is no label then.
            ValueError: the object is to be put into a bin, but there is none.
        """
        if place and self._placer is None:
            raise ValueError("there is no bin to put the object into")
        report = PickReport()
        with self._retreat_on_failure():
            self._pick(grasp, report, self._placer if place else None)
        return report

    def to_neutral(self) -> None:
        """Clear the table: straight up if the gripper is low, then a planned path to the neutral pose."""
        self._rise()
        if not self._at_neutral():
            self._arm.follow(self._motions.to_joints(self._arm.commanded(), self._neutral, self._arm.other_q()))

    # --- parts -----------------------------------------------------------------------------------------------------

    def _approach(self, region: Region) -> None:
        self._phase("prepare")
        self._arm.check()
        self._hand.prepare()
        self._hand.start_open()
        self._rise()
        self._phase("approach")
        x, y, table = (float(value) for value in region.center)
        poses = [top_down_pose(x, y, table + self.settings.approach_height, yaw) for yaw in self._yaws()]
        self._arm.follow(self._motions.to_first_pose(self._arm.commanded(), poses, self._arm.other_q()))
        self._hand.wait_open()

    def _yaws(self) -> List[float]:
        """Closing directions to try: the neutral pose's, then evenly spread ones, the nearest first."""
        first = self._motions.yaw(self._neutral)
        turns = sorted(range(self.settings.yaws), key=lambda k: min(k, self.settings.yaws - k))
        return [first + 2.0 * np.pi * k / self.settings.yaws for k in turns]

    def _pick(self, grasp: Grasp, report: PickReport, placer: Optional[Placer]) -> None:
        self._phase("pre-grasp")
        self._arm.check()
        self._hand.prepare()
        self._hand.start_open()
        descent = self._to_pregrasp(grasp)
        # now, for the fingers move objects on their way down
        near = self._task(lambda: self._near(grasp.x, grasp.y), "objects near the grasp")
        self._hand.wait_open()
        objects = self._answer(near, ())
        touched = self._descend(descent)
        at_rest = self._close()
        lift_from = self._motions.height(self._arm.q())
        self._lift(report)
        label = self._read(report, touched, tuple(objects))
        report.outcome, report.message = label.outcome, label.message
        if touched:
            report.message += f"; contact {lift_from - grasp.z:.3f} m above the grasp"
        if not at_rest:
            report.message += "; the fingers still crept when the lift began"
        if placer is not None and label.outcome is Outcome.SUCCESS:
            report.placing = self._place_in_bin(placer, lift_from)
        else:
            report.message += self._put_back_if_possible(lift_from)
        if label.outcome is Outcome.SENSOR_FAULT:
            raise SensorFault(report.message)

    def _to_pregrasp(self, grasp: Grasp):
        """Go over the grasp with the wrist at its angle; the straight descent from there."""
        arm, limits = self._arm, self.settings
        drop = max(limits.lift_height, limits.approach_height - PREGRASP_MARGIN)
        # a symmetric gripper grasps alike at both angles
        poses = wrist_alternatives(top_down_pose(grasp.x, grasp.y, grasp.z + drop, grasp.theta))
        path, descent = self._motions.to_pregrasp(arm.commanded(), poses, drop, arm.other_q(), limits.descent_speed)
        arm.follow(path)
        return descent

    def _descend(self, descent) -> bool:
        """Go down; whether contact stopped the arm."""
        self._phase("descend")
        return not self._arm.follow(descent, self._contact())

    def _contact(self) -> Contact:
        limits = self._arm.settings
        return Contact(self._arm.new_vertical_force, limits.contact_force, limits.contact_samples, self._motions.height)

    def _close(self) -> bool:
        """Close on what is there; whether the fingers came to rest."""
        self._phase("close")
        self._hand.start_close()
        return self._hand.wait_closed()

    def _lift(self, report: PickReport) -> None:
        # only now: the picture is of the fingers on what they closed on
        before = self._task(self._take_picture, "picture before the lift")
        q, limits = self._arm.commanded(), self.settings
        path = self._motions.rise(q, limits.lift_height, limits.least_lift, self._arm.other_q(), limits.lift_speed)
        report.images["before_lift"] = self._picture(before)
        self._phase("lift")
        self._arm.follow(path)

    def _answer(self, task: Task, otherwise):
        """What a simulator says; something else where it does not answer in time."""
        return task.result() if self._arm.wait(task.done, self.settings.picture_timeout) else otherwise

    def _read(self, report: PickReport, touched: bool, near: Tuple[str, ...]) -> Label:
        self._phase("read")
        after = self._task(self._take_picture, "picture after the lift")
        truth = self._task(self._truth, "truth")
        self._arm.rest(self.settings.settle_time)
        samples = self._hand.read()
        label = label_grasp(samples, self.settings.label_rule)
        report.images["after_lift"] = self._picture(after)
        known, held, name = self._answer(truth, (False, False, ""))
        report.reading = PickReading(
            force=label.force,
            position=label.position,
            gripping=label.gripping,
            contact=touched,
            truth_known=known,
            truth_held=held,
            truth_object=name,
            truth_near=near,
        )
        return label

    def _picture(self, task: Task):
        if not self._arm.wait(task.done, self.settings.picture_timeout):
            raise SensorFault(f"no wrist picture within {self.settings.picture_timeout:g} s")
        return task.result()

    def _put_back_if_possible(self, pick_height: float) -> str:
        """Put the object back; why that failed, for a person.

        The grasp was executed and read, so its label stands whatever happens now: dropping it would count held
        objects, which take longer to put back, less often. That the arm waits for a person its ``fault`` tells.

        Raises:
            Cancelled: stop means stop.
        """
        try:
            self._put_back(pick_height)
        except Cancelled:
            raise
        except StepError as error:
            return f"; putting the object back failed: {error}{self._retreat(error)}"
        return ""

    def _place_in_bin(self, placer: Placer, pick_height: float) -> Placing:
        """Carry the object over the bin and let go of it; what became of it. The label stands, as above.

        Raises:
            Cancelled: stop means stop.
        """
        try:
            self._phase("carry")
            placer.carry()
            self._phase("place")
            held = placer.still_held()
            gone = placer.let_go()
        except Cancelled:
            raise
        except (Unreachable, PlanningFailed) as error:
            return Placing(PlaceOutcome(str(error.outcome)), f"{error}{self._put_back_if_possible(pick_height)}")
        except StepError as error:
            return Placing(PlaceOutcome(str(error.outcome)), f"{error}{self._retreat(error)}")
        cleared = self._clear()
        if not held:
            return Placing(PlaceOutcome.LOST, f"the object was lost on the way to the bin{cleared}")
        if not gone:
            return Placing(PlaceOutcome.STUCK, f"something presses on the fingers although they are open{cleared}")
        return Placing(PlaceOutcome.PLACED, cleared.lstrip("; "))

    def _clear(self) -> str:
        """Go to neutral; why that failed, for a person: the next approach plans from here."""
        self._phase("clear")
        try:
            self.to_neutral()
        except Cancelled:
            raise
        except StepError as error:
            self._latch(error)
            return f"; the arm stays where it is: {error}"
        return ""

    def _put_back(self, pick_height: float) -> None:
        """Open over the arm's half of the table, low if something is held, and clear the table."""
        self._phase("release")
        if self._hand.holds_something(self.settings.label_rule):
            self._lower(pick_height)
            self._hand.start_open()
            self._hand.wait_open()
        else:
            self._hand.start_open()
        self._phase("clear")
        # without a way there the label still stands, and the next approach plans from here
        with contextlib.suppress(PlanningFailed, Unreachable):
            self.to_neutral()

    def _lower(self, pick_height: float) -> None:
        q, limits = self._arm.commanded(), self.settings
        x, y, z = self._motions.position(q)
        goal = self._place(x, y)
        try:
            if np.hypot(goal[0] - x, goal[1] - y) > 0.01:
                aside = (goal[0] - x, goal[1] - y, 0.0)
                self._arm.follow(self._motions.shift(q, aside, self._arm.other_q(), limits.lift_speed))
                q = self._arm.commanded()
        except Unreachable:
            pass  # then at the place where it was picked
        drop = pick_height + limits.release_clearance - z
        if drop < 0.0:
            path = self._motions.shift(q, (0.0, 0.0, drop), self._arm.other_q(), limits.lower_speed)
            self._arm.follow(path, self._contact())

    def _place(self, x: float, y: float) -> Tuple[float, float]:
        side = 1.0 if self._arm.side == "left" else -1.0
        inside = np.clip(side * y, *self.settings.place_y)
        return float(np.clip(x, *self.settings.place_x)), float(side * inside)

    # --- getting out of the way ---------------------------------------------------------------------------------

    def _rise(self) -> None:
        """To where a plan can begin: straight up where the gripper is low over the table, and out of any contact."""
        if self._at_neutral():
            return
        try:
            self._straight_up()
        except Unreachable:
            # what holds it may be let go of; else the planner finds another way up
            self._escape()
            with contextlib.suppress(Unreachable):
                self._straight_up()
        self._escape()

    def _straight_up(self) -> None:
        q, limits = self._arm.commanded(), self.settings
        missing = self._motions.height_to_clear(q, limits.lift_height)
        if missing > 0.02:
            least = min(missing, limits.least_lift)
            self._arm.follow(self._motions.rise(q, missing, least, self._arm.other_q(), limits.lift_speed))

    def _escape(self) -> None:
        path = self._motions.escape(self._arm.commanded(), self._arm.other_q())
        if path is not None:
            self._arm.follow(path)

    def _at_neutral(self) -> bool:
        return float(np.max(np.abs(self._arm.q() - self._neutral))) < self.settings.at_rest_tolerance

    @contextlib.contextmanager
    def _retreat_on_failure(self) -> Iterator[None]:
        """When a step fails, let go and clear the table if the arm can still move; stay where it was cancelled."""
        try:
            yield
        except Cancelled:
            raise  # stop means stop
        except StepError as error:
            raise type(error)(f"{error}{self._retreat(error)}") from None

    def _retreat(self, cause: StepError) -> str:
        """Let go and clear the table; why that failed or was left, for a person.

        Raises:
            Cancelled: stop means stop.
        """
        self._latch(cause)
        if self._arm.fault:
            return "; the arm stands still until a person has seen to it"
        try:
            self._arm.check()
            self._phase("retreat")
            self._hand_open_if_possible()
            self.to_neutral()
        except Cancelled:
            raise
        except StepError as error:
            self._latch(error)
            return f"; the arm stays where it is: {error}"
        return ""

    def _latch(self, error: StepError) -> None:
        """No command to an attended arm after a fault of the robot, be it one that planner or gripper noticed."""
        if isinstance(error, RobotFault):
            self._arm.stopped_by(str(error))

    def _hand_open_if_possible(self) -> None:
        # nothing more can be done about a gripper that does not answer; the arm may still clear the table
        with contextlib.suppress(SensorFault):
            self._hand.start_open()
