"""The steps of a stage as jobs, and the interface of whoever carries them out."""

import abc
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional


class ToolFailed(Exception):
    """A tool did not do its job; the message is its own reason in one line."""


@dataclass(frozen=True)
class CollectJob:
    """Bring a collection to a number of labelled trials; what it holds already counts.

    Attributes:
        folder: of the collection.
        stage: of the curriculum.
        trials: labelled trials that it shall hold.
        seed: of every random choice.
        mode: "random", "staged" (importance sampling) or "best".
        model: checkpoint that guides; None in random mode.
        objects: "train", or "test" for those that no network was trained with.
        log: file for the tool's output.
    """

    folder: Path
    stage: int
    trials: int
    seed: int
    mode: str
    model: Optional[Path]
    objects: str
    log: Path


@dataclass(frozen=True)
class ExportJob:
    """Add what is new in collections to a dataset."""

    collections: List[Path]
    dataset: Path
    log: Path


@dataclass(frozen=True)
class TrainJob:
    """Train the network of a stage on the stages so far, or take an interrupted training up.

    Attributes:
        dataset: of all stages so far.
        folder: of the training.
        model: where the network goes, whole or not at all.
        stage: of the curriculum.
        parent: network to be finetuned; None in stage 0.
        epochs: 0 for the trainer's own number.
        gamma: weight of trials of the model-guided stages.
        seed: of every random choice.
        options: further arguments for the trainer.
        log: file for the tool's output.
    """

    dataset: Path
    folder: Path
    model: Path
    stage: int
    parent: Optional[Path]
    epochs: int
    gamma: float
    seed: int
    options: List[str]
    log: Path


@dataclass(frozen=True)
class ModelFacts:
    """What a checkpoint tells of itself.

    Attributes:
        sha256: of its file.
        stage: of the curriculum.
        parent_sha256: of the network it was finetuned from; empty in stage 0.
        patches: that it was trained with; 0 where it does not tell.
        accuracy_seen, accuracy_novel: balanced accuracy on the test splits; None where it does not tell.
    """

    sha256: str
    stage: int
    parent_sha256: str = ""
    patches: int = 0
    accuracy_seen: Optional[float] = None
    accuracy_novel: Optional[float] = None


class Tools(abc.ABC):
    """Carries out jobs. Each may be killed at any instant, and does what is left when it is given again."""

    @abc.abstractmethod
    def collect(self, job: CollectJob) -> None:
        """Carry out a CollectJob.

        Raises:
            ToolFailed: it could not be carried out.
        """

    @abc.abstractmethod
    def export(self, job: ExportJob) -> None:
        """Carry out an ExportJob; raises as :meth:`collect` does."""

    @abc.abstractmethod
    def train(self, job: TrainJob) -> None:
        """Carry out a TrainJob; raises as :meth:`collect` does."""

    @abc.abstractmethod
    def patches_of(self, dataset: Path, collection: str) -> int:
        """How many patches of a collection, by its folder's name, a dataset holds; 0 where there is no dataset.

        Raises:
            ToolFailed: it is damaged.
        """

    @abc.abstractmethod
    def model_facts(self, model: Path) -> Optional[ModelFacts]:
        """What a checkpoint tells of itself; None where there is none.

        Raises:
            ToolFailed: it is damaged.
        """
