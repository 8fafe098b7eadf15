"""A robot without ROS and the sequence of a trial on it, for the tests of what an arm does."""

import numpy as np
from executor_fakes import FakeClock, FakeGripper, FakeRobot
from motion_samples import ROBOT, TABLE

from grasp_learning.execution.arm import Arm, ArmSettings
from grasp_learning.execution.guard import make_guard
from grasp_learning.execution.hand import Hand, HandSettings
from grasp_learning.execution.pick_sequence import PickSequence, SequenceSettings
from grasp_learning.execution.placing import Placer, PlaceSettings
from grasp_learning.robot_description import NEUTRAL
from grasp_learning.trial import Grasp, Region


class Cell:
    """A robot, its gripper and the sequence under test; actions can be hung on the begin of a phase.

    Args:
        bin_: of the arm, for whoever places what is held.
        safety: bounds of the commands; None for none.
        sequence: settings; None are the defaults. hand: of the hand, likewise.
    """

    def __init__(self, motions, bin_=None, placing=None, safety=None, sequence=None, hand=None):
        sequence = sequence or SequenceSettings()
        self.clock = FakeClock()
        self.robot, self.gripper = FakeRobot(self.clock), FakeGripper(self.clock)
        self.motions, self.phases, self.at_phase = motions, [], {}
        self.picture = lambda: "picture"
        self.truth = (True, True, "mug")
        self.near = lambda x, y: [f"{x:.2f}", f"{y:.2f}"]
        self.cancel = False
        limits = ArmSettings()
        guard = safety and make_guard(ROBOT, "left", safety, TABLE, limits.max_step)
        limb = self.robot.limb("left")
        self.arm = Arm("left", limb, self.robot, lambda: self.robot.state, self.clock, limits, guard)
        self.arm.cancelled = lambda: self.cancel
        self.hand = hand = Hand(self.gripper, self.gripper, self.arm.wait, self.clock, hand or HandSettings())
        self.sequence = PickSequence(
            self.arm,
            hand,
            motions,
            lambda: self.picture(),
            lambda: self.truth,
            self._phase,
            sequence,
            lambda x, y: self.near(x, y),
            placer=bin_ and Placer(self.arm, hand, motions, bin_, placing or PlaceSettings(), sequence.label_rule),
        )
        self.clock.hooks.append(self._watch)
        self.heights = []

    def _phase(self, name):
        self.phases.append(name)
        self.at_phase.get(name, lambda: None)()

    def _watch(self):
        self.heights.append((self.phases[-1] if self.phases else "", self.tip()[2], self.gripper.value))

    def tip(self):
        return self.motions.position(self.robot.positions("left"))

    def at_neutral(self):
        return np.abs(self.robot.positions("left") - np.array(NEUTRAL)).max() < 0.01

    def soon_after(self, phase, action, delay=0.1):
        """Run an action a little after a phase has begun."""

        def arm_it():
            end = self.clock.time + delay
            self.clock.hooks.append(lambda: self.clock.time >= end and action())

        self.at_phase[phase] = arm_it


def region(x=0.65, y=0.3, arm="left"):
    return Region(arm, 0.0, np.array([x, y, -0.1]), 0.05, np.zeros((4, 2)), (0, 0, 1, 1))


def grasp(x=0.66, y=0.28, z=-0.08, theta=0.8):
    return Grasp("left", 0.0, 640.0, 400.0, x, y, z, theta, theta, 4, 380)
