"""The authors' layout is read and written, with their angles: bin t is t * pi / 18 - pi / 2 in image axes."""

import errno
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from dataset_samples import random_collection

from grasp_learning.dataset import export_dataset, released
from grasp_learning.dataset.export import export_collections
from grasp_learning.dataset.reader import DatasetError, decode_patch, open_dataset, read_dataset
from grasp_learning.dataset.released import list_released, network_part, write_released
from grasp_learning.dataset.schema import STORED_SIDE
from grasp_learning.geometry import angle_to_bin, released_bin_to_bin
from grasp_learning.patches import NETWORK_SIDE
from grasp_learning.storage_errors import DiskFullError


def release(folder, angles=(0.0,), splits=("Train",), extra="", side=200):
    """A release with one patch an angle in each split and label, of a colour of its own."""
    for split in splits:
        for label in ("positive", "negative"):
            images = folder / split / label / "Images"
            images.mkdir(parents=True)
            lines = ["a description that is not a patch, 0.3"]
            for place, angle in enumerate(angles):
                cv2.imwrite(str(images / f"{place}.jpg"), np.full((side, side, 3), 40 + 10 * place, np.uint8))
                lines.append(f"{place}.jpg,{angle!r}{extra}")
            (images.parent / "dataInfo.txt").write_text("\n".join(lines) + "\n\n")
    return folder


def test_their_bins_are_ours_turned_by_a_right_angle(tmp_path):
    angles = [t * np.pi / 18 - np.pi / 2 for t in range(18)]
    export_collections([release(tmp_path / "data", angles)], tmp_path / "out")
    rows = read_dataset(tmp_path / "out", "train").to_pylist()
    for row in rows:
        t = int(Path(row["trial_id"]).stem)
        assert row["bin"] == released_bin_to_bin(t) == (t + 9) % 18
        assert row["angle"] == pytest.approx(np.radians((10 * t - 90) % 180), abs=1e-9)
    assert {row["label"] for row in rows} == {0, 1} and len(rows) == 36
    assert not any(row["margin"] for row in rows)


def test_written_angles_are_theirs(tmp_path):
    folder = random_collection(tmp_path / "d0", 40)
    export_collections([folder], tmp_path / "out")
    write_released(tmp_path / "out", tmp_path / "released")
    rows = read_dataset(tmp_path / "out", columns=["angle", "trial_id"]).to_pylist()
    ours = {row["trial_id"].replace("/", "_"): row["angle"] for row in rows}
    written = {}
    for path in (tmp_path / "released").glob("*/*/dataInfo.txt"):
        for line in path.read_text().splitlines()[1:]:
            name, angle = line.split(",")
            written[Path(name).stem.split("_", 1)[1]] = float(angle)
    assert written.keys() == ours.keys()
    for name, angle in written.items():
        assert -np.pi / 2 <= angle < np.pi / 2
        assert angle == pytest.approx(ours[name] if ours[name] < np.pi / 2 else ours[name] - np.pi, abs=1e-12)


def test_a_dataset_survives_the_round_trip(tmp_path):
    folder = random_collection(tmp_path / "d0", 60, names=("mug_01", "can_03", "box_02"))
    options = ["--novel-objects", "box_02", "--validation", "0.2", "--test-size", "0.2", "--workers", "1"]
    assert export_dataset.main([str(folder), str(tmp_path / "out"), *options]) == 0
    assert export_dataset.main(["--layout", "released", str(tmp_path / "out"), str(tmp_path / "released")]) == 0
    export_collections([tmp_path / "released"], tmp_path / "back")

    def key(row, split):
        return split, row["label"], row["bin"], round(row["angle"], 9)

    before, after = (read_dataset(tmp_path / name).to_pylist() for name in ("out", "back"))
    tested = {"test_novel": "test_seen"}  # they have one test set
    originals = {key(row, tested.get(row["split"], row["split"])): row for row in before}
    assert len(originals) == len(before) == len(after)
    for row in after:
        patch = decode_patch(row["patch"])
        original = decode_patch(originals[key(row, row["split"])]["patch"])
        difference = network_part(patch, margin=False).astype(int) - network_part(original)
        assert np.abs(difference).mean() < 5


