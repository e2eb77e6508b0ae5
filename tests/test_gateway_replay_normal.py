"""What of a request replay compares: everything but paths of the workspace, times, durations, ids and the like."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from gateway_support import CHAT_BASH
from speedproof.gateway.replayed.normalise import Normaliser, normalise

PATHS = {
    "chat": "/chat/completions",
    "responses": "/responses",
    "messages": "/messages",
    "gemini": "/models/m:generateContent",
}
HEX = "0123456789abcdef"


def hexes(size: int) -> SearchStrategy[str]:
    """Hexadecimal digits, a letter and a digit among them."""
    return st.text(HEX, min_size=size - 2, max_size=size - 2).map(lambda rest: f"a{rest}7")


numbers = st.integers(0, 99).map(str)
two = st.integers(10, 59).map(str)
days = st.integers(1, 28)
months = st.sampled_from(["Jan", "February", "Mar", "April", "May", "Jun", "September", "Dec"])
uuids = st.uuids().map(str)
clocks = st.builds("{}:{}:{}".format, st.integers(0, 23), two, two)
VARYING: dict[str, SearchStrategy[str]] = {
    "uuid": uuids,
    "prefixed uuid": uuids.map("msg_{}".format),
    "call id": hexes(24).map("call_{}".format),
    "anthropic id": st.text("ABCdef123", min_size=22, max_size=22).map("toolu_01{}".format),
    "short commit": hexes(7),
    "commit's line": st.text(HEX, min_size=7, max_size=7)
    .filter(lambda digits: not digits.isalpha())
    .map("\n{} faster".format),
    "commit made": st.integers(10**6, 10**7 - 1).map("\n[main {}] Faster".format),
    "digest": hexes(64),
    "iso time": st.builds("2026-{:02d}-{:02d}T{}.{}Z".format, st.integers(1, 12), days, clocks, two),
    "iso date": st.builds("2026-{:02d}-{:02d}".format, st.integers(1, 12), days),
    "ctime": st.builds("Sun {} {:2d} {} UTC 2026".format, months, days, clocks),
    "ls time": st.builds("{} {:2d} {}:{}".format, months, days, two, two).filter(lambda t: int(t[-5:-3]) < 24),
    "long date": st.builds("Sunday, {} {}, 2026".format, months, days),
    "clock": clocks,
    "epoch": st.integers(1_500_000_000, 1_999_999_999).map(str),
    "epoch with a fraction": st.integers(1_500_000_000, 1_999_999_999).map("{}.123456".format),
    "epoch in ms": st.integers(1_500_000_000_000, 1_999_999_999_999).map(str),
    "seconds": st.builds("{}.{}s".format, numbers, two),
    "seconds in words": st.builds("{}.{} seconds".format, numbers, two),
    "milliseconds": st.builds("{} ms".format, numbers),
    "timeit": st.builds("{}00 loops".format, st.integers(1, 99)),
    "shell time": st.builds("{}m{}.{}s".format, numbers, two, two),
    "speedup": st.builds("{}.{}x".format, numbers, two),
    "elapsed": st.builds("elapsed: {}.{}".format, numbers, two),
    "clock's fraction": st.builds("0.{}{}{}{}".format, two, two, two, two),
    "port": st.integers(1024, 65535).map("http://127.0.0.1:{}/v1".format),
    "temporary file": st.text("abcxyz019_", min_size=8, max_size=8).map("/tmp/tmp{}".format),
    "made by mktemp": st.text("abXY01", min_size=9, max_size=9).map("/tmp/tmp.{}0".format),
    "workspace": st.builds("/home/me/.cache/work/tmp{}/attempt-{}/tree/workspace/tools.py".format, hexes(8), hexes(8)),
    "home": st.builds("/var/cache/work/tmp{}/attempt-{}/home/.codex".format, hexes(8), hexes(8)),
    "address": hexes(12).map("<object at 0x{}>".format),
    "pid": st.integers(2, 99999).map("pid {}".format),
    "session": st.integers(1, 99999).map("Process running with session ID {}".format),
    "chunk": st.text(HEX, min_size=6, max_size=6).map("Chunk ID: {}".format),
    "tokens": st.integers(1, 9999).map("Original token count: {}".format),
    "kernel": st.builds("Linux 6.{}.{}-generic".format, numbers, numbers),
    "listed folder": st.builds("\ndrwxr-xr-x {:2d} agent agent {:4d} tests\n".format, days, st.integers(1, 9999)),
}
"""What may differ between two runs, by what it is."""
ORDINARY = [
    "Make", "it", "fast", "tools.py", "line", "12", "(3, 4)", "0.5", "return", "False", "3 passed", "4096", "v1.2.3",
    "def f(x):", "-1", "é", "\u0001", "maximum", "effaced", "May", "Mon", "10:20", "1e10", "42 lines", "a1b2", "0x1f",
    "/workspace/tools.py", "/tmp/results.txt", "100%", "port 80", "x", "step 7 of 9", "HTTP/1.1", "sha256", "utf-8",
]  # fmt: skip
"""Words that mean something."""
pieces = st.lists(
    st.one_of(st.sampled_from(ORDINARY).map(lambda w: (w, w)), *(
        st.tuples(values, values) for values in VARYING.values()
    )),
    min_size=1,
    max_size=12,
)  # fmt: skip


def request(protocol: str, text: str, call: str = "call_1", parameter: Any = None) -> bytes:
    """A request that says a text, in a message and in a tool's output."""
    match protocol:
        case "chat":
            use = {"id": call, "type": "function", "function": {"name": "bash", "arguments": "{}"}}
            entries: list[Any] = [
                {"role": "user", "content": text},
                {"role": "assistant", "tool_calls": [use]},
                {"role": "tool", "tool_call_id": call, "content": json.dumps({"output": text})},
            ]
            body = {"messages": entries, "tools": [CHAT_BASH]}
        case "responses":
            entries = [
                {"role": "user", "id": f"msg_{call}", "content": [{"type": "input_text", "text": text}]},
                {"type": "function_call", "call_id": call, "name": "bash", "arguments": "{}"},
                {"type": "function_call_output", "call_id": call, "output": text},
            ]
            body = {"input": entries, "instructions": "Be quick."}
        case "messages":
            entries = [
                {"role": "user", "content": text},
                {"role": "assistant", "content": [{"type": "tool_use", "id": call, "name": "bash", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call, "content": text}]},
            ]
            body = {"messages": entries, "system": "Be quick."}
        case _:
            entries = [
                {"role": "user", "parts": [{"text": text}]},
                {"role": "model", "parts": [{"functionCall": {"id": call, "name": "bash", "args": {}}}]},
                {
                    "role": "user",
                    "parts": [{"functionResponse": {"id": call, "name": "bash", "response": {"output": text}}}],
                },
            ]
            body = {"contents": entries}
    return json.dumps(body | ({} if parameter is None else {"parameter": parameter})).encode()


