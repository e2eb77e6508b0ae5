"""speedproof compare"""

from typing import Annotated

import typer

from speedproof.analysis.collection import collect
from speedproof.analysis.comparison import compare as compare_sides
from speedproof.cli.console import console
from speedproof.cli.stored import DEFAULT_STATE, Json, State
from speedproof.errors import InputError
from speedproof.report.comparison import comparison_markdown, print_comparison


def compare(
    sides: Annotated[
        list[str],
        typer.Argument(metavar="SIDE", help="DIMENSION=VALUE,… such as agent=trae,model=gpt-5 (docs/comparing.md)."),
    ],
    sources: Annotated[
        list[str] | None,
        typer.Option("--in", metavar="RUN|ARCHIVE", help="Look only there. May be repeated (default: everywhere)."),
    ] = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown instead of text.")] = False,
    state: State = DEFAULT_STATE,
    as_json: Json = False,
) -> None:
    """Set agents, models, configurations or prompts against each other, paired by task."""
    if as_markdown and as_json:
        raise InputError("--markdown and --json are two forms of the same", hint="give one of them")
    found = compare_sides(sides, collect(sources or [], state))
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
    elif as_markdown:
        typer.echo(comparison_markdown(found), nl=False)
    else:
        print_comparison(found, console(200))
