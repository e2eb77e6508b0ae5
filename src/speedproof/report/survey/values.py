"""Figures and sentences as people read them."""

from itertools import groupby

from speedproof.analysis.measures import Figure
from speedproof.analysis.measures.measure import Unit
from speedproof.analysis.survey.document import Cell, Column, Quote, Sentence
from speedproof.report.text import clean, one_line, plural, usd

_LONG = 10_000
"""Seconds from which a time is shown in hours."""
_CUT = 80
"""Characters of a text in a table's cell."""


def shown(value: float | str | None, unit: Unit, *, limit: int = 400) -> str:
    """A value with the sign of its unit where that is one sign; – when it is not known."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return one_line(value, limit)
    if unit == "USD":
        return usd(value)
    if unit == "%":
        return f"{value:.1f} %"
    if unit == "s":
        if value >= _LONG:
            return f"{value / 3600:,.1f} h"
        return f"{value:,.1f} s" if value >= 10 else f"{value:,.2f} s"
    if unit == "h":
        return f"{value:,.1f} h"
    if unit == "bytes":
        return f"{value:,} B" if isinstance(value, int) else f"{value:,.0f} B"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def figure(one: Figure) -> str:
    """A figure alone, with what is not in it."""
    words = _bare(one)
    return f"{words} (unknown for {one.unknown:,})" if one.unknown and one.value is not None else words


def _bare(one: Figure) -> str:
    return "unknown" if one.value is None else shown(one.value, one.unit)


def cell(one: Cell, unit: Unit) -> str:
    """A cell of a table; a plus sign after a sum that does not hold everything."""
    words = shown(one.value, unit, limit=_CUT)
    return f"{words}+" if one.unknown and one.value is not None and unit != "text" else words


def parts(one: Sentence) -> list[tuple[str, Figure | None]]:
    """The words of a sentence, each with the figure it shows; what is in none of them is said once where it can be."""
    unknown = [part.unknown for part in one if isinstance(part, Figure) and part.unknown and part.value is not None]
    once = len(unknown) > 1 and len(set(unknown)) == 1
    shown_parts: list[tuple[str, Figure | None]] = []
    for is_text, members in groupby(one, key=lambda part: isinstance(part, str)):
        if is_text:
            shown_parts.append((clean("".join(map(str, members))), None))
        else:
            shown_parts += ((_bare(p) if once else figure(p), p) for p in members if isinstance(p, Figure))
    if once:
        shown_parts.append((f" Of {plural(unknown[0], 'attempt')} it is unknown.", None))
    return shown_parts


def sentence(one: Sentence) -> str:
    """A sentence as plain text."""
    return "".join(words for words, _ in parts(one)).strip()


def place(quote: Quote) -> str:
    """Where a passage stands."""
    line = "" if quote.line is None else f":{quote.line}"
    return one_line(f"{quote.file}{line}", 300)


def is_number(column: Column) -> bool:
    """Whether its cells hold numbers, or the lack of one."""
    return column.measure is not None and column.unit != "text"
