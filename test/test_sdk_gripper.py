"""The SDK's Gripper, stand-in or Rethink's own."""

import errno
import json

import pytest

baxter_interface = pytest.importorskip("baxter_interface", reason="needs the built workspace")
sdk_ros = pytest.importorskip("sdk_ros")

from baxter_core_msgs.msg import EndEffectorProperties, EndEffectorState  # noqa: E402

NS = "/robot/end_effector/left_gripper/"
DEFAULTS = {"velocity": 50.0, "moving_force": 40.0, "holding_force": 30.0, "dead_zone": 5.0}
ELECTRIC, SUCTION, CUSTOM = 2, 1, 3
FLAGS = ("enabled", "calibrated", "ready", "moving", "gripping", "missed", "error")


class Device:
    """A gripper that takes each command at once and does it, unless it is told otherwise.

    Attributes:
        echoes: it says whose command it took.
        deaf: commands that it does nothing about.
        width: percent of the travel at which an object stops the fingers.
    """

    def __init__(self, ros, ui_type=ELECTRIC, **properties):
        self.ros, self.echoes, self.deaf, self.width = ros, True, set(), None
        self.state = EndEffectorState(id=7, enabled=1, calibrated=1, ready=1, position=20.0)
        self.properties = EndEffectorProperties(id=7, ui_type=ui_type, product="finger", firmware_rev="3.0.0")
        for name, value in properties.items():
            setattr(self.properties, name, value)
        ros.reactions[NS + "command"] = self.command
        ros.reactions[NS + "rsdk/set_properties"] = lambda message: ros.state(NS + "properties", message)
        ros.reactions[NS + "rsdk/set_state"] = lambda message: ros.state(NS + "state", message)
        ros.state(NS + "properties", self.properties)
        self.show()

    def show(self, **changes):
        for name, value in changes.items():
            setattr(self.state, name, value)
        self.ros.state(NS + "state", self.state)

    def command(self, message):
        if self.echoes:
            self.state.command_sender, self.state.command_sequence = message.sender, message.sequence
        if message.command not in self.deaf:
            getattr(self, "_" + message.command, lambda _args: None)(json.loads(message.args or "{}"))
        self.show()

    def _calibrate(self, _args):
        self.state.calibrated = 1

    def _clear_calibration(self, _args):
        self.state.calibrated = 0

    def _reset(self, _args):
        self.state.error = 0

    def _stop(self, _args):
        self.state.moving = 0

    def _go(self, args):
        if "position" in args:
            self.state.gripping = int(self.width is not None and args["position"] < self.width)
            self.state.position = self.width if self.state.gripping else args["position"]


@pytest.fixture
def ros(monkeypatch):
    return sdk_ros.Ros(monkeypatch)


@pytest.fixture
def device(ros):
    return Device(ros)


@pytest.fixture
def gripper(ros, device):
    made = baxter_interface.Gripper("left")
    ros.sent.clear()
    return made


def sent(ros):
    """(command, arguments) of every message, repeated ones once."""
    messages = {(m.sender, m.sequence): (m.command, json.loads(m.args or "null")) for m in ros.sent[NS + "command"]}
    return list(messages.values())


# --- construction ----------------------------------------------------------------------------------------------------


def test_constructor_sends_the_default_parameters(ros, device):
    gripper = baxter_interface.Gripper("left")
    (message,) = ros.sent[NS + "command"]
    assert (message.id, message.command, message.sender) == (7, "configure", "/tester_configure")
    assert json.loads(message.args) == gripper.parameters() == gripper.valid_parameters() == DEFAULTS
    assert (gripper.name, gripper.type(), gripper.hardware_id()) == ("left_gripper", "electric", 7)
    assert (gripper.hardware_name(), gripper.firmware_version()) == ("finger", "3.0.0")


def test_topics_for_grippers_of_ones_own_are_advertised(ros, gripper):
    assert ros.latched == [NS + "rsdk/set_properties", NS + "rsdk/set_state"]


@pytest.mark.parametrize("missing", ["state", "properties"])
def test_gripper_that_sends_nothing_is_an_error_after_five_seconds(ros, device, missing):
    ros.silence(NS + missing)
    begin = ros.now
    with pytest.raises(OSError) as caught:
        baxter_interface.Gripper("left")
    assert caught.value.errno == errno.ETIMEDOUT
    assert ros.now - begin == pytest.approx(5.0, abs=0.02)


