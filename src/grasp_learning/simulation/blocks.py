"""Blocks: the pieces into which a simulation is cut, one scene each, which depend on nothing but their seeds.

Block b of a simulation with seed s draws everything from ``SeedSequence([s, b])``, so that the trials are the same
whoever runs the block, when, beside how many others, and after how many interruptions.
"""

import contextlib
import functools
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Tuple

import numpy as np

from grasp_learning.sampling import GraspSampler
from grasp_learning.sim.objects import SPLITS, ObjectSpec, catalogue
from grasp_learning.sim.world import SceneError, SimulationDiverged
from grasp_learning.simulation.shards import Scene, encode_shard, trial_row
from grasp_learning.storage import fault_record, trial_record
from grasp_learning.trial import ARMS, Outcome, Trial, run_trial

LONGEST_STREAK = 8  # attempts in a row without a label, four of each arm, after which a new scene is laid
MOST_SCENES = 12  # that one block may lay

# (scene's seed, objects, sampler, seed of the choices) -> InProcessWorkcell, or what has its attributes
WorkcellFactory = Callable[[int, List[ObjectSpec], GraspSampler, int], Any]


class BlockError(RuntimeError):
    """A block did not come to its trials; the message says what was in the way."""


@dataclass(frozen=True)
class BlockPlan:
    """What all blocks of a simulation share.

    Attributes:
        seed: of the simulation.
        mode, stage: as in Trial.msg.
        objects: split of the catalogue, or "all".
        objects_per_scene, trials_per_scene: of each block.
        pictures: "approach" or "all".
    """

    seed: int
    mode: str = "random"
    stage: int = 0
    objects: str = "train"
    objects_per_scene: int = 10
    trials_per_scene: int = 25
    pictures: str = "approach"


@functools.lru_cache(maxsize=None)
def object_pool(objects: str) -> Tuple[ObjectSpec, ...]:
    """The objects of a split of the catalogue, or of all splits.

    Args:
        objects: "train", "test" or "all".

    Raises:
        ValueError: there is no such split.
    """
    splits = SPLITS if objects == "all" else (objects,)
    return tuple(spec for split in splits for spec in catalogue(split))


def scene_of(plan: BlockPlan, block: int, scene: int) -> Tuple[int, List[ObjectSpec], int]:
    """Seed and objects of one scene of a block, and the seed of the choices in it.

    Args:
        scene: 0, and 1, 2, ... where the scenes before gave no more trials.
    """
    sequence = np.random.SeedSequence([plan.seed, block], spawn_key=(scene,))
    scene_seed, choice_seed, draw_seed = (int(value) for value in sequence.generate_state(3))
    pool = object_pool(plan.objects)
    drawn = np.random.default_rng(draw_seed).choice(len(pool), plan.objects_per_scene, replace=False)
    return scene_seed, [pool[index] for index in drawn], choice_seed


def run_block(
    plan: BlockPlan,
    block: int,
    count: int,
    create_workcell: WorkcellFactory,
    sampler: GraspSampler,
    between: Callable[[], None] = lambda: None,
) -> bytes:
    """Run the trials of a block.

    Args:
        count: labelled trials wanted; the first n trials of a block are the same for every count of at least n.
        between: called before each attempt.

    Returns:
        The block's shard.

    Raises:
        BlockError: the scenes that a block may lay did not give so many trials.
    """
    return _Block(plan, block, count).run(create_workcell, sampler, between)


class _Block:
    """A block that is being run."""

    def __init__(self, plan: BlockPlan, block: int, count: int):
        self._plan, self._block, self._count = plan, block, count
        self._rows: List[Dict[str, Any]] = []
        self._faults: List[Dict[str, Any]] = []
        self._objects: List[List[str]] = []
        self._attempts = 0

    def run(self, create_workcell: WorkcellFactory, sampler: GraspSampler, between: Callable[[], None]) -> bytes:
        for scene in range(MOST_SCENES):
            scene_seed, objects, seed = scene_of(self._plan, self._block, scene)
            self._objects.append([spec.name for spec in objects])
            try:
                with contextlib.closing(create_workcell(scene_seed, objects, sampler, seed)) as workcell:
                    self._use_scene(workcell, between)
            except (SceneError, SimulationDiverged) as error:
                self._note(Outcome.ABORTED, f"scene {scene} of the block cannot be used: {error}")
            if len(self._rows) == self._count:
                about = Scene(self._block, self._objects, self._faults)
                return encode_shard(self._rows, about, self._plan.pictures)
        last = f"; the last one: {self._faults[-1]['outcome']}, {self._faults[-1]['detail']}" if self._faults else ""
        raise BlockError(
            f"block {self._block} came to {len(self._rows)} of {self._count} trials in {MOST_SCENES} scenes, "
            f"{len(self._faults)} attempts gave no label{last}"
        )

    def _use_scene(self, workcell: Any, between: Callable[[], None]) -> None:
        """Trials until the block has enough, or the scene gives no more."""
        streak = 0
        while len(self._rows) < self._count and streak < LONGEST_STREAK:
            between()
            arm = ARMS[self._attempts % len(ARMS)]
            self._attempts += 1
            trial = run_trial(workcell, arm, self._plan.mode, self._plan.stage)
            if trial.outcome.is_label:
                streak = 0
                self._rows.append(self._row(trial, workcell))
            else:
                streak += 1
                self._faults.append({**fault_record(trial), "block": self._block})
            if trial.outcome is Outcome.ROBOT_FAULT:
                return  # the simulation diverged, and what it says from now on is worth nothing

    def _row(self, trial: Trial, workcell: Any) -> Dict[str, Any]:
        number = self._block * self._plan.trials_per_scene + len(self._rows) + 1
        record = {"number": number, **trial_record(trial)}
        return trial_row(record, trial, workcell.wrist_camera, workcell.T_base_camera, self._plan.pictures)

    def _note(self, outcome: Outcome, detail: str) -> None:
        trial = Trial(ARMS[0], self._plan.mode, self._plan.stage, 0.0, 0.0, outcome, detail)
        self._faults.append({**fault_record(trial), "block": self._block})
