"""A trial's sequence on an ideal robot with the real planner: what it does, and how each fault ends it."""

from types import SimpleNamespace

import numpy as np
import pytest
from pick_cell import TABLE, Cell, grasp, region

from grasp_learning.config import ConfigError, parse_settings
from grasp_learning.execution.arm import ArmSettings
from grasp_learning.execution.faults import Cancelled, PlanningFailed, RobotFault, SensorFault, Unreachable
from grasp_learning.execution.guard import SafetySettings
from grasp_learning.execution.hand import HandSettings
from grasp_learning.execution.motions import Motions
from grasp_learning.execution.pick_sequence import SequenceSettings
from grasp_learning.geometry import angle_difference, top_down_pose
from grasp_learning.motion.settings import MotionSettings
from grasp_learning.robot_description import NEUTRAL
from grasp_learning.trial import Outcome

PHASES = ["prepare", "approach", "pre-grasp", "descend", "close", "lift", "read", "release", "clear"]


@pytest.fixture(scope="module")
def motions():
    return Motions("left", "ompl", MotionSettings(), TABLE, seed=0)


@pytest.fixture
def cell(motions):
    return Cell(motions)


def test_approach_ends_over_the_region_pointing_down_and_open(cell):
    cell.sequence.approach(region())
    T = cell.motions._planner.kinematics.fk(cell.robot.positions("left"))
    assert np.allclose(T[:3, 3], [0.65, 0.3, 0.15], atol=0.002)
    assert T[2, 2] == pytest.approx(-1.0, abs=0.001)
    assert cell.gripper.value > 80.0


def test_a_pick_grasps_lifts_reads_and_puts_back(cell):
    cell.gripper.object_width = 60.0
    cell.sequence.approach(region())
    start = cell.clock.time
    report = cell.sequence.pick(grasp())
    assert report.outcome is Outcome.SUCCESS
    assert report.reading.force == pytest.approx(35.0) and report.reading.gripping
    assert (report.reading.truth_known, report.reading.truth_held, report.reading.truth_object) == (True, True, "mug")
    assert report.images == {"before_lift": "picture", "after_lift": "picture"}
    assert cell.phases == PHASES
    lowest = min(z for phase, z, _ in cell.heights if phase == "close")
    highest = max(z for phase, z, _ in cell.heights if phase == "read")
    assert lowest == pytest.approx(-0.08, abs=0.003) and highest - lowest == pytest.approx(0.2, abs=0.005)
    # let go low over the table, not from the top
    opening = [z for phase, z, value in cell.heights if phase == "release" and value > 61.0]
    assert max(opening) < -0.08 + 0.03
    assert cell.at_neutral() and cell.gripper.value > 80.0
    assert cell.clock.time - start < 20.0


def test_what_lies_near_the_grasp_is_asked_for_above_it(cell):
    asked = []

    def near(x, y):
        asked.append((cell.phases[-1], cell.tip()))
        return ["mug", "ball"]

    cell.near = near
    cell.sequence.approach(region())
    assert cell.sequence.pick(grasp()).reading.truth_near == ("mug", "ball")
    ((phase, tip),) = asked
    assert phase == "pre-grasp"
    assert np.allclose(tip, [0.66, 0.28, -0.08 + 0.2], atol=0.01)


def test_the_fingers_close_along_theta(cell):
    cell.sequence.approach(region())
    seen = []
    cell.at_phase["close"] = lambda: seen.append(cell.motions.yaw(cell.robot.positions("left")))
    cell.sequence.pick(grasp(theta=2.9))
    assert angle_difference(seen[0], 2.9) < 0.01


def test_closed_on_nothing_is_a_failure(cell):
    cell.sequence.approach(region())
    report = cell.sequence.pick(grasp())
    assert report.outcome is Outcome.FAILURE and report.reading.force == 0.0
    assert cell.at_neutral()


def test_contact_stops_the_descent_and_the_pick_goes_on(cell):
    cell.sequence.approach(region())
    cell.clock.hooks.append(lambda: setattr(cell.robot, "force_z", 30.0 if cell.tip()[2] < -0.02 else 0.0))
    report = cell.sequence.pick(grasp())
    assert report.reading.contact and report.outcome is Outcome.FAILURE
    assert min(z for _, z, _ in cell.heights) > -0.04
    assert cell.at_neutral()


