"""A maker of the attempts that some conditions choose: chosen once, asked often."""

from collections.abc import Iterable, Sequence

from speedproof.analysis.collection import Where
from speedproof.analysis.collection.dimensions import Plain
from speedproof.analysis.measures import Figure
from speedproof.analysis.survey.document import Column, Line, Table
from speedproof.analysis.survey.making import Maker


class Part(Maker):
    """Makes figures and tables of a part of another maker's attempts; each carries the conditions that chose them."""

    def __init__(self, maker: Maker, **where: Plain | list[Plain]) -> None:
        super().__init__(maker.collection.where(where))
        self.given: dict[str, Plain | list[Plain]] = (maker.given if isinstance(maker, Part) else {}) | where
        """The conditions, those of a part that this one is a part of included."""

    def figure(self, measure: str, **where: Plain | list[Plain]) -> Figure:
        """A figure of the attempts of this part that also meet these conditions."""
        found = super().figure(measure, **where)
        return found.model_copy(update={"where": self.given | where})

    def _line(self, labels: str | Sequence[str], where: Where, columns: Sequence[Column], labelled: int) -> Line:
        line = super()._line(labels, where, columns, labelled)
        return line.model_copy(update={"where": self.given | line.where})


def stacked(
    title: str,
    label: Sequence[str],
    columns: Sequence[tuple[str, str]],
    lines: Iterable[tuple[Sequence[str], Part]],
    note: str | None = None,
) -> Table:
    """A table with a line for each part."""
    tables = [part.table(title, label, columns, [(labels, {})], note) for labels, part in lines]
    return tables[0].model_copy(update={"lines": tuple(line for table in tables for line in table.lines)})
