"""The electric gripper: calibration, position moves with a force limit, and what it feels."""

import functools
import json
import sys
import time
from typing import Any, Callable, Dict, Optional

import rospy
from baxter_core_msgs.msg import EndEffectorCommand, EndEffectorProperties, EndEffectorState

from baxter_interface import settings
from baxter_interface.waiting import wait_for

_MAX_SEQUENCE = 0x7FFFFFFF
_TYPES = {
    EndEffectorProperties.SUCTION_CUP_GRIPPER: "suction",
    EndEffectorProperties.ELECTRIC_GRIPPER: "electric",
    EndEffectorProperties.PASSIVE_GRIPPER: "custom",
}
_DEFAULT_PARAMETERS = {"velocity": 50.0, "moving_force": 40.0, "holding_force": 30.0, "dead_zone": 5.0}
_DATE_FORMAT = "%Y/%m/%d %H:%M:%S"


def _electric_only(method: Callable) -> Callable:
    """Other grippers get a warning in place of the command; this stand-in drives electric grippers."""

    @functools.wraps(method)
    def checked(self, *args, **kwargs):
        if self.type() != "electric":
            rospy.logwarn("%s: a %s gripper cannot do '%s'", self.name, self.type(), method.__name__)
            return None
        return method(self, *args, **kwargs)

    return checked


def _percent(value: float) -> float:
    return max(0.0, min(100.0, value))


