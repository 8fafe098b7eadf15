"""A curriculum over ROS, as small as can be: random trials, a network, a trial that it guides, a finetuned network."""

import os
import subprocess
import sys

import pytest
from harness import free_port
from training_samples import TINY_OPTIONS, bar_dataset

from grasp_learning.curriculum.folder import load_state
from grasp_learning.storage import load_info, trials_of

pytest.importorskip("rospy")


@pytest.mark.timeout(900)
def test_a_curriculum_over_ros_goes_beyond_the_random_stage(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY_OPTIONS)
    # so few trials may all have failed: these patches of both classes come to whatever was collected
    bars = bar_dataset(tmp_path / "bars", train=8)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "grasp_learning.curriculum", "--out", str(out), "--workcell", "ros"]
    command += ["--trials", "2", "--stage-trials", "1", "--novel-trials", "0", "--seed", "1", "--epochs", "1"]
    command += ["--", "--config", str(tmp_path / "tiny.yaml"), "--data", str(bars)]
    environment = dict(
        os.environ,
        ROS_MASTER_URI=f"http://127.0.0.1:{free_port()}",
        ROS_IP="127.0.0.1",
        ROS_HOME=str(tmp_path / "ros"),
        OMP_NUM_THREADS="1",
    )
    environment.pop("ROS_HOSTNAME", None)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=850, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "after stage 1" in done.stdout
    results = load_state(out)["stages"]
    assert [result["trials"] for result in results] == [2, 1]
    assert results[0]["model_sha256"] != results[1]["model_sha256"]
    first, guided = (load_info(out / f"collections/stage{stage}") for stage in (0, 1))
    assert (first.mode, first.source, guided.mode, guided.source, guided.stage) == ("random", "ros", "staged", "ros", 1)
    (trial,) = trials_of(out / "collections/stage1")
    assert (trial["sampler"], trial["model_sha256"]) == ("importance", results[0]["model_sha256"])
    assert (out / "collections/stage1" / trial["bag"]).is_file()
