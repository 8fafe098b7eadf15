"""Runs the steps that are left, each as a child process with a log of its own; killed anywhere, it goes on there."""

import time
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Mapping, Optional

from tqdm import tqdm

from grasp_learning.curriculum.child import ChildStalled, run_child
from grasp_learning.curriculum.tools import count_lines, newest
from grasp_learning.experiments.errors import ExperimentError, StepFailed
from grasp_learning.experiments.folder import ExperimentsFolder
from grasp_learning.experiments.places import LOG_FILE
from grasp_learning.experiments.step import Step, closure, made_so_far


class Runner:
    """Brings results of steps about.

    Args:
        folder: held by this process.
        steps: all that there are, each behind those that it needs.
        stall: a step whose files do not change for so long is given up (s).
        say: takes lines for the person who watches.
        on_step: called with name and seconds after each step that was run.

    Attributes:
        place: name of the step at which it is, for a person.
    """

    def __init__(
        self,
        folder: ExperimentsFolder,
        steps: Mapping[str, Step],
        stall: float,
        say: Callable[[str], None] = print,
        on_step: Callable[[str, float], None] = lambda name, seconds: None,
    ):
        self._folder, self._steps, self._stall = folder, steps, stall
        self._say, self._on_step = say, on_step
        self._failed: Dict[str, StepFailed] = {}
        self.place = "the start"

    def check(self, names: Iterable[str]) -> None:
        """Check before anything runs that the steps, and those that they need, are as they were begun.

        Raises:
            ExperimentError: a step was begun with other settings or from other results.
        """
        for step in closure(self._steps, names):
            self._folder.check_settings(step)
            self._folder.check_needs(step, self._steps)

    def pending(self, names: Iterable[str]) -> List[Step]:
        """The steps that have to be run, in order: what only steps that have been done need may be gone.

        Raises:
            ExperimentError: a record or a result is damaged.
        """
        wanted = set()
        stack = list(names)
        while stack:
            step = self._steps[stack.pop()]
            if step.name not in wanted and self._folder.checksum(step) is None:
                wanted.add(step.name)
                stack.extend(step.needs)
        return [step for name, step in self._steps.items() if name in wanted]

    def bring(self, names: Iterable[str]) -> None:
        """Run what is left of steps and of those that they need.

        Raises:
            StepFailed: a step did not do its work, now or earlier in this run; running it again may.
            ExperimentError: the folder cannot be used any more.
        """
        for step in self.pending(names):
            if step.name in self._failed:
                raise self._failed[step.name]
            try:
                self._run(step)
            except StepFailed as error:
                self._failed[step.name] = error
                raise

    def _run(self, step: Step) -> None:
        self.place = f"step {step.name}"
        log = self._folder.places.step(step.name) / LOG_FILE
        self._folder.check_needs(step, self._steps)
        self._folder.begin(step, {name: self._folder.checksum(self._steps[name]) for name in step.needs})
        start = time.monotonic()
        try:
            with self._folder.explained():
                self._command(step, log)
        except (ExperimentError, ChildStalled) as error:
            raise StepFailed(f"step {step.name}: {error} (log: {log})") from error
        seconds = time.monotonic() - start
        self._folder.end(step, seconds)
        self._on_step(step.name, seconds)

    def _command(self, step: Step, log: Path) -> None:
        made = made_so_far(step)
        if step.counted is None or made < step.counted.target:
            self._child(step, step.command, log)
        made = made_so_far(step)
        if step.counted is not None and made < step.counted.target:
            raise StepFailed(f"there are only {made} of {step.counted.target} {step.counted.unit}s")
        if not step.result.is_file():
            raise StepFailed(f"{step.result} was not written")

    def _child(self, step: Step, command: List[str], log: Path) -> None:
        self._say(f"{step.title}  (log: {log})")
        folder = self._folder.places.step(step.name)
        bar = self._bar(step)
        on_poll: Optional[Callable[[], None]] = None
        if step.counted is not None:
            lines = step.counted.file
            on_poll = lambda: bar.update(count_lines(lines) - bar.n)  # noqa: E731
        with bar:
            try:
                ended = run_child(
                    command,
                    log,
                    self._stall,
                    lambda: newest(folder),
                    on_poll,
                    [self._folder.lock],
                )
            except FileNotFoundError as error:
                raise StepFailed(f"{error.filename} was not found; is its environment set up?") from error
        if ended.status != 0:
            raise StepFailed(ended.words or f"{step.tool} ended with status {ended.status} and said nothing")

    @staticmethod
    def _bar(step: Step) -> tqdm:
        if step.counted is None:
            return tqdm(disable=True)
        done = count_lines(step.counted.file)
        return tqdm(total=step.counted.target, initial=done, unit=step.counted.unit, disable=None, leave=False)


def describe(error: Exception) -> str:
    """An error in one line."""
    return " ".join(str(error).split())
