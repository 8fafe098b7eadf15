"""The "common-sense" heuristics (paper, section IV.C): grasp across the object, at its smallest width.

1. Grasp about the centre of the patch: that is what a patch is.
2. Close the fingers along the smallest eigenvector of the segmented object. A grasp whose angle differs from that by no
   more than an error threshold is predicted to hold.
3. Do not grasp what is too thin for fingers that do not close completely: there the largest eigenvalue is smaller than
   that of the gripper's smallest width in the picture.

Scores are the nearness of the two angles, 1 for equal ones and 0 for perpendicular ones; NO_GRASP where there is
nothing to grasp.
"""

import math
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from grasp_learning.baselines.choosing import NOTHING, both_classes, middle_of_best, require_both
from grasp_learning.baselines.errors import NotFittedError
from grasp_learning.baselines.memo import Memo
from grasp_learning.baselines.segmentation import SegmentationSettings
from grasp_learning.baselines.shapes import WINDOWS, Shapes, shapes_of
from grasp_learning.config import parse_settings
from grasp_learning.evaluation.method import Method, MethodError
from grasp_learning.evaluation.patch_set import PatchSet
from grasp_learning.geometry import angle_difference
from grasp_learning.patches import PatchSettings
from grasp_learning.robot_description import GAP_CLOSED

NO_GRASP = -1.0  # score where the heuristic has no grasp to offer
ACROSS, ALONG = 0, 1  # of Shapes.widths: by the smallest and by the largest eigenvalue
ERRORS = np.radians(np.arange(1, 91))  # that are tried
# m, that are tried by the optimistic heuristic; also the gap, lest LimitHeuristic be better than the best
LIMITS = tuple(sorted({*(0.002 * step for step in range(61)), GAP_CLOSED}))
DEFAULT_ERROR = math.radians(45)  # where there is nothing to choose it by
MOST = 2000  # successes, and failures, by which parameters are chosen
PATCH_WIDTH = PatchSettings().scale * PatchSettings().footprint  # m on the table

_memo: Memo[Shapes] = Memo(lambda shapes: shapes.angles.nbytes * 4, limit=100e6)


class Rule(NamedTuple):
    """One setting of the heuristic.

    Attributes:
        window: index of the disc that is looked at.
        axis: ACROSS or ALONG, the width that is limited.
        limit: smallest width that is grasped (m); 0 for none.
        error: largest difference of the angles (rad).
    """

    window: int = 0
    axis: int = ALONG
    limit: float = 0.0
    error: float = DEFAULT_ERROR


