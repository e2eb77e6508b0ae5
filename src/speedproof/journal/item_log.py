"""What the scheduler's log says of one item, and where it stands by that: told once, for the engine and for reports."""

from dataclasses import dataclass, field
from typing import Literal

from speedproof.journal.events import (
    AttemptBegan,
    AttemptSealed,
    ItemExcluded,
    LaneOpened,
    RetryPlanned,
    RunBegan,
    RunLimit,
)

ItemState = Literal["waiting", "running", "retrying", "held", "excluded", "done"]
"""waiting: no attempt yet, or the last one was cut off; retrying: waits for its next attempt; held: its lane is
open, or a limit of the run is used up; excluded: something it needs is broken; done: its last attempt stands."""

ItemEvent = ItemExcluded | AttemptBegan | AttemptSealed | RetryPlanned | RunLimit
"""An event of one item."""


@dataclass(kw_only=True)
class ItemLog:
    """A fold of the item's events, and of those that say that a process took the run up."""

    running: int | None = None
    """Number of the attempt under way."""
    last: int | None = None
    """Number of its last attempt, if that has ended and was not cut off."""
    sealed: list[AttemptSealed] = field(default_factory=list)
    """Its attempts, oldest first, even where the log tells of one late."""
    planned: RetryPlanned | None = None
    """The retry that was planned last, whether it has been made or not."""
    excluded: ItemExcluded | None = None
    """What the process that works on the run, or did last, found broken."""
    limited: RunLimit | None = None
    """Which limit of the run that process found used up."""

    def take(self, event: ItemEvent | RunBegan) -> None:
        """Take in the next event."""
        match event:
            case RunBegan():  # nothing runs, and what was found broken or used up is looked at again
                self.running = self.excluded = self.limited = None
            case ItemExcluded():
                self.excluded = event
            case RunLimit():
                self.limited = event
            case RetryPlanned():
                self.planned = event
            case AttemptBegan():
                self.running, self.last = event.number, None
            case AttemptSealed():
                self.sealed = sorted([*self.sealed, event], key=lambda sealed: sealed.number)
                self.running = None
                self.last = None if self.sealed[-1].cut_off else self.sealed[-1].number

    @property
    def retry(self) -> RetryPlanned | None:
        """Its next attempt, where one is planned."""
        return self.planned if self.planned is not None and self.planned.after == self.last else None

    def stands(self, opened: LaneOpened | None) -> tuple[ItemState, ItemEvent | LaneOpened | None]:
        """Where it stands, and by which event it is kept from its turn, if any. `opened`: why its lane is open."""
        if self.running is not None:
            return "running", None
        if self.excluded is not None:
            return "excluded", self.excluded
        if self.last is not None and self.retry is None:
            return "done", None
        if self.limited is not None or opened is not None:
            return "held", self.limited or opened
        return "waiting" if self.retry is None else "retrying", self.retry
