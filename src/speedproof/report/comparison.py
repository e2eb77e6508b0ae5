"""A comparison in the terminal and as Markdown, from the same tables: sides, pairs, costs, confounds, conclusions."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from speedproof.analysis.comparison import Comparison
from speedproof.analysis.comparison.records import Conclusion, Confound, Outcome, Pair
from speedproof.analysis.comparison.side_records import Effort, Estimate, Proportion, Side
from speedproof.report.tables import cell, new_table
from speedproof.report.text import (
    count,
    markdown,
    markdown_table,
    moment,
    one_line,
    percent,
    plural,
    seconds,
    times,
    usd,
)

_MOST = 12
"""So many names stand in a list; the record holds all."""
_NAMES = {"tokens": "tokens", "wall_s": "time", "steps": "steps", "cost_usd": "cost"}


@dataclass(frozen=True)
class _Part:
    """A heading, sentences, and a table under them."""

    title: str
    said: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    lines: tuple[tuple[str, ...], ...] = ()


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print it. What strangers wrote is shown as text."""
    for part in _parts(comparison):
        console.print()
        if not part.lines:
            console.print(Text(one_line(part.title), style="bold"))
        else:
            table = new_table(one_line(part.title), *part.header)
            for line in part.lines:
                table.add_row(*map(cell, line))
            console.print(table)
        for sentence in part.said:
            console.print(Text(one_line(sentence, 1000)))


def comparison_markdown(comparison: Comparison) -> str:
    """The same as Markdown; what strangers wrote is escaped."""
    text = ["# Comparison"]
    for part in _parts(comparison):
        text.append(f"## {markdown(part.title)}")
        if part.lines:
            text.append(markdown_table(part.header, ([markdown(c) for c in line] for line in part.lines)))
        if part.said:
            text.append("\n".join(f"- {markdown(sentence, 1000)}" for sentence in part.said))
    return "\n\n".join(text) + "\n"


def _parts(comparison: Comparison) -> Iterable[_Part]:
    named = {side.name: side for side in comparison.sides}
    yield _sides(comparison)
    yield _rates(comparison.sides)
    yield _spent(comparison.sides)
    for pair in comparison.pairs:
        a, b = named[pair.a], named[pair.b]
        yield _paired(pair)
        yield _apart(pair)
        yield _ratios(pair)
        yield _confounds(pair)
        yield _conclusions(pair, a, b)


def _sides(comparison: Comparison) -> _Part:
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
    return _Part("Sides", tuple(said), header, tuple(lines))


def _rates(sides: Iterable[Side]) -> _Part:
    lines = [
        (rate.rule, side.name, _share(rate.counted), _share(rate.everything))
        for rates in zip(*([(side, rate) for rate in side.rates] for side in sides), strict=True)
        for side, rate in rates
    ]
    said = "Unpaired: the sides tried different tasks, so these rates are no comparison."
    return _Part(
        "Attempts that succeed, by rule", (said,), ("Rule", "Side", "Rate", "Everything counted"), tuple(lines)
    )


def _spent(sides: Iterable[Side]) -> _Part:
    lines = []
    for side in sides:
        spending = side.spending
        unknown = f", unknown of {len(spending.unknown)}" if spending.unknown else ""
        successes = [
            _with_ends(s.usd, usd) if s.usd or s.attempts else "unknown" if s.unknown else "no success"
            for s in spending.per_success
        ]
        lines.append((side.name, f"{usd(spending.usd)}{unknown}", *successes, *(_took(e) for e in side.efforts)))
    header = ("Side", "Spent", "A confirmed success", "A proven success", *(f"Median {_NAMES[w]}" for w in _NAMES))
    said = (
        "Spent: every attempt, at the list prices of its day; where some cost is unknown, a success cost at least "
        "that. Medians: over tasks, of attempts that count."
    )
    return _Part("What it took", (said,), header, tuple(lines))


def _took(effort: Effort) -> str:
    return f"{_with_ends(effort.median, lambda v: _effort(effort.what, v))}, {plural(effort.tasks, 'task')}"


def _effort(what: str, value: float | None) -> str:
    if what == "wall_s":
        return seconds(value)
    return usd(value) if what == "cost_usd" else count(None if value is None else round(value))


