"""The whole system, started as a user starts it: collecting, ending, resuming, failing, and surviving kills.

What the collector does with each outcome is tested without a simulator in collector_rostest.py. Launches take long,
so the tests of what a running collection survives share one.
"""

import contextlib
import os
import subprocess
import time

import pytest
import rosbag
from harness import Launch, lines_of, wait_until
from model_samples import save_model

from grasp_learning.storage import Collection, CollectionInfo, load_info, missing_of, trials_of

pytestmark = pytest.mark.timeout(600)  # of a test with two launches on a busy machine
START = 120  # s for all nodes to come up and a first trial, on a loaded machine
AGAIN = 120  # s until trials are recorded again after a node came back


class Collecting:
    """A launch of collect_random.launch, or of the launch file that is named, and what it has on disk.

    Args:
        folder: for logs, and for the data unless the arguments name another place.
    """

    def __init__(self, folder, *arguments: str):
        folder.mkdir(parents=True, exist_ok=True)
        self.data = folder / "data"
        if not any(argument.startswith("data:=") for argument in arguments):
            arguments += (f"data:={self.data}",)
        if not any(argument.endswith(".launch") for argument in arguments):
            arguments = ("collect_random.launch", *arguments)
        self.launch = Launch([*arguments, "speed:=max"], folder)

    def trials(self, arm: str = ""):
        return [line for line in lines_of(self.data / "trials.jsonl") if arm in ("", line["arm"])]

    def faults(self):
        return lines_of(self.data / "faults.jsonl")

    def wait_for_more(self, count: int = 1, arm: str = "", timeout: float = START):
        before = len(self.trials(arm))

        def more() -> bool:
            self.launch.assert_running()
            return len(self.trials(arm)) >= before + count

        wait_until(more, timeout, f"{count} more {arm} trials are recorded")

    def check_invariants(self):
        """What must hold after any crash: every reported trial is on disk, no number was used twice."""
        assert missing_of(self.data) == []
        numbers = [trial["number"] for trial in trials_of(self.data)]
        assert len(numbers) == len(set(numbers))
        return numbers


