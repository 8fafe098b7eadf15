"""Linear support vector machines on HoG features, one for each angle class (paper, section IV.D)."""

from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.svm import LinearSVC
from tqdm import tqdm

from grasp_learning.baselines.angle_classes import LEAST
from grasp_learning.baselines.choosing import NOTHING, best_threshold, both_classes
from grasp_learning.baselines.errors import NotFittedError
from grasp_learning.baselines.hog_method import HogMethod
from grasp_learning.evaluation.method import MethodError
from grasp_learning.evaluation.patch_set import PatchSet
from grasp_learning.geometry import NUM_BINS

REGULARISATIONS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
DEFAULT = 1e-2  # where there is no validation to choose by
ITERATIONS = 5000


class LinearSvms(HogMethod):
    """The signed distance from the plane of the grasp's angle class.

    Successes and failures of a class weigh the same in all. One regularisation serves all classes: the one with the
    largest area under the ROC curve on validation, which leans on a few samples less than an accuracy does. Then the
    threshold is the one with the best balanced accuracy there.

    Args:
        regularisations: values of C that are tried.
        turned, least, widen, hog: see :class:`HogMethod`.

    Raises:
        MethodError, ConfigError: an option is wrong.
    """

    def __init__(
        self,
        regularisations: Sequence[float] = REGULARISATIONS,
        turned: bool = False,
        least: int = LEAST,
        widen: bool = True,
        hog: Optional[Mapping[str, Any]] = None,
    ):
        super().__init__(turned, least, widen, hog)
        if not regularisations or not all(value > 0 for value in regularisations):
            raise MethodError(f"svm: regularisations are {list(regularisations)}, expected numbers above 0")
        self.regularisations = tuple(regularisations)
        self.threshold = 0.0
        self._regularisation = DEFAULT
        self._by_regularisation: Dict[str, float] = {}
        self._planes = np.zeros((0, self.hog.length + 1))  # (classes, weights and the offset)

    def fit(self, train: PatchSet, validation: PatchSet, seed: int, progress: bool = False) -> None:
        """See :class:`Method`.

        Raises:
            TooFewSuccessesError: there are no successes or no failures, or too few of them in a bin.
        """
        features, classes = self._learn_from(train, progress)
        chosen_by = validation if both_classes(validation.labels) else None
        tried = self.regularisations if chosen_by is not None else (DEFAULT,)
        seen = None if chosen_by is None else self._features(chosen_by, progress)
        best: Tuple[float, np.ndarray] = (-1.0, self._planes)
        self._by_regularisation = {}
        for value in tqdm(tried, desc="SVMs", unit="C", disable=None if progress else True):
            planes = np.stack([_plane(features, rows, train.labels, value, seed) for rows in classes])
            area = 0.0
            if chosen_by is not None:
                area = float(roc_auc_score(chosen_by.labels, self._distances(planes, seen, chosen_by)))
                self._by_regularisation[f"{value:g}"] = area
            if area > best[0]:
                best, self._regularisation = (area, planes), value
        self._planes, self.threshold, self._chosen_on = best[1], 0.0, NOTHING
        if chosen_by is not None:
            self._chosen_on = chosen_by.name
            self.threshold, _ = best_threshold(self._distances(self._planes, seen, chosen_by), chosen_by.labels)

    def scores(self, samples: PatchSet) -> np.ndarray:
        """(n,) signed distances.

        Raises:
            NotFittedError: nothing was learnt yet.
        """
        if not len(self._planes):
            raise NotFittedError(f"{self.name or 'svm'}: was asked for scores before it was fitted; call fit()")
        return self._distances(self._planes, self._features(samples), samples)

    def _distances(self, planes: np.ndarray, features: np.ndarray, samples: PatchSet) -> np.ndarray:
        result = np.zeros(len(samples))
        for plane, rows in zip(planes, self._rows_by_class(samples)):
            result[rows] = features[rows] @ plane[:-1] + plane[-1]
        return result

    def parameters(self) -> Dict[str, Any]:
        """The chosen regularisation, and how well all of them do on validation."""
        return {
            **super().parameters(),
            "C": self._regularisation,
            "threshold": self.threshold,
            "validation_auc_by_C": self._by_regularisation,
        }

    def state(self) -> Dict[str, np.ndarray]:
        """The planes, and what was chosen."""
        return {
            "planes": self._planes,
            "chosen": np.array([self._regularisation, self.threshold]),
            "chosen_on": np.array(self._chosen_on),
            "tried": np.array([[float(value), area] for value, area in self._by_regularisation.items()]).reshape(-1, 2),
            "widened": np.array([[int(index), reach] for index, reach in self._widened.items()], int).reshape(-1, 2),
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """See :class:`Method`."""
        try:
            planes, chosen_on = np.asarray(state["planes"], float), str(state["chosen_on"])
            regularisation, threshold = (float(value) for value in state["chosen"])
            tried = {f"{value:g}": float(area) for value, area in state["tried"]}
            reaches = {str(int(index)): int(reach) for index, reach in state["widened"]}
        except (KeyError, ValueError, TypeError) as error:
            raise MethodError(f"{self.name}: not the state of SVMs ({error}); fit them anew") from None
        if planes.shape != (1 if self.turned else NUM_BINS, self.hog.length + 1):
            raise MethodError(f"{self.name}: the state is of SVMs with other features or classes; fit them anew")
        self._planes, self._regularisation, self.threshold = planes, regularisation, threshold
        self._chosen_on, self._by_regularisation, self._widened = chosen_on, tried, reaches


def _plane(features: np.ndarray, rows: np.ndarray, labels: np.ndarray, value: float, seed: int) -> np.ndarray:
    """(length + 1,) weights and offset of the plane between the failures and the successes of a class."""
    # the primal problem: it needs no random order, and fewer steps than the dual one where planes hardly separate
    svm = LinearSVC(C=value, class_weight="balanced", dual=False, max_iter=ITERATIONS, random_state=seed)
    svm.fit(features if len(rows) == len(features) else features[rows], labels[rows])
    return np.append(svm.coef_[0], svm.intercept_[0])
