"""What a comparison allows to say, by fixed rules: which side does better, how surely, and whether by its own merit.

A difference is called when McNemar's exact p, after Holm, is at most 0.05. It is put down to what is compared only when
nothing else is known to differ, or unknown. What would settle it is said by Connor's formula.
"""

from collections.abc import Iterable, Sequence

from speedproof.analysis.comparison.records import Conclusion, Confound, RulePair
from speedproof.analysis.comparison.side_records import Estimate, OnNoSide
from speedproof.analysis.comparison.sides import Chosen
from speedproof.analysis.comparison.skill import left_out, proportion
from speedproof.analysis.comparison.statistics import LEAST_TASKS, least_discordant, pairs_needed

ERROR = 0.05
"""At most this p calls a difference."""
_LEVELS = (0.999, 0.99, 0.95)


def conclusion(
    rule: RulePair, a: Chosen, b: Chosen, confounds: Iterable[Confound], on_no_side: Iterable[OnNoSide]
) -> Conclusion:
    """What one rule says of A and B."""
    outcome = rule.counted
    better: Chosen | None = None
    if outcome.p_holm is not None and outcome.p_holm <= ERROR:
        better = a if len(outcome.only_a) > len(outcome.only_b) else b
    someone = all(any(left_out(e, rule.rule) is None for e in side.entries) for side in (a, b))
    confounded = [*_confounded(confounds), *_on_neither(on_no_side)] if someone else []
    needed = _needed(rule, a, b)
    why = [*([] if better else _undecided(rule, a, b)), *confounded]
    level = next((level for level in _LEVELS if outcome.p_holm is not None and outcome.p_holm <= 1 - level), None)
    return Conclusion(
        rule=rule.rule,
        higher=None if better is None else better.name,
        confidence=level if better else None,
        attributable=better is not None and not confounded,
        says=_says(rule, a, b, better, confounded=bool(confounded), level=level),
        why=tuple(why),
        settle=tuple(_settle(rule, a, b, needed, undecided=better is None, confounded=bool(confounded))),
        pairs_needed=needed,
    )


def _says(rule: RulePair, a: Chosen, b: Chosen, better: Chosen | None, *, confounded: bool, level: float | None) -> str:
    outcome = rule.counted
    what = f"{a.name} ({a.given}) or {b.name} ({b.given})"
    if outcome.rate_a is None or outcome.rate_b is None or outcome.difference is None:
        return f"The data cannot tell whether {what} succeeds more often by {rule.rule}: {_no_pairs(rule, a, b)}."
    figures = (
        f"on {_tasks(outcome.pairs)} that both tried, {a.name} {outcome.rate_a.value * 100:.0f} % and {b.name} "
        f"{outcome.rate_b.value * 100:.0f} %, difference {_points(outcome.difference)}, p = {outcome.p_holm:.2g}"
    )
    if better is None:
        return f"The data cannot tell whether {what} succeeds more often by {rule.rule}: {figures}."
    other = b if better is a else a
    said = (
        f"{better.name} ({better.given}) succeeded more often than {other.name} ({other.given}) by {rule.rule}, at "
        f"{(level or 1 - ERROR) * 100:g} % confidence: {figures}."
    )
    if confounded:
        due = f"The data cannot tell whether that is due to {_compared(a, b)}"
        return f"{said} {due}: other things differ, or are unknown."
    return f"{said} Nothing else is known to differ, so it can be put down to {_compared(a, b)}."


def _compared(a: Chosen, b: Chosen) -> str:
    differ = [name for name in {**a.where, **b.where} if a.where.get(name) != b.where.get(name)]
    return " and ".join(differ)


def _no_pairs(rule: RulePair, a: Chosen, b: Chosen) -> str:
    for side in (a, b):
        if not side.entries:
            return f"no evidence puts any attempt on {side.name}"
        if all(left_out(entry, rule.rule) is not None for entry in side.entries):
            return f"no attempt of {side.name} says anything of skill"
    if rule.counted.unknown:
        judged = "nobody judged these patches" if rule.rule == "proven" else "the record does not say"
        return f"of {_tasks(len(rule.counted.unknown))} that both tried it is not known: {judged}"
    return "no task has an attempt of both that counts"


