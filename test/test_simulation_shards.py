"""A shard gives back what was put in, is the same bytes for the same trials, and damage is told."""

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grasp_learning.geometry import Camera
from grasp_learning.pictures import PictureSource
from grasp_learning.simulation import shards
from grasp_learning.simulation.shards import Scene, ShardError, encode_shard, trial_row
from grasp_learning.storage import trial_record
from grasp_learning.storage_errors import PictureError
from grasp_learning.trial import Grasp, Outcome, PickReading, Prior, Region, Trial

CAMERA = Camera(96, 64, np.array([[81.0, 0, 48], [0, 82, 32], [0, 0, 1]]), np.array([0.1, 0, 0, 0, 0.2]))
POSE = np.arange(16.0).reshape(4, 4) / 7


def make_trial(index, prior=True, images=("approach_image",)):
    rng = np.random.default_rng(index)
    region = Region("left", 1.0, np.array([0.6, 0.2, -0.1]), 0.07, np.zeros((0, 2)), (1, 2, 3, 4))
    grasp = Grasp("left", 2.0, 40.5, 30.0, 0.6, 0.2, -0.09, 0.5, 1.1, 6, 38)
    reading = PickReading(np.float32(31.5), 40, True, False, True, True, "mug_03", ("mug_03", "ball_01"))
    smooth = {name: cv2.GaussianBlur(rng.integers(0, 255, (64, 96, 3), dtype=np.uint8), (0, 0), 5) for name in images}
    thought = Prior("m.safetensors", "ab", 38, rng.uniform(0, 96, (5, 2)), rng.uniform(size=(5, 18)), 2, 6)
    trial = Trial("left", "staged", 1, 10.0, 12.5, Outcome.SUCCESS, "held", region, grasp, reading, ["can_01"])
    trial.images, trial.prior = smooth, thought if prior else None
    return trial


def make_row(index, pictures="approach", **options):
    trial = make_trial(index, **options)
    return trial_row({"number": index + 1, **trial_record(trial)}, trial, CAMERA, POSE, pictures)


@pytest.fixture
def shard(tmp_path):
    """A collection's folder with one shard, and the lines of its trials."""
    (tmp_path / "shards").mkdir()
    content = encode_shard(
        [make_row(0), make_row(1, prior=False)], Scene(7, [["mug_03"]], [{"arm": "left"}]), "approach"
    )
    (tmp_path / "shards/000007.parquet").write_bytes(content)
    return tmp_path, shards.decode_shard(content, "shards/000007.parquet")


def test_lines_and_scene_come_back_as_they_were(shard):
    _, (scene, lines) = shard
    assert scene == Scene(7, [["mug_03"]], [{"arm": "left"}])
    trial = make_trial(0)
    expected = {"number": 1, **trial_record(trial), "shard": "shards/000007.parquet", "row": 0, "block": 7}
    expected.update(score=None, truth_near=["mug_03", "ball_01"])
    assert lines[0] == expected
    assert list(lines[0]) == list(expected)
    assert (lines[1]["number"], lines[1]["row"]) == (2, 1)


def test_picture_camera_and_prior_come_back(shard):
    folder, (_, lines) = shard
    reader = shards.ShardReader(folder)
    row = reader.row(lines[0])
    picture = shards.picture_of(row, "approach_image", "x")
    assert picture.shape == (64, 96, 3)
    assert np.abs(picture.astype(int) - make_trial(0).images["approach_image"]).max() < 12  # JPEG of quality 95
    camera, pose = shards.camera_of(row)
    assert (camera.width, camera.height) == (96, 64)
    assert np.array_equal(camera.K, CAMERA.K) and np.array_equal(camera.D, CAMERA.D) and np.array_equal(pose, POSE)
    prior, ours = shards.prior_of(row), make_trial(0).prior
    assert (prior.place, prior.bin, prior.patch_size) == (2, 6, 38)
    assert np.array_equal(prior.places, ours.places.astype(np.float32))
    assert np.array_equal(prior.probabilities, ours.probabilities.astype(np.float32))
    assert shards.prior_of(reader.row(lines[1])) is None
    assert np.array_equal(PictureSource(folder).approach(lines[0]), picture)


def test_equal_trials_give_equal_bytes_and_others_do_not():
    contents = [encode_shard([make_row(index)], Scene(0), "approach") for index in (0, 0, 1)]
    assert contents[0] == contents[1] != contents[2]


def test_other_pictures_are_kept_where_they_are_wanted_and_there():
    row = make_row(0, "all", images=("approach_image", "kinect_image"))
    content = encode_shard([row], Scene(0), "all")
    table = pq.read_table(pa.BufferReader(content))
    assert table["kinect_image"][0].is_valid and not table["before_lift_image"][0].is_valid
    with pytest.raises(ShardError, match="trial 1 has no before_lift_image"):
        shards.picture_of(table.to_pylist()[0], "before_lift_image", "x")


def test_a_trial_without_an_approach_picture_is_refused():
    with pytest.raises(ValueError, match="trial 1 has no approach picture"):
        make_row(0, images=())


@pytest.mark.parametrize("picture", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_what_is_no_picture_is_refused(picture):
    with pytest.raises(ValueError, match="expected uint8"):
        shards.encode_picture(picture)


def test_a_value_of_the_wrong_type_is_refused():
    with pytest.raises(ValueError, match="does not fit the columns"):
        encode_shard([{**make_row(0), "bin": "six"}], Scene(0), "approach")


def damaged(path, how):
    content = path.read_bytes()
    if how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "other":
        pq.write_table(pa.table({"a": [1]}), path)
    elif how == "gone":
        path.unlink()


@pytest.mark.parametrize("how", ["cut", "empty", "other", "gone"])
def test_a_damaged_shard_is_named(shard, how):
    folder, (_, lines) = shard
    path = folder / "shards/000007.parquet"
    damaged(path, how)
    for read in (lambda: shards.read_shard(path), lambda: PictureSource(folder).approach(lines[0])):
        with pytest.raises(PictureError, match="000007.parquet"):
            read()


def test_a_row_or_column_that_is_not_there_is_named(shard):
    folder, (_, lines) = shard
    with pytest.raises(ShardError, match="has 2 rows, trial 9 is in row 5"):
        shards.ShardReader(folder).row({**lines[0], "number": 9, "row": 5})
    with pytest.raises(ShardError, match="no column nonsense; it has number"):
        shards.read_shard(folder / lines[0]["shard"], ["nonsense"])
