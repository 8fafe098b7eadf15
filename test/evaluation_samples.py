"""Datasets with scenes and objects for tests of the evaluation, and methods whose answers are known."""

import numpy as np
from training_samples import GEOMETRY, bar_rows

from grasp_learning.dataset.writer import write_dataset
from grasp_learning.evaluation.method import Method, MethodError

PER_SCENE = 5


def placed_rows(count, rng, split, objects, **more):
    """Rows of bars that have scenes and objects."""
    rows = bar_rows(count, rng, split, **more)
    for place, row in enumerate(rows):
        row["object"] = objects[place % len(objects)]
        row["objects"] = [row["object"]]
        row["scene"] = f"bars/{split}-{place // PER_SCENE}"
    return rows


def placed_dataset(folder, train=30, validation=10, test_novel=20, test_seen=20, seed=0, change=None, **more):
    """A dataset of bars in scenes; returns its folder.

    Args:
        change: called with the rows before they are written.
        more: arguments of bar_rows.
    """
    rng = np.random.default_rng(seed)
    known, novel = ("can", "mug"), ("bone", "star", "pan")
    rows = []
    for split, count in (
        ("train", train),
        ("validation", validation),
        ("test_novel", test_novel),
        ("test_seen", test_seen),
    ):
        rows += placed_rows(count, rng, split, novel if split == "test_novel" else known, **more)
    if change:
        change(rows)
    write_dataset(folder, rows, GEOMETRY)
    return folder


class Oracle(Method):
    """Knows the labels, but for a part of them that it has wrong."""

    name = "oracle"
    probabilistic = True

    def __init__(self, wrong: float = 0.0, off: float = 0.1):
        self.wrong, self.off = wrong, off

    def scores(self, samples):
        told = samples.labels.copy()
        some = np.random.default_rng(1).permutation(len(told))[: int(self.wrong * len(told))]
        told[some] = 1 - told[some]
        return np.where(told == 1, 1 - self.off, self.off)

    def parameters(self):
        return {"wrong": self.wrong, "off": self.off}


class Learner(Method):
    """Counts how often it is fitted and asked; it predicts the share of successes in training."""

    name = "learner"
    fitted = asked = restored = 0

    def fit(self, train, validation, seed, progress=False):
        type(self).fitted += 1
        self.share = float(train.labels.mean())

    def scores(self, samples):
        type(self).asked += 1
        return np.full(len(samples), self.share)

    def state(self):
        return {"share": np.array(self.share)}

    def restore(self, state):
        type(self).restored += 1
        self.share = float(state["share"])


class Fickle(Learner):
    """Is interrupted when it is asked about test_seen, until told otherwise."""

    name = "fickle"
    interrupted = True

    def scores(self, samples):
        if self.interrupted and samples.name == "test_seen":
            raise KeyboardInterrupt
        return super().scores(samples)


class Peeker(Method):
    """Takes the threshold that is best on the test set."""

    name = "peeker"
    optimistic = True
    threshold = 2.0

    def choose(self, test):
        self.threshold = 0.5

    def scores(self, samples):
        return samples.labels.astype(float)

    def parameters(self):
        return {"threshold": self.threshold}


class Broken(Method):
    """Answers otherwise than it should."""

    def __init__(self, how: str = "shape"):
        self.how = how
        self.probabilistic = how == "probability"

    def scores(self, samples):
        wrong = {"shape": np.zeros(3), "nan": np.full(len(samples), np.nan), "probability": np.full(len(samples), 2.0)}
        return wrong.get(self.how, np.zeros(len(samples)))

    def parameters(self):
        return {"how": object()} if self.how == "json" else {}


class Forgetful(Learner):
    """Cannot take its own state over."""

    name = "forgetful"

    def restore(self, state):
        raise MethodError("forgetful: not such a state")


class OneWay(Method):
    """Gives a state, but takes none."""

    name = "one way"

    def scores(self, samples):
        return np.zeros(len(samples))

    def state(self):
        return {}
