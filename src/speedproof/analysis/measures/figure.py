"""A value in a report, with the measure and the conditions from which it can be derived again."""

from speedproof.analysis.collection import Collection, Where
from speedproof.analysis.collection.dimensions import Plain
from speedproof.analysis.measures.measure import MEASURES, Unit, measured
from speedproof.journal import Record


class Figure(Record):
    """One figure of a report."""

    measure: str
    """Name of the measure (docs/measures.md)."""
    where: dict[str, Plain | list[Plain]] = {}
    """Conditions that choose the attempts; none: all of the report's."""
    value: float | int | str | None
    """The value; null when it cannot be known."""
    unit: Unit
    """What it counts."""
    attempts: int
    """How many attempts are behind it; `speedproof measures` names them."""
    unknown: int = 0
    """How many would count, and are not in it, since what it takes is not known of them."""


def figure(collection: Collection, name: str, where: Where | None = None, given: Where | None = None) -> Figure:
    """A measure's value as a figure. `given`: conditions that chose the collection; the figure carries them too.

    Raises InputError for an unknown measure or dimension.
    """
    found = measured(collection, name, where)
    return Figure(
        measure=name,
        where={**(given or {}), **(where or {})},
        value=found.value,
        unit=MEASURES[name].unit,
        attempts=len(found.counted),
        unknown=len(found.unknown),
    )
