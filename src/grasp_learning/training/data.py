"""Batches of a training, as Lightning takes them: the split's samples, shared among devices, in an order of their own.

No DataLoader: a batch is one gather from a tensor that lies on the device where it fits, so that nothing waits for
worker processes. Where patches are decoded on the way, a thread prepares the batches ahead.
"""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Callable, Iterator, List, NamedTuple, Optional

import torch

from grasp_learning.training.augmentation import TWO_PI
from grasp_learning.training.epochs import (
    AUGMENT,
    DROPOUT,
    ORDER,
    batches_of,
    derived_seed,
    epoch_length,
    epoch_order,
    generator_of,
    share,
)
from grasp_learning.training.features import Features
from grasp_learning.training.lightning_library import lightning
from grasp_learning.training.samples import DecodedPatches, Samples
from grasp_learning.training.settings import TrainSettings

AHEAD = 3  # batches that are prepared while one is computed
DEVICE_RESERVE = 8e9  # bytes of a GPU's memory that are left to the network


class Batch(NamedTuple):
    """One step's samples of one device, n of them.

    Attributes:
        patches: (n, 3, STORED_SIDE, STORED_SIDE) uint8, or (n, 256, 6, 6) features.
        angles: (n,) float64 (rad); with features, already turned.
        labels: (n,) int64.
        weights: (n,) float32; 0 for what only fills a batch.
        inner: (n,) float64, see augmentation.rotate.
        turns: (n,) float64 (rad).
        mirrored: (n,) bool.
        seed: of the step's other random choices.
    """

    patches: torch.Tensor
    angles: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor
    inner: torch.Tensor
    turns: torch.Tensor
    mirrored: torch.Tensor
    seed: int


