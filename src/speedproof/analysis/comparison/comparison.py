"""Sides set against each other: each by itself, then every two of them.

Rates are shares from 0 to 1, differences are A less B, ratios A over B. Every interval holds with 95 %. Null is
unknown, or not bounded; a count beside it says of how many.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import combinations

from speedproof.analysis.collection import Collection, Entry
from speedproof.analysis.comparison.conclusions import Conclusion, conclusion
from speedproof.analysis.comparison.confounds import Confound, TaskPair, confounds
from speedproof.analysis.comparison.effort import (
    EFFORTS,
    SUCCESSES,
    Effort,
    EffortPair,
    Spending,
    SuccessPair,
    effort_pair,
    efforts,
    spending,
    success_pair,
)
from speedproof.analysis.comparison.outcomes import Outcome, RulePair, rule_pair
from speedproof.analysis.comparison.sides import Chosen, OnNoSide, choose
from speedproof.analysis.comparison.skill import RULES, Proportion, Rule, left_out, proportion
from speedproof.journal import Record


class SideRate(Record):
    """One rule over all attempts of a side, whatever the other sides tried."""

    rule: Rule
    """Name of the rule."""
    counted: Proportion
    """Over the attempts that say something of skill."""
    everything: Proportion
    """Over all attempts, infrastructure failures and all."""


class Side(Record):
    """One of those compared."""

    name: str
    """A, B, C … in the order given."""
    given: str
    """How it was asked for."""
    where: dict[str, tuple[str, ...]]
    """The same as dimensions, each with the values of which one holds."""
    attempts: tuple[str, ...]
    """Its attempts, oldest first."""
    without_task: tuple[str, ...]
    """Those whose files name no task: they cannot be paired."""
    tasks: int
    """Tasks it tried."""
    left_out: dict[str, tuple[str, ...]]
    """Attempts that say nothing of skill, by the class of what ended them."""
    first_at: datetime | None
    """Time of its first attempt, UTC."""
    last_at: datetime | None
    """Time of its last."""
    rates: tuple[SideRate, ...]
    """Each rule."""
    spending: Spending
    """What it cost."""
    efforts: tuple[Effort, ...]
    """What its attempts took."""


class Pair(Record):
    """Two sides against each other; in here A is the first of them and B the second, whatever their names."""

    a: str
    """Name of the first side."""
    b: str
    """Name of the second."""
    tasks: tuple[TaskPair, ...]
    """Tasks that both tried."""
    only_a_tried: tuple[str, ...]
    """Tasks that only the first tried."""
    only_b_tried: tuple[str, ...]
    """Tasks that only the second tried."""
    rules: tuple[RulePair, ...]
    """Each rule."""
    efforts: tuple[EffortPair, ...]
    """Tokens, time, steps and cost at the same tasks."""
    successes: tuple[SuccessPair, ...]
    """Cost of a success."""
    confounds: tuple[Confound, ...]
    """What else may make them differ."""
    conclusions: tuple[Conclusion, ...]
    """What can be said, by rule."""


class Comparison(Record):
    """Sides set against each other, paired by task."""

    archives: tuple[str, ...]
    """Ids of the archives and runs that were looked at."""
    sides: tuple[Side, ...]
    """Those compared."""
    on_no_side: tuple[OnNoSide, ...]
    """Attempts that may belong to a side, and that no evidence puts there; in no figure."""
    pairs: tuple[Pair, ...]
    """Every two of them."""


def compare(given: Sequence[str], pool: Collection) -> Comparison:
    """Set the sides against each other, over the attempts of `pool`.

    Each side is a comma-separated list of DIMENSION=VALUE, such as "agent=trae,model=gpt-5" (docs/comparing.md).
    Raises InputError for sides that overlap, that nothing fits, or that name a dimension that does not exist.
    """
    sides, on_no_side = choose(given, pool)
    pairs = list(combinations(sides, 2))
    rules = [[rule_pair(rule, a, b) for rule in RULES] for a, b in pairs]
    return Comparison(
        archives=pool.archives,
        sides=tuple(_side(side) for side in sides),
        on_no_side=on_no_side,
        pairs=tuple(
            _pair(a, b, held, pool, on_no_side, comparisons=len(pairs))
            for (a, b), held in zip(pairs, _corrected(rules), strict=True)
        ),
    )


def _side(side: Chosen) -> Side:
    reasons = {entry.name: left_out(entry) for entry in side.entries}
    times = [entry.at for entry in side.entries if entry.at is not None]
    return Side(
        name=side.name,
        given=side.given,
        where=side.where,
        attempts=tuple(entry.name for entry in side.entries),
        without_task=tuple(entry.name for entry in side.entries if entry.name not in side.task),
        tasks=len(side.by_task()),
        left_out={
            why: tuple(name for name, reason in reasons.items() if reason == why)
            for why in sorted({reason for reason in reasons.values() if reason})
        },
        first_at=min(times, default=None),
        last_at=max(times, default=None),
        rates=tuple(
            SideRate(
                rule=rule,
                counted=proportion([e for e in side.entries if left_out(e, rule) is None], rule),
                everything=proportion(side.entries, rule),
            )
            for rule in RULES
        ),
        spending=spending(side),
        efforts=efforts(side),
    )


def _pair(
    a: Chosen,
    b: Chosen,
    rules: Sequence[RulePair],
    pool: Collection,
    on_no_side: Sequence[OnNoSide],
    *,
    comparisons: int,
) -> Pair:
    tasks_a, tasks_b = a.by_task(), b.by_task()
    tasks = tuple(_task(task, tasks_a[task], tasks_b[task]) for task in sorted(tasks_a.keys() & tasks_b.keys()))
    found = confounds(a, b, tasks, pool)
    return Pair(
        a=a.name,
        b=b.name,
        tasks=tasks,
        only_a_tried=tuple(sorted(tasks_a.keys() - tasks_b.keys())),
        only_b_tried=tuple(sorted(tasks_b.keys() - tasks_a.keys())),
        rules=tuple(rules),
        efforts=tuple(effort_pair(what, a, b) for what in EFFORTS),
        successes=tuple(success_pair(rule, a, b) for rule in SUCCESSES),
        confounds=found,
        conclusions=tuple(conclusion(rule, a, b, found, on_no_side, comparisons) for rule in rules),
    )


def _task(task: str, a: Sequence[Entry], b: Sequence[Entry]) -> TaskPair:
    firsts = [next((e.name for e in entries if left_out(e) is None), None) for entries in (a, b)]
    return TaskPair(
        task=task, a=tuple(e.name for e in a), b=tuple(e.name for e in b), first_a=firsts[0], first_b=firsts[1]
    )


def _corrected(pairs: Sequence[Sequence[RulePair]]) -> list[list[RulePair]]:
    """McNemar's p of each rule after Holm's correction over all pairs of sides."""
    by_rule = [_holm(rules) for rules in zip(*pairs, strict=True)]
    return [list(rules) for rules in zip(*by_rule, strict=True)]


def _holm(rules: Sequence[RulePair]) -> list[RulePair]:
    counted = _adjusted([rule.counted for rule in rules])
    everything = _adjusted([rule.everything for rule in rules])
    return [
        rule.model_copy(update={"counted": one, "everything": other})
        for rule, one, other in zip(rules, counted, everything, strict=True)
    ]


def _adjusted(outcomes: Sequence[Outcome]) -> list[Outcome]:
    from speedproof.evaluation.deciding.statistics import holm

    adjusted = iter(holm([outcome.p for outcome in outcomes if outcome.p is not None]))
    return [o if o.p is None else o.model_copy(update={"p_holm": next(adjusted)}) for o in outcomes]
