"""What is known of cleared tables: counted, written so that a crash loses nothing, read and summed up."""

import math

import numpy as np
import pytest

from grasp_learning.clearing import (
    CLEARED,
    OUT_OF_REACH,
    TRY_LIMIT,
    TableRun,
    TablesFile,
    read_tables,
    summarize_tables,
)
from grasp_learning.collection import Progress, describe_trial
from grasp_learning.conditions import Conditions, check_conditions, load_conditions, write_conditions
from grasp_learning.storage import trial_record
from grasp_learning.storage_errors import CollectionError
from grasp_learning.trial import Grasp, Outcome, PlaceOutcome, Placing, Region, Trial


def trial(outcome, placing=None, put_back=()):
    made = Trial("left", "best", 0, 1.0, outcome=outcome, put_back=list(put_back))
    made.placing = placing and Placing(placing)
    return made


def run_of(*attempts, number=1, names=("ball", "mug")):
    table = TableRun(number, list(names), 10.0)
    for place, attempt in enumerate(attempts, 1):
        table.add(attempt, place if attempt.outcome.is_label else 0)
    return table


def test_a_table_counts_tries_placings_and_what_was_moved():
    table = run_of(
        trial(Outcome.FAILURE),
        trial(Outcome.SUCCESS, PlaceOutcome.LOST),
        trial(Outcome.UNREACHABLE, put_back=["mug"]),
        trial(Outcome.SUCCESS, PlaceOutcome.PLANNING_FAILED),
        trial(Outcome.SUCCESS, PlaceOutcome.PLACED),
        trial(Outcome.ROBOT_FAULT),
    )
    table.add_brought(2)
    record = table.record(CLEARED, 70.0, {"ball": "bin", "mug": "table", "pen": "elsewhere"}, arms=["left"])
    assert (record.tries, record.held, record.removed, record.lost, record.kept) == (4, 3, 1, 1, 1)
    assert record.placed == 1
    # where no simulator tells, what the robot believes
    blind = table.record(TRY_LIMIT, 70.0, None, arms=["left"])
    assert (blind.removed, blind.truth_known, blind.cleared) == (1, False, False)
    assert (record.objects, record.put_back, record.brought) == (2, 1, 2)
    assert record.faults == {"ROBOT_FAULT": 1, "UNREACHABLE": 1}
    assert record.trials == [1, 2, 4, 5] and record.seconds == 60.0
    assert record.cleared and record.truth_known
    assert (record.truth_in_bins, record.truth_on_table, record.truth_elsewhere) == (["ball"], ["mug"], ["pen"])


def test_attempts_that_reach_nothing_are_counted_in_a_row():
    table = run_of(trial(Outcome.UNREACHABLE), trial(Outcome.PLANNING_FAILED), trial(Outcome.ROBOT_FAULT))
    assert table.fruitless == 2  # a fault of the robot tells nothing about the objects
    table.add_brought(0)
    assert (table.fruitless, table.rounds) == (0, 1)
    table.add(trial(Outcome.FAILURE), 4)
    assert (table.fruitless, table.rounds) == (0, 0)


def tried(x, y, outcome=Outcome.FAILURE, sampler="best"):
    made = trial(outcome)
    made.region = Region("left", 0.0, np.array([x, y, -0.1]), 0.05, np.zeros((4, 2)), (0, 0, 1, 1))
    made.grasp = Grasp("left", 0.0, 0, 0, x, y, -0.09, 0.0, 0.0, 0, 380, sampler)
    return made


def test_failures_in_a_row_are_counted_at_their_place():
    table = run_of(tried(0.6, 0.3), tried(0.8, 0.3), tried(0.62, 0.31))
    assert [table.failures_at(*place) for place in ((0.61, 0.3), (0.8, 0.3), (0.7, -0.3))] == [2, 1, 0]
    table.add(tried(0.8, 0.3, Outcome.SUCCESS), 4)
    table.add(tried(0.61, 0.3, sampler="importance"), 5)
    assert (table.failures_at(0.61, 0.3), table.failures_at(0.8, 0.3)) == (3, 0)  # what held changes its own place only
    assert table.record(TRY_LIMIT, 20.0, None).drawn == 1


def test_what_became_of_a_held_object_stands_in_the_line_of_its_trial():
    line = trial_record(trial(Outcome.SUCCESS, PlaceOutcome.STUCK))
    assert (line["place_outcome"], line["place_message"]) == ("STUCK", "")
    assert not {"place_outcome", "place_message"} & set(trial_record(trial(Outcome.SUCCESS)))  # no bin, no word of it


def write(folder, *tables):
    with TablesFile(folder) as file:
        for number, (tries, held, outcome, left) in enumerate(tables, len(file.records) + 1):
            attempts = [trial(Outcome.SUCCESS, PlaceOutcome.PLACED)] * held + [trial(Outcome.FAILURE)] * (tries - held)
            truth = {"ball": "bin", "mug": "table" if left else "bin"}
            file.append(run_of(*attempts, number=number).record(outcome, 40.0, truth, arms=["left"]))


