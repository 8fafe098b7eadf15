"""The arm_executor node's own parts without a robot: its settings, and goals that always end with a typed outcome."""

import contextlib
import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("rospy")
pytest.importorskip("grasp_learning.msg", reason="the workspace's messages are not built or not sourced")

import rospy
import yaml
from executor_fakes import FakeClock, FakeRobot
from motion_samples import ROBOT, TABLE

from grasp_learning.config import ConfigError, parse_settings
from grasp_learning.execution.arm import Arm, ArmSettings
from grasp_learning.execution.faults import Cancelled, RobotFault, SensorFault
from grasp_learning.execution.guard import SafetySettings, make_guard
from grasp_learning.execution.hand import bounded
from grasp_learning.msg import PickFeedback, PickResult
from grasp_learning.ros.arm_executor import ArmExecutor, ArmExecutorSettings, compare_descriptions
from grasp_learning.ros.calls import sdk_task
from grasp_learning.ros.goals import GoalRunner
from grasp_learning.trial import Outcome

CONFIG = Path(__file__).parents[1] / "config" / "arm_executor.yaml"
LAUNCHED = {"arm": "left", "calibration": "a file"}


class FakeServer:
    """A SimpleActionServer that keeps what it was told."""

    def __init__(self):
        self.preempt, self.ended, self.phases = False, [], []
        self.set_succeeded = self._end("succeeded")
        self.set_aborted = self._end("aborted")
        self.set_preempted = self._end("preempted")

    def _end(self, how):
        return lambda result, text: self.ended.append((how, result.outcome, result.message))

    def is_preempt_requested(self):
        return self.preempt

    def publish_feedback(self, feedback):
        self.phases.append(feedback.phase)


class FakeArm:
    """What a goal's runner asks of an arm."""

    def __init__(self):
        self.cancelled, self.fault = lambda: False, ""

    def stopped_by(self, message):
        self.fault = message


@pytest.fixture
def arm():
    return FakeArm()


@pytest.fixture
def goals(arm):
    return GoalRunner(arm, SimpleNamespace(planning_time=0.0))


def run(goals, work, preempt=False):
    server, result = FakeServer(), PickResult()
    server.preempt = preempt
    goals.run(server, result, PickFeedback, work)
    assert len(server.ended) == 1
    return server, result


def raising(error):
    def work(result):
        raise error

    return work


def test_a_goal_that_is_done_succeeds_and_tells_its_phases(goals, arm):
    def work(result):
        goals.announce("close")
        goals._motions.planning_time = 0.25
        return Outcome.FAILURE

    server, result = run(goals, work)
    assert server.ended[0][:2] == ("succeeded", "FAILURE") and server.phases == ["close"]
    assert result.planning_time == 0.25


@pytest.mark.parametrize("error", [ValueError("a spline of one point"), ZeroDivisionError("division by zero")])
def test_an_error_of_the_node_itself_is_a_robot_fault_with_a_traceback_in_the_log(goals, arm, error, caplog):
    with caplog.at_level(logging.ERROR):
        server, _ = run(goals, raising(error))
    how, outcome, message = server.ended[0]
    assert (how, outcome) == ("aborted", "ROBOT_FAULT")
    assert type(error).__name__ in message and str(error) in message
    assert "Traceback" in caplog.text and "in work" in caplog.text
    assert str(error) in arm.fault, "and it gets no further command"
    # and the node goes on
    assert run(goals, lambda result: Outcome.SUCCESS)[0].ended[0][1] == "SUCCESS"


def test_a_fault_has_its_type_and_its_message(goals, arm):
    server, _ = run(goals, raising(SensorFault("no picture")))
    assert server.ended == [("aborted", "SENSOR_FAULT", "no picture")] and not arm.fault


def test_a_fault_of_the_robot_stops_the_arm_whoever_noticed_it(goals, arm):
    server, _ = run(goals, raising(RobotFault("move_group does not answer")))
    assert server.ended == [("aborted", "ROBOT_FAULT", "move_group does not answer")]
    assert arm.fault == "move_group does not answer"


