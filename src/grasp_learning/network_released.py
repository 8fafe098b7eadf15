"""The convolutions of the authors' released network: AlexNet as published, two groups, with response normalisation.

They differ from torchvision's (the variant "paper"): 96/256/384/384/256 channels, of which conv2, conv4 and conv5 see
one half of their input each, and a normalisation across channels after the first two.
"""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional

# TensorFlow pads "SAME" of 224 px, kernel 11 and stride 4 by 7 px in all, the smaller half first. The same padding is
# used for pictures of any size: what TensorFlow would choose for them shifts the map by up to 2 px.
FIRST_PADDING = (3, 4, 3, 4)  # left, right, top, bottom (px)

# x / (k + alpha * sum of x^2 over 5 channels)^beta
NORMALISATION_RADIUS, NORMALISATION_ALPHA, NORMALISATION_BETA, NORMALISATION_K = 2, 2e-5, 0.75, 1.0


class ResponseNormalisation(nn.Module):
    """Each value divided by the strength of its neighbouring channels, in 32 bits whatever the network's precision.

    With 16 bits the sum, close to 1, would lose what is added to it.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise (n, channels, h, w)."""
        wide = x.float()
        squares = functional.pad(wide * wide, (0, 0, 0, 0, NORMALISATION_RADIUS, NORMALISATION_RADIUS))
        channels = x.shape[1]
        total = sum(squares[:, i : i + channels] for i in range(2 * NORMALISATION_RADIUS + 1))
        return (wide / (NORMALISATION_K + NORMALISATION_ALPHA * total) ** NORMALISATION_BETA).to(x.dtype)


def released_features() -> nn.Sequential:
    """The five convolutions and what lies between them, without the last pool: (n, 3, 224, 224) -> (n, 256, 13, 13)."""
    return nn.Sequential(
        OrderedDict(
            pad1=nn.ConstantPad2d(FIRST_PADDING, 0.0),
            conv1=nn.Conv2d(3, 96, kernel_size=11, stride=4),  # 56
            relu1=nn.ReLU(inplace=True),
            norm1=ResponseNormalisation(),
            pool1=nn.MaxPool2d(kernel_size=3, stride=2),  # 27
            conv2=nn.Conv2d(96, 256, kernel_size=5, padding=2, groups=2),
            relu2=nn.ReLU(inplace=True),
            norm2=ResponseNormalisation(),
            pool2=nn.MaxPool2d(kernel_size=3, stride=2),  # 13
            conv3=nn.Conv2d(256, 384, kernel_size=3, padding=1),
            relu3=nn.ReLU(inplace=True),
            conv4=nn.Conv2d(384, 384, kernel_size=3, padding=1, groups=2),
            relu4=nn.ReLU(inplace=True),
            conv5=nn.Conv2d(384, 256, kernel_size=3, padding=1, groups=2),
            relu5=nn.ReLU(inplace=True),
        )
    )
