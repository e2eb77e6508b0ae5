"""What a run spent, in the terminal: what is unknown first, then a table for each way to group it."""

from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.text import Text

from speedproof.analysis import Reconciled, Spending, SpendingLine, Spent
from speedproof.report.tables import cell, new_table
from speedproof.report.text import count, model, one_line, percent, plural, tokens, usd
from speedproof.report.verdict import short

_TITLES = {
    "probes": "Probes before the run",
    "task": "By task",
    "agent": "By agent",
    "model": "By model",
    "wire_model": "By model on the wire",
    "outcome": "By outcome",
    "waste": "Wasted, by reason",
    "hour": "Over time, by hour (UTC)",
    "day": "Over time, by day (UTC)",
}
_KINDS = ("uncached_input", "cache_read", "cache_write", "output", "reasoning")
_FIGURES = (
    "Attempts",
    "Calls",
    "Input",
    "Cache read",
    "Cache write",
    "Output",
    "Reasoning",
    "Cost",
    "Billed",
    "Wasted",
    "Made again",
)
_MOST = 40
"""So many lines of a table are shown; an agent chooses the names of models it asks for."""


def print_spending(spending: Spending, console: Console) -> None:
    """Print it. Names that agents chose are shown as text."""
    console.print(Text(f"Run {one_line(spending.run)}: what it spent", style="bold"))
    for line in _summary(spending):
        console.print(line)
    for by, title in _TITLES.items():
        lines = [line for line in spending.lines if line.by == by]
        if lines:
            console.print()
            console.print(_table(title, lines))
    if differing := [r for r in spending.reconciled if not r.agrees]:
        console.print()
        console.print(_differences(differing))


def _summary(spending: Spending) -> Iterable[Text]:
    spent, wasted = spending.total.spent, spending.total.wasted
    yield Text(f"{_dollars(spent)} at list prices; {_calls(spent)}")
    if spent.billed_usd is not None:
        yield Text(
            f"{usd(spent.billed_usd)} billed by providers for {plural(spent.billed_calls, 'call')}{_than(spent)}"
        )
    share = f" ({percent(wasted.cost_usd / spent.cost_usd)})" if wasted.cost_usd and spent.cost_usd else ""
    yield Text(f"{_dollars(wasted)}{share} of it wasted; {_calls(wasted)}")
    if any(line.by == "probes" for line in spending.lines):
        yield Text(f"{_dollars(spending.probes)} of it by probes before the run; {_calls(spending.probes)}")
    again = spending.total.again
    if again.calls:
        yield Text(f"{_dollars(again)} of it by attempts that were made again; {_calls(again)}")
    if unknown := _unknown(spending):
        yield Text("UNKNOWN, and not in the sums:", style="bold yellow")
        yield from (Text(f"  {line}", style="yellow") for line in unknown)
    lists = [
        f"{one_line(p.source)} {one_line(p.version)} ({plural(len(p.attempts), 'attempt')})" for p in spending.prices
    ]
    if lists:
        yield Text(f"prices: {', '.join(lists)}")
    if spending.reconciled:
        agreeing = sum(r.agrees for r in spending.reconciled)
        yield Text(
            f"agents' own counts: {plural(len(spending.reconciled), 'attempt')}, {agreeing} agree with the wire",
        )


def _calls(spent: Spent) -> str:
    return plural(spent.calls, "call") + (f"; {tokens(spent.usage)}" if spent.calls else "")


def _unknown(spending: Spending) -> list[str]:
    spent = spending.total.spent
    lines = []
    if silent := spent.usage_unknown_calls - spent.refused_calls:
        least = "" if spent.at_least.total is None else f"; at least {tokens(spent.at_least)}"
        lines.append(f"{plural(silent, 'call')} without usage{least}")
    if spent.refused_calls:
        lines.append(f"{plural(spent.refused_calls, 'call')} answered with an error, which providers do not bill")
    if spent.unpriced_calls:
        named = [one_line(r.name, 60) for r in spending.lines if r.by == "wire_model" and r.spent.unpriced_calls]
        more = ", …" if len(named) > 5 else ""
        lines.append(f"{plural(spent.unpriced_calls, 'call')} without a price: {', '.join(named[:5])}{more}")
    if spending.prices_unknown:
        lines.append(f"the price list of {plural(len(spending.prices_unknown), 'attempt')}")
    lines += [f"{short(name)}: {one_line(said)}" for name, said in list(spending.unreadable.items())[:_MOST]]
    return lines


def _than(spent: Spent) -> str:
    difference = spent.billed_difference_usd
    if difference is None:
        return ""
    if not round(difference, 4):
        return ", as computed"
    return f", {usd(abs(difference))} {'more' if difference > 0 else 'less'} than computed for the same calls"


def _dollars(spent: Spent) -> str:
    if not spent.calls:
        return usd(0.0)
    bound = "≥ " if spent.is_lower_bound and spent.cost_usd is not None else ""
    return bound + usd(spent.cost_usd)


def _table(title: str, lines: list[SpendingLine]) -> RenderableType:
    table = new_table(title, "Name", *_FIGURES, "No usage / price", right=frozenset(_FIGURES))
    if lines[0].by not in ("hour", "day"):
        lines = sorted(lines, key=lambda r: -(r.spent.cost_usd or 0.0))
    for line in lines[:_MOST]:
        spent = line.spent
        unknown = f"{spent.usage_unknown_calls} / {spent.unpriced_calls}"
        table.add_row(
            cell(model(line.name)),
            cell(str(len(line.attempts))),
            cell(count(spent.calls)),
            *(cell(_tokens(spent, kind)) for kind in _KINDS),
            cell(_dollars(spent)),
            cell("–" if spent.billed_usd is None else usd(spent.billed_usd)),
            cell(_dollars(line.wasted)),
            cell(_dollars(line.again)),
            cell(unknown, "" if unknown == "0 / 0" else "yellow"),
        )
    if len(lines) > _MOST:
        table.add_row(cell(f"and {len(lines) - _MOST} more: --json"))
    return table


def _tokens(spent: Spent, kind: str) -> str:
    return count(getattr(spent.usage, kind)) if spent.calls else "0"


def _differences(found: list[Reconciled]) -> RenderableType:
    table = new_table(
        "Agents' own counts that differ from the wire", "Attempt", "Agent less wire", "Cost: agent / wire"
    )
    for r in found[:_MOST]:
        kinds = [f"{kind} {value:+,}" for kind, value in r.differences.items()]
        kinds += [f"({plural(r.wire_unknown_calls, 'call')} without usage on the wire)"] if r.wire_unknown_calls else []
        table.add_row(
            cell(short(r.attempt)), cell(", ".join(kinds) or "–"), cell(f"{usd(r.agent_cost_usd)} / {usd(r.cost_usd)}")
        )
    if len(found) > _MOST:
        table.add_row(cell(f"and {len(found) - _MOST} more: --json"))
    return table
