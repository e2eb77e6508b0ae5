"""One rule, A against B: the tasks that both tried as pairs, and what only one of them tried apart.

A pair is made of the first attempt of each side at the task that counts, by time: one attempt, fixed before looking.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean

from speedproof.analysis.collection import Entry
from speedproof.analysis.comparison.sides import Chosen
from speedproof.analysis.comparison.skill import RULES, Estimate, Proportion, Rule, left_out, meaning, proportion, share
from speedproof.analysis.comparison.statistics import kappa, mcnemar, mean_interval, paired_difference
from speedproof.journal import Record

Tasks = Mapping[str, Sequence[Entry]]


class Outcome(Record):
    """One rule over tasks that both sides tried."""

    both: tuple[str, ...]
    """Tasks on which the first attempt of each reaches it."""
    only_a: tuple[str, ...]
    """Tasks that A alone solves."""
    only_b: tuple[str, ...]
    """Tasks that B alone solves."""
    neither: tuple[str, ...]
    """Tasks that none solves."""
    unknown: tuple[str, ...]
    """Tasks on which it is not known of one of the two attempts: no pair."""
    pairs: int
    """Pairs: the four together."""
    rate_a: Estimate | None
    """Share of the pairs that A solves, with Wilson's interval; null without a pair."""
    rate_b: Estimate | None
    """The same of B."""
    difference: Estimate | None
    """A less B by the first attempts, with Newcombe's interval for pairs."""
    all_attempts: Estimate | None
    """A less B, each by the share of its attempts at the task that succeed, mean over tasks; with a bootstrap interval
    over tasks, whose ends are null where all tasks say the same."""
    p: float | None
    """McNemar's exact two-sided p; null without a pair."""
    p_holm: float | None
    """The same after Holm's correction over all pairs of sides."""
    agreement: float | None
    """Share of the pairs with the same outcome."""
    kappa: float | None
    """Cohen's kappa: agreement beyond chance; null where all outcomes are of one kind."""


class RulePair(Record):
    """One rule, A against B."""

    rule: Rule
    """Name of the rule."""
    meaning: str
    """What an attempt must show."""
    counted: Outcome
    """Infrastructure failures left out."""
    everything: Outcome
    """With everything counted: the first attempt of each, whatever ended it."""
    unpaired_a: Proportion
    """Attempts of A that count, on tasks that B has no attempt at which counts."""
    unpaired_a_tasks: int
    """Those tasks."""
    unpaired_b: Proportion
    """The same of B."""
    unpaired_b_tasks: int
    """Those tasks."""


def rule_pair(rule: Rule, a: Chosen, b: Chosen) -> RulePair:
    """All that the two sides say by one rule; p is not yet corrected for many comparisons."""
    tasks_a, tasks_b = (side.by_task(lambda e: left_out(e, rule) is None) for side in (a, b))
    alone_a = [entry for task, entries in tasks_a.items() if task not in tasks_b for entry in entries]
    alone_b = [entry for task, entries in tasks_b.items() if task not in tasks_a for entry in entries]
    return RulePair(
        rule=rule,
        meaning=meaning(rule),
        counted=_outcome(rule, tasks_a, tasks_b),
        everything=_outcome(rule, a.by_task(), b.by_task()),
        unpaired_a=proportion(alone_a, rule),
        unpaired_a_tasks=len(tasks_a.keys() - tasks_b.keys()),
        unpaired_b=proportion(alone_b, rule),
        unpaired_b_tasks=len(tasks_b.keys() - tasks_a.keys()),
    )


def _outcome(rule: Rule, a: Tasks, b: Tasks) -> Outcome:
    found: dict[tuple[bool | None, bool | None], list[str]] = {}
    differences: list[float] = []
    for task in sorted(a.keys() & b.keys()):
        found.setdefault((_first(rule, a[task]), _first(rule, b[task])), []).append(task)
        means = _mean(rule, a[task]), _mean(rule, b[task])
        if means[0] is not None and means[1] is not None:
            differences.append(means[0] - means[1])
    both, only_a, only_b, neither = (
        found.get(key, []) for key in ((True, True), (True, False), (False, True), (False, False))
    )
    counts = len(both), len(only_a), len(only_b), len(neither)
    pairs = sum(counts)
    value, low, high = paired_difference(*counts) if pairs else (None, None, None)
    ends = mean_interval(differences) or (None, None)
    p = mcnemar(len(only_a), len(only_b)) if pairs else None
    return Outcome(
        both=tuple(both),
        only_a=tuple(only_a),
        only_b=tuple(only_b),
        neither=tuple(neither),
        unknown=tuple(sorted(task for key, tasks in found.items() if None in key for task in tasks)),
        pairs=pairs,
        rate_a=share(len(both) + len(only_a), pairs),
        rate_b=share(len(both) + len(only_b), pairs),
        difference=None if value is None else Estimate(value=value, low=low, high=high),
        all_attempts=Estimate(value=fmean(differences), low=ends[0], high=ends[1]) if differences else None,
        p=p,
        p_holm=p,
        agreement=(len(both) + len(neither)) / pairs if pairs else None,
        kappa=kappa(*counts),
    )


def _first(rule: Rule, entries: Sequence[Entry]) -> bool | None:
    return RULES[rule](entries[0])


def _mean(rule: Rule, entries: Sequence[Entry]) -> float | None:
    known = [value for value in map(RULES[rule], entries) if value is not None]
    return fmean(known) if known else None
