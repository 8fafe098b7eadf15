"""A training from its settings to a checkpoint: checks first, then Lightning's loop, then the evaluation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional

import torch

from grasp_learning.checkpoint import (
    Checkpoint,
    CheckpointInfo,
    PatchGeometry,
    load_checkpoint,
    save_checkpoint,
)
from grasp_learning.config import parse_settings
from grasp_learning.dataset.reader import Dataset, open_dataset
from grasp_learning.dataset.schema import SPAN_TOLERANCE, TEST_SPLITS, TRAIN, VALIDATION
from grasp_learning.network import GraspNetwork, NetworkSettings, initialise_from_imagenet
from grasp_learning.pretrained import description_of
from grasp_learning.storage import file_sha256
from grasp_learning.training.callbacks import KeepBest
from grasp_learning.training.data import GraspData
from grasp_learning.training.errors import TrainingError
from grasp_learning.training.evaluation import evaluate
from grasp_learning.training.features import Features, compute_features
from grasp_learning.training.folder import (
    BEST_FILE,
    MODEL_FILE,
    PATCHES_FOLDER,
    STATE_FILE,
    claim,
    kind_of,
    locked,
    write_metrics,
)
from grasp_learning.training.hardware import accelerator_of, local_device, memory_for_patches, precision_of
from grasp_learning.training.lightning_library import is_first_process, lightning
from grasp_learning.training.loading import check_trainable, load_samples
from grasp_learning.training.loop import fit, make_trainer
from grasp_learning.training.module import GraspModule
from grasp_learning.training.patch_cache import remove_cache
from grasp_learning.training.samples import Samples
from grasp_learning.training.selection import Selection, select_rows
from grasp_learning.training.settings import TrainSettings


@dataclass(frozen=True)
class TrainResult:
    """A finished training.

    Attributes:
        checkpoint: the network's file.
        sha256: of the file; empty in the processes that only help.
        metrics: "test_novel/balanced_accuracy" and the like, for each split that the datasets have.
        finished_before: whether there was nothing left to do.
    """

    checkpoint: Path
    sha256: str
    metrics: Dict[str, float]
    finished_before: bool = False


def train(settings: TrainSettings) -> TrainResult:
    """Train a network, or go on with a training that was interrupted.

    Raises:
        ConfigError: the settings of the network are wrong; nothing was made.
        DatasetError: a dataset is missing, damaged, empty, has one class only, or mixes patch geometries.
        CheckpointError: `init` cannot be used, or the result cannot be written.
        NetworkError: the weights of the convolutions cannot be used.
        TrainingError: the settings do not fit the data, the folder or the machine; the training diverged or was
            interrupted; the disk is full.
    """
    accelerator = accelerator_of(settings)
    dataset = open_dataset(settings.data)
    check_trainable(dataset, settings.data)
    selection = select_rows(settings)
    if settings.select == "best" and not dataset.count(VALIDATION):
        raise TrainingError(
            f"{', '.join(settings.data)}: no row of split '{VALIDATION}', so no epoch is known to be the best; "
            "export more trials, or choose --select last"
        )
    parent = load_checkpoint(settings.init) if settings.init else None
    if parent is not None:
        _check_parent(parent, dataset, settings)
    job = _Job(settings, dataset, parent, accelerator, selection)
    if not is_first_process():
        return job.result_of_before(helping=True) or job.run()
    with locked(job.folder):
        claim(job.folder, job.kind())
        # the global generator is reseeded in each step; whoever called has theirs back afterwards
        with torch.random.fork_rng(enabled=accelerator == "cpu"):
            return job.result_of_before() or job.run()


def _check_parent(parent: Checkpoint, dataset: Dataset, settings: TrainSettings) -> None:
    if parent.info.variant != settings.variant:
        raise TrainingError(
            f"{parent.path}: is of variant '{parent.info.variant}', this training of '{settings.variant}'; "
            f"start with --variant {parent.info.variant} or another --init"
        )
    ours, theirs = dataset.geometry.span, float(parent.info.training.get("patch_span", 0.0))
    if ours and theirs and abs(ours / theirs - 1) > SPAN_TOLERANCE:
        raise TrainingError(
            f"{parent.path}: was trained on patches that span {theirs:.4f} m at a distance of 1 m, the datasets' span "
            f"{ours:.4f} m; export them with the same footprint and scale, or choose another --init"
        )


class _Job:
    """What the parts of one training share."""

    def __init__(
        self,
        settings: TrainSettings,
        dataset: Dataset,
        parent: Optional[Checkpoint],
        accelerator: str,
        selection: Optional[Selection],
    ):
        self.settings, self.dataset, self.parent, self.accelerator = settings, dataset, parent, accelerator
        self.selection = selection
        self.weights = self._weights()
        self.folder = Path(settings.out)
        self.memory_gb, self.memory_used = memory_for_patches(settings), 0.0
        self.patch_cache = Path(settings.patch_cache) if settings.patch_cache else self.folder / PATCHES_FOLDER
        inherited = parent.network.settings.model_dump() if parent else {"variant": settings.variant}
        self.network_settings = parse_settings(NetworkSettings, {**inherited, **settings.network}, "network")

    def kind(self) -> Dict[str, Any]:
        """What makes this training the one that lies in the folder."""
        parent = self.parent.sha256 if self.parent else ""
        weights = self.weights.get("weights_sha256", "" if self.parent else self.settings.weights)
        return {**kind_of(self.settings, self.dataset.identity, parent), "weights": weights}

    def _weights(self) -> Dict[str, str]:
        """What is known of a local file of the convolutions' weights; nothing where none is used."""
        weights = self.settings.weights
        if self.parent or weights in ("none", "imagenet") or not Path(weights).is_file():
            return {}
        return {"weights_sha256": file_sha256(weights), "weights_of": description_of(weights)}

    def result_of_before(self, helping: bool = False) -> Optional[TrainResult]:
        """The result of a training that has finished already.

        Args:
            helping: this process would only help; the first one has nothing to do and does not wait for it.
        """
        path = self.folder / MODEL_FILE
        if not path.exists():
            return None
        if helping:
            return TrainResult(path, "", {}, finished_before=True)
        found = load_checkpoint(path)
        return TrainResult(path, found.sha256, dict(found.info.metrics), finished_before=True)

    def run(self) -> TrainResult:
        """Train, evaluate, save."""
        settings = self.settings
        train_samples = self._load(TRAIN, self.selection)
        validation = self._load(VALIDATION)
        network = self._network()
        data = GraspData(settings, train_samples, validation, self._features(network, train_samples))
        shift = 0.0 if settings.balance == "none" else train_samples.success_shift(settings.resolved_gamma)
        module = GraspModule(network, settings, data.steps_per_epoch, shift)
        trainer = self._trainer()
        state = self.folder / STATE_FILE
        fit(trainer, module, data, state if state.exists() else None)
        if not trainer.is_global_zero:
            return TrainResult(self.folder / MODEL_FILE, "", {})
        return self._finish(module.network, validation)

    def _load(self, split: str, selection: Optional[Selection] = None) -> Optional[Samples]:
        settings, rows = self.settings, None if selection is None else selection.rows
        room = max(0.0, self.memory_gb - self.memory_used)
        samples = load_samples(settings.data, self.dataset, split, room, settings.progress, rows, self.patch_cache)
        # test splits come one after the other, each to be forgotten before the next
        if samples is not None and split in (TRAIN, VALIDATION):
            self.memory_used += samples.patches.memory / 1e9
        return samples

    def _network(self) -> GraspNetwork:
        settings = self.settings
        if self.parent is not None:
            weights = {name: tensor.clone() for name, tensor in self.parent.network.state_dict().items()}
            return GraspNetwork(self.network_settings, state=weights).train()
        network = GraspNetwork(self.network_settings, torch.Generator().manual_seed(settings.seed))
        if settings.weights != "none" and not (self.folder / STATE_FILE).exists():
            initialise_from_imagenet(network, "download" if settings.weights == "imagenet" else settings.weights)
        return network.train()

    def _features(self, network: GraspNetwork, samples: Samples) -> Optional[Features]:
        settings = self.settings
        if not settings.freeze_convolutions:
            return None
        return compute_features(
            network,
            samples,
            1 if settings.augment == "none" else settings.rotations,
            settings.seed,
            self.memory_gb,
            local_device(self.accelerator),
            precision_of(settings, self.accelerator) == "bf16-mixed",
            settings.progress,
        )

    def _trainer(self) -> lightning.Trainer:
        best = KeepBest(lambda network, metrics: self._save(BEST_FILE, network, metrics))
        return make_trainer(self.settings, self.folder, self.accelerator, best)

    def _finish(self, network: GraspNetwork, validation: Optional[Samples]) -> TrainResult:
        best = self.folder / BEST_FILE
        if self.settings.select == "best" and best.exists():
            network = load_checkpoint(best).network
        network.to(local_device(self.accelerator))
        metrics: Dict[str, float] = {}
        for split in (VALIDATION, *TEST_SPLITS):
            samples = validation if split == VALIDATION else self._load(split)
            if samples is not None:
                metrics.update(evaluate(network, samples, self.settings.batch_size).metrics(split))
        remove_cache(self.patch_cache)
        write_metrics(self.folder, metrics)
        sha256 = self._save(MODEL_FILE, network, metrics)
        return TrainResult(self.folder / MODEL_FILE, sha256, metrics)

    def _save(self, name: str, network: GraspNetwork, metrics: Dict[str, float]) -> str:
        dataset, settings = self.dataset, self.settings
        whole = count = dataset.count(TRAIN)
        successes = dataset.count(TRAIN, 1)
        if self.selection is not None:
            count, successes = self.selection.count, self.selection.successes
        part = f" of {whole}" if count < whole else ""
        names = ", ".join(Path(path).name for path in settings.data)
        facts = {
            "dataset_identity": dataset.identity,
            "patch_span": dataset.geometry.span,
            "epochs": settings.resolved_epochs,
            "learning_rate": settings.resolved_rate,
            "schedule": settings.resolved_schedule,
            "warm_up": settings.resolved_warm_up,
            "gamma": settings.resolved_gamma,
            **self.weights,
        }
        movable = {"data", "out", "init", "progress", "patch_cache"}
        info = CheckpointInfo.of(
            network,
            stage=settings.stage,
            dataset=f"{names}: {count}{part} trials, {successes} successes",
            samples=count,
            metrics=metrics,
            training={**settings.model_dump(exclude=movable), **facts},
            seed=settings.seed,
            parent_sha256=self.parent.sha256 if self.parent else "",
            patch=PatchGeometry(side=dataset.geometry.patch_size),
        )
        return save_checkpoint(self.folder / name, network, info)
