"""A model that answers: a picture in, grasps in an order out (paper, sections III.B, III.D and IV.F)."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Union

import numpy as np

from grasp_learning.checkpoint import Checkpoint, load_checkpoint
from grasp_learning.predictor.dense import dense_probabilities
from grasp_learning.predictor.engine import Engine
from grasp_learning.predictor.errors import PredictionError, RegionError
from grasp_learning.predictor.exact import exact_probabilities
from grasp_learning.predictor.places import check_picture, inside, sample_places
from grasp_learning.predictor.ranking import RankedPlace, best_rows, draw_entry, entry, rank, smooth_angles
from grasp_learning.predictor.settings import PredictorSettings
from grasp_learning.trial import Prior


@dataclass(frozen=True)
class Prediction:
    """What a model thinks of a picture.

    Attributes:
        places: (n, 2) pixels (u, v) that were looked at.
        probabilities: (n, 18) of success at each place and angle bin: the prior matrix of section III.D.
        exact: (n,) rows whose patch was evaluated by itself; the others come from the dense path.
        ranked: the best angle of the best exact places, the best first.
        patch_side: of the patches (px).
        model, model_sha256, stage: of the checkpoint.
        latency: seconds (wall clock) of each phase, and their "total".
        importance_top: see PredictorSettings.
    """

    places: np.ndarray
    probabilities: np.ndarray
    exact: np.ndarray
    ranked: List[RankedPlace]
    patch_side: int
    model: str
    model_sha256: str
    stage: int
    latency: Dict[str, float]
    importance_top: int = 20

    def prior(self, choice: RankedPlace) -> Prior:
        """The matrix as a trial records it, with the grasp that was chosen."""
        return Prior(
            self.model,
            self.model_sha256,
            self.patch_side,
            self.places,
            self.probabilities,
            choice.place,
            choice.bin,
        )


class Predictor:
    """One model, ready to answer; never changed, so that another one can take its place while it still answers.

    May be used by several threads; one prediction is computed at a time.

    Args:
        checkpoint: as loaded, or the path of its file.

    Raises:
        CheckpointError: the file cannot be used.
    """

    def __init__(self, checkpoint: Union[Checkpoint, str, Path], settings: Optional[PredictorSettings] = None):
        if not isinstance(checkpoint, Checkpoint):
            checkpoint = load_checkpoint(checkpoint)
        self.checkpoint = checkpoint
        self.settings = settings or PredictorSettings()
        self._engine = Engine(checkpoint.network, self.settings.precision)
        self._lock = threading.Lock()

    def predict(
        self,
        image: np.ndarray,
        patch_side: int,
        rng: np.random.Generator,
        polygon: Optional[np.ndarray] = None,
        places: Optional[np.ndarray] = None,
        count: Optional[int] = None,
        patches: Optional[int] = None,
        path: Optional[str] = None,
        rerank: Optional[bool] = None,
    ) -> Prediction:
        """Look at a picture.

        Args:
            image: BGR (rows, columns, 3) uint8.
            patch_side: of the patches (px), see patches.patch_side.
            rng: draws the places and neighbourhoods.
            polygon: (m, 2) convex polygon of pixels in which places are drawn; None is the whole picture.
            places: (n, 2) pixels to look at, in place of drawn ones.
            count: grasps in the ranked list; None takes the settings'.
            patches: places to draw; None takes the settings'.
            path: "dense" or "exact"; None takes the settings'.
            rerank: whether neighbourhoods decide the order; None takes the settings'.

        Raises:
            PredictionError: BadImageError for a picture that cannot be looked at, RegionError for a region or places
                outside it, NothingToLookAtError for a blank one, PredictionError itself for a count below 1.
        """
        settings = self.settings
        count = settings.count if count is None else count
        patches = settings.places.count if patches is None else patches
        path = settings.path if path is None else path
        _check_question(count, patches, path)
        clock = _Clock()
        if places is None:
            places = sample_places(image, patch_side, rng, settings.places, polygon, patches)
        else:
            places = _checked_places(image, places, patch_side)
        clock.lap("places")
        with self._lock:
            clock.lap("wait")
            probabilities, exact = self._evaluate(image, places, patch_side, path, clock)
            reorder = settings.rerank.enabled if rerank is None else rerank
            ranked = rank(places, probabilities, exact, max(count, settings.rerank.top), settings.min_distance)
            if reorder:
                ranked = self._rerank(image, ranked, patch_side, rng)
                clock.lap("rerank")
        info = self.checkpoint.info
        return Prediction(
            places,
            probabilities,
            exact,
            ranked[:count],
            patch_side,
            self.name,
            self.checkpoint.sha256,
            info.stage,
            clock.result(),
            settings.importance_top,
        )

    @property
    def name(self) -> str:
        """File name of the model."""
        return Path(self.checkpoint.path).name

    def best(self, prediction: Prediction) -> RankedPlace:
        """The grasp that is best: the largest entry, or the best neighbourhood where that was asked for."""
        return prediction.ranked[0]

    def importance(self, prediction: Prediction, rng: np.random.Generator, top: Optional[int] = None) -> RankedPlace:
        """A grasp drawn from the matrix in proportion to its entries; see PredictorSettings.importance_top.

        Args:
            top: in the place of the setting.

        Raises:
            PredictionError: every entry is zero.
        """
        top = prediction.importance_top if top is None else top
        place, angle = draw_entry(prediction.probabilities, prediction.exact, top, rng)
        return entry(prediction.places, prediction.probabilities, prediction.exact, place, angle)

    def warm_up(self, width: int, height: int, patch_side: int) -> None:
        """Answer once for nothing: the first evaluation of each size prepares the processor's kernels."""
        rng = np.random.default_rng(0)
        self.predict(rng.integers(0, 256, (height, width, 3), dtype=np.uint8), patch_side, rng)

    def _evaluate(self, image, places, side, path, clock):
        """Probabilities (n, 18) and which rows (n,) of them are exact."""
        engine, settings = self._engine, self.settings
        if path == "exact":
            probabilities = exact_probabilities(engine, image, places, side, settings.batch)
            exact = np.ones(len(places), bool)
            clock.lap("exact")
        else:
            probabilities = dense_probabilities(engine, image, places, side, settings.dense.refinement)
            clock.lap("dense")
            exact = np.zeros(len(places), bool)
            exact[best_rows(probabilities, settings.dense.rescored)] = True
            probabilities[exact] = exact_probabilities(engine, image, places[exact], side, settings.batch)
            clock.lap("rescore")
        return (smooth_angles(probabilities) if settings.smoothing else probabilities), exact

    def _rerank(
        self, image: np.ndarray, ranked: List[RankedPlace], side: int, rng: np.random.Generator
    ) -> List[RankedPlace]:
        """The best places by the mean of their neighbours' best probabilities, then the others (IV.F)."""
        settings = self.settings.rerank
        top, rest = ranked[: settings.top], ranked[settings.top :]
        centers = np.array([[place.u, place.v] for place in top])
        neighbours = _neighbours(centers, settings.neighbours, settings.radius, side, image.shape, rng)
        values = exact_probabilities(self._engine, image, neighbours.reshape(-1, 2), side, self.settings.batch)
        if self.settings.smoothing:
            values = smooth_angles(values)
        means = values.max(axis=1).reshape(len(top), -1).mean(axis=1)
        scored = [place._replace(neighbourhood=float(mean)) for place, mean in zip(top, means)]
        return sorted(scored, key=lambda place: -place.neighbourhood) + rest


