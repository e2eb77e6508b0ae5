"""Any value in any place of a request or an answer is read, or refused, and never breaks what reads it."""

import contextlib
import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from speedproof.gateway import Patience, Rules
from speedproof.gateway.asked import Malformed, read_request
from speedproof.gateway.patience import Try
from speedproof.gateway.protocols import DIALECTS, route
from speedproof.gateway.protocols.dialect import Unreadable
from speedproof.gateway.scripted.asked import read_asked
from speedproof.gateway.sse import Event
from speedproof.gateway.upstream import Request
from speedproof.journal.base import now

ODD: list[Any] = [None, True, -1, 1.5, "x", [], {}, [[]], [{}], [None], "\ud800", {"type": []}, [{"type": {}}]]
RULES = [
    Rules(),
    Rules(
        model="z",
        pins={"temperature": 0, "parallel_tool_calls": False, "max_output": 3, "reasoning_effort": "low", "seed": 1},
        watch=("temperature", "max_output", "parallel_tool_calls"),
        repair=True,
    ),
]
REQUESTS: dict[str, Any] = {
    "/v1/chat/completions": {
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": False},
        "temperature": 1,
        "max_tokens": 3,
        "tool_choice": "auto",
        "web_search_options": {},
        "plugins": [{"id": "web"}],
        "functions": [{"name": "f"}],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "bash",
                    "parameters": {
                        "type": "object",
                        "properties": {"command": {"type": "string"}},
                        "required": ["command"],
                    },
                },
            },
            {"type": "custom", "custom": {"name": "c"}},
        ],
        "messages": [
            {"role": "system", "content": "s"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "x"},
                    {"type": "image_url", "image_url": {"url": "data:x"}},
                    {"type": "file", "file": {"file_data": "data:,", "file_id": None}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "bash", "arguments": "{}"}},
                    {"id": "b", "type": "custom", "custom": {"name": "c", "input": "x"}},
                ],
            },
            {"role": "tool", "tool_call_id": "a", "content": "ok"},
        ],
    },
    "/v1/responses": {
        "model": "m",
        "stream": True,
        "reasoning": {"effort": "low"},
        "instructions": "i",
        "prompt": None,
        "conversation": None,
        "previous_response_id": None,
        "max_output_tokens": 3,
        "tools": [
            {
                "type": "function",
                "name": "exec_command",
                "parameters": {"type": "object", "properties": {"cmd": {"type": "string"}}},
            },
            {"type": "custom", "name": "c"},
            {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "q"}]},
            {"type": "web_search"},
        ],
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "x"},
                    {"type": "input_image", "image_url": "data:x"},
                    {"type": "input_file", "file_url": None, "file_id": None},
                ],
            },
            {"type": "reasoning", "summary": []},
            {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "a", "output": "x"},
            {"type": "custom_tool_call", "call_id": "b", "name": "c", "input": "x"},
            {"type": "additional_tools", "tools": [{"type": "function", "name": "z"}]},
            {"type": "tool_search_output", "tools": []},
            {"type": "item_reference", "id": "x"},
        ],
    },
    "/v1/messages": {
        "model": "m",
        "max_tokens": 5,
        "stream": True,
        "system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}],
        "thinking": {"type": "enabled", "budget_tokens": 1},
        "output_config": {"effort": "low"},
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "mcp_servers": [{"type": "url", "url": "x"}],
        "container": None,
        "fallbacks": [],
        "tools": [
            {"name": "bash", "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}}},
            {"type": "bash_20250124", "name": "bash"},
            {"type": "web_search_20250305", "name": "w"},
            {"type": "mcp_toolset", "mcp_server_name": "q"},
        ],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "x"},
                    {"type": "image", "source": {"type": "base64", "data": "x"}},
                    {
                        "type": "document",
                        "source": {"type": "content", "content": [{"type": "image", "source": {"type": "base64"}}]},
                    },
                    {"type": "tool_addition", "tool": {"definition": {"type": "custom"}}},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "x"},
                    {"type": "tool_use", "id": "a", "name": "bash", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "a",
                        "is_error": True,
                        "content": [{"type": "text", "text": "x"}],
                    }
                ],
            },
        ],
    },
    "/v1beta/models/m:streamGenerateContent": {
        "systemInstruction": {"parts": [{"text": "s"}]},
        "generationConfig": {"temperature": 1, "thinkingConfig": {"thinkingLevel": "low"}},
        "cachedContent": None,
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "run", "parameters": {"type": "OBJECT", "properties": {"command": {"type": "STRING"}}}}
                ]
            },
            {"googleSearch": {}},
        ],
        "contents": [
            {"role": "user", "parts": [{"text": "x"}, {"inlineData": {"data": "x"}}, {"fileData": {"fileUri": None}}]},
            {
                "role": "model",
                "parts": [{"functionCall": {"id": "a", "name": "run", "args": {}}}, {"text": "t", "thought": True}],
            },
            {"role": "user", "parts": [{"functionResponse": {"id": "a", "name": "run", "response": {"output": "x"}}}]},
        ],
    },
}

