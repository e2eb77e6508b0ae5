"""Sides set against each other: each by itself, then every two of them."""

from collections.abc import Sequence
from itertools import combinations

from speedproof.analysis.collection import Collection, Entry
from speedproof.analysis.comparison.conclusions import conclusion
from speedproof.analysis.comparison.confounds import confounds, spans_overlap
from speedproof.analysis.comparison.effort import EFFORTS, SUCCESSES, effort_pair, efforts, spending, success_pair
from speedproof.analysis.comparison.outcomes import rule_pair
from speedproof.analysis.comparison.records import Comparison, Outcome, Pair, RulePair, TaskPair
from speedproof.analysis.comparison.side_records import OnNoSide, Side, SideRate
from speedproof.analysis.comparison.sides import Chosen, choose
from speedproof.analysis.comparison.skill import RULES, by_task, left_out, proportion, task_of


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
        pairs=tuple(_pair(a, b, held, pool, on_no_side) for (a, b), held in zip(pairs, _corrected(rules), strict=True)),
    )


def _side(side: Chosen) -> Side:
    reasons = {entry.name: left_out(entry) for entry in side.entries}
    times = [entry.at for entry in side.entries if entry.at is not None]
    return Side(
        name=side.name,
        given=side.given,
        where=side.where,
        attempts=tuple(entry.name for entry in side.entries),
        without_task=tuple(entry.name for entry in side.entries if task_of(entry) is None),
        tasks=len(by_task(side.entries)),
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


def _pair(a: Chosen, b: Chosen, rules: Sequence[RulePair], pool: Collection, on_no_side: Sequence[OnNoSide]) -> Pair:
    tasks_a, tasks_b = by_task(a.entries), by_task(b.entries)
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
        spans_overlap=spans_overlap(a, b),
        confounds=found,
        conclusions=tuple(conclusion(rule, a, b, found, on_no_side) for rule in rules),
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
