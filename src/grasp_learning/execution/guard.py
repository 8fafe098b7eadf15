"""The last look at every joint command before it is sent: where the arm may be, and how fast it may go there.

Planners keep to the table, the wall and the limits by themselves. This does not trust them: whatever made a path, and
whatever is wrong in a calibration or in a planner's own model of the robot, no command leaves these bounds.
"""

from typing import Optional, Tuple

import numpy as np
from pydantic import Field, field_validator

from grasp_learning.calibration import Table
from grasp_learning.config import Settings
from grasp_learning.motion.kinematics import Kinematics

SLACK = 1e-6  # m and rad; rounding
TREMBLE = 1e-3  # m; measured joints tremble, and commands lie on chords of the path; in all, not for each command
MOVED = 0.05  # rad; a motion begins at most so far from where the arm was told to be


class SafetySettings(Settings):
    """Bounds of what an arm is told to do; config/safety.yaml says what each key means."""

    attended: bool = True
    speed_ratio: float = Field(0.3, gt=0, le=1)
    workspace_x: Tuple[float, float] = (0.2, 1.2)
    workspace_y: Tuple[float, float] = (0.0, 1.1)
    workspace_z: Tuple[float, float] = (-0.3, 0.9)
    tip_clearance: float = Field(0.005, ge=0)
    arm_clearance: float = Field(0.08, ge=0)

    @field_validator("workspace_x", "workspace_y", "workspace_z")
    @classmethod
    def _is_range(cls, value: Tuple[float, float]) -> Tuple[float, float]:
        if value[0] >= value[1]:
            raise ValueError("expected [smaller, larger]")
        return value


# what Guard._outside() tells of: each point may be too low, hand and fingertips out of each side of the workspace
_WHAT = [f"the {point} (too low over the table)" for point in Kinematics.POINTS]
_WHAT += [f"the {point} (out of the workspace)" for point in Kinematics.POINTS[-2:] for _ in range(6)]


class Guard:
    """Checks the commands of one arm; joints are (7,) arrays s0..w2 (rad). Belongs to one thread at a time.

    An arm that stands outside, where a person may have left it, may move, but no further out. That holds for each point
    and each bound by itself, and what it has come back by is not allowed again in the same motion.

    Args:
        kinematics: of the arm; its own, for it keeps a state.
        velocities: (7,) speed limits of the joints (rad/s).
        longest_step: most trajectory time between two commands (s).
    """

    def __init__(
        self,
        kinematics: Kinematics,
        velocities: np.ndarray,
        settings: SafetySettings,
        table: Table,
        longest_step: float,
    ):
        self.settings = settings
        self._kinematics, self._table = kinematics, table
        self._step = settings.speed_ratio * np.asarray(velocities, float) * longest_step
        self._side = 1.0 if kinematics.side == "left" else -1.0
        ranges = (settings.workspace_x, settings.workspace_y, settings.workspace_z)
        self._low, self._high = np.array(ranges).T
        self._allowed = np.zeros(len(_WHAT))
        self._reference: Optional[np.ndarray] = None
        self._limit = np.full(7, MOVED)

    def begin(self, q: np.ndarray) -> None:
        """A motion, or a hold, begins where the arm is or was told to be."""
        self._allowed = self._outside(q)
        self._reference, self._limit = q, np.full(7, MOVED)

    def refuse_path(self, samples: np.ndarray) -> str:
        """Why a path (n, 7) must not be begun; empty where it may."""
        allowed = self._allowed
        for q in samples:
            reason, allowed = self._refuse_place(q, allowed)
            if reason:
                return reason
        return ""

    def refuse(self, command: np.ndarray) -> str:
        """Why a command must not be sent; empty where it may, and then the next one is measured by it."""
        reason, allowed = self._refuse_place(command, self._allowed)
        reason = reason or self._refuse_step(command)
        if not reason:
            self._reference, self._limit, self._allowed = command, self._step, allowed
        return reason

    def _refuse_place(self, q: np.ndarray, allowed: np.ndarray) -> Tuple[str, np.ndarray]:
        """Why q must not be commanded where `allowed` bounds :meth:`_outside`, and what is allowed after it."""
        if not np.all(np.isfinite(q)):
            return f"a command is no number: {q}", allowed
        outside = self._outside(q)
        beyond = outside - allowed - np.where(allowed > 0.0, TREMBLE, SLACK)
        worst = int(np.argmax(beyond))
        if beyond[worst] <= 0.0:
            return "", np.minimum(allowed, outside)
        side, distance = self._kinematics.side, outside[worst]
        return f"a command would bring {_WHAT[worst]} of the {side} arm {distance:.3f} m out of bounds", allowed

    def _refuse_step(self, q: np.ndarray) -> str:
        if self._reference is None:
            return "a command came before the motion began"
        step = np.abs(q - self._reference)
        worst = int(np.argmax(step - self._limit))
        if step[worst] <= self._limit[worst] + SLACK:
            return ""
        name, limit = self._kinematics.joint_names[worst], self._limit[worst]
        return f"a command would move {name} by {step[worst]:.3f} rad at once (at most {limit:.3f} rad)"

    def _outside(self, q: np.ndarray) -> np.ndarray:
        """How far (m) each point is outside each bound, as _WHAT names them; 0 within it."""
        points = self._kinematics.points(q)  # from the elbow on; hand and fingertips last
        return np.maximum(np.concatenate([self._too_low(points), *self._strayed(points[-2:])]), 0.0)

    def _too_low(self, points: np.ndarray) -> np.ndarray:
        """How far (m) each point over the table is below its clearance."""
        table, (x, y, z) = self._table, points.T
        over = (x >= table.x_min) & (x <= table.x_max) & (y >= table.y_min) & (y <= table.y_max)
        clearance = np.full(len(points), self.settings.arm_clearance)
        clearance[-1] = self.settings.tip_clearance
        return np.where(over, table.z + clearance - z, 0.0)

    def _strayed(self, hand: np.ndarray) -> np.ndarray:
        """How far (m) hand and fingertips (2, 3) are beyond each of the workspace's six sides: (2, 6)."""
        own_side = hand * (1.0, self._side, 1.0)
        return np.hstack([self._low - own_side, own_side - self._high])


def make_guard(robot, side: str, settings: SafetySettings, table: Table, longest_step: float) -> Guard:
    """The guard of an arm of a robot.

    Args:
        robot: a RobotModel.
        longest_step: most trajectory time between two commands (s).
    """
    velocities = np.array([joint.velocity for joint in robot.arm_joints(side)])
    return Guard(Kinematics(robot, side), velocities, settings, table, longest_step)
