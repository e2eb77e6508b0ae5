"""Options of the commands that read what is stored, apart from those of a run: they load little, and answer at once."""

from pathlib import Path
from typing import Annotated

import typer

from speedproof.errors import InputError
from speedproof.journal import Store

State = Annotated[
    Path,
    typer.Option(
        "--state", metavar="FOLDER", envvar="SPEEDPROOF_STATE", help="Folder that holds all runs.", show_default=True
    ),
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, its beginning, or latest.")]
Sources = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[RUN|ARCHIVE]...", help="Runs and archives, by id, beginning or imported folder (default: all)."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

DEFAULT_STATE = Path("state")


def store_of(state: Path) -> Store:
    """The store in the state folder. Raises InputError when there is none."""
    if not (state / "runs").is_dir():
        raise InputError("there are no runs here", file=state, hint="speedproof run SUITE --agent … or give --state")
    return Store(state)
