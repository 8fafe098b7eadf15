"""A trained network in one file that says what it is, and proves when it is loaded that it still answers the same.

The file is safetensors, which cannot run code when it is read. Its metadata is described by :class:`CheckpointInfo`.
Beside the weights it holds a golden pair, a picture and the logits that the network gave for it when it was saved:
what is loaded by other code, with other channels, another normalisation or other kernels, must give the same. A
checksum of the weights finds damage that is too small to show there.
"""

import hashlib
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Dict, List, Mapping, Tuple

import cv2
import numpy as np
import pydantic
import safetensors
import safetensors.torch
import torch
from pydantic import Field
from typing_extensions import Literal

import grasp_learning
from grasp_learning.config import ConfigError, Settings, parse_settings
from grasp_learning.durable import write_atomically
from grasp_learning.geometry import NUM_BINS
from grasp_learning.network import INPUT_SIDES, NORMALISATIONS, GraspNetwork, NetworkError, NetworkSettings
from grasp_learning.storage import utc_now

FORMAT = "grasp_learning checkpoint"
FORMAT_VERSION = 1
GOLDEN_INPUT, GOLDEN_OUTPUT = "golden.input", "golden.output"
GOLDEN_COUNT = 2
# Logits of other processors differ by some 1e-6 of their size; the least change of a picture's channels by a hundredth.
GOLDEN_TOLERANCE_OF_SPREAD = 2e-3
GOLDEN_TOLERANCE_OF_SIZE = 1e-5
LARGEST_HEADER = 1 << 20  # bytes; a checkpoint's has a few thousand

RETRAIN = "train it again or take another file"


class CheckpointError(ValueError):
    """A checkpoint cannot be written or must not be used; one line that names the file and what to do."""


class Normalisation(Settings):
    """How a picture's values become the network's input: (value of 0..255 - mean) / std for each channel.

    Attributes:
        channels: their order, "RGB" or "BGR".
        mean, std: one number a channel.
    """

    channels: Literal["RGB", "BGR"]
    mean: List[float] = Field(min_length=3, max_length=3)
    std: List[float] = Field(min_length=3, max_length=3)


class PatchGeometry(Settings):
    """What part of the world the network's patches showed in training.

    Attributes:
        footprint: outer width of the open gripper (m).
        scale: patch side in footprints.
        side: patch side (px) in the pictures, before it was resized; 0 where pictures differ.
    """

    footprint: float = Field(0.122, gt=0)
    scale: float = Field(1.5, gt=0)
    side: int = Field(0, ge=0)


class CheckpointInfo(Settings):
    """What a checkpoint says of itself; :meth:`of` fills in what the network knows.

    Attributes:
        variant: of the network, "paper" or "released".
        dropout: of its training.
        fc6, fc7: units of the fully connected layers.
        stage: of the curriculum; 0 is trained on random trials only.
        dataset: what it was trained on, in words.
        samples: how many trials that were.
        bins: number of grasp angles.
        patch: geometry of the patches.
        input_side: side of the network's input (px).
        normalisation: of the network's input.
        metrics: named figures of its evaluation.
        training: settings of its training.
        seed: of its training.
        parent_sha256: file that it was finetuned from, empty if it started afresh.
        created: ISO 8601, UTC.
        package_version: of grasp_learning.
    """

    variant: Literal["paper", "released"]
    dropout: float = Field(0.5, ge=0, lt=1)
    fc6: int = Field(4096, ge=1)
    fc7: int = Field(1024, ge=1)
    stage: int = Field(0, ge=0)
    dataset: str = ""
    samples: int = Field(0, ge=0)
    bins: int = NUM_BINS
    patch: PatchGeometry = Field(default_factory=PatchGeometry)
    input_side: int
    normalisation: Normalisation
    metrics: Dict[str, float] = Field(default_factory=dict)
    training: Dict[str, pydantic.JsonValue] = Field(default_factory=dict)
    seed: int = Field(0, ge=0)
    parent_sha256: str = ""
    created: str = ""
    package_version: str = ""

    @classmethod
    def of(cls, network: GraspNetwork, **values: Any) -> "CheckpointInfo":
        """The description of a network, made now; further attributes by keyword."""
        facts: Dict[str, Any] = {
            "variant": network.variant,
            "dropout": network.settings.dropout,
            "fc6": network.settings.fc6,
            "fc7": network.settings.fc7,
            "input_side": network.input_side,
            "normalisation": NORMALISATIONS[network.variant],
            "created": utc_now(),
            "package_version": grasp_learning.__version__,
        }
        return cls(**{**facts, **values})

    def describe(self) -> str:
        """Some lines for people."""
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in sorted(self.metrics.items()))
        size = f"{self.patch.footprint * self.patch.scale * 100:.1f} cm"
        pixels = f" ({self.patch.side} px in the pictures)" if self.patch.side else ""
        lines = [
            f"variant    {self.variant}, input {self.input_side} px, {self.bins} angles",
            f"layers     fc6 {self.fc6}, fc7 {self.fc7}",
            f"stage      {self.stage}",
            f"trained on {self.dataset or 'not recorded'}" + (f", {self.samples} samples" if self.samples else ""),
            f"patches    {size} of the table{pixels}",
            f"metrics    {metrics or 'none recorded'}",
            f"seed       {self.seed}",
            f"parent     {self.parent_sha256 or 'none'}",
            f"created    {self.created} by grasp_learning {self.package_version}",
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class Checkpoint:
    """A network ready to serve (eval mode, no gradients, on the CPU) and what is known of it.

    Attributes:
        sha256: of the file, 64 hexadecimal digits.
    """

    network: GraspNetwork
    info: CheckpointInfo
    sha256: str
    path: Path


# --- saving ---------------------------------------------------------------------------------------------------------


def save_checkpoint(path, network: GraspNetwork, info: CheckpointInfo) -> str:
    """Write a network's file; an older one of the name stays until the new one is complete and on the disk.

    The network may be in training and on any device; it is not changed.

    Returns:
        SHA-256 of the file.

    Raises:
        CheckpointError: weights are not finite, `info` describes another network, or the disk is full or not writable.
    """
    path = Path(path)
    _check_described(path, info)
    for key in ("variant", "fc6", "fc7"):
        described, actual = getattr(info, key), getattr(network.settings, key)
        if described != actual:
            raise CheckpointError(f"{path}: not saved, '{key}' is {described} in info and {actual} in the network")
    weights = _plain_weights(network)
    for name, tensor in weights.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(
                f"{path}: not saved, '{name}' holds values that are not finite: the training diverged"
            )
    twin = _network_of(info, weights)
    pictures = golden_pictures(info.seed, twin.input_side)
    tensors = {**weights, GOLDEN_INPUT: pictures, GOLDEN_OUTPUT: _golden_logits(twin, pictures)}
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "info": info.model_dump_json(),
        "weights_crc32": _checksum(weights),
    }
    content = safetensors.torch.save(tensors, metadata)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, path.with_name(f".{path.name}.part"), content)
    except OSError as error:
        raise CheckpointError(
            f"{path}: not saved ({error.strerror}); free some space or choose another folder"
        ) from None
    return hashlib.sha256(content).hexdigest()


