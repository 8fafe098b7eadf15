"""test_grasps.launch as a user starts it: single objects, another one for each try, resumed up to the same number."""

import os
import subprocess

import pytest
import yaml
from harness import Launch, lines_of
from model_samples import save_model

pytest.importorskip("rospy")
pytest.importorskip("grasp_learning.srv", reason="the workspace's messages are not built or not sourced")

from grasp_learning.conditions import Conditions, load_conditions
from grasp_learning.config import parse_settings
from grasp_learning.ros.collector import CollectorSettings
from grasp_learning.ros.grasp_sampler import GraspSamplerSettings

pytestmark = pytest.mark.timeout(600)
PATIENCE = 240  # s, for all nodes and a few trials on a busy machine


@pytest.fixture
def start(tmp_path):
    begun = []
    model = tmp_path / "model.safetensors"
    save_model(model)

    def launch(*arguments):
        common = ("test_grasps.launch", f"model:={model}", f"data:={tmp_path / 'data'}", "speed:=max")
        begun.append(Launch([*common, *arguments], tmp_path))
        return begun[-1]

    yield launch
    for one in begun:
        one.close()


def parameters_of(launch_file, *arguments):
    """Parameters that a launch would set."""
    command = ["roslaunch", "--dump-params", "grasp_learning", launch_file, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


def under(parameters, node):
    """The private parameters of a node, as it sees them."""
    found = {}
    for key, value in parameters.items():
        if key.startswith(f"/{node}/"):
            *path, last = key[len(node) + 2 :].split("/")
            place = found
            for name in path:
                place = place.setdefault(name, {})
            place[last] = value
    return found


@pytest.mark.parametrize("launch_file", ["clear_table.launch", "test_grasps.launch"])
@pytest.mark.parametrize("rerank", [False, True])
def test_re_ranking_reaches_the_sampler_and_the_conditions(launch_file, rerank):
    found = parameters_of(launch_file, "model:=m.safetensors", f"rerank:={str(rerank).lower()}")
    sampler = parse_settings(GraspSamplerSettings, under(found, "grasp_sampler"), "sampler")
    assert (sampler.mode, sampler.predictor.rerank.enabled) == ("best", rerank)
    collector = parse_settings(CollectorSettings, under(found, "collector"), "collector")
    assert collector.conditions.rerank is rerank
    assert collector.conditions.vary_after == (2 if launch_file == "clear_table.launch" else 0)


def test_how_often_a_grasp_may_fail_is_an_argument():
    found = parameters_of("clear_table.launch", "model:=m.safetensors", "vary:=0")
    assert parse_settings(CollectorSettings, under(found, "collector"), "collector").conditions.vary_after == 0


def test_the_file_of_what_can_be_held_is_found_from_where_the_user_is():
    assert under(parameters_of("clear_table.launch", "model:=m.safetensors"), "baxter_sim")["holdable"] == ""
    found = parameters_of("clear_table.launch", "model:=m.safetensors", "holdable:=h.yaml")
    assert under(found, "baxter_sim")["holdable"] == f"{os.environ.get('PWD')}/h.yaml"


def test_a_random_collection_is_one_under_usual_conditions():
    found = parameters_of("collect_random.launch")
    collector = parse_settings(CollectorSettings, under(found, "collector"), "collector")
    assert collector.conditions == Conditions() and not collector.tables
    simulator = under(found, "baxter_sim")
    assert (simulator["bins"], simulator["side"], simulator["objects"]) == ("", "both", 10)


def test_grasps_in_isolation_are_resumed_up_to_their_number(start, tmp_path):
    data = tmp_path / "data"
    for trials in (1, 2):
        launch = start(f"trials:={trials}", "rerank:=true")
        launch.wait(PATIENCE)
        assert "FINISHED: 1 trials recorded in this run" in launch.output, launch.output
        assert len(lines_of(data / "trials.jsonl")) == trials
    conditions = load_conditions(data)
    assert (conditions.isolate, conditions.rerank, conditions.place_held) == (True, True, False)
    for trial in lines_of(data / "trials.jsonl"):
        assert (trial["mode"], trial["sampler"], trial["arm"]) == ("best", "best", "left")
        assert len(trial["truth_near"]) <= 1  # nothing else lies on the table
