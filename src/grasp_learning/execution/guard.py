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


class Guard:
    """Checks the commands of one arm; joints are (7,) arrays s0..w2 (rad). Belongs to one thread at a time.

    An arm that stands outside, where a person may have left it, may move, but no further out.

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
        self._allowed = 0.0
        self._reference: Optional[np.ndarray] = None
        self._limit = np.full(7, MOVED)

    def begin(self, q: np.ndarray) -> None:
        """A motion, or a hold, begins where the arm is or was told to be."""
        self._allowed = self._outside(q)[0]
        self._reference, self._limit = q, np.full(7, MOVED)

    def refuse_path(self, samples: np.ndarray) -> str:
        """Why a path (n, 7) must not be begun; empty where it may."""
        return next(filter(None, (self._refuse_place(q) for q in samples)), "")

    def refuse(self, command: np.ndarray) -> str:
        """Why a command must not be sent; empty where it may, and then the next one is measured by it."""
        reason = self._refuse_place(command) or self._refuse_step(command)
        if not reason:
            self._reference, self._limit = command, self._step
        return reason

    def _refuse_place(self, q: np.ndarray) -> str:
        if not np.all(np.isfinite(q)):
            return f"a command is no number: {q}"
        distance, what = self._outside(q)
        if distance <= self._allowed + SLACK:
            return ""
        return f"a command would bring {what} of the {self._kinematics.side} arm {distance:.3f} m out of bounds"

    def _refuse_step(self, q: np.ndarray) -> str:
        if self._reference is None:
            return "a command came before the motion began"
        step = np.abs(q - self._reference)
        worst = int(np.argmax(step - self._limit))
        if step[worst] <= self._limit[worst] + SLACK:
            return ""
        name, limit = self._kinematics.joint_names[worst], self._limit[worst]
        return f"a command would move {name} by {step[worst]:.3f} rad at once (at most {limit:.3f} rad)"

    def _outside(self, q: np.ndarray) -> Tuple[float, str]:
        """How far (m) the point that is furthest out of bounds is outside, and what it is; 0 where none is."""
        points = self._kinematics.points(q)  # from the elbow on; hand and fingertips last
        sunk, strayed = self._too_low(points), self._strayed(points[-2:])
        if max(sunk.max(), strayed.max()) <= 0.0:
            return 0.0, ""
        if sunk.max() >= strayed.max():
            return float(sunk.max()), f"the {Kinematics.POINTS[int(np.argmax(sunk))]} (too low over the table)"
        return float(strayed.max()), f"the {Kinematics.POINTS[-2:][int(np.argmax(strayed))]} (out of the workspace)"

    def _too_low(self, points: np.ndarray) -> np.ndarray:
        """How far (m) each point over the table is below its clearance."""
        table, (x, y, z) = self._table, points.T
        over = (x >= table.x_min) & (x <= table.x_max) & (y >= table.y_min) & (y <= table.y_max)
        clearance = np.full(len(points), self.settings.arm_clearance)
        clearance[-1] = self.settings.tip_clearance
        return np.where(over, table.z + clearance - z, 0.0)

    def _strayed(self, hand: np.ndarray) -> np.ndarray:
        """How far (m) hand and fingertips (2, 3) are outside the workspace."""
        own_side = hand * (1.0, self._side, 1.0)
        return np.maximum(self._low - own_side, own_side - self._high).max(axis=1)


def make_guard(robot, side: str, settings: SafetySettings, table: Table, longest_step: float) -> Guard:
    """The guard of an arm of a robot.

    Args:
        robot: a RobotModel.
        longest_step: most trajectory time between two commands (s).
    """
    velocities = np.array([joint.velocity for joint in robot.arm_joints(side)])
    return Guard(Kinematics(robot, side), velocities, settings, table, longest_step)
