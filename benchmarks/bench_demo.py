#!/usr/bin/env python3
"""How long `make demo` takes where everything is set up: ten trials of both arms, from nothing to the picture.

The first run on a bare machine, most of which is downloads, cannot be measured where a script like this can run at
all: docs/development.md tells how.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import List

from figures import figure

CHECKOUT = Path(__file__).resolve().parent.parent
TRIALS = 10
TIMEOUT = 900.0  # s


def run(command: List[str]) -> None:
    """Run a command in the checkout to its end; its output is shown only where it fails."""
    # the outer make's flags and jobs are not meant for this one
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE") and key != "MFLAGS"}
    process = subprocess.Popen(
        command,
        cwd=CHECKOUT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=TIMEOUT)
    except BaseException:
        # make has started a launch with many nodes: Ctrl-C in a terminal reaches them all, and so does this
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        raise
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with status {process.returncode}:\n{output[-3000:]}")


def main() -> int:
    """Print the figure; 1 if it is short of its target."""
    run(["make", "setup"])
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "demo"
        start = time.monotonic()
        run(["make", "demo", f"TRIALS={TRIALS}", f"DATA={data}"])
        seconds = time.monotonic() - start
        trials = (data / "trials.jsonl").read_text().count("\n")
        if trials < TRIALS or not (data / "contact_sheet.png").is_file():
            sys.exit(f"make demo ended well, but left {trials} trials and maybe no picture")
    return 0 if figure("demo_second_run", seconds, 180, "s") else 1


if __name__ == "__main__":
    sys.exit(main())
