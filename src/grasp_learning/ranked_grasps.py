"""Ranked grasps for people and robots: a list to print, a picture to look at, poses to go to."""

from typing import TYPE_CHECKING, List, Optional, Sequence

import numpy as np

from grasp_learning import drawing
from grasp_learning.geometry import Camera, bin_to_angle, image_angle_to_base, top_down_pose
from grasp_learning.patches import patch_box

if TYPE_CHECKING:
    from grasp_learning.predictor.ranking import RankedPlace

TYPICAL_PATCH, TYPICAL_WIDTH = 378, 1280  # px, of Baxter's wrist camera with the fingertips 25 cm above the table


def typical_patch_side(width: int) -> int:
    """Side of a patch (px) in a picture of a width (px) of which neither camera nor distance are known.

    It has the share of the picture that patches have at the approach pose, where trials are recorded.
    """
    return max(1, round(width * TYPICAL_PATCH / TYPICAL_WIDTH))


def ranked_pose(
    place: "RankedPlace", camera: Camera, T_base_camera: np.ndarray, plane: float, height: float
) -> Optional[np.ndarray]:
    """T_base_gripper (4, 4) of a ranked grasp when its fingers close; None where the camera looks past the plane.

    Args:
        plane: height (m, base frame) at which the pixel's ray is met: half-way up what stands there.
        height: of the fingertips (m, base frame).
    """
    x, y, _ = camera.pixels_to_plane(np.array([[place.u, place.v]]), T_base_camera, plane)[0]
    if not np.isfinite([x, y]).all():
        return None
    return top_down_pose(float(x), float(y), height, image_angle_to_base(bin_to_angle(place.bin), T_base_camera))


def draw_ranked(image: np.ndarray, ranked: Sequence["RankedPlace"], side: int) -> np.ndarray:
    """A copy of a BGR picture with grasps, the best one on top, in green and red and with its patch; others in grey."""
    image = np.array(image)
    thickness = max(1, round(side / 126))
    for place in reversed(ranked[1:]):
        angle = float(bin_to_angle(place.bin))
        drawing.draw_grasp(image, place.u, place.v, angle, side, (190, 190, 190), max(1, thickness // 2))
    for place in ranked[:1]:
        left, top = patch_box(place.u, place.v, side)
        right, bottom = left + side - 1, top + side - 1
        drawing.draw_outline(image, [(left, top), (right, top), (right, bottom), (left, bottom)], (255, 255, 255), 1)
        drawing.draw_grasp(image, place.u, place.v, float(bin_to_angle(place.bin)), side, thickness=thickness)
        drawing.draw_text(image, f"{place.score:.2f}", left, max(top - 8, 20), (255, 255, 255))
    return image


def ranked_table(ranked: Sequence["RankedPlace"]) -> List[str]:
    """Lines of a table with all grasps, the best first."""
    lines = ["rank      u (px)   v (px)   angle (deg)   bin   score"]
    for number, place in enumerate(ranked, 1):
        angle = np.degrees(bin_to_angle(place.bin))
        lines.append(
            f"{number:4d}    {place.u:7.1f}  {place.v:7.1f}   {angle:9.0f}   {place.bin:5d}   {place.score:.3f}"
        )
    return lines
