"""Command line: a marker as a page that prints in its true size."""

import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from grasp_learning.calibrating.marker import MarkerSettings, draw_marker
from grasp_learning.config import ConfigError, parse_settings

PAPERS = {"a4": (0.210, 0.297), "letter": (0.2159, 0.2794)}  # width and height (m)
DPI = 300  # of a PNG
_INCH = 0.0254
_RULER = 0.10  # m


def marker_page(marker: MarkerSettings, paper: str) -> Figure:
    """A page with the marker, a line along which to cut its plate, and a ruler to check the printer.

    Raises:
        ValueError: the plate is larger than the paper.
    """
    width, height = PAPERS[paper]
    plate, module = marker.plate_size, marker.size / marker.modules
    if plate > width - 0.01:
        raise ValueError(
            f"a marker of {1e3 * marker.size:g} mm needs a plate of {1e3 * plate:.0f} mm, {paper} is too narrow"
        )
    figure = Figure(figsize=(width / _INCH, height / _INCH))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0.0, width)
    axes.set_ylim(0.0, height)
    axes.axis("off")
    left, top = (width - plate) / 2, height - 0.03
    axes.add_patch(Rectangle((left, top - plate), plate, plate, fill=False, linewidth=0.3, edgecolor="0.6"))
    for row, column in np.argwhere(draw_marker(marker, 1) == 0):
        # a hair larger than a module, so that no white line shows between two
        corner = (left + column * module, top - (row + 1) * module)
        axes.add_patch(Rectangle(corner, module, module, facecolor="black", edgecolor="black", linewidth=0.01))
    _add_ruler(axes, (width - _RULER) / 2, top - plate - 0.02)
    said = f"{marker.dictionary} id {marker.id}: the black square is {1e3 * marker.size:g} mm. Print at 100 %."
    axes.text(width / 2, top - plate - 0.04, said, ha="center", va="top", fontsize=10)
    return figure


def _add_ruler(axes, x: float, y: float) -> None:
    axes.plot([x, x + _RULER], [y, y], color="black", linewidth=0.5)
    for step in range(11):
        axes.plot([x + step * _RULER / 10] * 2, [y, y - 0.003], color="black", linewidth=0.5)
    axes.text(x + _RULER / 2, y + 0.002, "100 mm", ha="center", va="bottom", fontsize=9)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Write the page.

    Returns:
        Exit status: 0, or 1 where it cannot be drawn or written.
    """
    default = MarkerSettings()
    parser = argparse.ArgumentParser(
        prog="print_marker",
        description="Write an ArUco marker as a page that prints in its true size; see docs/calibration.md.",
    )
    parser.add_argument("output", type=Path, help="file to write: .pdf or .png")
    parser.add_argument("--id", type=int, default=default.id, help="of the marker (default %(default)s)")
    parser.add_argument("--size", type=float, default=default.size, help="of its black square, m (default %(default)s)")
    parser.add_argument("--dictionary", default=default.dictionary, help="of OpenCV (default %(default)s)")
    parser.add_argument("--paper", choices=sorted(PAPERS), default="a4", help="(default %(default)s)")
    arguments = parser.parse_args(argv)
    if arguments.output.suffix not in (".pdf", ".png"):
        parser.error(f"{arguments.output}: expected a file that ends in .pdf or .png")
    values = {"id": arguments.id, "size": arguments.size, "dictionary": arguments.dictionary}
    try:
        figure = marker_page(parse_settings(MarkerSettings, values, "print_marker"), arguments.paper)
        figure.savefig(arguments.output, dpi=DPI)
    except (ConfigError, ValueError, OSError) as error:
        print(f"print_marker: {error}", file=sys.stderr)
        return 1
    print(f"{arguments.output}: print it at 100 %, and measure the black square")
    return 0
