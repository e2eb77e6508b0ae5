"""Anthropic Messages: what is read, refused, repaired and counted, over the gateway and in any shape."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway_support import Place, in_loop, place, provider, real, scripted
from speedproof.gateway import Budget
from speedproof.gateway.asked import SUPPLIED, Asked, Malformed, Rules, read_request
from speedproof.gateway.protocols import DIALECTS, Route, route
from speedproof.gateway.protocols.answer import AnswerReader
from speedproof.gateway.protocols.dialect import Unreadable, find_illegal
from speedproof.gateway.refusal import BUDGET_CODE
from speedproof.gateway.sse import EventParser
from speedproof.journal import Usage
from speedproof.journal.call import IllegalKind
from speedproof.journal.redaction import redact_value

MESSAGES = DIALECTS["messages"]
ROUTE = Route("/messages", "messages", MESSAGES)
STORY = '  - say: "Let me look."\n    run: "ls é"\n  - run: make\n  - finish: "3x faster."\n'
BASH = {
    "name": "Bash",
    "description": "Runs a command.",
    "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
}


def messages(*more: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A request that offers a shell."""
    start = [{"role": "user", "content": "Make it fast."}]
    return {
        "model": "m",
        "max_tokens": 100,
        "system": "Be brief.",
        "messages": [*start, *more],
        "tools": [BASH],
    } | fields


def calls(*ids: str, **block: Any) -> dict[str, Any]:
    """An assistant's message that calls the shell."""
    blocks = [{"type": "tool_use", "id": i, "name": "Bash", "input": {"command": "ls"}} | block for i in ids]
    return {"role": "assistant", "content": [{"type": "text", "text": "I look."}, *blocks]}


def results(*ids: str, **block: Any) -> dict[str, Any]:
    """A user's message with what came of calls."""
    return {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": i, "content": "ok"} | block for i in ids],
    }


def user(text: str = "Go on.") -> dict[str, Any]:
    return {"role": "user", "content": text}


def turn(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """What an agent adds to its conversation after an answer."""
    ids = [block["id"] for block in answer["content"] if block["type"] == "tool_use"]
    return [{"role": "assistant", "content": answer["content"]}, results(*ids) if ids else user()]


def read(body: dict[str, Any], **rules: Any) -> Asked:
    """A request as the gateway reads it."""
    return read_request(ROUTE, json.dumps(body).encode(), Rules(**rules))


def illegal(body: dict[str, Any]) -> list[tuple[IllegalKind, str, int]]:
    return [(one.kind, one.call_id, one.entry) for one in find_illegal(MESSAGES, MESSAGES.conversation(body))]


def fed(*events: dict[str, Any]) -> AnswerReader:
    """A reader that has seen these events."""
    reader = MESSAGES.reader()
    for event in EventParser().feed(b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events)):
        reader.read_event(event)
    return reader


@in_loop
async def test_a_conversation_goes_through_the_script(tmp_path: Path) -> None:
    choice, model = scripted(tmp_path, STORY)
    async with place(tmp_path, choice) as agent:
        history: list[dict[str, Any]] = []
        seen = []
        for _ in range(4):
            _, answer = await agent.post("/v1/messages?beta=true", messages(*history))
            inputs = [block["input"]["command"] for block in answer["content"] if block["type"] == "tool_use"]
            texts = [block["text"] for block in answer["content"] if block["type"] == "text"]
            seen.append((texts, inputs, answer["stop_reason"]))
            history += turn(answer)
        assert seen == [
            (["Let me look."], ["ls é"], "tool_use"),
            ([], ["make"], "tool_use"),
            (["3x faster."], [], "end_turn"),
            (["3x faster."], [], "end_turn"),
        ]
        recorded = await agent.calls(4)
        assert {intent.protocol for intent, _ in recorded} == {"messages"}
        assert [intent.messages for intent, _ in recorded] == [1, 3, 5, 7]
        assert [outcome.usage for _, outcome in recorded if outcome] == [entry.usage for entry in model.ledger]
        assert all(intent.illegal == () for intent, _ in recorded)


