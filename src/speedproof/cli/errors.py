"""speedproof errors"""

from enum import StrEnum
from typing import Annotated

import typer

from speedproof.analysis.collection import collect
from speedproof.analysis.errors import errors as errors_of
from speedproof.cli.console import console
from speedproof.cli.stored import DEFAULT_STATE, Json, Sources, State
from speedproof.report.errors import print_errors


class By(StrEnum):
    """What failures can be grouped by."""

    CLASS = "class"
    FINGERPRINT = "fingerprint"
    FAULT = "fault"
    RUN = "run"
    AGENT = "agent"
    MODEL = "model"


def errors(
    sources: Sources = None,
    by: Annotated[By, typer.Option("--by", help="What failures are grouped by.")] = By.CLASS,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show at most so many groups (not with --json).")] = 20,
    state: State = DEFAULT_STATE,
    as_json: Json = False,
) -> None:
    """Show what went wrong, equal failures together: how often, what it cost, was it made up for, what to do next."""
    found = errors_of(collect(sources or (), state), by.value)
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
    else:
        print_errors(found, console(), limit=limit)
