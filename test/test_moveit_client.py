"""moveit_commander as it is called, against a fake of it: connection, scene, versions, faults, and whole picks."""

import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rospy")
pytest.importorskip("grasp_learning.msg", reason="the workspace's messages are not built or not sourced")

from fake_moveit import HANG, RECALLED, FakeMoveIt, matrix
from motion_samples import ROBOT, TABLE
from pick_cell import Cell, grasp, region

from grasp_learning.config import ConfigError, parse_settings
from grasp_learning.execution.faults import PlanningFailed, RobotFault, Unreachable
from grasp_learning.execution.motions import Motions
from grasp_learning.geometry import transform
from grasp_learning.motion.collision import WALL, Box
from grasp_learning.motion.kinematics import NEUTRAL, Kinematics
from grasp_learning.motion.move_group import MoveItUnavailable
from grasp_learning.motion.robot_model import Shape
from grasp_learning.motion.settings import MotionSettings, MoveItSettings
from grasp_learning.ros.arm_executor import ArmExecutor, ArmExecutorSettings
from grasp_learning.ros.moveit_client import MoveItClient
from grasp_learning.trial import Outcome

NEAR = NEUTRAL + 0.2
OTHER = NEUTRAL - 0.1
BOX = Box("table", (0.7, 0.0, -0.12), (0.6, 1.2, 0.04))
FK = Kinematics(ROBOT, "left").fk
HASTY = MoveItSettings(connect_timeout=0.2, scene_timeout=0.2, answer_timeout=0.2)  # where a deadline is to end a wait
PATIENT = MotionSettings(planning_time=30.0, moveit=MoveItSettings(answer_timeout=30.0))  # on a busy machine


@pytest.fixture(params=[(1, 1, 16), (1, 1, 9), (1, 0)], ids=["1.1.16", "1.1.9", "1.0"])
def any_version(request, monkeypatch):
    fake = FakeMoveIt(request.param).install(monkeypatch)
    yield fake
    fake.released.set()


@pytest.fixture
def moveit(monkeypatch):
    fake = FakeMoveIt().install(monkeypatch)
    yield fake
    fake.released.set()  # what hangs may end


def connect(side="left", settings=PATIENT.moveit):
    client = MoveItClient(side, settings, 0.2)
    client.show([BOX])
    return client


# --- connection -------------------------------------------------------------------------------------------------------


def test_the_group_planner_and_remappings_are_baxters(moveit):
    connect("right")
    # joint states come from the robot's topic, and everything is found from a node that runs in /left or /right
    assert moveit.cpp_arguments == ["joint_states:=/robot/joint_states", "__ns:=/"]
    (group,) = moveit.commanders
    assert (group._side, group.ns, group.link, group.frame) == ("right", "/", "right_gripper", "base")
    assert (group.planner_id, group.attempts) == ("ESTkConfigDefault", 1)


def test_moveits_own_node_ends_with_the_process(moveit):
    connect()
    for hook in moveit.at_shutdown:
        hook()
    assert moveit.cpp_arguments is None  # it is no longer a node


def test_without_moveit_the_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "moveit_commander", None)
    with pytest.raises(ConfigError, match="'moveit' needs moveit_commander.*ros-noetic-moveit.*'ompl' works"):
        MoveItClient("left", HASTY, 0.2)


def test_without_move_group_the_start_ends_in_its_deadline(moveit):
    moveit.die()
    with pytest.raises(MoveItUnavailable, match="get_planning_scene did not answer within 0.2 s"):
        connect()


def test_a_planner_that_move_group_does_not_know_is_refused(moveit):
    # MoveIt itself would take its default planner, and say so in its own log only
    with pytest.raises(
        MoveItUnavailable, match="no planner 'EST'.*it has: RRTConnectkConfigDefault, ESTkConfigDefault"
    ):
        connect(settings=MoveItSettings(planner_id="EST"))


def test_parameters_are_found_where_either_kind_of_configuration_keeps_them(moveit):
    assert connect().edge_fraction() == 0.0006
    moveit.params = {
        "/move_group/planning_pipelines/ompl/left_arm/planner_configs": ["ESTkConfigDefault"],
        "/move_group/planning_pipelines/ompl/left_arm/longest_valid_segment_fraction": 0.0003,
    }
    moveit.cpp_arguments = None
    assert connect().edge_fraction() == 0.0003
    moveit.params.popitem()
    assert MoveItClient.edge_fraction(SimpleNamespace(_parameter=lambda name: None)) == 0.01  # OMPL's default


# --- the scene --------------------------------------------------------------------------------------------------------


