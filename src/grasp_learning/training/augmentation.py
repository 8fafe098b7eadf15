"""Rotation of patches with the label's angle turned along (paper, section III.C), batched on the training's device.

A turn by +phi moves the patch's content from the x axis (right) towards the y axis (down), clockwise on the screen, as
angles in pictures count. A grasp at theta becomes one at theta + phi. Stored patches keep a margin around the
network's part, so that no turn shows an empty corner; the network's part is cut, turned and resized in one step.
"""

import math
from typing import Optional, Tuple

import torch
from torch.nn import functional

from grasp_learning.geometry import BIN_WIDTH, NUM_BINS

TWO_PI = 2.0 * math.pi


def wrap_angles(angles: torch.Tensor) -> torch.Tensor:
    """Angles (n,) (rad) in [0, pi); as geometry.wrap_angle, on tensors."""
    wrapped = torch.remainder(angles, math.pi)
    return torch.where(wrapped >= math.pi, torch.zeros_like(wrapped), wrapped)


def angle_bins(angles: torch.Tensor) -> torch.Tensor:
    """Bins (n,) int64 of angles (rad, float64); as geometry.angle_to_bin, on tensors."""
    return torch.floor(wrap_angles(angles) / BIN_WIDTH + 0.5).long() % NUM_BINS


def rotate(
    patches: torch.Tensor,
    angles: torch.Tensor,
    turns: torch.Tensor,
    side: int,
    inner: torch.Tensor,
    mirrored: Optional[torch.Tensor] = None,
) -> Tuple[torch.Tensor, torch.Tensor]:
    """Turn patches about their centres and cut the network's part.

    Args:
        patches: (n, 3, s, s) uint8 or float, in any memory format.
        angles: (n,) of the grasps in the patches (rad).
        turns: (n,) (rad), in any range.
        side: of the result (px).
        inner: (n,) part of a stored patch's side that the network sees: INNER_RATIO with a margin, else 1. Without
            a margin corners are filled with the colours of the border.
        mirrored: (n,) bool, which to mirror left to right before they are turned; None for none.

    Returns:
        (n, 3, side, side) float, values as in `patches`, and (n,) angles in [0, pi).
    """
    grid = _sampling_grid(turns, side, inner, mirrored, patches.device)
    turned = functional.grid_sample(
        patches.float(), grid, mode="bilinear", padding_mode="border", align_corners=False
    )  # (n, 3, side, side)
    if mirrored is not None:
        angles = torch.where(mirrored, math.pi - angles, angles)
    return turned, wrap_angles(angles + turns)


def _sampling_grid(turns, side: int, inner, mirrored, device) -> torch.Tensor:
    """(n, side, side, 2) places in a stored patch, in [-1, 1]; ten times faster than functional.affine_grid."""
    axis = (torch.arange(side, device=device) * 2.0 + 1.0) / side - 1.0
    x, y = axis.view(1, 1, -1), axis.view(1, -1, 1)
    # where the content of an output pixel comes from: turned back
    cos = (torch.cos(turns) * inner).float().view(-1, 1, 1)
    sin = (torch.sin(turns) * inner).float().view(-1, 1, 1)
    sign = 1.0 if mirrored is None else torch.where(mirrored, -1.0, 1.0).view(-1, 1, 1)
    grid = torch.empty((len(turns), side, side, 2), device=device)
    torch.add(sign * cos * x, sign * sin * y, out=grid[..., 0])
    torch.add(-sin * x, cos * y, out=grid[..., 1])
    return grid


def cut(patches: torch.Tensor, side: int, inner: torch.Tensor) -> torch.Tensor:
    """The network's part of stored patches, not turned: (n, 3, s, s) -> (n, 3, side, side) float.

    Where the part is `side` px wide, its pixels are copied, as they are when the network is used.
    """
    stored = patches.shape[-1]
    if len(patches) and bool((torch.round(inner * stored) == side).all()):
        first = (stored - side) // 2
        return patches[:, :, first : first + side, first : first + side].float()
    zeros = torch.zeros(len(patches), dtype=torch.float64, device=patches.device)
    return rotate(patches, zeros, zeros, side, inner)[0]


def as_pictures(patches: torch.Tensor) -> torch.Tensor:
    """Values 0..255 as uint8, as a camera would give them."""
    return patches.round().to(torch.uint8)


def change_colours(patches: torch.Tensor, amount: float, generator: torch.Generator) -> torch.Tensor:
    """Scale each patch and each of its channels by random factors in [1 - amount, 1 + amount].

    Args:
        patches: (n, 3, h, w) float, 0..255.
        generator: on the CPU, so that the factors are the same on all devices.
    """
    factors = 1.0 + amount * (2.0 * torch.rand((2, len(patches), 3), generator=generator) - 1.0)
    scale = factors[0, :, :1] * factors[1]  # brightness x colour, (n, 3)
    return (patches * scale.to(patches.device)[:, :, None, None]).clamp_(0.0, 255.0)
