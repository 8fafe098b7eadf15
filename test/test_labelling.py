"""The label comes from the gripper's force and its own flag, and only from a reading that can be trusted."""

import math

import pytest

from grasp_learning.labelling import GripperSample, LabelRule, label_grasp
from grasp_learning.trial import Outcome


def sample(force=40.0, position=50.0, gripping=True, calibrated=True, age=0.01):
    return GripperSample(force, position, gripping, calibrated, age)


def label(*samples, method="force"):
    return label_grasp(samples, LabelRule(method, force_threshold=10.0, position_threshold=2.0, max_age=0.5))


@pytest.mark.parametrize(
    "force, gripping, expected",
    [
        (40.0, True, Outcome.SUCCESS),
        (10.0, True, Outcome.SUCCESS),
        (9.9, True, Outcome.FAILURE),
        (0.0, False, Outcome.FAILURE),
        (40.0, False, Outcome.FAILURE),
    ],
)
def test_force_and_flag_decide(force, gripping, expected):
    assert label(sample(force=force, gripping=gripping)).outcome is expected


def test_one_odd_sample_does_not_decide():
    result = label(sample(force=30.0), sample(force=30.0), sample(force=0.0, gripping=False))
    assert result.outcome is Outcome.SUCCESS and result.force == pytest.approx(20.0)


@pytest.mark.parametrize(
    "position, expected",
    [(81.4, Outcome.SUCCESS), (2.1, Outcome.SUCCESS), (2.0, Outcome.FAILURE), (-0.1, Outcome.FAILURE)],
)
def test_by_position_fingers_that_stay_open_hold(position, expected):
    silent = {"force": 0.0, "gripping": False}  # as in Gazebo
    result = label(sample(position=position, **silent), method="position")
    assert result.outcome is expected and f"{position:.1f} % open" in result.message


def test_by_position_a_force_does_not_decide():
    assert label(sample(position=0.0, force=40.0), method="position").outcome is Outcome.FAILURE


@pytest.mark.parametrize("method", ["force", "position"])
@pytest.mark.parametrize(
    "bad, says",
    [
        (sample(calibrated=False), "not calibrated"),
        (sample(calibrated=None), "not calibrated"),
        (sample(gripping=None), "does not know"),
        (sample(age=0.6), "old"),
        (sample(force=math.nan), "force reads nan"),
        (sample(force=-1.0), "force reads -1"),
        (sample(force=101.0), "force reads 101"),
        (sample(position=math.nan), "position"),
    ],
)
def test_a_reading_that_cannot_be_trusted_is_no_label(bad, says, method):
    result = label(sample(), bad, method=method)
    assert result.outcome is Outcome.SENSOR_FAULT and says in result.message


def test_no_reading_is_no_label():
    result = label()
    assert result.outcome is Outcome.SENSOR_FAULT and math.isnan(result.force)
