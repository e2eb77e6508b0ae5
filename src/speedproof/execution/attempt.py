"""The life of one attempt: prepare, run, collect, seal. Whatever happens, the record says so and nothing is left."""

import asyncio
import hashlib
import shutil
import socket
import time
import traceback
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from speedproof.agents.protocol import Agent, Launch, LaunchContext, Left
from speedproof.diagnosis import derive
from speedproof.errors import SandboxError, SpeedproofError
from speedproof.evaluation.prepared import PreparedTask
from speedproof.execution.logs import LogWriter
from speedproof.execution.preflight import Ready, refuse_leaks
from speedproof.gateway import Budget, Gateway, Session
from speedproof.journal import (
    Attempt,
    AttemptStore,
    ItemPlan,
    PatchFacts,
    ProcessFacts,
    RunStore,
    Status,
    StopCause,
    Transition,
)
from speedproof.journal.attempt import HarnessError
from speedproof.journal.base import now
from speedproof.journal.redaction import redact
from speedproof.sandbox import Box, Confined, Finished, Mount
from speedproof.sandbox.box import HOME, MODEL_PORT, WORKSPACE
from speedproof.tasks.leak import scan_environment, scan_text
from speedproof.tasks.prompt import Paths, render_prompt
from speedproof.workspace.checkout import Workspace, prepare_base
from speedproof.workspace.effect import effect_of
from speedproof.workspace.patch import PatchError, apply_patch, extract_patch
from speedproof.workspace.reading import open_untrusted
from speedproof.workspace.tree import give_to, remove

