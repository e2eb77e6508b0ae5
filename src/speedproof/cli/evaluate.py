"""speedproof evaluate"""

from typing import Annotated

import typer
from rich.console import Console

from speedproof.cli.options import (
    DEFAULT_STATE,
    BesideAgents,
    Json,
    MaxBlocks,
    MovedSuite,
    SandboxKind,
    State,
    store_of,
    suite_of,
)
from speedproof.cli.run import conclude
from speedproof.cli.show import showing
from speedproof.execution.judging import evaluate_run
from speedproof.execution.preflight import choose_sandbox
from speedproof.journal import Method
from speedproof.workspace.cache import Cache


def evaluate(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, its beginning, or latest.")] = "latest",
    suite: MovedSuite = None,
    again: Annotated[bool, typer.Option("--again", help="Judge once more what has been judged.")] = False,
    state: State = DEFAULT_STATE,
    sandbox: SandboxKind = "bubblewrap",
    max_blocks: MaxBlocks = None,
    beside_agents: BesideAgents = False,
    as_json: Json = False,
) -> None:
    """Judge the patches of a run; evaluations are added, never replaced."""
    found = store_of(state).run(run)
    manifest = found.manifest()
    loaded = suite_of(manifest, suite)
    with found.held(), showing(manifest.items) as show:
        method = None if max_blocks is None else Method().up_to(max_blocks)
        done = evaluate_run(
            found,
            loaded,
            choose_sandbox(sandbox),
            Cache(),
            method,
            again=again,
            beside_agents=beside_agents,
            told=show.judging,
        )
    Console(stderr=True, highlight=False).print(f"{len(done)} attempts judged")
    conclude(found, found.folder / "report", as_json=as_json)
