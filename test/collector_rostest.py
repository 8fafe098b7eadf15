#!/usr/bin/env python3
"""The collector among scripted nodes: what it does with every outcome, and how a person can pause and end it."""

import os
import re
import signal
import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

import rospy
import rostest
from fake_nodes import CALIBRATION, DEADLINE, FakeNodes, Node, StatusListener, wait_for
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from grasp_learning.config import ConfigError, parse_settings
from grasp_learning.execution.task import Task
from grasp_learning.msg import PickResult
from grasp_learning.ros.collector import Collector, CollectorSettings
from grasp_learning.ros.workcell import Deadlines, RosWorkcell
from grasp_learning.srv import RecordTrial, RecordTrialResponse
from grasp_learning.storage import Collection, CollectionInfo, faults_of, trials_of
from grasp_learning.trial import Grasp, Outcome, Step

QUICK = {
    "sample": 2.0,
    "approach": 3.0,
    "pick": 3.0,
    "motion_wall": 5.0,
    "record": 2.0,
    "simulator": 5.0,
    "background": 5.0,
}


class CollectorTest(unittest.TestCase):
    """Each test has a folder of its own and starts its own collector."""

    @classmethod
    def setUpClass(cls):
        cls.world = FakeNodes()

    def setUp(self):
        self.world.reset()
        self._temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self._temporary.cleanup)
        self.folder = Path(self._temporary.name) / "data"
        self.status = StatusListener()
        self.addCleanup(self.status.close)

    def start_recorder(self, **parameters):
        values = {"data": str(self.folder), "robot": "sim", "minimum_free_gb": 0.0, **parameters}
        recorder = Node("trial_recorder", values)
        self.addCleanup(recorder.close)
        return recorder

    def start(self, recorder=True, **parameters):
        if recorder:
            self.recorder = self.start_recorder()
        values = {
            "data": str(self.folder),
            "simulator": "/fake_sim",
            "calibration": str(CALIBRATION),
            "trials": 4,
            "fault_pause": 0.05,
            "attended": False,
            "start_timeout": 15.0,
            "deadlines": QUICK,
            **parameters,
        }
        collector = Node("collector", values)
        self.addCleanup(collector.close)
        return collector

    def start_heard(self, **parameters):
        """Start the collector, and the recorder it waits for only when the listener has heard of it.

        Else its first state could be over before the listener is connected.
        """
        collector = self.start(recorder=False, start_timeout=30.0, **parameters)
        wait_for(lambda: self.status.is_now("STARTING"), "the collector is up")
        self.recorder = self.start_recorder()
        return collector

    def call(self, name):
        rospy.wait_for_service(f"/collector/{name}", DEADLINE)
        return rospy.ServiceProxy(f"/collector/{name}", Trigger)()

    def trials(self):
        return list(trials_of(self.folder))

    def wait_for_trials(self, count):
        return wait_for(lambda: len(self.trials()) >= count, f"{count} trials are recorded")

    def faults(self):
        return list(faults_of(self.folder))

    # Ending

    def test_both_arms_collect_what_was_asked_for_and_the_status_tells(self):
        outcomes = iter(["SUCCESS", "FAILURE", "FAILURE", "SUCCESS", "FAILURE"] * 10)
        self.world.pick = dict.fromkeys(self.world.pick, lambda arm: next(outcomes))
        collector = self.start_heard(trials=5)
        self.assertEqual(collector.wait(), 0, collector.output)
        self.assertEqual([trial["number"] for trial in self.trials()], [1, 2, 3, 4, 5])
        self.assertEqual({trial["arm"] for trial in self.trials()}, {"left", "right"})
        self.assertEqual({tuple(trial["put_back"]) for trial in self.trials()}, {("ball",)})
        self.assertEqual(self.status.states, ["STARTING", "RUNNING", "FINISHED"])
        last = self.status.all[-1]
        self.assertEqual((last.target, last.recorded, last.recorded_this_run), (5, 5, 5))
        self.assertEqual(sum(last.counts), 5)
        self.assertEqual(last.outcomes, ["FAILURE", "SUCCESS"])
        self.assertAlmostEqual(last.success_rate, last.counts[1] / 5)
        self.assertEqual(last.data, str(self.folder))
        self.assertIn("FINISHED: 5 trials recorded in this run", collector.output)
        self.assertTrue((self.folder / "contact_sheet.png").exists())

    def test_a_second_run_goes_on_with_the_numbers(self):
        first = self.start(trials=1)
        self.assertEqual(first.wait(), 0, first.output)
        self.assertIn("FINISHED: 1 trials recorded in this run (1 FAILURE), 1 in", first.output)
        again = self.start(recorder=False, trials=2)
        self.assertEqual(again.wait(), 0, again.output)
        self.assertIn(f"FINISHED: 2 trials recorded in this run (2 FAILURE), 3 in {self.folder}", again.output)

    def test_ctrl_c_ends_a_pick_under_way(self):
        self.world.pick_time = 60.0
        collector = self.start(trials=0)
        wait_for(lambda: len(self.world.moving) == 2, "both arms pick")
        collector.process.send_signal(signal.SIGINT)
        self.assertEqual(collector.wait(10.0), 0, collector.output)
        self.assertIn("INTERRUPTED: 0 trials recorded in this run", collector.output)
        wait_for(lambda: not self.world.moving, "the picks were cancelled")
        self.assertEqual(self.trials(), [])

    def test_stop_ends_after_the_trials_in_flight(self):
        self.world.pick_time = 1.0
        collector = self.start_heard(trials=0)
        wait_for(lambda: len(self.world.moving) == 2, "both arms pick")
        self.assertTrue(self.call("stop").success)
        self.assertFalse(self.call("resume").success)
        self.assertEqual(collector.wait(), 0)
        self.assertEqual(len(self.trials()), 2)
        self.assertEqual(self.status.states, ["STARTING", "RUNNING", "STOPPING", "FINISHED"])

    # Pausing

    def test_pause_holds_both_arms_until_resume(self):
        collector = self.start(trials=0)
        self.wait_for_trials(2)
        self.assertTrue(self.call("pause").success)
        wait_for(lambda: self.status.is_now("PAUSED") and not self.world.moving, "the collection is paused")
        time.sleep(1.0)  # trials in flight end
        held = len(self.trials())
        time.sleep(2.0)  # some twenty trials' time
        self.assertEqual(len(self.trials()), held)
        self.assertTrue(self.call("resume").success)
        self.wait_for_trials(held + 2)
        self.assertTrue(self.status.is_now("RUNNING"))
        self.call("stop")
        self.assertEqual(collector.wait(), 0)

    def test_pause_while_the_nodes_come_up_holds(self):
        collector = self.start(recorder=False, trials=1, start_timeout=30.0)
        wait_for(lambda: self.status.is_now("STARTING"), "the collector is up")
        self.assertTrue(self.call("pause").success)
        recorder = self.start_recorder()
        wait_for(lambda: self.world.layouts == 1, "the start is over")
        time.sleep(1.5)
        self.assertEqual((self.world.picks, self.status.states), (0, ["STARTING", "PAUSED"]))
        self.call("resume")
        self.assertEqual(collector.wait(), 0)
        self.assertIsNone(recorder.process.poll())

    # Faults

    def test_faults_in_a_row_end_the_collection_and_are_on_disk(self):
        self.world.approach["left"] = "PLANNING_FAILED"
        self.world.pick_time = 0.5
        collector = self.start(trials=0, max_consecutive_faults=4)
        self.assertEqual(collector.wait(), 1)
        told = "left arm: 4 attempts in a row failed, the last with PLANNING_FAILED: approach: PLANNING_FAILED"
        self.assertIn(told, collector.output)
        self.assertIn("FAILED: ", collector.output)
        self.assertEqual((self.status.all[-1].state, self.status.all[-1].message), ("FAILED", told))
        self.assertEqual([fault["outcome"] for fault in self.faults()], ["PLANNING_FAILED"] * 4)
        self.assertEqual({trial["arm"] for trial in self.trials()}, {"right"})

    def test_a_recorded_trial_ends_a_row_of_faults(self):
        outcomes = iter(["ROBOT_FAULT", "SENSOR_FAULT", "FAILURE"] * 3)
        self.world.pick["left"] = lambda arm: next(outcomes)
        collector = self.start(arms="left", trials=3, max_consecutive_faults=3)
        self.assertEqual(collector.wait(), 0, collector.output)
        self.assertEqual(len(self.faults()), 6)

    def test_outcomes_that_nobody_knows_are_typed_faults(self):
        expected = []
        for step, outcome, told in (
            ("region", "SENSOR_FAULT", "service roi_sampler/sample"),
            ("approach", "ROBOT_FAULT", "action left/arm_executor/approach"),
            ("grasp", "SENSOR_FAULT", "service grasp_sampler/sample"),
            ("pick", "ROBOT_FAULT", "action left/arm_executor/pick"),
        ):
            answers = iter(["", *["FAILURE" if step == "pick" else "SUCCESS"] * 10])
            getattr(self.world, step)["left"] = lambda arm, answers=answers: next(answers)
            expected.append((outcome, f"{told} ended with the unknown outcome '' and said: {step}: "))
        collector = self.start(trials=1, arms="left")
        self.assertEqual(collector.wait(), 0, collector.output)
        self.assertEqual([(fault["outcome"], fault["detail"]) for fault in self.faults()], expected)

    def test_code_that_fails_in_an_executor_is_a_robot_fault_with_its_reason(self):
        answers = iter([ValueError("no such spline"), "FAILURE"])

        def pick(arm):
            answer = next(answers)
            if isinstance(answer, Exception):
                raise answer
            return answer

        self.world.pick["right"] = pick
        collector = self.start(trials=1, arms="right")
        self.assertEqual(collector.wait(), 0, collector.output)
        self.assertEqual(self.faults()[0]["outcome"], "ROBOT_FAULT")
        self.assertIn("no such spline", self.faults()[0]["detail"])

    def test_a_disk_that_is_full_ends_the_collection_with_the_recorders_words(self):
        def refuse(_):
            return RecordTrialResponse(False, "no room; free some space", 0, "")

        service = rospy.Service("/trial_recorder/record", RecordTrial, refuse)
        self.addCleanup(service.shutdown)
        collector = self.start(recorder=False, max_consecutive_faults=3)
        self.assertEqual(collector.wait(), 1)
        self.assertIn("attempts in a row failed, the last with ABORTED: trial_recorder could not", collector.output)
        self.assertIn("no room; free some space", collector.output)
        self.assertEqual(self.status.all[-1].recorded, 0)

    def test_a_recorder_that_is_slow_once_costs_no_trial_and_adds_none(self):
        asked = []

        def record(request):
            asked.append(request.trial.start)
            if len(asked) == 1:
                time.sleep(1.5)
            return RecordTrialResponse(True, "", 7, "")

        service = rospy.Service("/trial_recorder/record", RecordTrial, record)
        self.addCleanup(service.shutdown)
        collector = self.start(recorder=False, trials=1, arms="left", deadlines={**QUICK, "record": 1.0})
        self.assertEqual(collector.wait(), 0, collector.output)
        self.assertEqual(len(asked), 2)
        self.assertEqual(asked[0], asked[1])
        self.assertEqual(self.status.all[-1].recorded_this_run, 1)

    def test_a_trial_that_was_written_by_a_recorder_that_died_is_counted(self):
        self.folder.mkdir()
        info = CollectionInfo(robot="sim", arms=["left"], mode="random", stage=0, seed=0)

        def write_and_die(request):
            record = {"arm": "left", "start": request.trial.start.to_sec(), "end": 1.0, "outcome": "FAILURE"}
            with Collection(self.folder, info) as collection:
                collection.add_trial(record, lambda number: b"bag")
            raise OSError("died before the answer")

        service = rospy.Service("/trial_recorder/record", RecordTrial, write_and_die)
        self.addCleanup(service.shutdown)
        collector = self.start(recorder=False, trials=2, arms="left")
        self.assertEqual(collector.wait(), 0, collector.output)
        self.assertEqual(len(self.trials()), 2)
        self.assertIn("FINISHED: 2 trials recorded in this run", collector.output)

    def test_a_thread_that_dies_ends_the_collection_with_a_clear_line(self):
        service = rospy.Service("/trial_recorder/record", RecordTrial, lambda _: RecordTrialResponse(True, "", 1, ""))
        self.addCleanup(service.shutdown)
        self.folder.mkdir()
        values = {"data": str(self.folder), "calibration": str(CALIBRATION), "simulator": "/fake_sim"}
        values.update(trials=3, deadlines=QUICK, attended=False)
        collector = Collector(parse_settings(CollectorSettings, values, "test"))
        collector._workcell.approach = lambda region: 1 / (region.arm != "left") and Step(Outcome.ROBOT_FAULT)
        ended = []
        thread = threading.Thread(target=lambda: ended.append(collector.run()), daemon=True)
        thread.start()
        thread.join(DEADLINE)
        self.assertEqual(ended, [1])
        self.assertEqual(
            collector._flags.failure, "the thread of the left arm died: ZeroDivisionError: division by zero"
        )
        self.assertEqual(collector._progress.snapshot().counts["ABORTED"], 1)
        self.assertEqual(collector._busy, {"left": False, "right": False})

    # A person beside the robot; faults_rostest.py has the checks and the executor's part

    def attend(self, record=None, **parameters):
        """Run a collector in this process that a person attends; no robot is checked.

        Args:
            record: answers the recorder's service; by default as one that has room for all.

        Returns:
            A function that waits for its end and gives its exit code; self.collector is the collector.
        """

        def keep(request):
            return RecordTrialResponse(True, "", int(Outcome(request.trial.outcome).is_label), "")

        service = rospy.Service("/trial_recorder/record", RecordTrial, record or keep)
        self.addCleanup(service.shutdown)
        self.folder.mkdir()
        values = {"data": str(self.folder), "calibration": str(CALIBRATION), "trials": 6, "deadlines": QUICK}
        values.update(simulator="/fake_sim", confirm=False, **parameters)
        self.status = StatusListener(rospy.get_name())
        self.addCleanup(self.status.close)
        with mock.patch.object(rospy, "Service"):  # another test's collector has the names
            self.collector = collector = Collector(parse_settings(CollectorSettings, values, "test"))
        self.addCleanup(collector._on_stop, None)
        collector._check = lambda will_prepare: None
        task = Task(collector.run)

        def end():
            self.assertTrue(task.wait(DEADLINE), "the collection runs on")
            return task.result()

        return end

    def stop_both_arms(self):
        """Both arms' next approaches end in a fault of the robot, as by the emergency stop; those after that do not."""
        both = threading.Barrier(2, timeout=DEADLINE)
        outcomes = {arm: iter(["ROBOT_FAULT", *["SUCCESS"] * 20]) for arm in self.world.approach}

        def approach(arm):
            outcome = next(outcomes[arm])
            if outcome == "ROBOT_FAULT":
                both.wait()
            return outcome

        self.world.approach = dict.fromkeys(self.world.approach, approach)

    def test_a_fault_of_one_arm_stops_both_until_a_person_has_seen_to_it(self):
        outcomes = iter(["ROBOT_FAULT", *["SUCCESS"] * 20])

        def approach(arm):
            outcome = next(outcomes)
            if outcome == "ROBOT_FAULT":
                wait_for(lambda: "right" in self.world.moving, "the right arm moves")
            return outcome

        self.world.pick_time = 5.0
        self.world.approach["left"] = approach
        end = self.attend()
        collector = self.collector
        wait_for(lambda: collector._flags.paused, "the collection waits")
        wait_for(lambda: not self.world.moving, "the right arm stops, too", timeout=1.0)
        self.assertEqual(self.world.starts, ["left", "right"])
        picks = self.world.picks
        time.sleep(1.0)
        self.assertEqual(self.world.picks, picks, "nothing moves meanwhile")
        self.assertEqual(collector._progress.snapshot().counts, {"ROBOT_FAULT": 1, "ABORTED": 1})
        self.assertIn("the left arm stopped: approach: ROBOT_FAULT", self.status.all[-1].message)
        self.world.startable, self.world.pick_time = False, 0.05
        answer = collector._on_resume(None)
        self.assertEqual((answer.success, collector._flags.paused), (False, True))
        self.assertIn("the emergency stop is pressed", answer.message)
        self.world.startable = True
        self.assertTrue(collector._on_resume(None).success)
        self.assertEqual((end(), self.world.starts), (0, ["left", "right", "left", "left"]))
        self.assertEqual(collector._progress.snapshot().recorded_this_run, 6)

    def stop_after_the_reading(self):
        """The left arm's first pick stops it when the gripper was read, while the right arm moves."""

        def pick(arm):
            wait_for(lambda: "right" in self.world.moving, "the right arm moves")
            self.world.pick_time, self.world.faults["left"] = 0.0, "the emergency stop is pressed"
            self.world.pick["left"] = "FAILURE"
            return "FAILURE"

        self.world.pick_time = 10.0
        self.world.pick["left"] = pick

    def test_a_fault_after_the_reading_stops_both_arms_and_the_label_stands(self):
        self.stop_after_the_reading()
        end = self.attend()
        collector = self.collector
        wait_for(lambda: collector._flags.paused, "the collection waits")
        wait_for(lambda: not self.world.moving, "the right arm stops, too", timeout=1.0)
        wait_for(lambda: not any(collector._busy.values()), "both trials are over")
        self.assertEqual(collector._progress.snapshot().counts, {"FAILURE": 1, "ABORTED": 1})
        self.assertIn("the left arm stopped: the emergency stop is pressed", collector._reason)
        self.assertTrue(collector._on_resume(None).success)
        self.assertEqual((end(), self.world.starts), (0, ["left", "right", "left"]))
        self.assertEqual(collector._progress.snapshot().recorded_this_run, 6)

    def test_a_robot_that_stops_on_the_way_to_the_bin_is_a_fault_of_the_trial(self):
        workcell = RosWorkcell(("left",), "", Deadlines(), place_held=True)
        result = PickResult(place_outcome="ROBOT_FAULT", place_message="the emergency stop is pressed")
        workcell._moved = lambda *_: (Step(Outcome.SUCCESS), result)
        step = workcell.pick(Grasp("left", 2.0, 640, 400, 0.7, 0.2, -0.09, 0.5, 0.5, 3, 380))
        self.assertEqual((step.outcome, step.fault), (Outcome.SUCCESS, "the emergency stop is pressed"))

    def test_a_fault_stops_the_arms_also_when_the_trial_cannot_be_written(self):
        def refuse_faults(request):
            fault = request.trial.outcome == "ROBOT_FAULT"
            return RecordTrialResponse(not fault, "no room", int(Outcome(request.trial.outcome).is_label), "")

        self.stop_both_arms()
        end = self.attend(record=refuse_faults)
        wait_for(lambda: self.collector._stopped == {"left", "right"}, "both arms stop")
        self.assertTrue(self.collector._on_resume(None).success)
        self.assertEqual(end(), 0)

    def test_a_pause_while_arms_are_started_again_holds_and_starts_no_further_arm(self):
        self.stop_both_arms()
        end = self.attend()
        collector = self.collector
        wait_for(lambda: collector._stopped == {"left", "right"}, "both arms stop")
        self.world.at_start = lambda arm: collector._on_pause(None)
        answer = collector._on_resume(None)
        self.assertEqual((answer.success, collector._flags.paused), (False, True))
        self.assertIn("paused; trials in flight end first", answer.message)
        self.assertEqual(self.world.starts, ["left", "right", "left"])
        time.sleep(0.5)  # some trials' time
        self.assertEqual((self.world.picks, collector._workcell.halted), (0, True))
        self.world.at_start = lambda arm: None
        self.assertTrue(collector._on_resume(None).success)
        self.assertEqual((end(), self.world.starts), (0, ["left", "right", "left", "right"]))

    def test_an_arm_that_stops_while_the_other_is_started_again_is_not_started_with_it(self):
        resumed = threading.Event()

        def late_fault(arm):
            self.world.approach["right"] = "SUCCESS"
            resumed.wait(DEADLINE)
            return "ROBOT_FAULT"

        def fault(arm):
            self.world.approach["left"] = "SUCCESS"
            wait_for(lambda: self.world.approach["right"] == "SUCCESS", "the right arm moves, too")
            return "ROBOT_FAULT"

        def at_start(arm):
            resumed.set()
            wait_for(lambda: "right" in self.collector._stopped, "the right arm stops")

        self.world.approach = {"left": fault, "right": late_fault}
        end = self.attend()
        wait_for(lambda: self.collector._stopped == {"left"}, "the left arm stops")
        self.world.at_start = at_start
        answer = self.collector._on_resume(None)
        self.assertFalse(answer.success)
        self.assertIn("meanwhile: the right arm stopped: approach: ROBOT_FAULT", answer.message)
        self.assertEqual(self.world.starts, ["left", "right", "left"])
        self.assertTrue(self.collector._workcell.halted)
        self.world.at_start = lambda arm: None
        self.assertTrue(self.collector._on_resume(None).success)
        self.assertEqual((end(), self.world.starts), (0, ["left", "right", "left", "right"]))

    def test_stop_ends_a_start_before_the_next_arm(self):
        self.world.at_start = lambda arm: self.collector._on_stop(None)
        end = self.attend()
        self.assertEqual((end(), self.world.starts, self.world.layouts), (0, ["left"], 0))

    def test_stop_ends_a_resume_before_the_next_arm(self):
        self.stop_both_arms()
        end = self.attend()
        wait_for(lambda: self.collector._stopped == {"left", "right"}, "both arms stop")
        self.world.at_start = lambda arm: self.collector._on_stop(None)
        answer = self.collector._on_resume(None)
        self.assertEqual((answer.success, answer.message), (False, "the collection is ending"))
        self.assertEqual((end(), self.world.starts, self.world.picks), (0, ["left", "right", "left"], 0))

    # Objects

    def test_objects_are_laid_out_anew_when_an_arm_reaches_none_and_never_under_a_moving_arm(self):
        def region(arm):
            return "SUCCESS" if self.world.layouts >= 3 else "UNREACHABLE"

        self.world.region["left"] = region
        self.world.pick_time = 0.3
        collector = self.start(trials=0, rearrange_after=2)
        wait_for(lambda: any(trial["arm"] == "left" for trial in self.trials()), "the left arm finds an object")
        self.call("stop")
        self.assertEqual(collector.wait(), 0)
        self.assertEqual(self.world.layouts, 3)  # the first is that of the start
        self.assertEqual([fault["outcome"] for fault in self.faults()], ["UNREACHABLE"] * 4)
        self.assertFalse(self.world.moved_under_layout)

    def test_other_objects_are_laid_out_after_so_many_trials_and_never_under_a_moving_arm(self):
        self.world.pick_time = 0.2
        collector = self.start(trials=8, exchange_after=2)
        self.assertEqual(collector.wait(), 0, collector.output)
        self.assertEqual((len(self.trials()), self.world.layouts), (8, 1))
        # a trial of the other arm that was under way may end first
        self.assertIn(self.world.exchanges, (2, 3))
        self.assertIn("other objects were laid out: ball, mug", collector.output)
        self.assertFalse(self.world.moved_under_layout)

    def test_the_last_trial_is_followed_by_no_layout_and_0_is_never(self):
        for number, (every, exchanges) in enumerate(((2, 1), (0, 0)), 1):
            collector = self.start(trials=4, exchange_after=every, arms="left")
            self.assertEqual(collector.wait(), 0, collector.output)
            self.recorder.close()  # the next one writes into the same folder
            self.assertEqual((len(self.trials()), self.world.exchanges), (4 * number, exchanges))
            self.world.reset()

    def test_a_simulator_that_cannot_exchange_objects_ends_the_collection(self):
        def region(arm):
            self.world.scatter = False  # the first layout went well
            return "SUCCESS"

        self.world.region = dict.fromkeys(self.world.region, region)
        collector = self.start(trials=0, max_consecutive_faults=2, exchange_after=1)
        self.assertEqual(collector.wait(), 1)
        self.assertIn("could not be laid out anew 2 times in a row", collector.output)

    def test_a_table_without_objects_ends_the_collection(self):
        self.world.region = dict.fromkeys(self.world.region, "NO_OBJECTS")
        collector = self.start(max_layouts=2, rearrange_after=2)
        self.assertEqual(collector.wait(), 1)
        self.assertIn("although the objects were laid out anew 2 times in a row", collector.output)
        self.assertEqual(self.world.layouts, 3)
        self.assertEqual(self.status.states[-1], "FAILED")
        self.assertEqual({fault["outcome"] for fault in self.faults()}, {"NO_OBJECTS"})

    def test_a_simulator_that_cannot_lay_out_objects_ends_the_collection(self):
        def region(arm):
            self.world.scatter = False
            return "UNREACHABLE"

        self.world.region = dict.fromkeys(self.world.region, region)
        collector = self.start(max_consecutive_faults=3, rearrange_after=1)
        self.assertEqual(collector.wait(), 1)
        self.assertIn("could not be laid out anew 3 times in a row", collector.output)
        self.assertIn("the objects found no place", collector.output)

    # A person in the place of a simulator

    def told(self, message):
        return wait_for(lambda: self.status.is_now("PAUSED") and message in self.status.all[-1].message, message)

    def start_with_a_person(self, **parameters):
        collector = self.start(simulator="", **parameters)
        self.told("clear the table and step back; `rosservice call /collector/resume` goes on")
        self.call("resume")
        self.told("done; now lay the objects out; `rosservice call /collector/resume` goes on")
        self.assertEqual(self.world.picks, 0)
        self.call("resume")
        return collector

    def test_a_person_clears_the_table_and_lays_the_objects_out_before_anything_moves(self):
        self.world.background = iter([(False, "the table is not empty"), (True, "learnt")])
        collector = self.start(simulator="", trials=1)
        self.told("clear the table and step back")
        self.call("resume")
        self.told("the empty table was not learnt: service roi_sampler/reset_background: the table is not empty")
        self.call("resume")
        self.told("learnt; now lay the objects out")
        self.assertEqual(self.world.picks, 0)
        self.call("resume")
        self.assertEqual(collector.wait(), 0, collector.output)
        self.assertEqual((len(self.trials()), self.world.layouts), (1, 0))

    def test_an_arm_without_objects_waits_while_the_other_one_works_and_both_are_asked_for_when_none_is_left(self):
        self.world.region["left"] = "NO_OBJECTS"
        collector = self.start_with_a_person(trials=0, rearrange_after=2)
        wish = "left arm: no object that it can reach; pause, put objects on its half, resume"
        wait_for(lambda: self.status.all[-1].message == wish, "the person is told")
        self.wait_for_trials(len(self.trials()) + 3)
        self.assertEqual((self.status.all[-1].message, len(self.faults())), (wish, 2))
        self.world.region["right"] = "UNREACHABLE"
        self.told("no arm finds an object that it can reach: lay objects out; ")
        self.world.region = dict.fromkeys(self.world.region, "SUCCESS")
        self.call("resume")
        wait_for(lambda: any(trial["arm"] == "left" for trial in self.trials()), "the left arm finds an object")
        self.call("stop")
        self.assertEqual(collector.wait(), 0)
        self.assertEqual(self.world.layouts, 0)

    def test_a_person_puts_another_object_there_for_each_try_and_never_under_a_moving_arm(self):
        collector = self.start_with_a_person(trials=2, arms="left", isolate=True)
        self.told("lay other objects out")
        self.assertEqual((len(self.trials()), self.world.moving), (1, set()))
        self.call("resume")
        self.assertEqual(collector.wait(), 0)
        self.assertEqual(len(self.trials()), 2)

    def test_stop_and_ctrl_c_end_the_wait_for_a_person(self):
        collector = self.start(simulator="")
        self.told("clear the table")
        self.call("stop")
        self.assertEqual(collector.wait(), 0)
        self.assertIn("FINISHED: 0 trials recorded", collector.output)
        self.recorder.close()
        collector = self.start(simulator="")
        self.told("clear the table")
        collector.process.send_signal(signal.SIGINT)
        self.assertEqual(collector.wait(10.0), 0, collector.output)

    # What is told before anything moves

    def assert_refused(self, told, **parameters):
        begun = self.world.layouts
        collector = self.start(recorder=False, **parameters)
        self.assertEqual(collector.wait(), 1)
        self.assertIn(told, collector.output)
        self.assertNotIn("Traceback", collector.output)
        self.assertEqual((self.world.layouts, self.world.picks), (begun, 0))

    def test_wrong_parameters_are_named(self):
        right = {"data": "data", "calibration": str(CALIBRATION)}
        for key, value, told in (
            ("arms", "three", "'arms' is 'three': expected one of: both, left, right"),
            ("mode", "dream", "'mode' is 'dream': expected one of: random, staged, best"),
            ("planner", "prm", "'planner' is 'prm': expected one of: ompl, moveit"),
            ("trials", -1, "'trials' is -1"),
            ("max_layouts", 0, "'max_layouts' is 0"),
            ("mode", "staged", "mode 'staged' needs a model"),
            ("model", "m.safetensors", "a random collection has no model"),
            ("stage", 1, "a random collection has no model and is stage 0"),
        ):
            with self.subTest(key), self.assertRaisesRegex(ConfigError, re.escape(told)):
                parse_settings(CollectorSettings, {**right, key: value}, "test")
        with self.assertRaisesRegex(ConfigError, "mode 'staged' needs a stage from 1 on"):
            parse_settings(CollectorSettings, {**right, "mode": "staged", "model": "m"}, "test")
        self.assert_refused("/collector: key 'fault_puase' is unknown", fault_puase=1.0)
        self.assert_refused("/nowhere.yaml: cannot be read", calibration="/nowhere.yaml")

    def test_a_folder_that_cannot_be_used_is_told_at_once(self):
        self.assert_refused("/proc/grasp: ", data="/proc/grasp")
        rospy.set_param("/trial_recorder/minimum_free_gb", 1e6)
        self.assert_refused("GB wanted; free some space")
        rospy.delete_param("/trial_recorder/minimum_free_gb")
        with Collection(self.folder, CollectionInfo(robot="sim", arms=["left"], mode="staged", stage=2, seed=0)):
            pass
        self.assert_refused("another kind of collection, mode is 'staged' there and 'random' now")

    def test_a_damaged_journal_is_told_at_once(self):
        self.assertEqual(self.start(trials=1).wait(), 0)
        with (self.folder / "trials.jsonl").open("a") as journal:
            journal.write("holiday\n")
        self.world.reset()
        self.assert_refused("trials.jsonl, line 2: expected a JSON object")

    def test_a_folder_that_another_recorder_writes_into_is_told_at_once(self):
        with Collection(self.folder, CollectionInfo(robot="sim", arms=["left"], mode="random", stage=0, seed=0)):
            self.assert_refused(f"{self.folder}: process {os.getpid()} is writing into it")

    def test_a_node_that_does_not_come_up_is_named(self):
        collector = self.start(recorder=False, start_timeout=1.0)
        self.assertEqual(collector.wait(), 1)
        self.assertIn("service trial_recorder/record did not come up", collector.output)
        self.assertEqual(self.world.picks, 0)

    # Calibration

    def test_the_calibration_is_published_as_frames(self):
        frames = []
        listener = rospy.Subscriber("/tf_static", TFMessage, lambda message: frames.extend(message.transforms))
        self.addCleanup(listener.unregister)
        node = Node("calibration_publisher", {"calibration": str(CALIBRATION)})
        self.addCleanup(node.close)
        wait_for(lambda: len(frames) == 2, "two frames")
        pairs = {(frame.header.frame_id, frame.child_frame_id) for frame in frames}
        self.assertEqual(pairs, {("base", "kinect2_link"), ("kinect2_link", "kinect2_rgb_optical_frame")})
        kinect = next(frame.transform for frame in frames if frame.child_frame_id == "kinect2_link")
        self.assertGreater(kinect.translation.z, 0.3)  # above the table
        lost = Node("calibration_publisher", {"calibration": "/nowhere.yaml"})
        self.addCleanup(lost.close)
        self.assertEqual(lost.wait(), 1)
        self.assertIn("/nowhere.yaml: cannot be read", lost.output)


if __name__ == "__main__":
    rospy.init_node("collector_rostest")
    rostest.rosrun("grasp_learning", "collector_test", CollectorTest)
