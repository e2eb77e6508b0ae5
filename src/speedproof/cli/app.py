"""The application: commands put together, errors turned into messages and exit codes."""

import errno
import sys
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from speedproof import __version__
from speedproof.cli import agents, cost, demo, doctor, evaluate, explain, plan, replay, report, run, schema, suite
from speedproof.errors import SpeedproofError
from speedproof.report.text import clean
from speedproof.workspace.mounts import keep_mounts_to_ourselves

_OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENOMEM}
"""What the machine refuses is no bug of ours, wherever it refuses it."""

app = typer.Typer(
    name="speedproof",
    help="Runs coding agents on performance-optimization commits and proves, or disproves, the speedup.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
app.command("schema")(schema.schema)
app.command("plan")(plan.plan)
app.command("run")(run.run)
app.command("evaluate")(evaluate.evaluate)
app.command("report")(report.report)
app.command("explain")(explain.explain)
app.command("cost")(cost.cost)
app.command("replay")(replay.replay)
app.add_typer(suite.app, name="suite")
app.add_typer(agents.app, name="agents")


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
            console.print("interrupted: every record is whole; `speedproof report` shows what there is")
        raise


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse(console: Console, what: str) -> NoReturn:
    console.print(f"[bold red]error[/]: {escape(clean(what))}")
    sys.exit(2)
