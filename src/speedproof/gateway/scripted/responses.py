"""The scripted model's answers in OpenAI Responses."""

import json
import time
from collections.abc import Iterator
from typing import Any

from speedproof.gateway.scripted.reply import Reply, Writer, event, pieces


def _items(reply: Reply) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if reply.text or not reply.call:
        content = [{"type": "output_text", "text": reply.text, "annotations": [], "logprobs": []}]
        items.append(
            {
                "type": "message",
                "id": f"msg_{reply.id}",
                "status": "completed",
                "role": "assistant",
                "content": content,
            }
        )
    if reply.call:
        custom = reply.call.tool.kind == "custom"
        items.append(
            {
                "type": "custom_tool_call" if custom else "function_call",
                "id": f"{'ctc' if custom else 'fc'}_{reply.id}",
                "call_id": f"call_{reply.id}",
                "status": "completed",
                "name": reply.call.tool.name,
                "input" if custom else "arguments": reply.call.input,
            }
        )
    return items


def _response(reply: Reply, *, done: bool) -> dict[str, Any]:
    read, output = reply.usage.cache_read or 0, reply.usage.output or 0
    asked = (reply.usage.uncached_input or 0) + read
    usage = {
        "input_tokens": asked,
        "input_tokens_details": {"cached_tokens": read},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": reply.usage.reasoning or 0},
        "total_tokens": asked + output,
    }
    return {
        "id": f"resp_{reply.id}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "completed" if done else "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "model": reply.model,
        "output": _items(reply) if done else [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage if done else None,
        "user": None,
    }


def _item_events(index: int, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    at = {"output_index": index, "item_id": item["id"]}
    if item["type"] == "message":
        part = item["content"][0]
        text = part["text"]
        yield {
            "type": "output_item.added",
            "output_index": index,
            "item": item | {"content": [], "status": "in_progress"},
        }
        yield {"type": "content_part.added", **at, "content_index": 0, "part": part | {"text": ""}}
        for piece in pieces(text):
            yield {"type": "output_text.delta", **at, "content_index": 0, "delta": piece, "logprobs": []}
        yield {"type": "output_text.done", **at, "content_index": 0, "text": text, "logprobs": []}
        yield {"type": "content_part.done", **at, "content_index": 0, "part": part}
    else:
        custom = item["type"] == "custom_tool_call"
        field, name = ("input", "custom_tool_call_input") if custom else ("arguments", "function_call_arguments")
        yield {"type": "output_item.added", "output_index": index, "item": item | {field: "", "status": "in_progress"}}
        for piece in pieces(item[field]):
            yield {"type": f"{name}.delta", **at, "delta": piece}
        yield {"type": f"{name}.done", **at, field: item[field]}
    yield {"type": "output_item.done", "output_index": index, "item": item}


class ResponsesWriter(Writer):
    """Response objects, or a response as its sequence of events."""

    def whole(self, reply: Reply) -> bytes:
        return json.dumps(_response(reply, done=True)).encode()

    def stream(self, reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:  # noqa: ARG002
        opened = _response(reply, done=False)
        events: list[dict[str, Any]] = [
            {"type": "created", "response": opened},
            {"type": "in_progress", "response": opened},
        ]
        for index, item in enumerate(_items(reply)):
            events.extend(_item_events(index, item))
        events.append({"type": "completed", "response": _response(reply, done=True)})
        for number, data in enumerate(events):
            name = f"response.{data['type']}"
            yield event(data | {"type": name, "sequence_number": number}, name)

    def count(self, tokens: int) -> dict[str, Any]:
        return {"object": "response.input_tokens"} | super().count(tokens)
