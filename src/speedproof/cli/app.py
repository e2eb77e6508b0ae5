"""The application: commands put together, errors turned into messages and exit codes."""

import sys

import typer
from rich.console import Console
from rich.markup import escape

from speedproof import __version__
from speedproof.cli import demo, doctor, evaluate, explain, plan, report, run, schema, suite
from speedproof.errors import SpeedproofError

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
app.add_typer(suite.app, name="suite")


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        typer.echo(f"speedproof {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; errors a user can act on end with exit code 2 and no traceback."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        app()
    except SpeedproofError as error:
        console.print(f"[bold red]error[/]: {escape(str(error))}")
        sys.exit(2)
    except KeyboardInterrupt:
        console.print("interrupted: every record is whole; `speedproof report` shows what there is")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)  # the reader of our output left, as `head` does
