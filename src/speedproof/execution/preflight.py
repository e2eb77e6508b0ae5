"""The preflight: everything a run needs is made ready and checked before anything is spent."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from speedproof.agents.protocol import Agent, Installation
from speedproof.agents.registry import agent_name, get_agent
from speedproof.errors import InputError, LeakError
from speedproof.evaluation.judge import Judge
from speedproof.evaluation.prepared import PreparedTask, prepare_task
from speedproof.execution.host import host_facts
from speedproof.execution.plan import Lane
from speedproof.execution.wire import AS_ASKED, Wire
from speedproof.gateway import Budget, Meter, ModelChoice, require_price, resolve_model
from speedproof.gateway.environment import environment
from speedproof.journal import ItemPlan, Method, SandboxFacts
from speedproof.sandbox import Bubblewrap, HostSandbox, Sandbox
from speedproof.sandbox.bubblewrap import system_paths
from speedproof.tasks.leak import Leak, Root, interpreter_roots, scan_roots, stamp_of
from speedproof.tasks.models import Limits
from speedproof.tasks.suite import LoadedSuite
from speedproof.workspace.cache import Cache
from speedproof.workspace.git import git
from speedproof.workspace.patch import apply_patch, diff_trees
from speedproof.workspace.tree import list_tree, read_blobs

Told = Callable[[str], None]


def choose_sandbox(kind: str) -> Sandbox:
    """bubblewrap, or none when a person says so. Raises SandboxError or InputError."""
    if kind == "bubblewrap":
        return Bubblewrap()
    if kind == "none":
        return HostSandbox()
    raise InputError(f"there is no sandbox {kind!r}", hint="--sandbox bubblewrap or --sandbox none")


@dataclass
class Ready:
    """What a run's attempts and judging draw on."""

    sandbox: Sandbox
    facts: SandboxFacts
    cache: Cache
    tasks: dict[str, PreparedTask] = field(default_factory=dict)
    installations: dict[str, Installation] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)
    wire: Wire = AS_ASKED
    meter: Meter = field(default_factory=lambda: Meter(Budget()))
    """What all attempts of the run use together."""
    models: dict[str, ModelChoice] = field(default_factory=dict)

    def agent(self, item: ItemPlan) -> Agent:
        """The adapter of an item; the patch agent gets its patch."""
        if item.agent != "patch":
            return self.agents[item.agent]
        return get_agent("patch", cache=self.cache, patch=control_patch(item, self.tasks[item.task]))


def make_ready(
    loaded: LoadedSuite,
    items: Sequence[ItemPlan],
    sandbox: Sandbox,
    cache: Cache,
    method: Method,
    *,
    base_url: str | None = None,
    env_file: Path | None = None,
    agent_paths: Mapping[str, Path] | None = None,
    wire: Wire = AS_ASKED,
    told: Told = lambda _: None,
) -> Ready:
    """Probe the sandbox, resolve models, prepare and qualify tasks, install agents, look for leaks.

    Raises the SpeedproofError that says what is missing or broken; nothing has been spent then.
    """
    ready = Ready(sandbox, sandbox.probe(), cache, wire=wire, meter=Meter(wire.budget))
    for model in dict.fromkeys(i.model for i in items if i.model is not None):
        choice = ready.models[model] = resolve_model(model, base_url, environment(env_file, os.environ, told))
        if (ends := choice.upstream.expires_at()) is not None:
            told(f"{model}: its login ends {ends:%Y-%m-%d %H:%M} UTC")
    for name in dict.fromkeys(i.agent for i in items if i.agent != "patch"):
        ready.agents[name] = get_agent(name, (agent_paths or {}).get(agent_name(name)), cache=cache)
    wire.require(ready.agents.values(), ready.models.values())
    for item in items:
        if item.model is not None:
            _require_protocol(ready.agents[item.agent], ready.models[item.model])
    tasks = [loaded.task(name) for name in dict.fromkeys(i.task for i in items)]
    for choice in ready.models.values():
        for budget in (wire.budget, *(budget_of(task.limits) for task in tasks)):
            require_price(choice, budget, wire.side_models)
    for task in tasks:
        told(f"{task.name}: preparing")
        ready.tasks[task.name] = prepare_task(loaded, task, cache, told)
    for item in items:
        if item.agent in ready.installations:
            continue
        told(f"{item.agent}: locating")
        ready.installations[item.agent] = ready.agent(item).locate(told)
    for prepared in ready.tasks.values():
        agents = dict.fromkeys(i.agent for i in items if i.task == prepared.task.name)
        for name in agents:
            require_no_leak(ready, prepared, name, told)
        with Judge(
            prepared,
            sandbox,
            method,
            host_facts(),
            told=lambda s, n=prepared.task.name: told(f"{n}: {s}"),  # type: ignore[misc]
        ) as judge:
            judge.qualify()
    return ready


