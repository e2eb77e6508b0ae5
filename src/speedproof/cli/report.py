"""speedproof report"""

from pathlib import Path
from typing import Annotated

import typer

from speedproof.cli.options import DEFAULT_STATE, Json, State, store_of
from speedproof.cli.run import conclude


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, its beginning, or latest.")] = "latest",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder to write the report to.")] = None,
    state: State = DEFAULT_STATE,
    as_json: Json = False,
) -> None:
    """Show a run, and write its report as HTML, Markdown and JSON."""
    found = store_of(state).run(run)
    conclude(found, output or found.folder / "report", as_json=as_json)
