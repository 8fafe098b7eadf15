"""Folders of experiments for the tests of reports, as `experiments` leaves them, with invented numbers."""

from pathlib import Path

import numpy as np
from dataset_samples import make_trial, write_shards

from grasp_learning.clearing import TableRecord, TablesFile
from grasp_learning.evaluation import metrics
from grasp_learning.evaluation.bootstrap import Bootstrap
from grasp_learning.evaluation.results import Evaluation, MethodResult, TestSet, save_evaluation
from grasp_learning.experiments.places import Places
from grasp_learning.experiments.results import (
    EXPERIMENT_IDS,
    Claim,
    ExperimentResult,
    Figure,
    RunInfo,
    save,
    save_run,
)

COMMAND = "python -m grasp_learning.evaluation.evaluate --data {out}/steps/export_novel/dataset --seed 7"


def figure(out, name, value, **more):
    around = {"low": value - 0.04, "high": value + 0.04, "count": 400} if value is not None else {}
    origin = {"source": "steps/evaluate_table2/evaluation/evaluation.json", "command": COMMAND.format(out=out)}
    return Figure(**{"name": name, "value": value, **around, **origin, **more})


def save_result(out, name, figures, claim=None, **more):
    words = {"title": f"Experiment {name}", "question": f"What does {name} do? It is measured, and <b>compared</b>."}
    save(out, ExperimentResult(**{"id": name, **words, "figures": figures, "order": claim, "seconds": 12.0, **more}))


def save_results(out, names=EXPERIMENT_IDS):
    """Results of some experiments."""
    methods = (("heuristic", 0.56, 0.621), ("HoG + kNN", 0.66, 0.694), ("network", 0.71, 0.769))
    novel, seen = "novel objects", "seen objects"
    figures = {
        "table1": [
            figure(out, "positive, random trials", 910, unit="trials", paper=3245, series="random trials", low=None),
            figure(out, "grasp rate, random trials", 0.091, paper=0.0805, series="random trials"),
            figure(out, "positive, test set", 310, unit="trials", paper=214, series="test set", low=None),
            figure(out, "grasp rate, test set", 0.085, paper=0.0719, series="test set"),
            figure(out, "grasp rate, stage 1 alone", 0.31, series="stages", x=1),
        ],
        "table2": [figure(out, name, value, paper=paper, series=novel) for name, value, paper in methods]
        + [figure(out, f"{name}, {seen}", value + 0.05, series=seen) for name, value, _ in methods],
        "fig8": [
            figure(out, f"{series}, {x} trials", base + x / 40000, series=series, x=x, paper=paper)
            for series, base in ((novel, 0.55), (seen, 0.6))
            for x, paper in ((0, 0.5), (750, None), (1500, None), (5700, None))
        ]
        + [
            Figure(name=f"paper, {novel}, {x} trials", paper=value, series=f"paper: {novel}", x=x)
            for x, value in ((0, 0.5), (5000, 0.508), (10000, 0.578), (20000, 0.756), (40000, 0.769))
        ],
        "stages": [
            figure(out, f"network of stage {stage}, {novel}", 0.7 + stage / 50, series=novel, x=stage, paper=paper)
            for stage, paper in ((0, 0.769), (1, 0.793))
        ]
        + [
            figure(out, f"grasp rate of collection, stage {stage}", 0.1 + stage / 5, series="grasp rate", x=stage)
            for stage in range(2)
        ],
        "clear_table": [
            Figure(name="tries until empty", value=26.4, low=21.0, high=31.5, unit="tries", count=5, paper=26.0),
            Figure(name="robot's time", value=3725.0, unit="seconds", count=3),
        ],
        "gamma": [figure(out, "Gamma 1", None), figure(out, "Gamma 3", 0.77)],
    }
    claims = {
        "table2": Claim(text="The order of Table II is the paper's", holds=False, reasons=["SVM beats the network."]),
        "fig8": Claim(text="More trials help", holds=True, reasons=["From 60.0 % to 72.5 %."]),
        "stages": Claim(text="Stages help", holds=None, reasons=["The intervals overlap."]),
    }
    for name in names:
        found = figures.get(name, [figure(out, f"{name} with", 0.7, paper=0.79), figure(out, f"{name} without", 0.6)])
        notes = ["Gamma 1 was not trained."] if name == "gamma" else []
        save_result(out, name, found, claims.get(name), notes=notes)


def run_info(out, **more):
    steps = {"collect_random": 100.0, "evaluate_table2": 3725.0}
    values = {"profile": "laptop", "settings": {"random_trials": 4000, "network": {"fc6": 64}}, "seed": 11}
    values.update(package_version="0.1.0", commit="abc1234", machine="2 cores of a test", steps=steps)
    values.update(command=f"rosrun grasp_learning experiments --out {out}", started="2026-03-04T05:06:07+00:00")
    return RunInfo(**{**values, "finished": "2026-03-04T07:00:00+00:00", "experiments": list(EXPERIMENT_IDS), **more})


