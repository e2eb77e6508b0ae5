"""A model call as seen on the wire: its intent, written before it is forwarded, and its outcome, written after."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from speedproof.journal.base import Record
from speedproof.journal.usage import Usage

CUT_BY_AGENT = "the agent closed the connection before the answer was complete"
"""`CallOutcome.error` of a call that the agent itself broke off: it says nothing against the provider."""
CUT_BY_END = "the attempt ended before the answer was complete"
"""`CallOutcome.error` of a call under way when the attempt ended."""


class CallIntent(Record):
    """What the agent asked for, recorded before a byte is forwarded."""

    kind: Literal["intent"] = "intent"
    """Marks the line in calls.jsonl."""
    call: int
    """Number of the call within the attempt, from 1."""
    at: datetime
    """When the request had been read, UTC."""
    method: str
    """HTTP method."""
    path: str
    """HTTP path as the agent asked for it, without query."""
    protocol: Literal["chat", "responses", "other"]
    """OpenAI Chat Completions, OpenAI Responses, or a side route such as /v1/models."""
    model_asked: str | None = None
    """The model named in the request; null when it names none."""
    stream: bool | None = None
    """Whether the agent asked for a stream; null for side routes."""
    asked: dict[str, Any] = {}
    """Request parameters as the agent sent them, without messages, input, instructions and tool schemas."""
    sent: dict[str, Any] = {}
    """The same parameters as forwarded to the provider, pins applied."""
    tools: tuple[str, ...] = ()
    """Names of the tools offered to the model."""
    messages: int | None = None
    """Number of messages or input items in the request."""
    request_bytes: int
    """Size of the request body as read from the agent."""
    request_sha256: str
    """SHA-256 of the request body as read from the agent."""


class CallOutcome(Record):
    """What came back. A call with an intent and no outcome was cut off with the harness."""

    kind: Literal["outcome"] = "outcome"
    """Marks the line in calls.jsonl."""
    call: int
    """Number of the call this is the outcome of."""
    at: datetime
    """When the last byte had been passed on, UTC."""
    status: int | None = None
    """HTTP status given to the agent; null when no answer came (connection refused, cut before headers)."""
    answered_by: Literal["provider", "gateway"] = "provider"
    """gateway: the request was refused by Speedproof itself (budget, wrong token, unknown route)."""
    error: str | None = None
    """Error text of the provider or the gateway, secrets removed, cut to 2,000 characters; null when none."""
    error_code: str | None = None
    """The provider's own error code or type, such as insufficient_quota; null when none."""
    complete: bool
    """Whether the answer reached its protocol's end marker; false for cut streams."""
    usage: Usage | None = None
    """Token usage from the wire; null when none reached the gateway."""
    cost_usd: float | None = None
    """Cost at list prices in US dollars; null when usage or price is unknown."""
    model_answered: str | None = None
    """The model the provider says answered."""
    provider_request_id: str | None = None
    """The provider's request id header, if any."""
    finish_reason: str | None = None
    """stop, tool_calls, length … as the provider put it; null when none arrived."""
    tool_calls: tuple[str, ...] = ()
    """Names of the tools the model called."""
    text_excerpt: str = ""
    """The first 400 characters of the model's text."""
    first_byte_s: float | None = None
    """Seconds from forwarding to the first byte of the body; null when none came."""
    duration_s: float
    """Seconds from forwarding to the end."""
    response_bytes: int = 0
    """Bytes of body passed on to the agent."""


Call = Annotated[CallIntent | CallOutcome, Field(discriminator="kind")]
