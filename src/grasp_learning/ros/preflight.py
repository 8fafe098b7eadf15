"""The start-up checks over ROS, and the command `rosrun grasp_learning preflight` that prints them."""

import argparse
import datetime
import sys
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence

import rosgraph
import rospy
import yaml
from baxter_core_msgs.msg import EndEffectorState
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from grasp_learning.config import ConfigError, load_settings
from grasp_learning.execution.faults import SensorFault
from grasp_learning.execution.task import Task
from grasp_learning.preflight import (
    Check,
    PreflightSettings,
    check_calibration,
    check_camera,
    check_disk,
    check_enabled,
    check_estop,
    check_gripper,
    check_joints,
    check_software,
    refusals,
)
from grasp_learning.robot_description import find_package_file
from grasp_learning.ros.calls import Deadline
from grasp_learning.ros.camera_client import CameraTimeouts, FreshImage, KinectTopics
from grasp_learning.ros.clock import RosClock
from grasp_learning.ros.feeds import JointFeed, Newest, robot_state_feed
from grasp_learning.trial import ARMS

WRIST = ("/cameras/{arm}_hand_camera/image", "/cameras/{arm}_hand_camera/camera_info")


class Preflight:
    """Takes the readings and has them judged. Nothing moves.

    Subscribers, only while it looks: robot/state, robot/joint_states, the grippers' states, the cameras' topics.
    Parameter read: rethink/software_version.

    Args:
        arms: those that collect.
        ages: the calibration, as that of a real robot does.
        calibration: file. data: folder of the collection. least_gb: that must be free there (GB).
        kinect: where its pictures come from. depth: those of its depth are wanted, too.
    """

    def __init__(
        self,
        settings: PreflightSettings,
        arms: Sequence[str],
        ages: bool,
        calibration: str,
        data: str,
        least_gb: float,
        kinect: KinectTopics,
        depth: bool,
    ):
        self._settings, self._arms = settings, tuple(arms)
        self._ages, self._calibration, self._data, self._least_gb = ages, calibration, data, least_gb
        self._kinect, self._depth = kinect, depth

    def run(self, will_prepare: bool) -> List[Check]:
        """All checks.

        Args:
            will_prepare: arm_executor is yet to switch the motors on and to calibrate the grippers.
        """
        pictures = {name: Task(grab, name) for name, grab in self._cameras().items()}
        clock = RosClock(self._settings.timeout)
        state, joints = robot_state_feed(clock), JointFeed(clock)
        topics = {arm: f"robot/end_effector/{arm}_gripper/state" for arm in self._arms}
        grippers = {arm: Newest(clock, topic, EndEffectorState) for arm, topic in topics.items()}
        feeds = [state, *grippers.values()]
        Deadline(None, self._settings.timeout).wait(
            lambda: joints.positions("left") is not None and all(feed.message is not None for feed in feeds)
        )
        checks = [
            check_software(rospy.get_param("rethink/software_version", None), self._settings.software),
            check_estop(state.message),
            check_enabled(state.message, will_prepare),
            check_joints(_delay(joints)),
            *[check_gripper(arm, feed.message, will_prepare) for arm, feed in grippers.items()],
            *[self._judge(name, task) for name, task in pictures.items()],
            check_calibration(self._calibration, _now(), self._settings.calibration_days, self._ages),
            check_disk(self._data, self._least_gb),
        ]
        for feed in feeds:
            feed.close()
        joints.close()
        return checks

    def _cameras(self) -> Dict[str, Callable]:
        timeouts = CameraTimeouts(ros=self._settings.timeout, wall=3.0 * self._settings.timeout)
        cameras = {"Kinect": self._kinect.pictures(timeouts, self._depth)}
        for arm in self._arms:
            cameras[f"{arm} wrist camera"] = FreshImage(*[topic.format(arm=arm) for topic in WRIST], timeouts=timeouts)
        return {name: camera.grab for name, camera in cameras.items()}

    def _judge(self, name: str, task: Task) -> Check:
        if not task.wait(4.0 * self._settings.timeout):
            return check_camera(name, "no answer")
        try:
            frame = task.result()
        except SensorFault as error:
            return check_camera(name, str(error))
        return check_camera(name, "", f"{frame.image.shape[1]} x {frame.image.shape[0]}")


