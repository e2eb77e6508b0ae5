"""A conversation that its protocol forbids is found before the provider sees it, and mended or stopped on request."""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway_support import CHAT_BASH, chat, in_loop, place, provider, real, responses, scripted
from speedproof.gateway import Rules
from speedproof.gateway.protocols import DIALECTS
from speedproof.gateway.protocols.dialect import find_illegal
from speedproof.journal import StopCause
from speedproof.journal.call import IllegalKind as K

CALL = {"id": "call_1", "type": "function", "function": {"name": "bash", "arguments": "{}"}}
ASKED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
OUTPUT = {"role": "tool", "tool_call_id": "call_1", "content": "ok"}
ITEM = {"type": "function_call", "call_id": "call_1", "name": "bash", "arguments": "{}"}
ITEM_OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "ok"}
USER = {"role": "user", "content": "go on"}

CASES: list[tuple[str, list[dict[str, Any]], list[tuple[K, str, int]]]] = [
    ("chat", [ASKED, OUTPUT], []),
    ("chat", [ASKED], [(K.OUTPUT_MISSING, "call_1", 1)]),
    ("chat", [ASKED, USER, OUTPUT], [(K.OUTPUT_MISSING, "call_1", 1), (K.CALL_MISSING, "call_1", 3)]),
    ("chat", [OUTPUT], [(K.CALL_MISSING, "call_1", 1)]),
    ("chat", [ASKED, OUTPUT, OUTPUT], [(K.CALL_MISSING, "call_1", 3)]),
    (
        "chat",
        [{"role": "assistant", "tool_calls": [CALL | {"function": {"name": "bash", "arguments": '{"a'}}]}, OUTPUT],
        [(K.ARGUMENTS_MALFORMED, "call_1", 1)],
    ),
    ("responses", [ITEM, ITEM_OUTPUT], []),
    ("responses", [ITEM, USER, ITEM_OUTPUT], []),
    ("responses", [ITEM, USER], [(K.OUTPUT_MISSING, "call_1", 1)]),
    ("responses", [ITEM_OUTPUT], [(K.CALL_MISSING, "call_1", 1)]),
    ("responses", [ITEM | {"arguments": "[1]"}, ITEM_OUTPUT], [(K.ARGUMENTS_MALFORMED, "call_1", 1)]),
    ("responses", [ITEM | {"type": "custom_tool_call", "input": "free {"}], [(K.OUTPUT_MISSING, "call_1", 1)]),
]


@pytest.mark.parametrize(("protocol", "entries", "expected"), CASES)
def test_what_a_protocol_forbids_is_found(protocol: str, entries: list[Any], expected: list[Any]) -> None:
    body = chat(*entries) if protocol == "chat" else responses(*entries)
    found = find_illegal(DIALECTS[protocol], DIALECTS[protocol].conversation(body))
    assert [(one.kind, one.call_id, one.entry) for one in found] == expected


@in_loop
async def test_an_open_tool_call_is_recorded_before_the_provider_refuses_it(tmp_path: Path) -> None:
    choice, _ = scripted(tmp_path, "  - run: ls\n  - finish: done\n")
    async with place(tmp_path, choice) as agent:
        status, answer = await agent.post("/v1/responses", responses(ITEM, USER))
        ((intent, outcome),) = await agent.calls(1)
    assert (status, answer["error"]["message"]) == (400, "No tool output found for function call call_1.")
    assert [(one.kind, one.call_id, one.tool, one.repaired) for one in intent.illegal] == [
        (K.OUTPUT_MISSING, "call_1", "bash", False)
    ]
    assert outcome is not None and outcome.answered_by == "provider"


@in_loop
@pytest.mark.parametrize("protocol", ["chat", "responses"])
async def test_repair_supplies_the_output_and_the_attempt_goes_on(tmp_path: Path, protocol: str) -> None:
    choice, _ = scripted(tmp_path, "  - run: ls\n  - finish: done\n")
    second = CALL | {"id": "call_2"}
    path, body = (
        ("/v1/chat/completions", chat(ASKED | {"tool_calls": [CALL, second]}, OUTPUT, USER))
        if protocol == "chat"
        else ("/v1/responses", responses(ITEM, ITEM | {"call_id": "call_2"}, ITEM_OUTPUT, USER))
    )
    async with place(tmp_path, choice, rules=Rules(repair=True)) as agent:
        status, _ = await agent.post(path, body)
        ((intent, _),) = await agent.calls(1)
    assert status == 200
    assert [(one.call_id, one.repaired) for one in intent.illegal] == [("call_2", True)]
    assert intent.sent_sha256 != intent.request_sha256


@in_loop
async def test_a_long_conversation_is_repaired_in_every_turn(tmp_path: Path) -> None:
    choice, _ = scripted(tmp_path, "  - finish: done\n")
    turns = [part for n in range(50) for part in (ITEM | {"call_id": f"call_{n}"}, USER)]
    async with place(tmp_path, choice, rules=Rules(repair=True)) as agent:
        assert (await agent.post("/v1/responses", responses(*turns)))[0] == 200


@in_loop
async def test_stop_ends_the_attempt_at_the_first_illegal_request(tmp_path: Path) -> None:
    choice, model = scripted(tmp_path, "  - finish: done\n")
    async with place(tmp_path, choice, rules=Rules(stop=True)) as agent:
        status, answer = await agent.post("/v1/chat/completions", chat(ASKED, USER))
        assert (agent.session.stopped, agent.session.stop_event.is_set()) == (StopCause.PROTOCOL, True)
    assert (status, answer["error"]["code"]) == (400, "speedproof_illegal_conversation")
    assert "call_1" in answer["error"]["message"]
    assert model.ledger == [], "the provider was never asked"


@in_loop
async def test_a_pin_is_set_on_the_models_calls_and_not_on_a_side_models(tmp_path: Path) -> None:
    sent: list[Any] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        sent.append(await request.json())
        return web.json_response({"choices": []})

    rules = Rules(
        model="big",
        pins={"temperature": 0, "max_output": 9},
        side={"small": {"seed": 1}},
        watch=("temperature", "parallel_tool_calls"),
    )
    async with provider(handle) as url, place(tmp_path, real(url), rules=rules) as agent:
        for name in ("big", "small", "other"):
            body = {"model": name, "messages": [USER], "tools": [CHAT_BASH], "temperature": 1}
            assert (await agent.post("/v1/chat/completions", body))[0] == 200
        calls = await agent.calls(3)
    assert [(s["model"], s["temperature"], s.get("seed"), s.get("max_completion_tokens")) for s in sent] == [
        ("big", 0, None, 9),
        ("small", 1, 1, None),
        ("big", 0, None, 9),
    ]
    watched = [intent.watched["temperature"] for intent, _ in calls]
    assert [(w.asked, w.sent, w.pinned) for w in watched] == [(1, 0, True), (1, 1, False), (1, 0, True)]
    never = calls[0][0].watched["parallel_tool_calls"]
    assert (never.asked, never.sent, never.pinned) == (None, None, False)
    assert json.loads(agent.text().splitlines()[0])["watched"]["temperature"]["sent"] == 0
