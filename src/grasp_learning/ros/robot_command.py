"""The command `rosrun grasp_learning baxter`: look at a Baxter and its grippers, switch them on, open and close them.

Rethink's own programs for that, enable_robot.py and gripper_keyboard.py, are written for Python 2.
"""

import argparse
import sys
import time
from typing import Any, Optional, Sequence

import rosgraph
import rospy

from grasp_learning.execution.faults import RobotFault
from grasp_learning.execution.hand import bounded
from grasp_learning.ros.calls import Deadline, sdk_task
from grasp_learning.trial import ARMS

ROBOT = {
    "state": "tell whether it is enabled, stopped, in error",
    "enable": "switch the motors on; after an emergency stop `reset` comes first",
    "disable": "switch them off: the arms sink",
    "reset": "after an emergency stop whose button was released, or an error",
    "stop": "stop it as the button does; `reset` ends that",
}
GRIPPER = {
    "state": "tell position, force, and whether it is calibrated",
    "calibrate": "find the ends of its way: the fingers move, keep them free",
    "open": "open the fingers",
    "close": "close them, on what is between them",
}


def describe_robot(state: Any) -> str:
    """An AssemblyState in a line."""
    button = {state.ESTOP_BUTTON_UNPRESSED: "released", state.ESTOP_BUTTON_PRESSED: "pressed"}
    return (
        f"{'enabled' if state.enabled else 'disabled'}, {'stopped' if state.stopped else 'not stopped'}, "
        f"{'in error' if state.error else 'no error'}, emergency stop {button.get(state.estop_button, 'unknown')}"
    )


def describe_gripper(arm: str, gripper: Any) -> str:
    """A gripper's state in a line."""
    calibrated = "calibrated" if gripper.calibrated() else "not calibrated"
    error = ", in error" if gripper.error() else ""
    return f"{arm} gripper: {calibrated}{error}, {gripper.position():.1f} % open, force {gripper.force():.1f} %"


def command_robot(enabler: Any, action: str, timeout: float) -> str:
    """Carry an action of ROBOT out; what the robot says then.

    Raises:
        RobotFault: it could not be done in time.
    """
    if action != "state":
        bounded(getattr(enabler, action), timeout, action, sdk_task)
    state = enabler.state()
    wanted = {"enable": state.enabled, "disable": not state.enabled, "reset": not (state.stopped or state.error)}
    if not wanted.get(action, True):
        raise RobotFault(f"{action} had no effect: {describe_robot(state)}")
    return describe_robot(state)


def command_gripper(arm: str, gripper: Any, action: str, timeout: float) -> str:
    """Carry an action of GRIPPER out; what the gripper says then.

    Raises:
        RobotFault: it could not be done in time.
    """
    if action == "calibrate":
        if not bounded(lambda: gripper.calibrate(timeout=timeout), 2.0 * timeout, action, sdk_task):
            raise RobotFault(f"the {arm} gripper could not be calibrated; is something between the fingers?")
    elif action in ("open", "close"):
        if not gripper.calibrated():
            raise RobotFault(f"the {arm} gripper is not calibrated: `baxter gripper {arm} calibrate` first")
        move = getattr(gripper, action)
        bounded(lambda: move(block=True, timeout=timeout), 2.0 * timeout, action, sdk_task)
    return describe_gripper(arm, gripper)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command.

    Returns:
        Exit status: 0; 1 where the robot did not do it; 2 for wrong usage; 130 after Ctrl-C.
    """
    arguments = _parse(rospy.myargv(sys.argv)[1:] if argv is None else argv)
    if not rosgraph.is_master_online():
        print(f"baxter: no ROS master at {rosgraph.get_master_uri()}; check ROS_MASTER_URI", file=sys.stderr)
        return 1
    rospy.init_node("baxter_command", anonymous=True, disable_signals=True, log_level=rospy.WARN)
    try:
        # under a simulated clock the SDK's deadlines begin at 0
        Deadline(None, arguments.timeout).wait(lambda: rospy.get_time() > 0.0)
        print(_run(arguments))
    except KeyboardInterrupt:
        return 130
    except RobotFault as error:
        print(f"baxter: {error}", file=sys.stderr)
        return 1
    return 0


def _run(arguments: argparse.Namespace) -> str:
    # imported here: the SDK reads the robot's parameters on import
    import baxter_interface

    timeout = arguments.timeout
    if arguments.what != "gripper":
        enabler = bounded(baxter_interface.RobotEnable, timeout, "finding the robot", sdk_task)
        return command_robot(enabler, arguments.what, timeout)
    arm = arguments.arm
    gripper = bounded(lambda: baxter_interface.Gripper(arm), timeout, f"finding the {arm} gripper", sdk_task)
    end = time.monotonic() + timeout
    while gripper.type() is None and time.monotonic() < end:
        time.sleep(0.05)
    return command_gripper(arm, gripper, arguments.action, timeout)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="baxter", description="Look at a Baxter, switch it on, move its fingers.")
    parser.add_argument("--timeout", type=float, default=10.0, help="for the robot's answer (s, default %(default)s)")
    whats = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    for name, text in ROBOT.items():
        whats.add_parser(name, help=text, description=text)
    gripper = whats.add_parser("gripper", help="of one arm: " + ", ".join(GRIPPER))
    gripper.add_argument("arm", choices=ARMS)
    actions = gripper.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, text in GRIPPER.items():
        actions.add_parser(name, help=text, description=text)
    return parser.parse_args(argv)
