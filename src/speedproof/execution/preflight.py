"""The preflight: everything a run needs is made ready and checked before anything is spent.

A mistake of the user is raised before anything else is done. What is broken takes its own items out of the run, for all
to see; what is merely missing lowers what can be concluded, and is said. The doctor makes the same checks.
"""

import os
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Literal

from speedproof.agents.protocol import Agent, Installation
from speedproof.agents.registry import agent_name, get_agent
from speedproof.errors import AgentError, InputError, LeakError
from speedproof.evaluation.judge import Judge
from speedproof.evaluation.prepared import PreparedTask, prepare_task
from speedproof.execution import checks, machine
from speedproof.execution.checks import Checks, Exclusion
from speedproof.execution.controls import control_patch
from speedproof.execution.enforced import require_enforced
from speedproof.execution.host import host_facts
from speedproof.execution.probe import Probed
from speedproof.execution.probing import probe_lanes
from speedproof.execution.wire import AS_ASKED, Wire
from speedproof.gateway import Budget, Meter, ModelChoice, require_price, resolve_model
from speedproof.gateway.environment import environment
from speedproof.gateway.upstreams.logins import LoginExpired
from speedproof.journal import ItemPlan, Method, SandboxFacts
from speedproof.journal.base import now
from speedproof.sandbox import Bubblewrap, HostSandbox, Sandbox
from speedproof.sandbox.bubblewrap import system_paths
from speedproof.sandbox.orphans import end_orphans
from speedproof.tasks.leak import Leak, Root, interpreter_roots, scan_roots, stamp_of
from speedproof.tasks.models import Limits, Task
from speedproof.tasks.suite import LoadedSuite
from speedproof.workspace.cache import Cache

Told = checks.Told


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
    excluded: dict[str, Exclusion] = field(default_factory=dict)
    """Items on which nothing is to be spent, by id; what they need may not be here."""
    probes: dict[str, Probed] = field(default_factory=dict)
    """What was asked of real models before the run, by lane: it cost money, so that it belongs to the run."""
    notes: list[tuple[str, str]] = field(default_factory=list)
    """What lowers what can be concluded: of which task, agent or model, and what."""

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
    strict: bool = False,
    expected_s: float | None = None,
    state: Path | None = None,
    jobs: int | Literal["auto"] = "auto",
    proven: Collection[str] = (),
    probes: dict[str, Probed] | None = None,
    told: Told = lambda _: None,
) -> Ready:
    """Check what the user gave, the machine and the sandbox; then agents, tasks and leaks; qualify the tasks; spend
    money on probes last.

    `expected_s`: seconds that the run will take, as far as anybody knows; `state`: where its records go; `proven`:
    lanes that need no probe, because a call of theirs was answered in this run; `probes` gets each that is made.
    Raises the SpeedproofError that says what is wrong with what the user gave, what is wrong with the machine, or, when
    strict or when no item is left, what is broken first: no attempt has been made then.
    """
    end_orphans()  # what killed processes left running would share the machine
    spent = {} if probes is None else probes
    ready = Ready(sandbox, sandbox.probe(), cache, wire=wire, meter=Meter(wire.budget), probes=spent)
    check = Preflight(ready, told, strict=strict)
    for model in dict.fromkeys(i.model for i in items if i.model is not None):
        check.resolve(model, base_url, environment(env_file, os.environ, told))
    for agent in dict.fromkeys(i.agent for i in items):
        check.adapt(agent, agent_paths or {})
    tasks = [loaded.task(name) for name in dict.fromkeys(i.task for i in items)]
    check.require_wire()
    for agent, asked in dict.fromkeys((i.agent, i.model) for i in items):
        if asked in ready.models:
            check.require_lane(agent, asked, tasks)
    require_enforced(sandbox, cache)
    check.machine([cache.root, *([] if state is None else [state])], tasks, jobs)
    for agent in dict.fromkeys(i.agent for i in check.left(items)):
        check.locate(agent)
    for name in dict.fromkeys(i.task for i in check.left(items)):
        check.prepare(loaded, loaded.task(name))
    for name, agent in dict.fromkeys((i.task, i.agent) for i in check.left(items)):
        check.scan(name, agent)
    for name in dict.fromkeys(i.task for i in check.left(items)):
        check.qualify(name, method)
    lanes = [(i.agent, i.model) for i in check.left(items) if i.model is not None and i.lane not in proven]
    check.probe(lanes, expected_s)
    check.left(items)
    ready.excluded = {i.id: why for i in items if (why := check.excluded(i)) is not None}
    ready.notes = check.notes
    return ready


