"""An evaluation from datasets to results."""

import time
from itertools import combinations
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from pydantic import Field

import grasp_learning
from grasp_learning.config import Settings
from grasp_learning.dataset.reader import open_dataset
from grasp_learning.durable import write_atomically
from grasp_learning.evaluation import metrics
from grasp_learning.evaluation.bootstrap import ROUNDS
from grasp_learning.evaluation.folder import EvaluationFolder
from grasp_learning.evaluation.plots import draw_evaluation, remove_others
from grasp_learning.evaluation.results import Comparison, Evaluation, MethodResult, save_evaluation
from grasp_learning.evaluation.scoring import Candidate, MethodSpec, Scored, Scorer, create_all
from grasp_learning.evaluation.tables import paper_accuracy, scores_csv
from grasp_learning.evaluation.test_sets import BalancedTest, LearningSets, learning_sets, patches_of, right, test_sets
from grasp_learning.storage import utc_now

SCORES_FILE = "scores.csv"


class EvaluationSettings(Settings):
    """What to evaluate, and how.

    Attributes:
        data: datasets, their folders or files.
        methods: in the order of the tables.
        splits: test sets; None for those of test_novel and test_seen that the data has.
        seed: of the balancing, the bootstrap and the methods.
        rounds: draws of the bootstrap.
        train_stages: methods are fitted to trials of these stages only; None for all.
        progress: show bars on stderr where it is a terminal.
        pictures: draw them.
        command: for the record.
    """

    data: Tuple[str, ...] = Field(min_length=1)
    methods: Tuple[MethodSpec, ...] = Field(min_length=1)
    splits: Optional[Tuple[str, ...]] = None
    seed: int = Field(0, ge=0)
    rounds: int = Field(ROUNDS, ge=100)
    train_stages: Optional[Tuple[int, ...]] = None
    progress: bool = True
    pictures: bool = True
    command: Tuple[str, ...] = ()


class _Answer(NamedTuple):
    """What a method said of a test set."""

    candidate: Candidate
    test: BalancedTest
    scored: Scored

    @property
    def right(self) -> np.ndarray:
        return right(self.test, self.scored.scores, self.scored.threshold)


def evaluate(settings: EvaluationSettings, out) -> Evaluation:
    """Evaluate methods; also writes evaluation.json, scores.csv and pictures into a folder.

    An interrupted one goes on where it stopped: what was learnt and all scores are kept in the folder's cache.

    Args:
        out: the folder.

    Raises:
        DatasetError: data is missing or damaged, or a test set shares data with training (SharedDataError).
        MethodError: a method cannot be made, fitted or asked.
        EvaluationError: the folder is in use or cannot be written.
    """
    begin, started = time.monotonic(), utc_now()
    candidates = create_all(settings.methods)
    with EvaluationFolder(out) as folder:
        identity = open_dataset(settings.data).identity
        sets = learning_sets(settings.data, settings.train_stages, settings.progress)
        tests = test_sets(settings.data, settings.splits, sets.known, settings.seed, settings.rounds)
        answers = _ask(candidates, tests, folder, sets, settings)
        evaluation = Evaluation(
            command=list(settings.command),
            data=list(settings.data),
            dataset_identity=identity,
            train_identity=sets.train.identity,
            train_stages=settings.train_stages,
            seed=settings.seed,
            rounds=settings.rounds,
            package_version=grasp_learning.__version__,
            started=started,
            seconds=time.monotonic() - begin,
            tests=[test.info for test in tests],
            results=[_result(answer, sets) for answer in answers],
            comparisons=_comparisons(answers),
            notes=[note for test in tests for note in test.info.notes] + _network_notes(answers, identity),
        )
        _write(folder, evaluation, answers, settings.pictures)
    return evaluation


