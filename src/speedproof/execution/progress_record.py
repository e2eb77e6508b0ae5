"""How far a run is, as one record: what the live table, `status` and `watch` show."""

from datetime import datetime
from typing import Literal

from speedproof.execution.schedule import State
from speedproof.journal import FailureClass, Record, StopCause, Usage
from speedproof.journal.events import LaneOpened
from speedproof.journal.pace import ProviderDown
from speedproof.journal.status import RunStatus

Phase = Literal["preparing", "attempting", "stopping", "judging", "ended", "failed", "stopped", "killed"]
"""preparing: a process holds it and has not begun: it makes ready to go on with it, or judges it anew; stopping: it was
asked to stop, and ends what runs; ended: nothing is left that can be done now; stopped: it was asked to, and did;
killed: its process is gone, and neither ended the run nor was asked to stop."""


class OpenAttempt(Record):
    """An attempt that is not sealed."""

    item: str
    """Id of the item."""
    number: int
    """Number of the attempt within the item, from 1."""
    task: str
    """Name of the task."""
    lane: str
    """The agent and model."""
    since: datetime
    """When it began, UTC."""
    calls: int | None
    """Model calls it has made so far; null when nobody looked."""


class LaneProgress(Record):
    """The items of one agent with one model."""

    lane: str
    """The agent and model."""
    items: dict[State, int]
    """Items by where they stand."""
    outcomes: dict[RunStatus, int]
    """Items that are done, by how their last attempt's process went."""
    opened: LaneOpened | None
    """Why nothing more is spent on it, with the attempts that show it and when it may go on; null while it goes on."""


class Reason(Record):
    """Attempts that failed alike."""

    failure: FailureClass
    """Their class."""
    message: str
    """The first of them, in one sentence."""
    attempts: int
    """How many there are."""
    first: str
    """The first of them, as item/number."""


class Exclusion(Record):
    """Items on which nothing is spent, for one reason."""

    why: str
    """What is broken."""
    hint: str
    """The next command to run; empty when there is none."""
    items: int
    """How many there are."""


class Progress(Record):
    """How far a run is."""

    run: str | None
    """Id of the run; null before it has one."""
    suite: str | None
    """Name of the suite; null before it is read."""
    at: datetime
    """When this was told, UTC."""
    phase: Phase
    """What is being done."""
    pid: int | None
    """The process that works on it, by its id here; null when none does, or it may not be seen."""
    jobs: int | None
    """Attempts that may run at once; null when no process has begun."""
    items: dict[State, int]
    """Items by where they stand."""
    outcomes: dict[RunStatus, int]
    """Items that are done, by how their last attempt's process went."""
    failures: dict[FailureClass, int]
    """Items that are done, by the class of their last attempt's diagnosis; those without one are left out."""
    completed_at_first: int
    """Items whose first attempt completed; one that was cut off by us or by a kill does not count as the first."""
    completed: int
    """Items that are done and whose last attempt completed, retries among them."""
    attempts: int
    """Attempts that began, running and retried ones among them."""
    lanes: tuple[LaneProgress, ...]
    """Each agent with each model."""
    running: tuple[OpenAttempt, ...]
    """Attempts that run now."""
    left_open: tuple[OpenAttempt, ...]
    """Attempts that a process left unsealed: `speedproof resume` seals them."""
    limits: tuple[StopCause, ...]
    """Limits of the whole run that are used up."""
    down: tuple[ProviderDown, ...]
    """Providers that serve no more calls, as far as the present process met them."""
    reasons: tuple[Reason, ...]
    """Why attempts failed, those that failed alike together, the ten largest groups."""
    excluded: tuple[Exclusion, ...]
    """Why nothing is spent on the items that are excluded."""
    calls: int
    """Model calls, those of probes before the run among them, and those of running attempts as far as somebody
    looked."""
    usage: Usage
    """Sum of the known usage of these calls."""
    usage_unknown_calls: int
    """Calls whose usage is unknown and not in the sum; calls under way are among them."""
    cost_usd: float | None
    """Sum of the known costs in US dollars; null when no call has one."""
    cost_unknown_calls: int
    """Calls whose cost is unknown and not in the sum; calls under way are among them."""
    began_at: datetime | None
    """When its first process began, UTC; null when none did."""
    elapsed_s: float
    """Seconds that processes have worked on it, judging among them."""
    projected_end: datetime | None
    """When the last attempt is projected to end, UTC, from the time that done items took; judging comes after it. Null
    while that cannot be told, and when nobody works on the run."""
    stopped_by: str | None
    """The signal that asked the present or last process to stop; null when none did."""
    damaged_lines: int
    """Lines of events.jsonl that cannot be read; their attempts were told from their own records instead."""
    damaged_attempts: tuple[str, ...]
    """Attempts whose own record cannot be read, as item/number."""

    @property
    def total(self) -> int:
        """Items in all."""
        return sum(self.items.values())

    @property
    def at_work(self) -> bool:
        """Whether a process works on it."""
        return self.phase in {"preparing", "attempting", "stopping", "judging"}
