"""speedproof analyze"""

from pathlib import Path
from typing import Annotated

import typer

from speedproof.analysis.collection import collect, garbage
from speedproof.analysis.survey import survey
from speedproof.cli.stored import DEFAULT_STATE, Json, Sources, State
from speedproof.errors import InputError


def analyze(
    sources: Sources = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="Write HTML, Markdown, text and JSON there.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", metavar="FOLDER", help="Write the four data files there.")
    ] = None,
    legacy: Annotated[
        bool, typer.Option("--legacy", help="In the data files, only what naive reading of the logs gives.")
    ] = False,
    state: State = DEFAULT_STATE,
    as_json: Json = False,
) -> None:
    """Say what runs and archives hold: what happened, what it cost, why it failed, what to do."""
    if legacy and data_dir is None:
        raise InputError("--legacy is about the data files", hint="add --data-dir FOLDER")
    with garbage.kept():
        _analyze(sources or [], output, data_dir, state, legacy=legacy, as_json=as_json)


def _analyze(
    names: list[str], output: Path | None, data_dir: Path | None, state: Path, *, legacy: bool, as_json: bool
) -> None:
    found = collect(names, state)
    made = survey(found)
    if as_json:
        typer.echo(made.model_dump_json(indent=1))
    if data_dir is not None:
        from speedproof.analysis.datafiles import write_data_files

        for path in write_data_files(found, data_dir, legacy=legacy):
            typer.echo(f"written: {path}", err=as_json)
    if output is not None:
        from speedproof.report.survey.write import write_survey

        written = write_survey(made, output)
        for path in (written.html, written.markdown, written.text, written.json):
            typer.echo(f"written: {path}", err=as_json)
    elif not as_json:
        from speedproof.report.survey.text import to_text

        typer.echo(to_text(made), nl=False)