def executor_that_stands(prepare):
    """An executor whose attended arm was stopped, and what `~start` does with its gripper."""
    robot = FakeRobot(FakeClock())
    guard = make_guard(ROBOT, "left", SafetySettings(), TABLE, 0.03)
    executor = ArmExecutor.__new__(ArmExecutor)
    executor._settings = ArmExecutorSettings(**LAUNCHED, enable="never")
    executor._approach = "offered"
    executor._arm = Arm("left", robot.limb("left"), robot, lambda: robot.state, robot.clock, ArmSettings(), guard)
    executor._goals = GoalRunner(executor._arm, SimpleNamespace(planning_time=0.0))
    executor._hand = SimpleNamespace(prepare=prepare, start_open=lambda: None, wait_open=lambda: None)
    executor._sequence = SimpleNamespace(to_neutral=lambda: executor._arm.rest(0.1))
    executor._arm.stopped_by("the emergency stop is pressed")
    return executor


def test_a_start_that_fails_accepts_no_goal():
    def jammed():
        raise SensorFault("the gripper could not be calibrated")

    executor = executor_that_stands(jammed)
    answer = executor._on_start(None)
    assert (answer.success, answer.message) == (False, "the gripper could not be calibrated")
    server, _ = run(executor._goals, lambda result: executor._arm.check())
    assert server.ended[0][1] == "ROBOT_FAULT" and "the emergency stop is pressed" in server.ended[0][2]


def test_a_start_that_succeeds_accepts_goals():
    executor = executor_that_stands(lambda: None)
    assert executor._on_start(None).success
    assert run(executor._goals, lambda result: executor._arm.check() or Outcome.SUCCESS)[0].ended[0][1] == "SUCCESS"


def test_a_robot_whose_gripper_is_elsewhere_than_this_packages_is_refused():
    apart = iter([0.3, 0.02, 0.009])  # an arm that moves: it is enough that they agree once
    compare_descriptions("left", lambda: (0.6, 0.2, next(apart)), lambda: (0.6, 0.2, 0.0))
    with pytest.raises(
        RobotFault, match=r"left gripper.*endpoint_state.*urdf/baxter.urdf.xacro.*2.0 cm apart.*correct"
    ):
        compare_descriptions("left", lambda: (0.6, 0.2, 0.02), lambda: (0.6, 0.2, 0.0), patience=0.1)


@pytest.mark.parametrize("preempt, how", [(True, "preempted"), (False, "aborted")])
def test_a_cancelled_goal_is_preempted(goals, preempt, how):
    server, _ = run(goals, raising(Cancelled("stopped")), preempt)
    assert server.ended == [(how, "ABORTED", "stopped")]


@pytest.mark.parametrize("outcome", [Outcome.SUCCESS, Outcome.SENSOR_FAULT])
def test_an_arm_that_waits_for_a_person_says_so_whatever_the_outcome(goals, arm, outcome):
    def work(result):
        arm.fault = "the emergency stop is pressed"
        return outcome

    _, result = run(goals, work)
    assert (result.outcome, result.fault) == (outcome, "the emergency stop is pressed")


def test_a_second_goal_is_aborted_and_the_first_goes_on(goals):
    second = []

    def work(result):
        second.append(run(goals, lambda result: Outcome.SUCCESS)[0].ended[0])
        return Outcome.SUCCESS

    server, _ = run(goals, work)
    assert second == [("aborted", "ABORTED", "the arm is busy with another goal")]
    assert server.ended[0][:2] == ("succeeded", "SUCCESS")


def test_the_file_holds_the_defaults():
    settings = parse_settings(ArmExecutorSettings, {**yaml.safe_load(CONFIG.read_text()), **LAUNCHED}, str(CONFIG))
    assert settings == ArmExecutorSettings(**LAUNCHED)


