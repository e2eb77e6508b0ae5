"""speedproof claims"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from speedproof.cli.console import console
from speedproof.cli.exit_code import FINDINGS
from speedproof.cli.stored import DEFAULT_STATE, Json, State, store_of
from speedproof.errors import InputError

_REPORT, _BEGINNING = b'"speedproof/', 200
"""What stands in the first bytes of each of our reports."""

app = typer.Typer(help="Hold statements against the attempts they are about.", no_args_is_help=True)


@app.callback()
def _claims() -> None:
    """Hold statements against the attempts they are about."""


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Claims (YAML), or a report of ours (JSON).")],
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN|ARCHIVE]...", help="What it is about (default: as the file says, else all)."),
    ] = None,
    state: State = DEFAULT_STATE,
    verbose: Annotated[bool, typer.Option("--verbose", help="Name the attempts behind each value.")] = False,
    as_json: Json = False,
) -> None:
    """Check each claim of a file: holds, fails, or cannot be known; or derive every figure of a report again.

    The exit code is 0 when nothing fails, 1 when a claim fails, claims contradict each other or a figure differs.
    """
    report = _report(file)
    if report is None:
        _check_claims(file, sources or [], state, verbose=verbose, as_json=as_json)
    else:
        _check_report(file, report, sources or [], state, as_json=as_json)


def _check_claims(file: Path, sources: list[str], state: Path, *, verbose: bool, as_json: bool) -> None:
    from speedproof.analysis.claims import check_claims, load_claims
    from speedproof.analysis.collection import collect
    from speedproof.report.claims import print_checks

    loaded = load_claims(file)
    checks = check_claims(loaded, collect(sources or loaded.claims.about, state))
    if as_json:
        typer.echo(checks.model_dump_json(indent=1))
    else:
        print_checks(checks, console(), verbose=verbose)
    if not checks.sound:
        raise typer.Exit(FINDINGS)


def _check_report(file: Path, report: dict[str, Any], sources: list[str], state: Path, *, as_json: bool) -> None:
    from pydantic import ValidationError

    from speedproof.analysis.claims import check_run_report, check_survey
    from speedproof.analysis.collection import collect
    from speedproof.analysis.survey.document import Survey
    from speedproof.report.claims import print_again

    if str(report.get("format")).startswith("speedproof/report/"):
        if sources:
            raise InputError("the report of a run says itself which run it is about", file=file)
        again = check_run_report(report, store_of(state).run(str(report.get("run"))))
    else:
        try:
            survey = Survey.model_validate(report)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise InputError(f"no survey: {place}: {first['msg']}", file=file) from error
        again = check_survey(survey, collect(sources or survey.archives, state))
    if as_json:
        typer.echo(again.model_dump_json(indent=1))
    else:
        print_again(again, console())
    if again.differing:
        raise typer.Exit(FINDINGS)


def _report(file: Path) -> dict[str, Any] | None:
    """A report of ours; null when the file is something else."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file) from error
    if not content.lstrip().startswith(b"{"):
        return None
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        if _REPORT in content[:_BEGINNING]:
            raise InputError(f"a report of ours that is no JSON any more: {error}", file=file) from error
        return None
    name = str(found.get("format", ""))
    if name.startswith(("speedproof/survey/", "speedproof/report/")):
        return dict(found)
    if name.startswith("speedproof/"):
        raise InputError(f"{name} holds no figures that can be derived again", file=file, hint="see docs/claims.md")
    return None
