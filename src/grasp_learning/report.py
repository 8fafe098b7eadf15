"""The command that tells what is in a folder: a collection, a curriculum, or experiments, which get a page."""

import argparse
import sys
from pathlib import Path
from typing import Callable, Optional, Sequence

from grasp_learning.contact_sheet import contact_sheet
from grasp_learning.storage import COLLECTION_FILE, CollectionError
from grasp_learning.summary import format_summary, summarize

DESCRIPTION = """
Tell what is in a folder. A collection: print its figures and draw its trials into contact_sheet.png. A curriculum:
print the table of its stages and name its picture. Experiments: write report.html, one page that needs no other file,
with every figure beside the paper's, and the same figures as figures/*.png. Any of them may be growing meanwhile.
"""


def parse_arguments(arguments: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Command line of `rosrun grasp_learning report`."""
    parser = argparse.ArgumentParser(prog="report", description=DESCRIPTION)
    parser.add_argument("data", metavar="DIR", help="folder of a collection, of a curriculum or of experiments")
    parser.add_argument(
        "--picture", metavar="FILE", help="of a collection: where the picture goes (default: DIR/contact_sheet.png)"
    )
    parser.add_argument(
        "--limit", type=int, metavar="N", help="of a collection: draw the latest N trials (default: 200)"
    )
    parser.add_argument(
        "--no-picture",
        action="store_true",
        help="of a collection: print the figures only; of experiments: leave out the pictures of patches",
    )
    parsed = parser.parse_args(arguments)
    if parsed.limit is not None and parsed.limit < 1:
        parser.error(f"--limit is {parsed.limit}: expected 1 or more")
    return parsed


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command: exit code 0, 1 if a file is damaged or missing, 2 for a usage that is wrong.

    What cannot be told at all ends it with one line on stderr; of experiments the rest is told.
    """
    parsed = parse_arguments(arguments)
    folder = Path(parsed.data).expanduser()
    try:
        return _kind(folder, parsed)(folder, parsed)
    except CollectionError as error:
        sys.exit(f"report: {error}")


def _kind(folder: Path, parsed: argparse.Namespace) -> Callable[[Path, argparse.Namespace], int]:
    """Who tells of such a folder."""
    kind: Callable[[Path, argparse.Namespace], int] = _report_collection
    if not (folder / COLLECTION_FILE).exists():
        # only here: whoever has a collection need not wait for what these import
        from grasp_learning.curriculum.folder import STATE_FILE
        from grasp_learning.reporting.sources import is_experiments

        if is_experiments(folder):
            kind = _report_experiments
        elif (folder / STATE_FILE).exists():
            kind = _report_curriculum
    for option, given in (("--picture", parsed.picture), ("--limit", parsed.limit)):
        if given is not None and kind is not _report_collection:
            print(f"report: {option} is for collections, and {folder} is none", file=sys.stderr)
            sys.exit(2)
    return kind


def _report_collection(_folder: Path, parsed: argparse.Namespace) -> int:
    summary = summarize(parsed.data)
    print(format_summary(parsed.data, summary))
    if summary.trials and not parsed.no_picture:
        print(f"picture                   {contact_sheet(parsed.data, parsed.picture, parsed.limit or 200)}")
    return 0


def _report_curriculum(folder: Path, _parsed: argparse.Namespace) -> int:
    from grasp_learning.curriculum.errors import CurriculumError
    from grasp_learning.curriculum.folder import PICTURE_FILE, load_state
    from grasp_learning.curriculum.results import StageResult, table

    try:
        state = load_state(folder)
        results = [StageResult.from_json(values) for values in state["stages"]]
        print(f"{folder}: curriculum, {len(results)} stage(s), written {state.get('written', 'at an unknown time')}\n")
        print(table(results))
    except CurriculumError as error:
        sys.exit(f"report: {error}")
    except (TypeError, ValueError, AttributeError) as error:
        sys.exit(
            f"report: {folder}/curriculum.json: a stage is malformed ({error}); repair it, or run curriculum again"
        )
    picture = folder / PICTURE_FILE
    print(f"picture  {picture if picture.exists() else 'none yet'}")
    return 0


def _report_experiments(folder: Path, parsed: argparse.Namespace) -> int:
    from grasp_learning.reporting.build import write_report
    from grasp_learning.reporting.errors import ReportError

    try:
        report = write_report(folder, pictures=not parsed.no_picture)
    except ReportError as error:
        sys.exit(f"report: {error}")
    for statement in report.statements:
        print(f"{statement.verdict}: {statement.text}")
    if report.missing:
        print(f"without results: {', '.join(report.missing)}")
    print(f"page     {report.page}\nfigures  {len(report.figures)} in {report.page.parent / 'figures'}")
    for problem in report.problems:
        print(f"report: {problem}", file=sys.stderr)
    return 1 if report.problems else 0
