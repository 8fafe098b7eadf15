"""A collection survives kills, full disks and people, and never reports a trial that is not on disk."""

import contextlib
import errno
import functools
import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import time

import numpy as np
import pytest
import yaml

from grasp_learning import storage
from grasp_learning.storage import Collection, CollectionInfo
from grasp_learning.storage_errors import MalformedCollectionError, NotReadableError, NotWritableError
from grasp_learning.trial import Grasp, Outcome, PickReading, Region, Trial

FORK = multiprocessing.get_context("fork")


def info(**changes):
    values = {"robot": "sim", "arms": ["left", "right"], "seed": 0, "mode": "random", "stage": 0, "planner": "ompl"}
    return CollectionInfo(**{**values, **changes})


def bag_of(number):
    """A bag's stand-in whose contents tell whether it is whole, of a size that differs from trial to trial."""
    body = np.random.default_rng(number).bytes(20_000 + 137 * number)
    return hashlib.sha256(body).digest() + body


def is_whole(path):
    content = path.read_bytes()
    return content[:32] == hashlib.sha256(content[32:]).digest()


def make_trial(arm="left", outcome=Outcome.SUCCESS, start=10.0):
    region = Region(arm, 1.0, np.array([0.6, 0.2, -0.1]), 0.07, np.zeros((0, 2)), (1, 2, 3, 4))
    grasp = Grasp(arm, 2.0, 640.0, 400.0, 0.6, 0.2, -0.06, 0.5, 1.1, 6, 380)
    reading = PickReading(np.float32(31.5), 40.0, True, False, True, True, "mug_03")
    return Trial(arm, "random", 0, start, start + 20, outcome, "why", region, grasp, reading, ["ball"])


def record(arm="left", outcome=Outcome.SUCCESS):
    return storage.trial_record(make_trial(arm, outcome))


def fault(outcome=Outcome.UNREACHABLE):
    return storage.fault_record(make_trial(outcome=outcome))


def assert_sound(folder):
    """The promises of the module about a folder that nobody is writing into; returns the reported numbers."""
    lines = [json.loads(text) for text in (folder / "trials.jsonl").read_text().splitlines()]
    numbers = [line["number"] for line in lines]
    assert len(set(numbers)) == len(numbers)
    assert storage.missing_of(folder) == []
    assert [line["number"] for line in storage.trials_of(folder)] == numbers
    for line in lines:
        assert line["bag"] == f"bags/{line['number']:06d}_{line['arm']}.bag"
        assert is_whole(folder / line["bag"])
        assert (folder / line["bag"]).read_bytes() == bag_of(line["number"])
    assert {path.name for path in (folder / "bags").glob("*.bag")} == {line["bag"][5:] for line in lines}
    return numbers


def test_a_collection_is_written_resumed_and_read(tmp_path):
    folder = tmp_path / "deep" / "data"
    with Collection(folder, info(calibration={"table": {"z": -0.1}})) as collection:
        assert collection.add_trial(record("left"), bag_of) == (1, folder / "bags/000001_left.bag")
        collection.add_fault(fault())
        assert collection.add_trial(record("right", Outcome.FAILURE), bag_of)[0] == 2
    with Collection(folder, info(seed=7)) as collection:
        assert (collection.recorded, collection.run, collection.notes) == (2, 2, [])
        assert collection.outcomes == {"SUCCESS": 1, "FAILURE": 1, "UNREACHABLE": 1}
        assert collection.add_trial(record(), bag_of)[0] == 3
    assert assert_sound(folder) == [1, 2, 3]
    trials = list(storage.trials_of(folder))
    assert [trial["run"] for trial in trials] == [1, 1, 2]
    assert [item["outcome"] for item in storage.faults_of(folder)] == ["UNREACHABLE"]
    first = trials[0]
    assert (first["x"], first["theta_image"], first["bin"], first["patch_size"]) == (0.6, 1.1, 6, 380)
    assert (first["force"], first["truth_held"], first["truth_object"]) == (31.5, True, "mug_03")
    assert (first["region_center"], first["put_back"]) == ([0.6, 0.2, -0.1], ["ball"])
    assert first["score"] is None  # NaN is not JSON
    written = yaml.safe_load((folder / "collection.yaml").read_text())
    assert (written["robot"], written["seed"], written["calibration"]) == ("sim", 0, {"table": {"z": -0.1}})
    assert [run["seed"] for run in written["resumed"]] == [7]


def test_trials_are_counted_without_a_collection(tmp_path):
    assert storage.count_trials(tmp_path / "nowhere") == 0
    with Collection(tmp_path, info()) as collection:
        collection.add_trial(record(), bag_of)
        assert storage.count_trials(tmp_path) == 1  # while it is open


