"""How much of everything: the profiles in config/experiments/, and what the command line adds to them."""

from pathlib import Path
from typing import Dict, List, Literal, Union

from pydantic import Field, ValidationInfo, field_validator

from grasp_learning.config import ConfigError, Settings, load_settings
from grasp_learning.robot_description import find_package_file

PROFILES = ("smoke", "laptop", "paper")


class Profile(Settings):
    """One profile; every key has to be in its file.

    Attributes:
        kind: of the simulation without ROS: the "gripper" alone, or the whole "arm".
        random_trials: to train with.
        novel_trials: random ones on objects that no network is trained with; they test all methods.
        seen_trials: random ones on tables that no network is trained with, of the objects of training.
        stage_trials: guided by the network before, one number for each stage from 1 on.
        start: convolutions of the main networks: "scratch" (random), "pretext" (rendered scenes), or "imagenet" (the
            file of --weights).
        epochs: of stage 0, and of every other training that starts from there.
        stage_epochs: of each later stage.
        sizes: of Fig. 8: random trials that smaller trainings use, beside none and all of them.
        gamma: weight of the trials of later stages.
        gammas: that are compared at stage 1; `gamma` is one of them.
        pretext_scenes, pretext_epochs: of the pretext on rendered scenes.
        network: more settings of the networks, such as {"fc6": 64}.
        train_options: further arguments of `train`, everywhere.
        rerank_trials: best grasps on held-out objects without ROS, each with and without re-ranking.
        robot_trials: of the robot test over ROS: one object at a time, seen and held-out ones, each with and without
            re-ranking.
        tables, table_objects: that are cleared over ROS, and how many objects lie on each.
        hold_grasps: of each held-out object, to see which of them can be held at all: those lie on these tables.
        table_tries: after which a table is left as it is.
        stall_minutes: a step whose files do not change for so long is given up (min).
    """

    kind: Literal["gripper", "arm"]
    random_trials: int = Field(ge=1)
    novel_trials: int = Field(ge=1)
    seen_trials: int = Field(ge=1)
    stage_trials: List[int] = Field(min_length=1, max_length=10)
    start: Literal["scratch", "pretext", "imagenet"]
    epochs: int = Field(ge=1)
    stage_epochs: int = Field(ge=1)
    sizes: List[int]
    gamma: float = Field(ge=1)
    gammas: List[float] = Field(min_length=1)
    pretext_scenes: int = Field(ge=1)
    pretext_epochs: int = Field(ge=1)
    network: Dict[str, Union[int, float, str]]
    train_options: List[str]
    rerank_trials: int = Field(ge=1)
    robot_trials: int = Field(ge=1)
    tables: int = Field(ge=1)
    table_objects: int = Field(ge=1)
    hold_grasps: int = Field(ge=1)
    table_tries: int = Field(ge=1)
    stall_minutes: float = Field(gt=0)

    @field_validator("stage_trials")
    @classmethod
    def _positive(cls, values: List[int]) -> List[int]:
        if any(value < 1 for value in values):
            raise ValueError("expected whole numbers above 0")
        return values

    @field_validator("sizes")
    @classmethod
    def _smaller(cls, values: List[int], info: ValidationInfo) -> List[int]:
        most = info.data.get("random_trials", 0)
        if sorted(set(values)) != values or any(not 0 < value < most for value in values):
            raise ValueError(f"expected growing numbers above 0 and below random_trials, {most}")
        return values

    @field_validator("gammas")
    @classmethod
    def _has_gamma(cls, values: List[float], info: ValidationInfo) -> List[float]:
        gamma = info.data.get("gamma", 0)
        if sorted(set(values)) != values or gamma not in values or values[0] < 1:
            raise ValueError(f"expected growing numbers from 1 on, gamma {gamma:g} among them")
        return values

    @property
    def stages(self) -> int:
        """The last stage."""
        return len(self.stage_trials)


def load_profile(name: str) -> Profile:
    """Read a profile.

    Args:
        name: one of PROFILES, or a YAML file of one's own.

    Raises:
        ConfigError: there is no such file, or it is malformed.
    """
    if name in PROFILES:
        return load_settings(Profile, find_package_file(f"config/experiments/{name}.yaml"))
    if Path(name).suffix not in (".yaml", ".yml"):
        raise ConfigError(f"profile '{name}' is unknown: expected one of {', '.join(PROFILES)}, or a .yaml file")
    return load_settings(Profile, name)


def profile_name(name: str) -> str:
    """What a profile is called in results: a file without its folder."""
    return name if name in PROFILES else Path(name).name
