"""What came out of a collection: a table of its figures and a picture of its trials."""

import argparse
import math
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

import cv2
import numpy as np
from tqdm import tqdm

from grasp_learning.bags import APPROACH_TOPIC, BagError, read_picture
from grasp_learning.drawing import draw_grasp
from grasp_learning.storage import CollectionError, CollectionInfo, faults_of, load_info, missing_of, trials_of

SHEET_FILE = "contact_sheet.png"
TILE = 180  # px, side of a patch in the sheet
FRAME = 6  # px
CAPTION = 24  # px, below each patch
TITLE = 64  # px, above all
GAP = 6  # px
FEWEST_COLUMNS = 5
GREEN, RED, GREY, INK, PAPER = (60, 160, 40), (50, 50, 215), (150, 150, 150), (30, 30, 30), (255, 255, 255)  # BGR
FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass
class Summary:
    """Figures of a collection.

    Attributes:
        info: its collection.yaml.
        by_arm: arm -> outcome -> count, labelled trials on disk only.
        faults: outcome -> count of the attempts without a label.
        missing: lines of trials whose bag is gone or damaged.
        hours: time during which trials ran (h, robot's time), summed over the runs.
        truth_known, truth_agrees: trials for which a simulator knew whether an object was held, and those in which
            the label says the same.
        bag_bytes: size of each bag.
    """

    info: CollectionInfo
    by_arm: Dict[str, Counter] = field(default_factory=dict)
    faults: Counter = field(default_factory=Counter)
    missing: List[Dict[str, Any]] = field(default_factory=list)
    hours: float = 0.0
    truth_known: int = 0
    truth_agrees: int = 0
    bag_bytes: List[int] = field(default_factory=list)

    @property
    def successes(self) -> int:
        """Trials in which the gripper held something."""
        return sum(counts["SUCCESS"] for counts in self.by_arm.values())

    @property
    def trials(self) -> int:
        """Labelled trials on disk."""
        return sum(sum(counts.values()) for counts in self.by_arm.values())


def wilson_interval(successes: int, trials: int, z: float = 1.959964) -> Tuple[float, float]:
    """Interval of a success rate by Wilson's score; 95 % by default. (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    rate = successes / trials
    center = (rate + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    return max(0.0, center - half), min(1.0, center + half)


def summarize(folder) -> Summary:
    """Figures of a collection, which may be growing meanwhile.

    Raises:
        CollectionError: it is no collection, or a file of it is damaged.
    """
    summary = Summary(load_info(folder), missing=missing_of(folder))
    summary.by_arm = {arm: Counter() for arm in summary.info.arms}
    trials = list(trials_of(folder))
    for trial in trials:
        summary.by_arm.setdefault(trial["arm"], Counter())[trial["outcome"]] += 1
        summary.bag_bytes.append(trial["bag_bytes"])
        if trial.get("truth_known"):
            summary.truth_known += 1
            summary.truth_agrees += trial["truth_held"] == (trial["outcome"] == "SUCCESS")
    summary.faults = Counter(fault["outcome"] for fault in faults_of(folder))
    summary.hours = _hours(trials)
    return summary


def _hours(trials: Iterable[Mapping[str, Any]]) -> float:
    """From the first start to the last end of each run, since a simulator's clock starts anew with each."""
    spans: Dict[int, Tuple[float, float]] = {}
    for trial in trials:
        start, end = spans.get(trial["run"], (math.inf, -math.inf))
        spans[trial["run"]] = min(start, trial["start"]), max(end, trial["end"])
    return sum(end - start for start, end in spans.values()) / 3600.0


def format_summary(folder, summary: Summary) -> str:
    """The figures as lines of text for a person."""
    info = summary.info
    what = f"{info.robot}, {info.mode}, stage {info.stage}" + (f", model {info.model}" if info.model else "")
    lines = [f"{folder}: {what}, planner {info.planner or 'not told'}, {1 + len(info.resumed)} run(s)", ""]
    lines.append(f"{'arm':8}{'trials':>8}{'success':>9}{'failure':>9}{'rate':>9}   95 % interval")
    total: Counter = Counter()
    for arm, counts in summary.by_arm.items():
        lines.append(_row(arm, counts))
        total += counts
    lines += [_row("all", total), ""]
    faults = ", ".join(f"{count} {name}" for name, count in summary.faults.most_common()) or "none"
    lines.append(f"attempts without a label  {faults}")
    if summary.hours > 0:
        lines.append(f"trials per hour           {summary.trials / summary.hours:.0f}  (robot's time)")
    if summary.truth_known:
        share = 100 * summary.truth_agrees / summary.truth_known
        lines.append(f"label agrees with truth   {summary.truth_agrees} of {summary.truth_known}  ({share:.1f} %)")
    if summary.bag_bytes:
        sizes = np.array(summary.bag_bytes) / 1e6
        lines.append(
            f"bags                      {sizes.mean():.2f} MB mean, {sizes.max():.2f} max, {sizes.sum():.0f} all"
        )
    if summary.missing:
        lines.append(f"bags gone or damaged      {', '.join(line['bag'] for line in summary.missing)}")
    return "\n".join(lines)


