"""What the machine offers: devices and the arithmetic that is fast on them."""

import os
from pathlib import Path

import torch

from grasp_learning.training.errors import TrainingError
from grasp_learning.training.settings import TrainSettings

CPU_FLAGS = ("avx512_bf16", "amx_bf16")
PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def accelerator_of(settings: TrainSettings) -> str:
    """Lightning's name of the device: "cuda" or "cpu".

    Raises:
        TrainingError: more GPUs are asked for than there are.
    """
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    kind = settings.device if settings.device != "auto" else ("cuda" if found else "cpu")
    if kind == "cuda" and settings.devices > found:
        raise TrainingError(
            f"device 'cuda': {settings.devices} asked for, {found} found; "
            "choose --device cpu, fewer --devices, or install a torch built for this GPU"
        )
    return kind


def local_device(accelerator: str) -> torch.device:
    """This process's own device."""
    if accelerator == "cpu":
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def precision_of(settings: TrainSettings, accelerator: str) -> str:
    """Lightning's name of the precision; "auto" is bf16 where the device computes with it, else fp32."""
    if settings.precision != "auto":
        return PRECISIONS[settings.precision]
    fast = torch.cuda.is_bf16_supported() if accelerator == "cuda" else cpu_has_bf16()
    return PRECISIONS["bf16" if fast else "fp32"]


def cpu_has_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies bf16 itself; elsewhere it is slower than fp32."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    return any(flag in flags for flag in CPU_FLAGS)