GRACE_S = 5.0
"""Seconds an agent has to end after it was asked to."""
ATTACH_S = 60.0
"""Seconds the sandbox has to come up and hand out its socket."""
_TICK_S = 0.1
_IDENTITY = {f"GIT_{role}_{what}": "agent" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

Stage = Literal["prepare", "run", "collect", "sealed"]


@dataclass
class _Facts:
    """The growing attempt.json."""

    store: AttemptStore
    fields: dict[str, Any]
    transitions: list[Transition] = field(default_factory=list)

    def enter(self, stage: Stage) -> None:
        """Note a transition and write what is known so far."""
        self.transitions.append(Transition(stage=stage, at=now()))
        sealed = {"state": "sealed", "sealed_at": now()} if stage == "sealed" else {"state": "open"}
        self.store.write(Attempt.model_validate({**self.fields, **sealed, "transitions": tuple(self.transitions)}))

    @property
    def stage(self) -> str:
        return self.transitions[-1].stage


async def run_attempt(
    item: ItemPlan, ready: Ready, run: RunStore, gateway: Gateway, cancelled: asyncio.Event
) -> tuple[AttemptStore, Status]:
    """Attempt `item` once, as the next number of its folder. `cancelled` ends it by its grace.

    Raises RecordError when the record itself cannot be written; every other failure is in the record.
    """
    store = run.new_attempt(item.id)
    prepared = ready.tasks[item.task]
    installation = ready.installations[item.agent]
    facts = _Facts(
        store,
        {
            "run": run.id,
            "item": item.id,
            "number": int(store.folder.name),
            "task": item.task,
            "agent": item.agent,
            "agent_version": installation.version,
            "agent_sha256": _sha256(installation.executable),
            "model": item.model,
            "sample": item.sample,
            "control": item.control,
            "opened_at": now(),
            "settings": {"limits": prepared.task.limits.model_dump(), "show_workload": prepared.task.show_workload},
        },
    )
    facts.enter("prepare")
    attempt = _LiveAttempt(item, ready, prepared, gateway, cancelled, facts)
    try:
        await attempt.live()
    except (SpeedproofError, OSError, MemoryError) as error:
        facts.fields["error"] = _harness_error(facts.stage, error, with_traceback=False)
    except Exception as error:  # noqa: BLE001 - a bug of ours: recorded with its traceback, diagnosed as such
        facts.fields["error"] = _harness_error(facts.stage, error, with_traceback=True)
    finally:
        try:
            await attempt.clear()
        except (SpeedproofError, OSError) as error:  # what ended the attempt matters more
            facts.fields.setdefault("error", _harness_error(facts.stage, error, with_traceback=False))
    facts.enter("sealed")
    status = derive(store)
    store.write_status(status)
    return store, status


class _LiveAttempt:
    """What one attempt holds while it lives."""

    def __init__(
        self,
        item: ItemPlan,
        ready: Ready,
        prepared: PreparedTask,
        gateway: Gateway,
        cancelled: asyncio.Event,
        facts: _Facts,
    ) -> None:
        self.item, self.ready, self.prepared = item, ready, prepared
        self.gateway, self.cancelled, self.facts = gateway, cancelled, facts
        self.scratch: Path | None = None
        self.workspace: Workspace | None = None
        self.session: Session | None = None

    async def live(self) -> None:
        """Prepare, run, collect."""
        scratch = self.scratch = self.ready.cache.scratch("attempt")
        sandbox, prepared, store = self.ready.sandbox, self.prepared, self.facts.store
        agent = self.ready.agent(self.item)
        commits = prepared.commits
        base = await asyncio.to_thread(
            prepare_base, commits.repository, commits.base_tree, sandbox.uid, self.ready.cache
        )
        workspace = self.workspace = await asyncio.to_thread(Workspace, base, scratch / "tree")
        self.facts.fields["base_tree"] = base.tree
        home = scratch / "home"
        home.mkdir()
        tree_mount, home_mount = Mount(workspace.path, WORKSPACE, True), Mount(home, HOME, True)
        inside = sandbox.inside(tree_mount)
        prompt = render_prompt(prepared.task, Paths(workspace=inside))
        store.write_text("prompt.md", prompt)
        self.facts.fields["prompt_sha256"] = hashlib.sha256(prompt.encode()).hexdigest()
        launch, port = await self._launch(agent, prompt, inside, sandbox.inside(home_mount))
        variables = {**prepared.variables(), **_IDENTITY, **launch.env}
        if self.item.control is None:
            leaks = scan_text(prepared.answer, "the prompt", prompt) + scan_environment(prepared.answer, variables)
            refuse_leaks(prepared, leaks)
        for name, text in launch.files.items():
            target = home / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        give_to(home, sandbox.uid)
        installation = self.ready.installations[self.item.agent]
        box = Box(
            argv=launch.argv,
            env=variables,
            mounts=(
                tree_mount,
                home_mount,
                *prepared.mounts(with_files=prepared.task.show_workload),
                *installation.mounts,
            ),
            interpreters=(*prepared.interpreters, *installation.interpreters),
        )
        mounts = tuple(f"{m.target} {'rw' if m.writable else 'ro'}" for m in box.mounts)
        self.facts.fields["sandbox"] = self.ready.facts.model_copy(
            update={"mounts": tuple(dict.fromkeys((*self.ready.facts.mounts, *mounts)))}
        )
        self.facts.enter("run")
        finished, stopped, argv = await self._run(box, launch.stdin, port)
        self.facts.fields["process"] = ProcessFacts(
            argv=argv,
            exit_code=finished.exit_code,
            signal=finished.signal,
            wall_s=finished.wall_s,
            cpu_s=finished.cpu_s,
            max_rss_bytes=finished.max_rss_bytes,
            stopped_by=stopped,
        )
        self.facts.enter("collect")
        await asyncio.to_thread(self._collect, agent, home)

    async def _launch(self, agent: Agent, prompt: str, workspace: str, home: str) -> tuple[Launch, int | None]:
        """How to start the agent, and the host port of the gateway where there is no sandbox to hand out a socket."""
        port: int | None = None
        token, model_name = "", None
        if agent.uses_model:
            model = self.ready.models[str(self.item.model)]
            limits = self.prepared.task.limits
            budget = Budget(steps=limits.steps, tokens=limits.tokens, cost_usd=limits.cost_usd)
            self.session = self.gateway.open(self.facts.store.folder / "calls.jsonl", model, budget, {})
            token, model_name = self.session.token, model.model
            if self.ready.sandbox.kind == "none":
                port = await self.gateway.listen(self.session)
        context = LaunchContext(
            prompt=prompt,
            workspace=workspace,
            home=home,
            model=model_name,
            base_url=f"http://127.0.0.1:{port or MODEL_PORT}",
            token=token,
        )
        return agent.launch(context), port

    async def _run(
        self, box: Box, stdin: bytes, port: int | None
    ) -> tuple[Finished, StopCause | None, tuple[str, ...]]:
        folder = self.facts.store.folder
        assert self.scratch is not None
        source = self.scratch / "stdin"
        source.write_bytes(stdin)
        handed_out = self.session is not None and port is None
        ours, theirs = socket.socketpair()
        async with AsyncExitStack() as stack:
            stack.callback(ours.close)
            logs = [LogWriter(folder / "stdout.log.zst"), LogWriter(folder / "stderr.log.zst")]
            for log in logs:
                stack.push_async_callback(asyncio.to_thread, log.finish)
            if handed_out:
                box = replace(box, listen=theirs.fileno())
            try:
                with source.open("rb") as file:
                    process = Confined(
                        self.ready.sandbox, box, stdin=file, stdout=logs[0].descriptor, stderr=logs[1].descriptor
                    )
            finally:
                theirs.close()
                for log in logs:
                    log.start()
            ended = asyncio.create_task(asyncio.to_thread(process.wait))
            try:
                if handed_out:
                    await self._attach(ours)
                stopped = await self._watch(process, ended, logs)
            finally:
                if not ended.done():
                    process.kill()
                finished = await ended
        token = self.session.token if self.session else ""
        argv = tuple(a.replace(token, "TOKEN") if token else a for a in box.argv)
        return finished, stopped, argv

    async def _attach(self, channel: socket.socket) -> None:
        """Receive the sandbox's listening socket and serve the gateway on it."""
        channel.settimeout(ATTACH_S)
        try:
            message, descriptors, _, _ = await asyncio.to_thread(socket.recv_fds, channel, 16, 1)
        except TimeoutError as error:
            raise SandboxError("the sandbox did not come up in time", hint="speedproof doctor") from error
        if not message or not descriptors or self.session is None:
            return  # it ended before it could listen; how it ended is in the record
        await self.gateway.attach(self.session, socket.socket(fileno=descriptors[0]))
        channel.sendall(b"k")

    async def _watch(
        self, process: Confined, ended: "asyncio.Task[Finished]", logs: list[LogWriter]
    ) -> StopCause | None:
        """Wait for the end, or bring it about when a limit is reached; returns the limit."""
        began = time.monotonic()
        limits = self.prepared.task.limits
        while not ended.done():
            await asyncio.wait([ended], timeout=_TICK_S)
            cause = self._cause(time.monotonic() - began, limits.wall_s, limits.idle_s, logs)
            if ended.done() or cause is None:
                continue
            process.terminate()
            await asyncio.wait([ended], timeout=GRACE_S)
            if not ended.done():
                process.kill()
                await asyncio.wait([ended])
            return cause
        return None

    def _cause(
        self, elapsed: float, wall_s: float | None, idle_s: float | None, logs: list[LogWriter]
    ) -> StopCause | None:
        session = self.session
        if self.cancelled.is_set():
            return StopCause.CANCELLED
        if session is not None and session.stop_event.is_set():
            if session.failure is not None:
                raise session.failure
            return session.stopped
        if wall_s is not None and elapsed > wall_s:
            return StopCause.WALL
        moved = max([log.last_output for log in logs] + ([session.last_activity] if session else []))
        if idle_s is not None and time.monotonic() - moved > idle_s:
            return StopCause.IDLE
        return None

    def _collect(self, agent: Agent, home: Path) -> None:
        """The patch first: it must be there however badly the rest ends."""
        fields, store = self.facts.fields, self.facts.store
        fields["patch"] = self._patch()
        left = Left(home=home, stdout=store.log_lines("stdout.log.zst"), stderr=store.log_lines("stderr.log.zst"))
        fields["outcome"] = agent.outcome(left)
        trajectory = agent.trajectory(left)
        if trajectory is not None:
            name = f"trajectory{trajectory.suffix}"
            if _copy_untrusted(trajectory, store.folder / name):
                fields["trajectory"] = name

    def _patch(self) -> PatchFacts:
        assert self.workspace is not None
        assert self.scratch is not None
        own = self.scratch / "harness.git"
        base_tree = self.workspace.base.tree
        extracted = extract_patch(self.workspace, self.prepared.commits.repository, own)
        self.facts.store.write_bytes("patch.diff", extracted.diff)
        try:
            applies = apply_patch(own, base_tree, extracted.diff, self.scratch / "index") == extracted.tree
        except PatchError:
            applies = False
        return PatchFacts(
            sha256=hashlib.sha256(extracted.diff).hexdigest(),
            size=len(extracted.diff),
            tree=extracted.tree,
            files=extracted.files,
            added_lines=extracted.added_lines,
            removed_lines=extracted.removed_lines,
            effect=effect_of(own, base_tree, extracted.tree, self.prepared.task.protected),
            applies=applies,
            left_out=extracted.left_out,
            left_out_count=extracted.left_out_count,
            refused=extracted.refused,
        )

    async def clear(self) -> None:
        """Close the session and remove everything but the record."""
        try:
            if self.session is not None:
                await self.gateway.close(self.session)
        finally:
            if self.workspace is not None:
                await asyncio.to_thread(self.workspace.remove)
            if self.scratch is not None:
                await asyncio.to_thread(remove, self.scratch)


def _harness_error(stage: str, error: BaseException, *, with_traceback: bool) -> HarnessError:
    text = "".join(traceback.format_exception(error)) if with_traceback else ""
    return HarnessError(stage=stage, kind=type(error).__name__, message=redact(str(error)), traceback=redact(text))


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None  # the agent is gone; launching it will say so


def _copy_untrusted(source: Path, target: Path) -> bool:
    file = open_untrusted(source)
    if file is None:
        return False
    with file, target.open("xb") as copy:
        shutil.copyfileobj(file, copy)
    return True
