"""speedproof status"""

import typer

from speedproof.cli.console import console
from speedproof.cli.progress import whole
from speedproof.cli.stored import DEFAULT_STATE, Json, Run, State, store_of
from speedproof.execution.progress import progress_of


def status(run: Run = "latest", state: State = DEFAULT_STATE, as_json: Json = False) -> None:
    """Say how far a run is: lanes, running attempts, outcomes, cost so far, projected end; from any terminal."""
    found = progress_of(store_of(state).run(run))
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
        return
    console().print(whole(found))