def test_an_object_near_the_edge_is_put_back_further_in(cell):
    cell.gripper.object_width = 60.0
    cell.sequence.approach(region(0.6, 0.5))
    report = cell.sequence.pick(grasp(0.6, 0.53))
    assert report.outcome is Outcome.SUCCESS
    assert "release" in cell.phases
    places = [q for time, q in cell.robot.commands]
    low = [cell.motions.position(q) for q in places[-800:]]
    released = [p for p in low if p[2] < -0.05]
    assert released and abs(released[-1][1]) <= 0.48 + 0.01


def test_the_arm_starts_low_over_the_table_after_a_cancelled_goal(cell):
    cell.sequence.approach(region())
    cell.soon_after("close", lambda: setattr(cell, "cancel", True))
    with pytest.raises(Cancelled):
        cell.sequence.pick(grasp())
    assert cell.tip()[2] < -0.05  # stop means stop
    cell.cancel = False
    cell.clock.hooks.clear()
    cell.clock.hooks.append(cell.gripper._move)
    first = len(cell.robot.commands)
    cell.sequence.approach(region(0.6, 0.2))
    rise = [cell.motions.position(q) for _, q in cell.robot.commands[first : first + 60]]
    assert np.ptp([p[:2] for p in rise], axis=0).max() < 0.005  # straight up first


@pytest.mark.parametrize("phase", PHASES[1:-2])
@pytest.mark.parametrize("stop", ["estop", "disabled"])
def test_a_robot_that_stops_in_any_phase_is_a_fault_and_gets_no_more_commands(cell, phase, stop):
    cell.gripper.object_width = 60.0
    stopped_at = []

    def stop_robot():
        if not stopped_at:
            stopped_at.append(cell.clock.time)
            cell.robot.press_estop() if stop == "estop" else setattr(cell.robot.state, "enabled", False)

    cell.soon_after(phase, stop_robot, delay=0.05)
    with pytest.raises(RobotFault, match="emergency stop|disabled"):
        cell.sequence.approach(region())
        cell.sequence.pick(grasp())
    assert cell.phases[-1] == phase
    assert all(time <= stopped_at[0] for time, _ in cell.robot.commands)
    assert cell.clock.time - stopped_at[0] < 1.0


@pytest.mark.parametrize("width, outcome", [(60.0, Outcome.SUCCESS), (None, Outcome.FAILURE)])
@pytest.mark.parametrize("phase", ["release", "clear"])
def test_a_label_stands_whatever_stops_the_robot_while_it_puts_back(cell, phase, width, outcome):
    cell.gripper.object_width = width
    stopped_at = []

    def stop_robot():
        stopped_at.append(cell.clock.time)
        cell.robot.press_estop()

    cell.sequence.approach(region())
    # what is not held is let go of at once
    cell.soon_after(phase, lambda: stopped_at or stop_robot(), delay=0.05 if width else 0.0)
    report = cell.sequence.pick(grasp())
    assert report.outcome is outcome and report.reading.gripping == (width is not None)
    assert "putting the object back failed" in report.message and "emergency stop" in report.message
    assert all(time <= stopped_at[0] for time, _ in cell.robot.commands)
    with pytest.raises(RobotFault, match="emergency stop"):
        cell.sequence.approach(region())


def test_a_label_stands_when_the_gripper_does_not_let_go(cell):
    cell.gripper.object_width = 60.0
    cell.sequence.approach(region())
    cell.at_phase["release"] = lambda: setattr(cell.gripper, "stuck", True)
    report = cell.sequence.pick(grasp())
    assert report.outcome is Outcome.SUCCESS
    assert "putting the object back failed: the gripper did not open" in report.message
    assert cell.at_neutral()
    with pytest.raises(SensorFault, match="did not open"):
        cell.sequence.approach(region())


def test_a_cancel_while_putting_back_is_a_cancel(cell):
    cell.gripper.object_width = 60.0
    cell.sequence.approach(region())
    cell.soon_after("release", lambda: setattr(cell, "cancel", True))
    with pytest.raises(Cancelled):
        cell.sequence.pick(grasp())


def test_frozen_joint_states_end_the_pick(cell):
    cell.sequence.approach(region())
    cell.soon_after("lift", lambda: setattr(cell.robot, "frozen_at", cell.robot.frozen_at or cell.clock.time))
    with pytest.raises(RobotFault, match="joint states"):
        cell.sequence.pick(grasp())


