"""speedproof schema"""

import json
from enum import StrEnum
from typing import Annotated

import typer

from speedproof.agents.command import template_schema
from speedproof.tasks.schema import suite_schema


class Kind(StrEnum):
    """A kind of file that people write."""

    SUITE = "suite"
    AGENT = "agent"


def schema(
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help="Suite files, or templates of agents.")] = Kind.SUITE,
) -> None:
    """Print the JSON Schema of suite files, or of agents' templates."""
    made = suite_schema() if kind is Kind.SUITE else template_schema()
    typer.echo(json.dumps(made, indent=2))
