"""What stands behind the gateway: a request to be forwarded, its answer, and the protocol of what answers it."""

import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import aiohttp

from speedproof.journal.call import Protocol as Spoken

_GEMINI = re.compile(r"/models/[^/]+:\w+")

EVERY: frozenset[Spoken] = frozenset({"chat", "responses", "messages", "gemini"})
"""Every protocol that agents speak."""


@dataclass(frozen=True)
class Request:
    """A request ready to be forwarded: body decoded, pins applied. Its headers are still the agent's, token and all;
    an upstream sends none that could hold a key."""

    session: str = field(repr=False)
    """Token of the session it belongs to; conversations of different sessions have nothing in common."""
    method: str
    path: str
    """Path below the API's root, such as /chat/completions."""
    query: str = ""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def speaks(self) -> Spoken:
        """Its protocol, by its path; side routes included where the path tells."""
        if _GEMINI.fullmatch(self.path):
            return "gemini"
        first = self.path.split("/", 2)[1] if self.path.startswith("/") else ""
        named: dict[str, Spoken] = {"chat": "chat", "responses": "responses", "messages": "messages"}
        return named.get(first, "other")

    def header(self, name: str) -> str | None:
        """A header's values, joined by commas; null when there is none."""
        values = [v for k, v in self.headers if k.lower() == name.lower()]
        return ",".join(values) if values else None


@dataclass(frozen=True)
class Answer:
    """A provider's answer: its body comes in the chunks in which it arrived."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class Unreachable(aiohttp.ClientError):
    """The provider was not reached, or the connection to it broke; its text is the cause without secrets. It replaces
    the client's own errors, which hold the request's headers."""

    def __init__(self, message: str, *, passing: bool) -> None:
        super().__init__(message)
        self.passing = passing
        """Whether the connection may come about at the next try."""


def passes(error: BaseException) -> bool:
    """Whether a connection that failed so may come about at the next try: refused, reset, timed out."""
    if isinstance(error, Unreachable):
        return error.passing
    if isinstance(error, aiohttp.ClientSSLError):
        return False
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, socket.gaierror):
        return cause.errno == socket.EAI_AGAIN
    return isinstance(error, OSError | aiohttp.ServerDisconnectedError)


class Refused(Exception):
    """The upstream cannot forward a request; nothing was sent."""

    def __init__(self, status: int, message: str, code: str) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status to answer with."""
        self.message = message
        """What is wrong, for the agent; without secrets."""
        self.code = code
        """Error code to answer with."""


class Upstream(Protocol):
    """Anything that answers model requests."""

    @property
    def protocols(self) -> frozenset[Spoken]:
        """The protocols it takes."""
        ...

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be recorded or shown, as of now: credentials may change while it is in use."""
        ...

    def expires_at(self) -> datetime | None:
        """When its login ends, UTC; null when it does not, renews itself, or does not say."""
        ...

    def answer(self, request: Request, client: aiohttp.ClientSession) -> AbstractAsyncContextManager[Answer]:
        """Forward one request. Raises Refused when it cannot be forwarded; aiohttp.ClientError or OSError, without
        secrets, when the provider cannot be reached, or breaks off while its chunks are read."""
        ...

    def forget(self, session: str) -> None:
        """Drop what is remembered of a session: it has ended."""
        ...
