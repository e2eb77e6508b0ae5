"""A survey as plain text."""

import textwrap
from collections.abc import Iterator

from speedproof.analysis.survey.document import Chart, Section, Survey, Table
from speedproof.report.survey.values import cell, figure, is_number, place, sentence
from speedproof.report.text import clean, one_line

_WIDTH = 100
_BAR = 40
"""Characters of the longest bar."""
_UNDER = "=-·"


def to_text(survey: Survey) -> str:
    """The whole document, inert: no control character of an archive is in it."""
    title = one_line(survey.title)
    lines = [title, "=" * len(title), f"Made by Speedproof {clean(survey.speedproof)}.", ""]
    for section in survey.sections:
        lines += _section(section, 0)
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section, depth: int) -> Iterator[str]:
    title = one_line(section.title)
    yield from ("", title, _UNDER[min(depth, 2)] * len(title), "")
    for paragraph in section.paragraphs:
        yield _filled(" ".join(map(sentence, paragraph)))
        yield ""
    for point in section.points:
        yield _filled(sentence(point), "  - ", "    ")
    if section.points:
        yield ""
    for table in section.tables:
        yield from _table(table)
    for chart in section.charts:
        yield from _chart(chart)
    for quote in section.quotes:
        yield f"  {f'{one_line(quote.shows)}: ' if quote.shows else ''}{place(quote)}"
        yield f"    {one_line(quote.text)}"
    if section.quotes:
        yield ""
    for inner in section.sections:
        yield from _section(inner, depth + 1)


def _table(table: Table) -> Iterator[str]:
    heads = [column.title for column in table.columns]
    rows = [[cell(c, column.unit) for c, column in zip(line.cells, table.columns, strict=True)] for line in table.lines]
    right = [is_number(column) for column in table.columns]
    widths = [max(len(one_line(text)) for text in column) for column in zip(heads, *rows, strict=True)]
    yield one_line(table.title)
    for row in [heads, *rows]:
        cells = (
            text.rjust(width) if flush else text.ljust(width)
            for text, width, flush in zip(row, widths, right, strict=True)
        )
        yield "  " + "  ".join(cells).rstrip()
    if table.note:
        yield _filled(clean(table.note), "  ", "  ")
    yield ""


def _chart(chart: Chart) -> Iterator[str]:
    yield f"{one_line(chart.title)} ({one_line(chart.axis)})"
    values = [bar.figure.value if isinstance(bar.figure.value, int | float) else 0 for bar in chart.bars]
    most = max([*values, 0]) or 1
    width = max((len(one_line(bar.label, 40)) for bar in chart.bars), default=0)
    for bar, value in zip(chart.bars, values, strict=True):
        length = round(_BAR * value / most)
        yield f"  {one_line(bar.label, 40).ljust(width)}  {'█' * max(length, int(value > 0))} {figure(bar.figure)}"
    yield ""


def _filled(text: str, first: str = "", others: str = "") -> str:
    return textwrap.fill(
        text, _WIDTH, initial_indent=first, subsequent_indent=others, break_on_hyphens=False, break_long_words=False
    )
