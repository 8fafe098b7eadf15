"""Lightning's loop as all trainings of this package run it: what ends it early, what it saves, how it goes on."""

from pathlib import Path
from typing import List, Optional

from grasp_learning.training.callbacks import Progress, SaveState, StopAtNan, StopWhenAsked
from grasp_learning.training.data import GraspData
from grasp_learning.training.errors import TrainingInterrupted
from grasp_learning.training.folder import LOGS_FOLDER, STATE_FILE, DurableState, next_run
from grasp_learning.training.hardware import precision_of
from grasp_learning.training.lightning_library import CSVLogger, TensorBoardLogger, lightning
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
    callbacks: List[lightning.Callback] = [StopAtNan(), StopWhenAsked()]
    callbacks += [] if best is None else [best]
    callbacks += [Progress(settings.progress), SaveState(folder, Path(STATE_FILE).stem)]
    return lightning.Trainer(
        default_root_dir=folder,
        accelerator=accelerator,
        devices=settings.devices,
        num_nodes=settings.num_nodes,
        strategy=settings.strategy,
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


def fit(trainer: lightning.Trainer, module: GraspModule, data: GraspData, state: Optional[Path]) -> None:
    """Run the loop, from its beginning or from a state.

    Raises:
        TrainingInterrupted: by Ctrl-C or SIGTERM.
    """
    callbacks = trainer.callbacks  # type: ignore[attr-defined] # Lightning adds it elsewhere
    stop = next(callback for callback in callbacks if isinstance(callback, StopWhenAsked))
    try:
        with stop.listening():
            trainer.fit(module, data, ckpt_path=None if state is None else str(state))
    except SystemExit:
        # Lightning leaves the process after Ctrl-C and at SIGTERM
        raise TrainingInterrupted(_how_to_go_on(trainer)) from None
    if trainer.interrupted:
        raise TrainingInterrupted(_how_to_go_on(trainer))


def _how_to_go_on(trainer: lightning.Trainer) -> str:
    state = trainer.checkpoint_callback
    saved = state.epochs if isinstance(state, SaveState) else 0
    return (
        f"stopped in epoch {trainer.current_epoch + 1} of {trainer.max_epochs}; "
        f"{saved} of the epochs before it are saved, start the same command again to go on"
    )
