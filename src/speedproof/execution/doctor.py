"""The doctor: what works on this machine, what does not, and the next command where it does not."""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from speedproof.agents.registry import parse_agent
from speedproof.execution.checks import of_agent, of_lane, of_model, of_task
from speedproof.execution.enforced import require_enforced
from speedproof.execution.finding import Finding
from speedproof.execution.plan import chosen_tasks
from speedproof.execution.preflight import Preflight, Ready, Told, choose_sandbox
from speedproof.execution.wire import AS_ASKED, Wire
from speedproof.gateway.environment import environment
from speedproof.journal import Method
from speedproof.sandbox import HostSandbox, Sandbox, bounds_in_force
from speedproof.tasks.models import Task
from speedproof.tasks.suite import load_suite
from speedproof.workspace.cache import Cache
from speedproof.workspace.git import git


def examine(
    suite: Path | None,
    agents: Sequence[str],
    models: Sequence[str],
    tasks: Sequence[str],
    *,
    sandbox: str,
    base_url: str | None,
    env_file: Path | None = None,
    agent_paths: Mapping[str, Path],
    wire: Wire = AS_ASKED,
    expected_s: float | None = None,
    state: Path | None = None,
    jobs: int | Literal["auto"] = "auto",
    told: Told = lambda _: None,
) -> list[Finding]:
    """Make the preflight's checks, as far as what was named allows: machine and sandbox, agents, models, each agent
    with each model by one cheap call, the suite's tasks. Each finding stands for itself.

    An agent is probed with a script of ours where no model is named. Raises InputError for a suite that cannot be read.
    """
    loaded = None if suite is None else load_suite(suite)
    chosen = [] if loaded is None else chosen_tasks(loaded, tasks)
    cache = Cache()
    found: list[Sandbox] = []
    # The host stands in for a sandbox that cannot be had: then nothing is run in it.
    ready = Ready(HostSandbox(), HostSandbox().probe(), cache, wire=wire)
    check = Preflight(ready, told)
    check.look("git", lambda: git("--version").decode().strip())
    check.machine([cache.root, *([] if state is None else [state])], chosen, jobs)

    def enter() -> str:
        ready.sandbox = choose_sandbox(sandbox)
        ready.facts = ready.sandbox.probe()
        held = require_enforced(ready.sandbox, cache)
        found.append(ready.sandbox)
        version = "" if ready.facts.version is None else f"bubblewrap {ready.facts.version}, "
        return f"{version}user {ready.facts.host_uid}; {held}"

    check.look("sandbox", enter)
    check.look("bounds", lambda: f"memory and processes of an attempt: {bounds_in_force()}")
    names: dict[str, None] = {}

    def adapt(spec: str) -> None:
        name, _ = parse_agent(spec)
        check.adapt(name, agent_paths)
        names[name] = None

    for spec in agents:
        check.look(of_agent(spec), partial(adapt, spec))
    for name in names:
        check.locate(name)
    for model in models:
        check.look(of_model(model), partial(_resolve, check, model, base_url, env_file))
    if loaded is not None:
        for task in chosen:
            check.prepare(loaded, task)
    check.look("parameters", check.require_wire)
    if found:
        _run_inside(check, [name for name in names if check.sound(of_agent(name))], chosen, expected_s)
    noted = [Finding(what=what, ok=True, said=text) for what, text in check.notes]
    return [*check.findings, *noted]


def _resolve(check: Preflight, model: str, base_url: str | None, env_file: Path | None) -> str | None:
    check.resolve(model, base_url, environment(env_file, os.environ))
    if (choice := check.ready.models.get(model)) is None:
        return None  # its login has ended, which is a finding already
    return f"{choice.provider}, model {choice.model}, {'price known' if choice.has_price else 'no price known'}"


def _run_inside(check: Preflight, agents: Sequence[str], tasks: Sequence[Task], expected_s: float | None) -> None:
    """The checks that need a sandbox, on what was found sound so far."""
    for task in tasks:
        for agent in agents if check.sound(of_task(task.name)) else ():
            check.scan(task.name, agent)
    models: list[str | None] = [*check.ready.models]
    lanes = [(agent, model) for agent in agents if agent != "patch" for model in models or [None]]
    for agent, model in lanes:
        if model is not None:
            check.look(of_lane(agent, model), partial(check.require_lane, agent, model, tasks))
    if check.sound("parameters"):
        check.probe([lane for lane in lanes if check.sound(of_lane(*lane))], expected_s)
    for task in tasks:
        if check.sound(of_task(task.name)):
            check.qualify(task.name, Method())
