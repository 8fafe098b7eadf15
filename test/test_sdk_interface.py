"""The SDK's classes, stand-in or Rethink's own, have Rethink's public names, arguments and defaults."""

import inspect

import pytest

baxter_interface = pytest.importorskip("baxter_interface", reason="needs the built workspace")
baxter_dataflow = pytest.importorskip("baxter_dataflow")

# Read from release 1.2.0 by this test's own function.
CLASSES = {
    "CameraController": """
        (name) CONTROL_AUTO MODES close() exposure flip fps gain half_resolution mirror open() resolution
        white_balance_blue white_balance_green white_balance_red window""",
    "Gripper": """
        (gripper,versioned=False) blowing() calibrate(block=True,timeout=5.0) calibrated()
        clear_calibration(block=True,timeout=2.0) close(block=False,timeout=5.0)
        command(cmd,block=False,test=function,timeout=0.0,args=None)
        command_position(position,block=False,timeout=5.0) command_suction(block=False,timeout=5.0) error()
        firmware_build_date() firmware_version() force() gripping() hardware_id() hardware_name() has_force()
        has_position() missed() moving() open(block=False,timeout=5.0) parameters() position() ready()
        reboot(timeout=5.0,delay_check=0.1) reset(block=True,timeout=2.0) reset_custom_properties(timeout=2.0)
        reset_custom_state(timeout=2.0) set_blow_off(blow_off) set_dead_band(dead_band) set_holding_force(force)
        set_moving_force(force) set_parameters(parameters=None,defaults=False) set_vacuum_threshold(threshold)
        set_velocity(velocity) stop(block=True,timeout=5.0) sucking() type() vacuum() vacuum_sensor()
        valid_parameters() valid_parameters_text() version_check()""",
    "Head": """
        () command_nod(timeout=5.0) nodding() pan() panning()
        set_pan(angle,speed=1.0,timeout=10.0,scale_speed=False)""",
    "Limb": """
        (limb) Point Quaternion endpoint_effort() endpoint_pose() endpoint_velocity() exit_control_mode(timeout=0.2)
        joint_angle(joint) joint_angles() joint_effort(joint) joint_efforts() joint_names() joint_velocities()
        joint_velocity(joint)
        move_to_joint_positions(positions,timeout=15.0,threshold=0.008726646,test=None)
        move_to_neutral(timeout=15.0) set_command_timeout(timeout) set_joint_position_speed(speed)
        set_joint_positions(positions,raw=False) set_joint_torques(torques) set_joint_velocities(velocities)""",
    "RobotEnable": "(versioned=False) disable() enable() param_lock reset() state() stop() version_check()",
}


def arguments(function) -> str:
    """Names and defaults, without self."""
    shown = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == "self":
            continue
        value = "function" if callable(parameter.default) else repr(parameter.default)
        shown.append(parameter.name if parameter.default is parameter.empty else f"{parameter.name}={value}")
    return f"({','.join(shown)})"


def surface(cls) -> list:
    """All public names of a class, functions with their arguments."""
    shown = [arguments(cls.__init__)]
    for name in sorted(dir(cls)):
        if not name.startswith("_"):
            value = inspect.getattr_static(cls, name)
            shown.append(name + (arguments(value) if inspect.isfunction(value) else ""))
    return shown


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_class_has_rethinks_names_and_defaults(name):
    assert surface(getattr(baxter_interface, name)) == CLASSES[name].split()


def test_wait_and_signal_have_rethinks_names_and_defaults():
    wait = inspect.signature(baxter_dataflow.wait_for).parameters.values()
    defaults = [(parameter.name, parameter.default) for parameter in wait][1:]
    assert defaults == [
        ("timeout", 1.0),
        ("raise_on_error", True),
        ("rate", 100),
        ("timeout_msg", "timeout expired"),
        ("body", None),
    ]
    assert surface(baxter_dataflow.Signal) == ["()", "connect(slot)", "disconnect(slot)"]


def test_settings_are_those_of_release_1_2_0():
    assert baxter_interface.SDK_VERSION == "1.2.0"
    assert baxter_interface.CHECK_VERSION is True
    assert baxter_interface.VERSIONS_SDK2ROBOT == {"1.2.0": ["1.2.0"]}
    limits = {"warn": "2014/5/20 00:00:00", "fail": "2013/10/15 00:00:00"}
    assert list(baxter_interface.VERSIONS_SDK2GRIPPER.items()) == [("1.2.0", limits)]
    assert baxter_interface.JOINT_ANGLE_TOLERANCE == 0.008726646
    assert baxter_interface.HEAD_PAN_ANGLE_TOLERANCE == 0.1396263401
