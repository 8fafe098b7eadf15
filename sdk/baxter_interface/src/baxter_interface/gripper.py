"""The gripper: calibration, position moves with a force limit, suction, and what it feels."""

import functools
import json
import sys
import time
from typing import Any, Callable, Dict, Optional, Tuple

import rospy
from baxter_core_msgs.msg import EndEffectorCommand, EndEffectorProperties, EndEffectorState
from baxter_dataflow import Signal, wait_for

from baxter_interface import settings

_MAX_SEQUENCE = 0x7FFFFFFF
_TYPES = {
    EndEffectorProperties.SUCTION_CUP_GRIPPER: "suction",
    EndEffectorProperties.ELECTRIC_GRIPPER: "electric",
    EndEffectorProperties.PASSIVE_GRIPPER: "custom",
}
_DEFAULT_PARAMETERS = {
    "electric": {"velocity": 50.0, "moving_force": 40.0, "holding_force": 30.0, "dead_zone": 5.0},
    "suction": {"vacuum_sensor_threshold": 18.0, "blow_off_seconds": 0.4},
}
_DATE_FORMAT = "%Y/%m/%d %H:%M:%S"
_NO_DATE = "0000/0/0 0:0:00"  # of a gripper whose firmware has no date
_LEGACY_FIRMWARE = "1.1.242"  # the only one that may have none
_UNKNOWN_ID = -1  # of properties that did not arrive yet


def _only_for(*types: str) -> Callable:
    """On grippers of other types the method warns and returns None."""

    def decorate(method: Callable) -> Callable:
        @functools.wraps(method)
        def checked(self, *args, **kwargs):
            if self.type() not in types:
                rospy.logwarn("%s: a %s gripper cannot do '%s'", self.name, self.type(), method.__name__)
                return None
            return method(self, *args, **kwargs)

        return checked

    return decorate


def _percent(value: float) -> float:
    return max(0.0, min(100.0, value))


