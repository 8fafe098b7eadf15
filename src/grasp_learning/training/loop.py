"""Lightning's loop as all trainings of this package run it: what ends it early, what it saves, how it goes on."""

from datetime import timedelta
from pathlib import Path
from typing import List, Optional, Union

import torch

from grasp_learning.training.callbacks import Progress, SameStart, SaveState, StopAtNan, StopWhenAsked
from grasp_learning.training.data import GraspData
from grasp_learning.training.errors import TrainingError, TrainingInterrupted
from grasp_learning.training.folder import LOGS_FOLDER, STATE_FILE, DurableState, next_run
from grasp_learning.training.hardware import precision_of
from grasp_learning.training.lightning_library import CSVLogger, DDPStrategy, TensorBoardLogger, lightning
from grasp_learning.training.module import GraspModule
from grasp_learning.training.settings import TrainSettings


def make_trainer(
    settings: TrainSettings, folder: Path, accelerator: str, best: Optional[lightning.Callback] = None
) -> lightning.Trainer:
    """The loop.

    Args:
        folder: of the state and the logs.
        accelerator: "cpu" or "cuda".
        best: keeps the best network before a state is saved.
    """
    run = next_run(folder)
    callbacks: List[lightning.Callback] = [SameStart(), StopAtNan(), StopWhenAsked()]
    callbacks += [] if best is None else [best]
    callbacks += [Progress(settings.progress), SaveState(folder, Path(STATE_FILE).stem)]
    return lightning.Trainer(
        default_root_dir=folder,
        accelerator=accelerator,
        devices=settings.devices,
        num_nodes=settings.num_nodes,
        strategy=_strategy(settings),
        precision=precision_of(settings, accelerator),
        max_epochs=settings.resolved_epochs,
        logger=[cls(folder, LOGS_FOLDER, run) for cls in (CSVLogger, TensorBoardLogger)],
        callbacks=callbacks,
        plugins=[DurableState()],
        benchmark=accelerator == "cuda",
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _strategy(settings: TrainSettings) -> Union[str, DDPStrategy]:
    """Lightning's; where several processes train, none waits for ever for another one."""
    several = settings.devices * settings.num_nodes > 1
    if several and settings.strategy in ("auto", "ddp"):
        return DDPStrategy(timeout=timedelta(seconds=settings.peer_deadline))
    return settings.strategy


def fit(trainer: lightning.Trainer, module: GraspModule, data: GraspData, state: Optional[Path]) -> None:
    """Run the loop, from its beginning or from a state.

    Raises:
        TrainingInterrupted: by Ctrl-C or SIGTERM.
        TrainingError: another one of the processes that train together is lost.
    """
    callbacks = trainer.callbacks  # type: ignore[attr-defined] # Lightning adds it elsewhere
    stop = next(callback for callback in callbacks if isinstance(callback, StopWhenAsked))
    try:
        with stop.listening():
            trainer.fit(module, data, ckpt_path=None if state is None else str(state))
    except SystemExit:
        # Lightning leaves the process after Ctrl-C and at SIGTERM
        raise TrainingInterrupted(_how_to_go_on(trainer)) from None
    except RuntimeError as error:
        if trainer.world_size == 1 or not _is_of_others(error):
            raise
        reason = " ".join(str(error).split()).split(". ")[0]
        raise TrainingError(
            f"process {trainer.global_rank} of {trainer.world_size}: another one ended, or was not there in time "
            f"({reason[:300]}); see what it said, and start the same command on all machines again, which goes on "
            "after the last saved epoch"
        ) from error
    if trainer.interrupted:
        raise TrainingInterrupted(_how_to_go_on(trainer))


def _is_of_others(error: RuntimeError) -> bool:
    """Whether it is one of torch.distributed, whose back ends raise errors of several kinds."""
    words = ("gloo", "nccl", "peer", "connect", "timed out", "timeout", "rendezvous", "store", "socket")
    return isinstance(error, torch.distributed.DistError) or any(word in str(error).lower() for word in words)


def _how_to_go_on(trainer: lightning.Trainer) -> str:
    state = trainer.checkpoint_callback
    saved = state.epochs if isinstance(state, SaveState) else 0
    return (
        f"stopped in epoch {trainer.current_epoch + 1} of {trainer.max_epochs}; "
        f"{saved} of the epochs before it are saved, start the same command again to go on"
    )
