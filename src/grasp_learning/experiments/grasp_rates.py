"""Experiments that count grasps: Table I, re-ranking, the robot tests and clearing tables."""

import math
from typing import List

import numpy as np

from grasp_learning.experiments.experiment import Experiment
from grasp_learning.experiments.findings import (
    FEWEST_CLUSTERS,
    Findings,
    Judged,
    Tries,
    claim_of,
    judge_rates,
    only,
    rate_interval,
    share,
)
from grasp_learning.experiments.plan import BEST_PER_TABLE, ROBOT_TESTS, Plan
from grasp_learning.experiments.results import Figure
from grasp_learning.sim.holdable import LEAST_SHARE
from grasp_learning.summary import wilson_interval

# row -> successes, failures (Table I)
TABLE_ONE = {
    "random trials": (3245, 37042),
    "multi-staged": (2807, 4500),
    "test set": (214, 2759),
}
THREEFOLD = 3.0  # the paper: from 8 % to 38 %
ROBOT_PAPER = {"novel": 0.66, "seen": 0.73}  # of 150 tries each, with re-ranking
CLEARING_PAPER = 26  # tries for 10 objects, mean of 5 tables


class TableOne(Experiment):
    """Table I."""

    id = "table1"
    title = "Statistics of the trials (Table I)"
    question = """
        How many trials of each kind were collected, and how many of them held something? Random trials are on
        cluttered tables of the training's objects; those of the stages, on such tables, were guided by the
        network of the stage before; the test set are random trials on objects that no network is trained with.
    """

    def steps(self, plan):
        """See Experiment."""
        return ["collect_random", *self._stages(plan), "collect_novel", "collect_seen"]

    def _stages(self, plan: Plan) -> List[str]:
        return [f"collect_stage{stage}" for stage in range(1, plan.profile.stages + 1)]

    def figures(self, findings):
        """See Experiment."""
        stages = self._stages(findings.plan)
        found = self._row(findings, "random trials", ["collect_random"])
        found += self._row(findings, "multi-staged", stages)
        found += self._row(findings, "test set", ["collect_novel"])
        found += self._row(findings, "test set, seen objects", ["collect_seen"])
        for stage, step in enumerate(stages, 1):
            found.append(findings.rate(f"grasp rate, stage {stage} alone", step, series="stages", x=stage))
        return found

    def _row(self, findings: Findings, name: str, steps: List[str]) -> List[Figure]:
        tries = findings.tries(*steps)
        paper = TABLE_ONE.get(name)
        held, failed = paper if paper else (None, None)
        total = held + failed if paper else None
        counts = (
            ("positive", tries.held, held),
            ("negative", tries.trials - tries.held, failed),
            ("total", tries.trials, total),
        )
        rate = held / total if paper else None
        return [
            *(
                findings.number(f"{what}, {name}", value, *steps, unit="trials", paper=known, series=name)
                for what, value, known in counts
            ),
            findings.rate(f"grasp rate, {name}", *steps, paper=rate, series=name),
        ]

    def claim(self, findings):
        """See Experiment."""
        rates = {figure.name: figure for figure in self.figures(findings)}
        random, staged = rates["grasp rate, random trials"], rates["grasp rate, multi-staged"]
        collections = (["collect_random"], self._stages(findings.plan))
        tables = min(len(findings.tries(*steps).tables) for steps in collections)
        text = "Staged learning raises the grasp rate of collection at least threefold over random."
        reason = (
            f"from {share(random.value)} ({share(random.low)} to {share(random.high)}) to {share(staged.value)} "
            f"({share(staged.low)} to {share(staged.high)}){only(tables)}; the paper: from 8.1 % to 38.4 %."
        )
        holds = threefold(random, staged) if tables >= FEWEST_CLUSTERS else None
        return claim_of(text, [Judged(holds, reason)])


def threefold(before: Figure, after: Figure):
    """Whether a rate is at least three times another one; None where the intervals allow both."""
    if after.low >= THREEFOLD * before.high:
        return True
    if after.high < THREEFOLD * before.low:
        return False
    return None


class Reranking(Experiment):
    """Section IV.F, re-ranking, without ROS."""

    id = "reranking"
    title = "Effect of re-ranking (section IV.F), on cluttered tables"
    question = """
        Is a grasp better whose neighbourhood is liked, too? The network of the last stage grasps held-out
        objects on cluttered tables without ROS: once the best entry of its matrix, once the best of the ten
        best after the mean of ten neighbours of each. Both begin with the same tables.
    """
    _steps = {"without re-ranking": "collect_best_plain", "with re-ranking": "collect_best_reranked"}

    def steps(self, plan):
        """See Experiment."""
        return list(self._steps.values())

    def figures(self, findings):
        """See Experiment."""
        return [findings.rate(name, step) for name, step in self._steps.items()]

    def notes(self, findings):
        """See Experiment."""
        return [
            "The paper has no number without re-ranking.",
            f"A try that moves an object changes what comes after it; {BEST_PER_TABLE} tries are made on each table.",
        ]

    def claim(self, findings):
        """See Experiment."""
        tables = min(len(findings.tries(step).tables) for step in self._steps.values())
        lower, higher = self.figures(findings)
        part = judge_rates(lower, higher, tables)
        return claim_of("Re-ranking raises the grasp rate.", [part])


