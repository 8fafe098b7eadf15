"""The last look at each command: nothing leaves the workspace, sinks into the table or jumps, whoever planned it."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from executor_fakes import FakeClock, FakeRobot
from motion_samples import ROBOT, TABLE

from grasp_learning.config import ConfigError, load_settings, parse_settings
from grasp_learning.execution.arm import MOST_CONTACT_FORCE, Arm, ArmSettings
from grasp_learning.execution.faults import PlanningFailed, RobotFault
from grasp_learning.execution.guard import SafetySettings, make_guard
from grasp_learning.geometry import top_down_pose
from grasp_learning.motion.kinematics import Kinematics
from grasp_learning.robot_description import NEUTRAL, find_package_file

STEP = 0.03  # s


@pytest.fixture(scope="module")
def kinematics():
    return {side: Kinematics(ROBOT, side) for side in ("left", "right")}


def guard(side="left", **settings):
    return make_guard(ROBOT, side, SafetySettings(**{"speed_ratio": 1.0, **settings}), TABLE, STEP)


def over(kinematics, x, y, z, side="left"):
    """Joints that bring the fingertips to a point, pointing down."""
    solutions = kinematics[side].ik(top_down_pose(x, y, z, 0.5), rng=np.random.default_rng(0))
    assert solutions, "the test's own pose must be reachable"
    return solutions[0]


@pytest.mark.parametrize("side, sign", [("left", 1.0), ("right", -1.0)])
def test_grasps_approaches_and_neutral_are_within_bounds(kinematics, side, sign):
    one = guard(side)
    one.begin(np.array(NEUTRAL))
    for z in (-0.088, -0.05, 0.15):
        for x in (0.48, 0.65, 0.82):
            for y in (0.10, 0.3, 0.52):
                assert one.refuse_path(over(kinematics, x, sign * y, z, side)[None]) == ""


@pytest.mark.parametrize(
    "place, limits, says",
    [
        ((0.65, 0.3, -0.10), {}, "the fingertips .too low over the table. of the left arm 0.005 m out of bounds"),
        ((0.65, 0.3, 0.15), {"workspace_x": (0.7, 1.2)}, "out of the workspace"),
        ((0.65, 0.3, 0.15), {"workspace_y": (0.35, 1.1)}, "out of the workspace"),
        ((0.65, 0.3, 0.15), {"workspace_z": (-0.3, 0.2)}, "the hand .out of the workspace"),
        ((0.65, 0.3, 0.0), {"arm_clearance": 0.3}, "the hand .too low"),
        ((0.65, -0.1, 0.15), {}, "out of the workspace. of the left arm 0.1"),
    ],
)
def test_a_place_out_of_bounds_is_refused_and_named(kinematics, place, limits, says):
    one, q = guard(**limits), over(kinematics, *place)
    one.begin(over(kinematics, 0.8, 0.4, 0.0) if "arm_clearance" not in limits else np.array(NEUTRAL))
    assert re.search(says, one.refuse_path(np.stack([q, q])))


def test_an_arm_that_stands_outside_may_come_back_but_not_go_further(kinematics):
    one = guard()
    outside, further, inside = (over(kinematics, 0.65, 0.3, z) for z in (-0.105, -0.11, -0.09))
    one.begin(outside)
    assert one.refuse(outside) == "" and one.refuse_path(inside[None]) == ""
    assert "too low" in one.refuse(further)


def test_who_is_out_of_the_workspace_may_not_sink_into_the_table(kinematics):
    one = guard(workspace_z=(-0.3, 0.06))
    above, low, deep = (over(kinematics, 0.65, 0.3, z) for z in (0.15, -0.09, -0.15))
    one.begin(above)  # 9 cm above the workspace with the fingertips, more with the hand
    assert one.refuse_path(np.stack([above, low])) == ""
    assert "the fingertips (too low" in one.refuse_path(np.stack([above, deep]))
    assert one.refuse(above) == ""
    assert "the fingertips (too low" in one.refuse(deep)


def test_who_is_above_the_workspace_may_not_leave_it_sideways(kinematics):
    one = guard(workspace_z=(-0.3, 0.06), workspace_y=(0.25, 1.1))
    above, aside = (over(kinematics, 0.65, y, 0.15) for y in (0.3, 0.2))
    one.begin(above)
    assert "(out of the workspace) of the left arm 0.050 m" in one.refuse_path(np.stack([above, aside]))


def test_what_an_arm_has_come_back_by_is_not_allowed_again(kinematics):
    one = guard()
    outside, nearer, inside = (over(kinematics, 0.65, 0.3, z) for z in (-0.11, -0.10, -0.09))
    one.begin(outside)
    for back in (nearer, inside):
        assert "too low" in one.refuse_path(np.stack([outside, back, outside]))
        assert one.refuse_path(np.stack([outside, back])) == "", "to look at a path changes nothing"
    one.begin(outside)
    one._step = np.full(7, 1.0)  # rad; how long a step may be is not the subject here
    assert one.refuse(outside) == "" and one.refuse(nearer) == ""
    assert "too low" in one.refuse(outside)
    one.begin(outside)  # another motion
    assert one.refuse(outside) == ""


def test_measured_joints_that_tremble_out_of_bounds_may_still_be_held(kinematics):
    one, rng = guard(), np.random.default_rng(0)
    outside = over(kinematics, 0.65, 0.3, -0.11)
    one.begin(outside)
    trembling = outside + rng.uniform(-2e-4, 2e-4, (200, 7))
    assert all(one.refuse(q) == "" for q in trembling)


def test_a_command_that_is_no_number_is_refused():
    one = guard()
    one.begin(np.array(NEUTRAL))
    assert "no number" in one.refuse(np.array(NEUTRAL) * np.nan)


def test_no_joint_is_faster_than_its_share_of_the_limit():
    one, q = guard(speed_ratio=0.3), np.array(NEUTRAL)
    one.begin(q)
    assert one.refuse(q) == ""
    at_limit = q + 0.3 * STEP * np.array([1.5, 1.5, 1.5, 1.5, 4.0, 4.0, 4.0])
    assert one.refuse(at_limit) == ""
    assert "left_w2 by 0.037 rad at once (at most 0.036 rad)" in one.refuse(at_limit + np.eye(7)[6] * 0.037)


def streamed(robot, settings, trajectory):
    arm = Arm(
        "left",
        robot.limb("left"),
        robot,
        lambda: robot.state,
        robot.clock,
        ArmSettings(),
        make_guard(ROBOT, "left", settings, TABLE, STEP),
    )
    arm.follow(trajectory)
    return arm


def line(start, end, seconds):
    times = np.linspace(0.0, seconds, 51)
    way = (end - start) / seconds
    return SimpleNamespace(times=times, positions=start + times[:, None] * way, velocities=np.tile(way, (51, 1)))


def test_a_path_out_of_bounds_is_not_begun(kinematics):
    robot = FakeRobot(FakeClock())
    start, end = (over(kinematics, 0.65, 0.3, z) for z in (-0.05, -0.12))
    robot.positions_of["left"] = start
    with pytest.raises(PlanningFailed, match="fingertips .too low over the table"):
        streamed(robot, SafetySettings(), line(start, end, 2.0))
    assert robot.commands == []


def test_a_command_out_of_bounds_is_not_sent_even_if_the_path_was_looked_at(kinematics):
    robot = FakeRobot(FakeClock())
    start = over(kinematics, 0.65, 0.3, -0.05)
    robot.positions_of["left"] = start
    arm = streamed(robot, SafetySettings(), line(start, start + 0.01, 1.0))
    count = len(robot.commands)
    with pytest.raises(RobotFault, match="too low over the table"):
        arm.send(over(kinematics, 0.65, 0.3, -0.12))
    assert len(robot.commands) == count and arm.fault


def test_motions_are_slowed_down_by_default():
    robot, start = FakeRobot(FakeClock()), np.array(NEUTRAL)
    begin = robot.clock.time
    streamed(robot, SafetySettings(), line(start, start + 0.2 * np.eye(7)[6], 1.0))
    assert robot.clock.time - begin == pytest.approx(1.0 / 0.3, abs=0.1)
    steps = np.abs(np.diff([q for _, q in robot.commands], axis=0)).max()
    assert steps <= 0.3 * 0.2 * 0.011


def test_no_configuration_lets_a_descent_press_harder():
    with pytest.raises(ConfigError, match="contact_force"):
        parse_settings(ArmSettings, {"contact_force": MOST_CONTACT_FORCE + 1.0}, "test")


def test_the_file_holds_the_defaults_and_wrong_bounds_are_named():
    assert load_settings(SafetySettings, find_package_file("config/safety.yaml")) == SafetySettings()
    for key, value in (("speed_ratio", 0.0), ("speed_ratio", 1.5), ("workspace_z", [0.5, 0.1]), ("tip_clearance", -1)):
        with pytest.raises(ConfigError, match=key):
            parse_settings(SafetySettings, {key: value}, "test")
