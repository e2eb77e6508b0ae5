"""What an agent may try against the wire, and what a provider counts in its own way: the record stays true."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway_support import RESPONSES_SHELL, chat, in_loop, place, provider, real, responses
from speaker_support import messages
from speedproof.execution.wire import Wire
from speedproof.gateway import ModelChoice, Rules
from speedproof.gateway import passing as passing_module
from speedproof.gateway.asked import Asked, Malformed, read_request
from speedproof.gateway.forwarding import address, sent_headers
from speedproof.gateway.protocols import DIALECTS, Route
from speedproof.gateway.protocols.answer import AnswerReader
from speedproof.gateway.sse import Event
from speedproof.gateway.upstream import Request
from speedproof.gateway.upstreams.keyed import Anthropic
from speedproof.journal import Usage
from speedproof.journal.bodies import read_bodies

PATHS = {"chat": "/chat/completions", "responses": "/responses", "messages": "/messages"}
REQUESTS: dict[str, Any] = {"chat": chat, "responses": responses, "messages": messages}
SEARCH = {"type": "web_search"}


def read(protocol: str, body: dict[str, Any], **rules: Any) -> tuple[Asked, dict[str, Any]]:
    """A request as the gateway reads it, and as it sends it."""
    dialect = DIALECTS[protocol]
    asked = read_request(Route(PATHS[protocol], dialect.name, dialect), json.dumps(body).encode(), Rules(**rules))
    return asked, json.loads(asked.body)


def answered(protocol: str, body: dict[str, Any]) -> AnswerReader:
    """An answer as the gateway reads it."""
    reader = DIALECTS[protocol].reader()
    reader.read_json(json.dumps(body).encode(), 200)
    return reader


# -- ways to another model, or out to the network


@pytest.mark.parametrize("protocol", PATHS)
@pytest.mark.parametrize(
    "field",
    [
        {"models": ["other/dearer"]},
        {"fallbacks": [{"model": "other/dearer"}]},
        {"route": "fallback"},
        {"preset": "mine"},
        {"plugins": [{"id": "web"}]},
        {"web_search_options": {}},
        {"search_parameters": {"mode": "on"}},
        {"enable_search": True},
        {"data_sources": [{"type": "azure_search", "parameters": {"endpoint": "https://example.com"}}]},
    ],
    ids=lambda field: next(iter(field)),
)
def test_a_field_that_leads_to_another_model_or_to_the_network_is_taken_out(
    protocol: str, field: dict[str, Any]
) -> None:
    asked, sent = read(protocol, REQUESTS[protocol](**field), model="pinned")
    assert not field.keys() & sent.keys()
    assert asked.asked["hosted_tools"] == list(field)


@pytest.mark.parametrize("kind", ["additional_tools", "tool_search_output"])
def test_tools_that_come_with_an_item_of_the_conversation_are_looked_at_too(kind: str) -> None:
    space = {"type": "namespace", "name": "files", "tools": [{**RESPONSES_SHELL, "name": "look"}, SEARCH]}
    item = {"type": kind, "role": "developer", "tools": [RESPONSES_SHELL, SEARCH, space]}
    asked, sent = read("responses", responses(item, tools=[]))
    kept = sent["input"][1]["tools"]
    assert [tool.get("name") for tool in kept] == ["exec_command", "files"]
    assert [tool["name"] for tool in kept[1]["tools"]] == ["look"]
    assert asked.asked["hosted_tools"] == ["web_search", "web_search"]
    assert asked.tools == ("exec_command", "web_search", "files")


def test_an_item_that_brings_nothing_but_hosted_tools_is_left_out() -> None:
    _, sent = read("responses", responses({"type": "additional_tools", "role": "developer", "tools": [SEARCH]}))
    assert [item.get("type") for item in sent["input"]] == [None]


@pytest.mark.parametrize(
    "url", ["\x01http://example.com/a.png", "ht\ntp://example.com/a.png", "\u00a0https://example.com", "HTTP://x"]
)
def test_an_address_is_one_however_it_is_written(url: str) -> None:
    part = {"type": "image_url", "image_url": {"url": url}}
    asked, _ = read("chat", chat({"role": "user", "content": [part]}))
    assert asked.remote == "image_url"
    for own in ("data:image/png;base64,AAAA", " DATA:image/png;base64,AAAA", "iVBORw0KGgo="):
        part = {"type": "image_url", "image_url": {"url": own}}
        assert read("chat", chat({"role": "user", "content": [part]}))[0].remote is None


def test_an_answer_that_would_be_made_behind_our_back_is_asked_for_at_once() -> None:
    asked, sent = read("responses", responses(background=True))
    assert "background" not in sent
    assert asked.asked["background"] is True
    assert read("responses", responses(background=False))[1]["background"] is False


@pytest.mark.parametrize("name", ["Model", "MAX_TOKENS", "me\u017f\u017fages"])
def test_a_key_in_two_spellings_is_refused_for_some_providers_read_them_as_one(name: str) -> None:
    with pytest.raises(Malformed):
        read("chat", chat(max_tokens=5) | {name: 1})


def test_a_query_cannot_choose_a_key_or_leave_the_usage_out() -> None:
    query = "%24key=a&$alt=json&fields=candidates&%24fields=b&alt=sse&KEY=c&$httpMethod=GET"
    request = Request("s", "POST", "/models/m:generateContent", query, (("X-Goog-FieldMask", "a"), ("X-Custom", "b")))
    assert address("https://example.com/v1beta", request).query_string == "$alt=json&alt=sse"
    assert list(sent_headers(request, {})) == ["X-Custom", "Accept-Encoding"]


# -- pins and prices


def test_a_pinned_length_leaves_no_other_spelling_open() -> None:
    asked, sent = read(
        "chat", chat(max_tokens=50, max_completion_tokens=9_000), pins={"max_output": 10}, watch=("max_output",)
    )
    assert (sent["max_tokens"], sent["max_completion_tokens"]) == (10, 10)
    assert (asked.watched["max_output"].asked, asked.watched["max_output"].sent) == (9_000, 10)


def test_a_pin_that_could_not_be_set_is_not_said_to_be() -> None:
    asked, _ = read("messages", messages(tools=[]), pins={"parallel_tool_calls": False}, watch=("parallel_tool_calls",))
    assert (asked.watched["parallel_tool_calls"].sent, asked.watched["parallel_tool_calls"].pinned) == (None, False)


def test_a_model_of_one_item_may_be_the_side_model_of_another_and_keeps_its_pins() -> None:
    wire = Wire(pins={"": {"temperature": 0}}, side_models=("small",))
    for name, side in (("large", {"small": {}}), ("small", {})):
        rules = wire.rules(ModelChoice(f"p/{name}", "p", name, Anthropic(key="k" * 20)))
        assert rules.side == side
        assert rules.pins == {"temperature": 0}


def test_what_is_kept_an_hour_in_the_cache_costs_more() -> None:
    counts = {
        "input_tokens": 0,
        "output_tokens": 0,
        "cache_creation_input_tokens": 1_000_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1_000_000},
    }
    usage = answered("messages", {"usage": counts}).usage
    assert usage is not None
    assert (usage.cache_write, usage.cache_write_1h, usage.input) == (1_000_000, 1_000_000, 1_000_000)
    choice = ModelChoice("anthropic/claude-opus-4-5", "anthropic", "claude-opus-4-5", Anthropic(key="k" * 20))
    assert choice.price(usage) == pytest.approx(10.0)
    assert choice.price(usage.model_copy(update={"cache_write_1h": None})) == pytest.approx(6.25)


@pytest.mark.parametrize(
    ("protocol", "body"),
    [
        ("chat", {"service_tier": "priority", "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 0}}),
        (
            "responses",
            {"service_tier": "priority", "usage": {"input_tokens": 1_000_000, "output_tokens": 0}},
        ),
    ],
)
@in_loop
async def test_a_call_that_was_served_on_other_terms_has_their_price(
    protocol: str, body: dict[str, Any], tmp_path: Path
) -> None:
    async def served(_: web.Request) -> web.StreamResponse:
        return web.json_response(body)

    async with provider(served) as url, place(tmp_path, real(url)) as agent:
        await agent.post(f"/v1{PATHS[protocol]}", REQUESTS[protocol](service_tier="priority"))
        ((_, outcome),) = await agent.calls(1)
    assert outcome is not None
    assert outcome.terms == {"service_tier": "priority"}
    priced = ModelChoice("openai/gpt-5", "openai", "gpt-5", Anthropic("https://api.openai.com/v1"))
    assert outcome.usage is not None
    assert priced.price(outcome.usage) == pytest.approx(1.25)
    assert priced.price(outcome.usage, terms=outcome.terms) == pytest.approx(2.5)


# -- counts


@pytest.mark.parametrize("details", [{}, {"completion_tokens_details": {"reasoning_tokens": 233}}])
def test_thoughts_that_a_provider_counts_beside_the_output_belong_to_it(details: dict[str, Any]) -> None:
    usage = {"prompt_tokens": 37, "completion_tokens": 530, "total_tokens": 800} | details
    assert answered("chat", {"usage": usage}).usage == Usage(
        uncached_input=37, output=763, reasoning=233 if details else None
    )


@pytest.mark.parametrize("total", [None, 0, 567, 560, "800", -1])
def test_a_total_that_says_nothing_more_changes_nothing(total: Any) -> None:
    usage = {"prompt_tokens": 37, "completion_tokens": 530, "total_tokens": total}
    assert answered("chat", {"usage": usage}).usage == Usage(uncached_input=37, output=530)


def test_what_a_provider_read_to_compact_a_conversation_is_counted() -> None:
    own = {"input_tokens": 23_000, "output_tokens": 1_000}
    iterations = [
        {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500, "cache_read_input_tokens": 7},
        {"type": "message", **own},
    ]
    whole = Usage(uncached_input=203_000, cache_read=7, output=4_500)
    assert answered("messages", {"usage": own | {"iterations": iterations}}).usage == whole
    reader = DIALECTS["messages"].reader()
    for event in (
        {"type": "message_start", "message": {"usage": {"input_tokens": 23_000, "output_tokens": 1}}},
        {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 1_000, "iterations": iterations}},
        {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 1_000, "iterations": iterations}},
        {"type": "message_stop"},
    ):
        reader.read_event(Event(event["type"], json.dumps(event), b""))
    assert reader.usage == whole


# -- conversations


@pytest.mark.parametrize(
    ("more", "items"), [({"previous_response_id": "resp_1"}, []), ({}, [{"type": "item_reference", "id": "fc_1"}])]
)
def test_an_output_whose_call_the_provider_keeps_is_legal(more: dict[str, Any], items: list[dict[str, Any]]) -> None:
    output = {"type": "function_call_output", "call_id": "call_1", "output": "done"}
    call = {"type": "function_call", "call_id": "call_2", "name": "exec_command", "arguments": "{}"}
    assert read("responses", responses(*items, output, **more))[0].illegal == ()
    assert [one.call_id for one in read("responses", responses(output))[0].illegal] == ["call_1"]
    assert [one.call_id for one in read("responses", responses(*items, output, call, **more))[0].illegal] == ["call_2"]


# -- bodies


@in_loop
async def test_an_answer_that_is_too_long_to_keep_is_not_kept_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passing_module, "MOST_KEPT", 100)

    async def long(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for size in (50, 90, 20):
            await response.write(b":" + b"x" * size + b"\n\n")
            await asyncio.sleep(0.05)
        return response

    async with provider(long) as url, place(tmp_path, real(url)) as agent:
        await agent.stream("/v1/chat/completions", chat(stream=True))
        ((_, outcome),) = await agent.calls(1)
    assert outcome is not None and outcome.response_sha256 is not None
    assert read_bodies(tmp_path / "bodies.zst").get(outcome.response_sha256) is None


# -- errors


@in_loop
async def test_what_a_provider_said_before_its_error_broke_off_is_not_lost(tmp_path: Path) -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=400, headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"No tool output found for function call call_1.")
        assert request.transport is not None
        request.transport.close()
        return response

    async with provider(broken) as url, place(tmp_path, real(url)) as agent:
        assert await agent.stream("/v1/chat/completions", chat()) == (
            400,
            b"No tool output found for function call call_1.",
        )
        ((_, outcome),) = await agent.calls(1)
    assert outcome is not None
    assert (outcome.status, outcome.answered_by) == (400, "provider")
    assert outcome.error == "No tool output found for function call call_1."


def test_the_model_that_was_sent_is_recorded_where_it_stands_in_the_path_too() -> None:
    dialect = DIALECTS["gemini"]
    body = json.dumps({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}).encode()
    route = Route("/models/gemini-flash:generateContent", "gemini", dialect)
    asked = read_request(route, body, Rules(model="gemini-pro"))
    assert (asked.model, asked.sent["model"]) == ("gemini-flash", "gemini-pro")
    assert read_request(route, body, Rules()).sent["model"] == "gemini-flash"
