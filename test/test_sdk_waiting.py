"""The waits of the SDK's stand-in: deadlines in ROS time, and an end even where ROS time stands still."""

import errno

import pytest

waiting = pytest.importorskip("baxter_interface.waiting", reason="only the stand-in has it")

rospy = pytest.importorskip("rospy")


@pytest.fixture
def clock(monkeypatch):
    """ROS time that advances by a millisecond each time somebody looks."""

    class Clock:
        now, step = 100.0, 0.001

        def time(self):
            self.now += self.step
            return self.now

    clock = Clock()
    monkeypatch.setattr(rospy, "get_time", clock.time)
    monkeypatch.setattr(rospy, "is_shutdown", lambda: False)
    return clock


def test_returns_as_soon_as_the_condition_holds(clock):
    answers = iter([False, False, False, True])
    assert waiting.wait_for(lambda: next(answers), timeout=10.0)


def test_deadline_raises_with_what_was_waited_for(clock):
    with pytest.raises(OSError, match="no robot") as caught:
        waiting.wait_for(lambda: False, timeout=0.1, timeout_msg="no robot")
    assert caught.value.errno == errno.ETIMEDOUT


def test_deadline_may_be_a_plain_false(clock):
    assert waiting.wait_for(lambda: False, timeout=0.1, raise_on_error=False) is False


def test_body_runs_at_the_rate(clock):
    calls = []
    waiting.wait_for(lambda: False, timeout=0.5, raise_on_error=False, rate=100, body=lambda: calls.append(1))
    assert 20 <= len(calls) <= 50


def test_standing_clock_ends_the_wait(clock, monkeypatch):
    monkeypatch.setattr(waiting, "CLOCK_PATIENCE", 0.05)
    clock.step = 0.0
    with pytest.raises(OSError, match="stands still") as caught:
        waiting.wait_for(lambda: False, timeout=-1)
    assert caught.value.errno == errno.ETIMEDOUT


def test_deadline_counts_from_the_first_clock_message(clock):
    # a node that has just started reads time 0; the simulation may have run for long
    clock.now, clock.step = 0.0, 0.0
    looks = []

    def condition():
        looks.append(clock.now)
        if len(looks) == 1:
            clock.now, clock.step = 5000.0, 0.001
        return len(looks) > 3

    assert waiting.wait_for(condition, timeout=1.0)


def test_shutdown_ends_the_wait(clock, monkeypatch):
    monkeypatch.setattr(rospy, "is_shutdown", lambda: True)
    with pytest.raises(OSError) as caught:
        waiting.wait_for(lambda: False)
    assert caught.value.errno == errno.ESHUTDOWN
