"""The grasp network: a patch in, one probability of success for each of 18 grasp angles out (paper, section III.C).

Two variants with one interface:

* "paper": the convolutions of torchvision's AlexNet on 227 x 227 px, fc6 with 4096 and fc7 with 1024 units, and 18
  independent two-way classifiers. fc6, fc7 and the classifiers have 42 million parameters; the paper speaks of 18
  million new ones, which these sizes do not give.
* "released": the network of the authors' published code: grouped convolutions with response normalisation on
  224 x 224 px, 18 logits with a sigmoid each.

Shapes in comments: n patches, side px, h x w px of a larger picture.
"""

from typing import Any, Dict, Mapping, Optional, Union

import numpy as np
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional
from typing_extensions import Literal

from grasp_learning.config import Settings
from grasp_learning.geometry import NUM_BINS
from grasp_learning.network_errors import NetworkError
from grasp_learning.network_released import released_features
from grasp_learning.patches import NETWORK_SIDE
from grasp_learning.pretrained import initialise_from_imagenet
from grasp_learning.torchvision_guard import import_torchvision

__all__ = ["GraspNetwork", "NetworkError", "NetworkSettings", "initialise_from_imagenet", "smooth_bins"]

INPUT_SIDES = {"paper": NETWORK_SIDE, "released": 224}  # px
MAP_STRIDE = 16  # px of the input from one cell of the feature map to the next
MAP_SIDE = 13  # cells of one patch's feature map
POOLED_SIDE, CHANNELS = 6, 256
GAUSSIAN_STD = 0.01

# (value of 0..255 - mean) / std for each channel, in the order that the network takes them
NORMALISATIONS: Dict[str, Dict[str, Any]] = {
    "paper": {
        "channels": "RGB",
        "mean": [0.485 * 255, 0.456 * 255, 0.406 * 255],
        "std": [0.229 * 255, 0.224 * 255, 0.225 * 255],
    },
    "released": {"channels": "BGR", "mean": [111.0, 111.0, 111.0], "std": [1.0, 1.0, 1.0]},
}
# the released loss knows no probability outside these, so a certain mistake teaches nothing more
RELEASED_LIMITS = (0.001, 0.999)


class NetworkSettings(Settings):
    """Which network.

    Attributes:
        variant: "paper" or "released".
        dropout: probability with which a unit of fc6 and fc7 is silent in training.
        fc6, fc7: units of the fully connected layers; the paper's by default.
    """

    variant: Literal["paper", "released"] = "paper"
    dropout: float = Field(0.5, ge=0, lt=1)
    fc6: int = Field(4096, ge=1)
    fc7: int = Field(1024, ge=1)


