"""The one place that imports torchvision.

Its wheel is built for one build of torch. Beside another one (a CPU torch, say) its compiled operators do not load, and
the import itself fails, because it describes operators that nobody declared. Models and transforms need none of them.
"""

import importlib
import sys
import threading
from types import ModuleType
from typing import List

import torch

# what torchvision's import describes whether or not its library was loaded
SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

_lock = threading.Lock()
# a declaration lives as long as its library object
_declared: List[torch.library.Library] = []


def import_torchvision() -> ModuleType:
    """Torchvision, also where its compiled operators do not load; where they do, this is a plain import.

    May be called often and by several threads.

    Raises:
        ImportError: it is not installed.
        RuntimeError: it fails to import for another reason than its operators.
    """
    with _lock:
        try:
            return importlib.import_module("torchvision")
        except RuntimeError as error:
            if "torchvision::" not in str(error) or _declared:
                raise
        # the failed import leaves submodules behind that would be taken for whole ones
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        _declare_operators()
        return importlib.import_module("torchvision")


def _declare_operators() -> None:
    """Declare the operators without an implementation: to call one says so."""
    library = torch.library.Library("torchvision", "DEF")
    for schema in SCHEMAS:
        library.define(schema)
    _declared.append(library)
