"""Settings of a training: the paper's schedule (section III.D), and where this package deviates from it and why.

Deviations, each an option:

* ``balance``: the paper does not say how it trains on 8 % successes. Here half of each batch are successes by
  default, so that few of them are enough; a probability is then relative to that balanced prior of random trials, at
  later stages, too: there the loss allows for guided trials holding more often.
* ``warm_up`` and ``schedule``: the paper's rate is constant. That is the default for finetuning; a first training
  starts with a linear warm-up, and its rate falls along a cosine, since its convolutions may be untrained.
* ``gradient_clip``: an untrained network takes a few steps at 0.01 that are far too long; they are shortened.
"""

from typing import Dict, List, Optional, Union

from pydantic import Field, ValidationInfo, field_validator
from typing_extensions import Literal

from grasp_learning.config import Settings

# the paper's: iteration 0, and all later ones
FIRST_RATE, FIRST_EPOCHS = 0.01, 20
LATER_RATE, LATER_EPOCHS = 0.001, 5

# may change when a training goes on: where it runs, not what it computes
MOVABLE = (
    *("data", "out", "init", "weights", "progress"),
    *("device", "devices", "num_nodes", "strategy", "memory_gb", "patch_cache", "peer_deadline"),
)


class TrainSettings(Settings):
    """One training.

    Attributes:
        data: folders of datasets; of stage 0 and of all later stages (data aggregation).
        out: folder of the results and of the state that a later start goes on from.
        stage: of the curriculum; 0 is trained on random trials, later ones are finetuned from `init`.
        init: checkpoint of the stage before.
        variant: "paper" or "released"; that of `init` where there is one.
        weights: of the convolutions where there is no `init`: "imagenet" (torchvision's download), a local file of
            torchvision's AlexNet, or "none".
        network: more settings of the network, for example {"fc6": 512}.
        freeze_convolutions: train the fully connected layers only, on features computed once.
        rotations: turns of each patch that a training with frozen convolutions computes features of.
        epochs, learning_rate: None is the paper's: 20 and 0.01 for stage 0, 5 and 0.001 for later ones.
        batch_size: samples a step, all devices together; 128 in the released code.
        momentum, weight_decay: of SGD.
        gamma: how often a trial of a later stage than 0 counts (the paper's importance factor).
        only_stage: train on the patches of `stage` alone, each counting once: staged learning without aggregation.
        limit: largest number of random trials (of stage 0) to train on; None for all. Which they are follows from
            `limit_seed` and the names of their tables: a smaller number is a part of each larger one.
        limit_seed: not `seed`, so that all stages and repetitions are trained on the same trials.
        balance: "sampler": half of each batch are successes; "loss": each class has half of the loss's weight; "none".
        augment: "rotation" as in the paper, "rotation+flips", or "none".
        brightness: largest change of brightness and of each colour, as a part of the value; 0 as in the paper.
        warm_up: epochs of linearly growing rate; None: 1 for stage 0, else 0.
        schedule: "constant" or "cosine"; None: "cosine" for stage 0, else "constant".
        gradient_clip: largest norm of the gradient; 0 for none.
        select: which network becomes model.safetensors: that of the "last" epoch, as in the paper, or the "best" on
            the validation split.
        seed: of everything random.
        device: "auto", "cpu" or "cuda".
        devices, num_nodes, strategy: of Lightning's Trainer; more than one device needs "ddp" or the like.
        precision: "auto" is bf16 where the processor computes with it, else fp32; or "fp32", "bf16", "fp16".
        memory_gb: patches are kept in memory up to this: decoded, else compressed; beyond it in a file. None: half of
            the machine's free memory, shared by its devices.
        patch_cache: folder of that file; empty: .patches in `out`.
        peer_deadline: how long one of several processes waits for the others (s).
        progress: whether to show a progress bar (on a terminal only).
    """

    data: List[str] = Field(min_length=1)
    out: str = Field(min_length=1)
    stage: int = Field(0, ge=0)
    init: str = Field("", validate_default=True)
    variant: Literal["paper", "released"] = "paper"
    weights: str = "imagenet"
    network: Dict[str, Union[int, float, str]] = Field(default_factory=dict)
    freeze_convolutions: bool = Field(False, validate_default=True)
    rotations: int = Field(8, ge=1, le=360)
    epochs: Optional[int] = Field(None, ge=1)
    learning_rate: Optional[float] = Field(None, gt=0)
    batch_size: int = Field(128, ge=1)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(0.0005, ge=0)
    gamma: float = Field(3.0, ge=1)
    only_stage: bool = False
    limit: Optional[int] = Field(None, ge=1, validate_default=True)
    limit_seed: int = Field(0, ge=0)
    balance: Literal["sampler", "loss", "none"] = "sampler"
    augment: Literal["rotation", "rotation+flips", "none"] = "rotation"
    brightness: float = Field(0.0, ge=0, lt=1)
    warm_up: Optional[float] = Field(None, ge=0)
    schedule: Optional[Literal["constant", "cosine"]] = None
    gradient_clip: float = Field(5.0, ge=0)
    select: Literal["last", "best"] = "last"
    seed: int = Field(0, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = Field(1, ge=1)
    num_nodes: int = Field(1, ge=1, validate_default=True)
    strategy: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    memory_gb: Optional[float] = Field(None, ge=0)
    patch_cache: str = ""
    peer_deadline: float = Field(600.0, gt=0)
    progress: bool = True

    @field_validator("init")
    @classmethod
    def _check_init(cls, init: str, info: ValidationInfo) -> str:
        if info.data.get("stage") and not init:
            raise ValueError(f"stage {info.data['stage']} is finetuned from the stage before: name its checkpoint")
        return init

    @field_validator("freeze_convolutions")
    @classmethod
    def _check_frozen(cls, frozen: bool, info: ValidationInfo) -> bool:
        if frozen and not info.data.get("init") and info.data.get("weights") == "none":
            raise ValueError("random convolutions cannot stay as they are: name init or weights")
        return frozen

    @field_validator("limit")
    @classmethod
    def _check_limit(cls, limit: Optional[int], info: ValidationInfo) -> Optional[int]:
        if limit is not None and info.data.get("only_stage") and info.data.get("stage"):
            raise ValueError(f"random trials are limited, and only stage {info.data['stage']}, without any, is used")
        return limit

    @field_validator("num_nodes")
    @classmethod
    def _check_sharing(cls, num_nodes: int, info: ValidationInfo) -> int:
        count, batch_size = num_nodes * info.data.get("devices", 1), info.data.get("batch_size", 0)
        if batch_size % count:
            raise ValueError(f"{count} devices cannot share a batch of {batch_size} evenly")
        return num_nodes

    @property
    def resolved_epochs(self) -> int:
        """Epochs of this stage."""
        return self.epochs or (FIRST_EPOCHS if self.stage == 0 else LATER_EPOCHS)

    @property
    def resolved_rate(self) -> float:
        """Learning rate of this stage."""
        return self.learning_rate or (FIRST_RATE if self.stage == 0 else LATER_RATE)

    @property
    def resolved_gamma(self) -> float:
        """How often a trial of a later stage counts."""
        return 1.0 if self.only_stage else self.gamma

    @property
    def resolved_warm_up(self) -> float:
        """Epochs of warm-up of this stage."""
        return self.warm_up if self.warm_up is not None else (1.0 if self.stage == 0 else 0.0)

    @property
    def resolved_schedule(self) -> str:
        """Schedule of the rate of this stage."""
        return self.schedule or ("cosine" if self.stage == 0 else "constant")
