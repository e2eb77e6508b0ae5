"""A provider's answer on its way to the agent: passed on as it arrives, read and kept while it passes."""

import asyncio
import hashlib
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
from aiohttp import web

from speedproof.gateway.protocols.answer import AnswerReader
from speedproof.gateway.sse import EventParser
from speedproof.gateway.upstream import Answer
from speedproof.journal.call import CUT_BY_AGENT, CUT_BY_END

LONGEST_WRITE_S = 120.0
"""Seconds that an agent may leave a piece of its answer unread: its call holds a place at the provider."""
MOST_KEPT = 64 << 20
"""Bytes of an answer that are kept; what comes after passes on unkept."""
_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-openrouter-request-id", "x-amzn-requestid", "x-goog-request-id")


class AgentGone(Exception):
    """The agent closed its connection."""


async def to_agent(request: web.BaseRequest, writing: Awaitable[object]) -> None:
    """Await a write to the agent. Raises AgentGone when it is no longer there, or does not read."""
    watch = asyncio.get_running_loop().call_later(LONGEST_WRITE_S, abort, request)
    try:
        await writing
    except (ConnectionError, aiohttp.ClientConnectionError) as error:
        raise AgentGone from error
    finally:
        watch.cancel()


def abort(request: web.BaseRequest) -> None:
    """Cut the agent's connection, so that it cannot take what it got for all of it."""
    if request.transport is not None:
        request.transport.abort()


class Passing:
    """What has passed of one answer."""

    def __init__(self, reader: AnswerReader) -> None:
        self.reader = reader
        self.status: int | None = None
        """HTTP status; null while none has come."""
        self.request_id: str | None = None
        self.first_byte_s: float | None = None
        self.passed = 0
        """Bytes of body passed on."""
        self.body = bytearray()
        """The body as it came from the provider, up to MOST_KEPT."""
        self.whole = True
        """Whether `body` holds all that came."""
        self.digest = hashlib.sha256()
        """Of the whole body as it came from the provider."""
        self.response: web.StreamResponse | None = None
        """What the agent gets; null while it has been sent nothing."""
        self._started = time.monotonic()
        self._streamed = False

    async def run(
        self, answer: Answer, request: web.BaseRequest, *, hide_usage: bool, touch: Callable[[], None]
    ) -> web.StreamResponse:
        """Pass an answer on. `hide_usage`: the gateway, not the agent, asked for the stream's usage chunk.

        Raises AgentGone, and what the answer's chunks raise when the provider breaks off.
        """
        for name in _REQUEST_ID_HEADERS:
            self.request_id = self.request_id or answer.headers.get(name)
        self.status = answer.status
        self._streamed = "text/event-stream" in answer.headers.get("Content-Type", "")
        if self._streamed:
            return await self._pass(self._events(answer.chunks, hide_usage=hide_usage), answer, request, touch)
        begun, broken = await self._begun(answer.chunks)
        if broken is not None or len(begun) > 1:
            return await self._pass(self._rest(begun, broken, answer.chunks), answer, request, touch)
        body = b"".join(begun)
        response = self.response = web.Response(status=answer.status, headers=answer.headers, body=body)
        await to_agent(request, _in_one_go(response, request))
        self.passed = len(body)
        touch()
        return response

    async def _pass(
        self, pieces: AsyncIterator[bytes], answer: Answer, request: web.BaseRequest, touch: Callable[[], None]
    ) -> web.StreamResponse:
        """Pass on what arrives in pieces."""
        response = self.response = web.StreamResponse(status=answer.status, headers=answer.headers)
        await to_agent(request, response.prepare(request))
        touch()
        async for piece in pieces:
            await to_agent(request, response.write(piece))
            self.passed += len(piece)
            touch()
        await to_agent(request, response.write_eof())
        return response

    async def _begun(self, chunks: AsyncIterator[bytes]) -> tuple[list[bytes], Exception | None]:
        """The first two chunks of a body, or all of it when it came in one piece; and why it broke off, if it did."""
        begun: list[bytes] = []
        try:
            async for chunk in chunks:
                self._keep(chunk)
                begun.append(chunk)
                if len(begun) > 1:
                    break
        except (aiohttp.ClientError, OSError) as error:
            return begun, error
        return begun, None

    async def _rest(
        self, begun: list[bytes], broken: Exception | None, chunks: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes]:
        """What has begun, and what comes after it."""
        for chunk in begun:
            yield chunk
        if broken is not None:
            raise broken  # what had come is passed on before the agent sees the cut
        async for chunk in chunks:
            self._keep(chunk)
            yield chunk

    def finish(self) -> None:
        """Read what can only be read when all of it is there."""
        if not self._streamed and self.status is not None:
            self.reader.read_json(bytes(self.body), self.status)

    def why_cut(self, *, closing: bool) -> str:
        """Why the answer is not complete, asked while the exception that ended it is handled."""
        error = sys.exception()
        if closing:
            return CUT_BY_END
        if isinstance(error, asyncio.CancelledError | AgentGone):
            return CUT_BY_AGENT
        if error is not None:
            return f"{type(error).__name__}: {error}"
        return "the answer ended without its end marker"

    def _keep(self, chunk: bytes) -> None:
        if self.first_byte_s is None:
            self.first_byte_s = time.monotonic() - self._started
        self.digest.update(chunk)
        self.whole = self.whole and len(self.body) + len(chunk) <= MOST_KEPT
        if self.whole:
            self.body += chunk

    async def _events(self, chunks: AsyncIterator[bytes], *, hide_usage: bool) -> AsyncIterator[bytes]:
        """Pass an event stream on, reading it; without the usage chunk that the agent did not ask for."""
        parser = EventParser()
        async for chunk in chunks:
            self._keep(chunk)
            events = parser.feed(chunk)
            for event in events:
                self.reader.read_event(event)
            if not hide_usage:
                yield chunk
            elif kept := b"".join(event.raw for event in events if not self.reader.only_usage(event)):
                yield kept
        rest = parser.finish()
        if rest is not None:
            self.reader.read_event(rest)
            if hide_usage and not self.reader.only_usage(rest):
                yield rest.raw


async def _in_one_go(response: web.Response, request: web.BaseRequest) -> None:
    """Headers and body together."""
    await response.prepare(request)
    await response.write_eof()
