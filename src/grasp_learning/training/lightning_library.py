"""The one place that imports Lightning: it imports torchvision on the way, which needs its guard first."""

import logging
import os
import warnings

from grasp_learning.torchvision_guard import import_torchvision

import_torchvision()

import lightning.pytorch as lightning  # noqa: E402
from lightning.pytorch.callbacks import ModelCheckpoint  # noqa: E402
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger  # noqa: E402
from lightning.pytorch.plugins.io import TorchCheckpointIO  # noqa: E402
from lightning.pytorch.strategies import DDPStrategy  # noqa: E402
from lightning.pytorch.utilities import rank_zero_only  # noqa: E402

__all__ = ["CSVLogger", "DDPStrategy", "ModelCheckpoint", "TensorBoardLogger", "TorchCheckpointIO"]
__all__ += ["is_first_process", "lightning"]

# what it says of devices and of other products is of no use to who trains here
logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
# but why it kills this process, after one that it started on this machine has died
logging.getLogger("lightning.fabric.strategies.launchers.subprocess_script").setLevel(logging.INFO)
warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec")
warnings.filterwarnings("ignore", message="It is recommended to use `self.log")
warnings.filterwarnings("ignore", message="Total length of .* across ranks is zero")
warnings.filterwarnings("ignore", message="The number of training batches .* is smaller than the logging interval")


def is_first_process() -> bool:
    """Whether this is the process that writes, of those that train together."""
    # before the trainer is made, Lightning knows this process's number on its own machine only
    machine = os.environ.get("NODE_RANK") or os.environ.get("GROUP_RANK") or "0"
    return getattr(rank_zero_only, "rank", 0) == 0 and machine == "0"
