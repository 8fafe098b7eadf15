"""The samples of a split: labels and angles in memory, patches in memory, on a device, or decoded when needed."""

import abc
import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from grasp_learning.geometry import angle_to_bin


class Patches(abc.ABC):
    """Patches by number; implementations differ in where they are kept.

    Attributes:
        ready: whether taking them costs nothing but a copy, so that nobody need prepare them ahead.
    """

    ready = True

    @property
    def memory(self) -> int:
        """Bytes that they fill in this process's memory."""
        return 0

    @abc.abstractmethod
    def __len__(self) -> int:
        """How many there are."""

    @abc.abstractmethod
    def take(self, indices: torch.Tensor) -> torch.Tensor:
        """(n,) int64 on the CPU -> (n, 3, s, s) uint8 BGR, channels last in memory."""


class DecodedPatches(Patches):
    """All patches in one tensor, on any device.

    Args:
        pictures: (n, s, s, 3) uint8 BGR.
    """

    def __init__(self, pictures: torch.Tensor):
        self.pictures = pictures

    @property
    def memory(self) -> int:
        """See :class:`Patches`."""
        return self.pictures.nbytes

    def __len__(self) -> int:
        return len(self.pictures)

    def take(self, indices: torch.Tensor) -> torch.Tensor:
        """See :class:`Patches`; the result is on the tensor's device."""
        # not waiting for a GPU, which would have nothing to do while the next step is prepared
        return self.pictures[indices.to(self.pictures.device, non_blocking=True)].permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Samples:
    """The samples of a split; tensors are on the CPU and have n entries.

    Attributes:
        patches: their patches.
        angles: of the grasps in the patches (rad, float64, in [0, pi)).
        bins, labels, stages: int64.
        inner: part of a stored patch's side that the network sees (float64).
    """

    patches: Patches
    angles: torch.Tensor
    bins: torch.Tensor
    labels: torch.Tensor
    stages: torch.Tensor
    inner: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def successes(self) -> int:
        """How many are labelled as successes."""
        return int(self.labels.sum())

    def repeats(self, gamma: float) -> torch.Tensor:
        """(n,) float64, how often each sample counts: D_k = {D_(k-1), gamma x d_k} (paper, section III.D)."""
        return torch.where(self.stages > 0, gamma, 1.0).double()

    def success_shift(self, gamma: float) -> float:
        """Log-odds of success among random samples less those among all, each as often as it counts.

        Where both classes are balanced, successes are raised by less than among random trials alone, since guided
        ones hold more often; this is by how much. A loss that does not allow for it moves the threshold of 0.5 with
        each stage. 0 where there are no random samples of both classes.
        """
        repeats, random = self.repeats(gamma), self.stages == 0
        counts = [
            [float(repeats[chosen & (self.labels == label)].sum()) for label in (0, 1)]
            for chosen in (torch.ones_like(random), random)
        ]
        if min(map(min, counts)) == 0.0:
            return 0.0
        (failures, successes), (random_failures, random_successes) = counts
        return math.log(random_successes / random_failures) - math.log(successes / failures)

    def to(self, device: torch.device) -> "Samples":
        """The same with decoded patches on a device; others stay where they are."""
        if not isinstance(self.patches, DecodedPatches):
            return self
        return replace(self, patches=DecodedPatches(self.patches.pictures.to(device)))


def make_samples(patches: Patches, angles, labels, stages, inner) -> Samples:
    """Samples from arrays of n entries, see :class:`Samples`."""
    angles = np.array(angles, np.float64)
    return Samples(
        patches,
        torch.from_numpy(angles),
        torch.from_numpy(np.array(angle_to_bin(angles), np.int64)),
        torch.from_numpy(np.array(labels, np.int64)),
        torch.from_numpy(np.array(stages, np.int64)),
        torch.from_numpy(np.array(inner, np.float64)),
    )