@pytest.mark.parametrize(
    "change, says",
    [
        ({"arm": "middle"}, "key 'arm' is 'middle'.*'left' or 'right'"),
        ({"arm": None}, "key 'arm'"),
        ({"enable": "often"}, "key 'enable' is 'often'.*'always', 'start' or 'never'"),
        ({"seed": -1}, "key 'seed'"),
        ({"streaming": {"period": "fast"}}, "key 'streaming.period' is 'fast'.*number"),
        ({"streaming": {"contact_stop_time": 0.0}}, "key 'streaming.contact_stop_time'"),
        ({"gripper": {"speed": 3}}, "key 'gripper.speed' is unknown"),
        ({"gripper": 3}, "key 'gripper'"),
        ({"sequence": {"place_x": [0.9, 0.5]}}, "key 'sequence'.*place_x"),
        ({"motion": {"planning_time": -1.0}}, "key 'motion.planning_time'"),
        ({"image_topic": "/cameras/{side}/image"}, "key 'image_topic'.*only {arm}"),
        ({"info_topic": "/cameras/{arm/image"}, "key 'info_topic'.*only {arm}"),
    ],
)
def test_a_malformed_parameter_is_named_with_what_was_expected(change, says):
    with pytest.raises(ConfigError, match=f"/left/arm_executor: {says}"):
        parse_settings(ArmExecutorSettings, {**LAUNCHED, **change}, "/left/arm_executor")


def test_a_missing_parameter_is_named():
    with pytest.raises(ConfigError, match="key 'calibration' is missing"):
        parse_settings(ArmExecutorSettings, {"arm": "left"}, "/left/arm_executor")


@pytest.mark.parametrize(
    "error",
    [
        OSError("Failed to enable robot"),
        rospy.exceptions.ROSTimeMovedBackwardsException(3.0),
        rospy.exceptions.ROSInterruptException("ROS shutdown request"),
    ],
)
def test_whatever_the_sdk_raises_in_a_wait_is_a_fault_of_the_robot(error):
    def wait():
        raise error

    with pytest.raises(RobotFault, match="enabling failed: .*" + str(error)):
        bounded(wait, 5.0, "enabling", sdk_task)


def test_an_sdk_that_ends_the_program_over_its_version_is_a_fault_of_the_robot():
    # sys.exit in a thread ends nothing but the thread: the call looked as if it had returned None
    with pytest.raises(RobotFault, match="the state failed: .*end the program .exit code 1"):
        bounded(lambda: sys.exit(1), 5.0, "the state", sdk_task)


def test_in_gazebo_the_hands_first_commands_are_seconds_apart():
    robot = yaml.safe_load((CONFIG.parent / "robots" / "gazebo.yaml").read_text())
    delays = [robot[side]["arm_executor"].get("start_delay", 0.0) for side in ("left", "right")]
    assert abs(delays[1] - delays[0]) >= 3.0
    assert {**robot["right"]["arm_executor"], "start_delay": delays[0]} == {
        **robot["left"]["arm_executor"],
        "start_delay": delays[0],
    }


def test_the_first_command_waits_for_the_delay_and_no_later_start_does():
    done = []
    arm, hand = (SimpleNamespace(cleared=contextlib.nullcontext, check=lambda: None), SimpleNamespace())
    for name in ("prepare", "start_open", "wait_open"):
        setattr(hand, name, lambda name=name: done.append(name))
    node = SimpleNamespace(
        _settings=parse_settings(ArmExecutorSettings, {**LAUNCHED, "enable": "never", "start_delay": 5.0}, "test"),
        _clock=SimpleNamespace(sleep=done.append),
        _arm=arm,
        _hand=hand,
        _sequence=SimpleNamespace(to_neutral=lambda: done.append("neutral")),
        _approach=None,
    )
    node._offer_actions = lambda: setattr(node, "_approach", "offered")
    ArmExecutor.start(node)
    ArmExecutor.start(node)
    moves = ["prepare", "start_open", "neutral", "wait_open"]
    assert done == [5.0, *moves, *moves]
