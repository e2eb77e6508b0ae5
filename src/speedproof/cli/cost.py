"""speedproof cost"""

from typing import Annotated

import typer

from speedproof.analysis import spending
from speedproof.cli.console import console
from speedproof.cli.options import DEFAULT_STATE, Json, State, store_of
from speedproof.report import print_spending


def cost(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, its beginning, or latest.")] = "latest",
    state: State = DEFAULT_STATE,
    as_json: Json = False,
) -> None:
    """Say what a run spent: by task, agent, model, outcome and time; what was wasted, and what is unknown."""
    found = spending(store_of(state).run(run))
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
        return
    print_spending(found, console())