class Gripper:
    """Interface to the gripper of the arm ``left`` or ``right``; configures it with default parameters.

    Args:
        versioned: end the program (exit code 1) if an electric gripper's firmware is too old for this SDK.

    Attributes:
        on_type_changed: Signal, called with the new :meth:`type`.
        on_gripping_changed: Signal, called with whether it grips now.
        on_moving_changed: Signal, called with whether it moves now.

    Raises:
        OSError: ETIMEDOUT, when no state, or no properties of a known type, arrive within five seconds.
    """

    def __init__(self, gripper: str, versioned: bool = False):
        self.name = gripper + "_gripper"
        self._sequence = 0
        self._parameters: Dict[str, float] = {}
        self._state: Optional[EndEffectorState] = None
        self._properties = EndEffectorProperties(id=_UNKNOWN_ID)
        self.on_type_changed, self.on_gripping_changed, self.on_moving_changed = Signal(), Signal(), Signal()

        ns = f"robot/end_effector/{self.name}/"
        latched = {"latch": True, "queue_size": 10}
        self._cmd_pub = rospy.Publisher(ns + "command", EndEffectorCommand, queue_size=10)
        self._prop_pub = rospy.Publisher(ns + "rsdk/set_properties", EndEffectorProperties, **latched)
        self._state_pub = rospy.Publisher(ns + "rsdk/set_state", EndEffectorState, **latched)
        self._state_sub = rospy.Subscriber(ns + "state", EndEffectorState, self._on_state)
        self._prop_sub = rospy.Subscriber(ns + "properties", EndEffectorProperties, self._on_properties)
        wait_for(lambda: self._state is not None, timeout=5.0, timeout_msg=f"Failed to get state from {ns}state")
        missing = f"Failed to get properties from {ns}properties"
        wait_for(lambda: self.type() is not None, timeout=5.0, timeout_msg=missing)
        if versioned and self.type() == "electric" and not self.version_check():
            sys.exit(1)
        self.set_parameters(defaults=True)

    def _on_state(self, msg: EndEffectorState) -> None:
        before, self._state = self._state, msg
        if before is None:
            return
        if before.gripping != msg.gripping:
            self.on_gripping_changed(self.gripping())
        if before.moving != msg.moving:
            self.on_moving_changed(self.moving())

    def _on_properties(self, msg: EndEffectorProperties) -> None:
        before, self._properties = self._properties, msg
        if before.ui_type != msg.ui_type and before.id != _UNKNOWN_ID:
            self.on_type_changed(self.type())

    def version_check(self) -> bool:
        """Whether the gripper's firmware goes with this SDK; warns of one that is merely old, or not electric.

        A date that cannot be read ends the program (exit code 1).
        """
        text, release = self.firmware_build_date(), settings.SDK_VERSION
        if self.type() != "electric":
            rospy.logwarn("%s: the firmware of a %s gripper is not checked", self.name, self.type())
            return True
        if not text:
            rospy.logerr("%s: the firmware has no date", self.name)
            return False
        if text == _NO_DATE:
            known = self.firmware_version().startswith(_LEGACY_FIRMWARE)
            if not known:
                rospy.logerr("%s: the firmware without a date is not one that SDK %s knows", self.name, release)
            return known
        limits = settings.VERSIONS_SDK2GRIPPER[release]
        built, warn, fail = (self._seconds(date) for date in (text, limits["warn"], limits["fail"]))
        if built <= fail:
            rospy.logerr("%s: the firmware of %s does not go with SDK %s", self.name, text, release)
        elif built <= warn:
            rospy.logwarn("%s: the firmware of %s is old for SDK %s", self.name, text, release)
        return built > fail

    def _seconds(self, date: str) -> float:
        try:
            return time.mktime(time.strptime(date, _DATE_FORMAT))
        except ValueError:
            rospy.logerr("%s: the firmware's date %r is not of the form %s", self.name, date, _DATE_FORMAT)
            sys.exit(1)

    # --- commands ----------------------------------------------------------------------------------------------------

    def command(
        self,
        cmd: str,
        block: bool = False,
        test: Callable[[], bool] = lambda: True,
        timeout: float = 0.0,
        args: Optional[Dict[str, Any]] = None,
    ) -> bool:
        """Send a command and, if blocking, wait until the gripper has taken it and a condition holds.

        The same message is sent again at 100 Hz during both waits; grippers know it by sender and sequence.

        Args:
            cmd: one of EndEffectorCommand's CMD_ strings.
            timeout: s for both waits together; the condition gets half a second at least.

        Returns:
            Whether the condition held in time; True at once if not blocking.
        """
        self._sequence = self._sequence % _MAX_SEQUENCE + 1
        msg = EndEffectorCommand(id=self.hardware_id(), command=cmd, sequence=self._sequence)
        msg.sender = f"{rospy.get_name()}_{cmd}"
        msg.args = "" if args is None else json.dumps(args)
        self._cmd_pub.publish(msg)
        if not block:
            return True

        def acknowledged() -> bool:
            state = self._state
            return state.command_sender == msg.sender and state.command_sequence in (msg.sequence, 0)

        deadline = rospy.get_time() + timeout
        wait = functools.partial(wait_for, raise_on_error=False, body=lambda: self._cmd_pub.publish(msg))
        if not wait(acknowledged, timeout=timeout):
            rospy.logdebug("%s: '%s' was not acknowledged", self.name, cmd)
        return wait(test, timeout=max(0.5, deadline - rospy.get_time()))

    def valid_parameters(self) -> Dict[str, float]:
        """The parameters this type of gripper has, with their defaults."""
        return dict(_DEFAULT_PARAMETERS.get(self.type(), {}))

    def valid_parameters_text(self) -> str:
        """The same as text."""
        known = ", ".join(f"{key} (default {value:g})" for key, value in self.valid_parameters().items())
        return f"Parameters of a {self.type()} gripper: {known or 'none'}"

    def parameters(self) -> Dict[str, float]:
        """The parameters last sent."""
        return dict(self._parameters)

    def set_parameters(self, parameters: Optional[Dict[str, float]] = None, defaults: bool = False) -> None:
        """Send parameters; an unknown one is warned of and left out.

        Args:
            parameters: velocity, moving_force, holding_force, dead_zone (percent) of an electric gripper,
                vacuum_sensor_threshold (percent), blow_off_seconds of suction; sent as they are, not clipped.
            defaults: start from the defaults; otherwise from the parameters last sent.
        """
        valid = self.valid_parameters()
        if defaults:
            self._parameters = dict(valid)
        for key, value in (parameters or {}).items():
            if key in valid:
                self._parameters[key] = value
            else:
                rospy.logwarn("%s: unknown parameter '%s'. %s", self.name, key, self.valid_parameters_text())
        self.command(EndEffectorCommand.CMD_CONFIGURE, args=self._parameters)

    @_only_for("electric")
    def set_velocity(self, velocity: float) -> None:
        """Set the speed of position moves (percent, default 50)."""
        self.set_parameters({"velocity": _percent(velocity)})

    @_only_for("electric")
    def set_moving_force(self, force: float) -> None:
        """Set the force above which a position move stops (percent, default 40)."""
        self.set_parameters({"moving_force": _percent(force)})

    @_only_for("electric")
    def set_holding_force(self, force: float) -> None:
        """Set the force applied after a position move (percent, default 30)."""
        self.set_parameters({"holding_force": _percent(force)})

    @_only_for("electric")
    def set_dead_band(self, dead_band: float) -> None:
        """Set the position error within which a move counts as done (percent, default 5)."""
        self.set_parameters({"dead_zone": _percent(dead_band)})

    @_only_for("suction")
    def set_vacuum_threshold(self, threshold: float) -> None:
        """Set the vacuum from which on something counts as sucked (percent, default 18)."""
        self.set_parameters({"vacuum_sensor_threshold": _percent(threshold)})

    @_only_for("suction")
    def set_blow_off(self, blow_off: float) -> None:
        """Set how long it blows to let go of something (s, default 0.4)."""
        self.set_parameters({"blow_off_seconds": blow_off})

    @_only_for("electric")
    def reset(self, block: bool = True, timeout: float = 2.0) -> bool:
        """Clear errors; blocks until there is none and the gripper is ready."""

        def done() -> bool:
            return self._state.error == EndEffectorState.STATE_FALSE and self.ready()

        return self.command(EndEffectorCommand.CMD_RESET, block, test=done, timeout=timeout)

    @_only_for("electric")
    def reboot(self, timeout: float = 5.0, delay_check: float = 0.1) -> bool:
        """Power-cycle the gripper, which loses its calibration, and clear an error that is there afterwards.

        Args:
            timeout: s for the reboot and again for the reset.
            delay_check: s after the reboot at which to look for an error.

        Returns:
            False when an error stays; whether the gripper came back is not looked at.
        """

        def done() -> bool:
            return self._state.enabled == EndEffectorState.STATE_TRUE and self.ready()

        self.command(EndEffectorCommand.CMD_REBOOT, True, test=done, timeout=timeout)
        rospy.sleep(1.0)  # a gripper may report ready just before it goes down
        self.set_parameters(defaults=True)
        rospy.sleep(delay_check)
        if self.error():
            if not self.reset(block=True, timeout=timeout):
                rospy.logerr("%s: an error stays after the reboot", self.name)
                return False
            self.set_parameters(defaults=True)
        return True

    @_only_for("electric")
    def clear_calibration(self, block: bool = True, timeout: float = 2.0) -> bool:
        """Forget the calibration; position moves need a new one."""

        def done() -> bool:
            return self._state.calibrated == EndEffectorState.STATE_FALSE and self.ready()

        return self.command(EndEffectorCommand.CMD_CLEAR_CALIBRATION, block, test=done, timeout=timeout)

    @_only_for("electric")
    def calibrate(self, block: bool = True, timeout: float = 5.0) -> bool:
        """Find the ends of the travel, anew if they were known; then send the default parameters."""
        if self.calibrated():
            self.clear_calibration()
        if self.error():
            self.reset(block=block)

        def done() -> bool:
            return self.calibrated() and self.ready()

        success = self.command(EndEffectorCommand.CMD_CALIBRATE, block, test=done, timeout=timeout)
        self.set_parameters(defaults=True)
        return success

    @_only_for("electric", "suction")
    def stop(self, block: bool = True, timeout: float = 5.0) -> bool:
        """Stop where the fingers are and hold with the holding force; let go of what is sucked."""
        if self.type() == "electric":

            def rests() -> bool:
                return self._state.moving == EndEffectorState.STATE_FALSE

            return self.command(EndEffectorCommand.CMD_STOP, block, test=rests, timeout=timeout)

        def released() -> bool:
            return not self.sucking() and not self.blowing()

        timeout = max(self._parameters["blow_off_seconds"], timeout)
        return self.command(EndEffectorCommand.CMD_RELEASE, block, test=released, timeout=timeout)

    @_only_for("electric", "suction")
    def command_position(self, position: float, block: bool = False, timeout: float = 5.0) -> bool:
        """Move the fingers; over when they are within the dead zone, or grip something.

        Args:
            position: 0 closed, 100 open; suction lets go at 100 and sucks below.

        Returns:
            False at once, with a warning, while the gripper is not calibrated.
        """
        if not self.calibrated():
            rospy.logwarn("%s: position moves need a calibration first", self.name)
            return False
        if self.type() == "suction":
            return (self.close if position < 100.0 else self.open)(block=block, timeout=timeout)

        def done() -> bool:
            return abs(self._state.position - position) < self._parameters["dead_zone"] or self.gripping()

        args = {"position": _percent(position)}
        return self.command(EndEffectorCommand.CMD_GO, block, test=done, timeout=timeout, args=args)

    @_only_for("suction")
    def command_suction(self, block: bool = False, timeout: float = 5.0) -> bool:
        """Suck until something is held, or give up after a time (s)."""
        args = {"grip_attempt_seconds": timeout}
        return self.command(EndEffectorCommand.CMD_GO, block, test=self.vacuum, timeout=timeout, args=args)

    @_only_for("electric", "suction")
    def open(self, block: bool = False, timeout: float = 5.0) -> bool:
        """Open the fingers all the way, or let go."""
        if self.type() == "suction":
            return self.stop(block=block, timeout=timeout)
        return self.command_position(100.0, block=block, timeout=timeout)

    @_only_for("electric", "suction")
    def close(self, block: bool = False, timeout: float = 5.0) -> bool:
        """Close the fingers until they meet something, or suck."""
        if self.type() == "suction":
            return self.command_suction(block=block, timeout=timeout)
        return self.command_position(0.0, block=block, timeout=timeout)

    # --- custom grippers ---------------------------------------------------------------------------------------------

    def reset_custom_properties(self, timeout: float = 2.0) -> bool:
        """Give a gripper of the user's own the robot's default properties; whether they arrived."""
        wanted = EndEffectorProperties(id=131073, ui_type=EndEffectorProperties.PASSIVE_GRIPPER)
        wanted.manufacturer, wanted.product = "Rethink Research Robot", "SDK End Effector"
        for name in _fields(wanted, "bool"):
            setattr(wanted, name, True)
        self._prop_pub.publish(wanted)

        def arrived() -> bool:
            keys = ("id", "ui_type", "manufacturer", "product")
            return all(getattr(self._properties, key) == getattr(wanted, key) for key in keys)

        return wait_for(arrived, timeout, raise_on_error=False, body=lambda: self._prop_pub.publish(wanted))

    def reset_custom_state(self, timeout: float = 2.0) -> bool:
        """Give a gripper of the user's own a state of which all but ``enabled`` is unknown; whether it arrived."""
        wanted = EndEffectorState()
        for name in _fields(wanted, "uint8", "uint32"):
            setattr(wanted, name, EndEffectorState.STATE_UNKNOWN)
        wanted.enabled = EndEffectorState.STATE_TRUE
        self._state_pub.publish(wanted)

        def arrived() -> bool:
            keys = ("enabled", "calibrated", "ready", "position")
            return all(getattr(self._state, key) == getattr(wanted, key) for key in keys)

        return wait_for(arrived, timeout, raise_on_error=False, body=lambda: self._state_pub.publish(wanted))

    # --- state; the flags are tri-state, and unknown (2) counts as False ---------------------------------------------

    def calibrated(self) -> bool:
        """Whether the ends of the travel are known."""
        return self._state.calibrated == EndEffectorState.STATE_TRUE

    def ready(self) -> bool:
        """Whether the gripper is calibrated, neither busy nor moving."""
        return self._state.ready == EndEffectorState.STATE_TRUE

    def moving(self) -> bool:
        """Whether the fingers move."""
        return self._state.moving == EndEffectorState.STATE_TRUE

    def gripping(self) -> bool:
        """Whether the last move ended because its force limit was exceeded."""
        return self._state.gripping == EndEffectorState.STATE_TRUE

    def missed(self) -> bool:
        """Whether the last move reached its end without exceeding the force limit."""
        return self._state.missed == EndEffectorState.STATE_TRUE

    def error(self) -> bool:
        """Whether the gripper is in an error state; a reset may clear it."""
        return self._state.error == EndEffectorState.STATE_TRUE

    def position(self) -> float:
        """Percent of the travel, 0 closed."""
        return self._state.position

    def force(self) -> float:
        """Percent of the maximum force."""
        return self._state.force

    @_only_for("suction")
    def vacuum_sensor(self) -> float:
        """Percent of the sensor's range."""
        return self._suction("vacuum sensor") / 255.0 * 100.0

    @_only_for("suction")
    def vacuum(self) -> bool:
        """Whether something is held."""
        return self._suction("vacuum")

    @_only_for("suction")
    def blowing(self) -> bool:
        """Whether it blows."""
        return self._suction("blowing")

    @_only_for("suction")
    def sucking(self) -> bool:
        """Whether it sucks."""
        return self._suction("sucking")

    def _suction(self, key: str) -> Any:
        return json.loads(self._state.state)[key]

    # --- properties --------------------------------------------------------------------------------------------------

    def has_force(self) -> bool:
        """Whether the gripper controls force."""
        return self._properties.controls_force

    def has_position(self) -> bool:
        """Whether the gripper controls position."""
        return self._properties.controls_position

    def type(self) -> Optional[str]:
        """``electric``, ``suction`` or ``custom``; None while it is unknown."""
        return _TYPES.get(self._properties.ui_type)

    def hardware_id(self) -> int:
        """The id that commands must carry."""
        return self._state.id

    def hardware_name(self) -> str:
        """The product's name."""
        return self._properties.product

    def firmware_build_date(self) -> str:
        """When the firmware was built."""
        return self._properties.firmware_date

    def firmware_version(self) -> str:
        """The firmware's revision."""
        return self._properties.firmware_rev


def _fields(message, *types: str) -> Tuple[str, ...]:
    return tuple(name for name, kind in zip(message.__slots__, message._slot_types) if kind in types)
