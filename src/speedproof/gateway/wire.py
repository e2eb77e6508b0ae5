"""OpenAI's requests as they pass the gateway: which route, what was asked, and what is sent in its place."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from speedproof.gateway.conversation import tool_name
from speedproof.journal.base import canonical_json

Protocol = Literal["chat", "responses", "other"]
ROUTES: dict[tuple[str, str], Protocol] = {
    ("POST", "/chat/completions"): "chat",
    ("POST", "/responses"): "responses",
    ("POST", "/responses/compact"): "responses",
    ("POST", "/responses/input_tokens"): "other",
    ("GET", "/models"): "other",
}
_CONTENT = {"messages", "input", "instructions", "tools", "functions"}
_LOCAL_TOOLS = {"function", "custom", "local_shell", "apply_patch", "namespace", "tool_search"}
_REMOTE_PARAMETERS = ("web_search_options", "plugins")
_RECALLED = ("prompt", "conversation")
"""Parameters that name what the provider keeps, such as stored prompts and conversations."""
_ADDRESS = re.compile(r"\s*(?!data:)[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_LONGEST_PARAMETER = 500
_MOST_TOOLS = 200


class Malformed(ValueError):
    """The body of a model request is no JSON object."""


def route(method: str, path: str) -> tuple[str, Protocol | None]:
    """The path below the API's root, and its protocol; null for a route that is not offered."""
    below = path.removeprefix("/v1")
    if method == "GET" and below.startswith("/models/") and ".." not in below and "%" not in below:
        return below, "other"
    return below, ROUTES.get((method, below))


@dataclass(frozen=True)
class Asked:
    """A model request as the agent sent it, and as it goes on."""

    model: str | None = None
    stream: bool | None = None
    asked: dict[str, Any] = field(default_factory=dict)
    sent: dict[str, Any] = field(default_factory=dict)
    tools: tuple[str, ...] = ()
    messages: int | None = None
    body: bytes = b""
    """The body to be forwarded."""
    usage_added: bool = False
    """Whether the gateway, not the agent, asked for the usage chunk of a chat stream."""
    remote: str | None = None
    """The field whose content the provider would fetch or recall for the agent; null when there is none."""


def _bounded(value: Any) -> Any:
    """A parameter's value, or its size when it is too long for a record."""
    try:
        size = len(canonical_json(value))
    except (RecursionError, ValueError):
        return "[nested too deeply to record]"
    return value if size <= _LONGEST_PARAMETER else f"[{size} characters of JSON]"


def _parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    found = {k[:200]: _bounded(v) for k, v in list(body.items())[:_MOST_TOOLS] if k not in _CONTENT}
    hosted = [t for t in _offered(body) if not _is_local(t)]
    if hosted:
        found["hosted_tools"] = [tool_name(t)[:200] for t in hosted[:_MOST_TOOLS]]
    return found


def _offered(body: Mapping[str, Any]) -> list[Any]:
    tools = body.get("tools")
    return tools if isinstance(tools, list) else []


def _is_local(tool: Any) -> bool:
    return isinstance(tool, dict) and str(tool.get("type")) in _LOCAL_TOOLS


def _remote(body: Mapping[str, Any]) -> str | None:
    """The first field that makes the provider fetch a file from the network or recall one that it keeps."""
    recalled = next((name for name in _RECALLED if body.get(name) is not None), None)
    pending = [body.get("messages"), body.get("input"), body.get("instructions")]
    while recalled is None and pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict):
            recalled = next((str(k)[:200] for k, v in node.items() if _is_remote(str(k), v)), None)
            pending += node.values()
    return recalled


def _is_remote(name: str, value: Any) -> bool:
    if name == "file_id":
        return value is not None
    if name != "file_data" and not name.endswith("_url"):
        return False
    address = value.get("url") if isinstance(value, dict) else value
    return isinstance(address, str) and _ADDRESS.match(address) is not None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises Malformed for a key given twice: the provider might read the one that we did not."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Malformed
    return found


def read_request(protocol: Literal["chat", "responses"], raw: bytes, pins: Mapping[str, Any]) -> Asked:
    """Read a model request and prepare what is sent: pins set, a chat stream's usage asked for, and tools that the
    provider would run on the open network (such as web search) taken out: the sandbox has no network, so neither
    has its model. Raises Malformed."""
    try:
        return _read(protocol, raw, pins)
    except (ValueError, RecursionError) as error:
        raise Malformed from error


def _read(protocol: Literal["chat", "responses"], raw: bytes, pins: Mapping[str, Any]) -> Asked:
    body = json.loads(raw, object_pairs_hook=_once)
    if not isinstance(body, dict):
        raise Malformed
    sent = {k: v for k, v in body.items() if k not in _REMOTE_PARAMETERS} | dict(pins)
    if not all(_is_local(tool) for tool in _offered(sent)):
        sent["tools"] = [tool for tool in sent["tools"] if _is_local(tool)]
    stream = body.get("stream") is True
    given = sent.get("stream_options")
    options: dict[str, Any] = given if isinstance(given, dict) else {}
    usage_added = protocol == "chat" and stream and options.get("include_usage") is not True
    if usage_added:
        sent["stream_options"] = options | {"include_usage": True}
    entries = body.get("messages" if protocol == "chat" else "input")
    model = body.get("model")
    return Asked(
        model=model[:200] if isinstance(model, str) else None,
        stream=stream,
        asked=_parameters(body),
        sent=_parameters(sent),
        tools=tuple(tool_name(tool)[:200] for tool in _offered(body)[:_MOST_TOOLS]),
        messages=len(entries) if isinstance(entries, list) else None if entries is None else 1,
        body=raw if sent == body else json.dumps(sent).encode(),
        usage_added=usage_added,
        remote=_remote(sent),
    )
