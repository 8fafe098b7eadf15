"""Which joint states belong to a picture."""

from types import SimpleNamespace

import pytest
import rospy
from sensor_msgs.msg import JointState

from grasp_learning.ros.camera_client import CameraTimeouts, JointWatch, StaleImage, grab_with_joints


@pytest.fixture(autouse=True)
def topic(monkeypatch):
    """Joint states come from the test: `send(stamp, value)`."""
    callbacks = []

    def subscriber(_name, _class, callback, **_):
        callbacks.append(callback)
        return SimpleNamespace(unregister=lambda: callbacks.remove(callback))

    def send(stamp, value=0.0):
        message = JointState(name=["left_s0"], position=[value])
        message.header.stamp = rospy.Time.from_sec(stamp)
        for callback in callbacks:
            callback(message)

    monkeypatch.setattr(rospy, "Subscriber", subscriber)
    monkeypatch.setattr(rospy, "get_time", lambda: 0.0)
    monkeypatch.setattr(rospy, "is_shutdown", lambda: False)
    return send


def test_a_picture_that_is_taken_has_a_joint_state_near_it(topic):
    # a simulation's stamps lie on a grid: a first state exactly max_gap after the picture was near enough for its being
    # taken, and then by a rounding error too far away
    for stamp in (round(0.01 * tick, 2) for tick in range(26000, 26100)):
        for first in (stamp + 0.01, stamp + 0.05, stamp + 0.1):
            with JointWatch("robot/joint_states") as watch:
                topic(first)
                topic(300.0)
                if watch.covers(stamp):
                    watch.at(stamp)


def test_the_nearest_joint_state_is_taken(topic):
    with JointWatch("robot/joint_states") as watch:
        assert not watch.covers(271.54)
        topic(271.53, 1.0)
        assert watch.covers(271.54)
        topic(271.60, 2.0)
        assert watch.at(271.54) == {"left_s0": 1.0}


class Camera:
    """Pictures, each with joint states that are so far away from it (s)."""

    def __init__(self, send, gaps):
        self.send, self.gaps = send, iter(gaps)

    def grab(self, _not_before, _watch):
        gap = next(self.gaps)
        self.send(100.0 + gap, gap)
        return SimpleNamespace(stamp=100.0)


def test_a_picture_without_its_joint_states_is_taken_again(topic):
    _, joints = grab_with_joints(Camera(topic, [0.5, 0.3, 0.01]), CameraTimeouts())
    assert joints == {"left_s0": 0.01}
    with pytest.raises(StaleImage, match="0.30 s away from the picture: synchronise"):
        grab_with_joints(Camera(topic, [0.5, 0.4, 0.3, 0.01]), CameraTimeouts())
