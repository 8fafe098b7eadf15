"""A trained network as a method of the evaluation."""

from pathlib import Path
from typing import Any, Dict

import numpy as np
import torch

from grasp_learning.checkpoint import CheckpointError, load_checkpoint
from grasp_learning.dataset.schema import PatchGeometry
from grasp_learning.evaluation.method import Method, MethodError
from grasp_learning.evaluation.patch_set import PatchSet
from grasp_learning.predictor.engine import Engine
from grasp_learning.training.evaluation import THRESHOLD

BATCH = 64  # patches


class NetworkMethod(Method):
    """The probability that a network gives a patch at its executed angle.

    Each patch goes through the whole network by itself, as in training. The network learnt before: it is not fitted.

    Args:
        checkpoint: file that `train` wrote.
        precision: "fp32", the same on all processors, or the predictor's "auto" or "bf16".

    Raises:
        MethodError: the file cannot be used, or the precision is unknown.
    """

    probabilistic = True
    threshold = THRESHOLD

    def __init__(self, checkpoint: str, precision: str = "fp32"):
        if precision not in ("auto", "fp32", "bf16"):
            raise MethodError(f"network: precision '{precision}' is unknown; choose from auto, fp32, bf16")
        try:
            loaded = load_checkpoint(checkpoint)
        except CheckpointError as error:
            raise MethodError(str(error)) from None
        self.name = f"network, stage {loaded.info.stage}"
        self.info, self.sha256, self.path = loaded.info, loaded.sha256, Path(checkpoint)
        self._precision = precision
        self._engine = Engine(loaded.network, precision)

    def scores(self, samples: PatchSet) -> np.ndarray:
        """See :class:`Method`.

        Raises:
            MethodError: the network was trained on patches that show another part of the table.
        """
        self._check_geometry(samples)
        result = np.empty(len(samples))
        for rows, pictures in samples.batches(BATCH, self._engine.input_side):
            chances = self._engine.evaluate(torch.from_numpy(pictures))  # (m, 18)
            result[rows] = chances[np.arange(len(chances)), samples.bins[rows]]
        return result

    def parameters(self) -> Dict[str, Any]:
        """Which network it is."""
        return {
            "file": self.path.name,
            "sha256": self.sha256,
            "stage": self.info.stage,
            "variant": self.info.variant,
            "trained_on": self.info.dataset,
            "dataset_identity": str(self.info.training.get("dataset_identity", "")),
            "precision": self._precision,
        }

    def _check_geometry(self, samples: PatchSet) -> None:
        ours = PatchGeometry(span=float(self.info.training.get("patch_span", 0.0)))
        if not ours.agrees(samples.geometry):
            raise MethodError(
                f"{self.path}: was trained on patches that span {ours.span:.4f} m at a distance of 1 m, those of the "
                f"test span {samples.geometry.span:.4f} m; train it on patches of this geometry, or test it on its own"
            )
