"""The command that turns collections into a dataset."""

import argparse
import sys
from typing import Optional, Sequence

from grasp_learning.config import ConfigError, parse_settings
from grasp_learning.dataset.export import export_collections
from grasp_learning.dataset.folder import DatasetInfo, report_of
from grasp_learning.dataset.reader import DatasetError
from grasp_learning.dataset.released import write_released
from grasp_learning.dataset.schema import SPLITS, UNUSED
from grasp_learning.dataset.splits import SplitSettings
from grasp_learning.storage import CollectionError


def parse_arguments(arguments: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Command line of `rosrun grasp_learning export_dataset`."""
    default = SplitSettings()
    parser = argparse.ArgumentParser(
        prog="export_dataset",
        description="Turn collections into a dataset of labelled patches (Parquet). Run it again to go on after an "
        "interruption, or to add collections; what is there already is kept.",
    )
    parser.add_argument(
        "collections",
        nargs="+",
        metavar="COLLECTION",
        help="folder of a collection, bags or shards; or of patches in the layout of the paper's authors",
    )
    parser.add_argument("out", metavar="OUT", help="folder of the dataset; made if it is not there")
    parser.add_argument("--seed", type=int, default=default.seed, help="of the splits (default: %(default)s)")
    parser.add_argument(
        "--validation",
        type=float,
        default=default.validation,
        metavar="F",
        help="fraction of the scenes that validate (default: %(default)s)",
    )
    parser.add_argument(
        "--test-size",
        type=float,
        default=default.test_size,
        metavar="F",
        help="fraction of the scenes that go to test_seen; where objects are unknown, of each collection's end "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--novel-fraction",
        type=float,
        default=default.novel_fraction,
        metavar="F",
        help="fraction of the training objects that are held out for test_novel, beside the catalogue's test objects "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--novel-objects", default="", metavar="NAME,NAME", help="objects that are held out for test_novel, too"
    )
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes that read (default: 2)")
    parser.add_argument(
        "--layout",
        choices=("parquet", "released"),
        default="parquet",
        help="released: turn datasets (in the place of COLLECTION) into the layout of the paper's authors, "
        "{Train,Validation,Test}/{positive,negative}/Images and dataInfo.txt",
    )
    parsed = parser.parse_args(arguments)
    if parsed.workers < 1:
        parser.error(f"--workers is {parsed.workers}: expected 1 or more")
    return parsed


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command; exit code 0, 1 after an error, 2 for wrong usage (one line on stderr), 130 after Ctrl-C."""
    parsed = parse_arguments(arguments)
    try:
        settings = _settings_of(parsed)
        print(_released(parsed) if parsed.layout == "released" else _export(parsed, settings))
    except ConfigError as error:
        return _failed(error, 2)
    except (CollectionError, DatasetError) as error:
        return _failed(error, 1)
    except KeyboardInterrupt:
        print("export_dataset: interrupted; run it again to go on", file=sys.stderr)
        return 130  # as a shell has it
    return 0


def _failed(error: Exception, code: int) -> int:
    print(f"export_dataset: {' '.join(str(error).split())}", file=sys.stderr)
    return code


def _settings_of(parsed: argparse.Namespace) -> SplitSettings:
    values = {key: getattr(parsed, key) for key in ("seed", "validation", "test_size", "novel_fraction")}
    values["novel_objects"] = tuple(sorted(filter(None, parsed.novel_objects.split(","))))
    return parse_settings(SplitSettings, values, "command line")


def _export(parsed: argparse.Namespace, settings: SplitSettings) -> str:
    sources = export_collections(parsed.collections, parsed.out, settings, parsed.workers, quiet=False)
    return f"{format_report(DatasetInfo(splits=settings, sources=sources))}\ndataset        {parsed.out}"


def _released(parsed: argparse.Namespace) -> str:
    counts = write_released(parsed.collections, parsed.out)
    return "\n".join(f"{group:<20} {count:>9}" for group, count in sorted(counts.items()))


def format_report(info: DatasetInfo) -> str:
    """What a dataset holds and what was left out, as a table for a terminal."""
    report = report_of(info)
    lines = [f"{'split':<14} {'patches':>9} {'success':>9} {'failure':>9}"]
    for split in (*SPLITS, UNUSED):
        counts = report["counts"].get(split, {"success": 0, "failure": 0})
        lines.append(f"{split:<14} {sum(counts.values()):>9} {counts['success']:>9} {counts['failure']:>9}")
    lines.append(f"{'all':<14} {report['patches']:>9} of {len(info.sources)} collection(s)")
    for reason, count in sorted(report["left_out"].items()):
        lines.append(f"left out       {count:>9} {reason}")
    lines += [f"# {split} is empty" for split in SPLITS[:2] if split not in report["counts"]]
    return "\n".join(lines)
