"""The scheduler's log of a run, put together: what is broken or used up, what waits, which lanes opened and why."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from speedproof.analysis.reading import attempted
from speedproof.analysis.row import Row
from speedproof.analysis.standing import Standing
from speedproof.journal import ItemPlan, RunStore
from speedproof.journal.events import (
    AttemptSealed,
    Event,
    ItemExcluded,
    LaneClosed,
    LaneOpened,
    RetryPlanned,
    RunBegan,
    RunLimit,
    Stopped,
)
from speedproof.journal.item_log import ItemLog


@dataclass
class Opening:
    """A lane that opened, and how that ended."""

    opened: LaneOpened
    closed: LaneClosed | None = None
    """Null while it is open."""


@dataclass
class RunLog:
    """What the log says; what an earlier process found broken or used up is forgotten, for the next looks again."""

    run: str
    under_way: bool
    """Whether a process works on the run now."""
    openings: list[Opening] = field(default_factory=list)
    """Every lane that opened, oldest first."""
    stopped: Stopped | None = None
    """Who asked the last process to stop; null when nobody did."""
    unreadable: str | None = None
    """What of the log cannot be read; null when everything can."""
    _items: defaultdict[str, ItemLog] = field(default_factory=lambda: defaultdict(ItemLog))
    _open: dict[str, Opening] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        """Take in the next event."""
        match event:
            case RunBegan():
                self.stopped = None
                for item in self._items.values():
                    item.take(event)
            case Stopped():
                self.stopped = event
            case ItemExcluded() | AttemptSealed() | RetryPlanned() | RunLimit():
                self._items[event.item].take(event)
            case LaneOpened():
                self._open[event.lane] = Opening(event)
                self.openings.append(self._open[event.lane])
            case LaneClosed():
                if (opening := self._open.pop(event.lane, None)) is not None:
                    opening.closed = event

    def standing(self, item: ItemPlan, rows: Sequence[Row]) -> Standing:
        """Where an item stands; `rows` are its attempts, oldest first."""
        told, opening = self._items[item.id], self._open.get(item.lane)
        ended = _ended(rows[-1], told) if rows else None
        running = rows[-1].number if rows and ended is None and self.under_way else None
        last = None if ended is None or ended.cut_off else ended.number
        told = replace(told, running=running, last=last)  # the attempts' own records count
        state, kept_by = told.stands(opening.opened if opening else None)
        why, until, resume = None, None, f"speedproof resume {self.run}"
        todo = None if self.under_way or state in ("running", "done") else resume
        match kept_by:
            case ItemExcluded():
                why, todo = kept_by.why, kept_by.hint or None
            case RunLimit():
                why, todo = f"the run's limit ({kept_by.limit}) is used up", f"speedproof plan --from {self.run}"
            case LaneOpened():
                why = f"the lane {kept_by.lane} is open: {kept_by.failure.value}: {kept_by.message}"
                until, todo = kept_by.resets_at, resume
            case RetryPlanned():
                why = f"its last attempt failed for a reason that may pass: {kept_by.failure.value}"
                until = kept_by.not_before
            case _ if state == "waiting":
                why = "its last attempt was cut off" if rows else self._not_begun()
        return Standing(state=state, why=why, until=until, next=todo)

    def _not_begun(self) -> str:
        if self.under_way:
            return "its turn has not come"
        by = "ended" if self.stopped is None else f"was stopped ({self.stopped.by})"
        return f"the run {by} before its turn came"


def _ended(row: Row, told: ItemLog) -> Row | AttemptSealed | None:
    """What tells how an attempt ended: its own record, or the log where that cannot be read; None: nothing does."""
    if row.run is not None:
        return row
    by_log = next((sealed for sealed in told.sealed if sealed.number == row.number), None)
    return row if by_log is None and row.state == "sealed" else by_log


def run_log(run: RunStore) -> RunLog:
    """The scheduler's log of a run. What cannot be read is named in it."""
    errors: list[str] = []
    events, bad = attempted(run.events, errors) or ([], [])
    errors += [f"{len(bad)} damaged {'line' if len(bad) == 1 else 'lines'} in events.jsonl"] if bad else []
    log = RunLog(run.id, run.is_locked(), unreadable="; ".join(errors) or None)
    for event in events:
        log.take(event)
    return log
