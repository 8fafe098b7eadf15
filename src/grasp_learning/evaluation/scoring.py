"""Fitting methods and asking them for scores; what was computed before is taken from the evaluation's folder."""

import json
import time
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np
from pydantic import Field

import grasp_learning
from grasp_learning.config import Settings
from grasp_learning.dataset.reader import DatasetError
from grasp_learning.evaluation.folder import META, EvaluationFolder, code_of, key_of, meta_of, with_meta
from grasp_learning.evaluation.method import NETWORK, Method, MethodError, create_method
from grasp_learning.evaluation.results import EvaluationError
from grasp_learning.evaluation.test_sets import BalancedTest, LearningSets

FITTED, SCORES = "fitted", "scores"


class MethodSpec(Settings):
    """Which method to evaluate.

    Attributes:
        spec: see method.create_method.
        name: in tables; the method's own if empty.
        options: keyword arguments of its class.
    """

    spec: str
    name: str = ""
    options: Dict[str, Any] = Field(default_factory=dict)


class Candidate(NamedTuple):
    """A method that takes part; it is named as in tables."""

    method: Method
    spec: MethodSpec

    @property
    def learns(self) -> bool:
        """Whether it has to be fitted."""
        return type(self.method).fit is not Method.fit


class Scored(NamedTuple):
    """What a method says of a test set.

    Attributes:
        scores: (n,).
        threshold: of the prediction.
        parameters: of the method, as chosen.
        fit_seconds, score_seconds: wall clock, of when they were computed.
    """

    scores: np.ndarray
    threshold: float
    parameters: Mapping[str, Any]
    fit_seconds: float
    score_seconds: float


def create_all(specs: Sequence[MethodSpec]) -> List[Candidate]:
    """Make methods, none of them fitted yet.

    Raises:
        MethodError: one cannot be made.
        EvaluationError: two have one name.
    """
    found: Dict[str, Candidate] = {}
    for spec in specs:
        method = create_method(spec.spec, spec.options)
        method.name = spec.name or method.name
        if method.name in found:
            raise EvaluationError(
                f"two methods are called '{method.name}' ({found[method.name].spec.spec} and {spec.spec}); "
                "name one, as in --model NAME=FILE or --method NAME=SPEC"
            )
        found[method.name] = Candidate(method, spec)
    return list(found.values())


class Scorer:
    """Asks one method; it is fitted when the first test set is asked about whose scores are not in the folder.

    Args:
        folder: where fitted methods and scores are kept.
        sets: what to learn from.
        seed: of the fitting.
        progress: show bars on stderr where it is a terminal.
    """

    def __init__(
        self, candidate: Candidate, folder: EvaluationFolder, sets: LearningSets, seed: int, progress: bool = False
    ):
        self._candidate, self._method = candidate, candidate.method
        self._folder, self._sets, self._seed, self._progress = folder, sets, seed, progress
        _check_restorable(candidate.method)
        spec = candidate.spec.spec
        self._facts: Dict[str, Any] = {
            # a network is the same wherever its file lies: its parameters hold its SHA-256
            "spec": NETWORK if spec.startswith(f"{NETWORK}:") else spec,
            "options": candidate.spec.options,
            "parameters": _parameters(self._method),
            "code": code_of(self._method),
            "version": grasp_learning.__version__,
        }
        if candidate.learns:
            identities = {"train": sets.train.identity, "validation": sets.validation.identity}
            self._facts.update(identities, seed=seed)
        self._fit_seconds: Optional[float] = None  # until it is fitted

    def scored(self, test: BalancedTest) -> Scored:
        """Scores of a test set.

        Raises:
            MethodError: the method cannot be fitted, or answers otherwise than it should.
            DatasetError: there is nothing to learn from, or a patch cannot be read.
            EvaluationError: what was found cannot be written.
        """
        key = key_of(**self._facts, test=test.info.identity)
        kept = self._folder.load(SCORES, key)
        if kept is not None and META in kept and kept["scores"].shape == (len(test.rows),):
            return Scored(kept["scores"], **meta_of(kept))
        self._fit()
        method, watched = self._method, test.rows
        if self._progress:
            watched = test.rows.watch(f"{method.name}: {test.info.split}")
        begin = time.monotonic()
        if method.optimistic:
            method.choose(watched)
        scores = _checked(method, method.scores(watched), len(watched))
        meta = {
            "threshold": float(method.threshold),
            "parameters": _parameters(method),
            "fit_seconds": self._fit_seconds,
            "score_seconds": time.monotonic() - begin,
        }
        self._folder.save(SCORES, key, with_meta(meta, scores=scores))
        return Scored(scores, **meta)

    def _fit(self) -> None:
        if self._fit_seconds is not None:
            return
        key = key_of(**self._facts)
        if not self._candidate.learns or self._restored(key):
            self._fit_seconds = self._fit_seconds or 0.0
            return
        if not len(self._sets.train):
            raise DatasetError(f"{self._method.name}: there is no patch to learn from; export trials to split 'train'")
        begin = time.monotonic()
        self._method.fit(self._sets.train, self._sets.validation, self._seed, self._progress)
        self._fit_seconds = time.monotonic() - begin
        state = self._method.state()
        if state is not None:
            self._folder.save(FITTED, key, with_meta({"seconds": self._fit_seconds}, **_plain(self._method, state)))

    def _restored(self, key: str) -> bool:
        """Whether the method took over what it had learnt before."""
        kept = self._folder.load(FITTED, key)
        if kept is None or META not in kept:
            return False
        try:
            self._method.restore({name: values for name, values in kept.items() if name != META})
        except MethodError:
            return False  # it was not whole: learn again
        self._fit_seconds = meta_of(kept)["seconds"]
        return True


def _check_restorable(method: Method) -> None:
    kind = type(method)
    if kind.state is not Method.state and kind.restore is Method.restore:
        raise MethodError(f"{method.name}: has state(), but no restore() to take it over; write both or none")


def _plain(method: Method, state: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    arrays = {name: np.asarray(values) for name, values in state.items()}
    for name, values in arrays.items():
        if values.dtype.hasobject:
            raise MethodError(f"{method.name}: state() gives objects as '{name}'; give arrays of numbers or text")
    return arrays


def _parameters(method: Method) -> Dict[str, Any]:
    try:
        return json.loads(json.dumps(method.parameters(), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise MethodError(f"{method.name}: parameters() is not JSON ({error}); give numbers, text and lists") from None


def _checked(method: Method, scores: Any, count: int) -> np.ndarray:
    """Scores as float64.

    Raises:
        MethodError: they are not one finite number a patch, or no probabilities though they should be.
    """
    values = np.asarray(scores, np.float64)
    if values.shape != (count,):
        raise MethodError(f"{method.name}: scores() gave shape {values.shape}, expected ({count},), one for each patch")
    if not np.isfinite(values).all():
        raise MethodError(f"{method.name}: scores() gave {np.sum(~np.isfinite(values))} values that are not finite")
    if method.probabilistic and (values.min() < 0 or values.max() > 1):
        raise MethodError(
            f"{method.name}: scores() gave values from {values.min():.3g} to {values.max():.3g}, but it is "
            "'probabilistic': expected probabilities from 0 to 1"
        )
    return values
