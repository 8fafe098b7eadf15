#!/usr/bin/env python3
"""Clearing tables, and testing grasps in isolation, among scripted nodes: when a table is over, what a kill leaves."""

import os
import tempfile
import time
import unittest
from pathlib import Path

import rosbag
import rospy
import rostest
from fake_nodes import ARMS, CALIBRATION, FakeNodes, Node, wait_for
from model_samples import save_model

from grasp_learning.clearing import read_tables
from grasp_learning.conditions import Conditions, load_conditions
from grasp_learning.config import ConfigError, parse_settings
from grasp_learning.msg import GraspPrior, PickResult
from grasp_learning.ros.collector import CollectorSettings
from grasp_learning.srv import (
    PutBackObjects,
    PutBackObjectsResponse,
    QueryObjects,
    QueryObjectsResponse,
)
from grasp_learning.storage import faults_of, trials_of

QUICK = {
    "sample": 2.0,
    "approach": 3.0,
    "pick": 3.0,
    "motion_wall": 5.0,
    "record": 5.0,
    "simulator": 5.0,
    "background": 5.0,
}
MIDDLE = "middle"  # of the table, where no arm reaches
HIDDEN = "hidden"  # on the table, where the Kinect does not see it


class FakeTable(FakeNodes):
    """A table whose objects are put into bins when they are picked.

    Attributes:
        layout: place of each object of a table that is laid out: the arm on whose half it lies, MIDDLE or HIDDEN.
        places: where they are now; "bin" and "elsewhere", too.
        grips: what a pick of an arm comes to: its outcome, and that of the placing.
        brings: whether objects can be brought back within reach.
        draws: whether each grasp was to be drawn.
    """

    def __init__(self):
        super().__init__()
        rospy.Service("/fake_sim/objects", QueryObjects, self._on_objects)
        rospy.Service("/fake_sim/bring_within_reach", PutBackObjects, self._on_bring)

    def reset(self):
        super().reset()
        self.layout = {"ball": "left", "mug": "right", "pen": "left"}
        self.places = dict(self.layout)
        self.grips = lambda arm: ("SUCCESS", "PLACED")
        self.brings, self.brought = True, 0
        self.draws = []
        self.region = dict.fromkeys(ARMS, self._look_for)

    def _look_for(self, arm):
        there = [place for place in self.places.values() if place in (*ARMS, MIDDLE)]
        return "SUCCESS" if arm in there else "UNREACHABLE" if there else "NO_OBJECTS"

    def _on_grasp(self, request):
        self.draws.append(request.draw)
        answer = super()._on_grasp(request)
        answer.grasp.sampler = "importance" if request.draw else "best"
        return answer

    def _on_exchange(self, request):
        answer = super()._on_exchange(request)
        self.places = dict(self.layout)
        return answer

    def _on_scatter(self, request):
        answer = super()._on_scatter(request)
        self.places = dict(self.layout)
        return answer

    def _on_objects(self, _):
        table = (*ARMS, MIDDLE, HIDDEN)
        places = ["table" if place in table else place for place in self.places.values()]
        return QueryObjectsResponse(list(self.places), places)

    def _on_bring(self, _):
        names = [name for name, place in self.places.items() if place == MIDDLE] if self.brings else []
        self.brought += len(names)
        for name in names:
            self.places[name] = "left"
        return PutBackObjectsResponse(names)

    def _on_pick(self, arm, server):
        self.picks += 1
        self.moving.add(arm)
        end = time.monotonic() + self.pick_time
        while time.monotonic() < end and not server.is_preempt_requested():
            time.sleep(0.01)
        goal = server.current_goal.get_goal()
        outcome, placed = self.grips(arm)
        if outcome == "SUCCESS" and placed in ("PLACED", "LOST"):
            name = next(name for name, place in self.places.items() if place == arm)
            self.places[name] = "bin" if placed == "PLACED" else "elsewhere"
        self.moving.discard(arm)
        result = PickResult(outcome=outcome, message="pick", force=30.0, place_message="as the test says")
        result.place_outcome = placed if outcome == "SUCCESS" and goal.place else ""
        server.set_succeeded(result) if outcome in ("SUCCESS", "FAILURE") else server.set_aborted(result)


