"""The parts of a shown comparison: sides, pairs, costs, confounds, conclusions; each a heading, a table, sentences."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from speedproof.analysis.comparison import Comparison
from speedproof.analysis.comparison.comparison import Pair, Side
from speedproof.analysis.comparison.conclusions import Conclusion, signed
from speedproof.analysis.comparison.confounds import Confound
from speedproof.analysis.comparison.effort import Effort, Success, SuccessPair
from speedproof.analysis.comparison.outcomes import Outcome
from speedproof.analysis.comparison.skill import Estimate, Proportion
from speedproof.report.text import count, moment, one_line, percent, plural, seconds, times, usd

_MOST = 12
"""So many names stand in a list; the record holds all."""
_NAMES = {"tokens": "tokens", "wall_s": "time", "steps": "steps", "cost_usd": "cost"}


@dataclass(frozen=True)
class Part:
    """A heading, sentences, and a table under them."""

    title: str
    said: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    lines: tuple[tuple[str, ...], ...] = ()


def parts(comparison: Comparison) -> Iterable[Part]:
    """All of them, in their order."""
    named = {side.name: side for side in comparison.sides}
    yield _sides(comparison)
    yield _rates(comparison.sides)
    yield _spent(comparison.sides)
    for pair in comparison.pairs:
        a, b = named[pair.a], named[pair.b]
        yield _paired(pair)
        if any(rule.unpaired_a_tasks or rule.unpaired_b_tasks for rule in pair.rules):
            yield _apart(pair)
        yield _ratios(pair)
        yield _confounds(pair)
        yield _conclusions(pair, a, b)


def _sides(comparison: Comparison) -> Part:
    lines = [
        (
            side.name,
            side.given,
            count(len(side.attempts)),
            count(side.tasks),
            "; ".join(f"{why}: {len(names)}" for why, names in side.left_out.items()) or "none",
            "?" if side.first_at is None else moment(side.first_at),
            "?" if side.last_at is None else moment(side.last_at),
        )
        for side in comparison.sides
    ]
    said = []
    for one in comparison.on_no_side:
        labels = f"; labels say {_counts(one.labels)}" if one.labels else ""
        said.append(
            f"On no side: {plural(len(one.attempts), 'attempt')}, as {one.why}{labels}. "
            f"{len(one.would_count)} of them would count. They ended as: {_counts(one.failures) or 'no failure'}."
        )
    said += [
        f"{plural(len(side.without_task), 'attempt')} of {side.name} name no task: {_list(side.without_task)}."
        for side in comparison.sides
        if side.without_task
    ]
    header = ("Side", "Asked for", "Attempts", "Tasks", "Left out: no evidence of skill", "From", "To")
    return Part("Sides", tuple(said), header, tuple(lines))


def _rates(sides: Iterable[Side]) -> Part:
    lines = [
        (rate.rule, side.name, _share(rate.counted), _share(rate.everything))
        for rates in zip(*([(side, rate) for rate in side.rates] for side in sides), strict=True)
        for side, rate in rates
    ]
    said = "Unpaired: each over whatever tasks its side tried, so these rates are no comparison."
    return Part("Attempts that succeed, by rule", (said,), ("Rule", "Side", "Rate", "Everything counted"), tuple(lines))


def _spent(sides: Sequence[Side]) -> Part:
    lines = [("all attempts", *(_money(side) for side in sides))]
    for successes in zip(*(side.spending.per_success for side in sides), strict=True):
        cells = (_success(one, side) for one, side in zip(successes, sides, strict=True))
        lines.append((f"a {successes[0].rule} success", *cells))
    efforts = zip(*(side.efforts for side in sides), strict=True)
    lines += [(f"median {_NAMES[each[0].what]}", *map(_took, each)) for each in efforts]
    said = "Dollars: all attempts, at the list prices of the day. Medians: over tasks, of attempts that count."
    return Part("What it took", (said,), ("What", *(side.name for side in sides)), tuple(lines))


def _money(side: Side) -> str:
    if not side.attempts:
        return "–"
    return f"{usd(side.spending.usd)}{_unknown(len(side.spending.unknown))}"


def _success(one: Success, side: Side) -> str:
    unknown = f", {plural(one.unknown, 'attempt')} not judged" if one.unknown else ""
    if one.usd is None:
        return f"{'cost unknown' if one.attempts else 'unknown' if one.unknown else 'no success'}{unknown}"
    return f"{'≥ ' if side.spending.unknown else ''}{_with_ends(one.usd, usd)}{unknown}"


def _took(effort: Effort) -> str:
    middle = _with_ends(effort.median, lambda v: _effort(effort.what, v))
    return f"{middle}, {plural(effort.tasks, 'task')}{_unknown(effort.unknown)}"


def _unknown(attempts: int) -> str:
    return f", unknown of {plural(attempts, 'attempt')}" if attempts else ""


def _effort(what: str, value: float | None) -> str:
    if what == "wall_s":
        return seconds(value)
    return usd(value) if what == "cost_usd" else count(None if value is None else round(value))


def _paired(pair: Pair) -> Part:
    a, b = pair.a, pair.b
    lines = [
        (f"{rule.rule}{apart}", *_outcome(outcome))
        for rule in pair.rules
        for apart, outcome in (("", rule.counted), (", everything counted", rule.everything))
    ]
    title = f"{a} against {b}: {plural(len(pair.tasks), 'task')} that both tried"
    if not pair.tasks:
        return Part(title)
    header = ("Rule", "Pairs", a, b, f"{a} − {b}", "By all attempts", "Both", f"Only {a}", f"Only {b}", "Neither")
    said = []
    for rule in pair.rules:
        for name, tasks in ((a, rule.counted.only_a), (b, rule.counted.only_b)):
            if tasks:
                said.append(f"Only {name}, by {rule.rule}: {_list(tasks)}.")
    return Part(
        title,
        tuple(said),
        (*header, "p", "p (Holm)", "Agree", "κ"),
        tuple(lines),
    )


def _outcome(o: Outcome) -> tuple[str, ...]:
    unknown = f" ({len(o.unknown)} unknown)" if o.unknown else ""
    if not o.pairs:
        return (f"0{unknown}", *("–",) * 12)
    p = ["?" if value is None else f"{value:.3g}" for value in (o.p, o.p_holm)]
    return (
        f"{o.pairs}{unknown}",
        _with_ends(o.rate_a, percent),
        _with_ends(o.rate_b, percent),
        _with_ends(o.difference, _points),
        _with_ends(o.all_attempts, _points),
        *(str(len(tasks)) for tasks in (o.both, o.only_a, o.only_b, o.neither)),
        *p,
        percent(o.agreement),
        "–" if o.kappa is None else f"{o.kappa:.2f}",
    )


def _apart(pair: Pair) -> Part:
    lines = [
        (
            rule.rule,
            f"{plural(rule.unpaired_a_tasks, 'task')}: {_share(rule.unpaired_a)}",
            f"{plural(rule.unpaired_b_tasks, 'task')}: {_share(rule.unpaired_b)}",
        )
        for rule in pair.rules
        if rule.unpaired_a_tasks or rule.unpaired_b_tasks
    ]
    title = f"{pair.a} against {pair.b}: tasks with attempts that count on one side only"
    return Part(title, (), ("Rule", f"{pair.a} alone", f"{pair.b} alone"), tuple(lines))


def _ratios(pair: Pair) -> Part:
    lines = [
        (_NAMES[one.what], plural(len(one.tasks), "same task"), _with_ends(one.ratio, times)) for one in pair.efforts
    ]
    lines += [
        (f"cost of a {one.rule} success", _priced(one, pair), _with_ends(one.ratio, times)) for one in pair.successes
    ]
    return Part(f"{pair.a} over {pair.b}: what it took", (), ("What", "Over", "Ratio"), tuple(lines))


def _priced(one: SuccessPair, pair: Pair) -> str:
    unknown = [f"{n} of {side}" for n, side in ((one.cost_unknown_a, pair.a), (one.cost_unknown_b, pair.b)) if n]
    return "all attempts" + (f"; cost unknown: {' and '.join(unknown)}" if unknown else "")


def _confounds(pair: Pair) -> Part:
    lines = [
        (
            one.name + ("" if one.weighs else " (a label)"),
            one.state,
            _values(one.a, one.values_a, one.unknown_a),
            _values(one.b, one.values_b, one.unknown_b),
            _pairs(one),
        )
        for one in pair.confounds
    ]
    header = ("What", "State", pair.a, pair.b, "Pairs")
    return Part(f"{pair.a} against {pair.b}: what else differs", (), header, tuple(lines))


def _values(values: dict[str, int], different: int, unknown: int) -> str:
    told = [f"{one_line(_short(value), 40)}: {number}" for value, number in list(values.items())[:2]]
    told += [f"{different - 2} more"] if different > 2 else []
    return ", ".join(told + ([f"unknown: {unknown}"] if unknown else [])) or "–"


def _pairs(one: Confound) -> str:
    parts = (len(one.pairs_same), "same"), (len(one.pairs_differ), "differ"), (one.pairs_unknown, "unknown")
    return ", ".join(f"{number} {word}" for number, word in parts if number) or "–"


def _conclusions(pair: Pair, a: Side, b: Side) -> Part:
    shared = [why for why in pair.conclusions[0].why if all(why in one.why for one in pair.conclusions)]
    steps = [step for step in pair.conclusions[0].settle if all(step in one.settle for one in pair.conclusions)]
    rules: dict[str, list[str]] = {}
    for one in pair.conclusions:
        rules.setdefault(_said(one, shared, steps), []).append(one.rule)
    said = [f"By {_words(names, len(pair.conclusions))}, {text}" for text, names in rules.items()]
    told = [why for why in shared if not all(why in one.says for one in pair.conclusions)]
    said += [f"By every rule: {why}." for why in told] + [f"What would settle it: {step}." for step in steps]
    return Part(f"{a.name} ({a.given}) against {b.name} ({b.given}): what can be concluded", tuple(said))


def _words(rules: Sequence[str], of: int) -> str:
    if len(rules) == of:
        return "every rule"
    return rules[0] if len(rules) == 1 else f"{', '.join(rules[:-1])} and {rules[-1]}"


def _said(one: Conclusion, shared: Sequence[str], steps: Sequence[str]) -> str:
    """A conclusion without the name of its rule: several rules may say the same."""
    why = [reason for reason in one.why if reason not in shared and reason not in one.says]
    settle = [step for step in one.settle if step not in steps]
    said = one.says.removeprefix(f"By {one.rule}, ")
    if why:
        said += f" Why: {'; '.join(why)}."
    return said + (f" What would settle it: {'; '.join(settle)}." if settle else "")


def _share(value: Proportion) -> str:
    unknown = f", {value.unknown} unknown" if value.unknown else ""
    if value.rate is None:
        return f"–{unknown}"
    return f"{len(value.reached)} of {value.known} = {_with_ends(value.rate, percent)}{unknown}"


def _with_ends(value: Estimate | None, shown: Callable[[float | None], str]) -> str:
    if value is None:
        return "–"
    if value.low is None and value.high is None:
        return shown(value.value)
    return f"{shown(value.value)} [{shown(value.low)} to {shown(value.high)}]"


def _points(value: float | None) -> str:
    return "?" if value is None else signed(value)


def _counts(values: dict[str, int]) -> str:
    return ", ".join(f"{value}: {number}" for value, number in values.items())


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(map(_short, names[:_MOST])) + more


def _short(name: str) -> str:
    """A digest or a commit by its first digits."""
    return name[:8] if len(name) in (40, 64) and not set(name) - set("0123456789abcdef") else name
