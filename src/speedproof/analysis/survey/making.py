"""Making the parts of a document from a collection."""

from collections.abc import Iterable, Mapping, Sequence

from speedproof.analysis.collection import Collection, Where
from speedproof.analysis.collection.dimensions import Plain
from speedproof.analysis.measures import MEASURES, Figure, figure, measured
from speedproof.analysis.survey.document import Bar, Cell, Chart, Column, Line, Sentence, Table


class Maker:
    """Makes figures, sentences, tables and charts of one collection."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        """The attempts."""

    def figure(self, measure: str, **where: Plain | list[Plain]) -> Figure:
        """A figure. Raises InputError for an unknown measure or dimension."""
        return figure(self.collection, measure, where)

    def say(self, words: str, *figures: Figure) -> Sentence:
        """A sentence: each {} in the words is the next figure."""
        texts = words.split("{}")
        assert len(texts) == len(figures) + 1
        parts: list[str | Figure] = [texts[0]]
        for one, text in zip(figures, texts[1:], strict=True):
            parts += [one, text]
        return tuple(part for part in parts if part != "")

    def table(
        self,
        title: str,
        label: str | Sequence[str],
        columns: Sequence[tuple[str, str] | tuple[str, str, Where]],
        lines: Iterable[tuple[str | Sequence[str], Where]],
        note: str | None = None,
    ) -> Table:
        """A table. `label`: headings of the label columns; `columns`: heading, measure and conditions of each other
        one; `lines`: labels and conditions of each line."""
        heads = [label] if isinstance(label, str) else list(label)
        measures = [Column(title=head) for head in heads]
        for name, measure, *rest in columns:
            where: Where = rest[0] if rest else {}
            measures.append(Column(title=name, measure=measure, unit=MEASURES[measure].unit, where=dict(where)))
        made = [self._line(labels, where, measures, len(heads)) for labels, where in lines]
        return Table(title=title, columns=tuple(measures), lines=tuple(made), note=note)

    def _line(self, labels: str | Sequence[str], where: Where, columns: Sequence[Column], labelled: int) -> Line:
        names = [labels] if isinstance(labels, str) else list(labels)
        cells = [Cell(value=name) for name in names]
        chosen = self.collection.where(where)
        for column in columns[labelled:]:
            found = measured(chosen, column.measure or "", column.where)
            cells.append(Cell(value=found.value, unknown=len(found.unknown)))
        return Line(where=dict(where), cells=tuple(cells))

    def bars(self, title: str, axis: str, measure: str, conditions: Mapping[str, Where], kind: str = "bars") -> Chart:
        """A chart: one bar a condition."""
        bars = tuple(Bar(label=name, figure=figure(self.collection, measure, w)) for name, w in conditions.items())
        return Chart.model_validate({"title": title, "kind": kind, "axis": axis, "bars": bars})
