"""One step of the training, its optimiser and its rate, as Lightning takes them."""

import math
from typing import Any

import torch

from grasp_learning.network import GraspNetwork
from grasp_learning.training.augmentation import angle_bins, change_colours, cut, rotate
from grasp_learning.training.data import Batch
from grasp_learning.training.evaluation import prepare, score_of, tally
from grasp_learning.training.lightning_library import lightning
from grasp_learning.training.settings import TrainSettings

COSINE_END = 0.01  # of the rate, at the end of a cosine


class GraspModule(lightning.LightningModule):
    """The network in training.

    Args:
        steps_per_epoch: of all devices together.
        success_shift: of the samples, see Samples.success_shift; 0 where classes are not balanced.
    """

    def __init__(
        self, network: GraspNetwork, settings: TrainSettings, steps_per_epoch: int, success_shift: float = 0.0
    ):
        super().__init__()
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = network
        self._settings, self._steps, self._shift = settings, steps_per_epoch, success_shift
        self._sums = torch.zeros(6, dtype=torch.float64)
        if settings.freeze_convolutions:
            self.network.features.requires_grad_(False)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Logits of patches as the network takes them."""
        return self.network(patches)

    def _augmented(self, batch: Batch):
        """Patches (n, 3, side, side), 0..255, and the angles of the grasps in them."""
        settings, side = self._settings, self.network.input_side
        if settings.augment == "none":
            patches, angles = cut(batch.patches, side, batch.inner), batch.angles
        else:
            mirrored = batch.mirrored if settings.augment == "rotation+flips" else None
            patches, angles = rotate(batch.patches, batch.angles, batch.turns, side, batch.inner, mirrored)
        if settings.brightness:
            generator = torch.Generator().manual_seed(batch.seed)
            patches = change_colours(patches, settings.brightness, generator)
        return patches, angles

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """Augment, forward, loss of equation (1)."""
        # what is silent in dropout depends on the seed and the step only, so a training that goes on stays the same
        torch.manual_seed(batch.seed)
        if batch.patches.dtype == torch.uint8:
            with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
                patches, angles = self._augmented(batch)
                x = self.network.normalise(patches).contiguous(memory_format=torch.channels_last)
            logits = self.network(x)
        else:
            angles, logits = batch.angles, self.network.classify(batch.patches)
        loss = self.network.loss(logits, angle_bins(angles), batch.labels, batch.weights, self._shift)
        self.log("train/loss", loss.detach(), on_step=True, on_epoch=True, batch_size=len(batch.labels))
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forget the epoch before."""
        self._sums = torch.zeros(6, dtype=torch.float64, device=self.device)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Count what is predicted right."""
        x = prepare(self.network, batch).contiguous(memory_format=torch.channels_last)
        self._sums += tally(self.network, self.network(x), batch)

    def on_validation_epoch_end(self) -> None:
        """Add the devices' counts up and log the figures."""
        score = score_of(self.trainer.strategy.reduce(self._sums, reduce_op="sum"))
        self.log_dict(score.metrics("validation"), rank_zero_only=True)

    def configure_gradient_clipping(self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None) -> None:
        """Shorten steps that are too long; by torch, since Lightning refuses that for fused optimisers."""
        if self._settings.gradient_clip:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self._settings.gradient_clip)

    def configure_optimizers(self) -> Any:
        """SGD with momentum; warm-up, then the schedule."""
        settings = self._settings
        optimizer = torch.optim.SGD(
            [parameter for parameter in self.network.parameters() if parameter.requires_grad],
            lr=settings.resolved_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            # one pass over 42 M parameters and their momentum, four times faster; with fp16 it would take the loss's
            # scale out of the gradients only after they were clipped
            fused=settings.precision != "fp16",
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _rate_factor(self, step: int) -> float:
        """The rate at a step as a part of the full one."""
        settings = self._settings
        warm_up = settings.resolved_warm_up * self._steps
        if step < warm_up:
            return (step + 1) / (warm_up + 1)
        if settings.resolved_schedule == "constant":
            return 1.0
        done = (step - warm_up) / max(1.0, settings.resolved_epochs * self._steps - warm_up)
        return COSINE_END + (1.0 - COSINE_END) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))
