"""Anthropic Messages."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from speedproof.gateway.protocols.answer import AnswerReader, mapping, objects
from speedproof.gateway.protocols.dialect import (
    Conversation,
    Dialect,
    Entry,
    Tool,
    ToolResult,
    ToolUse,
    Unreadable,
    drop_elsewhere,
    entries_of,
)
from speedproof.gateway.sse import Event
from speedproof.journal import Usage
from speedproof.journal.call import Illegal, IllegalKind, Protocol
from speedproof.journal.usage import token_count

_ROLES = {"user", "assistant", "system"}
# Tools of the protocol's own that the agent runs; tool search looks through nothing but the tools of the request.
_LOCAL_TOOLS = ("bash_", "text_editor_", "memory_", "computer_", "browser_toolset_", "tool_search_tool_")
_BASH = {
    "type": "object",
    "properties": {"command": {"type": "string"}, "restart": {"type": "boolean"}},
    "required": ["command"],
}
_CALLS = {"tool_use", "server_tool_use", "mcp_tool_use"}
_ERROR_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class Messages(Dialect):
    """POST /v1/messages. Consecutive messages of one role are one turn; a turn's tool calls stand with its last."""

    name: Protocol = "messages"
    content = frozenset({"messages", "system", "tools", "mcp_servers"})
    places = {"max_output": ("max_tokens",), "reasoning_effort": ("output_config", "effort")}
    items = True
    remote_names = frozenset({"source", "content"})
    recalled = frozenset({"container", "thread"})

    def asks_model(self, path: str) -> bool:
        return path == "/messages"

    def side_route(self, path: str) -> bool:
        return path == "/messages/count_tokens"

    def conversation(self, body: Mapping[str, Any]) -> Conversation:
        messages = entries_of(body.get("messages"), "messages")
        entries: list[Entry] = []
        open_: list[ToolUse] = []
        for index, message in enumerate(messages):
            role, blocks = message.get("role"), _blocks(message.get("content"), index)
            if not isinstance(role, str) or role not in _ROLES:
                raise Unreadable(f"messages.{index}.role: Input should be 'user' or 'assistant'", "messages")
            if role != "assistant":
                results = tuple(_result(block) for block in blocks if block.get("type") == "tool_result")
                entries.append(Entry(False, message, results=results if role == "user" else ()))
                continue
            open_ += (_use(block) for block in blocks if block.get("type") == "tool_use")
            goes_on = index + 1 < len(messages) and messages[index + 1].get("role") == "assistant"
            entries.append(Entry(True, message, uses=() if goes_on else tuple(open_)))
            open_ = open_ if goes_on else []
        return Conversation([body.get("tools"), body.get("system")], tuple(entries))

    def tools(self, body: Mapping[str, Any]) -> tuple[Tool, ...]:
        raw = body.get("tools")
        return tuple(_tool(tool) for tool in raw) if isinstance(raw, list) else ()

    def drop_hosted_tools(self, body: dict[str, Any]) -> list[str]:
        dropped = ["mcp_servers"] if body.pop("mcp_servers", None) is not None else []
        dropped += drop_elsewhere(body)
        tools = body.get("tools")
        if isinstance(tools, list) and not all(_is_local(tool) for tool in tools):
            body["tools"] = [tool for tool in tools if _is_local(tool)]
            dropped += [_tool(tool).name for tool in tools if not _is_local(tool)]
        return dropped

    def is_remote(self, name: str, value: Any) -> bool:
        # by the shape of a source and of a block alone: a tool's input may have fields of any name
        if name == "source":
            return str(mapping(value).get("type")) in {"url", "file"}
        return name == "content" and any(_is_remote_block(block) for block in objects(value))

    def get(self, body: Mapping[str, Any], name: str) -> Any:
        if name != "parallel_tool_calls":
            return super().get(body, name)
        disabled = mapping(body.get("tool_choice")).get("disable_parallel_tool_use")
        return not disabled if isinstance(disabled, bool) else None

    def set(self, body: dict[str, Any], name: str, value: Any) -> None:
        if name != "parallel_tool_calls":
            super().set(body, name, value)
            return
        choice = mapping(body.get("tool_choice")) or {"type": "auto"}
        if body.get("tools") and choice.get("type") != "none":  # without tools to choose from, a choice is refused
            body["tool_choice"] = choice | {"disable_parallel_tool_use": not value}

    def supply(self, body: dict[str, Any], missing: Illegal, text: str) -> None:
        result = {"type": "tool_result", "tool_use_id": missing.call_id, "content": text}
        messages = body["messages"] = list(body["messages"])
        after = missing.entry + 1
        if after < len(messages) and messages[after].get("role") == "user":
            messages[after] = messages[after] | {"content": [result, *_blocks(messages[after].get("content"), after)]}
        else:
            messages.insert(after, {"role": "user", "content": [result]})

    def refusal(self, illegal: Illegal) -> Unreadable:
        at, call = f"messages.{illegal.entry}", illegal.call_id
        match illegal.kind:
            case IllegalKind.OUTPUT_MISSING:
                words = (
                    f"{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {call}. "
                    "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
                )
            case IllegalKind.CALL_MISSING:
                words = (
                    f"{at}.content: unexpected `tool_use_id` found in `tool_result` blocks: {call}. Each "
                    "`tool_result` block must have a corresponding `tool_use` block in the previous message."
                )
            case IllegalKind.EMPTY_ERROR:
                words = f"{at}.content.tool_result: content cannot be empty if `is_error` is true"
            case IllegalKind.ARGUMENTS_MALFORMED:
                words = f"{at}.content.tool_use.input: Input should be a valid dictionary"
        return Unreadable(words, "messages")

    def reader(self) -> AnswerReader:
        return _Reader()

    def error(self, status: int, message: str, kind: str | None, code: str | None, param: str | None) -> dict[str, Any]:  # noqa: ARG002
        usual = _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        error = {"type": kind or usual, "message": message}
        return {"type": "error", "error": error | ({"code": code} if code else {})}


