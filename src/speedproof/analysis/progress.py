"""How far a run got: where its items stand, how often they were attempted, and which lanes opened."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from speedproof.analysis.costs import Cost, cost
from speedproof.analysis.row import Row
from speedproof.analysis.rows import Tried
from speedproof.analysis.run_log import Opening, RunLog
from speedproof.analysis.standing import ItemState, Standing
from speedproof.journal import FailureClass, ItemPlan, Record


class ItemLine(Record):
    """One item and its attempts."""

    item: str
    """Id of the item."""
    task: str
    """Name of the task."""
    lane: str
    """The agent and model."""
    sample: int
    """Number of the sample."""
    control: str | None
    """For the patch agent: expert, noop or a file; null for agents that call a model."""
    standing: Standing
    """Where it stands."""
    attempts: tuple[str, ...]
    """Its attempts, oldest first."""
    retries: tuple[str, ...]
    """Those of them that were made because the one before failed."""
    cut_off: tuple[str, ...]
    """Those that were ended by us or a kill."""
    first: str
    """What it came to at first: its first attempt that was not cut off; the item itself where it has no attempt."""
    last: str
    """What it came to after retries: its last attempt; the item itself where it has none."""


class Tally(Record):
    """Items and attempts of agents that call a model, counted; controls are left out."""

    states: dict[ItemState, tuple[str, ...]]
    """Where the items stand, each by the name of its last attempt, or its own."""
    attempts: tuple[str, ...]
    """Every attempt."""
    retries: tuple[str, ...]
    """Those that were made because the one before failed."""
    cut_off: tuple[str, ...]
    """Those that were ended by us or a kill."""

    @property
    def items(self) -> int:
        """How many items there are."""
        return sum(map(len, self.states.values()))

    @property
    def unfinished(self) -> int:
        """How many of them are not done."""
        return self.items - len(self.states["done"])


class LaneLine(Record):
    """A lane that opened: its attempts failed alike, and nothing more was spent on it."""

    lane: str
    """The agent and model."""
    at: datetime
    """When it opened, UTC."""
    failure: FailureClass
    """The class of the failures."""
    message: str
    """The last of them, in one sentence."""
    attempts: tuple[str, ...]
    """The attempts that show it."""
    spent: Cost
    """What these attempts spent."""
    resets_at: datetime | None
    """When it was to go on by itself, UTC; null: when somebody resumes the run."""
    closed_at: datetime | None
    """When it went on, UTC; null while it is open."""
    closed_by: Literal["reset", "resumed"] | None
    """reset: its limit was to reset by then; resumed: a person resumed the run; null while it is open."""
    held: tuple[str, ...]
    """Items that wait for it, each by the name of its last attempt, or its own; empty once it has gone on."""


def item_lines(plans: Iterable[ItemPlan], items: Iterable[Tried], log: RunLog) -> list[ItemLine]:
    """Every item of a run, in its order."""
    found = {item.last.item: item for item in items}
    return [_item(plan, found[plan.id], log) for plan in plans]


def _item(plan: ItemPlan, item: Tried, log: RunLog) -> ItemLine:
    made = [r for r in item.rows if r.state != "not_started"]
    return ItemLine(
        item=plan.id,
        task=plan.task,
        lane=plan.lane,
        sample=plan.sample,
        control=plan.control,
        standing=item.last.standing or log.standing(plan, made),
        attempts=tuple(r.name for r in made),
        retries=tuple(r.name for r in item.retries),
        cut_off=tuple(r.name for r in made if r.cut_off),
        first=item.first.name,
        last=item.last.name,
    )


def tally(lines: Iterable[ItemLine]) -> Tally:
    """Count the items that call a model."""
    counted = [line for line in lines if line.control is None]
    states: dict[ItemState, list[str]] = {
        state: [] for state in ("done", "running", "retrying", "waiting", "held", "excluded")
    }
    for line in counted:
        states[line.standing.state].append(line.last)
    return Tally(
        states={state: tuple(names) for state, names in states.items()},
        attempts=tuple(name for line in counted for name in line.attempts),
        retries=tuple(name for line in counted for name in line.retries),
        cut_off=tuple(name for line in counted for name in line.cut_off),
    )


def lane_lines(log: RunLog, lines: Iterable[ItemLine], rows: Iterable[Row]) -> list[LaneLine]:
    """Every lane that opened, oldest first."""
    known = {row.name: row for row in rows}
    held: dict[str, list[str]] = {}
    for line in lines:
        if line.standing.state == "held":
            held.setdefault(line.lane, []).append(line.last)
    return [_lane(log.run, opening, known, held) for opening in log.openings]


def _lane(run: str, opening: Opening, known: dict[str, Row], held: dict[str, list[str]]) -> LaneLine:
    opened, closed = opening.opened, opening.closed
    shown = [known[name] for attempt in opened.attempts if (name := f"{run}/{attempt}") in known]
    return LaneLine(
        lane=opened.lane,
        at=opened.at,
        failure=opened.failure,
        message=opened.message,
        attempts=tuple(row.name for row in shown),
        spent=cost(shown),
        resets_at=opened.resets_at,
        closed_at=closed.at if closed else None,
        closed_by=closed.why if closed else None,
        held=() if closed else tuple(held.get(opened.lane, ())),
    )