def method_result(method, spec, split, labels, scores, objects, **more):
    """What an evaluation would find."""
    right = (scores >= 0.5) == (labels == 1)
    bootstrap = Bootstrap(np.arange(len(labels)).astype(str), 0, 200)
    auc, precision = metrics.ranking_figures(labels, scores, bootstrap)
    return MethodResult(
        **{"method": method, "spec": spec, "split": split, "samples": len(labels), "successes": int(labels.sum())},
        **{
            "clusters": len(labels),
            "resampled_by": "trial",
            "threshold": 0.5,
            "auc": auc,
            "average_precision": precision,
        },
        accuracy=metrics.accuracy_interval(labels, right, bootstrap),
        recall_success=float(right[labels == 1].mean()),
        recall_failure=float(right[labels == 0].mean()),
        calibration=metrics.calibration(labels, scores) if spec.startswith("network:") else None,
        curve=metrics.precision_recall(labels, scores),
        bins=metrics.by_bin(np.arange(len(labels)) % 18, labels, scores, right),
        objects=metrics.by_object(objects, labels, scores, right),
        **more,
    )


def save_evaluation_of(out, skills, count=240, seed=3):
    """An evaluation of methods of which each is right so often as `skills` say: method -> (spec, skill).

    A skill may be one for each test set.
    """
    rng = np.random.default_rng(seed)
    tests, results, comparisons = [], [], []
    for split in ("test_novel", "test_seen"):
        labels = np.arange(count) % 2
        objects = np.array([f"thing_{place % 5}" for place in range(count)], object)
        rights = {}
        for method, (spec, skill) in skills.items():
            right = rng.permutation(count) < round((skill[split] if isinstance(skill, dict) else skill) * count)
            sure = 0.5 + 0.45 * rng.random(count)
            scores = np.where(right == (labels == 1), sure, 1 - sure)
            rights[method] = right
            results.append(method_result(method, spec, split, labels, scores, objects, optimistic=method == "knn"))
        bootstrap = Bootstrap(np.arange(count).astype(str), 0, 500)
        names = list(rights)
        for place, first in enumerate(names):
            for second in names[place + 1 :]:
                pair = (rights[first], rights[second])
                comparisons.append(metrics.compare(split, (first, second), labels, pair, bootstrap))
        tests.append(TestSet(split=split, samples=count, successes=count // 2, surplus=9, identity="0" * 64))
    folder = Places(Path(out)).evaluation("table2")
    folder.mkdir(parents=True, exist_ok=True)
    words = COMMAND.format(out=out).split()
    facts = {"dataset_identity": "0" * 64, "train_identity": "1" * 64, "seed": 7, "rounds": 500}
    facts.update(package_version="0.1.0", started="2026-03-04T05:06:07+00:00", seconds=5.0, data=["x"])
    save_evaluation(folder, Evaluation(command=words, tests=tests, results=results, comparisons=comparisons, **facts))


def save_collections(out, seed=5):
    """Random trials on held-out objects, and best grasps on them."""
    places, rng = Places(Path(out)), np.random.default_rng(seed)
    trials = [make_trial(rng, place % 3 == 0, ("thing_1",)) for place in range(10)]
    write_shards(places.collection("novel"), trials, "test")
    best = [make_trial(rng, place % 2 == 0, ("thing_2",), stage=1) for place in range(30)]
    write_shards(places.collection("best_reranked"), best, "test", stage=1)


def save_tables(out):
    folder = Places(Path(out)).tables
    folder.mkdir(parents=True)
    with TablesFile(folder) as tables:
        for number, (tries, cleared) in enumerate(((24, True), (31, True), (60, False)), 1):
            outcome = "CLEARED" if cleared else "TRY_LIMIT"
            counts = {"tries": tries, "held": 12, "removed": 10 if cleared else 8}
            tables.append(
                TableRecord(table=number, objects=10, cleared=cleared, outcome=outcome, seconds=600.0, **counts)
            )


SKILLS = {
    "heuristic-best": ("heuristic-best", 0.6),
    "knn": ("knn", 0.68),
    "svm": ("svm", 0.72),
    "stage0": ("network:a", 0.8),
    "stage1": ("network:b", 0.84),
}


def whole_folder(out):
    """Experiments of which nothing is missing, but the network of Fig. 6."""
    out.mkdir()
    save_run(out, run_info(out))
    save_results(out)
    save_evaluation_of(out, SKILLS)
    save_collections(out)
    save_tables(out)
    return out
