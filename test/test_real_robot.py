"""The way to a real Baxter, walked with the simulation for hardware: no /clock, and a person is asked."""

import time
import xmlrpc.client
from datetime import datetime, timezone

import pytest
import rosbag
from harness import Launch, lines_of, wait_until

pytest.importorskip("rospy")
pytest.importorskip("grasp_learning.srv", reason="the workspace's messages are not built or not sourced")

from grasp_learning.calibration import Calibration, load_calibration, save_calibration
from grasp_learning.config import parse_settings
from grasp_learning.robot_description import find_package_file
from grasp_learning.storage import load_info

pytestmark = pytest.mark.timeout(600)
PATIENCE = 180  # s, for all nodes to come up on a busy machine, in real time
PARTS = ("kinect", "trajectory_server", "move_group")  # that run elsewhere or need hardware


@pytest.fixture
def calibration(tmp_path):
    """The simulation's calibration as one that was measured today."""
    date = datetime.now(timezone.utc).isoformat()
    marker = {"arm": "left", "poses": 12, "used": 12, "rms_px": 0.3, "rms": 1e-3, "position_std": 1e-3}
    measured = {
        "kinect": {"date": date, **marker, "rotation_std": 1e-3},
        "table": {"date": date, "method": "depth", "points": 1000, "rms": 1e-3, "tilt": 1e-3},
    }
    known = load_calibration(find_package_file("config/calibration/sim.yaml")).contents()
    save_calibration(parse_settings(Calibration, {**known, "measured": measured}, "test"), tmp_path / "baxter.yaml")
    return tmp_path / "baxter.yaml"


@pytest.fixture
def start(tmp_path):
    """Starts launch files on one master, the first one with it."""
    begun = []

    def launch(*arguments):
        begun.append(Launch(list(arguments), tmp_path, beside=begun[0] if begun else None))
        return begun[-1]

    yield launch
    for one in reversed(begun):
        one.close()


def test_two_trials_on_a_robot_without_a_simulators_clock_and_services(start, tmp_path, calibration):
    begun = time.time()
    hardware = start("sim.launch", "clock:=wall", "speed:=1", "seed:=4")
    wait_until(lambda: hardware.node_pid("/baxter_sim"), PATIENCE, "the robot is up")
    assert "/clock" not in topics_of(hardware)
    left_out = [f"{part}:=false" for part in PARTS]
    robot = start("baxter.launch", f"calibration:={calibration}", *left_out)
    data = tmp_path / "data"
    run = start(
        *("collect_random.launch", "robot:=baxter", "bringup:=false", "planner:=ompl", "trials:=2", "seed:=4"),
        *(f"data:={data}", f"calibration:={calibration}"),
    )

    def asked(request):
        run.assert_running()
        return request in run.output

    wait_until(lambda: asked("stand clear of the robot"), PATIENCE, "the first motion is to be allowed")
    run.call("/collector/resume")
    for request, done in (("clear the table", "clear_table"), ("now lay the objects out", "scatter")):
        wait_until(lambda request=request: asked(request), PATIENCE, request)
        run.call(f"/baxter_sim/{done}", timeout=60)
        run.call("/collector/resume")
    run.wait(PATIENCE)
    assert "FINISHED: 2 trials recorded in this run" in run.output
    assert "both wrist cameras are open at 1280 x 800" in robot.output

    assert (load_info(data).robot, load_info(data).objects) == ("baxter", "")
    trials = lines_of(data / "trials.jsonl")
    assert {(trial["outcome"] in ("SUCCESS", "FAILURE"), trial["truth_known"]) for trial in trials} == {(True, False)}
    for trial in trials:
        assert begun < trial["start"] < trial["end"] < time.time()
        check_times(data / trial["bag"], trial)


def topics_of(launch):
    """Names of the topics that somebody publishes."""
    _, _, topics = xmlrpc.client.ServerProxy(launch.environment["ROS_MASTER_URI"]).getPublishedTopics("/test", "")
    return [name for name, _ in topics]


def check_times(path, trial):
    """A bag's joint states carry the wall-clock times at which they were received, all through the trial."""
    with rosbag.Bag(str(path)) as bag:
        messages = list(bag.read_messages(topics=["/robot/joint_states"]))
    sent = [message.header.stamp.to_sec() for _, message, _ in messages]
    received = [time.to_sec() for _, _, time in messages]
    assert trial["start"] <= received[0] and received[-1] <= trial["end"] < received[-1] + 1.0
    assert all(before < after for before, after in zip(sent, received))
