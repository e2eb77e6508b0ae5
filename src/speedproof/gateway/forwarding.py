"""Forwarding over HTTP: what every upstream that asks a provider shares, and the one that needs nothing but a key.

Keys are put into requests here and in `upstreams`, nowhere else; what comes back has them replaced.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from io import BytesIO
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from speedproof.gateway.hiding import Scrubbed, forms, hide
from speedproof.gateway.upstream import EVERY, Answer, Refused, Request, Unreachable, passes
from speedproof.journal.call import Protocol as Spoken
from speedproof.journal.redaction import redact

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
    "chatgpt-account-id",  # this and the next three: who pays is chosen outside the sandbox
    "openai-organization",
    "openai-project",
    "x-goog-user-project",
    "content-encoding",
    "content-length",
    "cookie",
    "expect",
    "host",
    "x-api-key",
    "x-goog-api-key",
    "x-goog-fieldmask",
    "x-http-method-override",
}
_IN_PIECES = 1 << 20
_NEVER_ASKED = frozenset({"access_token", "api-key", "api_key", "fields", "httpmethod", "key"})
"""Query parameters that hold the agent's token, or by which Google would leave the usage out or do something else; it
reads each with a dollar sign, too."""
_NEVER_RETURNED = HOP_BY_HOP | {"alt-svc", "content-encoding", "content-length", "date", "server", "set-cookie"}


@dataclass(frozen=True)
class Outgoing:
    """A request as it leaves for the provider."""

    method: str
    url: URL
    headers: CIMultiDict[str] = field(repr=False)
    body: bytes = field(repr=False)


class Forwarder(ABC):
    """An upstream that speaks HTTP to a provider. What differs is where a request goes and what proves who asks."""

    base_url: str
    """Address of the API's root."""

    @property
    @abstractmethod
    def protocols(self) -> frozenset[Spoken]: ...

    @property
    @abstractmethod
    def secrets(self) -> tuple[str, ...]: ...

    @abstractmethod
    async def outgoing(self, request: Request) -> Outgoing:
        """The request as it is sent, credentials in it. Raises Refused."""

    @property
    def listed_at(self) -> str:
        """The address by which price lists know the provider."""
        return self.base_url

    def expires_at(self) -> datetime | None:
        return None

    def forget(self, session: str) -> None:  # noqa: B027 - nothing is remembered
        """Nothing is remembered here."""

    def passed_on(
        self,
        request: Request,  # noqa: ARG002 - others need it
        response: aiohttp.ClientResponse,
        chunks: AsyncIterator[bytes],
    ) -> tuple[CIMultiDict[str], AsyncIterator[bytes]]:
        """Headers, secrets removed, and body for the agent, out of the provider's."""
        secrets = self.secrets
        kept = ((k, v) for k, v in response.headers.items() if k.lower() not in _NEVER_RETURNED)
        return CIMultiDict((k, hide(_text(v), secrets)) for k, v in kept), chunks

    @asynccontextmanager
    async def answer(self, request: Request, client: aiohttp.ClientSession) -> AsyncIterator[Answer]:
        outgoing = await self.outgoing(request)
        async with await self._send(outgoing, client) as response:
            headers, body = self.passed_on(request, response, _Arriving(response, self._unreachable))
            yield Answer(response.status, headers, Scrubbed(body, self.secrets))

    async def _send(self, outgoing: Outgoing, client: aiohttp.ClientSession) -> aiohttp.ClientResponse:
        try:
            return await client.request(
                outgoing.method,
                outgoing.url,
                headers=outgoing.headers,
                data=_payload(outgoing.body),
                allow_redirects=False,
                proxy=_proxy(outgoing.url.scheme, outgoing.url.host or ""),
            )
        except (aiohttp.ClientError, OSError) as error:
            failure = self._unreachable(error)
        raise failure  # outside the except block, or the client's error would hang on it

    def _unreachable(self, error: Exception) -> Unreachable:
        return Unreachable(redact(f"{type(error).__name__}: {error}", self.secrets), passing=passes(error))


class _Arriving(AsyncIterator[bytes]):
    """The chunks of a body as they arrive."""

    def __init__(self, response: aiohttp.ClientResponse, unreachable: Callable[[Exception], Unreachable]) -> None:
        self._read = response.content.readany
        self._unreachable = unreachable

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._read()
        except (aiohttp.ClientError, OSError) as error:
            failure = self._unreachable(error)
        else:
            if chunk:
                return chunk
            raise StopAsyncIteration
        raise failure  # outside the except block, or the client's error would hang on it


def _payload(body: bytes) -> bytes | BytesIO | None:
    """A body as the client wants it: a long one in pieces, so that nothing else waits while it is sent."""
    return BytesIO(body) if len(body) > _IN_PIECES else body or None


@lru_cache(maxsize=64)
def _proxy(scheme: str, host: str) -> str | None:
    """The host's proxy to a provider (HTTPS_PROXY, NO_PROXY …). Told to the client, which would else ask for it at
    every call, in a thread, and for a password in ~/.netrc that takes our key's place."""
    return None if proxy_bypass(host) else getproxies().get(scheme)


def address(base_url: str, request: Request, path: str | None = None) -> URL:
    """The address of a request's path (or of `path` in its place) below `base_url`, without the agent's token in its
    query. Raises Refused for a path that leads elsewhere."""
    below = request.path if path is None else path
    if not below.startswith("/") or ".." in unquote(below):
        raise Refused(404, "There is no such route.", "unknown_route")
    query = "&".join(
        part
        for part in request.query.split("&")
        if unquote(part.partition("=")[0]).lower().removeprefix("$") not in _NEVER_ASKED
    )
    return URL(base_url.rstrip("/") + below + (f"?{query}" if query else ""))


def sent_headers(request: Request, own: Mapping[str, str]) -> CIMultiDict[str]:
    """The agent's headers that go on, and our own in place of any of the same name."""
    headers = CIMultiDict((k, _text(v)) for k, v in request.headers if k.lower() not in _NEVER_SENT)
    for name in (request.header("connection") or "").split(","):
        headers.popall(name.strip(), None)
    headers["Accept-Encoding"] = "identity"
    headers.update(own)
    return headers


def _text(value: str) -> str:
    """A header's value that can be written; bytes that are no UTF-8 become question marks."""
    return value if value.isascii() else value.encode(errors="replace").decode()


@dataclass(frozen=True)
class HttpUpstream(Forwarder):
    """An API that takes a key, such as OpenAI's or one compatible with it."""

    base_url: str
    key: str | None = field(default=None, repr=False)
    protocols: frozenset[Spoken] = EVERY

    @property
    def secrets(self) -> tuple[str, ...]:
        return forms([self.key])

    async def outgoing(self, request: Request) -> Outgoing:
        headers = sent_headers(request, self.proof(request.speaks, self.key) if self.key else {})
        return Outgoing(request.method, self.address(request), headers, request.body)

    def proof(self, speaks: Spoken, key: str) -> dict[str, str]:
        """The headers that hold the key. Compatible servers differ in the one they read for Anthropic's protocol."""
        if speaks == "gemini":
            return {"x-goog-api-key": key}
        bearer = {"Authorization": f"Bearer {key}"}
        return bearer | {"x-api-key": key} if speaks == "messages" else bearer

    def address(self, request: Request) -> URL:
        """Where a request goes: Gemini's routes stand beside OpenAI's /v1, below /v1beta."""
        root = self.base_url.rstrip("/")
        if request.speaks == "gemini" and root.endswith("/v1"):
            root += "beta"
        return address(root, request)
