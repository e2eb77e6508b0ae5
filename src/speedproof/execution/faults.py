"""The fault matrix: a real agent, a provider that fails in a known way, and what a run makes of it.

Each cell is an attempt as any other, on a tiny task made on the spot: same sandbox, gateway, record and diagnosis.
"""

import asyncio
import json
import signal
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from speedproof import __version__
from speedproof.agents.aider import Aider, edit_block
from speedproof.agents.protocol import Agent
from speedproof.agents.registry import get_agent
from speedproof.execution.attempt import run_attempt
from speedproof.execution.host import host_facts
from speedproof.execution.launched import GRACE_S
from speedproof.execution.plan import Lane, plan_items
from speedproof.execution.preflight import Ready, Told, make_ready
from speedproof.execution.stop import Stop
from speedproof.execution.trial import end_all_with
from speedproof.execution.wire import Wire
from speedproof.gateway import Gateway, Script, Session
from speedproof.gateway.models import SCRIPTED
from speedproof.gateway.scripted.faults import EDIT, FAULTS, Expected, fault_script
from speedproof.gateway.scripted.script import Turn
from speedproof.journal import CallOutcome, ItemPlan, Method, Record, RunManifest, RunStore, Store
from speedproof.journal.attempt import StopCause
from speedproof.journal.base import digest_of, now
from speedproof.journal.failure import FailureClass
from speedproof.journal.status import PatchStatus, RunStatus
from speedproof.journal.store import new_run_id
from speedproof.sandbox import Sandbox
from speedproof.tasks.models import Limits
from speedproof.tasks.suite import load_suite
from speedproof.workspace.cache import Cache, silent
from speedproof.workspace.git import git
from speedproof.workspace.machine import agents_at_work

OPEN_CALL = "open_call"
"""The fault that is the agent's own: it leaves a tool call without an output."""
NAMES = (*FAULTS, OPEN_CALL)
"""All faults, in the order of the matrix."""
LIMITS = Limits(wall_s=90, idle_s=30)
"""What a cell may take: a provider that is silent for ever must be found out within it."""

_TRAP = "must_patch"
"""The option of an agent with which it leaves a call open once the model is done and nothing has changed."""
_ENDING_S = GRACE_S + 3.0
_WHO = {f"GIT_{role}_{what}": "someone" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
_WHEN = {f"GIT_{role}_DATE": "2024-01-01T00:00:00Z" for role in ("AUTHOR", "COMMITTER")}
_BASE = "def squares(count):\n    found = []\n    for n in range(count):\n        found += [n * n]\n    return found\n"
_EXPERT = "def squares(count):\n    return [number_to_square**2 for number_to_square in range(count)]\n"
_IN_WORDS = edit_block("edited.py", "", "EDITED = True\n") + "\n" + edit_block("edited.py", "not there\n", "half\n")
"""The edit of an agent without tools. The second one does not apply: it must ask again, and meets the fault."""


class Cell(Record):
    """What became of one attempt that met one fault."""

    agent: str
    """The agent as named."""
    version: str | None
    """The version that its program reports."""
    fault: str
    """The fault."""
    run: RunStatus
    """How its process went, as derived."""
    failure: FailureClass | None
    """The class of its diagnosis; null when there is none."""
    message: str | None
    """The diagnosis in words."""
    patch: PatchStatus
    """What is left of what it did before the fault."""
    seconds: float | None
    """Wall seconds from its launch to its end; null when it was never launched."""
    exit_code: int | None
    """Its exit code; null when a signal ended it."""
    stopped_by: StopCause | None
    """The limit that ended it; null when it ended by itself."""
    wall_limit_s: float | None
    """Wall seconds it was allowed; null: any number."""
    calls: int
    """Model calls."""
    failed_calls: int
    """Those that failed for the agent to see."""
    retries: int
    """Failed tries that the gateway kept from it."""
    left_running: int
    """Processes of it that still ran after its end, and were ended then."""
    attempt: str
    """The attempt's place below the state folder."""

    @property
    def wrong(self) -> tuple[str, ...]:
        """What is not as it must be; empty when all is well."""
        should = expected(self.fault)
        most = float("inf") if self.wall_limit_s is None else self.wall_limit_s + _ENDING_S
        return tuple(
            said
            for ill, said in (
                (self.run != should.run, f"run is {self.run}, not {should.run}"),
                (
                    self.failure is not should.failure,
                    f"diagnosed as {_name(self.failure)}, not {_name(should.failure)}",
                ),
                (not self.failed_calls and not self.retries, "it never met the fault"),
                (self.seconds is None or self.seconds > most, f"it took {self.seconds} s"),
                (self.left_running > 0, f"{self.left_running} processes were left"),
                (self.patch != _patch(self.fault), f"its patch is {self.patch}, not {_patch(self.fault)}"),
            )
            if ill
        )


def expected(fault: str) -> Expected:
    """What must become of an attempt that meets a fault. Raises KeyError for one that is not there.

    It is the same for every agent: what does not pass leaves none a way to complete, and what passes is kept from all
    of them by the gateway.
    """
    return Expected("agent_error", FailureClass.TOOL_OUTPUT_MISSING) if fault == OPEN_CALL else FAULTS[fault]


def meets(agent: Agent, fault: str) -> bool:
    """Whether an agent can be brought to meet a fault: only some leave a call open, and only when asked to."""
    return fault != OPEN_CALL or _TRAP in agent.parameters


def try_faults(
    agent: str,
    faults: Iterable[str],
    *,
    sandbox: Sandbox,
    folder: Path,
    cache: Cache | None = None,
    path: Path | None = None,
    limits: Limits = LIMITS,
    at_once: int = 3,
    told: Told = silent,
) -> list[Cell]:
    """Let a real agent meet each of these faults that it can meet, `at_once` at a time.

    The task and the record (`folder`/state) are made in the empty `folder`. Raises AgentError when the agent is not
    there, SpeedproofError when an attempt cannot be made, KeyboardInterrupt after a Ctrl-C, when all are sealed.
    """
    cache = cache or Cache()
    adapter = get_agent(agent, path, cache=cache)
    met = [fault for fault in faults if meets(adapter, fault)]
    suite = make_suite(folder, cache, limits)
    loaded = load_suite(suite)
    lanes = []
    for fault in met:
        file = folder / f"{agent.partition(':')[0]}-{fault}.yaml"
        file.write_text(json.dumps(_script(adapter, fault).model_dump(mode="json", exclude_defaults=True)))
        lanes.append(Lane(agent, f"{SCRIPTED}:{file}"))
    items = plan_items(loaded, loaded.suite.tasks, lanes)
    paths = {} if path is None else {agent: path}
    ready = make_ready(loaded, items, sandbox, cache, Method(), agent_paths=paths, told=told)
    run = Store(folder / "state").create_run(
        RunManifest(
            id=new_run_id(),
            created_at=now(),
            speedproof=__version__,
            suite=loaded.suite.name,
            suite_file=str(suite),
            suite_digest=loaded.digest(),
            host=host_facts(),
            settings={},
            method=Method(),
            items=items,
        )
    )
    with agents_at_work(ready.cache, "a fault matrix", told):
        return asyncio.run(_cells(ready, run, list(zip(met, items, strict=True)), at_once, told))


async def _cells(
    ready: Ready, run: RunStore, planned: Sequence[tuple[str, ItemPlan]], at_once: int, told: Told
) -> list[Cell]:
    cancelled = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, cancelled.set)
    room = asyncio.Semaphore(at_once)

    async def one(fault: str, item: ItemPlan) -> Cell | None:
        async with room:
            if cancelled.is_set():
                return None
            cell = await _cell(ready, run, fault, item, cancelled)
        told(f"{cell.agent}, {fault}: {cell.run}, {_name(cell.failure)}, {cell.seconds or 0:.0f} s")
        return cell

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(fault, item)) for fault, item in planned]
    if cancelled.is_set():
        raise KeyboardInterrupt
    return [cell for task in tasks if (cell := task.result()) is not None]


