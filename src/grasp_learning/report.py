"""The command that prints the figures of a collection and draws its trials."""

import argparse
import sys
from typing import Optional, Sequence

from grasp_learning.contact_sheet import contact_sheet
from grasp_learning.storage import CollectionError
from grasp_learning.summary import format_summary, summarize


def parse_arguments(arguments: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Command line of `rosrun grasp_learning report`."""
    parser = argparse.ArgumentParser(
        prog="report", description="Print the figures of a collection and draw its trials into contact_sheet.png."
    )
    parser.add_argument("data", metavar="DATA", help="folder of the collection; it may be growing meanwhile")
    parser.add_argument("--picture", metavar="FILE", help="where the picture goes (default: DATA/contact_sheet.png)")
    parser.add_argument("--limit", type=int, default=200, metavar="N", help="draw the latest N trials (default: 200)")
    parser.add_argument("--no-picture", action="store_true", help="print the figures only")
    parsed = parser.parse_args(arguments)
    if parsed.limit < 1:
        parser.error(f"--limit is {parsed.limit}: expected 1 or more")
    return parsed


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command; a problem ends it with one line on stderr and exit code 1."""
    parsed = parse_arguments(arguments)
    try:
        summary = summarize(parsed.data)
        print(format_summary(parsed.data, summary))
        if summary.trials and not parsed.no_picture:
            print(f"picture                   {contact_sheet(parsed.data, parsed.picture, parsed.limit)}")
    except CollectionError as error:
        sys.exit(f"report: {error}")
