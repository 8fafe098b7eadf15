"""Small pictures in rows."""

from typing import Optional, Sequence, Tuple

import cv2
import numpy as np

TILE, GAP, FRAME, HEADING = 132, 6, 4, 34  # px
INK, PAPER = (30, 30, 30), (255, 255, 255)  # BGR
Color = Tuple[int, int, int]


def mosaic(
    groups: Sequence[Tuple[str, Sequence[np.ndarray], Optional[Color]]], columns: int = 6, tile: int = TILE
) -> np.ndarray:
    """Groups of pictures below each other, each with a heading.

    Args:
        groups: heading, square BGR pictures, colour of their frames or None.
        columns: pictures in a row.
        tile: side of a picture (px).

    Returns:
        (rows, columns, 3) BGR.
    """
    return np.concatenate([_group(heading, pictures, color, columns, tile) for heading, pictures, color in groups])


def _group(heading: str, pictures: Sequence[np.ndarray], color: Optional[Color], columns: int, tile: int) -> np.ndarray:
    step = tile + GAP
    rows = -(-len(pictures) // columns)
    sheet = np.full((HEADING + rows * step + GAP, columns * step + GAP, 3), PAPER, np.uint8)
    cv2.putText(sheet, heading, (GAP, HEADING - 11), cv2.FONT_HERSHEY_SIMPLEX, 0.55, INK, 1, cv2.LINE_AA)
    for place, picture in enumerate(pictures):
        row, column = divmod(place, columns)
        top, left = HEADING + row * step, GAP + column * step
        small = cv2.resize(picture, (tile, tile), interpolation=cv2.INTER_AREA)
        if color is not None:
            cv2.rectangle(small, (0, 0), (tile - 1, tile - 1), color, 2 * FRAME - 1)
        sheet[top : top + tile, left : left + tile] = small
    return sheet


def spread(count: int, wanted: int) -> np.ndarray:
    """Up to `wanted` places of `count`, evenly apart, so that nobody has chosen them."""
    return np.unique(np.linspace(0, count - 1, min(wanted, count)).round().astype(int)) if count else np.empty(0, int)