@in_loop
async def test_a_stream_says_the_same_as_a_whole_answer_and_its_usage_is_the_ledgers(tmp_path: Path) -> None:
    choice, model = scripted(tmp_path, '  - say: "' + "long é " * 40 + '"\n    run: "echo ' + "x" * 200 + '"\n')
    async with place(tmp_path, choice) as agent:
        _, whole = await agent.post("/v1/messages", messages())
        _, raw = await agent.stream("/v1/messages", messages(stream=True))
        events = EventParser().feed(raw)
        decoded = [json.loads(event.data) for event in events]
        assert [event.name for event in events] == [each["type"] for each in decoded]
        pieces = [each["delta"].get("partial_json", "") for each in decoded if each["type"] == "content_block_delta"]
        assert json.loads("".join(pieces)) == whole["content"][-1]["input"]
        (_, first), (_, second) = await agent.calls(2)
        assert first is not None and second is not None
        assert (first.text_excerpt, first.tool_calls) == (second.text_excerpt, second.tool_calls)
        assert (first.finish_reason, first.complete, second.complete) == (second.finish_reason, True, True)
        assert [first.usage, second.usage] == [entry.usage for entry in model.ledger]
        assert second.usage is not None and second.usage.cache_read


@in_loop
async def test_tokens_are_counted_without_asking_the_model(tmp_path: Path) -> None:
    choice, model = scripted(tmp_path, STORY)
    async with place(tmp_path, choice) as agent:
        status, answer = await agent.post("/v1/messages/count_tokens", messages())
        await agent.post("/v1/messages", messages())
        assert status == 200
        assert model.ledger[0].usage is not None
        assert answer == {"input_tokens": model.ledger[0].usage.uncached_input}
        assert len(model.ledger) == 1
        (intent, outcome), _ = await agent.calls(2)
        assert (intent.protocol, intent.model_asked, intent.stream) == ("other", "m", None)
        assert outcome is not None and outcome.usage is None
        status, answer = await agent.post("/v1/responses/input_tokens", {"model": "m", "input": "Make it fast."})
        assert (status, answer["object"]) == (200, "response.input_tokens")


@in_loop
async def test_a_key_is_taken_as_anthropics_clients_send_it_and_errors_have_anthropics_form(tmp_path: Path) -> None:
    choice, _ = scripted(tmp_path, STORY)
    async with place(tmp_path, choice, Budget(steps=1)) as agent:
        token = agent.session.token
        agent.headers = {"x-api-key": "sk-ant-somebody", "anthropic-version": "2023-06-01"}
        status, answer = await agent.post("/v1/messages", messages())
        assert (status, answer["type"], answer["error"]["type"]) == (401, "error", "authentication_error")
        agent.headers["x-api-key"] = token
        assert (await agent.post("/v1/messages", messages()))[0] == 200
        status, answer = await agent.post("/v1/messages", messages())
        assert status == 400
        assert answer["error"]["type"] == "invalid_request_error"
        assert answer["error"]["code"] == BUDGET_CODE


