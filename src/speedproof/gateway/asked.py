"""A model request as it passes the gateway: what was asked, and what is sent in its place."""

import gc
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from speedproof.gateway.protocols import Route
from speedproof.gateway.protocols.dialect import MOST_ILLEGAL, Dialect, Unreadable, find_illegal
from speedproof.gateway.strict_json import Malformed, TooMany, read_object
from speedproof.journal.base import canonical_json
from speedproof.journal.call import Illegal, IllegalKind, Watched

SUPPLIED = "[The output of this tool call was never recorded.]"
"""What a repaired conversation holds where the agent left a tool call without its output."""
_LONGEST_PARAMETER = 500
_MOST_PARAMETERS = 60
_MOST_TOOLS = 200
_MOST_REPAIRED = 1_000
"""Outputs supplied in one conversation: an agent that leaves calls open leaves one in every turn."""
_MOST_HARMLESS = 1_000
"""Names of fields of which a dialect remembers that they are harmless: agents use a few dozen."""
_MOST_SOUGHT = 10_000_000
"""Objects looked through for the places of all of them."""


@dataclass(frozen=True)
class Rules:
    """What a run does to the requests of an attempt."""

    model: str | None = None
    """The model of the attempt: whatever else an agent asks for, this one answers; null: as asked."""
    pins: Mapping[str, Any] = field(default_factory=dict)
    """Parameters set on its requests, by their common names."""
    side: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Other models that an agent may use beside it, each with pins of its own."""
    watch: tuple[str, ...] = ()
    """Parameters whose values are recorded as asked and as sent: those configured or pinned in this run."""
    repair: bool = False
    """Whether a tool call left without an output is given one."""
    stop: bool = False
    """Whether the attempt ends at the first request that its protocol forbids."""


@dataclass(frozen=True)
class Asked:
    """A model request as the agent sent it, and as it goes on."""

    model: str | None = None
    sent_model: str | None = None
    """The model that is asked in the end; null when none is named."""
    stream: bool | None = None
    asked: dict[str, Any] = field(default_factory=dict)
    sent: dict[str, Any] = field(default_factory=dict)
    tools: tuple[str, ...] = ()
    messages: int | None = None
    path: str | None = None
    """The path to forward to; null: the one that the agent asked for."""
    body: bytes = b""
    """The body to be forwarded."""
    usage_added: bool = False
    """Whether the gateway, not the agent, asked for the usage chunk of a stream."""
    remote: str | None = None
    """The field whose content the provider would fetch or recall for the agent; null when there is none."""
    watched: dict[str, Watched] = field(default_factory=dict)
    illegal: tuple[Illegal, ...] = ()


def read_request(route: Route, raw: bytes, rules: Rules) -> Asked:
    """Read a request with a dialect and prepare what is sent: the model and the pins set, a stream's usage asked for,
    a conversation repaired where the rules say so, and tools that the provider would run on the open network (such as
    web search) taken out: the sandbox has no network, so neither has its model. Raises Malformed."""
    assert route.dialect is not None
    collecting = gc.isenabled()
    gc.disable()  # there is no garbage yet, and to look for it among many new objects takes longer than to read them
    try:
        return _read(route, route.dialect, raw, read_object(raw), rules)
    except TooMany:
        raise
    except (ValueError, RecursionError) as error:
        raise Malformed from error
    finally:
        if collecting:
            gc.enable()


def _read(route: Route, dialect: Dialect, raw: bytes, body: dict[str, Any], rules: Rules) -> Asked:
    sent, path = dict(body), route.path
    hosted = dialect.drop_hosted_tools(sent)
    asked_model = dialect.model(body, path)
    model = asked_model if asked_model in rules.side else rules.model or asked_model
    if model is not None and model != asked_model:
        path = dialect.with_model(sent, path, model)
    pins = rules.side.get(model or "", rules.pins)
    if route.model_call:
        for name, value in pins.items():
            dialect.set(sent, name, value)
    stream = dialect.streams(body, path)
    usage_added = route.model_call and stream and dialect.ask_usage(sent)
    try:
        conversation = dialect.conversation(body)
        entries: int | None = len(conversation.entries)
        most = max(MOST_ILLEGAL, min(_MOST_REPAIRED, _MOST_SOUGHT // raw.count(b"{"))) if rules.repair else MOST_ILLEGAL
        illegal = tuple(find_illegal(dialect, conversation, most)) if route.model_call else ()
    except Unreadable:
        entries, illegal = None, ()
    if rules.repair:
        illegal = _repair(dialect, sent, illegal)
    unchanged = sent == body
    asked = _parameters(dialect, body)
    going = asked if unchanged else _parameters(dialect, sent)
    return Asked(
        model=None if asked_model is None else asked_model[:200],
        sent_model=None if model is None else model[:200],
        stream=stream if route.model_call else None,
        asked=asked | ({"hosted_tools": hosted[:_MOST_TOOLS]} if hosted else {}),
        sent=going | ({} if model is None or "model" in sent else {"model": model[:200]}),
        tools=tuple(tool.name[:100] for tool in dialect.tools(body)[:_MOST_TOOLS]),
        messages=entries,
        path=path,
        body=raw if unchanged else json.dumps(sent).encode(),
        usage_added=usage_added,
        remote=_remote(dialect, sent),
        watched={name: _watched(dialect, body, sent, name, pins) for name in rules.watch if route.model_call},
        illegal=illegal[:MOST_ILLEGAL],
    )


def _watched(
    dialect: Dialect, body: Mapping[str, Any], sent: Mapping[str, Any], name: str, pins: Mapping[str, Any]
) -> Watched:
    """A parameter as asked and as sent; pinned where its pin could be set."""
    found = dialect.get(sent, name)
    pinned = name in pins and found == pins[name]
    return Watched(asked=_bounded(dialect.get(body, name)), sent=_bounded(found), pinned=pinned)


def _repair(dialect: Dialect, sent: dict[str, Any], illegal: tuple[Illegal, ...]) -> tuple[Illegal, ...]:
    """Supply each missing output that was found in `sent`; what was found, marked with what was done."""
    done: list[Illegal] = []
    for one in reversed(illegal):  # from the end: what is inserted moves only what comes after
        if one.kind is IllegalKind.OUTPUT_MISSING:
            dialect.supply(sent, one, SUPPLIED)
            done.append(one.model_copy(update={"repaired": True}))
        else:
            done.append(one)
    return tuple(reversed(done))


def _bounded(value: Any) -> Any:
    """A parameter's value, or its size when it is too long for a record."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, str) and len(value) > _LONGEST_PARAMETER:
        return f"[{len(value)} characters]"
    if isinstance(value, dict | list) and _holds_more_than(value, _LONGEST_PARAMETER):
        return f"[more than {_LONGEST_PARAMETER} characters of JSON]"
    try:
        size = len(canonical_json(value))
    except (RecursionError, ValueError):
        return "[nested too deeply to record]"
    return value if size <= _LONGEST_PARAMETER else f"[{size} characters of JSON]"


