"""What the machine offers: devices and the arithmetic that is fast on them."""

import os
from pathlib import Path
from typing import Optional

import torch

from grasp_learning.training.errors import TrainingError
from grasp_learning.training.settings import TrainSettings

CPU_FLAGS = ("avx512_bf16", "amx_bf16")
# of a container: its limit and what it has in use, of both versions of control groups
GROUP_FILES = (
    ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.current"),
    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
UNKNOWN_MEMORY = 8e9  # bytes, where the system does not say
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


def memory_for_patches(settings: TrainSettings, root: Path = Path("/")) -> float:
    """Memory (GB) that each process may fill with decoded patches; half of what is free leaves room for the rest.

    Args:
        root: where the system's files of /proc and /sys lie.
    """
    if settings.memory_gb is not None:
        return settings.memory_gb
    found = [_meminfo(root), *(_group_room(root, *names) for names in GROUP_FILES)]
    free = min((value for value in found if value is not None), default=UNKNOWN_MEMORY)
    return free / 2 / settings.devices / 1e9


def _meminfo(root: Path) -> Optional[float]:
    """Bytes that the system could give to a process."""
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None


def _group_room(root: Path, limit: str, used: str) -> Optional[float]:
    """Bytes that a container has left; None without a limit."""
    try:
        values = [(root / name).read_text().strip() for name in (limit, used)]
        return max(0.0, float(values[0]) - float(values[1])) if values[0] != "max" else None
    except OSError:
        return None


def cpu_has_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies bf16 itself; elsewhere it is slower than fp32."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    return any(flag in flags for flag in CPU_FLAGS)
