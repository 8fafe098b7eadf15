"""What the experiments run on: source and machine, in words, for the report."""

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import List

SECONDS = 10.0  # a tool that tells something may take


def commit() -> str:
    """Commit of the package's source, with "+" behind it where that was changed since; empty where it is not known."""
    folder = Path(__file__).resolve().parent
    tracked = _said(["git", "-C", str(folder), "ls-files", "--error-unmatch", Path(__file__).name])
    # an installed package may lie inside of another project's repository
    if not tracked:
        return ""
    changed = _said(["git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no"])
    return _said(["git", "-C", str(folder), "rev-parse", "HEAD"]) + ("+" if changed else "")


def machine() -> str:
    """Processor, cores, memory and GPU of this machine."""
    parts = [_processor(), f"{len(os.sched_getaffinity(0))} cores", f"{_memory_gb():.0f} GB"]
    gpus = _said(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]).splitlines()
    return ", ".join([*parts, *(sorted(set(gpus)) or ["no GPU"])])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def _said(command: List[str]) -> str:
    """What a command prints; empty where it is not there or fails."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
