"""A network made ready to answer fast on a processor: precision, memory layout, no gradients."""

import copy

import numpy as np
import torch
from torch.nn import functional

from grasp_learning.network import GraspNetwork


def has_bf16() -> bool:
    """Whether the processor computes in bfloat16 by instructions of its own; emulated, it would be slower than fp32."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


class Engine:
    """A network in evaluation mode, never changed; may be used by several threads.

    Args:
        network: stays as it is; the engine has a copy of its own only where it computes in another precision.
        precision: "auto", "fp32" or "bf16"; see PredictorSettings.
    """

    def __init__(self, network: GraspNetwork, precision: str = "auto"):
        bf16 = precision == "bf16" or (precision == "auto" and has_bf16())
        self.dtype = torch.bfloat16 if bf16 else torch.float32
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for layers in self.network.children():  # but not the normalisation, which is the network's own
            layers.to(self.dtype)
        self.input_side, self.num_bins = network.input_side, network.num_bins

    @torch.inference_mode()
    def evaluate(self, patches: torch.Tensor) -> np.ndarray:
        """Probabilities (n, 18) of patches (n, side, side, 3) uint8 BGR."""
        return self._probabilities(self.network(self._input(patches)))

    @torch.inference_mode()
    def pooled_everywhere(self, pictures: torch.Tensor) -> torch.Tensor:
        """Features of whole pictures (n, h, w, 3) uint8 BGR, pooled at every cell of their map, 16 px apart.

        Returns:
            (n, 256, h', w'); a patch that begins at cell (i, j) has the cells i, i + 2 ... i + 10 and j, j + 2 ...
        """
        features = self.network.convolve(self._input(pictures))
        return functional.max_pool2d(features, self.network.last_pool.kernel_size, stride=1)

    @torch.inference_mode()
    def classify(self, pooled: torch.Tensor) -> np.ndarray:
        """Probabilities (n, 18) of pooled features (n, 256, 6, 6)."""
        return self._probabilities(self.network.classify(pooled))

    def _input(self, pictures: torch.Tensor) -> torch.Tensor:
        # the mean is taken off before the precision is cut
        return self.network.normalise(pictures).to(self.dtype).contiguous(memory_format=torch.channels_last)

    def _probabilities(self, logits: torch.Tensor) -> np.ndarray:
        return self.network.probabilities(logits.float()).numpy()
