"""What a table of the catalog is: its columns, each with type, meaning and the value that a row has there.

The statements that make the database, its rows and its page in the documentation all come from these declarations.
Where a record documents a field already, the column takes type and meaning from there.
"""

import math
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from pydantic import AwareDatetime, BaseModel

from speedproof.analysis.catalog.contents import Contents

T = TypeVar("T")


class SqlType(StrEnum):
    """The types of columns."""

    TEXT = "VARCHAR"
    WHOLE = "BIGINT"
    NUMBER = "DOUBLE"
    YES_NO = "BOOLEAN"
    TIME = "TIMESTAMP"
    TEXTS = "VARCHAR[]"


_GREATEST = 2**63 - 1
_TYPES: dict[Any, SqlType] = {
    str: SqlType.TEXT,
    bool: SqlType.YES_NO,
    int: SqlType.WHOLE,
    float: SqlType.NUMBER,
    datetime: SqlType.TIME,
    AwareDatetime: SqlType.TIME,
}


@dataclass(frozen=True)
class Column(Generic[T]):
    """One column."""

    name: str
    type: SqlType
    meaning: str
    """What it holds, with its unit; null is unknown unless it says otherwise."""
    value: Callable[[T], Any]
    """What a row has there."""

    def stored(self, row: T) -> Any:
        """That value as the database takes it. Raises OverflowError for one that its type cannot hold."""
        value = self.value(row)
        if value is None:
            return None
        match self.type:
            case SqlType.TEXT:
                return text(value)
            case SqlType.TEXTS:
                return [text(each) for each in value]
            case SqlType.WHOLE if not -_GREATEST <= value <= _GREATEST:
                raise OverflowError("a whole number of more than 64 bits")
            case SqlType.NUMBER:
                return float(value) if math.isfinite(value) else None
            case SqlType.TIME:
                return value.astimezone(UTC).replace(tzinfo=None)
        return value


@dataclass(frozen=True)
class Table(Generic[T]):
    """One table."""

    name: str
    meaning: str
    columns: tuple[Column[T], ...]
    rows: Callable[[Contents], Iterable[T]]
    """Its rows, of all that the catalog is made of."""


@dataclass(frozen=True)
class View:
    """One view: a question that is asked often, with its answer's columns and what they mean."""

    name: str
    meaning: str
    columns: dict[str, str]
    query: str


def text(value: Any) -> str:
    """A text that the database can hold: halves of a character pair that has no other half are written out."""
    found = value.value if isinstance(value, StrEnum) else str(value)
    return found if found.isascii() else found.encode("utf-8", "backslashreplace").decode()


def fields(
    model: type[BaseModel],
    of: Callable[[T], Any],
    prefix: str = "",
    *,
    only: Sequence[str] = (),
    without: Sequence[str] = (),
) -> tuple[Column[T], ...]:
    """The fields of a record that one column can hold, in their order; `of` gives a row's record, or null.

    `only` chooses some of them; `without` leaves some out.
    """
    unknown = {*only, *without} - model.model_fields.keys()
    if unknown:
        raise ValueError(f"{model.__name__} has no field {', '.join(sorted(unknown))}")
    columns = []
    for name, field in model.model_fields.items():
        kind = _column_type(field.annotation)
        if kind is None or name in without or (only and name not in only):
            continue
        meaning = " ".join((field.description or "").split())
        columns.append(Column(f"{prefix}{name}", kind, meaning, _getter(of, name)))
    return tuple(columns)


def _getter(of: Callable[[T], Any], name: str) -> Callable[[T], Any]:
    def get(row: T) -> Any:
        record = of(row)
        return None if record is None else getattr(record, name)

    return get


def _column_type(annotation: Any) -> SqlType | None:
    """The type of a column that can hold it; null for nested records, maps and what may be anything."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return SqlType.TEXT
    if origin in (typing.Union, types.UnionType):
        found = {_column_type(each) for each in arguments if each is not type(None)}
        return found.pop() if len(found) == 1 else None
    if origin is tuple and arguments[0] is str:
        return SqlType.TEXTS
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return SqlType.TEXT
    return _TYPES.get(annotation)
