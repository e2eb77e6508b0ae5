"""What every dialect can say of a request, in words that are the same for all of them."""

import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Literal, NamedTuple

from speedproof.gateway.protocols.answer import AnswerReader
from speedproof.journal.call import Illegal, IllegalKind, Protocol

MOST_ILLEGAL = 20
"""Things that are forbidden in one conversation of which each is told."""
_NO_ADDRESS = re.compile(r"\s*data:", re.IGNORECASE)
_ELSEWHERE = (
    "models",
    "fallbacks",
    "route",
    "preset",
    "plugins",
    "web_search_options",
    "search_parameters",
    "enable_search",
    "search_options",
    "data_sources",
)
"""Keys by which OpenRouter and others let a request name more models, or have the network searched for it."""


class Unreadable(Exception):
    """The request does not have its protocol's shape; a provider answers 400."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


@dataclass(frozen=True)
class Tool:
    """A tool as offered in a request."""

    name: str
    """Its name, or its type when it has none."""
    kind: Literal["function", "custom", "own"]
    """function: arguments are JSON; custom: the input is free text; own: the protocol's own, without a schema."""
    schema: dict[str, Any] = field(default_factory=dict)
    """JSON Schema of a function's arguments."""

    @property
    def properties(self) -> dict[str, Any]:
        """Its parameters' schemas by name."""
        found = self.schema.get("properties")
        return {k: v for k, v in found.items() if isinstance(v, dict)} if isinstance(found, dict) else {}


class ToolUse(NamedTuple):
    """A call of a tool that the model made."""

    id: str
    """Its id; the tool's name where the protocol has no ids."""
    name: str
    malformed: bool = False
    """Whether its arguments are no JSON object."""


class ToolResult(NamedTuple):
    """What the agent says came of a tool call."""

    id: str
    """Id of the call."""
    empty_error: bool = False
    """Whether it is marked as an error and holds nothing, which its protocol forbids."""


class Entry(NamedTuple):
    """One message or item of a conversation."""

    by_model: bool
    """Whether the model wrote it."""
    raw: Any
    """The entry as it stands in the request."""
    uses: tuple[ToolUse, ...] = ()
    results: tuple[ToolResult, ...] = ()


@dataclass(frozen=True)
class Conversation:
    """What a request's body holds, apart from its parameters."""

    head: Any
    """Instructions and tools as they stand in the request."""
    entries: tuple[Entry, ...]


def entries_of(value: Any, what: str) -> list[dict[str, Any]]:
    """`value` when it is a non-empty list of objects. Raises Unreadable."""
    if not isinstance(value, list) or set(map(type, value)) != {dict}:
        raise Unreadable(f"Invalid type for '{what}': expected a non-empty array of objects.", what)
    return value


