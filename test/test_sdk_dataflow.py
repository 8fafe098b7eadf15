"""The SDK's waits and signals, stand-in or Rethink's own."""

import errno

import pytest

baxter_dataflow = pytest.importorskip("baxter_dataflow", reason="needs the built workspace")
rospy = pytest.importorskip("rospy")
sdk_ros = pytest.importorskip("sdk_ros")


@pytest.fixture
def ros(monkeypatch):
    return sdk_ros.Ros(monkeypatch)


def test_returns_as_soon_as_the_condition_holds(ros):
    answers = iter([False, False, False, True])
    assert baxter_dataflow.wait_for(lambda: next(answers), timeout=10.0) is True
    assert ros.now == pytest.approx(100.03)


def test_deadline_raises_with_what_was_waited_for(ros):
    with pytest.raises(OSError, match="no robot") as caught:
        baxter_dataflow.wait_for(lambda: False, timeout=0.5, timeout_msg="no robot")
    assert caught.value.errno == errno.ETIMEDOUT
    assert ros.now == pytest.approx(100.5, abs=0.011)


def test_deadline_may_be_a_plain_false(ros):
    assert baxter_dataflow.wait_for(lambda: False, timeout=0.1, raise_on_error=False) is False


def test_without_time_the_condition_is_looked_at_once_and_nothing_done(ros):
    looks, done = [], []
    waited = baxter_dataflow.wait_for(
        lambda: looks.append(1), timeout=0.0, raise_on_error=False, body=lambda: done.append(1)
    )
    assert (waited, len(looks), len(done)) == (False, 1, 0)


def test_body_runs_at_the_rate(ros):
    calls = []
    baxter_dataflow.wait_for(lambda: False, timeout=0.5, raise_on_error=False, rate=50, body=lambda: calls.append(1))
    assert len(calls) == pytest.approx(25, abs=1)


@pytest.mark.parametrize("timeout", [-1.0, float("inf")])
def test_wait_without_end(ros, timeout):
    assert baxter_dataflow.wait_for(lambda: ros.now > 5000.0, timeout=timeout, rate=1)


def test_standing_clock_is_not_noticed(ros):
    # 100 s of wall time at 100 Hz; whoever cannot wait for ever has to watch the SDK from outside
    ros.stands_still = True
    looks = iter(range(10000))
    assert baxter_dataflow.wait_for(lambda: next(looks) == 9999, timeout=1.0)


def test_deadline_that_began_before_the_first_clock_message_is_over_with_it(ros):
    ros.now, ros.stands_still = 0.0, True
    looks = []

    def condition():
        looks.append(1)
        if len(looks) == 3:
            ros.now = 5000.0
        return len(looks) > 6

    with pytest.raises(OSError) as caught:
        baxter_dataflow.wait_for(condition, timeout=1.0)
    assert caught.value.errno == errno.ETIMEDOUT


def test_time_that_jumps_back_is_an_exception(ros):
    def jump():
        ros.now = 1.0

    with pytest.raises(rospy.exceptions.ROSTimeMovedBackwardsException):
        baxter_dataflow.wait_for(lambda: False, timeout=10.0, body=jump)


def test_node_that_has_ended(ros):
    ros.ended = True
    with pytest.raises(OSError) as caught:
        baxter_dataflow.wait_for(lambda: False)
    assert caught.value.errno == errno.ESHUTDOWN
    assert baxter_dataflow.wait_for(lambda: False, raise_on_error=False) is False


def test_node_that_ends_in_a_pause_is_an_exception_even_where_errors_are_not_raised(ros):
    ros.on_pause = lambda: setattr(ros, "ended", True)
    with pytest.raises(rospy.exceptions.ROSInterruptException):
        baxter_dataflow.wait_for(lambda: False, raise_on_error=False)


class Listener:
    def __init__(self):
        self.heard = []

    def hear(self, *args, **kwargs):
        self.heard.append((args, kwargs))


def test_signal_calls_functions_and_methods_once_each():
    signal, listener, heard = baxter_dataflow.Signal(), Listener(), []

    def hear(value):
        heard.append(value)

    for slot in (hear, listener.hear, hear, listener.hear):
        signal.connect(slot)
    signal(7)
    assert (heard, listener.heard) == ([7], [((7,), {})])
    signal.disconnect(hear)
    signal.disconnect(listener.hear)
    signal(8)
    assert (len(heard), len(listener.heard)) == (1, 1)
    signal.disconnect(hear)  # once more is no error


def test_signal_does_not_keep_its_slots_alive():
    signal, heard, listener = baxter_dataflow.Signal(), [], Listener()
    signal.connect(lambda: heard.append("lambda"))
    signal.connect(listener.hear)
    kept = listener.heard
    del listener
    signal()
    assert heard == kept == []


def test_exception_of_a_slot_comes_out():
    def refuse():
        raise KeyError("slot")

    signal = baxter_dataflow.Signal()
    signal.connect(refuse)
    with pytest.raises(KeyError, match="slot"):
        signal()
