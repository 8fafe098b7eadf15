"""An export takes every labelled trial once, tells what it left out, goes on after a kill, and mixes nothing."""

import errno
import glob
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from dataset_samples import FOCAL, SIDE, make_trial, random_collection, write_shards

from grasp_learning import durable
from grasp_learning.dataset import export, export_dataset, workers
from grasp_learning.dataset.export import Exporter, export_collections, open_source
from grasp_learning.dataset.folder import DatasetFolder
from grasp_learning.dataset.pictures import cut_patch
from grasp_learning.dataset.reader import DatasetError, decode_patch, open_dataset, read_dataset
from grasp_learning.dataset.splits import SHOWS_NOVEL, SplitSettings
from grasp_learning.sim.objects import catalogue
from grasp_learning.storage import DiskFullError, trials_of
from grasp_learning.storage_errors import MalformedCollectionError
from grasp_learning.trial import Outcome, Trial


def parts(folder):
    """Name, inode and contents of each part: an untouched file keeps its inode."""
    return {path.name: (path.stat().st_ino, path.read_bytes()) for path in sorted(folder.glob("part-*.parquet"))}


def report(folder):
    return json.loads((folder / "report.json").read_text())


def fails(capsys, *arguments):
    """Run the command; its error must be one line."""
    return ends(capsys, 1, *arguments)


def ends(capsys, code, *arguments):
    """The command ends with an exit code and one line, which is returned."""
    assert export_dataset.main([str(argument) for argument in arguments] + ["--workers", "1"]) == code
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("export_dataset: ")]
    assert len(lines) == 1
    return lines[0]


def edit_line(folder, place, **changes):
    path = folder / "trials.jsonl"
    lines = path.read_text().splitlines()
    lines[place] = json.dumps({**json.loads(lines[place]), **changes})
    path.write_text("\n".join(lines) + "\n")


def test_every_trial_becomes_a_row_that_says_what_the_trial_said(tmp_path):
    rng = np.random.default_rng(0)
    trials = [make_trial(rng, i % 2 == 0, ("mug_01", "can_03"), stage=2) for i in range(12)]
    folder = write_shards(tmp_path / "stage2", trials, stage=2)
    export_collections([folder], tmp_path / "out")
    rows = {row["trial_id"]: row for row in read_dataset(tmp_path / "out").to_pylist()}
    assert len(rows) + report(tmp_path / "out")["counts"].get("unused", {}).get("failure", 0) == 12
    for line, trial in zip(trials_of(folder), trials):
        row = rows.get(f"stage2/{line['number']:06d}")
        if row is None:
            continue
        assert (row["angle"], row["bin"]) == (trial.grasp.theta_image, trial.grasp.bin)
        assert (row["u"], row["v"], row["patch_size"]) == (trial.grasp.u, trial.grasp.v, SIDE)
        assert row["label"] == int(trial.outcome is Outcome.SUCCESS) and row["truth_held"] == bool(row["label"])
        assert (row["stage"], row["mode"], row["arm"], row["source"]) == (2, "staged", "left", "stage2")
        assert (row["objects"], row["object"]) == (["mug_01", "can_03"], "mug_01")
        assert row["scene"] == f"stage2/{line['block']}" and row["margin"] and row["score"] is None
        expected = cut_patch(trial.images["approach_image"], trial.grasp.u, trial.grasp.v, SIDE)
        assert np.abs(decode_patch(row["patch"]).astype(int) - expected).mean() < 4  # two times JPEG


def test_geometry_and_sources_stand_in_the_dataset(tmp_path):
    folder = random_collection(tmp_path / "d0")
    export_collections([folder], tmp_path / "out", SplitSettings(seed=3))
    info = yaml.safe_load((tmp_path / "out" / "dataset.yaml").read_text())
    assert info["geometry"] == {"span": SIDE / FOCAL, "patch_size": SIDE} and info["splits"]["seed"] == 3
    (source,) = info["sources"]
    assert (source["name"], source["trials"], source["parts"]) == ("d0", 40, ["part-d0-00000.parquet"])
    assert source["trials_bytes"] == (folder / "trials.jsonl").stat().st_size
    dataset = open_dataset(tmp_path / "out")
    assert dataset.geometry.span == SIDE / FOCAL and dataset.sources == {"d0": 40}
    counted = {(split, label): n for split, pair in source["counts"].items() for label, n in enumerate(pair) if n}
    assert counted == dataset.counts


