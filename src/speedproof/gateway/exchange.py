"""One exchange: a request of the agent, recorded, checked, forwarded, and its answer, passed on and recorded."""

import asyncio
import hashlib
import hmac
import sys
import time
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Literal

import aiohttp
from aiohttp import web

from speedproof.errors import RecordError
from speedproof.gateway.answers import AnswerReader, is_usage_chunk
from speedproof.gateway.body import TooLarge, Undecodable, decode_body, read_body
from speedproof.gateway.session import MOST_CALLS, MOST_RECORDED, Session
from speedproof.gateway.sse import EventParser
from speedproof.gateway.upstream import Request
from speedproof.gateway.wire import Asked, Malformed, read_request, route
from speedproof.journal import CallIntent, CallOutcome, StopCause
from speedproof.journal.base import now
from speedproof.journal.call import CUT_BY_AGENT, CUT_BY_END
from speedproof.journal.redaction import redact

BUDGET_CODE = "speedproof_budget_exhausted"
_LONGEST_ERROR = 2_000
_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-openrouter-request-id")
_LIMIT_NAMES = {StopCause.STEPS: "model calls", StopCause.TOKENS: "tokens", StopCause.COST: "cost"}


class AgentGone(Exception):
    """The agent closed its connection."""


@dataclass(eq=False)
class Refusal(Exception):
    """The gateway answers by itself."""

    status: int
    message: str
    code: str
    type: str = "invalid_request_error"

    def response(self) -> web.Response:
        """The refusal in the provider's error form."""
        error = {"message": self.message, "type": self.type, "param": None, "code": self.code}
        return web.json_response({"error": error}, status=self.status)


def _full() -> Refusal:
    limit = f"The limit of any attempt is {MOST_CALLS:,} model calls and {MOST_RECORDED >> 20} MiB of their records."
    return Refusal(400, f"{limit} It is used up: the attempt ends here, and no more calls are recorded.", BUDGET_CODE)


def _of_remote(name: str) -> Refusal:
    why = "the attempt has no network, so neither has its model"
    return Refusal(400, f"'{name}' makes the provider fetch or recall content: {why}.", "remote_content_refused")


async def _to_agent(writing: Awaitable[object]) -> None:
    try:
        await writing
    except ConnectionError as error:
        raise AgentGone from error


