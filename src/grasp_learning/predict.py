"""``rosrun grasp_learning predict``: where a model would grasp in a picture, as a list and as a drawing."""

import argparse
import re
import sys
from pathlib import Path
from typing import List, Optional

import cv2
import numpy as np

from grasp_learning.ranked_grasps import draw_ranked, ranked_table, typical_patch_side

MOST = 100_000  # places; their scores stay in memory


class PredictFailed(Exception):
    """There is no answer; the message says why."""


def main(argv: Optional[List[str]] = None) -> int:
    """Run the tool; the exit code is 0, 1 where there is no answer, or 2 for wrong usage."""
    # roslaunch adds remappings
    given = sys.argv[1:] if argv is None else argv
    options = _parse([word for word in given if not re.match(r"_{1,2}[a-z_]+:=", word)])
    try:
        _run(options)
    except PredictFailed as error:
        print(f"predict: {error}", file=sys.stderr)
        return 1
    return 0


def _parse(words: List[str]) -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_args(words)
    for name in ("patch_size", "seed"):
        if getattr(options, name) < 0:
            parser.error(f"--{name.replace('_', '-')} is {getattr(options, name)}, expected 0 or more")
    if options.region is not None and min(options.region[2:]) < 1:
        width, height = options.region[2:]
        parser.error(f"--region is {width} x {height} px, expected a width and a height of at least 1")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="predict", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--model", required=True, help="checkpoint file (.safetensors)")
    parser.add_argument("--image", required=True, help="picture: any file that OpenCV reads")
    parser.add_argument("--output", default="", help="drawn picture; default: IMAGE_grasps.png beside the picture")
    parser.add_argument(
        "--patch-size",
        type=int,
        default=0,
        help="side of the patches (px); default 0: 0.295 of the picture's width, as in pictures of Baxter's wrist "
        "camera with the fingertips 25 cm above the table",
    )
    parser.add_argument("--patches", type=_count, default=800, help="places that are looked at; default 800")
    parser.add_argument("--count", type=_count, default=10, help="grasps that are listed; default 10")
    parser.add_argument(
        "--region",
        type=int,
        nargs=4,
        metavar=("U", "V", "WIDTH", "HEIGHT"),
        help="grasp points lie in this rectangle (px); default: the whole picture",
    )
    parser.add_argument("--path", choices=("dense", "exact"), default="dense", help="default dense")
    parser.add_argument("--rerank", action="store_true", help="the best 10 are ordered by their neighbourhoods")
    parser.add_argument("--seed", type=int, default=0, help="of the places; default 0")
    return parser


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"is {text}, expected a whole number from 1 to {MOST}")
    return int(text)


def _run(options: argparse.Namespace) -> None:
    image = _read(options.image)
    output = Path(options.output or f"{Path(options.image).with_suffix('')}_grasps.png")
    # torch takes seconds to import; wrong arguments are told at once
    from grasp_learning.checkpoint import CheckpointError
    from grasp_learning.predictor.errors import PredictionError
    from grasp_learning.predictor.predictor import Predictor

    side = options.patch_size or typical_patch_side(image.shape[1])
    try:
        prediction = Predictor(options.model).predict(
            image,
            side,
            np.random.default_rng(options.seed),
            polygon=None if options.region is None else _corners(*options.region),
            count=options.count,
            patches=options.patches,
            path=options.path,
            rerank=options.rerank,
        )
    except CheckpointError as error:
        raise PredictFailed(str(error)) from None
    except PredictionError as error:
        raise PredictFailed(f"{options.image}: {error}") from None
    height, width = image.shape[:2]
    print(f"{options.image}: {width} x {height} px, patches of {side} px, {len(prediction.places)} places")
    print(f"model {prediction.model}, stage {prediction.stage}, {prediction.model_sha256[:12]}")
    print("\n".join(ranked_table(prediction.ranked)))
    _write(output, draw_ranked(image, prediction.ranked, side))
    print(f"drawn into {output}", flush=True)


def _read(path: str) -> np.ndarray:
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise PredictFailed(f"{path}: cannot be read ({error.strerror})") from None
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise PredictFailed(f"{path}: is no picture that OpenCV can read, or is damaged")
    return image


def _corners(left: int, top: int, width: int, height: int) -> np.ndarray:
    right, bottom = left + width - 1, top + height - 1
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)


def _write(path: Path, image: np.ndarray) -> None:
    try:
        done, data = cv2.imencode(path.suffix or ".png", image)
    except cv2.error:
        done = False
    if not done:
        raise PredictFailed(f"{path}: '{path.suffix}' is no picture format that OpenCV writes; try .png")
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise PredictFailed(f"{path}: cannot be written ({error.strerror})") from None
