"""What the sides took: money, tokens, time and steps, and what a success of each cost."""

import math
from collections.abc import Callable
from statistics import fmean, median
from typing import Literal

from speedproof.analysis.collection import Entry
from speedproof.analysis.comparison.sides import Chosen
from speedproof.analysis.comparison.skill import RULES, Estimate, Rule, left_out
from speedproof.analysis.comparison.statistics import LEAST_TASKS, mean_interval, median_interval, ratio_intervals
from speedproof.journal import Record

What = Literal["tokens", "wall_s", "steps", "cost_usd"]
EFFORTS: dict[What, Callable[[Entry], float | None]] = {
    "tokens": lambda e: e.attempt.usage.total,
    "wall_s": lambda e: e.attempt.wall_s,
    "steps": lambda e: e.attempt.steps,
    "cost_usd": lambda e: e.cost_usd,
}
"""What an attempt takes, and how it shows it."""
SUCCESSES: tuple[Rule, ...] = ("confirmed", "proven")
"""Rules whose successes have a price."""


class Success(Record):
    """What one success of a side cost, all its spending counted."""

    rule: Rule
    """Name of the rule."""
    attempts: tuple[str, ...]
    """The successes."""
    unknown: int
    """Attempts of which it is not known whether they are."""
    usd: Estimate | None
    """Known spending over successes, US dollars, with a bootstrap interval over tasks; null when there is no success,
    or no cost is known."""


class Spending(Record):
    """What a side cost, failures included."""

    usd: float | None
    """Sum of the known costs at list prices of the day, US dollars; null when none is known."""
    unknown: tuple[str, ...]
    """Attempts whose cost is not known, and not in the sum: a success cost at least what is said."""
    per_success: tuple[Success, ...]
    """By rule: confirmed, proven."""


class Effort(Record):
    """What the attempts of a side took that say something of skill."""

    what: What
    """Tokens in and out, seconds, steps, or US dollars."""
    known: int
    """Attempts of which it is known."""
    unknown: int
    """Attempts of which it is not."""
    tasks: int
    """Tasks they are on."""
    median: Estimate | None
    """Median over tasks of the median over a task's attempts; its interval by order statistics, from six tasks on."""


class EffortPair(Record):
    """What A took, over what B took, at the same tasks."""

    what: What
    """Tokens in and out, seconds, steps, or US dollars."""
    tasks: tuple[str, ...]
    """Tasks at which it is known of both, and more than 0."""
    ratio: Estimate | None
    """Geometric mean over tasks of the mean of A over the mean of B, with a bootstrap interval of the log ratio over
    tasks; null without such a task."""


class SuccessPair(Record):
    """What a success of A cost, over what one of B cost."""

    rule: Rule
    """Name of the rule."""
    ratio: Estimate | None
    """The ratio of what is known, with a bootstrap interval over all tasks of both; null when one of them has no
    success or no cost."""
    cost_unknown_a: int
    """Attempts of A whose cost is not in it: the more they cost, the higher it is."""
    cost_unknown_b: int
    """Attempts of B likewise: the more they cost, the lower it is."""


def spending(side: Chosen) -> Spending:
    """What a side cost: every attempt counts, whatever ended it."""
    known = [entry.cost_usd for entry in side.entries if entry.cost_usd is not None]
    return Spending(
        usd=sum(known) if known else None,
        unknown=tuple(entry.name for entry in side.entries if entry.cost_usd is None),
        per_success=tuple(_success(rule, side, sum(known) if known else None) for rule in SUCCESSES),
    )


def _success(rule: Rule, side: Chosen, usd: float | None) -> Success:
    reached = tuple(entry.name for entry in side.entries if RULES[rule](entry))
    low, high = _intervals(rule, side, side)[0] if usd is not None and reached else (None, None)
    return Success(
        rule=rule,
        attempts=reached,
        unknown=sum(RULES[rule](entry) is None for entry in side.entries),
        usd=None if usd is None or not reached else Estimate(value=usd / len(reached), low=low, high=high),
    )


def success_pair(rule: Rule, a: Chosen, b: Chosen) -> SuccessPair:
    """What a success of A cost, over what one of B cost."""
    spent = spending(a), spending(b)
    one, other = (next(s.usd for s in each.per_success if s.rule == rule) for each in spent)
    ratio: Estimate | None = None
    if one is not None and other is not None and other.value > 0:
        low, high = _intervals(rule, a, b)[2]
        ratio = Estimate(value=one.value / other.value, low=low, high=high)
    return SuccessPair(
        rule=rule, ratio=ratio, cost_unknown_a=len(spent[0].unknown), cost_unknown_b=len(spent[1].unknown)
    )


def _intervals(rule: Rule, a: Chosen, b: Chosen) -> tuple[tuple[float | None, float | None], ...]:
    """Of the cost of a success of A, of B, and of their ratio; an attempt without a task is drawn by itself.

    Null where one of them tried fewer than ten tasks.
    """
    sums: dict[str, list[float]] = {}
    if min(len({_place(side, e) for e in side.entries}) for side in (a, b)) < LEAST_TASKS:
        return ((None, None),) * 3
    for at, side in ((0, a), (2, b)):
        for entry in side.entries:
            row = sums.setdefault(_place(side, entry), [0.0, 0.0, 0.0, 0.0])
            row[at] += entry.cost_usd or 0.0
            row[at + 1] += bool(RULES[rule](entry))
    return ratio_intervals([(row[0], row[1], row[2], row[3]) for row in sums.values()])


def efforts(side: Chosen) -> tuple[Effort, ...]:
    """What the attempts took that say something of skill."""
    return tuple(_effort(what, side) for what in EFFORTS)


def _effort(what: What, side: Chosen) -> Effort:
    tasks, counted = _known(what, side), sum(left_out(entry) is None for entry in side.entries)
    middles = [median(values) for values in tasks.values()]
    known = sum(map(len, tasks.values()))
    found = median_interval(middles)
    estimate = Estimate(value=median(middles)) if middles else None
    if found is not None:
        estimate = Estimate(value=found[0], low=found[1], high=found[2])
    return Effort(what=what, known=known, unknown=counted - known, tasks=len(tasks), median=estimate)


def effort_pair(what: What, a: Chosen, b: Chosen) -> EffortPair:
    """What A took over what B took, at the same tasks."""
    one, other = _known(what, a), _known(what, b)
    means = {task: (fmean(one[task]), fmean(other[task])) for task in sorted(one.keys() & other.keys())}
    logs = {task: math.log(x / y) for task, (x, y) in means.items() if x > 0 and y > 0}
    ends = mean_interval(list(logs.values()))
    return EffortPair(
        what=what,
        tasks=tuple(logs),
        ratio=Estimate(
            value=math.exp(fmean(logs.values())),
            low=None if ends is None else math.exp(ends[0]),
            high=None if ends is None else math.exp(ends[1]),
        )
        if logs
        else None,
    )


def _known(what: What, side: Chosen) -> dict[str, list[float]]:
    """Task → the values that are known of attempts that count."""
    found: dict[str, list[float]] = {}
    for entry in side.entries:
        value = _figure(EFFORTS[what](entry)) if left_out(entry) is None else None
        if value is not None:
            found.setdefault(_place(side, entry), []).append(value)
    return found


def _place(side: Chosen, entry: Entry) -> str:
    """Its task; an attempt without one stands by itself."""
    return side.task.get(entry.name, entry.name)


def _figure(value: float | None) -> float | None:
    """It, as far as it can be one: an archive may hold a number of 400 digits."""
    try:
        return None if value is None or not 0 <= value < math.inf else float(value)
    except OverflowError:
        return None
