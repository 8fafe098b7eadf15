"""What becomes of MoveIt's answers: checked again, timed, asked for again, and typed where nothing comes of them."""

import numpy as np
import pytest
from motion_samples import ROBOT, TABLE

from grasp_learning.geometry import top_down_pose
from grasp_learning.motion.collision import WALL, Box
from grasp_learning.motion.kinematics import NEUTRAL
from grasp_learning.motion.move_group import MoveGroup, MoveItPath, MoveItUnavailable
from grasp_learning.motion.moveit_planner import MoveItPlanner, corners
from grasp_learning.motion.planner import PlanRequest, StraightRequest
from grasp_learning.motion.settings import MotionSettings
from grasp_learning.motion.straight import straight_joints
from grasp_learning.trial import Outcome

SETTINGS = MotionSettings()
NEAR = NEUTRAL + 0.3


class Answers(MoveGroup):
    """A move_group that answers what it is told to; the last answer goes on for ever."""

    def __init__(self, *answers, fraction=0.0006):
        self.answers, self.fraction = list(answers), fraction
        self.obstacles, self.asked = [], []

    def show(self, obstacles):
        self.obstacles = list(obstacles)

    def edge_fraction(self):
        return self.fraction

    def plan(self, start, goal, other_arm, seconds):
        self.asked.append((goal, seconds))
        return self._next()

    def straight(self, start, T_base_goal, other_arm, step):
        return self._next()

    def _next(self):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, MoveItPath) else MoveItPath(Outcome.SUCCESS, "", np.asarray(answer))


def make(*answers, settings=SETTINGS, boxes=(), **options):
    group = Answers(*answers, **options)
    return MoveItPlanner(ROBOT, "left", settings, TABLE, boxes, 0, group), group


def through(*points, count=20):
    """A path (n, 7) through corners, filled up as MoveIt fills its up."""
    legs = [a + np.linspace(0, 1, count + 1)[1:, None] * (b - a) for a, b in zip(points[:-1], points[1:])]
    return np.vstack([points[0], *legs])


def plan(planner, goal=NEAR, **options):
    return planner.plan(PlanRequest(NEUTRAL, goal_joints=[goal], other_arm=NEUTRAL, **options))


# --- the scene and its edges ------------------------------------------------------------------------------------------


def test_table_bins_and_wall_are_shown_to_moveit():
    bin_ = Box("left bin", (0.3, 0.7, 0.0), (0.2, 0.2, 0.2))
    _, group = make(through(NEUTRAL, NEAR), boxes=[bin_])
    shown = {box.name: box for box in group.obstacles}
    assert set(shown) == {"table", "left bin", WALL}
    assert shown["table"].center[2] + shown["table"].size[2] / 2 == pytest.approx(TABLE.z)
    # the arms keep off the middle plane by more than half of the wall's thickness, so none stands in it
    assert 0.0 < shown[WALL].size[1] / 2 < SETTINGS.wall_margin and shown[WALL].center[1] == 0.0
    _, group = make(through(NEUTRAL, NEAR), settings=MotionSettings(wall_margin=None))
    assert [box.name for box in group.obstacles] == ["table"]


def test_planners_of_two_tables_share_a_move_group():
    # a calibration goes down to a table whose height it does not know as if it were lower
    upper, group = make(through(NEUTRAL, NEAR))
    lower_table = TABLE.model_copy(update={"z": TABLE.z - 0.05})
    lower = MoveItPlanner(ROBOT, "left", SETTINGS, lower_table, (), 0, group)

    def height():
        (table,) = (box for box in group.obstacles if box.name == "table")
        return table.center[2] + table.size[2] / 2

    for planner, z in ((upper, TABLE.z), (lower, lower_table.z), (upper, TABLE.z)):
        assert plan(planner).ok
        assert height() == pytest.approx(z)
        planner.plan_straight(StraightRequest(NEUTRAL, planner.kinematics.fk(NEAR), NEUTRAL))
        assert height() == pytest.approx(z)


