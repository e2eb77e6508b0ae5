"""The parts of a document: sections of sentences, tables and charts, in which every number is a figure.

A sentence is text with figures between; a table names the measure of each column and the attempts of each line; a chart
likewise. So each number can be derived again from the collection, and a reader can follow it.
"""

from typing import Literal

from speedproof.analysis.collection.dimensions import Plain
from speedproof.analysis.measures import Figure
from speedproof.analysis.measures.measure import Unit
from speedproof.journal import Record

Sentence = tuple[str | Figure, ...]
"""Words, with figures between them. The words hold no number but in names, days, quoted text and definitions."""


class Quote(Record):
    """A passage of a file in an archive."""

    attempt: str | None = None
    """Name of the attempt it belongs to; null for a file of the archive itself."""
    file: str
    """The file, relative to the archive's root."""
    line: int | None = None
    """Its line, counted from 1; null where it has none."""
    text: str
    """The passage."""
    shows: str | None = None
    """What it is quoted for, such as a class of failure; null where the text around it says so."""


class Column(Record):
    """One column of a table."""

    title: str
    """Its heading."""
    measure: str | None = None
    """The measure of its numbers; null for a column of labels."""
    unit: Unit = "text"
    """Its unit."""


class Cell(Record):
    """One value of a table."""

    value: float | int | str | None
    """The value; null when it is not known."""
    unknown: int = 0
    """Attempts that would count and are not in it."""


class Line(Record):
    """One line of a table."""

    where: dict[str, Plain | list[Plain]] = {}
    """Conditions that choose its attempts."""
    cells: tuple[Cell, ...]
    """One cell a column."""


class Table(Record):
    """A table: the number in a column and a line is the column's measure over the attempts that both choose."""

    title: str
    """What it shows."""
    columns: tuple[Column, ...]
    """Its columns."""
    lines: tuple[Line, ...]
    """Its lines."""
    note: str | None = None
    """What to know when reading it."""


class Bar(Record):
    """One bar, or one step of a histogram."""

    label: str
    """What it stands for."""
    figure: Figure
    """How long it is."""


class Chart(Record):
    """A chart of bars: of categories, of a distribution (a histogram), or of days."""

    title: str
    """What it shows."""
    kind: Literal["bars", "histogram", "days"]
    """bars: categories; histogram: steps of a quantity, side by side; days: the same in the order of time."""
    axis: str
    """What the bars are laid out along, with its unit."""
    bars: tuple[Bar, ...]
    """The bars, in their order."""


class Section(Record):
    """A section of a document."""

    id: str
    """Its name in links: lower case, with hyphens."""
    title: str
    """Its heading."""
    paragraphs: tuple[tuple[Sentence, ...], ...] = ()
    """Paragraphs of sentences."""
    points: tuple[Sentence, ...] = ()
    """A list of points, after the paragraphs."""
    tables: tuple[Table, ...] = ()
    """Its tables."""
    charts: tuple[Chart, ...] = ()
    """Its charts."""
    quotes: tuple[Quote, ...] = ()
    """Evidence: passages of files."""
    sections: tuple["Section", ...] = ()
    """Sections within it."""


class Survey(Record):
    """The whole document."""

    format: Literal["speedproof/survey/1"] = "speedproof/survey/1"
    """Version of this record's schema."""
    title: str
    """Its title."""
    archives: tuple[str, ...]
    """Ids of the archives and runs that it is about."""
    speedproof: str
    """Version of Speedproof that made it."""
    sections: tuple[Section, ...]
    """Its sections."""
