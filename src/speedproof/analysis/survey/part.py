"""A part of a collection, or all of it, as a document shows it: figures, lines of tables, bars of charts."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from speedproof.analysis.collection import Collection, Where
from speedproof.analysis.collection.dimensions import Plain
from speedproof.analysis.measures import MEASURES, Figure, figure
from speedproof.analysis.survey.document import Bar, Cell, Chart, Column, Line, Sentence, Table
from speedproof.analysis.survey.phrases import say

Columns = Sequence[tuple[str, str]]
"""Headings with their measures."""


class Part:
    """The attempts that some conditions choose: chosen once, asked often. Each figure carries the conditions."""

    def __init__(self, collection: Collection, where: Where | None = None) -> None:
        self.collection = collection
        """The attempts."""
        self.where: dict[str, Plain | list[Plain]] = dict(where or {})
        """The conditions that chose them; none: all there are."""

    def part(self, **where: Plain | list[Plain]) -> "Part":
        """Those of them that also meet these conditions. Raises InputError for an unknown dimension."""
        return Part(self.collection.where(where), self.where | where)

    def figure(self, measure: str, **where: Plain | list[Plain]) -> Figure:
        """A figure of those that also meet these conditions. Raises InputError for an unknown measure or dimension."""
        return figure(self.collection, measure, where, self.where)


Saying = Callable[[Part], Sentence]
"""A sentence about a part that is yet to be named."""


def saying(words: str, *asked: str | tuple[str, Where]) -> Saying:
    """A sentence (see `say`) whose figures are these measures, each alone or with conditions of its own."""
    every = [(one, {}) if isinstance(one, str) else one for one in asked]
    return lambda part: say(words, *(part.figure(measure, **where) for measure, where in every))


def table(
    title: str,
    labels: Sequence[str],
    columns: Columns,
    lines: Iterable[tuple[Sequence[str], Part]],
    note: str | None = None,
) -> Table:
    """A table with a line for each part: `labels` are the headings of what a line is called by."""
    heads = (
        *(Column(title=label) for label in labels),
        *(Column(title=title, measure=measure, unit=MEASURES[measure].unit) for title, measure in columns),
    )
    measures = [MEASURES[measure].of for _, measure in columns]
    made = []
    for names, part in lines:
        values = [measure(part.collection) for measure in measures]
        cells = (
            *(Cell(value=name) for name in names),
            *(Cell(value=found.value, unknown=len(found.unknown)) for found in values),
        )
        made.append(Line(where=part.where, cells=cells))
    return Table(title=title, columns=heads, lines=tuple(made), note=note)


def chart(
    title: str,
    axis: str,
    measure: str,
    bars: Iterable[tuple[str, Part]],
    kind: Literal["bars", "histogram", "days"] = "bars",
) -> Chart:
    """A chart with a bar for each part."""
    made = tuple(Bar(label=label, figure=part.figure(measure)) for label, part in bars)
    return Chart(title=title, kind=kind, axis=axis, bars=made)
