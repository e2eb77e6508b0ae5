"""speedproof replay"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from speedproof.cli.console import console
from speedproof.cli.options import (
    DEFAULT_STATE,
    AgentPaths,
    Json,
    MovedSuite,
    SandboxKind,
    State,
    agent_paths_of,
    store_of,
    suite_of,
)
from speedproof.execution.preflight import choose_sandbox
from speedproof.execution.replay import Replayed, replay_attempt
from speedproof.journal import RunStore
from speedproof.report.text import clean
from speedproof.workspace.cache import Cache


def replay(
    attempt: Annotated[str, typer.Argument(metavar="ATTEMPT", help="RUN/ITEM/NUMBER, or an item of the latest run.")],
    suite: MovedSuite = None,
    state: State = DEFAULT_STATE,
    sandbox: SandboxKind = "bubblewrap",
    agent_path: AgentPaths = [],  # noqa: B006 - typer copies it
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="FOLDER", help="Keep the record of the replay in a new folder.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the agent of an attempt again, answered from its record instead of by a provider, and say which request is
    the first that differs. Exit code 1 when one does."""
    store = store_of(state).attempt(attempt)
    progress = Console(stderr=True, highlight=False)

    def told(what: str) -> None:
        if not as_json:
            progress.print(what, style="dim", markup=False)

    done = replay_attempt(
        store,
        suite_of(RunStore(store.folder.parents[2]).manifest(), suite),
        choose_sandbox(sandbox),
        Cache(),
        agent_paths=agent_paths_of(agent_path),
        keep=keep,
        told=told,
    )
    if as_json:
        typer.echo(done.model_dump_json(indent=1))
    else:
        _print(done)
    if done.difference is not None:
        raise typer.Exit(1)


def _print(done: Replayed) -> None:
    output = console()
    found = done.difference
    made = f"{done.replayed_calls} of {done.recorded_calls} recorded calls made again, {done.seconds:.1f} s"
    verdict = "no difference" if found is None else str(found)
    output.print(f"{done.attempt}: {clean(verdict)} ({made})", markup=False, soft_wrap=True)
    table = Table(box=None, show_header=False)
    if found is not None and found.kind == "changed":
        table.add_row("expected", _value(found.expected))
        table.add_row("got", _value(found.got))
    if done.stopped_by is not None:
        table.add_row("ended by", Text(f"our limit ({done.stopped_by})"))
    if done.version != done.recorded_version:
        table.add_row("version", Text(f"{done.agent} is {done.version} now, and was {done.recorded_version}"))
    if done.kept is not None:
        table.add_row("record", Text(done.kept))
    if table.row_count:
        output.print(table)


def _value(text: str | None) -> Text:
    return Text("nothing", style="dim") if text is None else Text(clean(text))