class TableClearerTest(unittest.TestCase):
    """Each test has a folder of its own and starts its own collector and recorder."""

    @classmethod
    def setUpClass(cls):
        cls.world = FakeTable()

    def setUp(self):
        self.world.reset()
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name) / "data"

    def start(self, recorded=None, **parameters):
        kind = {"data": str(self.folder), "robot": "sim", "minimum_free_gb": 0.0, **(recorded or {})}
        recorder = Node("trial_recorder", kind)
        self.addCleanup(recorder.close)
        values = {
            "data": str(self.folder),
            "simulator": "/fake_sim",
            "attended": False,
            "calibration": str(CALIBRATION),
            "tables": 2,
            "place_held": True,
            "fault_pause": 0.05,
            "start_timeout": 30.0,
            "deadlines": QUICK,
            **parameters,
        }
        collector = Node("collector", {key: value for key, value in values.items() if value is not None})
        self.addCleanup(collector.close)
        collector.recorder = recorder
        return collector

    def run_to_end(self, code=0, **parameters):
        collector = self.start(**parameters)
        self.assertEqual(collector.wait(60.0), code, collector.output)
        collector.recorder.close()
        return collector

    def trials(self):
        return list(trials_of(self.folder))

    def tables(self):
        return read_tables(self.folder)

    # Tables

    def test_both_arms_clear_one_table_after_the_other(self):
        collector = self.run_to_end()
        first, second = self.tables()
        self.assertEqual((first.table, first.outcome, first.cleared), (1, "CLEARED", True))
        self.assertEqual((first.objects, first.tries, first.held, first.removed), (3, 3, 3, 3))
        self.assertEqual(first.names, ["ball", "mug", "pen"])
        self.assertEqual(first.truth_in_bins, ["ball", "mug", "pen"])
        self.assertEqual((first.truth_on_table, first.truth_elsewhere), ([], []))
        self.assertEqual(sorted(first.trials + second.trials), [1, 2, 3, 4, 5, 6])
        self.assertEqual(len(self.trials()), 6)
        self.assertEqual((self.world.layouts, self.world.exchanges), (1, 1))
        self.assertFalse(self.world.moved_under_layout)
        self.assertIn("table 1 of 2: CLEARED after 3 tries", collector.output)
        self.assertIn("(PLACED: as the test says)", collector.output)
        self.assertIn("2 of 2 tables cleared, 6 of 6 objects in bins, 6 tries, 6 held (100 %)", collector.output)
        self.assertEqual(load_conditions(self.folder), Conditions(clearing=True, place_held=True))

    def test_a_table_ends_at_the_limit_of_tries(self):
        self.world.grips = lambda arm: ("FAILURE", "")
        self.run_to_end(tables=1, tries_per_table=4)
        (table,) = self.tables()
        self.assertEqual((table.outcome, table.cleared), ("TRY_LIMIT", False))
        self.assertEqual((table.tries, table.removed, len(table.truth_on_table)), (4, 0, 3))
        self.assertEqual(len(self.trials()), 4)  # and not one more, though both arms work

    def test_a_table_that_the_last_try_clears_is_cleared(self):
        self.run_to_end(tables=1, tries_per_table=3)
        (table,) = self.tables()
        self.assertEqual((table.outcome, table.cleared, table.tries), ("CLEARED", True, 3))

    def test_a_table_is_not_cleared_while_something_lies_out_of_the_kinects_sight(self):
        self.world.layout = self.world.places = {"ball": "left", "mug": HIDDEN}
        self.run_to_end(tables=1, max_brought=2)
        (table,) = self.tables()
        self.assertEqual((table.outcome, table.cleared, table.truth_on_table), ("UNSEEN", False, ["mug"]))

    def test_what_became_of_what_was_held_is_on_disk_with_its_trial(self):
        answers = iter([("FAILURE", ""), ("SUCCESS", "STUCK")])
        self.world.layout = self.world.places = {"ball": "left"}
        self.world.grips = lambda arm: next(answers, ("SUCCESS", "PLACED"))
        self.run_to_end(tables=1, arms="left")
        trials = self.trials()
        self.assertEqual([trial.get("place_outcome") for trial in trials], [None, "STUCK", "PLACED"])
        self.assertEqual(trials[1]["place_message"], "as the test says")
        with rosbag.Bag(str(self.folder / trials[1]["bag"])) as bag:
            ((_, message, _),) = bag.read_messages("trial")
        self.assertEqual(message.place_outcome, "STUCK")

    def test_a_best_grasp_that_fails_again_and_again_gives_way_to_drawn_ones(self):
        model = self.folder.parent / "model.safetensors"
        prior = GraspPrior(model=model.name, model_sha256=save_model(model), patch_size=60)
        prior.u, prior.v, prior.probabilities = [160.0], [100.0], [0.5] * 18
        self.world.prior = prior
        self.world.layout = self.world.places = {"ball": "left"}
        self.world.grips = lambda arm: ("FAILURE", "")
        kind = {"mode": "best", "model": str(model)}
        values = {"tables": 1, "arms": "left", "tries_per_table": 5, "start_timeout": 90.0}
        self.run_to_end(recorded=kind, **values, **kind)
        self.assertEqual(self.world.draws, [False, False, True, False, True])
        (table,) = self.tables()
        self.assertEqual((table.tries, table.drawn, table.outcome), (5, 2, "TRY_LIMIT"))
        self.assertEqual(load_conditions(self.folder).vary_after, 2)

    def test_an_object_that_is_lost_on_the_way_is_told(self):
        answers = iter([("SUCCESS", "LOST"), ("SUCCESS", "PLANNING_FAILED")])
        self.world.grips = lambda arm: next(answers, ("SUCCESS", "PLACED"))
        self.run_to_end(tables=1)
        (table,) = self.tables()
        self.assertEqual((table.held, table.removed, table.lost, table.kept), (4, 2, 1, 1))
        self.assertEqual((len(table.truth_elsewhere), table.outcome), (1, "UNSEEN"))

    def test_one_arm_clears_its_half(self):
        self.world.layout = self.world.places = {"ball": "right", "mug": "right"}
        self.run_to_end(tables=1, arms="right")
        (table,) = self.tables()
        self.assertEqual((table.outcome, table.arms, table.removed), ("CLEARED", ["right"], 2))

    def test_what_lies_out_of_reach_is_brought_back(self):
        self.world.layout = self.world.places = {"ball": "left", "mug": MIDDLE}
        self.run_to_end(tables=1)
        (table,) = self.tables()
        self.assertEqual((table.outcome, table.brought, table.removed), ("CLEARED", 1, 2))

    def test_a_table_with_objects_that_stay_out_of_reach_is_left(self):
        self.world.layout = self.world.places = {"ball": "left", "mug": MIDDLE}
        self.world.brings = False
        self.run_to_end(tables=2)
        first, second = self.tables()
        for table in (first, second):
            self.assertEqual((table.outcome, table.removed, table.truth_on_table), ("OUT_OF_REACH", 1, ["mug"]))
            self.assertGreaterEqual(table.faults["UNREACHABLE"], 2)

    def test_a_table_on_which_no_grasp_can_be_planned_is_left_too(self):
        self.world.approach = dict.fromkeys(ARMS, "PLANNING_FAILED")
        self.run_to_end(tables=1, fruitless_attempts=3, max_brought=1)
        (table,) = self.tables()
        self.assertEqual((table.outcome, table.tries), ("OUT_OF_REACH", 0))
        self.assertGreaterEqual(table.faults["PLANNING_FAILED"], 6)

    def test_a_robot_that_keeps_failing_ends_the_run_and_not_the_table(self):
        self.world.grips = lambda arm: ("ROBOT_FAULT", "")
        collector = self.run_to_end(code=1, max_consecutive_faults=3)
        self.assertIn("3 attempts in a row failed, the last with ROBOT_FAULT", collector.output)
        self.assertEqual(self.tables(), [])
        self.assertGreaterEqual(len(list(faults_of(self.folder))), 3)

    def test_a_kinect_that_fails_at_the_last_look_ends_the_run(self):
        blind = []

        def look(arm):
            outcome = self.world._look_for(arm)
            if outcome != "SUCCESS":
                blind.append(arm)
            return "SENSOR_FAULT" if len(blind) > 2 else outcome

        self.world.region = dict.fromkeys(ARMS, look)
        collector = self.run_to_end(code=1, max_consecutive_faults=3)
        self.assertIn("the table could not be seen 3 times in a row: region: SENSOR_FAULT", collector.output)
        self.assertEqual(self.tables(), [])

    def test_objects_that_cannot_be_laid_out_end_the_run_after_the_table(self):
        self.world.grips = self.fail_layouts_after_the_first_grip
        collector = self.run_to_end(code=1, max_consecutive_faults=2)
        self.assertIn("objects could not be laid out 2 times in a row", collector.output)
        self.assertEqual([table.outcome for table in self.tables()], ["CLEARED"])

    def fail_layouts_after_the_first_grip(self, _arm):
        self.world.scatter = False
        return "SUCCESS", "PLACED"

    def test_after_a_kill_the_next_run_goes_on_at_that_table(self):
        collector = self.start(tables=3)
        wait_for(lambda: len(self.trials()) >= 4, "the second table is begun")
        self.world.pick_time = 5.0
        for node in (collector, collector.recorder):
            os.kill(node.process.pid, 9)
            node.process.wait(10)
        done = [table.table for table in self.tables()]
        self.assertEqual(done, [1])
        wait_for(lambda: not self.world.moving, "what was under way is over")
        self.world.pick_time = 0.05
        self.run_to_end(tables=3)
        tables = self.tables()
        self.assertEqual([(table.table, table.outcome) for table in tables], [(n, "CLEARED") for n in (1, 2, 3)])
        numbers = [number for table in tables for number in table.trials]
        self.assertEqual(len(numbers), len(set(numbers)))
        self.assertLess(len(numbers), len(self.trials()))  # tries of the interrupted table stay, and belong to none
        again = self.run_to_end(tables=3)
        self.assertIn(f"FINISHED: {self.folder} holds 3 tables already", again.output)
        self.assertEqual(len(self.tables()), 3)

    def test_a_folder_of_another_kind_of_test_is_refused(self):
        self.run_to_end(tables=1)
        collector = self.run_to_end(code=1, tables=None, place_held=None, trials=1)
        self.assertIn("made under other conditions, clearing is true there and false now", collector.output)

    def test_a_damaged_list_of_tables_is_told_before_anything_moves(self):
        self.run_to_end(tables=1)
        (self.folder / "tables.jsonl").write_text("nonsense\n")
        picks = self.world.picks
        collector = self.run_to_end(code=1)
        self.assertIn("tables.jsonl, line 1: expected a JSON object", collector.output)
        self.assertNotIn("Traceback", collector.output)
        self.assertEqual(self.world.picks, picks)

    def test_settings_that_do_not_fit_are_refused(self):
        for values, told in (
            ({"tables": 1}, "place_held"),
            ({"tables": 1, "place_held": True, "simulator": ""}, "need a simulator"),
            ({"tables": 1, "place_held": True, "isolate": True}, "without isolate"),
            ({"in_all": True}, "in_all needs a number"),
            ({"rerank": True}, "means nothing in mode 'random'"),
            ({"tables": -1}, "tables"),
        ):
            with self.assertRaises(ConfigError) as caught:
                parse_settings(
                    CollectorSettings, {"data": "x", "calibration": "y", "simulator": "/s", **values}, "test"
                )
            self.assertIn(told, str(caught.exception))

    # Grasps in isolation

    def isolated(self, code=0, **parameters):
        values = {"tables": None, "place_held": None, "isolate": True, "in_all": True, "trials": 4, "arms": "left"}
        return self.run_to_end(code, **{**values, **parameters})

    def test_each_try_finds_another_object(self):
        self.world.layout = self.world.places = {"ball": "left"}
        self.isolated()
        self.assertEqual(len(self.trials()), 4)
        self.assertEqual((self.world.layouts, self.world.exchanges), (1, 3))
        self.assertEqual(load_conditions(self.folder), Conditions(isolate=True))

    def test_an_attempt_without_a_label_goes_on_with_another_object_too(self):
        answers = iter(["UNREACHABLE", "PLANNING_FAILED"])
        self.world.approach["left"] = lambda arm: next(answers, "SUCCESS")
        self.isolated(trials=2)
        self.assertEqual((len(self.trials()), self.world.exchanges), (2, 3))

    def test_objects_of_which_none_can_be_reached_end_the_run(self):
        self.world.region["left"] = "NO_OBJECTS"
        collector = self.isolated(code=1, rearrange_after=2, max_layouts=2)
        self.assertIn("left arm: it could reach none of 4 objects in a row", collector.output)

    def test_a_resumed_test_counts_what_is_there(self):
        self.isolated(trials=2)
        self.isolated(trials=5)
        self.assertEqual(len(self.trials()), 5)
        again = self.isolated(trials=5)
        self.assertIn("holds 5 trials already", again.output)
        refused = self.isolated(code=1, trials=6, isolate=False)
        self.assertIn("isolate is true there and false now", refused.output)


if __name__ == "__main__":
    rospy.init_node("table_clearer_rostest")
    rostest.rosrun("grasp_learning", "table_clearer", TableClearerTest)
