"""All tables and views of the catalog, and the statements that make them, comments included."""

from collections.abc import Iterator
from typing import Any

from speedproof.analysis.catalog.attempts import ATTEMPTS
from speedproof.analysis.catalog.origins import PROBLEMS, RUNS, SETTINGS, SOURCES
from speedproof.analysis.catalog.own import CALLS, EVALUATIONS
from speedproof.analysis.catalog.parts import PARTS
from speedproof.analysis.catalog.table import Table
from speedproof.analysis.catalog.views import VIEWS

TABLES: tuple[Table[Any], ...] = (ATTEMPTS, *PARTS, SETTINGS, CALLS, EVALUATIONS, RUNS, SOURCES, PROBLEMS)
"""All tables, in the order in which they are filled: problems last, since filling the others may find some."""


def statements() -> Iterator[str]:
    """What makes an empty catalog."""
    for table in TABLES:
        columns = ", ".join(f"{quoted(column.name)} {column.type.value}" for column in table.columns)
        yield f"CREATE TABLE {table.name} ({columns})"
        yield f"COMMENT ON TABLE {table.name} IS {literal(table.meaning)}"
        for column in table.columns:
            yield f"COMMENT ON COLUMN {table.name}.{quoted(column.name)} IS {literal(column.meaning)}"
    for view in VIEWS:
        yield f"CREATE VIEW {view.name} AS {view.query}"
        yield f"COMMENT ON VIEW {view.name} IS {literal(view.meaning)}"
        for name, meaning in view.columns.items():
            yield f"COMMENT ON COLUMN {view.name}.{quoted(name)} IS {literal(meaning)}"


def quoted(name: str) -> str:
    """A name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL takes it."""
    return "'" + text.replace("'", "''") + "'"