def _holds_more_than(value: Any, most: int) -> bool:
    """Whether there are more values than this in a list or object."""
    pending, seen = [value], 0
    while pending and seen <= most:
        node = pending.pop()
        seen += 1
        if isinstance(node, dict | list):
            pending += node if isinstance(node, list) else node.values()
    return seen > most


def _parameters(dialect: Dialect, body: Mapping[str, Any]) -> dict[str, Any]:
    named = ((name, value) for name, value in body.items() if name not in dialect.content)
    return {name[:100]: _bounded(value) for name, value in islice(named, _MOST_PARAMETERS)}


def _remote(dialect: Dialect, body: Mapping[str, Any]) -> str | None:
    """The first field that makes the provider fetch a file from the network or recall one that it keeps."""
    recalled = next((name for name in sorted(dialect.recalled) if body.get(name) is not None), None)
    if recalled is not None:
        return recalled
    nodes = [body.get(name) for name in dialect.content - {"tools", "functions"}]
    for node in nodes:  # which grow while they are looked through
        if isinstance(node, list):
            nodes += node
        elif isinstance(node, dict):
            if not dialect.harmless.issuperset(node):
                for name, value in node.items():
                    if name in dialect.remote_names or name.endswith("_url"):
                        if dialect.is_remote(name, value):
                            return str(name[:200])
                    elif len(dialect.harmless) < _MOST_HARMLESS:
                        dialect.harmless.add(name)
            nodes += node.values()
    return None