def test_readers_of_parquet_need_nothing_of_this_package(tmp_path):
    """As in docs/data_format.md; pandas hands the list of files to the same function."""
    export_collections([random_collection(tmp_path / name, 20) for name in ("d0", "d1")], tmp_path / "out")
    files = sorted(glob.glob(f"{tmp_path}/out/part-*.parquet"))
    table = pq.read_table(files, filters=[("split", "==", "train")])
    ours = read_dataset(tmp_path / "out", "train")
    assert table["trial_id"].to_pylist() == ours["trial_id"].to_pylist() and table.num_rows > 20
    assert cv2.imdecode(np.frombuffer(table["patch"][0].as_py(), np.uint8), 1).shape == (322, 322, 3)


def test_what_is_left_out_is_counted_by_reason(tmp_path, capsys):
    rng = np.random.default_rng(0)
    trials = [make_trial(rng, True, ("mug_01", "drill_bit")), make_trial(rng, True, ("mug_01",))]
    trials += [make_trial(rng, False, ("mug_01",)) for _ in range(3)]
    faults = [Trial("left", "random", 0, 1.0, 2.0, outcome) for outcome in (Outcome.UNREACHABLE,) * 2]
    faults.append(Trial("left", "random", 0, 1.0, 2.0, Outcome.SENSOR_FAULT))

    def damage(row):
        if row["number"] == 3:
            row["approach_image"] = row["approach_image"][: len(row["approach_image"]) // 2]

    folder = write_shards(tmp_path / "d0", trials, damage=damage, faults=faults)
    assert export_dataset.main(f"{folder} {tmp_path}/out --novel-objects drill_bit --workers 1".split()) == 0
    expected = {"UNREACHABLE": 2, "SENSOR_FAULT": 1, SHOWS_NOVEL: 1, export.DAMAGED: 1}
    found = report(tmp_path / "out")
    assert found["left_out"] == expected and found["patches"] == 3
    assert "cut off" in found["sources"]["d0"]["damaged"]["d0/000003"]
    printed = capsys.readouterr().out
    for reason, count in expected.items():
        assert any(line.split()[2:3] == [str(count)] and line.endswith(reason) for line in printed.splitlines())


def test_missing_and_damaged_shards_cost_their_own_trials_only(tmp_path):
    folder = random_collection(tmp_path / "d0", 20)
    (folder / "shards" / "000001.parquet").unlink()
    shard = folder / "shards" / "000002.parquet"
    content = bytearray(shard.read_bytes())
    content[100 : len(content) // 2] = bytes(len(content) // 2 - 100)  # its footer still counts its rows
    shard.write_bytes(bytes(content))
    (source,) = export_collections([folder], tmp_path / "out")
    assert source.rows == 10 and source.left_out == {export.NO_FILE: 5, export.DAMAGED: 5}


def test_balance_holds_after_damage(tmp_path):
    def damage(row):
        if row["outcome"] == "SUCCESS" and row["number"] % 2:
            row["approach_image"] = b""

    trials = [make_trial(np.random.default_rng(i), i % 4 in (0, 1), ("duck",)) for i in range(40)]
    folder = write_shards(tmp_path / "novel", trials, objects="test", damage=damage)
    (source,) = export_collections([folder], tmp_path / "out")
    assert source.counts == {"test_novel": [10, 10], "unused": [10, 0]} and source.left_out == {export.DAMAGED: 10}
    before = parts(tmp_path / "out")
    export_collections([folder], tmp_path / "out")
    assert parts(tmp_path / "out") == before, "pictures that are known to be damaged are not read again"


def test_the_catalogues_test_objects_are_novel(tmp_path):
    test, train = (catalogue(split)[0].name for split in ("test", "train"))
    trials = [make_trial(np.random.default_rng(i), i % 2 == 0, ((test, train)[i // 2 % 2],)) for i in range(20)]
    export_collections([write_shards(tmp_path / "d0", trials, objects="all")], tmp_path / "out")
    for row in read_dataset(tmp_path / "out").to_pylist():
        assert (row["split"] == "test_novel") == (row["object"] == test)


def test_the_same_seed_gives_the_same_bytes_whatever_the_workers(tmp_path):
    folder = random_collection(tmp_path / "d0", 60)
    export_collections([folder], tmp_path / "a")
    export_collections([folder], tmp_path / "b", workers=2)
    assert [content for _, content in parts(tmp_path / "a").values()] == [
        content for _, content in parts(tmp_path / "b").values()
    ]


def test_adding_a_collection_only_adds(tmp_path):
    first, second = random_collection(tmp_path / "d0"), random_collection(tmp_path / "d1", seed=1, stage=1)
    out = tmp_path / "out"
    export_collections([first], out)
    before = parts(out)
    export_collections([second], out)
    after = parts(out)
    assert before.items() <= after.items() and len(after) == 2
    export_collections([first, second], out)
    assert parts(out) == after
    assert report(out)["patches"] == 80 and open_dataset(out).sources == {"d0": 40, "d1": 40}


def test_collections_with_the_same_scenes_split_them_alike(tmp_path):
    """A seed gives the same tables in each mode, so a network would be tested on tables that it was trained on."""
    for name, stage in (("random", 0), ("staged", 1)):
        random_collection(tmp_path / name, count=100, seed=3, stage=stage)
    export_collections(
        [tmp_path / "random", tmp_path / "staged"], tmp_path / "d", SplitSettings(validation=0.3, test_size=0.2)
    )
    rows = [row for split in (None, "unused") for row in read_dataset(tmp_path / "d", split).to_pylist()]
    splits = {}
    for row in rows:
        split = "test_seen" if row["split"] == "unused" else row["split"]
        splits.setdefault(row["scene"].split("/")[1], set()).add(split)
    assert all(len(found) == 1 for found in splits.values()), splits
    assert {"train", "validation", "test_seen"} == set.union(*splits.values())


def test_a_collection_that_grew_is_brought_up_to_date(tmp_path):
    rng = np.random.default_rng(0)
    trials = [make_trial(rng, i % 3 == 0, ("mug_01",)) for i in range(45)]
    write_shards(tmp_path / "d0", trials[:25])
    settings = SplitSettings(test_size=0)

    def run():
        with DatasetFolder(tmp_path / "out", settings) as folder, workers.Cutters(1) as cutters:
            return Exporter(folder, cutters, True, part_rows=20).export(open_source(tmp_path / "d0"))

    run()
    before = parts(tmp_path / "out")
    write_shards(tmp_path / "d0", trials)
    assert run().trials == 45
    after = parts(tmp_path / "out")
    assert len(after) == 3 and after["part-d0-00000.parquet"] == before["part-d0-00000.parquet"]
    assert len(set(read_dataset(tmp_path / "out")["trial_id"].to_pylist())) == 45


def test_a_killed_export_goes_on_and_skips_what_it_has(tmp_path, monkeypatch):
    folder = random_collection(tmp_path / "d0", 60)
    settings = SplitSettings()
    export_collections([folder], tmp_path / "whole")
    made = []

    def run(limit):
        def write(path, *arguments):
            if len(made) == limit:
                raise KeyboardInterrupt
            made.append(path.name)
            return write_part(path, *arguments)

        write_part = durable_write
        monkeypatch.setattr(export, "write_part", write)
        with DatasetFolder(tmp_path / "out", settings) as out, workers.Cutters(1) as cutters:
            Exporter(out, cutters, True, part_rows=20).export(open_source(folder))

    durable_write = export.write_part
    with pytest.raises(KeyboardInterrupt):
        run(1)
    assert yaml.safe_load((tmp_path / "out" / "dataset.yaml").read_text())["sources"] == []
    run(10)
    assert made == [f"part-d0-0000{place}.parquet" for place in range(3)], "the first part is not made again"
    resumed, whole = (read_dataset(tmp_path / name).sort_by("trial_id") for name in ("out", "whole"))
    assert resumed == whole


def test_a_part_that_was_cut_off_is_made_again(tmp_path):
    folder = random_collection(tmp_path / "d0", 20)
    export_collections([folder], tmp_path / "out")
    path = tmp_path / "out" / "part-d0-00000.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    export_collections([folder], tmp_path / "out")
    assert path.read_bytes() == whole


def test_another_geometry_is_refused(tmp_path, capsys):
    first = random_collection(tmp_path / "d0", 10)
    other = random_collection(tmp_path / "d1", 10, focal=FOCAL * 1.1)
    out = tmp_path / "out"
    export_collections([first], out)
    before = parts(out)
    error = fails(capsys, other, out)
    assert "d1, trial 1" in error and "geometries are not mixed" in error and "folder of its own" in error
    assert parts(out) == before and report(out)["patches"] == 10


def test_a_pixel_more_or_less_is_the_same_geometry(tmp_path):
    rng = np.random.default_rng(0)
    trials = [make_trial(rng, i % 2 == 0, ("mug_01",), side=SIDE + i % 2) for i in range(10)]
    (source,) = export_collections([write_shards(tmp_path / "d0", trials)], tmp_path / "out")
    assert source.rows == 10


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"theta_image": 3.2, "bin": 0}, ["'theta_image' is 3.2", "less than 3.14"]),
        ({"theta_image": -0.2, "bin": 17}, ["'theta_image' is -0.2"]),
        ({"bin": 18}, ["'bin' is 18", "less than 18"]),
        ({"bin": 9, "theta_image": 0.1}, ["'bin' is 9, expected 1"]),
        ({"theta_image": None}, ["'theta_image' is None"]),
        ({"theta_image": "north"}, ["'theta_image' is 'north'"]),
        ({"u": "left"}, ["'u' is 'left'"]),
        ({"patch_size": -3}, ["'patch_size' is -3"]),
    ],
)
def test_grasps_outside_the_conventions_stop_the_export(tmp_path, capsys, changes, words):
    folder = random_collection(tmp_path / "d0", 10)
    edit_line(folder, 3, **changes)
    error = fails(capsys, folder, tmp_path / "out")
    for word in ["trials.jsonl, trial 4", "repair the line", *words]:
        assert word in error
    assert not list((tmp_path / "out").glob("part-*"))


def test_a_patch_outside_its_picture_is_left_out(tmp_path):
    folder = random_collection(tmp_path / "d0", 10)
    edit_line(folder, 3, u=1.0)
    (source,) = export_collections([folder], tmp_path / "out")
    assert source.left_out == {export.DAMAGED: 1} and "not inside the picture" in source.damaged["d0/000004"]


def test_places_that_are_no_collection_or_no_dataset(tmp_path, capsys):
    folder = random_collection(tmp_path / "d0", 5)
    file = tmp_path / "file"
    file.write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    assert "nothing: there is no such folder" in fails(capsys, tmp_path / "nothing", tmp_path / "out")
    assert "is a file" in fails(capsys, folder, file)
    assert "choose a new or empty folder" in fails(capsys, folder, tmp_path / "full")
    assert "name the dataset's folder last" in fails(capsys, folder, folder)
    twin = random_collection(tmp_path / "other" / "d0", 5)
    assert "two folders are named 'd0'" in fails(capsys, folder, twin, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "full").iterdir()) == ["thesis.tex"]


def test_one_name_is_one_collection(tmp_path, capsys):
    out = tmp_path / "out"
    export_collections([random_collection(tmp_path / "d0", 5)], out)
    twin = random_collection(tmp_path / "other" / "d0", 5, seed=1)
    assert "another collection named 'd0'" in fails(capsys, twin, out)


def test_a_collection_of_another_format_or_with_a_broken_list(tmp_path, capsys):
    folder = random_collection(tmp_path / "d0", 5)
    text = (folder / "collection.yaml").read_text()
    (folder / "collection.yaml").write_text(text.replace("format: 1", "format: 2"))
    assert "format" in fails(capsys, folder, tmp_path / "out")
    (folder / "collection.yaml").write_text(text)
    (folder / "trials.jsonl").write_text("{nonsense\n")
    with pytest.raises(MalformedCollectionError, match="trials.jsonl, line 1"):
        export_collections([folder], tmp_path / "out")


def test_other_splits_need_another_folder(tmp_path, capsys):
    folder = random_collection(tmp_path / "d0", 10)
    export_collections([folder], tmp_path / "out")
    error = fails(capsys, folder, tmp_path / "out", "--seed", "1")
    assert "made with seed 0" in error and "choose another folder" in error
    assert "novel_objects" in fails(capsys, folder, tmp_path / "out", "--novel-objects", "cup_01")


def test_wrong_settings_are_wrong_usage_and_named_once(tmp_path, capsys):
    for option, value in (("validation", "1.5"), ("test_size", "2.0"), ("seed", "-1")):
        error = ends(capsys, 2, tmp_path / "in", tmp_path / "out", f"--{option.replace('_', '-')}", value)
        assert error.startswith(f"export_dataset: command line: key '{option}' is {value}: Input should be ")
    assert not (tmp_path / "out").exists()


def test_an_empty_collection_is_an_empty_dataset(tmp_path):
    folder = write_shards(tmp_path / "d0", [])
    (source,) = export_collections([folder], tmp_path / "out")
    assert source.rows == 0
    with pytest.raises(DatasetError, match="holds no part"):
        read_dataset(tmp_path / "out")


def test_two_exports_do_not_share_a_folder(tmp_path, capsys):
    folder = random_collection(tmp_path / "d0", 5)
    with DatasetFolder(tmp_path / "out", SplitSettings()):
        assert f"process {os.getpid()} is exporting into it" in fails(capsys, folder, tmp_path / "out")
    export_collections([folder], tmp_path / "out")


def test_a_full_disk_leaves_whole_parts_only(tmp_path, monkeypatch, capsys):
    folder = random_collection(tmp_path / "d0", 30)
    real, room = durable.write_all, [3]

    def write_all(file, content):
        room[0] -= 1
        if room[0] < 0:
            real(file, bytes(content)[:100])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(file, content)

    monkeypatch.setattr(durable, "write_all", write_all)
    for _ in range(4):
        with pytest.raises(DiskFullError, match="free some space"):
            export_collections([folder], tmp_path / "out")
        assert all(open_dataset(tmp_path / "out").rows for _ in parts(tmp_path / "out"))
        assert not list((tmp_path / "out").glob(".*.part"))
    monkeypatch.setattr(durable, "write_all", real)
    export_collections([folder], tmp_path / "out")
    assert open_dataset(tmp_path / "out").rows == 30


def test_a_worker_that_dies_is_told(tmp_path, monkeypatch):
    folder = random_collection(tmp_path / "d0", 5)
    with workers.Cutters(2) as cutters, DatasetFolder(tmp_path / "out", SplitSettings()) as out:
        cutters._pool.submit(os._exit, 3)
        with pytest.raises(DatasetError, match="a worker process died.*export again"):
            Exporter(out, cutters, True).export(open_source(folder))


def test_workers_end_when_the_export_is_killed(tmp_path):
    folder = random_collection(tmp_path / "d0", 100)
    script = "import sys; from grasp_learning.dataset.export_dataset import main; sys.exit(main())"
    command = [sys.executable, "-c", script, str(folder), str(tmp_path / "out"), "--workers", "2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    children = []
    while len(children) < 3 and process.poll() is None:  # two workers and the tracker of their resources
        assert time.monotonic() < deadline
        listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        children = [int(number) for number in listed.split()]
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    while any(_runs(number) for number in children):
        assert time.monotonic() < deadline, "a worker outlives its parent"
        time.sleep(0.05)
    export_collections([folder], tmp_path / "out")
    assert open_dataset(tmp_path / "out").rows == 100


def _runs(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
