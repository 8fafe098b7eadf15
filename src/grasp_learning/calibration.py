"""Where the Kinect is and where the table is: the calibration file of a robot."""

import datetime
from typing import List, Optional

import numpy as np
from pydantic import Field, ValidationInfo, field_validator
from scipy.spatial.transform import Rotation

from grasp_learning.config import Settings, load_settings
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


class Calibration(Settings):
    """Contents of ``config/calibration/<robot>.yaml``.

    Attributes:
        T_base_kinect: pose of the Kinect's colour optical frame in the base frame.
        table: the table's upper face.
        date: when it was measured (UTC unless it says otherwise); None in simulation, where it is true by construction.
    """

    T_base_kinect: Pose
    table: Table
    date: Optional[datetime.datetime] = None


def load_calibration(path) -> Calibration:
    """Read a calibration file.

    Raises:
        ConfigError: it is missing or malformed; the message names the file and the key.
    """
    return load_settings(Calibration, path)
