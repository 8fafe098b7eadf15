"""Where the things of the steps lie in the folder of the experiments.

Files::

    experiments.json                   what was run, when, on what machine; see results.py
    results/<id>.json                  an experiment's figures
    steps/<step>/step.json             with what a step was begun, and, when it has ended, its command and its time
    steps/<step>/log.txt               what its command said
    steps/collect_<name>/<name>/       a collection
    steps/export_<name>/dataset/       its dataset
    steps/train_<name>/training/       a training; model.safetensors in it is the network
    steps/pretext/pretext.safetensors  convolutions of the pretext
    steps/untrained/model.safetensors  a network that learnt nothing
    steps/evaluate_<id>/evaluation/    an evaluation, with evaluation.json and scores.csv
    steps/robot_<name>/<name>/         a robot test's collection
    steps/holdable/holdable.yaml       which held-out objects can be held at all
    steps/clear_table/tables/          cleared tables
"""

from pathlib import Path

from grasp_learning.storage import TRIALS_FILE

STEPS_FOLDER, STEP_FILE, LOG_FILE = "steps", "step.json", "log.txt"


class Places:
    """Paths, all of them absolute.

    Args:
        out: folder of the experiments.
    """

    def __init__(self, out: Path):
        self.out = out

    def step(self, name: str) -> Path:
        """Folder of a step."""
        return self.out / STEPS_FOLDER / name

    def collection(self, name: str) -> Path:
        """Collection that `simulate` makes; datasets know it by its name."""
        return self.step(f"collect_{name}") / name

    def trials(self, name: str) -> Path:
        """The lines of a collection."""
        return self.collection(name) / TRIALS_FILE

    def dataset(self, name: str) -> Path:
        """Dataset of a collection."""
        return self.step(f"export_{name}") / "dataset"

    def training(self, name: str) -> Path:
        """Folder of a training."""
        return self.step(f"train_{name}") / "training"

    def model(self, name: str) -> Path:
        """Network of a training; "untrained" is the one that learnt nothing."""
        folder = self.step(name) if name == "untrained" else self.training(name)
        return folder / "model.safetensors"

    @property
    def pretext(self) -> Path:
        """Convolutions of the pretext."""
        return self.step("pretext") / "pretext.safetensors"

    def evaluation(self, name: str) -> Path:
        """Folder of an evaluation."""
        return self.step(f"evaluate_{name}") / "evaluation"

    def robot(self, name: str) -> Path:
        """Collection of a robot test."""
        return self.step(f"robot_{name}") / name

    @property
    def holdable(self) -> Path:
        """Which held-out objects can be held at all."""
        return self.step("holdable") / "holdable.yaml"

    @property
    def tables(self) -> Path:
        """Folder of the tables that were cleared."""
        return self.step("clear_table") / "tables"
