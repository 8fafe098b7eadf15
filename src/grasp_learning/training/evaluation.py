"""How well a network tells successes from failures at the executed angle: balanced accuracy, threshold 0.5."""

from dataclasses import dataclass
from typing import Dict

import torch

from grasp_learning.network import GraspNetwork
from grasp_learning.training.augmentation import angle_bins, cut
from grasp_learning.training.data import Batch, EvaluationBatches
from grasp_learning.training.samples import Samples

THRESHOLD = 0.5


@dataclass(frozen=True)
class Score:
    """Counts of an evaluation.

    Attributes:
        counts: (2, 2): [label, prediction].
        loss: mean loss, all samples weighing the same.
    """

    counts: torch.Tensor
    loss: float

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the recalls of the classes that occur; NaN without samples."""
        totals = self.counts.sum(dim=1)
        present = totals > 0
        recalls = self.counts.diagonal()[present] / totals[present]
        return float(recalls.mean()) if len(recalls) else float("nan")

    @property
    def accuracy(self) -> float:
        """Part of all samples that is predicted right; NaN without samples."""
        total = float(self.counts.sum())
        return float(self.counts.diagonal().sum()) / total if total else float("nan")

    def recall(self, label: int) -> float:
        """Part of a class that is predicted right; NaN where it does not occur."""
        total = float(self.counts[label].sum())
        return float(self.counts[label, label]) / total if total else float("nan")

    def metrics(self, name: str) -> Dict[str, float]:
        """Named figures; those that do not exist are left out."""
        values = {
            "balanced_accuracy": self.balanced_accuracy,
            "accuracy": self.accuracy,
            "recall_success": self.recall(1),
            "recall_failure": self.recall(0),
            "loss": self.loss,
            "samples": float(self.counts.sum()),
        }
        return {f"{name}/{key}": value for key, value in values.items() if value == value}


def prepare(network: GraspNetwork, batch: Batch) -> torch.Tensor:
    """The network's input (n, 3, side, side) of patches as they are."""
    return network.normalise(cut(batch.patches, network.input_side, batch.inner))


def tally(network: GraspNetwork, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """(6,) float64 to be summed over batches: the four counts, the sum of losses, the number of samples."""
    bins = angle_bins(batch.angles)
    chances = network.probabilities(logits).gather(1, bins.view(-1, 1)).squeeze(1)
    cells = 2 * batch.labels + (chances >= THRESHOLD).long()
    weights = batch.weights.double()
    counts = torch.zeros(4, dtype=torch.float64, device=weights.device).scatter_add_(0, cells, weights)
    total = weights.sum()
    loss = network.loss(logits, bins, batch.labels, batch.weights).double() * total
    return torch.cat([counts, loss.view(1), total.view(1)])


def score_of(sums: torch.Tensor) -> Score:
    """The score of summed tallies."""
    sums = sums.cpu()
    return Score(sums[:4].view(2, 2), float(sums[4] / sums[5]) if sums[5] else float("nan"))


@torch.no_grad()
def evaluate(network: GraspNetwork, samples: Samples, batch_size: int = 128) -> Score:
    """Evaluate a network on samples, in fp32 on the device that it is on; it is left as it was found."""
    device = next(network.parameters()).device
    training = network.training
    network.eval()
    sums = torch.zeros(6, dtype=torch.float64, device=device)
    for batch in EvaluationBatches(samples, batch_size):
        placed = Batch(*(each.to(device) if isinstance(each, torch.Tensor) else each for each in batch))
        sums += tally(network, network(prepare(network, placed)), placed)
    network.train(training)
    return score_of(sums)