def _ask(
    candidates: Sequence[Candidate],
    tests: Sequence[BalancedTest],
    folder: EvaluationFolder,
    sets: LearningSets,
    settings: EvaluationSettings,
) -> List[_Answer]:
    """Answers of all methods, ordered by test set."""
    found: Dict[Tuple[int, int], _Answer] = {}
    # a method at a time: what one has learnt may fill hundreds of megabytes
    for place, candidate in enumerate(candidates):
        scorer = Scorer(candidate, folder, sets, settings.seed, settings.progress)
        for number, test in enumerate(tests):
            found[number, place] = _Answer(candidate, test, scorer.scored(test))
    return [found[key] for key in sorted(found)]


def _result(answer: _Answer, sets: LearningSets) -> MethodResult:
    rows, scored, method = answer.test.rows, answer.scored, answer.candidate.method
    labels, scores, correct, bootstrap = rows.labels, scored.scores, answer.right, answer.test.bootstrap
    auc, average_precision = metrics.ranking_figures(labels, scores, bootstrap)
    train_samples, train_successes = patches_of(sets) if answer.candidate.learns else (0, 0)
    return MethodResult(
        method=method.name,
        spec=answer.candidate.spec.spec,
        split=answer.test.info.split,
        samples=len(rows),
        successes=int(labels.sum()),
        clusters=bootstrap.count,
        resampled_by=answer.test.resampled_by,
        accuracy=metrics.accuracy_interval(labels, correct, bootstrap),
        recall_success=metrics.mean_or_none(correct[labels == 1]),
        recall_failure=metrics.mean_or_none(correct[labels == 0]),
        precision=metrics.mean_or_none(labels[scores >= scored.threshold]),
        auc=auc,
        average_precision=average_precision,
        calibration=metrics.calibration(labels, scores) if method.probabilistic else None,
        curve=metrics.precision_recall(labels, scores),
        bins=metrics.by_bin(rows.bins, labels, scores, correct),
        objects=metrics.by_object(metrics.object_names(rows.objects, rows.near), labels, scores, correct),
        threshold=scored.threshold,
        optimistic=method.optimistic,
        probabilistic=method.probabilistic,
        parameters=dict(scored.parameters),
        train_samples=train_samples,
        train_successes=train_successes,
        fit_seconds=scored.fit_seconds,
        score_seconds=scored.score_seconds,
        paper=paper_accuracy(answer.candidate.spec.spec, scored.parameters, answer.test.info.split),
    )


def _comparisons(answers: Sequence[_Answer]) -> List[Comparison]:
    """Of all pairs of methods on each test set."""
    found = []
    for first, second in combinations(answers, 2):
        if first.test is second.test:
            names = first.candidate.method.name, second.candidate.method.name
            test, rights = first.test, (first.right, second.right)
            found.append(metrics.compare(test.info.split, names, test.rows.labels, rights, test.bootstrap))
    return found


def _network_notes(answers: Sequence[_Answer], identity: str) -> List[str]:
    """Networks that did not learn from these rows: nobody can tell here what else they have seen."""
    others: Mapping[str, None] = {
        answer.candidate.method.name: None
        for answer in answers
        if answer.scored.parameters.get("dataset_identity", identity) != identity
    }
    return [
        f"{name}: was trained on other data, or on these before they grew; whether it has seen what it is tested on "
        "was not checked (trials of a collection that grows stay in their split)"
        for name in others
    ]


def _write(folder: EvaluationFolder, evaluation: Evaluation, answers: Sequence[_Answer], pictures: bool) -> None:
    """Write everything; evaluation.json last, so that where it is, the rest is."""
    parts = [
        (each.candidate.method.name, each.test.rows, each.scored.scores, each.scored.threshold) for each in answers
    ]
    with folder.explained():
        write_atomically(folder.path / SCORES_FILE, folder.path / f".{SCORES_FILE}.part", scores_csv(parts))
        remove_others(folder.path, draw_evaluation(folder.path, evaluation) if pictures else [])
        save_evaluation(folder.path, evaluation)