def test_both_names_of_validation_later_columns_and_other_sizes(tmp_path):
    folder = release(tmp_path / "data", [0.1, -0.2], ("Train", "Val", "Test"), extra=",0.7,left", side=91)
    release(folder, [0.4], ("Validation",))
    export_collections([folder], tmp_path / "out")
    dataset = open_dataset(tmp_path / "out")
    assert {split: dataset.count(split) for split in ("train", "validation", "test_seen")} == {
        "train": 4,
        "validation": 6,
        "test_seen": 4,
    }
    patch = decode_patch(read_dataset(tmp_path / "out", "train")["patch"][0].as_py())
    assert patch.shape == (STORED_SIDE, STORED_SIDE, 3)
    assert network_part(patch, margin=False).shape == (NETWORK_SIDE, NETWORK_SIDE, 3)


def test_releases_and_collections_are_parts_of_one_dataset_and_skipped_when_there(tmp_path):
    collection, data = random_collection(tmp_path / "d0", 10), release(tmp_path / "data", [0.1, 0.2])
    export_collections([collection, data], tmp_path / "out")
    inodes = {path.name: path.stat().st_ino for path in (tmp_path / "out").glob("*.parquet")}
    export_collections([data, collection], tmp_path / "out")
    assert {path.name: path.stat().st_ino for path in (tmp_path / "out").glob("*.parquet")} == inodes
    assert open_dataset(tmp_path / "out").sources == {"d0": 10, "data": 4}


def test_a_damaged_picture_is_left_out(tmp_path):
    folder = release(tmp_path / "data", [0.1, 0.2])
    (folder / "Train" / "negative" / "Images" / "1.jpg").write_bytes(b"nothing")
    for _ in range(2):
        (source,) = export_collections([folder], tmp_path / "out")
        assert source.rows == 3 and list(source.damaged) == ["data/Train/negative/1.jpg"]
        assert sum(source.left_out.values()) == 1


@pytest.mark.parametrize(
    "line, words",
    [
        ("0.jpg,90", ["line 2", "angle is 90", "rad"]),
        ("0.jpg,nan", ["angle is nan"]),
        ("0.jpg,north", ["'north'", "expected a number"]),
        ("0.jpg", ["expected a number"]),
        ("../0.jpg,0.1", ["is no file name"]),
        ("gone.jpg,0.1", ["Images/gone.jpg", "is missing"]),
    ],
)
def test_broken_lines_and_missing_pictures_name_their_file(tmp_path, line, words, capsys):
    folder = release(tmp_path / "data")
    (folder / "Train" / "positive" / "dataInfo.txt").write_text(f"description\n{line}\n")
    assert export_dataset.main([str(folder), str(tmp_path / "out"), "--workers", "1"]) == 1
    error = capsys.readouterr().err
    for word in ["Train/positive", *words]:
        assert word in error


def test_folders_that_are_no_release(tmp_path):
    with pytest.raises(DatasetError, match="name the folder of a release"):
        list_released(tmp_path)
    (release(tmp_path / "data") / "Train" / "positive" / "dataInfo.txt").unlink()
    with pytest.raises(DatasetError, match="positive/dataInfo.txt: cannot be read"):
        list_released(tmp_path / "data")


def test_it_is_written_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    export_collections([random_collection(tmp_path / "d0", 10)], tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    with pytest.raises(DatasetError, match="not empty"):
        write_released(tmp_path / "out", tmp_path / "full")
    written = []

    def write_bytes(path, data):
        if len(written) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(path)

    with monkeypatch.context() as patched:
        patched.setattr(released.Path, "write_bytes", write_bytes)
        with pytest.raises(DiskFullError, match="free some space"):
            write_released(tmp_path / "out", tmp_path / "released")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d0", "full", "out"]
    assert sum(write_released(tmp_path / "out", tmp_path / "released").values()) == 10


def test_angles_at_the_edges_keep_their_bins(tmp_path):
    edges = [-np.pi / 2, np.nextafter(np.pi / 2, 0), np.pi / 2, 0.0, -1e-18, np.radians(-5), np.pi]
    export_collections([release(tmp_path / "data", edges)], tmp_path / "out")
    for row in read_dataset(tmp_path / "out").to_pylist():
        assert 0 <= row["angle"] < np.pi and row["bin"] == angle_to_bin(row["angle"])
