"""The life of one attempt: prepare, run, collect, seal. Whatever happens, the record says so and nothing is left."""

import asyncio
import hashlib
import shutil
from contextlib import AsyncExitStack
from pathlib import Path

from speedproof.agents.protocol import Agent, Launch, LaunchContext, Left, Setting
from speedproof.diagnosis import derive
from speedproof.execution.facts import Facts
from speedproof.execution.launched import Launched
from speedproof.execution.preflight import Ready, budget_of, refuse_leaks
from speedproof.gateway import Gateway, Session, price_list
from speedproof.journal import AttemptStore, ItemPlan, PatchFacts, ProcessFacts, RunStore, Status
from speedproof.journal.attempt import Configured
from speedproof.journal.base import now
from speedproof.journal.store import CONFIG
from speedproof.sandbox import Box, Mount
from speedproof.sandbox.box import HOME, MODEL_PORT, WORKSPACE
from speedproof.tasks.leak import scan_environment, scan_text
from speedproof.tasks.prompt import render_prompt
from speedproof.workspace.checkout import Workspace, prepare_base
from speedproof.workspace.effect import effect_of
from speedproof.workspace.patch import PatchError, apply_patch, extract_patch
from speedproof.workspace.reading import open_untrusted
from speedproof.workspace.tree import give_to, remove

