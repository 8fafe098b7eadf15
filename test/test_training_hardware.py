"""What a training takes from the machine."""

import pytest
import torch

from grasp_learning.training import lightning_library
from grasp_learning.training.hardware import cpu_has_bf16, memory_for_patches
from grasp_learning.training.settings import TrainSettings


def machine(root, available_kb=8_000_000, **files):
    """System files of a machine; names with "/" as "__"."""
    files = {"proc__meminfo": f"MemTotal: 16000000 kB\nMemAvailable: {available_kb} kB\n", **files}
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def settings(**values):
    return TrainSettings(data=["d"], out="o", **values)


def test_patches_get_half_of_the_free_memory(tmp_path):
    root = machine(tmp_path)
    assert memory_for_patches(settings(), root) == pytest.approx(8_000_000 * 1024 / 2 / 1e9)
    assert memory_for_patches(settings(devices=4), root) == pytest.approx(8_000_000 * 1024 / 8 / 1e9), "each process's"
    assert memory_for_patches(settings(memory_gb=3), root) == 3
    assert memory_for_patches(settings(memory_gb=0), root) == 0


@pytest.mark.parametrize(
    "files, expected",
    [
        ({"sys__fs__cgroup__memory.max": "3000000000\n", "sys__fs__cgroup__memory.current": "1000000000\n"}, 1.0),
        ({"sys__fs__cgroup__memory.max": "max\n", "sys__fs__cgroup__memory.current": "1000000000\n"}, 4.096),
        (
            {
                "sys__fs__cgroup__memory__memory.limit_in_bytes": "2000000000",
                "sys__fs__cgroup__memory__memory.usage_in_bytes": "2500000000",
            },
            0.0,
        ),
    ],
)
def test_a_containers_limit_counts(tmp_path, files, expected):
    assert memory_for_patches(settings(), machine(tmp_path, **files)) == pytest.approx(expected)


def test_a_system_that_does_not_say_gets_a_guess(tmp_path):
    assert memory_for_patches(settings(), tmp_path) == 4.0


def test_bf16_where_the_processor_computes_with_it(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor: 0\nflags\t\t: fpu avx512f avx512_bf16\n")
    assert cpu_has_bf16(cpuinfo)
    cpuinfo.write_text("processor: 0\nflags\t\t: fpu avx512f\n")
    assert not cpu_has_bf16(cpuinfo) and not cpu_has_bf16(tmp_path / "none")


@pytest.mark.parametrize(
    "variables, rank, first",
    [
        ({}, 0, True),
        ({}, 1, False),
        ({"NODE_RANK": "0"}, 0, True),
        ({"NODE_RANK": "1"}, 0, False),
        ({"GROUP_RANK": "2"}, 0, False),
    ],
)
def test_one_process_of_all_machines_writes(monkeypatch, variables, rank, first):
    for name in ("NODE_RANK", "GROUP_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(lightning_library.rank_zero_only, "rank", rank, raising=False)
    assert lightning_library.is_first_process() is first


@pytest.mark.parametrize("precision, fused", [("fp16", False), ("bf16", True), ("fp32", True)])
def test_gradients_lose_their_scale_before_they_are_clipped(precision, fused):
    """A fused optimiser takes fp16's scale out itself, in the step, after the clipping."""
    from grasp_learning.network import GraspNetwork, NetworkSettings
    from grasp_learning.training.module import GraspModule

    network = GraspNetwork(NetworkSettings(fc6=4, fc7=4), torch.Generator().manual_seed(0))
    module = GraspModule(network, settings(precision=precision), 10)
    optimizer = module.configure_optimizers()["optimizer"]
    assert bool(getattr(optimizer, "_step_supports_amp_scaling", False)) is fused
