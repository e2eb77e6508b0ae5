"""One answer of the scripted model, and what every protocol's writer must do with it."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from speedproof.gateway.scripted.tools import ToolCall
from speedproof.journal import Usage

_PIECE = 48


@dataclass(frozen=True)
class Reply:
    """One answer of the model, before it is put into a protocol's form."""

    id: str
    """Seed of the answer's ids: the same request gets the same ones."""
    model: str
    """The model that answers."""
    text: str
    call: ToolCall | None
    usage: Usage


class Writer(ABC):
    """Puts replies on the wire as one protocol's provider does."""

    @abstractmethod
    def whole(self, reply: Reply) -> bytes:
        """A whole JSON body."""

    @abstractmethod
    def stream(self, reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:
        """Events, a chunk each; `body`: the request, for what it asks of the stream."""

    def count(self, tokens: int) -> dict[str, Any]:
        """The answer of the protocol's side route that counts a request's tokens."""
        return {"input_tokens": tokens}


def pieces(text: str) -> Iterator[str]:
    """`text` in the bits in which a stream carries it."""
    return (text[i : i + _PIECE] for i in range(0, len(text), _PIECE))


def event(data: dict[str, Any], name: str | None = None) -> bytes:
    """A server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()
