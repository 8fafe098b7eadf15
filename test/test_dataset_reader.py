"""Datasets are read whole or in pieces; what is wrong with one is told in one line with a remedy."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grasp_learning.dataset import reader
from grasp_learning.dataset.pictures import encode_patch
from grasp_learning.dataset.reader import DatasetError, decode_patch, iterate_dataset, open_dataset, read_dataset
from grasp_learning.dataset.schema import SCHEMA, STORED_SIDE, PatchGeometry
from grasp_learning.dataset.writer import as_rows, write_dataset, write_part
from grasp_learning.geometry import angle_to_bin

PATCH = encode_patch(np.full((STORED_SIDE, STORED_SIDE, 3), 90, np.uint8))
GEOMETRY = PatchGeometry(span=0.467, patch_size=378)


def row(number, label=0, split="train", angle=0.5, **more):
    values = {"trial_id": f"d0/{number:06d}", "patch": PATCH, "angle": angle, "bin": int(angle_to_bin(angle))}
    return {**values, "label": label, "split": split, **more}


@pytest.fixture
def dataset(tmp_path):
    splits = ["train"] * 5 + ["validation"] * 2 + ["test_novel"] * 2 + ["unused"]
    rows = [row(index, index % 2, split, 0.3 * index, source="d0") for index, split in enumerate(splits)]
    write_dataset(tmp_path / "data", rows, GEOMETRY)
    return tmp_path / "data"


def one_line_error(call, *words):
    with pytest.raises(DatasetError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert str(word) in message, message


def test_rows_come_by_split_and_column(dataset):
    table = read_dataset(dataset, "train", ["trial_id", "label"])
    assert table.to_pydict() == {"trial_id": [f"d0/{i:06d}" for i in range(5)], "label": [0, 1, 0, 1, 0]}
    assert read_dataset(dataset, "unused").num_rows == 1
    assert read_dataset([dataset, dataset]).num_rows == 18, "the unused row is in no split"
    assert read_dataset(dataset).schema.names == SCHEMA.names


def test_a_dataset_larger_than_memory_comes_in_batches(dataset):
    sizes = [batch.num_rows for batch in iterate_dataset(dataset, "train", ["bin"], batch_size=2)]
    assert sum(sizes) == 5 and max(sizes) <= 2


def test_what_it_holds_is_told_without_reading_patches(dataset):
    found = open_dataset(dataset)
    assert (found.rows, found.count("train"), found.count("train", 1), found.count("test_seen")) == (10, 5, 2, 0)
    assert found.geometry == GEOMETRY and found.sources == {"d0": 10} and found.stages[("train", 0)] == 5
    assert found.identity == open_dataset(dataset).identity


def test_a_file_with_the_required_columns_alone_is_enough(tmp_path, dataset):
    whole = read_dataset(dataset, columns=reader.REQUIRED)
    pq.write_table(whole, tmp_path / "part-a-00000.parquet")
    found = open_dataset(tmp_path)
    assert (found.rows, found.count("train", 1), found.sources) == (9, 2, {"": 9})
    assert read_dataset(tmp_path, "train")["source"].null_count == 5
    one_line_error(lambda: open_dataset([dataset, tmp_path]), "d0/000000", "name each dataset once")


def test_its_identity_follows_rows_labels_and_splits(tmp_path):
    identities = set()
    for name, rows in {
        "a": [row(0)],
        "b": [row(0, 1)],
        "c": [row(0, split="validation")],
        "d": [row(0), row(1)],
        "e": [row(1)],
    }.items():
        write_dataset(tmp_path / name, rows)
        identities.add(open_dataset(tmp_path / name).identity)
    assert len(identities) == 5


def test_both_classes_can_be_required():
    reader.require_both_classes([0, 1, 1], "x")
    one_line_error(lambda: reader.require_both_classes(np.zeros(3, int), "x"), "x", "failures only", "collect")
    one_line_error(lambda: reader.require_both_classes(pa.array([1, 1]), "x"), "successes only")
    one_line_error(lambda: reader.require_both_classes([], "x"), "empty")


def test_an_empty_dataset_or_split(tmp_path, dataset):
    one_line_error(lambda: read_dataset(dataset, "test_seen"), dataset, "test_seen", "export more")
    (tmp_path / "empty").mkdir()
    one_line_error(lambda: read_dataset(tmp_path / "empty"), "part-*.parquet", "export_dataset")
    one_line_error(lambda: read_dataset([]), "no dataset was named")
    one_line_error(lambda: write_dataset(tmp_path / "none", []), "at least one")


def test_missing_files(tmp_path, dataset):
    one_line_error(lambda: read_dataset(tmp_path / "nothing"), "nothing", "not there")
    (dataset / "dataset.yaml").write_text(
        "format: 1\nsources: [{name: d0, parts: [part-rows-00000.parquet, part-d0-00001.parquet]}]\n"
    )
    one_line_error(lambda: open_dataset(dataset), "part-d0-00001.parquet", "missing", "export d0 again")


def test_damaged_files(dataset):
    path = next(dataset.glob("*.parquet"))
    whole = path.read_bytes()
    for content in (b"", b"PAR1", whole[: len(whole) // 2], whole[:4] + bytes(len(whole) - 4)):
        path.write_bytes(content)
        one_line_error(lambda: read_dataset(dataset), path, "delete it and export again")
    changed = bytearray(whole)
    changed[4 : len(changed) // 3] = bytes(len(changed) // 3 - 4)  # the footer is whole, the pages are not
    path.write_bytes(bytes(changed))
    one_line_error(lambda: read_dataset(dataset), path)


def test_foreign_files(tmp_path):
    pq.write_table(pa.table({"x": [1]}), tmp_path / "part-a-00000.parquet")
    one_line_error(lambda: read_dataset(tmp_path), "column 'trial_id' is missing", "export_dataset")
    table = pa.Table.from_pylist([{**row(0), "stage": 0}]).drop_columns(["bin"]).append_column("bin", pa.array(["x"]))
    pq.write_table(table, tmp_path / "part-a-00000.parquet")
    one_line_error(lambda: read_dataset(tmp_path), "column")
    newer = SCHEMA.with_metadata({b"grasp_learning.format": b"9"})
    pq.write_table(newer.empty_table(), tmp_path / "part-a-00000.parquet")
    one_line_error(lambda: read_dataset(tmp_path), "format 9", "export again")


@pytest.mark.parametrize(
    "change, words",
    [
        ({"angle": np.pi, "bin": 0}, ["angle is 3.14", "[0, pi)"]),
        ({"angle": -0.1, "bin": 0}, ["angle is -0.1"]),
        ({"angle": float("nan"), "bin": 0}, ["angle is nan"]),
        ({"bin": 18}, ["bin is 18"]),
        ({"bin": -1}, ["bin is -1"]),
        ({"bin": 7}, ["bin is 7", "bin of the row's angle"]),
        ({"label": 2}, ["label is 2", "0 or 1"]),
    ],
)
def test_rows_outside_the_conventions_are_neither_written_nor_read(tmp_path, change, words):
    one_line_error(lambda: write_dataset(tmp_path, [row(0), {**row(1), **change}]), "row 1", *words)
    assert not list(tmp_path.glob("*.parquet"))
    table = pa.Table.from_pylist(
        [{**row(0), "stage": 0, **change}], schema=pa.schema([SCHEMA.field(name) for name in reader.REQUIRED])
    )
    pq.write_table(table, tmp_path / "part-a-00000.parquet")
    one_line_error(lambda: read_dataset(tmp_path), "part-a-00000.parquet", "row 0", *words)


def test_unknown_names_are_told(dataset):
    one_line_error(lambda: read_dataset(dataset, "test"), "split 'test'", "test_novel")
    one_line_error(lambda: read_dataset(dataset, columns=["theta"]), "column 'theta'", "angle")


def test_different_geometries_are_not_mixed(tmp_path, dataset):
    write_dataset(tmp_path / "near", [row(90)], PatchGeometry(span=0.46, patch_size=372))
    write_dataset(tmp_path / "unknown", [row(91)])
    assert open_dataset([tmp_path / "unknown", dataset, tmp_path / "near"]).geometry == GEOMETRY
    write_dataset(tmp_path / "other", [row(0)], PatchGeometry(span=0.52, patch_size=421))
    one_line_error(lambda: open_dataset([dataset, tmp_path / "other"]), "0.5200", "0.4670", "geometries")


def test_patches_that_are_none():
    one_line_error(lambda: decode_patch(b""), "cannot be decoded")
    one_line_error(lambda: decode_patch(b"\xff\xd8 nonsense"), "cannot be decoded")
    one_line_error(lambda: decode_patch(encode_patch(np.zeros((8, 9, 3), np.uint8))), "9 x 8 px", "322")


def test_a_row_that_lacks_a_column_is_not_written(tmp_path):
    incomplete = row(0)
    del incomplete["patch"]
    one_line_error(lambda: write_part(tmp_path / "part-x-00000.parquet", [incomplete], GEOMETRY), "patch")
    one_line_error(lambda: write_dataset(tmp_path, [row(0, arm=3)]), "does not fit the schema")


def test_columns_become_rows():
    assert as_rows({"a": np.array([1, 2]), "b": ["x", "y"]}) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_datasets_that_share_trials_are_refused(tmp_path, dataset):
    """They may have split them otherwise: one would test on what the other trains on."""
    one_line_error(lambda: open_dataset([dataset, dataset]), "d0/000000", "is in", "name each dataset once")
    rows = [row(number, angle=0.6) for number in range(2)]
    write_dataset(tmp_path / "of_the_same_name", rows)
    assert open_dataset([dataset, tmp_path / "of_the_same_name"]).rows == open_dataset(dataset).rows + 2
