"""What the sides took: money, tokens, time and steps, and what a success of each cost."""

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean, median
from typing import Literal

from speedproof.analysis.collection import Entry
from speedproof.analysis.comparison.records import EffortPair, SuccessPair
from speedproof.analysis.comparison.side_records import Effort, Estimate, Rule, Spending, Success
from speedproof.analysis.comparison.sides import Chosen
from speedproof.analysis.comparison.skill import RULES, left_out, task_of
from speedproof.analysis.comparison.statistics import LEAST_TASKS, mean_interval, median_interval, ratio_intervals

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
    one, other = (next(s.usd for s in spending(side).per_success if s.rule == rule) for side in (a, b))
    if one is None or other is None or other.value == 0:
        return SuccessPair(rule=rule, ratio=None)
    low, high = _intervals(rule, a, b)[2]
    return SuccessPair(rule=rule, ratio=Estimate(value=one.value / other.value, low=low, high=high))


def _intervals(rule: Rule, a: Chosen, b: Chosen) -> tuple[tuple[float | None, float | None], ...]:
    """Of the cost of a success of A, of B, and of their ratio; an attempt without a task is drawn by itself.

    Null where one of them tried fewer than ten tasks.
    """
    sums: dict[str, list[float]] = {}
    if min(len({task_of(e) or e.name for e in side.entries}) for side in (a, b)) < LEAST_TASKS:
        return ((None, None),) * 3
    for at, side in ((0, a), (2, b)):
        for entry in side.entries:
            row = sums.setdefault(task_of(entry) or entry.name, [0.0, 0.0, 0.0, 0.0])
            row[at] += entry.cost_usd or 0.0
            row[at + 1] += bool(RULES[rule](entry))
    return ratio_intervals([(row[0], row[1], row[2], row[3]) for row in sums.values()])


def efforts(side: Chosen) -> tuple[Effort, ...]:
    """What the attempts took that say something of skill."""
    counted = [entry for entry in side.entries if left_out(entry) is None]
    return tuple(_effort(what, counted) for what in EFFORTS)


def _effort(what: What, counted: Sequence[Entry]) -> Effort:
    tasks = _known(what, counted)
    middles = [median(values) for values in tasks.values()]
    known = sum(map(len, tasks.values()))
    found = median_interval(middles)
    estimate = Estimate(value=median(middles)) if middles else None
    if found is not None:
        estimate = Estimate(value=found[0], low=found[1], high=found[2])
    return Effort(what=what, known=known, unknown=len(counted) - known, tasks=len(tasks), median=estimate)


def effort_pair(what: What, a: Chosen, b: Chosen) -> EffortPair:
    """What A took over what B took, at the same tasks."""
    one, other = (_known(what, [e for e in side.entries if left_out(e) is None]) for side in (a, b))
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


def _known(what: What, entries: Iterable[Entry]) -> dict[str, list[float]]:
    """Task → the values that are known; an attempt without a task stands by itself."""
    show = EFFORTS[what]
    found: dict[str, list[float]] = {}
    for entry in entries:
        value = show(entry)
        if value is not None:
            found.setdefault(task_of(entry) or entry.name, []).append(value)
    return found
