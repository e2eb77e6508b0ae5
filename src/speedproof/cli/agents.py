"""speedproof agents"""

import json
import os
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from speedproof.agents.registry import agent_name
from speedproof.cli.console import console, findings_table
from speedproof.cli.options import AgentPaths, BaseUrl, Configured, EnvFile, Json, Pins, SandboxKind, agent_paths_of
from speedproof.execution.agents import CheckedAgent, check_agent, install_agent, list_agents
from speedproof.execution.preflight import choose_sandbox
from speedproof.execution.wire import Wire, parameters_of, pins_of
from speedproof.gateway import resolve_model
from speedproof.gateway.environment import environment
from speedproof.report.text import plural, tokens, usd

app = typer.Typer(help="The coding agents: which are there, installing them, whether they work.", no_args_is_help=True)
Names = Annotated[list[str], typer.Argument(metavar="NAME", help="Agents, such as codex, mini@2.4.6.")]


@app.command("list")
def list_(agent_path: AgentPaths = [], as_json: Json = False) -> None:  # noqa: B006 - typer copies it
    """The agents that can be installed, and which are."""
    found = list_agents(agent_paths_of(agent_path))
    if as_json:
        typer.echo(json.dumps([f.model_dump() for f in found], indent=1))
        return
    table = Table("agent", "speaks", "pinned", "needs", "installed", "executable", box=None, header_style="dim")
    table.columns[-1].overflow = "fold"
    for one in found:
        there = one.version or "–" if one.installed else one.said or "no"
        where = f"{one.executable} (SHA-256 {one.sha256[:12]}…)" if one.sha256 else "–"
        table.add_row(one.name, one.protocol, one.pinned, one.needs or "–", there, where)
    console().print(table, markup=False)


@app.command()
def install(names: Names) -> None:
    """Install agents, each into an environment of its own; NAME@VERSION installs another release than the pinned."""
    progress = Console(stderr=True, highlight=False)
    for name in names:
        done = install_agent(name, lambda what: progress.print(what, style="dim", markup=False))
        console().print(f"{done.what}: {done.said}", markup=False, soft_wrap=True)


@app.command()
def check(
    names: Names,
    model: Annotated[
        str | None, typer.Option("--model", help="PROVIDER/MODEL, or scripted:FILE.yaml; default: a scripted model.")
    ] = None,
    pin: Pins = [],  # noqa: B006
    configure: Configured = [],  # noqa: B006
    sandbox: SandboxKind = "bubblewrap",
    base_url: BaseUrl = None,
    env_file: EnvFile = None,
    agent_path: AgentPaths = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Send one tool round trip through each agent, in the sandbox, and say what works. Exit code 1 when something does
    not. A real model costs what two or three short calls cost, which is said and kept in no run."""
    progress = Console(stderr=True, highlight=False)

    def told(what: str) -> None:
        if not as_json:
            progress.print(what, style="dim", markup=False)

    wire = Wire(configured=parameters_of(configure, "--set"), pins=pins_of(pin))
    paths = agent_paths_of(agent_path)
    chosen = None if model is None else resolve_model(model, base_url, environment(env_file, os.environ, told))
    box = choose_sandbox(sandbox)
    checked = [check_agent(name, paths.get(agent_name(name)), chosen, box, wire, told) for name in names]
    if as_json:
        typer.echo(json.dumps([c.model_dump() | {"ok": c.ok} for c in checked], indent=1))
    else:
        for one in checked:
            _print_check(one)
    if not all(c.ok for c in checked):
        raise typer.Exit(1)


def _print_check(checked: CheckedAgent) -> None:
    works = "works" if checked.ok else "does not work"
    took = f"{checked.seconds:.1f} s, {plural(checked.calls, 'call')}"
    if checked.calls:
        unknown = f", not known of {plural(checked.cost_unknown_calls, 'call')}" if checked.cost_unknown_calls else ""
        took += f": {tokens(checked.usage)}, cost {usd(checked.cost_usd)}{unknown}"
    console().print(f"{checked.agent} {works} with {checked.model} ({took})", markup=False, soft_wrap=True)
    console().print(findings_table(checked.findings, header=False))
