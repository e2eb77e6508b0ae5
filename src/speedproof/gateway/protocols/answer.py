"""An answer, read while it passes: usage, end marker, model, tool calls, text, error."""

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import orjson

from speedproof.gateway.sse import Event
from speedproof.journal import Usage
from speedproof.journal.provider import read_error

_EXCERPT = 400
_MOST_TOOL_CALLS = 200
_NO_COST = 1e9
"""US dollars that no call can cost."""


def mapping(value: Any) -> dict[str, Any]:
    """`value` when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects in `value` when it is a list, else none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def parsed(text: str | bytes) -> Any:
    """The JSON value of `text`; null when it is none."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _leniently(text)


def _leniently(text: str | bytes) -> Any:
    """The same, of what only Python takes for JSON: half a character, NaN, an object too deep for others."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


@dataclass
class AnswerReader(ABC):
    """What an answer says; fed with a whole JSON body or with events. Never raises on content."""

    usage: Usage | None = None
    """What the provider counted, so far; final only when `complete`."""
    complete: bool = False
    """Whether the end marker of the protocol was seen."""
    model: str | None = None
    finish_reason: str | None = None
    error: str | None = None
    error_code: str | None = None
    billed_usd: float | None = None
    """What the provider says it bills."""
    terms: dict[str, str] = field(default_factory=dict)
    """What the provider says of how it served the call, where prices depend on it."""
    tool_calls: list[str] = field(default_factory=list)
    text: str = ""
    """The first characters of the model's text."""
    produced: bool = False
    """Whether anything of the model's output has been seen."""
    written: int = 0
    """Characters of the model's output seen, as far as it is text."""

    def read_json(self, body: bytes, status: int) -> None:
        """A whole, not streamed body."""
        value = parsed(body)
        self.complete = value is not None or status >= 400
        answer = mapping(value[0] if isinstance(value, list) and value else value)  # Gemini lists its errors
        if status >= 400:
            self.error_code, self.error = read_error({}, body)
            return
        self.read_error(answer.get("error"))
        self.read_answer(answer)

    def read_event(self, event: Event) -> None:
        """One event of a stream; comments and what is no JSON object are passed over."""
        if event.data:
            self.read_data(event, mapping(parsed(event.data)))

    @abstractmethod
    def read_answer(self, answer: dict[str, Any]) -> None:
        """A whole answer's body."""

    @abstractmethod
    def read_data(self, event: Event, value: dict[str, Any]) -> None:
        """One event and the JSON object in it; an empty one when it holds none."""

    def only_usage(self, event: Event) -> bool:  # noqa: ARG002
        """Whether the event is there only because usage was asked for."""
        return False

    @property
    def at_least(self) -> Usage | None:
        """What the provider certainly counted; null when nothing of an answer was seen."""
        if self.usage is None and not self.produced:
            return None
        known = self.usage or Usage()
        return known.model_copy(update={"output": max(known.output or 0, int(self.produced)) or None})

    def read_error(self, raw: Any) -> None:
        """The error object of a body or an event."""
        if not raw:
            return
        error = mapping(raw)
        self.error = str(error.get("message") or raw)[:8_000]
        code = error.get("code") or error.get("type")
        self.error_code = None if code is None else str(code)[:200]

    def read_model(self, name: Any) -> None:
        """The model that answered."""
        if isinstance(name, str):
            self.model = name[:200]

    def read_terms(self, raw: dict[str, Any]) -> None:
        """The tier and the speed that the call was served with."""
        for name in ("service_tier", "speed"):
            if isinstance(raw.get(name), str):
                self.terms[name] = raw[name][:50]

    def read_bill(self, cost: Any) -> None:
        """What the answer says it costs, US dollars: OpenRouter says so in its usage, in every protocol."""
        if isinstance(cost, int | float) and not isinstance(cost, bool) and 0 <= cost < _NO_COST:
            self.billed_usd = float(cost)

    def add_text(self, text: Any) -> None:
        """A piece of what the model says."""
        if isinstance(text, str) and text:
            self.add_written(text)
            if len(self.text) < _EXCERPT:
                self.text = (self.text + text)[:_EXCERPT]

    def add_written(self, text: Any) -> None:
        """A piece of output that is not said: thoughts, arguments."""
        if isinstance(text, str) and text:
            self.produced = True
            self.written += len(text)

    def add_call(self, name: Any) -> None:
        """A tool that the model calls."""
        self.produced = True
        if name and len(self.tool_calls) < _MOST_TOOL_CALLS:
            self.tool_calls.append(str(name)[:200])
