"""The answer to a query as a table of the terminal, as CSV and as JSON."""

import json
import math
from collections.abc import Iterator
from datetime import date, time
from decimal import Decimal
from itertools import islice
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from speedproof.analysis.catalog import Answer
from speedproof.report.tables import cell, new_table
from speedproof.report.text import clean, plural

_BROAD = 16
"""Columns beyond which a row is drawn as a list of its own."""
_MOST, _MOST_BROAD = 500, 20
"""So many rows are drawn, and of broad ones; the other forms hold all."""
_FIGURES = ("BIGINT", "HUGEINT", "INTEGER", "DOUBLE", "DECIMAL", "FLOAT", "UBIGINT", "UINTEGER", "SMALLINT", "TINYINT")


def print_answer(answer: Answer, console: Console) -> None:
    """Draw it. Whatever strangers wrote is inert, on one line, and cut."""
    source, names = answer.rows(), [name for name, _ in answer.columns]
    broad = len(names) > _BROAD
    rows = list(islice(source, _MOST_BROAD if broad else _MOST))
    if broad:
        for number, row in enumerate(rows, 1):
            table = new_table(f"row {number}", "column", "value")
            for name, value in zip(names, row, strict=True):
                table.add_row(cell(name), _cell(value))
            console.print(table)
    else:
        table = new_table("")
        for name, kind in answer.columns:
            right = kind.startswith(_FIGURES) and not kind.endswith("]")
            table.add_column(cell(name), justify="right" if right else "left", overflow="fold")
        for row in rows:
            table.add_row(*map(_cell, row))
        console.print(table)
    more = next(source, None) is not None
    said = plural(len(rows), "row")
    console.print(Text(f"the first {said}: --csv and --json give all" if more else said, style="dim"))


def write_csv(answer: Answer, file: TextIO) -> None:
    """Write it as CSV with a header: texts in quotes, null as nothing, what is nested as JSON.

    On a terminal, whatever strangers wrote is inert.
    """
    made = clean if file.isatty() else str
    file.write(",".join(made(_quoted(name)) for name, _ in answer.columns) + "\n")
    file.writelines(",".join(made(_field(value)) for value in row) + "\n" for row in answer.rows())


def write_json(answer: Answer, file: TextIO) -> None:
    """Write it as a JSON list, an object a row, in ASCII: inert on any terminal."""
    names = list(_distinct(name for name, _ in answer.columns))
    before = "["
    for row in answer.rows():
        value = {name: plain(each) for name, each in zip(names, row, strict=True)}
        file.write(f"{before}\n {json.dumps(value)}")
        before = ","
    file.write("[]\n" if before == "[" else "\n]\n")


def plain(value: Any) -> Any:
    """A value as JSON has it: times as ISO 8601, what is no number as null, what JSON does not know as text."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return float(value) if value.is_finite() else None
        case date() | time():
            return value.isoformat()
        case list() | tuple():
            return [plain(each) for each in value]
        case dict():
            return {str(key): plain(each) for key, each in value.items()}
        case bytes():
            return value.hex()
    return str(value)


def _cell(value: Any) -> Text:
    if value is None:
        return Text("null", style="dim")
    return cell(f"{value:.10g}" if isinstance(value, float) else _shown(value))


def _shown(value: Any) -> str:
    found = plain(value)
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


def _field(value: Any) -> str:
    if value is None:
        return ""
    found = plain(value)
    if isinstance(found, bool | int | float):
        return json.dumps(found)
    return _quoted(found if isinstance(found, str) else _shown(found)) if found is not None else ""


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _distinct(names: Iterator[str]) -> Iterator[str]:
    """The names, those that came before with a number: no value of a row may replace another."""
    seen: set[str] = set()
    for name in names:
        found, number = name, 1
        while found in seen:
            number += 1
            found = f"{name}_{number}"
        seen.add(found)
        yield found
