"""speedproof doctor"""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from speedproof.cli.console import console, findings_table
from speedproof.cli.options import AgentPaths, BaseUrl, EnvFile, Json, Models, SandboxKind, Tasks, agent_paths_of
from speedproof.execution.doctor import examine


def doctor(
    suite: Annotated[Path | None, typer.Argument(metavar="[SUITE]", help="Check this suite's tasks too.")] = None,
    agent: Annotated[list[str], typer.Option("--agent", help="Check that this agent can be launched.")] = [],  # noqa: B006
    model: Models = [],  # noqa: B006
    task: Tasks = [],  # noqa: B006
    sandbox: SandboxKind = "bubblewrap",
    base_url: BaseUrl = None,
    env_file: EnvFile = None,
    agent_path: AgentPaths = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Check this machine, the agents, the models and the tasks, and say what to do where something is missing."""
    progress = Console(stderr=True, highlight=False)

    def told(what: str) -> None:
        if not as_json:
            progress.print(what, style="dim", markup=False)

    findings = examine(
        suite,
        agent,
        model,
        task,
        sandbox=sandbox,
        base_url=base_url,
        env_file=env_file,
        agent_paths=agent_paths_of(agent_path),
        told=told,
    )
    if as_json:
        typer.echo(json.dumps([f.model_dump() for f in findings], indent=1))
    else:
        console().print(findings_table(findings, header=True))
    if not all(f.ok for f in findings):
        raise typer.Exit(2)
