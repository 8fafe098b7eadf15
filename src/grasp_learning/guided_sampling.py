"""Grasp samplers that a model guides (paper, sections III.D and IV.F).

The model looks at places uniform in the region; "staged" draws one of the grasps it thinks likely, "best" takes the
best one, or the one whose neighbourhood it likes best. The whole matrix of probabilities goes with the grasp, for the
record.
"""

import abc
from typing import TYPE_CHECKING, Optional, Tuple

import numpy as np

from grasp_learning.config import ConfigError
from grasp_learning.geometry import BIN_WIDTH, bin_to_angle, wrap_angle
from grasp_learning.patches import PatchSettings
from grasp_learning.predictor.errors import BadImageError, NothingToLookAtError, PredictionError
from grasp_learning.predictor.places import sample_places
from grasp_learning.sampling import GraspSampler, SamplerSettings, View
from grasp_learning.trial import Outcome, Step

if TYPE_CHECKING:
    from grasp_learning.predictor.predictor import Prediction, Predictor
    from grasp_learning.predictor.ranking import RankedPlace

_TOLERANCE = 0.02  # relative difference of patch geometries: that of a footprint measured with a ruler


class GuidedSampler(GraspSampler):
    """What guided samplers share: looking, and the way back to the table.

    Args:
        predictor: of the model that guides.

    Raises:
        ConfigError: the model was trained on patches of another geometry.
    """

    name = ""

    def __init__(self, settings: SamplerSettings, predictor: "Predictor"):
        super().__init__(settings)
        check_geometry(predictor, settings.patch)
        self._predictor = predictor

    @abc.abstractmethod
    def _choose(
        self, image: np.ndarray, places: np.ndarray, side: int, rng: np.random.Generator
    ) -> "Tuple[Prediction, RankedPlace]":
        """What the model thinks of places (n, 2), and the grasp that is to be executed."""

    def _fault_of(self, image, camera):
        if np.shape(image)[:2] == (camera.height, camera.width):
            return ""
        return f"the picture has shape {np.shape(image)}, its camera {camera.width} x {camera.height} px"

    def _sample(self, image, view, rng):
        try:
            places = sample_places(image, view.side, rng, self._predictor.settings.places, view.polygon)
            prediction, choice = self._choose(image, _in_region(places, view), view.side, rng)
        except BadImageError as error:
            return Step(Outcome.SENSOR_FAULT, str(error))
        except PredictionError as error:
            return Step(Outcome.UNREACHABLE, str(error))
        pixel = (choice.u, choice.v)
        point = view.points(np.array([pixel]))[0]
        grasp = self._grasp(view, pixel, point, self._angle(choice.bin, rng), self.name, choice.score)
        return Step(Outcome.SUCCESS, "", grasp, prior=prediction.prior(choice))

    def _angle(self, index: int, rng: np.random.Generator) -> float:
        """Closing direction in the picture (rad) for an angle bin."""
        angle = bin_to_angle(index)
        if self._settings.explore_angles:
            angle += rng.uniform(-BIN_WIDTH / 2, BIN_WIDTH / 2)
        return float(wrap_angle(angle))


class ImportanceSampler(GuidedSampler):
    """Mode "staged": an entry of the matrix, drawn in proportion to its probability (section III.D).

    Args:
        top: see PredictorSettings.importance_top; None is the predictor's own.
    """

    name = "importance"

    def __init__(self, settings: SamplerSettings, predictor: "Predictor", top: Optional[int] = None):
        super().__init__(settings, predictor)
        self._top = top

    def _choose(self, image, places, side, rng):
        # without re-ranking, which has no say in the draw
        prediction = self._predictor.predict(image, side, rng, places=places, rerank=False)
        return prediction, self._predictor.importance(prediction, rng, self._top)


class BestSampler(GuidedSampler):
    """Mode "best": the best grasp, or that with the best neighbourhood, where the predictor re-ranks (section IV.F)."""

    name = "best"

    @property
    def drawing(self):
        """One that draws among all entries, as the paper does: the likeliest few lie side by side."""
        return ImportanceSampler(self._settings, self._predictor, top=0)

    def _choose(self, image, places, side, rng):
        # whether neighbourhoods decide is a setting of the predictor
        prediction = self._predictor.predict(image, side, rng, places=places)
        return prediction, self._predictor.best(prediction)


def check_geometry(predictor: "Predictor", patch: PatchSettings) -> None:
    """Check that a model's patches show as much of the table as the sampler's.

    Raises:
        ConfigError: they do not.
    """
    trained = predictor.checkpoint.info.patch
    size, trained_size = patch.footprint * patch.scale, trained.footprint * trained.scale
    if abs(size - trained_size) > _TOLERANCE * trained_size:
        raise ConfigError(
            f"{predictor.name} was trained on patches of {trained_size:.3f} m (patch.footprint {trained.footprint} x "
            f"patch.scale {trained.scale}), the sampler's are {size:.3f} m ({patch.footprint} x {patch.scale})"
        )
    if patch.forced_size and trained.side and abs(patch.forced_size - trained.side) > _TOLERANCE * trained.side:
        raise ConfigError(
            f"{predictor.name} was trained on patches of {trained.side} px, patch.forced_size is {patch.forced_size}"
        )


def guided_sampler(mode: str, settings: SamplerSettings, predictor: "Optional[Predictor]") -> GuidedSampler:
    """The sampler of the mode "staged" or "best".

    Raises:
        ConfigError: no predictor, or of a model that was trained on patches of another geometry.
    """
    if predictor is None:
        raise ConfigError(f"grasp sampler '{mode}' needs a model: set 'model' to a checkpoint (.safetensors)")
    return ImportanceSampler(settings, predictor) if mode == "staged" else BestSampler(settings, predictor)


def _in_region(places: np.ndarray, view: View) -> np.ndarray:
    """Those of the places (n, 2) that show the region.

    Raises:
        NothingToLookAtError: none does.
    """
    inside = view.in_region(view.points(places))
    if not inside.any():
        raise NothingToLookAtError(f"none of {len(places)} places that show something lies in the region")
    return places[inside]
