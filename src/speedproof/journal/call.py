"""A model call as seen on the wire: its intent, written before it is forwarded, and its outcome, written after."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from speedproof.journal.base import Record
from speedproof.journal.usage import Usage

CUT_BY_AGENT = "the agent closed the connection before the answer was complete"
"""`CallOutcome.error` of a call that the agent itself broke off: it says nothing against the provider."""
CUT_BY_END = "the attempt ended before the answer was complete"
"""`CallOutcome.error` of a call under way when the attempt ended."""
BROKEN = "the connection to the provider broke"
"""How `CallOutcome.error` begins when the provider's answer broke off."""

Protocol = Literal["chat", "responses", "messages", "gemini", "other"]
"""What a request speaks: OpenAI Chat Completions, OpenAI Responses, Anthropic Messages, Gemini generateContent, or
none of them: a side route such as /v1/models."""


class IllegalKind(StrEnum):
    """What makes a conversation one that a provider must refuse."""

    OUTPUT_MISSING = "output_missing"
    """A tool call without an output."""
    CALL_MISSING = "call_missing"
    """A tool output without a call."""
    EMPTY_ERROR = "empty_error"
    """A tool result marked as an error, without content."""
    ARGUMENTS_MALFORMED = "arguments_malformed"
    """A tool call whose arguments are no JSON object."""


class Illegal(Record):
    """One thing in a request's conversation that its protocol forbids, found before the request was forwarded."""

    kind: IllegalKind
    """What is wrong."""
    call_id: str
    """Id of the tool call concerned; its tool's name where the protocol has no ids."""
    tool: str | None = None
    """Name of the tool; null when the request does not say."""
    entry: int
    """Index, from 0, of the message or item at fault: the one that left the call open, or holds the bad content."""
    repaired: bool = False
    """Whether the gateway supplied what was missing before it forwarded the request."""


class Watched(Record):
    """A parameter that was pinned or configured, as seen on the wire."""

    asked: Any = None
    """Its value as the agent sent it; null: the agent did not send it."""
    sent: Any = None
    """Its value as forwarded to the provider; null: it was not sent."""
    pinned: bool = False
    """Whether the gateway set it."""


class Retry(Record):
    """One failed try inside a call, before the answer that the agent got."""

    at: datetime
    """When the try had failed, UTC."""
    status: int | None = None
    """HTTP status of the try; null when the provider was not reached."""
    error: str
    """Its error text, secrets removed, cut to 2,000 characters."""
    waited_s: float
    """Seconds waited before the next try."""


class CallIntent(Record):
    """What the agent asked for, recorded before a byte is forwarded."""

    kind: Literal["intent"] = "intent"
    """Marks the line in calls.jsonl."""
    call: int
    """Number of the call within the attempt, from 1."""
    at: datetime
    """When the request had been read, UTC."""
    method: str | None = None
    """HTTP method; null for what could not be read as an HTTP request."""
    path: str | None = None
    """HTTP path as the agent asked for it, without query; null likewise."""
    protocol: Protocol
    """chat, responses, messages (Anthropic), gemini, or other for a side route such as /v1/models."""
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
    sent_sha256: str | None = None
    """SHA-256 of the body prepared for forwarding, content encoding removed, secrets still in it; null when it could
    not be prepared. Where bodies are kept, the body stored under this name had its secrets replaced."""
    watched: dict[str, Watched] = {}
    """Parameters pinned or configured in this run, by their own names (docs/agents.md), as asked and as sent."""
    illegal: tuple[Illegal, ...] = ()
    """What its protocol forbids in the conversation, found before forwarding."""


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
    at_least: Usage | None = None
    """Where usage is null: what the provider certainly counted, as far as the broken answer shows; null when nothing
    of it arrived."""
    billed_usd: float | None = None
    """US dollars that the provider itself says it bills for this call; null when it does not say."""
    resets_at: datetime | None = None
    """When the provider says that a used-up limit resets, UTC; null when it does not say."""
    retries: tuple[Retry, ...] = ()
    """Failed tries before this answer, oldest first; the agent saw none of them."""
    response_sha256: str | None = None
    """SHA-256 of the answer's body as it came from the provider; null when no body came."""
    cost_usd: float | None = None
    """Cost at list prices in US dollars; null when usage or price is unknown."""
    terms: dict[str, str] = {}
    """What the provider says of how it served the call, where prices depend on it: service_tier, speed."""
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
