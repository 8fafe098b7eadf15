"""The report tells what is on disk, and the picture shows it."""

import cv2
import numpy as np
import pytest
from bag_samples import compressed, picture

from grasp_learning import report
from grasp_learning.bags import APPROACH_TOPIC
from grasp_learning.contact_sheet import FRAME, GAP, GREEN, GREY, PAPER, RED, TILE, TITLE, contact_sheet, trial_patch
from grasp_learning.pictures import PictureSource
from grasp_learning.ros.trial_bag import bag_bytes, entry_of
from grasp_learning.storage import Collection, CollectionError, CollectionInfo, fault_record, trial_record
from grasp_learning.summary import format_summary, summarize, wilson_interval
from grasp_learning.trial import Grasp, Outcome, PickReading, Trial

START = 100.0


def make_trial(index, outcome, u=640.0, v=400.0, truth=None):
    arm = ("left", "right")[index % 2]
    start = START + 20 * index
    grasp = Grasp(arm, start, u, v, 0.6, 0.2, -0.06, 0.5, index * 0.37 % np.pi, 6, 380)
    held = outcome is Outcome.SUCCESS if truth is None else truth
    reading = PickReading(30.0 + index if held else 0.0, 50.0, held, False, True, held, "mug")
    return Trial(arm, "random", 0, start, start + 40, outcome, "", None, grasp, reading)


def collect(folder, trials, image=None):
    """Write a collection of trials, all with one picture."""
    image = picture(1280, 800, np.random.default_rng(1)) if image is None else image
    info = CollectionInfo(robot="sim", arms=["left", "right"], seed=0, mode="random", stage=0, planner="ompl")
    with Collection(folder, info) as collection:
        for trial in trials:
            if trial.outcome.is_label:
                entry = entry_of(APPROACH_TOPIC.format(arm=trial.arm), 10**9, compressed(image, 1.0))
                collection.add_trial(trial_record(trial), lambda _, entry=entry: bag_bytes([entry]))
            else:
                collection.add_fault(fault_record(trial))


@pytest.fixture
def folder(tmp_path):
    outcomes = [Outcome.SUCCESS, Outcome.FAILURE, Outcome.FAILURE, Outcome.UNREACHABLE, Outcome.FAILURE]
    trials = [make_trial(index, outcome) for index, outcome in enumerate(outcomes)]
    trials.append(make_trial(5, Outcome.FAILURE, truth=True))
    collect(tmp_path / "data", trials)
    return tmp_path / "data"


@pytest.mark.parametrize(
    "successes, trials, expected",
    [(0, 10, (0.0, 0.2775)), (10, 10, (0.7225, 1.0)), (8, 100, (0.0411, 0.1500)), (0, 0, (0.0, 1.0))],
)
def test_wilson_interval_against_published_values(successes, trials, expected):
    assert wilson_interval(successes, trials) == pytest.approx(expected, abs=1e-4)


def test_the_figures_are_those_on_disk(folder):
    summary = summarize(folder)
    assert (summary.trials, summary.successes, summary.faults) == (5, 1, {"UNREACHABLE": 1})
    assert summary.by_arm == {"left": {"SUCCESS": 1, "FAILURE": 2}, "right": {"FAILURE": 2}}
    assert (summary.truth_known, summary.truth_agrees) == (5, 4)
    assert summary.hours * 3600 == pytest.approx(20 * 5 + 40)
    assert summary.bag_bytes == [path.stat().st_size for path in sorted((folder / "bags").glob("*.bag"))]


def test_hours_of_runs_with_clocks_of_their_own_are_added(folder):
    trials = [make_trial(0, Outcome.FAILURE), make_trial(1, Outcome.FAILURE)]
    collect(folder, trials)
    assert summarize(folder).hours * 3600 == pytest.approx(140 + 60)


