"""The work of one process on a run: it lets begin what the schedule allows and finds room, and records what follows."""

import asyncio
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

from speedproof.errors import RecordError
from speedproof.execution.attempt import run_attempt
from speedproof.execution.machine import room
from speedproof.execution.preflight import Ready
from speedproof.execution.schedule import Schedule
from speedproof.execution.sealing import sealed_event
from speedproof.execution.setup import Setup
from speedproof.execution.stop import Stop
from speedproof.gateway import Gateway
from speedproof.journal import AttemptStore, FailureClass, ItemPlan, RunStore, Status
from speedproof.journal.base import now
from speedproof.journal.events import AttemptBegan, Event, LaneOpened, RunLimit, Stopped
from speedproof.journal.pace import PaceChange, ProviderDown
from speedproof.tasks.models import Resources
from speedproof.workspace.machine import AgentsAtWork

LONGEST_REST_S = 6 * 3600.0
"""Seconds that a run waits, with nothing else to do, for a limit to reset; beyond, it ends and can be resumed."""
_LOOK_S = 0.5
"""Seconds between two looks whether somebody still measures."""


class Audience(Protocol):
    """Who is told how a run goes on."""

    def stage(self, what: str) -> None:
        """Something long began, in one line."""
        ...

    def event(self, event: Event) -> None:
        """Something was recorded in the scheduler's log."""
        ...

    def judging(self, task: str, what: str) -> None:
        """What judging is doing on a task."""
        ...


