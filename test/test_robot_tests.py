"""test_grasps.launch as a user starts it: single objects, another one for each try, resumed up to the same number."""

import pytest
from harness import Launch, lines_of
from model_samples import save_model

from grasp_learning.conditions import load_conditions

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
