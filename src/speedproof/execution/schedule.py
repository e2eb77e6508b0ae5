"""The schedule of a run: what may be attempted next, and what follows from an attempt.

Its state is a fold of the run's events alone, so a process that resumes a run knows what the one before it knew. It
decides by returning events; who records one applies it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import get_args

from speedproof.execution.retrying import Retries
from speedproof.journal import FailureClass, ItemPlan
from speedproof.journal.events import (
    AttemptBegan,
    AttemptSealed,
    Event,
    LaneClosed,
    LaneOpened,
    RetryPlanned,
    RunBegan,
)
from speedproof.journal.item_log import ItemEvent, ItemLog, ItemState

State = ItemState
"""Where an item stands."""

NO_ANSWER = "no model call succeeded"
"""What failures have in common that have no fingerprint in common, and open a lane all the same."""


@dataclass
class Item(ItemLog):
    """What is known of one item."""

    plan: ItemPlan
    began_at: datetime | None = None
    """When its first attempt began."""

    @property
    def cut_off(self) -> bool:
        """Whether its last attempt was cut off, so that it says nothing."""
        return bool(self.sealed) and self.sealed[-1].cut_off

    @property
    def failures(self) -> int:
        """Attempts that failed for a reason that may pass."""
        return sum(not s.cut_off and _transient(s.failure) for s in self.sealed)


@dataclass
class Lane:
    """What is known of one agent with one model."""

    name: str
    model: str | None
    """Its model; null for the patch agent, which calls none."""
    answered: bool = False
    """Whether a call has succeeded since the lane began or went on."""
    ever_answered: bool = False
    """Whether one has succeeded in this run at all."""
    running: int = 0
    streak: list[AttemptSealed] = field(default_factory=list)
    """Its last attempts, oldest first, as far as each failed in a way that others of the lane may share."""
    opened: LaneOpened | None = None
    """Why nothing is spent on it; null while it goes on."""

    @property
    def busy(self) -> bool:
        """Whether another attempt has to wait for the one that tries the lane out."""
        return self.model is not None and not self.answered and self.running > 0

    @property
    def alike(self) -> list[AttemptSealed]:
        """Its last failures, oldest first, as far as they are one and the same: by their fingerprint, or because no
        model call succeeded in any of them. What fails at its start says so in other words wherever its log broke off.
        """
        last = self.streak[-1:]
        same = list(takewhile(lambda s: s.fingerprint == last[0].fingerprint, reversed(self.streak)))
        mute = [] if self.model is None else list(takewhile(lambda s: not s.answered, reversed(self.streak)))
        return max(same, mute, key=len)[::-1]


class Schedule:
    """The items of a run and their lanes."""

    def __init__(self, items: Sequence[ItemPlan], retries: Retries, breaker: int) -> None:
        """`breaker`: consecutive attempts that failed alike, and thereby open their lane."""
        self.items = {plan.id: Item(plan) for plan in items}
        self.lanes: dict[str, Lane] = {}
        for plan in items:
            self.lanes.setdefault(plan.lane, Lane(plan.lane, plan.model))
        self.retries, self.breaker = retries, breaker
        self._open = dict.fromkeys(self.items)

    def apply(self, event: Event) -> None:
        """Take in what was recorded. An event of an item that the run does not hold changes nothing."""
        if isinstance(event, RunBegan):
            self._begin(event)
        elif isinstance(event, LaneOpened | LaneClosed):
            lane = self.lanes.get(event.lane)
            if lane is not None:
                lane.opened = event if isinstance(event, LaneOpened) else None
                lane.streak, lane.answered = [], False
        elif isinstance(event, ItemEvent):
            item = self.items.get(event.item)
            if item is not None:
                self._take(item, event)

    def _begin(self, event: RunBegan) -> None:
        """Another process has taken the run up: nothing runs, and what was found broken is looked at again."""
        for item in self.items.values():
            item.take(event)
        for lane in self.lanes.values():
            lane.running, lane.answered = 0, False
        self._open = {name: None for name, item in self.items.items() if self.state(item) != "done"}

    def _take(self, item: Item, event: ItemEvent) -> None:
        lane = self.lanes[item.plan.lane]
        ran = item.running is not None
        item.take(event)
        if isinstance(event, AttemptBegan | AttemptSealed):
            item.began_at = item.began_at or event.at
            lane.running += (item.running is not None) - ran
        if isinstance(event, AttemptSealed):
            lane.answered = lane.answered or event.answered
            lane.ever_answered = lane.ever_answered or event.answered
            self._count(lane, event)
        if self.state(item) in {"done", "excluded"}:
            self._open.pop(item.plan.id, None)
        else:
            self._open.setdefault(item.plan.id)

    def _count(self, lane: Lane, sealed: AttemptSealed) -> None:
        if sealed.cut_off:
            return
        if _of_lane(sealed):
            lane.streak.append(sealed)
        else:
            lane.streak = []

    def answered(self, item: str) -> None:
        """A call of this item's running attempt has succeeded: its lane works."""
        self.lanes[self.items[item].plan.lane].answered = True

    def state(self, item: Item) -> State:
        """Where an item stands."""
        return item.stands(self.lanes[item.plan.lane].opened)[0]

    def startable(self, now: datetime) -> Iterator[ItemPlan]:
        """Items of which any may be attempted at this time, in the plan's order; those that were cut off last, so that
        one which takes the harness down with it does not keep the others from their turn."""
        for name, cut_off in ((name, cut_off) for cut_off in (False, True) for name in self._open):
            item = self.items[name]
            if item.cut_off is not cut_off:
                continue
            if self.state(item) not in {"waiting", "retrying"} or self.lanes[item.plan.lane].busy:
                continue
            if item.retry is None or item.retry.not_before <= now:
                yield item.plan

    def wakes_at(self, after: datetime) -> datetime | None:
        """When the next item or lane goes on by itself, later than `after`; None: nothing does. What could go on before
        that waits for something else: for room, or for its lane to be tried out."""
        moments: list[datetime | None] = []
        for name in self._open:
            item = self.items[name]
            state, opened = self.state(item), self.lanes[item.plan.lane].opened
            if state == "retrying" and item.retry is not None:
                moments.append(item.retry.not_before)
            elif state == "held" and item.limited is None and opened is not None:
                moments.append(opened.resets_at)
        later = (moment for moment in moments if moment is not None and moment > after)
        return min(later, default=None)

    def after(self, sealed: AttemptSealed) -> Iterator[RetryPlanned | LaneOpened]:
        """What follows from an attempt that was just applied."""
        item = self.items[sealed.item]
        if (retry := self._retry(item)) is not None:
            yield retry
        lane = self.lanes[item.plan.lane]
        alike = lane.alike
        if lane.opened is None and len(alike) >= self.breaker:
            one = len({s.fingerprint for s in alike}) == 1
            yield LaneOpened(
                at=sealed.at,
                lane=lane.name,
                failure=_required(sealed.failure),
                fingerprint=str(sealed.fingerprint) if one else NO_ANSWER,
                message=str(sealed.message) if one else f"{NO_ANSWER} in {len(alike)} attempts; {sealed.message}",
                attempts=tuple(f"{s.item}/{s.number:02d}" for s in alike),
                resets_at=sealed.resets_at,
            )

    def owed(self) -> Iterator[RetryPlanned]:
        """Retries that a killed process decided on and did not record."""
        for item in self.items.values():
            if item.retry is None and (retry := self._retry(item)) is not None:
                yield retry

    def _retry(self, item: Item) -> RetryPlanned | None:
        if item.last is None:
            return None
        last = item.sealed[-1]
        moment = self.retries.next_at(last, failures=item.failures, began_at=item.began_at or last.at)
        if moment is None:
            return None
        failure = _required(last.failure)
        return RetryPlanned(at=last.at, item=last.item, after=last.number, failure=failure, not_before=moment)

    def due(self, now: datetime) -> Iterator[LaneClosed]:
        """Lanes whose limit has reset."""
        for lane in self.lanes.values():
            opened = lane.opened
            if opened is not None and opened.resets_at is not None and opened.resets_at <= now:
                yield LaneClosed(at=now, lane=lane.name, why="reset")

    def resumed(self, now: datetime) -> Iterator[LaneClosed]:
        """Every open lane, which a person lets go on."""
        for lane in self.lanes.values():
            if lane.opened is not None:
                yield LaneClosed(at=now, lane=lane.name, why="resumed")

    def count(self) -> dict[State, int]:
        """Items by where they stand."""
        counts: dict[State, int] = dict.fromkeys(get_args(State), 0)
        for item in self.items.values():
            counts[self.state(item)] += 1
        return counts


def replayed(items: Sequence[ItemPlan], retries: Retries, breaker: int, events: Iterable[Event]) -> Schedule:
    """The schedule as it stood after these events."""
    schedule = Schedule(items, retries, breaker)
    for event in events:
        schedule.apply(event)
    return schedule


def _transient(failure: FailureClass | None) -> bool:
    return failure is not None and failure.info.transient


def _of_lane(sealed: AttemptSealed) -> bool:
    """Whether the attempt failed in a way that others of its lane may share: what the agent made of its chance, a limit
    of its own and a broken task are none."""
    failed = sealed.run in {"agent_error", "model_error", "infra_error"}
    return failed and sealed.failure is not None and sealed.failure.fault != "task"


def _required(failure: FailureClass | None) -> FailureClass:
    assert failure is not None  # such an attempt cannot be recorded without a diagnosis
    return failure
