"""The scripted model's answers in OpenAI Chat Completions."""

import json
import time
from collections.abc import Iterator
from typing import Any

from speedproof.gateway.scripted.reply import Reply, Writer, event, pieces
from speedproof.gateway.scripted.tools import ToolCall
from speedproof.journal import Usage


def _usage(usage: Usage) -> dict[str, Any]:
    read, output = usage.cache_read or 0, usage.output or 0
    prompt = (usage.uncached_input or 0) + read
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": read, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning or 0, "audio_tokens": 0},
    }


def _call(reply: Reply, call: ToolCall) -> dict[str, Any]:
    if call.tool.kind == "custom":
        return {"id": f"call_{reply.id}", "type": "custom", "custom": {"name": call.tool.name, "input": call.input}}
    function = {"name": call.tool.name, "arguments": call.input}
    return {"id": f"call_{reply.id}", "type": "function", "function": function}


class ChatWriter(Writer):
    """Chat completions; the usage chunk of a stream only when it was asked for."""

    def whole(self, reply: Reply) -> bytes:
        message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": None}
        if reply.call:
            message["tool_calls"] = [_call(reply, reply.call)]
        reason = "tool_calls" if reply.call else "stop"
        answer = {
            "id": f"chatcmpl-{reply.id}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": reply.model,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
            "usage": _usage(reply.usage),
            "system_fingerprint": None,
        }
        return json.dumps(answer).encode()

    def stream(self, reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:
        options = body.get("stream_options")
        include_usage = isinstance(options, dict) and options.get("include_usage") is True
        base: dict[str, Any] = {
            "id": f"chatcmpl-{reply.id}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": reply.model,
            "system_fingerprint": None,
        }
        if include_usage:
            base["usage"] = None

        def chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
            return event(base | {"choices": [choice]})

        yield chunk({"role": "assistant", "content": "" if reply.text else None})
        for piece in pieces(reply.text):
            yield chunk({"content": piece})
        if reply.call:
            call = _call(reply, reply.call)
            inner, argument = ("custom", "input") if call["type"] == "custom" else ("function", "arguments")
            text = call[inner].pop(argument)
            call[inner][argument] = ""
            yield chunk({"tool_calls": [{"index": 0} | call]})
            for piece in pieces(text):
                yield chunk({"tool_calls": [{"index": 0, inner: {argument: piece}}]})
        yield chunk({}, "tool_calls" if reply.call else "stop")
        if include_usage:
            yield event(base | {"choices": [], "usage": _usage(reply.usage)})
        yield b"data: [DONE]\n\n"
