"""Carrying a held object over the arm's bin and letting go of it there (paper, section IV.F: clearing a table)."""

import math
from typing import List

from pydantic import Field

from grasp_learning.bins import Bin
from grasp_learning.config import Settings
from grasp_learning.execution.faults import PlanningFailed, SensorFault, Unreachable
from grasp_learning.geometry import top_down_pose
from grasp_learning.labelling import LabelRule, label_grasp
from grasp_learning.trial import Outcome

CHECK_EVERY = 5  # samples of a trajectory (0.05 s) between two looks at the hand's posture


class PlaceSettings(Settings):
    """How an object is carried; config/arm_executor.yaml says what each key means."""

    carry_speed: float = Field(0.35, gt=0)
    lower_speed: float = Field(0.25, gt=0)
    carry_clearance: float = Field(0.12, ge=0)
    max_tilt: float = Field(0.7, gt=0, le=math.pi)
    yaws: int = Field(8, ge=1)
    plans: int = Field(5, ge=1)
    planning_timeout: float = Field(30.0, gt=0)
    release_time: float = Field(0.2, ge=0)
    stuck_force: float = Field(2.0, gt=0, le=100)


class Placer:
    """Brings what one hand holds into one bin.

    What is held is not part of the planner's model of the arm, so the way is level: straight lines that keep the hand's
    orientation where the arm can follow them, else a planned path that does not tilt the hand and stays clear of the
    table.

    Args:
        arm: an Arm. hand: a Hand. motions: a Motions, to which the bin is an obstacle.
        rule: of the label; it tells whether something is still held, too.
    """

    def __init__(self, arm, hand, motions, bin_: Bin, settings: PlaceSettings, rule: LabelRule):
        self.settings = settings
        self._arm, self._hand, self._motions, self._bin = arm, hand, motions, bin_
        self._rule = rule

    def carry(self) -> None:
        """Bring the hand over the bin.

        Raises:
            Unreachable, PlanningFailed: there is no level way; the arm hangs over the table or over the bin.
            StepError: a fault on the way.
        """
        try:
            self._straight()
        except Unreachable:
            self._planned()

    def still_held(self) -> bool:
        """Whether the hand holds something, by the rule of the trial's label.

        Raises:
            SensorFault: the gripper's readings tell nothing.
        """
        label = label_grasp(self._hand.read(), self._rule)
        if label.outcome is Outcome.SENSOR_FAULT:
            raise SensorFault(label.message)
        return label.outcome is Outcome.SUCCESS

    def let_go(self) -> bool:
        """Open; whether nothing presses on the open fingers any more.

        Raises:
            SensorFault: the gripper did not open, or its readings tell nothing.
        """
        self._hand.start_open()
        self._hand.wait_open()
        self._arm.rest(self.settings.release_time)
        return not self._hand.is_pressed(self.settings.stuck_force)

    # --- ways ---------------------------------------------------------------------------------------------------------

    @property
    def _release_height(self) -> float:
        return self._bin.rim + self._bin.release

    def _straight(self) -> None:
        """Level to the bin's middle, then down to where the hand lets go.

        Raises:
            Unreachable: the arm cannot follow the level line; it has not moved.
        """
        arm, motions, limits = self._arm, self._motions, self.settings
        q = arm.commanded()
        x, y, z = motions.position(q)
        if motions.height_to_clear(q, limits.carry_clearance) > 0.0:
            raise Unreachable("the hand hangs too low over the table for a level way")
        arm.follow(motions.shift(q, (self._bin.x - x, self._bin.y - y, 0.0), arm.other_q(), limits.carry_speed))
        drop = self._release_height - z
        if drop < 0.0:
            # what cannot be reached from here is reached by the planned way, from over the bin
            arm.follow(motions.shift(arm.commanded(), (0.0, 0.0, drop), arm.other_q(), limits.lower_speed))

    def _planned(self) -> None:
        arm, motions = self._arm, self._motions
        q = arm.commanded()
        poses = [top_down_pose(self._bin.x, self._bin.y, self._release_height, yaw) for yaw in self._yaws(q)]
        end = arm.clock.now() + self.settings.planning_timeout
        count = 0
        # whoever waits for the pick must not give it up, and its label, for the sake of a way to the bin
        while count < self.settings.plans and (count == 0 or arm.clock.now() < end):
            # the planner is random: the next way may be a level one
            path = motions.to_first_pose(q, poses, arm.other_q())
            count += 1
            if all(self._is_level(point) for point in path.positions[::CHECK_EVERY]):
                arm.follow(path)
                return
        raise PlanningFailed(f"each of {count} ways to the bin tilts the hand or dips towards the table")

    def _yaws(self, q) -> List[float]:
        """Closing directions to try: the present one, then evenly spread ones, the nearest first."""
        first, count = self._motions.yaw(q), self.settings.yaws
        turns = sorted(range(count), key=lambda k: min(k, count - k))
        return [first + 2.0 * math.pi * k / count for k in turns]

    def _is_level(self, q) -> bool:
        limits, motions = self.settings, self._motions
        return motions.tilt(q) <= limits.max_tilt and motions.height_to_clear(q, limits.carry_clearance) == 0.0
