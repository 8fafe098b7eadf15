"""Patches in memory, compressed in memory or in a file are the same samples; a file costs no memory."""

import errno
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from training_samples import bar_dataset, bar_rows, encoded

from grasp_learning.dataset.reader import DatasetError, open_dataset, read_dataset
from grasp_learning.dataset.writer import write_dataset
from grasp_learning.folder_lock import take_lock
from grasp_learning.training import patch_cache
from grasp_learning.training.errors import TrainingError
from grasp_learning.training.loading import PATCH_BYTES, CompressedPatches, load_samples
from grasp_learning.training.patch_cache import LOCK_FILE, FilePatches, cache_is_there, remove_cache, stored_bytes
from grasp_learning.training.samples import DecodedPatches

SPLITS = ("train", "validation", "test_novel")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return bar_dataset(tmp_path_factory.mktemp("data") / "bars", train=12, validation=4, test_novel=6)


def load(dataset, split, memory_gb, cache=None, rows=None):
    return load_samples([str(dataset)], open_dataset(dataset), split, memory_gb, rows=rows, cache=cache)


def assert_same(one, other):
    indices = torch.tensor(np.random.default_rng(0).permutation(len(one)))
    assert torch.equal(one.patches.take(indices), other.patches.take(indices))
    for name in ("angles", "bins", "labels", "stages", "inner"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name


@pytest.mark.parametrize("chosen", [False, True])
def test_wherever_patches_are_they_are_the_same(dataset, tmp_path, chosen):
    rows = np.arange(12) % 3 > 0 if chosen else None
    count = 8 if chosen else 12
    between = 1.5 * stored_bytes(open_dataset(dataset).paths) * count / 22 / 1e9
    assert between < count * PATCH_BYTES / 1e9
    decoded = load(dataset, "train", 1.0, tmp_path / "c", rows)
    compressed = load(dataset, "train", between, tmp_path / "c", rows)
    assert not (tmp_path / "c").exists()
    filed = load(dataset, "train", 0.0, tmp_path / "c", rows)
    kinds = [type(samples.patches) for samples in (decoded, compressed, filed)]
    assert kinds == [DecodedPatches, CompressedPatches, FilePatches]
    assert_same(decoded, compressed)
    assert_same(decoded, filed)
    assert (decoded.patches.memory, filed.patches.memory) == (count * PATCH_BYTES, 0)
    assert 0 < compressed.patches.memory < decoded.patches.memory


def test_all_splits_are_in_one_file_that_is_made_once(dataset, tmp_path, monkeypatch):
    whole = {split: load(dataset, split, 1.0) for split in SPLITS}
    load(dataset, "train", 0.0, tmp_path)
    monkeypatch.setattr(patch_cache, "_make", None)
    for split in SPLITS:
        found = load(dataset, split, 1.0, tmp_path)
        assert isinstance(found.patches, FilePatches), "read faster than the dataset, once it is there"
        assert_same(whole[split], found)
    assert load(dataset, "test_seen", 0.0, tmp_path) is None


MEMORY = """
import sys
from pathlib import Path
from grasp_learning.dataset.reader import open_dataset
from grasp_learning.training.loading import load_samples
import torch
data, cache, memory_gb = sys.argv[1], sys.argv[2], float(sys.argv[3])
def peak():
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
before = peak()
samples = load_samples([data], open_dataset(data), "train", memory_gb, cache=Path(cache) if cache else None)
for first in range(0, len(samples), 512):
    samples.patches.take(torch.arange(first, min(first + 32, len(samples))))
print(type(samples.patches).__name__, len(samples), peak() - before)
"""


def test_patches_that_do_not_fit_stay_within_the_budget(tmp_path):
    """Of 200 MB of patches a fraction is in memory at a time."""
    noise = np.random.default_rng(0).normal(128, 4, (322, 322, 3)).clip(0, 255).astype(np.uint8)
    rows = bar_rows(2, np.random.default_rng(0))
    patch = encoded(noise)
    many = [
        {**rows[number % 2], "patch": patch, "trial_id": f"d/{number:06d}"}
        for number in range(200_000_000 // len(patch))
    ]
    assert 20_000 < len(patch) < 50_000, "as those of simulated trials"
    write_dataset(tmp_path / "data", many)
    peaks = {}
    for name, cache in (("in memory", ""), ("in a file", str(tmp_path / "cache"))):
        command = [sys.executable, "-c", MEMORY, str(tmp_path / "data"), cache, "0.05"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
        kind, count, peak = done.stdout.split()
        assert int(count) == len(many)
        peaks[name] = (kind, float(peak))
    assert peaks["in memory"][0] == "CompressedPatches" and peaks["in memory"][1] > 200
    assert peaks["in a file"][0] == "FilePatches" and peaks["in a file"][1] < 150, (
        "MB, 50 of which are its budget, 20 a batch, 50 what Parquet's reader fills"
    )


def test_a_file_that_is_not_whole_or_of_another_dataset_is_made_anew(dataset, tmp_path):
    whole = load(dataset, "train", 1.0)
    cache = tmp_path / "c"
    load(dataset, "train", 0.0, cache)
    for damage in (
        lambda: (cache / "index.npz").unlink(),  # killed before the end
        lambda: os.truncate(cache / "patches.bin", 1000),
        lambda: (cache / "index.npz").write_bytes(b"PK"),
        lambda: os.truncate(cache / "index.npz", 1000),  # looks like what it was
    ):
        damage()
        assert not cache_is_there(cache, open_dataset(dataset))
        assert_same(whole, load(dataset, "train", 0.0, cache))
    other = bar_dataset(tmp_path / "other", train=12, validation=4, test_novel=6, seed=5)
    assert open_dataset(other).identity == open_dataset(dataset).identity, "only the pictures differ"
    assert not torch.equal(load(other, "train", 0.0, cache).angles, whole.angles)


def test_a_file_that_shrinks_is_told(dataset, tmp_path):
    samples = load(dataset, "train", 0.0, tmp_path)
    os.truncate(tmp_path / "patches.bin", 1000)
    with pytest.raises(DatasetError, match="patches.bin: is damaged; delete its folder"):
        samples.patches.take(torch.tensor([11]))


def test_two_processes_make_one_file(dataset, tmp_path, monkeypatch):
    made, make = [], patch_cache._make

    def slowly(*arguments):
        made.append(1)
        time.sleep(0.3)
        return make(*arguments)

    monkeypatch.setattr(patch_cache, "_make", slowly)
    results = []
    threads = [threading.Thread(target=lambda: results.append(load(dataset, "train", 0.0, tmp_path))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 3 and len(made) == 1
    assert_same(results[0], results[1])


def test_another_process_that_takes_too_long_is_named(dataset, tmp_path, monkeypatch):
    lock = take_lock(tmp_path / LOCK_FILE)
    monkeypatch.setattr(patch_cache, "PATIENCE", 0.0)
    try:
        with pytest.raises(TrainingError, match=f"process {os.getpid()} has been copying .* --patch-cache"):
            load(dataset, "train", 0.0, tmp_path)
    finally:
        os.close(lock)


def test_a_disk_without_room_is_told_before_anything_is_copied(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(patch_cache.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(TrainingError, match="need up to .* GB on disk, of which 0.0 GB are free; .* --patch-cache"):
        load(dataset, "train", 0.0, tmp_path)


def test_a_disk_that_is_full_after_all_is_told(dataset, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(patch_cache.os, "fsync", full)
    with pytest.raises(TrainingError, match="cannot be copied there .No space left on device.; .* --patch-cache"):
        load(dataset, "train", 0.0, tmp_path)
    monkeypatch.undo()
    assert len(load(dataset, "train", 0.0, tmp_path)) == 12


def test_removing_a_file_leaves_what_else_lies_there(dataset, tmp_path):
    cache = tmp_path / "c"
    load(dataset, "train", 0.0, cache)
    (cache / "thesis.txt").write_text("chapter 1")
    remove_cache(cache)
    assert [path.name for path in cache.iterdir()] == ["thesis.txt"]
    (cache / "thesis.txt").unlink()
    load(dataset, "train", 0.0, cache)
    remove_cache(cache)
    remove_cache(cache)
    assert not cache.exists()


def test_a_file_that_another_process_is_making_is_not_removed(dataset, tmp_path):
    load(dataset, "train", 0.0, tmp_path)
    lock = take_lock(tmp_path / LOCK_FILE)
    remove_cache(tmp_path)
    assert cache_is_there(tmp_path, open_dataset(dataset))
    os.close(lock)
    remove_cache(tmp_path)
    assert not cache_is_there(tmp_path, open_dataset(dataset))


def test_a_file_that_is_replaced_meanwhile_is_still_read(dataset, tmp_path):
    """Another training with the same --patch-cache removes it or puts other datasets' patches there."""
    samples, whole = load(dataset, "train", 0.0, tmp_path / "c"), load(dataset, "train", 1.0)
    load(bar_dataset(tmp_path / "other", train=6, seed=5), "train", 0.0, tmp_path / "c")
    assert_same(samples, whole)


def test_a_datasets_identity_is_that_of_earlier_versions(dataset, tmp_path, monkeypatch):
    """It stands in the folders of trainings, which would be refused otherwise."""
    monkeypatch.setattr("grasp_learning.dataset.reader.ROWS_AT_ONCE", 5)
    table = read_dataset(dataset, columns=["trial_id", "split", "label"])
    expected = hashlib.sha256(json.dumps(table.to_pydict()).encode()).hexdigest()
    assert open_dataset(dataset).identity == expected
    more = bar_dataset(tmp_path / "more", train=7, stage=1)
    with pytest.raises(DatasetError, match="trial bars/train-000000 is in .*more"):
        write_dataset(tmp_path / "twice", [row for row in read_dataset(more).to_pylist()])
        open_dataset([more, tmp_path / "twice"])
