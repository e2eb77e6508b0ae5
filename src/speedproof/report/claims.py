"""Checked claims in the terminal: verdict by verdict, with our value, its definition, and how a figure came to be."""

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from speedproof.analysis.claims import Again, Checked, Checks, explanation, words
from speedproof.analysis.claims.conditions import said
from speedproof.report.measures import behind, value_of
from speedproof.report.text import one_line, plural

_STYLES = {"holds": "green", "fails": "bold red", "cannot be known": "yellow", "not stated": "cyan"}
_MARKS = {"holds": "holds", "fails": "fails", "cannot be known": "unknown", "not stated": "ours"}
_WIDE = 9


def print_checks(checks: Checks, console: Console, *, verbose: bool = False) -> None:
    """Print every claim with its verdict, the contradictions, and how many there are of each."""
    about = f" against {', '.join(checks.archives)}"
    console.print(Text(one_line(checks.document + about), style="bold"))
    for checked in checks.claims:
        console.print(_claim(checked, verbose=verbose))
    if checks.contradictions:
        console.print(Text("\nContradictions within the document", style="bold"))
        for one in checks.contradictions:
            console.print(_indented(one.sentence, style="yellow"))
    counts = [f"{len(checks.of('holds'))} hold", f"{len(checks.of('fails'))} fail"]
    counts.append(f"{len(checks.of('cannot be known'))} cannot be known")
    if ours := checks.of("not stated"):
        counts.append(f"{len(ours)} of ours without a stated figure")
    counts.append(plural(len(checks.contradictions), "contradiction"))
    console.print(Text(f"\n{plural(len(checks.claims), 'claim')}: {', '.join(counts)}"))


def print_again(again: Again, console: Console) -> None:
    """Print how much of a report was derived again, and what differs."""
    for one in again.differing:
        line = Text("differs  ", style="bold red")
        line.append(one_line(one.place, 400), style="default")
        console.print(line)
        named = f" ({one.measure})" if one.measure else ""
        what = "" if one.what == "value" else f"{one.what}: "
        told = f"         {what}the report says {_plain(one.stated)}; derived: {_plain(one.derived)}{named}"
        console.print(Text(one_line(told, 600)))
    differ = (
        "none differs"
        if not again.differing
        else plural(len({d.place for d in again.differing}), "place differs", "places differ")
    )
    where = ", ".join(again.archives)
    console.print(Text(one_line(f"{plural(again.checked, 'figure')} derived again from {where}: {differ}")))


def _claim(checked: Checked, *, verbose: bool) -> RenderableType:
    head = Text(f"\n{_MARKS[checked.verdict]:{_WIDE}}", style=_STYLES[checked.verdict])
    head.append(f"{one_line(checked.id)}  ", style="bold").append(one_line(checked.text, 600), style="default")
    ours = checked.derived
    unit = ours.unit
    stated = f"stated {words.as_stated(checked.stated, unit)}"
    if checked.tolerance and checked.tolerance != 0.5:
        stated += f" ± {checked.tolerance:g}"
    if checked.stated is None:
        stated = "no figure is stated"
    lines: list[RenderableType] = [head, _indented(f"{stated}; ours {value_of(ours)} ({behind(ours)})")]
    lines.append(_indented(f"{ours.measure} over {said(ours.where)}: {ours.meaning}", style="dim"))
    if checked.why:
        lines.append(_indented(checked.why, style="yellow"))
    told = explanation(checked)
    if told and checked.verdict != "holds":
        lines.append(_indented(told, style="yellow"))
    if checked.note:
        lines.append(_indented(f"note: {checked.note}"))
    if verbose:
        lines += _names("counted", ours.attempts) + _names("unknown", ours.unknown)
    return Group(*lines)


def _names(label: str, names: Sequence[str]) -> list[RenderableType]:
    return [_indented(f"{label}: {', '.join(names)}", style="dim", limit=100_000)] if names else []


def _indented(text: str, style: str = "", limit: int = 1_500) -> RenderableType:
    return Padding(Text(one_line(text, limit), style=style), (0, 0, 0, _WIDE))


def _plain(value: float | str | None) -> str:
    return "nothing" if value is None else str(value)
