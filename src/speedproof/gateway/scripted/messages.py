"""The scripted model's answers in Anthropic Messages."""

import json
from collections.abc import Iterator
from typing import Any

from speedproof.gateway.scripted.reply import Reply, Writer, event, pieces
from speedproof.journal import Usage


def _blocks(reply: Reply) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if reply.text:
        blocks.append({"type": "text", "text": reply.text})
    if reply.call:
        arguments = json.loads(reply.call.input)
        blocks.append({"type": "tool_use", "id": f"toolu_{reply.id}", "name": reply.call.tool.name, "input": arguments})
    return blocks


def _counts(usage: Usage) -> dict[str, Any]:
    """Its input is what was read afresh: the cached parts stand apart."""
    return {
        "input_tokens": usage.uncached_input or 0,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read or 0,
        "output_tokens": usage.output or 0,
        "output_tokens_details": {"thinking_tokens": usage.reasoning or 0},
        "service_tier": "standard",
    }


def _message(reply: Reply, *, done: bool) -> dict[str, Any]:
    usage = reply.usage if done else reply.usage.model_copy(update={"output": 1, "reasoning": 0})
    return {
        "id": f"msg_{reply.id}",
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": _blocks(reply) if done else [],
        "stop_reason": _stop_reason(reply) if done else None,
        "stop_sequence": None,
        "usage": _counts(usage),
    }


def _stop_reason(reply: Reply) -> str:
    return "tool_use" if reply.call else "end_turn"


def _deltas(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if block["type"] == "text":
        return ({"type": "text_delta", "text": piece} for piece in pieces(block["text"]))
    whole = json.dumps(block["input"], ensure_ascii=False)
    return ({"type": "input_json_delta", "partial_json": piece} for piece in pieces(whole))


def _events(reply: Reply) -> Iterator[dict[str, Any]]:
    yield {"type": "message_start", "message": _message(reply, done=False)}
    yield {"type": "ping"}
    for index, block in enumerate(_blocks(reply)):
        empty: dict[str, Any] = {"text": ""} if block["type"] == "text" else {"input": {}}
        yield {"type": "content_block_start", "index": index, "content_block": block | empty}
        for delta in _deltas(block):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    delta = {"stop_reason": _stop_reason(reply), "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": _counts(reply.usage)}
    yield {"type": "message_stop"}


class MessagesWriter(Writer):
    """Messages, or a message as its sequence of events."""

    def whole(self, reply: Reply) -> bytes:
        return json.dumps(_message(reply, done=True)).encode()

    def stream(self, reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:  # noqa: ARG002
        return (event(data, str(data["type"])) for data in _events(reply))
