"""Where the Kinect is and where the table is: the calibration file of a robot, and how good and how old it is."""

from datetime import datetime, timezone
from pathlib import Path
from typing import Dict, List, Optional

import numpy as np
import yaml
from pydantic import Field, ValidationInfo, field_validator
from scipy.spatial.transform import Rotation

from grasp_learning.config import Settings, load_settings
from grasp_learning.durable import write_atomically
from grasp_learning.geometry import transform

QUATERNION_TOLERANCE = 1e-2  # of the length: files hold three or more decimals


class Pose(Settings):
    """A pose: translation (m) and unit quaternion (x, y, z, w)."""

    translation: List[float] = Field(min_length=3, max_length=3)
    rotation_xyzw: List[float] = Field(min_length=4, max_length=4)

    @field_validator("rotation_xyzw")
    @classmethod
    def _of_unit_length(cls, value: List[float]) -> List[float]:
        # a length that is far off is a typing error, which normalising would turn into another rotation
        length = float(np.linalg.norm(value))
        if abs(length - 1.0) > QUATERNION_TOLERANCE:
            raise ValueError(f"expected a unit quaternion (x, y, z, w), its length is {length:.4g}")
        return value

    @property
    def matrix(self) -> np.ndarray:
        """(4, 4) transform."""
        return transform(Rotation.from_quat(self.rotation_xyzw).as_matrix(), self.translation)


class Table(Settings):
    """The table's upper face in the base frame (m)."""

    z: float = Field(ge=-1.0, le=1.0)
    x_min: float
    x_max: float
    y_min: float
    y_max: float

    @field_validator("x_max", "y_max")
    @classmethod
    def _above_minimum(cls, value: float, info: ValidationInfo) -> float:
        name = info.field_name.replace("max", "min")
        if name in info.data and value <= info.data[name]:
            raise ValueError(f"expected more than {name}, which is {info.data[name]:g}")
        return value


class Measured(Settings):
    """When something was measured.

    Attributes:
        date: ISO 8601 with time zone, such as 2027-03-01T09:30:00+00:00.
    """

    date: str

    @field_validator("date", mode="before")
    @classmethod
    def _is_date(cls, value) -> str:
        # YAML reads a date that stands without quotes as one
        text = value.isoformat() if isinstance(value, datetime) else str(value)
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError("expected a date and time such as '2027-03-01T09:30:00+00:00'") from None
        return (when if when.tzinfo else when.replace(tzinfo=timezone.utc)).isoformat()

    @property
    def when(self) -> datetime:
        """The date."""
        return datetime.fromisoformat(self.date)


class CameraMeasured(Measured):
    """A camera's pose, measured with a marker.

    Attributes:
        arm: that moved.
        poses, used: in which the marker was seen, and which agree.
        rms_px, rms: residual of the marker's corners in the picture (px) and at the marker (m).
        position_std, rotation_std: standard deviation that the residuals leave to the camera's pose (m, rad).
    """

    arm: str
    poses: int = Field(ge=0)
    used: int = Field(ge=0)
    rms_px: float = Field(ge=0)
    rms: float = Field(ge=0)
    position_std: float = Field(ge=0)
    rotation_std: float = Field(ge=0)


class WristMeasured(CameraMeasured):
    """A wrist camera's mount, measured with a marker on the table.

    Attributes:
        position_off, rotation_off: how far the mount is from the robot's description (m, rad).
    """

    position_off: float = Field(ge=0)
    rotation_off: float = Field(ge=0)


class TableMeasured(Measured):
    """The table's height.

    Attributes:
        method: "depth" or "touch".
        points: measured ones.
        rms: their distance from the plane (m).
        tilt: of the plane (rad).
    """

    method: str
    points: int = Field(ge=0)
    rms: float = Field(ge=0)
    tilt: float = Field(ge=0)


class Measurements(Settings):
    """What was measured; a part that is None was not.

    Attributes:
        kinect: T_base_kinect.
        table: the table's z.
        left_wrist, right_wrist: the mounts of the wrist cameras, which are checked, not used.
    """

    kinect: Optional[CameraMeasured] = None
    table: Optional[TableMeasured] = None
    left_wrist: Optional[WristMeasured] = None
    right_wrist: Optional[WristMeasured] = None


class Calibration(Settings):
    """Contents of ``config/calibration/<robot>.yaml``.

    Attributes:
        T_base_kinect: pose of the Kinect's colour optical frame in the base frame.
        table: the table's upper face.
        measured: how the two were measured; None for one that nobody measured, as that of the simulation.
    """

    T_base_kinect: Pose
    table: Table
    measured: Optional[Measurements] = None

    def age(self, now: Optional[datetime] = None) -> Optional[float]:
        """Seconds since the older of the Kinect's and the table's measurement; None where one was never measured.

        Args:
            now: with time zone; None is the present. Before the measurement (a wrong clock) the age is negative.
        """
        parts = [] if self.measured is None else [self.measured.kinect, self.measured.table]
        if not parts or None in parts:
            return None
        return max(((now or datetime.now(timezone.utc)) - part.when).total_seconds() for part in parts)

    def residuals(self) -> Dict[str, float]:
        """Residuals (m, rms) of what was measured, by its name: kinect, table, left_wrist, right_wrist."""
        parts = {} if self.measured is None else dict(self.measured)
        return {name: part.rms for name, part in parts.items() if part is not None}

    def contents(self) -> Dict:
        """The file's contents as plain values, without what was not measured."""
        return self.model_dump(exclude_none=True)


def pose_of(T: np.ndarray) -> Pose:
    """A (4, 4) transform as a pose, to a micrometre and a microradian."""
    rotation = Rotation.from_matrix(T[:3, :3]).as_quat()
    return Pose(translation=T[:3, 3].round(6).tolist(), rotation_xyzw=rotation.round(7).tolist())


def load_calibration(path) -> Calibration:
    """Read a calibration file.

    Raises:
        ConfigError: it is missing or malformed; the message names the file and the key.
    """
    return load_settings(Calibration, path)


_HEADER = """\
# Calibration of a workcell, written by calibrate.launch; docs/calibration.md says what residuals are good.
# T_base_kinect: pose of the Kinect's colour optical frame (z forward, x right, y down) in Baxter's base frame (m).
# table: its upper face in the base frame (m). measured: dates and residuals in m, rad and px.
"""


def save_calibration(calibration: Calibration, path) -> None:
    """Write a calibration file, whole or not at all.

    Raises:
        OSError: it cannot be written; an older file is as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = _HEADER + yaml.safe_dump(calibration.contents(), sort_keys=False, default_flow_style=None)
    write_atomically(path, path.with_name(f".{path.name}.part"), text.encode())