class TrainBatches:
    """The batches of the current epoch.

    Args:
        steps_done: gives how many steps the training has made; the epoch follows from it. Lightning's own number of the
            epoch is that of the epoch before when a training goes on.
        rank, world_size: this device, and how many there are.
    """

    def __init__(
        self,
        samples: Samples,
        settings: TrainSettings,
        steps_done: Callable[[], int],
        rank: int = 0,
        world_size: int = 1,
        features: Optional[Features] = None,
    ):
        self._samples, self._settings, self._steps_done = samples, settings, steps_done
        self._rank, self._world_size, self._features = rank, world_size, features
        self._repeats = samples.repeats(settings.resolved_gamma)
        self._class_weights = _class_weights(samples.labels, self._repeats, settings.balance == "loss")

    def __len__(self) -> int:
        length = epoch_length(self._repeats)
        length += -length % self._world_size
        return -(-length // self._settings.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        epoch, seed = self._steps_done() // len(self), self._settings.seed
        balanced = self._settings.balance == "sampler"
        order = epoch_order(self._samples.labels, self._repeats, balanced, generator_of(seed, ORDER, epoch))
        chosen = batches_of(order, self._settings.batch_size, self._world_size)
        jobs = [partial(self._batch, epoch, step, indices) for step, indices in enumerate(chosen)]
        on_the_spot = self._features is not None or self._samples.patches.ready
        return (job() for job in jobs) if on_the_spot else _prepared(jobs)

    def _batch(self, epoch: int, step: int, indices: torch.Tensor) -> Batch:
        settings = self._settings
        generator = generator_of(settings.seed, AUGMENT, epoch, step)
        # drawn for all devices, so that their number changes nothing
        turns = torch.rand(len(indices), generator=generator, dtype=torch.float64) * TWO_PI
        mirrored = torch.rand(len(indices), generator=generator) < 0.5
        if settings.augment == "none":
            turns = torch.zeros_like(turns)
        if settings.augment != "rotation+flips":
            mirrored = torch.zeros_like(mirrored)
        indices, turns, mirrored = (share(each, self._rank, self._world_size) for each in (indices, turns, mirrored))
        seed = derived_seed(settings.seed, DROPOUT, epoch, step, self._rank)
        labels = self._samples.labels[indices]
        weights = self._class_weights[labels]
        inner = self._samples.inner[indices]
        if self._features is not None:
            features, angles = self._features.take(indices, turns)
            return Batch(features, angles, labels, weights, inner, turns, mirrored, seed)
        patches = self._samples.patches.take(indices)
        return Batch(patches, self._samples.angles[indices], labels, weights, inner, turns, mirrored, seed)


class EvaluationBatches:
    """All samples once, in order, as they are; with several devices, each one's share.

    All devices have as many batches; what fills them weighs nothing.
    """

    def __init__(self, samples: Samples, batch_size: int, rank: int = 0, world_size: int = 1):
        self._samples, self._batch_size = samples, batch_size
        self._rank, self._world_size = rank, world_size

    def __len__(self) -> int:
        return -(-len(self._samples) // (self._batch_size * self._world_size))

    def __iter__(self) -> Iterator[Batch]:
        jobs = [partial(self._batch, number) for number in range(len(self))]
        return (job() for job in jobs) if self._samples.patches.ready else _prepared(jobs)

    def _batch(self, number: int) -> Batch:
        samples = self._samples
        first = min((number * self._world_size + self._rank) * self._batch_size, len(samples))
        indices = torch.arange(first, min(first + self._batch_size, len(samples)))
        weights = torch.ones(max(1, len(indices)))
        if not len(indices):
            indices, weights = torch.zeros(1, dtype=torch.int64), torch.zeros(1)
        zeros = torch.zeros(len(indices), dtype=torch.float64)
        return Batch(
            samples.patches.take(indices),
            samples.angles[indices],
            samples.labels[indices],
            weights,
            samples.inner[indices],
            zeros,
            zeros.bool(),
            0,
        )


def _class_weights(labels: torch.Tensor, repeats: torch.Tensor, balanced: bool) -> torch.Tensor:
    """(2,) weights of failures and successes, whose mean over the samples is 1; of all classes 1 if not balanced."""
    if not balanced:
        return torch.ones(max(2, int(labels.max()) + 1))
    counts = torch.stack([repeats[labels == label].sum() for label in (0, 1)])
    return (counts.sum() / (2.0 * counts)).float()


def _prepared(jobs: List[Callable[[], Batch]]) -> Iterator[Batch]:
    """Results of jobs in order, a few of them made ahead by a thread."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as pool:
        waiting = deque(pool.submit(job) for job in jobs[:AHEAD])
        for job in jobs[AHEAD:]:
            ready = waiting.popleft()
            waiting.append(pool.submit(job))
            yield ready.result()
        while waiting:
            yield waiting.popleft().result()


class GraspData(lightning.LightningDataModule):
    """The train and validation splits of a training.

    Args:
        train: samples to learn from.
        validation: None where the datasets have none.
        features: of `train`, where the convolutions are frozen.
    """

    def __init__(
        self,
        settings: TrainSettings,
        train: Samples,
        validation: Optional[Samples] = None,
        features: Optional[Features] = None,
    ):
        super().__init__()
        self._settings, self._features = settings, features
        self._train, self._validation = train, validation

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch, all devices together."""
        world_size = self._settings.devices * self._settings.num_nodes
        return len(TrainBatches(self._train, self._settings, int, 0, world_size))

    def _placed(self, samples: Samples) -> Samples:
        """The samples with their patches on a GPU, if there is one and it has room."""
        device, patches = self.trainer.strategy.root_device, samples.patches
        if device.type != "cuda" or not isinstance(patches, DecodedPatches) or patches.pictures.is_cuda:
            return samples
        room = torch.cuda.mem_get_info(device)[0] - DEVICE_RESERVE
        return samples.to(device) if patches.pictures.nbytes <= room else samples

    def train_dataloader(self) -> TrainBatches:
        """Batches of the epoch that the trainer is in."""
        trainer = self.trainer
        if self._features is None:
            self._train = self._placed(self._train)
        return TrainBatches(
            self._train,
            self._settings,
            lambda: trainer.global_step,
            trainer.global_rank,
            trainer.world_size,
            self._features,
        )

    def val_dataloader(self):
        """The validation split; nothing where there is none."""
        if self._validation is None:
            return []
        self._validation = self._placed(self._validation)
        trainer = self.trainer
        return EvaluationBatches(self._validation, self._settings.batch_size, trainer.global_rank, trainer.world_size)
