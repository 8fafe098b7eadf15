"""Rotation of patches with the label's angle turned along (paper, section III.C), batched on the training's device.

A turn by +phi moves the patch's content from the x axis (right) towards the y axis (down), clockwise on the screen, as
angles in pictures count. A grasp at theta becomes one at theta + phi. Stored patches keep a margin around the
network's part, so that no turn shows an empty corner; the network's part is cut, turned and resized in one step.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Optional, Tuple

import cv2
import numpy as np
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
        (n, 3, side, side) of the type of `patches`, and (n,) angles in [0, pi).
    """
    if patches.device.type == "cpu" and patches.dtype == torch.uint8:
        turned = _warp(patches, _affine_maps(turns, side, patches.shape[-1], inner, mirrored), side)
    else:
        grid = _sampling_grid(turns, side, inner, mirrored, patches.device)
        turned = functional.grid_sample(
            patches.float(), grid, mode="bilinear", padding_mode="border", align_corners=False
        )  # (n, 3, side, side)
        turned = turned if patches.is_floating_point() else as_pictures(turned)
    if mirrored is not None:
        angles = torch.where(mirrored, math.pi - angles, angles)
    return turned, wrap_angles(angles + turns)


def _affine_maps(turns, side: int, stored: int, inner, mirrored) -> np.ndarray:
    """(n, 2, 3) maps from pixels of the result to those of a stored patch; see :func:`_sampling_grid`."""
    cos, sin = (torch.cos(turns) * inner).numpy(), (torch.sin(turns) * inner).numpy()
    sign = 1.0 if mirrored is None else np.where(mirrored.numpy(), -1.0, 1.0)
    linear = np.stack([np.stack([sign * cos, sign * sin], -1), np.stack([-sin, cos], -1)], 1)  # (n, 2, 2)
    scale = stored / side
    # pixel j of the result is (2 j + 1) / side - 1 of the way from its middle to its edge
    middle = linear.sum(axis=2) * (0.5 * scale - 0.5 * stored) + 0.5 * stored - 0.5
    return np.concatenate([scale * linear, middle[:, :, None]], axis=2)


def _warp(patches: torch.Tensor, maps: np.ndarray, side: int) -> torch.Tensor:
    """Bilinear, with the border repeated: four times faster on a processor than grid_sample, which needs floats."""
    pictures = patches.permute(0, 2, 3, 1).contiguous().numpy()
    result = np.empty((len(pictures), side, side, 3), np.uint8)

    def warp(number: int) -> None:
        cv2.warpAffine(
            pictures[number],
            maps[number],
            (side, side),
            dst=result[number],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )

    # a thread for some patches each, which OpenCV warps outside Python's lock
    with ThreadPoolExecutor(max_workers=torch.get_num_threads()) as pool:
        for _ in pool.map(warp, range(len(pictures))):
            pass
    return torch.from_numpy(result).permute(0, 3, 1, 2)


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
    """The network's part of stored patches, not turned: (n, 3, s, s) -> (n, 3, side, side) of the same type.

    Where the part is `side` px wide, its pixels are copied, as they are when the network is used.
    """
    stored = patches.shape[-1]
    if len(patches) and bool((torch.round(inner * stored) == side).all()):
        first = (stored - side) // 2
        return patches[:, :, first : first + side, first : first + side]
    zeros = torch.zeros(len(patches), dtype=torch.float64, device=patches.device)
    return rotate(patches, zeros, zeros, side, inner)[0]


def as_pictures(patches: torch.Tensor) -> torch.Tensor:
    """Values 0..255 as uint8, as a camera would give them."""
    return patches.round().to(torch.uint8)


def change_colours(patches: torch.Tensor, amount: float, generator: torch.Generator) -> torch.Tensor:
    """Scale each patch and each of its channels by random factors in [1 - amount, 1 + amount].

    Args:
        patches: (n, 3, h, w), 0..255, of any type.
        generator: on the CPU, so that the factors are the same on all devices.
    """
    factors = 1.0 + amount * (2.0 * torch.rand((2, len(patches), 3), generator=generator) - 1.0)
    scale = factors[0, :, :1] * factors[1]  # brightness x colour, (n, 3)
    return (patches * scale.to(patches.device)[:, :, None, None]).clamp_(0.0, 255.0)