_IDENTITY = {f"GIT_{role}_{what}": "agent" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


async def run_attempt(
    item: ItemPlan, ready: Ready, run: RunStore, gateway: Gateway, cancelled: asyncio.Event
) -> tuple[AttemptStore, Status]:
    """Attempt `item` once, as the next number of its folder. `cancelled` ends it by its grace.

    Raises RecordError when the record itself cannot be written; every other failure is in the record.
    """
    prepared = ready.tasks[item.task]
    installation = ready.installations[item.agent]
    agent_sha256 = installation.sha256()  # takes a while: no folder without a record in the meantime
    store = run.new_attempt(item.id)
    facts = Facts(
        store,
        {
            "run": run.id,
            "item": item.id,
            "number": int(store.folder.name),
            "task": item.task,
            "agent": item.agent,
            "agent_version": installation.version,
            "agent_sha256": agent_sha256,
            "model": item.model,
            "sample": item.sample,
            "control": item.control,
            "opened_at": now(),
            "settings": {"limits": prepared.task.limits.model_dump(), "show_workload": prepared.task.show_workload},
        },
    )
    facts.enter("queued")
    attempt = _LiveAttempt(item, ready, gateway, cancelled, facts)
    with facts.failures():
        await attempt.prepare()
    if not facts.failed:
        with facts.failures():
            facts.enter("prepared")
            await attempt.run()
        with facts.failures():  # however it ended
            await asyncio.to_thread(attempt.collect)
        with facts.failures():
            facts.enter("collected")
    with facts.failures():
        await attempt.clear()
    facts.enter("sealed")
    status = derive(store)
    store.write_status(status)
    return store, status


class _LiveAttempt:
    """What one attempt holds while it lives. Attributes without a default are there after `prepare`."""

    agent: Agent
    box: Box
    home: Path
    launch: Launch
    scratch: Path
    workspace: Workspace

    def __init__(self, item: ItemPlan, ready: Ready, gateway: Gateway, cancelled: asyncio.Event, facts: Facts) -> None:
        self.item, self.ready, self.prepared = item, ready, ready.tasks[item.task]
        self.gateway, self.cancelled, self.facts = gateway, cancelled, facts
        self.session: Session | None = None
        self._undo = AsyncExitStack()

    async def prepare(self) -> None:
        """A fresh workspace and home, the prompt, the launch; raises LeakError when the answer is in any of them."""
        self.scratch = self.ready.cache.scratch("attempt")
        self._undo.push_async_callback(asyncio.to_thread, remove, self.scratch)
        sandbox, prepared, store = self.ready.sandbox, self.prepared, self.facts.store
        self.agent = self.ready.agent(self.item)
        commits = prepared.commits
        base = await asyncio.to_thread(
            prepare_base, commits.repository, commits.base_tree, sandbox.uid, self.ready.cache
        )
        workspace = self.workspace = await asyncio.to_thread(Workspace, base, self.scratch / "tree")
        self._undo.push_async_callback(asyncio.to_thread, workspace.remove)
        self.facts.fields["base_tree"] = base.tree
        home = self.home = self.scratch / "home"
        home.mkdir()
        tree_mount, home_mount = Mount(workspace.path, WORKSPACE, True), Mount(home, HOME, True)
        installation = self.ready.installations[self.item.agent]
        with_files = prepared.task.show_workload
        mounts = (tree_mount, home_mount, *prepared.mounts(with_files=with_files), *installation.mounts)
        prompt = sandbox.as_seen(render_prompt(prepared.task), mounts)
        store.write_text("prompt.md", prompt)
        self.facts.fields["prompt_sha256"] = hashlib.sha256(prompt.encode()).hexdigest()
        launch = self.launch = await self._launch(
            prompt, sandbox.as_seen(WORKSPACE, mounts), sandbox.as_seen(HOME, mounts)
        )
        variables = {**prepared.variables(), **_IDENTITY, **launch.env}
        if self.item.control is None:
            leaks = scan_text(prepared.answer, "the prompt", prompt) + scan_environment(prepared.answer, variables)
            refuse_leaks(prepared, leaks)
        launch.write_files(home)
        for name, text in launch.files.items():
            if text != prompt:
                store.write_config(name, self._without_token(text))
        if self.session is not None:
            self.session.watch(launch.configured)
        self.facts.fields["configured"] = tuple(
            _configured(name, setting, launch) for name, setting in launch.configured.items()
        )
        give_to(home, sandbox.uid)
        self.box = Box(
            argv=launch.argv,
            env=variables,
            mounts=mounts,
            interpreters=(*prepared.interpreters, *installation.interpreters),
        )
        own = tuple(f"{m.target} {'rw' if m.writable else 'ro'}" for m in mounts)
        self.facts.fields["sandbox"] = self.ready.facts.model_copy(
            update={"mounts": tuple(dict.fromkeys((*self.ready.facts.mounts, *own)))}
        )

    async def _launch(self, prompt: str, workspace: str, home: str) -> Launch:
        """How to start the agent; opens its session at the gateway where it uses a model."""
        port, token, model_name = MODEL_PORT, "", None
        if self.agent.uses_model:
            model = self.ready.models[str(self.item.model)]
            self.facts.fields["prices"] = price_list()
            wire, folder = self.ready.wire, self.facts.store.folder
            self.session = self.gateway.open(
                folder / "calls.jsonl",
                model,
                budget_of(self.prepared.task.limits),
                wire.rules(model),
                run=self.ready.meter,
                bodies=folder / "bodies.zst" if wire.bodies else None,
            )
            self._undo.push_async_callback(self.gateway.close, self.session)
            token, model_name = self.session.token, model.model
            if self.ready.sandbox.kind == "none":  # nothing hands out a socket: the host's loopback serves
                port = await self.gateway.listen(self.session)
        return self.agent.launch(
            LaunchContext(
                prompt=prompt,
                workspace=workspace,
                home=home,
                model=model_name,
                base_url=f"http://127.0.0.1:{port}",
                token=token,
                side_model=next(iter(self.ready.wire.side_models), None),
                parameters=self.ready.wire.configured,
            )
        )

    async def run(self) -> None:
        """Run the agent to its end or its limits."""
        stdin = self.scratch / "stdin"
        stdin.write_bytes(self.launch.stdin)
        launched = Launched(self.ready.sandbox, self.gateway, self.session, self.prepared.task.limits, self.cancelled)
        self.facts.enter("running")
        try:
            finished, stopped = await launched.run(self.box, stdin, self.facts.store.folder)
        finally:
            self.facts.enter("stopping")
        self.facts.fields["process"] = ProcessFacts(
            argv=tuple(map(self._without_token, self.box.argv)),
            exit_code=finished.exit_code,
            signal=finished.signal,
            wall_s=finished.wall_s,
            cpu_s=finished.cpu_s,
            max_rss_bytes=finished.max_rss_bytes,
            stopped_by=stopped,
        )

    def _without_token(self, text: str) -> str:
        return text.replace(self.session.token, "TOKEN") if self.session else text

    def collect(self) -> None:
        """The patch first: it must be there however badly the rest ends."""
        fields, store = self.facts.fields, self.facts.store
        fields["patch"] = self._patch()
        left = Left(home=self.home, stdout=store.log_lines("stdout.log.zst"), stderr=store.log_lines("stderr.log.zst"))
        fields["outcome"] = self.agent.outcome(left)
        trajectory = self.agent.trajectory(left)
        if trajectory is not None:
            name = f"trajectory{trajectory.suffix}"
            if _copy_untrusted(trajectory, store.folder / name):
                fields["trajectory"] = name

    def _patch(self) -> PatchFacts:
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
        await self._undo.aclose()


def _configured(name: str, setting: Setting, launch: Launch) -> Configured:
    """A configured parameter and where it stands, as the record keeps it: the last line that names it."""
    if setting.file not in launch.files:
        return Configured(name=name, value=setting.value, file="attempt.json")
    lines = list(enumerate(launch.files[setting.file].split("\n"), 1))
    line = next((number for number, text in reversed(lines) if setting.spelling in text), None)
    return Configured(name=name, value=setting.value, file=f"{CONFIG}/{setting.file}", line=line)


def _copy_untrusted(source: Path, target: Path) -> bool:
    file = open_untrusted(source)
    if file is None:
        return False
    with file, target.open("xb") as copy:
        shutil.copyfileobj(file, copy)
    return True
