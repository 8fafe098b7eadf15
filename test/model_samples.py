"""Checkpoints for tests: small networks with random weights, which choose grasps like any other."""

from pathlib import Path

import torch

from grasp_learning.checkpoint import CheckpointInfo, save_checkpoint
from grasp_learning.network import GraspNetwork, NetworkSettings


def save_model(path: Path, seed: int = 0, stage: int = 0, spread: float = 4.0) -> str:
    """Write a checkpoint of a random network; its SHA-256.

    Args:
        spread: factor of the last layer, without which a random network thinks the same of all places.
    """
    network = GraspNetwork(NetworkSettings(fc6=64, fc7=32), torch.Generator().manual_seed(seed))
    with torch.no_grad():
        list(network.parameters())[-2].mul_(spread)
    return save_checkpoint(path, network, CheckpointInfo.of(network, stage=stage, dataset="a test", seed=seed))
