"""OpenAI Responses."""

from collections.abc import Mapping
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
from speedproof.gateway.protocols.openai import count_tokens, drop_tools, malformed, offered, openai_error
from speedproof.gateway.sse import Event
from speedproof.journal import Usage
from speedproof.journal.call import Illegal, IllegalKind, Protocol


class Responses(Dialect):
    """POST /v1/responses."""

    name: Protocol = "responses"
    content = frozenset({"input", "instructions", "tools"})
    places = {"max_output": ("max_output_tokens",), "reasoning_effort": ("reasoning", "effort")}
    results_follow = False
    items = True
    recalled = frozenset({"prompt", "conversation"})

    def asks_model(self, path: str) -> bool:
        return path in {"/responses", "/responses/compact"}

    def side_route(self, path: str) -> bool:
        return path == "/responses/input_tokens"

    def conversation(self, body: Mapping[str, Any]) -> Conversation:
        given = body.get("input")
        items = [{"role": "user", "content": given}] if isinstance(given, str) else entries_of(given, "input")
        entries = tuple(_entry(item) for item in items)
        if body.get("previous_response_id") or any(item.get("type") == "item_reference" for item in items):
            entries = _without_recalled(entries)
        return Conversation([body.get("tools"), body.get("instructions")], entries)

    def tools(self, body: Mapping[str, Any]) -> tuple[Tool, ...]:
        return offered(body) + tuple(
            tool for item in objects(body.get("input")) if _offers(item) for tool in offered(item)
        )

    def drop_hosted_tools(self, body: dict[str, Any]) -> list[str]:
        dropped = drop_elsewhere(body) + drop_tools(body)
        if body.get("background") is True:  # an answer that nobody would see
            del body["background"]
            dropped.append("background")
        given = body.get("input")
        if isinstance(given, list) and any(_offers(item) for item in objects(given)):
            items = body["input"] = []
            for item in given:
                own = dict(item) if isinstance(item, dict) and _offers(item) else item
                found = drop_tools(own) if own is not item else []
                dropped += found
                if not found or own["tools"] or own["type"] != "additional_tools":
                    items.append(own)
        return dropped

    def supply(self, body: dict[str, Any], missing: Illegal, text: str) -> None:
        items = body["input"] = list(body["input"])
        kind = str(items[missing.entry].get("type", "function_call"))
        after = missing.entry + 1
        while after < len(items) and _by_model(items[after]):  # an answer is several items: it stays whole
            after += 1
        items.insert(after, {"type": f"{kind}_output", "call_id": missing.call_id, "output": text})

    def refusal(self, illegal: Illegal) -> Unreadable:
        if illegal.kind is IllegalKind.CALL_MISSING:
            return Unreadable(f"No tool call found for function call output with call_id {illegal.call_id}.", "input")
        if illegal.kind is IllegalKind.ARGUMENTS_MALFORMED:
            return Unreadable(f"The arguments of function call {illegal.call_id} are not valid JSON.", "input")
        return Unreadable(f"No tool output found for function call {illegal.call_id}.", "input")

    def reader(self) -> AnswerReader:
        return _Reader()

    def error(self, status: int, message: str, kind: str | None, code: str | None, param: str | None) -> dict[str, Any]:
        return openai_error(status, message, kind, code, param)


def _entry(item: dict[str, Any]) -> Entry:
    kind = str(item.get("type", "message"))
    call = item.get("call_id")
    uses: tuple[ToolUse, ...] = ()
    results: tuple[ToolResult, ...] = ()
    if call and kind.endswith("_call"):
        uses = (
            ToolUse(
                str(call), str(item.get("name") or kind), kind == "function_call" and malformed(item.get("arguments"))
            ),
        )
    elif call and kind.endswith("_output"):
        results = (ToolResult(str(call)),)
    return Entry(_by_model(item), item, uses, results)


def _offers(item: dict[str, Any]) -> bool:
    """Whether an item of the conversation brings tools of its own."""
    return str(item.get("type")) in {"additional_tools", "tool_search_output"}


def _without_recalled(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """The entries without outputs of calls that are not among them: the provider keeps the beginning itself."""
    known = {use.id for entry in entries for use in entry.uses}
    return tuple(e._replace(results=tuple(r for r in e.results if r.id in known)) for e in entries)


def _by_model(item: dict[str, Any]) -> bool:
    kind = str(item.get("type", "message"))
    return kind.endswith("_call") or kind == "reasoning" or item.get("role") == "assistant"


class _Reader(AnswerReader):
    def read_answer(self, answer: dict[str, Any]) -> None:
        self.read_model(answer.get("model"))
        self.read_error(answer.get("error"))
        self.usage = _usage(answer.get("usage")) or self.usage
        self.read_terms(answer)
        self.read_bill(mapping(answer.get("usage")).get("cost"))
        if not self.tool_calls and not self.text:
            for item in objects(answer.get("output")):
                self._read_item(item)
        reason = mapping(answer.get("incomplete_details")).get("reason") or answer.get("status")
        if reason:
            self.finish_reason = str(reason)[:200]

    def read_data(self, event: Event, value: dict[str, Any]) -> None:
        kind = str(value.get("type", event.name))
        if kind in {"response.completed", "response.incomplete", "response.failed"}:
            self.complete = True
            self.read_answer(mapping(value.get("response")))
        elif kind == "response.created":
            self.read_model(mapping(value.get("response")).get("model"))
        elif kind == "response.output_item.done":
            seen = self.written
            self._read_item(mapping(value.get("item")))
            self.written = seen or self.written  # what came piece by piece is not counted twice
        elif kind == "error":
            self.read_error(value.get("error") or value)
        elif kind.endswith(".delta"):
            self.produced = self.produced or bool(value.get("delta"))
            self.add_written(value.get("delta"))

    def _read_item(self, item: dict[str, Any]) -> None:
        if item.get("type") == "message":
            for part in objects(item.get("content")):
                self.add_text(part.get("text"))
        elif str(item.get("type", "")).endswith("_call"):
            self.add_call(item.get("name") or item["type"])


def _usage(raw: Any) -> Usage | None:
    return count_tokens(mapping(raw), "input_tokens", "output_tokens", "input_tokens_details", "output_tokens_details")
