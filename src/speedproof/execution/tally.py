"""How far a run is: its events added up. A fold, like the schedule that it holds."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import get_args

from speedproof.execution.progress_record import Exclusion, LaneProgress, OpenAttempt, Phase, Progress, Reason
from speedproof.execution.retrying import Retries
from speedproof.execution.schedule import Item, Schedule, State
from speedproof.journal import CallIntent, CallOutcome, FailureClass, ItemPlan, Usage
from speedproof.journal.events import (
    AttemptBegan,
    AttemptSealed,
    Event,
    Judged,
    JudgingBegan,
    JudgingFailed,
    LaneProbed,
    RunBegan,
    Stopped,
)
from speedproof.journal.pace import ProviderDown
from speedproof.journal.status import RunStatus

MOST_REASONS = 10
"""Groups of equal failures that are named, the largest first."""

Calls = Sequence[CallIntent | CallOutcome]
"""Lines of an attempt's calls.jsonl."""


@dataclass
class Spent:
    """Calls, and what they cost."""

    calls: int = 0
    usage: Counter[str] = field(default_factory=Counter)
    usage_unknown: int = 0
    cost_usd: float | None = None
    cost_unknown: int = 0

    def add(self, calls: int, usage: Usage, usage_unknown: int, cost_usd: float | None, cost_unknown: int) -> None:
        """Count in so many calls; of what is unknown, how many."""
        self.calls += calls
        for name in Usage.model_fields:
            if (tokens := getattr(usage, name)) is not None:
                self.usage[name] += tokens
        self.usage_unknown += usage_unknown
        if cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + cost_usd
        self.cost_unknown += cost_unknown

    def with_open(self, attempts: Iterable[Calls]) -> "Spent":
        """This, and what attempts under way have recorded so far."""
        found = replace(self, usage=self.usage.copy())
        for lines in attempts:
            made = model_calls(lines)
            ended = {line.call: line for line in lines if isinstance(line, CallOutcome)}
            for call in made:
                usage = ended[call].usage if call in ended else None
                cost = ended[call].cost_usd if call in ended else None
                whole = usage is not None and usage.total is not None
                found.add(1, usage or Usage(), int(not whole), cost, int(cost is None))
        return found


def model_calls(lines: Calls) -> set[int]:
    """Numbers of the calls that ask a model, side routes left out."""
    return {line.call for line in lines if isinstance(line, CallIntent) and line.protocol != "other"}


