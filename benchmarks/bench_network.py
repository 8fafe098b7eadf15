#!/usr/bin/env python3
"""Time of the grasp network on a CPU: a patch alone and in batches, in 32 and 16 bits, and of loading a checkpoint.

The peer is torchvision's whole AlexNet with its own classifier, of the same convolutions, in the same run: the shares
show what this package's layers and memory formats cost or save.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Callable

import numpy as np
import torch
from figures import figure

from grasp_learning.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from grasp_learning.network import GraspNetwork, NetworkSettings
from grasp_learning.torchvision_guard import import_torchvision

BATCH = 32
REPEATS = 7


def milliseconds(call: Callable[[], object], count: int = 1) -> float:
    """Median time of a call, divided by what it handles."""
    call()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times)) / count


def in_16_bits(call: Callable[[], object]) -> Callable[[], object]:
    def wrapped():
        with torch.autocast("cpu", torch.bfloat16):
            return call()

    return wrapped


def forward_figures(network: GraspNetwork) -> list:
    """Figures of the forward pass, normalisation included."""
    peer = import_torchvision().models.alexnet(weights=None).eval()
    side = network.input_side
    pictures = torch.randint(0, 256, (BATCH, side, side, 3), generator=torch.Generator().manual_seed(0)).byte()
    with torch.inference_mode():
        x = network.normalise(pictures).contiguous()
        alexnet = milliseconds(lambda: peer(x), BATCH)
        single = milliseconds(lambda: network(network.normalise(pictures[:1])))
        wide = milliseconds(lambda: network(network.normalise(pictures)), BATCH)
        narrow = milliseconds(in_16_bits(lambda: network(network.normalise(pictures))), BATCH)
    return [
        figure("alexnet_of_torchvision_batch_32", alexnet, 20, "ms/patch"),
        figure("forward_one_patch", single, 60, "ms"),
        figure("forward_batch_32", wide, 20, "ms/patch"),
        figure("forward_batch_32_bf16", narrow, 20, "ms/patch"),
        figure("forward_of_alexnets_time", wide / alexnet, 1.2, "-"),
        figure("bf16_of_fp32s_time", narrow / wide, 1.2, "-"),
    ]


def checkpoint_figures(network: GraspNetwork) -> list:
    """Figures of a checkpoint's file, all its checks included; it lies in memory's file cache, as after a copy."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save = milliseconds(lambda: save_checkpoint(path, network, CheckpointInfo.of(network)))
        load = milliseconds(lambda: load_checkpoint(path))
        size = path.stat().st_size / 1e6
    return [
        figure("checkpoint_save", save, 5000, "ms"),
        figure("checkpoint_load", load, 1000, "ms"),
        figure("checkpoint_size", size, 200, "MB"),
    ]


def main() -> int:
    """Measure both."""
    network = GraspNetwork(NetworkSettings(), torch.Generator().manual_seed(0)).eval()
    results = forward_figures(network) + checkpoint_figures(network)
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
