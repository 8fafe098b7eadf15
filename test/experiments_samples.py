"""Small steps for the tests of experiments: each writes a file that tells what it was made from."""

import sys
from pathlib import Path

from grasp_learning.experiments.folder import ExperimentsFolder
from grasp_learning.experiments.runner import Runner
from grasp_learning.experiments.step import Counted, Step

# waits a moment, then writes its result in two halves: a killed one leaves the first
WRITER = """
import pathlib, sys, time
name, target, *sources = sys.argv[1:]
text = name + "(" + ",".join(pathlib.Path(source).read_text() for source in sources) + ")"
part = pathlib.Path(target + ".part")
part.parent.mkdir(exist_ok=True)
with open(part.parent.parent.parent.parent / "calls.txt", "a") as calls:
    calls.write(name + "\\n")
part.write_text(text[: len(text) // 2])
part.write_text(text)
part.rename(target)
"""
FAILING = "import sys; sys.exit('tool: no luck today')"
GRAPH = {"a": (), "b": ("a",), "c": ("a", "b"), "d": ("c",), "e": ()}


def result_of(out: Path, name: str) -> Path:
    return out / "steps" / name / "made" / "result.txt"


def steps_of(out: Path, failing=(), settings=None, counted=None):
    """Steps a, b(a), c(a, b), d(c) and e.

    Args:
        failing: names of those that fail.
        settings: name -> settings that differ from {"trials": 3}.
        counted: name -> pieces that there shall be.
    """
    steps = {}
    for name, needs in GRAPH.items():
        result = result_of(out, name)
        sources = [str(result_of(out, need)) for need in needs]
        command = [sys.executable, "-c", FAILING if name in failing else WRITER, name, str(result), *sources]
        pieces = Counted(result, counted[name], "line") if name in (counted or {}) else None
        values = (settings or {}).get(name, {"trials": 3})
        steps[name] = Step(name, f"makes {name}", name, command, result, values, needs, pieces)
    return steps


def bring(out, names, steps=None, stall=30.0, say=lambda text: None, check=True):
    """Run what is left of steps, as the command does; the names of those that ran."""
    ran = []
    with ExperimentsFolder(out, patience=10) as folder:
        runner = Runner(folder, steps or steps_of(folder.path), stall, say, lambda name, _: ran.append(name))
        if check:
            runner.check(names)
        runner.bring(names)
    return ran
