"""Runs the benchmarks, each as its own process, and tells whether every figure was met.

A benchmark is a script `bench_NAME.py` beside this one that prints its figures with `figures.figure`. A line that ends
in `short`, or an exit status other than 0, makes this program end with status 1. Benchmarks that take more than an
hour run only when they are named.
"""

import argparse
import ast
import os
import platform
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Dict, List

FOLDER = Path(__file__).resolve().parent
PREFIX = "bench_"
# more than an hour: only where it is named
LONG = ("experiments", "learning")


def _main() -> int:
    scripts = {path.stem[len(PREFIX) :]: path for path in sorted(FOLDER.glob(f"{PREFIX}*.py"))}
    arguments = _parse_arguments(list(scripts))
    if arguments.list:
        print("\n".join(f"{name:<18} {_purpose(path)}" for name, path in scripts.items()))
        return 0
    print(f"machine: {_machine()}", flush=True)
    chosen = [arguments.only] if arguments.only else [name for name in scripts if name not in LONG]
    short: List[str] = []
    for name in chosen:
        short += _run(name, scripts, arguments.timeout)
    if short:
        print("short: " + ", ".join(short))
    return 1 if short else 0


def _parse_arguments(names: List[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="tell what each one measures, and run none")
    parser.add_argument("--only", choices=names, help="run this one")
    parser.add_argument("--timeout", type=float, default=4 * 3600.0, help="of one benchmark, in seconds")
    return parser.parse_args()


def _purpose(path: Path) -> str:
    """First sentence of what a benchmark says of itself."""
    text = " ".join((ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0].split())
    return text + (" (only where it is named: more than an hour)" if path.stem[len(PREFIX) :] in LONG else "")


def _machine() -> str:
    model = platform.processor() or platform.machine()
    with open("/proc/cpuinfo") as lines:
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else model}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"


def _run(name: str, scripts: Dict[str, Path], timeout: float) -> List[str]:
    """Run one benchmark; returns the names of its figures that are short, or its own if it failed."""
    print(f"-- {name}", flush=True)
    process = subprocess.Popen(
        [sys.executable, str(scripts[name])], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    # the whole group: a benchmark may have started a ROS graph
    watchdog = threading.Timer(timeout, os.killpg, (process.pid, signal.SIGKILL))
    watchdog.start()
    short = []
    try:
        for line in process.stdout:
            print(line, end="", flush=True)
            words = line.split()
            if len(words) > 1 and words[-1] == "short":
                short.append(words[0])
        status = process.wait()
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGINT)
        raise
    finally:
        watchdog.cancel()
    if status != 0 and not short:
        print(f"{name} ended with status {status}")
        short.append(name)
    return short


if __name__ == "__main__":
    sys.exit(_main())