def _paired(pair: Pair) -> _Part:
    a, b = pair.a, pair.b
    lines = [
        (f"{rule.rule}{apart}", *_outcome(outcome))
        for rule in pair.rules
        for apart, outcome in (("", rule.counted), (", everything counted", rule.everything))
    ]
    header = ("Rule", "Pairs", a, b, f"{a} − {b}", "By all attempts", "Both", f"Only {a}", f"Only {b}", "Neither")
    said = []
    for rule in pair.rules:
        for name, tasks in ((a, rule.counted.only_a), (b, rule.counted.only_b)):
            if tasks:
                said.append(f"Solved by {name} alone, by {rule.rule}: {_list(tasks)}.")
    return _Part(
        f"{a} against {b}: {plural(len(pair.tasks), 'task')} that both tried",
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


def _apart(pair: Pair) -> _Part:
    lines = [
        (
            rule.rule,
            f"{plural(rule.unpaired_a_tasks, 'task')}: {_share(rule.unpaired_a)}",
            f"{plural(rule.unpaired_b_tasks, 'task')}: {_share(rule.unpaired_b)}",
        )
        for rule in pair.rules
    ]
    title = f"{pair.a} against {pair.b}: tasks that only one of them has attempts at that count"
    return _Part(title, (), ("Rule", f"{pair.a} alone", f"{pair.b} alone"), tuple(lines))


def _ratios(pair: Pair) -> _Part:
    lines = [(_NAMES[one.what], plural(len(one.tasks), "task"), _with_ends(one.ratio, times)) for one in pair.efforts]
    lines += [(f"cost of a {one.rule} success", "all", _with_ends(one.ratio, times)) for one in pair.successes]
    return _Part(f"{pair.a} over {pair.b}", (), ("What", "Same tasks", "Ratio"), tuple(lines))


def _confounds(pair: Pair) -> _Part:
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
    overlap = {True: "overlap", False: "do not overlap", None: "are not known of both"}[pair.spans_overlap]
    said = (f"The times of {pair.a} and {pair.b} {overlap}.",)
    return _Part(
        f"{pair.a} against {pair.b}: what else differs", said, ("What", "State", pair.a, pair.b, "Pairs"), tuple(lines)
    )


def _values(values: dict[str, int], different: int, unknown: int) -> str:
    told = [f"{one_line(_short(value), 40)}: {number}" for value, number in list(values.items())[:2]]
    told += [f"{different - 2} more"] if different > 2 else []
    return ", ".join(told + ([f"unknown: {unknown}"] if unknown else [])) or "–"


def _pairs(one: Confound) -> str:
    parts = (len(one.pairs_same), "same"), (len(one.pairs_differ), "differ"), (one.pairs_unknown, "unknown")
    return ", ".join(f"{number} {word}" for number, word in parts if number) or "–"


def _conclusions(pair: Pair, a: Side, b: Side) -> _Part:
    shared = [why for why in pair.conclusions[0].why if all(why in one.why for one in pair.conclusions)]
    steps = [step for step in pair.conclusions[0].settle if all(step in one.settle for one in pair.conclusions)]
    said = [_said(one, shared, steps) for one in pair.conclusions]
    said += [f"By every rule: {why}." for why in shared] + [f"What would settle it: {step}." for step in steps]
    return _Part(f"{a.name} ({a.given}) against {b.name} ({b.given}): what can be concluded", tuple(said))


def _said(one: Conclusion, shared: Sequence[str], steps: Sequence[str]) -> str:
    why = [reason for reason in one.why if reason not in shared and reason not in one.says]
    settle = [step for step in one.settle if step not in steps]
    said = f"{one.rule}: {one.says}"
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
    return "?" if value is None else f"{value * 100:+.0f}"


def _counts(values: dict[str, int]) -> str:
    return ", ".join(f"{value}: {number}" for value, number in values.items())


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(map(_short, names[:_MOST])) + more


def _short(name: str) -> str:
    """A digest or a commit by its first digits."""
    return name[:8] if len(name) in (40, 64) and not set(name) - set("0123456789abcdef") else name
