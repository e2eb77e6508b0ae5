"""What a run learns of a provider's limits: each change of the pace of its calls, and that it serves no more calls."""

from datetime import datetime
from typing import Literal

from speedproof.journal.base import Record
from speedproof.journal.failure import FailureClass

PaceReason = Literal["rate_limited", "overloaded", "answered"]
"""Why a pace changes. rate_limited, overloaded: the provider refused a call so; answered: it answers again."""


class PaceChange(Record):
    """One change of the pace at which calls go to a provider: a line of events.jsonl."""

    event: Literal["pace_changed"] = "pace_changed"
    """Marks the line."""
    at: datetime
    """When, UTC."""
    provider: str
    """The provider, by name and host."""
    why: PaceReason
    """What changed it."""
    window: float | None = None
    """How many calls may be under way at once from now on, all attempts together; a growing window is recorded when
    it admits one more call. Null: as many as there are."""
    not_before: datetime | None = None
    """No call is sent before this time, UTC; null: at once."""
    in_flight: int
    """Calls under way at that moment, the one that changed the pace among them."""


class ProviderDown(Record):
    """A provider serves no more calls until somebody acts or a limit resets: a line of events.jsonl."""

    event: Literal["provider_down"] = "provider_down"
    """Marks the line."""
    at: datetime
    """When the provider said so, UTC."""
    provider: str
    """The provider, by name and host."""
    failure: FailureClass
    """What it lacks: quota, the usage limit of a plan, a valid login."""
    message: str
    """The provider's own words, secrets removed, cut to 2,000 characters."""
    resets_at: datetime | None = None
    """When the limit resets, UTC; null when the provider does not say."""
