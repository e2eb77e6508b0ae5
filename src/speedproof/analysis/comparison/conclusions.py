"""What a comparison allows to say, by fixed rules: which side does better, how surely, and whether by its own merit.

A difference is called when McNemar's exact p, after Holm, is at most 0.05. It is put down to what is compared only when
nothing else differs or is unknown, and no side is chosen by what came out. What would settle it is said by Connor's
formula.
"""

from collections.abc import Iterable, Sequence

from speedproof.analysis.comparison.confounds import Confound
from speedproof.analysis.comparison.outcomes import RulePair
from speedproof.analysis.comparison.sides import Chosen, OnNoSide
from speedproof.analysis.comparison.skill import Estimate, Rule, left_out, proportion
from speedproof.analysis.comparison.statistics import ERROR, least_discordant, pairs_needed
from speedproof.journal import Record

_LEVELS = (0.999, 0.99, 0.95)
KNOWN_BEFORE = frozenset(
    {
        *("attempt", "archive", "layout", "run", "run_items", "item", "task", "commit", "repository", "date"),
        *("agent", "model", "model_evidence", "prompt_sha256", "prompt_template_sha256", "config_sha256"),
    }
)
"""Dimensions that are settled before an attempt begins."""


class Conclusion(Record):
    """What can be said by one rule, made from the figures by fixed rules."""

    rule: Rule
    """Name of the rule."""
    higher: str | None
    """Name of the side that does better on the tasks that both tried; null when the data cannot tell."""
    confidence: float | None
    """At which confidence, after Holm: 0.95, 0.99 or 0.999; null when the data cannot tell."""
    attributable: bool
    """Whether that is due to what is compared: nothing else differs or is unknown."""
    says: str
    """The conclusion in a sentence."""
    why: tuple[str, ...]
    """What keeps the data from telling, most decisive first."""
    settle: tuple[str, ...]
    """What would settle it."""
    pairs_needed: int | None
    """Paired tasks for 80 % power at p ≤ 0.05 over the number of pairs of sides, were the truth what was observed; null
    when nothing tells."""


def conclusion(
    rule: RulePair,
    a: Chosen,
    b: Chosen,
    confounds: Iterable[Confound],
    on_no_side: Iterable[OnNoSide],
    comparisons: int,
) -> Conclusion:
    """What one rule says of A and B, which are one of so many pairs of sides."""
    outcome = rule.counted
    better: Chosen | None = None
    if outcome.p_holm is not None and outcome.p_holm <= ERROR:
        better = a if len(outcome.only_a) > len(outcome.only_b) else b
    someone = all(any(left_out(e, rule.rule) is None for e in side.entries) for side in (a, b))
    confounded = [*_by_outcome(a, b), *_confounded(confounds), *_on_neither(on_no_side)] if someone else []
    needed = _needed(rule, a, b, ERROR / comparisons)
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
    unsure = f"By {rule.rule}, the data cannot tell whether {a.name} or {b.name} succeeds more often"
    if outcome.rate_a is None or outcome.rate_b is None or outcome.difference is None:
        return f"{unsure}: {_no_pairs(rule, a, b)}."
    figures = (
        f"on {_tasks(outcome.pairs)} that both tried, {a.name} {outcome.rate_a.value * 100:.0f} % and {b.name} "
        f"{outcome.rate_b.value * 100:.0f} %, difference {_points(outcome.difference)}, p = {outcome.p_holm:.2g}"
    )
    if better is None:
        return f"{unsure}: {figures}."
    other = b if better is a else a
    sure = f"at {(level or 1 - ERROR) * 100:g} % confidence"
    said = f"By {rule.rule}, {better.name} succeeded more often than {other.name}, {sure}: {figures}."
    if rule.rule == "recorded":
        said += " That is what was claimed; the other rules look at what was done."
    if confounded:
        return f"{said} Whether that is due to {_compared(a, b)}, the data cannot tell."
    return f"{said} Nothing else differs, so it can be put down to {_compared(a, b)}."


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
    if differ < least:
        return [f"the outcomes of {differ} of {_tasks(outcome.pairs, 'pair')} differ; fewer than {least} never tell"]
    if outcome.p is not None and outcome.p <= ERROR:
        return [f"p = {outcome.p:.2g} does not withstand Holm's correction over all pairs of sides"]
    return ["so uneven a split would be no surprise, were both sides equal"]


