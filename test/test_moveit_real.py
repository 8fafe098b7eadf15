"""The real MoveIt on the simulated robot. Skipped where it is missing.

The 50 poses of benchmarks/bench_planning.py, and a move_group that is killed while it plans.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from harness import Launch, wait_until

pytest.importorskip("rospy")
pytest.importorskip("moveit_commander", reason="MoveIt is not installed here; where it is, this test plans with it")

import rospkg

for package in ("moveit_ros_move_group", "baxter_moveit_config"):
    if package not in rospkg.RosPack().list():
        pytest.skip(f"{package} is not installed here; where it is, this test plans with it", allow_module_level=True)

pytestmark = pytest.mark.timeout(600)
BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "bench_planning.py"
# Plans to and fro for ever with the arm that is named, one line a plan, with the connection that it has from the start.
PLANS = f"""
import sys
import rospy
sys.path.insert(0, {str(BENCHMARK.parent)!r})
from bench_planning import MotionSettings, NEUTRAL, PlanRequest, RobotModel, create_planner, load_urdf
from grasp_learning.ros.moveit_client import MoveItClient
side, settings = sys.argv[1], MotionSettings(planning_time=20)
rospy.init_node("plans_" + side)
group = MoveItClient(side, settings.moveit, wait=60)
planner = create_planner("moveit", RobotModel(load_urdf()), side, settings, move_group=group)
here, there = NEUTRAL, NEUTRAL + 0.2
while not rospy.is_shutdown():
    result = planner.plan(PlanRequest(here, goal_joints=[there]))
    print(result.outcome.name, result.message, flush=True)
    here, there = there, here
"""


class MoveIt:
    """The simulated robot, which sets ROS's time, and move_group beside it."""

    def __init__(self, folder):
        self.folder = folder
        self.robot = Launch(["sim.launch", "speed:=1"], folder)
        wait_until(lambda: self.robot.node_pid("/baxter_sim"), 60, "the simulated robot is up")  # and a master
        self.robot.wait_for_message("/robot/joint_states", 60)
        self.start()

    def start(self):
        self.move_group = Launch(["moveit.launch", "load_robot_description:=true"], self.folder, beside=self.robot)

    def nodes(self):
        """Names of the nodes that the master knows."""
        command = ["rosnode", "list"]
        return subprocess.run(command, env=self.robot.environment, capture_output=True, text=True, check=True).stdout

    def close(self):
        self.move_group.close()
        self.robot.close()


@pytest.fixture
def moveit(tmp_path):
    both = MoveIt(tmp_path)
    yield both
    both.close()


def test_the_poses_of_the_benchmark_are_planned_and_safe(moveit):
    # time enough also where a dozen processes share each core; without, some are given up there
    command = [sys.executable, str(BENCHMARK), "--planner", "moveit", "--planning-time", "20"]
    environment = moveit.robot.environment
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=False)
    figures = {name: float(value) for name, value in re.findall(r"^(moveit_\w+) +(\S+) ", done.stdout, re.MULTILINE)}
    assert len(figures) == 10, f"{done.stdout}{done.stderr}"
    assert figures["moveit_table_solved"] == figures["moveit_table_safe"] == 50
    assert figures["moveit_wall_safe"] == figures["moveit_wall_solved"] >= 48  # three paths of five are refused there
    assert "move_group_commander_wrappers" not in moveit.nodes()  # its C++ node went with the process


class Plans:
    """A process that plans without a pause."""

    def __init__(self, moveit, side):
        self.log = moveit.folder / f"plans_{side}.log"
        command = [sys.executable, "-c", PLANS, side]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                command, env=moveit.robot.environment, stdout=output, stderr=subprocess.STDOUT
            )

    def outcomes(self):
        return re.findall(r"^(SUCCESS|ROBOT_FAULT|PLANNING_FAILED|UNREACHABLE) ", self.log.read_text(), re.MULTILINE)

    def close(self):
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture
def plans(moveit):
    started = []

    def start(side):
        started.append(Plans(moveit, side))
        return started[-1]

    yield start
    for each in started:
        each.close()


def test_a_move_group_that_is_killed_while_it_plans_is_a_fault_until_it_runs_again(moveit, plans):
    left = plans("left")
    wait_until(lambda: left.outcomes()[:3] == ["SUCCESS"] * 3, 90, "three plans")
    moveit.robot.kill_node("/move_group")
    wait_until(lambda: left.outcomes().count("ROBOT_FAULT") >= 2, 90, "two plans that are faults")
    moveit.move_group.close()
    moveit.start()
    wait_until(lambda: left.outcomes()[-3:] == ["SUCCESS"] * 3, 90, "three plans again")
    assert set(left.outcomes()) == {"SUCCESS", "ROBOT_FAULT"}, left.log.read_text()


def test_two_arms_that_ask_at_once_get_their_plans(moveit, plans):
    """Each displaces the other's requests; without its part for execution move_group crashes at that."""
    both = [plans("left"), plans("right")]
    wait_until(lambda: all(len(each.outcomes()) >= 20 for each in both), 180, "twenty plans of either arm")
    assert set(both[0].outcomes() + both[1].outcomes()) == {"SUCCESS"}