def test_an_uncalibrated_gripper_is_calibrated_first(cell):
    cell.gripper.is_calibrated = False
    cell.sequence.approach(region())
    assert cell.gripper.log[0] == "calibrate"
    assert cell.gripper.parameters_taken["moving_force"] == HandSettings().moving_force


def test_parameters_whose_first_message_is_lost_are_sent_again(cell):
    cell.gripper.lost = 1
    cell.sequence.approach(region())
    assert cell.gripper.parameters_taken["moving_force"] == HandSettings().moving_force


def test_a_gripper_that_does_not_confirm_its_parameters_is_a_sensor_fault(cell):
    cell.gripper.echoed, cell.gripper.lost = ("node_calibrate", 1), 10000
    with pytest.raises(SensorFault, match="confirm its parameters within 2 s"):
        cell.sequence.approach(region())


def test_a_gripper_that_never_echoes_is_taken_at_its_word(cell):
    cell.gripper.echoes, cell.gripper.object_width = False, 60.0
    cell.sequence.approach(region())
    assert cell.sequence.pick(grasp()).outcome is Outcome.SUCCESS


def test_the_picture_before_the_lift_shows_the_fingers_at_rest_on_the_object(cell):
    cell.gripper.object_width = 60.0
    cell.sequence.approach(region())
    seen = []
    # kinematics are for one thread, and pictures are taken beside the sequence's
    cell.picture = lambda: seen.append((cell.gripper.value, cell.robot.positions("left"))) or "picture"
    cell.sequence.pick(grasp())
    (gripper, before), (_, after) = seen
    assert gripper == pytest.approx(60.0) and cell.motions.position(before)[2] < -0.05
    assert cell.motions.position(after)[2] > 0.1


@pytest.mark.parametrize("width, outcome", [(60.0, Outcome.SUCCESS), (None, Outcome.FAILURE)])
def test_a_gripper_that_feels_and_echoes_nothing_is_judged_by_its_position(motions, width, outcome):
    cell = Cell(motions, sequence=SequenceSettings(label_method="position"), hand=HandSettings(confirms=False))
    cell.gripper.feels, cell.gripper.echoes, cell.gripper.object_width = False, False, width
    start = cell.clock.time
    cell.sequence.approach(region())
    report = cell.sequence.pick(grasp())
    assert report.outcome is outcome and report.reading.force == 0.0
    assert cell.gripper.parameters_taken["moving_force"] == 40.0
    # what is held is let go low over the table, nothing from where the arm is
    letting_go = [z for phase, z, value in cell.heights if phase in ("release", "clear") and value > (width or 0) + 1]
    assert letting_go[0] < -0.08 + 0.03 if width else letting_go[0] > 0.1
    assert cell.at_neutral() and cell.clock.time - start < 25.0


def test_without_echoes_no_time_is_spent_on_waiting_for_them(motions):
    times = {}
    for confirms in (True, False):
        cell = Cell(motions, hand=HandSettings(confirms=confirms))
        cell.gripper.echoes = False
        cell.sequence.approach(region())
        times[confirms] = cell.clock.time
    assert times[True] - times[False] > HandSettings().configure_timeout - 0.5


@pytest.mark.parametrize("width", [None, 60.0])
@pytest.mark.parametrize("delay", [0.2, 0.8])
@pytest.mark.parametrize("echoes", [True, False])
def test_fingers_that_begin_to_move_late_are_waited_for(cell, width, delay, echoes):
    cell.gripper.echoes = echoes
    cell.sequence.approach(region())
    cell.gripper.object_width, cell.gripper.delay = width, delay
    at_lift = []
    cell.at_phase["lift"] = lambda: at_lift.append(cell.gripper.value)
    report = cell.sequence.pick(grasp())
    assert at_lift[0] == pytest.approx(width or 0.0)
    assert report.outcome is (Outcome.FAILURE if width is None else Outcome.SUCCESS)


def test_a_gripper_that_closes_on_an_object_as_wide_as_itself_need_not_move(cell):
    cell.sequence.approach(region())
    cell.gripper.object_width = 100.0
    assert cell.sequence.pick(grasp()).outcome is Outcome.SUCCESS