def kinect_topics(roi_sampler: Mapping) -> KinectTopics:
    """Where roi_sampler takes the Kinect's pictures from.

    Args:
        roi_sampler: its parameters, of which some may be missing.
    """
    return KinectTopics(**{key: roi_sampler[key] for key in KinectTopics.model_fields if key in roi_sampler})


def _delay(joints: JointFeed) -> Optional[float]:
    """How far the newest joint states' stamp lies behind (s); None where none came."""
    if joints.positions("left") is None:
        return None
    # one simulated clock is never ahead of itself; its messages may only be under way for longer
    return joints.delay() if rospy.rostime.is_wallclock() else max(joints.delay(), 0.0)


def to_diagnostics(checks: Sequence[Check]) -> DiagnosticArray:
    """For /diagnostics, where rqt_robot_monitor shows it."""
    message = DiagnosticArray()
    message.header.stamp = rospy.get_rostime()
    message.status = [
        DiagnosticStatus(level=int(check.level), name=f"grasp_learning: {check.name}", message=check.message)
        for check in checks
    ]
    return message


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Print the checks.

    Returns:
        Exit status: 0 where all hold, 1 where one fails, 2 for wrong usage, 130 after Ctrl-C.
    """
    arguments = _parse(rospy.myargv(sys.argv)[1:] if argv is None else argv)
    try:
        settings = load_settings(PreflightSettings, arguments.settings or find_package_file("config/preflight.yaml"))
        robot = robot_file(arguments.robot)
    except ConfigError as error:
        print(f"preflight: {error}", file=sys.stderr)
        return 1
    if not rosgraph.is_master_online():
        print(f"preflight: no ROS master at {rosgraph.get_master_uri()}; check ROS_MASTER_URI", file=sys.stderr)
        return 1
    rospy.init_node("preflight", anonymous=True, disable_signals=True, log_level=rospy.WARN)
    try:
        # under a simulated clock no time passes before the first /clock
        Deadline(None, settings.timeout).wait(lambda: rospy.get_time() > 0.0)
        arms = ARMS if arguments.arms == "both" else (arguments.arms,)
        sampler, ages = robot.get("roi_sampler", {}), not robot["collector"].get("simulator")
        depth = sampler.get("use_depth", True) and not arguments.no_depth
        where = (ages, arguments.calibration, arguments.data, arguments.free_gb)
        checks = Preflight(settings, arms, *where, kinect_topics(sampler), depth).run(False)
    except KeyboardInterrupt:
        return 130
    for check in checks:
        print(check.line)
    failed = refusals(checks)
    print(f"{len(failed)} of {len(checks)} checks failed" if failed else f"all {len(checks)} checks hold")
    return 1 if failed else 0


def robot_file(name: str) -> Dict:
    """Contents of config/robots/NAME.yaml.

    Raises:
        ConfigError: there is no such robot.
    """
    try:
        return yaml.safe_load(Path(find_package_file(f"config/robots/{name}.yaml")).read_text())
    except FileNotFoundError:
        raise ConfigError(f"--robot: there is no config/robots/{name}.yaml") from None


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="preflight", description="Check a robot before it collects; nothing moves.")
    parser.add_argument("--robot", default="baxter", help="baxter, sim or gazebo (default %(default)s)")
    parser.add_argument("--arms", choices=("both", *ARMS), default="both")
    data = str(Path.home() / "grasp_data")
    parser.add_argument("--data", default=data, help="where the collection goes (default %(default)s)")
    parser.add_argument("--free-gb", type=float, default=1.0, help="GB that must be free there (default %(default)s)")
    parser.add_argument("--calibration", help="file (default: config/calibration/ROBOT.yaml of the package)")
    parser.add_argument("--no-depth", action="store_true", help="the Kinect's depth is not used")
    parser.add_argument("--settings", help="file in the place of config/preflight.yaml")
    arguments = parser.parse_args(argv)
    if arguments.calibration is None:
        try:
            arguments.calibration = str(find_package_file(f"config/calibration/{arguments.robot}.yaml"))
        except FileNotFoundError:
            arguments.calibration = f"config/calibration/{arguments.robot}.yaml"
    return arguments
