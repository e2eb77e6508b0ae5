"""A request as a strict provider reads it: its conversation, the tools offered, and what is illegal about it."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from speedproof.gateway.tools import Tool
from speedproof.journal.base import canonical_json

Protocol = Literal["chat", "responses"]
_RUNNING = re.compile(r"Process running with session ID (\d+)")
_POLLS = {"write_stdin"}


class IllegalRequest(Exception):
    """The provider refuses the request with status 400."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


@dataclass(frozen=True)
class Conversation:
    """What a request says."""

    protocol: Protocol
    model: str
    stream: bool
    include_usage: bool
    """Chat streams only: whether the usage chunk was asked for."""
    parts: tuple[str, ...]
    """Canonical text of tools and instructions, then of each message or item."""
    turns: int
    """Turns the model has answered so far; waiting for a running command is none."""
    tools: tuple[Tool, ...]
    tool_names: tuple[str, ...]
    """Everything offered, by name or type."""
    running: int | None
    """Codex's number of the command that still ran when the last turn's output was taken; null: none."""

    def mentions(self, text: str) -> bool:
        """Whether `text` stands anywhere in it."""
        return any(text in part for part in self.parts)


def _dicts(value: Any, what: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
        raise IllegalRequest(f"Invalid type for '{what}': expected a non-empty array of objects.", what)
    return value


def _listed(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _call_name(call: dict[str, Any]) -> str:
    inner = call.get("function") or call.get("custom") or call
    return str(inner.get("name", "")) if isinstance(inner, dict) else ""


def _check_chat(messages: list[dict[str, Any]]) -> None:
    pending: list[str] = []
    for index, message in enumerate(messages):
        role = str(message.get("role"))
        if role == "tool":
            if message.get("tool_call_id") not in pending:
                raise IllegalRequest(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                    "'tool_calls'.",
                    f"messages.[{index}].role",
                )
            pending.remove(str(message["tool_call_id"]))
            continue
        if pending:
            break
        if role == "assistant":
            pending = [str(call.get("id")) for call in _listed(message.get("tool_calls"))]
        elif role not in {"system", "developer", "user", "function"}:
            raise IllegalRequest(f"Invalid value: '{role}'.", f"messages[{index}].role", "invalid_value")
    if pending:
        raise IllegalRequest(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            "'tool_call_id'. The following tool_call_ids did not have response messages: " + ", ".join(pending),
            "messages",
        )


def _check_responses(items: list[dict[str, Any]]) -> None:
    calls = {str(i["call_id"]) for i in items if str(i.get("type", "")).endswith("_call") and i.get("call_id")}
    outputs = [str(i["call_id"]) for i in items if str(i.get("type", "")).endswith("_output") and i.get("call_id")]
    for call in outputs:
        if call not in calls:
            raise IllegalRequest(f"No tool call found for function call output with call_id {call}.", "input")
    for item in items:
        call = str(item.get("call_id"))
        if call in calls and call not in outputs:
            raise IllegalRequest(f"No tool output found for function call {call}.", "input")


def _turns(groups: list[list[str]]) -> int:
    return sum(1 for names in groups if not _POLLS & set(names))


def _tool(raw: dict[str, Any]) -> Tool | None:
    kind = str(raw.get("type"))
    inner = raw[kind] if isinstance(raw.get(kind), dict) else raw
    if kind not in {"function", "custom"} or not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
        return None
    schema = inner.get("parameters")
    return Tool(
        inner["name"], "function" if kind == "function" else "custom", schema if isinstance(schema, dict) else {}
    )


def tool_name(raw: Any) -> str:
    """The name of a tool offered in a request, or its type when it has none."""
    if not isinstance(raw, dict):
        return str(raw)
    return _call_name(raw) or str(raw.get("type", ""))


def read_conversation(protocol: Protocol, body: Any) -> Conversation:
    """What a request says. Raises IllegalRequest where a strict provider answers 400."""
    try:
        return _read(protocol, body)
    except RecursionError as error:
        raise IllegalRequest("The request is nested too deeply.") from error


def _read(protocol: Protocol, body: Any) -> Conversation:
    if not isinstance(body, dict):
        raise IllegalRequest("We could not parse the JSON body of your request.")
    if not isinstance(body.get("model"), str):
        raise IllegalRequest("you must provide a model parameter")
    raw_tools = _dicts(body["tools"], "tools") if body.get("tools") else []
    groups: list[list[str]] = []
    last = ""
    if protocol == "chat":
        entries = _dicts(body.get("messages"), "messages")
        _check_chat(entries)
        answers = [message for message in entries if message.get("role") == "assistant"]
        groups = [[_call_name(call) for call in _listed(answer.get("tool_calls"))] for answer in answers]
        head = canonical_json(raw_tools)
    else:
        if body.get("previous_response_id"):
            raise IllegalRequest(
                f"Previous response with id '{body['previous_response_id']}' not found.",
                "previous_response_id",
                "previous_response_not_found",
            )
        given = body.get("input")
        entries = [{"role": "user", "content": given}] if isinstance(given, str) else _dicts(given, "input")
        _check_responses(entries)
        by_model = False
        for item in entries:
            kind = str(item.get("type", "message"))
            was, by_model = by_model, kind.endswith("_call") or kind == "reasoning" or item.get("role") == "assistant"
            if by_model and not was:
                groups.append([])
            if by_model and kind.endswith("_call"):
                groups[-1].append(_call_name(item))
        head = canonical_json([raw_tools, body.get("instructions")])
    parts = (head, *(canonical_json(entry) for entry in entries))
    if groups and {"exec_command", *_POLLS} & set(groups[-1]):
        last = parts[-1]
    running = _RUNNING.search(last)
    options = body.get("stream_options")
    return Conversation(
        protocol=protocol,
        model=body["model"],
        stream=body.get("stream") is True,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        parts=parts,
        turns=_turns(groups),
        tools=tuple(tool for raw in raw_tools if (tool := _tool(raw)) is not None),
        tool_names=tuple(tool_name(raw) for raw in raw_tools),
        running=int(running.group(1)) if running else None,
    )