def test_what_a_trial_never_reached_is_null():
    trial = Trial("left", "random", 0, 1.0, 2.0, Outcome.NO_OBJECTS, "empty table")
    written = storage.trial_record(trial)
    assert written["x"] is None and written["force"] is None and written["region_center"] is None
    assert storage.fault_record(trial)["detail"] == "empty table"


def test_an_attempt_without_a_label_is_no_trial(tmp_path):
    with Collection(tmp_path, info()) as collection:
        with pytest.raises(ValueError, match="SENSOR_FAULT"):
            collection.add_trial(record(outcome=Outcome.SENSOR_FAULT), bag_of)
        assert collection.add_trial(record(), bag_of)[0] == 1


@pytest.mark.parametrize(
    "key, ours", [("robot", "baxter"), ("mode", "staged"), ("stage", 2), ("model_sha256", "ab" * 32)]
)
def test_another_kind_of_collection_is_refused(tmp_path, key, ours):
    Collection(tmp_path, info()).close()
    before = (tmp_path / "collection.yaml").read_text()
    with pytest.raises(storage.WrongCollectionError) as error:
        Collection(tmp_path, info(**{key: ours}))
    theirs = getattr(info(), key)
    assert all(part in str(error.value) for part in (str(tmp_path), key, repr(ours), repr(theirs)))
    assert (tmp_path / "collection.yaml").read_text() == before


def test_objects_of_another_split_are_refused_where_both_are_told(tmp_path):
    told, untold = tmp_path / "told", tmp_path / "untold"
    Collection(told, info(objects="train")).close()
    assert storage.load_info(told).objects == "train"
    with pytest.raises(storage.WrongCollectionError, match="objects is 'train' there and 'test' now"):
        Collection(told, info(objects="test"))
    with pytest.raises(storage.WrongCollectionError, match="objects is 'train' there and 'test' now"):
        storage.check_usable(told, {"objects": "test"})
    Collection(told, info(objects="train")).close()
    Collection(untold, info()).close()  # as collections were before
    Collection(untold, info(objects="train")).close()


def test_a_folder_can_be_checked_without_touching_it(tmp_path):
    new, taken, other = tmp_path / "a" / "new", tmp_path / "taken", tmp_path / "other"
    storage.check_usable(new, {"robot": "sim"})
    assert not new.parent.exists()
    with Collection(taken, info()):  # its lock does not matter
        storage.check_usable(taken, {"robot": "sim", "mode": "random", "stage": 0})
        with pytest.raises(storage.WrongCollectionError, match="stage is 0 there and 1 now"):
            storage.check_usable(taken, {"robot": "sim", "stage": 1})
    other.write_text("x")
    with pytest.raises(storage.NotACollectionError, match="is a file"):
        storage.check_usable(other, {})
    with pytest.raises(storage.DiskFullError, match="GB wanted"):
        storage.check_usable(new, {}, minimum_free_bytes=10**18)


def test_a_model_may_move_but_not_change(tmp_path):
    Collection(tmp_path, info(mode="staged", stage=1, model="a.safetensors", model_sha256="11")).close()
    Collection(tmp_path, info(mode="staged", stage=1, model="b.safetensors", model_sha256="11")).close()


def test_a_folder_of_other_things_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(storage.NotACollectionError, match="no collection.yaml"):
        Collection(tmp_path, info())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_refused(tmp_path):
    (tmp_path / "data").write_text("x")
    with pytest.raises(storage.NotACollectionError, match="is a file"):
        Collection(tmp_path / "data", info())
    with pytest.raises(storage.CollectionError, match="Not a directory"):
        Collection(tmp_path / "data" / "below", info())