def test_a_command_to_close_that_is_lost_is_a_sensor_fault(cell):
    cell.sequence.approach(region())
    cell.at_phase["close"] = lambda: setattr(cell.gripper, "lost", 1)
    with pytest.raises(SensorFault, match="did not begin to close within 1 s"):
        cell.sequence.pick(grasp())
    assert cell.at_neutral()


@pytest.mark.parametrize("slips", [False, True])
def test_fingers_that_still_creep_on_an_object_are_closed_enough(cell, slips):
    cell.sequence.approach(region())
    cell.gripper.object_width, cell.gripper.creep = 60.0, 0.08  # 8 percent of travel a second
    if slips:
        cell.at_phase["read"] = lambda: setattr(cell.gripper, "object_width", None)
    report = cell.sequence.pick(grasp())
    assert report.outcome is (Outcome.FAILURE if slips else Outcome.SUCCESS)
    assert "still crept" in report.message and cell.at_neutral()


@pytest.mark.parametrize("calibrated, age, says", [(False, 0.0, "not calibrated"), (True, 5.0, "old")])
def test_creeping_fingers_with_a_state_that_cannot_be_trusted_are_a_sensor_fault(cell, calibrated, age, says):
    cell.sequence.approach(region())
    cell.gripper.object_width, cell.gripper.creep = 60.0, 0.08

    def break_it():
        cell.gripper.is_calibrated, cell.gripper.age = calibrated, age

    cell.soon_after("close", break_it, delay=2.0)
    with pytest.raises(SensorFault, match=says):
        cell.sequence.pick(grasp())
    assert "lift" not in cell.phases


def test_a_gripper_that_cannot_be_calibrated_is_a_sensor_fault(cell):
    cell.gripper.is_calibrated = cell.gripper.can_calibrate = False
    with pytest.raises(SensorFault, match="calibrated"):
        cell.sequence.approach(region())


def test_a_gripper_that_loses_its_calibration_gives_no_label(cell):
    cell.gripper.object_width = 60.0
    cell.sequence.approach(region())
    cell.at_phase["read"] = lambda: setattr(cell.gripper, "is_calibrated", False)
    with pytest.raises(SensorFault, match="calibrated"):
        cell.sequence.pick(grasp())
    assert cell.at_neutral()


def test_a_silent_gripper_is_a_sensor_fault(cell):
    cell.sequence.approach(region())
    cell.at_phase["close"] = lambda: setattr(cell.gripper, "age", 5.0)
    with pytest.raises(SensorFault, match="old"):
        cell.sequence.pick(grasp())
    assert cell.at_neutral()


def test_a_gripper_that_does_not_open_is_a_sensor_fault(cell):
    cell.gripper.value, cell.gripper.stuck = 10.0, True
    with pytest.raises(SensorFault, match="did not open"):
        cell.sequence.approach(region())


def test_a_camera_without_pictures_is_a_sensor_fault_and_the_table_is_cleared(cell):
    def no_picture():
        raise SensorFault("no picture came")

    cell.sequence.approach(region())
    cell.picture = no_picture
    with pytest.raises(SensorFault, match="no picture came"):
        cell.sequence.pick(grasp())
    assert cell.at_neutral()


def test_an_arm_that_rests_against_something_gets_away(cell):
    kinematics = cell.motions._planner.kinematics
    scene = cell.motions._planner.scene_with(np.array(NEUTRAL))
    rng = np.random.default_rng(1)
    touching = []
    while len(touching) < 5:
        pose = top_down_pose(rng.uniform(0.5, 0.8), rng.uniform(0.1, 0.4), rng.uniform(0.1, 0.3), rng.uniform(0, 3.1))
        touching += [q for q in kinematics.ik(pose, rng=rng) if -0.01 < scene.clearance(q) < 0.0]
    for q in touching:
        cell.robot.positions_of["left"] = q
        cell.sequence.to_neutral()
        assert cell.at_neutral()


@pytest.mark.parametrize("x, y", [(1.4, 0.3), (0.65, -0.2), (0.65, 0.0)])
def test_a_region_out_of_reach_is_typed_and_the_arm_stays_neutral(cell, x, y):
    with pytest.raises(Unreachable):
        cell.sequence.approach(region(x, y))
    assert cell.at_neutral()


def test_a_grasp_out_of_reach_sends_the_arm_back(cell):
    cell.sequence.approach(region())
    with pytest.raises(Unreachable):
        cell.sequence.pick(grasp(x=1.3))
    assert cell.at_neutral()


