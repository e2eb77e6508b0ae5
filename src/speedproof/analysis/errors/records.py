"""What `speedproof errors` says, as records."""

from datetime import datetime
from typing import Literal, get_args

from speedproof.analysis.founded import Confidence
from speedproof.journal import Evidence, FailureClass, Record, Usage

By = Literal["class", "fingerprint", "fault", "run", "agent", "model"]
"""What failures are grouped by."""
BY: tuple[By, ...] = get_args(By)


class Lost(Record):
    """What the attempts of a group took: the sum of what is known, and of how many attempts it is not."""

    steps: int | None
    """Steps; null when unknown of all."""
    steps_unknown: int
    """Attempts whose steps are unknown."""
    wall_s: float | None
    """Seconds the agents ran; null when unknown of all."""
    wall_unknown: int
    """Attempts whose seconds are unknown."""
    usage: Usage
    """Tokens by what they are, cached ones apart; null when unknown of all."""
    usage_unknown: int
    """Attempts whose tokens are unknown."""
    cost_usd: float | None
    """US dollars at the list prices of the day; null when unknown of all."""
    cost_unknown: int
    """Attempts whose cost is unknown."""


class MadeUp(Record):
    """Attempts of a group after which the same problem was solved, by three success rules.

    The same problem is the same expert commit, whoever tried it; in our own runs it is the same item. An attempt
    without a time is not followed by any.
    """

    recorded: tuple[str, ...]
    """A later attempt is recorded as success."""
    exit_and_patch: tuple[str, ...]
    """A later attempt has exit code 0 and patch bytes."""
    confirmed: tuple[str, ...]
    """A later attempt is confirmed."""


class Example(Record):
    """One attempt of a group, the one whose diagnosis is best founded."""

    attempt: str
    """Its name."""
    archive: str
    """Id of the archive or the run."""
    message: str
    """What its diagnosis says."""
    evidence: tuple[Evidence, ...]
    """Where that stands; paths are relative to the root of the archive or the run."""


class ErrorGroup(Record):
    """Attempts with a failure in common."""

    by: By
    """What they have in common."""
    name: str | None
    """That class, fingerprint, fault, run, agent or model; null when unknown."""
    failure: FailureClass | None
    """The class of the failure; null where the group has several."""
    fault: str | None
    """The party at fault: infrastructure, model, agent or task; null where there are several."""
    transient: bool | None
    """Whether the same attempt, started again later, may well succeed; null where that differs."""
    next: tuple[str, ...]
    """What to do, about our own attempts and about other harnesses'; nothing where there are several classes."""
    attempts: tuple[str, ...]
    """The attempts, oldest first."""
    items: int
    """How many items they belong to."""
    commits: int
    """How many expert commits, as far as they are known."""
    runs: int
    """How many runs."""
    first: datetime | None
    """When the first was concluded, UTC; null when unknown of all."""
    last: datetime | None
    """When the last was."""
    undated: int
    """Attempts without a time."""
    recorded_success: tuple[str, ...]
    """Those that their archive calls a success all the same."""
    made_up: MadeUp
    """Those after which the same problem was solved."""
    confidence: dict[Confidence, int]
    """How many diagnoses are direct, inferred, weak."""
    lost: Lost
    """What the attempts took."""
    calls: int
    """Failed model calls of the same class behind it; where the group has several classes, of those of its attempts."""
    mentions: int
    """How often the logs repeat them. Not a number of failures."""
    example: Example
    """One of them."""
    groups: tuple["ErrorGroup", ...]
    """The same attempts by fingerprint, or by class where the group has several."""


class Judging(Record):
    """Patches of our own attempts that could not be judged, or only on a task that proves nothing.

    The attempt itself may have gone well. Of each patch the evaluation that counts is looked at, and no other; a patch
    to which the run's judging never came, because it broke off, is among them.
    """

    tasks: tuple[str, ...]
    """The tasks that they are of: what is broken in one is found once, and holds for all of its patches."""
    groups: tuple[ErrorGroup, ...]
    """Attempts of agents by what their judging failed with, in the order of the other groups."""
    ended: tuple[str, ...]
    """Those of them that a failure of their own ended too: they are among the failed as well."""
    controls: tuple[ErrorGroup, ...]
    """Controls and patches that somebody gave, likewise: they are counted nowhere else."""


class CallGroup(Record):
    """Model calls that failed in the same way, whatever became of the attempts."""

    failure: FailureClass
    """The class."""
    calls: int
    """How many calls."""
    mentions: int
    """How often the logs repeat them. Not a number of failures."""
    attempts: tuple[str, ...]
    """Attempts with such a call."""
    ended: tuple[str, ...]
    """Those that a failure of this class ended."""
    completed: tuple[str, ...]
    """Those that completed all the same, by our rules."""
    recorded_success: tuple[str, ...]
    """Those that their archive calls a success."""
    recorded_success_calls: int
    """Failed calls in these."""
    example: Example
    """The first of them."""


class Untold(Record):
    """Attempts that their archive calls a failure, and what it says of them."""

    attempts: tuple[str, ...]
    """All of them."""
    without_text: tuple[str, ...]
    """Those for which it gives no error text."""
    causes: dict[Confidence, int]
    """For how many of these a cause was found, by its confidence."""
    no_cause: tuple[str, ...]
    """Those for which none was."""


class Errors(Record):
    """Everything that went wrong in some runs and archives."""

    by: By
    """What failures are grouped by."""
    archives: tuple[str, ...]
    """Ids of the archives and runs."""
    attempts: int
    """Attempts looked at."""
    failed: Lost
    """What those took that a failure ended."""
    groups: tuple[ErrorGroup, ...]
    """Failures that ended an attempt. First the group with the largest share of attempts, dollars or seconds."""
    completed: tuple[ErrorGroup, ...]
    """Attempts that completed, and left nothing to judge or are recorded as a failure, in the same order."""
    judging: Judging
    """Failures of judging, not of attempts."""
    calls: tuple[CallGroup, ...]
    """Failed model calls by class, the most frequent first."""
    unlisted_calls: int
    """Failed calls in none of these groups: a record lists the first 1,000 of its attempt, and counts all."""
    recorded_failures: Untold
    """What the archives say of their failures."""
    unread: tuple[str, ...]
    """Records of our own attempts that cannot be read, each with its attempt and why: what they hold counts nowhere."""
