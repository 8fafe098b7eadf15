"""Features of frozen convolutions, computed once: the fully connected layers then train several times faster on a CPU.

A turned patch has other features, so each patch gets a fixed number of turns, evenly spread from an offset of its own,
in place of a new random turn in each epoch.
"""

from typing import Tuple

import torch
from tqdm import tqdm

from grasp_learning.network import GraspNetwork
from grasp_learning.training.augmentation import TWO_PI, rotate, wrap_angles
from grasp_learning.training.epochs import FEATURES, generator_of
from grasp_learning.training.errors import TrainingError
from grasp_learning.training.samples import Samples

AT_ONCE = 64  # patches
VALUES = 256 * 6 * 6


class Features:
    """Pooled feature maps of some turns of each sample.

    Args:
        values: (n, turns, 256, 6, 6) float16.
        angles: (n, turns) of the grasps in the turned patches (rad).
    """

    def __init__(self, values: torch.Tensor, angles: torch.Tensor):
        self._values, self._angles = values, angles

    def take(self, indices: torch.Tensor, turns: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        """Features (m, 256, 6, 6) float32 and angles (m,) of samples, each at one of its turns.

        Args:
            turns: (m,) in [0, 2 pi), which choose among the turns that there are.
        """
        count = self._values.shape[1]
        chosen = (turns / TWO_PI * count).long().clamp_(0, count - 1)
        return self._values[indices, chosen].float(), self._angles[indices, chosen]


@torch.no_grad()
def compute_features(
    network: GraspNetwork,
    samples: Samples,
    rotations: int,
    seed: int,
    memory_gb: float,
    device: torch.device,
    autocast: bool = False,
    progress: bool = False,
) -> Features:
    """Run the convolutions over all samples; the network is left as it was found, on the CPU.

    Args:
        rotations: turns of each sample; 1 leaves them as they are.
        autocast: compute in bf16.

    Raises:
        TrainingError: the features need more memory than `memory_gb`.
    """
    size = len(samples) * rotations * VALUES * 2 / 1e9
    if size > memory_gb:
        raise TrainingError(
            f"features of {len(samples)} samples at {rotations} rotations need {size:.1f} GB, memory_gb is "
            f"{memory_gb:g}; allow more, or ask for fewer rotations"
        )
    turns = _turns(len(samples), rotations, seed)  # (n, rotations)
    values = torch.empty((len(samples), rotations, 256, 6, 6), dtype=torch.float16)
    angles = torch.empty((len(samples), rotations), dtype=torch.float64)
    training = network.training
    network.eval().to(device)
    with tqdm(
        total=values.shape[0] * rotations, desc="features", unit="patch", disable=None if progress else True
    ) as bar:
        for first in range(0, len(samples), AT_ONCE):
            indices = torch.arange(first, min(first + AT_ONCE, len(samples)))
            patches, inner = samples.patches.take(indices).to(device), samples.inner[indices].to(device)
            for turn in range(rotations):
                turned, turned_angles = rotate(
                    patches,
                    samples.angles[indices].to(device),
                    turns[indices, turn].to(device),
                    network.input_side,
                    inner,
                )
                with torch.autocast(device.type, dtype=torch.bfloat16, enabled=autocast):
                    x = network.normalise(turned).contiguous(memory_format=torch.channels_last)
                    pooled = network.pool(network.convolve(x))
                values[indices, turn] = pooled.to("cpu", torch.float16)
                angles[indices, turn] = wrap_angles(turned_angles).cpu()
                bar.update(len(indices))
    network.train(training).to("cpu")
    return Features(values, angles)


def _turns(count: int, rotations: int, seed: int) -> torch.Tensor:
    if rotations == 1:
        return torch.zeros((count, 1), dtype=torch.float64)
    offsets = torch.rand((count, 1), generator=generator_of(seed, FEATURES), dtype=torch.float64)
    return (torch.arange(rotations, dtype=torch.float64) + offsets) * (TWO_PI / rotations)