def _undecided(rule: RulePair, a: Chosen, b: Chosen) -> list[str]:
    outcome = rule.counted
    if outcome.difference is None:
        return [_no_pairs(rule, a, b)]
    differ = len(outcome.only_a) + len(outcome.only_b)
    least = least_discordant(ERROR)
    why = []
    if differ < least:
        why.append(
            f"{differ} of {_tasks(outcome.pairs, 'pair')} differ in outcome, and fewer than {least} cannot reach "
            f"p ≤ {ERROR:g}, whatever they say"
        )
    low, high = outcome.difference.low, outcome.difference.high
    if low is not None and high is not None and low <= 0 <= high:
        why.append(f"the interval of the difference contains 0: {_points(outcome.difference)}")
    if outcome.pairs < LEAST_TASKS:
        why.append(f"{_tasks(outcome.pairs, 'pair')}: too few to resample")
    return why or [f"p = {outcome.p_holm:.2g} is above {ERROR:g} after Holm's correction over all pairs of sides"]


def _confounded(confounds: Iterable[Confound]) -> list[str]:
    """What else differs, is mixed or unknown, in that order."""
    every = {one.name: one for one in confounds if one.weighs}
    if every["run"].state == "same" and not every["run"].pairs_unknown:
        every.pop("date")  # side by side in one run
    said: dict[str, list[str]] = {"differs": [], "mixed": [], "unknown": []}
    for one in every.values():
        values_on_both = one.values_a > 0 and one.values_b > 0
        if one.state in said and not (one.state == "unknown" and values_on_both):  # without a pair nothing to compare
            said[one.state].append(_said(one))
    words = {"differs": "differ", "mixed": "differ in part", "unknown": "are unknown"}
    return [f"{words[state]}: {'; '.join(names)}" for state, names in said.items() if names]


def _said(one: Confound) -> str:
    pairs = len(one.pairs_same) + len(one.pairs_differ)
    of_pairs = f" ({len(one.pairs_differ)} of {_tasks(pairs, 'pair')})" if pairs and one.pairs_differ else ""
    return f"{one.name}{of_pairs}"


def _on_neither(groups: Iterable[OnNoSide]) -> list[str]:
    """Attempts that would count, and that may be of either side."""
    return [
        f"{_tasks(len(one.attempts), 'attempt')} may belong to either side ({one.why}); {len(one.would_count)} of them "
        "would count"
        for one in groups
        if one.would_count
    ]


def _needed(rule: RulePair, a: Chosen, b: Chosen) -> int | None:
    """By the pairs there are; without one by the rates of both sides, as if outcomes were independent."""
    outcome = rule.counted
    if outcome.pairs:
        only_a, only_b = len(outcome.only_a), len(outcome.only_b)
        return pairs_needed((only_a + only_b) / outcome.pairs, (only_a - only_b) / outcome.pairs)
    one, other = (
        proportion([e for e in side.entries if left_out(e, rule.rule) is None], rule.rule).rate for side in (a, b)
    )
    if one is None or other is None:
        return None
    differ = one.value * (1 - other.value) + other.value * (1 - one.value)
    return pairs_needed(differ, one.value - other.value)


def _settle(
    rule: RulePair, a: Chosen, b: Chosen, needed: int | None, *, undecided: bool, confounded: bool
) -> Sequence[str]:
    outcome, said = rule.counted, []
    if rule.rule == "proven" and not outcome.pairs and outcome.unknown:
        said.append("judge the patches (docs/judging-a-patch.md)")
    if undecided and needed is not None:
        basis = "the truth what these pairs say" if outcome.pairs else "the rates of both sides true and independent"
        said.append(f"about {_tasks(needed, 'paired task')}, were {basis} (80 % power, Connor 1987)")
    elif undecided and outcome.pairs:
        said.append(f"more paired tasks: {a.name} alone solves as many as {b.name} alone, so no number can be given")
    if confounded:
        said.append("attempts of both sides at the same tasks in one run, with one prompt and one configuration")
    return said


def _points(value: Estimate) -> str:
    ends = ["?" if end is None else f"{end * 100:+.0f}" for end in (value.low, value.high)]
    return f"{value.value * 100:+.0f} points (95 %: {ends[0]} to {ends[1]})"


def _tasks(number: int, noun: str = "task") -> str:
    return f"{number:,} {noun if number == 1 else noun + 's'}"
