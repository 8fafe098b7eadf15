"""The network of the pretext task: the grasp network's convolutions with a classifier of kinds, and its training."""

from dataclasses import dataclass
from typing import Dict, Optional

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from grasp_learning.network import GraspNetwork, NetworkSettings
from grasp_learning.training.data import Batch, EvaluationBatches
from grasp_learning.training.evaluation import prepare
from grasp_learning.training.module import GraspModule
from grasp_learning.training.samples import Samples

# the classifier, which is thrown away; small, so that the convolutions have to do the work
HIDDEN = {"fc6": 512, "fc7": 256, "dropout": 0.25}


class KindNetwork(GraspNetwork):
    """A grasp network whose outputs are kinds in place of angles.

    A batch normalisation follows each convolution: without them hundreds of steps go by before the network tells
    anything apart. Once it is trained they are nothing but a factor and a summand of each channel, which
    :meth:`convolutions` puts into the convolutions' own weights, so that the grasp network needs none.

    Args:
        count: of kinds.
    """

    def __init__(self, variant: str, count: int, generator: Optional[torch.Generator] = None):
        super().__init__(NetworkSettings.model_validate({"variant": variant, **HIDDEN}), generator)
        self.count = count
        for name, layer in list(self.features.named_children()):
            if isinstance(layer, nn.Conv2d):
                self.features.add_module(name, nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels)))
        # 9216 positive values make steps in fc6 far too long; not by batches, of which one may have a single patch
        self.norm6, self.norm7 = nn.LayerNorm(self.settings.fc6), nn.LayerNorm(self.settings.fc7)
        self.head = nn.Linear(self.settings.fc7, count)
        for layer in (self.fc6, self.fc7, self.head):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)

    @torch.no_grad()
    def convolutions(self) -> Dict[str, torch.Tensor]:
        """Weights of the grasp network's `features` that give what this network gives when it is not in training."""
        weights: Dict[str, torch.Tensor] = {}
        for name, layer in self.features.named_children():
            if isinstance(layer, nn.Sequential):
                fused = fuse_conv_bn_eval(layer[0].eval(), layer[1].eval())  # type: ignore[type-var]
                weights.update({f"{name}.{key}": tensor for key, tensor in fused.state_dict().items()})
        return weights

    def classify(self, pooled: torch.Tensor) -> torch.Tensor:
        """Logits (n, count) of pooled maps (n, 256, 6, 6)."""
        x = torch.flatten(pooled, 1)
        x = self.dropout(functional.relu(self.norm6(self.fc6(x))))
        x = self.dropout(functional.relu(self.norm7(self.fc7(x))))
        return self.head(x)

    def loss(
        self,
        logits: torch.Tensor,
        bins: torch.Tensor,
        labels: torch.Tensor,
        weights: Optional[torch.Tensor] = None,
        shift: float = 0.0,
    ) -> torch.Tensor:
        """Cross-entropy of the kinds; the angles' bins and a shift of success mean nothing here."""
        losses = functional.cross_entropy(logits.float(), labels, reduction="none")
        if weights is None:
            return losses.mean()
        return (losses * weights).sum() / weights.sum().clamp_min(torch.finfo(losses.dtype).tiny)


@dataclass(frozen=True)
class KindScore:
    """How well kinds are told apart.

    Attributes:
        counts: (k, k): [kind, prediction].
    """

    counts: torch.Tensor

    @property
    def samples(self) -> int:
        """How many were judged."""
        return int(self.counts.sum())

    @property
    def correct(self) -> int:
        """How many were right."""
        return int(self.counts.diagonal().sum())

    @property
    def accuracy(self) -> float:
        """Part that was right; NaN without samples."""
        return self.correct / self.samples if self.samples else float("nan")

    @property
    def balanced_accuracy(self) -> float:
        """Mean over the kinds that occur of the part of each that was right; NaN without samples."""
        totals = self.counts.sum(dim=1)
        present = totals > 0
        return float((self.counts.diagonal()[present] / totals[present]).mean())

    @property
    def most_frequent(self) -> float:
        """Accuracy of who always says the most frequent kind; NaN without samples."""
        return float(self.counts.sum(dim=1).max()) / self.samples if self.samples else float("nan")


def tally(network: KindNetwork, batch: Batch) -> torch.Tensor:
    """(k, k) float64 counts [kind, prediction] of a batch."""
    logits = network(prepare(network, batch).contiguous(memory_format=torch.channels_last))
    cells = network.count * batch.labels + logits.argmax(dim=1)
    counts = torch.zeros(network.count**2, dtype=torch.float64, device=logits.device)
    return counts.scatter_add_(0, cells, batch.weights.double()).view(network.count, network.count)


@torch.no_grad()
def evaluate(network: KindNetwork, samples: Samples, batch_size: int) -> KindScore:
    """Judge a network on patches as they are, in fp32 on the device that it is on."""
    device, training = next(network.parameters()).device, network.training
    network.eval()
    counts = torch.zeros((network.count, network.count), dtype=torch.float64, device=device)
    for batch in EvaluationBatches(samples, batch_size):
        counts += tally(
            network, Batch(*(each.to(device) if isinstance(each, torch.Tensor) else each for each in batch))
        )
    network.train(training)
    return KindScore(counts.cpu())


class PretextModule(GraspModule):
    """The grasp network's training step with kinds in place of outcomes."""

    network: KindNetwork

    def on_validation_epoch_start(self) -> None:
        """Forget the epoch before."""
        self._sums = torch.zeros((self.network.count,) * 2, dtype=torch.float64, device=self.device)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Count what is told apart on the tables that are held back."""
        self._sums += tally(self.network, batch)

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's figures."""
        score = KindScore(self._sums.cpu())
        figures: Dict[str, float] = {
            "validation/balanced_accuracy": score.balanced_accuracy,
            "validation/accuracy": score.accuracy,
        }
        self.log_dict(figures, rank_zero_only=True)
