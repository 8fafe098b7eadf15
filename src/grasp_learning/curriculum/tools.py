"""Carries out the steps with the package's own commands, each in a child process with a log of its own."""

import os
import sys
from pathlib import Path
from typing import Callable, List, Optional, Sequence

from tqdm import tqdm

from grasp_learning.checkpoint import CheckpointError, load_checkpoint
from grasp_learning.curriculum.child import ChildStalled, run_child
from grasp_learning.curriculum.jobs import CollectJob, ExportJob, ModelFacts, ToolFailed, Tools, TrainJob
from grasp_learning.curriculum.settings import CurriculumSettings
from grasp_learning.dataset.reader import DatasetError, open_dataset
from grasp_learning.storage import TRIALS_FILE, count_trials

# names under which a checkpoint keeps balanced accuracies
SEEN, NOVEL = "test_seen/balanced_accuracy", "test_novel/balanced_accuracy"
TRAINED_FILE = "model.safetensors"  # in the folder of a training, there only when it has ended


class CommandLineTools(Tools):
    """Simulates or launches nodes, exports and trains as a person would, and judges by what is on the disk.

    Args:
        settings: of the curriculum.
        keep_open: files that children inherit.
        say: takes lines for the person who watches.
    """

    def __init__(self, settings: CurriculumSettings, keep_open: Sequence[int], say: Callable[[str], None]):
        self._settings, self._keep_open, self._say = settings, tuple(keep_open), say

    def collect(self, job: CollectJob) -> None:
        """Simulate without ROS, or launch the nodes of a collection."""
        index = job.folder / TRIALS_FILE
        if self._settings.workcell == "ros":
            command = launch_command(job, job.trials - count_trials(job.folder))
        else:
            command = simulate_command(job, self._settings)
        with tqdm(total=job.trials, initial=count_lines(index), unit="trial", disable=None, leave=False) as bar:
            what = f"{job.trials} {job.mode} trials" + (" on held-out objects" if job.objects == "test" else "")
            self._run(f"stage {job.stage}: {what}", command, job.log, job.folder, lambda: _advance(bar, index))

    def export(self, job: ExportJob) -> None:
        """Run export_dataset."""
        self._run(f"patches into {job.dataset}", export_command(job), job.log, job.dataset)

    def train(self, job: TrainJob) -> None:
        """Run train, and give its network the stage's name."""
        trained = job.folder / TRAINED_FILE
        self._run(f"stage {job.stage}: network", train_command(job), job.log, job.folder)
        if not trained.is_file():
            raise ToolFailed(f"{trained} was not written")
        # the same file under a second name: it is there whole or not at all
        part = job.model.with_name(f".{job.model.name}.part")
        part.unlink(missing_ok=True)
        os.link(trained, part)
        os.replace(part, job.model)

    def patches_of(self, dataset: Path, collection: str) -> int:
        """Patches of a collection in all splits."""
        if not dataset.exists():
            return 0
        try:
            return open_dataset(dataset).sources.get(collection, 0)
        except DatasetError as error:
            raise ToolFailed(str(error)) from error

    def model_facts(self, model: Path) -> Optional[ModelFacts]:
        """What a checkpoint tells, after all checks of one that is to be served."""
        if not model.exists():
            return None
        try:
            checkpoint = load_checkpoint(model)
        except CheckpointError as error:
            raise ToolFailed(str(error)) from error
        info = checkpoint.info
        return ModelFacts(
            sha256=checkpoint.sha256,
            stage=info.stage,
            parent_sha256=info.parent_sha256,
            patches=info.samples,
            accuracy_seen=info.metrics.get(SEEN),
            accuracy_novel=info.metrics.get(NOVEL),
        )

    def _run(
        self,
        what: str,
        command: List[str],
        log: Path,
        folder: Path,
        on_poll: Optional[Callable[[], None]] = None,
    ) -> None:
        self._say(f"{what}  (log: {log})")
        try:
            ended = run_child(
                command, log, 3600 * self._settings.stall_hours, lambda: newest(folder), on_poll, self._keep_open
            )
        except ChildStalled as error:
            raise ToolFailed(f"{error}; see --stall-hours") from error
        if ended.status != 0:
            raise ToolFailed(ended.words or f"{command[0]} ended with status {ended.status} and said nothing")


def _advance(bar: tqdm, index: Path) -> None:
    bar.update(count_lines(index) - bar.n)


def count_lines(path: Path) -> int:
    """Lines of a file, 0 where there is none; cheap enough to be asked for all the time."""
    try:
        with path.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    except FileNotFoundError:
        return 0


def newest(folder: Path) -> float:
    """Time of the newest file in a folder and in its folders (s); 0 where there is none."""
    times = [0.0]
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                times.append(os.stat(os.path.join(place, name)).st_mtime)
            except FileNotFoundError:  # a part file that got its name meanwhile
                continue
    return max(times)


def python_command(module: str) -> List[str]:
    """Start of the command line of one of the package's tools, in this process's Python."""
    # -c would put the working directory, with whatever lies there, before the library
    return [
        sys.executable,
        "-c",
        f"import sys; del sys.path[0]; from grasp_learning.{module} import main; sys.exit(main())",
    ]


def simulate_command(job: CollectJob, settings: CurriculumSettings) -> List[str]:
    """Command line of `simulate` for a job."""
    command = python_command("simulation.simulate")
    command += ["--out", str(job.folder), "--trials", str(job.trials), "--seed", str(job.seed)]
    command += ["--workers", str(settings.workers), "--kind", settings.kind, "--mode", job.mode]
    command += ["--stage", str(job.stage), "--objects", job.objects]
    return command + (["--model", str(job.model)] if job.model is not None else [])


def launch_command(job: CollectJob, trials: int) -> List[str]:
    """Command line of `roslaunch` for a job.

    Args:
        trials: how many are still to be recorded.
    """
    file = "collect_random.launch" if job.model is None else "staged_collect.launch"
    command = ["roslaunch", "--no-summary", "grasp_learning", file, "robot:=sim", "speed:=max", f"trials:={trials}"]
    command += [f"data:={job.folder}", f"seed:={job.seed}", f"split:={job.objects}"]
    if job.model is not None:
        command += [f"model:={job.model}", f"stage:={job.stage}", f"mode:={job.mode}"]
    return command


def export_command(job: ExportJob) -> List[str]:
    """Command line of `export_dataset` for a job."""
    return [*python_command("dataset.export_dataset"), *map(str, job.collections), str(job.dataset)]


def train_command(job: TrainJob) -> List[str]:
    """Command line of `train` for a job."""
    command = python_command("training.train")
    command += ["--data", str(job.dataset), "--out", str(job.folder), "--stage", str(job.stage)]
    command += ["--gamma", str(job.gamma), "--seed", str(job.seed)]
    if job.parent is not None:
        command += ["--init", str(job.parent)]
    if job.epochs:
        command += ["--epochs", str(job.epochs)]
    return command + list(job.options)