class EigenvectorHeuristic(Method):
    """Grasps across the segmented object; the error threshold and the window are chosen on train and validation.

    Args:
        windows: diameters of the discs around the centre among which one is chosen (patch sides).
        segmentation: values of SegmentationSettings that differ from its defaults.
        patch_width: side of a patch on the table (m).

    Raises:
        ConfigError: a value of `segmentation` is wrong.
        MethodError: another value is.
    """

    def __init__(
        self,
        windows: Sequence[float] = WINDOWS,
        segmentation: Optional[Mapping[str, Any]] = None,
        patch_width: float = PATCH_WIDTH,
    ):
        if not windows or not all(0 < window <= 1.5 for window in windows):
            raise MethodError(f"heuristic: windows are {list(windows)}, expected patch sides above 0, at most 1.5")
        if not patch_width > 0:
            raise MethodError(f"heuristic: patch_width is {patch_width}, expected metres above 0")
        self.windows, self.patch_width = tuple(windows), patch_width
        self.segmentation = parse_settings(SegmentationSettings, segmentation or {}, "heuristic: segmentation")
        self._chosen_on, self._accuracy = "", math.nan
        self._rule = self._candidates()[0]
        self._use(self._rule)

    def _candidates(self) -> List[Rule]:
        """What may be chosen; each with all error thresholds."""
        return [Rule(window) for window in range(len(self.windows))]

    def fit(self, train: PatchSet, validation: PatchSet, seed: int, progress: bool = False) -> None:
        """Choose window and error threshold; with successes or failures only, defaults stay and are named as such."""
        sets = [_some(samples, seed) for samples in (train, validation) if len(samples)]
        labels = np.concatenate([samples.labels for samples in sets]) if sets else np.zeros(0, int)
        if not both_classes(labels):
            self._chosen_on = NOTHING
            return
        shapes = [self._shapes(samples, progress) for samples in sets]
        self._choose(shapes, np.concatenate([samples.angles for samples in sets]), labels)
        self._chosen_on = "train and validation"

    def _choose(self, shapes: Sequence[Shapes], angles: np.ndarray, labels: np.ndarray) -> None:
        found, across, widths = (
            np.concatenate([getattr(each, name) for each in shapes]) for name in ("found", "angles", "widths")
        )
        together = Shapes(found, across, widths)
        best: Tuple[float, Rule] = (-1.0, self._rule)
        for rule in self._candidates():
            scores = self._scores(together, angles, rule)
            accuracies = _accuracies(scores, labels)
            place = middle_of_best(accuracies)
            if accuracies[place] > best[0] + 1e-12:
                best = float(accuracies[place]), rule._replace(error=float(ERRORS[place]))
        self._accuracy, rule = best
        self._use(rule)

    def _use(self, rule: Rule) -> None:
        self._rule, self.threshold = rule, _threshold(rule.error)

    def scores(self, samples: PatchSet, progress: bool = False) -> np.ndarray:
        """(n,): 1 for a grasp across the object to 0 for one along it; NO_GRASP without an object, or a thin one."""
        if not self._chosen_on:
            raise NotFittedError(f"{self.name or 'heuristic'}: was asked for scores before it was fitted; call fit()")
        return self._scores(self._shapes(samples, progress), samples.angles, self._rule)

    def _scores(self, shapes: Shapes, angles: np.ndarray, rule: Rule) -> np.ndarray:
        nearness = 1.0 - angle_difference(shapes.angles[:, rule.window], angles) / (math.pi / 2)
        thick = shapes.widths[:, rule.window, rule.axis] * self.patch_width >= rule.limit
        return np.where(shapes.found[:, rule.window] & thick, nearness, NO_GRASP)

    def _shapes(self, samples: PatchSet, progress: bool) -> Shapes:
        key = samples.identity, self.segmentation.model_dump_json(), self.windows
        return _memo.get(key, lambda: shapes_of(samples, self.segmentation, self.windows, progress))

    def parameters(self) -> Dict[str, Any]:
        """The chosen rule, by what it was chosen, and how well it does there."""
        return {
            "error_threshold_deg": round(math.degrees(self._rule.error), 3),
            "window": self.windows[self._rule.window],
            "eigenvalue_limit_m": self._rule.limit,
            "eigenvalue": "smallest" if self._rule.axis == ACROSS else "largest",
            "chosen_on": self._chosen_on,
            "balanced_accuracy_there": None if math.isnan(self._accuracy) else self._accuracy,
            "patch_width_m": self.patch_width,
            "segmentation": self.segmentation.model_dump(),
        }

    def state(self) -> Dict[str, np.ndarray]:
        """The rule."""
        return {
            "rule": np.array(self._rule, float),
            "accuracy": np.array(self._accuracy),
            "chosen_on": np.array(self._chosen_on),
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """See :class:`Method`."""
        try:
            window, axis, limit, error = (float(value) for value in state["rule"])
            accuracy, chosen_on = float(state["accuracy"]), str(state["chosen_on"])
        except (KeyError, ValueError, TypeError) as error_found:
            raise MethodError(f"{self.name}: not the state of a heuristic ({error_found}); fit it anew") from None
        if not (0 <= window < len(self.windows) and axis in (ACROSS, ALONG)):
            raise MethodError(f"{self.name}: the state is of a heuristic with other windows; fit it anew")
        self._use(Rule(int(window), int(axis), limit, error))
        self._accuracy, self._chosen_on = accuracy, chosen_on


class LimitHeuristic(EigenvectorHeuristic):
    """As EigenvectorHeuristic, and nothing is grasped whose largest width is below the closed gripper's gap.

    Args:
        minimum_width: the gap (m).
        more: arguments of EigenvectorHeuristic.
    """

    def __init__(self, minimum_width: float = GAP_CLOSED, **more: Any):
        if not minimum_width >= 0:
            raise MethodError(f"heuristic: minimum_width is {minimum_width}, expected metres, at least 0")
        self.minimum_width = minimum_width
        super().__init__(**more)

    def _candidates(self) -> List[Rule]:
        return [Rule(window, ALONG, self.minimum_width) for window in range(len(self.windows))]


class BestHeuristic(EigenvectorHeuristic):
    """The best of all error thresholds and limits on the test set itself: what such a rule could reach at most.

    Limits of both eigenvalues are tried, of the largest as in the paper and of the smallest, and all windows.
    """

    optimistic = True

    def fit(self, train: PatchSet, validation: PatchSet, seed: int, progress: bool = False) -> None:
        """There is nothing to learn before :meth:`choose`."""

    def choose(self, test: PatchSet) -> None:
        """Take the best rule on the test set.

        Raises:
            TooFewSuccessesError: it has successes or failures only.
        """
        require_both(test, self.name)
        self._choose([self._shapes(test, False)], test.angles, test.labels)
        self._chosen_on = test.name

    def _candidates(self) -> List[Rule]:
        windows = range(len(self.windows))
        return [Rule(window, axis, limit) for window in windows for axis in (ALONG, ACROSS) for limit in LIMITS]


def _threshold(error: float) -> float:
    """Score of a grasp that is just within an error threshold (rad); a little less, for it is computed otherwise."""
    return 1.0 - error / (math.pi / 2) - 1e-9


def _accuracies(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Balanced accuracy of each error threshold of ERRORS."""
    success = labels == 1
    thresholds = np.array([_threshold(error) for error in ERRORS])
    # how many of a class are at or above each threshold
    found = 1.0 - np.searchsorted(np.sort(scores[success]), thresholds) / np.count_nonzero(success)
    taken = 1.0 - np.searchsorted(np.sort(scores[~success]), thresholds) / np.count_nonzero(~success)
    return (found + 1.0 - taken) / 2


def _some(samples: PatchSet, seed: int) -> PatchSet:
    """At most MOST successes and MOST failures of a set, drawn by the seed, in its order."""
    rng = np.random.default_rng([seed, 11])
    kept = [np.flatnonzero(samples.labels == label) for label in (0, 1)]
    kept = [rng.choice(rows, MOST, replace=False) if len(rows) > MOST else rows for rows in kept]
    return samples.subset(np.sort(np.concatenate(kept)))
