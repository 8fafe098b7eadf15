"""The paper's Fig. 6: patches that a network ranks highest, against random ones of the same pictures."""

from pathlib import Path
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np

from grasp_learning.drawing import draw_grasp
from grasp_learning.experiments.places import Places
from grasp_learning.geometry import bin_to_angle
from grasp_learning.patches import crop_patch
from grasp_learning.pictures import PictureSource
from grasp_learning.polygons import uniform_in_polygon
from grasp_learning.predictor.places import place_polygon
from grasp_learning.reporting.mosaic import mosaic, spread
from grasp_learning.reporting.parts import Section, photograph
from grasp_learning.reporting.sources import Sources
from grasp_learning.storage import trials_of
from grasp_learning.storage_errors import CollectionError, PictureError

PICTURES = 24  # of the collection, evenly apart
FEWEST_PIXELS = 100.0  # of the polygon in which trials grasp
ID, TITLE = "ranked", "Fig. 6: highly ranked patches and random ones"
QUESTION = (
    "What does the network look for? In {count} wrist pictures of {collection}, evenly spread over its trials, 800 "
    "places each are looked at, of those where trials grasp; the best one stands above, a random one of the same "
    "pictures below. The rectangle is the proposed grasp: the fingers close along its green sides."
)


class Patches(NamedTuple):
    """Patches (side, side, 3) BGR: ranked ones with their grasps drawn in, the best first, and random ones."""

    ranked: List[np.ndarray]
    random: List[np.ndarray]


def ranked_section(sources: Sources) -> Section:
    """The section of Fig. 6."""
    section = Section(ID, TITLE)
    model, collection = find(sources.folder)
    if model is None or collection is None:
        what = "network" if model is None else "collection of random trials on held-out objects"
        section.lacking = f"There is no {what} in this folder (yet)."
        return section
    # torch takes seconds to import, and only this section needs it
    from grasp_learning.checkpoint import CheckpointError

    try:
        patches = compare_patches(model, collection)
    except (CheckpointError, CollectionError, PictureError) as error:
        problem = sources.relative(str(error))
        sources.problems.append(problem)
        section.lacking = problem
        return section
    name = sources.name(collection)
    section.paragraphs = [QUESTION.format(count=len(patches.ranked), collection=name)]
    sheet = mosaic([("highly ranked", patches.ranked, None), ("random", patches.random, None)])
    alt = f"{len(patches.ranked)} patches that the network ranks highest, and {len(patches.random)} random ones."
    section.pictures = [photograph(ID, sheet, alt, f"{TITLE}; network {sources.name(model)}.")]
    section.origins = [("all patches", name, f"network {sources.name(model)}")]
    return section


def find(folder: Path) -> Tuple[Optional[Path], Optional[Path]]:
    """The network of the last stage that there is, and the pictures of held-out objects to show it."""
    places = Places(folder)
    stages = [path.name for path in (folder / "steps").glob("train_stage*")]
    numbers = sorted(int(name[len("train_stage") :]) for name in stages if name[len("train_stage") :].isdigit())
    models = [places.model(f"stage{number}") for number in numbers]
    models = [model for model in models if model.is_file()]
    collection = places.collection("novel")
    return (models[-1] if models else None), (collection if places.trials("novel").is_file() else None)


def compare_patches(model: Path, collection: Path, seed: int = 0) -> Patches:
    """Ask a network about some pictures of a collection.

    Args:
        seed: of the places.

    Raises:
        CheckpointError: the network cannot be used.
        CollectionError: the collection is damaged, or has no trials.
        PictureError: none of the pictures can be read.
    """
    from grasp_learning.predictor.errors import PredictionError
    from grasp_learning.predictor.predictor import Predictor

    lines = list(trials_of(collection))
    if not lines:
        raise CollectionError(f"{collection}: holds no trials yet; run the experiments again, which go on")
    predictor, source = Predictor(model), PictureSource(collection)
    found, random, region = [], [], _reach(lines)
    problem: Optional[Exception] = None
    for place in spread(len(lines), PICTURES):
        line, rng = lines[place], np.random.default_rng([seed, place])
        side = line["patch_size"]
        try:
            picture = source.approach(line)
            answer = predictor.predict(picture, side, rng, region)
            random.append(_anywhere(picture, side, region, rng))
        except (PictureError, PredictionError) as error:
            problem = error
            continue
        best = predictor.best(answer)
        patch, middle = crop_patch(picture, best.u, best.v, side), (side - 1) / 2
        drawn = draw_grasp(patch, middle, middle, bin_to_angle(best.bin), side, thickness=max(1, side // 90))
        found.append((best.score, drawn))
    if not found:
        raise PictureError(f"{collection}: no picture can be looked at ({problem})")
    found.sort(key=lambda each: -each[0])
    return Patches([patch for _, patch in found], random)


def _reach(lines: Sequence[Mapping[str, Any]]) -> Optional[np.ndarray]:
    """The convex polygon (n, 2) of the pixels in which trials grasp; None where they are too few to tell.

    Elsewhere a wrist picture shows the fingers, and what is too far away.
    """
    points = np.array([[line["u"], line["v"]] for line in lines], np.float32)
    hull = cv2.convexHull(points).reshape(-1, 2)
    return hull.astype(float) if len(hull) >= 3 and cv2.contourArea(hull) >= FEWEST_PIXELS else None


def _anywhere(picture: np.ndarray, side: int, region: Optional[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """A patch at a place uniform in the region; perhaps a blank one, as a random grasp has it."""
    height, width = picture.shape[:2]
    place = uniform_in_polygon(place_polygon(width, height, side, region), rng)
    low = (side - 1) / 2
    u, v = np.clip(place, low, [low + width - side, low + height - side])  # polygons are in single precision
    return crop_patch(picture, u, v, side)
