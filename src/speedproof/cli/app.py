"""The application: commands put together, errors turned into messages and exit codes."""

import errno
import sys
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from speedproof import __version__
from speedproof.cli.lazy import LazyGroup
from speedproof.errors import SpeedproofError
from speedproof.workspace.mounts import keep_mounts_to_ourselves

_OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENOMEM}
"""What the machine refuses is no bug of ours, wherever it refuses it."""


class _Speedproof(LazyGroup):
    names = (
        "demo",
        "doctor",
        "schema",
        "plan",
        "run",
        "status",
        "watch",
        "stop",
        "resume",
        "qualify",
        "evaluate",
        "judge",
        "verdicts",
        "report",
        "explain",
        "review",
        "cost",
        "scores",
        "replay",
        "gc",
        "import",
        "export",
        "analyze",
        "errors",
        "audit",
        "compare",
        "claims",
        "measures",
        "catalog",
        "sql",
        "suite",
        "agents",
    )


app = typer.Typer(
    name="speedproof",
    cls=_Speedproof,
    help="Runs coding agents on performance-optimization commits and proves, or disproves, the speedup.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        typer.echo(f"speedproof {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; errors a user can act on end with exit code 2 and no traceback."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for word in sys.argv[1:]:
        if not _is_text(word):
            _refuse(console, f"{word!r} is no UTF-8 text\n  next: rename the file, or name it by another path")
    keep_mounts_to_ourselves()
    try:
        app()
    except SpeedproofError as error:
        _refuse(console, str(error))
    except OSError as error:
        if error.errno not in _OF_THE_MACHINE:
            raise
        where = "" if error.filename is None else f"{error.filename}: "
        _refuse(console, f"{where}{error.strerror}\n  next: free space, or mend the permissions; then start again")
    except SystemExit as ended:
        if ended.code == 130:  # typer's own answer to Ctrl-C
            console.print("interrupted: every record is whole; `speedproof resume` goes on with a run")
        raise


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse(console: Console, what: str) -> NoReturn:
    from speedproof.report.text import clean  # with its package, which few commands need

    console.print(f"[bold red]error[/]: {escape(clean(what))}")
    sys.exit(2)