def test_a_move_group_that_hardly_looks_at_its_edges_is_refused_with_the_remedy():
    with pytest.raises(
        MoveItUnavailable, match=r"every 1\.56 rad .* is 0\.05\); start it by launch/moveit\.launch"
    ) as e:
        make(through(NEUTRAL, NEAR), fraction=0.05)
    named = float(str(e.value).split("set that to ")[1].split()[0])
    make(through(NEUTRAL, NEAR), fraction=named)
    with pytest.raises(MoveItUnavailable):
        make(through(NEUTRAL, NEAR), fraction=named * 1.05)


# --- planned paths ----------------------------------------------------------------------------------------------------


def test_a_path_becomes_a_motion_within_this_packages_limits():
    corner = NEUTRAL + [0.3, 0, 0, 0, 0, 0, 0]
    planner, group = make(through(NEUTRAL, corner, NEAR))
    result = plan(planner)
    assert result.ok, result.message
    np.testing.assert_allclose(result.path, [NEUTRAL, corner, NEAR], atol=1e-9)
    trajectory, (velocity, acceleration) = result.trajectory, SETTINGS.joint_limits(ROBOT, "left")
    np.testing.assert_allclose(trajectory.positions[[0, -1]], [NEUTRAL, NEAR], atol=1e-9)
    np.testing.assert_array_equal(trajectory.velocities[[0, -1]], 0.0)
    assert np.all(np.abs(trajectory.velocities) <= velocity * (1 + 1e-9))
    assert np.all(np.abs(trajectory.accelerations) <= acceleration * (1 + 1e-9))
    assert all(planner.scene.is_valid(q) for q in trajectory.positions)
    assert len(group.asked) == 1


def test_the_nearest_goal_from_which_the_motion_can_go_on_is_asked_for():
    planner, group = make(MoveItPath(Outcome.PLANNING_FAILED, "MoveIt: TIMED_OUT"))
    seen = []

    def second(q):
        seen.append(q)
        return len(seen) == 2

    pose = top_down_pose(0.6, 0.3, 0.15, 0.5)
    planner.plan(PlanRequest(NEUTRAL, [pose], other_arm=NEUTRAL, goal_check=second))
    for goal, _ in group.asked:
        np.testing.assert_array_equal(goal, seen[1])
    np.testing.assert_allclose(planner.kinematics.fk(seen[1]), pose, atol=1e-3)


@pytest.mark.parametrize(
    "far, named",
    [
        (NEUTRAL + [0, 0.9, 0, 0, 0, 0, 0], "table"),
        (NEUTRAL + [-1.4, 0, 0, 0, 0, 0, 0], WALL),
        (NEUTRAL + [0, 0, 0, 0, 0, 0, 4.0], "joint limit"),
    ],
)
def test_a_path_that_this_packages_model_refuses_is_asked_for_again(far, named):
    bad = through(NEUTRAL, far, NEAR)
    planner, group = make(bad, bad, through(NEUTRAL, NEAR))
    assert plan(planner).ok and len(group.asked) == 3
    planner, group = make(bad)
    result = plan(planner)
    assert result.outcome is Outcome.PLANNING_FAILED and result.trajectory is None
    assert "MoveIt's path touches" in result.message and named in result.message
    assert len(group.asked) == SETTINGS.moveit.attempts


def test_a_thin_obstacle_between_two_points_of_a_path_is_found():
    planner, _ = make(through(NEUTRAL, NEUTRAL + [0.8, 0, 0, 0, 0, 0, 0], count=1))
    q = NEUTRAL + [0.4, 0, 0, 0, 0, 0, 0]
    tip = planner.kinematics.fk(q)[:3, 3]
    pole = Box("pole", tuple(tip), (0.01, 0.01, 0.05))
    planner, _ = make(through(NEUTRAL, NEUTRAL + [0.8, 0, 0, 0, 0, 0, 0], count=1), boxes=[pole])
    assert plan(planner, NEUTRAL + [0.8, 0, 0, 0, 0, 0, 0]).outcome is Outcome.PLANNING_FAILED


