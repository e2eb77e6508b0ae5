"""Our own reports, derived again from the records: every figure of a survey, every leaf of a run's report."""

import json
import math
from collections.abc import Iterator
from typing import Any, Literal

from speedproof.analysis.claims.stated import finite
from speedproof.analysis.collection import Collection
from speedproof.analysis.collection.dimensions import Plain
from speedproof.analysis.measures import MEASURES, Figure, measured
from speedproof.analysis.run_report import run_report
from speedproof.analysis.survey.document import Line, Section, Survey, Table
from speedproof.errors import InputError
from speedproof.journal import Record, RunStore

Where = dict[str, Plain | list[Plain]]
_CLOSE = 1e-9


class Difference(Record):
    """One place of a report where something else is derived than stands there."""

    place: str
    """Where in the report: sections and tables by name, or the JSON path."""
    what: str
    """Which part of it: value, unknown, attempts, unit, or that it is missing."""
    measure: str | None = None
    """The measure; null in a run's report."""
    stated: int | float | str | bool | None
    """What stands there."""
    derived: int | float | str | bool | None
    """What is derived."""


class Again(Record):
    """A report of ours, derived again."""

    format: Literal["speedproof/again/1"] = "speedproof/again/1"
    """Version of this record's schema."""
    report: str
    """Format of the report."""
    archives: tuple[str, ...]
    """Ids of the archives and runs it was derived from."""
    checked: int
    """Figures, or leaves, that were derived."""
    differing: tuple[Difference, ...]
    """Those that differ."""


def check_survey(survey: Survey, collection: Collection) -> Again:
    """Derive every figure, every number of a table and every bar of a survey again."""
    walk = _Walk(collection)
    for section in survey.sections:
        walk.section(section, "")
    return Again(
        report=survey.format, archives=collection.archives, checked=walk.checked, differing=tuple(walk.differing)
    )


def check_run_report(stated: dict[str, Any], run: RunStore) -> Again:
    """Make a run's report again and compare every leaf. Raises RecordError when the run's manifest cannot be read."""
    derived = json.loads(run_report(run).model_dump_json())
    every = list(_leaves(derived, stated, "$"))
    return Again(
        report=str(stated.get("format")),
        archives=(run.id,),
        checked=len(every),
        differing=tuple(one for one in every if one.what != "same"),
    )


class _Walk:
    """A walk over all figures of a survey."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self.checked = 0
        self.differing: list[Difference] = []

    def section(self, section: Section, above: str) -> None:
        """Everything in a section and those within it."""
        place = f"{above} > {section.id}" if above else section.id
        sentences = [*(s for paragraph in section.paragraphs for s in paragraph), *section.points]
        for number, sentence in enumerate(sentences, 1):
            for part in sentence:
                if isinstance(part, Figure):
                    self._figure(part, f"{place} > sentence {number}")
        for table in section.tables:
            for line in table.lines:
                self._line(table, line, f"{place} > {table.title}")
        for chart in section.charts:
            for bar in chart.bars:
                self._figure(bar.figure, f"{place} > {chart.title} > {bar.label}")
        for inner in section.sections:
            self.section(inner, place)

    def _figure(self, figure: Figure, place: str) -> None:
        stated = {
            "value": figure.value,
            "unknown": figure.unknown,
            "attempts": figure.attempts,
            "unit": figure.unit,
        }
        self._compare(figure.measure, figure.where, stated, place)

    def _line(self, table: Table, line: Line, place: str) -> None:
        labels = [str(c.value) for c, column in zip(line.cells, table.columns, strict=False) if column.measure is None]
        place = f"{place} > {' · '.join(labels)}"
        if len(line.cells) != len(table.columns):
            self.differing.append(
                Difference(place=place, what="cells", stated=len(line.cells), derived=len(table.columns))
            )
            return
        for cell, column in zip(line.cells, table.columns, strict=True):
            if column.measure is not None:
                stated = {"value": cell.value, "unknown": cell.unknown, "unit": column.unit}
                self._compare(column.measure, line.where, stated, f"{place} > {column.title}")

    def _compare(self, measure: str, where: Where, stated: dict[str, Any], place: str) -> None:
        self.checked += 1
        try:
            found = measured(self.collection, measure, where)
        except InputError as error:
            self.differing.append(
                Difference(place=place, what=error.what, measure=measure, stated=stated["value"], derived=None)
            )
            return
        derived = {
            "value": found.value,
            "unknown": len(found.unknown),
            "attempts": len(found.counted),
            "unit": MEASURES[measure].unit,
        }
        for what, value in stated.items():
            if not _same(value, derived[what]):
                self.differing.append(
                    Difference(place=place, what=what, measure=measure, stated=value, derived=_plain(derived[what]))
                )


def _plain(value: Any) -> Any:
    """A value as JSON holds it: what is no finite number is null there."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _same(stated: Any, derived: Any) -> bool:
    derived = _plain(derived)
    numbers = isinstance(stated, int | float) and isinstance(derived, int | float)
    if numbers and isinstance(stated, bool) == isinstance(derived, bool):
        near = finite(stated) and finite(derived) and math.isclose(stated, derived, rel_tol=_CLOSE, abs_tol=_CLOSE)
        return near or bool(stated == derived)
    return type(stated) is type(derived) and bool(stated == derived)


def _leaves(derived: Any, stated: Any, place: str) -> Iterator[Difference]:
    """Every leaf of what is derived beside what is stated; what only the report has likewise."""
    if isinstance(derived, dict) and isinstance(stated, dict):
        for name in dict.fromkeys((*derived, *stated)):
            yield from _inner(derived, stated, name, f"{place}.{name}")
    elif isinstance(derived, list) and isinstance(stated, list):
        ours, theirs = dict(enumerate(derived)), dict(enumerate(stated))
        for number in range(max(len(ours), len(theirs))):
            yield from _inner(ours, theirs, number, f"{place}[{number}]")
    else:
        what = "same" if _same(stated, derived) else "value"
        yield Difference(place=place, what=what, stated=_shown(stated), derived=_shown(derived))


def _inner(derived: dict[Any, Any], stated: dict[Any, Any], name: Any, place: str) -> Iterator[Difference]:
    if name not in stated:
        yield Difference(place=place, what="missing in the report", stated=None, derived=_shown(derived[name]))
    elif name not in derived:
        yield Difference(place=place, what="only in the report", stated=_shown(stated[name]), derived=None)
    else:
        yield from _leaves(derived[name], stated[name], place)


def _shown(value: Any) -> int | float | str | bool | None:
    return json.dumps(value)[:200] if isinstance(value, dict | list) else _plain(value)
