"""speedproof run"""

import sys
from pathlib import Path

import typer
from rich.console import Console

from speedproof.cli.options import (
    DEFAULT_STATE,
    AgentPaths,
    Agents,
    BaseUrl,
    Json,
    MaxBlocks,
    Models,
    Samples,
    SandboxKind,
    State,
    Suite,
    Tasks,
    agent_paths_of,
    settings_of,
)
from speedproof.cli.show import showing
from speedproof.execution.engine import execute_run
from speedproof.execution.plan import chosen_tasks, lanes_of, plan_items
from speedproof.execution.preflight import choose_sandbox
from speedproof.journal import Method, RunStore
from speedproof.report import print_report, write_report
from speedproof.tasks.suite import load_suite
from speedproof.workspace.cache import Cache


def run(
    context: typer.Context,
    suite: Suite,
    agent: Agents,
    model: Models = [],  # noqa: B006 - typer copies it
    task: Tasks = [],  # noqa: B006
    samples: Samples = 1,
    state: State = DEFAULT_STATE,
    sandbox: SandboxKind = "bubblewrap",
    base_url: BaseUrl = None,
    agent_path: AgentPaths = [],  # noqa: B006
    max_blocks: MaxBlocks = None,
    as_json: Json = False,
) -> None:
    """Let agents attempt the tasks of a suite, judge what they made, and report."""
    loaded = load_suite(suite)
    items = plan_items(loaded, chosen_tasks(loaded, task), lanes_of(agent, model), samples)
    with showing(items) as show:
        done = execute_run(
            loaded,
            items,
            sandbox=choose_sandbox(sandbox),
            state=state,
            cache=Cache(),
            method=Method().up_to(max_blocks),
            settings=settings_of(context),
            audience=show,
            base_url=base_url,
            agent_paths=agent_paths_of(agent_path),
        )
    conclude(done, done.folder / "report", as_json=as_json)


def conclude(done: RunStore, folder: Path, *, as_json: bool) -> None:
    """Write the report of a run and say what it holds and where it lies."""
    written = write_report(done, folder)
    if as_json:
        typer.echo(written.report.model_dump_json(indent=1))
        return
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    print_report(written.report, console)
    console.print(f"report: {written.html}", soft_wrap=True)