def test_a_planner_out_of_time_is_typed(cell):
    hasty = Motions("left", "ompl", MotionSettings(planning_time=1e-6), TABLE, seed=0)
    cell.sequence._motions = hasty
    with pytest.raises(PlanningFailed):
        cell.sequence.approach(region())


def test_a_plan_that_fails_has_its_type(motions, monkeypatch):
    failed = SimpleNamespace(ok=False, outcome=Outcome.PLANNING_FAILED, message="EST found no path")
    monkeypatch.setattr(motions._planner, "plan", lambda request: failed)
    with pytest.raises(PlanningFailed, match="EST found no path"):
        motions.to_joints(np.array(NEUTRAL), np.array(NEUTRAL) + 0.1, np.array(NEUTRAL))


def test_an_unknown_planner_names_the_choices():
    with pytest.raises(ConfigError, match="ompl"):
        Motions("left", "magic", MotionSettings(), TABLE, seed=0)


@pytest.mark.parametrize(
    "cls, values, key",
    [
        *[(ArmSettings, {key: 0.0}, key) for key in ArmSettings.model_fields if key != "contact_backoff"],
        *[(HandSettings, {key: 0.0}, key) for key in HandSettings.model_fields if key != "confirms"],
        (ArmSettings, {"contact_samples": -3}, "contact_samples"),
        (ArmSettings, {"contact_backoff": -0.001}, "contact_backoff"),
        (ArmSettings, {"tracking_tolerance": float("nan")}, "tracking_tolerance"),
        (ArmSettings, {"period": 0.05}, "max_step must be at least the period"),
        (ArmSettings, {"period": 0.03, "command_timeout": 0.02}, "command_timeout must be longer than the period"),
        (HandSettings, {"moving_force": 101.0}, "moving_force"),
        (SequenceSettings, {"place_x": [0.9, 0.5]}, "place_x is \\[0.9, 0.5\\]; expected \\[smaller, larger\\]"),
        (SequenceSettings, {"place_y": [0.3, 0.3]}, "place_y"),
        (SequenceSettings, {"least_lift": 0.3}, "least_lift"),
        (SequenceSettings, {"label_method": "weight"}, "label_method"),
        (SequenceSettings, {"position_threshold": 0.0}, "position_threshold"),
    ],
)
def test_settings_out_of_range_are_named(cls, values, key):
    with pytest.raises(ConfigError, match=f"node: .*{key}"):
        parse_settings(cls, values, "node")


def test_an_attended_arm_stays_where_a_fault_of_the_robot_stopped_it(motions):
    cell = Cell(motions, safety=SafetySettings(speed_ratio=1.0))
    cell.sequence.approach(region())
    cell.soon_after("descend", lambda: setattr(cell.robot, "blocked", True))
    with pytest.raises(RobotFault, match="off its path.*stands still until a person has seen to it"):
        cell.sequence.pick(grasp())
    cell.clock.hooks.pop()
    cell.robot.blocked = False
    # if nobody stood beside it, it would have tried to go to neutral
    assert "retreat" not in cell.phases and not cell.at_neutral()
    stopped = len(cell.robot.commands)
    with pytest.raises(RobotFault, match="waits for a person"):
        cell.sequence.approach(region())
    assert len(cell.robot.commands) == stopped
    cell.arm.clear()
    cell.sequence.to_neutral()
    assert cell.at_neutral()


def raising(error):
    def call(*_args, **_kwargs):
        raise error

    return call


def assert_stands(cell, count, opened):
    """No command to arm or hand since, and none until a person has seen to it."""
    assert "retreat" not in cell.phases
    with pytest.raises(RobotFault, match="waits for a person"):
        cell.sequence.approach(region())
    assert (len(cell.robot.commands), cell.gripper.log.count("open")) == (count, opened)


def attended(motions):
    return Cell(motions, safety=SafetySettings(speed_ratio=1.0))


def test_an_attended_arm_stays_where_a_fault_of_the_planner_stopped_it(motions, monkeypatch):
    cell = attended(motions)
    cell.sequence.approach(region())
    count, opened = len(cell.robot.commands), cell.gripper.log.count("open") + 1  # by the pick itself
    gone = SimpleNamespace(ok=False, outcome=Outcome.ROBOT_FAULT, message="move_group does not answer")
    monkeypatch.setattr(motions._planner, "plan", lambda request: gone)
    with pytest.raises(RobotFault, match="move_group does not answer; the arm stands still until"):
        cell.sequence.pick(grasp())
    monkeypatch.undo()
    assert_stands(cell, count, opened)


