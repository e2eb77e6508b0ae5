"""The engine of a run: everything is made ready, then attempted, then judged; a run that was cut off goes on."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Literal

from speedproof import __version__
from speedproof.execution.host import host_facts
from speedproof.execution.judging import evaluate_run
from speedproof.execution.method import require_known
from speedproof.execution.notify import Notifier
from speedproof.execution.plan import require_same
from speedproof.execution.planned import make_plan
from speedproof.execution.preflight import Ready, choose_sandbox, make_ready
from speedproof.execution.probe import Probed
from speedproof.execution.recovery import recover
from speedproof.execution.schedule import Schedule, replayed
from speedproof.execution.sealing import sealed_event
from speedproof.execution.setup import Setup, kept, setup_of
from speedproof.execution.work import Audience, Work
from speedproof.gateway.models import SCRIPTED
from speedproof.journal import ItemPlan, Method, RunManifest, RunStore, Setting, Store
from speedproof.journal.base import now
from speedproof.journal.events import (
    AttemptSealed,
    Event,
    ItemExcluded,
    Judged,
    JudgingBegan,
    JudgingFailed,
    LaneProbed,
    RunBegan,
    Stopped,
)
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
    ready = _make_ready(loaded, items, setup, cache, method, audience, state)
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
    with run.held():
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
    with run.held():
        manifest = run.manifest()
        setup = setup_of(manifest)
        setup = setup if jobs is None else replace(setup, jobs=jobs)
        events, _ = run.events()
        schedule = replayed(manifest.items, setup.retries, setup.breaker, events)
        with closing(run.open_events()) as log:
            for store, status in recover(run, cache, events):
                audience.stage(f"{store.name} was not closed by the process before, and is now: {status.run}")
                sealed = sealed_event(store, status)
                log.append(sealed)
                schedule.apply(sealed)
                events.append(sealed)
        owed = {retry.item for retry in schedule.owed()}
        left = [i.plan for i in schedule.items.values() if i.plan.id in owed or schedule.state(i) != "done"]
        if not left and events and isinstance(events[-1], Judged):
            return False
        require_same(loaded, left, run.id)
        proven = {name for name, lane in schedule.lanes.items() if lane.ever_answered}
        probes: dict[str, Probed] = {}
        try:
            ready = _make_ready(
                loaded, left, setup, cache, manifest.method, audience, run.folder.parents[1], proven, probes
            )
        except BaseException:
            with closing(run.open_events()) as log:
                for probed in _probed(run, probes):
                    log.append(probed)  # what it spent is spent
            raise
        for event in events:
            if isinstance(event, AttemptSealed | LaneProbed):
                ready.meter.carry(event.calls, event.usage, event.cost_usd)
        _carry_out(run, loaded, ready, setup, schedule, audience, resumed=True)
    return True


def _make_ready(
    loaded: LoadedSuite,
    items: Sequence[ItemPlan],
    setup: Setup,
    cache: Cache,
    method: Method,
    audience: Audience,
    state: Path,
    proven: Collection[str] = (),
    probes: dict[str, Probed] | None = None,
) -> Ready:
    require_known(method)  # before anything is spent on what could not be judged
    expected_s = None
    if any(item.model is not None and not item.model.startswith(f"{SCRIPTED}:") for item in items):  # a login may end
        plan = make_plan(loaded, items, state=state, cache=cache, method=method, jobs=setup.jobs)
        expected_s = plan.totals.duration_s.high
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
        strict=setup.strict,
        expected_s=expected_s,
        state=state,
        jobs=setup.jobs,
        proven=proven,
        probes=probes,
        told=audience.stage,
    )


def _probed(run: RunStore, probes: Mapping[str, Probed]) -> Iterator[LaneProbed]:
    """The events of these probes, whose calls are now the run's."""
    for lane, probed in probes.items():
        yield LaneProbed(
            at=now(),
            lane=lane,
            file=run.add_probe(probed.wire),
            calls=probed.calls,
            usage=probed.usage,
            usage_unknown_calls=probed.usage_unknown_calls,
            cost_usd=probed.cost_usd,
            cost_unknown_calls=probed.cost_unknown_calls,
            broken=probed.broken,
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
    notifier = Notifier(setup.notify, run, audience.stage)

    def record(event: Event) -> None:
        log.append(event)
        audience.event(event)
        notifier.tell(event)

    with closing(log), notifier:
        work = Work(run, ready, setup, schedule, record, audience.stage)
        work.record(RunBegan(at=now(), pid=os.getpid(), jobs=work.jobs, resumed=resumed))
        if resumed:
            for closed in list(schedule.resumed(now())):
                work.record(closed)
            for retry in list(schedule.owed()):
                work.record(retry)
        for probed in _probed(run, ready.probes):
            work.record(probed)
            ready.meter.carry(probed.calls, probed.usage, probed.cost_usd)
        for item, exclusion in ready.excluded.items():
            work.record(ItemExcluded(at=now(), item=item, why=exclusion.why, hint=exclusion.hint))
        if work.attempt_all():
            raise KeyboardInterrupt
        record(JudgingBegan(at=now()))
        try:
            evaluate_run(
                run,
                loaded,
                ready.sandbox,
                ready.cache,
                prepared=ready.tasks,
                beside_agents=setup.beside_agents,
                coverage=setup.coverage,
                told=audience.judging,
                failed=lambda task, error: record(JudgingFailed(at=now(), task=task, error=error)),
            )
        except KeyboardInterrupt:
            record(Stopped(at=now(), by="SIGINT", at_once=True))
            raise
        record(Judged(at=now()))
