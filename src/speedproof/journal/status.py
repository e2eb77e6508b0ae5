"""The status of an attempt, derived from its facts by one named, versioned rule."""

from datetime import datetime
from typing import Any, Literal

from pydantic import model_validator

from speedproof.journal.attempt import Configured
from speedproof.journal.base import Record
from speedproof.journal.failure import Diagnosis
from speedproof.journal.usage import Usage

RunStatus = Literal["completed", "limit", "agent_error", "model_error", "infra_error", "cancelled", "crashed"]
PatchStatus = Literal["missing", "empty", "no_effect", "tests_only", "unapplied", "applied"]


class Seen(Record):
    """One value of a parameter on the wire."""

    value: Any
    """The value; null: the parameter was not in the request."""
    calls: int
    """Calls that had it."""
    first_call: int
    """Number of the first of them."""


class Parameter(Record):
    """A model parameter that was configured or pinned: what became of it on the wire."""

    name: str
    """Its common name (docs/agents.md)."""
    configured: Configured | None = None
    """How the agent was configured with it, and where that stands; null: it was only pinned."""
    pinned: bool = False
    """Whether the gateway set it."""
    asked: tuple[Seen, ...] = ()
    """Values in the agent's requests, the most frequent first."""
    sent: tuple[Seen, ...] = ()
    """Values as forwarded to the provider, the most frequent first."""

    @property
    def never_asked(self) -> bool:
        """Whether it is configured, and no request of the agent had the configured value."""
        return (
            self.configured is not None
            and bool(self.asked)
            and all(seen.value != self.configured.value for seen in self.asked)
        )


class Status(Record):
    """derived/<rules>.json. Completed, or diagnosed: a third state cannot be constructed."""

    rules: str
    """Name and version of the rules that derived it."""
    derived_at: datetime
    """When, UTC."""
    run: RunStatus
    """How the attempt's process went."""
    patch: PatchStatus
    """What kind of patch there is."""
    diagnosis: Diagnosis | None
    """Why it did not complete, or why a completed one has nothing to judge; null when there is nothing to explain."""
    calls: int
    """Model calls recorded on the wire (side routes such as /v1/models left out)."""
    failed_calls: int
    """Those that ended in an error or without an end marker."""
    usage: Usage
    """Sum of the known usage of all calls, from the wire."""
    usage_unknown_calls: int
    """Calls whose usage is unknown and not in the sum."""
    usage_source: Literal["wire", "none"]
    """Where the usage comes from; none when there was no call."""
    cost_usd: float | None
    """Sum of the known costs in US dollars; null when no call has one."""
    cost_unknown_calls: int
    """Calls whose cost is unknown and not in the sum."""
    parameters: tuple[Parameter, ...] = ()
    """Model parameters that were configured or pinned, as seen on the wire."""
    exit_and_patch: bool
    """Success rule: exit code 0 and patch bytes."""
    strict: bool
    """Success rule: exit code 0, a patch with an effect, no error."""
    confirmed: bool
    """Success rule: strict, the agent's own end marker agrees, and at least one call has output tokens."""

    @model_validator(mode="after")
    def _no_failure_without_diagnosis(self) -> "Status":
        if self.run != "completed" and self.diagnosis is None:
            raise ValueError(f"an attempt that is {self.run} needs a diagnosis")
        return self