@contextlib.contextmanager
def ordinary_user():
    """Root may write everywhere; an ordinary user may not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_is_not_writable_is_refused(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir(mode=0o555)
    for parent in [tmp_path, *tmp_path.parents][:3]:
        parent.chmod(parent.stat().st_mode | 0o055)
    told = "Permission denied.*make it writable"
    with ordinary_user(), pytest.raises(NotWritableError, match=told):
        Collection(folder, info())
    with ordinary_user(), pytest.raises(NotWritableError, match=told):
        storage.check_usable(folder / "new", {})


def read_everything(folder):
    """Each reader in turn, as a function without arguments."""
    return [
        lambda: storage.count_trials(folder),
        lambda: list(storage.trials_of(folder)),
        lambda: storage.missing_of(folder),
        lambda: list(storage.faults_of(folder)),
        lambda: storage.load_info(folder),
    ]


def test_a_folder_that_may_not_be_read_is_told_by_every_reader(tmp_path):
    folder = tmp_path / "data"
    with Collection(folder, info()) as collection:
        collection.add_trial(record(), bag_of)
    for parent in [tmp_path, *tmp_path.parents][:4]:
        parent.chmod(parent.stat().st_mode | 0o055)
    folder.chmod(0)
    try:
        for reader in read_everything(folder):
            with ordinary_user(), pytest.raises(NotReadableError, match="cannot be read .Permission denied.*readable"):
                reader()
        folder.chmod(0o755)
        (folder / "bags").chmod(0)
        with ordinary_user(), pytest.raises(NotReadableError, match="000001_left.bag: cannot be read"):
            storage.count_trials(folder)
    finally:
        folder.chmod(0o755)
        (folder / "bags").chmod(0o755)
    assert storage.count_trials(folder) == 1


def test_a_file_instead_of_a_folder_is_told_by_every_reader(tmp_path):
    (tmp_path / "data").write_text("x")
    for reader in read_everything(tmp_path / "data"):
        with pytest.raises(storage.CollectionError, match="Not a directory|no collection.yaml here"):
            reader()


@pytest.mark.parametrize(
    "text, told",
    [("robot: [", "not valid YAML"), ("robot: sim\n", "'arms' is missing"), ("- a\n", "expected a mapping")],
)
def test_a_malformed_collection_yaml_is_named(tmp_path, text, told):
    (tmp_path / "collection.yaml").write_text(text)
    with pytest.raises(MalformedCollectionError, match=told) as error:
        Collection(tmp_path, info())
    assert str(tmp_path / "collection.yaml") in str(error.value)


def test_two_writers_are_kept_apart(tmp_path):
    told = f"process {os.getpid()} is writing"
    with Collection(tmp_path, info()), pytest.raises(storage.CollectionInUseError, match=told):
        Collection(tmp_path, info())
    Collection(tmp_path, info()).close()


def test_nothing_is_written_after_closing(tmp_path):
    collection = Collection(tmp_path, info())
    collection.close()
    for write in (lambda: collection.add_trial(record(), bag_of), lambda: collection.add_fault(fault())):
        with pytest.raises(storage.CollectionError, match="is closed"):
            write()
    assert assert_sound(tmp_path) == [] and list(storage.faults_of(tmp_path)) == []


@pytest.mark.parametrize("name", ["trials.jsonl", "faults.jsonl"])
def test_a_malformed_line_is_named(tmp_path, name):
    with Collection(tmp_path, info()) as collection:
        for _ in range(2):
            collection.add_trial(record(), bag_of)
            collection.add_fault(fault())
    path = tmp_path / name
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:30]]) + "\n")
    with pytest.raises(MalformedCollectionError, match=f"{name}, line 2: expected a JSON object"):
        list(storage.trials_of(tmp_path)) + list(storage.faults_of(tmp_path))
    with pytest.raises(MalformedCollectionError, match="line 2"):
        Collection(tmp_path, info())
    path.write_text('{"arm": "left"}\n')
    with pytest.raises(MalformedCollectionError, match="line 1: key '(number|outcome)'"):
        list(storage.trials_of(tmp_path)) + list(storage.faults_of(tmp_path))


def test_a_number_that_is_there_twice_is_named(tmp_path):
    with Collection(tmp_path, info()) as collection:
        collection.add_trial(record(), bag_of)
    path = tmp_path / "trials.jsonl"
    path.write_text(path.read_text() * 2)
    with pytest.raises(MalformedCollectionError, match="line 2: number 1 is there twice"):
        list(storage.trials_of(tmp_path))


def test_resuming_sets_aside_what_is_incomplete_and_loses_nothing(tmp_path):
    with Collection(tmp_path, info()) as collection:
        collection.add_trial(record(), bag_of)
    bags, aside = tmp_path / "bags", tmp_path / "bags" / "incomplete"
    torn = '{"number": 2, "arm": "le'
    with open(tmp_path / "trials.jsonl", "a") as file:
        file.write(torn)
    (bags / "000002_left.bag").write_bytes(b"no line in the index")
    (bags / ".000009_right.bag.part").write_bytes(b"half")
    (aside / "000002_left.bag").write_bytes(b"of an earlier crash")
    assert [line["number"] for line in storage.trials_of(tmp_path)] == [1]
    with Collection(tmp_path, info()) as collection:
        assert len(collection.notes) == 3
        assert collection.add_trial(record(), bag_of)[0] == 10
    assert (aside / "000002_left.bag").read_bytes() == b"of an earlier crash"
    assert (aside / "000002_left.bag.1").read_bytes() == b"no line in the index"
    assert (aside / ".000009_right.bag.part").read_bytes() == b"half"
    assert (aside / "trials.jsonl.torn").read_text() == torn
    assert assert_sound(tmp_path) == [1, 10]


def test_a_whole_last_line_without_newline_is_kept(tmp_path):
    with Collection(tmp_path, info()) as collection:
        collection.add_trial(record(), bag_of)
    path = tmp_path / "trials.jsonl"
    path.write_text(path.read_text().rstrip("\n"))
    with Collection(tmp_path, info()) as collection:
        assert collection.add_trial(record(), bag_of)[0] == 2
    assert assert_sound(tmp_path) == [1, 2]


def test_bags_that_are_gone_or_cut_are_told_and_not_counted(tmp_path):
    with Collection(tmp_path, info()) as collection:
        for _ in range(3):
            collection.add_trial(record(), bag_of)
    (tmp_path / "bags/000001_left.bag").unlink()
    os.truncate(tmp_path / "bags/000003_left.bag", 100)
    assert [line["number"] for line in storage.trials_of(tmp_path)] == [2]
    assert [line["number"] for line in storage.missing_of(tmp_path)] == [1, 3]
    with Collection(tmp_path, info()) as collection:
        assert collection.recorded == 1
        assert [note.split()[0] for note in collection.notes] == ["bags/000001_left.bag", "bags/000003_left.bag"]
        assert collection.add_trial(record(), bag_of)[0] == 4


def test_too_little_room_is_told_before_anything_is_written(tmp_path):
    with pytest.raises(storage.DiskFullError, match="GB free on its disk, 1000000000.00 GB wanted"):
        Collection(tmp_path, info(), minimum_free_bytes=10**18)
    with Collection(tmp_path, info()) as collection:
        collection._minimum_free = 10**18
        with pytest.raises(storage.DiskFullError):
            collection.add_trial(record(), bag_of)
    assert list((tmp_path / "bags").glob("*.bag")) == []


@pytest.mark.parametrize("number, kind", [(errno.ENOSPC, storage.DiskFullError), (errno.EIO, storage.CollectionError)])
@pytest.mark.parametrize("call", range(8))
@pytest.mark.parametrize("name", ["write", "fsync", "rename"])
def test_a_failing_disk_loses_only_the_trial_at_hand(tmp_path, monkeypatch, name, call, number, kind):
    with Collection(tmp_path, info()) as collection:
        collection.add_trial(record(), bag_of)
        with monkeypatch.context() as patch:
            fail_at(patch, name, call, number)
            failed = False
            try:
                collection.add_trial(record("right"), bag_of)
            except kind as error:
                failed = True
                assert str(tmp_path) in str(error)
            assert failed or call > 0  # each of them is called at least once
        assert_sound(tmp_path)
        expected = [1, 3] if failed else [1, 2, 3]
        assert collection.add_trial(record(), bag_of)[0] == 3
        assert assert_sound(tmp_path) == expected
        assert collection.recorded == len(expected)


def fail_at(patch, name, call, number):
    """Make the given call of an os function fail, a write after half of its bytes were written."""
    real, calls = getattr(os, name), []

    def failing(*arguments):
        calls.append(arguments)
        if len(calls) <= call or len(calls) > call + 1:
            return real(*arguments)
        if name == "write":
            real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
        raise OSError(number, os.strerror(number))

    patch.setattr(os, name, failing)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 300 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("this user may not mount a small disk; the failing calls above stand in for it")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_loses_nothing_and_work_goes_on_once_there_is_room(small_disk):
    ballast = small_disk / "ballast"
    with Collection(small_disk, info()) as collection:
        ballast.write_bytes(bytes(60_000))
        written = []
        with pytest.raises(storage.DiskFullError, match="free some space"):
            for _ in range(100):
                written.append(collection.add_trial(record(), bag_of)[0])
        assert len(written) > 3 and assert_sound(small_disk) == written
        ballast.unlink()
        written.append(collection.add_trial(record(), bag_of)[0])
        assert assert_sound(small_disk) == written


def write_until_killed(folder, pipe):
    """Write trials and faults for ever, telling the number of each one that was reported."""
    with Collection(folder, info()) as collection:
        os.write(pipe, b"0\n")
        while True:
            number, _ = collection.add_trial(record("right"), bag_of)
            os.write(pipe, b"%d\n" % number)
            collection.add_fault(fault())


def test_kill_9_at_any_instant_loses_no_reported_trial(tmp_path):
    rng = np.random.default_rng(3)
    reported = []
    for _ in range(25):
        reader, pipe = os.pipe()
        writer = FORK.Process(target=write_until_killed, args=(tmp_path, pipe))
        writer.start()
        os.close(pipe)
        with open(reader, "rb") as file:
            # wait for no line at all: it dies while it creates or resumes the folder
            told = [int(file.readline()) for _ in range(rng.integers(0, 5))]
            time.sleep(rng.uniform(0.0, 0.01))
            os.kill(writer.pid, signal.SIGKILL)
            writer.join()
            told += [int(line) for line in file.read().splitlines()]
        reported += [number for number in told if number]
        on_disk = [line["number"] for line in storage.trials_of(tmp_path)]
        assert set(reported) <= set(on_disk)  # before anything repairs the folder
    with Collection(tmp_path, info()) as collection:
        last = collection.add_trial(record(), bag_of)[0]
    numbers = assert_sound(tmp_path)
    assert numbers[-1] == last == max(numbers)
    assert len(reported) > 25 and len(set(reported)) == len(reported)


def write_and_die(folder, step):
    """Create or resume, write two trials and a fault, but die before the given call that touches the disk."""
    calls = []

    def counted(name, real, *arguments, **keywords):
        calls.append(name)
        if len(calls) == step:
            if name == "write":
                real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
            os._exit(9)
        return real(*arguments, **keywords)

    for name in ("write", "fsync", "rename", "open", "ftruncate", "mkdir"):
        setattr(os, name, functools.partial(counted, name, getattr(os, name)))
    with Collection(folder, info()) as collection:
        collection.add_trial(record(), bag_of)
        collection.add_fault(fault())
        collection.add_trial(record("right"), bag_of)
    os._exit(0)


@pytest.mark.parametrize("resumed", [False, True])
def test_death_before_each_single_step_can_be_resumed(tmp_path, resumed):
    died = 0
    for step in range(1, 200):
        folder = tmp_path / str(step)
        if resumed:
            with Collection(folder, info()) as collection:
                collection.add_trial(record(), bag_of)
            (folder / "bags/000002_left.bag").write_bytes(b"unfinished")
            with open(folder / "trials.jsonl", "a") as file:
                file.write('{"torn')
        writer = FORK.Process(target=write_and_die, args=(folder, step))
        writer.start()
        writer.join()
        with Collection(folder, info()) as collection:
            collection.add_trial(record(), bag_of)
        numbers = assert_sound(folder)
        assert numbers == sorted(numbers)
        assert not resumed or numbers[0] == 1
        aside = folder / "bags/incomplete"
        assert not resumed or b"unfinished" in [path.read_bytes() for path in aside.iterdir()]
        died += writer.exitcode == 9
        if writer.exitcode == 0:
            break
    assert writer.exitcode == 0 and died > 20


def test_who_writes_into_a_folder_is_told(tmp_path):
    assert storage.writer_of(tmp_path / "nowhere") is None
    with Collection(tmp_path, info()):
        assert storage.writer_of(tmp_path) == os.getpid()
    # the name of a process that is gone, or that holds no lock, stays in the file
    assert storage.writer_of(tmp_path) is None
    (tmp_path / ".lock").write_text("4194305\n")
    assert storage.writer_of(tmp_path) is None


@pytest.mark.parametrize("name", ["trials.jsonl", "faults.jsonl"])
def test_a_damaged_journal_is_told_before_anything_is_written(tmp_path, name):
    with Collection(tmp_path, info()) as collection:
        collection.add_trial(record(), bag_of)
        collection.add_fault(fault())
    (tmp_path / name).write_bytes(b"\x00\x00\n")
    with pytest.raises(MalformedCollectionError, match=f"{name}, line 1"):
        storage.check_usable(tmp_path, {"robot": "sim"})


def test_a_trial_is_found_by_its_arm_and_start_among_those_of_this_run(tmp_path):
    assert storage.newest_number(tmp_path) == 0
    line = record("left")
    with Collection(tmp_path, info()) as collection:
        collection.add_trial(line, bag_of)
        assert storage.find_trial(tmp_path, "left", line["start"]) == 1
        assert storage.find_trial(tmp_path, "right", line["start"]) == 0
        assert storage.find_trial(tmp_path, "left", line["start"] + 0.01) == 0
        newest = storage.newest_number(tmp_path)
        assert storage.find_trial(tmp_path, "left", line["start"], after=newest) == 0
        assert collection.add_trial(line, bag_of)[0] == 2
        assert storage.find_trial(tmp_path, "left", line["start"], after=newest) == 2