def test_the_table_says_what_a_person_wants_to_know(folder):
    (folder / "bags/000002_right.bag").unlink()
    text = format_summary(folder, summarize(folder))
    lines = {line.split("  ")[0].strip(): " ".join(line.split()) for line in text.splitlines() if line}
    assert lines["left"].startswith("left 3 1 2 33.3 % ")
    assert lines["all"] == "all 4 1 3 25.0 % 4.6 to 69.9 %"
    assert lines["attempts without a label"].endswith("1 UNREACHABLE")
    assert lines["label agrees with truth"].endswith("3 of 4 (75.0 %)")
    assert lines["bags gone or damaged"].endswith("bags/000002_right.bag")


def tile_colors(sheet, count):
    """Colour of the frame of the first tiles, in BGR."""
    step = TILE + 2 * FRAME + GAP
    row = TITLE + FRAME // 2
    return [tuple(sheet[row, GAP + place * step + 20].tolist()) for place in range(count)]


def test_each_trial_is_framed_by_its_label(folder):
    path = contact_sheet(str(folder))
    assert path == folder / "contact_sheet.png"
    sheet = cv2.imread(str(path))
    assert tile_colors(sheet, 5) == [GREEN, RED, RED, RED, RED]


def test_a_patch_is_cut_around_the_grasp_with_the_grasp_in_it(tmp_path):
    image = np.full((800, 1280, 3), 255, np.uint8)
    image[:, :700] = (200, 120, 40)
    trial = make_trial(0, Outcome.SUCCESS, u=700.0, v=10.0)
    collect(tmp_path, [trial], image)
    line = trial_record(trial)
    patch = trial_patch(PictureSource(tmp_path), {**line, "bag": "bags/000001_left.bag"})
    assert patch.shape == (380, 380, 3)
    assert np.abs(patch[5, 20].astype(int) - (200, 120, 40)).max() < 12  # beyond the picture's upper edge
    assert patch[5, 360].min() > 240
    rectangle = (patch[:, :, 1] > 200) & (patch[:, :, 0] < 60)
    assert rectangle[150:230, 150:230].any() and not rectangle[:60].any()


def test_only_the_latest_are_drawn(tmp_path):
    collect(tmp_path, [make_trial(index, Outcome.FAILURE) for index in range(6)] + [make_trial(6, Outcome.SUCCESS)])
    sheet = cv2.imread(str(contact_sheet(tmp_path, limit=2)))
    assert tile_colors(sheet, 3) == [RED, GREEN, PAPER]


def test_a_bag_that_cannot_be_read_is_a_grey_tile_and_a_line(folder, capsys):
    bag = folder / "bags/000001_left.bag"
    bag.write_bytes(bytes(bag.stat().st_size))
    sheet = cv2.imread(str(contact_sheet(folder)))
    assert tile_colors(sheet, 2) == [GREY, RED]
    assert "000001_left.bag: cannot be read" in capsys.readouterr().err


def test_the_command_prints_and_draws(folder, tmp_path, capsys):
    report.main([str(folder), "--picture", str(tmp_path / "sheet.png")])
    out = capsys.readouterr().out
    assert "20.0 %" in out and str(tmp_path / "sheet.png") in out
    assert cv2.imread(str(tmp_path / "sheet.png")) is not None


@pytest.mark.parametrize(
    "prepare, told",
    [
        (lambda path: None, "data: there is no such folder; name the folder of a collection"),
        (lambda path: path.mkdir(), "no collection.yaml here"),
        (lambda path: (path.mkdir(), (path / "collection.yaml").write_text("robot: 1")), "key 'robot'"),
    ],
)
def test_the_command_ends_with_one_clear_line(tmp_path, prepare, told):
    prepare(tmp_path / "data")
    with pytest.raises(SystemExit) as end:
        report.main([str(tmp_path / "data")])
    assert str(end.value.code).startswith("report: ") and told in end.value.code


def test_an_empty_collection_has_no_picture(tmp_path, capsys):
    collect(tmp_path, [make_trial(0, Outcome.NO_OBJECTS)])
    with pytest.raises(CollectionError, match="no trials yet"):
        contact_sheet(tmp_path)
    report.main([str(tmp_path)])
    assert "1 NO_OBJECTS" in capsys.readouterr().out
    assert not (tmp_path / "contact_sheet.png").exists()
