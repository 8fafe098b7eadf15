"""The trial protocol: each step that is not carried out ends the trial with its own outcome."""

import numpy as np
import pytest

from grasp_learning.trial import Grasp, Outcome, PickReading, Region, Step, Workcell, run_trial

REGION = Region("left", 1.0, np.array([0.7, 0.2, -0.1]), 0.05, np.zeros((3, 2)), (0, 0, 10, 10))
GRASP = Grasp("left", 2.0, 640, 400, 0.7, 0.2, -0.09, 0.5, 0.5, 3, 380)
READING = PickReading(force=40.0, position=60.0, gripping=True)
STEPS = ("sample_region", "approach", "sample_grasp", "pick")


class MemoryWorkcell(Workcell):
    """A workcell whose steps succeed, except those named in `endings`."""

    def __init__(self, **endings):
        self.called = []
        self._endings = endings
        self._time = 0.0

    def now(self):
        self._time += 1.0
        return self._time

    def put_back_objects(self):
        self.called.append("put_back_objects")
        return ["ball"]

    def _step(self, name, value, **images):
        self.called.append(name)
        if name in self._endings:
            return Step(self._endings[name], f"{name} ended so", READING if name == "pick" else None, images)
        return Step(Outcome.SUCCESS, "", value, images)

    def sample_region(self, arm):
        return self._step("sample_region", REGION, kinect_image="kinect")

    def approach(self, region):
        assert region is REGION
        return self._step("approach", None)

    def sample_grasp(self, region):
        assert region is REGION
        return self._step("sample_grasp", GRASP, approach_image="wrist")

    def pick(self, grasp):
        assert grasp is GRASP
        return self._step("pick", READING, after_lift_image="after")


def test_a_full_trial_is_a_success_with_everything_in_it():
    workcell = MemoryWorkcell()
    trial = run_trial(workcell, "left", mode="staged", stage=2)
    assert workcell.called == ["put_back_objects", *STEPS]
    assert (trial.outcome, trial.arm, trial.mode, trial.stage) == (Outcome.SUCCESS, "left", "staged", 2)
    assert trial.region is REGION and trial.grasp is GRASP and trial.reading is READING
    assert trial.put_back == ["ball"]
    assert trial.images == {"kinect_image": "kinect", "approach_image": "wrist", "after_lift_image": "after"}
    assert trial.start < trial.end


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.SUCCESS])
@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_ends_otherwise_ends_the_trial(step, outcome):
    workcell = MemoryWorkcell(**{step: outcome})
    trial = run_trial(workcell, "left")
    assert workcell.called[1:] == list(STEPS[: STEPS.index(step) + 1])
    assert (trial.outcome, trial.detail) == (outcome, f"{step} ended so")
    assert (trial.grasp is None) == (step != "pick")
    assert (trial.reading is None) == (step != "pick")
    assert trial.end > trial.start


def test_a_failed_grasp_keeps_its_reading_and_is_a_label():
    trial = run_trial(MemoryWorkcell(pick=Outcome.FAILURE), "left")
    assert trial.outcome.is_label and trial.reading is READING


@pytest.mark.parametrize("outcome", [Outcome.SUCCESS, Outcome.SENSOR_FAULT])
def test_a_robot_that_stops_after_the_reading_is_told_and_takes_no_outcome_away(outcome):
    workcell = MemoryWorkcell()
    workcell.pick = lambda grasp: Step(outcome, "the put-back failed", READING, fault="the emergency stop is pressed")
    trial = run_trial(workcell, "left")
    assert (trial.outcome, trial.fault) == (outcome, "the emergency stop is pressed")


@pytest.mark.parametrize("step", STEPS)
def test_a_fault_of_the_robot_is_told_with_its_reason(step):
    assert run_trial(MemoryWorkcell(**{step: Outcome.ROBOT_FAULT}), "left").fault == f"{step} ended so"
    assert run_trial(MemoryWorkcell(**{step: Outcome.SENSOR_FAULT}), "left").fault == ""


def test_only_success_and_failure_are_labels():
    assert [outcome.value for outcome in Outcome if outcome.is_label] == ["SUCCESS", "FAILURE"]
    assert str(Outcome.NO_OBJECTS) == "NO_OBJECTS"
