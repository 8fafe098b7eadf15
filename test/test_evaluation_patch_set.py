import pickle

import numpy as np
import pyarrow.parquet as pq
import pytest
from evaluation_samples import placed_dataset, placed_rows
from training_samples import GEOMETRY, bar, encoded

from grasp_learning.dataset.reader import DatasetError, decode_patch, read_dataset
from grasp_learning.dataset.schema import STORED_SIDE, PatchGeometry
from grasp_learning.dataset.writer import write_dataset
from grasp_learning.evaluation import patch_set
from grasp_learning.evaluation.patch_set import load_patch_set, network_part
from grasp_learning.patches import NETWORK_SIDE


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return placed_dataset(tmp_path_factory.mktemp("data"))


def test_columns_are_those_of_the_rows(data):
    found = load_patch_set(data, ["test_novel", "train"])
    rows = [row for row in read_dataset(data).to_pylist() if row["split"] in ("test_novel", "train")]
    assert found.name == "test_novel + train"
    assert len(found) == len(rows) == 50
    for name, values in {
        "trial_id": found.trial_ids,
        "angle": found.angles,
        "bin": found.bins,
        "label": found.labels,
        "stage": found.stages,
        "object": found.objects,
        "scene": found.scenes,
        "split": found.splits,
        "source": found.sources,
    }.items():
        assert list(values) == [row[name] for row in rows], name
    assert list(found.near) == [tuple(row["objects"]) for row in rows]
    assert found.geometry == GEOMETRY
    assert found.labels.dtype == np.int8


def test_pictures_are_the_middle_of_what_is_stored(data):
    found = load_patch_set(data, "test_novel")
    rows = read_dataset(data, "test_novel").to_pylist()
    first = (STORED_SIDE - NETWORK_SIDE) // 2
    pictures = found.pictures([7, 2])
    assert pictures.shape == (2, NETWORK_SIDE, NETWORK_SIDE, 3)
    for picture, row in zip(pictures, (rows[7], rows[2])):
        stored = decode_patch(row["patch"])
        assert (picture == stored[first : first + NETWORK_SIDE, first : first + NETWORK_SIDE]).all()
    assert found.pictures([0], side=64).shape == (1, 64, 64, 3)


def test_a_patch_without_margin_is_shown_as_a_whole():
    picture = bar(0.4)
    shown = network_part(picture, margin=False)
    assert shown.shape == (NETWORK_SIDE, NETWORK_SIDE, 3)
    # the same bar, smaller: its share of the picture stays
    assert np.mean(shown[..., 0] < 100) == pytest.approx(np.mean(picture[..., 0] < 100), rel=0.05)


def test_batches_and_subsets_show_the_same_pictures(data):
    found = load_patch_set(data, "train")
    everything = found.pictures(slice(None))
    together = np.concatenate([pictures for _, pictures in found.batches(7)])
    assert (together == everything).all()
    assert [rows for rows, _ in found.batches(16)] == [slice(0, 16), slice(16, 30)]
    some = found.subset(found.labels == 1).subset([4, 0])
    assert (some.pictures([0, 1]) == everything[[9, 1]]).all()
    assert some.trial_ids.tolist() == found.trial_ids[[9, 1]].tolist()


def test_only_a_few_row_groups_are_in_memory(tmp_path):
    rows = placed_rows(60, np.random.default_rng(0), "train", ("can",))
    write_dataset(tmp_path, rows, GEOMETRY)
    part = next(tmp_path.glob("part-*.parquet"))
    pq.write_table(pq.read_table(part), part, row_group_size=5)
    found = load_patch_set(tmp_path, "train")
    for index in np.random.default_rng(1).permutation(60):
        assert (found.pictures([index])[0] == network_part(decode_patch(rows[index]["patch"]), True)).all()
        assert len(found._patches._groups) <= patch_set.GROUPS_KEPT


def test_another_process_reads_on(data):
    found = load_patch_set(data, "test_seen")
    expected = found.pictures([3, 1])
    assert (pickle.loads(pickle.dumps(found)).pictures([3, 1]) == expected).all()


def test_identity_is_that_of_the_rows(data, tmp_path):
    found = load_patch_set(data, "train")
    assert found.identity == load_patch_set(data, "train").identity
    assert found.identity != found.subset(slice(0, 29)).identity
    assert found.identity != load_patch_set(data, "validation").identity

    def flip(rows):
        rows[3]["label"] = 1 - rows[3]["label"]

    assert load_patch_set(placed_dataset(tmp_path, change=flip), "train").identity != found.identity


def test_scenes_of_two_datasets_with_one_name_are_two(tmp_path, data):
    rows = placed_rows(5, np.random.default_rng(3), "train", ("cup",))
    write_dataset(tmp_path, rows, GEOMETRY)
    found = load_patch_set([data, tmp_path], "train")
    assert len(found) == 35
    assert set(found.scenes[30:]) == {"bars/train-0 of dataset 2"}


def test_what_an_older_dataset_lacks_is_not_known(tmp_path):
    placed_dataset(tmp_path)
    part = next(tmp_path.glob("part-*.parquet"))
    table = pq.read_table(part)
    kept = ["trial_id", "patch", "angle", "bin", "label", "stage", "split", "source"]
    pq.write_table(table.select(kept), part)
    found = load_patch_set(tmp_path, "train")
    assert set(found.objects) == set(found.near) == set(found.scenes) == {None}
    assert found.pictures([0]).shape == (1, NETWORK_SIDE, NETWORK_SIDE, 3)


def test_no_row_of_a_split(tmp_path):
    placed_dataset(tmp_path, test_seen=0)
    with pytest.raises(DatasetError, match=f"{tmp_path}: no row of split test_seen; export more trials"):
        load_patch_set(tmp_path, "test_seen")
    assert len(load_patch_set(tmp_path, "test_seen", allow_empty=True)) == 0


def test_an_unknown_split(data):
    with pytest.raises(DatasetError, match="split 'tset' is unknown; choose from train, validation"):
        load_patch_set(data, "tset")


def test_a_damaged_patch_names_its_file(tmp_path):
    def damage(rows):
        rows[2]["patch"] = b"no picture"
        rows[3]["patch"] = encoded(bar(0.1, side=50))

    found = load_patch_set(placed_dataset(tmp_path, change=damage), "train")
    assert found.pictures([0, 1]).shape[0] == 2
    with pytest.raises(DatasetError, match=r"part-rows-00000.parquet: a patch cannot be decoded"):
        found.pictures([0, 2])
    with pytest.raises(DatasetError, match=r"part-rows-00000.parquet: a patch has 50 x 50 px"):
        found.pictures([3])


def test_a_file_that_goes_while_it_is_read(tmp_path):
    found = load_patch_set(placed_dataset(tmp_path), "train")
    next(tmp_path.glob("part-*.parquet")).unlink()
    with pytest.raises(DatasetError, match="part-rows-00000.parquet: cannot be read"):
        found.pictures([0])


def test_datasets_of_other_geometry_are_not_mixed(tmp_path, data):
    rows = placed_rows(4, np.random.default_rng(0), "train", ("can",), name="others")
    write_dataset(tmp_path, rows, PatchGeometry(span=0.6, patch_size=300))
    with pytest.raises(DatasetError, match="different patch geometries cannot be mixed"):
        load_patch_set([data, tmp_path], "train")