ANSWERS: dict[str, list[Any]] = {
    "chat": [
        {
            "model": "m",
            "choices": [
                {
                    "index": 0,
                    "message": {"content": "x", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]},
                    "delta": {
                        "content": "x",
                        "tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{}"}}],
                    },
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": 1,
                "completion_tokens": 1,
                "cost": 1,
                "prompt_tokens_details": {"cached_tokens": 1},
                "completion_tokens_details": {"reasoning_tokens": 1},
            },
            "error": {"message": "m", "code": "c", "type": "t", "param": "p"},
            "service_tier": "x",
        }
    ],
    "responses": [
        {
            "type": t,
            "response": {
                "model": "m",
                "status": "completed",
                "output": [
                    {"type": "message", "content": [{"type": "output_text", "text": "x"}]},
                    {"type": "function_call", "name": "f", "arguments": "{}"},
                ],
                "usage": {
                    "input_tokens": 1,
                    "output_tokens": 1,
                    "input_tokens_details": {"cached_tokens": 0},
                    "output_tokens_details": {"reasoning_tokens": 0},
                },
                "error": {"message": "m", "code": "c"},
                "incomplete_details": {"reason": "x"},
                "service_tier": "x",
            },
            "item": {"type": "message", "content": [{"type": "output_text", "text": "x"}]},
            "delta": "x",
            "error": {"message": "m"},
            "model": "m",
            "output": [{"type": "message", "content": []}],
            "usage": {"input_tokens": 1},
        }
        for t in (
            "response.completed",
            "response.created",
            "response.output_item.done",
            "response.output_text.delta",
            "error",
            "response.failed",
        )
    ],
    "messages": [
        {
            "type": t,
            "model": "m",
            "message": {
                "model": "m",
                "usage": {
                    "input_tokens": 1,
                    "output_tokens": 1,
                    "cache_creation": {"ephemeral_1h_input_tokens": 1},
                    "service_tier": "x",
                    "output_tokens_details": {"thinking_tokens": 1},
                },
            },
            "content": [{"type": "text", "text": "x"}, {"type": "tool_use", "name": "f"}],
            "content_block": {"type": "text", "text": "x"},
            "delta": {"text": "x", "partial_json": "x", "stop_reason": "end_turn"},
            "usage": {
                "input_tokens": 1,
                "output_tokens": 1,
                "speed": "x",
                "cache_creation": {"ephemeral_1h_input_tokens": 1},
            },
            "error": {"type": "x", "message": "m"},
            "stop_reason": "end_turn",
        }
        for t in (
            "message_start",
            "content_block_start",
            "content_block_delta",
            "message_delta",
            "message_stop",
            "error",
            "message",
        )
    ],
    "gemini": [
        {
            "modelVersion": "m",
            "candidates": [
                {
                    "index": 0,
                    "content": {
                        "parts": [
                            {"text": "x"},
                            {"functionCall": {"name": "f", "args": {}}},
                            {"text": "t", "thought": True},
                        ],
                        "role": "model",
                    },
                    "finishReason": "STOP",
                }
            ],
            "usageMetadata": {
                "promptTokenCount": 1,
                "cachedContentTokenCount": 0,
                "candidatesTokenCount": 1,
                "thoughtsTokenCount": 1,
                "totalTokenCount": 2,
                "toolUsePromptTokenCount": 1,
            },
            "promptFeedback": {"blockReason": "x"},
            "error": {
                "code": 429,
                "message": "m",
                "status": "S",
                "details": [{"@type": "x", "reason": "r", "metadata": {"a": "b"}}],
            },
        }
    ],
}

Way = tuple[str | int, ...]


def ways(node: Any, way: Way = ()) -> Iterator[Way]:
    """The ways to every value in `node`, itself included."""
    yield way
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inner:
        yield from ways(value, (*way, key))


def changed(node: Any, way: Way, value: Any) -> Any:
    """`node` with another value in one place."""
    if not way:
        return value
    node = at = copy.deepcopy(node)
    for key in way[:-1]:
        at = at[key]
    at[way[-1]] = value
    return node


@pytest.mark.parametrize("path", REQUESTS)
def test_a_request_with_any_value_in_any_place_is_read_or_refused(path: str) -> None:
    where = route("POST", path)
    assert where.dialect is not None
    for way in ways(REQUESTS[path]):
        for odd in ODD:
            raw = json.dumps(changed(REQUESTS[path], way, odd)).encode()
            for rules in RULES:
                with contextlib.suppress(Malformed):
                    json.loads(read_request(where, raw, rules).body)
            with contextlib.suppress(Unreadable):
                read_asked(where, where.dialect, Request("s", "POST", path, "alt=sse", body=raw))


@pytest.mark.parametrize("protocol", ANSWERS)
def test_an_answer_with_any_value_in_any_place_is_read(protocol: str) -> None:
    patience = Patience()
    for answer in ANSWERS[protocol]:
        for way in ways(answer):
            for odd in ODD:
                text = json.dumps(changed(answer, way, odd))
                event = Event("message", text, text.encode())
                for status in (200, 429):
                    whole, streamed = DIALECTS[protocol].reader(), DIALECTS[protocol].reader()
                    whole.read_json(text.encode(), status)
                    streamed.read_event(event)
                    streamed.only_usage(event)
                    assert whole.at_least is None or whole.at_least.input >= 0
                failed = Try(429, {"retry-after": text[:20]}, text.encode())
                patience.judge(failed, tries=1, elapsed_s=0, now=now())