def _row(name: str, counts: Counter) -> str:
    successes, trials = counts["SUCCESS"], counts["SUCCESS"] + counts["FAILURE"]
    low, high = wilson_interval(successes, trials)
    rate = f"{100 * successes / trials:.1f} %" if trials else "-"
    interval = f"{100 * low:.1f} to {100 * high:.1f} %" if trials else "-"
    return f"{name:8}{trials:8d}{successes:9d}{counts['FAILURE']:9d}{rate:>9}   {interval}"


def contact_sheet(collection_folder, path=None, limit: int = 200) -> Path:
    """Draw each trial's patch with its grasp, framed green for a success and red for a failure.

    A trial whose bag cannot be read gets a grey tile.

    Args:
        path: where the picture goes; contact_sheet.png in the collection's folder by default.
        limit: only so many trials, the latest, are drawn.

    Raises:
        CollectionError: it is no collection, a file of it is damaged, it holds no trials, or the picture cannot be
            written.
    """
    folder = Path(collection_folder)
    path = folder / SHEET_FILE if path is None else Path(path)
    summary = summarize(folder)
    trials = list(trials_of(folder))[-limit:]
    if not trials:
        raise CollectionError(f"{folder}: holds no trials yet, so there is nothing to draw; collect some first")
    progress = tqdm(trials, "drawing", unit="trial", disable=None, leave=False)
    sheet = _arrange([_tile(folder, trial) for trial in progress], _title(folder, summary, len(trials)))
    done, data = cv2.imencode(".png", sheet)
    if not done:
        raise CollectionError(f"{path}: a picture of {sheet.shape[1]} x {sheet.shape[0]} px cannot be encoded")
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise CollectionError(f"{path}: cannot be written ({error.strerror}); name another file") from error
    return path


def trial_patch(folder, trial: Mapping[str, Any]) -> np.ndarray:
    """(patch_size, patch_size, 3) BGR patch of a trial with its grasp drawn in; borders repeat the picture's edge.

    Raises:
        BagError: the picture cannot be read from the trial's bag.
    """
    picture = read_picture(Path(folder) / trial["bag"], APPROACH_TOPIC.format(arm=trial["arm"]))
    side = int(trial["patch_size"])
    patch = cv2.getRectSubPix(picture, (side, side), (trial["u"], trial["v"]))
    middle = (side - 1) / 2
    return draw_grasp(patch, middle, middle, trial["theta_image"], side, thickness=max(1, round(side / 90)))


def _tile(folder: Path, trial: Mapping[str, Any]) -> np.ndarray:
    try:
        patch = cv2.resize(trial_patch(folder, trial), (TILE, TILE), interpolation=cv2.INTER_AREA)
        color = GREEN if trial["outcome"] == "SUCCESS" else RED
    except BagError as error:
        print(error, file=sys.stderr)
        patch, color = np.full((TILE, TILE, 3), 225, np.uint8), GREY
        cv2.putText(patch, "unreadable", (38, TILE // 2), FONT, 0.55, INK, 1, cv2.LINE_AA)
    tile = cv2.copyMakeBorder(patch, FRAME, FRAME + CAPTION, FRAME, FRAME, cv2.BORDER_CONSTANT, value=color)
    force = "" if trial.get("force") is None else f"  {trial['force']:.0f} %"
    caption = f"{trial['number']}  {trial['arm']}{force}"
    cv2.putText(tile, caption, (FRAME + 2, tile.shape[0] - 10), FONT, 0.52, PAPER, 1, cv2.LINE_AA)
    return tile


def _title(folder: Path, summary: Summary, drawn: int) -> Tuple[str, str]:
    low, high = wilson_interval(summary.successes, summary.trials)
    rate = f"{100 * summary.successes / summary.trials:.1f} % ({100 * low:.1f} to {100 * high:.1f} %)"
    latest = "" if drawn == summary.trials else f", the latest {drawn} drawn"
    figures = f"{summary.trials} trials{latest}, {summary.successes} successes, rate {rate}"
    return folder.absolute().name, figures


def _arrange(tiles: Sequence[np.ndarray], title: Tuple[str, str]) -> np.ndarray:
    """Tiles in rows under two lines of text."""
    height, width = tiles[0].shape[:2]
    columns = max(FEWEST_COLUMNS, math.ceil(math.sqrt(1.6 * len(tiles))))
    rows = math.ceil(len(tiles) / columns)
    size = (TITLE + rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3)
    sheet = np.full(size, 255, np.uint8)
    cv2.putText(sheet, title[0], (GAP + 2, 26), FONT, 0.75, INK, 2, cv2.LINE_AA)
    cv2.putText(sheet, title[1], (GAP + 2, 52), FONT, 0.6, INK, 1, cv2.LINE_AA)
    key = (("success", GREEN), ("failure", RED))
    for place, (word, color) in enumerate(key):
        left = size[1] - 220 + 110 * place
        cv2.rectangle(sheet, (left, 12), (left + 16, 28), color, -1)
        cv2.putText(sheet, word, (left + 22, 26), FONT, 0.55, INK, 1, cv2.LINE_AA)
    for place, tile in enumerate(tiles):
        row, column = divmod(place, columns)
        top, left = TITLE + row * (height + GAP), GAP + column * (width + GAP)
        sheet[top : top + height, left : left + width] = tile
    return sheet


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