ILLEGAL: dict[str, tuple[list[dict[str, Any]], list[tuple[IllegalKind, str, int]]]] = {
    "a call without its result": ([calls("a"), user()], [(IllegalKind.OUTPUT_MISSING, "a", 1)]),
    "a call at the end": ([calls("a")], [(IllegalKind.OUTPUT_MISSING, "a", 1)]),
    "one of two results": ([calls("a", "b"), results("a"), calls()], [(IllegalKind.OUTPUT_MISSING, "b", 1)]),
    "a result too late": (
        [calls("a"), user(), results("a")],
        [(IllegalKind.OUTPUT_MISSING, "a", 1), (IllegalKind.CALL_MISSING, "a", 3)],
    ),
    "a result without its call": ([results("z")], [(IllegalKind.CALL_MISSING, "z", 1)]),
    "a result given twice": ([calls("a"), results("a", "a")], [(IllegalKind.CALL_MISSING, "a", 2)]),
    "an error without words": (
        [calls("a"), results("a", is_error=True, content="")],
        [(IllegalKind.EMPTY_ERROR, "a", 2)],
    ),
    "an error without parts": (
        [calls("a"), results("a", is_error=True, content=[])],
        [(IllegalKind.EMPTY_ERROR, "a", 2)],
    ),
    "an error of empty texts": (
        [calls("a"), results("a", is_error=True, content=[{"type": "text", "text": ""}])],
        [(IllegalKind.EMPTY_ERROR, "a", 2)],
    ),
    "an error of nothing": (
        [calls("a"), results("a", is_error=True, content=None)],
        [(IllegalKind.EMPTY_ERROR, "a", 2)],
    ),
    "arguments as text": ([calls("a", input='{"command"'), results("a")], [(IllegalKind.ARGUMENTS_MALFORMED, "a", 1)]),
    "arguments as null": ([calls("a", input=None), results("a")], [(IllegalKind.ARGUMENTS_MALFORMED, "a", 1)]),
}
LEGAL: dict[str, list[dict[str, Any]]] = {
    "results in two messages": [calls("a", "b"), results("a"), results("b")],
    "an answer in two messages": [calls("a"), {"role": "assistant", "content": "So."}, results("a")],
    "a result with an empty text that is no error": [calls("a"), results("a", content="")],
    "an error that is a picture": [calls("a"), results("a", is_error=True, content=[{"type": "image", "source": {}}])],
    "an instruction after a result": [calls("a"), results("a"), {"role": "system", "content": "Hurry."}],
    "a text beside a result": [
        calls("a"),
        {"role": "user", "content": [*results("a")["content"], {"type": "text", "text": "?"}]},
    ],
    "a tool of the provider": [
        {
            "role": "assistant",
            "content": [
                {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {}},
                {"type": "web_search_tool_result", "tool_use_id": "srv", "content": []},
                {"type": "thinking", "thinking": "Hm.", "signature": "s"},
            ],
        },
        user(),
    ],
}


@pytest.mark.parametrize("name", ILLEGAL)
def test_what_the_protocol_forbids_is_found_with_its_call_and_its_message(name: str) -> None:
    history, expected = ILLEGAL[name]
    assert illegal(messages(*history)) == expected


@pytest.mark.parametrize("name", LEGAL)
def test_what_the_protocol_allows_is_not_taken_for_a_mistake(name: str) -> None:
    assert illegal(messages(*LEGAL[name])) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a call without its result", "`tool_use` ids were found without `tool_result` blocks immediately after: a. "),
        ("a result without its call", "unexpected `tool_use_id` found in `tool_result` blocks: z. "),
        ("an error without words", "content cannot be empty if `is_error` is true"),
        ("arguments as text", "tool_use.input: Input should be a valid dictionary"),
    ],
)
def test_a_strict_provider_refuses_it_in_anthropics_words(name: str, words: str, tmp_path: Path) -> None:
    @in_loop
    async def run() -> None:
        choice, _ = scripted(tmp_path, STORY)
        history, expected = ILLEGAL[name]
        async with place(tmp_path, choice) as agent:
            status, answer = await agent.post("/v1/messages", messages(*history))
            assert (status, answer["error"]["type"]) == (400, "invalid_request_error")
            assert words in answer["error"]["message"]
            assert answer["error"]["message"].startswith(f"messages.{expected[0][2]}")
            [(intent, outcome)] = await agent.calls(1)
            assert [(one.kind, one.call_id, one.entry) for one in intent.illegal] == expected
            assert intent.illegal[0].tool == (None if expected[0][1] == "z" else "Bash")
            assert outcome is not None and outcome.error == answer["error"]["message"]

    run()


@in_loop
async def test_a_missing_result_is_supplied_where_the_run_asks_for_it(tmp_path: Path) -> None:
    choice, _ = scripted(tmp_path, STORY)
    async with place(tmp_path, choice, rules=Rules(repair=True)) as agent:
        status, _ = await agent.post("/v1/messages", messages(calls("a", "b"), user("What now?"), calls("c")))
        assert status == 200
        [(intent, _)] = await agent.calls(1)
        assert [(one.call_id, one.repaired) for one in intent.illegal] == [("a", True), ("b", True), ("c", True)]
    sent = json.loads(read(messages(calls("a", "b"), user("What now?"), calls("c")), repair=True).body)["messages"]
    given = [{"type": "tool_result", "tool_use_id": i, "content": SUPPLIED} for i in "abc"]
    assert sent[2]["content"] == [*given[:2], {"type": "text", "text": "What now?"}]
    assert sent[4] == {"role": "user", "content": given[2:]}


