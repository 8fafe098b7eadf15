"""What must hold before a robot collects: one check a thing, each with a level and a line for a person.

The functions judge readings that somebody else took (``grasp_learning.ros.preflight`` over ROS); they read files only.
"""

import datetime
import enum
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Sequence

from pydantic import Field

from grasp_learning.calibration import load_calibration
from grasp_learning.config import ConfigError, Settings

DAY = 86400.0  # s
AHEAD = 0.1  # s; joint states may seem to come from so far in the future, by two clocks that NTP keeps


class PreflightSettings(Settings):
    """Limits of the checks; config/preflight.yaml says what each key means."""

    timeout: float = Field(5.0, gt=0)
    calibration_days: float = Field(30.0, gt=0)
    software: List[str] = Field(["1.2.0"], min_length=1)


class Level(enum.IntEnum):
    """How a check ended, with the numbers of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


WORDS = {Level.OK: "ok", Level.WARN: "later", Level.ERROR: "FAILED"}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what.
        level: ERROR forbids to begin; WARN is put right once a person has allowed motion, and looked at again then.
        message: what was found, and where it is wrong what to do.
    """

    name: str
    level: Level
    message: str

    @property
    def line(self) -> str:
        """For a terminal."""
        return f"{WORDS[self.level]:<7} {self.name:<22} {self.message}"


def refusals(checks: Sequence[Check]) -> List[Check]:
    """Those that forbid to begin."""
    return [check for check in checks if check.level is Level.ERROR]


def check_software(version: Optional[str], supported: Sequence[str]) -> Check:
    """The robot's software goes with this SDK.

    Args:
        version: of the parameter rethink/software_version, such as "1.2.0.57"; None where there is none.
        supported: first three numbers of those that do.
    """
    name = "software version"
    if not version:
        return Check(name, Level.ERROR, "no parameter rethink/software_version; is ROS_MASTER_URI the robot's?")
    match = re.match(r"\d+\.\d+\.\d+", str(version))
    if match is None or match.group() not in supported:
        return Check(name, Level.ERROR, f"{version}; expected {' or '.join(supported)}: update the robot or the SDK")
    return Check(name, Level.OK, str(version))


def check_estop(state) -> Check:
    """The emergency stop is out, and no fault stopped the robot.

    Args:
        state: AssemblyState; None where none came.
    """
    name = "emergency stop"
    if state is None:
        return Check(name, Level.ERROR, "nothing on robot/state; is the robot on, and the network right?")
    if state.estop_button == state.ESTOP_BUTTON_PRESSED:
        return Check(name, Level.ERROR, "pressed; turn the button to release it, then enable the robot")
    if state.error:
        return Check(name, Level.ERROR, "the robot has an error; `rosrun grasp_learning baxter reset` ends that")
    return Check(name, Level.OK, "released")


def check_enabled(state, will_enable: bool) -> Check:
    """The motors are on.

    Args:
        state: as for check_estop.
        will_enable: arm_executor switches them on itself when it is started.
    """
    name = "enabled"
    if state is None:
        return Check(name, Level.ERROR, "nothing on robot/state")
    if state.enabled and not state.stopped:
        return Check(name, Level.OK, "motors are on")
    if will_enable:
        return Check(name, Level.WARN, "motors are off; they are switched on when motion is allowed")
    return Check(name, Level.ERROR, "motors are off; `rosrun grasp_learning baxter enable` switches them on")


def check_joints(age: Optional[float]) -> Check:
    """Joint states of both arms come.

    Args:
        age: of the newest by its stamp (s), negative for one from the future; None where none came.
    """
    name = "joint states"
    if age is None:
        return Check(name, Level.ERROR, "none on robot/joint_states; is the robot on?")
    if age > 1.0:
        return Check(name, Level.ERROR, f"{age:.1f} s old; synchronise the computers' clocks (NTP)")
    if age < -AHEAD:
        return Check(
            name,
            Level.ERROR,
            f"stamped {-age:.1f} s in the future; synchronise the robot's and this computer's clock (NTP)",
        )
    return Check(name, Level.OK, "they come")


def check_gripper(side: str, state, will_calibrate: bool) -> Check:
    """A gripper is there, without error, and calibrated.

    Args:
        state: EndEffectorState; None where none came.
        will_calibrate: arm_executor calibrates it itself when it is started.
    """
    name = f"{side} gripper"
    if state is None:
        return Check(name, Level.ERROR, "sends no state; is it attached?")
    if state.error == 1:
        return Check(name, Level.ERROR, "reports an error; look whether something blocks it, and reset it")
    if state.calibrated == 1:
        return Check(name, Level.OK, "calibrated")
    if will_calibrate:
        return Check(name, Level.WARN, "not calibrated; its fingers move for that when motion is allowed")
    return Check(name, Level.ERROR, "not calibrated; arm_executor's ~start calibrates it")


def check_camera(name: str, error: str, size: str = "") -> Check:
    """A camera sends fresh pictures with its calibration.

    Args:
        error: why none came; empty where one came.
        size: of the picture, for a person.
    """
    return Check(name, Level.ERROR, error) if error else Check(name, Level.OK, f"alive, {size}")


def check_calibration(path, now: datetime.datetime, most_days: float, measured: bool) -> Check:
    """The calibration file is there, makes sense and is fresh.

    Args:
        now: with a time zone.
        most_days: an older one is refused (days).
        measured: it is of a real robot, so that it must have been measured, and ages.
    """
    name = "calibration"
    try:
        age = load_calibration(path).age(now)
    except ConfigError as error:
        return Check(name, Level.ERROR, str(error).replace("\n", "; "))
    if not measured:
        return Check(name, Level.OK, f"{path}: of a simulation, which does not age")
    if age is None:
        return Check(name, Level.ERROR, f"{path}: Kinect or table were never measured; calibrate (docs/calibration.md)")
    days = age / DAY
    if days > most_days:
        return Check(name, Level.ERROR, f"{path} is {days:.0f} days old (at most {most_days:g}); calibrate again")
    if days < -1.0:
        return Check(name, Level.ERROR, f"{path} is from {-days:.0f} days in the future; set this computer's clock")
    return Check(name, Level.OK, f"{path}, {max(days, 0.0):.1f} days old")


def check_disk(folder, least_gb: float) -> Check:
    """There is room for the collection.

    Args:
        folder: of the collection; it need not exist yet.
        least_gb: GB that must be free.
    """
    name = "disk space"
    folder = Path(folder).expanduser().absolute()
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        free = shutil.disk_usage(nearest).free / 1e9
    except OSError as error:
        return Check(name, Level.ERROR, f"{nearest}: {error.strerror}")
    if free < least_gb:
        return Check(name, Level.ERROR, f"{free:.1f} GB free at {nearest}, {least_gb:g} GB wanted; free some space")
    return Check(name, Level.OK, f"{free:.0f} GB free at {nearest}")
