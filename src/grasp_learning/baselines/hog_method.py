"""What kNN and SVM share: HoG features, and a class of training patches for each angle."""

from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from grasp_learning.baselines.angle_classes import LEAST, angle_classes, require_some, widened
from grasp_learning.baselines.hog import HogSettings, hog_features
from grasp_learning.config import parse_settings
from grasp_learning.evaluation.method import Method, MethodError
from grasp_learning.evaluation.patch_set import PatchSet
from grasp_learning.geometry import NUM_BINS


class HogMethod(Method):
    """Learns from HoG features of the patches of a grasp's angle class.

    Args:
        turned: turn each patch so that its grasp closes along the x axis; then all patches are of one class, which has
            18 times as many of them. The paper's baselines have a class for each of the 18 bins and turn nothing.
        least: successes, and failures, that a class is learnt from.
        widen: where a bin has fewer, take in the bins beside it; False makes that an error.
        hog: values of HogSettings that differ from its defaults.

    Raises:
        MethodError, ConfigError: an option is wrong.
    """

    def __init__(
        self,
        turned: bool = False,
        least: int = LEAST,
        widen: bool = True,
        hog: Optional[Mapping[str, Any]] = None,
    ):
        if least < 1:
            raise MethodError(f"option 'least' is {least}, expected at least 1")
        self.turned, self.least, self.widen = turned, least, widen
        self.hog = parse_settings(HogSettings, hog or {}, "option 'hog'")
        self._widened: Dict[str, int] = {}
        self._chosen_on = ""

    def _features(self, samples: PatchSet, progress: bool = False) -> np.ndarray:
        return hog_features(samples, self.hog, -samples.angles if self.turned else None, progress)

    def _learn_from(self, train: PatchSet, progress: bool) -> Tuple[np.ndarray, List[np.ndarray]]:
        """Features of the training set (n, length), and the rows of each class.

        Raises:
            TooFewSuccessesError: there are no successes or no failures, or too few of them in a bin.
        """
        if self.turned:
            require_some(train.labels)
            return self._features(train, progress), [np.arange(len(train))]
        classes = angle_classes(train.bins, train.labels, self.least, self.widen)
        self._widened = widened(classes)
        return self._features(train, progress), [found.rows for found in classes]

    def _rows_by_class(self, samples: PatchSet) -> List[np.ndarray]:
        """Which rows of a set each class answers for."""
        if self.turned:
            return [np.arange(len(samples))]
        return [np.flatnonzero(samples.bins == index) for index in range(NUM_BINS)]

    def parameters(self) -> Dict[str, Any]:
        """What the features and the classes are."""
        return {
            "turned": self.turned,
            "least": self.least,
            "widened_bins": self._widened,
            "hog": self.hog.model_dump(),
            "chosen_on": self._chosen_on,
        }
