"""What a simulation and the process that talks to its Ray cluster tell each other."""

import functools
import hashlib
import importlib.metadata
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Optional

import grasp_learning
from grasp_learning.robot_description import URDF_FILE, find_package_file

CONNECTED, NOTE = "connected", "note"
# a trial's bytes depend on these
LIBRARIES = ("mujoco", "numpy", "opencv-python-headless", "ompl", "pyarrow", "scipy", "torch")
FILES = (URDF_FILE, "config/calibration/sim.yaml")
CODE = ("*.py", "execution/*.py", "motion/*.py", "predictor/*.py", "sim/*.py", "simulation/*.py")


@dataclass(frozen=True)
class Order:
    """What is to be done on a cluster.

    Attributes:
        address: of the cluster.
        count: of workers; None for one a core of the cluster.
        setup: of each worker, pickled.
        deadline, start_deadline, retries: see Workers.
        versions: of what computes a trial, which have to be the same on each machine.
    """

    address: str
    count: Optional[int]
    setup: bytes
    deadline: float
    start_deadline: float
    retries: int
    versions: Dict[str, str]


@functools.lru_cache(maxsize=1)
def versions() -> Dict[str, str]:
    """Versions of what computes a trial on this machine; of this package its code, robot and calibration, too."""
    found = {"python": ".".join(platform.python_version_tuple()[:2]), "grasp_learning": grasp_learning.__version__}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "none"
    digest, folder = hashlib.sha256(), Path(__file__).resolve().parent.parent
    paths = {str(path.relative_to(folder)): path for pattern in CODE for path in folder.glob(pattern)}
    paths.update((name, find_package_file(name)) for name in FILES)
    for name, path in sorted(paths.items()):
        digest.update(name.encode())
        digest.update(path.read_bytes())
    found["grasp_learning's code"] = digest.hexdigest()[:12]
    return found


def difference(wanted: Dict[str, str], found: Dict[str, str]) -> str:
    """What differs between two machines' versions, in words; empty where nothing does."""
    parts = [
        f"{name} {found.get(name)} instead of {value}" for name, value in wanted.items() if found.get(name) != value
    ]
    return ", ".join(parts)
