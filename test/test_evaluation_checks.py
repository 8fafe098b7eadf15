import numpy as np
import pytest
from evaluation_samples import placed_dataset

from grasp_learning.dataset.reader import DatasetError
from grasp_learning.evaluation.checks import SharedDataError, check_test_set
from grasp_learning.evaluation.patch_set import load_patch_set
from grasp_learning.evaluation.test_sets import learning_sets, test_sets


def sets(folder, split):
    return load_patch_set(folder, ["train", "validation"]), load_patch_set(folder, split)


def test_clean_sets_pass(tmp_path):
    placed_dataset(tmp_path)
    assert check_test_set(*sets(tmp_path, "test_novel"), novel=True) == []
    assert check_test_set(*sets(tmp_path, "test_seen"), novel=False) == []


def test_novel_objects_that_were_trained_with(tmp_path):
    def share(rows):
        rows[3]["object"], rows[3]["objects"] = "star", ["star"]
        rows[4]["objects"] = ["mug", "pan"]  # beside the nearest one

    placed_dataset(tmp_path, change=share)
    with pytest.raises(SharedDataError) as error:
        check_test_set(*sets(tmp_path, "test_novel"), novel=True)
    assert "test_novel shares 2 objects (pan, star) with train + validation (13 of 20 patches)" in str(error.value)
    assert "--novel-objects pan,star" in str(error.value)


def test_known_objects_beside_a_novel_one_are_allowed(tmp_path):
    def beside(rows):
        for row in rows:
            if row["split"] == "test_novel":
                row["objects"] = [row["object"], "mug"]

    placed_dataset(tmp_path, change=beside)
    assert check_test_set(*sets(tmp_path, "test_novel"), novel=True) == []


def test_many_shared_objects_are_counted(tmp_path):
    def share(rows):
        for place, row in enumerate(rows):
            row["object"] = f"thing_{place % 8}"
            row["objects"] = [row["object"]]

    placed_dataset(tmp_path, change=share)
    with pytest.raises(
        SharedDataError, match=r"8 objects \(thing_0, .*thing_4 and 3 more\).*--novel-objects .*,\.\.\."
    ):
        check_test_set(*sets(tmp_path, "test_novel"), novel=True)


@pytest.mark.parametrize("split", ["test_novel", "test_seen"])
def test_shared_trials(tmp_path, split):
    def share(rows):
        test = next(row for row in rows if row["split"] == split)
        for key in ("trial_id", "angle", "bin"):
            test[key] = rows[2][key]

    placed_dataset(tmp_path, change=share)
    with pytest.raises(SharedDataError, match=rf"{split} shares 1 trial \(bars/train-000002\) with train"):
        check_test_set(*sets(tmp_path, split), novel=split == "test_novel")


@pytest.mark.parametrize("split", ["test_novel", "test_seen"])
def test_shared_scenes(tmp_path, split):
    def share(rows):
        next(row for row in rows if row["split"] == split)["scene"] = "bars/validation-1"

    placed_dataset(tmp_path, change=share)
    with pytest.raises(SharedDataError, match=rf"{split} shares 1 scene \(bars/validation-1\).*new dataset"):
        check_test_set(*sets(tmp_path, split), novel=split == "test_novel")


def test_seen_objects_are_shared_by_definition(tmp_path):
    placed_dataset(tmp_path)
    train, seen = sets(tmp_path, "test_seen")
    assert set(seen.objects) <= set(train.objects)
    assert check_test_set(train, seen, novel=False) == []


def test_what_is_not_known_is_noted(tmp_path):
    def forget(rows):
        for row in rows:
            row["object"] = row["objects"] = row["scene"] = None

    placed_dataset(tmp_path, change=forget)
    notes = check_test_set(*sets(tmp_path, "test_novel"), novel=True)
    assert any("60 of 60 patches" in note and "not checked" in note for note in notes)
    assert any("scenes are not known" in note for note in notes)


def test_nothing_near_a_grasp_is_known(tmp_path):
    def empty(rows):
        rows[0]["object"], rows[0]["objects"] = None, []

    placed_dataset(tmp_path, change=empty)
    assert check_test_set(*sets(tmp_path, "test_novel"), novel=True) == []


# --- the sets of an evaluation ---


def test_sets_are_balanced_and_limited_to_stages(tmp_path):
    def change(rows):
        for row in rows[:6]:
            row["stage"] = 1
        novel = [row for row in rows if row["split"] == "test_novel"]
        for row in novel[:6]:
            row["label"] = 0

    placed_dataset(tmp_path, change=change)
    learning = learning_sets([str(tmp_path)], stages=[0])
    assert len(learning.train) == 24 and len(learning.known) == 40
    assert set(learning.train.splits) == {"train"} and set(learning.validation.splits) == {"validation"}
    novel, seen = test_sets([str(tmp_path)], None, learning.known, seed=0, rounds=100)
    assert (novel.info.split, seen.info.split) == ("test_novel", "test_seen")
    assert (novel.info.samples, novel.info.successes, novel.info.surplus) == (14, 7, 6)
    assert np.mean(novel.rows.labels) == 0.5
    assert novel.info.objects == 3 and novel.resampled_by == "scene" and novel.bootstrap.count == 4


def test_a_test_set_of_one_class(tmp_path):
    def fail(rows):
        for row in rows:
            row["label"] = 0 if row["split"] == "test_novel" else row["label"]

    placed_dataset(tmp_path, change=fail)
    known = learning_sets([str(tmp_path)], None).known
    with pytest.raises(DatasetError, match="split 'test_novel': has failures only"):
        test_sets([str(tmp_path)], None, known, 0, 100)


def test_no_test_set_at_all(tmp_path):
    placed_dataset(tmp_path, test_novel=0, test_seen=0)
    known = learning_sets([str(tmp_path)], None).known
    with pytest.raises(DatasetError, match="no row of test_seen or test_novel; collect trials on held-out objects"):
        test_sets([str(tmp_path)], None, known, 0, 100)


def test_a_test_set_that_was_asked_for(tmp_path):
    placed_dataset(tmp_path, test_seen=0)
    known = learning_sets([str(tmp_path)], None).known
    assert [test.info.split for test in test_sets([str(tmp_path)], None, known, 0, 100)] == ["test_novel"]
    with pytest.raises(DatasetError, match="no row of split test_seen"):
        test_sets([str(tmp_path)], ["test_seen"], known, 0, 100)
    with pytest.raises(DatasetError, match="split 'train' is no test set"):
        test_sets([str(tmp_path)], ["train"], known, 0, 100)
