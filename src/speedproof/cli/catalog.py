"""speedproof catalog"""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from speedproof.analysis.catalog import TABLES, VIEWS, asked, build_catalog, write_parquet
from speedproof.cli.console import console
from speedproof.cli.stored import DEFAULT_STATE, Json, State
from speedproof.report.tables import cell, new_table
from speedproof.report.text import count, plural


def catalog(
    parquet: Annotated[
        Path | None,
        typer.Option(
            "--parquet", metavar="FOLDER", help="Also write each table as a Parquet file to a folder: empty, or new."
        ),
    ] = None,
    state: State = DEFAULT_STATE,
    as_json: Json = False,
) -> None:
    """Build the catalog anew: all runs and archives of the state folder as tables of a DuckDB file."""
    path = build_catalog(state)
    sizes = _sizes(path)
    files = [] if parquet is None else write_parquet(path, parquet)
    if as_json:
        written = [str(file) for file in files]
        typer.echo(json.dumps({"catalog": str(path), "tables": sizes, "parquet": written}, indent=1))
        return
    out = console()
    drawn = new_table(f"{path}: {plural(sizes['attempts'], 'attempt')}", "name", "rows", "", right=frozenset({"rows"}))
    for table in TABLES:
        drawn.add_row(table.name, count(sizes[table.name]), cell(table.meaning))
    for view in VIEWS:
        drawn.add_row(view.name, "view", cell(view.meaning))
    out.print(drawn)
    if files:
        out.print(Text(f"{plural(len(files), 'Parquet file')} written to {parquet}"))
    out.print(Text("next: speedproof sql 'FROM success_rules'", style="dim"))


def _sizes(path: Path) -> dict[str, int]:
    counts = ", ".join(f"(SELECT count(*) FROM {table.name})" for table in TABLES)
    with asked(path, f"SELECT {counts}") as answer:
        (row,) = answer.rows()
    return {table.name: found for table, found in zip(TABLES, row, strict=True)}
