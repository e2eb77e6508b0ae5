"""Reading a section of a survey: its parts, its figures, its words, and whether each number can be derived again."""

import re
from collections.abc import Iterator

from speedproof.analysis.collection import Collection
from speedproof.analysis.measures import Figure, measured
from speedproof.analysis.survey.document import Section, Sentence, Table


def walk(section: Section) -> Iterator[Section]:
    """It and all within it."""
    yield section
    for inner in section.sections:
        yield from walk(inner)


def part(section: Section, beginning: str) -> Section:
    """The first part whose title begins so."""
    return next(one for one in walk(section) if one.title.startswith(beginning))


def sentences(section: Section) -> Iterator[Sentence]:
    for one in walk(section):
        for paragraph in one.paragraphs:
            yield from paragraph
        yield from one.points


def said(section: Section) -> str:
    """Its sentences, those of its parts included, with the values of their figures."""
    return "\n".join("".join(p if isinstance(p, str) else f"{p.value}" for p in one) for one in sentences(section))


def table(section: Section, title: str) -> Table:
    return next(one for each in walk(section) for one in each.tables if one.title == title)


def line(section: Section, title: str, label: str) -> dict[str, object]:
    """A line of a table by its first label: heading → value."""
    found = table(section, title)
    chosen = next(one for one in found.lines if one.cells[0].value == label)
    return {column.title: cell.value for column, cell in zip(found.columns, chosen.cells, strict=True)}


def derive_again(collection: Collection, section: Section) -> int:
    """Derive every number again, assert that it is the same; how many there are."""
    numbers = 0
    for one in walk(section):
        bars = [bar.figure for chart in one.charts for bar in chart.bars]
        for figure in [*bars, *(p for s in sentences(one) for p in s if isinstance(p, Figure))]:
            again = measured(collection, figure.measure, figure.where)
            assert (again.value, len(again.counted), len(again.unknown)) == (
                figure.value,
                figure.attempts,
                figure.unknown,
            ), figure
            numbers += 1
        for each in one.tables:
            for row in each.lines:
                for cell, column in zip(row.cells, each.columns, strict=True):
                    if column.measure is not None:
                        again = measured(collection, column.measure, row.where)
                        assert (again.value, len(again.unknown)) == (cell.value, cell.unknown), (each.title, row)
                        numbers += 1
    return numbers


def words_without_names(collection: Collection, section: Section) -> Iterator[str]:
    """What its sentences say between the figures, without names and days."""
    names = {e.attempt.commit for e in collection.entries} | {e.attempt.run for e in collection.entries}
    for one in sentences(section):
        words = "".join(p for p in one if isinstance(p, str))
        for known in sorted(filter(None, names), key=len, reverse=True):
            words = words.replace(known, "")
        yield re.sub(r"`[^`]*`|\d{4}-\d\d-\d\d", "", words)
