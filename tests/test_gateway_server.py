"""Every call passes the gateway: recorded, checked, metered, and passed on as it comes."""

import asyncio
import gzip
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import zstandard
from aiohttp import web

from gateway_support import (
    REAL_KEY,
    Handler,
    Place,
    chat,
    in_loop,
    place,
    provider,
    real,
    responses,
    scripted,
)
from speedproof.errors import InputError, RecordError
from speedproof.gateway import Budget, Gateway, Rules
from speedproof.journal import AttemptStore, StopCause, Usage

USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "prompt_tokens_details": {"cached_tokens": 60},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
CHAT_ANSWER = {
    "model": "m-2026",
    "choices": [{"message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": USAGE,
}


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@asynccontextmanager
async def between(
    handler: Handler, folder: Path, budget: Budget | None = None, rules: Rules | None = None
) -> AsyncIterator[Place]:
    """An agent at a gateway in front of a provider."""
    async with provider(handler) as url, place(folder, real(url), budget, rules) as agent:
        yield agent


async def hang_up(agent: Place, body: Any, arrived: asyncio.Event) -> None:
    """Make a call and close the connection once it has arrived at the provider."""
    calling = asyncio.create_task(agent.post("/v1/chat/completions", body))
    await arrived.wait()
    calling.cancel()
    await asyncio.wait([calling])


async def say_hello(request: web.Request) -> web.StreamResponse:
    return web.json_response(CHAT_ANSWER, headers={"x-request-id": "req_1"})


def chunk(**fields: Any) -> bytes:
    return f"data: {json.dumps({'model': 'm-2026'} | fields)}\n\n".encode()


HELLO = chunk(choices=[{"delta": {"content": "hel"}}]) + chunk(
    choices=[{"delta": {"content": "lo"}, "finish_reason": "stop"}]
)
USAGE_CHUNK = chunk(choices=[], usage=USAGE)
DONE = b"data: [DONE]\n\n"


def streaming(*pieces: bytes, cut: bool = False) -> Handler:
    """A provider that streams these pieces, and then breaks the connection if asked to."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0)
        if cut:
            assert request.transport is not None
            await asyncio.sleep(0.05)
            request.transport.abort()
        return response

    return handle


@in_loop
async def test_a_call_is_recorded_as_asked_sent_and_answered(tmp_path: Path) -> None:
    seen: list[tuple[web.Request, Any]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append((request, await request.json()))
        return await say_hello(request)

    async with between(handle, tmp_path, rules=Rules(pins={"temperature": 0, "parallel_tool_calls": False})) as agent:
        body = chat(temperature=1, max_tokens=7)
        answer = await agent.post("/v1/chat/completions", body, **{"X-Agent": "a", "Connection": "x-hop", "x-hop": "1"})
        assert answer == (200, CHAT_ANSWER)
        ((intent, outcome),) = await agent.calls(1)
    request, sent = seen[0]
    assert sent == body | {"temperature": 0, "parallel_tool_calls": False}
    assert request.headers["Authorization"] == f"Bearer {REAL_KEY}"
    assert request.headers["X-Agent"] == "a"
    assert "x-hop" not in request.headers
    assert (intent.protocol, intent.path, intent.model_asked) == ("chat", "/v1/chat/completions", "m")
    assert intent.asked == {"model": "m", "temperature": 1, "max_tokens": 7}
    assert intent.sent == {"model": "m", "temperature": 0, "max_tokens": 7, "parallel_tool_calls": False}
    assert (intent.stream, intent.tools, intent.messages) == (False, ("bash",), 1)
    assert outcome is not None
    assert (outcome.status, outcome.complete, outcome.answered_by) == (200, True, "provider")
    assert outcome.usage == Usage(uncached_input=40, cache_read=60, output=20, reasoning=5)
    assert outcome.cost_usd is None
    assert (outcome.model_answered, outcome.finish_reason) == ("m-2026", "stop")
    assert (outcome.text_excerpt, outcome.provider_request_id) == ("hello", "req_1")
    assert outcome.first_byte_s is not None
    assert outcome.response_bytes == len(json.dumps(CHAT_ANSWER))


@in_loop
async def test_the_model_is_passed_on_as_asked_unless_pinned(tmp_path: Path) -> None:
    models = []

    async def handle(request: web.Request) -> web.StreamResponse:
        models.append((await request.json())["model"])
        return await say_hello(request)

    for name, rules in (("a", Rules()), ("b", Rules(model="gpt-5"))):
        (tmp_path / name).mkdir()
        async with between(handle, tmp_path / name, rules=rules) as agent:
            await agent.post("/chat/completions", chat())
    assert models == ["m", "gpt-5"]


@in_loop
async def test_the_intent_stands_on_disk_before_the_provider_sees_the_call(tmp_path: Path) -> None:
    states = []

    async def handle(request: web.Request) -> web.StreamResponse:
        good, bad = AttemptStore(tmp_path).calls()
        states.append(([record.kind for _, record in good], bad))
        return await say_hello(request)

    async with between(handle, tmp_path) as agent:
        await agent.post("/v1/chat/completions", chat())
    assert states == [(["intent"], [])]


@in_loop
async def test_a_stream_passes_as_it_arrives(tmp_path: Path) -> None:
    got_first = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(HELLO)
        await asyncio.wait_for(got_first.wait(), 10)
        await response.write(USAGE_CHUNK + DONE)
        return response

    async with between(handle, tmp_path) as agent:
        options = {"stream": True, "stream_options": {"include_usage": True}}
        async with agent.client.post(
            agent.url + "/v1/chat/completions", json=chat(**options), headers=agent.headers
        ) as answer:
            first = await answer.content.readany()
            assert first == HELLO
            before = agent.session.last_activity
            assert agent.session.calls_in_flight == 1
            got_first.set()
            assert await answer.read() == USAGE_CHUNK + DONE
        ((intent, outcome),) = await agent.calls(1)
        assert agent.session.last_activity >= before
        assert agent.session.calls_in_flight == 0
    assert intent.asked == intent.sent
    assert outcome is not None
    assert outcome.usage == Usage(uncached_input=40, cache_read=60, output=20, reasoning=5)
    assert (outcome.complete, outcome.text_excerpt, outcome.finish_reason) == (True, "hello", "stop")


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_usage_is_asked_for_and_its_chunk_taken_out_again(tmp_path: Path, step: int) -> None:
    @in_loop
    async def run() -> None:
        asked = []
        raw = HELLO + USAGE_CHUNK + DONE

        async def handle(request: web.Request) -> web.StreamResponse:
            asked.append((await request.json()).get("stream_options"))
            return await streaming(*(raw[i : i + step] for i in range(0, len(raw), step)))(request)

        async with between(handle, tmp_path) as agent:
            assert await agent.stream("/v1/chat/completions", chat(stream=True)) == (200, HELLO + DONE)
            ((intent, outcome),) = await agent.calls(1)
        assert asked == [{"include_usage": True}]
        assert "stream_options" not in intent.asked
        assert intent.sent["stream_options"] == {"include_usage": True}
        assert outcome is not None
        assert outcome.usage is not None
        assert outcome.usage.total == 120

    run()


@in_loop
async def test_a_responses_stream_is_read_while_it_passes(tmp_path: Path) -> None:
    def event(kind: str, **fields: Any) -> bytes:
        return f"event: {kind}\ndata: {json.dumps({'type': kind} | fields)}\n\n".encode()

    usage = {
        "input_tokens": 100,
        "output_tokens": 20,
        "input_tokens_details": {"cached_tokens": 60},
        "output_tokens_details": {"reasoning_tokens": 5},
    }
    item = {"type": "function_call", "name": "exec_command", "call_id": "c", "arguments": "{}"}
    raw = (
        event("response.created", response={"model": "m-2026"})
        + event("response.output_item.done", item=item)
        + event("response.completed", response={"model": "m-2026", "status": "completed", "usage": usage})
    )
    async with between(streaming(raw[:50], raw[50:]), tmp_path) as agent:
        assert await agent.stream("/v1/responses", responses(stream=True)) == (200, raw)
        ((intent, outcome),) = await agent.calls(1)
    assert intent.sent == intent.asked == {"model": "m", "stream": True}
    assert outcome is not None
    assert outcome.usage == Usage(uncached_input=40, cache_read=60, output=20, reasoning=5)
    assert (outcome.complete, outcome.tool_calls, outcome.finish_reason) == (True, ("exec_command",), "completed")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
@pytest.mark.parametrize("cut", [True, False])
def test_a_cut_stream_is_incomplete_and_its_usage_unknown(tmp_path: Path, path: str, cut: bool) -> None:
    @in_loop
    async def run() -> None:
        async with between(streaming(HELLO, USAGE_CHUNK, cut=cut), tmp_path) as agent:
            body = chat(stream=True) if "chat" in path else responses(stream=True)
            if cut:
                with pytest.raises(aiohttp.ClientError):
                    await agent.stream(path, body)
            else:
                assert (await agent.stream(path, body))[0] == 200
            ((_, outcome),) = await agent.calls(1)
        assert outcome is not None
        assert (outcome.status, outcome.complete, outcome.usage, outcome.cost_usd) == (200, False, None, None)
        assert outcome.error is not None
        assert ("connection to the provider broke" if cut else "end marker") in outcome.error

    run()


@in_loop
async def test_an_error_in_mid_stream_is_recorded(tmp_path: Path) -> None:
    failed = {
        "type": "response.failed",
        "response": {"status": "failed", "error": {"code": "server_error", "message": "oh"}},
    }
    async with between(streaming(f"data: {json.dumps(failed)}\n\n".encode()), tmp_path) as agent:
        await agent.stream("/v1/responses", responses(stream=True))
        ((_, outcome),) = await agent.calls(1)
    assert outcome is not None
    assert (outcome.error, outcome.error_code, outcome.finish_reason) == ("oh", "server_error", "failed")


@in_loop
async def test_a_providers_error_reaches_the_agent_and_the_record_without_the_key(tmp_path: Path) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        message = f"Incorrect API key provided: {request.headers['Authorization']} / {REAL_KEY} / sk-other-12345678."
        error = {"error": {"message": message, "code": "invalid_api_key"}}
        return web.json_response(error, status=401, headers={"Retry-After": "3"})

    async with between(handle, tmp_path) as agent:
        async with agent.client.post(
            agent.url + "/v1/chat/completions", json=chat(user=agent.session.token), headers=agent.headers
        ) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (401, "3")
            assert REAL_KEY not in await answer.text()
        ((_, outcome),) = await agent.calls(1)
        text = agent.text()
        assert agent.session.token not in text
    assert outcome is not None
    assert (outcome.status, outcome.error_code, outcome.complete) == (401, "invalid_api_key", True)
    assert "Incorrect API key" in str(outcome.error)
    assert REAL_KEY not in text
    assert "sk-other" not in text


@in_loop
async def test_a_provider_that_cannot_be_reached_gives_502(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    async with place(tmp_path, real(f"http://127.0.0.1:{port}/v1")) as agent:
        status, answer = await agent.post("/v1/chat/completions", chat())
        assert (status, answer["error"]["code"]) == (502, "upstream_unreachable")
        ((_, outcome),) = await agent.calls(1)
    assert outcome is not None
    assert (outcome.status, outcome.answered_by, outcome.error_code) == (502, "gateway", "upstream_unreachable")


@in_loop
async def test_a_provider_that_hangs_up_before_answering_gives_502(tmp_path: Path) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with between(handle, tmp_path) as agent:
        assert (await agent.post("/v1/chat/completions", chat()))[0] == 502


@in_loop
async def test_an_agent_that_hangs_up_is_recorded_and_the_provider_let_go(tmp_path: Path) -> None:
    arrived, let_go = asyncio.Event(), asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        arrived.set()
        try:
            await asyncio.sleep(60)
        finally:
            let_go.set()
        return web.Response()

    async with between(handle, tmp_path) as agent:
        await hang_up(agent, chat(), arrived)
        ((_, outcome),) = await agent.calls(1)
        assert outcome is not None
        assert (outcome.status, outcome.complete) == (None, False)
        assert "agent closed" in str(outcome.error)
        await asyncio.wait_for(let_go.wait(), 10)


@in_loop
async def test_closing_ends_calls_in_flight_quickly_and_records_them(tmp_path: Path) -> None:
    arrived = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        arrived.set()
        await asyncio.sleep(60)
        return web.Response()

    async with between(handle, tmp_path) as agent:
        calling = asyncio.create_task(agent.post("/v1/chat/completions", chat()))
        await arrived.wait()
        began = time.monotonic()
        await agent.gateway.close(agent.session)
        assert time.monotonic() - began < 5
        with pytest.raises(aiohttp.ClientError):
            await calling
        ((_, outcome),) = await agent.calls(1)
        assert outcome is not None
        assert outcome.complete is False
        assert "attempt ended" in str(outcome.error)
        with pytest.raises(aiohttp.ClientError):
            await agent.post("/v1/chat/completions", chat())


@pytest.mark.parametrize("key", ["Bearer wrong", "Bearer ", "", "Basic x", "Bearer é"])
def test_a_wrong_token_is_refused_and_recorded(tmp_path: Path, key: str) -> None:
    @in_loop
    async def run() -> None:
        async with between(say_hello, tmp_path) as agent:
            status, answer = await agent.post("/v1/chat/completions", chat(), Authorization=key)
            assert (status, answer["error"]["code"]) == (401, "invalid_api_key")
            ((_, outcome),) = await agent.calls(1)
            assert outcome is not None
            assert (outcome.status, outcome.answered_by) == (401, "gateway")
            assert agent.session.meters[0].steps == 0

    run()


@in_loop
async def test_another_attempts_token_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with between(say_hello, tmp_path) as agent, between(say_hello, tmp_path / "other") as other:
        token = other.headers["Authorization"]
        assert (await agent.post("/v1/chat/completions", chat(), Authorization=token))[0] == 401
        assert (await other.post("/v1/chat/completions", chat()))[0] == 200


@in_loop
async def test_websockets_are_refused_with_a_clear_error(tmp_path: Path) -> None:
    async with between(say_hello, tmp_path) as agent:
        headers = agent.headers | {"Upgrade": "websocket", "Connection": "Upgrade"}
        async with agent.client.get(agent.url + "/v1/responses", headers=headers) as answer:
            assert answer.status == 426
            assert "HTTP" in (await answer.json())["error"]["message"]
        ((intent, outcome),) = await agent.calls(1)
        assert intent.protocol == "other"
        assert outcome is not None
        assert outcome.error_code == "upgrade_not_supported"


@in_loop
async def test_side_routes_pass_and_are_recorded_as_other(tmp_path: Path) -> None:
    paths = []

    async def handle(request: web.Request) -> web.StreamResponse:
        paths.append(request.path_qs)
        return web.json_response({"data": []})

    async with between(handle, tmp_path, Budget(steps=1)) as agent:
        for path in ("/v1/models?client_version=1", "/models", "/v1/models/gpt-5"):
            async with agent.client.get(agent.url + path, headers=agent.headers) as answer:
                assert await answer.json() == {"data": []}
        assert [intent.protocol for intent, _ in await agent.calls(3)] == ["other"] * 3
        assert agent.session.meters[0].steps == 0
    assert paths == ["/v1/models?client_version=1", "/v1/models", "/v1/models/gpt-5"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/files"),
        ("DELETE", "/v1/models/x"),
        ("POST", "/v1/embeddings"),
        ("GET", "/v1/models/../files"),
        ("GET", "/v1/models/%2e%2e/files"),
        ("GET", "/"),
        ("GET", "//elsewhere/v1/models"),
        ("PUT", "/v1/responses"),
    ],
)
def test_a_route_no_agent_needs_never_reaches_the_provider(tmp_path: Path, method: str, path: str) -> None:
    @in_loop
    async def run() -> None:
        async def handle(request: web.Request) -> web.StreamResponse:
            raise AssertionError(request.path)

        async with between(handle, tmp_path) as agent:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(agent.url.rsplit(":", 1)[1]))
            writer.write(
                f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {agent.session.token}\r\n"
                "Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
            )
            assert b" 404 " in (await reader.read()).split(b"\r\n")[0]
            writer.close()
            await writer.wait_closed()
            assert len(await agent.calls(1)) == 1

    run()


@pytest.mark.parametrize("encoding", ["zstd", "gzip", "identity"])
def test_compressed_requests_are_decoded(tmp_path: Path, encoding: str) -> None:
    @in_loop
    async def run() -> None:
        seen = []

        async def handle(request: web.Request) -> web.StreamResponse:
            seen.append((request.headers.get("Content-Encoding"), await request.json()))
            return await say_hello(request)

        raw = json.dumps(chat()).encode()
        packed = {"zstd": zstandard.compress, "gzip": gzip.compress, "identity": bytes}[encoding](raw)
        async with between(handle, tmp_path) as agent:
            headers = agent.headers | {"Content-Encoding": encoding, "Content-Type": "application/json"}
            async with agent.client.post(agent.url + "/v1/chat/completions", data=packed, headers=headers) as answer:
                assert answer.status == 200
            ((intent, _),) = await agent.calls(1)
        assert seen == [(None, chat())]
        assert (intent.request_bytes, intent.messages) == (len(packed), 1)

    run()


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (b"{", "identity", 400),
        (b"[]", "identity", 400),
        (b"\xff\xfe\x00", "identity", 400),
        (b"nonsense", "gzip", 400),
        (b"nonsense", "zstd", 400),
        (b"{}", "br", 400),
        (gzip.compress(b"\0" * (65 << 20)), "gzip", 413),
        (zstandard.compress(b"\0" * (65 << 20)), "zstd", 413),
    ],
)
def test_a_bad_body_is_refused_and_recorded(tmp_path: Path, body: bytes, encoding: str, status: int) -> None:
    @in_loop
    async def run() -> None:
        async with between(say_hello, tmp_path) as agent:
            headers = agent.headers | {"Content-Encoding": encoding}
            async with agent.client.post(agent.url + "/v1/responses", data=body, headers=headers) as answer:
                assert answer.status == status
                assert (await answer.json())["error"]["message"]
            ((intent, outcome),) = await agent.calls(1)
            assert intent.request_bytes == len(body)
            assert outcome is not None
            assert (outcome.status, outcome.answered_by) == (status, "gateway")
            assert (await agent.post("/v1/chat/completions", chat()))[0] == 200

    run()


@in_loop
async def test_a_body_over_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    async with between(say_hello, tmp_path) as agent:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(agent.url.rsplit(":", 1)[1]))
        writer.write(
            f"POST /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {agent.session.token}\r\n"
            "Content-Length: 99999999999\r\n\r\n".encode()
        )
        assert b" 413 " in await reader.readline()
        writer.close()
        await writer.wait_closed()


@in_loop
async def test_garbage_on_the_socket_harms_nobody_else(tmp_path: Path) -> None:
    async with between(say_hello, tmp_path) as agent:
        for garbage in (
            b"\0\xff\x16\x03garbage\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"POST /v1/responses HTTP/1.1\r\n",
        ):
            _, writer = await asyncio.open_connection("127.0.0.1", int(agent.url.rsplit(":", 1)[1]))
            writer.write(garbage)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        assert (await agent.post("/v1/chat/completions", chat()))[0] == 200


@pytest.mark.parametrize(
    ("budget", "cause", "passed"),
    [
        (Budget(steps=2), StopCause.STEPS, 2),
        (Budget(tokens=200), StopCause.TOKENS, 2),
        (Budget(tokens=120), StopCause.TOKENS, 1),
    ],
)
def test_a_used_up_budget_ends_the_attempt(tmp_path: Path, budget: Budget, cause: StopCause, passed: int) -> None:
    @in_loop
    async def run() -> None:
        async with between(say_hello, tmp_path, budget) as agent:
            statuses = [(await agent.post("/v1/chat/completions", chat()))[0] for _ in range(passed)]
            assert statuses == [200] * passed
            assert agent.session.stopped is None
            assert not agent.session.stop_event.is_set()
            for _ in range(2):
                status, answer = await agent.post("/v1/chat/completions", chat())
                assert (status, answer["error"]["code"]) == (400, "speedproof_budget_exhausted")
            assert agent.session.stopped is cause
            assert agent.session.stop_event.is_set()
            calls = await agent.calls(passed + 2)
            assert [o.answered_by for _, o in calls if o] == ["provider"] * passed + ["gateway"] * 2

    run()


@in_loop
async def test_a_cost_budget_counts_list_prices(tmp_path: Path) -> None:
    choice, _ = scripted(tmp_path, "  - finish: done\n")
    async with place(tmp_path, choice, Budget(cost_usd=0.01)) as agent:
        agent.session.meters[0].cost_usd = 0.0099
        assert (await agent.post("/v1/responses", responses()))[0] == 200
        agent.session.meters[0].cost_usd = 0.01
        assert (await agent.post("/v1/responses", responses()))[0] == 400
        assert agent.session.stopped is StopCause.COST


@in_loop
async def test_a_cost_limit_on_a_model_without_a_price_is_refused_beforehand(tmp_path: Path) -> None:
    async with Gateway() as gateway:
        with pytest.raises(InputError, match="no known price"):
            gateway.open(tmp_path / "calls.jsonl", real("http://127.0.0.1:1/v1"), Budget(cost_usd=1))


@in_loop
async def test_calls_in_flight_count_against_the_budget(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        await go_on.wait()
        return await say_hello(request)

    async with between(handle, tmp_path, Budget(tokens=1_000)) as agent:
        long = chat({"role": "user", "content": "x" * 4_000})
        first = asyncio.create_task(agent.post("/v1/chat/completions", long))
        while agent.session.calls_in_flight == 0:
            await asyncio.sleep(0.01)
        assert (await agent.post("/v1/chat/completions", chat()))[0] == 400
        go_on.set()
        assert (await first)[0] == 200


@in_loop
async def test_a_stream_cut_by_the_agent_still_counts_against_the_budget(tmp_path: Path) -> None:
    arrived = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        arrived.set()
        await asyncio.sleep(60)
        return web.Response()

    async with between(handle, tmp_path, Budget(tokens=1_000)) as agent:
        await hang_up(agent, chat({"role": "user", "content": "x" * 4_000}), arrived)
        await agent.calls(1)
        assert agent.session.meters[0].input >= 1_000
        assert (await agent.post("/v1/chat/completions", chat()))[0] == 400


@in_loop
async def test_a_refused_call_costs_nothing(tmp_path: Path) -> None:
    choice, _ = scripted(tmp_path, "  - fail: {status: 500}\n")
    async with place(tmp_path, choice, Budget(tokens=100)) as agent:
        for _ in range(5):
            assert (await agent.post("/v1/responses", responses()))[0] == 500
        assert (agent.session.meters[0].steps, agent.session.meters[0].input) == (5, 0)


@in_loop
async def test_a_socket_made_elsewhere_is_served(tmp_path: Path) -> None:
    choice, _ = scripted(tmp_path, "  - finish: done\n")
    async with Gateway() as gateway, aiohttp.ClientSession() as client:
        session = gateway.open(tmp_path / "calls.jsonl", choice, Budget())
        sock = socket.create_server(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        await gateway.attach(session, sock)
        bearer = {"Authorization": f"Bearer {session.token}"}
        async with client.post(f"http://127.0.0.1:{port}/responses", json=responses(), headers=bearer) as answer:
            assert answer.status == 200
        await gateway.close(session)
        assert sock.fileno() == -1


@in_loop
async def test_a_record_that_cannot_be_written_stops_the_attempt_before_anything_is_spent(tmp_path: Path) -> None:
    reached = []

    async def handle(request: web.Request) -> web.StreamResponse:
        reached.append(request)
        return await say_hello(request)

    async with between(handle, tmp_path) as agent:
        broken = RecordError("no space left on device")

        def refuse(line: Any) -> None:
            raise broken

        assert agent.session._file is not None
        agent.session._file.append = refuse  # type: ignore[method-assign]
        status, answer = await agent.post("/v1/chat/completions", chat())
        assert (status, answer["error"]["code"]) == (500, "speedproof_record_failed")
        assert agent.session.stop_event.is_set()
        with pytest.raises(RecordError, match="no space left"):
            await agent.gateway.close(agent.session)
    assert reached == []


@in_loop
async def test_the_record_agrees_with_the_providers_ledger(tmp_path: Path) -> None:
    choice, model = scripted(tmp_path, "  - run: a\n  - fail: {status: 503, times: 2}\n  - run: b\n  - finish: done\n")
    async with place(tmp_path, choice) as agent:
        bodies = [
            (path, make(stream=stream))
            for path, make in (("/v1/chat/completions", chat), ("/v1/responses", responses))
            for stream in (False, True)
        ]
        await asyncio.gather(*(agent.stream(path, body) for path, body in bodies * 3))
        calls = await agent.calls(12)
    recorded = sorted((o.status, o.usage and o.usage.total) for _, o in calls if o)
    assert recorded == sorted((entry.status, entry.usage and entry.usage.total) for entry in model.ledger)
    assert all(outcome.complete for _, outcome in calls if outcome)


@in_loop
async def test_what_the_provider_would_fetch_for_the_agent_is_refused(tmp_path: Path) -> None:
    async with between(say_hello, tmp_path) as agent:
        item = {"role": "user", "content": [{"type": "input_file", "file_url": "https://example.org/a"}]}
        for path in ("/v1/responses", "/v1/responses/compact", "/v1/responses/input_tokens"):
            status, answer = await agent.post(path, responses(item))
            assert (status, answer["error"]["code"]) == (400, "remote_content_refused")
            assert "'file_url'" in answer["error"]["message"]
        found = await agent.calls(3)
    assert [o.answered_by for _, o in found if o] == ["gateway"] * 3
    assert agent.session.meters[0].steps == 0


@in_loop
async def test_compaction_is_pinned_and_counted_as_the_model_call_it_is(tmp_path: Path) -> None:
    sent: list[Any] = []

    async def compact(request: web.Request) -> web.StreamResponse:
        sent.append(await request.json())
        return web.json_response(
            {"object": "response.compaction", "output": [], "usage": {"input_tokens": 90, "output_tokens": 10}}
        )

    async with between(compact, tmp_path, rules=Rules(model="pinned")) as agent:
        assert (await agent.post("/v1/responses/compact", responses()))[0] == 200
        ((intent, outcome),) = await agent.calls(1)
    assert sent[0]["model"] == "pinned"
    assert (intent.protocol, intent.model_asked, intent.sent["model"]) == ("responses", "m", "pinned")
    assert outcome is not None and outcome.complete
    assert outcome.usage == Usage(uncached_input=90, output=10)
    assert agent.session.meters[0].steps == 1


@in_loop
@pytest.mark.parametrize("bound", ["MOST_CALLS", "MOST_RECORDED"])
async def test_a_flood_of_calls_ends_the_attempt_and_not_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(f"speedproof.gateway.session.{bound}", 5)
    async with between(say_hello, tmp_path) as agent:
        for _ in range(20):
            await agent.post("/v1/anything", {}, Authorization="Bearer wrong")
        found = await agent.calls()
    assert (agent.session.stopped, agent.session.stop_event.is_set()) == (StopCause.STEPS, True)
    assert len(found) <= 6
    last = found[-1][1]
    assert last is not None and last.error is not None
    assert (last.status, last.answered_by) == (400, "gateway")
    assert "no more calls are recorded" in last.error