def _by_outcome(a: Chosen, b: Chosen) -> list[str]:
    """Sides chosen by how attempts went: they differ since they were chosen so."""
    names = [name for name in {**a.where, **b.where} if name not in KNOWN_BEFORE]
    return [f"sides are chosen by what came out, not by what went in: {', '.join(names)}"] if names else []


def _confounded(confounds: Iterable[Confound]) -> list[str]:
    """What else differs, is mixed or unknown, in that order."""
    every = {one.name: one for one in confounds if one.weighs}
    if every["run"].state == "same" and not every["run"].pairs_unknown:
        every.pop("time")  # side by side in one run
    said: dict[str, list[str]] = {"differ": [], "differ in part": [], "are unknown": [], "are unknown in part": []}
    words = {"differs": "differ", "mixed": "differ in part", "unknown": "are unknown"}
    for one in every.values():
        values_on_both = one.values_a > 0 and one.values_b > 0
        if one.state == "same" and one.pairs_unknown:
            said["are unknown in part"].append(_said(one, one.pairs_unknown))
        elif one.state in words and not (one.state == "unknown" and values_on_both):  # no pair, nothing to compare
            said[words[one.state]].append(_said(one, len(one.pairs_differ)))
    return [f"other things {word}: {'; '.join(names)}" for word, names in said.items() if names]


def _said(one: Confound, pairs: int) -> str:
    every = len(one.pairs_same) + len(one.pairs_differ) + one.pairs_unknown
    return f"{one.name} ({pairs} of {_tasks(every, 'pair')})" if pairs else one.name


def _on_neither(groups: Iterable[OnNoSide]) -> list[str]:
    """Attempts that would count, and that may be of either side."""
    return [
        f"{_tasks(len(one.attempts), 'attempt')} may belong to either side ({one.why}); {len(one.would_count)} of them "
        "would count"
        for one in groups
        if one.would_count
    ]


def _needed(rule: RulePair, a: Chosen, b: Chosen, error: float) -> int | None:
    """By the pairs there are; without one by the rates of both sides, as if outcomes were independent."""
    outcome = rule.counted
    if outcome.pairs:
        only_a, only_b = len(outcome.only_a), len(outcome.only_b)
        return pairs_needed((only_a + only_b) / outcome.pairs, (only_a - only_b) / outcome.pairs, error)
    one, other = (
        proportion([e for e in side.entries if left_out(e, rule.rule) is None], rule.rule).rate for side in (a, b)
    )
    if one is None or other is None:
        return None
    differ = one.value * (1 - other.value) + other.value * (1 - one.value)
    return pairs_needed(differ, one.value - other.value, error)


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
        said.append(f"more paired tasks; how many cannot be said, for {a.name} and {b.name} did equally well")
    if confounded:
        said.append("attempts of both sides at the same tasks in one run, with one prompt and one configuration")
    return said


def _points(value: Estimate) -> str:
    ends = ["?" if end is None else signed(end) for end in (value.low, value.high)]
    return f"{signed(value.value)} points (95 %: {ends[0]} to {ends[1]})"


def signed(share: float) -> str:
    """A difference of rates in points, with its sign; none on 0."""
    points = round(share * 100)
    return f"+{points}" if points > 0 else f"−{-points}" if points else "0"


def _tasks(number: int, noun: str = "task") -> str:
    return f"{number:,} {noun if number == 1 else noun + 's'}"
