"""Checkpoints: what was saved comes back, and whatever is not that is refused in one line that says what to do."""

import errno
import hashlib
import json
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from grasp_learning import checkpoint as checkpoint_module
from grasp_learning.checkpoint import CheckpointError, CheckpointInfo, load_checkpoint, save_checkpoint
from grasp_learning.model_info import main as model_info
from grasp_learning.network import GraspNetwork, NetworkSettings
from grasp_learning.storage import file_sha256


def make(variant: str = "paper", seed: int = 0, fc6: int = 256, fc7: int = 128) -> GraspNetwork:
    """A network whose file is small; its convolutions are whole."""
    settings = NetworkSettings(variant=variant, fc6=fc6, fc7=fc7)
    return GraspNetwork(settings, torch.Generator().manual_seed(seed))


def describe(network: GraspNetwork, **values) -> CheckpointInfo:
    facts = {
        "stage": 2,
        "dataset": "D0 + 3 x d1",
        "samples": 12000,
        "patch": {"footprint": 0.122, "scale": 1.5, "side": 378},
        "metrics": {"balanced_accuracy": 0.712},
        "training": {"epochs": 20, "rate": 0.01},
        "seed": 7,
        "parent_sha256": "ab" * 32,
    }
    return CheckpointInfo.of(network, **{**facts, **values})


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A network of each variant in training mode, its file and the file's checksum."""
    folder = tmp_path_factory.mktemp("models")
    result = {}
    for variant in ("paper", "released"):
        network = make(variant).train()
        path = folder / "new" / f"{variant}.safetensors"
        result[variant] = network, path, save_checkpoint(path, network, describe(network))
    return result


@pytest.fixture
def content(saved) -> bytearray:
    return bytearray(saved["paper"][1].read_bytes())


def refuse(path, *parts: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(str(path)), message
    for part in parts:
        assert part in message, message


def header_of(content: bytes) -> dict:
    return json.loads(bytes(content[8 : 8 + struct.unpack("<Q", content[:8])[0]]))


def with_header(content: bytes, header: dict) -> bytes:
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(content[8 + struct.unpack("<Q", content[:8])[0] :])


def with_metadata(content: bytes, **changes) -> bytes:
    """The file with other metadata; None takes a key away."""
    header = header_of(content)
    metadata = {**header["__metadata__"], **changes}
    header["__metadata__"] = {key: value for key, value in metadata.items() if value is not None}
    return with_header(content, header)


def with_info(content: bytes, **changes) -> bytes:
    info = json.loads(header_of(content)["__metadata__"]["info"])
    return with_metadata(content, info=json.dumps({**info, **changes}))


# --- what was saved comes back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_what_was_saved_comes_back(saved, variant):
    network, path, sha256 = saved[variant]
    assert network.training, "saving changes nothing"
    loaded = load_checkpoint(str(path))
    assert loaded.sha256 == sha256 == file_sha256(path)
    assert loaded.path == path
    assert loaded.info.stage == 2 and loaded.info.samples == 12000 and loaded.info.patch.side == 378
    assert loaded.info.metrics == {"balanced_accuracy": 0.712}
    assert loaded.info.variant == variant and loaded.info.input_side == network.input_side
    assert not loaded.network.training
    assert not any(weight.requires_grad for weight in loaded.network.parameters())
    for name, weight in network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], weight)


def test_the_papers_widths(tmp_path):
    path = tmp_path / "model.safetensors"
    network = make(fc6=4096, fc7=1024)
    save_checkpoint(path, network, CheckpointInfo.of(network))
    assert 170e6 < path.stat().st_size < 180e6
    loaded = load_checkpoint(path)
    assert torch.equal(loaded.network.fc6.weight, network.fc6.weight)
    assert "fc6 4096, fc7 1024" in loaded.info.describe()


def test_the_metadata_is_readable_without_this_package(saved):
    with safetensors.safe_open(str(saved["paper"][1]), framework="numpy") as file:
        metadata = file.metadata()
        assert file.get_tensor("golden.input").shape == (2, 227, 227, 3)
        assert file.get_tensor("golden.output").shape == (2, 18, 2)
    info = json.loads(metadata["info"])
    for key in ("stage", "dataset", "bins", "patch", "normalisation", "metrics", "created", "package_version"):
        assert key in info
    assert metadata["format"] == "grasp_learning checkpoint" and metadata["format_version"] == "1"