def test_obstacles_are_boxes_in_the_base_frame(any_version):
    connect()
    item = any_version.objects["grasp_learning/table"]
    assert item.primitives[0].dimensions == [0.6, 1.2, 0.04]
    T = matrix(item.primitive_poses[0])
    np.testing.assert_allclose(T[:3, 3], BOX.center)
    np.testing.assert_allclose(T[:3, :3], np.eye(3))


def test_obstacles_of_an_earlier_run_are_replaced_and_those_of_others_stay(moveit):
    moveit.objects["somebody's lamp"] = "not ours"
    first = connect()
    first.show([BOX, Box("left bin", (0.3, 0.7, 0.0), (0.2, 0.2, 0.2))])
    moveit.cpp_arguments = None
    second = MoveItClient("left", HASTY, 0.2)
    second.show([Box("table", (0.7, 0.0, 0.3), (0.6, 1.2, 0.04))])
    assert set(moveit.objects) == {"grasp_learning/table", "somebody's lamp"}
    assert matrix(moveit.objects["grasp_learning/table"].primitive_poses[0])[2, 3] == pytest.approx(0.3)


def test_obstacles_that_are_not_confirmed_in_time_are_named(moveit):
    moveit.deaf = True
    with pytest.raises(MoveItUnavailable, match="the planning scene lacks grasp_learning/table after 0.2 s"):
        connect(settings=HASTY)


def test_what_is_shown_already_is_not_sent_again_but_what_failed_is(moveit):
    client = connect(settings=HASTY)
    moveit.objects["grasp_learning/table"] = "as it was sent"
    client.show([BOX])
    assert moveit.objects["grasp_learning/table"] == "as it was sent"
    lower = Box("table", (0.7, 0.0, -0.2), BOX.size)
    moveit.running = False
    for _ in range(2):
        with pytest.raises(MoveItUnavailable):
            client.show([lower])
    moveit.running = True
    client.show([lower])
    assert matrix(moveit.objects["grasp_learning/table"].primitive_poses[0])[2, 3] == pytest.approx(-0.2)


@pytest.mark.parametrize("side", ["left", "right"])
def test_what_the_gripper_carries_is_a_part_of_the_arm_in_every_request(any_version, side):
    # a marker's plate of which MoveIt knew nothing swept the head: its paths were refused here again and again
    T = transform(np.eye(3), (-0.03, 0.0, 0.05))
    client = MoveItClient(side, PATIENT.moveit, 0.2, carried=[Shape("box", (0.13, 0.13, 0.004), T)])
    client.show([BOX])
    (group,) = any_version.commanders
    for ask in (
        lambda: client.plan(NEUTRAL, NEAR, OTHER, 5.0),
        lambda: client.straight(NEUTRAL, FK(NEAR), OTHER, 0.02),
    ):
        group.set_start_state(None)
        ask()
        (held,) = group._start.attached_collision_objects
        assert held.link_name == held.object.header.frame_id == f"{side}_gripper"
        assert held.object.primitives[0].dimensions == [0.13, 0.13, 0.004]
        np.testing.assert_allclose(matrix(held.object.primitive_poses[0]), T)
        assert f"{side[0]}_gripper_l_finger_tip" in held.touch_links and f"{side}_lower_forearm" not in held.touch_links


# --- plans ------------------------------------------------------------------------------------------------------------


def test_a_plan_comes_back_in_joint_order_from_every_version(any_version):
    client = connect()
    found = client.plan(NEUTRAL, NEAR, OTHER, 1.0)
    assert found.outcome is Outcome.SUCCESS and found.joints.shape[1] == 7 and len(found.joints) > 3
    np.testing.assert_allclose(found.joints[[0, -1]], [NEUTRAL, NEAR])
    (asked,) = any_version.plans
    np.testing.assert_array_equal(asked.start, NEUTRAL)
    np.testing.assert_array_equal(asked.other, OTHER)  # where it is measured, not where it was at MoveIt's last look
    np.testing.assert_array_equal(asked.goal, NEAR)
    assert asked.seconds == 1.0


