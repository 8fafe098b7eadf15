"""k nearest neighbours on HoG features, within the grasp's angle class (paper, section IV.D)."""

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
from sklearn import config_context
from sklearn.neighbors import NearestNeighbors

from grasp_learning.baselines.angle_classes import LEAST
from grasp_learning.baselines.choosing import NOTHING, balanced_accuracy, best_threshold, both_classes, require_both
from grasp_learning.baselines.errors import NotFittedError
from grasp_learning.baselines.hog_method import HogMethod
from grasp_learning.evaluation.method import MethodError
from grasp_learning.evaluation.patch_set import PatchSet

KS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 75, 100, 150, 200)
WORKING_MB = 256  # of distances at a time


class NearestNeighbours(HogMethod):
    """The part of successes among the k training patches that look most alike, k being the best on the test set.

    Failures outnumber successes, so half of the votes would be too much to ask for: for each k the threshold is the one
    with the best balanced accuracy on validation.

    Args:
        ks: numbers of neighbours that are tried; a class with fewer patches votes as a whole.
        turned, least, widen, hog: see :class:`HogMethod`.

    Raises:
        MethodError, ConfigError: an option is wrong.
    """

    optimistic = True

    def __init__(
        self,
        ks: Sequence[int] = KS,
        turned: bool = False,
        least: int = LEAST,
        widen: bool = True,
        hog: Optional[Mapping[str, Any]] = None,
    ):
        super().__init__(turned, least, widen, hog)
        if not ks or not all(isinstance(k, int) and k > 0 for k in ks):
            raise MethodError(f"knn: ks is {list(ks)}, expected whole numbers above 0")
        self.ks = tuple(sorted(set(ks)))
        self._searches: List[Tuple[NearestNeighbors, np.ndarray]] = []
        self._thresholds = np.zeros(0)
        self._chosen = -1
        self._validation: Dict[str, float] = {}
        self._accuracies: Dict[str, float] = {}
        self._last: Tuple[str, np.ndarray] = ("", np.zeros(0))  # identity of a set, its votes

    def fit(self, train: PatchSet, validation: PatchSet, seed: int, progress: bool = False) -> None:
        """See :class:`Method`.

        Raises:
            TooFewSuccessesError: there are no successes or no failures, or too few of them in a bin.
        """
        features, classes = self._learn_from(train, progress)
        self._chosen, self._searches, self._last = -1, [], ("", np.zeros(0))
        for rows in classes:
            search = NearestNeighbors(n_neighbors=min(self.ks[-1], len(rows)), algorithm="brute")
            whole = len(rows) == len(features)
            self._searches.append((search.fit(features if whole else features[rows]), train.labels[rows] == 1))
        if both_classes(validation.labels):
            self._chosen_on = validation.name
            chosen = [best_threshold(votes, validation.labels) for votes in self._votes(validation, progress).T]
            self._thresholds = np.array([threshold for threshold, _ in chosen])
            self._validation = {str(k): accuracy for k, (_, accuracy) in zip(self.ks, chosen)}
        else:
            # more successes than among all training patches
            self._chosen_on, self._validation = NOTHING, {}
            self._thresholds = np.full(len(self.ks), float(np.mean(train.labels == 1)))

    def choose(self, test: PatchSet) -> None:
        """Take the k that is best on the test set.

        Raises:
            TooFewSuccessesError: it has successes or failures only.
        """
        require_both(test, self.name)
        votes = self._votes(test) >= self._thresholds
        accuracies = [balanced_accuracy(column, test.labels) for column in votes.T]
        self._accuracies = {str(k): accuracy for k, accuracy in zip(self.ks, accuracies)}
        self._chosen = int(np.argmax(accuracies))
        self.threshold = float(self._thresholds[self._chosen])

    def scores(self, samples: PatchSet) -> np.ndarray:
        """(n,) part of successes among the k nearest neighbours.

        Raises:
            NotFittedError: k was not chosen yet.
        """
        if self._chosen < 0:
            raise NotFittedError(f"{self.name or 'knn'}: was asked for scores before choose(); call it after fit()")
        return self._votes(samples)[:, self._chosen].copy()

    def _votes(self, samples: PatchSet, progress: bool = False) -> np.ndarray:
        """(n, number of ks) part of successes among the neighbours."""
        if not self._searches:
            raise NotFittedError(f"{self.name or 'knn'}: was asked before it was fitted; call fit()")
        identity = samples.identity
        if self._last[0] != identity:
            self._last = identity, self._search(samples, progress)
        return self._last[1]

    def _search(self, samples: PatchSet, progress: bool) -> np.ndarray:
        features = self._features(samples, progress)
        votes = np.zeros((len(samples), len(self.ks)))
        for search, rows in zip(self._searches, self._rows_by_class(samples)):
            if not len(rows):
                continue
            finder, success = search
            with config_context(working_memory=WORKING_MB):
                nearest = finder.kneighbors(features[rows], return_distance=False)  # (m, neighbours), nearest first
            held = np.cumsum(success[nearest], axis=1)
            for place, k in enumerate(self.ks):
                taken = min(k, nearest.shape[1])
                votes[rows, place] = held[:, taken - 1] / taken
        return votes

    def parameters(self) -> Dict[str, Any]:
        """The chosen k, and how well all of them do on validation and on the test set."""
        return {
            **super().parameters(),
            "k": self.ks[self._chosen] if self._chosen >= 0 else None,
            "threshold": self.threshold,
            "test_accuracy_by_k": self._accuracies,
            "validation_accuracy_by_k": self._validation,
        }
