"""Switch the robot's motors on and off, and reset it after a stop."""

import errno
import re
import sys
import threading
from typing import Optional

import rospy
from baxter_core_msgs.msg import AssemblyState
from baxter_dataflow import wait_for
from std_msgs.msg import Bool, Empty

from baxter_interface import settings


class RobotEnable:
    """Interface to the robot's enable state.

    Args:
        versioned: end the program (exit code 1) unless the robot's software goes with this SDK.

    Raises:
        OSError: ETIMEDOUT, when no robot state arrives within two seconds.
    """

    param_lock = threading.Lock()  # parameter calls of one process must not overlap

    def __init__(self, versioned: bool = False):
        self._state: Optional[AssemblyState] = None
        topic = "robot/state"
        self._state_sub = rospy.Subscriber(topic, AssemblyState, self._on_state)
        if versioned and not self.version_check():
            sys.exit(1)
        wait_for(lambda: self._state is not None, timeout=2.0, timeout_msg=f"Failed to get robot state on {topic}")

    def _on_state(self, msg: AssemblyState) -> None:
        self._state = msg

    def state(self) -> AssemblyState:
        """The last state the robot sent."""
        return self._state

    def enable(self) -> None:
        """Switch the motors on; a stopped robot is reset first.

        Raises:
            OSError: ETIMEDOUT after two seconds; what :meth:`reset` raises.
        """
        if self._state.stopped:
            rospy.loginfo("The robot is stopped: resetting it")
            self.reset()
        self._toggle(True, timeout=2.0)

    def disable(self) -> None:
        """Switch the motors off.

        Raises:
            OSError: ETIMEDOUT after five seconds.
        """
        self._toggle(False, timeout=5.0)

    def _toggle(self, enabled: bool, timeout: float) -> None:
        publisher = rospy.Publisher("robot/set_super_enable", Bool, queue_size=10)
        wait_for(
            lambda: self._state.enabled == enabled,
            timeout=timeout,
            timeout_msg=f"Failed to {'enable' if enabled else 'disable'} robot",
            body=lambda: publisher.publish(enabled),
        )
        rospy.loginfo("Robot %s", "enabled" if enabled else "disabled")

    def reset(self) -> Optional[bool]:
        """Clear faults and the stopped state; leaves the motors off.

        Returns:
            False when the stop was cleared but an error stays; otherwise None.

        Raises:
            OSError: EREMOTEIO while the e-stop button is pressed; ETIMEDOUT after three seconds.
        """
        if self._state.stopped and self._state.estop_button == AssemblyState.ESTOP_BUTTON_PRESSED:
            rospy.logfatal("The e-stop button is pressed: release it, then reset the robot")
            raise OSError(errno.EREMOTEIO, "Failed to reset: the e-stop button is pressed")
        publisher = rospy.Publisher("robot/set_super_reset", Empty, queue_size=10)
        message = "Failed to reset robot; check ROS_IP or ROS_HOSTNAME"
        try:
            wait_for(self._is_reset, timeout=3.0, timeout_msg=message, body=publisher.publish)
        except OSError as error:
            if error.errno == errno.ETIMEDOUT and self._state.error and not self._state.stopped:
                rospy.logwarn("The robot can be enabled, but an error that is not fatal stays; see its diagnostics")
                return False
            raise
        return None

    def _is_reset(self) -> bool:
        state = self._state
        return not (state.enabled or state.stopped or state.error or state.estop_button or state.estop_source)

    def stop(self) -> None:
        """Stop the robot as the e-stop button does; :meth:`reset` ends it.

        Raises:
            OSError: ETIMEDOUT after three seconds.
        """
        publisher = rospy.Publisher("robot/set_super_stop", Empty, queue_size=10)
        wait_for(
            lambda: self._state.stopped, timeout=3.0, timeout_msg="Failed to stop the robot", body=publisher.publish
        )

    def version_check(self) -> bool:
        """Whether the first three numbers of ``rethink/software_version`` go with this SDK.

        Raises:
            TypeError: the parameter is no string.
        """
        name = "rethink/software_version"
        with self.param_lock:
            version = rospy.get_param(name, None)
        if not version:
            rospy.logwarn("The robot's version is not in the parameter %s; is this the robot's ROS master?", name)
            return False
        match = re.match(r"\d+\.\d+\.\d+", version)
        if match is None:
            rospy.logwarn("The robot's version %r in %s is malformed", version, name)
            return False
        if match.group() not in settings.VERSIONS_SDK2ROBOT[settings.SDK_VERSION]:
            rospy.logerr("The robot's software %s does not go with SDK %s", match.group(), settings.SDK_VERSION)
            return False
        return True
