"""The engine of a run: everything is made ready, then attempted, then judged; a run that was cut off goes on."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from speedproof import __version__
from speedproof.errors import InputError
from speedproof.execution.host import host_facts
from speedproof.execution.judging import evaluate_run
from speedproof.execution.preflight import Ready, choose_sandbox, make_ready
from speedproof.execution.schedule import Schedule, replayed
from speedproof.execution.setup import Setup, kept, setup_of
from speedproof.execution.work import Audience, Work
from speedproof.journal import ItemPlan, Method, RunManifest, RunStore, Setting, Store
from speedproof.journal.base import now
from speedproof.journal.events import Event, Judged, JudgingBegan, RunBegan
from speedproof.journal.store import new_run_id
from speedproof.tasks.suite import LoadedSuite
from speedproof.workspace.cache import Cache


def execute_run(
    loaded: LoadedSuite,
    items: Sequence[ItemPlan],
    setup: Setup,
    *,
    state: Path,
    cache: Cache,
    method: Method,
    settings: Mapping[str, Setting],
    audience: Audience,
) -> RunStore:
    """Attempt every item, judge what they left. Ctrl-C ends the attempts by their grace, a second one at once, sealed.

    Raises SpeedproofError before anything is spent when something is missing, RecordError when the disk is full,
    KeyboardInterrupt after a Ctrl-C: with every record whole.
    """
    ready = _make_ready(loaded, items, setup, cache, method, audience)
    manifest = RunManifest(
        id=new_run_id(),
        created_at=now(),
        speedproof=__version__,
        suite=loaded.suite.name,
        suite_file=str(loaded.file),
        suite_digest=loaded.digest(),
        host=host_facts(),
        settings=dict(settings),
        setup=kept(setup),
        method=method,
        items=tuple(items),
    )
    run = Store(state).create_run(manifest)
    with _held(run):
        schedule = Schedule(items, setup.retries, setup.breaker)
        _carry_out(run, loaded, ready, setup, schedule, audience, resumed=False)
    return run


def resume_run(
    run: RunStore, loaded: LoadedSuite, *, cache: Cache, audience: Audience, jobs: int | Literal["auto"] | None = None
) -> bool:
    """Go on with a run that was stopped or killed. Returns False when nothing of it was left to do.

    `jobs` stands in place of the run's own. Raises as execute_run, and InputError when another process works on the
    run, or its tasks have changed since.
    """
    with _held(run):
        manifest = run.manifest()
        setup = setup_of(manifest)
        setup = setup if jobs is None else replace(setup, jobs=jobs)
        events, _ = run.events()
        schedule = replayed(manifest.items, setup.retries, setup.breaker, events)
        left = [item.plan for item in schedule.items.values() if schedule.state(item) != "done"]
        if not left and events and isinstance(events[-1], Judged):
            return False
        for item in left:
            _require_same(loaded, item, run)
        ready = _make_ready(loaded, left, setup, cache, manifest.method, audience)
        _carry_out(run, loaded, ready, setup, schedule, audience, resumed=True)
    return True


def _make_ready(
    loaded: LoadedSuite, items: Sequence[ItemPlan], setup: Setup, cache: Cache, method: Method, audience: Audience
) -> Ready:
    return make_ready(
        loaded,
        items,
        choose_sandbox(setup.sandbox),
        cache,
        method,
        base_url=setup.base_url,
        env_file=setup.env_file,
        agent_paths=setup.agent_paths,
        wire=setup.wire,
        told=audience.stage,
    )


def _carry_out(
    run: RunStore,
    loaded: LoadedSuite,
    ready: Ready,
    setup: Setup,
    schedule: Schedule,
    audience: Audience,
    *,
    resumed: bool,
) -> None:
    """Make the attempts that are left, then judge. Raises KeyboardInterrupt when somebody asked to stop."""
    log = run.open_events()

    def record(event: Event) -> None:
        log.append(event)
        audience.event(event)

    try:
        work = Work(run, ready, setup, schedule, record)
        work.record(RunBegan(at=now(), pid=os.getpid(), jobs=work.jobs, resumed=resumed))
        if resumed:
            for closed in list(schedule.resumed(now())):
                work.record(closed)
            for retry in list(schedule.owed()):
                work.record(retry)
        if work.attempt_all():
            raise KeyboardInterrupt
        record(JudgingBegan(at=now()))
        evaluate_run(run, loaded, ready.sandbox, ready.cache, prepared=ready.tasks, told=audience.judging)
        record(Judged(at=now()))
    finally:
        log.close()


def _require_same(loaded: LoadedSuite, item: ItemPlan, run: RunStore) -> None:
    """Raises InputError when the item's task is not what it was when the run was planned."""
    if loaded.task_digest(loaded.task(item.task)) != item.task_digest:
        raise InputError(
            f"task {item.task} is not what it was when run {run.id} was planned",
            file=loaded.file,
            hint="bring back the suite of that time, or start a new run",
        )


@contextmanager
def _held(run: RunStore) -> Iterator[None]:
    """Hold the run's lock. Raises InputError when another process has it."""
    lock = run.lock()
    try:
        yield
    finally:
        run.unlock(lock)
