"""What a worker of a simulation makes once: its sampler, with a model where there is one, and its workcells."""

import hashlib
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, List

from grasp_learning.config import Settings
from grasp_learning.sampling import GraspSampler, SamplerSettings, create_sampler
from grasp_learning.sim.objects import ObjectSpec
from grasp_learning.simulation.blocks import BlockPlan, run_block

if TYPE_CHECKING:
    from grasp_learning.predictor.settings import PredictorSettings

    # with its planner it takes a second to load, which `simulate --help` need not wait for
    from grasp_learning.simulation.workcell import InProcessWorkcell, WorkcellSettings

RANDOM, BEST = "random", "best"


@dataclass(frozen=True)
class Job:
    """A block that is to be run.

    Attributes:
        block: its number, from 0.
        count: labelled trials that are wanted of it.
    """

    block: int
    count: int

    def __str__(self) -> str:
        return f"block {self.block}"


@dataclass(frozen=True)
class SimulatorSetup:
    """Makes what a worker needs to run blocks on the simulator; is called in the worker's process.

    Attributes:
        plan: of the simulation.
        kind: "gripper" or "arm".
        model: checkpoint of a guided simulation, else empty.
        rerank: in mode best, neighbourhoods decide among the best grasps.
    """

    plan: BlockPlan
    kind: str
    model: str = ""
    rerank: bool = True

    @property
    def settings_sha256(self) -> str:
        """Checksum of all settings on which trials depend: of the workcell, the sampler, and how a model is asked."""
        parts: List[Settings] = [workcell_settings(self.plan.pictures), SamplerSettings()]
        if self.model:
            parts.append(predictor_settings(self.plan.mode, self.rerank))
        return hashlib.sha256("\n".join(part.model_dump_json() for part in parts).encode()).hexdigest()

    def __call__(self) -> Callable[[Job, Callable[[], None]], bytes]:
        """The function that runs a block.

        Raises:
            ConfigError: the mode or the kind is unknown.
            CheckpointError: the model cannot be used.
        """
        from grasp_learning.simulation.workcell import create_workcell

        settings = workcell_settings(self.plan.pictures)

        def create(scene_seed: int, objects: List[ObjectSpec], sampler: GraspSampler, seed: int) -> "InProcessWorkcell":
            return create_workcell(self.kind, seed, objects, sampler, settings, scene_seed)

        sampler = make_sampler(self.plan.mode, self.model, self.rerank)

        def run(job: Job, between: Callable[[], None]) -> bytes:
            return run_block(self.plan, job.block, job.count, create, sampler, between)

        return run


@dataclass(frozen=True)
class ShippedSetup:
    """A setup with its model's content, for workers on machines that do not have the file.

    Attributes:
        setup: whose model is a file here.
        content: of that file.
    """

    setup: SimulatorSetup
    content: bytes

    def __call__(self) -> Callable[[Job, Callable[[], None]], bytes]:
        """See SimulatorSetup."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, Path(self.setup.model).name)  # trials tell the model's name
            path.write_bytes(self.content)
            return replace(self.setup, model=str(path))()


def workcell_settings(pictures: str) -> "WorkcellSettings":
    """Of all scenes of a simulation.

    Args:
        pictures: "approach" or "all".
    """
    from grasp_learning.simulation.workcell import WorkcellSettings

    return WorkcellSettings.model_validate({"pictures": pictures})


def predictor_settings(mode: str, rerank: bool) -> "PredictorSettings":
    """How a mode asks its model.

    Args:
        rerank: see SimulatorSetup; other modes than best do not.
    """
    from grasp_learning.predictor.settings import PredictorSettings, RerankSettings

    return PredictorSettings(rerank=RerankSettings(enabled=rerank and mode == BEST))


def make_sampler(mode: str, model: str, rerank: bool = True) -> GraspSampler:
    """The sampler of a mode, with a model on one thread where the mode needs one.

    Args:
        rerank: see SimulatorSetup.

    Raises:
        ConfigError: the mode is unknown.
        CheckpointError: the model cannot be used.
    """
    if mode == RANDOM:
        return create_sampler(mode, SamplerSettings())
    # only here: random simulation need not wait for torch
    import torch

    from grasp_learning.predictor.predictor import Predictor

    torch.set_num_threads(1)  # a worker has one core
    predictor: Any = Predictor(model, predictor_settings(mode, rerank))
    return create_sampler(mode, SamplerSettings(), predictor=predictor)
