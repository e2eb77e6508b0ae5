"""speedproof doctor"""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from speedproof.cli.console import console, findings_table
from speedproof.cli.options import (
    DEFAULT_STATE,
    AgentPaths,
    BaseUrl,
    Configured,
    EnvFile,
    Jobs,
    Json,
    Models,
    Pins,
    SandboxKind,
    State,
    Tasks,
    agent_paths_of,
)
from speedproof.execution.doctor import examine
from speedproof.execution.wire import Wire, parameters_of, pins_of


def doctor(
    suite: Annotated[Path | None, typer.Argument(metavar="[SUITE]", help="Check this suite's tasks too.")] = None,
    agent: Annotated[list[str], typer.Option("--agent", help="Check that this agent can be launched.")] = [],  # noqa: B006
    model: Models = [],  # noqa: B006
    task: Tasks = [],  # noqa: B006
    sandbox: SandboxKind = "bubblewrap",
    base_url: BaseUrl = None,
    env_file: EnvFile = None,
    agent_path: AgentPaths = [],  # noqa: B006
    configure: Configured = [],  # noqa: B006
    pin: Pins = [],  # noqa: B006
    jobs: Jobs = "auto",
    state: State = DEFAULT_STATE,
    as_json: Json = False,
) -> None:
    """Check this machine, the agents, the models and the tasks, and say what to do where something is missing. Exit
    code 2 when anything is broken. Each agent makes a short call or two of each model: a real one costs a little."""
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
        wire=Wire(configured=parameters_of(configure, "--set"), pins=pins_of(pin)),
        state=state,
        jobs=jobs,
        told=told,
    )
    if as_json:
        typer.echo(json.dumps([f.model_dump() for f in findings], indent=1))
    else:
        console().print(findings_table(findings, header=True))
    if not all(f.ok for f in findings):
        raise typer.Exit(2)
