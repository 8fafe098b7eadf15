"""What is asked of MoveIt's node, move_group, and what it answers; how it is asked over ROS lives in ros/."""

import abc
from dataclasses import dataclass, field
from typing import Optional, Sequence

import numpy as np

from grasp_learning.motion.collision import Box
from grasp_learning.trial import Outcome


class MoveItUnavailable(RuntimeError):
    """move_group does not answer, or is set up in a way that cannot be used; the message says which."""


@dataclass(frozen=True)
class MoveItPath:
    """An answer.

    Attributes:
        outcome: SUCCESS; UNREACHABLE (MoveIt refuses the goal); PLANNING_FAILED (it found no way there).
        message: for a person, empty with SUCCESS.
        joints: with SUCCESS, (n, 7) s0..w2 (rad); MoveIt's timing is left out.
        fraction: of a straight line that the joints cover, 0 to 1.
    """

    outcome: Outcome
    message: str = ""
    joints: np.ndarray = field(default_factory=lambda: np.zeros((0, 7)))
    fraction: float = 1.0


class MoveGroup(abc.ABC):
    """MoveIt for one arm. Joints are (7,) arrays s0..w2 (rad), poses T_base_gripper (4, 4).

    Every method ends within deadlines of its own and raises MoveItUnavailable. For one thread at a time.
    """

    @abc.abstractmethod
    def show(self, obstacles: Sequence[Box]) -> None:
        """Put obstacles into the planning scene, in place of all that were shown before, and keep them there.

        Costs nothing where they are what was shown last.
        """

    @abc.abstractmethod
    def edge_fraction(self) -> float:
        """``longest_valid_segment_fraction``: MoveIt checks an edge at points this share of its space apart."""

    @abc.abstractmethod
    def plan(self, start: np.ndarray, goal: np.ndarray, other_arm: Optional[np.ndarray], seconds: float) -> MoveItPath:
        """A path from joints to joints.

        Args:
            other_arm: its joints, an obstacle; None takes them where move_group measures them.
            seconds: allowed for the search.
        """

    @abc.abstractmethod
    def straight(
        self, start: np.ndarray, T_base_goal: np.ndarray, other_arm: Optional[np.ndarray], step: float
    ) -> MoveItPath:
        """A straight line of the gripper, as far as it is free, with points ``step`` (m) apart."""
