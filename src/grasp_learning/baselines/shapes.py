"""Position, direction and width of segmented objects: eigenvectors of the covariance of their pixels."""

from dataclasses import dataclass
from typing import Sequence, Tuple

import cv2
import numpy as np
from tqdm import tqdm

from grasp_learning.baselines.segmentation import SegmentationSettings, distance_from_centre, object_mask
from grasp_learning.evaluation.patch_set import PatchSet
from grasp_learning.geometry import wrap_angle

WINDOWS = (1.0, 0.75, 0.5, 0.35)  # diameters of the disc around the centre that is looked at, in patch sides


@dataclass(frozen=True)
class Shapes:
    """What the heuristics know of n objects, each looked at through w windows.

    Attributes:
        found: (n, w) bool, whether there is an object.
        angles: (n, w) direction of the smallest eigenvector, across the object (rad, in [0, pi)).
        widths: (n, w, 2) across and along: the sides of a rectangle with the same eigenvalues, in patch sides.
    """

    found: np.ndarray
    angles: np.ndarray
    widths: np.ndarray


def shape_of(mask: np.ndarray) -> Tuple[float, np.ndarray]:
    """Direction across an object (rad, in [0, pi)) and its widths (2,) across and along, in sides of the mask.

    A rectangle of width a has the variance a^2 / 12; so widths are sqrt(12 x eigenvalue).

    Args:
        mask: (s, s) bool with at least one True.
    """
    moments = cv2.moments(mask.astype(np.uint8), binaryImage=True)
    covariance = np.array([[moments["mu20"], moments["mu11"]], [moments["mu11"], moments["mu02"]]]) / moments["m00"]
    eigenvalues, eigenvectors = np.linalg.eigh(covariance)  # ascending
    across = eigenvectors[:, 0]
    # a pixel has a width of its own, 1/12 px^2
    widths = np.sqrt(12.0 * np.maximum(eigenvalues, 0.0) + 1.0)
    return float(wrap_angle(np.arctan2(across[1], across[0]))), widths / len(mask)


def shapes_of(
    samples: PatchSet, settings: SegmentationSettings, windows: Sequence[float] = WINDOWS, progress: bool = False
) -> Shapes:
    """Segment all patches of a set, and analyse the object at the centre of each.

    Args:
        windows: diameters of discs (patch sides): a long object that leaves the patch would else lean into its corners,
            and a small disc sees a handle rather than the cup.

    Raises:
        DatasetError: a patch cannot be read.
    """
    shape = len(samples), len(windows)
    found, angles, widths = np.zeros(shape, bool), np.zeros(shape), np.zeros((*shape, 2))
    distance = distance_from_centre(settings.side)
    discs = [distance <= window * settings.side / 2 for window in windows]
    with tqdm(total=len(samples), desc="segmenting", unit="patch", disable=None if progress else True) as bar:
        for rows, pictures in samples.batches():
            for row, picture in zip(range(rows.start, rows.stop), pictures):
                mask = object_mask(picture, settings)
                for place, disc in enumerate(discs):
                    seen = mask & disc
                    if seen.any():
                        found[row, place] = True
                        angles[row, place], widths[row, place] = shape_of(seen)
            bar.update(len(pictures))
    return Shapes(found, angles, widths)
