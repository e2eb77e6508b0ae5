"""The block in a journal by which an attempt of Speedproof, exported in another layout, carries its own record."""

from datetime import datetime
from typing import Any, Literal

from pydantic import ValidationError

from speedproof.journal.attempt import AgentOutcome
from speedproof.journal.base import Record
from speedproof.journal.failure import Diagnosis
from speedproof.journal.foreign import ForeignAttempt
from speedproof.journal.foreign_parts import (
    Clock,
    FailedCall,
    ForeignPatchStatus,
    Recorded,
    SourceOfUsage,
    Told,
    UsageSource,
)
from speedproof.journal.status import RunStatus
from speedproof.journal.usage import Usage

BLOCK = "speedproof"
"""Name of the block in journal.json."""


class Exported(Record):
    """What of a record no file of the layout holds."""

    format: Literal["speedproof/exported/1"] = "speedproof/exported/1"
    """Version of this block's schema."""
    own: str
    """run/item/number."""
    run: str
    """Id of the run."""
    item: str
    """Id of the item."""
    agent: Told
    """The agent."""
    model: Told
    """The model."""
    model_asked: str | None
    """The model as asked for."""
    began: datetime | None
    """When it began, UTC."""
    ended: datetime | None
    """When it ended, UTC."""
    written: datetime | None
    """When it was sealed, UTC."""
    clock: Clock
    """What these times rest on."""
    recorded: Recorded
    """What the agent claims."""
    steps: int | None
    """Steps by the agent's count."""
    outcome: AgentOutcome | None
    """What the agent says of itself."""
    usages: tuple[UsageSource, ...]
    """Sources of tokens."""
    usage: Usage
    """Tokens by the best of them."""
    usage_source: SourceOfUsage | Literal["unknown"]
    """That source."""
    usage_why: str
    """Why it is the best."""
    billed_usd: float | None
    """What it says it cost."""
    calls: int | None
    """Model calls."""
    failed: int | None
    """Those that failed."""
    failed_calls: tuple[FailedCall, ...]
    """Each of them, up to the number that a record lists."""
    retries: int | None
    """Tries after the first."""
    config_sha256: str | None
    """Digest of its limits, options and parameters."""
    run_status: RunStatus
    """How the process went."""
    patch_status: ForeignPatchStatus
    """What kind of patch there is."""
    diagnosis: Diagnosis | None
    """Why it did not complete."""
    fingerprint: str | None
    """Name of the failure without particulars."""
    exit_and_patch: bool
    """Success rule of the status."""
    strict: bool
    """Success rule of the status."""
    confirmed: bool
    """Success rule of the status."""


_FIELDS = tuple(name for name in Exported.model_fields if name != "format")


def block_of(attempt: ForeignAttempt) -> dict[str, Any]:
    """The block of one of our own attempts."""
    block = Exported.model_validate({name: getattr(attempt, name) for name in _FIELDS})
    value: dict[str, Any] = block.model_dump(mode="json")
    return value


def with_block(attempt: ForeignAttempt, block: Any) -> ForeignAttempt:
    """The attempt with what its journal's block says; as it is when the block is none of ours."""
    try:
        found = Exported.model_validate(block)
        return ForeignAttempt.model_validate(
            attempt.model_copy(update={n: getattr(found, n) for n in _FIELDS}).model_dump()
        )
    except ValidationError:
        return attempt