def test_tables_are_read_as_they_were_written_and_added_to(tmp_path):
    assert read_tables(tmp_path) == []
    write(tmp_path, (5, 2, CLEARED, False))
    write(tmp_path, (9, 2, TRY_LIMIT, True))
    assert [(record.table, record.tries, record.outcome) for record in read_tables(tmp_path)] == [
        (1, 5, CLEARED),
        (2, 9, TRY_LIMIT),
    ]


def test_a_line_that_was_being_written_at_a_kill_is_no_table(tmp_path):
    write(tmp_path, (5, 2, CLEARED, False), (7, 2, CLEARED, False))
    path = tmp_path / "tables.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    assert [record.table for record in read_tables(tmp_path)] == [1]
    write(tmp_path, (8, 2, CLEARED, False))  # the next run goes on with the second
    assert [(record.table, record.tries) for record in read_tables(tmp_path)] == [(1, 5), (2, 8)]
    assert (tmp_path / "tables.jsonl.torn").exists()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("nonsense\n", "line 2: expected a JSON object"),
        ('{"table": 2}\n', "key 'tries' is None"),
        ('{"table": 2, "tries": 3, "outcome": "CLEARED"}\n', "key 'objects' is missing"),
        ('{"table": 2, "tries": -3, "outcome": "CLEARED", "objects": 1}\n', "key 'tries' is -3"),
    ],
)
def test_a_damaged_line_is_named(tmp_path, line, told):
    write(tmp_path, (5, 2, CLEARED, False))
    with (tmp_path / "tables.jsonl").open("a") as file:
        file.write(line)
    with pytest.raises(CollectionError, match="tables.jsonl, line 2") as caught:
        summarize_tables(tmp_path)
    assert told in str(caught.value)


def test_figures_of_several_tables(tmp_path):
    write(tmp_path, (4, 2, CLEARED, False), (8, 2, CLEARED, True), (20, 1, TRY_LIMIT, True), (3, 0, OUT_OF_REACH, True))
    summary = summarize_tables(tmp_path)
    assert (summary.tables, summary.cleared, summary.objects) == (4, 2, 8)
    assert (summary.placed, summary.removed) == (5, 5)  # as the robots believe, and in truth
    assert (summary.tries, summary.held, summary.grasp_rate) == (35, 5, pytest.approx(5 / 35))
    assert summary.tries_per_table == [4, 8] and summary.mean_tries == 6.0
    low, high = summary.mean_tries_interval
    assert 4.0 <= low < 6.0 < high <= 8.0
    assert 0.0 < summary.grasp_rate_interval[0] < 5 / 35 < summary.grasp_rate_interval[1]
    assert (summary.truth_known, summary.truth_cleared) == (4, 1)  # the Kinect did not see what was left on the second
    assert summarize_tables(tmp_path) == summary


def test_a_folder_without_tables_has_no_figures(tmp_path):
    summary = summarize_tables(tmp_path)
    assert (summary.tables, summary.tries, summary.grasp_rate_interval) == (0, 0, (0.0, 1.0))
    assert math.isnan(summary.mean_tries) and math.isnan(summary.grasp_rate)
    write(tmp_path, (4, 2, CLEARED, False))
    assert math.isnan(summarize_tables(tmp_path).mean_tries_interval[0])  # one table has no spread


def test_the_line_of_a_trial_tells_what_became_of_the_object():
    snapshot = Progress(0, 0, 0.0).snapshot()
    held = trial(Outcome.SUCCESS, PlaceOutcome.LOST)
    assert "(LOST)" in describe_trial(1, held, snapshot)
    assert "PLACED" not in describe_trial(1, trial(Outcome.SUCCESS), snapshot)


# --- conditions -------------------------------------------------------------------------------------------------------


def test_a_usual_collection_has_no_file_of_conditions(tmp_path):
    write_conditions(tmp_path, Conditions())
    assert list(tmp_path.iterdir()) == []
    check_conditions(tmp_path, Conditions(), holds_trials=True)


def test_tables_on_which_failing_grasps_were_varied_otherwise_do_not_mix(tmp_path):
    write_conditions(tmp_path, Conditions(clearing=True, vary_after=2))
    with pytest.raises(CollectionError, match="vary_after is 2 there and 0 now"):
        check_conditions(tmp_path, Conditions(clearing=True), holds_trials=True)


@pytest.mark.parametrize("key", ["clearing", "place_held", "isolate", "rerank"])
def test_tests_under_other_conditions_do_not_mix(tmp_path, key):
    wanted = Conditions(**{key: True})
    with pytest.raises(CollectionError, match=f"{key} is false there and true now"):
        check_conditions(tmp_path, wanted, holds_trials=True)
    check_conditions(tmp_path, wanted, holds_trials=False)
    write_conditions(tmp_path, wanted)
    assert load_conditions(tmp_path) == wanted
    check_conditions(tmp_path, wanted, holds_trials=True)
    with pytest.raises(CollectionError, match=f"{key} is true there and false now"):
        check_conditions(tmp_path, Conditions(), holds_trials=True)


def test_a_damaged_file_of_conditions_is_named(tmp_path):
    (tmp_path / "conditions.yaml").write_text("rerank: perhaps")
    with pytest.raises(CollectionError, match="conditions.yaml.*rerank"):
        load_conditions(tmp_path)