def _require_protocol(agent: Agent, model: ModelChoice) -> None:
    """Raises InputError when the agent speaks a protocol that the model's provider does not take."""
    if agent.protocol not in model.upstream.protocols:
        takes = ", ".join(sorted(model.upstream.protocols))
        raise InputError(
            f"{agent.name} speaks {agent.protocol}, but {model.asked} takes {takes}",
            hint="choose another model, or a gateway such as LiteLLM with --base-url",
        )


def require_no_leak(ready: Ready, prepared: PreparedTask, agent: str, told: Told = lambda _: None) -> None:
    """Raises LeakError when something mounted for `agent` on this task holds the answer."""
    if agent == "patch" or ready.sandbox.kind == "none":
        return  # a given patch may be the answer; without a sandbox nothing is hidden, and the record says so
    installation = ready.installations[agent]
    own = ready.cache.root  # what stands there never changes
    roots = [Root(m.source, "" if m.source.is_relative_to(own) else stamp_of(m.source)) for m in installation.mounts]
    roots += interpreter_roots((*installation.interpreters, Path(sys.base_prefix)))  # the last hands out the socket
    roots += prepared.roots(with_files=prepared.task.show_workload)
    roots += [Root(p, str(p.stat().st_mtime_ns), ("dist-packages",)) for p in system_paths()]
    refuse_leaks(prepared, scan_roots(prepared.answer, roots, ready.cache, told))


def refuse_leaks(prepared: PreparedTask, leaks: Sequence[Leak]) -> None:
    """Raises LeakError when there are any, naming the first."""
    if leaks:
        first = leaks[0]
        raise LeakError(
            f"task {prepared.task.name}: the agent could find the answer: {first.what} stands in {first.place}"
            + (f" (and {len(leaks) - 1} more places)" if len(leaks) > 1 else ""),
            hint="leave this package out of the task's environment, or drop the task",
        )


def budget_of(limits: Limits) -> Budget:
    """What the gateway meters of a task's limits."""
    return Budget(
        steps=limits.steps,
        tokens=limits.tokens,
        input_tokens=limits.input_tokens,
        output_tokens=limits.output_tokens,
        cost_usd=limits.cost_usd,
    )


def control_patch(item: ItemPlan, prepared: PreparedTask) -> bytes:
    """The patch of a control: the expert's, the no-op, or a file's. Raises InputError."""
    commits = prepared.commits
    if item.control == "expert":
        return diff_trees(commits.repository, commits.base_tree, commits.expert_tree)
    if item.control == "noop":
        return noop_patch(commits.repository, commits.base_tree, commits.expert_tree, prepared.cache)
    file = Lane(item.agent, None, item.control).patch_file(item.task)
    if file is None:
        raise InputError("the patch agent needs a patch", hint="patch:expert, patch:noop or patch:FILE")
    return file.read_bytes()


def noop_patch(repository: Path, base_tree: str, expert_tree: str, cache: Cache) -> bytes:
    """A patch that changes nothing that matters: an empty line at the end of a file the expert changes, else of any.

    Raises InputError when base is empty.
    """
    old, new = list_tree(repository, base_tree), list_tree(repository, expert_tree)
    files = [(p, e) for p, e in sorted(old.items()) if e.mode.startswith("100")]
    if not files:
        raise InputError("the base commit holds no file, so there is no no-op patch")
    path, entry = next(((p, e) for p, e in files if new.get(p) not in {None, e}), files[0])
    content = next(read_blobs(repository, [entry.blob]))
    blob = git("hash-object", "-w", "--stdin", repository=repository, input=content + b"\n").decode().strip()
    scratch = cache.scratch("noop")
    try:
        index = scratch / "index"
        env = {"GIT_INDEX_FILE": str(index)}
        tree = apply_patch(repository, base_tree, b"", index)
        line = b"%s %s\t%s\0" % (entry.mode.encode(), blob.encode(), path)
        git("update-index", "-z", "--index-info", repository=repository, env=env, input=line)
        tree = git("write-tree", repository=repository, env=env).decode().strip()
    finally:
        for file in scratch.iterdir():
            file.unlink()
        scratch.rmdir()
    return diff_trees(repository, base_tree, tree)
