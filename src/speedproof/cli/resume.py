"""speedproof resume"""

import typer

from speedproof.cli.console import console
from speedproof.cli.exit_code import exit_code
from speedproof.cli.options import DEFAULT_STATE, Jobs, Json, MovedSuite, State, store_of, suite_of
from speedproof.cli.run import conclude
from speedproof.cli.show import showing
from speedproof.execution.engine import resume_run
from speedproof.execution.progress import progress_of
from speedproof.workspace.cache import Cache


def resume(
    run: str = typer.Argument("latest", metavar="RUN", help="Id of a run, its beginning, or latest."),
    suite: MovedSuite = None,
    state: State = DEFAULT_STATE,
    jobs: Jobs = None,
    as_json: Json = False,
) -> None:
    """Go on with a run that was stopped or killed: nothing of it is lost, and nothing that is done is done again.

    Exit codes are those of `run`; 0 when nothing was left to do.
    """
    found = store_of(state).run(run)
    manifest = found.manifest()
    loaded = suite_of(manifest, suite)
    with showing(manifest.items, found.events()[0]) as show:
        more = resume_run(found, loaded, cache=Cache(), audience=show, jobs=jobs)
    if not more and as_json:
        conclude(found, found.folder / "report", as_json=True)
        return
    if not more:
        console().print(f"nothing of run {found.id} is left to do; `speedproof report {found.id}` shows it")
        return
    report = conclude(found, found.folder / "report", as_json=as_json)
    raise typer.Exit(exit_code(report.rows, progress_of(found)))
