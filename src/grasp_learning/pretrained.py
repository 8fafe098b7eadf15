"""Weights that were trained on something else: AlexNet's convolutions on ImageNet, or on a pretext task.

Files that can run code when they are read (pickles) are refused; torchvision's own are read as plain tensors.
"""

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, Mapping, Union

import numpy as np
import safetensors
import safetensors.torch
import torch

from grasp_learning.network_errors import NetworkError
from grasp_learning.torchvision_guard import import_torchvision

if TYPE_CHECKING:
    from grasp_learning.network import GraspNetwork

DOWNLOAD = "download"
LOCAL_HINT = "or name a local file of them (alexnet-owt-7be5be79.pth from torchvision, or safetensors)"
PREFIXES = {"paper": "features.", "released": ""}  # of the convolutions' names in a file
DESCRIPTION = "description"  # key of a safetensors file's metadata that says what its weights were trained on
SUFFIXES = {"paper": (".pth", ".safetensors"), "released": (".npz", ".safetensors")}
REMEDIES = {
    "paper": "name torchvision's alexnet-owt-7be5be79.pth or the same tensors as .safetensors, or train with "
    "--weights none from random convolutions",
    "released": "name the original AlexNet's convolutions as .npz or .safetensors, or train with --weights none from "
    "random ones",
}


def initialise_from_imagenet(network: "GraspNetwork", weights: Union[str, Path] = DOWNLOAD) -> None:
    """Replace a network's convolutions by those of an AlexNet that was trained on ImageNet, or on a pretext task.

    Nothing is changed if anything is wrong with the weights.

    Args:
        network: variant "paper" takes torchvision's AlexNet; "released" takes the original one with two groups.
        weights: "download" for torchvision's own loader (233 MB, kept in torch's cache), or a local file. For "paper":
            torchvision's state dict (.pth) or the same tensors as .safetensors, named features.0.weight and so on, as
            `train_pretext` writes them. For "released": .npz or .safetensors of conv1.weight, conv1.bias, ...
            conv5.bias for pictures in BGR, the weights (out, in, h, w) as in torch or (h, w, in, out) as in TensorFlow.

    Raises:
        NetworkError: the file is missing, unreadable, or holds other tensors; there is no internet.
    """
    if str(weights) == DOWNLOAD:
        source, tensors = "torchvision's ImageNet weights", _download(network.variant)
    else:
        source, tensors = str(weights), _read(Path(weights), network.variant)
    wanted = network.features.state_dict()
    prefix = PREFIXES[network.variant]
    chosen = {name: _fitting(source, tensors, prefix + name, tensor) for name, tensor in wanted.items()}
    network.features.load_state_dict(chosen)


def description_of(weights: Union[str, Path]) -> str:
    """What a file of weights says of itself; empty where it says nothing, or is no safetensors file."""
    if Path(weights).suffix != ".safetensors":
        return ""
    try:
        with safetensors.safe_open(str(weights), framework="pt") as file:
            return (file.metadata() or {}).get(DESCRIPTION, "")
    except (OSError, safetensors.SafetensorError):  # told where the weights are read
        return ""


def _download(variant: str) -> Mapping[str, torch.Tensor]:
    if variant != "paper":
        raise NetworkError(
            f"nobody offers ImageNet weights of the variant '{variant}' for download: name a local file of them, "
            "see initialise_from_imagenet"
        )
    models = import_torchvision().models
    try:
        return models.AlexNet_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True)
    # urllib's errors are OSErrors; a broken download or a wrong checksum is a RuntimeError
    except (OSError, RuntimeError) as error:
        raise NetworkError(
            f"torchvision's ImageNet weights cannot be downloaded ({error}): check the network, {LOCAL_HINT}"
        ) from None


def _read(path: Path, variant: str) -> Mapping[str, torch.Tensor]:
    if path.suffix not in SUFFIXES[variant]:
        raise NetworkError(
            f"{path}: expected a file {' or '.join(SUFFIXES[variant])} for the variant '{variant}'; {REMEDIES[variant]}"
        )
    if not path.is_file():
        raise NetworkError(f"{path}: no such file; {REMEDIES[variant]}")
    try:
        return READERS[path.suffix](str(path))
    except (OSError, EOFError, ValueError, RuntimeError, pickle.UnpicklingError, safetensors.SafetensorError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NetworkError(f"{path}: cannot be read as weights ({reason}); fetch or convert it again") from None


def _read_state_dict(path: str) -> Mapping[str, torch.Tensor]:
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict):
        raise ValueError(f"it holds a {type(state).__name__} and not a state dict")
    return state


def _read_arrays(path: str) -> Dict[str, torch.Tensor]:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


READERS: Dict[str, Callable[[str], Mapping[str, torch.Tensor]]] = {
    ".pth": _read_state_dict,
    ".npz": _read_arrays,
    ".safetensors": safetensors.torch.load_file,
}


def _fitting(source: str, tensors: Mapping[str, torch.Tensor], name: str, like: torch.Tensor) -> torch.Tensor:
    """The tensor of a name in the shape of another one.

    Raises:
        NetworkError: there is none, it has another shape or it holds what is no number.
    """
    tensor = tensors.get(name)
    if not isinstance(tensor, torch.Tensor):
        raise NetworkError(f"{source}: the tensor '{name}' of shape {tuple(like.shape)} is missing")
    found = tuple(tensor.shape)
    if tensor.ndim == 4 and found != tuple(like.shape):
        tensor = tensor.permute(3, 2, 0, 1)  # TensorFlow's order
    if tensor.shape != like.shape:
        raise NetworkError(f"{source}: the tensor '{name}' has shape {found}, expected {tuple(like.shape)}")
    if not torch.isfinite(tensor).all():
        raise NetworkError(f"{source}: the tensor '{name}' holds values that are not finite")
    return tensor.to(like.dtype)
