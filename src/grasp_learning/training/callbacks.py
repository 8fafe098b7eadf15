"""What happens around the steps: a bad loss or Ctrl-C ends the training, the best network is kept, progress."""

import contextlib
import math
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Optional, Tuple

import torch
from tqdm import tqdm

from grasp_learning.network import GraspNetwork
from grasp_learning.training.errors import DivergedError, TrainingError
from grasp_learning.training.lightning_library import ModelCheckpoint, lightning

CHECK_EVERY = 50  # steps, on a GPU: to look at each loss would make it wait
BEST_OF = "validation/balanced_accuracy"


class SameStart(lightning.Callback):
    """Ends a training of several processes that do not all go on from the same state, before the first step."""

    def on_fit_start(self, trainer, pl_module) -> None:
        """Compare this process's state with the first one's."""
        if trainer.world_size == 1:
            return
        ours = trainer.ckpt_path is not None
        if trainer.strategy.broadcast(ours) != ours:
            raise TrainingError(
                f"process {trainer.global_rank} of {trainer.world_size}: {trainer.default_root_dir} has "
                f"{'a' if ours else 'no'} saved state here, unlike on the first machine; --out must be a folder that "
                "all machines share"
            )


class StopAtNan(lightning.Callback):
    """Ends the training at a loss that is not a number, before it reaches a checkpoint.

    The first bad step is noted on the device; a CPU is asked after each step, a GPU now and then.
    """

    def __init__(self) -> None:
        self._first: Optional[torch.Tensor] = None

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        """Look at the step's loss."""
        loss = outputs["loss"].detach()
        if self._first is None:
            self._first = torch.full((), -1, device=loss.device)
        bad = ~torch.isfinite(loss) & (self._first < 0)
        self._first = torch.where(bad, trainer.global_step, self._first)
        if loss.device.type == "cpu" or (batch_idx + 1) % CHECK_EVERY == 0:
            self._raise_if_bad()

    def on_validation_start(self, trainer, pl_module) -> None:
        """Before the epoch's state is saved."""
        self._check_all(trainer, pl_module)

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        """Before the epoch's state is saved."""
        self._check_all(trainer, pl_module)

    def _check_all(self, trainer, pl_module) -> None:
        self._raise_if_bad()
        # the last step's update has not met a loss yet
        if not all(bool(torch.isfinite(parameter).all()) for parameter in pl_module.parameters()):
            raise DivergedError(_diverged(f"weights are not finite after step {trainer.global_step}"))

    def _raise_if_bad(self) -> None:
        if self._first is not None and int(self._first) >= 0:
            raise DivergedError(_diverged(f"the loss is not a number at step {int(self._first)}"))


def _diverged(what: str) -> str:
    return (
        f"{what}: the training diverged; what was saved after earlier epochs is kept. "
        "Start again into another --out with a smaller --learning-rate or --gradient-clip"
    )


class StopWhenAsked(lightning.Callback):
    """Ends the training after Ctrl-C, between two steps.

    Python's own KeyboardInterrupt may arise anywhere within a step, also where it is swallowed, as in the clean-up of
    an object. A second Ctrl-C does not wait for the step's end.
    """

    def __init__(self) -> None:
        self._asked = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take Ctrl-C meanwhile; only a program's main thread gets signals."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self._on_signal)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _on_signal(self, *_) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        """The step is done."""
        self._stop_if_asked()

    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0) -> None:
        """A validation may take long, too."""
        self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self._asked:
            # Lightning's way to an orderly end
            raise KeyboardInterrupt


