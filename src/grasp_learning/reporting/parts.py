"""What the page is made of: sections with pictures and tables."""

from dataclasses import dataclass, field
from typing import List, Optional, Sequence, Tuple

import cv2
import numpy as np

from grasp_learning.reporting.headline import Statement

JPEG_QUALITY = 82


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: what it says.
        origin: file and command that a number comes from.
        number: aligned to the right.
        head: it names its row.
    """

    text: str
    origin: str = ""
    number: bool = False
    head: bool = False


@dataclass(frozen=True)
class Table:
    """A table with its caption."""

    caption: str
    header: Sequence[str]
    rows: List[List[Cell]]


@dataclass(frozen=True)
class Picture:
    """A figure: on the page, and as a PNG beside it.

    Attributes:
        name: of the file, without ".png".
        png: its bytes.
        alt: what it shows, for people who do not see it.
        caption: below it.
        embedded: bytes on the page; those of the PNG where empty.
        mime: of them.
    """

    name: str
    png: bytes
    alt: str
    caption: str
    embedded: bytes = b""
    mime: str = "image/png"


@dataclass
class Section:
    """A part of the page.

    Attributes:
        id: for links.
        title: heading.
        paragraphs: before the pictures.
        statement: what was claimed, and whether it held.
        lacking: why there are no figures; empty where there are.
        pictures, tables: in this order.
        notes: what a reader of the figures has to know.
        origins: (what, file, command) of each number.
        points: (term, text) of a list of terms.
    """

    id: str
    title: str
    paragraphs: List[str] = field(default_factory=list)
    statement: Optional[Statement] = None
    lacking: str = ""
    pictures: List[Picture] = field(default_factory=list)
    tables: List[Table] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)
    origins: List[Tuple[str, str, str]] = field(default_factory=list)
    points: List[Tuple[str, str]] = field(default_factory=list)


def photograph(name: str, sheet: np.ndarray, alt: str, caption: str) -> Picture:
    """A picture of pixels (rows, columns, 3) BGR; on the page it is a JPEG, which is a fifth of the PNG."""
    png = cv2.imencode(".png", sheet, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()
    jpeg = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
    return Picture(name, png, alt, caption, jpeg, "image/jpeg")
