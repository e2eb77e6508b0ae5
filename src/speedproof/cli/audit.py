"""speedproof audit"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from speedproof.analysis.audit import Severity
from speedproof.analysis.audit import audit as audited
from speedproof.analysis.collection import collect
from speedproof.cli.console import console
from speedproof.cli.exit_code import FINDINGS
from speedproof.cli.stored import DEFAULT_STATE, Json, Sources, State
from speedproof.errors import InputError
from speedproof.journal.output import write_output
from speedproof.report.audit import print_audit, print_rules
from speedproof.report.sarif import sarif as as_sarif


class Level(StrEnum):
    """From which severity on findings make the command fail."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    NEVER = "never"


_LEVELS: dict[Level, Severity | None] = {
    Level.ERROR: "error",
    Level.WARNING: "warning",
    Level.NOTE: "note",
    Level.NEVER: None,
}


def audit(
    sources: Sources = None,
    only: Annotated[
        list[str] | None, typer.Option("--rule", metavar="ID", help="Ask only this rule; may be given again.")
    ] = None,
    fail_on: Annotated[
        Level, typer.Option("--fail-on", help="Exit with 1 when there is a finding as grave as this.")
    ] = Level.ERROR,
    sarif: Annotated[
        Path | None, typer.Option("--sarif", metavar="FILE", help="Write the findings to this file as SARIF 2.1.0.")
    ] = None,
    rules: Annotated[bool, typer.Option("--rules", help="List the rules, and ask none.")] = False,
    state: State = DEFAULT_STATE,
    as_json: Json = False,
) -> None:
    """Find what is wrong with the records of runs and archives: rule by rule, with evidence and what to do."""
    if rules:
        print_rules(console())
        return
    if sarif is not None and not sarif.parent.is_dir():
        raise InputError("there is no such folder to write to", file=sarif.parent, hint="make it, or name another file")
    found = audited(collect(sources or (), state), state, only or ())
    if sarif is not None:
        write_output(sarif, as_sarif(found), hint="free space, or name another file with --sarif")
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
    else:
        print_audit(found, console(), named=bool(only))
    level = _LEVELS[fail_on]
    if level is not None and found.reaches(level):
        raise typer.Exit(FINDINGS)