class _Clock:
    """Wall clock time of a prediction's phases."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._laps: Dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._laps[name], self._last = now - self._last, now

    def result(self) -> Dict[str, float]:
        return {**self._laps, "total": time.perf_counter() - self._start}


def _check_question(count: int, patches: int, path: str) -> None:
    if count < 1:
        raise PredictionError(f"{count} grasps were asked for: expected at least 1")
    if patches < 1:
        raise PredictionError(f"{patches} places were asked for: expected at least 1")
    if path not in ("dense", "exact"):
        raise PredictionError(f"path '{path}' is unknown; choose from dense, exact")


def _checked_places(image: np.ndarray, places: np.ndarray, side: int) -> np.ndarray:
    check_picture(image, side)
    places = np.asarray(places, float)
    if places.ndim != 2 or places.shape[1] != 2 or len(places) == 0 or not np.isfinite(places).all():
        raise RegionError(f"the places have shape {places.shape}: expected one or more pixels (u, v), all finite")
    height, width = image.shape[:2]
    outside = ~inside(places, side, width, height)
    if outside.any():
        u, v = places[outside][0]
        raise RegionError(
            f"the patch of {side} px at ({u:.1f}, {v:.1f}) is not inside the picture of {width} x {height} px"
        )
    return places


def _neighbours(centers, count: int, radius: float, side: int, shape, rng: np.random.Generator) -> np.ndarray:
    """Points (n, count, 2) uniform in discs around centres (n, 2), moved to where their patch is inside the picture."""
    distance = radius * np.sqrt(rng.uniform(size=(len(centers), count)))
    angle = rng.uniform(0, 2 * np.pi, size=(len(centers), count))
    points = centers[:, None] + distance[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    low = (side - 1) / 2
    return np.clip(points, low, [low + shape[1] - side, low + shape[0] - side])