class Tally:
    """What a run's events add up to."""

    def __init__(self, items: Sequence[ItemPlan], retries: Retries) -> None:
        self.schedule = Schedule(items, retries, breaker=1)  # it decides nothing here
        self.open: dict[str, AttemptBegan] = {}
        """Attempts that began and are not sealed, by item."""
        self.session: RunBegan | None = None
        """The process that works on the run, or the last one that did."""
        self.stopped: Stopped | None = None
        """Whether that one was asked to stop."""
        self.judging = self.judged = self.judging_failed = False
        self._first: RunBegan | None = None
        self._before = self._here = timedelta()
        """How long the processes before this one worked, and this one as far as its events tell."""
        self._attempts = 0
        self._spent = Spent()
        self._down: dict[str, ProviderDown] = {}

    def apply(self, event: Event) -> None:
        """Take in what was recorded."""
        self.schedule.apply(event)
        match event:
            case RunBegan():
                self._first = self._first or event
                self._before += self._here
                self.session, self.stopped = event, None
                self.judging = self.judged = self.judging_failed = False
                self._down.clear()
            case AttemptBegan():
                self._attempts += 1
                self.open[event.item] = event
            case AttemptSealed():
                if self.open.pop(event.item, None) is None:
                    self._attempts += 1  # the line that said that it began is damaged
                unknown = event.usage_unknown_calls
                self._spent.add(event.calls, event.usage, unknown, event.cost_usd, event.cost_unknown_calls)
            case LaneProbed():
                unknown = event.calls if event.usage_unknown_calls is None else event.usage_unknown_calls
                unpriced = event.calls if event.cost_unknown_calls is None else event.cost_unknown_calls
                self._spent.add(event.calls, event.usage, unknown, event.cost_usd, unpriced)
            case ProviderDown():
                self._down[event.provider] = event
            case Stopped():
                self.stopped = event
            case JudgingBegan():
                self.judging = True
            case JudgingFailed():
                self.judging_failed = True
            case Judged():
                self.judged = True
            case _:
                pass
        recovered = isinstance(event, AttemptSealed) and event.recovered
        if self.session is not None and not (recovered or isinstance(event, LaneProbed)):  # these come before RunBegan
            self._here = max(event.at - self.session.at, timedelta())

    def phase(self, *, at_work: bool) -> Phase:
        """What is being done. `at_work`: a process holds the run."""
        if at_work and (self.judging or self.judged):
            return "judging"
        if self.judged:
            return "ended"
        if self.judging and self.judging_failed and self.stopped is None:
            return "failed"
        if self.stopped is not None:
            return "stopping" if at_work else "stopped"
        return "attempting" if at_work else "killed"

    def progress(
        self,
        at: datetime,
        *,
        phase: Phase,
        run: str | None = None,
        suite: str | None = None,
        pid: int | None = None,
        calls: Mapping[str, Calls] = {},
        damaged_lines: int = 0,
        damaged_attempts: Sequence[str] = (),
    ) -> Progress:
        """How far the run is. `calls` of open attempts, by item, as far as somebody read them."""
        states = {name: self._state(item, phase) for name, item in self.schedule.items.items()}
        done = [item for name, item in self.schedule.items.items() if states[name] == "done"]
        last = [item.sealed[-1] for item in done]
        opened = [self._open(item, began, calls.get(name)) for name, (item, began) in self._all_open()]
        running = tuple(one for one in opened if states[one.item] == "running")
        spent = self._spent.with_open(calls.values())
        elapsed = self._before + self._here
        if phase in {"attempting", "stopping", "judging"} and self.session is not None:
            elapsed = self._before + max(at - self.session.at, timedelta())
        return Progress(
            run=run,
            suite=suite,
            at=at,
            phase=phase,
            pid=pid,
            jobs=None if self.session is None else self.session.jobs,
            items=_by_state(states.values()),
            outcomes=dict(Counter(sealed.run for sealed in last)),
            failures=dict(Counter(sealed.failure for sealed in last if sealed.failure is not None)),
            completed_at_first=sum(_first_run(item) == "completed" for item in self.schedule.items.values()),
            completed=sum(sealed.run == "completed" for sealed in last),
            attempts=self._attempts,
            lanes=tuple(self._lanes(states)),
            running=running,
            left_open=tuple(one for one in opened if states[one.item] != "running"),
            limits=tuple(
                dict.fromkeys(item.limited.limit for item in self.schedule.items.values() if item.limited is not None)
            ),
            down=tuple(self._down.values()),
            reasons=tuple(self._reasons()),
            excluded=tuple(self._exclusions()),
            calls=spent.calls,
            usage=Usage(**spent.usage),
            usage_unknown_calls=spent.usage_unknown,
            cost_usd=spent.cost_usd,
            cost_unknown_calls=spent.cost_unknown,
            began_at=None if self._first is None else self._first.at,
            elapsed_s=elapsed.total_seconds(),
            projected_end=self._projected_end(at, done, states, running) if phase == "attempting" else None,
            stopped_by=None if self.stopped is None else self.stopped.by,
            damaged_lines=damaged_lines,
            damaged_attempts=tuple(damaged_attempts),
        )

    def _state(self, item: Item, phase: Phase) -> State:
        runs = phase in {"attempting", "stopping"}
        if item.plan.id in self.open and not (runs and item.running is not None):
            return "waiting"  # its attempt was cut off with its process: it gets another one
        return self.schedule.state(item)

    def _all_open(self) -> Iterator[tuple[str, tuple[Item, AttemptBegan]]]:
        for name, began in self.open.items():
            item = self.schedule.items.get(name)
            if item is not None:
                yield name, (item, began)

    def _open(self, item: Item, began: AttemptBegan, lines: Calls | None) -> OpenAttempt:
        return OpenAttempt(
            item=item.plan.id,
            number=began.number,
            task=item.plan.task,
            lane=item.plan.lane,
            since=began.at,
            calls=None if lines is None else len(model_calls(lines)),
        )

    def _lanes(self, states: Mapping[str, State]) -> Iterator[LaneProgress]:
        found: dict[str, list[Item]] = {name: [] for name in self.schedule.lanes}
        for item in self.schedule.items.values():
            found[item.plan.lane].append(item)
        for name, items in found.items():
            done = [item for item in items if states[item.plan.id] == "done"]
            yield LaneProgress(
                lane=name,
                items=_by_state(states[item.plan.id] for item in items),
                outcomes=dict(Counter(item.sealed[-1].run for item in done)),
                opened=self.schedule.lanes[name].opened,
            )

    def _reasons(self) -> Iterator[Reason]:
        """Failures that attempts of ours were not cut off by, equal ones together."""
        groups: dict[tuple[FailureClass, str | None], list[AttemptSealed]] = {}
        for item in self.schedule.items.values():
            for sealed in item.sealed:
                if sealed.failure is not None and not sealed.cut_off:
                    groups.setdefault((sealed.failure, sealed.fingerprint), []).append(sealed)
        for (failure, _), group in sorted(groups.items(), key=lambda g: -len(g[1]))[:MOST_REASONS]:
            first = min(group, key=lambda sealed: sealed.at)
            yield Reason(
                failure=failure,
                message=first.message or "",
                attempts=len(group),
                first=f"{first.item}/{first.number:02d}",
            )

    def _exclusions(self) -> Iterator[Exclusion]:
        found = Counter(
            (item.excluded.why, item.excluded.hint)
            for item in self.schedule.items.values()
            if item.excluded is not None
        )
        for (why, hint), count in found.most_common():
            yield Exclusion(why=why, hint=hint, items=count)

    def _projected_end(
        self, at: datetime, done: Sequence[Item], states: Mapping[str, State], running: Sequence[OpenAttempt]
    ) -> datetime | None:
        left = [
            item for name, item in self.schedule.items.items() if states[name] in {"waiting", "running", "retrying"}
        ]
        if not done or not left or self.session is None:
            return None
        took: dict[str, list[float]] = {}
        for item in done:
            took.setdefault(item.plan.lane, []).append(sum(sealed.seconds for sealed in item.sealed))
        usual = sum(map(sum, took.values())) / len(done)
        expected = {lane: sum(seconds) / len(seconds) for lane, seconds in took.items()}
        needed = {item.plan.id: expected.get(item.plan.lane, usual) for item in left}
        for one in running:
            needed[one.item] = max(needed[one.item] - (at - one.since).total_seconds(), 0.0)
        return at + timedelta(seconds=max(sum(needed.values()) / self.session.jobs, max(needed.values())))


def _by_state(states: Iterable[State]) -> dict[State, int]:
    counts = Counter(states)
    return {state: counts[state] for state in get_args(State)}


def _first_run(item: Item) -> RunStatus | None:
    """How the item's first attempt went that was not cut off by us or by a kill."""
    return next((sealed.run for sealed in item.sealed if not sealed.cut_off), None)