def test_an_attended_arm_stays_where_a_gripper_that_hangs_stopped_it(motions, monkeypatch):
    cell = attended(motions)
    cell.sequence.approach(region())
    count, opened = len(cell.robot.commands), cell.gripper.log.count("open")
    monkeypatch.setattr(cell.hand, "prepare", raising(RobotFault("resetting the gripper did not end within 20 s")))
    with pytest.raises(RobotFault, match="did not end within 20 s; the arm stands still until"):
        cell.sequence.pick(grasp())
    monkeypatch.undo()
    assert_stands(cell, count, opened)


@pytest.mark.parametrize("phase", ["release", "clear"])
def test_a_label_stands_and_the_attended_arm_where_it_is_when_the_planner_dies_while_it_puts_back(
    motions, monkeypatch, phase
):
    cell = attended(motions)
    cell.gripper.object_width = 60.0
    cell.sequence.approach(region())
    at = []

    def die():
        at.append((len(cell.robot.commands), cell.gripper.log.count("open")))
        for name in ("shift", "to_joints", "rise"):
            monkeypatch.setattr(motions, name, raising(RobotFault("move_group does not answer")))

    cell.at_phase[phase] = die
    report = cell.sequence.pick(grasp())
    assert report.outcome is Outcome.SUCCESS and "the arm stands still" in report.message
    monkeypatch.undo()
    assert_stands(cell, *at[0])


def test_a_fault_while_it_retreats_stops_an_attended_arm(motions, monkeypatch):
    cell = attended(motions)
    cell.sequence.approach(region())
    cell.picture = raising(SensorFault("no picture came"))
    fault = raising(RobotFault("move_group does not answer"))
    cell.at_phase["retreat"] = lambda: monkeypatch.setattr(cell.sequence, "to_neutral", fault)
    with pytest.raises(SensorFault, match="no picture came; the arm stays where it is: move_group"):
        cell.sequence.pick(grasp())
    assert cell.arm.fault == "move_group does not answer"


def test_a_cancel_while_it_retreats_is_a_cancel(cell):
    cell.sequence.approach(region())
    cell.picture = raising(SensorFault("no picture came"))
    cell.soon_after("retreat", lambda: setattr(cell, "cancel", True))
    with pytest.raises(Cancelled):
        cell.sequence.pick(grasp())
    assert not cell.at_neutral()


def test_each_way_back_down_is_planned_around_where_the_other_arm_is_then(cell, monkeypatch):
    cell.gripper.object_width = 60.0
    cell.sequence.approach(region(0.6, 0.5))
    planned, shift = [], cell.motions.shift

    def noted(q, offset, other, speed):
        if cell.phases[-1] == "release":
            planned.append((np.abs(other - cell.robot.positions_of["right"]).max(), offset[2]))
        return shift(q, offset, other, speed)

    def other_moves():
        cell.robot.positions_of["right"] = cell.robot.positions_of["right"] + 1e-4

    monkeypatch.setattr(cell.motions, "shift", noted)
    cell.clock.hooks.append(other_moves)
    assert cell.sequence.pick(grasp(0.6, 0.53)).outcome is Outcome.SUCCESS
    assert [down < 0.0 for _, down in planned] == [False, True]  # aside, then down
    assert max(late for late, _ in planned) < 2e-4


def test_a_gripper_that_reports_an_error_while_it_closes_is_a_fault(cell):
    cell.sequence.approach(region())
    cell.soon_after("close", lambda: setattr(cell.gripper, "failed", True), 0.02)
    with pytest.raises(SensorFault, match="reports an error"):
        cell.sequence.pick(grasp())
    assert cell.at_neutral()


def test_the_bounds_let_a_whole_trial_pass(motions):
    cell = Cell(motions, safety=SafetySettings())
    cell.gripper.object_width = 60.0
    cell.sequence.approach(region())
    start = cell.clock.time
    assert cell.sequence.pick(grasp(z=-0.088)).outcome is Outcome.SUCCESS
    assert cell.at_neutral() and 10.0 < cell.clock.time - start < 60.0