TOOLS = [
    (BASH, True),
    ({"type": "custom", **BASH}, True),
    ({"type": "bash_20250124", "name": "bash"}, True),
    ({"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"}, True),
    ({"type": "computer_20251124", "name": "computer"}, True),
    ({"type": "memory_20250818", "name": "memory"}, True),
    ({"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"}, True),
    ({"type": "web_search_20260209", "name": "web_search"}, False),
    ({"type": "web_fetch_20250910", "name": "web_fetch"}, False),
    ({"type": "code_execution_20250825", "name": "code_execution"}, False),
    ({"type": "advisor_20260301", "name": "advisor"}, False),
    ({"type": "mcp_toolset", "mcp_server_name": "docs"}, False),
    ({"type": "something_new_20300101", "name": "new"}, False),
    (5, False),
]


def test_tools_that_the_provider_would_run_are_taken_out() -> None:
    body = messages(
        tools=[tool for tool, _ in TOOLS],
        mcp_servers=[{"type": "url", "name": "docs", "url": "https://x", "authorization_token": "secret-of-docs"}],
        fallbacks=[{"model": "another"}],
    )
    asked = read(body)
    sent = json.loads(asked.body)
    assert sent["tools"] == [tool for tool, local in TOOLS if local]
    assert "mcp_servers" not in sent and "fallbacks" not in sent
    dropped = ["mcp_servers", "fallbacks", "web_search", "web_fetch", "code_execution", "advisor", "docs", "new", "5"]
    assert asked.asked["hosted_tools"] == dropped
    assert "secret-of-docs" not in str(asked.asked)


def test_anthropics_own_shell_is_one_that_a_command_can_be_run_with(tmp_path: Path) -> None:
    @in_loop
    async def run() -> None:
        choice, _ = scripted(tmp_path, "  - run: ls\n")
        async with place(tmp_path, choice) as agent:
            own = [{"type": "text_editor_20250728", "name": "edit"}, {"type": "bash_20250124", "name": "bash"}]
            _, answer = await agent.post("/v1/messages", messages(tools=own))
            assert answer["content"][-1]["name"] == "bash"
            assert answer["content"][-1]["input"] == {"command": "ls"}

    run()


REMOTE: list[tuple[Any, str | None]] = [
    ({"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}, "source"),
    ({"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}}, "source"),
    ({"type": "document", "source": {"type": "file", "file_id": "file_1"}}, "source"),
    ({"type": "container_upload", "file_id": "file_1"}, "content"),
    ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}, None),
    ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "https://x"}}, None),
    ({"type": "search_result", "source": "https://example.org", "title": "x", "content": []}, None),
    ({"type": "tool_addition", "tool": {"type": "tool_reference", "name": "Bash"}}, None),
    ({"type": "tool_addition", "tool": {"type": "tool_definition", "definition": BASH}}, None),
    (
        {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": {"type": "web_fetch_20260309"}}},
        "content",
    ),
]


@pytest.mark.parametrize(("block", "field"), REMOTE)
def test_content_that_the_provider_would_fetch_is_noticed(block: dict[str, Any], field: str | None) -> None:
    assert read(messages({"role": "user", "content": [block]})).remote == field
    inner = {"type": "tool_result", "tool_use_id": "a", "content": [block]}
    assert read(messages(calls("a"), {"role": "user", "content": [inner]})).remote == field


def test_a_tools_input_may_have_fields_of_any_name() -> None:
    given = {"file_id": "7", "image_url": "https://x", "url": "https://x", "source": "https://x", "content": ["x"]}
    assert read(messages(calls("a", input=given), results("a"))).remote is None


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("container", "container_1", "container"),
        ("container", {"skills": []}, "container"),
        ("container", None, None),
        ("thread", {"type": "continue", "previous_message_id": "msg_1"}, "thread"),
    ],
)
def test_content_that_the_provider_would_recall_is_noticed(field: str, value: Any, found: str | None) -> None:
    assert read(messages(**{field: value})).remote == found


