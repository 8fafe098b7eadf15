"""Which samples an epoch shows, in which order: from the seed and the epoch's number alone.

So an interrupted training that goes on shows what the uninterrupted one would have shown, on any number of devices.
"""

from typing import List, Optional

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
    labels: torch.Tensor,
    repeats: torch.Tensor,
    balanced: bool,
    generator: torch.Generator,
    stages: Optional[torch.Tensor] = None,
) -> torch.Tensor:
    """Indices of an epoch's samples.

    Args:
        labels: (n,) int64, 0 or 1.
        repeats: (n,) how often each sample counts; a broken part is drawn in each epoch.
        balanced: every second one is a success; the rarer class is shown again and again, each time all of it in a
            new order, before any of it is shown once more.
        stages: (n,) int64; what is balanced is balanced within each of them. Guided trials hold four times as often as
            random ones: were all balanced together, most of what holds would be guided, most of what does not would be
            random, and a network would learn to tell the stages apart. None for one stage.

    Returns:
        (epoch_length(repeats),) int64.
    """
    length = epoch_length(repeats)
    if not balanced:
        return _cycled(torch.arange(len(labels)), repeats, length, generator)
    stages = torch.zeros_like(labels) if stages is None else stages
    order = torch.empty(length, dtype=torch.int64)
    for label in (0, 1):
        places = order[label::2]
        shown = [
            _cycled(members, repeats[members], count, generator)
            for members, count in _shares(labels == label, stages, repeats, len(places))
        ]
        chosen = torch.cat(shown) if shown else places
        if len(shown) > 1:
            chosen = chosen[torch.randperm(len(chosen), generator=generator)]
        places.copy_(chosen)
    return order


def _shares(chosen: torch.Tensor, stages: torch.Tensor, repeats: torch.Tensor, places: int):
    """Of each stage with chosen samples, these (indices) and how many places they take.

    A stage gets as large a part of the places as all its samples are of what counts, whichever of them are chosen.
    """
    numbers = torch.unique(stages[chosen])
    weights = torch.stack([repeats[stages == number].sum() for number in numbers]) if len(numbers) else repeats[:0]
    # rounded where they end, so that all places are taken
    ends = torch.round(torch.cumsum(weights, 0) / weights.sum() * places).long().tolist()
    members = [torch.nonzero(chosen & (stages == number)).flatten() for number in numbers]
    return [(each, end - begin) for each, begin, end in zip(members, [0, *ends], ends)]


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