def _plain_weights(network: GraspNetwork) -> Dict[str, torch.Tensor]:
    state = network.state_dict()
    return {name: tensor.detach().to("cpu", torch.float32).contiguous() for name, tensor in state.items()}


def golden_pictures(seed: int, side: int) -> torch.Tensor:
    """Two pictures (2, side, side, 3), uint8 BGR: coloured blobs, which change with the channels' order, and noise."""
    rng = np.random.default_rng([seed, side])
    pictures = []
    for _ in range(GOLDEN_COUNT):
        coarse = rng.integers(0, 256, (6, 6, 3)).astype(np.float32) * (1.0, 0.7, 0.4)
        blobs = cv2.resize(coarse.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
        pictures.append(np.clip(blobs + rng.normal(0, 20, blobs.shape), 0, 255).astype(np.uint8))
    return torch.from_numpy(np.stack(pictures))


def _checksum(weights: Mapping[str, torch.Tensor]) -> str:
    checksum = 0
    for name in sorted(weights):
        checksum = zlib.crc32(weights[name].numpy().reshape(-1).view(np.uint8), zlib.crc32(name.encode(), checksum))
    return f"{checksum:08x}"


@torch.no_grad()
def _golden_logits(network: GraspNetwork, pictures: torch.Tensor) -> torch.Tensor:
    precision = torch.get_float32_matmul_precision()
    # a program that asks for faster products may get 16 bits in them, which is no fault of the file
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast("cpu", enabled=False):
            return network(network.normalise(pictures)).contiguous()
    finally:
        torch.set_float32_matmul_precision(precision)


# --- loading --------------------------------------------------------------------------------------------------------


def load_checkpoint(path) -> Checkpoint:
    """Read a checkpoint and check it against its golden pair.

    The file is read once: what was checked is what is served, whatever happens to the file later.

    Raises:
        CheckpointError: it is missing, truncated, damaged, pickled, of another architecture or a newer version, lacks
            its description, or answers its golden pictures otherwise than when it was saved.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise CheckpointError(f"{path}: is no file; expected a checkpoint, see models/README.md")
    try:
        with open(path, "rb") as file:
            metadata = _read_metadata(path, file)
            info = _parse_info(path, metadata)
            file.seek(0)
            content = file.read()
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error.strerror}); models/README.md says how to get or make a checkpoint"
        ) from None
    weights, pictures, logits = _parse_tensors(path, content)
    try:
        network = _network_of(info, weights)
    except NetworkError as error:
        raise CheckpointError(f"{path}: {error}; {RETRAIN}") from None
    if _checksum(weights) != metadata.get("weights_crc32"):
        raise CheckpointError(f"{path}: the weights are damaged (wrong checksum); copy the file again")
    _check_golden(path, network, pictures, logits)
    return Checkpoint(network, info, hashlib.sha256(content).hexdigest(), path)


def _read_metadata(path: Path, file: BinaryIO) -> Dict[str, str]:
    """Metadata of an open safetensors file: 8 bytes with the header's length, then the header as JSON."""
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8:
        raise CheckpointError(f"{path}: is truncated ({len(start)} bytes); copy it again")
    if not 2 <= length <= LARGEST_HEADER:
        kind = "is not a safetensors file"
        if start[:2] == b"PK" or start[:1] == b"\x80":
            kind = "is a pickled PyTorch file, which can run any code when it is read"
        raise CheckpointError(f"{path}: {kind}; expected a .safetensors file written by `rosrun grasp_learning train`")
    text = file.read(length)
    if len(text) < length:
        raise CheckpointError(f"{path}: is truncated within its header; copy it again")
    try:
        metadata = json.loads(text).get("__metadata__", {})
        return {key: str(value) for key, value in metadata.items()}
    # no JSON, or other JSON than a mapping
    except (ValueError, AttributeError):
        raise CheckpointError(f"{path}: is not a safetensors file, or its header is damaged; copy it again") from None


def _parse_info(path: Path, metadata: Mapping[str, str]) -> CheckpointInfo:
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: holds no description of a grasp network; expected a file written by `rosrun grasp_learning train`"
        )
    version = metadata.get("format_version", "")
    if version != str(FORMAT_VERSION):
        raise CheckpointError(
            f"{path}: has format version '{version}', this package reads {FORMAT_VERSION}; update grasp_learning"
        )
    try:
        info = parse_settings(CheckpointInfo, json.loads(metadata.get("info", "")), str(path))
    except (ValueError, ConfigError) as error:
        reason = str(error).replace(f"{path}: ", "").replace("\n", "; ")
        raise CheckpointError(
            f"{path}: its description is damaged or of another version ({reason}); update grasp_learning or {RETRAIN}"
        ) from None
    _check_described(path, info)
    return info


