"""A collection with robot:=gazebo, started as a user starts it, before a Gazebo that MuJoCo plays (played_gazebo.py).

Whether the real Gazebo behaves as the played one is for the rostests that run where it is installed, gazebo_*.test.
"""

import os
from pathlib import Path

import pytest
import rosbag
from harness import Launch, lines_of

pytestmark = pytest.mark.timeout(600)  # of a launch on a busy machine
FAKE = Path(__file__).resolve().parent / "gazebo_fake"
TRIALS = 4


def test_both_arms_collect_labels_by_position_in_square_pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("ROS_PACKAGE_PATH", f"{FAKE / 'packages'}:{os.environ['ROS_PACKAGE_PATH']}")
    monkeypatch.setenv("PYTHONPATH", f"{FAKE}:{os.environ['PYTHONPATH']}")
    data = tmp_path / "data"
    launch = Launch(["collect_random.launch", "robot:=gazebo", f"trials:={TRIALS}", f"data:={data}"], tmp_path)
    try:
        launch.wait(540)
    finally:
        launch.close()
    assert f"FINISHED: {TRIALS} trials recorded in this run" in launch.output, launch.output[-4000:]
    trials = lines_of(data / "trials.jsonl")
    assert {trial["arm"] for trial in trials} == {"left", "right"}
    for trial in trials:
        assert "% open, threshold 2 %" in trial["detail"] and trial["force"] == 0.0
        assert trial["outcome"] == ("SUCCESS" if trial["position"] > 2.0 else "FAILURE")
        assert trial["truth_known"]
        # of square pictures, at their focal length: 1.5 times 12.2 cm, 39 cm away
        assert 0 <= trial["u"] < 800 and 0 <= trial["v"] < 800 and 200 < trial["patch_size"] < 245
        with rosbag.Bag(str(data / trial["bag"])) as bag:
            infos = [
                message for _, message, _ in bag.read_messages([f"/cameras/{trial['arm']}_hand_camera/camera_info"])
            ]
            states = bag.get_message_count(f"/robot/end_effector/{trial['arm']}_gripper/state")
        assert {(info.width, info.height) for info in infos} == {(800, 800)}
        # at 50 Hz, though they bear no stamps
        assert states > 25 * (trial["end"] - trial["start"])
