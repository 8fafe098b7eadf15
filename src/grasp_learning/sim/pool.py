"""Which objects lie on a simulated table and which take turns: settings that all simulators share."""

from typing import List, Literal

import numpy as np
from pydantic import Field

from grasp_learning.config import ConfigError, Settings
from grasp_learning.sim.holdable import holdable_names
from grasp_learning.sim.objects import ObjectSpec, catalogue


class SceneChoice(Settings):
    """What lies on the table; the configuration of each simulator's node says what the keys mean."""

    seed: int = Field(0, ge=0)
    data: str = ""
    objects: int = Field(10, ge=0, le=30)
    pool: int = Field(30, ge=0, le=30)
    split: Literal["train", "test"] = "train"
    holdable: str = ""
    calibration: str = ""
    bins: str = ""
    side: Literal["both", "left", "right"] = "both"


def choose_objects(settings: SceneChoice) -> List[ObjectSpec]:
    """Objects of the split, drawn with the seed; those that lie on the table first come first.

    Raises:
        ConfigError: there are fewer than are to lie on the table, or the file of those that can be held does not fit.
    """
    known, what = catalogue(settings.split), f"the split '{settings.split}'"
    if settings.holdable:
        names = holdable_names(settings.holdable, settings.split)
        known, what = [each for each in known if each.name in names], f"'{settings.holdable}'"
    if settings.objects > len(known):
        raise ConfigError(f"key 'objects' is {settings.objects}: {what} has only {len(known)}")
    rng = np.random.default_rng([settings.seed, 0])
    first = rng.choice(len(known), settings.objects, replace=False)
    others = rng.permutation(np.setdiff1d(np.arange(len(known)), first))
    # a split of few objects gives what it has
    pool = np.concatenate([first, others])[: max(settings.objects, settings.pool)]
    return [known[index] for index in pool]
