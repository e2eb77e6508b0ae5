"""The status of an attempt, derived from its facts by one named, versioned rule."""

from datetime import datetime
from typing import Literal

from pydantic import model_validator

from speedproof.journal.base import Record
from speedproof.journal.failure import Diagnosis
from speedproof.journal.usage import Usage

RunStatus = Literal["completed", "limit", "agent_error", "model_error", "infra_error", "cancelled", "crashed"]
PatchStatus = Literal["missing", "empty", "no_effect", "tests_only", "unapplied", "applied"]


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