class Gripper:
    """Interface to the gripper of the arm ``left`` or ``right``; configures it with default parameters.

    Args:
        versioned: end the program (exit code 1) if the gripper's firmware is too old for this SDK.

    Raises:
        OSError: ETIMEDOUT, when no state, or no properties of a known type, arrive within five seconds.
    """

    def __init__(self, gripper: str, versioned: bool = False):
        self.name = gripper + "_gripper"
        self._sequence = 0
        self._parameters: Dict[str, float] = {}
        self._state: Optional[EndEffectorState] = None
        self._properties = EndEffectorProperties()

        ns = f"robot/end_effector/{self.name}/"
        self._cmd_pub = rospy.Publisher(ns + "command", EndEffectorCommand, queue_size=10)
        self._state_sub = rospy.Subscriber(ns + "state", EndEffectorState, self._on_state)
        self._prop_sub = rospy.Subscriber(ns + "properties", EndEffectorProperties, self._on_properties)
        wait_for(lambda: self._state is not None, timeout=5.0, timeout_msg=f"Failed to get state from {ns}state")
        missing = f"Failed to get properties from {ns}properties"
        wait_for(lambda: self.type() is not None, timeout=5.0, timeout_msg=missing)
        if versioned and self.type() == "electric" and not self.version_check():
            sys.exit(1)
        self.set_parameters(defaults=True)

    def _on_state(self, msg: EndEffectorState) -> None:
        self._state = msg

    def _on_properties(self, msg: EndEffectorProperties) -> None:
        self._properties = msg

    def version_check(self) -> bool:
        """Whether the electric gripper's firmware is new enough; warns of one that is merely old."""
        if self.type() != "electric":
            return True
        limits = settings.VERSIONS_SDK2GRIPPER[settings.SDK_VERSION]
        text = self.firmware_build_date()
        try:
            built = time.strptime(text, _DATE_FORMAT)
        except ValueError:
            rospy.logerr("%s: the firmware's date %r is not of the form %s", self.name, text, _DATE_FORMAT)
            return False
        if built <= time.strptime(limits["fail"], _DATE_FORMAT):
            rospy.logerr("%s: the firmware of %s does not go with SDK %s", self.name, text, settings.SDK_VERSION)
            return False
        if built <= time.strptime(limits["warn"], _DATE_FORMAT):
            rospy.logwarn("%s: the firmware of %s is old for SDK %s", self.name, text, settings.SDK_VERSION)
        return True

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
        """The parameters this type of gripper has, with their defaults (percent)."""
        return dict(_DEFAULT_PARAMETERS) if self.type() == "electric" else {}

    def parameters(self) -> Dict[str, float]:
        """The parameters last sent (percent)."""
        return dict(self._parameters)

    @_electric_only
    def set_parameters(self, parameters: Optional[Dict[str, float]] = None, defaults: bool = False) -> bool:
        """Send parameters of moves: velocity, moving_force, holding_force, dead_zone (percent).

        Args:
            defaults: start from the defaults; otherwise from the parameters last sent.
        """
        valid = self.valid_parameters()
        if defaults:
            self._parameters = dict(valid)
        for key, value in (parameters or {}).items():
            if key in valid:
                self._parameters[key] = value
            else:
                rospy.logwarn("%s: unknown parameter '%s', expected one of %s", self.name, key, ", ".join(valid))
        return self.command(EndEffectorCommand.CMD_CONFIGURE, args=self._parameters)

    def set_velocity(self, velocity: float) -> None:
        """Set the speed of position moves (percent, default 50)."""
        self.set_parameters({"velocity": _percent(velocity)})

    def set_moving_force(self, force: float) -> None:
        """Set the force above which a position move stops (percent, default 40)."""
        self.set_parameters({"moving_force": _percent(force)})

    def set_holding_force(self, force: float) -> None:
        """Set the force applied after a position move (percent, default 30)."""
        self.set_parameters({"holding_force": _percent(force)})

    def set_dead_band(self, dead_band: float) -> None:
        """Set the position error within which a move counts as done (percent, default 5)."""
        self.set_parameters({"dead_zone": _percent(dead_band)})

    @_electric_only
    def reset(self, block: bool = True, timeout: float = 2.0) -> bool:
        """Clear errors; blocks until there is none and the gripper is ready."""

        def done() -> bool:
            return self._state.error == 0 and self.ready()

        return self.command(EndEffectorCommand.CMD_RESET, block, test=done, timeout=timeout)

    @_electric_only
    def reboot(self, timeout: float = 5.0, delay_check: float = 0.1) -> bool:
        """Power-cycle the gripper, which loses its calibration, and clear an error that is there afterwards.

        Args:
            timeout: s for the reboot and again for the reset.
            delay_check: s after the reboot at which to look for an error.
        """

        def done() -> bool:
            return self._state.enabled == 1 and self.ready()

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

    @_electric_only
    def clear_calibration(self, block: bool = True, timeout: float = 2.0) -> bool:
        """Forget the calibration; position moves need a new one."""

        def done() -> bool:
            return self._state.calibrated == 0 and self.ready()

        return self.command(EndEffectorCommand.CMD_CLEAR_CALIBRATION, block, test=done, timeout=timeout)

    @_electric_only
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

    @_electric_only
    def stop(self, block: bool = True, timeout: float = 5.0) -> bool:
        """Stop where the fingers are and hold with the holding force."""

        def done() -> bool:
            return self._state.moving == 0

        return self.command(EndEffectorCommand.CMD_STOP, block, test=done, timeout=timeout)

    @_electric_only
    def command_position(self, position: float, block: bool = False, timeout: float = 5.0) -> bool:
        """Move the fingers; over when they are within the dead zone, or grip something.

        Args:
            position: 0 closed, 100 open.

        Returns:
            False at once, with a warning, while the gripper is not calibrated.
        """
        if not self.calibrated():
            rospy.logwarn("%s: position moves need a calibration first", self.name)
            return False

        def done() -> bool:
            return abs(self._state.position - position) < self._parameters["dead_zone"] or self.gripping()

        args = {"position": _percent(position)}
        return self.command(EndEffectorCommand.CMD_GO, block, test=done, timeout=timeout, args=args)

    def open(self, block: bool = False, timeout: float = 5.0) -> bool:
        """Open the fingers all the way."""
        return self.command_position(100.0, block=block, timeout=timeout)

    def close(self, block: bool = False, timeout: float = 5.0) -> bool:
        """Close the fingers until they meet something."""
        return self.command_position(0.0, block=block, timeout=timeout)

    # The flags are tri-state; unknown (2) counts as False.

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
