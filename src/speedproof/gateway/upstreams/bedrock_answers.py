"""What Bedrock answers to Anthropic's Messages, in the form that Anthropic itself answers in."""

import base64
import json
import re
import struct
from collections.abc import AsyncIterator, Mapping
from typing import Any

from botocore.eventstream import EventStreamBuffer, EventStreamMessage, ParserError

from speedproof.gateway.upstream import Unreachable

_LONGEST_ERROR = 1 << 20
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}
_STREAM_KINDS = {
    "throttlingException": "rate_limit_error",
    "validationException": "invalid_request_error",
    "serviceUnavailableException": "overloaded_error",
}


async def _whole(chunks: AsyncIterator[bytes]) -> bytes:
    """A short body; of a long one the beginning."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > _LONGEST_ERROR:
            break
    return bytes(body[:_LONGEST_ERROR])


def _as_error(kind: str, message: str) -> bytes:
    return json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()


def _said(raw: bytes) -> str:
    """The message in an error of AWS; all of it when it is in no known form."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    message = (body.get("message") or body.get("Message")) if isinstance(body, dict) else None
    return message if isinstance(message, str) else raw.decode(errors="replace")


async def error_body(status: int, kind: str, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """An error of AWS in Anthropic's form, AWS's name for it before its message."""
    text = _said(await _whole(chunks))
    default = "api_error" if status >= 500 else "invalid_request_error"
    yield _as_error(_KINDS.get(status, default), f"{kind}: {text}" if kind else text)


async def token_count(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A count of tokens in Anthropic's form; what is none passes as it is."""
    raw = await _whole(chunks)
    try:
        yield json.dumps({"input_tokens": json.loads(raw)["inputTokens"]}).encode()
    except (ValueError, RecursionError, LookupError, TypeError):
        yield raw


async def server_sent(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """An AWS event stream as Anthropic's server-sent events. Raises Unreachable where it is broken."""
    buffer = EventStreamBuffer()
    async for chunk in chunks:
        buffer.add_data(chunk)
        events, broken = _read(buffer)
        if events:
            yield events
        if broken is not None:
            raise Unreachable(f"the event stream is broken: {broken}", passing=False)


def _read(buffer: EventStreamBuffer) -> tuple[bytes, str | None]:
    """The events that are whole by now, and what is wrong with the next, if so."""
    events = b""
    try:
        for message in buffer:
            events += _event(message)
    except (ParserError, struct.error, ValueError, LookupError, TypeError, RecursionError) as error:
        return events, type(error).__name__
    return events, None


def _event(message: EventStreamMessage) -> bytes:
    headers: Mapping[str, Any] = message.headers
    kind = headers.get(":message-type")
    if kind != "event":
        what = str(headers.get(":exception-type") or headers.get(":error-code") or kind)
        said = str(headers.get(":error-message") or _said(message.payload))
        name, data = "error", _as_error(_STREAM_KINDS.get(what, "api_error"), f"{what}: {said}")
    elif headers.get(":event-type") == "chunk":
        event = json.loads(base64.b64decode(json.loads(message.payload)["bytes"]))
        name, data = re.sub(r"\W", "", str(event["type"])), json.dumps(event).encode()
    else:
        return b""
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"
