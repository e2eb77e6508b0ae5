"""What is transient is tried again at the gateway, unseen by the agent and seen in the record; nothing else is."""

import asyncio
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateway_support import chat, in_loop, place, provider, real
from speedproof.gateway import Gateway, Patience
from speedproof.gateway.budget import Budget
from speedproof.journal import FailureClass
from speedproof.journal.pace import PaceChange, ProviderDown

QUICK = Patience(first_wait_s=0.01)
ANSWER = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}}


class Faulty:
    """A provider that fails as it is told to, then answers."""

    def __init__(self, *faults: tuple[int, dict[str, Any], dict[str, str]]) -> None:
        self.faults = list(faults)
        self.seen: list[float] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.seen.append(time.monotonic())
        if self.faults:
            status, error, headers = self.faults.pop(0)
            if status == 0:
                assert request.transport is not None
                request.transport.close()
                return web.Response()
            return web.json_response({"error": error}, status=status, headers=headers)
        return web.json_response(ANSWER)


RATE = (429, {"message": "Rate limit reached", "code": "rate_limit_exceeded"}, {})


@in_loop
@pytest.mark.parametrize(
    "faults",
    [[RATE, RATE], [(500, {"message": "oops"}, {})], [(503, {"message": "overloaded"}, {})], [(0, {}, {})]],
)
async def test_what_is_transient_is_tried_again_and_recorded(tmp_path: Path, faults: list[Any]) -> None:
    faulty = Faulty(*faults)
    async with provider(faulty) as url, place(tmp_path, real(url), patience=QUICK) as agent:
        status, _ = await agent.post("/v1/chat/completions", chat())
        ((_, outcome),) = await agent.calls(1)
    assert status == 200
    assert len(faulty.seen) == len(faults) + 1
    assert outcome is not None
    assert [retry.status for retry in outcome.retries] == [fault[0] or None for fault in faults]
    assert all(retry.error and retry.waited_s >= 0 for retry in outcome.retries)


@in_loop
async def test_retry_after_is_honoured_and_holds_every_call_to_the_provider(tmp_path: Path) -> None:
    faulty = Faulty((RATE[0], RATE[1], {"Retry-After": "0.5"}))
    told: list[Any] = []
    async with provider(faulty) as url, Gateway(told.append, QUICK) as gateway:
        places = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            session = gateway.open(tmp_path / name / "calls.jsonl", real(url), Budget())
            port = await gateway.listen(session)
            places.append((f"http://127.0.0.1:{port}/v1/chat/completions", session.token))

        async with aiohttp.ClientSession() as client:

            async def ask(where: str, token: str) -> int:
                bearer = {"Authorization": f"Bearer {token}"}
                async with client.post(where, json=chat(), headers=bearer) as answer:
                    return answer.status

            first = asyncio.create_task(ask(*places[0]))
            while not faulty.seen:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            assert await ask(*places[1]) == 200
            assert await first == 200
    assert all(later - faulty.seen[0] >= 0.45 for later in faulty.seen[1:])
    assert {type(news) for news in told} == {PaceChange}
    assert (told[0].why, told[0].window) == ("rate_limited", 1.0)
    assert told[0].not_before is not None


@in_loop
@pytest.mark.parametrize(
    ("status", "error", "failure"),
    [
        (
            429,
            {"message": "You exceeded your current quota", "code": "insufficient_quota"},
            FailureClass.QUOTA_EXHAUSTED,
        ),
        (
            429,
            {"type": "usage_limit_reached", "message": "The usage limit has been reached", "resets_in_seconds": 60},
            FailureClass.USAGE_LIMIT,
        ),
        (401, {"message": "Your session token has expired, log in again"}, FailureClass.LOGIN_EXPIRED),
    ],
)
async def test_what_only_a_person_can_mend_is_told_to_the_run_at_once(
    tmp_path: Path, status: int, error: dict[str, Any], failure: FailureClass
) -> None:
    faulty = Faulty(*[(status, error, {})] * 3)
    told: list[Any] = []
    async with provider(faulty) as url, place(tmp_path, real(url), patience=QUICK, told=told.append) as agent:
        for _ in range(2):
            assert (await agent.post("/v1/chat/completions", chat()))[0] == status
        calls = await agent.calls(2)
    assert len(faulty.seen) == 2, "never tried again"
    assert [(type(news), news.failure) for news in told] == [(ProviderDown, failure)], "told once"
    if failure is FailureClass.USAGE_LIMIT:
        assert told[0].resets_at is not None
        assert calls[0][1] is not None and calls[0][1].resets_at is not None


@in_loop
@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
async def test_a_protocol_error_is_never_tried_again(tmp_path: Path, status: int) -> None:
    faulty = Faulty((status, {"message": "no"}, {}))
    async with provider(faulty) as url, place(tmp_path, real(url), patience=QUICK) as agent:
        assert (await agent.post("/v1/chat/completions", chat()))[0] == status
    assert len(faulty.seen) == 1


@in_loop
async def test_a_stream_that_breaks_is_never_tried_again(tmp_path: Path) -> None:
    seen = []

    async def cut(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"choices": [{"delta": {"content": "half"}}]}\n\n')
        assert request.transport is not None
        request.transport.abort()
        return response

    async with provider(cut) as url, place(tmp_path, real(url), patience=QUICK) as agent:
        with pytest.raises(aiohttp.ClientError):
            await agent.stream("/v1/chat/completions", chat(stream=True))
        ((_, outcome),) = await agent.calls(1)
    assert len(seen) == 1
    assert outcome is not None
    assert (outcome.complete, outcome.usage, outcome.retries) == (False, None, ())
    assert outcome.at_least is not None and outcome.at_least.output == 1


@in_loop
async def test_a_limit_that_stays_reaches_the_agent_in_the_providers_words(tmp_path: Path) -> None:
    faulty = Faulty(*[RATE] * 9)
    async with provider(faulty) as url, place(tmp_path, real(url), patience=QUICK) as agent:
        status, answer = await agent.post("/v1/chat/completions", chat())
        ((_, outcome),) = await agent.calls(1)
    assert (status, answer["error"]["message"]) == (429, "Rate limit reached")
    assert outcome is not None and len(outcome.retries) == QUICK.most_tries - 1
