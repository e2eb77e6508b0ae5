"""speedproof measures"""

import json
from typing import Annotated

import typer

from speedproof.cli.console import console
from speedproof.cli.stored import DEFAULT_STATE, Json, Sources, State
from speedproof.errors import InputError


def measures(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A measure (default: list all).")] = None,
    sources: Sources = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="DIMENSION=VALUE", help="Attempts to choose, such as run_items='>= 2'."),
    ] = None,
    state: State = DEFAULT_STATE,
    as_json: Json = False,
) -> None:
    """List the measures with their definitions; or show what one gives, and the attempts behind it."""
    from speedproof.analysis.claims.checking import derived
    from speedproof.analysis.claims.conditions import given
    from speedproof.analysis.collection import collect
    from speedproof.report.measures import in_order, print_derived, print_measures

    if name is None:
        if where:
            raise InputError("conditions need a measure", hint="speedproof measures NAME --where …")
        if as_json:
            listed = [{"name": m.name, "unit": m.unit, "meaning": m.meaning, "wrong": m.wrong} for m in in_order()]
            typer.echo(json.dumps(listed, indent=1))
        else:
            print_measures(console())
        return
    found = derived(collect(sources or [], state), name, given(where or []))
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
    else:
        print_derived(found, console())
