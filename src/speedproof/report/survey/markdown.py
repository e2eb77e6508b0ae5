"""A survey as Markdown."""

import re
from collections.abc import Iterator

from speedproof.analysis.survey.document import Chart, Section, Sentence, Survey, Table
from speedproof.report.survey.values import cell, figure, place, sentence
from speedproof.report.text import fenced, markdown, markdown_table

_CODE = re.compile("&#96;(.*?)&#96;")
_LONG = 2_000
"""Characters of a sentence."""


def to_markdown(survey: Survey) -> str:
    """The whole document; whatever stands in an archive is plain text in it."""
    opening = f"# {markdown(survey.title)}\n\nMade by Speedproof {markdown(survey.speedproof)}."
    contents = "\n".join(f"- [{markdown(one.title)}](#{one.id})" for one in survey.sections)
    return "\n\n".join([opening, contents, *(part for one in survey.sections for part in _section(one, 2))]) + "\n"


def _section(section: Section, depth: int) -> Iterator[str]:
    yield f'<a id="{section.id}"></a>\n\n{"#" * min(depth, 6)} {markdown(section.title)}'
    for paragraph in section.paragraphs:
        yield " ".join(map(_words, paragraph))
    if section.points:
        yield "\n".join(f"- {_words(point)}" for point in section.points)
    for table in section.tables:
        yield from _table(table)
    for chart in section.charts:
        yield from _chart(chart)
    for quote in section.quotes:
        shows = f"{markdown(quote.shows)}, " if quote.shows else ""
        yield f"{shows}{markdown(place(quote))}:\n\n{fenced(quote.text)}"
    for inner in section.sections:
        yield from _section(inner, depth + 1)


def _words(one: Sentence) -> str:
    return _CODE.sub(r"<code>\1</code>", markdown(sentence(one), _LONG))


def _table(table: Table) -> Iterator[str]:
    yield f"**{markdown(table.title)}**"
    heads = [markdown(column.title) for column in table.columns]
    yield markdown_table(
        heads,
        (
            [markdown(cell(c, column.unit)) for c, column in zip(line.cells, table.columns, strict=True)]
            for line in table.lines
        ),
    )
    if table.note:
        yield markdown(table.note, _LONG)


def _chart(chart: Chart) -> Iterator[str]:
    yield f"**{markdown(chart.title)}**"
    lines = ([markdown(bar.label), markdown(figure(bar.figure))] for bar in chart.bars)
    yield markdown_table([markdown(chart.axis), "value"], lines)