async def _cell(ready: Ready, run: RunStore, fault: str, item: ItemPlan, cancelled: asyncio.Event) -> Cell:
    wire = Wire(configured={_TRAP: True}) if fault == OPEN_CALL else ready.wire
    gateway = _Gateway()
    async with gateway:
        store, status = await run_attempt(
            run.new_attempt(item.id), item, replace(ready, wire=wire), gateway, Stop(cancelled)
        )
    left_running = end_all_with(gateway.token) if gateway.token else 0
    attempt, process = store.read(), store.read().process
    outcomes = [line for _, line in store.calls()[0] if isinstance(line, CallOutcome)]
    return Cell(
        agent=item.agent,
        version=attempt.agent_version,
        fault=fault,
        run=status.run,
        failure=status.diagnosis.failure if status.diagnosis else None,
        message=status.diagnosis.message if status.diagnosis else None,
        patch=status.patch,
        seconds=process.wall_s if process else None,
        exit_code=process.exit_code if process else None,
        stopped_by=process.stopped_by if process else None,
        wall_limit_s=ready.tasks[item.task].task.limits.wall_s,
        calls=status.calls,
        failed_calls=status.failed_calls,
        retries=sum(len(outcome.retries) for outcome in outcomes),
        left_running=left_running,
        attempt=store.name,
    )


class _Gateway(Gateway):
    """A run's gateway that knows the key of its one attempt: by it, processes that are left are found."""

    token = ""

    def open(self, *arguments: Any, **options: Any) -> Session:
        session = super().open(*arguments, **options)
        self.token = session.token
        return session


def _script(agent: Agent, fault: str) -> Script:
    """What the provider does: an edit first, so that something is there to be kept, then the fault."""
    if fault == OPEN_CALL:
        return Script(format="speedproof/script/1", description=fault, turns=(Turn(finish="Done."),))
    if agent.protocol == "none":
        raise ValueError(f"{agent.name} calls no model")
    if not isinstance(agent, Aider):
        return fault_script(fault, agent.protocol, EDIT)
    script = fault_script(fault, agent.protocol, None)
    return script.model_copy(update={"turns": (Turn(say=_IN_WORDS), *script.turns)})


def make_suite(folder: Path, cache: Cache, limits: Limits = LIMITS) -> Path:
    """A suite of one task on a repository of two commits, without workloads and tests; its file, in `folder`."""
    source = {"git": str(cache.entry("faults", digest_of([_BASE, _EXPERT]), _make_repository)), "expert": "HEAD"}
    instructions = "Make squares() faster for large counts.\n"
    task = {"name": "squares", "source": source, "instructions": instructions, "limits": limits.model_dump()}
    file = folder / "suite.yaml"
    file.write_text(json.dumps({"name": "faults", "tasks": [task]}))
    return file


def _make_repository(folder: Path) -> None:
    git("init", "--quiet", str(folder))
    for text in (_BASE, _EXPERT):
        (folder / "squares.py").write_text(text)
        git("add", "--all", cwd=folder)
        git("commit", "--quiet", "-m", "squares", cwd=folder, env=_WHO | _WHEN)


def _name(failure: FailureClass | None) -> str:
    return "nothing" if failure is None else failure.value


def _patch(fault: str) -> PatchStatus:
    """Where nothing has changed, a call is left open; every other fault comes after an edit."""
    return "empty" if fault == OPEN_CALL else "applied"
