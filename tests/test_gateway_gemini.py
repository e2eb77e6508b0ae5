"""Gemini generateContent: read, checked, pinned, mended and played like the other protocols."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gateway_support import in_loop, place, provider, real, scripted
from speaker_support import GEMINI_SHELL, Speaker, gemini
from speedproof.gateway import Rules
from speedproof.gateway.asked import Asked, Malformed, read_request
from speedproof.gateway.protocols import DIALECTS, Route, route
from speedproof.gateway.protocols.dialect import Unreadable, find_illegal
from speedproof.gateway.scripted.tools import finish_call, shell_call
from speedproof.gateway.sse import Event
from speedproof.journal import Usage
from speedproof.journal.call import IllegalKind as K
from speedproof.journal.redaction import redact_value

GEMINI = DIALECTS["gemini"]
SPEAKER = Speaker("gemini")
WHOLE = "/v1beta/models/gemini-2.5-pro:generateContent"
STREAM = "/v1beta/models/gemini-2.5-pro:streamGenerateContent"


def read(body: Any, path: str = WHOLE, rules: Rules | None = None) -> Asked:
    """A request as the gateway reads it."""
    return read_request(route("POST", path), json.dumps(body).encode(), rules or Rules())


def sent(body: Any, path: str = WHOLE, rules: Rules | None = None) -> Any:
    """The body that goes on."""
    return json.loads(read(body, path, rules).body)


# -- routes and models


@pytest.mark.parametrize(
    ("path", "protocol"),
    [
        ("/v1beta/models/gemini-2.5-pro:generateContent", "gemini"),
        ("/v1/models/gemini-2.5-pro:streamGenerateContent", "gemini"),
        ("/models/gemini-3.1-pro_x@001:generateContent", "gemini"),
        ("/v1beta/models/gemini-2.5-pro:countTokens", "other"),
        ("/v1beta/models/gemini-2.5-pro:embedContent", None),
        ("/v1beta/models/gemini-2.5-pro:generateContentX", None),
        ("/v1beta/models/:generateContent", None),
        ("/v1beta/models/..:generateContent", None),
        ("/v1beta/models/a%2Fb:generateContent", None),
        ("/v1beta/models/../x:generateContent", None),
        ("/v1beta/models/a/../b:generateContent", None),
        ("/v1beta/models/a:generateContent:generateContent", None),
        ("/v1beta/models/é:generateContent", None),
        ("/v1beta/models/a:generateContent\n", None),
        ("/v1beta/tunedModels/a:generateContent", None),
    ],
)
def test_only_its_own_routes_are_offered(path: str, protocol: str | None) -> None:
    assert route("POST", path).protocol == protocol
    assert route("GET", path).protocol in {"other", None}


def test_the_model_stands_in_the_path() -> None:
    asked = read(gemini(), rules=Rules(model="gemini-3-pro"))
    assert (asked.model, asked.sent_model) == ("gemini-2.5-pro", "gemini-3-pro")
    assert asked.path == "/models/gemini-3-pro:generateContent"
    assert json.loads(asked.body) == gemini()
    asked = read(gemini(), rules=Rules(model="gemini-3-pro", side={"gemini-2.5-pro": {}}))
    assert (asked.sent_model, asked.path) == ("gemini-2.5-pro", "/models/gemini-2.5-pro:generateContent")


@pytest.mark.parametrize("name", ["../../x", "a/b:generateContent?x=1#", "%2e%2e", "é b"])
def test_no_model_name_gets_out_of_its_place(name: str) -> None:
    path = read(gemini(), STREAM, Rules(model=name)).path
    assert path is not None
    assert path.startswith("/models/")
    assert path.endswith(":streamGenerateContent")
    assert not set(path.removeprefix("/models/").removesuffix(":streamGenerateContent")) & set("/:?# é")


def test_a_model_named_in_the_body_too_is_changed_with_the_path() -> None:
    body = {"model": "models/gemini-2.5-pro", "generateContentRequest": {"model": "models/a", **gemini()}}
    rules = Rules(model="b")
    changed = sent(body, "/v1beta/models/a:countTokens", rules)
    assert changed["model"] == changed["generateContentRequest"]["model"] == "models/b"
    assert sent(gemini(), rules=rules) == gemini()


def test_the_path_says_whether_the_answer_is_a_stream() -> None:
    assert read(gemini(), STREAM).stream is True
    assert read(gemini()).stream is False
    assert read(gemini(), "/v1beta/models/m:countTokens").stream is None


# -- parameters


def test_parameters_are_pinned_by_their_common_names() -> None:
    pins = {
        "temperature": 0,
        "top_p": 0.5,
        "top_k": 3,
        "max_output": 100,
        "seed": 7,
        "reasoning_effort": "high",
    }
    body = gemini(generationConfig={"temperature": 1, "thinkingConfig": {"includeThoughts": True}})
    asked = read(body, rules=Rules(pins=pins, watch=("temperature", "seed", "reasoning_effort")))
    assert json.loads(asked.body)["generationConfig"] == {
        "temperature": 0,
        "topP": 0.5,
        "topK": 3,
        "maxOutputTokens": 100,
        "seed": 7,
        "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "high"},
    }
    watched = {name: (w.asked, w.sent, w.pinned) for name, w in asked.watched.items()}
    assert watched == {
        "temperature": (1, 0, True),
        "seed": (None, 7, True),
        "reasoning_effort": (None, "high", True),
    }
    assert asked.asked == {"generationConfig": body["generationConfig"]}


def test_a_parameter_spelled_in_snake_case_is_found_and_replaced() -> None:
    body = gemini(generation_config={"max_output_tokens": 5, "top_p": 1, "thinking_config": {"thinking_level": "low"}})
    assert GEMINI.get(body, "max_output") == 5
    assert GEMINI.get(body, "reasoning_effort") == "low"
    changed = sent(body, rules=Rules(pins={"max_output": 9, "reasoning_effort": "high"}))
    assert "generation_config" not in changed
    assert changed["generationConfig"] == {
        "maxOutputTokens": 9,
        "top_p": 1,
        "thinkingConfig": {"thinkingLevel": "high"},
    }


# -- tools and remote content


def test_tools_that_google_would_run_are_taken_out() -> None:
    declared = {"functionDeclarations": [GEMINI_SHELL]}
    body = gemini(tools=[declared | {"googleSearch": {}}, {"url_context": {}}, {"codeExecution": {}}, 5])
    asked = read(body)
    assert json.loads(asked.body)["tools"] == [declared]
    assert asked.asked["hosted_tools"] == ["googleSearch", "url_context", "codeExecution", "5"]
    assert asked.tools == ("run_shell_command", "googleSearch", "url_context", "codeExecution", "5")
    alone = sent(gemini(tools={"google_search": {}}))  # type: ignore[arg-type]
    assert alone["tools"] == []
    assert sent(gemini()) == gemini()


@pytest.mark.parametrize(
    "declaration",
    [
        GEMINI_SHELL,
        {
            "name": "run_shell_command",
            "parametersJsonSchema": {"type": "object", "properties": {"command": {"type": "string"}}},
        },
        {
            "name": "run_shell_command",
            "parameters_json_schema": {"type": "object", "properties": {"command": {"type": "string"}}},
        },
        {
            "name": "run_shell_command",
            "parameters": {
                "type": "OBJECT",
                "properties": {"command": {"anyOf": [{"type": "ARRAY"}, {"type": "STRING"}]}, "n": {"type": "INTEGER"}},
                "required": ["command", "n"],
            },
        },
    ],
)
@pytest.mark.parametrize("key", ["functionDeclarations", "function_declarations"])
def test_a_shell_is_found_however_its_types_are_spelled(declaration: dict[str, Any], key: str) -> None:
    call = shell_call(GEMINI.tools(gemini(tools=[{key: [declaration]}])), "ls")
    assert call is not None
    assert json.loads(call.input)["command"] == "ls"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (gemini(cachedContent="cachedContents/1"), "cachedContent"),
        (gemini(cached_content="cachedContents/1"), "cached_content"),
        (gemini({"role": "user", "parts": [{"fileData": {"fileUri": "gs://bucket/a"}}]}), "fileData"),
        (gemini({"role": "user", "parts": [{"file_data": {"file_uri": "https://x/files/1"}}]}), "file_data"),
        (gemini({"role": "user", "parts": {"fileData": {"fileUri": "https://youtu.be/x"}}}), "fileData"),
        (gemini(systemInstruction={"parts": [{"fileData": {"fileUri": "https://x"}}]}), "fileData"),
        ({"generateContentRequest": gemini(cachedContent="cachedContents/1")}, "cachedContent"),
        (gemini({"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "QUJD"}}]}), None),
        (gemini({"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"fileUri": "a:b"}}}]}), None),
    ],
)
def test_content_that_google_would_fetch_or_recall_is_noticed(body: dict[str, Any], found: str | None) -> None:
    assert read(body).remote == found


# -- legality


def call(name: str = "f", id_: str | None = None, args: Any = None) -> dict[str, Any]:
    return {"functionCall": {"name": name, **({"id": id_} if id_ else {}), **({} if args is None else {"args": args})}}


def response(name: str = "f", id_: str | None = None) -> dict[str, Any]:
    return {"functionResponse": {"name": name, **({"id": id_} if id_ else {}), "response": {"output": "ok"}}}


def model(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


TEXT = {"text": "go on"}
CASES: list[tuple[list[dict[str, Any]], list[tuple[K, str, int]]]] = [
    ([model(call()), user(response())], []),
    ([model(call(), call()), user(response(), response(), TEXT)], []),
    ([model(call("f", "1"), call("f", "2")), user(response("f", "2"), response("f", "1"))], []),
    ([model(call("f", "1")), user(response("f"))], []),
    ([model(call("f")), user(response("f", "made-up"))], []),
    ([model({"text": "hm", "thought": True}, call()), {"role": "function", "parts": [response()]}], []),
    ([model({"function_call": {"name": "f"}}), user({"function_response": {"name": "f"}})], []),
    ([model(call())], [(K.OUTPUT_MISSING, "f", 1)]),
    ([model(call("f", "1"))], [(K.OUTPUT_MISSING, "1", 1)]),
    ([model(call()), user(TEXT)], [(K.OUTPUT_MISSING, "f", 1)]),
    ([model(call()), user(TEXT), user(response())], [(K.OUTPUT_MISSING, "f", 1), (K.CALL_MISSING, "f", 3)]),
    ([model(call(), call("g")), user(response("g"))], [(K.OUTPUT_MISSING, "f", 1)]),
    ([model(call("f", "1")), user(response("f", "2"))], [(K.CALL_MISSING, "2", 2), (K.OUTPUT_MISSING, "1", 1)]),
    ([user(response())], [(K.CALL_MISSING, "f", 1)]),
    ([model(call()), user(response(), response())], [(K.CALL_MISSING, "f", 2)]),
    ([model(call(args="{}")), user(response())], [(K.ARGUMENTS_MALFORMED, "f", 1)]),
    ([model(call(args={})), user(response())], []),
]


@pytest.mark.parametrize(("entries", "expected"), CASES)
def test_what_google_forbids_is_found(entries: list[Any], expected: list[Any]) -> None:
    found = find_illegal(GEMINI, GEMINI.conversation(gemini(*entries)))
    assert [(one.kind, one.call_id, one.entry) for one in found] == expected


@pytest.mark.parametrize(
    "entries",
    [
        [model(call("f", "1"))],
        [model(call(), call("g", "2")), user(TEXT)],
        [model(call("f", "1"), call("f", "2"), call("g")), user(TEXT, response("f", "2")), model(TEXT)],
        [model(call()), model(call()), user(TEXT)],
        [model({"function_call": {"name": "f"}}), user(TEXT)],
    ],
)
def test_a_mended_conversation_is_legal_and_keeps_what_was_said(entries: list[Any]) -> None:
    body = gemini(*entries)
    before = json.dumps(body)
    asked = read(body, rules=Rules(repair=True))
    assert json.dumps(body) == before
    assert asked.illegal
    assert all(one.repaired for one in asked.illegal)
    mended = json.loads(asked.body)
    assert find_illegal(GEMINI, GEMINI.conversation(mended)) == []
    kept = [part for content in mended["contents"] for part in content["parts"]]
    assert all(part in kept for content in body["contents"] for part in content["parts"])


@pytest.mark.parametrize(
    ("contents", "what"),
    [
        (None, "contents"),
        ([], "contents"),
        ([{"role": "assistant", "parts": [TEXT]}], "valid role"),
        ([{"role": ["user"], "parts": [TEXT]}], "valid role"),
        (["x"], "contents[0]"),
        ([{"parts": ["x"]}], "contents[0].parts"),
    ],
)
def test_what_is_no_conversation_is_refused(contents: Any, what: str) -> None:
    with pytest.raises(Unreadable) as caught:
        GEMINI.conversation({"contents": contents})
    assert what in caught.value.message


def test_a_single_content_may_stand_without_its_list() -> None:
    conversation = GEMINI.conversation({"contents": {"parts": TEXT}})
    assert [(entry.by_model, entry.raw) for entry in conversation.entries] == [(False, {"parts": TEXT})]


# -- answers


def counted(**counts: int) -> Usage | None:
    """Usage of an answer with these counts."""
    answer = {"candidates": [{"finishReason": "STOP"}], "usageMetadata": counts}
    return SPEAKER.read(json.dumps(answer).encode(), stream=False).usage


def test_tokens_are_named_by_what_they_are() -> None:
    assert counted(
        promptTokenCount=100,
        cachedContentTokenCount=60,
        candidatesTokenCount=20,
        thoughtsTokenCount=5,
        toolUsePromptTokenCount=7,
        totalTokenCount=132,
    ) == Usage(uncached_input=47, cache_read=60, output=25, reasoning=5)
    assert counted(promptTokenCount=9, totalTokenCount=9) == Usage(
        uncached_input=9, cache_read=0, output=0, reasoning=0
    )
    assert counted(promptTokenCount=9, thoughtsTokenCount=4, totalTokenCount=13) == Usage(
        uncached_input=9, cache_read=0, output=4, reasoning=4
    )
    assert counted(promptTokenCount=9) == Usage(uncached_input=9, cache_read=0, output=None, reasoning=0)
    assert counted(promptTokenCount=9, cachedContentTokenCount=10, candidatesTokenCount=1) == Usage(
        cache_read=10, output=1, reasoning=0
    )
    assert counted() is None


def chunk(*parts: dict[str, Any], reason: str | None = None, index: int = 0, **counts: int) -> bytes:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "index": index}
    candidate |= {"finishReason": reason} if reason else {}
    value = {"candidates": [candidate], "modelVersion": "gemini-2.5-pro-001", "usageMetadata": counts}
    return f"data: {json.dumps(value)}\r\n\r\n".encode()


FIRST = chunk({"text": "thinking", "thought": True}, promptTokenCount=10, thoughtsTokenCount=3, totalTokenCount=13)
SECOND = chunk({"text": "hel"}, {"text": "lo"}, promptTokenCount=10, thoughtsTokenCount=3, candidatesTokenCount=2)
LAST = chunk(
    call("shell"), reason="STOP", promptTokenCount=10, thoughtsTokenCount=3, candidatesTokenCount=6, totalTokenCount=19
)


def test_a_stream_is_complete_when_a_reason_to_finish_came() -> None:
    whole = SPEAKER.read(FIRST + SECOND + LAST, stream=True)
    assert whole.complete
    assert whole.usage == Usage(uncached_input=10, cache_read=0, output=9, reasoning=3)
    assert (whole.text, whole.tool_calls, whole.finish_reason) == ("hello", ["shell"], "STOP")
    assert whole.model == "gemini-2.5-pro-001"
    cut = SPEAKER.read(FIRST + SECOND, stream=True)
    assert not cut.complete
    assert cut.at_least == Usage(uncached_input=10, cache_read=0, output=5, reasoning=3)


def test_every_candidate_must_finish() -> None:
    one, two = chunk({"text": "a"}, index=0), chunk({"text": "b"}, index=1)
    ends = [chunk(reason="STOP", index=i) for i in (0, 1)]
    assert not SPEAKER.read(one + two + ends[0], stream=True).complete
    assert SPEAKER.read(one + two + ends[0] + ends[1], stream=True).complete


def test_a_blocked_prompt_is_a_complete_answer() -> None:
    value = {
        "promptFeedback": {"blockReason": "SAFETY"},
        "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5},
    }
    answer = SPEAKER.read(f"data: {json.dumps(value)}\n\n".encode(), stream=True)
    assert (answer.complete, answer.finish_reason) == (True, "SAFETY")
    assert answer.usage == Usage(uncached_input=5, cache_read=0, output=0, reasoning=0)


def test_a_stream_as_one_array_is_read_when_it_is_whole() -> None:
    values = [json.loads(raw.removeprefix(b"data: ")) for raw in (FIRST, SECOND, LAST)]
    whole = SPEAKER.read(json.dumps(values).encode(), stream=False)
    assert (whole.complete, whole.text, whole.tool_calls) == (True, "hello", ["shell"])
    assert whole.usage == Usage(uncached_input=10, cache_read=0, output=9, reasoning=3)
    assert not SPEAKER.read(json.dumps(values[:2]).encode(), stream=False).complete
    assert not SPEAKER.read(json.dumps(values).encode()[:-9], stream=False).complete


def test_an_error_is_known_by_its_most_specific_word() -> None:
    errors = [
        (GEMINI.error(429, "slow", None, None, None), "RESOURCE_EXHAUSTED"),
        (GEMINI.error(400, "bad", None, "API_KEY_INVALID", None), "API_KEY_INVALID"),
        ([GEMINI.error(503, "overloaded", None, None, None)], "UNAVAILABLE"),
    ]
    for body, code in errors:
        raw = json.dumps(body).encode()
        answer = SPEAKER.read(raw, stream=False, status=400)
        assert (answer.complete, answer.error_code) == (True, code)
        assert answer.error in {"slow", "bad", "overloaded"}
    late = SPEAKER.read(
        SECOND + b'data: {"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}\n\n', stream=True
    )
    assert (late.error, late.error_code, late.complete) == ("m", "UNAVAILABLE", False)


def test_the_gateways_own_errors_have_googles_form() -> None:
    assert GEMINI.error(400, "over", "invalid_request_error", "speedproof_budget_exhausted", None) == {
        "error": {
            "code": 400,
            "message": "over",
            "status": "INVALID_ARGUMENT",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "speedproof_budget_exhausted",
                    "domain": "speedproof",
                }
            ],
        }
    }
    statuses = {401: "UNAUTHENTICATED", 404: "NOT_FOUND", 413: "INVALID_ARGUMENT", 500: "INTERNAL", 502: "UNAVAILABLE"}
    assert {s: GEMINI.error(s, "", None, None, None)["error"]["status"] for s in statuses} == statuses


# -- through the gateway


@in_loop
async def test_a_call_is_forwarded_and_recorded(tmp_path: Path) -> None:
    seen: list[tuple[str, Any]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append((request.path_qs, await request.json()))
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(FIRST + SECOND + LAST)
        return answer

    body = gemini(generationConfig={"temperature": 1})
    async with (
        provider(handle) as url,
        place(tmp_path, real(url), rules=Rules(pins={"temperature": 0})) as agent,
        agent.client.post(
            f"{agent.url}{STREAM}?alt=sse", json=body, headers={"x-goog-api-key": agent.session.token}
        ) as answer,
    ):
        assert await answer.read() == FIRST + SECOND + LAST
        ((intent, outcome),) = await agent.calls(1)
    path, forwarded = seen[0]
    assert path.endswith("/models/gemini-2.5-pro:streamGenerateContent?alt=sse")
    assert forwarded == body | {"generationConfig": {"temperature": 0}}
    assert (intent.protocol, intent.model_asked, intent.stream) == ("gemini", "gemini-2.5-pro", True)
    assert (intent.tools, intent.messages) == (("run_shell_command",), 1)
    assert outcome is not None
    assert (outcome.status, outcome.complete, outcome.finish_reason) == (200, True, "STOP")
    assert outcome.usage == Usage(uncached_input=10, cache_read=0, output=9, reasoning=3)
    assert outcome.tool_calls == ("shell",)


@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_goes_through_the_script(tmp_path: Path, stream: bool) -> None:
    @in_loop
    async def run() -> None:
        choice, played = scripted(tmp_path, '  - say: "Let me look."\n    run: "ls é"\n  - finish: "3x faster."\n')
        async with place(tmp_path, choice) as agent:
            history: list[Any] = []
            said = []
            for number in range(3):
                status, raw = await agent.stream(SPEAKER.path(stream=stream), SPEAKER.body(history))
                assert status == 200
                answer = SPEAKER.read(raw, stream=stream)
                said.append((answer.text, answer.tool_calls, answer.complete))
                _, whole = await agent.post(SPEAKER.path(), SPEAKER.body(history))
                history += SPEAKER.turn(whole)
                if number == 0:
                    assert whole["candidates"][0]["content"]["parts"][1]["functionCall"]["args"] == {"command": "ls é"}
                else:
                    history.append(SPEAKER.user("go on"))
            outcomes = [outcome for _, outcome in await agent.calls(6)]
        assert said == [
            ("Let me look.", ["run_shell_command"], True),
            ("3x faster.", [], True),
            ("3x faster.", [], True),
        ]
        assert [o.usage for o in outcomes if o] == [
            entry.usage.model_copy(update={"cache_write": None}) for entry in played.ledger if entry.usage
        ]

    run()


@in_loop
async def test_the_scripted_model_is_as_strict_as_google(tmp_path: Path) -> None:
    choice, _ = scripted(tmp_path, "  - run: ls\n")
    async with place(tmp_path, choice) as agent:
        status, answer = await agent.post(SPEAKER.path(), gemini(model(call()), user(TEXT)))
        assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")
        assert "number of function response parts" in answer["error"]["message"]
        status, answer = await agent.post(SPEAKER.path(), gemini(user(response())))
        assert (status, "immediately after a function call" in answer["error"]["message"]) == (400, True)
        status, answer = await agent.post("/v1beta/models/m:streamGenerateContent", gemini())
        assert (status, "alt=sse" in answer["error"]["message"]) == (400, True)


@in_loop
async def test_tokens_are_counted_on_request(tmp_path: Path) -> None:
    choice, played = scripted(tmp_path, "  - run: ls\n")
    async with place(tmp_path, choice) as agent:
        for body in (gemini(), {"generateContentRequest": {"model": "models/m", **gemini()}}):
            status, answer = await agent.post("/v1beta/models/m:countTokens", body)
            assert (status, answer["totalTokens"] > 20) == (200, True)
        await agent.post(SPEAKER.path(), gemini())
        calls = await agent.calls(3)
    assert [intent.protocol for intent, _ in calls] == ["other", "other", "gemini"]
    assert played.ledger[0].usage is not None
    assert played.ledger[0].usage.uncached_input == answer["totalTokens"]
    assert len(played.ledger) == 1


# -- no JSON, however odd, breaks it

NAMES = """
role parts text thought functionCall functionResponse function_call functionDeclarations name id args response fileData
fileUri inlineData model user function type STRING OBJECT properties parameters parametersJsonSchema required command
googleSearch bash anyOf contents candidates content finishReason index usageMetadata promptTokenCount promptFeedback
candidatesTokenCount blockReason modelVersion error code status details
"""
WORDS = st.sampled_from(NAMES.split())
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=6),
    max_leaves=20,
)
PART = st.dictionaries(WORDS, ODD | st.dictionaries(WORDS, ODD, max_size=3), max_size=3)
CONTENT = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "model", "function"]) | ODD, "parts": st.lists(PART) | ODD}
)
BODIES = st.dictionaries(
    st.sampled_from(
        ["contents", "tools", "systemInstruction", "generationConfig", "generation_config", "cachedContent", "model"]
    ),
    ODD | st.lists(CONTENT, max_size=4),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(BODIES, st.booleans())
def test_any_request_is_read_or_refused(body: dict[str, Any], repair: bool) -> None:
    where = Route("/models/m:generateContent", "gemini", GEMINI)
    with contextlib.suppress(Malformed):
        rules = Rules(pins={"seed": 1, "reasoning_effort": "low"}, repair=repair, watch=("seed",))
        asked = read_request(where, json.dumps(body).encode(), rules)
        json.loads(asked.body)
        assert asked.watched["seed"].sent == 1
        redact_value([asked.asked, asked.sent], ())
    with contextlib.suppress(Unreadable):
        find_illegal(GEMINI, GEMINI.conversation(body))
    tools = GEMINI.tools(body)
    shell_call(tools, "ls")
    finish_call(tools, "done")


PARTS = st.lists(
    st.builds(call, st.sampled_from("fg"), st.sampled_from([None, "1", "2"]))
    | st.builds(response, st.sampled_from("fg"), st.sampled_from([None, "1", "2"]))
    | st.just(TEXT),
    max_size=4,
)


def test_a_response_without_an_id_answers_a_call_without_one_first() -> None:
    calls = [{"name": "g", "id": "1"}, {"name": "f", "id": "1"}, {"name": "f"}]
    body = gemini({"role": "model", "parts": [{"functionCall": call} for call in calls]})
    asked = read(body, rules=Rules(repair=True))
    assert find_illegal(GEMINI, GEMINI.conversation(json.loads(asked.body))) == []


@settings(deadline=None)
@given(
    st.lists(st.builds(lambda role, parts: {"role": role, "parts": parts}, st.sampled_from(["user", "model"]), PARTS))
)
def test_repair_leaves_no_call_open(contents: list[dict[str, Any]]) -> None:
    parts = [part for content in contents for part in content["parts"]]
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    told = [*calls, *(part["functionResponse"] for part in parts if "functionResponse" in part)]
    named = [one["id"] for one in calls if "id" in one]
    unique = len(set(named)) == len(named) and all("id" in one for one in told)
    assume(unique or not any("id" in one for one in told))  # an id names one call, or there are none
    body = gemini(*contents)
    asked = read(body, rules=Rules(repair=True))
    left = find_illegal(GEMINI, GEMINI.conversation(json.loads(asked.body)))
    assert K.OUTPUT_MISSING not in {one.kind for one in left}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ODD, st.sampled_from([200, 404]))
def test_any_answer_is_read(value: Any, status: int) -> None:
    for odd in (value, [value], {"candidates": [{"content": value, "index": value, "finishReason": value}]}):
        raw = json.dumps(odd)
        GEMINI.reader().read_json(raw.encode(), status)
        reader = GEMINI.reader()
        reader.read_event(Event("message", raw, raw.encode()))
        assert reader.at_least is None or isinstance(reader.at_least, Usage)
