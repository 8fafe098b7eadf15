"""ArUco markers: their settings, what they look like, and where they are in a picture."""

from dataclasses import dataclass
from typing import Optional, Tuple

import cv2
import numpy as np
from pydantic import Field, field_validator

from grasp_learning.calibration import Pose
from grasp_learning.config import Settings

QUIET_ZONE = 1  # modules of white around the black square, without which it is not found
_REFINE_HALF_WINDOW = 5  # px

# T_gripper_marker: the plate stands on the gripper's side away from the wrist camera, its print facing away from the
# fingers, and reaches beyond their tips, so that nothing of the hand is before it.
DEFAULT_MOUNT = Pose(translation=[-0.03, 0.0, 0.05], rotation_xyzw=[0.5, -0.5, -0.5, 0.5])


class MarkerSettings(Settings):
    """One marker.

    Attributes:
        dictionary: of OpenCV, without its prefix DICT_.
        id: number in the dictionary.
        size: side of the black square (m), measured on the print.
    """

    dictionary: str = "4X4_50"
    id: int = Field(0, ge=0)
    size: float = Field(0.10, gt=0.01, le=1.0)

    @field_validator("dictionary")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if not hasattr(cv2.aruco, f"DICT_{value}"):
            raise ValueError("expected one of OpenCV's dictionaries, such as 4X4_50 or 5X5_100")
        return value

    @field_validator("id")
    @classmethod
    def _is_in_dictionary(cls, value: int, info) -> int:
        if "dictionary" in info.data:
            count = len(cv2.aruco.getPredefinedDictionary(_number(info.data["dictionary"])).bytesList)
            if value >= count:
                raise ValueError(f"expected less than {count}, the number of markers in {info.data['dictionary']}")
        return value

    @property
    def modules(self) -> int:
        """Modules (black or white cells) along a side of the black square."""
        return cv2.aruco.getPredefinedDictionary(_number(self.dictionary)).markerSize + 2

    @property
    def plate_size(self) -> float:
        """Side of the white plate that the marker needs (m)."""
        return self.size * (self.modules + 2 * QUIET_ZONE) / self.modules

    @property
    def corners(self) -> np.ndarray:
        """(4, 3) corners of the black square in the marker's frame (m), in OpenCV's order.

        The frame has its origin in the middle, x to the right, y up, z out of the print towards who looks at it.
        """
        half = self.size / 2
        return np.array([[-half, half, 0.0], [half, half, 0.0], [half, -half, 0.0], [-half, -half, 0.0]])


@dataclass(frozen=True)
class Sighting:
    """What was found in a picture.

    Attributes:
        corners: (4, 2) pixels (u, v) in the order of :attr:`MarkerSettings.corners`; None where it was not seen.
        reason: where it was not seen, what was seen instead.
    """

    corners: Optional[np.ndarray]
    reason: str = ""


class MarkerDetector:
    """Finds one marker in pictures, its corners to a fraction of a pixel."""

    def __init__(self, marker: MarkerSettings):
        self._marker = marker
        parameters = cv2.aruco.DetectorParameters()
        parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
        parameters.cornerRefinementWinSize = _REFINE_HALF_WINDOW
        parameters.cornerRefinementMaxIterations = 50
        parameters.cornerRefinementMinAccuracy = 0.01
        dictionary = cv2.aruco.getPredefinedDictionary(_number(marker.dictionary))
        self._detector = cv2.aruco.ArucoDetector(dictionary, parameters)

    def find(self, image: np.ndarray) -> Sighting:
        """Look for the marker in a picture: (rows, columns, 3) BGR or (rows, columns) grey, uint8."""
        grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        found, ids, _ = self._detector.detectMarkers(grey)
        numbers = [] if ids is None else [int(number) for number in ids.ravel()]
        mine = [corners for corners, number in zip(found, numbers) if number == self._marker.id]
        if len(mine) == 1:
            return Sighting(mine[0].reshape(4, 2).astype(float))
        if mine:
            return Sighting(None, f"{len(mine)} markers with id {self._marker.id}; take all but one away")
        others = f"; it shows id {', '.join(map(str, sorted(numbers)))}" if numbers else ""
        return Sighting(None, f"no marker {self._marker.dictionary} with id {self._marker.id} in the picture{others}")


def draw_marker(marker: MarkerSettings, module_px: int) -> np.ndarray:
    """The marker on its white plate, upright: a square of uint8 grey levels.

    Args:
        module_px: side of a module (px).
    """
    dictionary = cv2.aruco.getPredefinedDictionary(_number(marker.dictionary))
    inner = cv2.aruco.generateImageMarker(dictionary, marker.id, marker.modules * module_px)
    return np.pad(inner, QUIET_ZONE * module_px, constant_values=255)


def marker_pose(camera, marker: MarkerSettings, corners: np.ndarray) -> Tuple[np.ndarray, float]:
    """T_camera_marker (4, 4) of one picture, and the error (px, rms) with which it explains the corners (4, 2).

    A flat marker seen from afar has two poses that look alike; this is the likelier one.
    """
    count, rotations, translations, errors = cv2.solvePnPGeneric(
        marker.corners, corners.reshape(4, 1, 2), camera.K, camera.D, flags=cv2.SOLVEPNP_IPPE_SQUARE
    )
    best = int(np.argmin(np.ravel(errors)[:count]))
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = cv2.Rodrigues(rotations[best])[0], translations[best].ravel()
    return T, float(np.ravel(errors)[best])


def _number(dictionary: str) -> int:
    return getattr(cv2.aruco, f"DICT_{dictionary}")
