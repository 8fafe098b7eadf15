"""Counting trials: exactly as many as asked for, whoever runs them."""

import math
import threading

import pytest

from grasp_learning.collection import Flags, Progress, State, Streak, describe_trial
from grasp_learning.trial import Outcome, PickReading, Trial


def test_no_more_trials_start_than_were_asked_for():
    progress = Progress(3, 0, start=0.0)
    assert [progress.claim() for _ in range(5)] == [True, True, True, False, False]


def test_a_claim_that_gave_no_label_is_given_back():
    progress = Progress(1, 0, start=0.0)
    assert progress.claim()
    progress.settle(Outcome.UNREACHABLE, recorded=False, now=1.0)
    assert not progress.complete
    assert progress.claim()
    progress.settle(Outcome.FAILURE, recorded=True, now=2.0)
    assert progress.complete
    assert not progress.claim()


def test_zero_trials_means_no_end():
    progress = Progress(0, 0, start=0.0)
    for _ in range(100):
        assert progress.claim()
        progress.settle(Outcome.FAILURE, recorded=True, now=1.0)
    assert not progress.complete


def test_negative_trials_are_refused():
    with pytest.raises(ValueError, match="-1"):
        Progress(-1, 0, start=0.0)


def test_two_arms_never_record_more_than_asked_for():
    progress = Progress(50, 0, start=0.0)
    recorded = []

    def arm():
        while progress.claim():
            recorded.append(1)
            progress.settle(Outcome.FAILURE, recorded=True, now=1.0)

    threads = [threading.Thread(target=arm) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert len(recorded) == progress.snapshot().recorded == 50


def test_rates_count_labels_only_and_use_the_robots_time():
    progress = Progress(0, recorded_before=7, start=100.0)
    for outcome in (Outcome.SUCCESS, Outcome.FAILURE, Outcome.FAILURE, Outcome.FAILURE, Outcome.UNREACHABLE):
        progress.claim()
        progress.settle(outcome, recorded=outcome.is_label, now=136.0)
    snapshot = progress.snapshot()
    assert snapshot.success_rate == 0.25
    assert snapshot.trials_per_hour == pytest.approx(400.0)
    assert (snapshot.recorded, snapshot.recorded_this_run) == (11, 4)


def test_rate_before_the_first_label_is_nan():
    assert math.isnan(Progress(0, 0, start=0.0).snapshot().success_rate)


def test_line_after_a_trial_says_number_arm_outcome_and_rates():
    progress = Progress(10, 0, start=0.0)
    progress.claim()
    progress.settle(Outcome.SUCCESS, recorded=True, now=12.0)
    trial = Trial(arm="left", mode="random", stage=0, start=0.0, outcome=Outcome.SUCCESS)
    trial.reading = PickReading(force=31.0, position=50.0, gripping=True)
    line = describe_trial(1, trial, progress.snapshot())
    for part in ("1", "left", "SUCCESS", "31.0 %", "1/1 (100.0 %)", "300 trials/h"):
        assert part in line


def test_line_after_an_attempt_without_label_says_why():
    trial = Trial(arm="right", mode="random", stage=0, start=0.0, outcome=Outcome.UNREACHABLE, detail="out of reach")
    line = describe_trial(0, trial, Progress(10, 0, start=0.0).snapshot())
    assert "UNREACHABLE" in line and "out of reach" in line and "no label" in line


@pytest.mark.parametrize(
    "flags, state",
    [
        ({}, State.STARTING),
        ({"paused": True}, State.PAUSED),
        ({"started": True}, State.RUNNING),
        ({"started": True, "paused": True}, State.PAUSED),
        ({"started": True, "paused": True, "stopping": True}, State.STOPPING),
        ({"started": True, "stopping": True, "ended": True}, State.FINISHED),
        ({"started": True, "stopping": True, "ended": True, "failure": "no light"}, State.FAILED),
        ({"failure": "no light"}, State.FAILED),
    ],
)
def test_state_follows_from_what_was_asked_whatever_the_order(flags, state):
    assert Flags(**flags).state is state


def test_a_streak_tells_faults_from_empty_tables_and_ends_with_a_recorded_trial():
    streak = Streak()
    for outcome in (Outcome.NO_OBJECTS, Outcome.UNREACHABLE, Outcome.ROBOT_FAULT, Outcome.ABORTED):
        streak.add(outcome, recorded=False)
    assert (streak.faults, streak.nothing) == (2, 2)
    # a label that could not be written is a fault
    streak.add(Outcome.FAILURE, recorded=False)
    assert (streak.faults, streak.nothing) == (3, 2)
    streak.add(Outcome.FAILURE, recorded=True)
    assert (streak.faults, streak.nothing) == (0, 0)
