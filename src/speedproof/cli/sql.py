"""speedproof sql"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from speedproof.analysis.catalog import NAME, asked, current_catalog, is_current
from speedproof.cli.console import console
from speedproof.cli.stored import DEFAULT_STATE, Json, State
from speedproof.errors import InputError
from speedproof.report.answer import print_answer, write_csv, write_json


def sql(
    query: Annotated[
        str | None, typer.Argument(metavar="QUERY", help="One statement that reads, or - for standard input.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", metavar="FILE", help="Read the statement from a file.")] = None,
    no_rebuild: Annotated[
        bool, typer.Option("--no-rebuild", help="Ask the catalog as it is, even if files have changed since.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
    state: State = DEFAULT_STATE,
    as_json: Json = False,
) -> None:
    """Ask all runs and archives in SQL. The catalog is built anew first if their files have changed."""
    if as_csv and as_json:
        raise InputError("--csv and --json exclude each other")
    statement = _statement(query, file)
    path = state / NAME if no_rebuild else current_catalog(state)
    with asked(path, statement) as answer:
        if no_rebuild and not is_current(state):
            typer.echo(
                "the catalog is not made of the files as they are now: speedproof catalog builds it anew", err=True
            )
        if as_json:
            write_json(answer, sys.stdout)
        elif as_csv:
            write_csv(answer, sys.stdout)
        else:
            print_answer(answer, console())


def _statement(query: str | None, file: Path | None) -> str:
    if (query is None) == (file is None):
        raise InputError("one query is needed", hint="speedproof sql 'FROM success_rules', or --file FILE")
    try:
        if file is not None:
            return file.read_text(encoding="utf-8")
        return sys.stdin.buffer.read().decode() if query == "-" else str(query)
    except UnicodeDecodeError as error:
        raise InputError("the query is no UTF-8 text", file=file) from error
    except OSError as error:
        raise InputError(f"the query cannot be read: {error.strerror}", file=file) from error
