"""OpenAI's answers, read while they pass: usage, end marker, model, tool calls, text, error."""

import json
from dataclasses import dataclass, field
from typing import Any

from speedproof.gateway.sse import Event
from speedproof.gateway.wire import Protocol
from speedproof.journal import Usage
from speedproof.journal.usage import usage_of_whole_input

_EXCERPT = 400


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def read_usage(raw: Any) -> Usage | None:
    """Usage in either protocol's spelling. OpenAI's input holds the cached part; here the two stand apart."""
    if not isinstance(raw, dict):
        return None
    read = _dict(raw.get("prompt_tokens_details", raw.get("input_tokens_details")))
    written = _dict(raw.get("completion_tokens_details", raw.get("output_tokens_details")))
    return usage_of_whole_input(
        raw.get("prompt_tokens", raw.get("input_tokens")),
        read.get("cached_tokens"),
        raw.get("completion_tokens", raw.get("output_tokens")),
        cache_write=read.get("cache_write_tokens"),
        reasoning=written.get("reasoning_tokens"),
    )


@dataclass
class AnswerReader:
    """What an answer says; fed with a whole JSON body or with events."""

    protocol: Protocol
    usage: Usage | None = None
    complete: bool = False
    model: str | None = None
    finish_reason: str | None = None
    error: str | None = None
    error_code: str | None = None
    tool_calls: list[str] = field(default_factory=list)
    text: str = ""

    def read_json(self, body: bytes, status: int) -> None:
        """A whole, not streamed body."""
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            value = None
        self.complete = value is not None or status >= 400
        answer = _dict(value)
        self._read_error(answer.get("error"))
        if status >= 400:
            if self.error is None:
                self.error = str(answer.get("detail") or answer.get("message") or body[:2_000].decode(errors="replace"))
            return
        if self.protocol == "chat":
            self._read_chat(answer, "message")
        else:
            self._read_response(answer)

    def read_event(self, event: Event) -> None:
        """One event of a stream."""
        if not event.data:
            return
        if event.data.strip() == "[DONE]":
            self.complete = self.complete or self.protocol == "chat"
            return
        try:
            value = _dict(json.loads(event.data))
        except (ValueError, RecursionError):
            return
        if self.protocol == "chat":
            self._read_error(value.get("error"))
            self._read_chat(value, "delta")
            return
        kind = str(value.get("type", event.name))
        if kind in {"response.completed", "response.incomplete", "response.failed"}:
            self.complete = True
            self._read_response(_dict(value.get("response")))
        elif kind == "response.created":
            self._read_model(_dict(value.get("response")))
        elif kind == "response.output_item.done":
            self._read_item(_dict(value.get("item")))
        elif kind == "error":
            self._read_error(value.get("error") or value)

    def _read_error(self, raw: Any) -> None:
        if not raw:
            return
        error = _dict(raw)
        self.error = str(error.get("message") or raw)[:8_000]
        code = error.get("code") or error.get("type")
        self.error_code = None if code is None else str(code)[:200]

    def _read_model(self, answer: dict[str, Any]) -> None:
        if isinstance(answer.get("model"), str):
            self.model = answer["model"][:200]

    def _add_text(self, text: Any) -> None:
        if isinstance(text, str) and len(self.text) < _EXCERPT:
            self.text = (self.text + text)[:_EXCERPT]

    def _read_chat(self, answer: dict[str, Any], part: str) -> None:
        self._read_model(answer)
        self.usage = read_usage(answer.get("usage")) or self.usage
        for choice in _dicts(answer.get("choices")):
            message = _dict(choice.get(part))
            self._add_text(message.get("content"))
            for call in _dicts(message.get("tool_calls")):
                inner = _dict(call.get("function") or call.get("custom"))
                if inner.get("name"):
                    self.tool_calls.append(str(inner["name"])[:200])
            if choice.get("finish_reason"):
                self.finish_reason = str(choice["finish_reason"])[:200]

    def _read_item(self, item: dict[str, Any]) -> None:
        if item.get("type") == "message":
            for part in _dicts(item.get("content")):
                self._add_text(part.get("text"))
        elif str(item.get("type", "")).endswith("_call"):
            self.tool_calls.append(str(item.get("name") or item["type"])[:200])

    def _read_response(self, answer: dict[str, Any]) -> None:
        self._read_model(answer)
        self._read_error(answer.get("error"))
        self.usage = read_usage(answer.get("usage")) or self.usage
        if not self.tool_calls and not self.text:
            for item in _dicts(answer.get("output")):
                self._read_item(item)
        reason = _dict(answer.get("incomplete_details")).get("reason") or answer.get("status")
        if reason:
            self.finish_reason = str(reason)[:200]


def is_usage_chunk(event: Event) -> bool:
    """Whether this is the chunk of a chat stream that carries usage and nothing else."""
    if '"usage"' not in event.data:
        return False
    try:
        value = _dict(json.loads(event.data))
    except (ValueError, RecursionError):
        return False
    return value.get("choices") == [] and isinstance(value.get("usage"), dict)