@pytest.mark.parametrize(
    "answers, outcome, message",
    [
        ([MoveItPath(Outcome.PLANNING_FAILED, "MoveIt: TIMED_OUT")], Outcome.PLANNING_FAILED, "TIMED_OUT"),
        ([MoveItPath(Outcome.UNREACHABLE, "MoveIt: GOAL_IN_COLLISION")], Outcome.UNREACHABLE, "GOAL_IN_COLLISION"),
        (
            [MoveItPath(Outcome.PLANNING_FAILED, "MoveIt: TIMED_OUT"), MoveItPath(Outcome.UNREACHABLE, "no")],
            Outcome.PLANNING_FAILED,
            "TIMED_OUT",
        ),
        ([MoveItUnavailable("move_group does not answer")], Outcome.ROBOT_FAULT, "does not answer"),
        ([through(NEUTRAL + 0.1, NEAR)], Outcome.PLANNING_FAILED, "begins 0.100 rad from the start"),
        ([through(NEUTRAL, NEAR + 0.1)], Outcome.PLANNING_FAILED, "ends 0.100 rad from the goal"),
    ],
)
def test_what_moveit_does_not_find_has_a_type_and_a_reason(answers, outcome, message):
    result = plan(make(*answers)[0])
    assert result.outcome is outcome and message in result.message and result.trajectory is None


def test_each_attempt_gets_a_good_share_of_the_time_that_is_left():
    planner, group = make(MoveItPath(Outcome.PLANNING_FAILED, "MoveIt: PREEMPTED"))
    plan(planner, time_budget=3.0)
    seconds = [seconds for _, seconds in group.asked]
    assert len(seconds) == SETTINGS.moveit.attempts
    assert 0.6 < seconds[0] <= 0.75 < seconds[-1] <= 3.0  # EST needs 0.2 to 0.5 s around a wall; the last gets all
    planner, group = make(MoveItPath(Outcome.PLANNING_FAILED, ""))
    plan(planner, time_budget=0.5)
    assert group.asked[0][1] == pytest.approx(0.3)  # no crumbs
    planner, group = make(MoveItPath(Outcome.PLANNING_FAILED, ""))
    assert plan(planner, time_budget=1e-9).outcome is Outcome.PLANNING_FAILED and not group.asked


def test_a_way_is_found_where_most_paths_are_refused():
    """Around a thin wall MoveIt's paths pass nearer than this package allows: of the real one's, three in five."""
    bad = through(NEUTRAL, NEUTRAL + [0, 0.9, 0, 0, 0, 0, 0], NEAR)
    planner, _ = make(*[bad] * 9, through(NEUTRAL, NEAR), settings=SETTINGS.model_copy(update={"planning_time": 30.0}))
    assert plan(planner).ok


def test_a_goal_that_is_the_start_is_not_asked_for():
    planner, group = make(MoveItUnavailable("not asked"))
    result = plan(planner, NEUTRAL)
    assert result.ok and result.trajectory.duration == 0.0 and not group.asked


def test_a_path_is_reduced_to_its_corners():
    turns = np.array([NEUTRAL, NEUTRAL + [0.5, 0, 0, 0, 0, 0, 0], NEUTRAL + [0.5, 0, 0, 0.3, 0, 0, 0.1]])
    np.testing.assert_allclose(corners(through(*turns)), turns, atol=1e-12)
    np.testing.assert_allclose(corners(turns[:2]), turns[:2])


# --- straight lines ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def descent():
    """Joints above the table, a pose 0.23 m below, and the joints (n, 7) on the way there."""
    planner, _ = make(through(NEUTRAL, NEAR))
    rng = np.random.default_rng(0)
    start = planner.kinematics.ik(top_down_pose(0.65, 0.3, 0.15, 0.4), NEUTRAL, rng)[0]
    goal = planner.kinematics.fk(start)
    goal[2, 3] -= 0.23
    joints, _, reason = straight_joints(planner, start, goal)
    assert not reason
    return start, goal, joints


