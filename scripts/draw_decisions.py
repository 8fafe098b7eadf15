#!/usr/bin/env python3
"""Draw decisions of a network: what it thought of the places that it looked at, the grasp, and how that ended.

Takes a collection of `simulate` whose grasps a model chose, and draws the first trial of each of its first scenes.
Needs the package on the Python path (source the workspace, or set PYTHONPATH to src), but no ROS.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, Dict

import cv2
import numpy as np

from grasp_learning import drawing
from grasp_learning.simulation.shards import ShardError, ShardReader, picture_of, prior_of
from grasp_learning.storage import CollectionError, load_info, trials_of

COLUMNS = 3
SIDE = (480, 300)  # of a picture (px)
FRAME = 5  # px


def draw_decision(picture: np.ndarray, row: Dict[str, Any]) -> np.ndarray:
    """A BGR picture with the places as dots, the likelier the brighter, and the grasp; framed green if it held."""
    prior, scale = prior_of(row), SIDE[0] / picture.shape[1]
    best = prior.probabilities.max(axis=1)
    colours = cv2.applyColorMap(np.rint(255 * best).astype(np.uint8), cv2.COLORMAP_PLASMA)[:, 0].tolist()
    tile = cv2.resize(picture, SIDE, interpolation=cv2.INTER_AREA)
    for index in np.argsort(best):
        u, v = np.rint(prior.places[index] * scale).astype(int).tolist()
        cv2.circle(tile, (u, v), 2, colours[index], -1, cv2.LINE_AA)
    drawing.draw_grasp(tile, row["u"] * scale, row["v"] * scale, row["theta_image"], row["patch_size"] * scale, None, 2)
    drawing.draw_text(tile, f"{row['score']:.2f}", 12, 26, (255, 255, 255), 0.6)
    held = row["outcome"] == "SUCCESS"
    cv2.rectangle(tile, (0, 0), (SIDE[0] - 1, SIDE[1] - 1), drawing.GREEN if held else drawing.RED, 2 * FRAME)
    return tile


def main() -> int:
    """Draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection", help="folder of trials that a model chose: simulate --mode best or staged")
    parser.add_argument("out", type=Path, help="picture; .jpg or .png")
    parser.add_argument("--count", type=int, default=6, metavar="N", help="decisions (default: 6)")
    parsed = parser.parse_args()
    try:
        if load_info(parsed.collection).source != "inprocess":
            sys.exit(f"draw_decisions: {parsed.collection}: is of bags; name a collection of `simulate`")
        scenes = {line["block"]: line for line in reversed(list(trials_of(parsed.collection)))}
        lines = [scenes[number] for number in sorted(scenes)[: parsed.count]]
        reader = ShardReader(parsed.collection)
        rows = [reader.row(line) for line in lines]
    except (CollectionError, ShardError) as error:
        sys.exit(f"draw_decisions: {error}")
    if not rows or any(prior_of(row) is None for row in rows):
        sys.exit(
            f"draw_decisions: {parsed.collection}: no grasps of a model; name a collection of --mode best or staged"
        )
    tiles = [draw_decision(picture_of(row, "approach_image", parsed.collection), row) for row in rows]
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % COLUMNS)
    rows_of_tiles = [np.hstack(tiles[first : first + COLUMNS]) for first in range(0, len(tiles), COLUMNS)]
    if not cv2.imwrite(str(parsed.out), np.vstack(rows_of_tiles), [cv2.IMWRITE_JPEG_QUALITY, 80]):
        sys.exit(f"draw_decisions: {parsed.out}: cannot be written")
    print(f"drawn into {parsed.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
