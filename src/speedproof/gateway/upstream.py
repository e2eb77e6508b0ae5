"""What stands behind the gateway: the protocol of upstreams, and the one that speaks HTTP to a provider."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp
from multidict import CIMultiDict

from speedproof.journal.redaction import REDACTED

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "trailers",
        "transfer-encoding",
        "upgrade",
    }
)
_NEVER_SENT = HOP_BY_HOP | {
    "accept-encoding",
    "api-key",
    "authorization",
    "content-encoding",
    "content-length",
    "cookie",
    "expect",
    "host",
    "x-api-key",
}
_NEVER_RETURNED = HOP_BY_HOP | {"alt-svc", "content-encoding", "content-length", "date", "server", "set-cookie"}


@dataclass(frozen=True)
class Request:
    """A request ready to be forwarded: body decoded, pins applied, the agent's key still in no header."""

    session: str
    """Token of the session it belongs to; conversations of different sessions have nothing in common."""
    method: str
    path: str
    """Path below the API's root, such as /chat/completions."""
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """A provider's answer: its body comes in the chunks in which it arrived."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class Upstream(Protocol):
    """Anything that answers model requests."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be recorded or shown."""
        ...

    def answer(self, request: Request, client: aiohttp.ClientSession) -> AbstractAsyncContextManager[Answer]:
        """Forward one request. Raises aiohttp.ClientError or OSError when the provider cannot be reached."""
        ...

    def forget(self, session: str) -> None:
        """Drop what is remembered of a session: it has ended."""
        ...


@dataclass(frozen=True)
class HttpUpstream:
    """An OpenAI-compatible API; the real key is put in here and nowhere else."""

    base_url: str
    key: str | None = field(default=None, repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.key,) if self.key else ()

    @asynccontextmanager
    async def answer(self, request: Request, client: aiohttp.ClientSession) -> AsyncIterator[Answer]:
        named = {name.strip().lower() for k, v in request.headers if k.lower() == "connection" for name in v.split(",")}
        headers = [(k, v) for k, v in request.headers if k.lower() not in _NEVER_SENT | named]
        headers.append(("Accept-Encoding", "identity"))
        if self.key:
            headers.append(("Authorization", f"Bearer {self.key}"))
        url = self.base_url.rstrip("/") + request.path + (f"?{request.query}" if request.query else "")
        async with client.request(
            request.method, url, headers=headers, data=request.body or None, allow_redirects=False
        ) as response:
            passed = CIMultiDict(
                (k, self._without_key(v)) for k, v in response.headers.items() if k.lower() not in _NEVER_RETURNED
            )
            refused = response.status >= 400
            yield Answer(response.status, passed, self._error(response) if refused else response.content.iter_any())

    async def _error(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """An error's body, in one piece: some providers repeat the key in it, and the agent must never see that."""
        text = await response.read()
        yield text.replace(self.key.encode(), REDACTED.encode()) if self.key else text

    def _without_key(self, text: str) -> str:
        return text.replace(self.key, REDACTED) if self.key else text

    def forget(self, session: str) -> None:
        """Nothing is remembered here."""
