"""What it all comes to, said honestly: where a baseline wins, that comes first; then what did not hold."""

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from grasp_learning.evaluation.results import Comparison, Evaluation, Interval, MethodResult
from grasp_learning.experiments.accuracies import BASELINE_NAMES
from grasp_learning.experiments.findings import FEWEST_CLUSTERS
from grasp_learning.experiments.results import EXPERIMENT_IDS, Claim
from grasp_learning.reporting.sources import Sources
from grasp_learning.reporting.words import listed, share

TABLE2 = "table2"
NOVEL, SEEN = "test_novel", "test_seen"
SPLIT_TITLES = {NOVEL: "held-out objects", SEEN: "objects of the training"}
NETWORK, STAGE = "network:", "stage"
OPTIMISTIC = " (parameters chosen on the test set)"
EQUAL = 1e-9  # accuracies that differ by less are the same number of patches
VERDICTS = {True: "Held", False: "Did not hold", None: "Not decided"}


@dataclass(frozen=True)
class Statement:
    """A sentence of the headline.

    Attributes:
        text: the sentence.
        holds: whether it speaks for the paper's findings; None where that cannot be told.
        reasons: its parts, each with numbers.
        id: of the experiment that it is of.
    """

    text: str
    holds: Optional[bool] = None
    reasons: Tuple[str, ...] = ()
    id: str = ""

    @property
    def verdict(self) -> str:
        """In a word or two."""
        return VERDICTS[self.holds]


def headline(sources: Sources) -> List[Statement]:
    """What a reader has to know, the least flattering first."""
    evaluation = sources.evaluation(TABLE2)
    first = [] if evaluation is None else _wins(evaluation)
    claims = [of_claim(result.order, result.id) for result in sources.results.values() if result.order is not None]
    order = {False: 0, True: 1, None: 2}
    # the order of Table II is what the paper is about
    return first + sorted(
        claims, key=lambda each: (each.id != TABLE2, order[each.holds], EXPERIMENT_IDS.index(each.id))
    )


def _wins(evaluation: Evaluation) -> List[Statement]:
    """Who wins on held-out objects; on those of the training where it is not the network. Defeats come first."""
    found = [compare_methods(evaluation)]
    if any(each.split == SEEN for each in evaluation.results):
        seen = compare_methods(evaluation, SEEN)
        found += [] if seen.holds else [seen]
    return sorted(found, key=lambda each: each.holds is not False)


def of_claim(claim: Claim, name: str) -> Statement:
    """An experiment's claim as a statement."""
    return Statement(claim.text, claim.holds, tuple(claim.reasons), name)


def compare_methods(evaluation: Evaluation, split: str = NOVEL) -> Statement:
    """Whether a method that is no network wins over the best network.

    The network wins where its lead over the best other method is more than chance.
    """
    known = [each for each in evaluation.results if each.split == split and each.accuracy.value is not None]
    networks = [each for each in known if each.spec.startswith(NETWORK)]
    others = [each for each in known if not each.spec.startswith(NETWORK)]
    where = title_of(split)
    if not networks or not others:
        lacking = "network" if others else "baseline"
        return Statement(f"No {lacking} was evaluated on {where}, so nobody knows which is better.", None, (), TABLE2)
    best = max(networks, key=_accuracy)
    ahead = [each for each in others if _accuracy(each) > _accuracy(best) + EQUAL]
    beside = [each for each in others if abs(_accuracy(each) - _accuracy(best)) <= EQUAL]
    if ahead or beside:
        return _defeat(evaluation, best, sorted(ahead or beside, key=_accuracy, reverse=True), bool(ahead))
    runner_up = max(others, key=_accuracy)
    comparison = _compared(evaluation, runner_up, best)
    won = comparison is not None and comparison.verdict == "better" and not _few(evaluation, comparison)
    said = "No baseline wins over the network" if won else "Whether the network wins over the baselines is not decided"
    text = (
        f"{said}. Right on {where}: {_told(best)}; {_told(runner_up)}, the best baseline"
        f"{_difference(evaluation, runner_up, best)}."
    )
    return Statement(text, True if won else None, (), TABLE2)


def _defeat(evaluation: Evaluation, best: MethodResult, winners: Sequence[MethodResult], beaten: bool) -> Statement:
    many = len(winners) > 1
    if beaten:
        kind, verb = f"{'Baselines win' if many else 'A baseline wins'} over the network", "beaten"
    else:
        kind, verb = "The network does not win", "equalled"
    who = listed(method_name(each.method) for each in winners)
    reasons = (f"{_told(best)}.", *(f"{_told(each)}{_difference(evaluation, best, each)}." for each in winners))
    text = f"{kind}: on {title_of(best.split)} the best one, {method_name(best.method)}, is {verb} by {who}."
    return Statement(text, False, reasons, TABLE2)


def title_of(split: str) -> str:
    """A test set as a person calls it."""
    return SPLIT_TITLES.get(split, split)


def _accuracy(result: MethodResult) -> float:
    return result.accuracy.value if result.accuracy.value is not None else float("-inf")


def method_name(name: str) -> str:
    """A method as a person calls it; the experiments' own names are short ones."""
    if name.startswith(STAGE) and name[len(STAGE) :].isdigit():
        return f"the network of stage {name[len(STAGE) :]}"
    return BASELINE_NAMES.get(name, name)


def _told(result: MethodResult) -> str:
    return f"{told(result.accuracy)} for {method_name(result.method)}{OPTIMISTIC if result.optimistic else ''}"


def told(figure: Interval) -> str:
    """A share with its interval, "70.0 % (65.1 to 74.4 %)"."""
    between = f" ({share(figure.low)} to {share(figure.high)} %)" if figure.low is not None else ""
    return f"{share(figure.value)} %{between}"


def _compared(evaluation: Evaluation, worse: MethodResult, better: MethodResult) -> Optional[Comparison]:
    try:
        return evaluation.compare(worse.method, better.method, better.split)
    except KeyError:
        return None


def _difference(evaluation: Evaluation, worse: MethodResult, better: MethodResult) -> str:
    """By how much, and whether it may be chance; empty where the two were not compared."""
    comparison = _compared(evaluation, worse, better)
    return "" if comparison is None else f", {points(evaluation, comparison)}"


def _few(evaluation: Evaluation, comparison: Comparison) -> bool:
    """Whether the test set has so few tables that an interval says nothing."""
    return evaluation.result(comparison.first, comparison.split).clusters < FEWEST_CLUSTERS


def points(evaluation: Evaluation, comparison: Comparison) -> str:
    """The second method's lead in points of percent, and whether it may be chance."""
    figure = comparison.difference
    if figure.value is None or figure.low is None or figure.high is None:
        return "by how much is not known"
    verdict = "which may be chance" if comparison.verdict == "undecided" else "more than chance"
    if _few(evaluation, comparison):
        result = evaluation.result(comparison.first, comparison.split)
        verdict = f"which may be chance: there are {result.clusters} {result.resampled_by}s only"
    return f"a lead of {share(figure.value)} points ({share(figure.low)} to {share(figure.high)}), {verdict}"