def test_parameters_are_set_and_read_where_the_protocol_has_them() -> None:
    pins = {"max_output": 7, "reasoning_effort": "low", "parallel_tool_calls": False, "temperature": 0.5, "top_k": 3}
    body = messages(output_config={"format": {"type": "json_schema"}}, tool_choice={"type": "any"})
    asked = read(body, pins=pins, watch=tuple(pins))
    sent = json.loads(asked.body)
    assert sent["max_tokens"] == 7
    assert sent["output_config"] == {"format": {"type": "json_schema"}, "effort": "low"}
    assert sent["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
    assert {name: seen.sent for name, seen in asked.watched.items()} == pins
    assert {name: seen.asked for name, seen in asked.watched.items()} == dict.fromkeys(pins) | {"max_output": 100}


@pytest.mark.parametrize("fields", [{"tools": []}, {"tool_choice": {"type": "none"}}])
def test_a_choice_between_tools_is_not_forced_on_a_request_that_has_none(fields: dict[str, Any]) -> None:
    asked = read(messages(**fields), pins={"parallel_tool_calls": False}, watch=("parallel_tool_calls",))
    assert asked.watched["parallel_tool_calls"].sent is None
    assert json.loads(asked.body).get("tool_choice") == fields.get("tool_choice")


def test_only_its_own_routes_are_taken() -> None:
    assert route("POST", "/v1/messages").protocol == "messages"
    assert route("POST", "/v1/messages/count_tokens").protocol == "other"
    assert route("POST", "/v1/messages/batches").protocol is None
    assert route("GET", "/v1/messages").protocol is None


START = {
    "type": "message_start",
    "message": {
        "model": "claude-x",
        "usage": {
            "input_tokens": 5,
            "cache_read_input_tokens": 70,
            "cache_creation_input_tokens": 25,
            "output_tokens": 2,
        },
    },
}
TEXT = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}
END = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn"},
    "usage": {"output_tokens": 40, "output_tokens_details": {"thinking_tokens": 30}},
}
STOP = {"type": "message_stop"}
BEGUN = Usage(uncached_input=5, cache_read=70, cache_write=25, output=2)


def test_the_parts_of_the_input_stand_apart_and_the_last_count_of_the_output_holds() -> None:
    reader = fed(START, {"type": "ping"}, TEXT, END, STOP)
    assert reader.complete
    assert reader.usage == Usage(uncached_input=5, cache_read=70, cache_write=25, output=40, reasoning=30)
    assert (reader.model, reader.text, reader.finish_reason) == ("claude-x", "Hi", "end_turn")


def test_a_stream_that_breaks_off_has_a_lower_bound_only() -> None:
    for events in ([START], [START, TEXT]):
        reader = fed(*events)
        assert not reader.complete
        assert reader.at_least == BEGUN
    assert fed({"type": "ping"}).at_least is None


