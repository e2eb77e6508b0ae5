"""The scheduler's log: what was decided in a run, and when. Each line of events.jsonl is one of these.

An event repeats what the records of the attempt say only so far as a run's state can be told, and resumed, without
opening each of them; where the two differ, the attempt's own record counts.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from speedproof.journal.attempt import HarnessError, StopCause
from speedproof.journal.base import Record
from speedproof.journal.failure import FailureClass
from speedproof.journal.pace import PaceChange, ProviderDown
from speedproof.journal.status import PatchStatus, RunStatus
from speedproof.journal.usage import Usage


class RunBegan(Record):
    """A process took the run up: its first, or one that resumes it."""

    event: Literal["run_began"] = "run_began"
    """Marks the line."""
    at: datetime
    """When, UTC."""
    pid: int
    """Its process id on the host."""
    jobs: int
    """Attempts that it lets run at once."""
    resumed: bool
    """Whether another process worked on the run before."""


class LaneProbed(Record):
    """Before its attempts, an agent was let make calls to its real model, to see that both work."""

    event: Literal["lane_probed"] = "lane_probed"
    """Marks the line."""
    at: datetime
    """When it was recorded, UTC."""
    lane: str
    """The agent and model."""
    file: str
    """The file of the run that holds the calls, like an attempt's calls.jsonl."""
    calls: int
    """Model calls."""
    usage: Usage
    """Sum of their known usage."""
    usage_unknown_calls: int | None = None
    """Calls whose usage is unknown and not in the sum; null where nobody counted them."""
    cost_usd: float | None
    """Sum of their known costs in US dollars; null when no call has one."""
    cost_unknown_calls: int | None = None
    """Calls whose cost is unknown and not in the sum; null where nobody counted them."""
    broken: str | None
    """Why no attempt of it can succeed; null when one can."""


class ItemExcluded(Record):
    """Nothing is spent on an item, because something that it needs is broken."""

    event: Literal["item_excluded"] = "item_excluded"
    """Marks the line."""
    at: datetime
    """When, UTC."""
    item: str
    """Id of the item."""
    why: str
    """What is broken, in one sentence."""
    hint: str
    """The next command to run; empty when there is none."""


class AttemptBegan(Record):
    """An attempt's folder was made."""

    event: Literal["attempt_began"] = "attempt_began"
    """Marks the line."""
    at: datetime
    """When, UTC."""
    item: str
    """Id of the item."""
    number: int
    """Number of the attempt within the item, from 1."""


class AttemptSealed(Record):
    """An attempt is sealed, and its status derived."""

    event: Literal["attempt_sealed"] = "attempt_sealed"
    """Marks the line."""
    at: datetime
    """When, UTC."""
    item: str
    """Id of the item."""
    number: int
    """Number of the attempt within the item, from 1."""
    rules: str
    """Name and version of the rules that derived its status."""
    run: RunStatus
    """How its process went."""
    patch: PatchStatus
    """What kind of patch it left."""
    failure: FailureClass | None
    """The class of its diagnosis; null when there is nothing to explain."""
    fingerprint: str | None
    """One name for equal failures: class and message without particulars; null without a diagnosis."""
    message: str | None
    """The diagnosis in one sentence; null without one."""
    answered: bool
    """Whether a model call succeeded."""
    resets_at: datetime | None = None
    """When the limit resets that ended it, UTC; null when there was none, or the provider does not say."""
    seconds: float
    """Wall seconds from its opening to its sealing."""
    calls: int
    """Model calls recorded on the wire."""
    usage: Usage
    """Sum of the known usage of its calls."""
    usage_unknown_calls: int
    """Calls whose usage is unknown and not in the sum."""
    cost_usd: float | None
    """Sum of the known costs in US dollars; null when no call has one."""
    cost_unknown_calls: int
    """Calls whose cost is unknown and not in the sum."""
    recovered: bool = False
    """Whether it was left open by a process that was killed, and sealed by the next one."""

    @property
    def cut_off(self) -> bool:
        """Whether it was ended by us or by a kill, so that it says nothing of agent or lane."""
        return self.run in {"cancelled", "crashed"}


class RetryPlanned(Record):
    """An attempt failed for a reason that may pass: the item gets another one."""

    event: Literal["retry_planned"] = "retry_planned"
    """Marks the line."""
    at: datetime
    """When, UTC."""
    item: str
    """Id of the item."""
    after: int
    """Number of the attempt that failed."""
    failure: FailureClass
    """The class of its diagnosis."""
    not_before: datetime
    """The next attempt begins at this time or later, UTC."""


class LaneOpened(Record):
    """The breaker of a lane opened: its attempts fail alike, and no more of its items are spent."""

    event: Literal["lane_opened"] = "lane_opened"
    """Marks the line."""
    at: datetime
    """When, UTC."""
    lane: str
    """The agent and model."""
    failure: FailureClass
    """The class of the failures."""
    fingerprint: str
    """What they have in common."""
    message: str
    """The last of them, in one sentence."""
    attempts: tuple[str, ...]
    """The consecutive attempts that show it, as item/number."""
    resets_at: datetime | None = None
    """When it may go on by itself, UTC; null: when somebody resumes the run."""


class LaneClosed(Record):
    """A lane goes on, one item at a time until a call succeeds."""

    event: Literal["lane_closed"] = "lane_closed"
    """Marks the line."""
    at: datetime
    """When, UTC."""
    lane: str
    """The agent and model."""
    why: Literal["reset", "resumed"]
    """reset: its limit was to reset by now; resumed: a person resumed the run."""


class RunLimit(Record):
    """An item is not begun, because a limit of the whole run is used up."""

    event: Literal["run_limit"] = "run_limit"
    """Marks the line."""
    at: datetime
    """When, UTC."""
    item: str
    """Id of the item."""
    limit: StopCause
    """The limit."""


class Stopped(Record):
    """Somebody asked the run to stop."""

    event: Literal["stopped"] = "stopped"
    """Marks the line."""
    at: datetime
    """When, UTC."""
    by: str
    """The signal that asked, such as SIGINT."""
    at_once: bool
    """Whether running attempts were ended without their grace."""


class JudgingBegan(Record):
    """No attempt is left to make now: what is there is judged."""

    event: Literal["judging_began"] = "judging_began"
    """Marks the line."""
    at: datetime
    """When, UTC."""


class JudgingFailed(Record):
    """Patches could not be judged: something failed that says nothing of them. They wait for another judging."""

    event: Literal["judging_failed"] = "judging_failed"
    """Marks the line."""
    at: datetime
    """When, UTC."""
    task: str | None
    """Name of the task whose patches wait; null when those of every task do that has no evaluation yet."""
    error: HarnessError
    """What was raised."""


class Judged(Record):
    """Every sealed attempt has an evaluation by the declared method."""

    event: Literal["judged"] = "judged"
    """Marks the line."""
    at: datetime
    """When, UTC."""


Event = Annotated[
    RunBegan
    | LaneProbed
    | ItemExcluded
    | AttemptBegan
    | AttemptSealed
    | RetryPlanned
    | LaneOpened
    | LaneClosed
    | RunLimit
    | Stopped
    | JudgingBegan
    | JudgingFailed
    | Judged
    | PaceChange
    | ProviderDown,
    Field(discriminator="event"),
]
"""A line of events.jsonl."""
