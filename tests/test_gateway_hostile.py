"""No JSON, however odd, breaks what reads requests and answers."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway_support import CHAT_BASH, RESPONSES_SHELL
from speedproof.gateway.asked import Asked, Rules, read_request
from speedproof.gateway.body import decode_body
from speedproof.gateway.protocols import DIALECTS, Route
from speedproof.gateway.protocols.dialect import Unreadable, find_illegal
from speedproof.gateway.refusal import Refusal
from speedproof.gateway.scripted.tools import finish_call, shell_call
from speedproof.gateway.sse import Event
from speedproof.gateway.strict_json import Malformed
from speedproof.journal.redaction import redact_value

PATHS = {
    "chat": "/chat/completions",
    "responses": "/responses",
    "messages": "/messages",
    "gemini": "/models/m:generateContent",
}


def read(protocol: str, raw: bytes, **pins: Any) -> Asked:
    """A request as the gateway reads it."""
    return read_request(Route(PATHS[protocol], DIALECTS[protocol].name, DIALECTS[protocol]), raw, Rules(pins=pins))


WORDS = st.sampled_from(
    [
        "assistant",
        "user",
        "tool",
        "role",
        "type",
        "function",
        "custom",
        "name",
        "call_id",
        "tool_calls",
        "id",
        "tool_call_id",
        "function_call",
        "function_call_output",
        "arguments",
        "parameters",
        "properties",
        "required",
        "command",
        "usage",
        "choices",
        "delta",
        "message",
        "output",
        "response",
        "error",
        "code",
        "model",
        "tools",
        "messages",
        "input",
        "stream",
        "stream_options",
        "string",
        "array",
        "null",
        "anyOf",
        "bash",
    ]
)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=6),
    max_leaves=20,
)
ENTRIES = st.lists(st.dictionaries(WORDS, ODD, max_size=6), max_size=4)
BODIES = st.dictionaries(
    st.sampled_from(["model", "messages", "input", "tools", "stream", "stream_options"]), ENTRIES | ODD
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(BODIES, st.booleans())
def test_any_request_is_read_or_refused(body: dict[str, Any], named: bool) -> None:
    if named:
        body["model"] = "m"
    raw = json.dumps(body).encode()
    for protocol, dialect in DIALECTS.items():
        with contextlib.suppress(Malformed):
            asked = read(protocol, raw, seed=1)
            json.loads(asked.body)
            redact_value([asked.asked, asked.sent], ())
        with contextlib.suppress(Unreadable):
            find_illegal(dialect, dialect.conversation(json.loads(raw)))
        tools = dialect.tools(body)
        shell_call(tools, "ls")
        finish_call(tools, "done")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ODD, st.sampled_from([200, 404]))
def test_any_answer_is_read(value: Any, status: int) -> None:
    raw = json.dumps(value)
    for dialect in DIALECTS.values():
        reader = dialect.reader()
        reader.read_json(raw.encode(), status)
        for kind in ("response.completed", "response.output_item.done", "error"):
            reader.read_event(Event(kind, raw, raw.encode()))
            reader.read_event(Event(kind, json.dumps({"type": kind, "response": value, "item": value}), b""))
        reader.only_usage(Event("message", raw, raw.encode()))


@pytest.mark.parametrize("depth", [500, 5_000, 200_000])
def test_a_deeply_nested_request_is_read_or_refused(depth: int) -> None:
    raw = b'{"model":"m","input":[{"role":"user"}],"x":' + b"[" * depth + b"]" * depth + b"}"
    with contextlib.suppress(Malformed):
        asked = read("responses", raw, seed=1)
        assert len(str(asked.asked)) < 2_000


def test_a_huge_parameter_is_recorded_by_its_size_only() -> None:
    raw = json.dumps({"model": "m", "messages": [], "metadata": "x" * 100_000}).encode()
    assert len(str(read("chat", raw).asked)) < 1_000


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200), st.sampled_from(["zstd", "gzip", "deflate", "br", "gzip, zstd", ""]))
def test_a_body_is_decoded_or_refused(raw: bytes, encoding: str) -> None:
    with contextlib.suppress(Refusal):
        assert isinstance(decode_body(raw, encoding), bytes)


def test_tools_that_the_provider_would_run_on_the_network_are_taken_out() -> None:
    body = {
        "model": "m",
        "input": "x",
        "tools": [RESPONSES_SHELL, {"type": "web_search"}, {"type": "mcp", "server_url": "https://x"}, 5],
    }
    asked = read("responses", json.dumps(body).encode())
    assert json.loads(asked.body)["tools"] == [RESPONSES_SHELL]
    assert asked.asked["hosted_tools"] == ["web_search", "mcp", "5"]
    assert "hosted_tools" not in asked.sent
    assert asked.tools == ("exec_command", "web_search", "mcp", "5")
    chat = {"model": "m", "messages": [], "tools": [CHAT_BASH], "web_search_options": {}, "plugins": [{"id": "web"}]}
    sent = json.loads(read("chat", json.dumps(chat).encode()).body)
    assert set(sent) == {"model", "messages", "tools"}


PICTURE = "data:image/png;base64,AAAA"
REMOTE = [
    ("chat", {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}, "image_url"),
    ("chat", {"type": "image_url", "image_url": " HTTP://example.org/a.png"}, "image_url"),
    ("chat", {"type": "video_url", "video_url": {"url": "gs://bucket/a"}}, "video_url"),
    ("chat", {"type": "file", "file": {"file_data": "https://example.org/a.pdf"}}, "file_data"),
    ("chat", {"type": "file", "file": {"file_id": "file-1"}}, "file_id"),
    ("responses", {"type": "input_file", "file_url": "https://example.org/a.txt"}, "file_url"),
    ("responses", {"type": "input_image", "image_url": "https://example.org/a.png"}, "image_url"),
    ("chat", {"type": "image_url", "image_url": {"url": PICTURE}}, None),
    ("responses", {"type": "input_image", "image_url": PICTURE}, None),
    ("responses", {"type": "input_text", "text": "image_url: https://example.org/a.png"}, None),
    ("responses", {"type": "input_file", "file_data": "QUJD", "file_id": None}, None),
]


@pytest.mark.parametrize(("protocol", "part", "field"), REMOTE)
def test_content_that_the_provider_would_fetch_is_noticed(protocol: Any, part: dict[str, Any], field: str) -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "x"}, part]}
    body = {"model": "m", ("messages" if protocol == "chat" else "input"): [message]}
    assert read(protocol, json.dumps(body).encode()).remote == field


@pytest.mark.parametrize("more", [{"prompt": {"id": "pmpt_1"}}, {"conversation": "conv_1"}, {"prompt": None}])
def test_content_that_the_provider_would_recall_is_noticed(more: dict[str, Any]) -> None:
    body = {"model": "m", "input": "x", "tools": [{"type": "function", "parameters": {"image_url": "a:b"}}], **more}
    found = read("responses", json.dumps(body).encode()).remote
    assert found == next((name for name, value in more.items() if value), None)


def test_a_key_given_twice_is_refused_for_the_provider_might_read_the_other() -> None:
    with pytest.raises(Malformed):
        read("responses", b'{"model":"m","conversation":"conv_1","conversation":null}')
