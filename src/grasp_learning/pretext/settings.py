"""Settings of a pretext task."""

from pathlib import Path
from typing import Literal, Optional

from pydantic import Field, field_validator

from grasp_learning.config import Settings
from grasp_learning.training.settings import TrainSettings

HELD_BACK = 10  # one table in so many is never trained on
SUFFIX = ".safetensors"
WARM_UP = 0.5  # epochs of linearly growing rate


class PretextSettings(Settings):
    """One pretext task.

    Attributes:
        out: file of the convolutions' weights, .safetensors.
        work: folder of the rendered patches and of the training's state; empty for one beside `out`.
        scenes: tables that are rendered; one in ten is held back to measure the accuracy.
        views: wrist pictures of each table.
        epochs: of training.
        seed: of everything random.
        workers: processes that render.
        variant: network whose convolutions are trained, "paper" or "released".
        batch_size: patches a step.
        learning_rate: of SGD, after a warm-up of half an epoch, falling along a cosine.
        device: "auto", "cpu" or "cuda".
        precision: "auto" is bf16 where the processor computes with it, else fp32.
        memory_gb: see TrainSettings.
        scene_deadline: for the pictures of one table (s of wall clock), after which its worker is ended.
        progress: whether to show progress bars (on a terminal only).
    """

    out: str = Field(min_length=1)
    work: str = ""
    scenes: int = Field(300, ge=2)
    views: int = Field(10, ge=1, le=1000)
    epochs: int = Field(20, ge=1)
    seed: int = Field(0, ge=0)
    workers: int = Field(2, ge=1)
    variant: Literal["paper", "released"] = "paper"
    batch_size: int = Field(64, ge=1)
    learning_rate: float = Field(0.01, gt=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    memory_gb: Optional[float] = Field(None, ge=0)
    scene_deadline: float = Field(600.0, gt=0)
    progress: bool = True

    @field_validator("out")
    @classmethod
    def _check_out(cls, out: str) -> str:
        if Path(out).suffix != SUFFIX:
            raise ValueError(f"expected the name of a {SUFFIX} file, which `train --weights` accepts")
        return out

    @property
    def folder(self) -> Path:
        """Of the patches and the training's state."""
        return Path(self.work) if self.work else Path(self.out).with_suffix("").with_name(f"{Path(self.out).stem}_work")

    @property
    def training(self) -> TrainSettings:
        """The same for the training's loop."""
        folder = self.folder / "training"
        return TrainSettings(
            data=[str(self.folder)],
            out=str(folder),
            variant=self.variant,
            weights="none",
            epochs=self.epochs,
            seed=self.seed,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            balance="none",
            warm_up=WARM_UP,
            # a kind's mirror image is of the kind
            augment="rotation+flips",
            device=self.device,
            precision=self.precision,
            memory_gb=self.memory_gb,
            progress=self.progress,
        )


def is_held_back(scene: int) -> bool:
    """Whether a table is not trained on; of two tables one is."""
    return scene % HELD_BACK == 1
