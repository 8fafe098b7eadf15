"""The SDK's Head, stand-in or Rethink's own."""

import errno

import pytest

baxter_interface = pytest.importorskip("baxter_interface", reason="needs the built workspace")
sdk_ros = pytest.importorskip("sdk_ros")

from baxter_core_msgs.msg import HeadState  # noqa: E402

STATE, PAN, NOD = (f"/robot/head/{name}" for name in ("head_state", "command_head_pan", "command_head_nod"))


@pytest.fixture
def ros(monkeypatch):
    return sdk_ros.Ros(monkeypatch)


@pytest.fixture
def head(ros):
    ros.state(STATE, HeadState(pan=0.1, isTurning=True))
    return baxter_interface.Head()


def assert_times_out(ros, call, seconds):
    begin = ros.now
    with pytest.raises(OSError) as caught:
        call()
    assert caught.value.errno == errno.ETIMEDOUT
    assert ros.now - begin == pytest.approx(seconds, abs=0.02)


def test_head_that_sends_nothing_is_an_error_after_five_seconds(ros):
    assert_times_out(ros, baxter_interface.Head, 5.0)


def test_state(head):
    assert (head.pan(), head.panning(), head.nodding()) == (pytest.approx(0.1), True, False)


def test_pan_is_sent_until_it_is_near(ros, head):
    def turn(message):
        if len(ros.sent[PAN]) == 10:
            ros.state(STATE, HeadState(pan=message.target - 0.13))

    ros.reactions[PAN] = turn
    head.set_pan(0.6, speed=50, scale_speed=True)
    message = ros.sent[PAN][0]
    assert (message.target, message.speed_ratio, message.enable_pan_request) == (pytest.approx(0.6), 0.5, 1)
    assert len(ros.sent[PAN]) == 10


def test_pan_without_waiting_and_with_a_speed_out_of_range(ros, head):
    head.set_pan(1.0, speed=3.0, timeout=0)
    assert [message.speed_ratio for message in ros.sent[PAN]] == [3.0]
    assert [level for level, _ in ros.logs] == ["err"]


def test_head_that_does_not_turn(ros, head):
    assert_times_out(ros, lambda: head.set_pan(1.0, timeout=2.0), 2.0)


def test_nod_begins_and_ends(ros, head):
    def nod(_message):
        sent = len(ros.sent[NOD])
        ros.state(STATE, HeadState(isNodding=5 <= sent < 9))

    ros.reactions[NOD] = nod
    head.command_nod()
    assert [message.data for message in ros.sent[NOD]] == [True] * 5 + [False] * 4
    ros.reactions.clear()
    head.command_nod(timeout=0)
    assert_times_out(ros, lambda: head.command_nod(timeout=1.0), 1.0)
