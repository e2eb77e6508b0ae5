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


async def to_agent(writing: Awaitable[object]) -> None:
    """Await a write to the agent. Raises AgentGone when it is no longer there, or does not read."""
    try:
        async with asyncio.timeout(LONGEST_WRITE_S):
            await writing
    except (ConnectionError, TimeoutError) as error:
        raise AgentGone from error


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
        chunks = self._kept(answer.chunks)
        if self._streamed:
            chunks = self._events(chunks, hide_usage=hide_usage)
        else:
            whole, chunks = await self._first(chunks)
            if whole is not None:  # headers and body in one go
                self.response = web.Response(status=answer.status, headers=answer.headers, body=whole)
                await to_agent(self.response.prepare(request))
                await to_agent(self.response.write_eof())
                self.passed = len(whole)
                touch()
                return self.response
        response = self.response = web.StreamResponse(status=answer.status, headers=answer.headers)
        await to_agent(response.prepare(request))
        touch()
        async for chunk in chunks:
            await to_agent(response.write(chunk))
            self.passed += len(chunk)
            touch()
        await to_agent(response.write_eof())
        return response

    async def _first(self, chunks: AsyncIterator[bytes]) -> tuple[bytes | None, AsyncIterator[bytes]]:
        """The body when it came in one piece, else null and its chunks from the first on."""
        begun: list[bytes] = []
        try:
            async for chunk in chunks:
                begun.append(chunk)
                if len(begun) > 1:
                    return None, _chain(begun, chunks)
        except (aiohttp.ClientError, OSError) as error:
            return None, _broken(begun, error)  # what had come is passed on before the agent sees the cut
        return b"".join(begun), chunks

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

    async def _kept(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            if self.first_byte_s is None:
                self.first_byte_s = time.monotonic() - self._started
            self.digest.update(chunk)
            self.whole = self.whole and len(self.body) + len(chunk) <= MOST_KEPT
            if self.whole:
                self.body += chunk
            yield chunk

    async def _events(self, chunks: AsyncIterator[bytes], *, hide_usage: bool) -> AsyncIterator[bytes]:
        """Pass an event stream on, reading it; without the usage chunk that the agent did not ask for."""
        parser = EventParser()
        async for chunk in chunks:
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


async def _chain(begun: list[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in begun:
        yield chunk
    async for chunk in rest:
        yield chunk


async def _broken(begun: list[bytes], error: Exception) -> AsyncIterator[bytes]:
    for chunk in begun:
        yield chunk
    raise error
