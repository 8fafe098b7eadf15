"""Which samples an epoch shows, in which order: from the seed and the epoch's number alone.

So an interrupted training that goes on shows what the uninterrupted one would have shown, on any number of devices.
"""

from typing import List

import numpy as np
import torch

ORDER, AUGMENT, DROPOUT, FEATURES = range(4)  # streams of random numbers


def derived_seed(seed: int, stream: int, *numbers: int) -> int:
    """A seed of a stream's own for each epoch, step, ..."""
    return int(np.random.SeedSequence([seed, stream, *numbers]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def generator_of(seed: int, stream: int, *numbers: int) -> torch.Generator:
    """A generator on the CPU with a derived seed."""
    return torch.Generator().manual_seed(derived_seed(seed, stream, *numbers))


def epoch_length(repeats: torch.Tensor) -> int:
    """Samples of an epoch: each as often as it counts."""
    return max(1, round(float(repeats.sum())))


def epoch_order(
    labels: torch.Tensor, repeats: torch.Tensor, balanced: bool, generator: torch.Generator
) -> torch.Tensor:
    """Indices of an epoch's samples.

    Args:
        labels: (n,) int64, 0 or 1.
        repeats: (n,) how often each sample counts; a broken part is drawn in each epoch.
        balanced: every second one is a success; the rarer class is shown again and again, each time all of it in a
            new order, before any of it is shown once more.

    Returns:
        (epoch_length(repeats),) int64.
    """
    length = epoch_length(repeats)
    if not balanced:
        return _cycled(torch.arange(len(labels)), repeats, length, generator)
    order = torch.empty(length, dtype=torch.int64)
    for label in (0, 1):
        members = torch.nonzero(labels == label).flatten()
        places = order[label::2]
        places.copy_(_cycled(members, repeats[members], len(places), generator))
    return order


def _cycled(members: torch.Tensor, repeats: torch.Tensor, length: int, generator: torch.Generator) -> torch.Tensor:
    parts: List[torch.Tensor] = []
    missing = length
    while missing > 0:
        whole = torch.floor(repeats)
        extra = torch.rand(len(members), generator=generator, dtype=torch.float64) < repeats - whole
        shown = torch.repeat_interleave(members, (whole + extra).long())
        shown = shown[torch.randperm(len(shown), generator=generator)][:missing]
        parts.append(shown)
        missing -= len(shown)
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64)


def batches_of(order: torch.Tensor, batch_size: int, world_size: int) -> List[torch.Tensor]:
    """An epoch's order in batches that all devices share evenly; the last one may be smaller.

    The last batch is filled from the order's beginning up to a multiple of the number of devices.
    """
    missing = -len(order) % world_size
    filled = torch.cat([order, order.repeat(missing // max(1, len(order)) + 1)[:missing]])
    return list(torch.split(filled, batch_size))


def share(batch: torch.Tensor, rank: int, world_size: int) -> torch.Tensor:
    """One device's part of a batch."""
    size = len(batch) // world_size
    return batch[rank * size : (rank + 1) * size]
