"""What the launch files tell the nodes about safety: a real robot is attended and slow, a simulated one is neither."""

import shutil
import subprocess

import pytest
import yaml

if shutil.which("roslaunch") is None:
    pytest.skip("roslaunch is not there", allow_module_level=True)

COLLECT = {"trials": 1, "data": "/tmp/x", "seed": 0, "planner": "ompl", "mode": "random", "calibration": "/c"}


def parameters(tmp_path, **arguments):
    """Parameters that collect.launch sets with some arguments."""
    args = "".join(f'<arg name="{name}" value="{value}"/>' for name, value in {**COLLECT, **arguments}.items())
    file = tmp_path / "test.launch"
    include = '<include file="$(find grasp_learning)/launch/collect.launch">'
    file.write_text(f"<launch>{include}{args}</include></launch>")
    done = subprocess.run(
        ["roslaunch", "--dump-params", str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


def test_a_real_robot_is_attended_and_slow_and_the_person_is_asked_first(tmp_path):
    values = parameters(tmp_path, robot="baxter", arms="both")
    assert values["/collector/attended"] is True and values["/collector/confirm"] is True
    for arm in ("left", "right"):
        assert values[f"/{arm}/arm_executor/safety/attended"] is True
        assert values[f"/{arm}/arm_executor/safety/speed_ratio"] == 0.3
        assert values[f"/{arm}/arm_executor/enable"] == "start"


def test_without_confirmation_a_real_robot_is_still_attended(tmp_path):
    values = parameters(tmp_path, robot="baxter", arms="left", confirm="false")
    assert values["/collector/confirm"] is False and values["/collector/attended"] is True
    assert values["/left/arm_executor/safety/attended"] is True


def test_nobody_attends_a_simulated_robot(tmp_path):
    values = parameters(tmp_path, robot="sim", arms="right")
    assert values["/collector/attended"] is False and values["/collector/confirm"] is False
    assert values["/right/arm_executor/safety/attended"] is False
    assert values["/right/arm_executor/safety/speed_ratio"] == 1.0