class KeepBest(lightning.Callback):
    """Keeps the network whenever the validation split says that it is better than all before.

    It is saved before the next state is, so that the best network that a state speaks of lies beside it.

    Args:
        save: called with the network and the figures of validation.
    """

    def __init__(self, save: Callable[[GraspNetwork, Dict[str, float]], None]):
        self._save = save
        self._unsaved: Optional[Tuple[Dict[str, torch.Tensor], Dict[str, float]]] = None
        self.best, self.epoch = -math.inf, -1

    def on_validation_end(self, trainer, pl_module) -> None:
        """Compare the epoch with the best."""
        figures = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("valid")}
        value = figures.get(BEST_OF, -math.inf)
        if trainer.sanity_checking or not value > self.best:
            return
        self.best, self.epoch = value, trainer.current_epoch
        if trainer.is_global_zero:
            weights = pl_module.network.state_dict()
            self._unsaved = {name: tensor.detach().clone() for name, tensor in weights.items()}, figures

    def on_save_checkpoint(self, trainer, pl_module, checkpoint) -> None:
        """Before the state is saved."""
        if self._unsaved is not None:
            weights, figures = self._unsaved
            self._save(GraspNetwork(pl_module.network.settings, state=weights), figures)
            self._unsaved = None

    def state_dict(self) -> Dict[str, Any]:
        """What a training that goes on needs to know."""
        return {"best": self.best, "epoch": self.epoch}

    def load_state_dict(self, state_dict: Dict[str, Any]) -> None:
        """Take it up again."""
        self.best, self.epoch = state_dict["best"], state_dict["epoch"]


class SaveState(ModelCheckpoint):
    """Saves one state, after an epoch; seldom enough that it takes little of the time where epochs are short.

    Lightning calls it after all other callbacks, when their states are those of the epoch's end.

    Attributes:
        epochs: how many are saved; 0 before the training starts.
    """

    SHARE = 0.1  # of the time, at most; 0.5 GB are written at once

    def __init__(self, folder: Path, name: str):
        super().__init__(folder, name, save_top_k=1, save_on_train_epoch_end=True, enable_version_counter=False)
        self.epochs = 0
        self._not_before = -math.inf

    def on_train_start(self, trainer, pl_module) -> None:
        """What a training goes on from is saved already."""
        super().on_train_start(trainer, pl_module)
        self.epochs = trainer.global_step // trainer.num_training_batches

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        """Save the first epoch, the last one, and those between that may take the time."""
        begin = time.monotonic()
        due = begin >= self._not_before or trainer.current_epoch + 1 >= trainer.max_epochs
        # all processes save together, so one of them decides
        if not trainer.strategy.broadcast(due):
            return
        super().on_train_epoch_end(trainer, pl_module)
        end = time.monotonic()
        self._not_before = end + (end - begin) * (1.0 / self.SHARE - 1.0)
        self.epochs = trainer.current_epoch + 1


class Progress(lightning.Callback):
    """One bar over all epochs on stderr, and a line for each epoch.

    Args:
        bar: whether to show the bar; it shows on a terminal only.
    """

    REFRESH = 10  # steps between looks at the loss

    def __init__(self, bar: bool):
        self._show, self._bar = bar, None

    def on_train_start(self, trainer, pl_module) -> None:
        """Show what is done already."""
        if trainer.is_global_zero:
            total = trainer.max_epochs * trainer.num_training_batches
            disable = None if self._show else True
            self._bar = tqdm(total=total, initial=trainer.global_step, desc="training", unit="step", disable=disable)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        """Count the step."""
        if self._bar is None or self._bar.disable:
            return
        self._bar.update()
        if batch_idx % self.REFRESH == 0:
            self._bar.set_postfix(epoch=trainer.current_epoch + 1, loss=f"{float(outputs['loss']):.3f}", refresh=False)

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        """One line an epoch."""
        if self._bar is None:
            return
        figures = trainer.callback_metrics
        text = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  loss {float(figures['train/loss_epoch']):.4f}"
        if BEST_OF in figures:
            text += f"  validation balanced accuracy {float(figures[BEST_OF]):.3f}"
        tqdm.write(text, file=sys.stderr)

    def on_train_end(self, trainer, pl_module) -> None:
        """Leave the line to others."""
        self._close()

    def on_exception(self, trainer, pl_module, exception) -> None:
        """Leave the line to the error."""
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
