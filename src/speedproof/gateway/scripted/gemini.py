"""The scripted model's answers in Gemini generateContent."""

import json
from collections.abc import Iterator
from typing import Any

from speedproof.gateway.scripted.reply import Reply, Writer, event, pieces


def _usage(reply: Reply, *, written: bool) -> dict[str, Any]:
    """The counts so far; `written`: with those of the answer. What is 0 is left out, as Google does."""
    read, output = reply.usage.cache_read or 0, (reply.usage.output or 0) if written else 0
    thoughts = (reply.usage.reasoning or 0) if written else 0
    prompt = (reply.usage.uncached_input or 0) + read
    counts = {
        "promptTokenCount": prompt,
        "cachedContentTokenCount": read,
        "candidatesTokenCount": output - thoughts,
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": prompt + output,
    }
    return {name: count for name, count in counts.items() if count}


def _chunk(reply: Reply, parts: list[dict[str, Any]], *, last: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if last:
        candidate["finishReason"] = "STOP"
    return {
        "candidates": [candidate],
        "usageMetadata": _usage(reply, written=last),
        "modelVersion": reply.model,
        "responseId": reply.id,
    }


def _call(reply: Reply) -> list[dict[str, Any]]:
    if reply.call is None:
        return []
    call = {"id": f"call_{reply.id}", "name": reply.call.tool.name, "args": json.loads(reply.call.input)}
    return [{"functionCall": call}]


class GeminiWriter(Writer):
    """Responses of generateContent, or a response in pieces."""

    def whole(self, reply: Reply) -> bytes:
        text = [{"text": reply.text}] if reply.text or not reply.call else []
        return json.dumps(_chunk(reply, text + _call(reply), last=True)).encode()

    def stream(self, reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:  # noqa: ARG002
        for piece in pieces(reply.text):
            yield event(_chunk(reply, [{"text": piece}], last=False))
        if reply.call:
            yield event(_chunk(reply, _call(reply), last=False))
        yield event(_chunk(reply, [{"text": ""}], last=True))

    def count(self, tokens: int) -> dict[str, Any]:
        details = [{"modality": "TEXT", "tokenCount": tokens}]
        return {"totalTokens": tokens, "promptTokensDetails": details}