class Exchange:
    """Serves one request of a session."""

    def __init__(self, session: Session, request: web.BaseRequest, client: aiohttp.ClientSession) -> None:
        self._session = session
        self._request = request
        self._client = client
        self._call = 0
        self._path, self._protocol = route(request.method, request.rel_url.raw_path)
        self._answer = AnswerReader(self._protocol or "other")
        self._status: int | None = None
        self._by_gateway = False
        self._request_id: str | None = None
        self._started = time.monotonic()
        self._first_byte: float | None = None
        self._passed = 0
        self._body: bytearray | None = None

    async def serve(self) -> web.StreamResponse:
        """Record the intent, check, forward, pass the answer on, record the outcome, whatever happens.

        Once the session is full and says so in its last record, what still comes is refused and leaves no trace.
        """
        if self._session.overflowed and self._session.stopped is not None:
            return _full().response()
        raw, cut = await read_body(self._request)
        asked, refusal = self._read(raw, cut)
        self._session.touch()
        self._call = self._session.next_call()
        try:
            self._session.record(self._intent(raw, asked))
        except RecordError:
            return Refusal(500, "the call could not be recorded", "speedproof_record_failed", "server_error").response()
        self._started = time.monotonic()
        model_call = self._protocol in {"chat", "responses"}
        metered = False
        try:
            self._check(refusal)
            if self._path != "/models":
                metered = True
                self._session.calls_in_flight += 1
                self._session.meter.begin(self._call, len(asked.body), step=model_call)
            return await self._forward(asked)
        except Refusal as error:
            self._by_gateway = True
            self._status, self._answer.complete = error.status, True
            self._answer.error, self._answer.error_code = error.message, error.code
            return error.response()
        except AgentGone:
            return web.Response()  # to nobody
        finally:
            self._finish(metered=metered)

    def _read(self, raw: bytes, cut: bool) -> tuple[Asked, Refusal | None]:
        """What the body asks for, and why it cannot be forwarded, if so."""
        try:
            if cut:
                raise TooLarge
            body = decode_body(raw, self._request.headers.get("Content-Encoding", ""))
            if self._protocol is not None and self._request.method == "POST":
                protocol: Literal["chat", "responses"] = "chat" if self._protocol == "chat" else "responses"
                asked = read_request(protocol, body, self._session.pins)
                return asked, None if asked.remote is None else _of_remote(asked.remote)
            return Asked(body=body), None
        except TooLarge:
            return Asked(), Refusal(413, "The request body is larger than 64 MiB.", "request_too_large")
        except Undecodable as error:
            return Asked(), Refusal(400, f"The request body cannot be decoded: {error}.", "invalid_content_encoding")
        except Malformed:
            return Asked(), Refusal(400, "We could not parse the JSON body of your request.", "invalid_json")

    def _intent(self, raw: bytes, asked: Asked) -> CallIntent:
        return CallIntent(
            call=self._call,
            at=now(),
            method=self._request.method[:20],
            path=self._request.rel_url.raw_path[:500],
            protocol=self._protocol or "other",
            model_asked=asked.model,
            stream=asked.stream,
            asked=asked.asked,
            sent=asked.sent,
            tools=asked.tools,
            messages=asked.messages,
            request_bytes=len(raw),
            request_sha256=hashlib.sha256(raw).hexdigest(),
        )

    def _check(self, refusal: Refusal | None) -> None:
        """Raise the Refusal that keeps this request from being forwarded, if there is one."""
        if self._session.overflowed:
            self._session.stop(StopCause.STEPS)
            raise _full()
        given = self._request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(errors="replace"), f"Bearer {self._session.token}".encode()):
            raise Refusal(401, "Incorrect API key provided: this attempt has a key of its own.", "invalid_api_key")
        if self._request.headers.get("Upgrade"):
            raise Refusal(426, "WebSocket and other upgrades are not offered; use HTTP.", "upgrade_not_supported")
        if self._protocol is None:
            raise Refusal(404, f"Invalid URL ({self._request.method} {self._path[:200]})", "unknown_route")
        if refusal is not None:
            raise refusal
        if self._path == "/models":
            return
        cause = self._session.stopped or self._session.meter.exhausted(self._session.budget)
        if cause is not None:
            self._session.stop(cause)
            name = _LIMIT_NAMES.get(cause, cause.value)
            raise Refusal(400, f"The attempt's limit of {name} is used up; it ends here.", BUDGET_CODE)

    async def _forward(self, asked: Asked) -> web.StreamResponse:
        request = Request(
            session=self._session.token,
            method=self._request.method,
            path=self._path,
            query=self._request.rel_url.raw_query_string,
            headers=tuple(self._request.headers.items()),
            body=asked.body,
        )
        response: web.StreamResponse | None = None
        try:
            async with self._session.model.upstream.answer(request, self._client) as answer:
                for name in _REQUEST_ID_HEADERS:
                    self._request_id = self._request_id or answer.headers.get(name)
                response = web.StreamResponse(status=answer.status, headers=answer.headers)
                await _to_agent(response.prepare(self._request))
                self._status = answer.status
                self._session.touch()
                streamed = "text/event-stream" in answer.headers.get("Content-Type", "")
                passing = self._stream(answer.chunks, asked) if streamed else self._whole(answer.chunks)
                async for chunk in passing:
                    await _to_agent(response.write(chunk))
                    self._passed += len(chunk)
                    self._session.touch()
                await _to_agent(response.write_eof())
                return response
        except (aiohttp.ClientError, OSError) as error:
            text = f"{type(error).__name__}: {error}"
            if response is None:
                self._status = None
                message = f"The provider cannot be reached: {redact(text, self._session.secrets)}"
                raise Refusal(502, message[:_LONGEST_ERROR], "upstream_unreachable", "server_error") from error
            if not self._answer.complete:
                self._answer.error = f"the connection to the provider broke: {text}"
            if self._request.transport is not None:
                self._request.transport.abort()  # the agent must see that the answer is cut
            return response

    async def _stream(self, chunks: AsyncIterator[bytes], asked: Asked) -> AsyncIterator[bytes]:
        """Pass an event stream on, reading it; without the usage chunk that the agent did not ask for."""
        parser = EventParser()
        async for chunk in chunks:
            self._mark_first_byte()
            events = parser.feed(chunk)
            for event in events:
                self._answer.read_event(event)
            if not asked.usage_added:
                yield chunk
            elif kept := b"".join(event.raw for event in events if not is_usage_chunk(event)):
                yield kept
        rest = parser.finish()
        if rest is not None:
            self._answer.read_event(rest)
            if asked.usage_added and not is_usage_chunk(rest):
                yield rest.raw

    async def _whole(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Pass a body on and keep it, to be read when it is whole."""
        self._body = bytearray()
        async for chunk in chunks:
            self._mark_first_byte()
            self._body += chunk
            yield chunk

    def _mark_first_byte(self) -> None:
        if self._first_byte is None:
            self._first_byte = time.monotonic() - self._started

    def _cut(self) -> str:
        """Why the answer is not complete."""
        error = sys.exception()
        if self._session.closing:
            return CUT_BY_END
        if isinstance(error, asyncio.CancelledError | AgentGone):
            return CUT_BY_AGENT
        if error is not None:
            return f"{type(error).__name__}: {error}"
        return "the answer ended without its end marker"

    def _finish(self, *, metered: bool) -> None:
        answer, session = self._answer, self._session
        if self._body is not None:
            answer.read_json(bytes(self._body), self._status or 0)
        usage = answer.usage if answer.complete else None
        cost = session.model.price(usage) if usage else None
        if not answer.complete and answer.error is None:
            answer.error = self._cut()
        if metered:
            session.calls_in_flight -= 1
            refused = self._by_gateway or (self._status is not None and self._status >= 400)
            session.meter.end(self._call, usage, cost, refused=refused)
        outcome = CallOutcome(
            call=self._call,
            at=now(),
            status=self._status,
            answered_by="gateway" if self._by_gateway else "provider",
            error=None if answer.error is None else redact(answer.error, session.secrets)[:_LONGEST_ERROR],
            error_code=answer.error_code,
            complete=answer.complete,
            usage=usage,
            cost_usd=cost,
            model_answered=answer.model,
            provider_request_id=None if self._request_id is None else self._request_id[:200],
            finish_reason=answer.finish_reason,
            tool_calls=tuple(answer.tool_calls[:200]),
            text_excerpt=answer.text,
            first_byte_s=self._first_byte,
            duration_s=time.monotonic() - self._started,
            response_bytes=self._passed,
        )
        try:
            session.record(outcome)
        except RecordError:
            session.stop_event.set()  # Gateway.close raises it
