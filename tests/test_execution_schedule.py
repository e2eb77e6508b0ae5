"""What a run may attempt next: no item is lost, none is run twice, and a lane that fails alike is not spent on.

The state machine plays a run: attempts begin and end in any way and order, providers go down, time passes, the process
is killed between any two lines of its log and another one takes the run up from the log alone.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from pydantic import TypeAdapter

from attempt_writer import process, write_attempt
from schedule_support import START, later, names, plans, sealed
from speedproof.analysis import Row, RunLog
from speedproof.diagnosis import derive, fingerprint
from speedproof.execution.retrying import Retries
from speedproof.execution.schedule import Schedule, replayed
from speedproof.journal import FailureClass as F
from speedproof.journal import ItemPlan, StopCause
from speedproof.journal.events import (
    AttemptBegan,
    AttemptSealed,
    Event,
    ItemExcluded,
    LaneClosed,
    LaneOpened,
    RetryPlanned,
    RunBegan,
    RunLimit,
)
from speedproof.journal.pace import ProviderDown

BREAKER = 3
RETRIES = Retries(most=3, first_wait_s=10, longest_wait_s=60, longest_total_s=600)
EVENT: TypeAdapter[Event] = TypeAdapter(Event)
PLAN = plans(("codex", "own/a", 10), ("claude", "own/b", 8), ("patch", None, 5))
AT_ONCE = 4

COMPLETED: list[dict[str, Any]] = [
    {},
    {"patch": "empty", "failure": F.NO_PATCH},
    {"patch": "empty", "failure": F.GAVE_UP},
    {"run": "limit", "failure": F.LIMIT_TIME},
]
"""What the agent made of its chance."""
PERMANENT: list[dict[str, Any]] = [
    {"run": "model_error", "failure": F.BAD_KEY, "answered": False},
    {"run": "infra_error", "failure": F.CONFIG_MISSING, "answered": False},
    {"run": "agent_error", "failure": F.AGENT_CRASH, "message": "a bug"},
    {"run": "agent_error", "failure": F.AGENT_CRASH, "message": "another bug"},
    {"run": "infra_error", "failure": F.SETUP_FAILED, "answered": False},
]
TRANSIENT: list[dict[str, Any]] = [
    {"run": "model_error", "failure": F.RATE_LIMITED, "answered": False},
    {"run": "model_error", "failure": F.STREAM_BROKEN},
    {"run": "model_error", "failure": F.USAGE_LIMIT, "answered": False, "resets": 1800},
    {"run": "infra_error", "failure": F.NETWORK, "answered": False},
]
CUT: list[dict[str, Any]] = [
    {"run": "cancelled", "failure": F.INTERRUPTED, "patch": "empty"},
    {"run": "crashed", "failure": F.INTERRUPTED, "patch": "missing", "answered": False},
]
ENDS = st.sampled_from([*COMPLETED, *PERMANENT, *TRANSIENT, *CUT])


class Run(RuleBasedStateMachine):
    """A run with its log; what must hold is told from the log, not from the schedule."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[Event] = []
        self.now = START
        self.under_way: dict[str, int] = {}
        """Items of attempts under way, with their numbers."""
        self.made: Counter[str] = Counter()
        """Attempts of each item whose folder was made."""
        self.live = Schedule(PLAN, RETRIES, BREAKER)
        self.report = RunLog("run", under_way=True)
        self.records: dict[str, dict[int, Row]] = {}
        """Each item's attempts as their own records have them, by number."""
        self.tried: set[str] = set()
        """Lanes with a call that succeeded since they began or went on."""
        self.failed: dict[str, list[AttemptSealed]] = {}
        """Each lane's last attempts, as far as they failed since it went on."""
        self.last_end: dict[str, dict[str, Any]] = {}
        """How the last attempt of each lane ended."""
        self.forgiven: set[str] = set()
        """Lanes whose opening a killed process did not record: whoever resumes the run lets them go on."""

    @initialize()
    def begins(self) -> None:
        self._record(RunBegan(at=self.now, pid=1, jobs=AT_ONCE, resumed=False))

    def _record(self, event: Event) -> None:
        self.log.append(EVENT.validate_json(event.model_dump_json()))
        self.live.apply(event)
        self.report.take(event)

    def _lane(self, item: str) -> str:
        return self.live.items[item].plan.lane

    # What a process does

    @precondition(lambda self: len(self.under_way) < AT_ONCE)
    @rule(choice=st.integers(0, 50), count=st.integers(1, AT_ONCE))
    def attempts_begin(self, choice: int, count: int) -> None:
        for _ in range(min(count, AT_ONCE - len(self.under_way))):
            if ready := list(self.live.startable(self.now)):
                self._begin(ready[choice % len(ready)])

    def _begin(self, item: ItemPlan) -> None:
        self._may_begin(item)
        self.made[item.id] += 1
        self.under_way[item.id] = self.made[item.id]
        self._own_record(item, self.made[item.id], state="open")
        self._record(AttemptBegan(at=self.now, item=item.id, number=self.made[item.id]))

    def _own_record(self, item: ItemPlan, number: int, **ended: Any) -> None:
        given = {"name": "run/item/number", "item": item.id, "number": number, "folder": "f", "task": item.task}
        given |= {"agent": item.agent, "model": item.model, "sample": item.sample, "control": item.control}
        self.records.setdefault(item.id, {})[number] = Row.model_validate(given | ended)

    def _may_begin(self, item: ItemPlan) -> None:
        """What the log says against it."""
        assert item.id not in self.under_way, "two attempts of an item at once"
        mine = [e for e in self.log if isinstance(e, AttemptSealed) and e.item == item.id]
        counted = [e for e in mine if e.run not in {"cancelled", "crashed"}]
        if counted and mine[-1] is counted[-1]:
            last = counted[-1]
            assert last.failure is not None and last.failure.info.transient, "a result stands"
            assert last.run in {"model_error", "infra_error", "agent_error"}
            planned = [e for e in self.log if isinstance(e, RetryPlanned) and e.item == item.id][-1]
            assert planned.after == last.number and planned.not_before <= self.now, "not before its time"
            assert last.resets_at is None or last.resets_at <= self.now
        failed = [e for e in counted if e.failure is not None and e.failure.info.transient]
        assert len(failed) < RETRIES.most, "more attempts than may fail"
        lane = item.lane
        others = [name for name in self.under_way if self._lane(name) == lane]
        if item.model is not None and lane not in self.tried:
            assert not others, "a lane is tried out with one item"
        began = max(n for n, e in enumerate(self.log) if isinstance(e, RunBegan))
        refused = [e for e in self.log[began:] if isinstance(e, ItemExcluded | RunLimit) and e.item == item.id]
        assert not refused, "what is excluded, or beyond the run's limit, is not begun by this process"
        assert self._opened(lane) is None, "nothing is spent on an open lane"
        assert len(self._one_failure(lane)) < BREAKER or lane in self.forgiven

    def _opened(self, lane: str) -> LaneOpened | None:
        last = [e for e in self.log if isinstance(e, LaneOpened | LaneClosed) and e.lane == lane][-1:]
        return last[0] if last and isinstance(last[0], LaneOpened) else None

    @precondition(lambda self: self.under_way)
    @rule(
        ends=st.lists(
            st.tuples(st.integers(0, 50), ENDS, st.sampled_from([True, True, False])), min_size=1, max_size=AT_ONCE
        ),
        recorded=st.sampled_from([9, 9, 9, 0, 1]),
        seconds=st.integers(0, 40),
    )
    def attempts_end(self, ends: list[tuple[int, dict[str, Any], bool]], recorded: int, seconds: int) -> None:
        """Which, how, and whether rather as the last one of its lane did. `recorded`: lines of the log that are written
        of what follows from each, before the process is killed."""
        self.now += timedelta(seconds=seconds)
        for choice, end, again in ends:
            if self.under_way:
                self._end(choice, end, again, recorded)

    def _end(self, choice: int, end: dict[str, Any], again: bool, recorded: int) -> None:
        item = sorted(self.under_way)[choice % len(self.under_way)]
        end = self.last_end.get(self._lane(item), end) if again else end
        if end not in CUT:
            self.last_end[self._lane(item)] = end
        ended = self._seal(item, end)
        follows = list(self.live.after(ended))
        assert len(follows) <= 2
        for event in follows[:recorded]:
            self._record(event)
            self._follows_rightly(event, ended)
        if recorded < len(follows):
            self._killed([], before=True, folder=None)

    def _seal(self, item: str, end: dict[str, Any], *, recovered: bool = False) -> AttemptSealed:
        how = {k: v for k, v in end.items() if k != "resets"}
        if "resets" in end:
            how["resets_at"] = self.now + timedelta(seconds=end["resets"])
        number = self.under_way.pop(item, self.made[item])
        ended = sealed(item, number, at=self.now, recovered=recovered, **how)
        self._own_record(self.live.items[item].plan, number, state="sealed", run=ended.run)
        self._record(ended)
        lane = self._lane(item)
        if ended.answered:
            self.tried.add(lane)
        self._count(lane, ended)
        return ended

    def _count(self, lane: str, ended: AttemptSealed) -> None:
        if ended.run in {"cancelled", "crashed"}:
            return
        if ended.run in {"completed", "limit"} or (ended.failure is not None and ended.failure.fault == "task"):
            self._went_on(lane, tried=lane in self.tried)
            return
        self.failed.setdefault(lane, []).append(ended)
        if len(self._one_failure(lane)) < BREAKER:
            self.forgiven.discard(lane)

    def _one_failure(self, lane: str) -> list[AttemptSealed]:
        """The last failures of a lane that have one fingerprint, or none of which had an answer from its model."""
        failed = self.failed.get(lane, [])
        best: list[AttemptSealed] = []
        for count in range(1, len(failed) + 1):
            last = failed[-count:]
            unanswered = self.live.lanes[lane].model is not None and not any(e.answered for e in last)
            if unanswered or len({e.fingerprint for e in last}) == 1:
                best = last
        return best

    def _follows_rightly(self, event: Event, ended: AttemptSealed) -> None:
        if isinstance(event, RetryPlanned):
            assert ended.failure is not None and ended.failure.info.transient
            wait = (event.not_before - max(ended.at, ended.resets_at or ended.at)).total_seconds()
            assert 0 <= wait <= RETRIES.longest_wait_s
            began = next(e.at for e in self.log if isinstance(e, AttemptBegan | AttemptSealed) and e.item == ended.item)
            assert (ended.at - began).total_seconds() <= RETRIES.longest_total_s
        elif isinstance(event, LaneOpened):
            alike = self._one_failure(event.lane)
            assert len(alike) == BREAKER or event.lane in self.forgiven
            assert event.attempts == tuple(f"{e.item}/{e.number:02d}" for e in alike)
            assert event.failure is ended.failure and str(ended.message) in event.message
            self._went_on(event.lane)

    @precondition(lambda self: self.under_way)
    @rule(choice=st.integers(0, 50))
    def call_is_answered(self, choice: int) -> None:
        item = sorted(self.under_way)[choice % len(self.under_way)]
        if self.live.items[item].plan.model is not None and self._opened(self._lane(item)) is None:
            self.live.answered(item)
            self.tried.add(self._lane(item))

    @rule(choice=st.integers(0, 50), what=st.sampled_from(["excluded", "limited", "down", "down for a while"]))
    def something_refuses(self, choice: int, what: str) -> None:
        """An item is excluded, or a limit of the run is used up; or a provider serves no more calls, so that all lanes
        on it open at once, as the engine has it."""
        ready = list(self.live.startable(self.now))
        if not ready:
            return
        item = ready[choice % len(ready)]
        match what:
            case "excluded":
                self._record(ItemExcluded(at=self.now, item=item.id, why="its base is broken", hint=""))
            case "limited":
                self._record(RunLimit(at=self.now, item=item.id, limit=StopCause.COST))
            case _ if item.model is not None:
                self._down(item.model, None if what == "down" else self.now + timedelta(seconds=900))

    def _down(self, model: str, resets_at: datetime | None) -> None:
        failure = F.QUOTA_EXHAUSTED
        told = {"at": self.now, "failure": failure, "message": "no credit", "resets_at": resets_at}
        self._record(ProviderDown(provider=model, **told))
        for lane in self.live.lanes.values():
            if lane.model == model and lane.opened is None:
                self._record(LaneOpened(lane=lane.name, fingerprint="no credit", attempts=(), **told))
                self._went_on(lane.name)

    def _went_on(self, lane: str, *, tried: bool = False) -> None:
        """What its attempts had in common counts no more, and, but for an answer, it is tried out anew."""
        self.failed.pop(lane, None)
        self.forgiven.discard(lane)
        if not tried:
            self.tried.discard(lane)

    @rule(seconds=st.sampled_from([1, 20, 200, 2000]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self._lanes_reset()

    def _lanes_reset(self) -> None:
        for closed in list(self.live.due(self.now)):
            opened = self._opened(closed.lane)
            assert opened is not None and opened.resets_at is not None and opened.resets_at <= self.now
            self._record(closed)
            self._went_on(closed.lane)
        for lane in self.live.lanes:
            opened = self._opened(lane)
            assert opened is None or opened.resets_at is None or opened.resets_at > self.now, "its limit has reset"

    # What kills it, and what takes it up

    @rule(
        kept=st.lists(st.none() | ENDS, max_size=AT_ONCE),
        before=st.booleans(),
        folder=st.none() | st.integers(0, 50),
    )
    def process_is_killed_and_the_run_taken_up(
        self, kept: list[dict[str, Any] | None], before: bool, folder: int | None
    ) -> None:
        self._killed(kept, before=before, folder=folder)

    def _killed(self, kept: Sequence[dict[str, Any] | None], *, before: bool, folder: int | None) -> None:
        """`kept`: how the attempts under way were sealed already, though the log does not say so; None: they were not.
        `before`: whether what they left is sealed before the process that resumes says that it began. `folder`: an
        item whose next folder was made, and no more."""
        ready = list(self.live.startable(self.now))
        left = dict(self.under_way)
        if folder is not None and ready:
            item = ready[folder % len(ready)].id
            self.made[item] += 1
            left[item] = self.made[item]
        self._nobody_runs()
        self.under_way = left
        self.live = replayed(PLAN, RETRIES, BREAKER, self.log)
        ends = dict(zip(left, kept, strict=False))
        if before:
            self._recover(ends)
        self._record(RunBegan(at=self.now, pid=2, jobs=AT_ONCE, resumed=True))
        self.tried.clear()
        if not before:
            self._recover(ends)
        for event in list(self.live.owed()):
            self._record(event)
        assert list(self.live.owed()) == [], "nothing is owed twice"
        for closed in list(self.live.resumed(self.now)):
            self._record(closed)
            self._went_on(closed.lane)
        self.forgiven = {lane for lane in self.failed if len(self._one_failure(lane)) >= BREAKER}

    def _nobody_runs(self) -> None:
        """Of a run whose process is gone, reports and whoever plans its items again say the same."""
        left, report = replayed(PLAN, RETRIES, BREAKER, self.log), replace(self.report, under_way=False)
        for name, item in left.items.items():
            item.running = None
            assert report.standing(item.plan, self._rows(name)).state == left.state(item)

    def _rows(self, item: str) -> list[Row]:
        return list(self.records.get(item, {}).values())

    def _recover(self, ends: dict[str, dict[str, Any] | None]) -> None:
        for item in list(self.under_way):
            end = ends.get(item)
            self._seal(item, CUT[1] if end is None else end, recovered=end is None)

    # What must hold at every moment

    @invariant()
    def the_log_alone_tells_the_same(self) -> None:
        told = replayed(PLAN, RETRIES, BREAKER, self.log)
        assert told.items == self.live.items
        assert list(told.startable(self.now)) == list(self.live.startable(self.now)) or self.under_way
        for name, lane in told.lanes.items():
            mine = self.live.lanes[name]
            assert (lane.opened, lane.streak, lane.running) == (mine.opened, mine.streak, mine.running)
            assert lane.answered == mine.answered or name in self.tried

    @invariant()
    def reports_tell_the_same(self) -> None:
        for name, item in self.live.items.items():
            assert self.report.standing(item.plan, self._rows(name)).state == self.live.state(item)

    @invariant()
    def every_item_is_somewhere(self) -> None:
        count = self.live.count()
        assert sum(count.values()) == len(PLAN)
        assert count["running"] == len(self.under_way) == sum(lane.running for lane in self.live.lanes.values())
        assert {name for name, item in self.live.items.items() if item.running} == set(self.under_way)
        numbers = [(e.item, e.number) for e in self.log if isinstance(e, AttemptSealed)]
        assert len(numbers) == len(set(numbers))

    @invariant()
    def what_may_pass_is_tried_again(self) -> None:
        for item in self.live.items.values():
            if self.live.state(item) != "done":
                continue
            counted = [e for e in item.sealed if e.run not in {"cancelled", "crashed"}]
            assert item.sealed[-1] is counted[-1], "what was cut off is attempted again"
            last, failed = counted[-1], [e for e in counted if e.failure is not None and e.failure.info.transient]
            if last in failed and last.run not in {"completed", "limit"} and item.began_at is not None:
                too_late = (last.at - item.began_at).total_seconds() > RETRIES.longest_total_s
                assert len(failed) >= RETRIES.most or too_late, "a retry is lost"

    @invariant()
    def what_waits_can_go_on(self) -> None:
        """An item that is not running, done, excluded or held may begin, waits for its time, or for its lane's try."""
        ready = set(names(list(self.live.startable(self.now))))
        for name, item in self.live.items.items():
            lane = self.live.lanes[item.plan.lane]
            match self.live.state(item):
                case "waiting":
                    assert name in ready or (lane.busy and lane.name not in self.tried)
                case "retrying":
                    assert item.retry is not None
                    assert name in ready or item.retry.not_before > self.now or lane.busy
                case "held":
                    assert lane.opened is not None or item.limited is not None
                case _:
                    assert name not in ready

    def teardown(self) -> None:
        """The end of every such run: attempts succeed from now on, time passes, somebody resumes it."""
        if not self.log:
            return
        for _ in range(2):
            self._run_to_its_end({})
            states = {self.live.state(item) for item in self.live.items.values()}
            assert states <= {"done", "excluded", "held"}
            self._killed([], before=True, folder=None)
        self._run_to_its_end({})
        assert {self.live.state(item) for item in self.live.items.values()} == {"done"}
        assert set(self.made) == set(names(PLAN))

    def _run_to_its_end(self, end: dict[str, Any]) -> None:
        for _ in range(10 * len(PLAN)):
            self._lanes_reset()
            for item in list(self.under_way):
                for event in list(self.live.after(self._seal(item, end))):
                    self._record(event)
            ready = next(self.live.startable(self.now), None)
            if ready is not None:
                self._begin(ready)
            elif (wakes_at := self.live.wakes_at(self.now)) is not None:
                self.now = wakes_at
            elif not self.under_way:
                return
        raise AssertionError("it does not come to an end")


TestARun = Run.TestCase
TestARun.settings = settings(
    max_examples=120,
    stateful_step_count=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes; the steps of a failure are shown
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


# Named cases


def schedule_of(items: list[ItemPlan]) -> Schedule:
    return Schedule(items, RETRIES, BREAKER)


def attempt(schedule: Schedule, item: str, at: datetime = START, **end: Any) -> list[Event]:
    """One attempt of an item; what follows from it."""
    number = len(schedule.items[item].sealed) + 1
    schedule.apply(AttemptBegan(at=at, item=item, number=number))
    ended = sealed(item, number, at=at, **end)
    schedule.apply(ended)
    follows: list[Event] = list(schedule.after(ended))
    for event in follows:
        schedule.apply(event)
    return follows


def spend(schedule: Schedule, ends: Sequence[dict[str, Any]]) -> list[Event]:
    """Attempt items one after the other, each ending as the next of `ends`, while any may begin."""
    follows: list[Event] = []
    for end in ends:
        item = next(schedule.startable(START), None)
        if item is None:
            break
        follows += attempt(schedule, item.id, **end)
    return follows


def test_nothing_waits_for_the_reset_of_a_lane_that_has_nothing_left() -> None:
    schedule = Schedule(plans(("codex", "own/a", 3)), Retries(most=1), BREAKER)
    used_up = {"run": "model_error", "failure": F.USAGE_LIMIT, "answered": False, "resets_at": later(3600)}
    (opened,) = spend(schedule, [used_up] * 3)
    assert isinstance(opened, LaneOpened) and schedule.count()["done"] == 3
    assert schedule.wakes_at(START) is None


def test_a_run_that_was_cut_between_equal_failures_does_not_hide_that_they_are_equal() -> None:
    schedule = schedule_of(plans(("codex", "own/a", 9)))
    broken = {"run": "infra_error", "failure": F.CONFIG_MISSING, "answered": False}
    (opened,) = spend(schedule, [broken, CUT[1], broken, CUT[0], broken, broken])
    assert isinstance(opened, LaneOpened) and len(opened.attempts) == 3
    assert schedule.count()["held"] == 6


def test_an_item_that_is_excluded_is_looked_at_again_by_the_process_that_resumes_the_run() -> None:
    items = plans(("codex", "own/a", 3))
    schedule = schedule_of(items)
    schedule.apply(ItemExcluded(at=START, item=items[0].id, why="its base is broken", hint=""))
    assert names(list(schedule.startable(START))) == names(items[1:])
    schedule.apply(RunBegan(at=START, pid=2, jobs=1, resumed=True))
    assert names(list(schedule.startable(START))) == names(items), "in the plan's order"


def test_an_attempt_that_the_log_tells_of_late_takes_no_later_one_s_place() -> None:
    items = plans(("codex", "own/a", 2))
    schedule = schedule_of(items)
    limited: dict[str, Any] = {"run": "model_error", "failure": F.RATE_LIMITED}
    for event in (
        sealed(items[0].id, 2),
        sealed(items[0].id, 1, **limited),
        RetryPlanned(at=START, item=items[1].id, after=1, failure=F.RATE_LIMITED, not_before=later(9)),
        sealed(items[1].id, 1, **limited),
    ):
        schedule.apply(event)
    assert [schedule.state(item) for item in schedule.items.values()] == ["done", "retrying"]
    assert not list(schedule.owed()), "the retry is on record"


def test_failures_without_a_common_cause_do_not_open_a_lane_that_has_worked() -> None:
    schedule = schedule_of(plans(("codex", "own/a", 9)))
    crash = {"run": "agent_error", "failure": F.AGENT_CRASH}
    assert not spend(schedule, [crash | {"message": f"bug {'abc'[n % 3]}"} for n in range(9)])
    assert schedule.count()["done"] == 9


def test_a_lane_opens_when_no_call_succeeds_whatever_each_attempt_says_of_it() -> None:
    schedule = schedule_of(plans(("codex", "own/a", 9), ("claude", "own/a", 1)))
    torn = {"run": "agent_error", "failure": F.AGENT_CRASH, "answered": False}
    events = []
    for word in "abcde":
        item = next((i for i in schedule.startable(START) if i.agent == "codex"), None)
        events += attempt(schedule, item.id, **torn, message=f"torn at {word}") if item else []
    (opened,) = events
    assert isinstance(opened, LaneOpened)
    assert (len(opened.attempts), opened.fingerprint) == (3, "no model call succeeded")
    assert opened.message == "no model call succeeded in 3 attempts; torn at c"
    assert [i.agent for i in schedule.startable(START)] == ["claude"], "others go on"


def test_what_the_agent_made_of_its_chance_a_limit_and_a_broken_task_open_no_lane() -> None:
    for end in (*COMPLETED, PERMANENT[4]):
        schedule = schedule_of(plans(("codex", "own/a", 5)))
        assert not spend(schedule, [end] * 5), end
        assert schedule.count()["done"] == 5


def test_a_lane_goes_on_when_its_limit_resets_and_the_items_that_met_it_are_attempted_again() -> None:
    schedule = schedule_of(plans(("codex", "own/a", 5)))
    used_up = {"run": "model_error", "failure": F.USAGE_LIMIT, "answered": False, "resets_at": later(3600)}
    events = spend(schedule, [used_up] * 5)
    opened = events[-1]
    assert isinstance(opened, LaneOpened) and opened.resets_at == later(3600) == schedule.wakes_at(START)
    assert not list(schedule.due(later(3599)))
    (closed,) = schedule.due(later(3600))
    assert (closed.lane, closed.why) == ("codex · own/a", "reset")
    schedule.apply(closed)
    assert len(list(schedule.startable(later(3600 + RETRIES.first_wait_s)))) == 5


def test_nobody_is_woken_for_what_waits_for_room() -> None:
    schedule = schedule_of(plans(("codex", "own/a", 2), ("claude", "own/b", 1)))
    for item, resets in (("codex-own/a-0", 100), ("claude-own/b-0", 500)):
        failed = {"run": "model_error", "failure": F.USAGE_LIMIT, "resets_at": later(resets)}
        attempt(schedule, item, **failed)
    first, second = (schedule.items[i].retry for i in ("codex-own/a-0", "claude-own/b-0"))
    assert first is not None and second is not None
    assert schedule.wakes_at(START) == first.not_before
    assert schedule.wakes_at(first.not_before) == second.not_before
    assert schedule.wakes_at(second.not_before) is None


# The archive's start-up failures

ARCHIVE = Path(__file__).parents[1].parent / "shared" / "archives" / "thirty-runs" / "state" / "runs"


def lines(file: Path) -> list[str]:
    return file.read_text(errors="replace").split("\n") if file.exists() else []


@pytest.mark.parametrize(
    ("name", "items", "failures", "failure"),
    [("84ca0ad4", 44, 43, F.CONFIG_MISSING), ("8e54a51a", 32, 31, F.CONFIG_INVALID)],
)
def test_of_the_archives_identical_start_up_failures_at_most_three_are_spent(
    name: str, items: int, failures: int, failure: F, tmp_path: Path
) -> None:
    """Diagnosed from the logs that the earlier harness kept, which it tore at another place each time."""
    folder = ARCHIVE / f"vllm_core-{name}"
    if not folder.is_dir():
        pytest.skip("the archive of the earlier harness is not here")
    recorded = []
    for journal in folder.glob("*/journal.json"):
        told = json.loads(journal.read_text())
        recorded.append((told["timestamps"]["written"], told.get("trae") or {}, journal.parent))
    ends = []
    for number, (_, trae, place) in enumerate(sorted(recorded, key=lambda row: float(row[0]))):
        ran = process(trae["returncode"], wall_s=trae["duration_s"]) if trae else None
        logs = {"stdout": lines(place / "trae_stdout.txt"), "stderr": lines(place / "trae_stderr.txt")}
        status = derive(write_attempt(tmp_path / str(number), model="own/m", process=ran, **logs))
        assert status.diagnosis is not None
        end = {"run": status.run, "failure": status.diagnosis.failure, "message": fingerprint(status.diagnosis)}
        ends.append((trae.get("duration_s"), end))
    assert len(ends) == items
    started = [end for seconds, end in ends if seconds is not None and 1.5 <= seconds <= 1.8]
    assert len(started) == failures, "as the archive's true figures have it"

    schedule = schedule_of(plans(("trae", "own/m", len(started)), ("codex", "own/m", 5)))
    events = spend(schedule, [])
    for end in started:
        item = next((i for i in schedule.startable(START) if i.agent == "trae"), None)
        events += attempt(schedule, item.id, answered=False, **end) if item else []
    (opened,) = events
    assert isinstance(opened, LaneOpened)
    assert (opened.lane, opened.failure, len(opened.attempts)) == ("trae · own/m", failure, 3)
    assert schedule.count() == {**schedule.count(), "done": 3, "held": failures - 3, "waiting": 5}
    spend(schedule, [{}] * 9)
    assert schedule.count()["done"] == 8, "the other lane goes on"
