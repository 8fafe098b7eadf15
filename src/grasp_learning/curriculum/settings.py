"""What a curriculum is to do, and which of it may still be changed when it is resumed."""

from typing import List, Tuple

import numpy as np
from pydantic import Field, field_validator, model_validator

from grasp_learning.config import Settings

WORKCELLS = ("inprocess", "ros")
KINDS = ("gripper", "arm")
# what makes the trials and the networks of all stages; it stays once the first stage has begun
FIXED = ("seed", "workcell", "kind", "novel_trials", "gamma", "train_options")
# one value a stage; that of a stage which has begun stays
STAGED = ("trials", "epochs")
# streams of random numbers of one stage
COLLECT, TEST, TRAIN, NOVEL = range(4)


class CurriculumSettings(Settings):
    """Settings of a curriculum; they are kept in curriculum.json.

    Attributes:
        stages: how many, the random one included: stages 0 to stages - 1.
        trials: labelled trials of each stage; the last value serves all later stages, too.
        epochs: of each stage's training, likewise; empty for those of `train` (20, then 5).
        novel_trials: random trials on held-out objects, once; they test every network and train none; 0 for none.
        test_trials: trials on held-out objects with each stage's best grasps; 0 for none.
        seed: of every random choice.
        workcell: "inprocess" or "ros".
        kind: in-process only: the "gripper" alone, or the whole "arm".
        workers: processes that simulate, in-process only; the trials do not depend on it.
        gamma: weight of the trials of a model-guided stage in training, against 1 of a random one.
        stall_hours: a step whose files do not change for so long is given up (h).
        train_options: further arguments for `train`, at every stage.
    """

    stages: int = Field(2, ge=1, le=100)
    trials: List[int] = Field([1000, 250], min_length=1)
    epochs: List[int] = Field(default_factory=list)
    novel_trials: int = Field(200, ge=0)
    test_trials: int = Field(0, ge=0)
    seed: int = Field(0, ge=0)
    workcell: str = "inprocess"
    kind: str = "gripper"
    workers: int = Field(1, ge=1)
    gamma: float = Field(3.0, gt=0)
    stall_hours: float = Field(6.0, gt=0)
    train_options: List[str] = Field(default_factory=list)

    @field_validator("trials", "epochs")
    @classmethod
    def _positive(cls, values: List[int]) -> List[int]:
        if any(value < 1 for value in values):
            raise ValueError("expected whole numbers above 0")
        return values

    @model_validator(mode="after")
    def _known(self) -> "CurriculumSettings":
        for key, choices in (("workcell", WORKCELLS), ("kind", KINDS)):
            if getattr(self, key) not in choices:
                raise ValueError(f"{key}: expected one of: {', '.join(choices)}")
        return self

    def trials_of(self, stage: int) -> int:
        """Labelled trials of a stage."""
        return self.trials[min(stage, len(self.trials) - 1)]

    def epochs_of(self, stage: int) -> int:
        """Epochs of a stage's training; 0 for the trainer's own number."""
        return self.epochs[min(stage, len(self.epochs) - 1)] if self.epochs else 0

    def stream(self, stage: int, purpose: int) -> int:
        """Seed of one stage's random choices for one purpose: COLLECT, TEST, TRAIN or NOVEL."""
        # ROS parameters are signed numbers of 32 bits
        return int(np.random.SeedSequence([self.seed, stage, purpose]).generate_state(1)[0] >> np.uint32(1))


def changes(old: CurriculumSettings, new: CurriculumSettings, begun: int) -> List[Tuple[str, object, object]]:
    """What cannot be changed any more but is asked for: key, value on disk, value now.

    Args:
        begun: how many stages have begun.
    """
    if begun == 0:
        return []
    found = [(key, getattr(old, key), getattr(new, key)) for key in FIXED if getattr(old, key) != getattr(new, key)]
    for stage in range(min(begun, new.stages)):
        for key in STAGED:
            before, now = (getattr(each, f"{key}_of")(stage) for each in (old, new))
            if before != now:
                found.append((f"{key} of stage {stage}", before, now))
    return found