@pytest.fixture
def start(tmp_path):
    """Starts collections, with data in the test's own folder."""
    begun = []

    def launch(*arguments: str) -> Collecting:
        begun.append(Collecting(tmp_path, *arguments))
        return begun[-1]

    yield launch
    for one in begun:
        one.launch.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A collection that goes on until the last test that uses it."""
    collecting = Collecting(tmp_path_factory.mktemp("running"), "trials:=0")
    collecting.wait_for_more()
    yield collecting
    collecting.launch.close()


def test_a_collection_ends_by_itself_and_a_second_one_resumes_it_until_ctrl_c(start):
    run = start("trials:=6", "seed:=1")
    run.launch.wait(240)
    assert "FINISHED: 6 trials recorded in this run" in run.launch.output
    trials = run.trials()
    assert run.check_invariants() == [1, 2, 3, 4, 5, 6]
    assert {trial["arm"] for trial in trials} == {"left", "right"}
    assert {trial["outcome"] for trial in trials} <= {"SUCCESS", "FAILURE"}
    assert all(trial["truth_known"] for trial in trials)
    assert all((trial["y"] > 0) == (trial["arm"] == "left") for trial in trials)
    assert (run.data / "contact_sheet.png").stat().st_size > 10000
    assert "trials/h" in run.launch.output and "success" in run.launch.output
    assert (load_info(run.data).seed, load_info(run.data).objects) == (1, "train")

    again = start("trials:=0")
    again.wait_for_more()
    begun = time.monotonic()
    again.launch.interrupt()
    again.launch.wait(30)
    assert time.monotonic() - begun < 10
    assert "INTERRUPTED: " in again.launch.output
    numbers = again.check_invariants()
    assert numbers[:6] == [1, 2, 3, 4, 5, 6] and numbers[6] > 6


@pytest.mark.parametrize("node", ["/trial_recorder", "/roi_sampler", "/grasp_sampler"])
def test_kill_9_of_a_node_loses_at_most_the_trials_in_flight(running, node):
    pid = running.launch.kill_node(node)
    running.wait_for_more(2, timeout=AGAIN)
    assert running.launch.node_pid(node) != pid
    running.check_invariants()


@pytest.mark.parametrize("arm", ["left", "right"])
def test_kill_9_of_an_executor_is_a_robot_fault_and_the_arm_goes_on(running, arm):
    def typed() -> bool:
        return any(
            fault["outcome"] == "ROBOT_FAULT" and f"{arm}/arm_executor" in fault["detail"] for fault in running.faults()
        )

    end = time.monotonic() + AGAIN
    while not typed():
        assert time.monotonic() < end, "the fault is not on disk"
        # in the middle of a pick: an arm whose picture is still being taken would notice nothing. On a busy machine the
        # pick may be over by now; then the next one is as good
        running.launch.wait_for_message(f"/{arm}/arm_executor/pick/goal", AGAIN)
        running.launch.kill_node(f"/{arm}/arm_executor")
        with contextlib.suppress(AssertionError):
            wait_until(typed, 20, "the fault is on disk")
    running.wait_for_more(1, arm, timeout=AGAIN)
    running.check_invariants()


def test_an_e_stop_is_a_typed_fault_and_collection_goes_on_after_release(running):
    before = len(running.faults())
    running.launch.call("/baxter_sim/press_estop")

    def told() -> bool:
        return any(f["outcome"] == "ROBOT_FAULT" and "stop" in f["detail"] for f in running.faults()[before:])

    try:
        wait_until(told, 60, "the fault is on disk")
    finally:
        running.launch.call("/baxter_sim/release_estop")
    running.wait_for_more(2, timeout=AGAIN)


def test_kill_9_of_the_collector_ends_the_launch_and_kill_9_of_the_simulator_the_next_one(running):
    running.launch.kill_node("/collector")
    running.launch.wait(60)
    assert "REQUIRED process [collector-" in running.launch.output
    before = running.check_invariants()
    again = Collecting(running.data.parent, "trials:=0")
    try:
        again.wait_for_more()
        again.launch.kill_node("/baxter_sim")
        again.launch.wait(60)
        assert "REQUIRED process [baxter_sim-" in again.launch.output
        after = again.check_invariants()
        assert after[: len(before)] == before and after[len(before)] > before[-1]
    finally:
        again.launch.close()


def test_a_model_guides_a_collection_of_its_own(tmp_path):
    model = tmp_path / "stage0.safetensors"
    checksum = save_model(model)
    guided = ("staged_collect.launch", f"model:={model}", "stage:=1", "trials:=2", "seed:=2")
    run = Collecting(tmp_path, *guided)
    try:
        run.launch.wait(300)
        assert "FINISHED: 2 trials recorded in this run" in run.launch.output
    finally:
        run.launch.close()
    info = load_info(run.data)
    assert (info.mode, info.stage, info.model, info.model_sha256) == ("staged", 1, "stage0.safetensors", checksum)
    for trial in run.trials():
        assert (trial["sampler"], trial["model_sha256"]) == ("importance", checksum)
        assert 0.0 <= trial["score"] <= 1.0
        assert trial["truth_near"]
        with rosbag.Bag(str(run.data / trial["bag"])) as bag:
            ((_, prior, _),) = bag.read_messages("prior")
        entry = prior.probabilities[18 * prior.place + prior.bin]
        assert (prior.bin, entry) == (trial["bin"], pytest.approx(trial["score"], abs=1e-4))

    again = Collecting(tmp_path, *guided[:2], "stage:=2")
    try:
        again.launch.wait(120)
        assert "another kind of collection, stage is 1 there and 2 now" in again.launch.output
    finally:
        again.launch.close()
    assert len(run.trials()) == 2


def test_an_unknown_robot_is_told_by_the_name_of_its_missing_file(start):
    run = start("robot:=pr2")
    run.launch.wait(60)
    assert "No such file or directory: " in run.launch.output
    assert "launch/robot/pr2.launch" in run.launch.output


def test_a_folder_in_use_ends_the_launch_before_anything_is_recorded(start, tmp_path):
    with Collection(tmp_path / "data", CollectionInfo(robot="sim", arms=["left"], mode="random", stage=0, seed=0)):
        run = start("trials:=1")
        run.launch.wait(60)
    assert f"data: process {os.getpid()} is writing into it; wait until it ends" in run.launch.output
    assert "REQUIRED process [collector-" in run.launch.output
    assert run.trials() == []


def roslaunch(*arguments: str) -> str:
    done = subprocess.run(["roslaunch", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_launch_file_shows_a_run_where_that_is_wanted():
    nodes = roslaunch("--nodes", "grasp_learning", "collect_random.launch", "rviz:=true").split()
    assert {"/calibration_publisher", "/rviz", "/robot_state_publisher", "/collector"} <= set(nodes)
    without = roslaunch("--nodes", "grasp_learning", "collect_random.launch").split()
    assert set(nodes) - set(without) == {"/calibration_publisher", "/rviz", "/robot_state_publisher"}


def test_the_launch_files_arguments_reach_their_nodes():
    arguments = ("speed:=1", "arms:=left", "trials:=3", "seed:=5", "data:=some/where")
    parameters = roslaunch("--dump-params", "grasp_learning", "collect_random.launch", *arguments)
    for line in (
        *("/baxter_sim/speed: 1", "/collector/arms: left", "/collector/trials: 3", "/trial_recorder/seed: 5"),
        *("/collector/objects: train", "/trial_recorder/objects: train"),
    ):
        assert line in parameters.splitlines()
    assert f"/collector/data: {os.getcwd()}/some/where" in parameters
    assert "/right/arm_executor/arm" not in parameters
