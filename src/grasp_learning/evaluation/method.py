"""What every method is to the evaluation: a thing that says how likely grasps hold.

The network and the baselines implement :class:`Method`, and so may a user: a class of one's own with ``scores`` (and
``fit``, if it learns) is evaluated with ``--method FILE.py:Class`` and appears in every table.
"""

import abc
import importlib
import importlib.util
import sys
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, Mapping, Optional, Tuple

import numpy as np

from grasp_learning.evaluation.patch_set import PatchSet


class MethodError(Exception):
    """A method cannot be made, fitted or asked; the message names it, the reason and the remedy."""


class UnknownMethodError(MethodError):
    """There is no method of this name."""


class Method(abc.ABC):
    """Predicts whether grasps hold, from the patch around each and its angle.

    Attributes:
        name: in tables.
        optimistic: it chooses parameters on the test set itself (:meth:`choose`), as the paper lets some baselines do,
            so that its figures are upper limits.
        probabilistic: its scores are probabilities, which can be calibrated or not.
        threshold: success is predicted for scores from it on.
    """

    name: str = ""
    optimistic: bool = False
    probabilistic: bool = False
    threshold: float = 0.5

    def fit(self, train: PatchSet, validation: PatchSet, seed: int, progress: bool = False) -> None:  # noqa: B027
        """Learn; does nothing unless it is overridden.

        Args:
            train: what to learn from; see :meth:`PatchSet.batches` for its patches.
            validation: to choose parameters by; may be empty.
            seed: of every random choice.
            progress: show a bar on stderr where it is a terminal.

        Raises:
            MethodError, DatasetError: there is too little to learn from.
        """

    def choose(self, test: PatchSet) -> None:  # noqa: B027
        """Take the parameters that are best on the test set; only asked of optimistic methods."""

    @abc.abstractmethod
    def scores(self, samples: PatchSet) -> np.ndarray:
        """(n,) float64, higher where the grasp of a patch, at its own angle, is more likely to hold."""

    def parameters(self) -> Dict[str, Any]:
        """What it uses and what it chose, as JSON's values; for the tables, and to know it again."""
        return {}

    def state(self) -> Optional[Dict[str, np.ndarray]]:
        """What it has learnt, as arrays by name (no objects), so that it need not learn again.

        None, unless it is overridden: it is fitted anew where its scores are not on disk.
        """
        return None

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over what :meth:`state` gave, in place of fitting.

        Raises:
            MethodError: that is not such a state; the method is fitted anew.
        """
        raise MethodError(f"{self.name}: has no state to take over")


# spec -> where its class is, and the options that make it that method
REGISTRY: Dict[str, Tuple[str, Dict[str, Any]]] = {
    "heuristic-eigenvector": ("grasp_learning.baselines.heuristic:EigenvectorHeuristic", {}),
    "heuristic-limit": ("grasp_learning.baselines.heuristic:LimitHeuristic", {}),
    "heuristic-best": ("grasp_learning.baselines.heuristic:BestHeuristic", {}),
    "knn": ("grasp_learning.baselines.neighbours:NearestNeighbours", {}),
    "svm": ("grasp_learning.baselines.svm:LinearSvms", {}),
    # stronger than the paper's: see docs/baselines.md
    "knn-turned": ("grasp_learning.baselines.neighbours:NearestNeighbours", {"turned": True}),
    "svm-turned": ("grasp_learning.baselines.svm:LinearSvms", {"turned": True}),
}
NETWORK = "network"
KNOWN = f"{', '.join(REGISTRY)}, {NETWORK}:FILE, or package.module:Class or FILE.py:Class of your own"


def create_method(spec: str, options: Optional[Mapping[str, Any]] = None) -> Method:
    """Make a method that is not fitted yet.

    Args:
        spec: a name from REGISTRY, "network:FILE", "package.module:Class" or "FILE.py:Class".
        options: keyword arguments of its class.

    Raises:
        UnknownMethodError: there is no such method.
        MethodError: it does not take these options, or its network's file cannot be used.
    """
    target, given = REGISTRY.get(spec, (spec, {}))
    arguments: Dict[str, Any] = {**given, **(options or {})}
    module, _, attribute = target.partition(":")
    if module == NETWORK and attribute:
        arguments["checkpoint"] = attribute
        target = "grasp_learning.evaluation.network_method:NetworkMethod"
    elif not module or not attribute:
        raise UnknownMethodError(f"method '{spec}' is unknown; choose from {KNOWN}")
    found = _class_of(target, spec)
    try:
        method = found(**arguments)
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise MethodError(f"method '{spec}' cannot be made with options {arguments}: {reason}") from None
    method.name = method.name or spec
    return method


def _class_of(target: str, spec: str) -> Any:
    module, _, attribute = target.rpartition(":")
    try:
        loaded = _load_file(module) if module.endswith(".py") else importlib.import_module(module)
    except (ImportError, OSError, SyntaxError) as error:
        reason = " ".join(str(error).split())
        raise UnknownMethodError(
            f"method '{spec}': '{module}' cannot be imported ({reason}); a module's folder must be in PYTHONPATH. "
            f"Methods are {KNOWN}"
        ) from None
    found = getattr(loaded, attribute, None)
    if not (isinstance(found, type) and issubclass(found, Method)):
        raise UnknownMethodError(
            f"method '{spec}': '{module}' has no class '{attribute}' derived from "
            "grasp_learning.evaluation.method.Method; see docs/evaluate.md"
        )
    return found


def _load_file(path: str) -> ModuleType:
    """A Python file as a module, whose name depends on its place."""
    place = Path(path).expanduser().absolute()
    name = f"_method_{zlib.crc32(str(place).encode()):08x}_{place.stem}"
    found = importlib.util.spec_from_file_location(name, place)
    if found is None:
        raise ImportError(f"{place} is no Python file")
    module = importlib.util.module_from_spec(found)
    # as an import does it: inspect and pickle look there
    sys.modules[name] = module
    try:
        # not by the loader, which takes bytecode of an older text for the new one if both were saved within a second
        exec(compile(place.read_bytes(), str(place), "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module
