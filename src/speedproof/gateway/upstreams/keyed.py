"""Providers that take a key in a header of their own: Anthropic, Google, Azure OpenAI."""

from dataclasses import dataclass
from typing import ClassVar

from yarl import URL

from speedproof.gateway.forwarding import HttpUpstream, Outgoing, address, sent_headers
from speedproof.gateway.upstream import Request
from speedproof.journal.call import Protocol


@dataclass(frozen=True)
class Anthropic(HttpUpstream):
    """Anthropic's API: Messages, and Chat Completions as its own compatible layer offers them."""

    base_url: str = "https://api.anthropic.com/v1"
    protocols: frozenset[Protocol] = frozenset({"messages", "chat"})

    def proof(self, speaks: Protocol, key: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {key}"} if speaks == "chat" else {"x-api-key": key}


@dataclass(frozen=True)
class Google(HttpUpstream):
    """The Gemini API; its OpenAI-compatible routes lie below /openai."""

    base_url: str = "https://generativelanguage.googleapis.com/v1beta"
    protocols: frozenset[Protocol] = frozenset({"gemini", "chat"})

    async def outgoing(self, request: Request) -> Outgoing:
        if request.speaks == "gemini" or request.header("x-goog-api-key") is not None:  # so a Gemini client asks
            url, own = address(self.base_url, request), {"x-goog-api-key": self.key or ""}
        else:
            url, own = address(f"{self.base_url}/openai", request), {"Authorization": f"Bearer {self.key or ''}"}
        return Outgoing(request.method, url, sent_headers(request, own if self.key else {}), request.body)


@dataclass(frozen=True)
class Azure(HttpUpstream):
    """Azure OpenAI: `base_url` is the resource's address; its v1 API takes OpenAI's requests as they are."""

    base_url: str = ""
    protocols: frozenset[Protocol] = frozenset({"chat", "responses"})
    root: ClassVar[str] = "/openai/v1"

    def proof(self, speaks: Protocol, key: str) -> dict[str, str]:  # noqa: ARG002 - one header for all
        return {"api-key": key}

    def address(self, request: Request) -> URL:
        return address(self.base_url.rstrip("/").removesuffix(self.root) + self.root, request)