@pytest.mark.parametrize(
    "answer, outcome, message",
    [
        ("TIMED_OUT", Outcome.PLANNING_FAILED, "TIMED_OUT"),
        ("PREEMPTED", Outcome.PLANNING_FAILED, "PREEMPTED"),
        (RECALLED, Outcome.PLANNING_FAILED, "RECALLED"),
        ("FAILURE", Outcome.PLANNING_FAILED, "FAILURE"),
        ("GOAL_IN_COLLISION", Outcome.UNREACHABLE, "GOAL_IN_COLLISION"),
        ("NO_IK_SOLUTION", Outcome.UNREACHABLE, "NO_IK_SOLUTION"),
        (np.zeros((0, 7)), Outcome.PLANNING_FAILED, "empty"),
    ],
)
def test_error_codes_have_outcomes(moveit, answer, outcome, message):
    moveit.answers = [answer]
    found = connect().plan(NEUTRAL, NEAR, OTHER, 1.0)
    assert found.outcome is outcome and message in found.message and len(found.joints) == 0


@pytest.mark.parametrize(
    "answer, message",
    [
        ("COMMUNICATION_FAILURE", "COMMUNICATION_FAILURE"),
        ("FRAME_TRANSFORM_FAILURE", "FRAME_TRANSFORM_FAILURE"),
        (RuntimeError("boost"), "failed: boost"),
    ],
)
def test_codes_and_errors_of_a_broken_set_up_are_faults(moveit, answer, message):
    moveit.answers = [answer]
    with pytest.raises(MoveItUnavailable, match=message):
        connect().plan(NEUTRAL, NEAR, OTHER, 1.0)


def test_an_old_version_tells_a_failure_by_an_empty_trajectory(monkeypatch):
    fake = FakeMoveIt((1, 0)).install(monkeypatch)
    fake.answers = ["PLANNING_FAILED"]
    found = connect().plan(NEUTRAL, NEAR, OTHER, 1.0)
    assert found.outcome is Outcome.PLANNING_FAILED and "empty" in found.message


def test_a_goal_beyond_moveits_own_limits_is_unreachable(moveit):
    found = connect().plan(NEUTRAL, NEUTRAL + [0, 0, 0, 0, 0, 0, 4.0], OTHER, 1.0)
    assert found.outcome is Outcome.UNREACHABLE and "within bounds" in found.message and not moveit.plans


def test_a_straight_line_is_asked_of_every_version(any_version):
    client = connect()
    T = FK(NEUTRAL)
    T[2, 3] += 0.1
    found = client.straight(NEUTRAL, T, OTHER, 0.005)
    assert found.outcome is Outcome.SUCCESS and found.fraction == pytest.approx(1.0, abs=1e-6)
    (asked,) = any_version.straights
    np.testing.assert_allclose(asked.T_goal, T, atol=1e-9)
    np.testing.assert_array_equal(asked.other, OTHER)
    np.testing.assert_allclose(found.joints[0], NEUTRAL)
    np.testing.assert_allclose(FK(found.joints[-1]), T, atol=1e-4)


# --- move_group dies or hangs -----------------------------------------------------------------------------------------


def test_a_plan_that_never_comes_ends_in_its_deadline_and_the_next_uses_a_new_connection(moveit):
    client = connect(settings=HASTY)
    moveit.answers = [HANG]
    begin = time.monotonic()
    with pytest.raises(MoveItUnavailable, match="planning with MoveIt: no answer within 0.5 s"):
        client.plan(NEUTRAL, NEAR, OTHER, 0.3)
    assert 0.45 < time.monotonic() - begin < 10.0  # the fake hangs for a minute
    assert client.plan(NEUTRAL, NEAR, OTHER, 30.0).outcome is Outcome.SUCCESS
    assert len(moveit.commanders) == 2  # the first one is still in its call


def test_a_line_that_never_comes_ends_in_its_deadline(moveit):
    client = connect(settings=HASTY)
    moveit.lines = [HANG]
    with pytest.raises(MoveItUnavailable, match="Cartesian path: no answer within 0.2 s"):
        client.straight(NEUTRAL, FK(NEAR), OTHER, 0.005)


def test_a_move_group_that_was_started_again_gets_its_obstacles_back(moveit):
    client = connect()
    moveit.die()
    with pytest.raises(MoveItUnavailable, match="does not answer"):
        client.plan(NEUTRAL, NEAR, OTHER, 0.3)
    moveit.start()
    assert client.plan(NEUTRAL, NEAR, OTHER, 0.3).outcome is Outcome.SUCCESS
    assert set(moveit.objects) == {"grasp_learning/table"} and len(moveit.commanders) == 1


def test_a_cartesian_service_that_fails_is_a_fault_and_no_short_line(moveit, monkeypatch):
    client = connect()
    monkeypatch.setattr(moveit.commanders[0], "_cartesian", lambda *arguments: (None, -1.0))
    with pytest.raises(MoveItUnavailable, match="Cartesian path failed"):
        client.straight(NEUTRAL, FK(NEAR), OTHER, 0.005)