class Preflight(Checks):
    """The checks, in the order in which they are to be made."""

    def __init__(self, ready: Ready, told: Told, *, strict: bool = False) -> None:
        super().__init__(told, strict=strict)
        self.ready = ready

    def resolve(self, model: str, base_url: str | None, environ: Mapping[str, str]) -> None:
        """Find a model's provider, key or login. Raises InputError, except for a login that has merely ended."""
        try:
            self.ready.models[model] = resolve_model(model, base_url, environ)
        except LoginExpired as error:
            self.fail(checks.of_model(model), error)

    def adapt(self, agent: str, paths: Mapping[str, Path]) -> None:
        """Find an agent's adapter. Raises InputError."""
        given = b"" if agent == "patch" else None
        self.ready.agents[agent] = get_agent(agent, paths.get(agent_name(agent)), cache=self.ready.cache, patch=given)

    def require_wire(self) -> None:
        """Raises InputError for what no agent, or no model, lets be set."""
        self.ready.wire.require(self.ready.agents.values(), self.ready.models.values())

    def require_lane(self, agent: str, model: str, tasks: Iterable[Task]) -> None:
        """Raises InputError for an agent and model that cannot work together, or whose cost cannot be limited."""
        choice, wire = self.ready.models[model], self.ready.wire
        _require_protocol(self.ready.agents[agent], choice)
        for budget in (wire.budget, *(budget_of(task.limits) for task in tasks)):
            require_price(choice, budget, wire.side_models)

    def machine(self, folders: Sequence[Path], tasks: Sequence[Task], jobs: int | Literal["auto"]) -> None:
        """Look at disk and memory, and note what tasks declare that the machine does not have."""
        for folder in dict.fromkeys(folders):
            self.look(f"disk {folder}", partial(machine.require_disk, folder))
        room = machine.room(jobs)
        wanted = [task.resources for task in tasks]
        self.look("memory", lambda: room.require_memory(wanted))
        for task in tasks:
            if (lacks := room.lacks(task.resources)) is not None:
                self.note(checks.of_task(task.name), lacks)

    def locate(self, agent: str) -> None:
        """Find an agent's program, installing it where that is possible."""

        def look() -> str:
            self.told(f"{agent}: locating")
            found = self.ready.installations[agent] = self.ready.agents[agent].locate(self.told)
            return f"{found.version or 'version unknown'}, {found.executable}"

        self.look(checks.of_agent(agent), look)

    def prepare(self, loaded: LoadedSuite, task: Task) -> None:
        """Fetch a task's commits, build its environment; note what it lacks."""

        def look() -> None:
            self.told(f"{task.name}: preparing")
            self.ready.tasks[task.name] = prepare_task(loaded, task, self.ready.cache, self.told)

        self.look(checks.of_task(task.name), look)
        if not task.workloads:
            self.note(checks.of_task(task.name), "no workload: its speed will not be measured, and nothing proven")
        if not task.tests:
            rests = "rests on the workloads' outputs" if task.workloads else "stays unknown"
            self.note(checks.of_task(task.name), f"no tests: correctness {rests}")

    def scan(self, task: str, agent: str) -> None:
        """Look for the answer in what an agent can see on a task."""
        self.look(
            checks.of_sight(agent, task),
            lambda: require_no_leak(self.ready, self.ready.tasks[task], agent, self.told),
        )

    def probe(self, lanes: Sequence[tuple[str, str | None]], expected_s: float | None = None) -> None:
        """One tool round trip of each agent with each model; without one, with our own script. Then the logins."""
        for agent, model, shown in probe_lanes(self.ready, dict.fromkeys(lanes), self.told):
            what = checks.of_lane(agent, model)
            if shown.broken is not None:
                self.fail(
                    what, AgentError(f"{what}: {shown.broken}", hint=shown.hint or f"speedproof agents check {agent}")
                )
                continue
            self.well(what, shown.said)
            for finding in shown.findings:
                if not finding.ok:
                    self.note(what, f"{finding.what}: {finding.said}")
        for model in dict.fromkeys(model for _, model in lanes if model is not None):
            self._login(model, expected_s)

    def _login(self, model: str, expected_s: float | None) -> None:
        ends = self.ready.models[model].upstream.expires_at()
        if ends is None:
            return
        self.told(f"{model}: its login ends {ends:%Y-%m-%d %H:%M} UTC")
        if ends <= now():
            self.fail(checks.of_model(model), LoginExpired(f"the login of {model} has ended", hint="log in again"))
        elif expected_s is not None and now() + timedelta(seconds=expected_s) > ends:
            left = (ends - now()).total_seconds() / 3600
            self.note(
                checks.of_model(model),
                f"WARNING: its login ends in {left:.1f} h, before the run, which is expected to take "
                f"{expected_s / 3600:.1f} h: log in again before that, or resume the run afterwards",
            )

    def qualify(self, task: str, method: Method) -> None:
        """Base and expert of a task build, pass its tests and run its workloads."""
        prepared = self.ready.tasks[task]

        def look() -> str:
            with Judge(
                prepared, self.ready.sandbox, method, host_facts(), told=lambda what: self.told(f"{task}: {what}")
            ) as judge:
                judge.qualify()
            tests, workloads = len(prepared.task.tests), len(prepared.task.workloads)
            return f"base and expert agree: {tests} test commands, {workloads} workloads"

        self.look(checks.of_task(task), look)


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
