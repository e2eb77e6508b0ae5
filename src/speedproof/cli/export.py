"""speedproof export"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from speedproof.analysis.collection.sources import sources
from speedproof.archives.export import export_archive, export_run
from speedproof.archives.store import ArchiveStore
from speedproof.cli.stored import DEFAULT_STATE, State
from speedproof.errors import InputError
from speedproof.report.text import plural


class Layout(StrEnum):
    """Layouts that can be written."""

    PERF_AGENTS_BENCH = "perf-agents-bench"


def export(
    source: Annotated[
        str, typer.Argument(metavar="RUN|ARCHIVE", help="Id of a run or an imported archive, or its beginning.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder to write to: empty, or not there yet.")],
    layout: Annotated[Layout, typer.Option("--layout", help="The layout to write.")] = Layout.PERF_AGENTS_BENCH,
    state: State = DEFAULT_STATE,
) -> None:
    """Write a run or an archive in the layout of another harness: state/runs/RUN/ITEM/journal.json and its like."""
    (one,) = sources([source], state)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError("the folder to write to is not empty", file=folder, hint="name a new one")
    written = export_archive(one, folder) if isinstance(one, ArchiveStore) else export_run(one, folder)
    typer.echo(f"{plural(written, 'attempt')} written to {folder} as {layout}")
