"""The buffer behind a trial's recording: bounded, and right about what was received when."""

from grasp_learning.message_buffer import SECOND, MessageBuffer


def stamps(buffer, start=0.0, end=1e6):
    return [message.stamp / SECOND for message in buffer.between(int(start * SECOND), int(end * SECOND))]


def filled(times, seconds=10.0, max_bytes=10**6, size=10):
    buffer = MessageBuffer(seconds, max_bytes)
    for time in times:
        buffer.add(int(time * SECOND), bytes(size))
    return buffer


def test_an_interval_includes_both_ends():
    buffer = filled(range(8))
    assert stamps(buffer, 2.0, 5.0) == [2.0, 3.0, 4.0, 5.0]
    assert stamps(buffer, 8.5, 9.0) == []


def test_old_messages_go():
    assert stamps(filled(range(100), seconds=3.0)) == [96.0, 97.0, 98.0, 99.0]


def test_bytes_are_bounded_and_the_latest_stay():
    assert stamps(filled(range(100), seconds=1000.0, max_bytes=45)) == [96.0, 97.0, 98.0, 99.0]
    assert stamps(filled(range(3), max_bytes=1, size=50)) == [2.0]


def test_a_restarted_clock_forgets_the_world_before():
    buffer = filled([100.0, 101.0, 0.5, 1.0])
    assert stamps(buffer) == [0.5, 1.0]
    buffer = filled([100.0, 99.9, 100.1])  # a wall clock that was corrected is no restart
    assert stamps(buffer) == [100.0, 99.9, 100.1]