def _check_described(path: Path, info: CheckpointInfo) -> None:
    """Raises CheckpointError unless this package's networks are as the description says."""
    expected = {
        "bins": NUM_BINS,
        "input_side": INPUT_SIDES[info.variant],
        "normalisation": Normalisation(**NORMALISATIONS[info.variant]),
    }
    for key, value in expected.items():
        found = getattr(info, key)
        if found != value:
            raise CheckpointError(
                f"{path}: '{key}' is {found}, the variant '{info.variant}' has {value} here; {RETRAIN}"
            )


def _parse_tensors(path: Path, content: bytes) -> Tuple[Dict[str, torch.Tensor], torch.Tensor, torch.Tensor]:
    try:
        tensors = safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{path}: is truncated or damaged ({error}); copy it again") from None
    pictures, logits = tensors.pop(GOLDEN_INPUT, None), tensors.pop(GOLDEN_OUTPUT, None)
    if pictures is None or logits is None:
        raise CheckpointError(f"{path}: holds no golden pair to check it with; {RETRAIN}")
    for name, tensor in [*tensors.items(), (GOLDEN_OUTPUT, logits)]:
        if tensor.dtype != torch.float32:
            raise CheckpointError(f"{path}: '{name}' is {tensor.dtype}, expected torch.float32; {RETRAIN}")
    return tensors, pictures, logits


def _network_of(info: CheckpointInfo, weights: Mapping[str, torch.Tensor]) -> GraspNetwork:
    settings = NetworkSettings(variant=info.variant, dropout=info.dropout, fc6=info.fc6, fc7=info.fc7)
    network = GraspNetwork(settings, state=weights)
    return network.eval().requires_grad_(False)


def _check_golden(path: Path, network: GraspNetwork, pictures: torch.Tensor, logits: torch.Tensor) -> None:
    try:
        found = _golden_logits(network, pictures)
    except NetworkError as error:
        raise CheckpointError(f"{path}: its golden pictures are damaged ({error}); {RETRAIN}") from None
    if found.shape != logits.shape:
        raise CheckpointError(f"{path}: its golden logits are damaged (shape {tuple(logits.shape)}); {RETRAIN}")
    spread, size = float(logits.max() - logits.min()), float(logits.abs().max())
    tolerance = GOLDEN_TOLERANCE_OF_SPREAD * spread + GOLDEN_TOLERANCE_OF_SIZE * size
    wrong = float((found - logits).abs().max())
    # written so that a NaN is wrong, too
    if not wrong <= tolerance:
        raise CheckpointError(
            f"{path}: answers its golden pictures otherwise than when it was saved (logits differ by {wrong:.3g}, "
            f"allowed {tolerance:.2g}), so it is not served; {RETRAIN}"
        )
