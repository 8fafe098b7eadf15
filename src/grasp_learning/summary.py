"""Figures of a collection: how many trials, how often they succeeded, how fast they came."""

import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Tuple

import numpy as np

from grasp_learning.storage import CollectionInfo, faults_of, file_of, load_info, missing_of, trials_of


@dataclass
class Summary:
    """Figures of a collection.

    Attributes:
        info: its collection.yaml.
        by_arm: arm -> outcome -> count, labelled trials on disk only.
        faults: outcome -> count of the attempts without a label.
        missing: lines of trials whose bag or shard is gone or damaged.
        hours: time during which trials ran (h, robot's time), summed over the runs, or over the trials where these
            ran one after another without ROS.
        truth_known, truth_agrees: trials for which a simulator knew whether an object was held, and those in which
            the label says the same.
        bag_bytes: size of each bag.
        shard_bytes: size of each shard.
    """

    info: CollectionInfo
    by_arm: Dict[str, Counter] = field(default_factory=dict)
    faults: Counter = field(default_factory=Counter)
    missing: List[Dict[str, Any]] = field(default_factory=list)
    hours: float = 0.0
    truth_known: int = 0
    truth_agrees: int = 0
    bag_bytes: List[int] = field(default_factory=list)
    shard_bytes: List[int] = field(default_factory=list)

    @property
    def successes(self) -> int:
        """Trials in which the gripper held something."""
        return sum(counts["SUCCESS"] for counts in self.by_arm.values())

    @property
    def trials(self) -> int:
        """Labelled trials on disk."""
        return sum(sum(counts.values()) for counts in self.by_arm.values())


def wilson_interval(successes: float, trials: float, z: float = 1.959964) -> Tuple[float, float]:
    """Interval of a success rate by Wilson's score; 95 % by default. (0, 1) without trials.

    Args:
        successes, trials: they need not be whole where trials are worth fewer independent ones.
    """
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
        if "bag_bytes" in trial:
            summary.bag_bytes.append(trial["bag_bytes"])
        if trial.get("truth_known"):
            summary.truth_known += 1
            summary.truth_agrees += trial["truth_held"] == (trial["outcome"] == "SUCCESS")
    summary.faults = Counter(fault["outcome"] for fault in faults_of(folder))
    summary.hours = _hours(trials)
    shards = sorted({trial["shard"] for trial in trials if "shard" in trial})
    summary.shard_bytes = [(Path(folder) / name).stat().st_size for name in shards]
    return summary


def _hours(trials: Iterable[Mapping[str, Any]]) -> float:
    """From the first start to the last end of each run, since a simulator's clock starts anew with each.

    Without ROS every scene has a clock of its own, and the trials of both arms follow each other.
    """
    spans: Dict[int, Tuple[float, float]] = {}
    alone = 0.0
    for trial in trials:
        if "shard" in trial:
            alone += trial["end"] - trial["start"]
            continue
        start, end = spans.get(trial["run"], (math.inf, -math.inf))
        spans[trial["run"]] = min(start, trial["start"]), max(end, trial["end"])
    return (alone + sum(end - start for start, end in spans.values())) / 3600.0


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
    for name, sizes in (("bags", summary.bag_bytes), ("shards", summary.shard_bytes)):
        if sizes:
            mb = np.array(sizes) / 1e6
            lines.append(f"{name:25} {mb.mean():.2f} MB mean, {mb.max():.2f} max, {mb.sum():.0f} all")
    if summary.missing:
        lines.append(f"bags gone or damaged      {', '.join(sorted({file_of(line) for line in summary.missing}))}")
    return "\n".join(lines)


def _row(name: str, counts: Counter) -> str:
    successes, trials = counts["SUCCESS"], counts["SUCCESS"] + counts["FAILURE"]
    low, high = wilson_interval(successes, trials)
    rate = f"{100 * successes / trials:.1f} %" if trials else "-"
    interval = f"{100 * low:.1f} to {100 * high:.1f} %" if trials else "-"
    return f"{name:8}{trials:8d}{successes:9d}{counts['FAILURE']:9d}{rate:>9}   {interval}"
