"""Which of the tools an agent offers runs a shell command or declares the task done, and how it is called."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from speedproof.gateway.protocols.dialect import Tool

SHELLS = (
    "bash",
    "shell_command",
    "exec_command",
    "shell",
    "local_shell",
    "execute_bash",
    "run_shell_command",
    "run_command",
    "run_bash",
    "run_terminal_cmd",
    "terminal",
    "execute_command",
    "container.exec",
    "exec",
)
FINISHERS = ("task_done", "finish", "submit", "complete_task", "attempt_completion", "complete", "done")
_COMMAND_FIELDS = ("command", "cmd", "script", "commands", "input")
_PATIENCE = {"yield_time_ms": 30_000, "timeout_ms": 600_000}


@dataclass(frozen=True)
class ToolCall:
    """A call of a tool: JSON arguments of a function, or the free text of a custom tool."""

    tool: Tool
    input: str


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _types(schema: dict[str, Any]) -> set[str]:
    found = {t for t in (schema.get("type"), *_listed(schema.get("type"))) if isinstance(t, str)}
    for part in (*_listed(schema.get("anyOf")), *_listed(schema.get("oneOf"))):
        if isinstance(part, dict):
            found |= _types(part)
    return found


def _filler(name: str, schema: dict[str, Any], text: str) -> Any:
    """A harmless value for a required parameter nobody spoke of."""
    if "default" in schema:
        return schema["default"]
    if _listed(schema.get("enum")):
        return schema["enum"][0]
    types = _types(schema)
    if "null" in types:
        return None
    if "string" in types or not types:
        return text
    if "boolean" in types:
        return False
    if types & {"number", "integer"}:
        return 600 if "timeout" in name else schema.get("minimum", 0)
    return [] if "array" in types else {}


def _arguments(tool: Tool, given: dict[str, Any], text: str) -> str:
    names = [n for n in _listed(tool.schema.get("required")) if isinstance(n, str)]
    filled = {n: _filler(n, tool.properties.get(n, {}), text) for n in names if n not in given}
    return json.dumps(given | filled, ensure_ascii=False)


def _shell_call(tool: Tool, command: str) -> ToolCall | None:
    if tool.kind == "custom":
        return ToolCall(tool, command)
    for name in _COMMAND_FIELDS:
        schema = tool.properties.get(name)
        if schema is None:
            continue
        types = _types(schema)
        if "string" in types or not types:
            value: str | list[str] = command
        elif "array" in types:
            value = ["bash", "-lc", command]
        else:
            continue
        patience = {k: v for k, v in _PATIENCE.items() if k in tool.properties}
        return ToolCall(tool, _arguments(tool, {name: value} | patience, ""))
    return None


def shell_call(tools: Sequence[Tool], command: str) -> ToolCall | None:
    """The call that runs `command`: by the tool's name, and by a parameter that takes a command; null without one."""
    for name in SHELLS:
        for tool in tools:
            if tool.name.lower() == name and (call := _shell_call(tool, command)) is not None:
                return call
    return None


def finish_call(tools: Sequence[Tool], text: str) -> ToolCall | None:
    """The call that declares the task done with `text`; null when no tool does."""
    for name in FINISHERS:
        for tool in tools:
            if tool.name.lower() == name:
                return ToolCall(tool, text if tool.kind == "custom" else _arguments(tool, {}, text))
    return None


def poll_call(tools: Sequence[Tool], process: int) -> ToolCall | None:
    """The call that waits for a command still running (Codex's write_stdin); null when no tool does."""
    for tool in tools:
        if tool.name == "write_stdin" and "session_id" in tool.properties:
            patience = {k: v for k, v in _PATIENCE.items() if k in tool.properties}
            return ToolCall(tool, _arguments(tool, {"session_id": process} | patience, ""))
    return None
