"""Replay: the agent of a recorded attempt once more, on a fresh workspace, against the recorded answers."""

import asyncio
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from speedproof.agents.registry import agent_name, get_agent
from speedproof.errors import InputError, SpeedproofError
from speedproof.evaluation.prepared import PreparedTask, prepare_task
from speedproof.execution.attempt import run_attempt
from speedproof.execution.preflight import Ready, Told
from speedproof.execution.stop import Stop
from speedproof.execution.wire import Wire, parameters_of, pins_of
from speedproof.gateway import Gateway, ModelChoice, Patience
from speedproof.gateway.models import SCRIPTED, model_name
from speedproof.gateway.replayed import Difference, ReplayedModel
from speedproof.journal import Attempt, AttemptStore, ItemPlan, Record, RunManifest, RunStore, StopCause
from speedproof.journal.output import whole_folder
from speedproof.sandbox import Sandbox
from speedproof.tasks.models import Limits
from speedproof.tasks.suite import LoadedSuite
from speedproof.workspace.cache import Cache, silent
from speedproof.workspace.machine import agents_at_work
from speedproof.workspace.tree import remove


class Replayed(Record):
    """What a replay showed."""

    attempt: str
    """The attempt that was replayed: run/item/number."""
    agent: str
    """Its agent."""
    model: str
    """The model that it was recorded with."""
    recorded_version: str | None
    """The agent's version when it was recorded; null when it did not say."""
    version: str | None
    """The agent's version now; null when it does not say."""
    recorded_calls: int
    """Calls in the record that the agent got an answer to, or waited for."""
    replayed_calls: int
    """How many of them were made again."""
    difference: Difference | None
    """The first difference; null when there is none."""
    stopped_by: StopCause | None
    """The limit that ended the replay; null when none did."""
    seconds: float
    """How long the replay took, all that is prepared beforehand left out."""
    kept: str | None = None
    """The folder that holds the record of the replay; null when it was not kept."""


def replay_attempt(
    store: AttemptStore,
    loaded: LoadedSuite,
    sandbox: Sandbox,
    cache: Cache,
    *,
    agent_paths: Mapping[str, Path] | None = None,
    keep: Path | None = None,
    told: Told = silent,
) -> Replayed:
    """Run the agent of an attempt again, under its limits, answered from its record.

    The attempt stays as it is; the record of the replay goes to `keep`, else nowhere. Raises InputError for an attempt
    that cannot be replayed, and the SpeedproofError that keeps its agent from being launched; KeyboardInterrupt after
    a Ctrl-C.
    """
    run = RunStore(store.folder.parents[2])
    attempt, manifest = store.read(), run.manifest()
    item = _item(attempt, manifest, run)
    if keep is not None and keep.exists():
        raise InputError("the folder exists already", file=keep, hint="--keep another folder")
    wire = _wire(manifest)
    path = (agent_paths or {}).get(agent_name(item.agent))
    agent = get_agent(item.agent, path, cache=cache)
    cut_short = attempt.process is None or attempt.process.stopped_by is not None
    model = ReplayedModel(store, cut_short=cut_short)
    # under the scripted provider's name: it costs nothing
    choice = ModelChoice(str(item.model), SCRIPTED, model_name(str(item.model))[1], model)
    model.read(wire.rules(choice))
    told(f"{item.task}: preparing")
    prepared = _prepared(attempt, item, loaded, cache)
    told(f"{item.agent}: locating")
    installation = agent.locate(told)
    ready = Ready(
        sandbox,
        sandbox.probe(),
        cache,
        tasks={item.task: prepared},
        installations={item.agent: installation},
        agents={item.agent: agent},
        wire=wire,
        models={choice.asked: choice},
    )
    told(f"{item.agent}: running again")
    scratch = cache.scratch("replay")
    began = time.monotonic()
    try:
        with agents_at_work(cache, f"a replay of {store.name}", told):
            again, interrupted = asyncio.run(_run(item, ready, RunStore(scratch / run.id), model))
        seconds = time.monotonic() - began
        facts = again.read()
        if facts.error is not None:
            raise SpeedproofError(f"the replay failed: {facts.error.message}", hint=f"speedproof explain {store.name}")
        if keep is not None:
            with whole_folder(keep, hint="free space, or --keep another folder") as kept:
                shutil.copytree(again.folder, kept, dirs_exist_ok=True)
    finally:
        remove(scratch)
    if interrupted:
        raise KeyboardInterrupt
    stopped = None if facts.process is None else facts.process.stopped_by
    return Replayed(
        attempt=store.name,
        agent=item.agent,
        model=choice.asked,
        recorded_version=attempt.agent_version,
        version=installation.version,
        recorded_calls=model.recorded,
        replayed_calls=model.answered,
        difference=model.finish(),
        stopped_by=None if stopped is StopCause.CANCELLED else stopped,
        seconds=seconds,
        kept=None if keep is None else str(keep),
    )


def _item(attempt: Attempt, manifest: RunManifest, run: RunStore) -> ItemPlan:
    """The item of an attempt that can be replayed. Raises InputError."""
    if attempt.model is None:
        raise InputError(f"{attempt.agent} calls no model: there is nothing to replay", hint="name another attempt")
    if attempt.state == "open" and run.is_locked():
        raise InputError(f"run {run.id} still works on this attempt", hint="wait for its end")
    return next(item for item in manifest.items if item.id == attempt.item)


def _prepared(attempt: Attempt, item: ItemPlan, loaded: LoadedSuite, cache: Cache) -> PreparedTask:
    """The task as it was, with the limits of the attempt. Raises InputError when it is another one now."""
    task = loaded.task(item.task)
    if loaded.task_digest(task) != item.task_digest:
        raise InputError(
            f"task {item.task} is not what it was when the attempt was made",
            file=loaded.file,
            hint="bring back the suite of that time",
        )
    prepared = prepare_task(loaded, task, cache)
    if attempt.base_tree not in {None, prepared.commits.base_tree}:
        raise InputError(
            f"task {item.task}: its base commit is not the one that the attempt began from",
            file=loaded.file,
            hint="name base and expert by their full commit ids: a branch or tag has moved",
        )
    limits = Limits.model_validate(attempt.settings["limits"])
    return replace(prepared, task=prepared.task.model_copy(update={"limits": limits}))


def _wire(manifest: RunManifest) -> Wire:
    """What the run asked of the wire, from its settings (cli/run.py names them)."""

    def given(name: str, default: Any) -> Any:
        setting = manifest.settings.get(name)
        return default if setting is None else setting.value

    return Wire(
        configured=parameters_of(given("configure", ()), "--set"),
        pins=pins_of(given("pin", ())),
        side_models=tuple(given("side_model", ())),
        repair=given("repair", False),
        stop=given("stop_illegal", False),
    )


async def _run(item: ItemPlan, ready: Ready, run: RunStore, model: ReplayedModel) -> tuple[AttemptStore, bool]:
    """The replay's own attempt, and whether a person interrupted it."""
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        model.over.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, interrupt)
    async with Gateway(patience=Patience(most_tries=1)) as gateway:  # the record holds what came of all tries
        store, _ = await run_attempt(run.new_attempt(item.id), item, ready, gateway, Stop(model.over))
    return store, interrupted