class GraspNetwork(nn.Module):
    """AlexNet's convolutions, two fully connected layers, 18 outputs.

    Without weights of its own it starts from random ones, see :meth:`initialise`; `initialise_from_imagenet` then
    replaces those of the convolutions. All methods work in any precision, memory format and on any device.

    Args:
        generator: of the random weights, on the CPU; torch's global one if none is given.
        state: weights to take over, without a copy, in place of random ones.

    Attributes:
        input_side: side of the patches (px).
        num_bins: number of angles.

    Raises:
        NetworkError: `state` has other names or shapes than this network.
    """

    input_mean: torch.Tensor
    input_std: torch.Tensor

    def __init__(
        self,
        settings: Optional[NetworkSettings] = None,
        generator: Optional[torch.Generator] = None,
        state: Optional[Mapping[str, torch.Tensor]] = None,
    ):
        super().__init__()
        self.settings = settings or NetworkSettings()
        self.variant = self.settings.variant
        self.num_bins = NUM_BINS
        self.input_side = INPUT_SIDES[self.variant]
        # on no device at first: the layers' own random weights would be drawn for nothing
        with torch.device("meta"):
            self.features = released_features() if self.variant == "released" else _torchvision_features()
            self.last_pool = nn.MaxPool2d(kernel_size=3, stride=2)
            self.fc6 = nn.Linear(CHANNELS * POOLED_SIDE**2, self.settings.fc6)
            self.fc7 = nn.Linear(self.settings.fc6, self.settings.fc7)
            self.head = nn.Linear(self.settings.fc7, NUM_BINS if self.variant == "released" else 2 * NUM_BINS)
        self.dropout = nn.Dropout(self.settings.dropout)
        if state is None:
            self.to_empty(device="cpu")
            self.initialise(generator)
        else:
            self._take_over(state)
        # not weights: what a checkpoint holds of them stands in its metadata
        normalisation = NORMALISATIONS[self.variant]
        for name in ("mean", "std"):
            values = torch.tensor(normalisation[name], dtype=torch.float32, device="cpu").view(1, 3, 1, 1)
            self.register_buffer(f"input_{name}", values, persistent=False)

    def _take_over(self, state: Mapping[str, torch.Tensor]) -> None:
        try:
            self.load_state_dict(dict(state), strict=True, assign=True)
        except RuntimeError as error:
            details = [line.strip() for line in str(error).splitlines()[1:]]
            raise NetworkError(f"not the weights of the variant '{self.variant}': {' '.join(details)}") from None

    @torch.no_grad()
    def initialise(self, generator: Optional[torch.Generator] = None) -> None:
        """Draw all weights anew.

        fc6, fc7 and the outputs are Gaussian with standard deviation 0.01 (the paper's "gaussian initialisation", which
        names no number; it is AlexNet's own). Convolutions of the variant "paper" get Kaiming's normal weights, which
        keep the signal's strength through the layers: torchvision's default shrinks it by a factor of about 2 in each
        one, from which this network, without batch normalisation, hardly learns. Biases are zero: every angle starts
        with a probability of about one half. The variant "released" has its authors' choices: truncated normal
        weights of 0.01, biases of 0.1; its convolutions were always pretrained, and get Kaiming's, too.
        """
        for layer in self.features.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
                nn.init.zeros_(layer.bias)
        for layer in (self.fc6, self.fc7, self.head):
            if self.variant == "released":
                # TensorFlow's: what lies further out than two standard deviations is drawn again
                limit = 2 * GAUSSIAN_STD
                nn.init.trunc_normal_(layer.weight, std=GAUSSIAN_STD, a=-limit, b=limit, generator=generator)
                nn.init.constant_(layer.bias, 0.1)
            else:
                nn.init.normal_(layer.weight, std=GAUSSIAN_STD, generator=generator)
                nn.init.zeros_(layer.bias)

    # --- from pictures to logits ------------------------------------------------------------------------------------

    def normalise(self, patches: Union[torch.Tensor, np.ndarray]) -> torch.Tensor:
        """Pictures as the network takes them.

        Args:
            patches: uint8 BGR, (n, h, w, 3) or (n, 3, h, w), on any device; or float32 (n, 3, h, w) of the same
                range, which may be overwritten.

        Returns:
            (n, 3, h, w) float32 on the network's device.

        Raises:
            NetworkError: not such pictures.
        """
        pictures = torch.as_tensor(patches, device=self.input_mean.device)
        known = pictures.dtype in (torch.uint8, torch.float32)
        if not known or pictures.ndim != 4 or 3 not in (pictures.shape[1], pictures.shape[3]):
            raise NetworkError(
                f"got pictures of {pictures.dtype} and shape {tuple(pictures.shape)}: "
                "expected uint8 of shape (n, h, w, 3) or (n, 3, h, w), or float32 of shape (n, 3, h, w)"
            )
        if pictures.shape[3] == 3:
            pictures = pictures.permute(0, 3, 1, 2)
        if NORMALISATIONS[self.variant]["channels"] == "RGB":
            pictures = pictures.flip(1)
        return pictures.float().sub_(self.input_mean).div_(self.input_std)

    def convolve(self, x: torch.Tensor) -> torch.Tensor:
        """The feature map before the last pool, of patches or of larger pictures.

        One cell for each 16 px; 13 x 13 cells for a patch. Cells [i, i + 13) of a larger picture's map belong to the
        patch that starts at 16 i px; where the map looks beyond that patch it sees the picture, the patch alone zeros.

        Args:
            x: (n, 3, h, w), h and w at least `input_side`.

        Returns:
            (n, 256, h', w').

        Raises:
            NetworkError: smaller pictures.
        """
        if x.ndim != 4 or x.shape[1] != 3 or min(x.shape[2:]) < self.input_side:
            raise NetworkError(
                f"got an input of shape {tuple(x.shape)}: "
                f"expected (n, 3, h, w), h and w at least {self.input_side} for the variant '{self.variant}'"
            )
        return self.features(x)

    def pool(self, feature_map: torch.Tensor) -> torch.Tensor:
        """The last pool: (n, 256, 13, 13) -> (n, 256, 6, 6)."""
        return self.last_pool(feature_map)

    def classify(self, pooled: torch.Tensor) -> torch.Tensor:
        """Logits of pooled maps: (n, 256, 6, 6) -> (n, 18, 2) in the variant "paper", (n, 18) in "released"."""
        x = torch.flatten(pooled, 1)  # (n, 9216)
        x = self.dropout(functional.relu(self.fc6(x)))  # (n, fc6)
        x = self.dropout(functional.relu(self.fc7(x)))  # (n, fc7)
        logits = self.head(x)
        return logits if self.variant == "released" else logits.view(-1, NUM_BINS, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of patches (n, 3, input_side, input_side), see :meth:`classify`.

        Raises:
            NetworkError: patches of another size.
        """
        if x.shape[2:] != (self.input_side, self.input_side):
            raise NetworkError(
                f"got patches of shape {tuple(x.shape)}: expected (n, 3, {self.input_side}, {self.input_side}) "
                f"for the variant '{self.variant}'"
            )
        return self.classify(self.pool(self.convolve(x)))

    # --- from logits to probabilities and the loss ------------------------------------------------------------------

    def log_probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Logarithm of the probability that a grasp at each angle succeeds, (n, 18), float32."""
        if self.variant == "released":
            return functional.logsigmoid(logits.float())
        return functional.log_softmax(logits.float(), dim=-1)[..., 1]

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Probability that a grasp at each angle succeeds, (n, 18), float32."""
        if self.variant == "released":
            return torch.sigmoid(logits.float())
        return torch.softmax(logits.float(), dim=-1)[..., 1]

    def loss(
        self,
        logits: torch.Tensor,
        bins: torch.Tensor,
        labels: torch.Tensor,
        weights: Optional[torch.Tensor] = None,
        shift: float = 0.0,
    ) -> torch.Tensor:
        """Loss of equation (1): the cross-entropy of the executed angle; what the others say has no gradient.

        The paper adds a batch up; this is the mean, so that a learning rate does not depend on the batch's size.

        Args:
            bins: (n,) the angle bins that were executed.
            labels: (n,) 1 for success, 0 for failure.
            weights: (n,) how much each sample counts; all the same if not given.
            shift: added to the log-odds of success: how much likelier a success is among these samples than where the
                network's probabilities are to hold.

        Returns:
            Scalar, float32; 0 if no sample counts.
        """
        # gather, because an index of -1 would be an error here and the last bin elsewhere
        index = bins.long().view(-1, 1)
        if self.variant == "released":
            executed = torch.sigmoid(logits.float().gather(1, index).squeeze(1) + shift).clamp(*RELEASED_LIMITS)
            losses = functional.binary_cross_entropy(executed, labels.float(), reduction="none")
        else:
            pairs = logits.float().gather(1, index.unsqueeze(2).expand(-1, 1, 2)).squeeze(1)  # (n, 2)
            losses = functional.cross_entropy(pairs + pairs.new_tensor([0.0, shift]), labels.long(), reduction="none")
        if weights is None:
            return losses.mean()
        weights = weights.to(losses)
        return (losses * weights).sum() / weights.sum().clamp_min(torch.finfo(losses.dtype).tiny)


def smooth_bins(values: torch.Tensor) -> torch.Tensor:
    """Each angle's value averaged with its neighbours' by [0.25, 0.5, 0.25]; the last and the first are neighbours.

    As in the released code, which smooths logits; that one overwrites its input on the way, so that its left
    neighbours are smoothed twice, which is not repeated here.

    Args:
        values: (..., 18), logits or probabilities.
    """
    return 0.5 * values + 0.25 * (values.roll(1, dims=-1) + values.roll(-1, dims=-1))


def _torchvision_features() -> nn.Sequential:
    """Convolutions of torchvision's AlexNet without its last pool, names of the weights as there.

    Each pool comes before the ReLU beside it: the result is the same to the bit, and a quarter of the values is left
    for the ReLU.
    """
    layers = list(import_torchvision().models.alexnet(weights=None).features[:-1])
    for place in range(1, len(layers)):
        if isinstance(layers[place], nn.MaxPool2d):
            layers[place - 1], layers[place] = layers[place], layers[place - 1]
    return nn.Sequential(*layers)
