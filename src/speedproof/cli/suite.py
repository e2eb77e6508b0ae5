"""speedproof suite"""

import os
from pathlib import Path
from typing import Annotated

import typer

from speedproof.errors import InputError
from speedproof.journal.output import write_output
from speedproof.tasks.commits import suite_from_commits

app = typer.Typer(help="Make suite files.", no_args_is_help=True)


@app.callback()
def _suite() -> None:
    """Make suite files."""


@app.command("from-commits")
def from_commits(
    repository: Annotated[str, typer.Argument(metavar="REPO", help="URL or path of the repository.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Commits: one a line, or JSON, or JSON lines.")],
    name: Annotated[str, typer.Option("--name", help="Name of the suite.")] = "commits",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
) -> None:
    """Turn a list of commits into a suite, one task a commit."""
    text = suite_from_commits(repository, file, name)
    if output is None:
        typer.echo(text, nl=False)
        return
    if os.path.lexists(output):
        raise InputError("the file exists already", file=output, hint="choose another --output")
    write_output(output, text, hint="free space, or choose another --output")
