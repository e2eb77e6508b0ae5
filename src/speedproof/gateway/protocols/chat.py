"""OpenAI Chat Completions, and all that copy it."""

from collections.abc import Mapping
from typing import Any

from speedproof.gateway.protocols.answer import AnswerReader, mapping, objects, parsed
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
from speedproof.gateway.protocols.openai import count_tokens, drop_tools, malformed, offered, openai_error
from speedproof.gateway.sse import Event
from speedproof.journal import Usage
from speedproof.journal.call import Illegal, IllegalKind, Protocol

_ROLES = {"system", "developer", "user", "function"}


class Chat(Dialect):
    """POST /v1/chat/completions."""

    name: Protocol = "chat"
    content = frozenset({"messages", "tools", "functions"})
    places = {"max_output": ("max_completion_tokens",), "reasoning_effort": ("reasoning_effort",)}

    def asks_model(self, path: str) -> bool:
        return path == "/chat/completions"

    def ask_usage(self, body: dict[str, Any]) -> bool:
        given = body.get("stream_options")
        options: dict[str, Any] = given if isinstance(given, dict) else {}
        if options.get("include_usage") is True:
            return False
        body["stream_options"] = options | {"include_usage": True}
        return True

    def conversation(self, body: Mapping[str, Any]) -> Conversation:
        entries = []
        for index, message in enumerate(entries_of(body.get("messages"), "messages")):
            role = message.get("role")
            if role == "assistant":
                calls = objects(message.get("tool_calls"))
                entries.append(Entry(True, message, tuple([_use(call) for call in calls])))
            elif role == "tool":
                entries.append(Entry(False, message, (), (ToolResult(str(message.get("tool_call_id"))),)))
            elif isinstance(role, str) and role in _ROLES:
                entries.append(Entry(False, message))
            else:
                raise Unreadable(f"Invalid value: '{role}'.", f"messages[{index}].role", "invalid_value")
        return Conversation(body.get("tools"), tuple(entries))

    def tools(self, body: Mapping[str, Any]) -> tuple[Tool, ...]:
        return offered(body)

    def drop_hosted_tools(self, body: dict[str, Any]) -> list[str]:
        return drop_elsewhere(body) + drop_tools(body)

    def get(self, body: Mapping[str, Any], name: str) -> Any:
        if name == "max_output" and "max_completion_tokens" not in body:
            return body.get("max_tokens")
        return super().get(body, name)

    def set(self, body: dict[str, Any], name: str, value: Any) -> None:
        if name == "max_output" and "max_tokens" in body:
            body["max_tokens"] = value  # as the agent spells it: its provider may know no other
        if name != "max_output" or "max_tokens" not in body or "max_completion_tokens" in body:
            super().set(body, name, value)

    def supply(self, body: dict[str, Any], missing: Illegal, text: str) -> None:
        after = missing.entry + 1
        messages = body["messages"] = list(body["messages"])
        while after < len(messages) and messages[after].get("role") == "tool":
            after += 1
        messages.insert(after, {"role": "tool", "tool_call_id": missing.call_id, "content": text})

    def refusal(self, illegal: Illegal) -> Unreadable:
        if illegal.kind is IllegalKind.CALL_MISSING:
            return Unreadable(
                "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                "'tool_calls'.",
                f"messages.[{illegal.entry}].role",
            )
        if illegal.kind is IllegalKind.ARGUMENTS_MALFORMED:
            return Unreadable(f"The arguments of tool call {illegal.call_id} are not valid JSON.", "messages")
        return Unreadable(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {illegal.call_id}",
            "messages",
        )

    def reader(self) -> AnswerReader:
        return _Reader()

    def error(self, status: int, message: str, kind: str | None, code: str | None, param: str | None) -> dict[str, Any]:
        return openai_error(status, message, kind, code, param)


def _use(call: dict[str, Any]) -> ToolUse:
    inner = mapping(call.get("function") or call.get("custom"))
    wrong = "function" in call and malformed(inner.get("arguments"))
    return ToolUse(str(call.get("id")), str(inner.get("name", "")), wrong)


class _Reader(AnswerReader):
    def read_answer(self, answer: dict[str, Any]) -> None:
        self._read(answer, "message")

    def read_data(self, event: Event, value: dict[str, Any]) -> None:
        if event.data.strip() == "[DONE]":
            self.complete = True
            return
        self.read_error(value.get("error"))
        self._read(value, "delta")

    def only_usage(self, event: Event) -> bool:
        if '"usage"' not in event.data:
            return False
        value = mapping(parsed(event.data))
        return value.get("choices") == [] and isinstance(value.get("usage"), dict)

    def _read(self, answer: dict[str, Any], part: str) -> None:
        self.read_model(answer.get("model"))
        self.usage = _usage(answer.get("usage")) or self.usage
        self.read_terms(answer)
        self.read_bill(mapping(answer.get("usage")).get("cost"))
        for choice in objects(answer.get("choices")):
            message = mapping(choice.get(part))
            self.add_text(message.get("content"))
            for call in objects(message.get("tool_calls")):
                inner = mapping(call.get("function") or call.get("custom"))
                if inner.get("name"):
                    self.add_call(inner["name"])
                self.add_written(inner.get("arguments") or inner.get("input"))
            if choice.get("finish_reason"):
                self.finish_reason = str(choice["finish_reason"])[:200]


def _usage(raw: Any) -> Usage | None:
    numbers = mapping(raw)
    return count_tokens(
        numbers, "prompt_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details"
    )
