"""Command line: what a checkpoint says of itself, and whether it still answers as when it was saved."""

import argparse
import sys
from typing import Optional, Sequence

from grasp_learning.checkpoint import CheckpointError, load_checkpoint


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Print a checkpoint's description.

    Returns:
        Exit status: 0, or 1 for a file that must not be used.
    """
    parser = argparse.ArgumentParser(
        prog="model_info",
        description="Print what a checkpoint says of itself, after its weights and its golden pair were checked.",
    )
    parser.add_argument("model", help="checkpoint (.safetensors)")
    arguments = parser.parse_args(argv)
    try:
        checkpoint = load_checkpoint(arguments.model)
    except CheckpointError as error:
        print(f"model_info: {error}", file=sys.stderr)
        return 1
    print(f"{arguments.model}: checked, answers as when it was saved")
    print(checkpoint.info.describe())
    print(f"sha256     {checkpoint.sha256}")
    return 0
