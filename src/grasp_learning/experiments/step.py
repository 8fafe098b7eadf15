"""A step: one command that makes one thing which others need."""

import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from grasp_learning.curriculum.tools import count_lines, python_command
from grasp_learning.storage import TRIALS_FILE, count_trials

INTERPRETED = len(python_command("x"))  # arguments before those of the tool


@dataclass(frozen=True)
class Counted:
    """What a step makes piece by piece.

    Attributes:
        file: of one line a piece.
        target: pieces that there shall be.
        unit: what a piece is called.
    """

    file: Path
    target: int
    unit: str = "trial"


@dataclass(frozen=True)
class Step:
    """One command, run in a child process until its result is there.

    Attributes:
        name: also of its folder.
        title: what it does, for a person.
        tool: that does it: one of the package's commands or modules, or "roslaunch".
        command: the whole command line; given again, it does what is left.
        result: file that is there, whole, when the command has succeeded.
        settings: what the step was made with, by the keys of the profile or of the command line.
        needs: names of the steps whose results it reads.
        counted: what shows how far it is; None where nothing does.
        files: further files that its command reads: name in the step's folder -> content.
    """

    name: str
    title: str
    tool: str
    command: List[str]
    result: Path
    settings: Dict[str, Any]
    needs: Tuple[str, ...] = ()
    counted: Optional[Counted] = None
    files: Dict[str, str] = field(default_factory=dict)

    def words(self, out: Path) -> str:
        """The command as a person in the folder of the experiments would type it."""
        return typed(self.tool, self.command, out)


def typed(tool: str, command: List[str], out: Path) -> str:
    """A command line as a person types it in a folder, with the paths in it relative to that folder."""
    arguments = command
    words = ""
    if command[0] == sys.executable:
        arguments = command[INTERPRETED:]
        # what is no command of the package is a module of it
        words = f"python -m grasp_learning.{tool} " if "." in tool else f"rosrun grasp_learning {tool} "
    return words + " ".join(shlex.quote(argument.replace(f"{out}/", "")) for argument in arguments)


def closure(steps: Mapping[str, Step], names: Iterable[str]) -> List[Step]:
    """Steps with all that they need, in an order in which they can be run.

    Args:
        steps: all that there are, each behind those that it needs.
        names: of those that are wanted.
    """
    wanted = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in wanted:
            wanted.add(name)
            pending.extend(steps[name].needs)
    return [step for name, step in steps.items() if name in wanted]


def made_so_far(step: Step) -> int:
    """Pieces of a step that are there.

    Raises:
        CollectionError: its collection is damaged.
    """
    if step.counted is None:
        return 0
    if step.counted.file.name == TRIALS_FILE:
        return count_trials(step.counted.file.parent)
    return count_lines(step.counted.file)