def test_arm_without_a_gripper_is_an_error(ros):
    Device(ros, ui_type=0)
    with pytest.raises(OSError) as caught:
        baxter_interface.Gripper("left")
    assert caught.value.errno == errno.ETIMEDOUT


@pytest.mark.parametrize(
    ("date", "firmware", "accepted", "level"),
    [
        ("2014/7/24 18:30:00", "3.0.0", True, None),
        ("2014/5/20 00:00:00", "1.0.0", True, "warn"),
        ("2013/10/15 00:00:01", "0.9", True, "warn"),
        ("2013/10/15 00:00:00", "0.6.2", False, "err"),
        ("", "3.0.0", False, "err"),
        ("0000/0/0 0:0:00", "1.1.242 7", True, None),
        ("0000/0/0 0:0:00", "1.1.3", False, "err"),
    ],
)
def test_firmware_is_checked(ros, date, firmware, accepted, level):
    Device(ros, firmware_date=date, firmware_rev=firmware)
    gripper = baxter_interface.Gripper("left")
    assert gripper.version_check() is accepted
    assert [logged for logged, _ in ros.logs] == ([level] if level else [])
    if accepted:
        baxter_interface.Gripper("left", versioned=True)
    else:
        with pytest.raises(SystemExit) as caught:
            baxter_interface.Gripper("left", versioned=True)
        assert caught.value.code == 1


def test_unreadable_date_of_firmware_ends_the_program_whoever_asks(ros):
    Device(ros, firmware_date="yesterday")
    gripper = baxter_interface.Gripper("left")
    with pytest.raises(SystemExit) as caught:
        gripper.version_check()
    assert caught.value.code == 1


# --- commands --------------------------------------------------------------------------------------------------------


def test_command_that_does_not_block(ros, gripper):
    assert gripper.command("go", args={"position": 30.0}) is True
    assert gripper.command("stop") is True
    first, second = ros.sent[NS + "command"]
    assert (first.sender, first.command, json.loads(first.args)) == ("/tester_go", "go", {"position": 30.0})
    assert (second.sender, second.command, second.args) == ("/tester_stop", "stop", "")
    assert second.sequence == first.sequence + 1


def test_blocking_command_is_sent_again_until_it_is_taken_and_done(ros, device, gripper):
    device.echoes = False
    begin, taken, done = ros.now, [], []

    def advance():
        if ros.now - begin >= 0.5 and not taken:
            taken.append(ros.now)
            device.echoes = True
        if ros.now - begin >= 1.0:
            done.append(ros.now)

    ros.on_pause = advance
    assert gripper.command("grip", block=True, test=lambda: bool(done), timeout=5.0) is True
    assert ros.now - begin == pytest.approx(1.0, abs=0.03)
    messages = ros.sent[NS + "command"]
    assert len({(message.sender, message.sequence, message.args) for message in messages}) == 1
    assert len(messages) == pytest.approx(100, abs=4)


def test_gripper_that_never_says_what_it_took_costs_the_whole_time_and_half_a_second(ros, device, gripper):
    device.echoes = False
    begin = ros.now
    assert gripper.command("grip", block=True, test=lambda: False, timeout=2.0) is False
    assert ros.now - begin == pytest.approx(2.5, abs=0.03)
    begin = ros.now
    assert gripper.command("grip", block=True, test=lambda: True, timeout=2.0) is True
    assert ros.now - begin == pytest.approx(2.0, abs=0.02)


def test_echo_of_another_sender_does_not_count_but_sequence_nought_does(ros, device, gripper):
    device.echoes = False
    begin = ros.now
    device.show(command_sender="/other_grip", command_sequence=0)
    gripper.command("grip", block=True, timeout=1.0)
    assert ros.now - begin >= 1.0
    begin = ros.now
    device.show(command_sender="/tester_grip", command_sequence=0)
    assert gripper.command("grip", block=True, timeout=1.0) is True
    assert ros.now == begin


def test_parameters(ros, gripper):
    assert gripper.set_parameters({"velocity": 120.0, "colour": 3.0}) is None
    assert gripper.parameters() == {**DEFAULTS, "velocity": 120.0}
    (warning,) = ros.warnings()
    assert "colour" in warning and "velocity" in warning
    gripper.set_holding_force(-3.0)
    assert gripper.set_moving_force(170.0) is None
    gripper.set_dead_band(7.0)
    gripper.set_velocity(10.0)
    changed = {"velocity": 10.0, "moving_force": 100.0, "holding_force": 0.0, "dead_zone": 7.0}
    assert sent(ros)[-1] == ("configure", changed)
    assert len(sent(ros)) == 5
    gripper.parameters()["velocity"] = 1.0
    gripper.set_parameters(defaults=True)
    assert sent(ros)[-1] == ("configure", DEFAULTS)
    assert "dead_zone" in gripper.valid_parameters_text()