class Dialect(ABC):
    """One protocol."""

    name: Protocol
    content: frozenset[str]
    """Keys of the body that hold conversation and tools, not parameters."""
    places: Mapping[str, tuple[str, ...]] = {}
    """Where a parameter stands in the body, by its common name; one that is not here stands under its own name."""
    results_follow: bool = True
    """Whether a call's output must come before the next entry that holds none; else it may stand anywhere."""
    items: bool = False
    """Whether an answer of the model is several entries in a row; else each of its entries is one answer."""
    remote_names: frozenset[str] = frozenset({"file_id", "file_data"})
    """Names of the fields that `is_remote` has to see, besides those that end in _url."""
    harmless: set[str]
    """Names that were seen in requests and are none of these: remembered, since the same come in every message."""
    recalled: frozenset[str] = frozenset()
    """Keys of the body that name what the provider keeps or connects to: stored prompts, conversations, servers."""

    def __init__(self) -> None:
        self.harmless = set()

    # -- which requests are its own

    @abstractmethod
    def asks_model(self, path: str) -> bool:
        """Whether a POST to this path, below the API's root, asks the model."""

    def side_route(self, path: str) -> bool:  # noqa: ARG002
        """Whether a POST to this path takes a body like a model request's without asking the model."""
        return False

    # -- what a request asks for

    def model(self, body: Mapping[str, Any], path: str) -> str | None:  # noqa: ARG002
        """The model asked for; null when none is named."""
        model = body.get("model")
        return model if isinstance(model, str) else None

    def with_model(self, body: dict[str, Any], path: str, model: str) -> str:
        """Ask for another model; the path to use from now on."""
        body["model"] = model
        return path

    def streams(self, body: Mapping[str, Any], path: str) -> bool:  # noqa: ARG002
        """Whether the answer shall be an event stream."""
        return body.get("stream") is True

    def ask_usage(self, body: dict[str, Any]) -> bool:  # noqa: ARG002
        """Make a stream carry usage where the protocol has it on request; whether anything had to be changed."""
        return False

    @abstractmethod
    def conversation(self, body: Mapping[str, Any]) -> Conversation:
        """What is said. Raises Unreadable where the shape is not the protocol's."""

    @abstractmethod
    def tools(self, body: Mapping[str, Any]) -> tuple[Tool, ...]:
        """The tools offered, hosted ones included; what is no tool at all goes by its text. Never raises."""

    @abstractmethod
    def drop_hosted_tools(self, body: dict[str, Any]) -> list[str]:
        """Take out the tools that the provider would run itself; their names."""

    def is_remote(self, name: str, value: Any) -> bool:
        """Whether this field, anywhere in the conversation, makes the provider fetch or recall content. `name`: one of
        `remote_names`, or one that ends in _url."""
        if name == "file_id":
            return value is not None
        return is_address(value.get("url") if isinstance(value, dict) else value)

    # -- parameters

    def get(self, body: Mapping[str, Any], name: str) -> Any:
        """Value of the parameter of this name; null when it is not in the request."""
        node: Any = body
        for key in self.places.get(name, (name,)):
            node = node.get(key) if isinstance(node, Mapping) else None
        return node

    def set(self, body: dict[str, Any], name: str, value: Any) -> None:
        """Set a parameter."""
        *way, last = self.places.get(name, (name,))
        node = body
        for key in way:
            inner = node.get(key)
            node[key] = inner = dict(inner) if isinstance(inner, dict) else {}
            node = inner
        node[last] = value

    # -- legality

    @abstractmethod
    def supply(self, body: dict[str, Any], missing: Illegal, text: str) -> None:
        """Give the tool call that was left open an output that says `text`.

        Entries before `missing.entry` keep their places, so repair from the last to the first.
        """

    @abstractmethod
    def refusal(self, illegal: Illegal) -> Unreadable:
        """The error that a strict provider answers such a conversation with."""

    # -- answers

    @abstractmethod
    def reader(self) -> AnswerReader:
        """A fresh reader of one answer."""

    @abstractmethod
    def error(self, status: int, message: str, kind: str | None, code: str | None, param: str | None) -> dict[str, Any]:
        """The body of an error in the provider's own form; `kind`: its type, by default the usual one of `status`."""


def is_address(value: Any) -> bool:
    """Whether `value` may be an address that somebody would have to fetch: any scheme but data. What reads addresses
    passes over control characters before and within a scheme, so the colon alone counts."""
    return isinstance(value, str) and ":" in value and _NO_ADDRESS.match(value) is None


def drop_elsewhere(body: dict[str, Any]) -> list[str]:
    """Take out what leads to other models or to the network, by the names that several providers share; the names."""
    return [name for name in _ELSEWHERE if body.pop(name, None) is not None]


def find_illegal(dialect: Dialect, conversation: Conversation, most: int = MOST_ILLEGAL) -> list[Illegal]:
    """What the protocol forbids in a conversation, in its order: the first `most` things."""
    found: list[Illegal] = []
    names: dict[str, str] = {}
    open_: dict[str, deque[int]] = {}  # of each call without an output so far, the entry; ids may come twice

    def note(kind: IllegalKind, call: str, index: int) -> None:
        if len(found) < most:
            found.append(Illegal(kind=kind, call_id=call[:200], tool=_short(names.get(call)), entry=index))

    def note_open() -> None:
        left = ((begun, call) for call, entries in open_.items() for begun in entries)
        for begun, call in sorted(left, key=itemgetter(0)):
            note(IllegalKind.OUTPUT_MISSING, call, begun)
        open_.clear()

    for index, entry in enumerate(conversation.entries):
        if open_ and not entry.results and dialect.results_follow:
            note_open()
        for result in entry.results:
            if (begun := open_.get(result.id)) is None:
                note(IllegalKind.CALL_MISSING, result.id, index)
            elif len(begun) > 1:
                begun.popleft()
            else:
                del open_[result.id]
            if result.empty_error:
                note(IllegalKind.EMPTY_ERROR, result.id, index)
        for use in entry.uses:
            names[use.id] = use.name
            open_.setdefault(use.id, deque()).append(index)
            if use.malformed:
                note(IllegalKind.ARGUMENTS_MALFORMED, use.id, index)
        if len(found) == most:
            return found
    note_open()
    return found


def _short(name: str | None) -> str | None:
    return name[:200] if name else None
