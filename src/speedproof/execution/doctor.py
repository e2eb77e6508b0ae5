"""The doctor: what works on this machine, what does not, and the next command where it does not."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from speedproof.agents.registry import agent_name, get_agent, parse_agent
from speedproof.errors import SpeedproofError
from speedproof.evaluation.judge import Judge
from speedproof.evaluation.prepared import prepare_task
from speedproof.execution.host import host_facts
from speedproof.execution.plan import chosen_tasks
from speedproof.execution.preflight import choose_sandbox
from speedproof.gateway import resolve_model
from speedproof.gateway.environment import environment
from speedproof.journal import Method, Record
from speedproof.sandbox import Sandbox
from speedproof.tasks.models import Task
from speedproof.tasks.suite import LoadedSuite, load_suite
from speedproof.workspace.cache import Cache
from speedproof.workspace.git import git

LOW_DISK = 2 << 30
"""Bytes free in the cache under which the doctor warns: environments of two agents and some workspaces."""

Told = Callable[[str], None]


class Finding(Record):
    """One thing the doctor looked at."""

    what: str
    """What was examined."""
    ok: bool
    """Whether it works."""
    said: str
    """What was found, in one line or a few."""
    hint: str = ""
    """What to do next; empty when it works."""


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
    told: Told = lambda _: None,
) -> list[Finding]:
    """Examine machine and sandbox, then agents, models, and the suite's tasks: each finding stands for itself."""
    cache = Cache()
    findings = [_try("git", _git), _try("disk", lambda: _disk(cache))]
    found: list[Sandbox] = []
    findings.append(_try("sandbox", lambda: _sandbox(sandbox, found)))
    findings += [_try(f"agent {spec}", partial(_agent, spec, agent_paths, cache, told)) for spec in agents]
    findings += [_try(f"model {model}", partial(_model, model, base_url, env_file)) for model in models]
    if suite is not None:
        loaded = load_suite(suite)
        findings += [
            _try(f"task {task.name}", partial(_task, loaded, task, found, cache, told))
            for task in chosen_tasks(loaded, tasks)
        ]
    return findings


def _try(what: str, examine_it: Callable[[], str]) -> Finding:
    try:
        return Finding(what=what, ok=True, said=examine_it())
    except SpeedproofError as error:
        return Finding(what=what, ok=False, said=error.what, hint=error.hint)


def _git() -> str:
    return git("--version").decode().strip()


def _disk(cache: Cache) -> str:
    cache.root.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache.root).free
    if free < LOW_DISK:
        raise SpeedproofError(
            f"only {free / 2**30:.1f} GiB are free in the cache {cache.root}",
            hint="free disk space, or set SPEEDPROOF_CACHE to another folder",
        )
    return f"{free / 2**30:.0f} GiB free in {cache.root}"


def _sandbox(kind: str, found: list[Sandbox]) -> str:
    sandbox = choose_sandbox(kind)
    facts = sandbox.probe()
    found.append(sandbox)
    if facts.kind == "none":
        return "none: agents run as you, with all you can reach"
    return f"bubblewrap {facts.version}: user {facts.host_uid}, no network, own processes, no privileges"


def _agent(spec: str, paths: Mapping[str, Path], cache: Cache, told: Told) -> str:
    agent, _ = parse_agent(spec)
    installation = get_agent(agent, paths.get(agent_name(agent)), cache=cache, patch=b"").locate(told)
    return f"{installation.version or 'version unknown'}, {installation.executable}"


def _model(model: str, base_url: str | None, env_file: Path | None) -> str:
    choice = resolve_model(model, base_url, environment(env_file, os.environ))
    ends = choice.upstream.expires_at()
    login = "" if ends is None else f", login ends {ends:%Y-%m-%d %H:%M} UTC"
    price = "price known" if choice.has_price else "no price known"
    return f"{choice.provider}, model {choice.model}, {price}{login}"


def _task(loaded: LoadedSuite, task: Task, found: Sequence[Sandbox], cache: Cache, told: Told) -> str:
    prepared = prepare_task(loaded, task, cache, told)
    if not found:
        return "prepared; not run, because there is no sandbox"
    with Judge(prepared, found[0], Method(), host_facts(), told=told) as judge:
        judge.qualify()
    return f"base and expert agree: {len(task.tests)} test commands, {len(task.workloads)} workloads"