def same(protocol: str, one: bytes, other: bytes) -> bool:
    """Whether two requests are the same to a replay."""
    first, second = (Normaliser().digests("POST", PATHS[protocol], body) for body in (one, other))
    return first == second


@pytest.mark.parametrize("kind", VARYING)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_what_varies_between_runs_makes_no_difference(kind: str, data: st.DataObject) -> None:
    one, other = data.draw(VARYING[kind]), data.draw(VARYING[kind])
    texts = [f"It says {value}, then goes on." for value in (one, other)]
    assert same("chat", request("chat", texts[0]), request("chat", texts[1])), texts


@given(protocol=st.sampled_from(sorted(PATHS)), said=pieces, calls=st.tuples(uuids, uuids))
@settings(max_examples=150, deadline=None)
def test_requests_that_differ_only_in_what_varies_are_equal(
    protocol: str, said: list[tuple[str, str]], calls: tuple[str, str]
) -> None:
    one, other = (
        request(protocol, "\n".join(pair[run] for pair in said), calls[run], f"{calls[run]}:0") for run in (0, 1)
    )
    assert same(protocol, one, other)


@given(protocol=st.sampled_from(sorted(PATHS)), said=pieces, data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_request_that_differs_in_any_other_word_is_another(
    protocol: str, said: list[tuple[str, str]], data: st.DataObject
) -> None:
    words = [one for one, _ in said]
    at = data.draw(st.integers(0, len(words)))
    old, new = data.draw(st.lists(st.sampled_from(ORDINARY), min_size=2, max_size=2, unique=True))
    one, other = (request(protocol, "\n".join([*words[:at], word, *words[at:]])) for word in (old, new))
    assert not same(protocol, one, other)
    assert not same(protocol, one, request(protocol, "\n".join([*words[:at], old, *words[at:]]), parameter=1))


def test_a_result_for_another_call_is_a_difference() -> None:
    def asked(first: str, second: str) -> bytes:
        uses = [{"id": c, "type": "function", "function": {"name": "bash", "arguments": "{}"}} for c in ("a", "b")]
        results = [{"role": "tool", "tool_call_id": c, "content": "x"} for c in (first, second)]
        return json.dumps({"messages": [{"role": "assistant", "tool_calls": uses}, *results]}).encode()

    assert not same("chat", asked("a", "b"), asked("b", "a"))
    renamed = asked("a", "b").replace(b'"a"', b'"call_9"').replace(b'"b"', b'"0"')
    assert same("chat", asked("a", "b"), renamed)


def test_the_model_s_name_is_compared_with_its_date() -> None:
    one, other = (json.dumps({"model": f"m-2026-0{n}-01", "messages": []}).encode() for n in (1, 2))
    assert not same("chat", one, other)


def test_durations_in_json_are_known_by_their_name_and_the_order_of_keys_does_not_count() -> None:
    one = json.dumps({"output": "x", "metadata": {"exit_code": 0, "duration_seconds": 0.3}})
    other = json.dumps({"metadata": {"duration_seconds": 12, "exit_code": 0}, "output": "x"})
    failed = json.dumps({"metadata": {"duration_seconds": 12, "exit_code": 1}, "output": "x"})
    assert same("responses", request("responses", one), request("responses", other))
    assert not same("responses", request("responses", one), request("responses", failed))


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_can_be_compared(body: bytes) -> None:
    assert same("chat", body, body)
    normalise("POST", PATHS["chat"], body)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"messages":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"messages":[{"role":"user","content":"\\ud800 \\u0000"}]}',
        json.dumps({"messages": [{"role": "user", "content": "{" * 50_000 + "}" * 50_000}]}).encode(),
        json.dumps({"messages": [{"role": "user", "content": "[" * 50_000 + "]" * 50_000}]}).encode(),
        b'{"messages":[{"role":"user","content":"x","n":NaN,"big":1e999}]}',
        b"\xff\xfe",
    ],
)
def test_hostile_bodies_can_be_compared(body: bytes) -> None:
    assert same("chat", body, body)
    assert not same("chat", body, body.replace(b"[", b"[ 1, ", 1) + b" ")


@pytest.mark.parametrize(
    "text",
    ["1," * 50_000, "/work/tmp12345678/attempt-" * 4_000, "Linux-" * 20_000 + "1", "12m " * 25_000, "1" * 100_000],
)
@pytest.mark.timeout(20)
def test_no_text_takes_long(text: str) -> None:
    Normaliser().digests("POST", PATHS["chat"], request("chat", text))