# --- whole picks ------------------------------------------------------------------------------------------------------


def make_cell():
    motions = Motions("left", "moveit", PATIENT, TABLE, 0, None, MoveItClient("left", PATIENT.moveit, 0.2))
    cell = Cell(motions)
    cell.gripper.object_width = 40.0
    return cell


def test_a_pick_is_planned_by_moveit_alone(any_version, monkeypatch):
    cell = make_cell()
    assert set(any_version.objects) == {"grasp_learning/table", f"grasp_learning/{WALL}"}
    cell.sequence.approach(region())
    report = cell.sequence.pick(grasp())
    assert report.outcome is Outcome.SUCCESS, report.message
    assert cell.at_neutral()
    low = min(height for phase, height, _ in cell.heights if phase == "descend")
    assert low == pytest.approx(-0.08, abs=2e-3)
    assert len(any_version.plans) >= 3 and len(any_version.straights) >= 3
    for asked in any_version.plans + any_version.straights:
        np.testing.assert_array_equal(asked.other, cell.robot.positions("right"))


@pytest.mark.parametrize("phase", ["approach", "pre-grasp", "descend", "lift"])
def test_a_move_group_that_dies_is_a_fault_of_the_robot(moveit, phase):
    cell = make_cell()
    if phase == "lift":
        cell.at_phase["close"] = moveit.die  # the lift is planned once the fingers are closed
    else:
        cell.at_phase[phase] = moveit.die
    with pytest.raises(RobotFault, match="move_group does not answer"):
        cell.sequence.approach(region())
        cell.sequence.pick(grasp())
    moveit.start()
    cell.at_phase = {}
    cell.sequence.to_neutral()
    assert cell.at_neutral()


def test_empty_plans_are_typed_and_the_arm_stays_at_neutral(moveit):
    cell = make_cell()
    moveit.answers = [np.zeros((0, 7))] * 100
    with pytest.raises(PlanningFailed, match="empty"):
        cell.sequence.approach(region())
    assert cell.at_neutral()


def test_a_grasp_to_which_no_straight_way_leads_is_unreachable(moveit):
    cell = make_cell()
    cell.sequence.approach(region())
    moveit.lines = [0.5] * 100
    with pytest.raises(Unreachable):
        cell.sequence.pick(grasp())


def test_a_lift_that_ends_early_is_as_high_as_it_goes(moveit):
    cell = make_cell()
    cell.sequence.approach(region())
    cell.at_phase["close"] = lambda: moveit.lines.append(0.8)
    report = cell.sequence.pick(grasp())
    assert report.outcome is Outcome.SUCCESS
    top = max(height for phase, height, _ in cell.heights if phase == "lift")
    assert -0.08 + 0.12 < top < -0.08 + 0.16  # 80 % of 20 cm, less a margin


# --- the node ---------------------------------------------------------------------------------------------------------


def executor(**values):
    settings = {
        "arm": "left",
        "calibration": "a file",
        "planner": "moveit",
        "startup_timeout": 0.2,
        "motion": PATIENT,
        **values,
    }
    node = ArmExecutor.__new__(ArmExecutor)
    node._settings, node._bins = parse_settings(ArmExecutorSettings, settings, "node"), None
    return node


def test_the_node_plans_by_moveit_where_it_is_told_to(moveit):
    executor()._make_motions(TABLE, 0).to_joints(NEUTRAL, NEAR, OTHER)
    assert len(moveit.plans) == 1


def test_a_move_group_that_is_missing_or_coarse_ends_the_node_with_one_line(moveit):
    moveit.params["/move_group/left_arm/longest_valid_segment_fraction"] = 0.05
    with pytest.raises(RobotFault, match="launch/moveit.launch"):
        executor()._make_motions(TABLE, 0)
    moveit.die()
    with pytest.raises(RobotFault, match="does not answer"):
        executor()._make_motions(TABLE, 0)


def test_neither_ompl_nor_moveit_is_imported_before_it_is_chosen():
    """OMPL has no wheel for ROS Noetic's Python, and Debian has no MoveIt."""
    program = (
        "import sys\n"
        "sys.modules['ompl'] = sys.modules['moveit_commander'] = sys.modules['moveit_msgs'] = None\n"
        "import grasp_learning.ros.arm_executor, grasp_learning.motion.moveit_planner\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize("key", [key for key in MoveItSettings.model_fields if key != "planner_id"])
def test_settings_out_of_range_are_named(key):
    with pytest.raises(ConfigError, match=f"node: .*moveit.*{key}"):
        parse_settings(MotionSettings, {"moveit": {key: 0}}, "node")
