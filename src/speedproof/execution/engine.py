"""The engine of a run: manifest first, then each item's attempt, then judging."""

import asyncio
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from speedproof import __version__
from speedproof.errors import RecordError
from speedproof.execution.attempt import run_attempt
from speedproof.execution.host import host_facts
from speedproof.execution.judging import evaluate_run
from speedproof.execution.preflight import make_ready
from speedproof.execution.wire import AS_ASKED, Wire
from speedproof.gateway import Gateway
from speedproof.journal import (
    AttemptStore,
    FailureClass,
    ItemPlan,
    Method,
    RunManifest,
    RunStore,
    Setting,
    Status,
    Store,
)
from speedproof.journal.base import now
from speedproof.journal.pace import PaceChange, ProviderDown
from speedproof.journal.store import new_run_id
from speedproof.sandbox import Sandbox
from speedproof.tasks.suite import LoadedSuite
from speedproof.workspace.cache import Cache


class Audience(Protocol):
    """Who is told how a run goes on."""

    def stage(self, what: str) -> None:
        """Something long began, in one line."""
        ...

    def began(self, item: ItemPlan) -> None:
        """An attempt at this item began."""
        ...

    def ended(self, item: ItemPlan, status: Status) -> None:
        """The attempt is sealed."""
        ...

    def skipped(self, item: ItemPlan, why: str) -> None:
        """No attempt at this item is begun."""
        ...

    def judging(self, task: str, what: str) -> None:
        """What judging is doing on a task."""
        ...


def execute_run(
    loaded: LoadedSuite,
    items: Sequence[ItemPlan],
    *,
    sandbox: Sandbox,
    state: Path,
    cache: Cache,
    method: Method,
    settings: Mapping[str, Setting],
    audience: Audience,
    base_url: str | None = None,
    env_file: Path | None = None,
    agent_paths: Mapping[str, Path] | None = None,
    wire: Wire = AS_ASKED,
) -> RunStore:
    """Run every item once, then judge what they left. Ctrl-C ends the current attempt by its grace, sealed.

    Raises SpeedproofError before anything is spent when something is missing, RecordError when the disk is full,
    KeyboardInterrupt after a Ctrl-C: with every record whole.
    """
    ready = make_ready(
        loaded,
        items,
        sandbox,
        cache,
        method,
        base_url=base_url,
        env_file=env_file,
        agent_paths=agent_paths,
        wire=wire,
        told=audience.stage,
    )
    manifest = RunManifest(
        id=new_run_id(),
        created_at=now(),
        speedproof=__version__,
        suite=loaded.suite.name,
        suite_file=str(loaded.file),
        suite_digest=loaded.digest(),
        host=host_facts(),
        settings=dict(settings),
        method=method,
        items=tuple(items),
    )
    run = Store(state).create_run(manifest)
    lock = run.lock()
    events = run.events()

    async def attempts() -> bool:
        cancelled = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, cancelled.set)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, cancelled.set)

        unwritten: list[RecordError] = []

        def told(news: PaceChange | ProviderDown) -> None:
            try:
                events.append(news.model_dump_json())
            except RecordError as error:  # inside a call: the run must end, not the call
                unwritten.append(error)
                cancelled.set()
            if isinstance(news, ProviderDown):
                until = "" if news.resets_at is None else f" until {news.resets_at:%Y-%m-%d %H:%M} UTC"
                audience.stage(f"{news.provider} serves no more calls{until}: {news.failure.value}: {news.message}")

        async with Gateway(told, wire.patience) as gateway:
            for item in items:
                if cancelled.is_set():
                    break
                if (limit := ready.meter.exhausted()) is not None and item.model is not None:
                    events.append({"at": now().isoformat(), "event": "run_limit", "limit": limit, "item": item.id})
                    audience.skipped(item, f"the run's limit ({limit}) is used up")
                    continue
                audience.began(item)
                events.append({"at": now().isoformat(), "event": "attempt_began", "item": item.id})
                store, status = await run_attempt(item, ready, run, gateway, cancelled)
                events.append({"at": now().isoformat(), "event": "attempt_sealed", "item": item.id, "run": status.run})
                audience.ended(item, status)
                _require_space(store, status)
        if unwritten:
            raise unwritten[0]
        return cancelled.is_set()

    try:
        if asyncio.run(attempts()):
            events.append({"at": now().isoformat(), "event": "cancelled"})
            raise KeyboardInterrupt
        evaluate_run(run, loaded, sandbox, cache, prepared=ready.tasks, told=audience.judging)
        events.append({"at": now().isoformat(), "event": "judged"})
    finally:
        events.close()
        run.unlock(lock)
    return run


def _require_space(attempt: AttemptStore, status: Status) -> None:
    """Raises RecordError when the attempt ended for lack of disk space: the next ones would too."""
    if status.diagnosis is None or status.diagnosis.failure is not FailureClass.DISK_FULL:
        return
    if attempt.read().error is not None:
        raise RecordError(
            f"attempt {attempt.name} ended because no space left on device: {status.diagnosis.message}",
            hint="free disk space, then start the run again; what is sealed stands",
        )
