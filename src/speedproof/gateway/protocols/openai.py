"""What OpenAI's two protocols share: tools, arguments, token counts, errors."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from speedproof.gateway.protocols.answer import mapping, parsed
from speedproof.gateway.protocols.dialect import Tool
from speedproof.journal import Usage
from speedproof.journal.usage import token_count, usage_of_whole_input

_LOCAL_TOOLS = {"function", "custom", "local_shell", "apply_patch", "namespace", "tool_search"}
_REMEMBERED = 4_096
"""Characters of arguments up to which it is remembered whether they parse."""
_TYPES = {401: "invalid_request_error", 403: "invalid_request_error", 429: "requests"}


def is_local(tool: Any) -> bool:
    """Whether the agent, not the provider, runs this tool."""
    return isinstance(tool, dict) and str(tool.get("type")) in _LOCAL_TOOLS


def function_tool(raw: Any) -> Tool:
    """A tool as either protocol offers it: its members under its type's name, or beside it."""
    outer = mapping(raw)
    kind = str(outer.get("type", ""))
    inner = mapping(outer.get(kind)) or outer
    name = inner.get("name")
    if kind not in {"function", "custom"} or not isinstance(name, str):
        return Tool(str(name or kind or raw)[:200], "own")
    return Tool(name, "function" if kind == "function" else "custom", mapping(inner.get("parameters")))


def offered(body: Mapping[str, Any]) -> tuple[Tool, ...]:
    """The tools that a request offers."""
    tools = body.get("tools")
    return tuple(function_tool(tool) for tool in tools) if isinstance(tools, list) else ()


def drop_tools(body: dict[str, Any]) -> list[str]:
    """Take out of `tools`, and of the namespaces in it, what the provider would run itself; the names."""
    tools = body.get("tools")
    kept: list[Any] = []
    dropped: list[str] = []
    for tool in tools if isinstance(tools, list) else []:
        if not is_local(tool):
            dropped.append(function_tool(tool).name)
            continue
        own = dict(tool)
        dropped += drop_tools(own) if tool["type"] == "namespace" else []
        kept.append(own)
    if dropped:
        body["tools"] = kept
    return dropped


def malformed(arguments: Any) -> bool:
    """Whether a function's arguments are no JSON object; no arguments at all are allowed."""
    if arguments is None or arguments == "":
        return False
    if isinstance(arguments, str):
        return not (_known_object(arguments) if len(arguments) < _REMEMBERED else _is_object(arguments))
    return not isinstance(arguments, dict)


def _is_object(text: str) -> bool:
    return isinstance(parsed(text), dict)


_known_object = lru_cache(maxsize=4096)(_is_object)
"""The same, remembered: a conversation repeats its calls in every request."""


def count_tokens(
    numbers: dict[str, Any], whole_input: str, output: str, read_details: str, written_details: str
) -> Usage | None:
    """Usage from OpenAI's counts, by their names in the protocol. Its input holds the cached part; here they stand
    apart. Null when nothing is counted.

    xAI, and Google where it copies OpenAI, count thoughts beside the output: only their total holds them."""
    read, written = mapping(numbers.get(read_details)), mapping(numbers.get(written_details))
    said = token_count(numbers.get(output))
    whole, total = token_count(numbers.get(whole_input)), token_count(numbers.get("total_tokens"))
    if said is not None and whole is not None and total is not None:
        said = max(said, total - whole)
    return usage_of_whole_input(
        numbers.get(whole_input),
        read.get("cached_tokens"),
        said,
        cache_write=read.get("cache_write_tokens"),
        reasoning=written.get("reasoning_tokens"),
    )


def openai_error(status: int, message: str, kind: str | None, code: str | None, param: str | None) -> dict[str, Any]:
    """The error body of both protocols."""
    if kind is None and code == "insufficient_quota":
        kind = code
    if kind is None:
        kind = "server_error" if status >= 500 else _TYPES.get(status, "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
