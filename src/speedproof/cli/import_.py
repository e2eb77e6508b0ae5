"""speedproof import"""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from speedproof.archives import Imported, import_archive
from speedproof.cli.console import console
from speedproof.cli.stored import DEFAULT_STATE, Json, State
from speedproof.diagnosis.facts import sentence
from speedproof.errors import InputError

_SHOWN = 10
"""Problems that are listed; all stand in problems.jsonl."""


def import_(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Folders of runs, whoever made them; or single files.")
    ],
    state: State = DEFAULT_STATE,
    as_json: Json = False,
) -> None:
    """Read folders of runs that any harness left behind. Nothing in them is changed."""
    missing = next((path for path in paths if not path.exists()), None)
    if missing is not None:
        raise InputError("there is no such folder or file to import", file=missing)
    done = [_imported(path, state) for path in paths]
    if as_json:
        typer.echo(json.dumps([_value(one) for one in done], indent=1))
        return
    out = console()
    for one in done:
        _show(one, out)


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def _imported(path: Path, state: Path) -> Imported:
    shown = Progress(
        TextColumn("reading {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with shown:
        task = shown.add_task(sentence(path.name or str(path)), total=None)
        return import_archive(path, state, lambda done, of: shown.update(task, completed=done, total=of))


def _value(one: Imported) -> dict[str, object]:
    manifest = one.manifest.model_dump(mode="json")
    return manifest | {"folders": one.folders, "read": one.read, "seconds": round(one.seconds, 3)}


def _show(one: Imported, out: Console) -> None:
    found = one.manifest
    if not one.folders:
        already = "there is no file in it that can be read"
    elif not one.read:
        already = "nothing has changed since the last import"
    else:
        already = f"{_plural(one.read, 'folder')} read now"
    out.print(
        Text.assemble(
            (sentence(found.root), "bold"), f" is archive {found.id}: {_plural(found.attempts, 'attempt')}; {already}"
        )
    )
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    for layout, attempts in found.layouts.items():
        table.add_row(layout, _plural(attempts, "attempt"))
    if found.without_journal:
        table.add_row("without a valid journal", _plural(found.without_journal, "attempt"))
    if found.duplicates:
        table.add_row("second copies", _plural(found.duplicates, "attempt"))
    table.add_row("read", f"{_plural(found.files, 'file')}, {found.bytes / 1e6:,.1f} MB")
    for name, number in (("skipped", found.skipped), ("damaged", found.damaged), ("broken", found.broken)):
        if number:
            table.add_row(name, _plural(number, "file"))
    out.print(table)
    problems = sorted(one.store.problems(), key=lambda each: ("broken", "damaged", "skipped").index(each.what))
    for problem in problems[:_SHOWN]:
        out.print(Text(f"  {problem.what}: {sentence(problem.path)}: {sentence(problem.why)}", style="dim"))
    if len(problems) > _SHOWN:
        out.print(f"  … and {len(problems) - _SHOWN} more in {one.store.folder / 'problems.jsonl'}")
    out.print(f"  records: {one.store.folder / 'attempts.jsonl'}")
