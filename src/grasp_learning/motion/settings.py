"""Settings of motion planning, config/motion.yaml."""

from typing import List, Optional

import numpy as np
from pydantic import Field, PositiveFloat

from grasp_learning.config import Settings
from grasp_learning.motion.robot_model import RobotModel


class MoveItSettings(Settings):
    """How MoveIt is asked, where it plans."""

    planner_id: str = Field("ESTkConfigDefault", min_length=1)
    attempts: int = Field(20, ge=1, le=100)
    max_edge_step: float = Field(0.02, gt=0, le=1)
    connect_timeout: float = Field(10.0, gt=0)
    scene_timeout: float = Field(5.0, gt=0)
    answer_timeout: float = Field(5.0, gt=0)


class MotionSettings(Settings):
    """Limits, margins and budgets; the file's comments say what each is for.

    The defaults here equal those in the file.
    """

    speed_factor: float = Field(0.8, gt=0, le=1)
    accelerations: List[PositiveFloat] = Field([4.0, 4.0, 5.0, 5.0, 8.0, 8.0, 8.0], min_length=7, max_length=7)
    tip_speed: float = Field(0.25, gt=0, le=1.5)
    tip_acceleration: float = Field(1.0, gt=0, le=10)
    sample_period: float = Field(0.01, gt=0, le=0.1)
    wall_margin: Optional[float] = Field(0.02, ge=0, le=0.3)
    planning_time: float = Field(2.0, gt=0, le=60)
    est_range: float = Field(1.5, gt=0, le=10)
    est_goal_bias: float = Field(0.3, ge=0, le=1)
    simplify_attempts: int = Field(12, ge=0, le=1000)
    ik_attempts: int = Field(8, ge=1, le=100)
    max_goals: int = Field(4, ge=1, le=100)
    blend: float = Field(0.4, gt=0, le=2)
    tool_table_slack: float = Field(0.008, ge=0, le=0.05)
    straight_step: float = Field(0.005, gt=0, le=0.02)
    moveit: MoveItSettings = MoveItSettings()

    def joint_limits(self, robot: RobotModel, side: str):
        """(7,) velocity (rad/s) and (7,) acceleration (rad/s^2) limits of an arm."""
        velocity = self.speed_factor * np.array([joint.velocity for joint in robot.arm_joints(side)])
        return velocity, np.array(self.accelerations)
