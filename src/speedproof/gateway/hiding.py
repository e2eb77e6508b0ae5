"""Keeping an upstream's secrets out of what comes back from it: headers, errors, and bodies as they arrive."""

import json
from collections.abc import AsyncIterator, Iterable
from functools import lru_cache
from urllib.parse import quote

from speedproof.journal.redaction import REDACTED

SHORTEST_SECRET = 12
"""Characters. What is shorter is no key but a word for a server that wants any ("EMPTY", "ollama", "sk-1234"):
replacing it everywhere would damage answers and records."""

_HEAD = 4


def forms(secrets: Iterable[str | None]) -> tuple[str, ...]:
    """Each secret as it may come back: as it is, percent-encoded, as a JSON string, its slashes escaped too. Longest
    first, so that none is replaced in part."""
    return _forms(tuple(secrets))


@lru_cache(maxsize=256)
def _forms(secrets: tuple[str | None, ...]) -> tuple[str, ...]:
    found = set[str]()
    for secret in secrets:
        if secret is not None and len(secret) >= SHORTEST_SECRET:
            text = json.dumps(secret)[1:-1]
            found |= {secret, quote(secret, safe=""), quote(secret), text, text.replace("/", "\\/")}
    return tuple(sorted(found, key=lambda form: (-len(form), form)))


def hide(text: str, secrets: Iterable[str]) -> str:
    """`text` without `secrets`."""
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    return text


class Scrubber:
    """Replaces secrets in a body that arrives in pieces. A piece's end is held back only while it may be the beginning
    of a secret, so a stream is not delayed."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = [secret.encode() for secret in secrets if secret]
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """What may be passed on now; may be empty."""
        data = self._held + chunk
        for secret in self._secrets:
            data = data.replace(secret, REDACTED.encode())
        end = len(data) - max((_begun(data, secret) for secret in self._secrets), default=0)
        self._held = data[end:]
        return data[:end]

    def finish(self) -> bytes:
        """What was held back: the body ended before it became a secret."""
        rest, self._held = self._held, b""
        return rest


def _begun(data: bytes, secret: bytes) -> int:
    """Length of the longest end of `data` that `secret` begins with."""
    head = secret[:_HEAD]  # rare, unlike its first byte
    at = data.find(head, max(0, len(data) - len(secret) + 1))
    while at >= 0 and not secret.startswith(data[at:]):
        at = data.find(head, at + 1)
    if at >= 0:
        return len(data) - at
    return next((n for n in range(len(head) - 1, 0, -1) if data.endswith(head[:n])), 0)


class Scrubbed(AsyncIterator[bytes]):
    """Chunks without secrets; none of them empty."""

    def __init__(self, chunks: AsyncIterator[bytes], secrets: Iterable[str]) -> None:
        self._chunks = chunks
        self._scrubber = Scrubber(secrets)

    async def __anext__(self) -> bytes:
        async for chunk in self._chunks:
            kept = self._scrubber.feed(chunk)
            del chunk  # a traceback may show variables
            if kept:
                return kept
        if rest := self._scrubber.finish():
            return rest
        raise StopAsyncIteration
