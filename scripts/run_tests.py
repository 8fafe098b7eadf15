"""Runs pytest, its files shared out to all processors, then each rostest on its own, and counts all their test cases.

A rostest that reports no test case, crashes or outlives its time counts as one failure: silence is never a pass.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import List, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / ".cache" / "test"
TAIL_LINES = 60
KILL_GRACE = 15.0  # seconds roslaunch gets to stop its nodes
MOST_WORKERS = 4  # of pytest; each of them may need some GB of memory


class Counts(NamedTuple):
    """How many test cases passed, failed (or broke) and were skipped."""

    passed: int
    failed: int
    skipped: int = 0


def _main() -> int:
    arguments = _parse_arguments()
    LOGS.mkdir(parents=True, exist_ok=True)
    folders = [ROOT / "test"] + sorted(path for path in (ROOT / "sdk").glob("*/test") if path.is_dir())
    results = []
    unit_files = _matching(folders, "test_*.py", arguments.only)
    if unit_files:
        results.append(_run_pytest(unit_files, arguments.stop))
    for path in _without_gazebo(_matching(folders, "*.test", arguments.only)):
        if arguments.stop and any(result.failed for result in results):
            break
        results.append(_run_rostest(path, arguments.timeout))
    return _report(results)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("only", nargs="?", default="", help="run the test files whose name contains this")
    parser.add_argument("-x", dest="stop", action="store_true", help="stop at the first failure")
    parser.add_argument("--timeout", type=float, default=600.0, help="of one rostest, in seconds (default %(default)s)")
    return parser.parse_args()


def _matching(folders: List[Path], pattern: str, only: str) -> List[Path]:
    return [path for folder in folders for path in sorted(folder.glob(pattern)) if only in path.name]


def _without_gazebo(paths: List[Path]) -> List[Path]:
    """All rostests but those that need the real Gazebo, where it is not installed."""
    missing = [
        name
        for name in ("gazebo_ros", "baxter_gazebo")
        if subprocess.run(["rospack", "find", name], capture_output=True, check=False).returncode
    ]
    left_out = [path for path in paths if missing and path.name.startswith("gazebo_")]
    if left_out:
        names = ", ".join(path.name for path in left_out)
        print(f"not run, since {' and '.join(missing)} are not installed: {names}", flush=True)
    return [path for path in paths if path not in left_out]


def _run_pytest(files: List[Path], stop: bool) -> Counts:
    report = LOGS / "pytest.xml"
    if report.exists():
        report.unlink()
    workers = min(len(files), os.cpu_count() or 1, MOST_WORKERS)
    # a file stays with one worker, since its tests share what its fixtures made
    shared = ["-n", str(workers), "--dist", "loadfile"] if workers > 1 else []
    options = [*shared, f"--junitxml={report}", *(["-x"] if stop else [])]
    command = [sys.executable, "-m", "pytest", *options, *map(str, files)]
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    if not report.exists():
        return Counts(0, 1)
    suite = ElementTree.parse(report).getroot().find("testsuite")
    total, skipped = int(suite.get("tests")), int(suite.get("skipped"))
    failed = int(suite.get("failures")) + int(suite.get("errors"))
    # pytest may also fail as a whole, for example when it was interrupted
    return Counts(total - failed - skipped, max(failed, int(status != 0)), skipped)


def _run_rostest(path: Path, timeout: float) -> Counts:
    log = LOGS / f"{path.stem}.log"
    print(f"rostest {path.name} ... ", end="", flush=True)
    start = time.monotonic()
    with log.open("w") as output:
        status = _run_group(["rostest", "--text", str(path)], output, timeout)
    text = log.read_text(errors="replace")
    counts = _rostest_counts(text, status)
    print(f"{counts.passed} passed, {counts.failed} failed ({time.monotonic() - start:.0f} s)", flush=True)
    if counts.failed:
        why = f"stopped after {timeout:.0f} s" if status is None else f"exit status {status}"
        print("\n".join(text.splitlines()[-TAIL_LINES:]))
        print(f"rostest {path.name}: {why}, whole log in {log}", flush=True)
    return counts


def _run_group(command: List[str], output, timeout: float):
    """Run a command in its own process group; returns its status, or None if it had to be stopped."""
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        for number in (signal.SIGINT, signal.SIGKILL):
            os.killpg(process.pid, number)
            try:
                process.wait(KILL_GRACE)
                break
            except subprocess.TimeoutExpired:
                continue
        return None
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(KILL_GRACE)
        raise


def _rostest_counts(text: str, status) -> Counts:
    found = {}
    for key in ("TESTS", "ERRORS", "FAILURES"):
        matches = re.findall(rf"\* {key}: (\d+)", text)
        found[key] = int(matches[-1]) if matches else 0
    failed = found["ERRORS"] + found["FAILURES"]
    if status != 0 or found["TESTS"] == 0:
        failed = max(failed, 1)
    return Counts(max(found["TESTS"] - failed, 0), failed)


def _report(results: List[Counts]) -> int:
    passed = sum(result.passed for result in results)
    failed = sum(result.failed for result in results)
    skipped = sum(result.skipped for result in results)
    if passed + failed == 0:
        print("no test was run", file=sys.stderr)
        return 1
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(_main())