def test_a_stream_that_never_counts_its_output_leaves_it_unknown() -> None:
    usage = fed(START, TEXT, {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, STOP).usage
    assert usage is not None and (usage.uncached_input, usage.output) == (5, None)


def test_an_error_in_the_midst_of_a_stream_is_told() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    reader = fed(START, error)
    assert (reader.error, reader.error_code, reader.complete) == ("Overloaded", "overloaded_error", False)


@pytest.mark.parametrize(("cost", "billed"), [(0.25, 0.25), (-1, None), (10**400, None), (True, None), ("1", None)])
def test_what_openrouter_bills_is_read(cost: Any, billed: float | None) -> None:
    assert fed(START, END | {"usage": {"output_tokens": 3, "cost": cost}}, STOP).billed_usd == billed


@in_loop
async def test_a_cut_answer_is_recorded_without_usage_but_with_what_was_counted(tmp_path: Path) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for data in (START, TEXT):
            await response.write(f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode())
        assert request.transport is not None
        request.transport.close()
        return response

    async with provider(cut) as url, place(tmp_path, real(url)) as agent:
        with contextlib.suppress(Exception):
            await agent.stream("/v1/messages", messages(stream=True))
        [(_, outcome)] = await agent.calls(1)
        assert outcome is not None
        assert (outcome.complete, outcome.usage, outcome.at_least) == (False, None, BEGUN)


@pytest.mark.parametrize(
    "body",
    [
        {"model": "m"},
        {"model": "m", "messages": []},
        {"model": "m", "messages": [{"role": "robot", "content": "x"}]},
        {"model": "m", "messages": [{"role": ["user"], "content": "x"}]},
        {"model": "m", "messages": [{"role": "user", "content": 5}]},
        {"model": "m", "messages": [{"role": "user", "content": ["x"]}]},
        {"model": "m", "messages": [{"role": "user"}]},
        {"messages": [user()]},
    ],
)
def test_nonsense_is_a_client_error_never_a_crash(tmp_path: Path, body: dict[str, Any]) -> None:
    async def ask(agent: Place) -> None:
        for path in ("/v1/messages", "/v1/messages/count_tokens"):
            status, answer = await agent.post(path, body)
            assert (status, answer["error"]["type"]) == (400, "invalid_request_error")
            assert answer["error"]["message"]

    @in_loop
    async def run() -> None:
        choice, _ = scripted(tmp_path, STORY)
        async with place(tmp_path, choice) as agent:
            await ask(agent)

    run()


IDS = st.sampled_from(["a", "b", "c"])
BLOCKS = st.lists(IDS, max_size=3).map(lambda ids: calls(*ids)) | st.lists(IDS, max_size=3).map(
    lambda ids: results(*ids)
)
HISTORIES = st.lists(BLOCKS | st.just(user()) | st.just({"role": "system", "content": "x"}), max_size=6)


@settings(deadline=None)
@given(HISTORIES)
def test_after_a_repair_no_call_is_left_open(history: list[dict[str, Any]]) -> None:
    body = messages(*history)
    before = json.dumps(body)
    asked = read(body, repair=True)
    assert json.dumps(body) == before
    left = illegal(json.loads(asked.body))
    assert not [kind for kind, _, _ in left if kind is IllegalKind.OUTPUT_MISSING]
    assert [one for one in left if one[0] is not IllegalKind.CALL_MISSING] == []


WORDS = st.sampled_from(
    [
        "role",
        "content",
        "type",
        "text",
        "tool_use",
        "tool_result",
        "id",
        "name",
        "input",
        "tool_use_id",
        "is_error",
        "user",
        "assistant",
        "system",
        "source",
        "url",
        "file",
        "tool",
        "definition",
        "tool_addition",
        "input_schema",
        "usage",
        "message",
        "delta",
        "content_block",
        "stop_reason",
        "error",
        "input_tokens",
        "output_tokens",
        "model",
        "message_start",
        "content_block_start",
        "content_block_delta",
        "message_delta",
        "message_stop",
        "tool_choice",
    ]
)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=6),
    max_leaves=20,
)
ENTRIES = st.lists(st.fixed_dictionaries({"role": WORDS | ODD, "content": ODD | st.lists(ODD, max_size=3)}), max_size=4)
FIELDS = st.sampled_from(["messages", "tools", "system", "tool_choice", "output_config", "stream", "mcp_servers"])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(FIELDS, ENTRIES | ODD), st.booleans())
def test_a_request_of_any_shape_is_read_or_refused(body: dict[str, Any], repair: bool) -> None:
    with contextlib.suppress(Malformed):
        pins = {"parallel_tool_calls": False, "reasoning_effort": "low"}
        asked = read({"model": "m"} | body, repair=repair, pins=pins, watch=tuple(pins))
        json.loads(asked.body)
        redact_value([asked.asked, asked.sent], ())
    with contextlib.suppress(Unreadable):
        find_illegal(MESSAGES, MESSAGES.conversation(body))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.dictionaries(WORDS, ODD | WORDS, max_size=5), max_size=5))
def test_an_answer_of_any_shape_is_read(events: list[dict[str, Any]]) -> None:
    reader = fed(*events)
    assert reader.at_least is None or isinstance(reader.at_least, Usage)
    MESSAGES.reader().read_json(json.dumps(events[:1]).encode(), 200)
