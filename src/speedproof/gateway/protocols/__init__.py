"""The protocols that agents speak to their models: one dialect each, all read into the same few words.

Here live what a request asks for (parameters, tools, conversation), what its protocol forbids, how a parameter is set
in it, and what an answer says (usage, end, error). Not here: the connection (exchange, upstream) and the model that
plays a provider (scripted).
"""

from dataclasses import dataclass
from functools import lru_cache

from speedproof.gateway.protocols.chat import Chat
from speedproof.gateway.protocols.dialect import Dialect
from speedproof.gateway.protocols.gemini import Gemini
from speedproof.gateway.protocols.messages import Messages
from speedproof.gateway.protocols.responses import Responses
from speedproof.journal.call import Protocol

DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in (Chat(), Responses(), Messages(), Gemini())}
"""Every dialect by its name."""


@dataclass(frozen=True)
class Route:
    """Where a request goes."""

    path: str
    """The path below the API's root."""
    protocol: Protocol | None
    """other for a side route; null for a route that is not offered."""
    dialect: Dialect | None = None
    """What its body and its errors are written in; null where there is no body."""

    @property
    def model_call(self) -> bool:
        """Whether the model is asked, so that it counts as a step."""
        return self.protocol not in {None, "other"}


@lru_cache(maxsize=256)
def route(method: str, path: str) -> Route:
    """The route of a request. A side route of a dialect carries a body like its model requests'."""
    for root in ("/v1beta", "/v1"):
        if path.startswith(f"{root}/"):
            path = path.removeprefix(root)
            break
    if method == "GET" and (
        path == "/models" or (path.startswith("/models/") and ".." not in path and "%" not in path)
    ):
        return Route(path, "other")
    if method == "POST":
        for dialect in DIALECTS.values():
            if dialect.asks_model(path):
                return Route(path, dialect.name, dialect)
            if dialect.side_route(path):
                return Route(path, "other", dialect)
    return Route(path, None)
