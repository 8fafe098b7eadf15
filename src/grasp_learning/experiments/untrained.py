"""Writes a network that has learnt nothing: the first point of the curve over the size of the training."""

import argparse
import sys
from typing import Optional, Sequence

from grasp_learning.config import ConfigError, parse_settings
from grasp_learning.network_errors import NetworkError


def parse_arguments(arguments: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(prog="untrained", description=__doc__)
    parser.add_argument("--out", required=True, metavar="FILE", help="checkpoint to be written (.safetensors)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the weights (default: 0)")
    parser.add_argument("--weights", default="none", metavar="FILE|none", help="of the convolutions (default: none)")
    parser.add_argument("--fc6", type=int, default=4096, metavar="N", help="units (default: 4096)")
    parser.add_argument("--fc7", type=int, default=1024, metavar="N", help="units (default: 1024)")
    return parser.parse_args(arguments)


def write_untrained(path: str, seed: int, weights: str, fc6: int, fc7: int) -> str:
    """Write the checkpoint.

    Args:
        weights: file of convolutions as `train --weights` takes it, or "none".

    Returns:
        Its SHA-256.

    Raises:
        ConfigError: a size is out of range.
        NetworkError: the weights cannot be used.
        CheckpointError: the file cannot be written.
    """
    # torch takes seconds to load, which a wrong option need not wait for
    import torch

    from grasp_learning.checkpoint import CheckpointInfo, save_checkpoint
    from grasp_learning.network import GraspNetwork, NetworkSettings, initialise_from_imagenet

    settings = parse_settings(NetworkSettings, {"fc6": fc6, "fc7": fc7}, "command line")
    network = GraspNetwork(settings, torch.Generator().manual_seed(seed))
    if weights != "none":
        initialise_from_imagenet(network, weights)
    return save_checkpoint(path, network, CheckpointInfo.of(network, dataset="nothing", seed=seed))


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command: exit code 0, or 1 after an error, which is one line on stderr."""
    parsed = parse_arguments(arguments)
    try:
        checksum = write_untrained(parsed.out, parsed.seed, parsed.weights, parsed.fc6, parsed.fc7)
    # a checkpoint's error is a ValueError, as ConfigError is; its module is loaded with torch
    except (ConfigError, NetworkError, ValueError) as error:
        print(f"untrained: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    print(f"model        {parsed.out}  sha256 {checksum[:16]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