def _blocks(content: Any, index: int) -> list[dict[str, Any]]:
    """A message's content as blocks. Raises Unreadable."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if isinstance(content, list) and all(isinstance(block, dict) for block in content):
        return content
    raise Unreadable(f"messages.{index}.content: Input should be a valid string or list of blocks", "messages")


def _use(block: dict[str, Any]) -> ToolUse:
    return ToolUse(str(block.get("id")), str(block.get("name", "")), not isinstance(block.get("input"), dict))


def _result(block: dict[str, Any]) -> ToolResult:
    content = block.get("content")
    if isinstance(content, list):
        empty = all(mapping(part).get("type") == "text" and not mapping(part).get("text") for part in content)
    else:
        empty = not content
    return ToolResult(str(block.get("tool_use_id")), empty and block.get("is_error") is True)


def _is_local(tool: Any) -> bool:
    """Whether the agent, not the provider, runs this tool."""
    if not isinstance(tool, dict):
        return False
    kind = tool.get("type")
    return kind is None or kind == "custom" or (isinstance(kind, str) and kind.startswith(_LOCAL_TOOLS))


def _is_remote_block(block: dict[str, Any]) -> bool:
    """Whether a block brings a stored file, or a tool that the provider would run."""
    if block.get("type") == "container_upload":
        return True
    added = mapping(block.get("tool")) if block.get("type") == "tool_addition" else {}
    return "definition" in added and not _is_local(added["definition"])


def _tool(raw: Any) -> Tool:
    tool = mapping(raw)
    kind = str(tool.get("type") or "custom")
    name = str(tool.get("name") or tool.get("mcp_server_name") or tool.get("type") or raw)[:200]
    if kind == "custom":
        return Tool(name, "function", mapping(tool.get("input_schema")))
    return Tool(name, "function", _BASH) if kind.startswith("bash_") else Tool(name, "own")


def _counts(numbers: dict[str, Any]) -> dict[str, int]:
    """What is counted, by our names."""
    found = {
        "uncached_input": numbers.get("input_tokens"),
        "cache_read": numbers.get("cache_read_input_tokens"),
        "cache_write": numbers.get("cache_creation_input_tokens"),
        "cache_write_1h": mapping(numbers.get("cache_creation")).get("ephemeral_1h_input_tokens"),
        "output": numbers.get("output_tokens"),
        "reasoning": mapping(numbers.get("output_tokens_details")).get("thinking_tokens"),
    }
    return {name: count for name, value in found.items() if (count := token_count(value)) is not None}


@dataclass
class _Reader(AnswerReader):
    said: dict[str, int] = field(default_factory=dict)
    """What was counted for the answer."""
    beside: Counter[str] = field(default_factory=Counter)
    """What was counted beside it, to compact the conversation."""
    _counted: bool = False
    """Whether the stream has said how many tokens it put out in the end; its beginning counts but the first."""

    def read_answer(self, answer: dict[str, Any]) -> None:
        self.read_model(answer.get("model"))
        self._read_usage(answer.get("usage"))
        for block in objects(answer.get("content")):
            self._read_block(block)
        self._read_end(answer)

    def read_data(self, event: Event, value: dict[str, Any]) -> None:
        match value.get("type", event.name):
            case "message_start":
                message = mapping(value.get("message"))
                self.read_model(message.get("model"))
                self._read_usage(message.get("usage"))
            case "content_block_start":
                self._read_block(mapping(value.get("content_block")))
            case "content_block_delta":
                self.produced = True
                delta = mapping(value.get("delta"))
                self.add_text(delta.get("text"))
                self.add_written(delta.get("partial_json") or delta.get("thinking"))
            case "message_delta":
                self._read_usage(value.get("usage"))
                self._counted = token_count(mapping(value.get("usage")).get("output_tokens")) is not None
                self._read_end(mapping(value.get("delta")))
            case "message_stop":
                self.complete = True
                if self.usage is not None and not self._counted:
                    self.usage = self.usage.model_copy(update={"output": None})
            case "error":
                self.read_error(value.get("error") or value)

    def _read_block(self, block: dict[str, Any]) -> None:
        if str(block.get("type")) in _CALLS:
            self.add_call(block.get("name"))
        elif block.get("type") == "text":
            self.add_text(block.get("text"))
        elif block:
            self.produced = True

    def _read_end(self, message: dict[str, Any]) -> None:
        if message.get("stop_reason"):
            self.finish_reason = str(message["stop_reason"])[:200]

    def _read_usage(self, raw: Any) -> None:
        """Take over what is counted; later counts of a stream hold the earlier ones."""
        numbers = mapping(raw)
        self.said |= _counts(numbers)
        if compactions := [one for one in objects(numbers.get("iterations")) if one.get("type") == "compaction"]:
            self.beside = Counter()  # the counts of the answer do not hold them
            for one in compactions:
                self.beside.update(_counts(one))
        if self.said or self.beside:
            self.usage = Usage(
                **{name: self.said.get(name, 0) + self.beside[name] for name in {*self.said, *self.beside}}
            )
        self.read_terms(numbers)
        self.read_bill(numbers.get("cost"))