def straight(answer, descent, tip_speed=None):
    planner, _ = make(answer)
    return planner, planner.plan_straight(StraightRequest(descent[0], descent[1], NEUTRAL, tip_speed))


def test_a_whole_line_becomes_a_motion_no_faster_than_asked(descent):
    planner, result = straight(descent[2], descent, tip_speed=0.2)
    assert result.ok, result.message
    trajectory = result.trajectory
    tips = np.array(
        [planner.kinematics.fk(trajectory.sample(t)[0])[:3, 3] for t in np.arange(0, trajectory.duration, 0.01)]
    )
    speed = np.linalg.norm(np.diff(tips, axis=0), axis=1) / 0.01
    assert 0.15 < speed.max() < 0.2 * 1.01
    assert np.linalg.norm(tips[:, :2] - tips[0, :2], axis=1).max() < 1e-3
    np.testing.assert_allclose(planner.kinematics.fk(trajectory.positions[-1]), descent[1], atol=1e-3)
    np.testing.assert_array_equal(trajectory.velocities[[0, -1]], 0.0)


def test_part_of_a_line_is_unreachable_and_says_how_far_the_gripper_comes(descent):
    half = descent[2][: len(descent[2]) // 2]
    _, result = straight(MoveItPath(Outcome.SUCCESS, "", half, 0.49), descent)
    assert result.outcome is Outcome.UNREACHABLE and result.trajectory is None
    assert "of 0.230 m: MoveIt's Cartesian path covers 49 %" in result.message
    assert 0.1 < result.reached < 0.12


@pytest.mark.parametrize("joints", [np.zeros((0, 7)), "start"])
def test_no_part_of_a_line_is_unreachable_too(descent, joints):
    found = descent[2][:1] if isinstance(joints, str) else joints
    _, result = straight(MoveItPath(Outcome.SUCCESS, "", found, 0.0), descent)
    assert result.outcome is Outcome.UNREACHABLE and result.reached == 0.0


def test_a_line_through_the_table_ends_above_it(descent):
    deeper = descent[1].copy()
    deeper[2, 3] -= 0.05
    free = MoveItPlanner(ROBOT, "left", SETTINGS, None, (), 0, Answers(through(NEUTRAL, NEAR)))
    joints, _, reason = straight_joints(free, descent[0], deeper)
    assert not reason
    _, result = straight(joints, (descent[0], deeper))
    assert result.outcome is Outcome.UNREACHABLE and "table" in result.message
    assert 0.22 < result.reached < 0.27


def test_a_line_on_which_the_arm_would_fold_over_ends_there(descent):
    planner, _ = make(through(NEUTRAL, NEAR))
    other = [q for q in planner.kinematics.ik(descent[1], descent[0], np.random.default_rng(1), 30)]
    other = next(q for q in other if np.abs(q - descent[2][-1]).max() > 0.5)
    _, result = straight(np.vstack([descent[2][:-1], other]), descent)
    assert result.outcome is Outcome.UNREACHABLE and "cannot follow further" in result.message


def test_another_gripper_in_moveits_description_is_a_fault_that_says_so(descent):
    lower = descent[1].copy()
    lower[0, 3] += 0.05  # as where MoveIt's tip is elsewhere: its line ends beside the goal
    planner, _ = make(through(NEUTRAL, NEAR))
    joints, _, reason = straight_joints(planner, descent[0], lower)
    assert not reason
    _, result = straight(joints, descent)
    assert result.outcome is Outcome.ROBOT_FAULT
    assert "robot_description puts left_gripper elsewhere" in result.message


def test_a_move_group_that_does_not_answer_is_a_fault(descent):
    _, result = straight(MoveItUnavailable("move_group does not answer"), descent)
    assert result.outcome is Outcome.ROBOT_FAULT and "does not answer" in result.message


def test_a_line_of_no_length_takes_no_time(descent):
    planner, _ = make(MoveItUnavailable("not asked"))
    here = planner.kinematics.fk(descent[0])
    result = planner.plan_straight(StraightRequest(descent[0], here, NEUTRAL))
    assert result.ok and result.trajectory.duration == 0.0