class Work:
    """The attempts of a run, as far as one process makes them."""

    def __init__(
        self,
        run: RunStore,
        ready: Ready,
        setup: Setup,
        schedule: Schedule,
        record: Callable[[Event], None],
        told: Callable[[str], None],
    ) -> None:
        """`record` writes an event to the scheduler's log and tells whoever listens; `told` hears what is waited
        for."""
        self.run, self.ready, self.setup, self.schedule = run, ready, setup, schedule
        self._record, self._say = record, told
        self._room = room(setup.jobs)
        self.jobs = setup.jobs if setup.jobs != "auto" else self._room.most(self._needs_of_all())
        """Attempts at once, at most."""
        self._agents = AgentsAtWork(ready.cache, f"run {run.id}")
        self._measured_by: str | None = None
        """Who measures on this machine, so that no attempt begins; null: nobody."""
        self._tasks: dict[asyncio.Task[tuple[AttemptStore, Status]], ItemPlan] = {}
        self._stop = Stop()
        self._moved = asyncio.Event()
        """Set when what may begin has changed otherwise than by the end of an attempt."""
        self._looked_at = now()
        """The time by which it was last decided what may begin: what falls due later wakes the run."""
        self._failure: Exception | None = None
        """Why nothing more can be recorded; the run ends."""

    def attempt_all(self) -> bool:
        """Make attempts until none is left to make now. Returns whether somebody asked to stop.

        Raises RecordError when the record cannot be written, after every attempt under way has ended.
        """
        return asyncio.run(self._attempt_all())

    def record(self, event: Event) -> None:
        """Write an event, and act by it."""
        self._record(event)
        self.schedule.apply(event)

    async def _attempt_all(self) -> bool:
        loop = asyncio.get_running_loop()
        # each attempt waits for its process in a thread, and needs others to be looked at, ended and collected
        loop.set_default_executor(ThreadPoolExecutor(3 * self.jobs + 8, "attempts"))
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._asked_to_stop, signal.Signals(number).name)
        async with Gateway(self._told, self.setup.wire.patience) as gateway:
            try:
                while not self._stop.asked.is_set():
                    self._begin(gateway)
                    if not await self._wait():
                        break
            except BaseException:  # a bug of ours: what runs is ended and sealed all the same
                self._stop.asked.set()
                raise
            finally:
                while self._tasks:
                    await self._wait()
        if self._failure is not None:
            raise self._failure
        return self._stop.asked.is_set()

    def _asked_to_stop(self, by: str) -> None:
        self._guarded(Stopped(at=now(), by=by, at_once=self._stop.asked.is_set()))
        self._stop.ask()
        self._moved.set()

    def _begin(self, gateway: Gateway) -> None:
        """Let begin what may begin."""
        self._looked_at = now()
        for closed in self.schedule.due(self._looked_at):
            self.record(closed)
        while (item := self._next()) is not None:
            if item.model is not None and (limit := self.ready.meter.exhausted()) is not None:
                self.record(RunLimit(at=now(), item=item.id, limit=limit))
                continue
            if not self._may_work():
                return
            try:
                store = self.run.new_attempt(item.id)
                self.record(AttemptBegan(at=now(), item=item.id, number=int(store.folder.name)))
            except BaseException:
                self._agents.leave()
                raise
            task = asyncio.create_task(
                run_attempt(store, item, self.ready, gateway, self._stop, partial(self._answered, item))
            )
            self._tasks[task] = item
        self._measured_by = None  # nobody waits for whoever measures

    def _next(self) -> ItemPlan | None:
        """The first item that may begin and finds room; None when there is none now."""
        if len(self._tasks) >= self.jobs:
            return None
        running = [self._needs(item) for item in self._tasks.values()]
        fitting = (
            item for item in self.schedule.startable(self._looked_at) if self._room.fits(running, self._needs(item))
        )
        return next(fitting, None)

    def _needs(self, item: ItemPlan) -> Resources:
        return self.ready.tasks[item.task].task.resources

    def _needs_of_all(self) -> list[Resources]:
        items = (item.plan for item in self.schedule.items.values() if item.plan.id not in self.ready.excluded)
        return [self._needs(item) for item in items if item.task in self.ready.tasks]

    def _may_work(self) -> bool:
        """Let one more agent work on this machine, unless somebody measures there, which is told."""
        measured_by = self._agents.enter()
        if measured_by is not None and measured_by != self._measured_by:
            self._say(f"attempts wait while somebody measures: {measured_by}")
        self._measured_by = measured_by
        return measured_by is None

    def _answered(self, item: ItemPlan) -> None:
        self.schedule.answered(item.id)
        self._moved.set()

    async def _wait(self) -> bool:
        """Wait until something may have changed, and record what did. Returns False when nothing will change."""
        timeout = None
        if not self._stop.asked.is_set():
            if (wakes_at := self.schedule.wakes_at(self._looked_at)) is not None:
                timeout = max(0.0, (wakes_at - now()).total_seconds())
            if self._measured_by is not None:
                timeout = min(_LOOK_S, _LOOK_S if timeout is None else timeout)
        if not self._tasks and (timeout is None or timeout > LONGEST_REST_S):
            return False
        self._moved.clear()
        moved = asyncio.create_task(self._moved.wait())
        try:
            await asyncio.wait({*self._tasks, moved}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            moved.cancel()
        for task in [task for task in self._tasks if task.done()]:
            del self._tasks[task]
            self._agents.leave()
            self._ended(task)
        return True

    def _ended(self, task: "asyncio.Task[tuple[AttemptStore, Status]]") -> None:
        try:
            store, status = task.result()
            sealed = sealed_event(store, status)
            self.record(sealed)
            for event in list(self.schedule.after(sealed)):
                self.record(event)
            _require_space(store, status)
        except Exception as error:  # noqa: BLE001 - a bug of ours too: what runs is ended and sealed first, then it is raised
            self._fail(error)

    def _told(self, news: PaceChange | ProviderDown) -> None:
        """The gateway learned something of a provider, within a call: the run must end by what goes wrong, not the
        call."""
        self._guarded(news)
        if isinstance(news, ProviderDown):
            for event in self._lanes_down(news):
                self._guarded(event)

    def _lanes_down(self, news: ProviderDown) -> list[LaneOpened]:
        """Every lane of a provider that serves no more calls opens at once."""
        opened = []
        for lane in self.schedule.lanes.values():
            model = self.ready.models.get(str(lane.model))
            if lane.opened is not None or model is None or model.served_by != news.provider:
                continue
            running = [item for item in self._tasks.values() if item.lane == lane.name]
            attempts = tuple(f"{item.id}/{self.schedule.items[item.id].running:02d}" for item in running)
            opened.append(
                LaneOpened(
                    at=news.at,
                    lane=lane.name,
                    failure=news.failure,
                    fingerprint=news.failure.value,
                    message=f"{news.provider} serves no more calls: {news.message}",
                    attempts=attempts,
                    resets_at=news.resets_at,
                )
            )
        return opened

    def _guarded(self, event: Event) -> None:
        try:
            self.record(event)
        except RecordError as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self._stop.asked.set()
        self._moved.set()


def _require_space(attempt: AttemptStore, status: Status) -> None:
    """Raises RecordError when the attempt ended for lack of disk space: the next ones would too."""
    if status.diagnosis is None or status.diagnosis.failure is not FailureClass.DISK_FULL:
        return
    if attempt.read().error is not None:
        raise RecordError(
            f"attempt {attempt.name} ended because no space left on device: {status.diagnosis.message}",
            hint="free disk space, then `speedproof resume`; what is sealed stands",
        )