class RobotTests(Experiment):
    """Section IV.F, grasp results."""

    id = "grasp_rate"
    title = "Robot tests: one object at a time (section IV.F)"
    needs_ros = True
    question = """
        How often does the whole system grasp? Kinect, planner, both arms and the network of the last stage work
        over ROS as they do on the robot. One object lies on the table, in a new pose at each try, of those that
        the network knows or of novel ones; the best grasp is executed, with and without re-ranking.
    """

    def steps(self, plan):
        """See Experiment."""
        return [*(f"robot_{name}" for name, _, _ in ROBOT_TESTS), "holdable"]

    def figures(self, findings):
        """See Experiment."""
        return [
            findings.rate(
                f"{objects} objects, {'with' if reranked else 'without'} re-ranking",
                f"robot_{name}",
                paper=ROBOT_PAPER[objects] if reranked else None,
                series="with re-ranking" if reranked else "without re-ranking",
            )
            for name, objects, reranked in ROBOT_TESTS
        ]

    def notes(self, findings):
        """See Experiment."""
        objects = findings.holdable()
        return [
            f"Any held-out object may be the one on the table, also the {len(objects.others)} of {len(objects.held)} "
            f"that nearly no grasp holds ({', '.join(objects.others) or 'none'})."
        ]

    def claim(self, findings):
        """See Experiment."""
        novel, reranked_novel, seen, reranked_seen = self.figures(findings)
        parts = [
            judge_rates(*pair)
            for pair in ((novel, reranked_novel), (seen, reranked_seen), (reranked_novel, reranked_seen))
        ]
        text = "Re-ranking raises the grasp rate, and known objects are grasped more often than novel ones."
        return claim_of(text, parts)


class ClearTable(Experiment):
    """Section IV.F, clutter removal."""

    id = "clear_table"
    title = "Clearing a table (section IV.F)"
    needs_ros = True
    question = """
        How many tries does it take to clear a table? Objects lie in clutter; both arms grasp the best grasp of
        the network of the last stage and put what they hold into a bin beside the table, until the Kinect sees
        nothing more, or a limit of tries is reached. Unlike in the paper, a best grasp that failed twice in a
        row at a place gives way to one that is drawn by what the network thinks. All objects are held-out ones
        that can be held at all, by trial; the paper's were a mix of novel and seen ones. All of it over ROS, as
        on the robot.
    """

    def steps(self, plan):
        """See Experiment."""
        return ["holdable", "clear_table"]

    def figures(self, findings):
        """See Experiment."""
        found = findings.tables()
        paper = CLEARING_PAPER if findings.plan.profile.table_objects == 10 else None
        source, command = findings.origin("clear_table")
        origin = {"source": source, "command": command}
        low, high = (_finite(value) for value in found.mean_tries_interval)
        counts = [(table.tries, table.held) for table in findings.table_records() if table.tries]
        rate_low, rate_high = rate_interval(Tries(np.array(counts, int).reshape(-1, 2)))
        cleared_low, cleared_high = wilson_interval(found.cleared, found.tables)
        cleared = found.cleared / found.tables if found.tables else None
        return [
            Figure(
                name="tries until empty, mean of the cleared tables",
                value=_finite(found.mean_tries),
                low=low,
                high=high,
                unit="tries",
                count=found.cleared,
                paper=paper,
                **origin,
            ),
            Figure(
                name="tables cleared", value=cleared, low=cleared_low, high=cleared_high, count=found.tables, **origin
            ),
            Figure(
                name="tries that held something",
                value=_finite(found.grasp_rate),
                low=rate_low,
                high=rate_high,
                count=found.tries,
                **origin,
            ),
            Figure(name="objects put into a bin", value=found.removed, unit="objects", count=found.objects, **origin),
            Figure(name="robot's time", value=found.seconds, unit="seconds", count=found.tables, **origin),
        ]

    def notes(self, findings):
        """See Experiment."""
        found, objects = findings.tables(), findings.holdable()
        notes = [
            f"{len(objects.names)} of {len(objects.held)} held-out objects can be held: {share(LEAST_SHARE)} or more "
            f"of {objects.grasps} grasps that knew where they lie did. Left out: {', '.join(objects.others) or 'none'}."
        ]
        if found.cleared < found.tables:
            notes.append(
                f"{found.tables - found.cleared} of {found.tables} tables were not cleared; the mean is without them."
            )
        if found.drawn:
            notes.append(f"{found.drawn} of {found.tries} tries were drawn: the best grasp had failed at their places.")
        if found.lost:
            notes.append(f"{found.lost} objects were lost on the way to the bin.")
        if found.brought or found.put_back:
            notes.append(
                f"The simulator put {found.brought + found.put_back} objects back within reach, as a person would."
            )
        return notes

    def claim(self, findings):
        """See Experiment."""
        found = findings.tables()
        part = Judged(found.tables > 0 and found.cleared == found.tables, f"{found.cleared} of {found.tables} tables.")
        return claim_of("The robot clears every table.", [part])


def _finite(value: float):
    return value if math.isfinite(value) else None
