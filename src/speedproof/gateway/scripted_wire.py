"""The scripted model's answers as OpenAI puts them on the wire: JSON and event streams of both protocols."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from speedproof.gateway.conversation import Conversation
from speedproof.gateway.tools import ToolCall
from speedproof.journal import Usage

_PIECE = 48


@dataclass(frozen=True)
class Reply:
    """One answer of the model, before it is put into a protocol's form."""

    id: str
    """Seed of the answer's ids: the same request gets the same ones."""
    text: str
    call: ToolCall | None
    usage: Usage


def _pieces(text: str) -> Iterator[str]:
    return (text[i : i + _PIECE] for i in range(0, len(text), _PIECE))


def _event(data: dict[str, Any], name: str | None = None) -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()


def _chat_usage(usage: Usage) -> dict[str, Any]:
    read, output = usage.cache_read or 0, usage.output or 0
    prompt = (usage.uncached_input or 0) + read
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": read, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning or 0, "audio_tokens": 0},
    }


def _chat_call(reply: Reply, call: ToolCall) -> dict[str, Any]:
    if call.tool.kind == "custom":
        return {"id": f"call_{reply.id}", "type": "custom", "custom": {"name": call.tool.name, "input": call.input}}
    function = {"name": call.tool.name, "arguments": call.input}
    return {"id": f"call_{reply.id}", "type": "function", "function": function}


def chat_json(reply: Reply, model: str) -> bytes:
    """A chat completion."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.call:
        message["tool_calls"] = [_chat_call(reply, reply.call)]
    reason = "tool_calls" if reply.call else "stop"
    answer = {
        "id": f"chatcmpl-{reply.id}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
        "usage": _chat_usage(reply.usage),
        "system_fingerprint": None,
    }
    return json.dumps(answer).encode()


def chat_stream(reply: Reply, conversation: Conversation) -> Iterator[bytes]:
    """A chat completion as chunks; the usage chunk only when it was asked for."""
    base: dict[str, Any] = {
        "id": f"chatcmpl-{reply.id}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": conversation.model,
        "system_fingerprint": None,
    }
    if conversation.include_usage:
        base["usage"] = None

    def chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return _event(base | {"choices": [choice]})

    yield chunk({"role": "assistant", "content": "" if reply.text else None})
    for piece in _pieces(reply.text):
        yield chunk({"content": piece})
    if reply.call:
        call = _chat_call(reply, reply.call)
        inner, argument = ("custom", "input") if call["type"] == "custom" else ("function", "arguments")
        text = call[inner].pop(argument)
        call[inner][argument] = ""
        yield chunk({"tool_calls": [{"index": 0} | call]})
        for piece in _pieces(text):
            yield chunk({"tool_calls": [{"index": 0, inner: {argument: piece}}]})
    yield chunk({}, "tool_calls" if reply.call else "stop")
    if conversation.include_usage:
        yield _event(base | {"choices": [], "usage": _chat_usage(reply.usage)})
    yield b"data: [DONE]\n\n"


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


def _response(reply: Reply, model: str, *, done: bool) -> dict[str, Any]:
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
        "model": model,
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


def responses_json(reply: Reply, model: str) -> bytes:
    """A response object."""
    return json.dumps(_response(reply, model, done=True)).encode()


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
        for piece in _pieces(text):
            yield {"type": "output_text.delta", **at, "content_index": 0, "delta": piece, "logprobs": []}
        yield {"type": "output_text.done", **at, "content_index": 0, "text": text, "logprobs": []}
        yield {"type": "content_part.done", **at, "content_index": 0, "part": part}
    else:
        custom = item["type"] == "custom_tool_call"
        field, event = ("input", "custom_tool_call_input") if custom else ("arguments", "function_call_arguments")
        yield {"type": "output_item.added", "output_index": index, "item": item | {field: "", "status": "in_progress"}}
        for piece in _pieces(item[field]):
            yield {"type": f"{event}.delta", **at, "delta": piece}
        yield {"type": f"{event}.done", **at, field: item[field]}
    yield {"type": "output_item.done", "output_index": index, "item": item}


def responses_stream(reply: Reply, model: str) -> Iterator[bytes]:
    """A response as its sequence of events."""
    opened = _response(reply, model, done=False)
    events: list[dict[str, Any]] = [
        {"type": "created", "response": opened},
        {"type": "in_progress", "response": opened},
    ]
    for index, item in enumerate(_items(reply)):
        events.extend(_item_events(index, item))
    events.append({"type": "completed", "response": _response(reply, model, done=True)})
    for number, event in enumerate(events):
        name = f"response.{event['type']}"
        yield _event(event | {"type": name, "sequence_number": number}, name)
