"""The whole system, started as a user starts it: collecting, ending, failing, and surviving kills."""

import time

import pytest
from harness import Launch, lines_of, wait_until

from grasp_learning.storage import load_info, missing_of, trials_of

START = 90  # s for all nodes to come up on a loaded machine


@pytest.fixture
def launch(tmp_path):
    """Starts collect_random.launch with data in the test's own folder."""
    running = []

    def start(*arguments: str) -> Launch:
        folder = tmp_path / f"run{len(running)}"
        folder.mkdir()
        if not any(argument.startswith("data:=") for argument in arguments):
            arguments += (f"data:={tmp_path / 'data'}",)
        running.append(Launch(["collect_random.launch", "speed:=max", *arguments], folder))
        return running[-1]

    yield start
    for one in running:
        one.close()


def recorded(tmp_path):
    return lines_of(tmp_path / "data" / "trials.jsonl")


def faults(tmp_path):
    return lines_of(tmp_path / "data" / "faults.jsonl")


def check_invariants(tmp_path):
    """What must hold after any crash: every reported trial is on disk, no number was used twice."""
    data = tmp_path / "data"
    assert missing_of(data) == []
    numbers = [trial["number"] for trial in trials_of(data)]
    assert len(numbers) == len(set(numbers))
    return numbers


def test_both_arms_collect_and_the_launch_ends_by_itself(launch, tmp_path):
    run = launch("trials:=6", "seed:=1")
    assert run.wait(240) == 0
    trials = recorded(tmp_path)
    assert [trial["number"] for trial in trials] == [1, 2, 3, 4, 5, 6]
    assert {trial["arm"] for trial in trials} == {"left", "right"}
    assert {trial["outcome"] for trial in trials} <= {"SUCCESS", "FAILURE"}
    assert all(trial["truth_known"] for trial in trials)
    assert all((trial["y"] > 0) == (trial["arm"] == "left") for trial in trials)
    assert (tmp_path / "data" / "contact_sheet.png").stat().st_size > 10000
    assert "trials/h" in run.output and "success" in run.output
    assert load_info(tmp_path / "data").seed == 1
    assert check_invariants(tmp_path) == [1, 2, 3, 4, 5, 6]


def test_ctrl_c_ends_cleanly_and_the_same_folder_resumes(launch, tmp_path):
    run = launch("trials:=0")
    wait_until(lambda: len(recorded(tmp_path)) >= 2, START + 60, "two trials are recorded")
    start = time.monotonic()
    run.interrupt()
    run.wait(20)
    assert time.monotonic() - start < 10
    before = check_invariants(tmp_path)
    assert launch("trials:=1").wait(START + 90) == 0
    after = check_invariants(tmp_path)
    assert len(after) == len(before) + 1 and after[-1] > before[-1]


@pytest.mark.parametrize("node", ["/trial_recorder", "/left/arm_executor", "/roi_sampler", "/grasp_sampler"])
def test_kill_9_of_a_node_loses_at_most_the_trials_in_flight(launch, tmp_path, node):
    run = launch("trials:=5")
    wait_until(lambda: recorded(tmp_path), START + 60, "a trial is recorded")
    run.kill_node(node)
    assert run.wait(240) == 0
    assert len(check_invariants(tmp_path)) == 5


def test_kill_9_of_the_simulator_ends_the_collection_with_an_explanation(launch, tmp_path):
    run = launch("trials:=0")
    wait_until(lambda: recorded(tmp_path), START + 60, "a trial is recorded")
    run.kill_node("/baxter_sim")
    run.wait(60)
    assert "baxter_sim" in run.output
    check_invariants(tmp_path)


def test_kill_9_of_the_collector_and_a_new_start_resume(launch, tmp_path):
    run = launch("trials:=0")
    wait_until(lambda: recorded(tmp_path), START + 60, "a trial is recorded")
    run.kill_node("/collector")
    run.wait(30)
    before = check_invariants(tmp_path)
    assert launch("trials:=2").wait(START + 120) == 0
    assert len(check_invariants(tmp_path)) == len(before) + 2


def test_an_e_stop_is_a_typed_fault_and_collection_goes_on_after_release(launch, tmp_path):
    run = launch("trials:=0")
    wait_until(lambda: recorded(tmp_path), START + 60, "a trial is recorded")
    run.call("/baxter_sim/press_estop")
    wait_until(lambda: any(f["outcome"] == "ROBOT_FAULT" for f in faults(tmp_path)), 30, "the fault is on disk")
    assert any("stop" in f["detail"] for f in faults(tmp_path))
    run.call("/baxter_sim/release_estop")
    count = len(recorded(tmp_path))
    wait_until(lambda: len(recorded(tmp_path)) >= count + 2, 120, "trials are recorded again")


def test_pause_holds_and_stop_ends_after_the_trials_in_flight(launch, tmp_path):
    run = launch("trials:=0")
    wait_until(lambda: recorded(tmp_path), START + 60, "a trial is recorded")
    run.call("/collector/pause")
    time.sleep(15)
    count = len(recorded(tmp_path)) + len(faults(tmp_path))
    time.sleep(5)
    assert len(recorded(tmp_path)) + len(faults(tmp_path)) == count
    run.call("/collector/stop")
    assert run.wait(60) == 0


@pytest.mark.parametrize(
    "argument, expected",
    [
        ("robot:=pr2", "expected one of: sim"),
        ("arms:=three", "expected one of: both, left, right"),
        ("planner:=prm", "expected one of: ompl"),
        ("trials:=-1", "'trials' is -1"),
        ("data:=/proc/grasp", "/proc/grasp"),
        ("calibration:=/nowhere.yaml", "/nowhere.yaml"),
    ],
)
def test_bad_arguments_end_the_launch_with_a_clear_line(launch, argument, expected):
    run = launch(argument)
    run.wait(START)
    assert expected in run.output


def test_a_folder_of_another_kind_is_refused(launch, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "holiday.jpg").write_bytes(b"not a collection")
    run = launch("trials:=1")
    run.wait(START)
    assert "holds files but no collection.yaml" in run.output
    assert (data / "holiday.jpg").exists()
