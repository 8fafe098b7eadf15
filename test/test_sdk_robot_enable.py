"""The SDK's RobotEnable, stand-in or Rethink's own."""

import errno

import pytest

baxter_interface = pytest.importorskip("baxter_interface", reason="needs the built workspace")
sdk_ros = pytest.importorskip("sdk_ros")

from baxter_core_msgs.msg import AssemblyState  # noqa: E402

ENABLE, RESET, STOP = (f"/robot/set_super_{what}" for what in ("enable", "reset", "stop"))


class Robot:
    """A robot that obeys after a number of messages.

    Attributes:
        patience: how many messages of a kind it takes; None: it never obeys.
        lasting_error: a fault that no reset clears.
    """

    def __init__(self, ros):
        self.ros, self.patience, self.lasting_error = ros, 1, False
        self.state = AssemblyState()
        ros.parameters["/rethink/software_version"] = "1.2.0.57"
        ros.reactions.update({ENABLE: self.enable, RESET: self.reset, STOP: self.stop})
        self.show()

    def show(self, **changes):
        for name, value in changes.items():
            setattr(self.state, name, value)
        self.ros.state("/robot/state", self.state)

    def obeys(self, topic):
        return self.patience is not None and len(self.ros.sent[topic]) >= self.patience

    def enable(self, message):
        if self.obeys(ENABLE):
            self.show(enabled=message.data)

    def reset(self, _message):
        if self.obeys(RESET):
            self.state = AssemblyState(error=self.lasting_error)
            self.show()

    def stop(self, _message):
        if self.obeys(STOP):
            self.show(enabled=False, stopped=True, estop_source=AssemblyState.ESTOP_SOURCE_USER)


@pytest.fixture
def ros(monkeypatch):
    return sdk_ros.Ros(monkeypatch)


@pytest.fixture
def robot(ros):
    return Robot(ros)


@pytest.fixture
def enabler(robot):
    return baxter_interface.RobotEnable()


def assert_times_out(ros, call, seconds):
    begin = ros.now
    with pytest.raises(OSError) as caught:
        call()
    assert caught.value.errno == errno.ETIMEDOUT
    assert ros.now - begin == pytest.approx(seconds, abs=0.02)


def test_robot_that_sends_no_state_is_an_error_after_two_seconds(ros, robot):
    ros.silence("/robot/state")
    assert_times_out(ros, baxter_interface.RobotEnable, 2.0)


def test_enable_and_disable_are_sent_until_the_state_says_so(ros, robot, enabler):
    robot.patience = 20
    enabler.enable()
    assert enabler.state().enabled
    assert [message.data for message in ros.sent[ENABLE]] == [True] * 20
    ros.sent.clear()
    enabler.disable()
    assert not enabler.state().enabled
    assert [message.data for message in ros.sent[ENABLE]] == [False] * 20


def test_what_is_so_already_is_not_commanded(ros, robot, enabler):
    enabler.disable()
    robot.show(enabled=True)
    enabler.enable()
    assert ros.sent[ENABLE] == []


def test_robot_that_does_not_obey(ros, robot, enabler):
    robot.patience = None
    assert_times_out(ros, enabler.enable, 2.0)
    assert len(ros.sent[ENABLE]) == pytest.approx(200, abs=2)
    robot.show(enabled=True)
    assert_times_out(ros, enabler.disable, 5.0)
    assert_times_out(ros, enabler.reset, 3.0)
    assert_times_out(ros, enabler.stop, 3.0)


def test_stop_and_enable_again_through_a_reset(ros, robot, enabler):
    enabler.enable()
    enabler.stop()
    assert enabler.state().stopped
    enabler.enable()
    assert enabler.state().enabled
    assert len(ros.sent[RESET]) == 1


@pytest.mark.parametrize(
    "fault", [{"enabled": True}, {"stopped": True}, {"error": True}, {"estop_button": 3}, {"estop_source": 3}]
)
def test_reset_goes_on_until_nothing_is_left(ros, robot, enabler, fault):
    robot.patience = 5
    robot.show(**fault)
    assert enabler.reset() is None
    assert len(ros.sent[RESET]) == 5


def test_pressed_estop_refuses_the_reset(ros, robot, enabler):
    robot.show(stopped=True, estop_button=AssemblyState.ESTOP_BUTTON_PRESSED)
    for call in (enabler.reset, enabler.enable):
        with pytest.raises(OSError) as caught:
            call()
        assert caught.value.errno == errno.EREMOTEIO
    assert [level for level, _ in ros.logs].count("fatal") == 2
    assert ros.sent[RESET] == ros.sent[ENABLE] == []


def test_error_that_stays_is_false_and_a_warning_and_the_robot_can_be_enabled(ros, robot, enabler):
    robot.lasting_error = True
    robot.show(stopped=True)
    assert enabler.reset() is False
    assert len(ros.warnings()) == 1
    enabler.enable()
    assert enabler.state().enabled


@pytest.mark.parametrize(
    ("version", "accepted", "level"),
    [
        ("1.2.0.57", True, None),
        ("1.2.0", True, None),
        ("1.1.1.22", False, "err"),
        ("1.2.01", False, "err"),
        ("v1.2.0", False, "warn"),
        ("1.2", False, "warn"),
        ("", False, "warn"),
        (None, False, "warn"),
    ],
)
def test_version_of_the_robot(ros, robot, enabler, version, accepted, level):
    ros.parameters["/rethink/software_version"] = version
    assert enabler.version_check() is accepted
    assert [logged for logged, _ in ros.logs] == ([level] if level else [])
    if accepted:
        baxter_interface.RobotEnable(versioned=True)
    else:
        with pytest.raises(SystemExit) as caught:
            baxter_interface.RobotEnable(baxter_interface.CHECK_VERSION)
        assert caught.value.code == 1


def test_version_that_is_no_text_is_an_error(ros, enabler):
    ros.parameters["/rethink/software_version"] = 1.2
    with pytest.raises(TypeError):
        enabler.version_check()