def test_position_moves(ros, device, gripper):
    begin = ros.now
    assert gripper.command_position(140.0, block=True) is False  # the gripper goes to 100, the SDK waits for 140
    assert ros.now - begin == pytest.approx(5.0, abs=0.03)
    assert sent(ros) == [("go", {"position": 100.0})]
    device.width = 60.0
    assert gripper.close(block=True) is True
    assert (gripper.gripping(), gripper.position()) == (True, 60.0)
    assert gripper.open() is True
    assert sent(ros)[1:] == [("go", {"position": 0.0}), ("go", {"position": 100.0})]


def test_move_is_over_within_the_dead_zone_that_is_set(ros, device, gripper):
    device.deaf.add("go")
    device.show(position=91.0)
    assert gripper.open(block=True, timeout=1.0) is False
    gripper.set_dead_band(10.0)
    assert gripper.open(block=True, timeout=1.0) is True


def test_uncalibrated_gripper_refuses_to_move(ros, device, gripper):
    for unknown in (0, 2):
        device.show(calibrated=unknown)
        for move in (gripper.open, gripper.close, lambda: gripper.command_position(3.0)):
            assert move() is False
    assert len(ros.warnings()) == 6
    assert sent(ros) == []


def test_calibration_clears_the_old_one_and_errors_and_sets_the_defaults(ros, device, gripper):
    gripper.set_velocity(5.0)
    device.show(error=1)
    assert gripper.calibrate() is True
    commands = [command for command, _ in sent(ros)]
    assert commands == ["configure", "clear_calibration", "reset", "calibrate", "configure"]
    assert gripper.parameters() == DEFAULTS


def test_calibration_that_fails(ros, device, gripper):
    device.show(calibrated=0)
    device.deaf.add("calibrate")
    begin = ros.now
    assert gripper.calibrate(timeout=3.0) is False
    assert ros.now - begin == pytest.approx(3.0, abs=0.03)
    assert [command for command, _ in sent(ros)] == ["calibrate", "configure"]


@pytest.mark.parametrize(
    ("method", "command", "blocking"),
    [
        ("reset", "reset", {"error": 1}),
        ("reset", "reset", {"ready": 0}),
        ("stop", "stop", {"moving": 1}),
        ("stop", "stop", {"moving": 2}),
        ("clear_calibration", "clear_calibration", {"ready": 0}),
        ("clear_calibration", "clear_calibration", {}),
    ],
)
def test_what_commands_wait_for(ros, device, gripper, method, command, blocking):
    device.deaf.add(command)
    device.show(**blocking)
    assert getattr(gripper, method)(timeout=1.0) is False
    device.deaf.clear()
    device.show(ready=1)
    assert getattr(gripper, method)(timeout=1.0) is True
    assert {name for name, _ in sent(ros)} == {command}


def test_reboot(ros, device, gripper):
    begin = ros.now
    assert gripper.reboot() is True
    assert [command for command, _ in sent(ros)] == ["reboot", "configure"]
    assert ros.now - begin == pytest.approx(1.1, abs=0.02)
    ros.sent.clear()
    device.show(error=1)
    assert gripper.reboot() is True
    assert [command for command, _ in sent(ros)] == ["reboot", "configure", "reset", "configure"]
    device.show(error=1)
    device.deaf.add("reset")
    assert gripper.reboot(timeout=1.0) is False
    assert [level for level, _ in ros.logs if level == "err"] == ["err"]


# --- state -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", [name for name in FLAGS if name != "enabled"])
def test_unknown_flags_count_as_false(device, gripper, flag):
    for value, shown in ((0, False), (1, True), (2, False)):
        device.show(**{flag: value})
        assert getattr(gripper, flag)() is shown


def test_force_and_capabilities(ros):
    device = Device(ros, controls_force=True, controls_position=False)
    device.show(force=12.5)
    gripper = baxter_interface.Gripper("left")
    assert (gripper.force(), gripper.has_force(), gripper.has_position()) == (12.5, True, False)