def test_the_description_is_for_people(saved):
    text = load_checkpoint(saved["paper"][1]).info.describe()
    for part in (
        "stage      2",
        "D0 + 3 x d1, 12000 samples",
        "18.3 cm",
        "balanced_accuracy 0.712",
        "variant    paper",
    ):
        assert part in text
    assert "not recorded" in CheckpointInfo.of(saved["paper"][0]).describe()


def test_a_copy_serves_what_was_read_whatever_happens_to_the_file(saved, content, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    network = load_checkpoint(path).network
    with open(path, "r+b") as file:
        file.truncate(1000)
    assert torch.equal(network.fc6.weight, saved["paper"][0].fc6.weight)


def test_other_kernels_and_settings_pass(saved):
    """The golden pair bears what differs from processor to processor, and what the serving program has switched on."""
    with torch.backends.mkldnn.flags(enabled=False):
        load_checkpoint(saved["paper"][1])
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
            load_checkpoint(saved["paper"][1])
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


# --- what answers otherwise is refused --------------------------------------------------------------------------------

GOLDEN = "answers its golden pictures otherwise"


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_other_code_is_refused(saved, variant, monkeypatch):
    path, normalise = saved[variant][1], GraspNetwork.normalise
    changes = {
        "swapped channels": lambda self, x: normalise(self, x).flip(1),
        "another mean": lambda self, x: normalise(self, x) + 0.05 * normalise(self, x).std(),
        "another scale": lambda self, x: normalise(self, x) * 1.05,
        "mirrored": lambda self, x: normalise(self, x).flip(3),
        "one pixel off": lambda self, x: normalise(self, x).roll(1, 3),
        "not a number": lambda self, x: normalise(self, x) * float("nan"),
    }
    for change in changes.values():
        monkeypatch.setattr(GraspNetwork, "normalise", change)
        refuse(path, GOLDEN, "train it again")
    monkeypatch.setattr(GraspNetwork, "normalise", normalise)
    load_checkpoint(path)


def test_swapped_outputs_are_refused(saved, monkeypatch):
    classify = GraspNetwork.classify
    monkeypatch.setattr(GraspNetwork, "classify", lambda self, x: classify(self, x).flip(-1))
    refuse(saved["paper"][1], GOLDEN)


def test_a_damaged_weight_is_found(content, tmp_path):
    path = tmp_path / "damaged.safetensors"
    start, end = header_of(content)["fc6.weight"]["data_offsets"]
    data = 8 + struct.unpack("<Q", content[:8])[0]
    content[data + (start + end) // 2] ^= 1  # the last bit of one of 2 million
    path.write_bytes(content)
    refuse(path, "damaged", "copy the file again")


def test_damaged_weights_with_a_fitting_checksum_fail_the_golden_pair(saved, tmp_path):
    tensors = safetensors.torch.load_file(str(saved["paper"][1]))
    tensors["features.0.weight"][:, 1] = 0
    weights = {name: tensor for name, tensor in tensors.items() if not name.startswith("golden")}
    checksum = checkpoint_module._checksum(weights)
    metadata = header_of(saved["paper"][1].read_bytes())["__metadata__"]
    path = tmp_path / "zeroed.safetensors"
    safetensors.torch.save_file(tensors, str(path), {**metadata, "weights_crc32": checksum})
    refuse(path, GOLDEN)


# --- files that are none ----------------------------------------------------------------------------------------------


def test_missing_files_and_folders(tmp_path):
    refuse(tmp_path / "none.safetensors", "No such file", "models/README.md")
    refuse(tmp_path, "is no file")
    os.mkfifo(tmp_path / "pipe")
    refuse(tmp_path / "pipe", "is no file")


def test_truncated_files(content, tmp_path):
    path = tmp_path / "model.safetensors"
    for length in (0, 5, 8, 500, 100_000):
        path.write_bytes(content[:length])
        refuse(path, "is truncated", "copy it again")
    path.write_bytes(content + b"x")
    refuse(path, "truncated or damaged")
    os.truncate(path, len(content) - 1)
    refuse(path, "is truncated", "copy it again")


class Attack:
    def __reduce__(self):
        return os.mkdir, (os.environ["ATTACK_FOLDER"],)


def test_pickled_files_are_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTACK_FOLDER", str(tmp_path / "attacked"))
    torch.save({"a": Attack()}, tmp_path / "zip.pt")
    torch.save({"a": Attack()}, tmp_path / "legacy.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "plain.ckpt").write_bytes(pickle.dumps(Attack(), protocol=4))
    for name in ("zip.pt", "legacy.pth", "plain.ckpt"):
        refuse(tmp_path / name, "pickled PyTorch file", "train")
    renamed = tmp_path / "renamed.safetensors"
    renamed.write_bytes((tmp_path / "zip.pt").read_bytes())
    refuse(renamed, "pickled PyTorch file")
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize(
    "junk",
    [
        b"this is no model at all, it is a line of text",
        struct.pack("<Q", 20) + b"[1, 2, 3]           ",
        struct.pack("<Q", 24) + b'{"__metadata__": [1, 2]}',
        struct.pack("<Q", 8) + b"\xff\xfe{{{{{{",
        struct.pack("<Q", 1 << 60) + b"{}",
    ],
)
def test_files_of_another_kind(tmp_path, junk):
    path = tmp_path / "model.safetensors"
    path.write_bytes(junk)
    refuse(path, "is not a safetensors file")


# --- files of another network or version ------------------------------------------------------------------------------


def test_foreign_safetensors(tmp_path):
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(3)}, str(path))
    refuse(path, "no description of a grasp network")
    safetensors.torch.save_file({"weight": torch.zeros(3)}, str(path), {"format": "pt"})
    refuse(path, "no description of a grasp network", "train")


def test_descriptions_that_do_not_fit(content, tmp_path):
    path = tmp_path / "model.safetensors"
    checksum = with_metadata(content, weights_crc32=None)
    # the others are refused before the weights are read
    del content[8 + struct.unpack("<Q", content[:8])[0] :]
    normalisation = {"channels": "BGR", "mean": [104.0, 117.0, 123.0], "std": [1.0, 1.0, 1.0]}
    cases = [
        (with_metadata(content, format_version="2"), "format version '2'", "update grasp_learning"),
        (with_metadata(content, format_version=None), "format version ''"),
        (with_metadata(content, info=None), "its description is damaged"),
        (with_metadata(content, info='{"stage": 1'), "its description is damaged"),
        (with_metadata(content, info="[]"), "expected a mapping"),
        (checksum, "wrong checksum"),
        (with_info(content, variant="resnet"), "'variant' is 'resnet'"),
        (with_info(content, stage=-1), "'stage' is -1"),
        (with_info(content, colour="red"), "'colour' is unknown"),
        (with_info(content, bins=36), "'bins' is 36", "has 18 here"),
        (with_info(content, input_side=224), "'input_side' is 224", "has 227 here"),
        (with_info(content, patch={"footprint": 0.1, "scale": 0}), "'patch.scale' is 0"),
        (with_info(content, normalisation=normalisation), "'normalisation' is", "BGR"),
    ]
    for changed, *parts in cases:
        path.write_bytes(changed)
        refuse(path, *parts)


def test_weights_of_another_architecture(saved, content, tmp_path):
    path = tmp_path / "model.safetensors"
    as_released = {
        "variant": "released",
        "input_side": 224,
        "normalisation": checkpoint_module.NORMALISATIONS["released"],
    }
    path.write_bytes(with_info(content, **as_released))
    refuse(path, "not the weights of the variant 'released'", "Missing key")
    metadata = header_of(content)["__metadata__"]
    golden = {"golden.input": torch.zeros(2, 227, 227, 3, dtype=torch.uint8), "golden.output": torch.zeros(2, 18, 2)}
    for tensors, *parts in (
        ({**golden, "head.weight": torch.zeros(4, 128)}, "not the weights of the variant 'paper'", "head.weight"),
        ({**golden, "head.weight": torch.zeros(36, 128).half()}, "'head.weight' is torch.float16", "torch.float32"),
        ({"golden.input": golden["golden.input"]}, "no golden pair"),
    ):
        safetensors.torch.save_file(tensors, str(path), metadata)
        refuse(path, *parts)


def test_damaged_golden_pairs(content, tmp_path):
    path = tmp_path / "model.safetensors"
    metadata = header_of(content)["__metadata__"]
    tensors = safetensors.torch.load(bytes(content))
    for changed, part in (
        ({"golden.input": torch.zeros(2, 9, 9, 3, dtype=torch.uint8)}, "golden pictures are damaged"),
        ({"golden.input": torch.zeros(2, 9)}, "golden pictures are damaged"),
        ({"golden.output": torch.zeros(0)}, "golden logits are damaged"),
    ):
        safetensors.torch.save_file({**tensors, **changed}, str(path), metadata)
        refuse(path, part)


def test_every_length_of_the_header_is_read(tmp_path):
    """One that begins with the byte of a pickle, 0x80, is still a length."""
    path = tmp_path / "model.safetensors"
    for length in range(0x680 - 8, 0x680 + 16, 8):
        text = json.dumps({"__metadata__": {"format": "another"}}).encode()
        path.write_bytes(struct.pack("<Q", length) + text.ljust(length))
        refuse(path, "no description of a grasp network")


# --- saving -----------------------------------------------------------------------------------------------------------


def save_refused(path, network, info, *parts: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        save_checkpoint(path, network, info)
    assert "\n" not in str(caught.value)
    for part in (str(path), "not saved", *parts):
        assert part in str(caught.value)


@pytest.fixture(scope="module")
def spare() -> GraspNetwork:
    """A network whose weights tests may damage."""
    return make(seed=3)


def test_a_diverged_network_is_not_saved(spare, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"older")
    for value in (float("nan"), float("inf")):
        with torch.no_grad():
            kept = spare.fc7.bias[5].item()
            spare.fc7.bias[5] = value
        save_refused(path, spare, describe(spare), "'fc7.bias'", "diverged")
        with torch.no_grad():
            spare.fc7.bias[5] = kept
    assert path.read_bytes() == b"older" and os.listdir(tmp_path) == ["model.safetensors"]


def test_a_full_disk_leaves_the_old_file(spare, tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"older")
    write, written = os.write, []

    def full(file, data):
        if sum(written) > 1_000_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(write(file, data[:600_000]))
        return written[-1]

    monkeypatch.setattr(os, "write", full)
    save_refused(path, spare, describe(spare), "No space left", "free some space")
    monkeypatch.undo()
    assert sum(written) > 1_000_000, "the disk filled while the file was written"
    assert path.read_bytes() == b"older" and os.listdir(tmp_path) == ["model.safetensors"]


def test_a_kill_while_writing_leaves_the_old_file(spare, tmp_path, monkeypatch):
    """What is written before the rename lies under another name, which the next save takes over."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"older")

    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    monkeypatch.setattr(os, "rename", killed)
    with pytest.raises(Killed):
        save_checkpoint(path, spare, describe(spare))
    monkeypatch.undo()
    assert path.read_bytes() == b"older"
    sha256 = save_checkpoint(path, spare, describe(spare))
    assert os.listdir(tmp_path) == ["model.safetensors"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def test_a_folder_that_is_none(spare, tmp_path):
    (tmp_path / "file").write_text("")
    save_refused(tmp_path / "file" / "model.safetensors", spare, describe(spare), "choose another folder")


def test_a_description_of_another_network_is_not_saved(saved, spare, tmp_path):
    path = tmp_path / "model.safetensors"
    save_refused(path, spare, describe(saved["released"][0]), "'variant' is released in info and paper")
    save_refused(path, spare, describe(spare, fc6=4096), "'fc6' is 4096 in info and 256")
    with pytest.raises(CheckpointError, match="'bins' is 36"):
        save_checkpoint(path, spare, describe(spare, bins=36))
    assert not path.exists()


def test_descriptions_are_checked_when_they_are_made(spare):
    for values in ({"stage": -1}, {"metrics": {"loss": float("nan")}}, {"training": {"rate": spare}}, {"other": 1}):
        with pytest.raises(ValueError, match=next(iter(values))):
            describe(spare, **values)
    assert describe(spare, metrics={"accuracy": np.float32(0.5)}).metrics == {"accuracy": 0.5}


# --- the tool ---------------------------------------------------------------------------------------------------------


def test_the_tool_prints_and_refuses(saved, tmp_path, capsys):
    _, path, sha256 = saved["paper"]
    assert model_info([str(path)]) == 0
    out = capsys.readouterr().out
    assert sha256 in out and "D0 + 3 x d1" in out and "checked" in out
    assert model_info([str(tmp_path / "none.safetensors")]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and len(captured.err.splitlines()) == 1 and "No such file" in captured.err
    node = Path(__file__).resolve().parent.parent / "nodes" / "model_info"
    assert os.access(node, os.X_OK) and "grasp_learning.model_info" in node.read_text()
