"""speedproof schema"""

import json

import typer

from speedproof.tasks.schema import suite_schema


def schema() -> None:
    """Print the JSON Schema of suite files."""
    typer.echo(json.dumps(suite_schema(), indent=2))