def test_signals_tell_changes(ros, device, gripper):
    heard = []

    def hear_gripping(value):
        heard.append(("gripping", value))

    def hear_moving(value):
        heard.append(("moving", value))

    def hear_type(value):
        heard.append(("type", value))

    gripper.on_gripping_changed.connect(hear_gripping)
    gripper.on_moving_changed.connect(hear_moving)
    gripper.on_type_changed.connect(hear_type)
    for changes in ({"gripping": 1}, {"gripping": 1, "moving": 1}, {"moving": 2}, {"gripping": 0}):
        device.show(**changes)
    device.properties.ui_type = SUCTION
    for _ in range(2):
        ros.state(NS + "properties", device.properties)
    assert heard == [("gripping", True), ("moving", True), ("moving", False), ("gripping", False), ("type", "suction")]


# --- other grippers --------------------------------------------------------------------------------------------------


def test_suction(ros):
    device = Device(ros, ui_type=SUCTION)
    device.state.state = json.dumps({"vacuum sensor": 51, "vacuum": False, "blowing": False, "sucking": True})
    device.show()
    gripper = baxter_interface.Gripper("left")
    assert sent(ros) == [("configure", {"vacuum_sensor_threshold": 18.0, "blow_off_seconds": 0.4})]
    assert (gripper.type(), gripper.vacuum_sensor()) == ("suction", pytest.approx(20.0))
    assert (gripper.vacuum(), gripper.blowing(), gripper.sucking()) == (False, False, True)
    ros.sent.clear()
    gripper.set_vacuum_threshold(130.0)
    gripper.set_blow_off(2.0)
    for act in (gripper.close, gripper.open, lambda: gripper.command_position(99.0)):
        assert act() is True
    gripper.command_position(100.0)
    assert sent(ros)[1:] == [
        ("configure", {"vacuum_sensor_threshold": 100.0, "blow_off_seconds": 2.0}),
        ("go", {"grip_attempt_seconds": 5.0}),
        ("release", None),
        ("go", {"grip_attempt_seconds": 5.0}),
        ("release", None),
    ]
    begin = ros.now
    assert gripper.stop(timeout=1.0) is False  # it sucks on; the wait is at least as long as it blows
    assert ros.now - begin == pytest.approx(2.0, abs=0.03)


WANTS = {
    "electric": """reset reboot clear_calibration calibrate set_velocity(1) set_moving_force(1) set_holding_force(1)
        set_dead_band(1)""",
    "suction": "command_suction set_vacuum_threshold(1) set_blow_off(1) vacuum_sensor vacuum blowing sucking",
    "either": "stop open close command_position(1)",
}


@pytest.mark.parametrize(
    ("ui_type", "refused"),
    [(CUSTOM, ("electric", "suction", "either")), (SUCTION, ("electric",)), (ELECTRIC, ("suction",))],
)
def test_what_a_gripper_cannot_do_is_a_warning_and_none(ros, ui_type, refused):
    Device(ros, ui_type=ui_type)
    gripper = baxter_interface.Gripper("left")
    ros.sent.clear()
    for text in (word for kind in refused for word in WANTS[kind].split()):
        name, _, argument = text.partition("(")
        ros.logs.clear()
        assert getattr(gripper, name)(*([1.0] if argument else [])) is None
        (warning,) = ros.warnings()
        assert f"'{name}'" in warning
    assert ros.sent == {}


def test_gripper_of_ones_own(ros):
    device = Device(ros, ui_type=CUSTOM)
    gripper = baxter_interface.Gripper("left")
    assert sent(ros) == [("configure", {})]
    assert (gripper.type(), gripper.parameters(), gripper.version_check()) == ("custom", {}, True)
    assert gripper.reset_custom_properties() is True
    (properties,) = ros.sent[NS + "rsdk/set_properties"]
    assert (properties.id, properties.ui_type, properties.product) == (131073, CUSTOM, "SDK End Effector")
    assert properties.has_calibration and properties.senses_position and not properties.firmware_rev
    assert gripper.reset_custom_state() is True
    (state,) = ros.sent[NS + "rsdk/set_state"]
    assert (state.enabled, state.calibrated, state.error, state.id, state.position) == (1, 2, 2, 2, 0.0)
    del ros.reactions[NS + "rsdk/set_state"]
    device.show()
    begin = ros.now
    assert gripper.reset_custom_state(timeout=1.0) is False
    assert ros.now - begin == pytest.approx(1.0, abs=0.02)
    assert len(ros.sent[NS + "rsdk/set_state"]) > 90
